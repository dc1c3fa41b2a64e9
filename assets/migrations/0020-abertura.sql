-- When slots that have become free open, which is a little after that: what a booking gave up, and what a maintenance had closed.

ALTER TABLE horarios ADD COLUMN abre_us INTEGER;
ALTER TABLE manutencoes ADD COLUMN abre_us INTEGER;
