//! What every answer gets before it goes out: its headers, and the room for its bytes.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Either, Full};
use hyper::body::Body as _;
use hyper::header::{CONNECTION, DATE, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::request::Request;
use crate::http::bounds::{Visit, kept};
use crate::http::no_room;
use crate::http::problem::Problem;
use crate::http::response::Response;
use crate::time::Timestamp;

const TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a browser is to forbid, in every answer: to guess another type than the answer's, to give the answer to a page of
/// another origin, and to let such a page keep a hold on the window that shows it.
pub(super) const PROTECTION: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

thread_local! {
    /// The second of the last answer, and its `Date`: under load many answers have the same.
    static LAST_DATE: RefCell<Option<(i64, HeaderValue)>> = const { RefCell::new(None) };
}

/// The official time in the form of `Date`. hyper's own `Date` stands still when the machine's clock is set back.
pub(super) fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let second = at.as_micros() / 1_000_000;
    LAST_DATE.with_borrow_mut(|last| match last {
        Some((known, date)) if *known == second => Some(date.clone()),
        _ => last.insert((second, written_date(at)?)).1.clone().into(),
    })
}

fn written_date(at: Timestamp) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::try_from(date).ok()
}

/// Adds the headers that every answer to `request` has.
pub fn add_headers(headers: &mut HeaderMap, request: &Request, now: Timestamp, begun: Instant) {
    request.id.write_to(headers);
    request.meter.write_to(headers);
    if let Some(date) = http_date(now) {
        headers.insert(DATE, date);
    }
    if let Some(timing) = request.steps.get().map(|steps| steps.header(begun.elapsed())) {
        headers.insert(TIMING, timing);
    }
    for (name, value) in PROTECTION {
        headers.insert(name, value);
    }
}

/// Makes an answer the connection's last: the bytes after its request may not be a request.
pub fn last(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An answer whose bytes count as long as the client has not read them.
///
/// # Errors
/// When there is no room for them.
pub fn counted(mut response: Response, visit: &Arc<Visit>, reads: bool) -> Result<Response, Problem> {
    let Either::Left(whole) = response.body_mut() else { return Ok(response) };
    let length = whole.size_hint().exact().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let held = match visit.answer(length) {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(response),
        // What was asked for is done already, and its client has to know that.
        Err(_) if !reads => return Ok(response),
        Err(full) => return Err(no_room::for_answer(full)),
    };
    // The bytes of such a body are there at once.
    let frame = futures_util::FutureExt::now_or_never(whole.frame());
    if let Some(Some(Ok(frame))) = frame
        && let Ok(bytes) = frame.into_data()
    {
        *whole = Full::new(kept(bytes, Some(held)));
    }
    Ok(response)
}
