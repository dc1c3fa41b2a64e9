-- Waiting lists: who gets slots that are booked now, if they become free. Rows are never deleted.

CREATE TABLE esperas (
    id               INTEGER PRIMARY KEY,
    telescopio_id    INTEGER NOT NULL REFERENCES telescopios (id),
    cientista_id     INTEGER NOT NULL REFERENCES cientistas (id),
    inicio_us        INTEGER NOT NULL CHECK (inicio_us >= 0 AND inicio_us % 300000000 = 0),
    fim_us           INTEGER NOT NULL CHECK (fim_us > inicio_us AND fim_us % 300000000 = 0),
    status           TEXT    NOT NULL CHECK (status IN ('AGUARDANDO', 'ATENDIDA', 'RETIRADA')),
    alvo             TEXT,
    observacoes      TEXT,
    proposta_id      INTEGER REFERENCES propostas (id),
    criada_us        INTEGER NOT NULL,
    encerrada_us     INTEGER CHECK ((encerrada_us IS NULL) = (status = 'AGUARDANDO')),
    agendamento_id   INTEGER REFERENCES agendamentos (id) CHECK ((agendamento_id IS NOT NULL) = (status = 'ATENDIDA')),
    preterida_us     INTEGER,
    preterida_codigo TEXT    CHECK ((preterida_codigo IS NULL) = (preterida_us IS NULL)),
    preterida_motivo TEXT    CHECK ((preterida_motivo IS NULL) = (preterida_us IS NULL)),
    req              TEXT    NOT NULL
) STRICT;

-- A scientist waits once for a start, and nobody gets two bookings for one wait.
CREATE UNIQUE INDEX esperas_abertas ON esperas (telescopio_id, inicio_us, cientista_id) WHERE status = 'AGUARDANDO';
CREATE UNIQUE INDEX esperas_atendidas ON esperas (agendamento_id) WHERE agendamento_id IS NOT NULL;
CREATE INDEX esperas_por_cientista ON esperas (cientista_id, id);
