-- Neither a list nor a start may take longer because the agenda has grown.

-- A list narrowed to a telescope and a status, with or without a scientist, is a stretch of one of these, in its order. One
-- that is narrowed to less is a merge of few such stretches.
DROP INDEX IF EXISTS agendamentos_por_cientista;
CREATE INDEX agendamentos_por_cientista ON agendamentos (cientista_id, telescopio_id, status, inicio_us);
CREATE INDEX IF NOT EXISTS agendamentos_por_telescopio ON agendamentos (telescopio_id, status, inicio_us);

-- One row: what a start needs to know and would have to read everything for. The largest token that any slot has seen. And of
-- the trail's file, as it was when it was known to be on disk up to record exportado: the record before its first one, and its
-- length. That counts while trilha.exportado is the same.
CREATE TABLE IF NOT EXISTS resumo (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    maior_token     INTEGER NOT NULL,
    exportado       INTEGER,
    exportado_antes INTEGER,
    exportado_bytes INTEGER
) STRICT;
INSERT OR REPLACE INTO resumo (id, maior_token) VALUES (1, (SELECT coalesce(max(token), 0) FROM horarios));

CREATE TRIGGER IF NOT EXISTS horarios_token_ao_criar AFTER INSERT ON horarios
WHEN NEW.token > (SELECT maior_token FROM resumo)
BEGIN
    UPDATE resumo SET maior_token = NEW.token;
END;

CREATE TRIGGER IF NOT EXISTS horarios_token_ao_mudar AFTER UPDATE OF token ON horarios
WHEN NEW.token > (SELECT maior_token FROM resumo)
BEGIN
    UPDATE resumo SET maior_token = NEW.token;
END;
