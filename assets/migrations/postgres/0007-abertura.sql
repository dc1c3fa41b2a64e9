-- When slots that have become free open, which is a little after that (as SQLite's migration 0020).
ALTER TABLE horarios ADD COLUMN abre_us BIGINT;
ALTER TABLE manutencoes ADD COLUMN abre_us BIGINT;
