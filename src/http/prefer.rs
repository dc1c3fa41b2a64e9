//! The header `Prefer` ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240)): what a client would like, and a service may ignore.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::head::only;

/// The header.
const NAME: HeaderName = HeaderName::from_static("prefer");
/// The header that says which preference was applied.
pub const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The preference for a short answer.
pub const MINIMAL: HeaderValue = HeaderValue::from_static("return=minimal");

/// The value of the preference of this name. Of several, the first counts.
pub fn preference<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    if !headers.contains_key(NAME) {
        return None;
    }
    let values = headers.get_all(NAME).into_iter().filter_map(|value| value.to_str().ok());
    let (_, value) = values
        .flat_map(preferences)
        // Parameters of a preference follow a semicolon. Those that are known here have none, so they are ignored.
        .filter_map(|preference| preference.split(';').next().unwrap_or_default().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    Some(value.trim().trim_matches('"'))
}

/// Whether a request has no other preference than the one for a short answer, as the schedulers write it.
pub fn is_only_minimal(headers: &HeaderMap) -> bool {
    only(headers, NAME) == Some(&MINIMAL)
}

/// Whether the client wants a short answer.
pub fn is_minimal(headers: &HeaderMap) -> bool {
    is_only_minimal(headers) || preference(headers, "return").is_some_and(|value| value.eq_ignore_ascii_case("minimal"))
}

/// Splits a header into its preferences. A comma inside a quoted value is not a separator.
fn preferences(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    header.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_answer_is_asked_for_by_the_first_return() {
        let minimal = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", HeaderValue::from_static(value));
            is_minimal(&headers)
        };
        for asked in
            ["return=minimal", "handling=strict, Return = \"MINIMAL\"; x=1", "return=minimal, return=representation"]
        {
            assert!(minimal(asked), "{asked}");
        }
        for other in
            ["", "return", "return=representation", "x=\"a, return=minimal\"", "return=representation, return=minimal"]
        {
            assert!(!minimal(other), "{other}");
        }
        assert!(!is_minimal(&HeaderMap::new()));
    }
}
