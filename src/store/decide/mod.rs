//! What a change does to the agenda: one pure decision for every database.
//!
//! A [`Change`] says which rows it touches. A backend loads those rows into a [`View`], the change decides by the view, and
//! the backend carries out the [`Write`]s of its [`Decision`]. A batch is a fold: each write is also applied to the view
//! ([`View::apply`]), so a later change of the batch sees an earlier one.
//!
//! A refusal has no writes: the transaction is shared with other changes, and a refused change must leave nothing behind.

mod alter;
mod book;
mod cancel;
mod change;
mod fence;
mod keep;
mod maintenance;
mod needs;
mod promote;
mod proposal;
mod record;
mod scientist;
mod telescope;
mod view;
mod wait;
mod write;

pub use self::alter::Alter;
pub use self::book::{Book, BookUnguarded};
pub use self::cancel::{Cancel, CancelUnguarded};
pub use self::change::{Around, Change, Decision, WaitRows};
pub use self::maintenance::{Close, Reopen};
pub use self::needs::{Counter, Need, is_outdated, needs};
pub use self::proposal::{ChangeProposal, CreateProposal};
pub use self::record::Record;
pub use self::scientist::{ChangeScientist, CreateScientist};
pub use self::telescope::{ChangeTelescope, CreateTelescope};
pub use self::view::{Claim, Held, Slots, Taken, View};
pub use self::wait::{Enter, Leave};
pub use self::write::Write;

#[cfg(test)]
mod tests;
