//! Other people's programs at the coordinator: they send fields of their own, and are served without them.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex};

use serde_json::{Value, json};

use crate::common::listener::Listener;
use crate::common::{Locks, http, http_with, peer, wait_until};

/// A scheduler as a student may write one: under the coordinator's lock it checks and books in two steps with time between them, and
/// it sends the coordinator a field of its own.
fn peers_scheduler(coordinator: String) -> String {
    let agenda: Mutex<BTreeMap<String, Value>> = Mutex::default();
    peer::start(move |_, _, body| {
        let resource = format!("Hubble-Acad_{}", body["horario_inicio_utc"].as_str().unwrap());
        let asked = json!({"recurso": resource, "correlation_id": body["correlation_id"]}).to_string();
        let asked = Some(("application/json", asked.as_str()));
        match http("POST", &format!("{coordinator}/lock"), asked).status {
            200 => {}
            409 => return (409, json!({"erro": "recurso ocupado"})),
            other => return (500, json!({"erro": format!("o coordenador respondeu {other}")})),
        }
        let is_free = !agenda.lock().unwrap().contains_key(&resource);
        std::thread::sleep(std::time::Duration::from_millis(30));
        if is_free {
            agenda.lock().unwrap().insert(resource, body["cientista_id"].clone());
        }
        let released = http("POST", &format!("{coordinator}/unlock"), asked);
        assert_eq!((released.status, released.json()["liberado"].as_bool()), (200, Some(true)));
        if is_free { (201, json!({"id": 1})) } else { (409, json!({"erro": "conflito"})) }
    })
}

#[test]
fn ten_rivals_of_a_peers_scheduler_end_as_one_201_and_nine_409() {
    let locks = Locks::start();
    let url = peers_scheduler(locks.url(""));
    let start = Arc::new(Barrier::new(10));
    let rivals: Vec<_> = (1..=10)
        .map(|number| {
            let (url, start) = (url.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                let body = json!({"cientista_id": number, "horario_inicio_utc": "2025-12-01T03:00:00Z",
                    "correlation_id": format!("pedido-{number}")});
                start.wait();
                http("POST", &format!("{url}/agendamentos"), Some(("application/json", &body.to_string()))).status
            })
        })
        .collect();
    let mut statuses: Vec<u16> = rivals.into_iter().map(|rival| rival.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[201].as_slice(), &[409; 9]].concat());
}

/// One request, with its `Prefer` header.
fn ask(locks: &Locks, path: &str, prefer: Option<&str>, body: &Value) -> crate::common::Answer {
    let headers: Vec<_> = prefer.map(|prefer| ("Prefer", prefer)).into_iter().collect();
    http_with("POST", &locks.url(path), Some(("application/json", &body.to_string())), &headers)
}

/// The unknown fields that an answer names (`avisos`).
fn noticed(answer: &Value) -> Vec<&str> {
    answer["avisos"].as_array().into_iter().flatten().map(|notice| notice["campo"].as_str().unwrap()).collect()
}

#[test]
fn unknown_fields_are_passed_over_and_named_in_the_answer_and_in_the_log() {
    let locks = Locks::start();
    let answer = ask(&locks, "/lock", None, &json!({"recurso": "X", "correlation_id": "a", "prioridade": 7}));
    let lease = answer.json();
    assert_eq!((answer.status, noticed(&lease)), (200, vec!["correlation_id", "prioridade"]), "{lease}");
    assert_eq!(answer.header("preference-applied"), None);
    // A refusal names them too; an answer without unknown fields has no `avisos`.
    let refused = ask(&locks, "/lock", None, &json!({"recurso": "X", "correlation_id": "b"}));
    assert_eq!((refused.status, noticed(&refused.json())), (409, vec!["correlation_id"]));
    assert!(ask(&locks, "/lock", None, &json!({"recurso": "X"})).json().get("avisos").is_none());
    let renewed = ask(&locks, "/renew", None, &json!({"trava_id": lease["trava_id"], "quem": 1}));
    assert_eq!((renewed.status, noticed(&renewed.json())), (200, vec!["quem"]));
    let freed = ask(&locks, "/unlock", None, &json!({"recurso": "X", "correlation_id": null}));
    assert_eq!((freed.status, noticed(&freed.json())), (200, vec!["correlation_id"]));
    assert_eq!(freed.json()["liberado"], true);
    // A misspelt field is named beside the missing one.
    let wrong = ask(&locks, "/lock", None, &json!({"recurs": "X"}));
    assert_eq!((wrong.status, noticed(&wrong.json())), (422, vec!["recurs"]));
    assert_eq!(wrong.json()["erros"][0]["campo"], "recurso");

    let batch = json!({"lote": 1, "operacoes": [
        {"op": "lock", "recurso": "A", "correlation_id": 1}, {"op": "lock", "recurso": "A"},
        {"op": "unlock", "recurso": "A", "y": {}}, {"op": "lock", "recurso": "B", "ttl_ms": 0, "z": 1}]});
    let answer = ask(&locks, "/lote", None, &batch).json();
    assert_eq!(noticed(&answer), ["lote"]);
    let answers = answer["respostas"].as_array().unwrap();
    assert_eq!(answers.iter().map(noticed).collect::<Vec<_>>(), [vec!["correlation_id"], vec![], vec!["y"], vec!["z"]]);
    let statuses: Vec<_> = answers.iter().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 409, 200, 422]);

    let one = json!({"canal": "c", "evento": "e", "dados": 1, "origem": "flask"});
    let published = ask(&locks, "/eventos", None, &one);
    assert_eq!((published.status, noticed(&published.json())), (200, vec!["origem"]));
    let several = json!({"canal": "c", "eventos": [{"evento": "e", "dados": 1}, {"evento": "e", "dados": 2, "x": 3}]});
    let published = ask(&locks, "/eventos", None, &several);
    assert_eq!((published.status, noticed(&published.json())), (200, vec!["eventos[1].x"]));

    let log = || std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    wait_until("the log names them", || {
        log().lines().any(|line| line.contains("Campos desconhecidos, ignorados: ") && line.contains("eventos[1].x"))
    });
    assert!(log().contains("Campos desconhecidos, ignorados: correlation_id, prioridade req="));
}

#[test]
fn a_strict_client_is_refused_and_told_so() {
    let locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "L"}));
    let known = [
        ("/lock", json!({"recurso": "X"})),
        ("/renew", json!({"trava_id": lease["trava_id"]})),
        ("/unlock", json!({"recurso": "Y"})),
        ("/lote", json!({"operacoes": [{"op": "unlock", "recurso": "Y"}]})),
        ("/eventos", json!({"canal": "c", "evento": "e", "dados": 1})),
    ];
    for (path, mut body) in known {
        for prefer in ["handling=strict", "Handling = \"strict\"", "respond-async, handling=strict"] {
            body["correlation_id"] = json!("a");
            let refused = ask(&locks, path, Some(prefer), &body);
            assert_eq!(
                (refused.status, refused.header("preference-applied")),
                (422, Some("handling=strict")),
                "{path}"
            );
            assert_eq!(refused.json()["erros"][0]["campo"], "correlation_id", "{path}");
            body.as_object_mut().unwrap().remove("correlation_id");
        }
        let answer = ask(&locks, path, Some("handling=strict"), &body);
        assert_eq!((answer.status, answer.header("preference-applied")), (200, Some("handling=strict")), "{path}");
        body["correlation_id"] = json!("a");
        let answer = ask(&locks, path, Some("handling=lenient"), &body);
        assert_eq!(answer.header("preference-applied"), Some("handling=lenient"), "{path}");
        assert_eq!(noticed(&answer.json()), ["correlation_id"], "{path}");
    }
    // Each operation of a batch is refused on its own.
    let batch = json!({"operacoes": [{"op": "lock", "recurso": "Q", "x": 1}, {"op": "lock", "recurso": "Q"}]});
    let answer = ask(&locks, "/lote", Some("handling=strict"), &batch).json();
    let statuses: Vec<_> = answer["respostas"].as_array().unwrap().iter().map(|answer| &answer["status"]).collect();
    assert_eq!(statuses, [422, 200]);
}

#[test]
fn names_of_fields_are_shown_within_bounds_and_forge_nothing() {
    let locks = Locks::start();
    let mut body = serde_json::Map::new();
    body.insert("recurso".to_owned(), json!("X"));
    body.insert("a\nERROR:forjado req=1".to_owned(), json!(1));
    body.insert("b req=forjado token=9".to_owned(), json!(1));
    for number in 0..500 {
        body.insert(format!("z{number}{}", "x".repeat(100)), json!(1));
    }
    let answer = ask(&locks, "/lock", None, &Value::Object(body));
    assert_eq!(answer.status, 200);
    let lease = answer.json();
    let notices = lease["avisos"].as_array().unwrap();
    assert!(notices.len() <= 21 && answer.body.len() < 8192, "{}", answer.body);
    assert!(notices[20]["mensagem"].as_str().unwrap().contains("e mais 482"), "{}", notices[20]);
    let log = || std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    wait_until("the log names them", || log().contains("Campos desconhecidos"));
    let lines: Vec<String> = log().lines().filter(|line| line.contains("forjado")).map(str::to_owned).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (_, request) = lines[0].rsplit_once(" req=").unwrap();
    let request = request.split(' ').next().unwrap();
    assert_eq!(Some(request), answer.header("x-request-id"));
    assert!(lines[0].contains("\"b req=forjado token=9\""), "{}", lines[0]);
    assert!(lines[0].len() < 4096);
}

#[test]
fn every_link_of_the_entry_point_leads_on() {
    let locks = Locks::start();
    let entry = http("GET", &locks.url("/"), None).json();
    let href = |rel: &str| entry["_links"][rel]["href"].as_str().unwrap_or_else(|| panic!("no {rel} in {entry}"));
    // What a template's variables become, and what a link of POST takes.
    let expanded = |rel: &str| {
        let filled = href(rel).replace("{recurso}", "X").replace("{?prefixo,limite,cursor}", "?prefixo=X&limite=1");
        let filled = filled.replace("{?nonce}", &format!("?nonce={}", "0".repeat(64)));
        locks.url(&filled.replace("{?canal}", "?canal=travas"))
    };
    let post = |rel: &str, body: Value| {
        assert_eq!(entry["_links"][rel]["method"], "POST", "{rel}");
        let answer = http("POST", &expanded(rel), Some(("application/json", &body.to_string())));
        assert_eq!(answer.status, 200, "{rel}: {}", answer.body);
        answer.json()
    };
    let lease = post("travar", json!({"recurso": "X", "dono": "eu", "ttl_ms": 300_000}));
    post("renovar", json!({"trava_id": lease["trava_id"]}));
    let followed: Vec<&str> = ["travar", "renovar", "liberar", "lote", "publicar", "eventos"].into();
    for rel in entry["_links"].as_object().unwrap().keys().filter(|rel| !followed.contains(&rel.as_str())) {
        assert!(entry["_links"][rel]["method"].is_null(), "{rel}");
        let answer = http("GET", &expanded(rel), None);
        // This coordinator has no secret to prove.
        let expected = if rel == "desafio" { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{rel}: {}", answer.body);
        match rel.as_str() {
            "self" => assert_eq!(answer.json(), entry),
            "travas" => assert_eq!(answer.json()["travas"][0]["recurso"], "X"),
            "trava" => assert_eq!(answer.json()["dono"], "eu"),
            "desafio" => assert_eq!(answer.json()["codigo"], "sem_segredo"),
            _ => assert!(answer.body.contains("sctec_") || answer.json()["_links"].is_object(), "{rel}"),
        }
    }
    assert_eq!(post("liberar", json!({"trava_id": lease["trava_id"]})), json!({"liberado": true}));
    post("lote", json!({"operacoes": [{"op": "lock", "recurso": "Y"}]}));
    post("publicar", json!({"canal": "prova", "evento": "feito", "dados": null}));
    assert!(Listener::open(&expanded("eventos"), None).begins.is_some());

    // A path that does not exist leads back to it; so does a method that a path does not have.
    for (method, path) in [("GET", "/nada"), ("GET", "/lock")] {
        let lost = http(method, &locks.url(path), None).json();
        assert_eq!(lost["_links"], json!({"inicio": {"href": "/"}}), "{lost}");
    }
    assert_eq!(http("GET", &locks.url("/?x=1"), None).status, 422);
}
