//! What a handler answers with: a status, headers, and a body in memory or in pieces.

use std::cell::Cell;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::StatusCode;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::pieces::Pieces;

/// The most room that a thread keeps for the JSON of its next answer.
const KEPT_BYTES: usize = 16 * 1024;

thread_local! {
    /// Where the JSON of an answer is written: it need not grow there, and what is sent takes no more room than its bytes.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Room for the headers of most answers, those that every answer gets included.
const USUAL_HEADERS: usize = 12;

/// An answer's body: whole in memory, or sent in pieces.
pub type Body = Either<Full<Bytes>, Pieces>;
/// An answer.
pub type Response = hyper::Response<Body>;

/// An answer of JSON. No cache may keep it: every answer of these services is about now.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    typed(status, "application/json", body)
}

/// An answer of JSON that is sent piece by piece, as the pieces become known.
pub fn json_in_pieces(pieces: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Either::Right(Pieces::new(pieces)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer of text.
pub fn text(content_type: &'static str, text: String) -> Response {
    bytes(StatusCode::OK, content_type, text)
}

/// An answer that has nothing to say.
pub fn no_content() -> Response {
    let mut response = whole(StatusCode::NO_CONTENT, Bytes::new());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to `OPTIONS`.
pub fn options(allow: &str) -> Response {
    let mut response = no_content();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// An answer of JSON under the media type of its form.
pub(super) fn typed(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response {
    bytes(status, content_type, serialised(body))
}

/// The JSON of an answer.
pub(super) fn serialised(body: &impl Serialize) -> Bytes {
    let mut json = SCRATCH.take();
    // Answers are structs and maps with text keys: serialising one to memory cannot fail.
    serde_json::to_writer(&mut json, body).expect("an answer serialises");
    if json.capacity() > KEPT_BYTES {
        return json.into_boxed_slice().into();
    }
    let bytes = Bytes::copy_from_slice(&json);
    json.clear();
    SCRATCH.set(json);
    bytes
}

/// An answer of bytes in memory.
pub fn bytes(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Response {
    let mut response = whole(status, bytes.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without headers.
pub(super) fn whole(status: StatusCode, bytes: Bytes) -> Response {
    let mut response = Response::new(Either::Left(Full::new(bytes)));
    *response.status_mut() = status;
    response.headers_mut().reserve(USUAL_HEADERS);
    response
}
