//! Whose a key is, for which request, and for how long.

use serde_json::json;
use tempfile::TempDir;

use super::{KEY, SLOT, assert_same, book, code, is_replayed, post, post_with, shape};
use crate::common::access::give;
use crate::common::storage::of_sqlite;
use crate::common::{Answer, Asked, Services, http, http_with, sctec, wait_until};

#[test]
fn a_key_of_another_request_is_refused_and_nothing_is_done() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let url = services.agenda("");
    let asked = Asked::by(7, SLOT);
    let first = book(&url, &asked, KEY);
    assert_eq!(first.status, 201);
    let spaced = format!(" {}", asked.text());
    for (path, body) in [
        ("/agendamentos", Asked::by(7, "2031-03-01T05:00:00Z").text()),
        ("/agendamentos", asked.clone().with("alvo", "M31").text()),
        ("/agendamentos", spaced),
        ("/telescopios", asked.text()),
        ("/cientistas", json!({"nome": "Vera Rubin", "instituicao": "Carnegie", "pais": "US"}).to_string()),
    ] {
        let refused = post(&url, path, &body, KEY);
        assert_eq!((refused.status, code(&refused)), (422, json!("chave_reutilizada")), "{path} {body}");
    }
    assert_same(&first, &book(&url, &asked, KEY));
    assert_eq!(services.list("").len(), 1);
    assert_eq!(services.count("SELECT count(*) FROM respostas"), 1);
}

#[test]
fn what_is_no_key_is_refused_before_anything_is_done() {
    let services = Services::start(&[]);
    let long = "x".repeat(256);
    for key in ["", "a b", "a,b", "\"a", "\"a\";v=1", "\"\"", &long] {
        let refused = book(&services.agenda(""), &Asked::by(7, SLOT), key);
        assert_eq!((refused.status, code(&refused)), (400, json!("chave_malformada")), "{key:?} {}", refused.body);
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")];
    let refused = post_with(&services.agenda(""), "/agendamentos", &Asked::by(7, SLOT).text(), &twice);
    assert_eq!(code(&refused), "chave_malformada");
    assert!(services.list("").is_empty());
    // Where nothing is made, the header does not count.
    assert_eq!(http_with("GET", &services.agenda("/agendamentos"), None, &[("Idempotency-Key", "")]).status, 200);
    assert_eq!(book(&services.agenda(""), &Asked::by(7, SLOT), &"x".repeat(255)).status, 201);
}

#[test]
fn a_refusal_is_not_kept_and_leaves_the_key_free() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (url, asked) = (services.agenda(""), Asked::by(7, SLOT));
    let rival = services.book(4, SLOT).1;
    assert_eq!(code(&book(&url, &asked, KEY)), "horario_ocupado");
    assert_eq!(services.follow(&rival, "cancelar").status, 200);
    let booked = book(&url, &asked, KEY);
    assert_eq!(booked.status, 201, "{}", booked.body);
    assert_same(&booked, &book(&url, &asked, KEY));
    // A mistake is corrected with the same key.
    for (body, status) in
        [("{", 400), (r#"{"nome": 1}"#, 422), (r#"{"nome": "V", "instituicao": "C", "pais": "US"}"#, 201)]
    {
        assert_eq!(post(&url, "/cientistas", body, "another").status, status, "{body}");
    }
    assert_eq!(services.count("SELECT count(*) FROM respostas"), 2);
}

#[test]
fn the_same_key_of_another_is_another_key() {
    let services = Services::start(&["--access", "token", "--lock-retention-ms", "0"]);
    let url = services.agenda("");
    let [curie, again, leavitt, operator] = [
        &["curie", "--role", "cientista", "--scientist", "7"][..],
        &["curie", "--role", "cientista", "--scientist", "7"],
        &["leavitt", "--role", "cientista", "--scientist", "4"],
        &["chefe", "--role", "operador"],
    ]
    .map(|args| format!("Bearer {}", give(services.data_dir(), args).token));
    let post = |who: &str, asked: &Asked| -> Answer {
        post_with(&url, "/agendamentos", &asked.text(), &[("Idempotency-Key", KEY), ("Authorization", who)])
    };
    let asked = Asked::by(7, SLOT).with("observacoes", "segredo");
    let first = post(&curie, &asked);
    assert_eq!(first.status, 201, "{}", first.body);
    // Nobody learns that the key is in use, nor what it has made.
    let other = post(&leavitt, &Asked::by(4, "2031-03-01T04:00:00Z"));
    assert!(other.status == 201 && !is_replayed(&other), "{}", other.body);
    assert_eq!(post(&leavitt, &asked).status, 422, "it is the key of the other's own booking now");
    let rival = post(&operator, &asked);
    assert_eq!((rival.status, code(&rival)), (409, json!("horario_ocupado")));
    assert!(!rival.body.contains("segredo"), "{}", rival.body);
    // Another token of the same principal is the same caller.
    assert_same(&first, &post(&again, &asked));
    let stranger = post_with(&url, "/agendamentos", &asked.text(), &[("Idempotency-Key", KEY)]);
    assert_eq!(stranger.status, 401);
}

#[test]
fn after_a_day_the_answer_is_gone_and_the_key_is_free() {
    let mut services = Services::start(&["--lock-retention-ms", "0"]);
    let (url, asked) = (services.agenda(""), Asked::by(7, SLOT));
    let booked = book(&url, &asked, KEY);
    let others: Vec<_> =
        (0..5).map(|n| book(&url, &Asked::by(7, &format!("2031-05-01T0{n}:00:00Z")), &n.to_string())).collect();
    let age = |micros: i64, which: usize| {
        services.sql(&format!(
            "UPDATE respostas SET guardada_us = guardada_us - {micros} WHERE chave =
             (SELECT chave FROM respostas ORDER BY ordem LIMIT 1 OFFSET {which})"
        ));
    };
    let day = 24 * 60 * 60 * 1_000_000;
    age(day - 60_000_000, 1);
    assert_same(&others[0], &book(&url, &Asked::by(7, "2031-05-01T00:00:00Z"), "0"));
    age(day, 0);
    // The booking of then is still there, so the request is decided anew.
    assert_eq!(code(&book(&url, &asked, KEY)), "horario_ocupado");
    assert_eq!(services.follow(&booked.json(), "cancelar").status, 200);
    let anew = book(&url, &asked, KEY);
    assert!(anew.status == 201 && !is_replayed(&anew), "{}", anew.body);
    assert_same(&anew, &book(&url, &asked, KEY));
    age(day, 1);
    assert_eq!(services.count("SELECT count(*) FROM respostas"), 6);
    services.scheduler.kill();
    services.restart_scheduler(&[]);
    wait_until("old answers are removed", || services.count("SELECT count(*) FROM respostas") == 5);
}

#[test]
fn an_answer_outlives_a_backup_and_a_restoration() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let first = book(&services.agenda(""), &Asked::by(7, SLOT), KEY);
    let outer = TempDir::new().unwrap();
    let file = outer.path().join("copia.db");
    let run = |args: &[&str], folder: &std::path::Path| {
        let output = sctec().args(args).arg("--data-dir").arg(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["backup", file.to_str().unwrap()], services.data_dir());
    let late = book(&services.agenda(""), &Asked::by(7, "2031-03-01T05:00:00Z"), "late");
    assert_eq!(late.status, 201);
    drop(services);
    let folder = TempDir::new().unwrap();
    run(&["restore", file.to_str().unwrap()], folder.path());
    let restored = Services::start_in(folder, &["--lock-retention-ms", "0"]);
    assert_same(&first, &book(&restored.agenda(""), &Asked::by(7, SLOT), KEY));
    // What was booked after the backup is not there, and its key has no answer either.
    let anew = book(&restored.agenda(""), &Asked::by(7, "2031-03-01T05:00:00Z"), "late");
    assert!(anew.status == 201 && !is_replayed(&anew), "{}", anew.body);
    assert_ne!(shape(&anew), shape(&late), "made at another instant");
}

#[test]
fn pages_of_allowed_origins_may_send_a_key_and_read_that_an_answer_is_repeated() {
    const APP: (&str, &str) = ("Origin", "https://app.example");
    let services = Services::start(&["--allowed-origin", APP.1]);
    let asks = [APP, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "idempotency-key")];
    let asked = http_with("OPTIONS", &services.agenda("/agendamentos"), None, &asks);
    assert!(asked.header("access-control-allow-headers").unwrap().contains("Idempotency-Key"));
    for _ in 0..2 {
        let headers = [APP, ("Idempotency-Key", KEY)];
        let booked = post_with(&services.agenda(""), "/agendamentos", &Asked::by(7, SLOT).text(), &headers);
        assert_eq!(booked.status, 201);
        assert!(booked.header("access-control-expose-headers").unwrap().contains("Idempotent-Replayed"));
    }
    assert_eq!(http("GET", &services.agenda("/agendamentos/1"), None).status, 200);
}
