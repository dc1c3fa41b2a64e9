//! Attacks on the coordinator's memory and places, with what they reach: `cargo test --test it budgets -- --ignored --nocapture`
//!
//! Each prints the memory of the process (its resident set) before and after. The coordinator must stay below 256 MiB.

use serde_json::{Value, json};

use crate::common::listener::Listener;
use crate::common::pending::Pending;
use crate::common::{Locks, http, wait_until};

/// The most that a coordinator's process may take, in KiB.
const MOST_KIB: u64 = 256 * 1024;

/// The resident memory of a process, in KiB.
fn resident_kib(locks: &Locks) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", locks.server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The coordinator's measures of memory and of refusals, for people.
fn measures(locks: &Locks) -> String {
    let text = http("GET", &locks.url("/metrics"), None).body;
    let wanted = ["memory_bytes", "locks_refused", "leases ", "resources_held", "waiters ", "_dropped", "clients "];
    let lines = text.lines().filter(|line| !line.starts_with('#') && wanted.iter().any(|one| line.contains(one)));
    lines.flat_map(|line| ["\n    ", line.trim_start_matches("sctec_coordinator_")]).collect()
}

/// Prints what an attack reached, and checks the bound.
fn told(locks: &Locks, attack: &str, before: u64, reached: &str) {
    let after = resident_kib(locks);
    let (from, to) = (before / 1024, after / 1024);
    eprintln!("{attack}: {reached}\n    {from} MiB -> {to} MiB{}", measures(locks));
    assert!(after < MOST_KIB, "{attack}: {after} KiB");
    // It still serves.
    assert_eq!(http("GET", &locks.url("/saude"), None).status, 200);
}

fn long(what: &str, number: usize) -> String {
    format!("{what}{number:0>199}")
}

/// How many requests wait, or were refused a place or a lease.
fn decided(locks: &Locks) -> usize {
    let text = http("GET", &locks.url("/metrics"), None).body;
    let wanted = ["sctec_coordinator_waiters ", "sctec_coordinator_locks_refused_total{"];
    let lines = text.lines().filter(|line| wanted.iter().any(|one| line.starts_with(one)));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

fn statuses(answer: &Value) -> impl Iterator<Item = u64> {
    answer["respostas"].as_array().unwrap().iter().map(|answer| answer["status"].as_u64().unwrap())
}

#[test]
#[ignore = "prints figures, and takes a minute"]
fn leases_with_the_longest_names() {
    let locks = Locks::start();
    let before = resident_kib(&locks);
    let (mut asked, mut granted) = (0, 0);
    for _ in 0..120 {
        let lock = |number| {
            let (owner, request) = (long("d", number), long("p", number));
            json!({"op": "lock", "recurso": long("r", number), "dono": owner, "pedido_id": request, "ttl_ms": 300_000})
        };
        let operations: Vec<Value> = (asked..asked + 1024).map(lock).collect();
        let (status, answer) = locks.post("/lote", &json!({"operacoes": operations}));
        assert_eq!(status, 200);
        granted += statuses(&answer).filter(|status| *status == 200).count();
        asked += 1024;
    }
    told(&locks, "leases with the longest names", before, &format!("{granted} of {asked} granted"));
    assert!(granted < asked);
}

#[test]
#[ignore = "prints figures, and takes a minute"]
fn requests_that_wait_with_the_longest_names() {
    let locks = Locks::start();
    locks.lock(&json!({"recurso": "x", "ttl_ms": 300_000}));
    let before = resident_kib(&locks);
    let mut waiting = Vec::new();
    for batch in 0..60 {
        let lock = |number| {
            let resources = json!(["x", long("r", batch * 1024 + number)]);
            let (owner, request) = (long("d", number), long("p", batch));
            json!({"op": "lock", "recursos": resources, "dono": owner, "pedido_id": request, "espera_ms": 60_000})
        };
        let operations: Vec<Value> = (0..1024).map(lock).collect();
        let pending = Pending::post(&locks, "/lote", &json!({"operacoes": operations}));
        waiting.push(pending);
        wait_until("the batch is decided", || decided(&locks) >= 1024 * (batch + 1));
    }
    told(&locks, "60 batches that wait", before, "all places of the queues that there are memory for");
    drop(waiting);
}

#[test]
#[ignore = "prints figures, and takes a minute"]
fn one_request_for_all_places_in_the_queues() {
    for args in [&[][..], &["--client-waits", "1024"]] {
        let locks = Locks::start_with(args);
        let names = |first: usize| (first..first + 288).map(|number| format!("{number:x}")).collect::<Vec<_>>();
        locks.lock(&json!({"recursos": names(0), "ttl_ms": 300_000}));
        let before = resident_kib(&locks);
        let operations: Vec<Value> =
            (0..347).map(|_| json!({"op": "lock", "recursos": names(0), "espera_ms": 60_000})).collect();
        let pending = Pending::post(&locks, "/lote", &json!({"operacoes": operations}));
        wait_until("the batch is decided", || decided(&locks) >= 347);
        told(&locks, "one request for 99,936 places", before, &format!("{args:?}"));
        drop(pending);
    }
}

#[test]
#[ignore = "prints figures, and takes a minute"]
fn channels_full_of_large_events() {
    let locks = Locks::start();
    let before = resident_kib(&locks);
    let event = json!({"evento": "e", "dados": "x".repeat(16_000)});
    let mut listeners = Vec::new();
    for channel in 0..63 {
        for _ in 0..6 {
            let body = json!({"canal": channel.to_string(), "eventos": vec![&event; 60]});
            assert_eq!(locks.post("/eventos", &body).0, 200);
        }
        // It reads the whole ring, so each event is there in both forms, and then reads no more.
        let mut listener = Listener::open(&locks.url(&format!("/eventos?canal={channel}&desde=x")), None);
        assert_eq!(listener.event().name, "perdidos");
        listeners.push(listener);
    }
    told(&locks, "63 channels of large events", before, "each has a listener that does not read");
}

#[test]
#[ignore = "prints figures, and takes a minute"]
fn five_requests_for_a_year_of_slots() {
    let locks = Locks::start_with(&["--client-locks", "4096"]);
    let before = resident_kib(&locks);
    let mut day = 0;
    let mut granted = 0;
    for _ in 0..5 {
        let lock = |day: usize| {
            let slots: Vec<String> = (0..288).map(|slot| format!("Hubble-Acad_{day:03}_{slot:03}")).collect();
            json!({"op": "lock", "recursos": slots, "ttl_ms": 300_000})
        };
        let operations: Vec<Value> = (day..day + 73).map(lock).collect();
        day += 73;
        let (_, answer) = locks.post("/lote", &json!({"operacoes": operations}));
        granted += statuses(&answer).filter(|status| *status == 200).count();
    }
    told(&locks, "five requests for a year of slots", before, &format!("{granted} of {day} days granted"));
    assert_eq!(granted, 14);
}
