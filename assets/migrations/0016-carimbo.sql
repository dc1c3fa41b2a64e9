-- The instant of a booking's click for which the service vouches, if its request had a time token.

ALTER TABLE agendamentos ADD COLUMN carimbo_us INTEGER;
