-- The keys that sign time tokens, shared by the schedulers of this agenda (as SQLite's migration 0015). The private half of an old key is erased;
-- its public half stays.
CREATE TABLE chaves_de_hora (
    id        BIGINT PRIMARY KEY,
    -- Ed25519: the public key, and the seed of the private one.
    publica   BYTEA  NOT NULL UNIQUE CHECK (length(publica) = 32),
    semente   BYTEA  CHECK (length(semente) = 32),
    criada_us BIGINT NOT NULL
);

-- The instant of a booking's click for which the service vouches, if its request had a time token (as SQLite's migration 0016).
ALTER TABLE agendamentos ADD COLUMN carimbo_us BIGINT;
