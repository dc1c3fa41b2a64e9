//! The headers `Accept`, `Accept-Encoding` and `Accept-Language`: lists of names with weights, by which a client says what it
//! prefers.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110#section-12.5>

use hyper::header::{HeaderMap, HeaderName};

/// The names of one header with their weights, from 0 to 1.
#[derive(Debug)]
pub struct Accepted(Vec<(String, f32)>);

impl Accepted {
    /// Reads a header. One that is absent is an empty list.
    pub fn read(headers: &HeaderMap, header: &HeaderName) -> Self {
        let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
        Self(values.flat_map(|value| value.split(',')).map(weighed).collect())
    }

    /// Whether the list has no names: then nothing is preferred, and everything accepted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(name, _)| name.is_empty())
    }

    /// The weight of `name` itself; 0 where it is not in the list.
    pub fn named(&self, name: &str) -> f32 {
        self.weight(name).unwrap_or(0.0)
    }

    /// The weight of a media type, by the most specific range that matches it: `text/html`, `text/*`, `*/*`.
    pub fn media_type(&self, name: &str) -> f32 {
        let kind = name.split_once('/').map_or(name, |(kind, _)| kind);
        self.weight(name).or_else(|| self.weight(&format!("{kind}/*"))).or_else(|| self.weight("*/*")).unwrap_or(0.0)
    }

    /// Whether the media type `name` is preferred to `other`: by weight, and with equal weights by the more specific range.
    pub fn prefers(&self, name: &str, other: &str) -> bool {
        let exactness = |name: &str| {
            let kind = name.split_once('/').map_or(name, |(kind, _)| kind);
            ["*/*", &format!("{kind}/*"), name].iter().rposition(|range| self.weight(range).is_some())
        };
        let (weight, others) = (self.media_type(name), self.media_type(other));
        let order = weight.total_cmp(&others).then_with(|| exactness(name).cmp(&exactness(other)));
        weight > 0.0 && order.is_gt()
    }

    /// The weight of a content coding.
    pub fn coding(&self, name: &str) -> f32 {
        self.weight(name).or_else(|| self.weight("*")).unwrap_or(0.0)
    }

    /// Which of these languages is preferred, by its place in `tags`. A tag like `en` is meant by `en-GB` too, and `*` by each
    /// tag that is not named. Of the same weight the first in the header is preferred. `None` if none of them is accepted.
    pub fn language(&self, tags: &[&str]) -> Option<usize> {
        let best = |tag: &str| {
            let is = |name: &str| name == tag || name.strip_prefix(tag).is_some_and(|rest| rest.starts_with('-'));
            let entries = self.0.iter().enumerate().map(|(place, (name, weight))| (place, name, *weight));
            let by = |meant: &dyn Fn(&str) -> bool| {
                let meant = entries.clone().filter(|(_, name, _)| meant(name));
                meant
                    .map(|(place, _, weight)| (weight, place))
                    .reduce(|best, next| if next.0 > best.0 { next } else { best })
            };
            by(&is).or_else(|| by(&|name| name == "*")).filter(|(weight, _)| *weight > 0.0)
        };
        let accepted = tags.iter().enumerate().filter_map(|(index, tag)| Some((index, best(tag)?)));
        let preferred = accepted.min_by(|(_, one), (_, other)| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
        preferred.map(|(index, _)| index)
    }

    /// The weight of an entry; the greatest if it is repeated.
    fn weight(&self, name: &str) -> Option<f32> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, weight)| *weight).reduce(f32::max)
    }
}

fn weighed(entry: &str) -> (String, f32) {
    let mut parts = entry.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
    // A weight outside the range, or one that is no number, counts as 0.
    (name, if (0.0..=1.0).contains(&weight) { weight } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use hyper::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderValue};

    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        let of = |accept: &'static str, name: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            Accepted::read(&headers, &ACCEPT).media_type(name)
        };
        let close = |left: f32, right: f32| assert!((left - right).abs() < 1e-6, "{left} {right}");
        close(of("text/*;q=0.5, */*;q=0.1", "text/html"), 0.5);
        close(of("text/html;q=0, */*", "text/html"), 0.0);
        close(of("Text/HTML ; charset=utf-8 ; Q=0.7, */*", "text/html"), 0.7);
        close(of("*/*;q=0.8", "application/json"), 0.8);
        close(of("", "application/json"), 0.0);
        close(of("application/json;q=9", "application/json"), 0.0);
        close(of("application/json;q=nan", "application/json"), 0.0);
    }

    #[test]
    fn a_language_is_preferred_by_its_weight_and_then_by_its_place() {
        let preferred = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(accept))]);
            let languages = ["pt", "en"];
            Accepted::read(&headers, &ACCEPT_LANGUAGE).language(&languages).map(|index| languages[index])
        };
        for accept in
            ["pt", "PT-br", "pt-PT, en", "en;q=0.8, pt-BR", "*", "fr, *;q=0.1", "en;q=0, *", "en;q=0.1, *;q=0.2"]
        {
            assert_eq!(preferred(accept), Some("pt"), "{accept}");
        }
        for accept in [
            "en",
            "en-US,en;q=0.9,pt;q=0.8",
            "EN-gb, pt",
            "fr, en;q=0.1",
            "pt;q=0, *",
            "en;q=0.2, en-US;q=0.9, pt;q=0.5",
        ] {
            assert_eq!(preferred(accept), Some("en"), "{accept}");
        }
        for accept in ["", "fr, de", "pt;q=0, en;q=0", "ptx", "english"] {
            assert_eq!(preferred(accept), None, "{accept}");
        }
    }

    #[test]
    fn of_the_same_weight_the_more_specific_range_wins() {
        let prefers_html = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            Accepted::read(&headers, &ACCEPT).prefers("text/html", "application/json")
        };
        for html in
            ["text/html", "text/html, */*", "*/*, text/*", "text/html, application/*", "*/*;q=0.5, text/html;q=0.5"]
        {
            assert!(prefers_html(html), "{html}");
        }
        let json = ["", "*/*", "application/json, text/html", "application/json, */*", "text/html;q=0, */*;q=0"];
        for json in json.into_iter().chain(["text/html;q=0.9, */*", "text/*, application/json"]) {
            assert!(!prefers_html(json), "{json}");
        }
    }
}
