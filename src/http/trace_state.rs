//! The header `tracestate`: what the systems that follow a trace keep in it ([W3C Trace Context](https://www.w3.org/TR/trace-context/)).
//!
//! It is a list of `key=value`. This service has no entry of its own, so it passes the list on as it came, or not at all.

use std::collections::BTreeSet;

use hyper::header::{HeaderMap, HeaderValue};

/// The longest list that is passed on.
const BYTES_MAX: usize = 512;
/// The most entries of a list.
const ENTRIES_MAX: usize = 32;
/// The longest key, and the longest value.
const PART_BYTES_MAX: usize = 256;

/// The list of a request. Several headers are one list, in their order. `None` if it is absent or invalid.
pub(super) fn sent(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all("tracestate").iter().map(HeaderValue::to_str);
    let list = values.collect::<Result<Vec<_>, _>>().ok()?.join(",");
    is_one(&list).then_some(list)
}

/// Whether a text is such a list. Between commas there may be nothing, but one entry there is, and no key comes twice.
pub(super) fn is_one(list: &str) -> bool {
    let mut keys = BTreeSet::new();
    let mut entries = list.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty());
    let fit = entries.all(|entry| {
        entry.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value) && keys.insert(key))
    });
    fit && (1..=ENTRIES_MAX).contains(&keys.len()) && list.len() <= BYTES_MAX
}

fn is_key(key: &str) -> bool {
    key.len() <= PART_BYTES_MAX
        && key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
        })
}

/// A value has no comma, no `=` and no space at its end, which the entry was freed from.
fn is_value(value: &str) -> bool {
    (1..=PART_BYTES_MAX).contains(&value.len()) && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_passed_on_whole_or_not_at_all() {
        let entries = |count: usize| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        let long = format!("a={},b={}", "x".repeat(256), "y".repeat(251));
        assert_eq!(long.len(), 512);
        for fine in
            ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "1@ven-dor*/_=a b", "a=1, ,\tb=2 ,", &long, &entries(32)]
        {
            assert!(is_one(fine), "{fine}");
        }
        for wrong in [
            "",
            " , ",
            "a",
            "a=",
            "=1",
            "A=1",
            "@a=1",
            "a=1=2",
            "a=1,a=2",
            "a=1\n",
            "a=é",
            "a b=1",
            &format!("{long}y"),
            &format!("{}=1", "k".repeat(257)),
            &format!("a={}", "x".repeat(257)),
            &entries(33),
        ] {
            assert!(!is_one(wrong), "{wrong}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        assert_eq!(sent(&headers), None);
        headers.append("tracestate", "a=1".parse().unwrap());
        headers.append("tracestate", "b=2,c=3".parse().unwrap());
        assert_eq!(sent(&headers).as_deref(), Some("a=1,b=2,c=3"));
        headers.append("tracestate", "a=4".parse().unwrap());
        assert_eq!(sent(&headers), None);
    }
}
