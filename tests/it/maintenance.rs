//! Telescopes that are closed for maintenance: nothing is booked in it, also under parallel requests through two schedulers, and what was
//! booked before is cancelled only where that is asked for.

use std::thread;

use serde_json::{Value, json};

use crate::common::{Answer, Asked, Services, at_once, http, wait_until};

const JSON: &str = "application/json";
const OF_HUBBLE: &str = "/telescopios/Hubble-Acad/manutencoes";

fn close(services: &Services, path: &str, body: &Value) -> Answer {
    http("POST", &services.agenda(path), Some((JSON, &body.to_string())))
}

fn hours(from: &str, until: &str) -> Value {
    json!({"inicio_utc": from, "fim_utc": until, "motivo": "espelho"})
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

fn code(answer: &Value) -> &str {
    answer["codigo"].as_str().unwrap_or_default()
}

fn states(services: &Services, from: &str, until: &str) -> Vec<(String, Value)> {
    let path = format!("/telescopios/Hubble-Acad/agenda?de={from}&ate={until}");
    let agenda = http("GET", &services.agenda(&path), None).json();
    let slots = agenda["horarios"].as_array().unwrap_or_else(|| panic!("{agenda}")).clone();
    slots.iter().map(|slot| (slot["estado"].as_str().unwrap().to_owned(), slot["motivo"].clone())).collect()
}

#[test]
fn nothing_is_booked_in_a_maintenance_until_it_is_taken_away() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let made = close(&services, OF_HUBBLE, &hours("2030-01-01T03:00:00Z", "2030-01-01T03:10:00Z"));
    assert_eq!((made.status, made.header("location")), (201, Some("/manutencoes/1")), "{}", made.body);
    assert_eq!(made.json()["agendamentos_cancelados"], json!([]));
    // At both schedulers, also a booking that only ends in it.
    for (url, start, minutes) in [
        (services.agenda("/agendamentos"), "2030-01-01T03:05:00Z", 5),
        (format!("{}/agendamentos", other.url()), "2030-01-01T02:55:00Z", 10),
    ] {
        let body = json!({"cientista_id": 7, "horario_inicio_utc": start, "duracao_min": minutes}).to_string();
        let refused = http("POST", &url, Some((JSON, &body))).json();
        let error = &refused["erros"][0];
        assert_eq!((&error["campo"], &error["codigo"]), (&json!("horario_inicio_utc"), &json!("em_manutencao")));
        let words = error["mensagem"].as_str().unwrap();
        assert!(words.contains("espelho") && words.ends_with("a partir de 2030-01-01T03:10:00Z"), "{words}");
    }
    assert_eq!(services.book(7, "2030-01-01T02:55:00Z").0, 201);
    let shown = states(&services, "2030-01-01T02:55:00Z", "2030-01-01T03:15:00Z");
    let expected = [
        ("agendado", Value::Null),
        ("manutencao", json!("espelho")),
        ("manutencao", json!("espelho")),
        ("livre", Value::Null),
    ];
    assert_eq!(shown, expected.map(|(state, reason)| (state.to_owned(), reason)));
    let free =
        http("GET", &services.agenda("/telescopios/Hubble-Acad/livres?perto_de=2030-01-01T03:00:00Z&limite=1"), None);
    assert_eq!(free.json()["livres"][0]["horario_inicio_utc"], "2030-01-01T03:10:00Z");

    let list = http("GET", &services.agenda(OF_HUBBLE), None).json();
    let one = &list["manutencoes"][0];
    assert_eq!((&one["motivo"], &one["semanal_ate_utc"]), (&json!("espelho"), &Value::Null));
    let link = &one["_links"]["retirar"];
    assert_eq!(link["method"], "DELETE");
    let url = services.agenda(link["href"].as_str().unwrap());
    assert_eq!(http("DELETE", &url, None).status, 200);
    assert_eq!(
        (http("DELETE", &url, None).status, code(&http("GET", &url, None).json())),
        (404, "manutencao_desconhecida")
    );
    assert_eq!(services.book(7, "2030-01-01T03:05:00Z").0, 201);
    wait_until("the other scheduler knows it", || {
        let url = format!("{}/telescopios/Hubble-Acad/livres?perto_de=2030-01-01T03:00:00Z&limite=1", other.url());
        http("GET", &url, None).json()["livres"][0]["horario_inicio_utc"] == "2030-01-01T03:00:00Z"
    });
    let records = http("GET", &services.agenda("/auditoria?evento=MANUTENCAO_REMOVIDA"), None).json();
    assert_eq!(records["registros"][0]["details"]["manutencao_id"], 1, "{records}");
}

#[test]
fn bookings_in_its_time_are_cancelled_only_where_that_is_asked_for() {
    let services = Services::start(&[]);
    for (scientist, start) in [(7, "2030-01-01T03:00:00Z"), (5, "2030-01-01T03:10:00Z"), (3, "2030-01-01T04:00:00Z")] {
        assert_eq!(services.book(scientist, start).0, 201);
    }
    let rules = json!({"regras": {"cancelamento_min_min": 527_040}}).to_string();
    assert_eq!(http("PATCH", &services.agenda("/telescopios/Hubble-Acad"), Some((JSON, &rules))).status, 200);
    let asked = hours("2030-01-01T03:00:00Z", "2030-01-01T04:00:00Z");
    let refused = close(&services, OF_HUBBLE, &asked);
    let problem = refused.json();
    assert_eq!((refused.status, code(&problem)), (409, "agendamentos_no_periodo"), "{problem}");
    let shown: Vec<_> = problem["agendamentos"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(shown, [1, 2]);
    assert_eq!(services.list("?status=AGENDADO").len(), 3);

    let made = close(&services, OF_HUBBLE, &with(asked, "cancelar_agendamentos", true));
    assert_eq!((made.status, &made.json()["agendamentos_cancelados"]), (201, &json!([1, 2])), "{}", made.body);
    let left = services.list("?status=AGENDADO");
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!(3)));
    assert_eq!(services.list("?status=CANCELADO")[0]["motivo_cancelamento"], "manutenção: espelho");
    let records = http("GET", &services.agenda("/auditoria?limite=500"), None).json();
    let last: Vec<_> = records["registros"].as_array().unwrap().iter().rev().take(3).collect();
    let events: Vec<_> = last.iter().map(|record| record["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["MANUTENCAO_CRIADA", "AGENDAMENTO_CANCELADO", "AGENDAMENTO_CANCELADO"]);
    assert_eq!(last[0]["details"]["agendamentos_cancelados"], json!([1, 2]));
    assert!(last.iter().all(|record| record["req"] == last[0]["req"]), "{last:#?}");
    // Each lock was given back: the slots can be booked at once when it is taken away.
    assert_eq!(http("DELETE", &services.agenda("/manutencoes/1"), None).status, 200);
    assert_eq!(services.book(7, "2030-01-01T03:00:00Z").0, 201);
}

#[test]
fn a_weekly_maintenance_closes_each_week_and_cancels_in_each() {
    let services = Services::start(&[]);
    assert_eq!(services.book(7, "2030-01-08T23:55:00Z").0, 201);
    assert_eq!(services.book(7, "2030-01-16T00:00:00Z").0, 201);
    let weekly = with(hours("2030-01-01T23:00:00Z", "2030-01-02T01:00:00Z"), "semanal_ate_utc", "2030-01-15T23:00:00Z");
    let made = close(&services, OF_HUBBLE, &with(weekly, "cancelar_agendamentos", true));
    assert_eq!((made.status, &made.json()["agendamentos_cancelados"]), (201, &json!([1, 2])), "{}", made.body);
    for (start, status) in [
        ("2030-01-02T00:55:00Z", 422),
        ("2030-01-02T01:00:00Z", 201),
        ("2030-01-09T00:00:00Z", 422),
        ("2030-01-15T23:00:00Z", 422),
        ("2030-01-22T23:00:00Z", 201),
    ] {
        assert_eq!(services.book(7, start).0, status, "{start}");
    }
    let all = states(&services, "2030-01-14T00:00:00Z", "2030-01-21T00:00:00Z");
    assert_eq!(all.iter().filter(|(state, _)| state == "manutencao").count(), 24);
}

#[test]
fn an_observation_that_has_begun_is_not_cancelled() {
    let services = Services::start(&[]);
    let free = http("GET", &services.agenda("/telescopios/Webb-Acad/livres?limite=1"), None).json();
    let start = free["livres"][0]["horario_inicio_utc"].as_str().unwrap().to_owned();
    let body = json!({"cientista_id": 7, "horario_inicio_utc": start, "telescopio": "Webb-Acad", "duracao_min": 60});
    assert_eq!(services.book_with(&body).0, 201);
    let path = "/telescopios/Webb-Acad/manutencoes";
    // As if it had begun an hour ago.
    services.sql(
        "UPDATE agendamentos SET inicio_us = inicio_us - 2400000000; UPDATE horarios SET inicio_us = inicio_us - 2400000000",
    );
    let asked = with(hours(&start, "2999-01-01T00:00:00Z"), "cancelar_agendamentos", true);
    assert_eq!(code(&close(&services, path, &asked).json()), "campos_invalidos");
    let until = services.list("?telescopio=Webb-Acad")[0]["horario_fim_utc"].as_str().unwrap().to_owned();
    let asked = with(hours(&start, &until), "cancelar_agendamentos", true);
    let refused = close(&services, path, &asked).json();
    assert_eq!((code(&refused), &refused["agendamentos"][0]["id"]), ("observacao_iniciada", &json!(1)), "{refused}");
    assert_eq!(services.list("?status=AGENDADO").len(), 1);
}

#[test]
fn bookings_and_a_maintenance_at_one_instant_through_two_schedulers_never_both_stand() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    for round in 0..8 {
        let slot = |nth: usize| format!("2030-02-{:02}T{:02}:{:02}:00Z", 1 + round, nth / 12, nth % 12 * 5);
        let urls = [services.agenda("/agendamentos"), format!("{}/agendamentos", other.url())];
        let bodies: Vec<_> = (0..24).map(|nth| (urls[nth % 2].clone(), Asked::by(7, &slot(nth)).text())).collect();
        let asked = with(hours(&slot(0), &slot(24)), "cancelar_agendamentos", true);
        let (statuses, made) = thread::scope(|scope| {
            let booking = scope.spawn(|| at_once(&bodies));
            let mut made = close(&services, OF_HUBBLE, &asked);
            while made.status == 409 && code(&made.json()) == "recurso_ocupado" {
                made = close(&services, OF_HUBBLE, &asked);
            }
            (booking.join().unwrap(), made)
        });
        assert_eq!(made.status, 201, "{}", made.body);
        let day = format!("?telescopio=Hubble-Acad&de={}&ate={}&limite=500", slot(0), slot(24));
        let left = services.list(&format!("{day}&status=AGENDADO"));
        assert_eq!(left, Vec::<Value>::new(), "round {round}");
        // Each booking that was acknowledged is in the list of those that it has cancelled, or came after it and was refused.
        let booked = statuses.iter().filter(|status| **status == 201).count();
        let cancelled = made.json()["agendamentos_cancelados"].as_array().unwrap().len();
        assert_eq!(booked, cancelled, "round {round}: {statuses:?}");
        assert!(statuses.iter().all(|status| [201, 409, 422].contains(status)), "{statuses:?}");
    }
}

#[test]
fn what_is_wrong_with_a_maintenance_is_named() {
    let services = Services::start(&[]);
    let fields = |body: &Value| {
        let answer = close(&services, OF_HUBBLE, body);
        assert_eq!(answer.status, 422, "{}", answer.body);
        let errors = answer.json()["erros"].as_array().unwrap().clone();
        errors.iter().map(|error| error["campo"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(fields(&json!({})), ["inicio_utc", "fim_utc", "motivo"]);
    let off = hours("2030-01-01T03:01:00Z", "2030-01-01T03:00:00Z");
    assert_eq!(fields(&with(off, "cancelar", true)), ["inicio_utc", "fim_utc", "cancelar"]);
    assert_eq!(fields(&hours("2030-01-01T03:00:00Z", "2032-01-01T03:00:00Z")), ["fim_utc"]);
    let unknown =
        close(&services, "/telescopios/Nenhum/manutencoes", &hours("2030-01-01T03:00:00Z", "2030-01-01T04:00:00Z"));
    assert_eq!((unknown.status, code(&unknown.json())), (404, "telescopio_desconhecido"));
    assert_eq!(http("GET", &services.agenda("/manutencoes/x"), None).status, 404);
}
