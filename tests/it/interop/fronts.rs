//! What stands in front of a scheduler: a proxy with a path of its own, and pages of other origins.

use serde_json::{Value, json};

use crate::common::access::give;
use crate::common::{Answer, Services, http, http_below, http_with};

const BROWSER: (&str, &str) = ("Accept", "text/html");
const APP: (&str, &str) = ("Origin", "https://app.example");

/// Every address in `_links`, at any depth, and the `type` of a problem.
fn addresses(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                match inner.as_str() {
                    Some(address) if name == "href" || name == "type" => found.push(address.to_owned()),
                    _ => addresses(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| addresses(inner, found)),
        _ => {}
    }
}

#[track_caller]
fn assert_below(prefix: &str, answer: &Answer) {
    let mut found = Vec::new();
    addresses(&answer.json(), &mut found);
    assert!(!found.is_empty() && found.iter().all(|address| address.starts_with(&format!("{prefix}/"))), "{found:?}");
    for header in ["location", "link"] {
        let value = answer.header(header).unwrap_or_default().trim_start_matches('<').to_owned();
        assert!(value.is_empty() || value.starts_with(&format!("{prefix}/")), "{header}: {value}");
    }
}

#[test]
fn all_links_begin_with_the_base_path_and_lead_back() {
    let services = Services::start(&["--base-path", "/sctec", "--lock-retention-ms", "0"]);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z"}).to_string();
    let book = || http_below("POST", &services.agenda("/sctec/agendamentos"), Some(("application/json", &body)), &[]);
    let (booked, taken) = (book(), book());
    assert_eq!((booked.status, taken.status), (201, 409));
    assert_eq!(booked.header("location"), Some("/sctec/agendamentos/1"));
    let timetable = "/telescopios/Hubble-Acad/agenda?de=2025-12-01T00:00:00Z&ate=2025-12-08T00:00:00Z";
    for answer in [
        booked,
        taken,
        http_below("GET", &services.agenda("/sctec"), None, &[]),
        // A proxy may have taken the path away.
        http_below("GET", &services.agenda("/"), None, &[]),
        http_below("GET", &services.agenda("/sctec/agendamentos?limite=1"), None, &[]),
        http_below("GET", &services.agenda(&format!("/sctec{timetable}")), None, &[]),
        http_below("GET", &services.agenda("/sctec/auditoria?limite=1"), None, &[]),
        http_below("GET", &services.agenda("/sctec/problemas"), None, &[]),
        http_below("GET", &services.agenda("/sctec/nada"), None, &[]),
        http_below("GET", &services.agenda("/sctecx"), None, &[]),
    ] {
        assert_below("/sctec", &answer);
    }
    // A client that follows links needs to know the entry point alone.
    let entry = http_below("GET", &services.agenda("/sctec/"), None, &[]).json();
    let telescopes =
        http_below("GET", &services.agenda(entry["_links"]["telescopios"]["href"].as_str().unwrap()), None, &[]);
    assert_eq!(telescopes.status, 200);
    let booking = http_below("GET", &services.agenda("/sctec/agendamentos/1"), None, &[]).json();
    let cancel = &booking["_links"]["cancelar"];
    let href = services.agenda(cancel["href"].as_str().unwrap());
    let gone = http_below(cancel["method"].as_str().unwrap(), &href, None, &[]);
    assert_eq!(gone.status, 200);
}

#[test]
fn the_page_and_its_files_are_below_the_base_path() {
    let services = Services::start(&["--base-path", "/sctec/"]);
    let page = http_below("GET", &services.agenda("/sctec/"), None, &[BROWSER]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<meta name=\"entry-point\" content=\"/sctec/\">"), "{}", page.body);
    let files = page.body.split("=\"/").skip(1).map(|rest| format!("/{}", rest.split('"').next().unwrap()));
    let files: Vec<String> = files.collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert!(file.starts_with("/sctec/"), "{file}");
        assert_eq!(http_below("GET", &services.agenda(&file), None, &[]).status, 200, "{file}");
    }
    let problem = http_below("GET", &services.agenda("/sctec/problemas/erro_interno"), None, &[BROWSER]);
    assert!(problem.body.contains("<a href=\"/sctec/problemas\">"), "{}", problem.body);
}

#[test]
fn only_a_trusted_proxy_says_below_which_path_clients_see_the_service() {
    let prefix = ("X-Forwarded-Prefix", "/fora");
    let trusting = Services::start(&["--trusted-proxy", "10.0.0.0/8,127.0.0.1"]);
    for path in ["/", "/telescopios", "/nada"] {
        assert_below("/fora", &http_below("GET", &trusting.agenda(path), None, &[prefix]));
    }
    let page = http_below("GET", &trusting.agenda("/"), None, &[prefix, BROWSER]);
    assert!(page.body.contains("src=\"/fora/pagina/page.js\""));
    let plain = http_below("GET", &trusting.agenda("/telescopios"), None, &[]);
    let ours = plain.json();
    assert!(ours["_links"]["self"]["href"].as_str().unwrap().starts_with("/telescopios"), "{ours}");
    for wrong in ["https://evil.example", "//evil.example", "/a b", "/\"><script>"] {
        let answer = http_below("GET", &trusting.agenda("/telescopios"), None, &[("X-Forwarded-Prefix", wrong)]);
        assert_eq!(answer.json(), ours, "{wrong}");
    }
    let wary = Services::start(&["--trusted-proxy", "10.0.0.0/8"]);
    assert_eq!(http_below("GET", &wary.agenda("/telescopios"), None, &[prefix]).json(), ours);
}

#[test]
fn a_session_is_for_the_base_path_alone() {
    let folder = tempfile::tempdir().unwrap();
    let token = give(folder.path(), &["ana", "--role", "operador"]).token;
    let services = Services::start_in(folder, &["--access", "token", "--base-path", "/sctec"]);
    let body = json!({ "token": token }).to_string();
    let begin = |headers: &[(&str, &str)]| {
        http_below("POST", &services.agenda("/sctec/sessao"), Some(("application/json", &body)), headers)
    };
    let plain = begin(&[]);
    assert_eq!(plain.status, 201);
    let cookie = plain.header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("sctec_sessao=") && cookie.contains("; Path=/sctec;"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let known = http_below("GET", &services.agenda("/sctec/tokens"), None, &[("Cookie", &cookie)]);
    assert_eq!(known.status, 200);
}

#[test]
fn a_page_of_an_allowed_origin_reads_answers_and_asks_before_it_writes() {
    let services = Services::start(&["--allowed-origin", "https://app.example,http://localhost:8080"]);
    let cross = ("Sec-Fetch-Site", "cross-site");
    for (method, path, status) in [("GET", "/telescopios", 200), ("GET", "/nada", 404), ("POST", "/agendamentos", 400)]
    {
        let body = (method == "POST").then_some(("application/json", "x"));
        let answer = http_with(method, &services.agenda(path), body, &[APP, cross]);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP.1));
        assert!(answer.header("access-control-expose-headers").unwrap().contains("Retry-After"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let ask = |origin: &str, path: &str| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "DELETE"), cross];
        http_with("OPTIONS", &services.agenda(path), None, &headers)
    };
    let may = ask("http://localhost:8080", "/agendamentos/1");
    assert_eq!((may.status, may.header("access-control-allow-origin")), (204, Some("http://localhost:8080")));
    assert_eq!(may.header("access-control-allow-methods"), may.header("allow"));
    let may_send: Vec<_> = may.header("access-control-allow-headers").unwrap().split(", ").collect();
    for name in ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "traceparent", "tracestate"] {
        assert!(may_send.contains(&name), "{name} in {may_send:?}");
    }
    assert_eq!(may.header("access-control-max-age"), Some("600"));
    assert_eq!(may.header("vary"), Some("Origin"));
    assert_eq!(ask(APP.1, "/nada").header("access-control-allow-methods"), None);
    for origin in ["https://app.example.evil.example", "http://app.example", "https://app.example:8443", "null"] {
        let answer = http_with("GET", &services.agenda("/telescopios"), None, &[("Origin", origin)]);
        assert_eq!((answer.status, &answer.json()["codigo"]), (403, &json!("origem_recusada")), "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(ask(origin, "/agendamentos/1").header("access-control-allow-origin"), None, "{origin}");
    }
    // An image or a script of that page has no origin to show, and is refused as before.
    assert_eq!(http_with("GET", &services.agenda("/telescopios"), None, &[cross]).status, 403);
}

#[test]
fn a_page_of_an_allowed_origin_has_its_token_and_never_a_persons_session() {
    let folder = tempfile::tempdir().unwrap();
    let token = give(folder.path(), &["ana", "--role", "operador"]).token;
    let services = Services::start_in(folder, &["--access", "token", "--allowed-origin", APP.1]);
    let body = json!({ "token": token }).to_string();
    let session = http("POST", &services.agenda("/sessao"), Some(("application/json", &body)));
    let cookie = session.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let read = |headers: &[(&str, &str)]| http_with("GET", &services.agenda("/tokens"), None, headers).status;
    assert_eq!(read(&[("Cookie", &cookie)]), 200);
    assert_eq!(read(&[("Cookie", &cookie), APP]), 401);
    assert_eq!(read(&[("Authorization", &format!("Bearer {token}")), APP]), 200);
}
