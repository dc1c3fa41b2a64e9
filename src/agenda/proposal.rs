//! A proposal: who may observe, when, and for how many minutes at each telescope.
//!
//! Each active booking that names a proposal is charged to it with its whole length. A cancelled one is not, and can only be cancelled
//! before it begins.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::slot::SlotRange;
use super::version::version_of;
use crate::http::wrong::FieldCode;
use crate::time::Timestamp;

/// The most characters of a title.
pub const TITLE_MAX_CHARS: usize = 200;
/// The most members, beside the principal investigator.
pub const MEMBERS_MAX: usize = 100;
/// The most telescopes.
pub const TELESCOPES_MAX: usize = 50;
/// The most minutes at one telescope: a year. What is used is counted anew for each booking.
pub const ALLOCATED_MIN_MAX: i64 = 366 * 24 * 60;

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its number.
    pub id: i64,
    /// Its title.
    pub title: String,
    /// The principal investigator: a scientist's number.
    pub investigator: i64,
    /// The other scientists who may use it.
    pub members: BTreeSet<i64>,
    /// The minutes at each telescope, by code.
    pub allocated_min: BTreeMap<String, i64>,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// Whether it may be used.
    pub active: bool,
}

/// What becomes otherwise in a proposal. `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProposalPatch {
    /// The title.
    pub title: Option<String>,
    /// The principal investigator.
    pub investigator: Option<i64>,
    /// The other members.
    pub members: Option<BTreeSet<i64>>,
    /// Takes every telescope away first.
    pub no_minutes: bool,
    /// The minutes at telescopes: `None` takes a telescope away. Those that are not named stay.
    pub allocated_min: BTreeMap<String, Option<i64>>,
    /// Its first instant.
    pub from: Option<Timestamp>,
    /// The first instant after it.
    pub until: Option<Timestamp>,
    /// Whether it may be used.
    pub active: Option<bool>,
}

impl ProposalPatch {
    /// The proposal with this change.
    pub fn applied_to(&self, proposal: &Proposal) -> Proposal {
        let mut allocated_min = if self.no_minutes { BTreeMap::new() } else { proposal.allocated_min.clone() };
        for (telescope, minutes) in &self.allocated_min {
            match minutes {
                Some(minutes) => _ = allocated_min.insert(telescope.clone(), *minutes),
                None => _ = allocated_min.remove(telescope),
            }
        }
        Proposal {
            id: proposal.id,
            title: self.title.clone().unwrap_or_else(|| proposal.title.clone()),
            investigator: self.investigator.unwrap_or(proposal.investigator),
            members: self.members.clone().unwrap_or_else(|| proposal.members.clone()),
            allocated_min,
            from: self.from.unwrap_or(proposal.from),
            until: self.until.unwrap_or(proposal.until),
            active: self.active.unwrap_or(proposal.active),
        }
    }
}

/// A proposal as records have it.
#[derive(Clone, Debug, Serialize)]
pub struct ProposalState<'a> {
    titulo: &'a str,
    responsavel_id: i64,
    membros: &'a BTreeSet<i64>,
    inicio_utc: String,
    fim_utc: String,
    ativa: bool,
    alocado_min: &'a BTreeMap<String, i64>,
}

/// Why a booking may not be charged to its proposal. Shown to the client, hence in Portuguese.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenProposal {
    /// The telescope takes only bookings of a proposal.
    #[error("é obrigatório neste telescópio: ele só aceita agendamentos de uma proposta (GET /propostas)")]
    Required,
    /// There is no such proposal.
    #[error("não existe proposta {0}; a lista está em GET /propostas")]
    Unknown(i64),
    /// The proposal is not active.
    #[error("a proposta {0} está inativa")]
    Inactive(i64),
    /// The scientist does not belong to it.
    #[error("o cientista {1} não participa da proposta {0}")]
    NotMember(i64, i64),
    /// The booking is not within its period.
    #[error("a proposta {id} vale de {} a {}, e o agendamento tem de caber nesse período", from.seconds(), until.seconds())]
    Period {
        /// The proposal.
        id: i64,
        /// Its first instant.
        from: Timestamp,
        /// The first instant after it.
        until: Timestamp,
    },
    /// It has not so many minutes left at the telescope.
    #[error("a proposta {id} tem {allocated} minutos em {telescope}, e já usou {used}: restam {}, e o agendamento precisa de {asked}", allocated - used)]
    Overdrawn {
        /// The proposal.
        id: i64,
        /// The telescope's code.
        telescope: String,
        /// The minutes that it has there.
        allocated: i64,
        /// The minutes that are charged.
        used: i64,
        /// The minutes that the booking would need.
        asked: i64,
    },
}

impl BrokenProposal {
    /// The code of the wrong field.
    pub const fn code(&self) -> FieldCode {
        match self {
            Self::Required => FieldCode::ProposalRequired,
            Self::Unknown(_) => FieldCode::UnknownProposal,
            Self::Inactive(_) => FieldCode::InactiveProposal,
            Self::NotMember(..) => FieldCode::ForeignProposal,
            Self::Period { .. } => FieldCode::ProposalPeriod,
            Self::Overdrawn { .. } => FieldCode::ProposalOverdrawn,
        }
    }
}

impl Proposal {
    /// The proposal as records have it.
    pub fn state(&self) -> ProposalState<'_> {
        ProposalState {
            titulo: &self.title,
            responsavel_id: self.investigator,
            membros: &self.members,
            inicio_utc: self.from.micros().to_string(),
            fim_utc: self.until.micros().to_string(),
            ativa: self.active,
            alocado_min: &self.allocated_min,
        }
    }

    /// What its `ETag` has: another one after each change of the proposal itself.
    pub fn version(&self) -> String {
        version_of(&(self.id, self.state()))
    }

    /// Whether its time may be used by that scientist.
    pub fn has(&self, scientist: i64) -> bool {
        scientist == self.investigator || self.members.contains(&scientist)
    }

    /// Whether a booking may be charged to it, apart from the minutes.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn check(&self, scientist: i64, slots: SlotRange) -> Result<(), BrokenProposal> {
        if !self.active {
            return Err(BrokenProposal::Inactive(self.id));
        }
        if !self.has(scientist) {
            return Err(BrokenProposal::NotMember(self.id, scientist));
        }
        if slots.start() < self.from || slots.end() > self.until {
            return Err(BrokenProposal::Period { id: self.id, from: self.from, until: self.until });
        }
        Ok(())
    }

    /// The minutes that it has left at a telescope, of which so many are used.
    pub fn left_min(&self, telescope: &str, used: i64) -> i64 {
        self.allocated_min.get(telescope).copied().unwrap_or(0) - used
    }

    /// Whether it has the minutes of `slots` left at a telescope, of which so many are used.
    ///
    /// # Errors
    /// [`BrokenProposal::Overdrawn`].
    pub fn check_minutes(&self, telescope: &str, slots: SlotRange, used: i64) -> Result<(), BrokenProposal> {
        let allocated = self.allocated_min.get(telescope).copied().unwrap_or(0);
        let asked = slots.duration_min();
        if asked <= self.left_min(telescope, used) {
            return Ok(());
        }
        Err(BrokenProposal::Overdrawn { id: self.id, telescope: telescope.to_owned(), allocated, used, asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_booking_is_a_members_within_the_period_and_within_the_minutes() {
        let proposal = Proposal {
            id: 3,
            title: "M31".into(),
            investigator: 7,
            members: BTreeSet::from([5]),
            allocated_min: BTreeMap::from([("Hubble-Acad".to_owned(), 60)]),
            from: at("2030-01-01T00:00:00Z"),
            until: at("2030-02-01T00:00:00Z"),
            active: true,
        };
        let slots = |start: &str, minutes| SlotRange::new(at(start), minutes).unwrap();
        assert_eq!(proposal.check(7, slots("2030-01-01T00:00:00Z", 5)), Ok(()));
        assert_eq!(proposal.check(5, slots("2030-01-31T23:55:00Z", 5)), Ok(()));
        assert_eq!(proposal.check(1, slots("2030-01-01T00:00:00Z", 5)), Err(BrokenProposal::NotMember(3, 1)));
        for (start, minutes) in [("2029-12-31T23:55:00Z", 10), ("2030-01-31T23:55:00Z", 10)] {
            let refused = proposal.check(7, slots(start, minutes));
            assert!(matches!(refused, Err(BrokenProposal::Period { id: 3, .. })), "{start}");
        }
        let hour = slots("2030-01-01T00:00:00Z", 60);
        assert_eq!(proposal.check_minutes("Hubble-Acad", hour, 0), Ok(()));
        let refused = proposal.check_minutes("Hubble-Acad", hour, 5).unwrap_err();
        assert!(refused.to_string().contains("restam 55"), "{refused}");
        assert!(proposal.check_minutes("Webb-Acad", slots("2030-01-01T00:00:00Z", 5), 0).is_err());
        let patch = ProposalPatch {
            allocated_min: BTreeMap::from([("Hubble-Acad".to_owned(), None), ("Webb-Acad".to_owned(), Some(5))]),
            active: Some(false),
            ..ProposalPatch::default()
        };
        let changed = patch.applied_to(&proposal);
        assert_eq!(changed.allocated_min, BTreeMap::from([("Webb-Acad".to_owned(), 5)]));
        assert_eq!(changed.check(7, hour), Err(BrokenProposal::Inactive(3)));
        assert_ne!(changed.version(), proposal.version());
    }
}
