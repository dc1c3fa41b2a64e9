-- Maintenances: periods in which a telescope cannot be booked. A row is never deleted: removida_us says when it was taken away.

CREATE TABLE manutencoes (
    id             INTEGER PRIMARY KEY,
    telescopio_id  INTEGER NOT NULL REFERENCES telescopios (id),
    inicio_us      INTEGER NOT NULL CHECK (inicio_us >= 0 AND inicio_us % 300000000 = 0),
    fim_us         INTEGER NOT NULL CHECK (fim_us > inicio_us AND fim_us % 300000000 = 0),
    -- It comes again each week, and begins for the last time at this instant at the latest; NULL is once.
    semanal_ate_us INTEGER CHECK (semanal_ate_us >= inicio_us),
    -- The end of its last time.
    ultimo_fim_us  INTEGER NOT NULL CHECK (ultimo_fim_us >= fim_us),
    motivo         TEXT    NOT NULL CHECK (length(motivo) BETWEEN 1 AND 200),
    removida_us    INTEGER
) STRICT;

CREATE INDEX manutencoes_por_telescopio ON manutencoes (telescopio_id, ultimo_fim_us) WHERE removida_us IS NULL;

CREATE TRIGGER manutencoes_ao_criar AFTER INSERT ON manutencoes
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER manutencoes_ao_mudar AFTER UPDATE ON manutencoes
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER manutencoes_ao_apagar AFTER DELETE ON manutencoes
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;
