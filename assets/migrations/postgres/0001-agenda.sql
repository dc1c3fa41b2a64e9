-- The agenda, the catalogue and the audit trail, as SQLite has them after its migration 0013. Columns ending in _us are microseconds
-- since 1970, UTC.
--
-- Plain SQL: no EXCLUDE, no LISTEN, no SERIAL, no trigger. What SQLite counts with triggers (the table resumo), the writer counts.
-- Tables are named without a schema. The connection's search_path has exactly one: sctec for the agenda, corrida for the race.

CREATE TABLE telescopios (
    id                   BIGINT  PRIMARY KEY CHECK (id >= 1),
    codigo               TEXT    NOT NULL UNIQUE CHECK (length(codigo) BETWEEN 1 AND 64 AND codigo ~ '^[A-Za-z0-9._-]+$'),
    nome                 TEXT    NOT NULL CHECK (length(nome) BETWEEN 1 AND 200),
    simulado             BOOLEAN NOT NULL,
    ativo                BOOLEAN NOT NULL DEFAULT TRUE,
    -- The rules: how long, how soon, how far ahead and how much one scientist may book. NULL is no rule.
    duracao_max_min      BIGINT  CHECK (duracao_max_min BETWEEN 5 AND 1440),
    antecedencia_min_min BIGINT  CHECK (antecedencia_min_min BETWEEN 0 AND 527040),
    cancelamento_min_min BIGINT  CHECK (cancelamento_min_min BETWEEN 0 AND 527040),
    horizonte_dias       BIGINT  CHECK (horizonte_dias BETWEEN 0 AND 3660),
    -- Minutes after midnight UTC.
    abre_as_min          BIGINT  CHECK (abre_as_min BETWEEN 0 AND 1439),
    cota_ativas          BIGINT  CHECK (cota_ativas BETWEEN 0 AND 500),
    cota_dia_min         BIGINT  CHECK (cota_dia_min BETWEEN 0 AND 1440),
    -- The hours of operation: a JSON list of windows of the week (day, from_min, until_min; day 0 is Monday). NULL is always.
    horas                TEXT,
    exige_proposta       BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE cientistas (
    id          BIGINT  PRIMARY KEY CHECK (id >= 1),
    nome        TEXT    NOT NULL CHECK (length(nome) BETWEEN 1 AND 200),
    instituicao TEXT    NOT NULL CHECK (length(instituicao) BETWEEN 1 AND 200),
    pais        TEXT    NOT NULL CHECK (length(pais) = 2),
    ativo       BOOLEAN NOT NULL DEFAULT TRUE
);

-- Who may observe, when, and for how many minutes at each telescope. What is used follows from the bookings.
CREATE TABLE propostas (
    id             BIGINT  PRIMARY KEY CHECK (id >= 1),
    titulo         TEXT    NOT NULL CHECK (length(titulo) BETWEEN 1 AND 200),
    responsavel_id BIGINT  NOT NULL REFERENCES cientistas (id),
    inicio_us      BIGINT  NOT NULL,
    fim_us         BIGINT  NOT NULL CHECK (fim_us > inicio_us),
    ativa          BOOLEAN NOT NULL,
    -- A JSON list of the other scientists' numbers.
    membros        TEXT    NOT NULL,
    -- A JSON object: the minutes by a telescope's code.
    alocado_min    TEXT    NOT NULL
);

-- Rows are never deleted, so a number is never used again. versao grows with each change, the cancellation included.
CREATE TABLE agendamentos (
    id            BIGINT PRIMARY KEY,
    telescopio_id BIGINT NOT NULL REFERENCES telescopios (id),
    cientista_id  BIGINT NOT NULL REFERENCES cientistas (id),
    inicio_us     BIGINT NOT NULL CHECK (inicio_us >= 0 AND inicio_us % 300000000 = 0),
    fim_us        BIGINT NOT NULL CHECK (fim_us > inicio_us AND fim_us % 300000000 = 0),
    status        TEXT   NOT NULL CHECK (status IN ('AGENDADO', 'CANCELADO')),
    alvo          TEXT,
    observacoes   TEXT,
    clique_us     BIGINT,
    criado_us     BIGINT NOT NULL,
    cancelado_us  BIGINT CHECK ((cancelado_us IS NOT NULL) = (status = 'CANCELADO')),
    motivo        TEXT,
    token         BIGINT,
    req           TEXT   NOT NULL,
    proposta_id   BIGINT REFERENCES propostas (id),
    versao        BIGINT NOT NULL DEFAULT 1 CHECK (versao >= 1),
    alterado_us   BIGINT
);

-- Lists are stretches of these, in their order. The number makes the order of equal starts.
CREATE INDEX agendamentos_por_inicio ON agendamentos (inicio_us, id);
CREATE INDEX agendamentos_por_cientista ON agendamentos (cientista_id, telescopio_id, status, inicio_us, id);
CREATE INDEX agendamentos_por_telescopio ON agendamentos (telescopio_id, status, inicio_us, id);
-- The minutes that a proposal has used are a stretch of this one.
CREATE INDEX agendamentos_por_proposta ON agendamentos (proposta_id, telescopio_id, status, inicio_us, fim_us)
    WHERE proposta_id IS NOT NULL;

-- The last line: a slot has one row, and a row at most one booking. token only grows.
CREATE TABLE horarios (
    telescopio_id  BIGINT NOT NULL REFERENCES telescopios (id),
    inicio_us      BIGINT NOT NULL,
    agendamento_id BIGINT REFERENCES agendamentos (id),
    token          BIGINT NOT NULL,
    PRIMARY KEY (telescopio_id, inicio_us)
);

-- The records' exact lines, with the booking that each is about, if it is about one.
CREATE TABLE auditoria (
    seq            BIGINT PRIMARY KEY,
    linha          TEXT   NOT NULL,
    agendamento_id BIGINT
);

CREATE INDEX auditoria_por_agendamento ON auditoria (agendamento_id, seq) WHERE agendamento_id IS NOT NULL;

-- One row: who the trail is, and its head. The lock on this row orders the schedulers: who writes anything that a record tells takes it first.
-- How far a scheduler's file is stands beside that file.
CREATE TABLE trilha (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    identidade TEXT   NOT NULL CHECK (length(identidade) = 32),
    seq        BIGINT NOT NULL,
    hash       TEXT   NOT NULL CHECK (length(hash) = 64)
);

-- One row: the largest token that any slot has seen; and a number that grows with each change of the catalogue. Who changes the catalogue
-- with SQL by hand has to raise it too.
CREATE TABLE resumo (
    id          BIGINT PRIMARY KEY CHECK (id = 1),
    maior_token BIGINT NOT NULL,
    catalogo    BIGINT NOT NULL
);

-- Periods in which a telescope cannot be booked. A row is never deleted: removida_us says when it was taken away.
CREATE TABLE manutencoes (
    id             BIGINT PRIMARY KEY,
    telescopio_id  BIGINT NOT NULL REFERENCES telescopios (id),
    inicio_us      BIGINT NOT NULL CHECK (inicio_us >= 0 AND inicio_us % 300000000 = 0),
    fim_us         BIGINT NOT NULL CHECK (fim_us > inicio_us AND fim_us % 300000000 = 0),
    -- It comes again each week, and begins for the last time at this instant at the latest; NULL is once.
    semanal_ate_us BIGINT CHECK (semanal_ate_us >= inicio_us),
    -- The end of its last time.
    ultimo_fim_us  BIGINT NOT NULL CHECK (ultimo_fim_us >= fim_us),
    motivo         TEXT   NOT NULL CHECK (length(motivo) BETWEEN 1 AND 200),
    removida_us    BIGINT
);

CREATE INDEX manutencoes_por_telescopio ON manutencoes (telescopio_id, ultimo_fim_us) WHERE removida_us IS NULL;

-- The answers that are kept for requests with an Idempotency-Key: each is written in the transaction of what its request made.
CREATE TABLE respostas (
    -- SHA-256 of who asked and of the key.
    chave       BYTEA  PRIMARY KEY CHECK (length(chave) = 32),
    autor       TEXT   NOT NULL,
    -- Grows by one with each answer of an author, so that the oldest ones of many are found.
    ordem       BIGINT NOT NULL,
    -- SHA-256 of the request: method, path and body.
    pedido      BYTEA  NOT NULL CHECK (length(pedido) = 32),
    guardada_us BIGINT NOT NULL,
    -- The request that made it.
    req         TEXT   NOT NULL,
    status      BIGINT NOT NULL CHECK (status BETWEEN 200 AND 299),
    location    TEXT,
    etag        TEXT,
    corpo       BYTEA  NOT NULL
);

CREATE UNIQUE INDEX respostas_por_autor ON respostas (autor, ordem);
CREATE INDEX respostas_por_idade ON respostas (guardada_us);

-- The keys of the requests that are being carried out. A scheduler renews what it holds; what it does not renew is free after expira_us, on
-- the database's clock.
CREATE TABLE chaves (
    chave     BYTEA  PRIMARY KEY CHECK (length(chave) = 32),
    dono      TEXT   NOT NULL,
    -- Which of the holder's holdings it is.
    vez       BIGINT NOT NULL,
    expira_us BIGINT NOT NULL
);

-- Who gets slots that are booked now, if they become free. Rows are never deleted.
CREATE TABLE esperas (
    id               BIGINT PRIMARY KEY,
    telescopio_id    BIGINT NOT NULL REFERENCES telescopios (id),
    cientista_id     BIGINT NOT NULL REFERENCES cientistas (id),
    inicio_us        BIGINT NOT NULL CHECK (inicio_us >= 0 AND inicio_us % 300000000 = 0),
    fim_us           BIGINT NOT NULL CHECK (fim_us > inicio_us AND fim_us % 300000000 = 0),
    status           TEXT   NOT NULL CHECK (status IN ('AGUARDANDO', 'ATENDIDA', 'RETIRADA')),
    alvo             TEXT,
    observacoes      TEXT,
    proposta_id      BIGINT REFERENCES propostas (id),
    criada_us        BIGINT NOT NULL,
    encerrada_us     BIGINT CHECK ((encerrada_us IS NULL) = (status = 'AGUARDANDO')),
    agendamento_id   BIGINT REFERENCES agendamentos (id) CHECK ((agendamento_id IS NOT NULL) = (status = 'ATENDIDA')),
    preterida_us     BIGINT,
    preterida_codigo TEXT   CHECK ((preterida_codigo IS NULL) = (preterida_us IS NULL)),
    preterida_motivo TEXT   CHECK ((preterida_motivo IS NULL) = (preterida_us IS NULL)),
    req              TEXT   NOT NULL
);

-- A scientist waits once for a start, and nobody gets two bookings for one wait.
CREATE UNIQUE INDEX esperas_abertas ON esperas (telescopio_id, inicio_us, cientista_id) WHERE status = 'AGUARDANDO';
CREATE UNIQUE INDEX esperas_atendidas ON esperas (agendamento_id) WHERE agendamento_id IS NOT NULL;
CREATE INDEX esperas_por_cientista ON esperas (cientista_id, id);
CREATE INDEX esperas_por_telescopio ON esperas (telescopio_id, id);
CREATE INDEX esperas_por_status ON esperas (status, id);

INSERT INTO telescopios (id, codigo, nome, simulado) VALUES
    (1, 'Hubble-Acad', 'Telescópio Espacial Acadêmico Hubble', TRUE),
    (2, 'Webb-Acad', 'Telescópio Espacial Acadêmico Webb', FALSE);

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

INSERT INTO resumo (id, maior_token, catalogo) VALUES (1, 0, 1);
