//! Answers in gzip, for clients that take it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::StatusCode;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use serde::Serialize;

use super::accept::Accepted;
use super::response::{self, Response};

/// An answer of JSON up to this length is sent as it is: compressing it would take longer than sending it.
const PLAIN_MAX: usize = 64 * 1024;

/// Whether a client takes gzip, by the headers of its request.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    Accepted::read(headers, &ACCEPT_ENCODING).coding("gzip") > 0.0
}

/// The compressed form of some bytes.
pub fn compress(content: &[u8], level: Compression) -> Option<Vec<u8>> {
    // Writing to memory does not fail; if it did, the plain form would be sent.
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(content).ok()?;
    encoder.finish().ok()
}

/// An answer of JSON that may be large. `headers` are those of its request.
pub fn json(headers: &HeaderMap, status: StatusCode, body: &impl Serialize) -> Response {
    let plain = response::serialised(body);
    if plain.len() <= PLAIN_MAX {
        return response::bytes(status, "application/json", plain);
    }
    let packed = if is_accepted(headers) { compress(&plain, Compression::fast()) } else { None };
    let coding = packed.is_some().then(|| HeaderValue::from_static("gzip"));
    let mut answer = response::bytes(status, "application/json", packed.unwrap_or(plain));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(coding) = coding {
        answer.headers_mut().insert(CONTENT_ENCODING, coding);
    }
    answer
}
