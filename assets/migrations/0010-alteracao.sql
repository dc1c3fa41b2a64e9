-- A booking can be changed. versao grows with each change, the cancellation included; alterado_us is the last change that was no cancellation.

ALTER TABLE agendamentos ADD COLUMN versao INTEGER NOT NULL DEFAULT 1 CHECK (versao >= 1);
ALTER TABLE agendamentos ADD COLUMN alterado_us INTEGER;
UPDATE agendamentos SET versao = 2 WHERE status = 'CANCELADO';
