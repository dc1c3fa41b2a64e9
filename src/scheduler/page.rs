//! The web page's files, which are part of the executable. At `/` a browser gets the page, and other clients get JSON.
//!
//! Every file in `assets/page` is served; `build.rs` generates the table of these files.

use std::collections::HashMap;
use std::sync::LazyLock;

use hyper::header::{ACCEPT, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, VARY};

use crate::http::Response;
use crate::http::accept::Accepted;
use crate::http::files::File;
use crate::http::problem::Problem;

/// The file that is served at `/`.
const INDEX: &str = "index.html";
/// The page loads only our own files, including scripts, and cannot be shown inside another page.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const CONTENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// All files are hashed and compressed at the first request for one of them.
static FILES: LazyLock<HashMap<&'static str, File>> =
    LazyLock::new(|| CONTENTS.iter().map(|&(name, content)| (name, File::new(name, content))).collect());

/// Whether the client prefers the page to JSON.
pub fn is_preferred(headers: &HeaderMap) -> bool {
    Accepted::read(headers, &ACCEPT).prefers("text/html", "application/json")
}

/// `GET /`, to a browser.
pub fn index(headers: &HeaderMap) -> Result<Response, Problem> {
    let mut response = file(INDEX, "/", headers)?;
    vary(&mut response, "Accept, Accept-Encoding");
    Ok(response)
}

/// `GET /pagina/{name}`.
pub fn file(name: &str, path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let mut response = FILES.get(name).ok_or_else(|| Problem::not_found(path))?.respond(headers);
    for (name, value) in
        [(CONTENT_SECURITY_POLICY, POLICY), (REFERRER_POLICY, "no-referrer")] as [(HeaderName, &'static str); 2]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Names the request headers on which the response depends.
pub fn vary(response: &mut Response, on: &'static str) {
    response.headers_mut().insert(VARY, HeaderValue::from_static(on));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::files::content_type;

    #[test]
    fn browsers_get_the_page_and_programs_json() {
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
    fn every_file_has_a_known_type_and_one_is_the_page() {
        assert!(CONTENTS.iter().any(|(name, _)| *name == INDEX));
        for (name, content) in CONTENTS {
            assert!(content_type(name).is_some(), "{name}: its type is not known");
            assert!(!content.is_empty(), "{name}");
        }
    }
}
