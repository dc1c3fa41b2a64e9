//! Writes and reads hypermedia links in the form of [HAL](https://datatracker.ietf.org/doc/html/draft-kelly-json-hal).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::prefix::{Prefix, seen};
use crate::time::Timestamp;

/// RFC 3986's unreserved characters stay as they are; all others are encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Room for most queries, so that a path with one need not grow.
const QUERY_BYTES: usize = 96;

/// Room for the links of most answers.
const USUAL_LINKS: usize = 8;

/// The relations of pages, with their registered names.
const REGISTERED: [(&str, &str); 4] =
    [("self", "self"), ("anterior", "prev"), ("proxima", "next"), ("seguinte", "next")];

/// One link.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    #[serde(serialize_with = "as_seen")]
    href: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    templated: bool,
    /// The fields that the action takes now, where that depends on the resource.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    campos: &'static [&'static str],
}

impl Link {
    /// A link for `GET`.
    pub fn get(href: impl Into<Cow<'static, str>>) -> Self {
        Self { href: href.into(), method: None, title: None, templated: false, campos: &[] }
    }

    /// A link for `GET` whose `href` is an RFC 6570 template.
    pub fn template(href: impl Into<Cow<'static, str>>) -> Self {
        Self { templated: true, ..Self::get(href) }
    }

    /// A link for `GET` with a title.
    pub fn titled(href: impl Into<Cow<'static, str>>, title: &'static str) -> Self {
        Self { title: Some(title), ..Self::get(href) }
    }

    /// The link for another method.
    #[must_use]
    pub fn with_method(self, method: &'static str) -> Self {
        Self { method: Some(method), ..self }
    }

    /// The link with a title.
    #[must_use]
    pub fn with_title(self, title: &'static str) -> Self {
        Self { title: Some(title), ..self }
    }

    /// The link with the fields that its action takes.
    #[must_use]
    pub fn with_fields(self, fields: &'static [&'static str]) -> Self {
        Self { campos: fields, ..self }
    }

    /// A link for another method, with a title.
    pub fn action(method: &'static str, href: impl Into<Cow<'static, str>>, title: &'static str) -> Self {
        Self { method: Some(method), title: Some(title), ..Self::get(href) }
    }
}

/// Writes an address as the client sees it.
fn as_seen<S: Serializer>(href: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&seen(href))
}

/// A link read from another service's answer.
#[derive(Clone, Debug, Deserialize)]
pub struct ReadLink {
    /// The URL, or an RFC 6570 template of it.
    pub href: String,
    /// The method, if it is not `GET`.
    #[serde(default)]
    pub method: Option<String>,
    /// Whether `href` is an RFC 6570 template.
    #[serde(default)]
    pub templated: bool,
}

/// Links that are the same in every answer. Their JSON is made once, for the clients that see the service below no prefix.
#[derive(Debug)]
pub struct FixedLinks {
    links: Links,
    plain: Box<RawValue>,
}

impl FixedLinks {
    /// These links.
    pub fn new(links: Links) -> Self {
        // The first answer that has them may be one below a prefix. Structs of texts: serialising them to memory cannot fail.
        let plain = Prefix::without(|| to_raw_value(&links)).expect("links serialise");
        Self { links, plain }
    }
}

impl Serialize for FixedLinks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if Prefix::is_there() { self.links.serialize(serializer) } else { self.plain.serialize(serializer) }
    }
}

/// The links of one answer, or those that it shares with others.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum NextSteps {
    /// Made for this answer.
    Own(Links),
    /// The same as those of other answers.
    Shared(Arc<FixedLinks>),
}

impl NextSteps {
    /// Whether there are no links.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Own(links) => links.is_empty(),
            Self::Shared(fixed) => fixed.links.is_empty(),
        }
    }
}

impl Default for NextSteps {
    fn default() -> Self {
        Self::Own(Links::default())
    }
}

impl From<Links> for NextSteps {
    fn from(links: Links) -> Self {
        Self::Own(links)
    }
}

impl From<Arc<FixedLinks>> for NextSteps {
    fn from(links: Arc<FixedLinks>) -> Self {
        Self::Shared(links)
    }
}

/// The `_links` of an answer, in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct Links(Vec<(&'static str, Link)>);

impl Links {
    /// An empty list of links.
    pub fn new() -> Self {
        Self(Vec::with_capacity(USUAL_LINKS))
    }

    /// Adds a link.
    #[must_use]
    pub fn with(mut self, rel: &'static str, link: Link) -> Self {
        self.0.push((rel, link));
        self
    }

    /// Adds a link if `allowed` is true.
    #[must_use]
    pub fn with_if(self, allowed: bool, rel: &'static str, link: impl FnOnce() -> Link) -> Self {
        if allowed { self.with(rel, link()) } else { self }
    }

    /// Adds a link if it is `Some`.
    #[must_use]
    pub fn with_some(self, rel: &'static str, link: Option<Link>) -> Self {
        match link {
            Some(link) => self.with(rel, link),
            None => self,
        }
    }

    /// The header `Link` ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)) of a page of a list: itself, the one before and the next.
    pub fn header(&self) -> Option<HeaderValue> {
        let mut text = String::new();
        for (rel, link) in self.0.iter().filter(|(_, link)| link.method.is_none() && !link.templated) {
            let Some((_, registered)) = REGISTERED.iter().find(|(known, _)| known == rel) else { continue };
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{separator}<{}>; rel=\"{registered}\"", seen(&link.href));
        }
        // An `href` is encoded, so it is ASCII without `>`.
        HeaderValue::try_from(text).ok().filter(|text| !text.is_empty())
    }

    /// Whether there are no links.
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
    pairs.into_iter().fold(Href::to(path), |href, (name, value)| href.with(name, value)).finish()
}

/// An address in the making: its parts are written one after the other into one text.
pub struct Href {
    text: String,
    has_query: bool,
}

impl Href {
    /// The address of a path.
    pub fn to(path: &str) -> Self {
        let mut text = String::with_capacity(path.len() + QUERY_BYTES);
        text.push_str(path);
        Self { text, has_query: false }
    }

    /// The address with this path added at its end.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        self.text.push_str(path);
        self
    }

    /// The same with a parameter, whose value is encoded.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let before = if std::mem::replace(&mut self.has_query, true) { "&" } else { "?" };
        for part in [before, name, "="] {
            self.text.push_str(part);
        }
        self.text.extend(utf8_percent_encode(value, ENCODED));
        self
    }

    /// The same with an instant, in whole seconds.
    #[must_use]
    pub fn at(self, name: &str, at: Timestamp) -> Self {
        at.seconds().give(|text| self.with(name, text))
    }

    /// The whole address.
    pub fn finish(self) -> String {
        self.text
    }
}

/// `name` as one segment of a path.
pub fn path_segment(name: &str) -> Cow<'_, str> {
    utf8_percent_encode(name, ENCODED).into()
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
    fn fixed_links_are_written_as_others_below_each_prefix() {
        let links = || Links::new().with("self", Link::get("/a")).with("criar", Link::action("POST", "/b", "Criar"));
        let prefix: Prefix = "/sctec".parse().unwrap();
        // Those that are made below a prefix are not bound to it.
        for fixed in [FixedLinks::new(links()), prefix.within(|| FixedLinks::new(links()))] {
            let both = || (serde_json::to_string(&fixed).unwrap(), serde_json::to_string(&links()).unwrap());
            for (written, expected) in [both(), prefix.within(both)] {
                assert_eq!(written, expected);
            }
            assert_eq!(serde_json::to_value(&fixed).unwrap(), serde_json::to_value(links()).unwrap());
        }
    }

    #[test]
    fn pages_are_linked_in_the_head_by_registered_names() {
        let page = Links::new()
            .with("self", Link::get("/a?x=%3E"))
            .with("anterior", Link::get("/b"))
            .with("seguinte", Link::get("/c"))
            .with("agenda", Link::template("/d{?e}"))
            .with("proxima", Link::action("POST", "/f", "não é uma página"));
        let expected = r#"</a?x=%3E>; rel="self", </b>; rel="prev", </c>; rel="next""#;
        assert_eq!(page.header().unwrap(), expected);
        assert_eq!(Links::new().header(), None);
    }

    #[test]
    fn query_values_are_encoded() {
        assert_eq!(
            with_query("/a", [("de", "2025-12-01T03:00:00Z"), ("x", "a&b ç")]),
            "/a?de=2025-12-01T03%3A00%3A00Z&x=a%26b%20%C3%A7"
        );
    }
}
