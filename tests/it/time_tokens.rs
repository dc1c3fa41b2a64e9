//! Time tokens: what a scheduler vouches for of an exchange of the time, from outside, and what nobody can make of it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use crate::common::access::give;
use crate::common::storage::{self, of_sqlite};
use crate::common::{Services, http, http_with, sctec, wait_until};

/// The answer to `GET /time` with this query.
fn time(url: &str, query: &str) -> Value {
    let answer = http("GET", &format!("{url}/time?{query}"), None);
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.json()
}

fn token_of(answer: &Value) -> &str {
    answer["token_hora"].as_str().unwrap_or_else(|| panic!("no token in {answer}"))
}

/// The claims of a token, read without its signature.
fn claims(answer: &Value) -> Value {
    let part = token_of(answer).split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap()
}

#[test]
fn a_plain_question_has_the_plain_answer() {
    let services = Services::start(&[]);
    for query in ["", "?", "?n=1&n=2", "?1764558000", "?Nonce=1"] {
        let answer = http("GET", &services.agenda(&format!("/time{query}")), None);
        let body = answer.json();
        let names: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["timestamp_utc", "recebido_utc", "enviado_utc", "_links"], "{query}");
        let (sent, received) = (body["enviado_utc"].as_str().unwrap(), body["recebido_utc"].as_str().unwrap());
        let bytes = format!(
            r#"{{"timestamp_utc":"{sent}","recebido_utc":"{received}","enviado_utc":"{sent}","_links":{{"self":{{"href":"/time"}},"inicio":{{"href":"/"}}}}}}"#
        );
        assert_eq!(answer.body, bytes);
    }
}

#[test]
fn a_series_of_tokens_has_the_shortest_round_trip_that_the_server_saw() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    let first = time(&url, "nonce=a-1");
    assert_eq!(
        json!([first["nonce"], first["anterior"], first["sequencia"], first["ida_volta_us"]]),
        json!(["a-1", "ausente", 1, null])
    );
    let said = claims(&first);
    assert_eq!((&said["nonce"], &said["n"], &said["anterior"]), (&json!("a-1"), &json!(1), &Value::Null));
    // The client lets time pass: the server has seen a long round trip.
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(60));
    let second = time(&url, &format!("nonce=a-2&anterior={}", token_of(&first)));
    let passed = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let long = second["ida_volta_us"].as_u64().unwrap();
    assert!((60_000..=passed.max(60_000) + 100_000).contains(&long), "{long} {passed}");
    assert_eq!((&second["anterior"], &second["sequencia"]), (&json!("aceito"), &json!(2)));
    assert_eq!(claims(&second)["sessao"], said["sessao"]);
    // At once: a short one, unless the machine is busy. It stays the shortest, however long the next one takes.
    let (mut third, mut short) = (second, long);
    wait_until("a short round trip is seen", || {
        third = time(&url, &format!("nonce=a-3&anterior={}", token_of(&third)));
        short = third["ida_volta_us"].as_u64().unwrap();
        short < long
    });
    std::thread::sleep(Duration::from_micros(long));
    let fourth = time(&url, &format!("nonce=a-4&anterior={}", token_of(&third)));
    assert_eq!(fourth["ida_volta_us"], short);
    assert_eq!(fourth["sequencia"], third["sequencia"].as_i64().unwrap() + 1);
    let instants: Vec<i64> = ["t2_us", "t3_us"].map(|name| claims(&fourth)[name].as_i64().unwrap()).to_vec();
    assert!(instants[0] <= instants[1]);
}

#[test]
fn a_token_that_does_not_count_begins_a_new_series_and_is_named() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    let good = time(&url, "nonce=a");
    let token = token_of(&good);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims_part) = message.split_once('.').unwrap();
    let mut claims = claims(&good);
    claims["ida_volta_us"] = json!(300_000);
    let forged = format!("{header}.{}.{signature}", BASE64.encode(claims.to_string()));
    let other_key = BASE64.encode(r#"{"alg":"EdDSA","typ":"sctec-hora+jws","kid":"0000000000000000"}"#);
    let unsigned = BASE64.encode(r#"{"alg":"none","typ":"sctec-hora+jws","kid":"0000000000000000"}"#);
    for (token, word) in [
        (forged, "alterado"),
        (format!("{other_key}.{claims_part}.{signature}"), "chave_desconhecida"),
        (format!("{unsigned}.{claims_part}."), "malformado"),
        ("x".to_owned(), "malformado"),
    ] {
        let answer = time(&url, &format!("nonce=b&anterior={token}"));
        assert_eq!((&answer["anterior"], &answer["sequencia"]), (&json!(word), &json!(1)), "{answer}");
        assert_ne!(self::claims(&answer)["sessao"], claims["sessao"]);
    }
}

#[test]
fn what_is_no_nonce_and_a_token_without_one_are_refused() {
    let services = Services::start(&[]);
    let long = "n".repeat(65);
    for (query, field) in [
        ("nonce=", "nonce"),
        ("nonce=a%20b", "nonce"),
        ("nonce=%C3%A9", "nonce"),
        (&format!("nonce={long}"), "nonce"),
        ("nonce=a&nonce=b", "nonce"),
        ("anterior=x", "nonce"),
        (&format!("nonce=a&anterior={}", "x".repeat(1025)), "anterior"),
    ] {
        let answer = http("GET", &services.agenda(&format!("/time?{query}")), None);
        let problem = answer.json();
        assert_eq!((answer.status, &problem["codigo"]), (422, &json!("parametros_invalidos")), "{query}");
        assert_eq!(problem["erros"][0]["campo"], field, "{query}: {problem}");
    }
}

#[test]
fn a_token_is_another_callers_in_the_hands_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let [ana, rui] = ["ana", "rui"].map(|name| give(folder.path(), &[name, "--role", "leitor"]).token);
    let services = Services::start_in(folder, &["--access", "token"]);
    let time = |token: &str, query: &str| {
        let authorization = format!("Bearer {token}");
        let url = services.agenda(&format!("/time?{query}"));
        http_with("GET", &url, None, &[("Authorization", &authorization)]).json()
    };
    let of_ana = time(&ana, "nonce=a");
    let query = format!("nonce=b&anterior={}", token_of(&of_ana));
    assert_eq!(time(&ana, &query)["anterior"], "aceito");
    assert_eq!(time(&rui, &query)["anterior"], "de_outro");
    assert_eq!(http("GET", &services.agenda(&format!("/time?{query}")), None).json()["anterior"], "de_outro");
}

/// The round trip of a new series with a pause before its second question, and its last token.
fn series(ask: &dyn Fn(&str) -> Value, pause: Duration) -> (u64, String) {
    let first = ask("nonce=a");
    std::thread::sleep(pause);
    let second = ask(&format!("nonce=b&anterior={}", token_of(&first)));
    (second["ida_volta_us"].as_u64().unwrap(), token_of(&second).to_owned())
}

#[test]
fn a_stamp_is_the_click_within_what_was_measured_and_stands_in_the_answer_and_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let [ana, rui] = ["ana", "rui"].map(|name| give(folder.path(), &[name, "--role", "operador"]).token);
    let auditor = give(folder.path(), &["audita", "--role", "auditor"]).token;
    let services = Services::start_in(folder, &["--access", "token"]);
    let get = |token: &str, path: &str| {
        let authorization = format!("Bearer {token}");
        http_with("GET", &services.agenda(path), None, &[("Authorization", &authorization)]).json()
    };
    let book = |token: &str, slot: &str, clicked: Option<&str>, time_token: &str| {
        // The token is then older than its credit.
        std::thread::sleep(Duration::from_millis(160));
        let body = json!({
            "cientista_id": 7, "horario_inicio_utc": slot, "instante_clique_utc": clicked, "token_hora": time_token
        });
        let authorization = format!("Bearer {token}");
        let (url, body) = (services.agenda("/agendamentos"), body.to_string());
        let answer = http_with("POST", &url, Some(("application/json", &body)), &[("Authorization", &authorization)]);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let booking = answer.json();
        let path = format!("/auditoria?evento=AGENDAMENTO_CRIADO&agendamento_id={}", booking["id"]);
        let stamp = get(&auditor, &path)["registros"][0]["details"]["carimbo"].clone();
        assert_eq!(booking["carimbo_utc"], stamp["utc"]);
        stamp
    };
    let ask = |query: &str| get(&ana, &format!("/time?{query}"));
    // An hour early: half of what was measured, and 3 ms.
    let micros = |stamp: &Value, name: &str| {
        sctec::time::Timestamp::parse_rfc3339(stamp[name].as_str().unwrap()).unwrap().as_micros()
    };
    let early = "2020-01-01T00:00:00Z";
    let (far_us, far) = series(&ask, Duration::from_millis(200));
    let stamp = book(&ana, "2025-12-01T03:00:00Z", Some(early), &far);
    assert_eq!(
        json!([stamp["motivo"], stamp["ida_volta_us"], stamp["ida_volta_de"], stamp["token"]]),
        json!(["alem_do_credito", far_us, "token", "aceito"])
    );
    assert_eq!(micros(&stamp, "chegada_utc") - micros(&stamp, "utc"), i64::try_from(far_us / 2).unwrap() + 3000);
    // Once it was seen nearer, waiting again does not help.
    let (mut near_us, mut near) = (far_us, String::new());
    wait_until("a short round trip is seen", || {
        (near_us, near) = series(&ask, Duration::ZERO);
        near_us < far_us
    });
    for (slot, token) in [("2025-12-01T03:05:00Z", &near), ("2025-12-01T03:10:00Z", &far)] {
        let stamp = book(&ana, slot, Some(early), token);
        assert_eq!(stamp["ida_volta_us"], near_us, "{stamp}");
    }
    assert_eq!(book(&ana, "2025-12-01T03:15:00Z", None, &far)["ida_volta_de"], "conta");
    // Without a click, with a click after the arrival, and with a token that is another's: the arrival.
    for (slot, clicked, by, reason) in [
        ("2025-12-01T04:00:00Z", None, &ana, ["sem_clique", "aceito"]),
        ("2025-12-01T04:05:00Z", Some("2090-01-01T00:00:00Z"), &ana, ["depois_da_chegada", "aceito"]),
        ("2025-12-01T04:10:00Z", Some(early), &rui, ["sem_token", "de_outro"]),
    ] {
        let stamp = book(by, slot, clicked, &near);
        assert_eq!(json!([stamp["motivo"], stamp["token"]]), json!(reason));
        assert_eq!(stamp["utc"], stamp["chegada_utc"]);
    }
}

#[test]
fn a_booking_without_a_token_has_no_stamp() {
    let services = Services::start(&[]);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z", "instante_clique_utc": "2020-01-01T00:00:00Z"});
    let (status, booking) = services.book_with(&body);
    assert_eq!((status, &booking["carimbo_utc"]), (201, &Value::Null));
    let records = http("GET", &services.agenda("/auditoria?evento=AGENDAMENTO_CRIADO"), None).json();
    assert!(records["registros"][0]["details"].get("carimbo").is_none(), "{records}");
}

#[test]
fn schedulers_of_one_agenda_vouch_with_one_key_and_a_round_trip_is_of_one_clock() {
    let mut services = Services::start(&[]);
    let second = services.another_scheduler(&[]);
    let (one, other) = (services.agenda(""), second.url());
    let here = time(&one, "nonce=a");
    let there = time(&other, &format!("nonce=b&anterior={}", token_of(&here)));
    assert_eq!(
        (&there["anterior"], &there["sequencia"], &there["ida_volta_us"]),
        (&json!("aceito"), &json!(2), &Value::Null)
    );
    assert_eq!(services.count("SELECT count(*) FROM chaves_de_hora"), 1);
    // A restart is no end of it either.
    services.restart_scheduler(&[]);
    let after = time(&services.agenda(""), &format!("nonce=c&anterior={}", token_of(&there)));
    assert_eq!((&after["anterior"], &after["sequencia"]), (&json!("aceito"), &json!(3)));
    assert_eq!(services.count("SELECT count(*) FROM chaves_de_hora"), 1);
}

#[test]
fn a_key_is_replaced_after_a_day_and_its_private_half_is_erased() {
    let mut services = Services::start(&[]);
    let old = time(&services.agenda(""), "nonce=a");
    let data_dir = services.data_dir().to_owned();
    let age = |hours: u64| {
        let micros = hours * 3600 * 1_000_000;
        storage::rows(&data_dir, "sctec.db", &format!("UPDATE chaves_de_hora SET criada_us = criada_us - {micros}"));
    };
    age(24);
    let second = services.another_scheduler(&[]);
    let new = time(&second.url(), &format!("nonce=b&anterior={}", token_of(&old)));
    assert_eq!(new["anterior"], "aceito", "the old key counts for another hour");
    let key_of = |answer: &Value| token_of(answer).split('.').next().unwrap().to_owned();
    assert_ne!(key_of(&new), key_of(&old));
    assert_eq!(services.count("SELECT count(*) FROM chaves_de_hora WHERE semente IS NOT NULL"), 2);
    // The first scheduler meets a key that it has not seen.
    let known = time(&services.agenda(""), &format!("nonce=c&anterior={}", token_of(&new)));
    assert_eq!(known["anterior"], "aceito");
    age(1);
    drop(second);
    services.restart_scheduler(&[]);
    assert_eq!(services.count("SELECT count(*) FROM chaves_de_hora WHERE semente IS NOT NULL"), 1);
    assert_eq!(services.count("SELECT count(*) FROM chaves_de_hora"), 2);
    let late = time(&services.agenda(""), &format!("nonce=d&anterior={}", token_of(&old)));
    assert_eq!(late["anterior"], "chave_desconhecida");
}

#[test]
fn a_backup_has_no_private_key_and_what_is_restored_makes_a_new_one() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let services = Services::start(&[]);
    time(&services.agenda(""), "nonce=a");
    let outer = tempfile::tempdir().unwrap();
    let file = outer.path().join("copia.db");
    let made = sctec().arg("backup").arg(&file).arg("--data-dir").arg(services.data_dir()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let seed: Vec<u8> = {
        let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
        database.query_row("SELECT semente FROM chaves_de_hora", (), |row| row.get(0)).unwrap()
    };
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(seed.len()).any(|window| window == seed), "the seed is in the backup");
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1, "nothing is left beside it");
    let restored = tempfile::tempdir().unwrap();
    let done = sctec().arg("restore").arg(&file).arg("--data-dir").arg(restored.path()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let again = Services::start_in(restored, &[]);
    assert_eq!(time(&again.agenda(""), "nonce=b")["sequencia"], 1);
    assert_eq!(again.count("SELECT count(*) FROM chaves_de_hora"), 2);
}
