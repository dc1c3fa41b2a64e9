//! The records of what people change beside bookings: telescopes and their maintenance, scientists, proposals, and the addresses of
//! calendars.

use serde::Serialize;

use crate::access::calendar::Calendar;
use crate::agenda::maintenance::{Maintenance, MaintenanceView};
use crate::agenda::proposal::{Proposal, ProposalState};
use crate::agenda::{Scientist, ScientistState, Telescope, TelescopeState};
use crate::time::{Rfc3339, Timestamp};

/// An operator changed the catalogue.
pub const CATALOGUE_CHANGED: &str = "CATALOGO_ALTERADO";
/// An operator has given a telescope a maintenance.
pub const MAINTENANCE_CREATED: &str = "MANUTENCAO_CRIADA";
/// An operator has taken a maintenance away.
pub const MAINTENANCE_REMOVED: &str = "MANUTENCAO_REMOVIDA";

/// Somebody has made a secret address at which a calendar is read.
pub const CALENDAR_CREATED: &str = "CALENDARIO_CRIADO";
/// Such an address was revoked.
pub const CALENDAR_REVOKED: &str = "CALENDARIO_REVOGADO";

/// A change that is not of a booking. What it changes has no state before if it is new.
#[derive(Clone, Copy, Debug)]
pub enum Catalogued<'a> {
    /// `CATALOGO_ALTERADO`, of a telescope.
    Telescope {
        /// As it was.
        before: Option<&'a Telescope>,
        /// As it is.
        after: &'a Telescope,
    },
    /// `CATALOGO_ALTERADO`, of a scientist.
    Scientist {
        /// Before the change.
        before: Option<&'a Scientist>,
        /// After it.
        after: &'a Scientist,
    },
    /// `CATALOGO_ALTERADO`, of a proposal.
    Proposal {
        /// As it was.
        before: Option<&'a Proposal>,
        /// As it is.
        after: &'a Proposal,
    },
    /// `MANUTENCAO_CRIADA`.
    MaintenanceCreated {
        /// The telescope's code.
        telescope: &'a str,
        /// The maintenance.
        maintenance: &'a Maintenance,
        /// The bookings that were cancelled for it, each with a record of its own before this one.
        cancelled: &'a [i64],
    },
    /// `MANUTENCAO_REMOVIDA`.
    MaintenanceRemoved {
        /// The telescope's code.
        telescope: &'a str,
        /// The maintenance as it was.
        maintenance: &'a Maintenance,
        /// When its slots open, if not at once.
        opens_at: Option<Timestamp>,
    },
    /// `CALENDARIO_CRIADO`.
    CalendarCreated(&'a Calendar),
    /// `CALENDARIO_REVOGADO`.
    CalendarRevoked(&'a Calendar),
}

/// The details of such a record.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum CataloguedDetails<'a> {
    Telescope {
        telescopio: &'a str,
        antes: Option<TelescopeState<'a>>,
        depois: TelescopeState<'a>,
    },
    Scientist {
        cientista_id: i64,
        antes: Option<ScientistState<'a>>,
        depois: ScientistState<'a>,
    },
    Proposal {
        proposta_id: i64,
        antes: Option<ProposalState<'a>>,
        depois: ProposalState<'a>,
    },
    Maintenance {
        manutencao_id: i64,
        telescopio: &'a str,
        #[serde(flatten)]
        when: MaintenanceView<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        agendamentos_cancelados: Option<&'a [i64]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        abre_em_utc: Option<Rfc3339>,
    },
    Calendar {
        calendario_id: i64,
        telescopio: Option<&'a str>,
        cientista_id: Option<i64>,
        dono: &'a str,
    },
}

impl<'a> Catalogued<'a> {
    /// The event's name.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Telescope { .. } | Self::Scientist { .. } | Self::Proposal { .. } => CATALOGUE_CHANGED,
            Self::MaintenanceCreated { .. } => MAINTENANCE_CREATED,
            Self::MaintenanceRemoved { .. } => MAINTENANCE_REMOVED,
            Self::CalendarCreated(_) => CALENDAR_CREATED,
            Self::CalendarRevoked(_) => CALENDAR_REVOKED,
        }
    }

    /// What the record says of it.
    pub(super) fn details(self) -> CataloguedDetails<'a> {
        match self {
            Self::Telescope { before, after } => CataloguedDetails::Telescope {
                telescopio: &after.code,
                antes: before.map(Telescope::state),
                depois: after.state(),
            },
            Self::Scientist { before, after } => CataloguedDetails::Scientist {
                cientista_id: after.id,
                antes: before.map(Scientist::state),
                depois: after.state(),
            },
            Self::Proposal { before, after } => CataloguedDetails::Proposal {
                proposta_id: after.id,
                antes: before.map(Proposal::state),
                depois: after.state(),
            },
            Self::MaintenanceCreated { telescope, maintenance, cancelled } => {
                closing(telescope, maintenance, Some(cancelled), None)
            }
            Self::MaintenanceRemoved { telescope, maintenance, opens_at } => {
                closing(telescope, maintenance, None, opens_at)
            }
            Self::CalendarCreated(calendar) | Self::CalendarRevoked(calendar) => CataloguedDetails::Calendar {
                calendario_id: calendar.id,
                telescopio: calendar.shows.telescope(),
                cientista_id: calendar.shows.scientist(),
                dono: calendar.owner.as_str(),
            },
        }
    }
}

fn closing<'a>(
    telescopio: &'a str,
    maintenance: &'a Maintenance,
    cancelled: Option<&'a [i64]>,
    opens_at: Option<Timestamp>,
) -> CataloguedDetails<'a> {
    CataloguedDetails::Maintenance {
        manutencao_id: maintenance.id,
        telescopio,
        when: MaintenanceView::of(&maintenance.when),
        agendamentos_cancelados: cancelled,
        abre_em_utc: opens_at.map(Timestamp::micros),
    }
}
