//! The little HTML that services write themselves: escaped text, and a page without scripts.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use hyper::header::{ACCEPT, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, VARY};
use sha2::{Digest, Sha256};

use super::accept::Accepted;
use super::response::{self, Response};

/// The whole style of such a page: it follows the browser's colours, and lines are not too long to read.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}\
                     table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}";

/// Nothing is loaded, and the style above is the only one.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // It has only ASCII.
    HeaderValue::from_str(&policy).expect("a hash is a part of a header's value")
});

/// Whether the client prefers HTML to JSON, as browsers do.
pub fn is_preferred(headers: &HeaderMap) -> bool {
    Accepted::read(headers, &ACCEPT).prefers("text/html", "application/json")
}

/// A text inside an element or an attribute.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page in Portuguese. `title` is text, `body` is HTML.
pub fn page(title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"pt-BR\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} – SCTEC</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>",
        escaped(title)
    );
    let mut response = response::bytes(StatusCode::OK, "text/html; charset=utf-8", text.into_bytes());
    let all: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (VARY, HeaderValue::from_static("Accept")),
    ];
    response.headers_mut().extend(all);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_html_and_programs_json() {
        let page =
            |accept: &'static str| is_preferred(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
        for browser in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "text/html",
            "text/*, application/json;q=0.9",
            "application/json;q=0.4, text/html;q=0.5",
        ] {
            assert!(page(browser), "{browser}");
        }
        for program in
            ["*/*", "", "application/json", "application/json, text/html", "text/html;q=0", "text/html;q=0.5, */*", "x"]
        {
            assert!(!page(program), "{program}");
        }
        assert!(!is_preferred(&HeaderMap::new()));
    }

    #[test]
    fn a_text_cannot_become_markup() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        let policy = page("<b>", "").headers()[CONTENT_SECURITY_POLICY].clone();
        assert!(policy.to_str().unwrap().starts_with("default-src 'none'; style-src 'sha256-"));
    }
}
