//! Refusals as answers: the status of each code, and the problem document with the next steps.

use hyper::StatusCode;
use slog::{Logger, error};

use super::catalogue::refusal::CatalogueRefusal;
use super::code::Code;
use super::idempotency::refusal::KeyRefusal;
use super::links;
use super::refusal::{Refusal, is_unknown};
use crate::agenda::rules::BrokenRule;
use crate::agenda::{Rejection, resource};
use crate::coordinator::protocol::grace;
use crate::http::kind::Kind;
use crate::http::links::Links;
use crate::http::problem::{FieldError, Problem};
use crate::store::StoreError;
use crate::time::{Timestamp, millis};

/// Seconds after which trying again may help.
const RETRY_AFTER_S: u64 = 1;

/// The kind of problem that a code is answered with.
fn kind(code: Code) -> Kind {
    let status = match code {
        Code::NoneFree
        | Code::UnknownWait
        | Code::UnknownBooking
        | Code::UnknownContest
        | Code::UnknownScientist
        | Code::UnknownTelescope
        | Code::UnknownMaintenance
        | Code::UnknownProposal => StatusCode::NOT_FOUND,
        Code::Free
        | Code::AlreadyWaiting
        | Code::WaitsFull
        | Code::NoWaits
        | Code::WaitOver
        | Code::Busy
        | Code::Taken
        | Code::AlreadyCancelled
        | Code::Started
        | Code::Ended
        | Code::TooLateToCancel
        | Code::TelescopeExists
        | Code::BookedThen
        | Code::TooManyBookings
        | Code::TooManyMaintenances
        | Code::TooManyCalendars
        | Code::KeyInUse => StatusCode::CONFLICT,
        Code::WrongKey => StatusCode::BAD_REQUEST,
        Code::Differs => StatusCode::PRECONDITION_FAILED,
        Code::InvalidFields | Code::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        Code::WriteRefused | Code::DatabaseInconsistent => StatusCode::INTERNAL_SERVER_ERROR,
        Code::CoordinatorUnavailable
        | Code::LeaseExpired
        | Code::StaleToken
        | Code::DatabaseUnavailable
        | Code::OutcomeUnknown
        | Code::AuditUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    Kind::new(status, code.name(), code.title())
}

/// Every kind of problem that is the scheduler's own.
pub fn problem_kinds() -> impl Iterator<Item = Kind> {
    Code::ALL.iter().map(|code| kind(*code))
}

/// A refusal as the client reads it.
pub fn refused(refusal: Refusal) -> Problem {
    let problem = Problem::new(kind(refusal.code()), refusal.detail());
    match refusal {
        Refusal::Busy { telescope, start, receipt } => {
            let problem = problem.with("recurso", resource(&telescope, start)).already_logged();
            match receipt {
                Some(receipt) => problem.with("recibo", receipt),
                None => problem,
            }
        }
        Refusal::Moved { telescope, start } => problem.with("recurso", resource(&telescope, start)).already_logged(),
        Refusal::Taken { start, booking_id, scientist_id, .. } => problem
            .with("horario_inicio_utc", start.seconds().to_string())
            .with("agendamento_id", booking_id)
            .with("cientista_id", scientist_id)
            .already_logged(),
        Refusal::NoneFree { telescope, until } => {
            problem.with("ate_utc", until.seconds().to_string()).with_links(links::to_telescope(&telescope))
        }
        Refusal::Free { .. } => problem.with_links(links::to_book()),
        Refusal::AlreadyWaiting(id) | Refusal::WaitOver(id, _) => problem.with_links(links::to_wait(id)),
        Refusal::UnknownWait(_) | Refusal::WaitsFull { .. } => problem.with_links(links::to_waits()),
        Refusal::UnknownBooking(_) | Refusal::UnknownContest(_) => problem.with_links(links::to_bookings()),
        Refusal::NotCancellable(id, _) | Refusal::NotAlterable(id, _) => problem.with_links(links::to_booking(id)),
        Refusal::Differs { id, version } => {
            problem.with("etag", format!("\"{version}\"")).with("versao", version).with_links(links::to_booking(id))
        }
        Refusal::Catalogue(refusal) => match refusal {
            CatalogueRefusal::TelescopeExists(code) => problem.with_links(links::to_telescope(&code)),
            CatalogueRefusal::UnknownMaintenance(_) => problem.with_links(links::to_catalogue(true)),
            CatalogueRefusal::UnknownProposal(_) => problem.with_links(links::to_proposals()),
            _ => problem,
        },
        Refusal::Key(KeyRefusal::InUse) => problem.retry_after_s(RETRY_AFTER_S),
        Refusal::Key(_) | Refusal::NoWaits => problem,
        Refusal::Unknown(rejection) => problem.with_links(to_catalogue(&rejection)),
        Refusal::Broken(rejection) => {
            let opens_at = opening(std::slice::from_ref(&rejection));
            let problem = problem.with_fields(vec![field_error(&rejection)]).already_logged();
            let problem = with_opening(problem, opens_at);
            if is_unknown(&rejection) { problem.with_links(to_catalogue(&rejection)) } else { problem }
        }
        Refusal::NotWritten(StoreError::Refused(_)) | Refusal::NotRead(StoreError::Refused(_)) => {
            problem.already_logged()
        }
        Refusal::CoordinatorInGrace { left } => {
            problem.with(grace::LEFT, millis(left)).retry_after_s(grace::seconds(left)).already_logged()
        }
        Refusal::CoordinatorUnavailable
        | Refusal::CoordinatorTooFast
        | Refusal::LeaseExpired
        | Refusal::StaleToken
        | Refusal::NotWritten(_)
        | Refusal::NotRead(_)
        | Refusal::AuditUnavailable => problem.retry_after_s(RETRY_AFTER_S).already_logged(),
    }
}

/// When the day opens that is not open yet, if a rule says so.
pub fn opening(broken: &[Rejection]) -> Option<Timestamp> {
    broken.iter().find_map(|rejection| match rejection {
        Rejection::Rule(BrokenRule::NotOpen(opens_at)) => Some(*opens_at),
        _ => None,
    })
}

/// A problem with the instant from which on the same request is allowed.
pub fn with_opening(problem: Problem, opens_at: Option<Timestamp>) -> Problem {
    match opens_at {
        Some(at) => problem.with("abre_em_utc", at.micros().to_string()),
        None => problem,
    }
}

fn to_catalogue(rejection: &Rejection) -> Links {
    links::to_catalogue(rejection.field() == "telescopio")
}

/// 404 for a booking. `id` is as the client wrote it.
pub fn unknown_booking(id: &str) -> Problem {
    refused(Refusal::UnknownBooking(id.to_owned()))
}

/// 404 for a telescope.
pub fn unknown_telescope(code: &str) -> Problem {
    refused(Refusal::Unknown(Rejection::UnknownTelescope(code.to_owned())))
}

/// 404 for a scientist whose number in the path is none.
pub fn not_a_scientist(id: &str) -> Problem {
    let detail = format!("Não existe cientista {id}; o número é um inteiro a partir de 1.");
    Problem::new(kind(Code::UnknownScientist), detail).with_links(links::to_catalogue(false))
}

/// The answer to a reading that failed. The line that says why is logged here.
pub fn not_read(log: &Logger, error: &StoreError) -> Problem {
    error!(log, "Falha no banco de dados: {}", error);
    refused(Refusal::NotRead(error.clone()))
}

/// A broken rule, at its field.
pub fn field_error(rejection: &Rejection) -> FieldError {
    FieldError::new(rejection.field(), rejection.code().says(rejection.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agenda::NotCancellable;
    use crate::agenda::alteration::NotAlterable;

    #[test]
    fn a_refusal_is_recorded_as_it_is_answered() {
        let telescope = || "Hubble-Acad".to_owned();
        let start = Timestamp::MIN;
        let recorded = [
            Refusal::Busy { telescope: telescope(), start, receipt: None },
            Refusal::Taken { telescope: telescope(), start, booking_id: 1, scientist_id: 7 },
            Refusal::UnknownBooking("9".into()),
            Refusal::NotCancellable(1, NotCancellable::AlreadyCancelled),
            Refusal::NotCancellable(1, NotCancellable::Started),
            Refusal::NotCancellable(1, NotCancellable::TooLate(60)),
            Refusal::NotAlterable(1, NotAlterable::Started),
            Refusal::NotAlterable(1, NotAlterable::Ended),
            Refusal::Differs { id: 1, version: 3 },
            Refusal::Broken(Rejection::UnknownTelescope("X".into())),
            Refusal::Broken(Rejection::NoTelescope),
            Refusal::Broken(Rejection::UnknownScientist(77)),
            Refusal::Broken(Rejection::Past(telescope(), start)),
            Refusal::Broken(Rejection::Rule(BrokenRule::Standing(3))),
            Refusal::CoordinatorUnavailable,
            Refusal::CoordinatorTooFast,
            Refusal::CoordinatorInGrace { left: Duration::from_millis(8812) },
            Refusal::LeaseExpired,
            Refusal::StaleToken,
        ];
        for refusal in recorded {
            let (why, problem) = (refusal.why().unwrap(), refused(refusal));
            assert_eq!((why.code, why.detail), (problem.code(), problem.log_text()));
        }
    }

    #[test]
    fn one_broken_rule_reads_as_one_invalid_field() {
        let rejection = Rejection::Past("Hubble-Acad".into(), Timestamp::MIN);
        let expected = Problem::invalid_fields(vec![field_error(&rejection)]);
        assert_eq!(refused(Refusal::Broken(rejection)).to_value("r"), expected.to_value("r"));
    }

    #[test]
    fn only_a_refusal_that_may_pass_says_when_to_try_again() {
        let reason = || "x".to_owned();
        for (refusal, again) in [
            (Refusal::NotWritten(StoreError::Unavailable(reason())), true),
            (Refusal::NotWritten(StoreError::Unknown(reason())), true),
            (Refusal::NotWritten(StoreError::Refused(reason())), false),
            (Refusal::NotRead(StoreError::Refused(reason())), false),
            (Refusal::AuditUnavailable, true),
        ] {
            let response = refused(refusal).into_response("r");
            assert_eq!(response.headers().contains_key("retry-after"), again);
            assert_eq!(response.status() == StatusCode::SERVICE_UNAVAILABLE, again);
        }
    }
}
