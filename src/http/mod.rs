//! HTTP plumbing on hyper that knows no domain: a server, request bodies and their fields, problem documents, a
//! router, the links of hypermedia, embedded files, streams of events, and what to do where there is no connection.

pub mod accept;
pub mod body;
pub mod channel;
pub mod client;
pub mod fields;
pub mod files;
pub mod head;
pub mod kind;
pub mod links;
pub mod parameters;
pub mod presence;
pub mod problem;
pub mod router;
pub mod server;
pub mod socket;
pub mod sse;
mod suggest;
pub mod unknown;
pub mod unreachable;
pub mod wrong;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::StatusCode;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

/// What an answer carries: bytes whole in memory, or a stream, of events mostly.
pub type Body = Either<Full<Bytes>, sse::Stream>;
/// An answer.
pub type Response = hyper::Response<Body>;

/// An answer of JSON. Nothing that these services say may be served from a cache later.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    typed(status, "application/json", body)
}

/// An answer of JSON that leaves piece by piece, as it is known.
pub fn json_in_pieces(pieces: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Either::Right(sse::Stream::new(pieces)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer of text.
pub fn text(content_type: &'static str, text: String) -> Response {
    bytes(StatusCode::OK, content_type, text.into())
}

/// The answer to `OPTIONS`.
pub fn options(allow: &str) -> Response {
    let mut response = whole(StatusCode::NO_CONTENT, Bytes::new());
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn typed(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response {
    // Our answers are structs and maps with text keys; serialising one of those to memory cannot fail.
    bytes(status, content_type, serde_json::to_vec(body).expect("an answer serialises"))
}

/// An answer of bytes that are ready.
pub fn bytes(status: StatusCode, content_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = whole(status, bytes.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without headers yet.
fn whole(status: StatusCode, bytes: Bytes) -> Response {
    let mut response = Response::new(Either::Left(Full::new(bytes)));
    *response.status_mut() = status;
    response
}

/// An error with its causes: hyper's own message is only "client error (Connect)".
pub fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
