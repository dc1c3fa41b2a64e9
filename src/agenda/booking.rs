//! A booking of the agenda, its cancellation, and the names of the locks that protect it.

use std::time::Duration;

use super::catalogue::Telescope;
use super::slot::SlotRange;
use crate::time::{Timestamp, minutes_in_micros};

/// The most characters of a cancellation's reason.
pub const REASON_MAX_CHARS: usize = 500;

/// A booking's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Active: `AGENDADO`.
    Active,
    /// Cancelled: `CANCELADO`.
    Cancelled,
}

impl Status {
    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "AGENDADO",
            Self::Cancelled => "CANCELADO",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Cancelled].into_iter().find(|status| status.name() == name)
    }
}

/// One observation of one or more consecutive slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Its number. Numbers grow and are never used again.
    pub id: i64,
    /// The telescope's code.
    pub telescope: String,
    /// The scientist's number.
    pub scientist_id: i64,
    /// The proposal to which it is charged.
    pub proposal_id: Option<i64>,
    /// The slots.
    pub slots: SlotRange,
    /// Active or cancelled.
    pub status: Status,
    /// The target of the observation.
    pub target: Option<String>,
    /// Free text.
    pub notes: Option<String>,
    /// The instant of the click, according to the client's synchronised clock.
    pub clicked_at: Option<Timestamp>,
    /// The instant of the click for which the server vouches, if the request had a time token.
    pub stamped_at: Option<Timestamp>,
    /// Whether it has won a contest.
    pub is_contested: bool,
    /// The instant of its commit.
    pub created_at: Timestamp,
    /// 1, and one more with each change.
    pub version: i64,
    /// The instant of its last change that was no cancellation.
    pub changed_at: Option<Timestamp>,
    /// The instant of its cancellation.
    pub cancelled_at: Option<Timestamp>,
    /// The reason of its cancellation.
    pub cancel_reason: Option<String>,
    /// The receipt of the contest that it has won, as long as it was made just now: it is given once, and not stored.
    pub receipt: Option<String>,
    /// When the slots open that it has just given up, if not at once: it is told once, and not stored with it.
    pub opens_at: Option<Timestamp>,
}

impl Booking {
    /// The minutes that it is charged to a proposal at a telescope.
    pub fn charged_min(&self, proposal: i64, telescope: &str) -> i64 {
        let is_charged =
            self.status == Status::Active && self.proposal_id == Some(proposal) && self.telescope == telescope;
        if is_charged { self.slots.duration_min() } else { 0 }
    }

    /// Whether it may be cancelled now. The error is the reason against it.
    pub(crate) fn check_cancellable(
        &self,
        telescope: Option<&Telescope>,
        now: Timestamp,
    ) -> Result<(), NotCancellable> {
        let (start, simulated) = (self.slots.start(), telescope.is_some_and(|telescope| telescope.simulated));
        let rules = telescope.map(|telescope| telescope.rules).unwrap_or_default();
        match self.status {
            Status::Cancelled => Err(NotCancellable::AlreadyCancelled),
            Status::Active if !simulated && now >= start => Err(NotCancellable::Started),
            Status::Active => match rules.cancel_notice_min {
                Some(notice_min) if start.as_micros() - now.as_micros() < minutes_in_micros(notice_min) => {
                    Err(NotCancellable::TooLate(notice_min))
                }
                _ => Ok(()),
            },
        }
    }
}

/// A cancellation as a client asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancellation {
    /// Why, as the client says.
    pub reason: Option<String>,
    /// The versions of which one must be the present; `None` is any.
    pub expected: Option<Vec<i64>>,
    /// How much later its slots open.
    pub lead: Duration,
}

/// Why a booking may not be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCancellable {
    /// It is cancelled already.
    AlreadyCancelled,
    /// The observation has begun, on a telescope that is not simulated.
    Started,
    /// It may be cancelled only until so many minutes before its start.
    TooLate(i64),
}

/// Some slots of a telescope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The telescope's code.
    pub telescope: String,
    /// The slots.
    pub slots: SlotRange,
}

impl Booking {
    /// Whether its version is one that a client expects; `None` is any.
    pub(crate) fn is_expected(&self, expected: Option<&[i64]>) -> bool {
        expected.is_none_or(|expected| expected.contains(&self.version))
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        Place { telescope: self.telescope.clone(), slots: self.slots }
    }
}

impl Place {
    /// The resources that protect its slots, one for each slot.
    pub fn resources(&self) -> impl Iterator<Item = String> {
        self.slots.starts().map(|start| resource(&self.telescope, start))
    }
}

/// The resource of one slot: `Hubble-Acad_2025-12-01T03:00:00Z`.
pub fn resource(telescope: &str, start: Timestamp) -> String {
    // Each line of the log and each lock needs it.
    start.seconds().give(|start| [telescope, "_", start].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::rules::Rules;

    #[test]
    fn a_booking_can_be_cancelled_until_its_start_unless_simulated() {
        let instant = |text| Timestamp::parse_rfc3339(text).unwrap();
        let start = instant("2025-12-01T03:00:00Z");
        let mut booking = Booking {
            id: 1,
            telescope: "Webb-Acad".into(),
            scientist_id: 7,
            proposal_id: None,
            slots: SlotRange::new(start, 5).unwrap(),
            status: Status::Active,
            target: None,
            notes: None,
            clicked_at: None,
            stamped_at: None,
            is_contested: false,
            created_at: start,
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: None,
            receipt: None,
            opens_at: None,
        };
        let before = instant("2025-12-01T02:59:59.999999Z");
        let telescope = |simulated, cancel_notice_min| {
            let rules = Rules { cancel_notice_min, ..Rules::default() };
            Telescope { rules, ..Telescope::new("Webb-Acad".into(), "Webb".into(), simulated) }
        };
        let (real, simulated) = (telescope(false, None), telescope(true, None));
        assert_eq!(booking.check_cancellable(Some(&real), before), Ok(()));
        assert_eq!(booking.check_cancellable(Some(&real), start), Err(NotCancellable::Started));
        assert_eq!(booking.check_cancellable(None, start), Err(NotCancellable::Started));
        assert_eq!(booking.check_cancellable(Some(&simulated), start), Ok(()));
        for simulated in [false, true] {
            let careful = telescope(simulated, Some(60));
            assert_eq!(booking.check_cancellable(Some(&careful), instant("2025-12-01T02:00:00Z")), Ok(()));
            let late = instant("2025-12-01T02:00:00.000001Z");
            assert_eq!(booking.check_cancellable(Some(&careful), late), Err(NotCancellable::TooLate(60)));
        }
        booking.status = Status::Cancelled;
        assert_eq!(booking.check_cancellable(Some(&simulated), before), Err(NotCancellable::AlreadyCancelled));
    }
}
