//! The coordinator's kinds of problem.

use super::protocol::{NOT_ELECTED as NOT_ELECTED_CODE, TOO_FAR};
use crate::http::kind::kinds;

kinds! {
    /// The resource is held, promised or retained.
    BUSY = CONFLICT, "ocupado", "Recurso ocupado";
    /// The lease has ended, or never was.
    LOST = CONFLICT, "trava_perdida", "Trava perdida";
    /// The lease has an owner, and the name alone does not release it.
    NOT_OWNER = CONFLICT, "nao_e_dono", "Trava de outro dono";
    /// The resource has another lease than the one that was to be taken away.
    CHANGED = CONFLICT, "trava_mudou", "A trava é outra";
    /// The resource has no lease, no waiter and no retention.
    FREE = NOT_FOUND, "sem_trava", "Recurso livre";
    /// The coordinator has no secret, and so nothing to prove.
    NO_SECRET = NOT_FOUND, "sem_segredo", "Coordenador sem segredo";
    /// The client has closed its side of the connection.
    CLIENT_GONE = REQUEST_TIMEOUT, "cliente_ausente", "Cliente ausente";
    /// The token that the client has seen is too far above the last one given.
    TOKEN_TOO_FAR = UNPROCESSABLE_ENTITY, TOO_FAR, "Token mínimo distante demais";
    /// The client has as many locks, or as many places in queues, as one client may have.
    QUOTA = TOO_MANY_REQUESTS, "cota_excedida", "Cota do cliente excedida";
    /// The table of locks has no room.
    TABLE_FULL = SERVICE_UNAVAILABLE, "tabela_cheia", "Tabela de travas cheia";
    /// The resource's queue has no room.
    QUEUE_FULL = SERVICE_UNAVAILABLE, "fila_cheia", "Fila de espera cheia";
    /// Leases from before the start may still be live.
    GRACE = SERVICE_UNAVAILABLE, "em_carencia", "Em carência";
    /// Another coordinator is elected.
    NOT_ELECTED = SERVICE_UNAVAILABLE, NOT_ELECTED_CODE, "Não eleito";
    /// The limits that outlive a crash cannot be written.
    NOT_DURABLE = SERVICE_UNAVAILABLE, "tokens_indisponiveis", "Tokens indisponíveis";
    /// The log that would hold the record of a forced release cannot be written.
    NOT_RECORDED = SERVICE_UNAVAILABLE, "registro_indisponivel", "Registro indisponível";
    /// There are as many channels of events as there may be.
    TOO_MANY_CHANNELS = SERVICE_UNAVAILABLE, "canais_demais", "Canais demais";
}
