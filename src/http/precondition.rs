//! Conditional changes: a client that has read a resource changes it only while nobody else has (`If-Match`,
//! [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match)).

use hyper::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH};

use super::kind;
use super::problem::Problem;
use super::represent::VERSION_ENDS;
use super::response::Response;

/// The versions of which a client says that one has to be the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Any version: `*`. It has to exist.
    Any,
    /// One of these.
    Versions(Vec<String>),
}

impl IfMatch {
    /// Reads the header, if it is there. A weak tag is left out: it fits no version.
    ///
    /// # Errors
    /// 400 when it is not a list of tags.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut versions = Vec::new();
        let mut is_there = false;
        for value in headers.get_all(IF_MATCH) {
            is_there = true;
            let text = value.to_str().map_err(|_| malformed())?;
            if text.trim() == "*" {
                return Ok(Some(Self::Any));
            }
            versions.extend(tags(text).ok_or_else(malformed)?);
        }
        Ok(is_there.then_some(Self::Versions(versions)))
    }

    /// The versions, of a resource whose versions are numbers; `None` if any will do. What is no such number fits none.
    pub fn numbers(self) -> Option<Vec<i64>> {
        let Self::Versions(versions) = self else { return None };
        let number = |text: &String| text.parse::<i64>().ok().filter(|number| number.to_string() == *text);
        Some(versions.iter().filter_map(number).collect())
    }

    /// Whether a resource of this version may be changed.
    pub fn fits(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.iter().any(|known| known == version),
        }
    }
}

/// The strong tags of a list; `None` if it is none.
fn tags(text: &str) -> Option<Vec<String>> {
    let (mut rest, mut tags) = (text.trim(), Vec::new());
    loop {
        let (is_weak, opened) = match rest.strip_prefix("W/") {
            Some(weak) => (true, weak),
            None => (false, rest),
        };
        let (tag, after) = opened.strip_prefix('"')?.split_once('"')?;
        if !is_weak {
            tags.push(tag.split(VERSION_ENDS).next().unwrap_or(tag).to_owned());
        }
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(tags);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

fn malformed() -> Problem {
    let detail = "O cabeçalho If-Match deve ser * ou o ETag de uma resposta anterior, entre aspas, como \"9f86d081884c7d659a2f\".";
    Problem::new(kind::MALFORMED_HEAD, detail)
}

/// 412: the resource has another version than the client knows. `current` is its `ETag` now.
pub fn other_version(current: &str) -> Problem {
    let detail = "O recurso mudou desde que foi lido, e nada foi alterado. Leia-o de novo, e repita o pedido com o novo ETag em If-Match.";
    Problem::new(kind::OTHER_VERSION, detail).with("etag", format!("\"{current}\""))
}

/// The answer with the version of the resource that it shows.
pub fn tagged(mut response: Response, version: &str) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Result<Option<IfMatch>, Problem> {
        let values = values.iter().map(|value| (IF_MATCH, HeaderValue::from_static(value)));
        IfMatch::read(&values.collect())
    }

    #[test]
    fn only_the_version_that_the_client_knows_may_be_changed() {
        let fits = |value, version| read(&[value]).unwrap().unwrap().fits(version);
        assert!(read(&[]).unwrap().is_none());
        assert!(fits("\"a\"", "a") && fits("*", "a") && fits("\"b\" , \"a\"", "a") && fits("\"\"", ""));
        assert!(!fits("\"b\"", "a") && !fits("W/\"a\"", "a"));
        assert!(fits("W/\"a\",\"a\"", "a") && fits("\"a,b\"", "a,b"));
        assert!(fits("\"a-1f\"", "a"), "the bytes that show a version are no part of it");
        assert!(read(&["\"b\"", "\"a\""]).unwrap().unwrap().fits("a"));
        let numbers = |value| read(&[value]).unwrap().unwrap().numbers();
        assert_eq!((numbers("*"), numbers("\"3-1f\", \"12\"")), (None, Some(vec![3, 12])));
        assert_eq!(numbers("\"x\", W/\"3\", \"+3\", \"03\", \"\""), Some(Vec::new()));
        for wrong in ["", "a", "\"a", "\"a\" \"b\"", "\"a\",", "w/\"a\""] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
