//! Reading again only what has changed, links in the head of a page, and HAL.

use serde_json::{Value, json};

use crate::common::{Answer, Services, http, http_with};

const HAL: (&str, &str) = ("Accept", "application/hal+json");

/// What `GET` answers, and what it answers to a client that has it.
fn twice(url: &str) -> (Answer, Answer) {
    let first = http("GET", url, None);
    let tag = first.header("etag").unwrap_or_else(|| panic!("{url} has no tag: {}", first.body)).to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{url}: {tag} is not strong");
    let again = http_with("GET", url, None, &[("If-None-Match", &tag)]);
    assert_eq!(again.header("etag"), Some(&*tag), "{url}");
    (first, again)
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    for (path, body) in [
        ("/telescopios/Hubble-Acad/agenda/2025-12-01T03:00:00Z/espera", json!({"cientista_id": 5})),
        (
            "/telescopios/Hubble-Acad/manutencoes",
            json!({"inicio_utc": "2031-01-01T00:00:00Z", "fim_utc": "2031-01-02T00:00:00Z", "motivo": "espelho"}),
        ),
        (
            "/propostas",
            json!({"titulo": "M31", "responsavel_id": 7, "inicio_utc": "2031-01-01T00:00:00Z",
                "fim_utc": "2032-01-01T00:00:00Z", "alocado_min": {"Hubble-Acad": 60}}),
        ),
    ] {
        let made = http("POST", &services.agenda(path), Some(("application/json", &body.to_string())));
        assert_eq!(made.status, 201, "{path}: {}", made.body);
    }
    for path in [
        "/",
        "/telescopios",
        "/telescopios/Hubble-Acad",
        "/cientistas",
        "/cientistas/7",
        "/agendamentos",
        "/agendamentos/1",
        "/auditoria",
        "/auditoria/cabeca",
        "/esperas",
        "/esperas/1",
        "/telescopios/Hubble-Acad/manutencoes",
        "/manutencoes/1",
        "/propostas",
        "/propostas/1",
        "/telescopios/Hubble-Acad/agenda.ics",
        "/cientistas/7/agenda.ics",
        "/openapi.json",
        "/problemas",
        "/problemas/erro_interno",
    ] {
        let (first, again) = twice(&services.agenda(path));
        assert_eq!((first.status, again.status, again.body.len()), (200, 304, 0), "{path}");
        assert_eq!(again.header("content-type"), None, "{path}");
        assert!(again.header("x-request-id").is_some());
        let head = http_with("HEAD", &services.agenda(path), None, &[("If-None-Match", first.header("etag").unwrap())]);
        assert_eq!(head.status, 304, "{path}");
    }
    for path in ["/", "/problemas"] {
        assert_eq!(twice(&services.locks(path)).1.status, 304, "{path}");
    }
}

#[test]
fn what_has_changed_is_sent_with_another_tag() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let lists = ["/agendamentos", "/auditoria", "/auditoria/cabeca"].map(|path| services.agenda(path));
    let before = lists.each_ref().map(|url| http("GET", url, None).header("etag").unwrap().to_owned());
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    for (url, tag) in lists.iter().zip(&before) {
        let after = http_with("GET", url, None, &[("If-None-Match", tag)]);
        assert_eq!(after.status, 200, "{url}");
        assert_ne!(after.header("etag"), Some(&**tag));
    }
    let booking = services.agenda("/agendamentos/1");
    let tag = http("GET", &booking, None).header("etag").unwrap().to_owned();
    assert_eq!(http("DELETE", &booking, None).status, 200);
    assert_eq!(http_with("GET", &booking, None, &[("If-None-Match", &tag)]).status, 200);
    // What is about now has no tag.
    for path in ["/time", "/saude", "/pronto", "/telescopios/Hubble-Acad/agenda", "/metrics"] {
        assert_eq!(http("GET", &services.agenda(path), None).header("etag"), None, "{path}");
    }
}

#[test]
fn a_long_list_has_a_tag_too() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let notes = "x".repeat(1900);
    for slot in 0..40 {
        let start = format!("2025-12-01T{:02}:{:02}:00Z", slot / 12, slot % 12 * 5);
        let body = json!({"cientista_id": 7, "horario_inicio_utc": start, "observacoes": notes});
        assert_eq!(services.book_with(&body).0, 201);
    }
    let (first, again) = twice(&services.agenda("/agendamentos"));
    assert!(first.body.len() > 70_000, "it is sent in several pieces: {}", first.body.len());
    assert_eq!((again.status, again.body.len()), (304, 0));
    // Its compressed form is other bytes.
    let (url, gzip) = (services.agenda("/agendamentos"), ("Accept-Encoding", "gzip"));
    let packed = http_with("GET", &url, None, &[gzip]);
    assert_eq!((packed.header("content-encoding"), &packed.body), (Some("gzip"), &first.body));
    assert_eq!((packed.header("vary"), first.header("vary")), (Some("Accept, Accept-Encoding"), packed.header("vary")));
    let tag = packed.header("etag").unwrap();
    assert_eq!(tag, first.header("etag").unwrap().trim_end_matches('"').to_owned() + "-gzip\"");
    let again = http_with("GET", &url, None, &[gzip, ("If-None-Match", tag)]);
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)));
    assert_eq!(http_with("GET", &url, None, &[("If-None-Match", tag)]).status, 200);
}

/// The links of a header `Link`: relation and address.
fn linked(answer: &Answer) -> Vec<(String, String)> {
    let Some(header) = answer.header("link") else { return Vec::new() };
    header
        .split(", ")
        .map(|link| {
            let (href, rel) = link.strip_prefix('<').unwrap().split_once(">; rel=\"").unwrap();
            (rel.trim_end_matches('"').to_owned(), href.to_owned())
        })
        .collect()
}

#[test]
fn a_page_of_a_list_is_linked_in_the_head_as_in_the_body() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    for slot in 0..3 {
        assert_eq!(services.book(7, &format!("2025-12-01T03:{:02}:00Z", slot * 5)).0, 201);
    }
    for name in ["a", "b", "c"] {
        http("POST", &services.locks("/lock"), Some(("application/json", &json!({"recurso": name}).to_string())));
    }
    let timetable = "/telescopios/Hubble-Acad/agenda?de=2025-12-01T03:00:00Z&ate=2025-12-01T04:00:00Z";
    for (url, rels) in [
        (services.agenda("/agendamentos?limite=2"), [("self", "self"), ("next", "proxima")].as_slice()),
        (services.agenda("/agendamentos"), &[("self", "self")]),
        (services.agenda("/auditoria?limite=2"), &[("self", "self"), ("next", "proxima")]),
        (services.locks("/locks?limite=2"), &[("self", "self"), ("next", "proxima")]),
        (services.agenda(timetable), &[("self", "self"), ("prev", "anterior"), ("next", "seguinte")]),
    ] {
        let answer = http("GET", &url, None);
        let links = answer.json()["_links"].clone();
        let expected: Vec<_> = rels
            .iter()
            .map(|(registered, rel)| ((*registered).to_owned(), links[rel]["href"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(linked(&answer), expected, "{url}");
    }
    assert_eq!(http("GET", &services.agenda("/telescopios/Hubble-Acad"), None).header("link"), None);
}

#[test]
fn hal_is_the_same_document_with_its_lists_embedded() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    let gzip = ("Accept-Encoding", "gzip");
    for (url, lists) in [
        (services.agenda("/"), [].as_slice()),
        (services.agenda("/telescopios"), &["telescopios"]),
        (services.agenda("/agendamentos"), &["agendamentos"]),
        (services.agenda("/agendamentos/1"), &[]),
        (services.agenda("/telescopios/Hubble-Acad/agenda?de=2025-12-01T00:00:00Z"), &["horarios", "agendamentos"]),
        (services.locks("/locks"), &["travas"]),
    ] {
        let (plain, hal) = (http("GET", &url, None), http_with("GET", &url, None, &[HAL, gzip]));
        assert_eq!(hal.header("content-type"), Some("application/hal+json"), "{url}");
        assert_eq!((hal.header("vary"), hal.header("cache-control")), (Some("Accept"), Some("no-store")), "{url}");
        let (mut expected, mut hal) = (plain.json(), hal.json());
        for list in lists {
            let embedded = hal["_embedded"].as_object_mut().unwrap().remove(*list).unwrap();
            assert_eq!(embedded, expected.as_object_mut().unwrap().remove(*list).unwrap(), "{url}");
        }
        assert_eq!(hal.as_object_mut().unwrap().remove("_embedded").is_some(), !lists.is_empty(), "{url}");
        for document in [&mut expected, &mut hal] {
            document.as_object_mut().unwrap().remove("agora_utc");
        }
        assert_eq!(hal, expected, "{url}");
    }
    // A booking that is made is a resource too, and a problem stays a problem.
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2025-12-01T04:00:00Z"}).to_string();
    let post =
        |body: &str| http_with("POST", &services.agenda("/agendamentos"), Some(("application/json", body)), &[HAL]);
    let made = post(&body);
    assert_eq!((made.status, made.header("content-type")), (201, Some("application/hal+json")));
    assert!(made.header("location").is_some());
    assert_eq!(made.json()["_links"]["self"]["href"], "/agendamentos/2");
    assert_eq!(post("{}").header("content-type"), Some("application/problem+json"));
    let metrics: Value = http_with("GET", &services.agenda("/metrics"), None, &[HAL]).status.into();
    assert_eq!(metrics, 200);
}

#[test]
fn head_is_answered_where_get_is_and_options_everywhere() {
    let services = Services::start(&[]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    let both = [
        (services.agenda(""), sctec::scheduler::endpoints().collect::<Vec<_>>()),
        (services.locks(""), sctec::coordinator::endpoints().collect()),
    ];
    for (service, endpoints) in both {
        for endpoint in &endpoints {
            let path = endpoint.path.replace("{id}", "1").replace("{*arquivo}", "app.js");
            let path = path.replace("{codigo}", "erro_interno").replace("{*recurso}", "x").replace("{recurso}", "x");
            let url = format!("{service}{path}");
            let options = http("OPTIONS", &url, None);
            let allow: Vec<&str> = options.header("allow").unwrap().split(", ").collect();
            assert_eq!((options.status, options.body.len()), (204, 0), "{url}");
            assert!(allow.contains(&endpoint.method.as_str()) && allow.contains(&"OPTIONS"), "{url}: {allow:?}");
            let streams = path == "/eventos";
            if endpoint.method == "GET" && !streams {
                let (get, head) = (http("GET", &url, None), http("HEAD", &url, None));
                assert_eq!((head.status, head.body.len()), (get.status, 0), "{url}");
                assert_eq!(head.header("content-type"), get.header("content-type"), "{url}");
                assert!(allow.contains(&"HEAD"), "{url}: {allow:?}");
            }
        }
    }
}
