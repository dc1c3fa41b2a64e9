//! Slots that become free open at one instant for all: who hears of them sooner, and asks before that, gains nothing.

use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Client, MS, book, decide_by, example, rfc3339, sooner_or_later};
use crate::common::listener::Listener;
use crate::common::trail::succeed;
use crate::common::{Answer, Server, Services, http};

const JSON: &str = "application/json";
/// A round trip that gives a credit of at least 128 ms.
const FAR: Duration = Duration::from_millis(250);

/// Books a slot for scientist 3, who is in no contest for it, and cancels it. Gives the answer to that.
fn book_and_cancel(services: &Services, slot: &str) -> Value {
    let booked = services.book(3, slot);
    assert_eq!(booked.0, 201, "{}", booked.1);
    let cancelled = services.follow(&booked.1, "cancelar");
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    cancelled.json()
}

fn instant(of: &Value) -> &str {
    of["abre_em_utc"].as_str().unwrap_or_else(|| panic!("no instant: {of}"))
}

fn at(text: &Value) -> i64 {
    sctec::time::Timestamp::parse_rfc3339(text.as_str().unwrap()).unwrap().as_micros()
}

/// One slot of the agenda as a scheduler shows it.
fn shown(url: &str, telescope: &str, slot: &str) -> Value {
    let end = sctec::time::Timestamp::from_micros(at(&json!(slot)) + 300_000_000).unwrap().seconds();
    let agenda = http("GET", &format!("{url}/telescopios/{telescope}/agenda?de={slot}&ate={end}"), None).json();
    agenda["horarios"][0].clone()
}

fn listen(scheduler: &Server) -> Listener {
    let mut listener = Listener::open(&format!("{}/eventos", scheduler.url()), None);
    while listener.next("canal").data != json!({"ligado": true}) {}
    listener
}

#[test]
fn who_asks_before_a_slot_opens_counts_as_one_who_asks_at_that_instant() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let second = services.another_scheduler(&["--lock-retention-ms", "0"]);
    let (url, other) = (services.agenda(""), second.url());
    // Both schedulers have far clients, and so windows.
    let (far, _beside) = (Client::at(&url, FAR), Client::at(&other, FAR));
    let mut listener = listen(&second);
    let (booking, opens) = sooner_or_later(|slot| {
        let cancelled = book_and_cancel(&services, slot);
        let opens = instant(&cancelled).to_owned();
        // This one has no token, is near, and asks at once, through the other scheduler. The far one clicks when the slot opens.
        let (sniper, far) = thread::scope(|scope| {
            let sniper = scope.spawn(|| book(&other, &json!({"cientista_id": 2, "horario_inicio_utc": slot})));
            let left_us = at(&json!(opens)) - at(&json!(rfc3339(SystemTime::now())));
            thread::sleep(Duration::from_micros(u64::try_from(left_us).unwrap_or(0)) + 60 * MS);
            let far = far.book_at(1, slot, &opens);
            (sniper.join().unwrap(), far)
        });
        let won = [&sniper, &far].into_iter().find(|answer| answer.0 == 201)?;
        assert_eq!(sniper.0 + far.0, 201 + 409, "{sniper:?} {far:?}");
        // On a busy machine one may have come too late for a contest, or the other after the instant.
        won.1["_links"]["disputa"].as_object()?;
        let contest = services.follow(&won.1, "disputa").json();
        let entries = contest["entradas"].as_array().unwrap();
        let late_us = |id: i64| {
            let entry = entries.iter().find(|entry| entry["cientista_id"] == id)?;
            Some(at(&entry["chegada_utc"]) - at(&json!(opens)))
        };
        let is_in_time = late_us(2)? < 0 && (0..120_000).contains(&late_us(1)?);
        is_in_time.then(|| (won.1.clone(), opens.clone()))
    });
    let contest = services.follow(&booking, "disputa").json();
    for entry in contest["entradas"].as_array().unwrap() {
        assert_eq!(entry["abre_em_utc"], opens, "{contest}");
        assert_eq!(entry["carimbo_utc"], opens, "both tie: {contest}");
    }
    let early = contest["entradas"].as_array().unwrap().iter().find(|entry| entry["cientista_id"] == 2).unwrap();
    assert_eq!((&early["motivo"], &early["token_utc"]), (&json!("antes_da_abertura"), &Value::Null));
    assert!(contest["sorteio"]["semente"].is_string(), "one of them was drawn: {contest}");
    assert!(at(&booking["criado_em_utc"]) > at(&json!(opens)), "nobody had it before: {booking}");
    // The listeners were told the same.
    while instant(&listener.next("cancelado").data) != opens {}
    // And it can be decided anew, by us and by the example.
    let (id, folder) = (booking["id"].to_string(), services.stop());
    let data_dir = ["--data-dir", folder.path().to_str().unwrap()];
    let (text, _) = succeed(&[&["--contest", &id][..], &data_dir[..]].concat());
    assert!(text.contains("Decided anew, the winner is the same."), "{text}");
    succeed(&[&["--verify"][..], &data_dir[..]].concat());
    assert_eq!(example(&folder.path().join("audit.jsonl"), &id).0, Some(0));
}

#[test]
fn a_claim_from_before_the_instant_counts_as_the_instant() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let far = Client::at(&services.agenda(""), FAR);
    let (answer, opens) = sooner_or_later(|slot| {
        let cancelled = book_and_cancel(&services, slot);
        let opens = instant(&cancelled).to_owned();
        let (status, answer) = far.book(1, slot, SystemTime::now() - Duration::from_secs(3600));
        assert_eq!(status, 201, "{answer}");
        // On a slow machine it came so late that its claim was not too early.
        (answer["carimbo_utc"] == opens).then_some((answer, opens))
    });
    assert!(at(&answer["criado_em_utc"]) > at(&json!(opens)), "{answer}");
    let path = format!("/auditoria?evento=AGENDAMENTO_CRIADO&agendamento_id={}", answer["id"]);
    let records = http("GET", &services.agenda(&path), None).json();
    let stamp = &records["registros"][0]["details"]["carimbo"];
    assert_eq!((&stamp["motivo"], &stamp["utc"]), (&json!("antes_da_abertura"), &json!(opens)), "{stamp}");
}

#[test]
fn every_way_of_becoming_free_says_when_it_opens_and_both_schedulers_show_it() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let second = services.another_scheduler(&[]);
    let _far = Client::at(&services.agenda(""), FAR);
    let mut listener = listen(&second);
    let record = |event: &str| {
        let answer = http("GET", &services.agenda(&format!("/auditoria?evento={event}")), None).json();
        answer["registros"].as_array().unwrap().last().unwrap()["details"]["abre_em_utc"].clone()
    };
    // Shown while it is to come: on a busy machine that moment may be over.
    sooner_or_later(|slot| {
        let cancelled = book_and_cancel(&services, slot);
        let opens = instant(&cancelled);
        assert_eq!(record("AGENDAMENTO_CANCELADO"), opens);
        let shown = shown(&second.url(), "Hubble-Acad", slot);
        assert_eq!((&shown["estado"], shown["_links"]["agendar"].is_object()), (&json!("livre"), true), "{shown}");
        (shown["abre_em_utc"] == opens).then_some(())
    });
    // A booking that becomes shorter, and one that moves.
    let body = json!({"cientista_id": 3, "horario_inicio_utc": "2026-03-01T03:00:00Z", "duracao_min": 10});
    let booked = book(&services.agenda(""), &body).1;
    let change = |body: Value| {
        let url = services.agenda(booked["_links"]["self"]["href"].as_str().unwrap());
        http("PATCH", &url, Some(("application/merge-patch+json", &body.to_string())))
    };
    for body in [json!({"duracao_min": 5}), json!({"horario_inicio_utc": "2026-03-02T03:00:00Z"})] {
        let changed = change(body);
        assert_eq!(changed.status, 200, "{}", changed.body);
        let opens = instant(&changed.json()).to_owned();
        while listener.next("alterado").data["abre_em_utc"] != opens {}
        assert_eq!(record("AGENDAMENTO_ALTERADO"), opens);
    }
    // A text gives nothing up.
    assert_eq!(change(json!({"alvo": "M31"})).json()["abre_em_utc"], Value::Null);
    let sent_back = change(json!({"alvo": "M33", "abre_em_utc": "2025-12-01T03:00:00.000000Z"}));
    assert_eq!(sent_back.status, 200, "{}", sent_back.body);
    let removed = maintained(&services, "2026-03-04T03:00:00Z", "2026-03-04T04:00:00Z");
    let opens = instant(&removed.json()).to_owned();
    while listener.next("telescopio").data["abre_em_utc"] != opens {}
    assert_eq!(record("MANUTENCAO_REMOVIDA"), opens);
    sooner_or_later(|slot| {
        let end = slot.replace("03:00:00", "03:05:00");
        let removed = maintained(&services, slot, &end).json();
        let shown = shown(&second.url(), "Hubble-Acad", slot);
        (shown["estado"] == "livre" && shown["abre_em_utc"] == instant(&removed)).then_some(())
    });
}

/// Gives the telescope a maintenance and takes it away.
fn maintained(services: &Services, from: &str, until: &str) -> Answer {
    let body = json!({"inicio_utc": from, "fim_utc": until, "motivo": "espelho"}).to_string();
    let made = http("POST", &services.agenda("/telescopios/Hubble-Acad/manutencoes"), Some((JSON, &body)));
    assert_eq!(made.status, 201, "{}", made.body);
    let removed = services.follow(&made.json(), "retirar");
    assert_eq!(removed.status, 200, "{}", removed.body);
    removed
}

#[test]
fn a_move_waits_until_its_new_place_is_open() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let _far = Client::at(&services.agenda(""), FAR);
    let booked = services.book(4, "2026-03-01T03:00:00Z").1;
    let url = services.agenda(booked["_links"]["self"]["href"].as_str().unwrap());
    for day in 1..=5 {
        let slot = format!("2025-12-{day:02}T03:00:00Z");
        let cancelled = book_and_cancel(&services, &slot);
        let body = json!({"horario_inicio_utc": slot}).to_string();
        let moved = http("PATCH", &url, Some(("application/merge-patch+json", &body)));
        assert_eq!(moved.status, 200, "{}", moved.body);
        assert!(at(&moved.json()["alterado_em_utc"]) >= at(&cancelled["abre_em_utc"]), "{}", moved.body);
    }
}

#[test]
fn where_no_token_lives_and_where_somebody_waited_nothing_opens_later() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    assert_eq!(book_and_cancel(&services, "2025-12-01T03:00:00Z")["abre_em_utc"], Value::Null);
    let removed = maintained(&services, "2025-12-02T03:00:00Z", "2025-12-02T03:05:00Z");
    assert_eq!(removed.json()["abre_em_utc"], Value::Null);
    assert_eq!(shown(&services.agenda(""), "Hubble-Acad", "2025-12-01T03:00:00Z")["abre_em_utc"], Value::Null);
    let _far = Client::at(&services.agenda(""), FAR);
    let booked = services.book(3, "2025-12-03T03:00:00Z").1;
    let url = services.agenda("/telescopios/Hubble-Acad/agenda/2025-12-03T03:00:00Z/espera");
    assert_eq!(http("POST", &url, Some((JSON, r#"{"cientista_id": 5}"#))).status, 201);
    let cancelled = services.follow(&booked, "cancelar");
    assert_eq!((cancelled.status, &cancelled.json()["abre_em_utc"]), (200, &Value::Null), "{}", cancelled.body);
    // Where the arrival decides, the instant is told, and who is early is served.
    decide_by(&services, "chegada");
    instant(&book_and_cancel(&services, "2025-12-04T03:00:00Z"));
    assert_eq!(services.book(2, "2025-12-04T03:00:00Z").0, 201);
}

#[test]
fn a_day_that_is_not_open_yet_says_when_it_opens() {
    let services = Services::start(&[]);
    let rules = json!({"regras": {"horizonte_dias": 2, "abre_as_utc": "12:00"}}).to_string();
    let url = services.agenda("/telescopios/Webb-Acad");
    assert_eq!(http("PATCH", &url, Some(("application/merge-patch+json", &rules))).status, 200);
    let slot = "2131-05-06T03:00:00Z";
    let opens = "2131-05-04T12:00:00.000000Z";
    let shown = shown(&services.agenda(""), "Webb-Acad", slot);
    assert_eq!((&shown["estado"], &shown["abre_em_utc"]), (&json!("fechado"), &json!(opens)), "{shown}");
    let body = json!({"cientista_id": 1, "horario_inicio_utc": slot, "telescopio": "Webb-Acad"});
    let (status, refused) = book(&services.agenda(""), &body);
    assert_eq!((status, &refused["abre_em_utc"]), (422, &json!(opens)), "{refused}");
    assert_eq!(refused["erros"][0]["codigo"], "regra_horizonte");
    // A telescope that is closed for another reason does not open then.
    let inactive = json!({"ativo": false}).to_string();
    assert_eq!(http("PATCH", &url, Some(("application/merge-patch+json", &inactive))).status, 200);
    let shown = self::shown(&services.agenda(""), "Webb-Acad", slot);
    assert_eq!((&shown["estado"], &shown["abre_em_utc"]), (&json!("fechado"), &Value::Null), "{shown}");
}
