//! The catalogue over HTTP: lists of telescopes and scientists with a search by name, and for operators what is new or changed in them.

mod hours;
mod lists;
pub mod proposals;
pub mod refusal;
pub mod scientists;
pub mod telescopes;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::Serialize;
use slog::error;

use super::app::App;
use super::book::check_audit;
use super::origin::Origin;
use super::outcome::store_failed;
use super::problems::refused;
use crate::agenda::proposal::TELESCOPES_MAX;
use crate::http::precondition::{other_version, tagged};
use crate::http::prefix::seen;
use crate::http::problem::{FieldError, Problem};
use crate::http::wrong::FieldCode;
use crate::http::{self, Response};
use crate::store::{Answer, NotChanged};

/// The most bytes of a body.
pub const BODY_MAX: usize = 16 * 1024;
/// The most characters of a name.
const NAME_MAX_CHARS: usize = 200;

/// Makes a change of the catalogue. What is cached here is right before the change is answered.
async fn make<T>(app: &App, origin: &Origin, change: Answer<'_, T>) -> Result<T, Problem> {
    check_audit(app, origin).map_err(refused)?;
    let made = change.await.map_err(|error| refused(store_failed(origin, &error)))?;
    // The change is made, also if this reading fails: the next request reads again.
    if let Err(error) = app.reload_catalogue().await {
        error!(origin.log, "Falha no banco de dados: {}", error);
    }
    Ok(made)
}

/// A change that was asked for under a condition, or of what may not exist.
fn changed<T>(outcome: Result<T, NotChanged>, unknown: impl FnOnce() -> Problem) -> Result<T, Problem> {
    outcome.map_err(|not| match not {
        NotChanged::Unknown => unknown(),
        NotChanged::OtherVersion(current) => other_version(&current),
        NotChanged::Contradiction => Problem::invalid_fields(vec![ends_before()]),
        NotChanged::TooManyTelescopes => {
            let words =
                format!("uma proposta pode ter minutos em até {TELESCOPES_MAX} telescópios; tire algum com null");
            Problem::invalid_fields(vec![FieldError::new("alocado_min", FieldCode::Length.says(words))])
        }
    })
}

/// The error of a period that ends before it begins.
fn ends_before() -> FieldError {
    FieldError::new("fim_utc", FieldCode::Contradiction.says("deve ser depois de inicio_utc"))
}

/// A resource with its version.
fn shown(view: &impl Serialize, version: &str) -> Response {
    tagged(http::json(StatusCode::OK, view), version)
}

/// A resource that is new, with its version and its path.
fn created(view: &impl Serialize, version: &str, path: &str) -> Response {
    let mut response = tagged(http::json(StatusCode::CREATED, view), version);
    if let Ok(location) = HeaderValue::from_str(&seen(path)) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
