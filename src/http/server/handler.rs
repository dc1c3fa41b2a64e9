//! What a service is: something that answers one request at a time.

use std::future::Future;

use hyper::header::{CONNECTION, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use slog::{Logger, error, warn};

use super::request::Request;
use crate::http::problem::Problem;
use crate::http::response::Response;

/// What a browser is to forbid, in every answer: to guess another type than the answer's, to give the answer to a page of
/// another origin, and to let such a page keep a hold on the window that shows it.
pub(super) const PROTECTION: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// A service.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. An error is logged and answered as a problem document.
    fn handle(&self, request: &mut Request) -> impl Future<Output = Result<Response, Problem>> + Send;
}

/// Logs an answer that is an error, in one line, unless that was done already.
pub fn log_problem(log: &Logger, problem: &Problem) {
    if problem.is_logged() {
        return;
    }
    let (status, code) = (problem.status().as_u16(), problem.code());
    if problem.status().is_server_error() {
        error!(log, "Requisição falhou: {} {}: {}", status, code, problem.log_text());
    } else {
        warn!(log, "Requisição recusada: {} {}: {}", status, code, problem.log_text());
    }
}

/// Answers an ambiguous head, or one without TLS, and closes the connection: the bytes after it may not be a request.
pub(super) fn refuse_connection(problem: Problem, request: &Request) -> Response {
    log_problem(&request.log, &problem);
    let mut response = problem.into_response(&request.id);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
