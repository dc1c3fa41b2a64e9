//! What a scheduler takes for the distance of a client: no more than the kernel has measured, and nothing behind a proxy that it does not trust.

use std::thread;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Client, MS, rfc3339};
use crate::common::{Services, http, http_with};

/// The options of a scheduler that does not take this machine for a proxy that it trusts, as the others of the tests do.
const NOT_THIS_MACHINE: [&str; 2] = ["--trusted-proxy", "10.0.0.0/8"];

/// Books with a time token and these headers, with a click an hour ago, and gives how the stamp was found.
fn stamp(services: &Services, slot: &str, token: &str, headers: &[(&str, &str)]) -> Value {
    // The token is then older than the largest credit.
    thread::sleep(160 * MS);
    let clicked = rfc3339(SystemTime::now() - 3_600_000 * MS);
    let body =
        json!({"cientista_id": 1, "horario_inicio_utc": slot, "instante_clique_utc": clicked, "token_hora": token});
    let (url, body) = (services.agenda("/agendamentos"), body.to_string());
    let answer = http_with("POST", &url, Some(("application/json", &body)), headers);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let path = format!("/auditoria?evento=AGENDAMENTO_CRIADO&agendamento_id={}", answer.json()["id"]);
    http("GET", &services.agenda(&path), None).json()["registros"][0]["details"]["carimbo"].clone()
}

/// Whether its token counts, its reason, and where the round trip is from.
fn found(stamp: &Value) -> Value {
    json!([stamp["token"], stamp["motivo"], stamp["ida_volta_de"]])
}

#[test]
fn a_client_that_waits_before_it_answers_is_no_farther_than_its_connection() {
    let services = Services::start(&NOT_THIS_MACHINE);
    let far = Client::at(&services.agenda(""), 250 * MS);
    let stamp = stamp(&services, "2025-12-01T03:00:00Z", &far.token, &[]);
    assert_eq!(found(&stamp), json!(["aceito", "alem_do_credito", "conexao"]));
    assert!(stamp["ida_volta_us"].as_u64().unwrap() < 100_000, "{stamp}");
}

#[test]
fn behind_a_proxy_that_is_not_trusted_nobody_has_a_credit() {
    let services = Services::start(&NOT_THIS_MACHINE);
    let far = Client::at(&services.agenda(""), 250 * MS);
    for (nth, header) in
        [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1"), ("Via", "1.1 proxy")].iter().enumerate()
    {
        let stamp = stamp(&services, &format!("2025-12-01T{nth:02}:00:00Z"), &far.token, &[*header]);
        assert_eq!(found(&stamp), json!(["por_intermediario", "por_intermediario", null]), "{header:?}");
        assert_eq!(stamp["utc"], stamp["chegada_utc"]);
    }
}

#[test]
fn a_trusted_proxy_says_whose_the_tokens_are_and_its_own_distance_does_not_count() {
    let services = Services::start(&[]);
    let time = |query: &str, address: &str| {
        let url = services.agenda(&format!("/time?{query}"));
        http_with("GET", &url, None, &[("X-Forwarded-For", address)]).json()
    };
    let first = time("nonce=a", "192.0.2.1");
    thread::sleep(200 * MS);
    let before = first["token_hora"].as_str().unwrap();
    // The client's own words stand before what the proxy says.
    let second = time(&format!("nonce=b&anterior={before}"), "203.0.113.7, 192.0.2.1");
    assert_eq!(second["anterior"], "aceito");
    assert_eq!(time(&format!("nonce=b&anterior={before}"), "192.0.2.2")["anterior"], "de_outro");
    let token = second["token_hora"].as_str().unwrap();
    let stamp = |slot: &str, header| stamp(&services, slot, token, &[header]);
    let own = stamp("2025-12-01T03:00:00Z", ("Forwarded", "for=\"192.0.2.1:4711\";proto=https"));
    assert_eq!(found(&own), json!(["aceito", "alem_do_credito", "token"]));
    assert_eq!(own["ida_volta_us"], second["ida_volta_us"]);
    let foreign = stamp("2025-12-01T04:00:00Z", ("X-Forwarded-For", "192.0.2.2"));
    assert_eq!(found(&foreign), json!(["de_outro", "sem_token", null]));
    let hidden = stamp("2025-12-01T05:00:00Z", ("Forwarded", "for=_oculto"));
    assert_eq!(found(&hidden), json!(["por_intermediario", "por_intermediario", null]));
}
