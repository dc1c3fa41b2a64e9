//! Why a booking or a cancellation was refused, and the one place that chooses the status for it.

use hyper::StatusCode;

use super::links;
use crate::agenda::NotCancellable;
use crate::audit::record::Why;
use crate::http::problem::Problem;
use crate::time::Timestamp;

/// Seconds after which trying again may help.
const RETRY_AFTER_S: u64 = 1;

/// Why nothing was written. The log has it already where a step of the use case failed.
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
    /// The database cannot be written or read.
    StoreUnavailable,
    /// The audit file cannot be written.
    AuditUnavailable,
}

impl Refusal {
    /// Why, as the audit records it; `None` where a record cannot be made either.
    pub fn why(&self) -> Option<Why> {
        if matches!(self, Self::StoreUnavailable | Self::AuditUnavailable) {
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
            Self::StoreUnavailable => store_unavailable(),
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

/// 503 for the database; the log has the cause.
pub fn store_unavailable() -> Problem {
    let detail = "O banco de dados não pode ser usado agora; nada foi gravado. Tente de novo em instantes.";
    later("banco_indisponivel", "Banco de dados indisponível", detail)
}

fn later(code: &'static str, title: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail).retry_after_s(RETRY_AFTER_S).already_logged()
}
