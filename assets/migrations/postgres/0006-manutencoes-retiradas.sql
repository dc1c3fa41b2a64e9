-- Maintenances that were taken away, by telescope and by when (as SQLite's migration 0019).
CREATE INDEX manutencoes_retiradas ON manutencoes (telescopio_id, removida_us) WHERE removida_us IS NOT NULL;
