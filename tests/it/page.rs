//! The page's files over HTTP: content negotiation, security headers, and caching.

use crate::common::{Answer, Services, http, http_with};

use sctec::clock::cristian::{Sample, estimate};

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

fn get(services: &Services, path: &str, headers: &[(&str, &str)]) -> Answer {
    http_with("GET", &services.agenda(path), None, headers)
}

#[test]
fn a_browser_gets_the_page_and_everyone_else_the_links() {
    let services = Services::start(&[]);
    let page = get(&services, "/", &[BROWSER]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);
    assert_eq!(page.header("vary"), Some("Accept, Accept-Language, Accept-Encoding"));
    let named = get(&services, "/", &[("Accept", "text/html, */*")]);
    assert_eq!(
        named.header("content-type"),
        Some("text/html; charset=utf-8"),
        "a type that is named is preferred to */*"
    );
    for (accept, form) in [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html", "application/json"),
        ("application/hal+json, */*;q=0.1", "application/hal+json"),
    ] {
        let links = get(&services, "/", &[("Accept", accept)]);
        assert_eq!(links.header("content-type"), Some(form), "{accept}");
        assert_eq!((links.header("vary"), links.header("cache-control")), (Some("Accept"), Some("no-store")));
        assert!(links.json()["_links"]["agendar"].is_object());
    }
    assert!(http("GET", &services.agenda("/"), None).json()["_links"].is_object());
}

#[test]
fn every_file_has_the_security_headers() {
    let services = Services::start(&[]);
    for (path, accept) in [("/", BROWSER), ("/pagina/index.html", ("Accept", "*/*"))] {
        let file = get(&services, path, &[accept]);
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.header("content-security-policy"), Some(POLICY));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(file.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(file.header("cache-control"), Some("no-cache"));
    }
    for path in ["/pagina/nada.js", "/pagina/", "/pagina", "/pagina/../Cargo.toml", "/pagina/%2e%2e/x"] {
        let missing = get(&services, path, &[]);
        assert_eq!(missing.status, 404, "{path}");
        assert_eq!(missing.json()["codigo"], "nao_encontrado");
    }
    let head = http_with("HEAD", &services.agenda("/"), None, &[BROWSER]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn every_answer_forbids_guessing_its_type() {
    let services = Services::start(&[]);
    for url in
        [services.agenda("/time"), services.agenda("/nada"), services.locks("/saude"), services.locks("/metrics")]
    {
        assert_eq!(http("GET", &url, None).header("x-content-type-options"), Some("nosniff"), "{url}");
    }
    assert_eq!(http("OPTIONS", &services.agenda("/time"), None).header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn a_file_that_has_not_changed_is_not_sent_again() {
    let services = Services::start(&[]);
    let text = get(&services, "/", &[BROWSER]).body;
    for accept_encoding in ["identity", "gzip"] {
        let encoding = ("Accept-Encoding", accept_encoding);
        let first = get(&services, "/", &[BROWSER, encoding]);
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!(first.header("content-encoding"), (accept_encoding == "gzip").then_some("gzip"));
        assert_eq!(first.body, text);
        let again = get(&services, "/", &[BROWSER, encoding, ("If-None-Match", &tag)]);
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag.as_str())));
        assert_eq!(again.header("content-security-policy"), Some(POLICY));
        let changed = get(&services, "/", &[BROWSER, encoding, ("If-None-Match", "\"outro\"")]);
        assert_eq!(changed.status, 200);
    }
}

#[test]
fn the_page_comes_in_the_language_that_the_browser_prefers() {
    let services = Services::start(&[]);
    let asked = |languages: &str, more: &[(&str, &str)]| {
        let mut headers = vec![BROWSER, ("Accept-Language", languages)];
        headers.extend(more);
        get(&services, "/", &headers)
    };
    let speaks = |page: &Answer| {
        let lang = page.body.split_once("<html lang=\"").unwrap().1.split('"').next().unwrap().to_owned();
        assert_eq!(page.header("content-language"), Some(lang.as_str()));
        lang
    };
    for (languages, expected) in [
        ("en-US,en;q=0.9", "en-GB"),
        ("fr, en;q=0.5", "en-GB"),
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"),
        ("fr", "pt-BR"),
        ("", "pt-BR"),
    ] {
        assert_eq!(speaks(&asked(languages, &[])), expected, "{languages}");
    }
    assert_eq!(speaks(&get(&services, "/", &[BROWSER])), "pt-BR");
    let (english, portuguese) = (asked("en", &[]), asked("pt", &[]));
    assert!(english.body.contains(">Skip to the agenda<") && portuguese.body.contains(">Ir para a agenda<"));
    // What a browser has in one language is not taken for the other.
    let tag = english.header("etag").unwrap();
    assert_eq!(asked("en", &[("If-None-Match", tag)]).status, 304);
    assert_eq!(asked("pt", &[("If-None-Match", tag)]).status, 200);
    let file = http_with("GET", &services.agenda("/pagina/index.html"), None, &[("Accept-Language", "en")]);
    assert_eq!(file.body, english.body);
}

/// Samples of `tests/page/cristian.json` with their estimate. The page's own tests read the same file.
#[derive(serde::Deserialize)]
struct Case {
    why: String,
    samples: Vec<[i64; 4]>,
    offset_us: f64,
    round_trip_us: u64,
    bound_us: f64,
}

#[test]
fn the_page_and_the_tools_estimate_the_same_offset() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../page/cristian.json")).unwrap();
    assert!(!cases.is_empty());
    for Case { why, samples, offset_us, round_trip_us, bound_us } in cases {
        let samples: Vec<_> = samples.iter().map(|&[t1, t2, t3, t4]| Sample { t1, t2, t3, t4 }).collect();
        let found = estimate(&samples).unwrap();
        // The tools count whole microseconds: the offset is rounded down, and so the bound up.
        assert_eq!(found.round_trip_us, round_trip_us, "{why}");
        let differences = [found.offset_us as f64 - offset_us.floor(), found.error_bound_us as f64 - bound_us.ceil()];
        assert!(differences.iter().all(|difference| difference.abs() < 0.1), "{why}: {found:?}");
    }
}
