-- Os endereços secretos de calendários. Um endereço lê só o seu calendário, e vale enquanto quem o criou tem uma credencial que vale.
CREATE TABLE calendario (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    -- O SHA-256 do segredo que está no endereço.
    resumo        BLOB NOT NULL UNIQUE CHECK (length(resumo) = 32),
    -- Um dos dois: de um telescópio ou de um cientista.
    telescopio    TEXT,
    cientista_id  INTEGER,
    -- O principal que o criou.
    dono          TEXT NOT NULL,
    criado_em     INTEGER NOT NULL,
    revogado_em   INTEGER,
    CHECK ((telescopio IS NULL) <> (cientista_id IS NULL))
) STRICT;
CREATE INDEX calendario_do_dono ON calendario (dono) WHERE revogado_em IS NULL;
