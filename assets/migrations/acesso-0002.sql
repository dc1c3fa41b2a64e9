-- Um acesso.db do desenvolvimento, de antes de haver provedores de identidade: a mesma versão, mas sem o e-mail, com outras regras,
-- e talvez sem sessões. Ele passa a ter a forma de acesso-0001.sql. Um banco que já a tem não passa por aqui.
CREATE TABLE IF NOT EXISTS sessao (resumo BLOB, credencial_id INTEGER, criada_em INTEGER, vista_em INTEGER) STRICT;
-- As sessões apontam para as credenciais: elas esperam fora até que estas estejam no lugar.
CREATE TABLE sessao_antes AS SELECT resumo, credencial_id, criada_em, vista_em FROM sessao;
DROP TABLE sessao;

CREATE TABLE credencial_nova (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    resumo       BLOB UNIQUE CHECK (resumo IS NULL OR length(resumo) = 32),
    emissor      TEXT,
    sujeito      TEXT,
    email        TEXT,
    nome         TEXT NOT NULL,
    papeis       TEXT NOT NULL,
    cientista_id INTEGER,
    prefixos     TEXT NOT NULL,
    criada_por   TEXT NOT NULL,
    criada_em    INTEGER NOT NULL,
    expira_em    INTEGER,
    revogada_em  INTEGER,
    usada_em     TEXT,
    usada_de     TEXT,
    CHECK ((resumo IS NULL) = (emissor IS NOT NULL)),
    CHECK ((emissor IS NULL) = (sujeito IS NULL AND email IS NULL))
) STRICT;
INSERT INTO credencial_nova (id, resumo, emissor, sujeito, nome, papeis, cientista_id, prefixos, criada_por, criada_em, expira_em, revogada_em,
                             usada_em, usada_de)
    SELECT id, resumo, emissor, sujeito, nome, papeis, cientista_id, prefixos, criada_por, criada_em, expira_em, revogada_em, usada_em, usada_de
    FROM credencial;
DROP TABLE credencial;
ALTER TABLE credencial_nova RENAME TO credencial;

CREATE TABLE sessao (
    resumo        BLOB PRIMARY KEY CHECK (length(resumo) = 32),
    credencial_id INTEGER NOT NULL REFERENCES credencial (id),
    criada_em     INTEGER NOT NULL,
    vista_em      INTEGER NOT NULL
) STRICT;
INSERT INTO sessao (resumo, credencial_id, criada_em, vista_em)
    SELECT resumo, credencial_id, criada_em, vista_em FROM sessao_antes;
DROP TABLE sessao_antes;

CREATE INDEX sessao_da_credencial ON sessao (credencial_id, vista_em);
CREATE UNIQUE INDEX credencial_sujeito ON credencial (emissor, sujeito)
    WHERE sujeito IS NOT NULL AND revogada_em IS NULL;
CREATE UNIQUE INDEX credencial_email ON credencial (emissor, email)
    WHERE sujeito IS NULL AND email IS NOT NULL AND revogada_em IS NULL;
