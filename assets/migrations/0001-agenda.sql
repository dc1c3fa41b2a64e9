-- The agenda, the catalogue and the audit trail. Columns ending in _us are microseconds since 1970, UTC.

CREATE TABLE telescopios (
    id       INTEGER PRIMARY KEY,
    codigo   TEXT    NOT NULL UNIQUE CHECK (length(codigo) BETWEEN 1 AND 64 AND codigo NOT GLOB '*[^A-Za-z0-9._-]*'),
    nome     TEXT    NOT NULL CHECK (length(nome) BETWEEN 1 AND 200),
    simulado INTEGER NOT NULL CHECK (simulado IN (0, 1))
) STRICT;

CREATE TABLE cientistas (
    id          INTEGER PRIMARY KEY CHECK (id >= 1),
    nome        TEXT NOT NULL CHECK (length(nome) BETWEEN 1 AND 200),
    instituicao TEXT NOT NULL CHECK (length(instituicao) BETWEEN 1 AND 200),
    pais        TEXT NOT NULL CHECK (length(pais) = 2)
) STRICT;

-- Rows are never deleted, so a number is never used again even without AUTOINCREMENT.
CREATE TABLE agendamentos (
    id            INTEGER PRIMARY KEY,
    telescopio_id INTEGER NOT NULL REFERENCES telescopios (id),
    cientista_id  INTEGER NOT NULL REFERENCES cientistas (id),
    inicio_us     INTEGER NOT NULL CHECK (inicio_us >= 0 AND inicio_us % 300000000 = 0),
    fim_us        INTEGER NOT NULL CHECK (fim_us > inicio_us AND fim_us % 300000000 = 0),
    status        TEXT    NOT NULL CHECK (status IN ('AGENDADO', 'CANCELADO')),
    alvo          TEXT,
    observacoes   TEXT,
    clique_us     INTEGER,
    criado_us     INTEGER NOT NULL,
    cancelado_us  INTEGER CHECK ((cancelado_us IS NOT NULL) = (status = 'CANCELADO')),
    motivo        TEXT,
    token         INTEGER,
    req           TEXT    NOT NULL
) STRICT;

CREATE INDEX agendamentos_por_inicio ON agendamentos (inicio_us);
CREATE INDEX agendamentos_por_cientista ON agendamentos (cientista_id, inicio_us);

-- The last line: a slot has one row, and a row at most one booking. token only grows.
CREATE TABLE horarios (
    telescopio_id  INTEGER NOT NULL REFERENCES telescopios (id),
    inicio_us      INTEGER NOT NULL,
    agendamento_id INTEGER REFERENCES agendamentos (id),
    token          INTEGER NOT NULL,
    PRIMARY KEY (telescopio_id, inicio_us)
) STRICT, WITHOUT ROWID;

-- The records' exact lines. The file follows this table.
CREATE TABLE auditoria (
    seq   INTEGER PRIMARY KEY,
    linha TEXT NOT NULL
) STRICT;

-- One row: who the trail is, its head, and how far the file is known to be on disk.
CREATE TABLE trilha (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    identidade TEXT    NOT NULL CHECK (length(identidade) = 32),
    seq        INTEGER NOT NULL,
    hash       TEXT    NOT NULL CHECK (length(hash) = 64),
    exportado  INTEGER NOT NULL
) STRICT;

INSERT INTO telescopios (id, codigo, nome, simulado) VALUES
    (1, 'Hubble-Acad', 'Telescópio Espacial Acadêmico Hubble', 1),
    (2, 'Webb-Acad', 'Telescópio Espacial Acadêmico Webb', 0);

INSERT INTO cientistas (id, nome, instituicao, pais) VALUES
    (1, 'Galileu Galilei', 'Universidade de Pádua', 'IT'),
    (2, 'Johannes Kepler', 'Universidade de Tübingen', 'DE'),
    (3, 'Caroline Herschel', 'Royal Astronomical Society', 'GB'),
    (4, 'Henrietta Leavitt', 'Harvard College Observatory', 'US'),
    (5, 'César Lattes', 'Centro Brasileiro de Pesquisas Físicas', 'BR'),
    (6, 'Cecilia Payne-Gaposchkin', 'Harvard College Observatory', 'US'),
    (7, 'Marie Curie', 'Universidade de Paris', 'FR'),
    (8, 'Subrahmanyan Chandrasekhar', 'Universidade de Chicago', 'US'),
    (9, 'Vera Rubin', 'Carnegie Institution', 'US'),
    (10, 'Yoshihide Kozai', 'Observatório Astronômico Nacional do Japão', 'JP');
