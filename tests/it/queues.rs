//! Waiting for a lock, from outside: in order, for several at once, until the client leaves, the time is up or the
//! service stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::pending::{Pending, wait_for_queue};
use crate::common::{Locks, Server, coordinator_command, http, wait_until};

#[test]
fn a_hundred_waiters_are_served_in_order_of_arrival_and_one_that_left_is_skipped() {
    // zk-ruby #49: a cancelled waiter poisoned the lock.
    let locks = Locks::start();
    let (_, first) = locks.lock(&json!({"recurso": "X", "dono": "0"}));
    let mut waiters = Vec::new();
    for number in 1..=100_u64 {
        let body = json!({"recurso": "X", "dono": number.to_string(), "espera_ms": 60_000, "ttl_ms": 60_000});
        waiters.push((number, Pending::post(&locks, "/lock", &body)));
        wait_for_queue(&locks, "X", number);
    }
    // One client closes its connection, another only its sending half.
    for (left, place) in [(98, 42), (97, 7)] {
        let (_, gone) = waiters.remove(place);
        if place == 42 {
            drop(gone);
        } else {
            gone.stop_sending();
        }
        wait_for_queue(&locks, "X", left + 1);
    }
    let (mut holder, mut token) = (first["trava_id"].clone(), first["token"].as_u64());
    for (number, waiter) in waiters {
        assert_eq!(locks.unlock(&json!({"trava_id": holder})).1["liberado"], true);
        let (status, lease) = waiter.answer();
        assert_eq!((status, lease["dono"].as_str()), (200, Some(number.to_string().as_str())));
        assert!(lease["token"].as_u64() > token);
        (holder, token) = (lease["trava_id"].clone(), lease["token"].as_u64());
    }
    assert_eq!(locks.unlock(&json!({"trava_id": holder})).1["liberado"], true);
    assert_eq!(http("GET", &locks.url("/locks/X"), None).status, 404);
}

#[test]
fn spiral_1229_zero_wait_never_waits_and_a_wait_to_its_end_is_refused_with_the_holder() {
    let locks = Locks::start();
    locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 60_000}));
    // Far less than a second even on a busy machine: the minimum of several tries.
    let waited = (0..5).map(|_| {
        let begun = Instant::now();
        assert_eq!(locks.lock(&json!({"recurso": "X", "espera_ms": 0})).0, 409);
        begun.elapsed()
    });
    assert!(waited.min().unwrap() < Duration::from_millis(500));
    let (status, busy) = locks.lock(&json!({"recurso": "X", "espera_ms": 200}));
    assert_eq!((status, busy["dono"].as_str(), busy["fila"].as_u64()), (409, Some("eu"), Some(0)));
    assert!(busy["esperou_ms"].as_u64().unwrap() >= 200, "{busy}");
    for wrong in [json!(-1), json!(60_001), json!("1")] {
        assert_eq!(locks.lock(&json!({"recurso": "X", "espera_ms": wrong})).0, 422);
    }
}

#[test]
fn etcd_11456_a_lease_lives_its_whole_ttl_after_a_wait() {
    // And node-redlock #169: expiry was counted from the first attempt.
    let locks = Locks::start();
    locks.lock(&json!({"recurso": "X", "ttl_ms": 600}));
    let (status, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 5000, "espera_ms": 10_000}));
    assert_eq!(status, 200);
    assert!(lease["esperou_ms"].as_u64().unwrap() >= 300, "{lease}");
    let left = http("GET", &locks.url("/locks/X"), None).json()["expira_em_ms"].as_u64().unwrap();
    assert!(left > 4000, "{left}");
}

#[test]
fn a_waiter_for_several_holds_none_and_is_not_starved_by_single_ones() {
    let locks = Locks::start();
    let (_, first) = locks.lock(&json!({"recurso": "A"}));
    let both = Pending::post(&locks, "/lock", &json!({"recursos": ["A", "B"], "dono": "ambos", "espera_ms": 30_000}));
    wait_for_queue(&locks, "A", 1);
    let free = http("GET", &locks.url("/locks/B"), None).json();
    assert_eq!((&free["estado"], &free["dono"], &free["fila"]), (&json!("prometido"), &Value::Null, &json!(1)));
    let (status, busy) = locks.lock(&json!({"recurso": "B"}));
    assert_eq!((status, &busy["token"], &busy["expira_em_ms"]), (409, &Value::Null, &Value::Null));
    let single = Pending::post(&locks, "/lock", &json!({"recurso": "B", "dono": "um", "espera_ms": 30_000}));
    wait_for_queue(&locks, "B", 2);
    assert_eq!(locks.lock(&json!({"recurso": "C"})).0, 200);
    locks.unlock(&json!({"trava_id": first["trava_id"]}));
    let (_, lease) = both.answer();
    assert_eq!(lease["dono"], "ambos");
    locks.unlock(&json!({"trava_id": lease["trava_id"]}));
    assert_eq!(single.answer().1["dono"], "um");
}

#[test]
fn the_same_request_again_shares_its_place_and_both_get_the_one_lease() {
    let locks = Locks::start();
    let (_, first) = locks.lock(&json!({"recurso": "X"}));
    let request = json!({"recurso": "X", "dono": "eu", "pedido_id": "7", "espera_ms": 30_000});
    let once = Pending::post(&locks, "/lock", &request);
    wait_for_queue(&locks, "X", 1);
    // Again, but without a wait: the answer names the obstacle, alone and in a batch, and the place stays.
    let hasty = json!({"op": "lock", "recurso": "X", "dono": "eu", "pedido_id": "7"});
    let batch = locks.post("/lote", &json!({"operacoes": [hasty]})).1;
    assert_eq!(batch["respostas"][0]["codigo"], "ocupado");
    assert_eq!(locks.lock(&json!({"recurso": "X", "dono": "eu", "pedido_id": "7"})).0, 409);
    let twice = Pending::post(&locks, "/lock", &request);
    let third = Pending::post(&locks, "/lock", &request);
    let log = locks.folder.path().join("coordenador.log");
    let again = "Na fila, no lugar que já tinha, por recurso X";
    wait_until("they are all in", || std::fs::read_to_string(&log).unwrap().matches(again).count() == 2);
    wait_for_queue(&locks, "X", 1);
    drop(third);
    locks.unlock(&json!({"trava_id": first["trava_id"]}));
    let (one, other) = (once.answer(), twice.answer());
    assert_eq!((one.0, &one.1["trava_id"]), (200, &other.1["trava_id"]));
    // The lease is theirs: it was not taken back when the third client went.
    assert_eq!(http("GET", &locks.url("/locks/X"), None).json()["token"], one.1["token"]);
}

#[test]
fn in_a_batch_an_operation_that_waits_does_not_delay_the_others() {
    let locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu"}));
    let (status, answers) = locks.post(
        "/lote",
        &json!({"operacoes": [
            {"op": "lock", "recurso": "X", "espera_ms": 30_000, "dono": "b"},
            {"op": "lock", "recurso": "X", "espera_ms": 150, "dono": "c"},
            {"op": "renew", "trava_id": lease["trava_id"]},
            {"op": "unlock", "trava_id": lease["trava_id"]},
        ]}),
    );
    let statuses: Vec<_> = answers["respostas"].as_array().unwrap().iter().map(|answer| &answer["status"]).collect();
    assert_eq!((status, statuses), (200, vec![&json!(200), &json!(409), &json!(200), &json!(200)]));
    assert_eq!(answers["respostas"][1]["dono"], "b");
    // The batch is given up: its waiters leave, and its unanswered grants are undone.
    let batch = json!({"operacoes": [
        {"op": "lock", "recurso": "X", "espera_ms": 30_000, "dono": "d"},
        {"op": "lock", "recurso": "Y", "ttl_ms": 300_000, "dono": "d"},
    ]});
    let pending = Pending::post(&locks, "/lote", &batch);
    wait_for_queue(&locks, "X", 1);
    wait_until("Y is locked", || http("GET", &locks.url("/locks/Y"), None).status == 200);
    drop(pending);
    wait_for_queue(&locks, "X", 0);
    wait_until("Y is free", || http("GET", &locks.url("/locks/Y"), None).status == 404);
}

#[test]
fn a_stop_refuses_the_waiters_and_is_quick() {
    let mut locks = Locks::start();
    locks.lock(&json!({"recurso": "X", "ttl_ms": 60_000}));
    let waiter = Pending::post(&locks, "/lock", &json!({"recurso": "X", "espera_ms": 60_000}));
    wait_for_queue(&locks, "X", 1);
    // Its body is still to come: it is answered while the service stops.
    let address = locks.server.url()["http://".len()..].to_owned();
    let mut late = TcpStream::connect(&address).unwrap();
    let head = "POST /lock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n";
    late.write_all(head.as_bytes()).unwrap();
    // This answer shows that the late request's head was read: each connection is served as its bytes come.
    wait_until("others are served", || http("GET", &locks.url("/saude"), None).status == 200);
    crate::common::signal(locks.server.pid(), "TERM");
    let (status, problem) = waiter.answer();
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("encerrando")));
    late.write_all(br#"{"recurso":"Y"}"#).unwrap();
    let mut text = String::new();
    late.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\"encerrando\""), "{text}");
    assert_eq!(locks.server.terminate(), Some(0));
}

#[test]
fn waiters_leave_connections_for_unlocks() {
    // dflockd: an accept loop that spun on too many open files.
    let folder = tempfile::tempdir().unwrap();
    let coordinator = coordinator_command(folder.path(), "127.0.0.1:0");
    let mut limited = std::process::Command::new("sh");
    crate::common::deaf(&mut limited).args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(coordinator.get_program());
    let server = Server::spawn(limited.args(coordinator.get_args()), 1);
    let url = server.url();
    let locks = Locks::of(server, folder);
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 60_000}));
    // 256 - 128 connections, three quarters of which may wait.
    let body = json!({"recurso": "X", "espera_ms": 60_000});
    // The first is in the queue before the others come: they are served in order of arrival.
    let first = Pending::post(&locks, "/lock", &body);
    wait_for_queue(&locks, "X", 1);
    let _others: Vec<_> = (1..96).map(|_| Pending::post(&locks, "/lock", &body)).collect();
    wait_for_queue(&locks, "X", 96);
    let refused = http("POST", &format!("{url}/lock"), Some(("application/json", &body.to_string())));
    assert_eq!((refused.status, refused.json()["codigo"].as_str()), (503, Some("esperas_demais")));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(http("GET", &format!("{url}/eventos?canal=a"), None).status, 503);
    // Idle connections past the limit wait in the kernel's queue; when some go, all is served.
    let idle: Vec<_> = (0..100).map(|_| TcpStream::connect(&url["http://".len()..]).unwrap()).collect();
    drop(idle);
    assert_eq!(locks.unlock(&json!({"trava_id": lease["trava_id"]})).1["liberado"], true);
    assert_eq!(first.answer().0, 200);
}
