//! The lock protocol's messages, each in one place: the server and the scheduler's client write and read the same types.
//!
//! - [`limits`]: the bounds of every field and message, and [`path`]: the endpoints;
//! - [`requests`]: an [`Operation`] (lock, renew, unlock), its fields, and how they are read; [`plain`]: how those that are right are read in
//!   one pass; [`written`]: how a client writes them; [`contest`]: those of a contest, and [`numbers`]: the kinds of fields that both have;
//! - [`batch`]: several operations in one exchange (`POST /lote`), and their answers;
//! - [`replies`]: the members of the answers, and [`answers`]: how a client reads those to a batch;
//! - [`events`]: the body of `POST /eventos`;
//! - [`grace`]: how long no lock is given yet;
//! - [`challenge`]: the proof that the coordinator has the schedulers' secret, and [`reserved`]: the names that are theirs then.

pub mod answers;
pub mod batch;
pub mod challenge;
mod contest;
pub mod events;
pub mod grace;
pub mod limits;
pub(crate) mod names;
mod numbers;
pub mod path;
mod plain;
pub mod replies;
pub mod requests;
pub mod reserved;
mod written;

pub use self::limits::*;
pub use self::requests::Operation;
