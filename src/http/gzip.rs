//! Gzip, for clients that take it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::accept::Accepted;

/// The end of the tag of a compressed form. What stands before it is a tag that may be expected with `If-Match`.
const ENDING: &str = "-gzip";

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

/// The tag of the compressed form of what has this tag: a strong tag names bytes
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.3)).
pub fn tag(plain: &HeaderValue) -> HeaderValue {
    let text = plain.to_str().ok().and_then(|text| text.strip_suffix('"'));
    let packed = text.and_then(|text| HeaderValue::try_from(format!("{text}{ENDING}\"")).ok());
    packed.unwrap_or_else(|| plain.clone())
}
