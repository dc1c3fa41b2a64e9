-- Whether a booking has won a contest (as SQLite's migration 0017).
ALTER TABLE agendamentos ADD COLUMN disputado BOOLEAN NOT NULL DEFAULT FALSE;
