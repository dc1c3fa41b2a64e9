//! What a run is to do.

use super::stats::Expectation;
use crate::http::client::{Security, Url};
use crate::time::Timestamp;

/// A checked stress run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The scheduler's entry point.
    pub url: Url,
    /// Whose certificate is believed, and the token that is sent.
    pub security: Security,
    /// How many requests.
    pub n: u32,
    /// Connections open at once, at most `n`.
    pub connections: u32,
    /// The first slot; `None` is a free one.
    pub slot: Option<Timestamp>,
    /// Whether each request has a slot of its own, one after the other from the first.
    pub distinct: bool,
    /// The scientist who books.
    pub scientist: i64,
    /// The telescope; `None` is the first.
    pub telescope: Option<String>,
    /// The expected result.
    pub expectation: Expectation,
}
