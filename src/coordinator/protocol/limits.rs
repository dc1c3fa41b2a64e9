//! The bounds of the protocol's fields and messages.

use std::time::Duration;

/// The service's name in logs and answers.
pub const SERVICE: &str = "servico-coordenador";

/// A lease's TTL where the request has none, in milliseconds.
pub const TTL_MS_DEFAULT: u64 = 10_000;
/// The shortest TTL.
pub const TTL_MS_MIN: u64 = 100;
/// The longest TTL.
pub const TTL_MS_MAX: u64 = 300_000;
/// The longest wait for a lease, in milliseconds.
pub const WAIT_MS_MAX: u64 = 60_000;
/// The latest stamp, in microseconds since 1970: the largest integer that every JSON reader keeps exactly.
pub const STAMP_US_MAX: i64 = (1 << 53) - 1;
/// The longest window of a contest, in milliseconds.
pub const WINDOW_MS_MAX: u64 = 300;
/// The longest time within which stamps tie, in microseconds: longer than any window and any credit.
pub const TIE_US_MAX: i64 = 1_000_000;
/// How much longer than its window a request in a contest waits at the most: another window may have opened later.
pub const DECISION: Duration = Duration::from_secs(1);
/// The longest retention.
pub const RETENTION_MS_MAX: u64 = 60_000;
/// The most resources of one request: a day of five-minute slots.
pub const RESOURCES_MAX: usize = 288;
/// The longest name of a resource, an owner or a request, in bytes.
pub const NAME_MAX_BYTES: usize = 200;
/// The most operations of one batch.
pub const BATCH_MAX: usize = 1024;
/// The most events of one publication.
pub const PUBLISHED_MAX: usize = 1024;
/// The most bytes of an event's data.
pub const EVENT_DATA_MAX: usize = 16 * 1024;
/// The longest name of a channel or an event, in bytes.
pub const EVENT_NAME_MAX: usize = 64;
/// The most bytes of a request's body.
pub const BODY_MAX: usize = 64 * 1024;
/// The most bytes of the body of a batch or a publication.
pub const LARGE_BODY_MAX: usize = 1024 * 1024;
/// The schedulers begin no further entry of a batch or a publication past this many bytes: the longest entry still fits below
/// [`LARGE_BODY_MAX`].
pub const BODY_BYTES: usize = 900 * 1024;
/// Every token is below this: the largest integer that every JSON reader keeps exactly.
pub const TOKEN_MAX: u64 = 1 << 53;
/// The most that an operator may lift the tokens to: a million are left.
pub const TOKENS_ABOVE_MAX: u64 = TOKEN_MAX - (1 << 20);
/// The code of the refusal of a request that would lift the tokens too far.
pub const TOO_FAR: &str = "token_minimo_distante";
/// The role of a coordinator that is not elected.
pub const RESERVE: &str = "reserva";
/// The code of the answer that another coordinator is elected.
pub const NOT_ELECTED: &str = "nao_eleito";
