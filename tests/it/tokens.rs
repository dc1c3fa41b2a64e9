//! Fencing tokens, from outside: how far a request may lift them, and the way back when their count was lost.

use serde_json::{Value, json};

use crate::common::{Locks, Server, coordinator_command, http, peer, run, scheduler_command, wait_until};

const SLOT: &str = "2025-12-01T03:00:00Z";
const JUMP_MAX: u64 = 1 << 20;

#[test]
fn one_request_lifts_the_tokens_by_a_million_at_the_most() {
    let locks = Locks::start();
    for too_far in [JUMP_MAX + 1, 5_000_000, 1 << 52, (1 << 53) - 1] {
        let body = json!({"recurso": "X", "token_minimo": too_far});
        let (status, problem) = locks.lock(&body);
        assert_eq!((status, problem["codigo"].as_str()), (422, Some("token_minimo_distante")), "{problem}");
        assert_eq!(problem["erros"][0]["campo"], "token_minimo");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("--tokens-above {too_far}")), "{problem}");
        let (_, batch) =
            locks.post("/lote", &json!({"operacoes": [{"op": "lock", "recurso": "X", "token_minimo": too_far}]}));
        assert_eq!(batch["respostas"][0]["codigo"], "token_minimo_distante", "{batch}");
    }
    for no_token in [json!(1_u64 << 53), json!(u64::MAX), json!(-1), json!(1.5), json!("1")] {
        let (status, problem) = locks.lock(&json!({"recurso": "X", "token_minimo": no_token}));
        assert_eq!((status, problem["codigo"].as_str()), (422, Some("campos_invalidos")), "{no_token}");
    }
    // None of them moved the counter.
    assert_eq!(locks.lock(&json!({"recurso": "X"})).1["token"], 1);
    let (status, lease) = locks.lock(&json!({"recurso": "Y", "token_minimo": 1 + JUMP_MAX}));
    assert_eq!((status, lease["token"].as_u64()), (200, Some(2 + JUMP_MAX)));
    // And again from there: only a million at a time is refused.
    assert_eq!(locks.lock(&json!({"recurso": "Z", "token_minimo": 2 + 2 * JUMP_MAX})).0, 200);
}

#[test]
fn when_the_count_was_lost_both_services_say_how_to_restore_it_and_bookings_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let start = |address: &str, above: &str| {
        let mut command = coordinator_command(folder.path(), address);
        Server::spawn(command.args(["--grace", "0", "--tokens-above", above]), 1)
    };
    let mut coordinator = start("127.0.0.1:0", "4503599627370496");
    let address = coordinator.url()["http://".len()..].to_owned();
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &coordinator.url()), 1);
    let url = |path: &str| format!("{}{path}", scheduler.url());
    let book = |scientist: i64, start: &str| {
        let body = json!({"cientista_id": scientist, "horario_inicio_utc": start}).to_string();
        let answer = http("POST", &url("/agendamentos"), Some(("application/json", &body)));
        (answer.status, answer.json())
    };
    let highest = || crate::common::count(&folder.path().join("sctec.db"), "SELECT max(token) FROM horarios");
    let log_has = |file: &str, text: &str| {
        let path = folder.path().join(file);
        wait_until("the log says it", || std::fs::read_to_string(&path).unwrap().contains(text));
    };
    let (status, booking) = book(1, SLOT);
    assert_eq!(status, 201, "{booking}");
    let cancel = booking["_links"]["cancelar"]["href"].as_str().unwrap().to_owned();
    let seen = highest();
    assert!(seen > 1 << 52);

    assert_eq!(coordinator.terminate(), Some(0));
    crate::common::election::lose_limits(folder.path());
    coordinator = start(&address, "0");
    let answer = http("DELETE", &url(&cancel), None);
    assert_eq!((answer.status, answer.json()["codigo"].as_str()), (503, Some("coordenador_indisponivel")));
    assert_eq!(book(2, "2025-12-01T04:00:00Z").0, 503);
    // Both logs and `/pronto` say what to do.
    let advice = format!("--tokens-above {seen}");
    log_has("app.log", &advice);
    log_has("coordenador.log", &format!("token_minimo={seen}"));
    let ready = http("GET", &url("/pronto"), None);
    assert_eq!(ready.status, 503);
    assert!(ready.json()["partes"]["coordenador"].as_str().unwrap().contains(&advice), "{}", ready.body);

    assert_eq!(coordinator.terminate(), Some(0));
    let _coordinator = start(&address, &seen.to_string());
    // Readiness returns without a booking.
    wait_until("it is ready", || http("GET", &url("/pronto"), None).status == 200);
    wait_until("it can be cancelled", || http("DELETE", &url(&cancel), None).status == 200);
    assert!(highest() > seen, "no token was given twice");
    assert_eq!(book(2, SLOT).0, 201);
    assert_eq!(http("GET", &url("/pronto"), None).status, 200);
}

#[test]
fn the_operator_lifts_the_tokens_and_never_lowers_them() {
    let mut locks = Locks::start_with(&["--tokens-above", "5000000", "--grace", "0"]);
    let first = locks.lock(&json!({"recurso": "X"})).1["token"].as_u64().unwrap();
    assert_eq!(first, 5_000_001);
    // The flag may stay: each start begins at the limit of the last one.
    for _ in 0..2 {
        locks.server.kill();
        locks.restart();
        assert!(locks.lock(&json!({"recurso": "X"})).1["token"].as_u64().unwrap() > first + JUMP_MAX);
    }
    for wrong in ["9007199254740992", "9007199254740991", "-1", "x"] {
        let refused = run(&["serve-coordinator", "--listen", "127.0.0.1:0", "--tokens-above", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
    }
}

/// A coordinator that gives `token` to everyone.
fn giving(token: u64) -> String {
    peer::start(move |_, path, body| match path {
        "/lote" => {
            let operations = body["operacoes"].as_array().unwrap().iter();
            let answers = operations.map(|operation| match operation["op"].as_str() {
                Some("lock") => json!({"status": 200, "situacao": "concedido", "token": token, "ttl_ms": 10_000,
                    "recursos": operation["recursos"], "trava_id": "0".repeat(32)}),
                _ => json!({"status": 200, "liberado": true}),
            });
            (200, json!({"respostas": answers.collect::<Vec<Value>>()}))
        }
        _ => (200, json!({"status": "pronto"})),
    })
}

#[test]
fn an_impossible_token_is_refused_by_the_scheduler_and_never_written() {
    for (token, expected) in [(1_u64 << 53, 503), (u64::MAX, 503), (0, 503), ((1 << 53) - 1, 201), (1, 201)] {
        let folder = tempfile::tempdir().unwrap();
        let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &giving(token)), 1);
        let body = json!({"cientista_id": 1, "horario_inicio_utc": SLOT}).to_string();
        let answer = http("POST", &format!("{}/agendamentos", scheduler.url()), Some(("application/json", &body)));
        assert_eq!(answer.status, expected, "token {token}: {}", answer.body);
        let written = crate::common::count(&folder.path().join("sctec.db"), "SELECT count(*) FROM horarios");
        assert_eq!(written, usize::from(expected == 201), "token {token}");
    }
}

#[test]
fn a_token_that_does_not_grow_is_refused_before_anything_is_written() {
    // Of two coordinators that each count for themselves, the second is behind.
    let folder = tempfile::tempdir().unwrap();
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &giving(7)), 1);
    let book = |start: &str| {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": start}).to_string();
        http("POST", &format!("{}/agendamentos", scheduler.url()), Some(("application/json", &body)))
    };
    assert_eq!(book(SLOT).status, 201);
    let answer = book("2025-12-01T04:00:00Z");
    assert_eq!((answer.status, answer.json()["codigo"].as_str()), (503, Some("coordenador_indisponivel")));
    assert_eq!(crate::common::count(&folder.path().join("sctec.db"), "SELECT count(*) FROM agendamentos"), 1);
}
