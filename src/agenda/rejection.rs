//! The rules that a draft of a booking may break, each with its field and its words.

use super::proposal::BrokenProposal;
use super::rules::BrokenRule;
use super::slot::{DURATION_MIN_MAX, MOVE_SLOTS_MAX, SLOT_MIN, SlotRangeError};
use crate::http::wrong::FieldCode;
use crate::time::Timestamp;

/// One rule that a draft breaks. Shown to the client, hence in Portuguese.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such scientist.
    #[error("não existe cientista com o número {0}; a lista está em GET /cientistas")]
    UnknownScientist(i64),
    /// No such telescope.
    #[error("não existe telescópio \"{0}\"; a lista está em GET /telescopios")]
    UnknownTelescope(String),
    /// This scientist is not active.
    #[error("o cientista {0} está inativo e não pode agendar; um operador pode ativá-lo")]
    InactiveScientist(i64),
    /// This telescope is not active.
    #[error(
        "o telescópio \"{0}\" está inativo e não pode ser agendado; os que podem estão em GET /telescopios?ativo=true"
    )]
    InactiveTelescope(String),
    /// No telescope is named, and the catalogue is empty.
    #[error("não há nenhum telescópio no catálogo (GET /telescopios)")]
    NoTelescope,
    /// The start or the duration is off the grid.
    #[error("{0}")]
    Slots(SlotRangeError),
    /// The end is off the grid, not after the start, or more than a day after it.
    #[error(
        "deve ser um múltiplo de cinco minutos, de {SLOT_MIN} a {DURATION_MIN_MAX} minutos depois de horario_inicio_utc"
    )]
    End,
    /// The end and the duration contradict each other. The number is the duration up to that end.
    #[error("não concorda com {other}: de horario_inicio_utc a horario_fim_utc são {0} minutos; mande só um dos dois", other = .1.other())]
    EndAndDuration(i64, Side),
    /// The start is in the past, on a telescope that is not simulated.
    #[error("já passou, e {0} não é simulado; o primeiro horário possível é {first}", first = .1.seconds())]
    Past(String, Timestamp),
    /// The new end of a booking is in the past, on a telescope that is not simulated.
    #[error("já passou; o primeiro fim possível é {}", .0.seconds())]
    EndPast(Timestamp),
    /// The old and the new place of a booking have together more slots than one lock can have.
    #[error(
        "o lugar antigo e o novo têm juntos {0} horários, e uma mudança tem até {MOVE_SLOTS_MAX}: encurte o agendamento antes, ou cancele-o e agende outro"
    )]
    LongMove(usize),
    /// The telescope is in maintenance: from the first instant to before the second, for this reason.
    #[error("o telescópio está em manutenção de {} a {} ({reason}); ele pode ser agendado outra vez a partir de {}", from.seconds(), until.seconds(), until.seconds())]
    Maintenance {
        /// Its first instant.
        from: Timestamp,
        /// The first instant after it.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// It cannot be charged to a proposal.
    #[error("{0}")]
    Proposal(BrokenProposal),
    /// A rule of the telescope.
    #[error("{0}")]
    Rule(BrokenRule),
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
    /// The code of the wrong field.
    pub const fn code(&self) -> FieldCode {
        match self {
            Self::UnknownScientist(_) => FieldCode::UnknownScientist,
            Self::UnknownTelescope(_) | Self::NoTelescope => FieldCode::UnknownTelescope,
            Self::Proposal(broken) => broken.code(),
            Self::Maintenance { .. } => FieldCode::Maintenance,
            Self::InactiveScientist(_) => FieldCode::InactiveScientist,
            Self::InactiveTelescope(_) => FieldCode::InactiveTelescope,
            Self::Slots(SlotRangeError::OffGrid { .. }) => FieldCode::OffGrid,
            Self::Slots(SlotRangeError::Duration) | Self::End | Self::LongMove(_) => FieldCode::Duration,
            Self::EndAndDuration(..) => FieldCode::Contradiction,
            Self::Slots(SlotRangeError::TooLate) => FieldCode::TooLate,
            Self::Past(..) | Self::EndPast(_) => FieldCode::Past,
            Self::Rule(broken) => broken.code(),
        }
    }

    /// The field that breaks the rule.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::End | Self::EndPast(_) => Side::End.field(),
            Self::EndAndDuration(_, side) => side.field(),
            Self::UnknownScientist(_) | Self::InactiveScientist(_) => "cientista_id",
            Self::UnknownTelescope(_) | Self::InactiveTelescope(_) | Self::NoTelescope => "telescopio",
            Self::Slots(SlotRangeError::Duration) | Self::LongMove(_) => "duracao_min",
            Self::Slots(_) | Self::Past(..) | Self::Maintenance { .. } => "horario_inicio_utc",
            Self::Proposal(_) => "proposta_id",
            Self::Rule(broken) => broken.field(),
        }
    }
}
