//! A coordinator that was paused past its term: it gives nothing when it is woken, and what it gave is refused by the store.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::{Coordinators, JSON};
use crate::common::etcd::Etcd;
use crate::common::listener::Listener;
use crate::common::{Asked, Server, count, http, pause, scheduler_command, signal, try_http, wait_until};

/// Requests that reached a paused coordinator, and are answered when it is woken.
fn answers_after(urls: Vec<(String, Value)>) -> Vec<thread::JoinHandle<(u16, Value)>> {
    let ask = |(url, body): (String, Value)| {
        thread::spawn(move || {
            let answer = http("POST", &url, Some((JSON, &body.to_string())));
            (answer.status, answer.json())
        })
    };
    urls.into_iter().map(ask).collect()
}

#[test]
#[ignore = "needs etcd"]
fn a_deposed_one_that_is_woken_gives_nothing_and_ends_its_streams() {
    let etcd = Etcd::start(1);
    let coordinators = Coordinators::start(&etcd, 2, &["--grace", "0"]);
    let old = coordinators.elected();
    let held = coordinators.lock(old, &json!({"recurso": "X", "ttl_ms": 4000})).json();
    let granted = Instant::now();
    let mut listener = Listener::open(&coordinators.url(old, "/eventos?canal=travas"), None);
    // It waits for a lock whose holder's time runs out while the coordinator is paused.
    let url = coordinators.url(old, "/lock");
    let waiting = answers_after(vec![(url.clone(), json!({"recurso": "X", "espera_ms": 60_000}))]);
    wait_until("it waits", || http("GET", &coordinators.url(old, "/saude"), None).json()["esperando"] == 1);
    pause(coordinators.pid(old));
    let new = coordinators.elected_but(old);
    let renew = coordinators.url(old, "/renew");
    let late = answers_after(vec![
        (url.clone(), json!({"recurso": "Y"})),
        (url, json!({"recurso": "Z", "espera_ms": 1000})),
        (renew, json!({"trava_id": held["trava_id"]})),
    ]);
    let larger = coordinators.lock(new, &json!({"recurso": "X"})).json();
    assert!(larger["token"].as_u64().unwrap() > held["token"].as_u64().unwrap(), "{larger} {held}");
    // Past the end of the lock that is waited for.
    thread::sleep(Duration::from_millis(4200).saturating_sub(granted.elapsed()));
    signal(coordinators.pid(old), "CONT");
    for (status, problem) in waiting.into_iter().chain(late).map(|asked| asked.join().unwrap()) {
        let code = problem["codigo"].as_str().unwrap();
        assert!(status == 503 && ["nao_eleito", "tokens_indisponiveis"].contains(&code), "{status} {problem}");
    }
    listener.end();
    wait_until("it knows", || coordinators.ready(old)["eleicao"]["eleito"] == json!(coordinators.url(new, "")));
    assert_eq!(coordinators.metric(old, "elections_lost_total"), "1");
    wait_until("its log says so", || coordinators.log(old).contains("Deixou de ser o eleito"));
    let log = coordinators.log(old);
    assert_eq!(log.matches("Lock concedido para").count(), 1, "{log}");
}

#[test]
#[ignore = "needs etcd"]
fn what_a_deposed_one_gave_is_refused_by_the_store() {
    let etcd = Etcd::start(1);
    // Without a grace the new one gives the same lock at once: only the token tells the two holders apart.
    let coordinators = Coordinators::start(&etcd, 2, &["--grace", "0"]);
    let old = coordinators.elected();
    let folder = tempfile::tempdir().unwrap();
    let scheduler = |arguments: &[&str]| {
        Server::spawn(scheduler_command(folder.path(), &coordinators.addresses()).args(arguments), 1)
    };
    let slow = scheduler(&["--critical-delay-ms", "8000", "--lock-ttl-ms", "60000"]);
    let quick = scheduler(&[]);
    let asked = Asked::by(1, "2040-01-01T03:00:00Z");
    let (url, late) = (slow.url(), asked.clone());
    let late = thread::spawn(move || late.at(&url));
    let name = "/locks/Hubble-Acad_2040-01-01T03:00:00Z";
    wait_until("it has the lock", || http("GET", &coordinators.url(old, name), None).status == 200);
    let token = http("GET", &coordinators.url(old, name), None).json()["token"].as_u64().unwrap();
    pause(coordinators.pid(old));
    let new = coordinators.elected_but(old);
    // It books under the new one's lock and cancels, so that the slot is free again: only the token is against the first.
    let mut booked = Value::Null;
    wait_until("it books", || {
        let answer = Asked::by(2, "2040-01-01T03:00:00Z").at(&quick.url());
        booked = answer.json();
        answer.status == 201
    });
    let taken = quick.lines().into_iter().find(|line| line.contains("Lock adquirido com sucesso")).unwrap();
    let larger: u64 = taken.split("token=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(larger > token, "{larger} {token}");
    let cancel = booked["_links"]["cancelar"]["href"].as_str().unwrap();
    assert_eq!(http("DELETE", &format!("{}{cancel}", quick.url()), None).status, 200);
    let refused = late.join().unwrap();
    assert_eq!((refused.status, &refused.json()["codigo"]), (503, &json!("token_obsoleto")), "{}", refused.body);
    signal(coordinators.pid(old), "CONT");
    assert_eq!(
        count(&folder.path().join("sctec.db"), "SELECT count(*) FROM horarios WHERE agendamento_id IS NOT NULL"),
        0
    );
    wait_until("it knows", || coordinators.ready(old)["eleicao"]["eleito"] == json!(coordinators.url(new, "")));
}

#[test]
#[ignore = "needs etcd"]
fn one_whose_key_was_deleted_by_hand_is_elected_anew_and_its_tokens_are_larger() {
    let etcd = Etcd::start(1);
    let coordinators = Coordinators::start(&etcd, 1, &["--grace", "0"]);
    coordinators.elected();
    let term = coordinators.ready(0)["eleicao"]["mandato"].as_u64().unwrap();
    let token = coordinators.lock(0, &json!({"recurso": "X"})).json()["token"].as_u64().unwrap();
    etcd.control(&["del", "/sctec/coordenador/eleito"]);
    wait_until("it is elected anew", || {
        let ready = try_http("GET", &coordinators.url(0, "/pronto"), None).unwrap().json();
        ready["partes"]["eleicao"] == "ok" && ready["eleicao"]["mandato"].as_u64().unwrap() > term
    });
    // The table is new, and the tokens go on.
    assert!(coordinators.lock(0, &json!({"recurso": "X"})).json()["token"].as_u64().unwrap() > token);
}
