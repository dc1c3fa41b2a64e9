-- The answers that are kept for requests with an Idempotency-Key: each is written in the transaction of what its request made.

CREATE TABLE respostas (
    id          INTEGER PRIMARY KEY,
    -- SHA-256 of who asked and of the key.
    chave       BLOB    NOT NULL CHECK (length(chave) = 32),
    autor       TEXT    NOT NULL,
    -- Grows by one with each answer of an author, so that the oldest ones of many are found.
    ordem       INTEGER NOT NULL,
    -- SHA-256 of the request: method, path and body.
    pedido      BLOB    NOT NULL CHECK (length(pedido) = 32),
    guardada_us INTEGER NOT NULL,
    -- The request that made it.
    req         TEXT    NOT NULL,
    status      INTEGER NOT NULL CHECK (status BETWEEN 200 AND 299),
    location    TEXT,
    etag        TEXT,
    corpo       BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX respostas_por_chave ON respostas (chave);
CREATE UNIQUE INDEX respostas_por_autor ON respostas (autor, ordem);
CREATE INDEX respostas_por_idade ON respostas (guardada_us);
