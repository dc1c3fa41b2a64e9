-- The keys that sign time tokens, shared by the schedulers of this agenda. The private half of an old key is erased; its public half stays.

CREATE TABLE chaves_de_hora (
    id        INTEGER PRIMARY KEY,
    -- Ed25519: the public key, and the seed of the private one.
    publica   BLOB    NOT NULL CHECK (length(publica) = 32),
    semente   BLOB    CHECK (length(semente) = 32),
    criada_us INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX chaves_de_hora_por_publica ON chaves_de_hora (publica);
