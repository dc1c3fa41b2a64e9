//! How much of the coordinator one client may use, and how much memory all of them: from outside.

use std::io::{Read, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::common::listener::Listener;
use crate::common::pending::{Pending, wait_for_queue};
use crate::common::{Locks, http, wait_until};

/// The value of a metric, as a query names it.
fn metric(locks: &Locks, name: &str) -> u64 {
    let text = http("GET", &locks.url("/metrics"), None).body;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("sctec_coordinator_{name} ")));
    line.map_or(0, |value| value.parse().unwrap_or_else(|_| panic!("{name}: {value}")))
}

fn refused(locks: &Locks, reason: &str) -> u64 {
    metric(locks, &format!("locks_refused_total{{reason=\"{reason}\"}}"))
}

/// Names that begin with `prefix`.
fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// A request from another address of this machine: its status.
fn lock_from(locks: &Locks, address: &str, body: &Value) -> u16 {
    let here: SocketAddr = format!("{address}:0").parse().unwrap();
    let there = locks.server.url()["http://".len()..].parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(here).unwrap();
        socket.connect(there).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let body = body.to_string();
    let head = "POST /lock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";
    write!(&stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    (&stream).read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_client_has_no_more_than_its_quota_and_others_do_not_notice() {
    let mut locks = Locks::start_with(&["--client-locks", "10", "--grace", "0"]);
    let ask = |locks: &Locks, body: Value| {
        let answer = http("POST", &locks.url("/lock"), Some(("application/json", &body.to_string())));
        let codes = answer.json()["codigo"].as_str().map(str::to_owned);
        (answer.status, codes, answer.header("retry-after").map(str::to_owned))
    };
    let over = |retry: Option<&str>| (429, Some("cota_excedida".to_owned()), retry.map(str::to_owned));
    let (_, eight) = locks.lock(&json!({"recursos": names("a", 8), "ttl_ms": 60_000}));
    assert_eq!(ask(&locks, json!({"recursos": names("b", 3)})), over(Some("1")));
    // More than the quota itself is never granted.
    assert_eq!(ask(&locks, json!({"recursos": names("b", 11)})), over(None));
    let (_, problem) = locks.lock(&json!({"recursos": names("b", 3)}));
    let members = ["cota", "em_uso", "pedido", "limite"].map(|member| problem[member].clone());
    assert_eq!(members, [json!("travas"), json!(8), json!(3), json!(10)]);
    assert!(problem["detail"].as_str().unwrap().contains("--client-locks"), "{problem}");
    assert_eq!(lock_from(&locks, "127.0.0.2", &json!({"recursos": names("b", 10)})), 200);
    assert_eq!(lock_from(&locks, "127.0.0.2", &json!({"recurso": "c"})), 429);
    assert_eq!((refused(&locks, "LockQuota"), metric(&locks, "clients")), (4, 2));
    let line = "Cota de travas do cliente excedida, negando lock";
    wait_until("it is logged", || {
        let log = locks.log();
        log.lines().any(|logged| logged.contains(line) && logged.contains("cliente=127.0.0.2"))
    });
    // A busy resource is said to be busy, also to a client that is over its quota.
    assert_eq!(ask(&locks, json!({"recurso": "b-0"})).0, 409);
    // A renewal adds nothing. What is retained still counts, and what an operator took does not.
    assert_eq!(locks.post("/renew", &json!({"trava_id": eight["trava_id"], "ttl_ms": 60_000})).0, 200);
    assert_eq!(locks.unlock(&json!({"trava_id": eight["trava_id"], "retencao_ms": 60_000})).0, 200);
    assert_eq!(ask(&locks, json!({"recursos": names("d", 3)})).0, 429);
    assert_eq!(http("DELETE", &locks.url("/locks/a-0"), None).status, 200);
    assert_eq!(ask(&locks, json!({"recursos": names("d", 3), "ttl_ms": 300})).0, 200);
    assert_eq!(ask(&locks, json!({"recurso": "e"})).0, 429);
    wait_until("the lease expires", || ask(&locks, json!({"recurso": "e", "ttl_ms": 60_000})).0 == 200);
    locks.keep_address();
    locks.server.kill();
    locks.restart();
    assert_eq!(ask(&locks, json!({"recursos": names("f", 10)})).0, 200);
}

#[test]
fn every_operation_of_a_batch_counts() {
    let locks = Locks::start_with(&["--client-locks", "10"]);
    let operations: Vec<Value> = (0..6).map(|n| json!({"op": "lock", "recursos": names(&n.to_string(), 3)})).collect();
    let (status, answer) = locks.post("/lote", &json!({"operacoes": operations}));
    let statuses: Vec<_> =
        answer["respostas"].as_array().unwrap().iter().map(|answer| answer["status"].clone()).collect();
    assert_eq!((status, statuses), (200, vec![json!(200), json!(200), json!(200), json!(429), json!(429), json!(429)]));
}

#[test]
fn a_client_has_no_more_places_in_queues_than_its_quota_and_a_lease_from_the_queue_keeps_both_quotas() {
    let locks = Locks::start_with(&["--client-locks", "10", "--client-waits", "4"]);
    let patient = |names: Vec<String>| json!({"recursos": names, "espera_ms": 60_000, "ttl_ms": 60_000});
    let (_, four) = locks.lock(&json!({"recursos": names("a", 4), "ttl_ms": 60_000}));
    let three = Pending::post(&locks, "/lock", &patient(names("a", 3)));
    wait_for_queue(&locks, "a-0", 1);
    let (status, problem) = locks.lock(&patient(names("a", 2)));
    assert_eq!((status, &problem["cota"], &problem["em_uso"]), (429, &json!("espera"), &json!(3)));
    assert!(problem["detail"].as_str().unwrap().contains("--client-waits"), "{problem}");
    assert_eq!(refused(&locks, "WaitQuota"), 1);
    // What waits counts as if it were held: four, three and three.
    assert_eq!(locks.lock(&json!({"recursos": names("b", 4)})).0, 429);
    let (_, other) = locks.lock(&json!({"recursos": names("b", 3), "ttl_ms": 60_000}));
    locks.unlock(&json!({"trava_id": four["trava_id"]}));
    let (status, lease) = three.answer();
    assert_eq!(status, 200);
    assert_eq!(locks.lock(&json!({"recursos": names("c", 5)})).0, 429);
    assert_eq!(locks.lock(&json!({"recursos": names("c", 4)})).0, 200);
    // A waiter whose client goes gives its places back.
    locks.unlock(&json!({"trava_id": other["trava_id"]}));
    let gone = Pending::post(&locks, "/lock", &patient(names("a", 3)));
    wait_for_queue(&locks, "a-0", 1);
    assert_eq!(locks.lock(&patient(names("a", 2))).0, 429);
    drop(gone);
    wait_until("it left", || metric(&locks, "waiters") == 0);
    let again = Pending::post(&locks, "/lock", &patient(names("a", 3)));
    wait_for_queue(&locks, "a-0", 1);
    locks.unlock(&json!({"trava_id": lease["trava_id"]}));
    assert_eq!(again.answer().0, 200);
}

#[test]
fn clients_on_this_machine_have_no_quota_of_their_own_accord() {
    for locks in [Locks::start(), Locks::start_with(&["--client-locks", "0", "--client-waits", "0"])] {
        // More than the quota of a client from elsewhere.
        for number in 0..15 {
            let (status, answer) = locks.lock(&json!({"recursos": names(&number.to_string(), 288)}));
            assert_eq!(status, 200, "{answer}");
        }
        assert_eq!((metric(&locks, "clients"), metric(&locks, "resources_held")), (0, 15 * 288));
    }
}

/// Fills the table with single locks of the longest names until one is refused for want of memory: the leases.
fn fill(locks: &Locks) -> Vec<Value> {
    let long = |what: &str, number: usize| format!("{what}{number:0>199}");
    let mut leases = Vec::new();
    loop {
        let lock =
            |number| json!({"op": "lock", "recurso": long("r", number), "dono": long("d", number), "ttl_ms": 60_000});
        let operations: Vec<Value> = (leases.len()..leases.len() + 400).map(lock).collect();
        let (_, answer) = locks.post("/lote", &json!({"operacoes": operations}));
        for answer in answer["respostas"].as_array().unwrap() {
            if answer["status"] == 503 {
                assert_eq!((&answer["codigo"], &answer["limite_bytes"]), (&json!("tabela_cheia"), &json!(1 << 20)));
                return leases;
            }
            assert_eq!(answer["status"], 200, "{answer}");
            leases.push(answer["trava_id"].clone());
        }
    }
}

#[test]
fn the_memory_of_all_locks_is_bounded_and_what_is_released_makes_room() {
    let locks = Locks::start_with(&["--table-mib", "1"]);
    let bytes = |budget: &str| metric(&locks, &format!("memory_bytes{{budget=\"{budget}\"}}"));
    assert_eq!(metric(&locks, "memory_limit_bytes{budget=\"table\"}"), 1 << 20);
    let leases = fill(&locks);
    assert!((400..1200).contains(&leases.len()), "{}", leases.len());
    assert!(bytes("table") <= 1 << 20 && bytes("table") > (1 << 20) - 2000, "{}", bytes("table"));
    assert!(refused(&locks, "TableBytes") > 0);
    // An unlock with a retention finds room, always.
    for lease in &leases[..100] {
        assert_eq!(locks.unlock(&json!({"trava_id": lease, "retencao_ms": 60_000})).1["liberado"], true);
    }
    assert!(bytes("table") <= 1 << 20, "{}", bytes("table"));
    for lease in &leases[100..200] {
        assert_eq!(locks.unlock(&json!({"trava_id": lease})).1["liberado"], true);
    }
    assert_eq!(locks.lock(&json!({"recurso": "x"})).0, 200);
}

#[test]
fn the_memory_of_what_waits_is_bounded() {
    let locks = Locks::start_with(&["--table-mib", "1"]);
    locks.lock(&json!({"recurso": "x", "ttl_ms": 60_000}));
    let operations: Vec<Value> = (0..1000)
        .map(|number| json!({"op": "lock", "recursos": ["x", number.to_string()], "espera_ms": 60_000}))
        .collect();
    let mut one = Pending::post(&locks, "/lote", &json!({"operacoes": operations}));
    wait_until("there is no room left", || refused(&locks, "QueueBytes") > 0);
    let limit = metric(&locks, "memory_limit_bytes{budget=\"queues\"}");
    assert_eq!(limit, (1 << 20) / 8 * 3);
    let used = metric(&locks, "memory_bytes{budget=\"queues\"}");
    assert!(used <= limit && used > limit - 3000, "{used} of {limit}");
    let (status, problem) = locks.lock(&json!({"recurso": "x", "espera_ms": 1000}));
    assert_eq!((status, &problem["codigo"], &problem["limite_bytes"]), (503, &json!("fila_cheia"), &json!(limit)));
    // Others go on, and have the memory that may not wait.
    assert_eq!(locks.lock(&json!({"recurso": "y"})).0, 200);
    one.say_what_is_taken(b"");
    drop(one);
    wait_until("its waiters left", || metric(&locks, "memory_bytes{budget=\"queues\"}") == 0);
}

#[test]
fn the_answers_that_wait_in_batches_are_bounded_in_number() {
    let locks = Locks::start();
    locks.lock(&json!({"recurso": "x", "ttl_ms": 60_000}));
    let mut operations = vec![json!({"op": "unlock", "recurso": "livre"}); 1024];
    operations[0] = json!({"op": "lock", "recurso": "x", "espera_ms": 60_000});
    let body = json!({"operacoes": operations});
    let waiting: Vec<_> = (0..16).map(|_| Pending::post(&locks, "/lote", &body)).collect();
    wait_for_queue(&locks, "x", 16);
    // Only the operation that would wait is refused.
    let (_, answer) = locks.post("/lote", &body);
    let answers = &answer["respostas"];
    assert_eq!((&answers[0]["status"], &answers[0]["codigo"]), (&json!(503), &json!("fila_cheia")));
    assert_eq!((&answers[0]["limite"], &answers[1023]["status"]), (&json!(16_384), &json!(200)));
    assert_eq!(refused(&locks, "QueueFull"), 1);
    drop(waiting);
    wait_for_queue(&locks, "x", 0);
    let patient = json!({"operacoes": [{"op": "lock", "recurso": "x", "espera_ms": 100}]});
    assert_eq!(locks.post("/lote", &patient).1["respostas"][0]["codigo"], "ocupado");
}

#[test]
fn a_channel_that_nobody_hears_makes_room_and_one_that_is_heard_does_not() {
    let locks = Locks::start();
    let publish = |channel: &str| locks.post("/eventos", &json!({"canal": channel, "evento": "e"}));
    for number in 0..63 {
        assert_eq!(publish(&number.to_string()).0, 200);
    }
    let (_, first) = publish("0");
    assert_eq!(publish("mais-um").0, 200);
    assert_eq!(metric(&locks, "channels_dropped_total"), 1);
    // The channel 1 had to go, since 0 was used again: who heard it is told that events may be missing.
    let mut known = Listener::open(&locks.url("/eventos?canal=0"), first["id"].as_str());
    assert_eq!(known.begins.as_deref(), first["id"].as_str());
    assert_eq!(publish("1").1["id"].as_str().unwrap().split_once('-').unwrap().1, "1");
    assert_eq!(publish("0").0, 200);
    assert_eq!(known.event().name, "e");
}

#[test]
fn the_events_of_all_channels_are_bounded_in_memory() {
    let locks = Locks::start();
    assert_eq!(locks.post("/eventos", &json!({"canal": "agenda", "evento": "e"})).0, 200);
    let (_, little) = locks.post("/eventos", &json!({"canal": "pequeno", "evento": "e"}));
    locks.post("/eventos", &json!({"canal": "pequeno", "evento": "e"}));
    let event = json!({"evento": "e", "dados": "x".repeat(16_000)});
    for channel in 0..16 {
        for _ in 0..4 {
            let body = json!({"canal": channel.to_string(), "eventos": vec![&event; 50]});
            assert_eq!(locks.post("/eventos", &body).0, 200);
        }
    }
    let (used, limit) =
        ["", "limit_"].map(|kind| metric(&locks, &format!("memory_{kind}bytes{{budget=\"events\"}}"))).into();
    assert_eq!(limit, 24 << 20);
    assert!(used <= 17 << 20 && used > 12 << 20, "{used}");
    assert!(metric(&locks, "events_dropped_total") > 100);
    let mut kept = Listener::open(&locks.url("/eventos?canal=pequeno"), little["id"].as_str());
    assert_eq!(kept.event().name, "e");
}
