//! Hypermedia links in the form of [HAL](https://datatracker.ietf.org/doc/html/draft-kelly-json-hal), written and read.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// RFC 3986's unreserved characters stay as they are; all others are encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One link.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    href: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    templated: bool,
}

impl Link {
    /// A link to read.
    pub fn get(href: impl Into<Cow<'static, str>>) -> Self {
        Self { href: href.into(), method: None, title: None, templated: false }
    }

    /// A link to read whose `href` is an RFC 6570 template.
    pub fn template(href: impl Into<Cow<'static, str>>) -> Self {
        Self { templated: true, ..Self::get(href) }
    }

    /// A link to read, and what for.
    pub fn titled(href: impl Into<Cow<'static, str>>, title: &'static str) -> Self {
        Self { title: Some(title), ..Self::get(href) }
    }

    /// A link that does something.
    pub fn action(method: &'static str, href: impl Into<Cow<'static, str>>, title: &'static str) -> Self {
        Self { method: Some(method), title: Some(title), ..Self::get(href) }
    }
}

/// A link of another service's answer.
#[derive(Clone, Debug, Deserialize)]
pub struct ReadLink {
    /// The address, or its template.
    pub href: String,
    /// The method, where it is not `GET`.
    #[serde(default)]
    pub method: Option<String>,
    /// Whether `href` is an RFC 6570 template.
    #[serde(default)]
    pub templated: bool,
}

/// The `_links` of an answer, in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct Links(Vec<(&'static str, Link)>);

impl Links {
    /// No links yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These links and one more.
    #[must_use]
    pub fn with(mut self, rel: &'static str, link: Link) -> Self {
        self.0.push((rel, link));
        self
    }

    /// These links and, where it is allowed now, one more.
    #[must_use]
    pub fn with_if(self, allowed: bool, rel: &'static str, link: impl FnOnce() -> Link) -> Self {
        if allowed { self.with(rel, link()) } else { self }
    }

    /// These links and, where there is one, one more.
    #[must_use]
    pub fn with_some(self, rel: &'static str, link: Option<Link>) -> Self {
        match link {
            Some(link) => self.with(rel, link),
            None => self,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Links {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (rel, link) in &self.0 {
            map.serialize_entry(rel, link)?;
        }
        map.end()
    }
}

/// `path?name=value&…` with the values encoded.
pub fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut href = path.to_owned();
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        href.push(if index == 0 { '?' } else { '&' });
        href.push_str(name);
        href.push('=');
        href.extend(utf8_percent_encode(value, ENCODED));
    }
    href
}

/// `name` as one segment of a path.
pub fn path_segment(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_hal_in_order() {
        let links = Links::new()
            .with("self", Link::get("/a"))
            .with("busca", Link::template("/b{?c}"))
            .with_if(true, "cancelar", || Link::action("DELETE", "/a", "Cancelar"))
            .with_if(false, "nunca", || Link::get("/nunca"));
        assert_eq!(
            serde_json::to_string(&links).unwrap(),
            r#"{"self":{"href":"/a"},"busca":{"href":"/b{?c}","templated":true},"cancelar":{"href":"/a","method":"DELETE","title":"Cancelar"}}"#
        );
    }

    #[test]
    fn query_values_are_encoded() {
        assert_eq!(
            with_query("/a", [("de", "2025-12-01T03:00:00Z"), ("x", "a&b ç")]),
            "/a?de=2025-12-01T03%3A00%3A00Z&x=a%26b%20%C3%A7"
        );
    }
}
