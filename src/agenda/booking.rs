//! A booking: from what was asked for, through the rules, to what stands in the agenda.

use super::catalogue::{Catalogue, Scientist, Telescope};
use super::slot::{self, DURATION_MIN_MAX, SLOT_MIN, SlotRange, SlotRangeError};
use super::timetable;
use crate::time::{Timestamp, minutes_in_micros};

/// The most characters of a target.
pub const TARGET_MAX_CHARS: usize = 200;
/// The most characters of a booking's notes.
pub const NOTES_MAX_CHARS: usize = 2000;
/// The most characters of a cancellation's reason.
pub const REASON_MAX_CHARS: usize = 500;

/// A booking's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It stands: `AGENDADO`.
    Active,
    /// It was cancelled: `CANCELADO`.
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

/// One observation of one or more consecutive slots, as the agenda has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Identity; grows and is never used again.
    pub id: i64,
    /// The telescope's code.
    pub telescope: String,
    /// Who booked.
    pub scientist_id: i64,
    /// When.
    pub slots: SlotRange,
    /// Whether it stands.
    pub status: Status,
    /// What is observed.
    pub target: Option<String>,
    /// Free text.
    pub notes: Option<String>,
    /// When the client says the click was, by its synchronised clock.
    pub clicked_at: Option<Timestamp>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
}

impl Booking {
    /// Whether it may be cancelled now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_cancellable(&self, simulated: bool, now: Timestamp) -> Result<(), NotCancellable> {
        match self.status {
            Status::Cancelled => Err(NotCancellable::AlreadyCancelled),
            Status::Active if !simulated && now >= self.slots.start() => Err(NotCancellable::Started),
            Status::Active => Ok(()),
        }
    }
}

/// Why a booking may not be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCancellable {
    /// It was already.
    AlreadyCancelled,
    /// The observation has begun, on a telescope that is not simulated.
    Started,
}

/// What was asked for, as far as it could be read: a field that was missing or malformed is `None`.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// `cientista_id`.
    pub scientist_id: Option<i64>,
    /// `horario_inicio_utc`.
    pub start: Option<Timestamp>,
    /// `telescopio`; absent means the first one.
    pub telescope: Option<String>,
    /// `duracao_min`; absent means as far as `end`, or one slot.
    pub duration_min: Option<i64>,
    /// `horario_fim_utc`, the same in other words.
    pub end: Option<Timestamp>,
    /// `alvo`.
    pub target: Option<String>,
    /// `observacoes`.
    pub notes: Option<String>,
    /// `instante_clique_utc`.
    pub clicked_at: Option<Timestamp>,
}

/// A booking that keeps every rule and may be written, if its slots are free.
#[derive(Clone, Debug)]
pub struct NewBooking {
    /// Where.
    pub telescope: Telescope,
    /// Who.
    pub scientist: Scientist,
    /// When.
    pub slots: SlotRange,
    /// What is observed.
    pub target: Option<String>,
    /// Free text.
    pub notes: Option<String>,
    /// When the client says the click was.
    pub clicked_at: Option<Timestamp>,
}

/// One rule that a draft breaks. Shown to the client, hence in Portuguese.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such scientist.
    #[error("não há cientista de número {0}; a lista está em GET /cientistas")]
    UnknownScientist(i64),
    /// No such telescope.
    #[error("não há telescópio \"{0}\"; a lista está em GET /telescopios")]
    UnknownTelescope(String),
    /// None is named, and the catalogue has none to be the first.
    #[error("não há telescópio nenhum; a lista, vazia, está em GET /telescopios")]
    NoTelescope,
    /// The start or the duration is off the grid.
    #[error("{0}")]
    Slots(SlotRangeError),
    /// The end is off the grid, not after the start, or more than a day after it.
    #[error(
        "deve ser um múltiplo de cinco minutos, de {SLOT_MIN} a {DURATION_MIN_MAX} minutos depois de horario_inicio_utc"
    )]
    End,
    /// The end and the duration are two different bookings. The duration that the end would be.
    #[error("não concorda com {other}: de horario_inicio_utc a horario_fim_utc são {0} minutos; mande só um dos dois", other = .1.other())]
    EndAndDuration(i64, Side),
    /// In the past, on a telescope that is not simulated.
    #[error("já passou, e {0} não é simulado; o primeiro horário possível é {first}", first = .1.seconds())]
    Past(String, Timestamp),
}

/// One of two fields that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `horario_fim_utc`.
    End,
    /// `duracao_min`.
    Duration,
}

impl Side {
    const fn field(self) -> &'static str {
        match self {
            Self::End => "horario_fim_utc",
            Self::Duration => "duracao_min",
        }
    }

    const fn other(self) -> &'static str {
        match self {
            Self::End => Self::Duration.field(),
            Self::Duration => Self::End.field(),
        }
    }
}

impl Rejection {
    /// The field that breaks the rule.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::End => Side::End.field(),
            Self::EndAndDuration(_, side) => side.field(),
            Self::UnknownScientist(_) => "cientista_id",
            Self::UnknownTelescope(_) | Self::NoTelescope => "telescopio",
            Self::Slots(SlotRangeError::Duration) => "duracao_min",
            Self::Slots(_) | Self::Past(..) => "horario_inicio_utc",
        }
    }
}

impl Draft {
    /// Holds the draft against every rule at once.
    ///
    /// # Errors
    /// All the rules it breaks. The list is empty only when a required field was not there to be judged.
    pub fn check(self, catalogue: &Catalogue, now: Timestamp) -> Result<NewBooking, Vec<Rejection>> {
        let mut broken = Vec::new();
        let scientist = self.scientist_id.and_then(|id| {
            let known = catalogue.scientist(id);
            if known.is_none() {
                broken.push(Rejection::UnknownScientist(id));
            }
            known.cloned()
        });
        let telescope = match &self.telescope {
            None => {
                let first = catalogue.default_telescope();
                if first.is_none() {
                    broken.push(Rejection::NoTelescope);
                }
                first
            }
            Some(code) => {
                let known = catalogue.telescope(code);
                if known.is_none() {
                    broken.push(Rejection::UnknownTelescope(code.clone()));
                }
                known
            }
        };
        let duration_min = self.length_min(&mut broken);
        let duration = slot::check_duration(duration_min);
        if let Err(error) = duration {
            broken.push(Rejection::Slots(error));
        }
        let mut slots = None;
        if let Some(start) = self.start {
            // With a duration that is wrong by itself, the start is judged alone.
            let judged_min = if duration.is_ok() { duration_min } else { SLOT_MIN };
            match SlotRange::new(start, judged_min) {
                Err(error) => broken.push(Rejection::Slots(error)),
                Ok(range) => slots = Some(range),
            }
            if let (Some(telescope), Some(_)) = (telescope, slots)
                && !timetable::is_open(start, telescope.simulated, now)
            {
                broken.push(Rejection::Past(telescope.code.clone(), slot::next_start(now)));
            }
        }
        if !broken.is_empty() {
            return Err(broken);
        }
        let (Some(scientist), Some(telescope), Some(slots)) = (scientist, telescope, slots) else {
            return Err(broken);
        };
        Ok(NewBooking {
            telescope: telescope.clone(),
            scientist,
            slots,
            target: self.target,
            notes: self.notes,
            clicked_at: self.clicked_at,
        })
    }
}

impl Draft {
    /// How long it should be: as `duracao_min` says, or from the start to `horario_fim_utc`, or one slot.
    fn length_min(&self, broken: &mut Vec<Rejection>) -> i64 {
        let (Some(start), Some(end)) = (self.start, self.end) else {
            return self.duration_min.unwrap_or(SLOT_MIN);
        };
        let micros = end.as_micros() - start.as_micros();
        let from_end_min = micros / minutes_in_micros(1);
        if micros % minutes_in_micros(1) != 0 || slot::check_duration(from_end_min).is_err() {
            broken.push(Rejection::End);
            return self.duration_min.unwrap_or(SLOT_MIN);
        }
        match self.duration_min {
            Some(duration_min) if duration_min != from_end_min => {
                broken.extend([Side::Duration, Side::End].map(|side| Rejection::EndAndDuration(from_end_min, side)));
                from_end_min
            }
            _ => from_end_min,
        }
    }
}

impl NewBooking {
    /// Whether it still keeps the rules that depend on time and on the catalogue. `telescope` is its telescope as it is now.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_again(
        &self,
        telescope: Option<&Telescope>,
        has_scientist: bool,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        if !has_scientist {
            return Err(Rejection::UnknownScientist(self.scientist.id));
        }
        let Some(telescope) = telescope.filter(|telescope| telescope.code == self.telescope.code) else {
            return Err(Rejection::UnknownTelescope(self.telescope.code.clone()));
        };
        if !timetable::is_open(self.slots.start(), telescope.simulated, now) {
            return Err(Rejection::Past(telescope.code.clone(), slot::next_start(now)));
        }
        Ok(())
    }

    /// The names of the resources that protect its slots, one each.
    pub fn resources(&self) -> Vec<String> {
        resources(&self.telescope.code, self.slots)
    }
}

impl Booking {
    /// The names of the resources that protect its slots, one each.
    pub fn resources(&self) -> Vec<String> {
        resources(&self.telescope, self.slots)
    }
}

/// The resource of one slot: `Hubble-Acad_2025-12-01T03:00:00Z`.
pub fn resource(telescope: &str, start: Timestamp) -> String {
    format!("{telescope}_{}", start.seconds())
}

fn resources(telescope: &str, slots: SlotRange) -> Vec<String> {
    slots.starts().map(|start| resource(telescope, start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn catalogue() -> Catalogue {
        let telescope = |code: &str, simulated| Telescope { code: code.into(), name: code.into(), simulated };
        let curie = Scientist { id: 7, name: "Marie Curie".into(), institution: "Paris".into(), country: "FR".into() };
        Catalogue::new(vec![curie], vec![telescope("Hubble-Acad", true), telescope("Webb-Acad", false)])
    }

    #[test]
    fn where_no_telescope_is_left_that_is_the_reason() {
        // Someone deleted them by SQL, and "0 fields" had to be corrected.
        let catalogue = Catalogue::new(catalogue().scientists().cloned().collect(), Vec::new());
        let broken = draft().check(&catalogue, instant("2025-10-26T00:00:00Z")).unwrap_err();
        assert_eq!(broken, [Rejection::NoTelescope]);
    }

    fn draft() -> Draft {
        Draft { scientist_id: Some(7), start: Some(instant("2025-12-01T03:00:00Z")), ..Draft::default() }
    }

    const NOW: &str = "2026-01-01T12:01:00Z";

    #[test]
    fn the_assignments_two_fields_are_enough() {
        let booking = draft().check(&catalogue(), instant(NOW)).unwrap();
        assert_eq!(booking.resources(), ["Hubble-Acad_2025-12-01T03:00:00Z"]);
        assert_eq!(booking.slots.duration_min(), 5);
    }

    #[test]
    fn every_broken_rule_is_named_at_once() {
        let draft = Draft {
            scientist_id: Some(99),
            telescope: Some("Nenhum".into()),
            start: Some(instant("2025-12-01T03:01:00Z")),
            duration_min: Some(0),
            ..Draft::default()
        };
        let broken = draft.check(&catalogue(), instant(NOW)).unwrap_err();
        let fields: Vec<_> = broken.iter().map(Rejection::field).collect();
        assert_eq!(fields, ["cientista_id", "telescopio", "duracao_min", "horario_inicio_utc"]);
    }

    #[test]
    fn the_end_says_how_long_as_the_duration_does() {
        let check = |duration_min, end: &str| {
            let draft = Draft { duration_min, end: Some(instant(end)), ..draft() };
            let checked = draft.check(&catalogue(), instant(NOW));
            checked.map(|new| new.slots.duration_min()).map_err(|broken| broken.iter().map(Rejection::field).collect())
        };
        let wrong = |fields: &[&'static str]| Err(fields.to_vec());
        assert_eq!(check(None, "2025-12-01T03:15:00Z"), Ok(15));
        assert_eq!(check(Some(15), "2025-12-01T00:15:00-03:00"), Ok(15));
        assert_eq!(check(None, "2025-12-02T03:00:00Z"), Ok(1440));
        assert_eq!(check(Some(10), "2025-12-01T03:15:00Z"), wrong(&["duracao_min", "horario_fim_utc"]));
        assert_eq!(check(Some(7), "2025-12-01T03:15:00Z"), wrong(&["duracao_min", "horario_fim_utc"]));
        for end in [
            "2025-12-01T03:00:00Z",
            "2025-12-01T02:00:00Z",
            "2025-12-01T03:07:00Z",
            "2025-12-01T03:05:00.000001Z",
            "2025-12-02T03:05:00Z",
        ] {
            assert_eq!(check(None, end), wrong(&["horario_fim_utc"]), "{end}");
            assert_eq!(check(Some(5), end), wrong(&["horario_fim_utc"]), "{end}");
        }
    }

    #[test]
    fn only_a_simulated_telescope_takes_the_past() {
        let draft = Draft { telescope: Some("Webb-Acad".into()), ..draft() };
        let broken = draft.clone().check(&catalogue(), instant(NOW)).unwrap_err();
        assert_eq!(broken, [Rejection::Past("Webb-Acad".into(), instant("2026-01-01T12:05:00Z"))]);
        assert!(draft.check(&catalogue(), instant("2025-12-01T03:00:00Z")).is_ok());
    }

    #[test]
    fn cancelling_ends_at_the_start_unless_simulated() {
        let start = instant("2025-12-01T03:00:00Z");
        let mut booking = Booking {
            id: 1,
            telescope: "Webb-Acad".into(),
            scientist_id: 7,
            slots: SlotRange::new(start, 5).unwrap(),
            status: Status::Active,
            target: None,
            notes: None,
            clicked_at: None,
            created_at: start,
            cancelled_at: None,
            cancel_reason: None,
        };
        let before = instant("2025-12-01T02:59:59.999999Z");
        assert_eq!(booking.check_cancellable(false, before), Ok(()));
        assert_eq!(booking.check_cancellable(false, start), Err(NotCancellable::Started));
        assert_eq!(booking.check_cancellable(true, start), Ok(()));
        booking.status = Status::Cancelled;
        assert_eq!(booking.check_cancellable(true, before), Err(NotCancellable::AlreadyCancelled));
    }
}
