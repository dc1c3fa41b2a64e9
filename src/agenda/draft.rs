//! A draft of a booking: the request as it was read, the rules it must keep, and the booking that may then be written.

use std::sync::Arc;

use super::booking::Place;
use super::catalogue::{Catalogue, Scientist, Telescope};
use super::contest::Decided;
use super::maintenance;
use super::proposal::{BrokenProposal, Proposal};
use super::rejection::{Rejection, Side};
use super::rules::BrokenRule;
use super::slot::{self, SLOT_MIN, SlotRange};
use super::stamp::Stamp;
use crate::time::{Timestamp, minutes_in_micros};

/// The most characters of a target.
pub const TARGET_MAX_CHARS: usize = 200;
/// The most characters of a booking's notes.
pub const NOTES_MAX_CHARS: usize = 2000;

/// The request, as far as it could be read: a field that is missing or malformed is `None`.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// `cientista_id`.
    pub scientist_id: Option<i64>,
    /// `proposta_id`.
    pub proposal_id: Option<i64>,
    /// `horario_inicio_utc`.
    pub start: Option<Timestamp>,
    /// `telescopio`; absent means the first one.
    pub telescope: Option<String>,
    /// `duracao_min`; absent means until `end`, or one slot.
    pub duration_min: Option<i64>,
    /// `horario_fim_utc`: another way to give the duration.
    pub end: Option<Timestamp>,
    /// `alvo`.
    pub target: Option<String>,
    /// `observacoes`.
    pub notes: Option<String>,
    /// `instante_clique_utc`.
    pub clicked_at: Option<Timestamp>,
    /// `token_hora`.
    pub time_token: Option<String>,
}

/// A booking that keeps every rule. It may be written if its slots are free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBooking {
    /// The telescope.
    pub telescope: Arc<Telescope>,
    /// The scientist.
    pub scientist: Arc<Scientist>,
    /// The proposal to which it is charged.
    pub proposal_id: Option<i64>,
    /// The slots.
    pub slots: SlotRange,
    /// The target of the observation.
    pub target: Option<String>,
    /// Free text.
    pub notes: Option<String>,
    /// The instant of the click, according to the client.
    pub clicked_at: Option<Timestamp>,
    /// The instant for which the server vouches, if the request has a time token.
    pub stamp: Option<Stamp>,
    /// The contest that it has won, if it was in one.
    pub contest: Option<Decided>,
    /// When its slots open, as it was known when the stamp was found.
    pub opens_at: Option<Timestamp>,
}

impl Draft {
    /// Checks every rule. The error has all the rules that the draft breaks; it is empty only when a required field is missing.
    pub fn check(&self, catalogue: &Catalogue, now: Timestamp) -> Result<NewBooking, Vec<Rejection>> {
        let mut broken = Vec::new();
        let scientist = self.scientist_id.and_then(|id| {
            let known = catalogue.shared_scientist(id);
            broken.extend(check_scientist(known.map(Arc::as_ref), id).err());
            known
        });
        let telescope = self.telescope_in(catalogue, &mut broken);
        let duration_min = self.length_min(&mut broken);
        let duration = slot::check_duration(duration_min);
        if let Err(error) = duration {
            broken.push(Rejection::Slots(error));
        }
        let mut slots = None;
        if let Some(start) = self.start {
            // If the duration is wrong, the start is checked with one slot.
            let judged_min = if duration.is_ok() { duration_min } else { SLOT_MIN };
            match SlotRange::new(start, judged_min) {
                Err(error) => broken.push(Rejection::Slots(error)),
                Ok(range) => slots = Some(range),
            }
            if let (Some(telescope), Some(slots)) = (telescope, slots) {
                broken.extend(check_hours(telescope, slots).err());
                broken.extend(check_maintenance(telescope, slots).err());
                if slot::is_open(start, telescope.simulated, now) {
                    broken.extend(telescope.rules.broken(slots, now).map(Rejection::Rule));
                } else {
                    broken.push(Rejection::Past(telescope.code.clone(), slot::next_start(now)));
                }
            }
        }
        if let (Some(telescope), Some(scientist_id), Some(slots)) = (telescope, self.scientist_id, slots) {
            let proposal = self.proposal_id.and_then(|id| catalogue.proposal(id));
            let checked = check_proposal(telescope, self.proposal_id, proposal, scientist_id, slots);
            broken.extend(checked.err().map(Rejection::Proposal));
        }
        if !broken.is_empty() {
            return Err(broken);
        }
        let (Some(scientist), Some(telescope), Some(slots)) = (scientist, telescope, slots) else {
            return Err(broken);
        };
        Ok(NewBooking {
            telescope: Arc::clone(telescope),
            scientist: Arc::clone(scientist),
            proposal_id: self.proposal_id,
            slots,
            target: self.target.clone(),
            notes: self.notes.clone(),
            clicked_at: self.clicked_at,
            stamp: None,
            contest: None,
            opens_at: None,
        })
    }

    /// The slots alone, of a draft with a start.
    pub fn slots(&self) -> Result<SlotRange, Vec<Rejection>> {
        let mut broken = Vec::new();
        let duration_min = self.length_min(&mut broken);
        let slots = self.start.map(|start| SlotRange::new(start, duration_min));
        match slots {
            Some(Ok(slots)) if broken.is_empty() => return Ok(slots),
            Some(Err(error)) => broken.push(Rejection::Slots(error)),
            _ => {}
        }
        Err(broken)
    }

    /// The telescope that it names, or the default.
    fn telescope_in<'a>(&self, catalogue: &'a Catalogue, broken: &mut Vec<Rejection>) -> Option<&'a Arc<Telescope>> {
        let known = catalogue.shared_telescope(self.telescope.as_deref());
        let unknown = || self.telescope.clone().map_or(Rejection::NoTelescope, Rejection::UnknownTelescope);
        broken.extend(known.map_or_else(|| Some(unknown()), |known| check_active(known).err()));
        known
    }

    /// The duration: `duracao_min`, or the time from the start to `horario_fim_utc`, or one slot.
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
    /// Checks again the rules that depend on the time and the catalogue. `telescope` and
    /// `scientist` are as they stand now. The error is
    /// the first broken rule.
    pub fn check_again(
        &self,
        telescope: Option<&Telescope>,
        scientist: Option<&Scientist>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        check_scientist(scientist, self.scientist.id)?;
        let Some(telescope) = telescope.filter(|telescope| telescope.code == self.telescope.code) else {
            return Err(Rejection::UnknownTelescope(self.telescope.code.clone()));
        };
        check_active(telescope)?;
        if !slot::is_open(self.slots.start(), telescope.simulated, now) {
            return Err(Rejection::Past(telescope.code.clone(), slot::next_start(now)));
        }
        check_hours(telescope, self.slots)?;
        check_maintenance(telescope, self.slots)?;
        telescope.rules.broken(self.slots, now).next().map_or(Ok(()), |broken| Err(Rejection::Rule(broken)))
    }

    /// Where it will be.
    pub fn place(&self) -> Place {
        Place { telescope: self.telescope.code.clone(), slots: self.slots }
    }
}

/// Whether that scientist may book.
fn check_scientist(known: Option<&Scientist>, id: i64) -> Result<(), Rejection> {
    match known {
        None => Err(Rejection::UnknownScientist(id)),
        Some(known) if !known.active => Err(Rejection::InactiveScientist(id)),
        Some(_) => Ok(()),
    }
}

/// Whether a booking may be charged to the proposal that it names, apart from the minutes; or needs none.
pub fn check_proposal(
    telescope: &Telescope,
    id: Option<i64>,
    proposal: Option<&Proposal>,
    scientist_id: i64,
    slots: SlotRange,
) -> Result<(), BrokenProposal> {
    match (id, proposal) {
        (None, _) if telescope.needs_proposal => Err(BrokenProposal::Required),
        (None, _) => Ok(()),
        (Some(id), None) => Err(BrokenProposal::Unknown(id)),
        (Some(_), Some(proposal)) => proposal.check(scientist_id, slots),
    }
}

/// Whether that telescope operates then.
fn check_hours(telescope: &Telescope, slots: SlotRange) -> Result<(), Rejection> {
    let closed = telescope.hours.as_ref().and_then(|hours| hours.closed(slots));
    closed.map_or(Ok(()), |(at, again)| Err(Rejection::Rule(BrokenRule::Hours(at, again))))
}

/// Whether that telescope is in no maintenance then.
fn check_maintenance(telescope: &Telescope, slots: SlotRange) -> Result<(), Rejection> {
    maintenance::met_by(&telescope.maintenance, slots).map_or(Ok(()), |(one, (from, until))| {
        Err(Rejection::Maintenance { from, until, reason: one.when.reason.clone() })
    })
}

/// Whether that telescope may be booked.
fn check_active(telescope: &Telescope) -> Result<(), Rejection> {
    if telescope.active { Ok(()) } else { Err(Rejection::InactiveTelescope(telescope.code.clone())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn catalogue() -> Catalogue {
        let telescope = |code: &str, simulated| Telescope::new(code.into(), code.into(), simulated);
        let curie = Scientist {
            id: 7,
            name: "Marie Curie".into(),
            institution: "Paris".into(),
            country: "FR".into(),
            active: true,
        };
        Catalogue::new(vec![curie], vec![telescope("Hubble-Acad", true), telescope("Webb-Acad", false)])
    }

    #[test]
    fn an_empty_catalogue_is_a_reason_of_its_own() {
        // Somebody deleted the telescopes with SQL. The answer once said that "0 fields" were wrong.
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
        assert_eq!(booking.place().resources().collect::<Vec<_>>(), ["Hubble-Acad_2025-12-01T03:00:00Z"]);
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
        let broken = draft.check(&catalogue(), instant(NOW)).unwrap_err();
        assert_eq!(broken, [Rejection::Past("Webb-Acad".into(), instant("2026-01-01T12:05:00Z"))]);
        assert!(draft.check(&catalogue(), instant("2025-12-01T03:00:00Z")).is_ok());
    }
}
