//! What a storage says of waiting lists.

use crate::agenda::{Rejection, Wait, WaitStatus};
use crate::time::Timestamp;

/// Why an entry was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotEntered {
    /// The booking that it would become does not keep this rule.
    Broken(Rejection),
    /// All of its slots are free.
    Free,
    /// The scientist waits for this start already, with this entry.
    Already(i64),
    /// As many wait for this start as may.
    StartFull,
    /// The scientist has as many entries at the telescope as one may have.
    ScientistFull,
}

/// Why an entry was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLeft {
    /// There is no such entry.
    Unknown,
    /// It is over: this has become of it.
    Over(WaitStatus),
}

/// An entry as it stands now, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The entry.
    pub wait: Wait,
    /// 1 if nobody who waits for one of its slots comes before it; `None` if it does not wait any more.
    pub place: Option<u64>,
}

/// What a list of entries is narrowed to. `None` does not narrow.
#[derive(Clone, Debug)]
pub struct WaitFilter {
    /// Who waits.
    pub scientist_id: Option<i64>,
    /// The telescope's code.
    pub telescope: Option<String>,
    /// What has become of it.
    pub status: Option<WaitStatus>,
    /// The present instant: after its start nobody waits.
    pub now: Timestamp,
}

/// A page of entries, by number.
#[derive(Clone, Debug)]
pub struct WaitPage {
    /// The entries.
    pub waits: Vec<Placed>,
    /// The number up to which the store has looked, if there may be more after it.
    pub next: Option<i64>,
}
