//! Waiting for slots that are booked: an entry of a waiting list, what has become of it, and how long the lists may be.

use super::maintenance::Stretch;
use super::slot::{self, SlotRange};
use crate::time::Timestamp;

/// The most entries that wait for one start of a telescope.
pub const START_WAITS_MAX: usize = 50;
/// The most entries with which one scientist waits at a telescope.
pub const SCIENTIST_WAITS_MAX: usize = 20;

/// What has become of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStatus {
    /// It waits: `AGUARDANDO`.
    Waiting,
    /// It got its slots: `ATENDIDA`.
    Served,
    /// It was taken back: `RETIRADA`.
    Left,
    /// Its time has begun, and it got nothing: `EXPIRADA`. Nobody writes this: it follows from the time.
    Expired,
}

impl WaitStatus {
    /// Every status.
    const ALL: [Self; 4] = [Self::Waiting, Self::Served, Self::Left, Self::Expired];

    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "AGUARDANDO",
            Self::Served => "ATENDIDA",
            Self::Left => "RETIRADA",
            Self::Expired => "EXPIRADA",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// An entry of a waiting list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Its number. Numbers grow and are never used again; a smaller one comes first.
    pub id: i64,
    /// The telescope's code.
    pub telescope: String,
    /// Who waits.
    pub scientist_id: i64,
    /// The proposal that pays for the booking that it becomes, if any.
    pub proposal_id: Option<i64>,
    /// For which slots: all of them, or none.
    pub slots: SlotRange,
    /// What has become of it.
    pub status: WaitStatus,
    /// The target of the booking that it becomes.
    pub target: Option<String>,
    /// The notes of that booking.
    pub notes: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was served or taken back.
    pub ended_at: Option<Timestamp>,
    /// The booking that it became.
    pub booking_id: Option<i64>,
    /// When its slots were free and it did not get them, the last time.
    pub passed_over: Option<PassedOver>,
}

/// Why an entry did not get slots that were free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// When.
    pub at: Timestamp,
    /// The code of the rule that it breaks.
    pub code: String,
    /// The rule, for people.
    pub words: String,
}

impl Wait {
    /// Whether it waits for a slot of this stretch.
    pub fn is_for(&self, telescope: &str, (from, until): Stretch) -> bool {
        self.status == WaitStatus::Waiting
            && self.telescope == telescope
            && self.slots.start() < until
            && self.slots.end() > from
    }

    /// What has become of it at `now`: nobody waits for an observation that should have begun, unless the telescope is simulated.
    pub fn status_at(&self, is_simulated: bool, now: Timestamp) -> WaitStatus {
        let is_late = self.status == WaitStatus::Waiting && !slot::is_open(self.slots.start(), is_simulated, now);
        if is_late { WaitStatus::Expired } else { self.status }
    }
}
