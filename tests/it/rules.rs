//! The rules of a telescope: set by an operator, shown, kept under parallel requests and through several schedulers, and recorded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::common::storage::of_sqlite;
use crate::common::{
    Asked, Server, Services, at_once, coordinator_command, http, scheduler_command, under_clock, without_rules,
};

const JSON: &str = "application/merge-patch+json";
const HUBBLE: &str = "/telescopios/Hubble-Acad";

fn set(services: &Services, rules: &Value) -> Value {
    let body = json!({ "regras": rules }).to_string();
    let answer = http("PATCH", &services.agenda(HUBBLE), Some((JSON, &body)));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn slot(nth: usize) -> String {
    format!("2999-05-{:02}T{:02}:{:02}:00Z", 1 + nth / 288, nth / 12 % 24, nth % 12 * 5)
}

/// The codes of the wrong fields of an answer.
fn codes(answer: &Value) -> Vec<String> {
    let errors = answer["erros"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["codigo"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_hundred_parallel_bookings_through_two_schedulers_stop_at_the_quota() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    set(&services, &json!({"cota_ativas": 3}));
    let urls = [services.agenda("/agendamentos"), format!("{}/agendamentos", other.url())];
    let bodies: Vec<_> = (0..100).map(|nth| (urls[nth % 2].clone(), Asked::by(7, &slot(nth)).text())).collect();
    let statuses = at_once(&bodies);
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(201), count(422)), (3, 97), "{statuses:?}");
    assert_eq!(services.count("SELECT count(*) FROM agendamentos WHERE status = 'AGENDADO'"), 3);
    // Another scientist has a quota of its own, and a cancelled booking gives its place back.
    assert_eq!(services.book(5, &slot(200)).0, 201);
    let (status, refused) = services.book(7, &slot(201));
    assert_eq!((status, codes(&refused)), (422, vec!["regra_cota_ativas".to_owned()]));
    assert!(refused["erros"][0]["mensagem"].as_str().unwrap().ends_with("que é 3"), "{refused}");
    let mine = services.list("?cientista_id=7&status=AGENDADO");
    let id = mine[0]["id"].as_i64().unwrap();
    assert_eq!(http("DELETE", &services.agenda(&format!("/agendamentos/{id}")), None).status, 200);
    assert_eq!(services.book(7, &slot(201)).0, 201);
}

#[test]
fn what_a_scheduler_remembers_of_a_quota_lets_nothing_in_that_another_one_has_used_up() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let at_other = |scientist, start: &str| {
        http(
            "POST",
            &format!("{}/agendamentos", other.url()),
            Some(("application/json", &Asked::by(scientist, start).text())),
        )
    };
    set(&services, &json!({"cota_ativas": 3, "cota_dia_min": 60}));
    // The other one has counted, and knows of room for two more.
    assert_eq!(at_other(7, &slot(0)).status, 201);
    assert_eq!([1, 2].map(|nth| services.book(7, &slot(nth)).0), [201, 201]);
    let (status, refused) = services.book(7, &slot(3));
    assert_eq!((status, codes(&refused)), (422, vec!["regra_cota_ativas".to_owned()]));
    let refused_there = at_other(7, &slot(3));
    assert_eq!(
        (refused_there.status, &refused_there.json()["erros"]),
        (422, &refused["erros"]),
        "{}",
        refused_there.body
    );
    // The refusal has left nothing behind at the slot.
    assert_eq!(at_other(5, &slot(3)).status, 201);
    // A quota that is lowered counts at once, and so does one that is raised.
    set(&services, &json!({"cota_ativas": 1}));
    assert_eq!(at_other(5, &slot(4)).status, 422);
    set(&services, &json!({"cota_ativas": 4}));
    assert_eq!([at_other(7, &slot(4)).status, at_other(7, &slot(5)).status], [201, 422]);
}

#[test]
fn the_minutes_of_a_day_are_not_passed_by_parallel_bookings() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    set(&services, &json!({"cota_dia_min": 30}));
    let urls = [services.agenda("/agendamentos"), format!("{}/agendamentos", other.url())];
    // Two days; each booking has ten minutes.
    let body = |nth: usize| {
        let start = slot(nth % 2 * 288 + nth / 2 * 2);
        json!({"cientista_id": 7, "horario_inicio_utc": start, "duracao_min": 10}).to_string()
    };
    let bodies: Vec<_> = (0..60).map(|nth| (urls[nth / 2 % 2].clone(), body(nth))).collect();
    let statuses = at_once(&bodies);
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(201), count(422)), (6, 54), "{statuses:?}");
    let mut minutes = BTreeMap::new();
    for booking in services.list("?cientista_id=7&status=AGENDADO") {
        let day = booking["horario_inicio_utc"].as_str().unwrap()[..10].to_owned();
        *minutes.entry(day).or_insert(0) += booking["duracao_min"].as_i64().unwrap();
    }
    assert_eq!(minutes.into_values().collect::<Vec<_>>(), [30, 30]);
}

#[test]
fn rules_are_shown_changed_taken_away_and_recorded() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let shown = http("GET", &services.agenda(HUBBLE), None).json();
    let is_none = |rule: &Value| rule.is_null() || *rule == false || rule == "ordem";
    assert!(shown["regras"].as_object().unwrap().values().all(is_none), "{shown}");
    let link = &shown["_links"]["alterar"];
    assert_eq!((link["method"].as_str(), link["href"].as_str()), (Some("PATCH"), Some(HUBBLE)));

    let changed = set(&services, &json!({"duracao_max_min": 30, "cota_ativas": 2, "abre_as_utc": "12:00"}));
    assert_eq!(changed["regras"]["abre_as_utc"], "12:00");
    // What a client has read can be sent back, and changes nothing.
    let again = http("PATCH", &services.agenda(HUBBLE), Some(("application/json", &changed.to_string())));
    assert_eq!((again.status, again.json()), (200, changed.clone()));
    let changed = set(&services, &json!({"cota_ativas": null}));
    assert_eq!((&changed["regras"]["cota_ativas"], &changed["regras"]["duracao_max_min"]), (&Value::Null, &json!(30)));
    // The other scheduler refuses at once, although it has read the catalogue before.
    let body = json!({"cientista_id": 7, "horario_inicio_utc": slot(0), "duracao_min": 35}).to_string();
    let refused = http("POST", &format!("{}/agendamentos", other.url()), Some(("application/json", &body)));
    assert_eq!((refused.status, codes(&refused.json())), (422, vec!["regra_duracao".to_owned()]));

    let records = http("GET", &services.agenda("/auditoria?evento=CATALOGO_ALTERADO"), None).json();
    let records = records["registros"].as_array().unwrap();
    assert_eq!(records.len(), 2, "{records:?}");
    let details = &records[1]["details"];
    assert_eq!(details["telescopio"], "Hubble-Acad");
    assert_eq!(
        (&details["antes"]["regras"]["cota_ativas"], &details["depois"]["regras"]["cota_ativas"]),
        (&json!(2), &Value::Null)
    );

    for (body, wrong) in [
        (
            json!({"regras": {"cota_ativas": -1, "horizonte_dias": 3661}}),
            vec!["regras.cota_ativas", "regras.horizonte_dias"],
        ),
        (json!({"regras": {"cota": 1}}), vec!["regras.cota"]),
        (json!({"nome": ""}), vec!["nome"]),
        (json!([]), vec!["(corpo)"]),
    ] {
        let answer = http("PATCH", &services.agenda(HUBBLE), Some((JSON, &body.to_string())));
        let mut fields: Vec<_> = answer.json()["erros"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["campo"].as_str().unwrap().to_owned())
            .collect();
        fields.sort_unstable();
        assert_eq!((answer.status, fields), (422, wrong.into_iter().map(str::to_owned).collect()), "{body}");
    }
    let unknown = http("PATCH", &services.agenda("/telescopios/Nenhum"), Some((JSON, "{}")));
    assert_eq!((unknown.status, unknown.json()["codigo"].as_str()), (404, Some("telescopio_desconhecido")));
    assert_eq!(http("GET", &services.agenda(HUBBLE), None).json(), changed);
}

/// An instant so many minutes from now, on the grid.
fn in_minutes(minutes: i64) -> String {
    let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let slot_us = 300_000_000;
    let at = (now + minutes * 60_000_000) / slot_us * slot_us;
    sctec::time::Timestamp::from_micros(at).unwrap().seconds().to_string()
}

#[test]
fn what_is_too_near_or_not_open_is_closed_in_the_agenda_and_in_searches() {
    let services = Services::start(&[]);
    set(&services, &json!({"antecedencia_min_min": 120, "horizonte_dias": 2, "cancelamento_min_min": 180}));
    let states = |from: &str, until: &str| {
        let url = services.agenda(&format!("{HUBBLE}/agenda?de={from}&ate={until}"));
        http("GET", &url, None).json()["horarios"].as_array().unwrap().clone()
    };
    for (from, until, state) in [
        (in_minutes(30), in_minutes(60), "fechado"),
        (in_minutes(200), in_minutes(230), "livre"),
        (in_minutes(5 * 24 * 60), in_minutes(5 * 24 * 60 + 10), "fechado"),
    ] {
        for slot in states(&from, &until) {
            assert_eq!(slot["estado"], state, "{slot}");
            assert_eq!(slot["_links"].get("agendar").is_some(), state == "livre", "{slot}");
        }
    }
    let near = http("GET", &services.agenda(&format!("{HUBBLE}/livres?perto_de={}", in_minutes(0))), None).json();
    let first = near["livres"][0]["horario_inicio_utc"].as_str().unwrap().to_owned();
    assert!(first >= in_minutes(120), "{near}");
    assert_eq!(services.book(7, &first).0, 201);
    let far = http("GET", &services.agenda(&format!("{HUBBLE}/livres?perto_de={}", in_minutes(60 * 24 * 60))), None);
    assert_eq!(far.json()["livres"], json!([]), "{}", far.body);
    let (status, refused) = services.book(7, &in_minutes(10));
    assert_eq!((status, codes(&refused)), (422, vec!["regra_antecedencia".to_owned()]));
    let (status, refused) = services.book(7, &in_minutes(5 * 24 * 60));
    assert_eq!((status, codes(&refused)), (422, vec!["regra_horizonte".to_owned()]));

    // It begins in less than three hours: it can not be cancelled, and has no link for that.
    let booking = services.list("?cientista_id=7").remove(0);
    assert!(booking["_links"].get("cancelar").is_none(), "{booking}");
    let url = services.agenda(booking["_links"]["self"]["href"].as_str().unwrap());
    let late = http("DELETE", &url, None);
    assert_eq!((late.status, late.json()["codigo"].as_str()), (409, Some("cancelamento_tardio")));
    set(&services, &json!({"cancelamento_min_min": null}));
    assert_eq!(http("DELETE", &url, None).status, 200);
}

#[test]
fn a_day_opens_at_its_second() {
    let services = Services::start(&[]);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let minute_of_day = now.as_secs() / 60 % 1440;
    // It opens with the next minute but one. If that is tomorrow, the day is another one.
    let opens = (minute_of_day + 2) % 1440;
    let days = 3 + i64::from(opens < minute_of_day);
    set(&services, &json!({"horizonte_dias": 3, "abre_as_utc": format!("{:02}:{:02}", opens / 60, opens % 60)}));
    let start = format!("{}T12:00:00Z", &in_minutes(days * 24 * 60)[..10]);
    let (status, refused) = services.book(7, &start);
    assert_eq!((status, codes(&refused)), (422, vec!["regra_horizonte".to_owned()]), "{refused}");
    let words = refused["erros"][0]["mensagem"].as_str().unwrap().to_owned();
    assert!(words.contains(&format!("{:02}:{:02}:00Z", opens / 60, opens % 60)), "{words}");
}

#[test]
#[ignore = "needs faketime"]
fn at_the_second_in_which_a_day_opens_a_hundred_ask_through_two_schedulers_and_the_quota_holds() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    // A day opens at a whole minute: so that the test need not wait for one, the schedulers' clocks are ahead.
    let ahead = format!("+{}", 109 - SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() % 60);
    let [first, second] = [0, 1].map(|_| {
        let mut command = scheduler_command(folder.path(), &coordinator.url());
        under_clock(&ahead, &mut command);
        Server::spawn(&mut command, 1)
    });
    let urls = [&first, &second].map(|server| format!("{}/agendamentos", server.url()));
    let services = Services::of(first, coordinator, folder);
    // On a slow machine the minute may be over before the rule is set: then it is the next one.
    let (opens, day) = (0..5).find_map(|_| opens_soon(&services)).expect("a day that is not open yet");
    let start = |nth: usize| format!("{day}T{:02}:{:02}:00Z", 10 + nth / 12, nth % 12 * 5);

    let begun = Instant::now();
    let ask = |nth: usize| loop {
        let answer = http("POST", &urls[nth % 2], Some(("application/json", &Asked::by(7, &start(nth)).text())));
        let codes = codes(&answer.json());
        if codes != ["regra_horizonte"] {
            return (answer.status, codes);
        }
        assert!(begun.elapsed().as_secs() < 180, "{}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = &ask;
        let clients: Vec<_> = (0..100).map(|nth| scope.spawn(move || ask(nth))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let count = |status, codes: &[&str]| answers.iter().filter(|(is, are)| *is == status && are == codes).count();
    assert_eq!((count(201, &[]), count(422, &["regra_cota_ativas"])), (3, 97), "{answers:?}");
    let made = services.list("?cientista_id=7");
    let made: Vec<_> = made.iter().map(|booking| booking["criado_em_utc"].as_str().unwrap()).collect();
    println!("opened at {opens}, booked at {made:?}");
    assert!(made.len() == 3 && made.iter().all(|at| *at >= opens.as_str()), "{opens}: {made:?}");
}

/// Lets the first telescope's fourth day open with the next minute, and gives that instant and that day; `None` if it is open
/// already.
fn opens_soon(services: &Services) -> Option<(String, String)> {
    let now = http("GET", &services.agenda("/time"), None).json()["timestamp_utc"].as_str().unwrap().to_owned();
    let now = sctec::time::Timestamp::parse_rfc3339(&now).unwrap().as_micros();
    let (minute, day) = (60_000_000, 86_400_000_000);
    let opens = (now / minute + 1) * minute;
    let text = |micros| sctec::time::Timestamp::from_micros(micros).unwrap().micros().to_string();
    let (at, last) = (text(opens), text(opens + 3 * day)[..10].to_owned());
    set(services, &json!({"horizonte_dias": 3, "abre_as_utc": &at[11..16], "cota_ativas": 3}));
    let (status, refused) = services.book(5, &format!("{last}T00:00:00Z"));
    (status == 422 && codes(&refused) == ["regra_horizonte"]).then_some((at, last))
}

#[test]
fn a_telescope_operates_in_its_hours_across_midnight() {
    let services = Services::start(&[]);
    // 2030-01-01 is a Tuesday.
    let nights = json!([{"dia": "seg", "das": "22:00", "as": "02:00"}]);
    let shown = set(&services, &json!({"horas_de_operacao": nights}));
    assert_eq!(shown["regras"]["horas_de_operacao"], nights);
    for (start, status) in [
        ("2029-12-31T21:55:00Z", 422),
        ("2029-12-31T22:00:00Z", 201),
        ("2030-01-01T01:55:00Z", 201),
        ("2030-01-01T02:00:00Z", 422),
        ("2030-01-01T22:00:00Z", 422),
    ] {
        let (found, answer) = services.book(7, start);
        assert_eq!(found, status, "{start}: {answer}");
        if status == 422 {
            assert_eq!(codes(&answer), ["regra_horas"]);
        }
    }
    let long = json!({"cientista_id": 7, "horario_inicio_utc": "2030-01-08T01:30:00Z", "duracao_min": 60});
    let (_, refused) = services.book_with(&long);
    let words = refused["erros"][0]["mensagem"].as_str().unwrap();
    assert!(words.contains("2030-01-08T02:00:00Z") && words.ends_with("2030-01-14T22:00:00Z"), "{words}");
    let agenda = http(
        "GET",
        &services.agenda(&format!("{HUBBLE}/agenda?de=2030-01-07T00:00:00Z&ate=2030-01-09T00:00:00Z")),
        None,
    );
    let slots = agenda.json()["horarios"].as_array().unwrap().clone();
    let free: Vec<_> = slots.iter().filter(|slot| slot["estado"] == "livre").collect();
    assert_eq!((free.len(), slots.len()), (48, 576));
    assert_eq!(free[0]["horario_inicio_utc"], "2030-01-07T22:00:00Z");
    let near =
        http("GET", &services.agenda(&format!("{HUBBLE}/livres?perto_de=2030-01-05T00:00:00Z&duracao_min=240")), None);
    assert_eq!(near.json()["livres"][0]["horario_inicio_utc"], "2030-01-07T22:00:00Z", "{}", near.body);
    assert_eq!(set(&services, &json!({"horas_de_operacao": null}))["regras"]["horas_de_operacao"], Value::Null);
    assert_eq!(services.book(7, "2030-01-01T02:00:00Z").0, 201);
    let wrong = json!({"regras": {"horas_de_operacao": [{"dia": "seg", "das": "22:01", "as": "02:00"}]}}).to_string();
    let answer = http("PATCH", &services.agenda(HUBBLE), Some((JSON, &wrong)));
    assert_eq!(answer.json()["erros"][0]["campo"], "regras.horas_de_operacao[0].das", "{}", answer.body);
}

#[test]
fn a_database_of_the_version_before_gets_rules() {
    of_sqlite!("the version before had no PostgreSQL");
    let services = Services::start(&[]);
    assert_eq!(services.book(7, &slot(0)).0, 201);
    let folder = services.stop();
    let database = rusqlite::Connection::open(folder.path().join("sctec.db")).unwrap();
    without_rules(&database, 4);
    drop(database);
    let services = Services::start_in(folder, &[]);
    assert_eq!(set(&services, &json!({"cota_ativas": 1}))["regras"]["cota_ativas"], 1);
    assert_eq!(services.book(7, &slot(1)).0, 422);
}
