//! Why something of the catalogue was not changed.

use super::super::code::Code;
use crate::access::calendar::CALENDARS_MAX;
use crate::agenda::maintenance::{CANCELLED_MAX, STANDING_MAX};

/// What the catalogue does not allow as it is.
#[derive(Clone, Debug)]
pub enum CatalogueRefusal {
    /// It has a telescope of this code already.
    TelescopeExists(String),
    /// It has no maintenance of this number, written as the client wrote it.
    UnknownMaintenance(String),
    /// It has no proposal of this number, written as the client wrote it.
    UnknownProposal(String),
    /// So many bookings are in the time of a maintenance that may cancel none.
    BookedThen(usize),
    /// So many observations in the time of a maintenance have begun, and cannot be cancelled.
    BegunThen(usize),
    /// More bookings are in the time of a maintenance than it may cancel.
    TooManyBookings,
    /// The telescope has as many maintenances as it may have.
    TooManyMaintenances,
    /// The caller has as many secret addresses of calendars as one may have.
    TooManyCalendars,
}

impl CatalogueRefusal {
    /// The code.
    pub fn code(&self) -> Code {
        match self {
            Self::TelescopeExists(_) => Code::TelescopeExists,
            Self::UnknownMaintenance(_) => Code::UnknownMaintenance,
            Self::UnknownProposal(_) => Code::UnknownProposal,
            Self::BookedThen(_) => Code::BookedThen,
            Self::BegunThen(_) => Code::Started,
            Self::TooManyBookings => Code::TooManyBookings,
            Self::TooManyMaintenances => Code::TooManyMaintenances,
            Self::TooManyCalendars => Code::TooManyCalendars,
        }
    }

    /// What happened and what to do, for people.
    pub fn detail(&self) -> String {
        match self {
            Self::TelescopeExists(code) => {
                format!("Já existe um telescópio {code}. Escolha outro id, ou mude o que existe (PATCH).")
            }
            Self::UnknownMaintenance(id) => format!("Não há manutenção {id}, ou ela já foi retirada ou terminou."),
            Self::UnknownProposal(id) => format!("Não existe proposta {id}; a lista está em GET /propostas."),
            Self::BookedThen(count) => format!(
                "Há agendamentos no período da manutenção ({}); nada foi feito. Para cancelá-los, repita o pedido com \"cancelar_agendamentos\": true.",
                counted(*count)
            ),
            Self::BegunThen(count) => format!(
                "No período da manutenção há observações que já começaram ({}), e elas não podem ser canceladas; nada foi feito. Comece a manutenção quando elas terminarem.",
                counted(*count)
            ),
            Self::TooManyBookings => format!(
                "No período da manutenção há mais de {CANCELLED_MAX} agendamentos, e uma manutenção cancela até {CANCELLED_MAX}; nada foi feito. Divida-a em períodos menores."
            ),
            Self::TooManyMaintenances => format!(
                "Este telescópio já tem {STANDING_MAX} manutenções que não terminaram. Retire alguma, ou use uma que se repete toda semana."
            ),
            Self::TooManyCalendars => format!(
                "Já há {CALENDARS_MAX} endereços de calendários seus que valem. Revogue um que não é mais usado (GET /calendarios)."
            ),
        }
    }
}

/// How many there are, as far as they were counted.
fn counted(count: usize) -> String {
    if count > CANCELLED_MAX { format!("mais de {CANCELLED_MAX}") } else { count.to_string() }
}
