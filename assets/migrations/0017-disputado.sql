-- Whether a booking has won a contest. The record DISPUTA_RESOLVIDA has the contest.

ALTER TABLE agendamentos ADD COLUMN disputado INTEGER NOT NULL DEFAULT 0 CHECK (disputado IN (0, 1));
