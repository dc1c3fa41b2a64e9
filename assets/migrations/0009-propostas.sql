-- Proposals: who may observe, when, and for how many minutes at each telescope. What is used follows from the bookings.

CREATE TABLE propostas (
    id             INTEGER PRIMARY KEY CHECK (id >= 1),
    titulo         TEXT    NOT NULL CHECK (length(titulo) BETWEEN 1 AND 200),
    responsavel_id INTEGER NOT NULL REFERENCES cientistas (id),
    inicio_us      INTEGER NOT NULL,
    fim_us         INTEGER NOT NULL CHECK (fim_us > inicio_us),
    ativa          INTEGER NOT NULL CHECK (ativa IN (0, 1)),
    -- A JSON list of the other scientists' numbers.
    membros        TEXT    NOT NULL CHECK (json_valid(membros)),
    -- A JSON object: the minutes by a telescope's code.
    alocado_min    TEXT    NOT NULL CHECK (json_valid(alocado_min))
) STRICT;

CREATE TRIGGER propostas_ao_criar AFTER INSERT ON propostas
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER propostas_ao_mudar AFTER UPDATE ON propostas
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER propostas_ao_apagar AFTER DELETE ON propostas
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

ALTER TABLE telescopios ADD COLUMN exige_proposta INTEGER NOT NULL DEFAULT 0 CHECK (exige_proposta IN (0, 1));

ALTER TABLE agendamentos ADD COLUMN proposta_id INTEGER REFERENCES propostas (id);
-- The minutes that a proposal has used are a stretch of this index.
CREATE INDEX agendamentos_por_proposta ON agendamentos (proposta_id, telescopio_id, status, inicio_us, fim_us)
    WHERE proposta_id IS NOT NULL;
