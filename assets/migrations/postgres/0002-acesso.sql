-- Who may do what, as SQLite has it in acesso.db after its migration 0003, for schedulers on several machines. A secret never stands here, but only
-- its SHA-256. Columns ending in _em are microseconds since 1970, UTC, but for usada_em.

-- One row: a number that grows with each change that another scheduler has to know. The lock on this row orders the writers.
CREATE TABLE registro (
    id     BIGINT PRIMARY KEY CHECK (id = 1),
    versao BIGINT NOT NULL
);
INSERT INTO registro (id, versao) VALUES (1, 0);

-- Rows are never deleted, so a number is never used again.
CREATE TABLE credencial (
    id           BIGINT PRIMARY KEY,
    -- The SHA-256 of the token; NULL for who signs in at an identity provider (OpenID Connect).
    resumo       BYTEA  UNIQUE CHECK (resumo IS NULL OR length(resumo) = 32),
    -- The provider (its URL) and its name for the person; NULL while only the address is known, until the first sign-in.
    emissor      TEXT,
    sujeito      TEXT,
    -- The address that the provider must have verified, in small letters.
    email        TEXT,
    nome         TEXT   NOT NULL,
    -- Names of roles, with commas between them.
    papeis       TEXT   NOT NULL,
    cientista_id BIGINT,
    -- The beginnings of the names that a program may lock: a JSON list.
    prefixos     TEXT   NOT NULL,
    criada_por   TEXT   NOT NULL,
    criada_em    BIGINT NOT NULL,
    expira_em    BIGINT,
    revogada_em  BIGINT,
    -- The day (YYYY-MM-DD) and the address of the last use.
    usada_em     TEXT,
    usada_de     TEXT,
    CHECK ((resumo IS NULL) = (emissor IS NOT NULL)),
    CHECK ((emissor IS NULL) = (sujeito IS NULL AND email IS NULL))
);
CREATE INDEX credencial_por_nome ON credencial (nome);
-- Of a subject, or of an address that waits for the first sign-in, one credential is valid.
CREATE UNIQUE INDEX credencial_sujeito ON credencial (emissor, sujeito) WHERE sujeito IS NOT NULL AND revogada_em IS NULL;
CREATE UNIQUE INDEX credencial_email ON credencial (emissor, email)
    WHERE sujeito IS NULL AND email IS NOT NULL AND revogada_em IS NULL;

-- The sessions of the page. A session has no rights of its own: those of its credential count, and it ends with it.
CREATE TABLE sessao (
    -- The SHA-256 of the secret in the cookie.
    resumo        BYTEA  PRIMARY KEY CHECK (length(resumo) = 32),
    credencial_id BIGINT NOT NULL REFERENCES credencial (id),
    criada_em     BIGINT NOT NULL,
    -- The last use; it is written every ten minutes at the most.
    vista_em      BIGINT NOT NULL
);
CREATE INDEX sessao_da_credencial ON sessao (credencial_id, vista_em);

-- The secret addresses of calendars. One reads its calendar alone, and counts while who made it has a credential that counts.
CREATE TABLE calendario (
    id           BIGINT PRIMARY KEY,
    -- The SHA-256 of the secret in the address.
    resumo       BYTEA  NOT NULL UNIQUE CHECK (length(resumo) = 32),
    -- One of the two: a telescope's or a scientist's.
    telescopio   TEXT,
    cientista_id BIGINT,
    -- The principal that made it.
    dono         TEXT   NOT NULL,
    criado_em    BIGINT NOT NULL,
    revogado_em  BIGINT,
    CHECK ((telescopio IS NULL) <> (cientista_id IS NULL))
);
CREATE INDEX calendario_do_dono ON calendario (dono) WHERE revogado_em IS NULL;
