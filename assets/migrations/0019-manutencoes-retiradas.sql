-- Maintenances that were taken away, by telescope and by when: a calendar tells of the last ones.

CREATE INDEX manutencoes_retiradas ON manutencoes (telescopio_id, removida_us) WHERE removida_us IS NOT NULL;
