//! Why a request was not carried out, as values that know nothing of HTTP: a [code](super::code) for programs and words for people.
//! [`super::problems`] makes answers of them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use super::catalogue::refusal::CatalogueRefusal;
pub use super::code::Code;
use super::idempotency::refusal::KeyRefusal;
use crate::agenda::alteration::NotAlterable;
use crate::agenda::waiting::{SCIENTIST_WAITS_MAX, START_WAITS_MAX};
use crate::agenda::{NotCancellable, Place, Rejection, SlotRange, WaitStatus, resource};
use crate::audit::record::Why;
use crate::coordinator::protocol::grace;
use crate::store::{NotCancelled, StoreError};
use crate::text::shortened;
use crate::time::Timestamp;

/// The most characters of a refusal that a record has.
const RECORDED_CHARS_MAX: usize = 2000;

/// Why a request was not carried out, or why its outcome is unknown.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// Another request holds the lock of this slot, or the slot's retention lasts.
    Busy {
        /// The telescope.
        telescope: String,
        /// The slot.
        start: Timestamp,
        /// What was received of the request, signed, if it was to take part in a contest.
        receipt: Option<String>,
    },
    /// This slot has a booking.
    Taken {
        /// The telescope.
        telescope: String,
        /// The slot.
        start: Timestamp,
        /// The booking.
        booking_id: i64,
        /// The scientist who has it.
        scientist_id: i64,
    },
    /// The telescope has no free slots that fit, as far as was looked.
    NoneFree {
        /// The telescope.
        telescope: String,
        /// Up to where.
        until: Timestamp,
    },
    /// All of these slots are free: nobody waits for them.
    Free {
        /// The telescope.
        telescope: String,
        /// The slots.
        slots: SlotRange,
    },
    /// The scientist waits for this start already, with this entry.
    AlreadyWaiting(i64),
    /// As many wait for a start as may, or as often as one scientist may at a telescope.
    WaitsFull {
        /// Whether it is the scientist who has too many.
        of_scientist: bool,
    },
    /// Without locks there is no waiting list.
    NoWaits,
    /// This entry of a waiting list is over.
    WaitOver(i64, WaitStatus),
    /// There is no entry of this number, written as the client wrote it.
    UnknownWait(String),
    /// There is no such contest: in words.
    UnknownContest(String),
    /// There is no booking of this number, written as the client wrote it.
    UnknownBooking(String),
    /// This booking may not be cancelled.
    NotCancellable(i64, NotCancellable),
    /// This booking may not be changed so.
    NotAlterable(i64, NotAlterable),
    /// Somebody has moved the booking since it was read. This is where it was.
    Moved {
        /// The telescope.
        telescope: String,
        /// Its first slot.
        start: Timestamp,
    },
    /// The booking has another version than the request expects.
    Differs {
        /// The booking.
        id: i64,
        /// Its version.
        version: i64,
    },
    /// The request names a scientist or a telescope that the catalogue does not have.
    Unknown(Rejection),
    /// The catalogue is as it is.
    Catalogue(CatalogueRefusal),
    /// It is about the header `Idempotency-Key`.
    Key(KeyRefusal),
    /// The booking broke a rule when it was to be written: time had gone on, or the catalogue had changed.
    Broken(Rejection),
    /// The coordinator gave no answer, or could grant nothing.
    CoordinatorUnavailable,
    /// The coordinator has a rate, and this scheduler has used it up.
    CoordinatorTooFast,
    /// The coordinator was restarted, and grants nothing for this long.
    CoordinatorInGrace {
        /// The rest of it.
        left: Duration,
    },
    /// The lease expired before the write.
    LeaseExpired,
    /// A newer token has written to the slot.
    StaleToken,
    /// The database did not write, or may not have.
    NotWritten(StoreError),
    /// The database could not be read.
    NotRead(StoreError),
    /// The audit trail cannot be written.
    AuditUnavailable,
}

impl Refusal {
    /// The refusal to cancel booking `id`.
    pub fn not_cancelled(id: i64, not: NotCancelled) -> Self {
        match not {
            NotCancelled::Unknown => Self::UnknownBooking(id.to_string()),
            NotCancelled::Differs { version } => Self::Differs { id, version },
            NotCancelled::Not(not) => Self::NotCancellable(id, not),
        }
    }

    /// Somebody has moved the booking that was at `place`.
    pub fn moved(place: &Place) -> Self {
        Self::Moved { telescope: place.telescope.clone(), start: place.slots.start() }
    }

    /// The code.
    pub fn code(&self) -> Code {
        match self {
            Self::Busy { .. } | Self::Moved { .. } => Code::Busy,
            Self::Taken { .. } => Code::Taken,
            Self::NoneFree { .. } => Code::NoneFree,
            Self::Free { .. } => Code::Free,
            Self::AlreadyWaiting(_) => Code::AlreadyWaiting,
            Self::WaitsFull { .. } => Code::WaitsFull,
            Self::NoWaits => Code::NoWaits,
            Self::WaitOver(..) => Code::WaitOver,
            Self::UnknownWait(_) => Code::UnknownWait,
            Self::UnknownBooking(_) => Code::UnknownBooking,
            Self::UnknownContest(_) => Code::UnknownContest,
            Self::Catalogue(refusal) => refusal.code(),
            Self::Key(refusal) => refusal.code(),
            Self::NotCancellable(_, NotCancellable::AlreadyCancelled)
            | Self::NotAlterable(_, NotAlterable::Cancelled) => Code::AlreadyCancelled,
            Self::NotCancellable(_, NotCancellable::Started) | Self::NotAlterable(_, NotAlterable::Started) => {
                Code::Started
            }
            Self::NotCancellable(_, NotCancellable::TooLate(_)) | Self::NotAlterable(_, NotAlterable::TooLate(_)) => {
                Code::TooLateToCancel
            }
            Self::NotAlterable(_, NotAlterable::Ended) => Code::Ended,
            Self::Differs { .. } => Code::Differs,
            Self::Unknown(rejection) | Self::Broken(rejection) => match rejection {
                Rejection::UnknownScientist(_) => Code::UnknownScientist,
                Rejection::UnknownTelescope(_) | Rejection::NoTelescope => Code::UnknownTelescope,
                Rejection::Slots(_)
                | Rejection::End
                | Rejection::EndAndDuration(..)
                | Rejection::Past(..)
                | Rejection::EndPast(_)
                | Rejection::LongMove(_)
                | Rejection::Maintenance { .. }
                | Rejection::Proposal(_)
                | Rejection::InactiveScientist(_)
                | Rejection::InactiveTelescope(_)
                | Rejection::Rule(_) => Code::InvalidFields,
            },
            Self::CoordinatorUnavailable | Self::CoordinatorTooFast | Self::CoordinatorInGrace { .. } => {
                Code::CoordinatorUnavailable
            }
            Self::LeaseExpired => Code::LeaseExpired,
            Self::StaleToken => Code::StaleToken,
            Self::NotWritten(StoreError::Refused(_)) => Code::WriteRefused,
            Self::NotWritten(StoreError::Unknown(_)) => Code::OutcomeUnknown,
            Self::NotRead(StoreError::Refused(_)) => Code::DatabaseInconsistent,
            Self::NotWritten(StoreError::Unavailable(_))
            | Self::NotRead(StoreError::Unavailable(_) | StoreError::Unknown(_)) => Code::DatabaseUnavailable,
            Self::AuditUnavailable => Code::AuditUnavailable,
        }
    }

    /// What happened and what to do, for people.
    pub fn detail(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Busy { telescope, start, .. } | Self::Moved { telescope, start } => {
                let resource = resource(telescope, *start);
                format!("Outra requisição está usando o recurso {resource}, ou acabou de agendá-lo.")
            }
            Self::Taken { telescope, start, .. } => {
                format!("O horário {} de {telescope} já está agendado.", start.seconds())
            }
            Self::NoneFree { telescope, until } => {
                format!("Até {} não há em {telescope} um horário livre que sirva.", until.seconds())
            }
            Self::UnknownBooking(id) => format!("Não há agendamento {id}."),
            Self::UnknownContest(words) => words.clone(),
            Self::NotCancellable(id, not) => not_cancellable(*id, *not),
            Self::NotAlterable(id, not) => not_alterable(*id, *not),
            Self::Differs { id, version } => format!(
                "O agendamento {id} mudou desde que você o leu: ele está na versão {version}. Leia-o de novo antes de mudá-lo."
            ),
            Self::Unknown(rejection) | Self::Broken(rejection) if is_unknown(rejection) => {
                let mut text = rejection.to_string();
                if let Some(first) = text.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                text + "."
            }
            Self::Unknown(rejection) | Self::Broken(rejection) => {
                format!("Um campo precisa de correção: {}.", rejection.field())
            }
            Self::Catalogue(refusal) => return refusal.detail().into(),
            Self::Key(refusal) => return refusal.detail().into(),
            Self::CoordinatorUnavailable => {
                return "O coordenador não respondeu ou não pôde conceder a trava, e sem a trava nada é agendado. Tente de novo em instantes."
                    .into();
            }
            Self::CoordinatorTooFast => {
                return "O coordenador recusou o pedido da trava, porque este agendador faz mais requisições do que a taxa dele permite; sem a trava nada é agendado. Tente de novo em instantes e, se continua, avise o operador do serviço."
                    .into();
            }
            Self::CoordinatorInGrace { left } => format!(
                "O coordenador recomeçou e espera que vençam as travas de antes: {}. Sem a trava nada é agendado.",
                grace::words(*left)
            ),
            Self::LeaseExpired => {
                return "A trava venceu antes da gravação; nada foi gravado. Tente de novo.".into();
            }
            Self::StaleToken => {
                return "O dono de uma trava mais nova já gravou neste horário; nada foi gravado. Tente de novo."
                    .into();
            }
            Self::NotWritten(error) => not_written(error),
            Self::NotRead(error) => not_read(error),
            Self::AuditUnavailable => {
                return "A trilha de auditoria não pode ser escrita, e sem o registro nada é agendado.".into();
            }
            _ => self.of_waits(),
        };
        text.into()
    }

    /// The same of a waiting list.
    fn of_waits(&self) -> String {
        match self {
            Self::Free { telescope, slots } => format!(
                "De {} a {} todos os horários de {telescope} estão livres, e por um horário livre não se espera: agende-o.",
                slots.start().seconds(),
                slots.end().seconds()
            ),
            Self::AlreadyWaiting(id) => format!("Este cientista já espera por este início: é a espera {id}."),
            Self::WaitsFull { of_scientist: false } => {
                format!("Já há {START_WAITS_MAX} na lista de espera deste início, e mais não cabem.")
            }
            Self::WaitsFull { of_scientist: true } => {
                format!("Este cientista já espera {SCIENTIST_WAITS_MAX} vezes neste telescópio, e mais não pode.")
            }
            Self::NoWaits => "Na demonstração sem travas não há lista de espera.".to_owned(),
            Self::WaitOver(id, WaitStatus::Served) => format!("A espera {id} já foi atendida."),
            Self::WaitOver(id, WaitStatus::Expired) => {
                format!("A espera {id} já terminou: o horário começou sem que ficasse livre.")
            }
            Self::WaitOver(id, _) => format!("A espera {id} já terminou: o cientista saiu da lista."),
            Self::UnknownWait(id) => format!("Não há espera {id}."),
            _ => String::new(),
        }
    }

    /// Why, as the audit trail records it; `None` where the trail cannot be written either.
    pub fn why(&self) -> Option<Why> {
        if matches!(self, Self::NotWritten(_) | Self::NotRead(_) | Self::AuditUnavailable) {
            return None;
        }
        let taken_by = if let Self::Taken { booking_id, .. } = self { Some(*booking_id) } else { None };
        let mut detail = self.detail().into_owned();
        if let Self::Broken(rejection) = self {
            // Writing to a string cannot fail.
            let _ = write!(detail, " {}: {rejection}", rejection.field());
        }
        // A code that somebody put into the catalogue may have any length.
        let detail = shortened(detail, RECORDED_CHARS_MAX);
        Some(Why { code: self.code().name(), detail, taken_by, moving: None })
    }
}

fn not_cancellable(id: i64, not: NotCancellable) -> String {
    match not {
        NotCancellable::AlreadyCancelled => format!("O agendamento {id} já foi cancelado."),
        NotCancellable::Started => {
            format!("A observação do agendamento {id} já começou e não pode mais ser cancelada.")
        }
        NotCancellable::TooLate(minutes) => format!(
            "O agendamento {id} só pode ser cancelado até {minutes} minutos antes do início: é uma regra do telescópio."
        ),
    }
}

fn not_alterable(id: i64, not: NotAlterable) -> String {
    match not {
        NotAlterable::Cancelled => format!("O agendamento {id} já foi cancelado."),
        NotAlterable::Started => {
            format!("A observação do agendamento {id} já começou: o horário só pode ser encurtado, e não mudado.")
        }
        NotAlterable::TooLate(minutes) => format!(
            "O agendamento {id} só pode mudar de horário até {minutes} minutos antes do início: é uma regra do telescópio. Até o fim ele pode ser encurtado."
        ),
        NotAlterable::Ended => format!("A observação do agendamento {id} já terminou, e nada nele pode ser mudado."),
    }
}

fn not_written(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => {
            format!(
                "O banco de dados não pode ser usado agora ({reason}); nada foi gravado. Tente de novo em instantes."
            )
        }
        StoreError::Refused(reason) => format!(
            "O banco de dados recusou esta gravação ({reason}); nada foi gravado. Repetir o pedido não adianta: avise o operador do serviço, que precisa examinar o banco."
        ),
        StoreError::Unknown(reason) => format!(
            "Não se sabe se a mudança foi gravada: a gravação falhou ao terminar e não pôde ser verificada ({reason}). Com Idempotency-Key, repita o pedido com a mesma chave e o mesmo corpo: se a mudança foi gravada, a resposta é a dela; se não foi, o pedido é feito agora. Sem a chave, antes de repetir veja pelos links em _links o que ficou gravado."
        ),
    }
}

fn not_read(error: &StoreError) -> String {
    match error {
        StoreError::Refused(reason) => format!(
            "O banco de dados tem aqui um valor que não faz sentido ({reason}). Repetir o pedido não adianta: avise o operador do serviço, que precisa examinar o banco."
        ),
        StoreError::Unavailable(reason) | StoreError::Unknown(reason) => {
            format!("O banco de dados não pode ser lido agora ({reason}). Tente de novo em instantes.")
        }
    }
}

/// Whether the broken rule is one that a change of the catalogue may mend.
pub fn is_of_catalogue(rejection: &Rejection) -> bool {
    let is_closed = matches!(
        rejection,
        Rejection::InactiveScientist(_)
            | Rejection::InactiveTelescope(_)
            | Rejection::Maintenance { .. }
            | Rejection::Proposal(_)
    );
    is_unknown(rejection) || is_closed || matches!(rejection, Rejection::Rule(_))
}

/// Whether the broken rule is that the catalogue has no such scientist or telescope.
pub fn is_unknown(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::UnknownScientist(_) | Rejection::UnknownTelescope(_) | Rejection::NoTelescope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_bounded_part_of_a_long_refusal() {
        let refusal = Refusal::Busy { telescope: "x".repeat(3000), start: Timestamp::MIN, receipt: None };
        let why = refusal.why().unwrap();
        assert_eq!((why.code, why.detail.chars().count()), ("recurso_ocupado", RECORDED_CHARS_MAX));
    }
}
