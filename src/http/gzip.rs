//! Gzip, for clients that take it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, HeaderMap};

use super::accept::Accepted;

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
