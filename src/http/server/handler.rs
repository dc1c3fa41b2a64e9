//! What a service is: something that answers one request at a time.

use std::future::Future;
use std::time::Duration;

use hyper::StatusCode;
use slog::{Logger, error, warn};

use super::request::Request;
use crate::http::kind::Kind;
use crate::http::problem::Problem;
use crate::http::response::Response;

/// A service.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. An error is logged and answered as a problem document.
    fn handle(&self, request: &mut Request) -> impl Future<Output = Result<Response, Problem>> + Send;

    /// Learns how a request was answered, and how long that took.
    fn answered(&self, _request: &Request, _status: StatusCode, _took: Duration) {}

    /// Learns that the answer to a request is a problem of this kind.
    fn refused(&self, _kind: Kind) {}
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
