//! Requests that are repeated with their `Idempotency-Key`: what they make is made once, and each repetition gets the same answer.

mod lost;
mod scope;

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::common::storage::of_sqlite;
use crate::common::{Answer, Asked, Services, http, http_with, wait_until};

const SLOT: &str = "2031-03-01T03:00:00Z";
const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

/// A request that makes something, with a key.
fn post(url: &str, path: &str, body: &str, key: &str) -> Answer {
    post_with(url, path, body, &[("Idempotency-Key", key)])
}

fn post_with(url: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    http_with("POST", &format!("{url}{path}"), Some(("application/json", body)), headers)
}

fn book(url: &str, asked: &Asked, key: &str) -> Answer {
    post(url, "/agendamentos", &asked.text(), key)
}

fn code(answer: &Answer) -> Value {
    answer.json()["codigo"].clone()
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

/// What a repetition has to give again.
fn shape(answer: &Answer) -> (u16, Option<String>, Option<String>, String) {
    let header = |name: &str| answer.header(name).map(str::to_owned);
    (answer.status, header("location"), header("etag"), answer.body.clone())
}

#[track_caller]
fn assert_same(first: &Answer, again: &Answer) {
    assert_eq!(shape(again), shape(first));
    assert!(is_replayed(again) && !is_replayed(first), "the repetition says that it is one");
}

/// How many records of an event the trail has.
fn records(services: &Services, event: &str) -> usize {
    services.count(&format!("SELECT count(*) FROM auditoria WHERE linha LIKE '%\"event_type\":\"{event}\"%'"))
}

/// Sends the request `times` at the same instant to these schedulers in turn.
fn at_once(urls: &[String], times: usize, asked: &Asked, key: &str) -> Vec<Answer> {
    let start = Barrier::new(times);
    thread::scope(|scope| {
        let requests: Vec<_> = (0..times)
            .map(|number| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    book(&urls[number % urls.len()], asked, key)
                })
            })
            .collect();
        requests.into_iter().map(|request| request.join().unwrap()).collect()
    })
}

/// Of all that was answered to one request, one booking was made, and every 201 is the same.
#[track_caller]
fn assert_one(services: &Services, answers: &[Answer]) -> Answer {
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    for answer in answers {
        match answer.status {
            201 => assert_eq!(shape(answer), shape(made[0])),
            409 => {
                assert_eq!(code(answer), "chave_em_andamento");
                assert!(answer.header("retry-after").is_some());
            }
            _ => panic!("{} {}", answer.status, answer.body),
        }
    }
    assert!(made.iter().filter(|answer| !is_replayed(answer)).count() <= 1, "one of them was no repetition");
    assert_eq!((services.list("").len(), records(services, "AGENDAMENTO_CRIADO")), (1, 1));
    let again = book(&services.agenda(""), &Asked::by(7, SLOT), KEY);
    assert_eq!(shape(&again), shape(made[0]));
    assert!(is_replayed(&again));
    again
}

#[test]
fn of_fifty_requests_at_once_with_one_key_one_books_and_after_a_kill_the_key_answers_the_same() {
    let mut services = Services::start(&["--critical-delay-ms", "20"]);
    let answers = at_once(&[services.agenda("")], 50, &Asked::by(7, SLOT), KEY);
    assert!(answers.iter().any(|answer| answer.status == 409), "some came while the first was under way");
    let known = assert_one(&services, &answers);
    for _ in 0..2 {
        services.scheduler.kill();
        services.restart_scheduler(&[]);
        let again = book(&services.agenda(""), &Asked::by(7, SLOT), KEY);
        assert_eq!(shape(&again), shape(&known));
        assert!(is_replayed(&again));
    }
    assert_eq!((services.list("").len(), records(&services, "AGENDAMENTO_CRIADO")), (1, 1));
}

#[test]
fn two_schedulers_give_one_answer_and_know_of_each_others_requests() {
    let services = Services::start(&["--critical-delay-ms", "30", "--lock-retention-ms", "0"]);
    let second = services.another_scheduler(&["--critical-delay-ms", "30", "--lock-retention-ms", "0"]);
    let urls = [services.agenda(""), second.url()];
    let answers = at_once(&urls, 50, &Asked::by(7, SLOT), KEY);
    assert_one(&services, &answers);
    // The one that did not book answers too.
    for url in &urls {
        let again = book(url, &Asked::by(7, SLOT), KEY);
        assert!(again.status == 201 && is_replayed(&again), "{}", again.body);
    }
    assert_eq!(records(&services, "AGENDAMENTO_CRIADO"), 1);
}

#[test]
fn a_kill_during_the_request_leaves_a_key_that_can_be_used() {
    let mut services = Services::start(&["--critical-delay-ms", "600000", "--lock-ttl-ms", "1000"]);
    let (url, asked) = (services.agenda(""), Asked::by(7, SLOT));
    thread::scope(|scope| {
        let first = {
            let url = url.clone();
            let text = asked.text();
            scope.spawn(move || {
                // It ends with the service.
                let _ = lost::send_and_leave(&url, &text, KEY, true);
            })
        };
        // Not by asking with the key: who asks before the first has it would hold it.
        let holds = |line: &String| line.contains("Iniciando verificação de conflito no BD");
        wait_until("the first request holds the key", || services.scheduler.lines().iter().any(holds));
        assert_eq!(code(&book(&url, &asked, KEY)), "chave_em_andamento");
        services.scheduler.kill();
        let _ = first.join();
    });
    services.restart_scheduler(&["--lock-retention-ms", "0"]);
    // The locks of the killed requests run out.
    wait_until("the key books", || book(&services.agenda(""), &asked, KEY).status == 201);
    assert_eq!((services.list("").len(), records(&services, "AGENDAMENTO_CRIADO")), (1, 1));
}

#[test]
fn everything_that_can_be_made_is_made_once() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    let (proposal, closed) = (
        json!({"titulo": "Cefeidas", "responsavel_id": 7, "inicio_utc": "2030-01-01T00:00:00Z", "fim_utc": "2032-01-01T00:00:00Z",
               "alocado_min": {"Hubble-Acad": 60}}),
        json!({"inicio_utc": "2031-03-01T03:00:00Z", "fim_utc": "2031-03-01T04:00:00Z", "motivo": "espelho", "cancelar_agendamentos": true}),
    );
    for (number, path, body, table) in [
        (1, "/agendamentos", Asked::by(7, SLOT).with("observacoes", "frio").body().clone(), "agendamentos"),
        (2, "/telescopios", json!({"id": "SALSA", "nome": "Onsala"}), "telescopios"),
        (3, "/cientistas", json!({"nome": "Vera Rubin", "instituicao": "Carnegie", "pais": "US"}), "cientistas"),
        (4, "/propostas", proposal, "propostas"),
        (5, &format!("/telescopios/Hubble-Acad/agenda/{SLOT}/espera"), json!({"cientista_id": 3}), "esperas"),
        (6, "/telescopios/Hubble-Acad/manutencoes", closed, "manutencoes"),
    ] {
        let (key, body) = (format!("key-{number}"), body.to_string());
        let rows = || {
            (services.count(&format!("SELECT count(*) FROM {table}")), services.count("SELECT max(seq) FROM auditoria"))
        };
        let before = rows();
        let first = post(&url, path, &body, &key);
        assert_eq!(first.status, 201, "{path}: {}", first.body);
        assert!(first.header("location").is_some(), "{path}");
        let after = rows();
        assert!(after.0 == before.0 + 1 && after.1 > before.1, "{path}: {before:?} {after:?}");
        // Quotation marks are the draft's form of the same key.
        for key in [key.clone(), format!("\"{key}\""), key] {
            assert_same(&first, &post(&url, path, &body, &key));
        }
        assert_eq!(rows(), after, "{path}: nothing was made, and nothing recorded");
        let hal = [("Idempotency-Key", &*format!("key-{number}")), ("Accept", "application/hal+json")];
        assert_eq!(post_with(&url, path, &body, &hal).header("content-type"), Some("application/hal+json"));
    }
    // The maintenance has cancelled the booking: the answers stay those of then.
    let booking = http("GET", &services.agenda("/agendamentos/1"), None).json();
    assert_eq!(booking["status"], "CANCELADO");
    assert_eq!(
        post(&url, "/agendamentos", &Asked::by(7, SLOT).with("observacoes", "frio").text(), "key-1").json()["status"],
        "AGENDADO"
    );
    assert_eq!(services.log_lines("app.log", "dada de novo: a Idempotency-Key é a mesma").len(), 6 * 4 + 1);
    let metrics = http("GET", &services.agenda("/metrics"), None).body;
    assert!(metrics.contains("sctec_scheduler_replayed_answers_total 25\n"), "{metrics}");
}

#[test]
fn ignored_fields_are_named_again() {
    let services = Services::start(&[]);
    let asked = Asked::by(7, SLOT).with("prioridade", 1).text();
    let headers = [("Idempotency-Key", KEY), ("Prefer", "handling=lenient")];
    let first = post_with(&services.agenda(""), "/agendamentos", &asked, &headers);
    assert_eq!((first.status, &first.json()["avisos"][0]["campo"]), (201, &json!("prioridade")), "{}", first.body);
    assert_same(&first, &post_with(&services.agenda(""), "/agendamentos", &asked, &headers));
}

#[test]
fn without_the_header_nothing_is_kept_and_no_file_is_made() {
    let services = Services::start(&[]);
    assert_eq!(services.book(7, SLOT).0, 201);
    assert_eq!(services.count("SELECT count(*) FROM respostas"), 0);
    of_sqlite!("the keys that are held are a file beside the database");
    let keys = services.data_dir().join("sctec.db-chaves");
    assert!(!keys.exists());
    assert_eq!(book(&services.agenda(""), &Asked::by(7, "2031-03-01T04:00:00Z"), KEY).status, 201);
    assert!(keys.exists());
    // Neither the key nor the body is there to be read.
    let kept = "SELECT count(*) FROM respostas WHERE instr(hex(chave) || hex(pedido), hex(substr(?1, 1, 8))) = 0";
    assert_eq!(services.count(&kept.replace("?1", &format!("'{KEY}'"))), 1);
}
