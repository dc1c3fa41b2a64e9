//! Why a booking or a cancellation was not answered with success, and the one place that chooses the status for it.

use hyper::StatusCode;

use super::links;
use crate::agenda::{NotCancellable, Rejection, SlotRangeError};
use crate::audit::record::Why;
use crate::http::problem::{FieldError, Problem};
use crate::http::wrong::FieldCode;
use crate::store::StoreError;
use crate::time::Timestamp;

/// Seconds after which trying again may help.
const RETRY_AFTER_S: u64 = 1;

/// Why nothing was written, or why nobody knows. The log has it already where a step of the use case failed.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// Someone else has the lock.
    Busy {
        /// Its resource.
        resource: String,
    },
    /// A slot has a booking.
    Taken {
        /// Whose slot.
        telescope: String,
        /// The slot.
        start: Timestamp,
        /// Its booking.
        booking_id: i64,
        /// Who has it.
        scientist_id: i64,
    },
    /// There is no such booking.
    UnknownBooking(i64),
    /// The booking may not be cancelled.
    NotCancellable(i64, NotCancellable),
    /// The coordinator does not answer.
    CoordinatorUnavailable,
    /// The lease was over before the write.
    LeaseExpired,
    /// A newer token has written to the slot.
    StaleToken,
    /// It breaks this rule by the time it would be written: time went on, or the catalogue was changed.
    Broken(Rejection),
    /// The database has not done it, or nobody knows whether it has.
    Store(StoreError),
    /// The audit file cannot be written.
    AuditUnavailable,
}

impl Refusal {
    /// Why, as the audit records it; `None` where a record cannot be made either.
    pub fn why(&self) -> Option<Why> {
        if matches!(self, Self::Store(_) | Self::AuditUnavailable) {
            return None;
        }
        let taken_by = if let Self::Taken { booking_id, .. } = self { Some(*booking_id) } else { None };
        let problem = self.clone().into_problem();
        Some(Why { code: problem.code(), detail: problem.log_text(), taken_by })
    }

    /// As the client reads it.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Busy { resource } => {
                let detail = format!("Outra requisição está com o recurso {resource}, ou acabou de ganhá-lo.");
                Problem::new(StatusCode::CONFLICT, "recurso_ocupado", "Recurso ocupado", detail)
                    .with("recurso", resource)
                    .already_logged()
            }
            Self::Taken { telescope, start, booking_id, scientist_id } => {
                let detail = format!("O horário {} de {telescope} já está agendado.", start.seconds());
                Problem::new(StatusCode::CONFLICT, "horario_ocupado", "Horário ocupado", detail)
                    .with("horario_inicio_utc", start.seconds().to_string())
                    .with("agendamento_id", booking_id)
                    .with("cientista_id", scientist_id)
                    .already_logged()
            }
            Self::UnknownBooking(id) => unknown_booking(&id.to_string()),
            Self::NotCancellable(id, NotCancellable::AlreadyCancelled) => {
                let detail = format!("O agendamento {id} já foi cancelado.");
                Problem::new(StatusCode::CONFLICT, "ja_cancelado", "Agendamento já cancelado", detail)
                    .with_links(links::to_booking(id))
            }
            Self::NotCancellable(id, NotCancellable::Started) => {
                let detail = format!("A observação do agendamento {id} já começou e não pode mais ser cancelada.");
                Problem::new(StatusCode::CONFLICT, "observacao_iniciada", "Observação já iniciada", detail)
                    .with_links(links::to_booking(id))
            }
            Self::CoordinatorUnavailable => {
                let detail = "O coordenador não respondeu ou não pôde dar a trava, e sem ela nada é agendado. Tente de novo em instantes.";
                later("coordenador_indisponivel", "Coordenador indisponível", detail)
            }
            Self::LeaseExpired => {
                let detail = "A trava venceu antes da gravação; nada foi gravado. Tente de novo.";
                later("trava_expirada", "Trava expirada", detail)
            }
            Self::StaleToken => {
                let detail = "Uma trava mais nova já escreveu neste horário; nada foi gravado. Tente de novo.";
                later("token_obsoleto", "Token obsoleto", detail)
            }
            Self::Broken(rejection) => rejected(&rejection).already_logged(),
            Self::Store(error) => not_written(&error),
            Self::AuditUnavailable => {
                let detail = "A trilha de auditoria não pode ser escrita, e sem registro nada é agendado.";
                later("auditoria_indisponivel", "Auditoria indisponível", detail)
            }
        }
    }
}

/// 404 for a booking. `id` is as the client wrote it.
pub fn unknown_booking(id: &str) -> Problem {
    let detail = format!("Não há agendamento {id}.");
    Problem::new(StatusCode::NOT_FOUND, "agendamento_desconhecido", "Agendamento desconhecido", detail)
        .with_links(links::to_bookings())
}

/// For a write that the database has not done, or of which nobody knows whether it has. The log has the cause.
fn not_written(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(reason) => {
            let detail = format!(
                "O banco de dados não pode ser usado agora ({reason}); nada foi gravado. Tente de novo em instantes."
            );
            store_unavailable(&detail)
        }
        StoreError::Refused(reason) => {
            let detail = format!(
                "O banco de dados recusou esta gravação ({reason}); nada foi gravado. Repeti-la não adianta: quem opera o serviço precisa ver o banco."
            );
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "gravacao_recusada", "Gravação recusada pelo banco", detail)
                .already_logged()
        }
        StoreError::Unknown(reason) => {
            let detail = format!(
                "Não se sabe se foi gravado: a gravação falhou ao terminar e não pôde ser verificada ({reason}). Veja em _links o que ficou antes de repetir."
            );
            later("resultado_incerto", "Resultado incerto", &detail)
        }
    }
}

/// For a reading that came to nothing. The log has the cause.
pub fn not_read(error: &StoreError) -> Problem {
    match error {
        StoreError::Refused(reason) => {
            let detail = format!(
                "O banco de dados tem aqui um valor que não faz sentido ({reason}). Repetir não adianta: quem opera o serviço precisa ver o banco."
            );
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "banco_inconsistente",
                "Banco de dados inconsistente",
                detail,
            )
            .already_logged()
        }
        StoreError::Unavailable(reason) | StoreError::Unknown(reason) => {
            let detail = format!("O banco de dados não pode ser lido agora ({reason}). Tente de novo em instantes.");
            store_unavailable(&detail)
        }
    }
}

fn store_unavailable(detail: &str) -> Problem {
    later("banco_indisponivel", "Banco de dados indisponível", detail)
}

/// For one rule that is broken.
fn rejected(rejection: &Rejection) -> Problem {
    let field = field_error(rejection);
    if is_unknown(rejection) {
        unknown(rejection).with_fields(vec![field])
    } else {
        Problem::invalid_fields(vec![field])
    }
}

/// Whether what breaks the rule is that somebody or something is not in the catalogue.
pub fn is_unknown(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::UnknownScientist(_) | Rejection::UnknownTelescope(_) | Rejection::NoTelescope)
}

/// A broken rule, at its field.
pub fn field_error(rejection: &Rejection) -> FieldError {
    let code = match rejection {
        Rejection::UnknownScientist(_) => FieldCode::UnknownScientist,
        Rejection::UnknownTelescope(_) | Rejection::NoTelescope => FieldCode::UnknownTelescope,
        Rejection::Slots(SlotRangeError::OffGrid { .. }) => FieldCode::OffGrid,
        Rejection::Slots(SlotRangeError::Duration) | Rejection::End => FieldCode::Duration,
        Rejection::EndAndDuration(..) => FieldCode::Contradiction,
        Rejection::Slots(SlotRangeError::TooLate) => FieldCode::TooLate,
        Rejection::Past(..) => FieldCode::Past,
    };
    FieldError::new(rejection.field(), code.says(rejection.to_string()))
}

/// 404 for whom or what the catalogue does not have.
pub fn unknown(rejection: &Rejection) -> Problem {
    let (code, title) = match rejection {
        Rejection::UnknownTelescope(_) | Rejection::NoTelescope => {
            ("telescopio_desconhecido", "Telescópio desconhecido")
        }
        _ => ("cientista_desconhecido", "Cientista desconhecido"),
    };
    let links = links::to_catalogue(rejection.field() == "telescopio");
    let mut detail = rejection.to_string();
    if let Some(first) = detail.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Problem::new(StatusCode::NOT_FOUND, code, title, format!("{detail}.")).with_links(links)
}

fn later(code: &'static str, title: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail).retry_after_s(RETRY_AFTER_S).already_logged()
}
