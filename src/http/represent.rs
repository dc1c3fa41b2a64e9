//! The form in which an answer is sent: as HAL to those who ask for it, with a tag of its bytes, compressed to those who take that, and
//! without its bytes to those who have them.
//!
//! A tag is a hash of the bytes that are sent, so it is strong: it changes with each of them, and differs between the forms of a resource.

use bytes::Bytes;
use flate2::Compression;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Body as _;
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::accept::Accepted;
use super::chunks::CHUNK as LONG;
use super::gzip;
use super::response::{self, Response};

/// The media type of [HAL](https://datatracker.ietf.org/doc/html/draft-kelly-json-hal).
const HAL: &str = "application/hal+json";
/// What stands in a tag between the version of a resource and the hash of the bytes that show it.
pub const VERSION_ENDS: char = '-';
const JSON: &str = "application/json";
/// The most bytes of an answer that is sent as HAL. It is read again for that, which takes a multiple of them.
const HAL_MAX: u64 = 256 * 1024;
/// The lists of resources. In HAL they are embedded.
const EMBEDDED: [&str; 10] = [
    "telescopios",
    "cientistas",
    "agendamentos",
    "horarios",
    "livres",
    "travas",
    "tokens",
    "problemas",
    "propostas",
    "manutencoes",
];
/// Bytes of the hash that make a tag.
const TAG_BYTES: usize = 16;

/// A tag in the making.
#[derive(Clone, Default)]
pub struct Tagger(Sha256);

impl Tagger {
    /// Takes the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The tag of all bytes.
    pub fn tag(self) -> HeaderValue {
        let tag = format!("\"{}\"", base16ct::lower::encode_string(&self.0.finalize()[..TAG_BYTES]));
        // It has only hexadecimal digits between quotation marks.
        HeaderValue::from_str(&tag).expect("a hash is a header's value")
    }
}

/// The tag of some bytes.
pub fn tag(bytes: &[u8]) -> HeaderValue {
    let mut tagger = Tagger::default();
    tagger.add(bytes);
    tagger.tag()
}

/// Whether the client names `tag` among those it has. Weak tags count: a proxy may have weakened ours.
pub fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).map(str::trim).any(|known| {
        let known = known.strip_prefix("W/").unwrap_or(known);
        known == "*" || known.as_bytes() == tag.as_bytes()
    })
}

/// Whether the client prefers HAL to plain JSON.
pub fn asks_for_hal(headers: &HeaderMap) -> bool {
    // Nearly no request names it, and reading the others' lists would cost each of them something.
    let may_name_it = |value: &HeaderValue| value.as_bytes().windows(3).any(|word| word.eq_ignore_ascii_case(b"hal"));
    if !headers.get_all(ACCEPT).iter().any(may_name_it) {
        return false;
    }
    let accepted = Accepted::read(headers, &ACCEPT);
    let hal = accepted.named(HAL);
    hal > 0.0 && hal >= accepted.named(JSON)
}

/// The answer to a request in the form that its head asks for. `tagged`: whether its bytes stay the same as long as the resource does.
pub fn represent(response: Response, head: &Parts, tagged: bool) -> Response {
    let (reads, fine) = (matches!(head.method, Method::GET | Method::HEAD), response.status() == StatusCode::OK);
    let response = if asks_for_hal(&head.headers) { as_hal(response) } else { response };
    if !(reads && fine) {
        return response;
    }
    let response = if tagged { with_tag(response) } else { response };
    let response = packed(response, &head.headers);
    match response.headers().get(ETAG) {
        Some(tag) if has(&head.headers, tag) => not_modified(response),
        _ => response,
    }
}

/// The answer with the tag of its bytes. The version that a handler has given it stands before that: the bytes also depend on what is
/// counted beside the resource, on who reads it and from where. An answer that is sent as it becomes known stays as it is.
fn with_tag(mut response: Response) -> Response {
    let Either::Left(whole) = response.body() else { return response };
    // Cloning shares the bytes, which are there at once.
    let Some(Ok(whole)) = whole.clone().collect().now_or_never() else { return response };
    let of_bytes = tag(&whole.to_bytes());
    let version = response.headers().get(ETAG).and_then(|version| version.to_str().ok());
    let both = version.and_then(|version| version.strip_suffix('"')).zip(of_bytes.to_str().ok());
    let both = both.map(|(version, bytes)| format!("{version}{VERSION_ENDS}{}", bytes.trim_start_matches('"')));
    let tag = both.and_then(|both| HeaderValue::try_from(both).ok()).unwrap_or(of_bytes);
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().entry(VARY).or_insert(HeaderValue::from_static("Accept"));
    response
}

/// The answer, compressed if it is long and the client takes that. One that is sent in pieces stays as it is: what makes them compresses
/// them, or they are events.
fn packed(mut response: Response, headers: &HeaderMap) -> Response {
    let Either::Left(whole) = response.body() else { return response };
    let is_long = whole.size_hint().exact().is_some_and(|length| length > LONG as u64);
    if !is_long || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let vary = response.headers().get(VARY).and_then(|vary| vary.to_str().ok()).unwrap_or_default();
    if !vary.to_ascii_lowercase().contains("accept-encoding") {
        let vary = if vary.is_empty() { "Accept-Encoding".to_owned() } else { format!("{vary}, Accept-Encoding") };
        if let Ok(vary) = HeaderValue::try_from(vary) {
            response.headers_mut().insert(VARY, vary);
        }
    }
    if !gzip::is_accepted(headers) {
        return response;
    }
    // Cloning shares the bytes, which are there at once.
    let Either::Left(whole) = response.body() else { return response };
    let Some(Ok(whole)) = whole.clone().collect().now_or_never() else { return response };
    let Some(bytes) = gzip::compress(&whole.to_bytes(), Compression::fast()) else { return response };
    *response.body_mut() = Either::Left(Full::new(bytes.into()));
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some(tag) = response.headers().get(ETAG).map(gzip::tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// 304, with the headers that the answer would have, but for those of its bytes.
fn not_modified(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.body_mut() = Either::Left(Full::new(Bytes::new()));
    for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH] {
        response.headers_mut().remove(name);
    }
    response
}

/// The answer as HAL, if it is JSON that is there already, and not too long.
fn as_hal(response: Response) -> Response {
    changed(response, Some(HAL), embedding)
}

/// The answer with its document changed, and with another type if one is given. One that is not JSON, is sent as it becomes known, or is
/// too long stays as it is.
pub fn changed(
    response: Response,
    content_type: Option<&'static str>,
    change: impl FnOnce(Value) -> Value,
) -> Response {
    // A file of JSON, which may be kept, is no resource.
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|known| known == JSON)
        && response.headers().get(CACHE_CONTROL).is_some_and(|kept| kept == "no-store");
    let is_short = response.body().size_hint().exact().is_some_and(|length| length <= HAL_MAX);
    if !is_json || !is_short || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Some(Ok(whole)) = body.collect().now_or_never() else {
        return Response::from_parts(parts, Either::Left(Full::new(Bytes::new())));
    };
    let bytes = whole.to_bytes();
    let rendered = match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => response::serialised(&change(value)),
        Err(_) => bytes,
    };
    if let Some(content_type) = content_type {
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        parts.headers.insert(VARY, HeaderValue::from_static("Accept"));
    }
    Response::from_parts(parts, Either::Left(Full::new(rendered)))
}

/// A document with its lists of resources in `_embedded`. Links have HAL's form in both.
fn embedding(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let mut embedded = Map::new();
    let mut own = Map::new();
    for (name, value) in members {
        match value {
            Value::Array(items) if EMBEDDED.contains(&name.as_str()) => {
                embedded.insert(name, items.into_iter().map(embedding).collect());
            }
            value => {
                own.insert(name, value);
            }
        }
    }
    if !embedded.is_empty() {
        own.insert("_embedded".to_owned(), Value::Object(embedded));
    }
    Value::Object(own)
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use serde_json::json;

    use super::*;

    fn head(method: &Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn list() -> Response {
        let item = json!({"id": "a", "_links": {"self": {"href": "/a"}}});
        response::json(StatusCode::OK, &json!({"telescopios": [item], "limite": 1, "_links": {"self": {"href": "/"}}}))
    }

    fn body(response: Response) -> Bytes {
        response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes()
    }

    #[test]
    fn what_is_known_is_not_sent_again_to_a_reader() {
        let first = represent(list(), &head(&Method::GET, &[]), true);
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            for method in [Method::GET, Method::HEAD] {
                let again = represent(list(), &head(&method, &[("if-none-match", &known)]), true);
                assert_eq!((again.status().as_u16(), again.headers()[ETAG].to_str().unwrap()), (304, &*tag), "{known}");
                assert!(!again.headers().contains_key(CONTENT_TYPE) && body(again).is_empty());
            }
        }
        for (method, known, tagged) in
            [(Method::GET, "\"x\"", true), (Method::POST, &*tag, true), (Method::GET, &*tag, false)]
        {
            let again = represent(list(), &head(&method, &[("if-none-match", known)]), tagged);
            assert_eq!(again.status(), 200, "{method} {known}");
        }
    }

    #[test]
    fn an_answer_of_no_bytes_has_a_tag_too() {
        let empty = represent(response::text("application/jsonl", String::new()), &head(&Method::GET, &[]), true);
        assert_eq!(empty.headers()[ETAG], tag(b""));
    }

    #[test]
    fn what_is_long_is_compressed_for_those_who_take_it_and_has_a_tag_of_its_own() {
        let text = "a".repeat(LONG + 1);
        let answer = |accept: &str, known: &str| {
            let head = head(&Method::GET, &[("accept-encoding", accept), ("if-none-match", known)]);
            represent(response::text("text/plain", text.clone()), &head, true)
        };
        let (plain, packed) = (answer("identity", "\"x\""), answer("gzip", "\"x\""));
        for response in [&plain, &packed] {
            assert_eq!(response.headers()[VARY], "Accept, Accept-Encoding");
        }
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
        let (plain_tag, tag) = (plain.headers()[ETAG].to_str().unwrap(), packed.headers()[ETAG].to_str().unwrap());
        assert_eq!(
            tag,
            plain_tag.replacen(&plain_tag[1..plain_tag.len() - 1], &format!("{}-gzip", plain_tag.trim_matches('"')), 1)
        );
        let again = answer("gzip", tag);
        assert_eq!((again.status().as_u16(), &again.headers()[VARY]), (304, &packed.headers()[VARY]));
        assert!(!again.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(answer("identity", tag).status(), 200, "other bytes");
        assert!(body(packed).len() < 1000 && body(plain).len() == LONG + 1);
        let short = represent(
            response::text("text/plain", "a".repeat(LONG)),
            &head(&Method::GET, &[("accept-encoding", "gzip")]),
            true,
        );
        assert!(!short.headers().contains_key(CONTENT_ENCODING));
    }

    #[test]
    fn hal_embeds_the_lists_and_has_its_own_tag() {
        let hal = [("accept", "application/hal+json, application/json;q=0.9")];
        let plain = represent(list(), &head(&Method::GET, &[]), true);
        let rendered = represent(list(), &head(&Method::GET, &hal), true);
        assert_eq!(rendered.headers()[CONTENT_TYPE], HAL);
        assert_ne!(rendered.headers()[ETAG], plain.headers()[ETAG]);
        let rendered: Value = serde_json::from_slice(&body(rendered)).unwrap();
        let plain: Value = serde_json::from_slice(&body(plain)).unwrap();
        assert_eq!(rendered["_embedded"]["telescopios"], plain["telescopios"]);
        assert_eq!((&rendered["_links"], &rendered["limite"]), (&plain["_links"], &plain["limite"]));
        assert!(rendered.get("telescopios").is_none());
        for other in
            ["application/json, application/hal+json;q=0.9", "*/*", "application/*", "application/hal+json;q=0"]
        {
            assert!(!asks_for_hal(&head(&Method::GET, &[("accept", other)]).headers), "{other}");
        }
    }
}
