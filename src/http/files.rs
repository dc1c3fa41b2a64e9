//! Files that are embedded in the executable: with a type, a tag of their content, and a compressed form.
//!
//! A browser asks again each time (`no-cache`), and the file is sent only if it has changed. The tag is a hash of the bytes that
//! are sent: it survives a restart, and changes with the file.

use bytes::Bytes;
use flate2::Compression;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};

use super::gzip;
use super::represent::{has, tag};
use super::response::{self, Response};

/// One file.
#[derive(Debug)]
pub struct File {
    content_type: HeaderValue,
    plain: Form,
    /// The compressed form, where it is smaller.
    gzip: Option<Form>,
}

/// One form of a file as it is sent.
#[derive(Debug)]
struct Form {
    bytes: Bytes,
    tag: HeaderValue,
}

impl Form {
    fn new(bytes: Bytes) -> Self {
        Self { tag: tag(&bytes), bytes }
    }
}

impl File {
    /// A file; its name's ending decides its type.
    pub fn new(name: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let gzip = gzip::compress(&content, Compression::best()).filter(|gzip| gzip.len() < content.len());
        Self {
            content_type: HeaderValue::from_static(content_type(name).unwrap_or("application/octet-stream")),
            plain: Form::new(content),
            gzip: gzip.map(|gzip| Form::new(gzip.into())),
        }
    }

    /// Answers with the file, or with 304 if the client has it already.
    pub fn respond(&self, headers: &HeaderMap) -> Response {
        let gzip = self.gzip.as_ref().filter(|_| gzip::is_accepted(headers));
        let form = gzip.unwrap_or(&self.plain);
        let known = has(headers, &form.tag);
        let content = if known { Bytes::new() } else { form.bytes.clone() };
        let mut response = response::whole(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK }, content);
        let answer = response.headers_mut();
        answer.insert(ETAG, form.tag.clone());
        answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if known {
            return response;
        }
        answer.insert(CONTENT_TYPE, self.content_type.clone());
        if gzip.is_some() {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// The media type of a file by its name's ending.
pub fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::{ACCEPT_ENCODING, IF_NONE_MATCH};

    use super::*;

    fn headers(name: hyper::header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let file = File::new("a.txt", "abc");
        let first = file.respond(&HeaderMap::new());
        assert_eq!(first.status(), 200);
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = file.respond(&headers(IF_NONE_MATCH, &known));
            assert_eq!((again.status().as_u16(), &again.headers()[ETAG]), (304, &first.headers()[ETAG]), "{known}");
        }
        assert_eq!(file.respond(&headers(IF_NONE_MATCH, "\"x\"")).status(), 200);
        assert_ne!(File::new("a.txt", "abd").respond(&HeaderMap::new()).headers()[ETAG], tag);
    }

    #[test]
    fn compressed_for_those_who_can_read_it_and_where_it_helps() {
        let long = File::new("a.txt", "a".repeat(1000));
        let encoding = |file: &File, accept: &str| {
            let response = file.respond(&headers(ACCEPT_ENCODING, accept));
            (response.headers().contains_key(CONTENT_ENCODING), response.headers()[ETAG].clone())
        };
        let (gzip, gzip_tag) = encoding(&long, "gzip, deflate, br");
        let (plain, plain_tag) = encoding(&long, "br");
        assert_eq!((gzip, plain), (true, false));
        assert_ne!(gzip_tag, plain_tag, "a tag names bytes");
        for refused in ["gzip;q=0", "*;q=0", "", "identity"] {
            assert!(!encoding(&long, refused).0, "{refused}");
        }
        assert!(!encoding(&File::new("a.txt", "abc"), "gzip").0);
    }
}
