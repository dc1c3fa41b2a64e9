//! A telescope's agenda slot by slot, from outside: every state, the nearest that are free, and the way there by links.

use serde_json::{Value, json};

use crate::common::{Services, http, http_with};

fn get(services: &Services, path: &str) -> Value {
    let answer = http("GET", &services.agenda(path), None);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// A template with these values for its parameters, as a client that knows RFC 6570 fills it in.
fn expand(link: &Value, values: &[(&str, &str)]) -> String {
    assert_eq!(link["templated"], true, "{link}");
    let (path, _) = link["href"].as_str().unwrap().split_once("{?").unwrap();
    let query: Vec<String> =
        values.iter().map(|(name, value)| format!("{name}={}", value.replace(':', "%3A"))).collect();
    format!("{path}?{}", query.join("&"))
}

fn telescope(services: &Services, index: usize) -> Value {
    let entry = get(services, "/");
    services.follow(&entry, "telescopios").json()["telescopios"][index].clone()
}

fn states(timetable: &Value) -> Vec<&str> {
    timetable["horarios"].as_array().unwrap().iter().map(|slot| slot["estado"].as_str().unwrap()).collect()
}

fn starts(free: &Value) -> Vec<&str> {
    free["livres"].as_array().unwrap().iter().map(|run| run["horario_inicio_utc"].as_str().unwrap()).collect()
}

#[test]
fn every_slot_has_its_state_and_what_can_be_done_with_it() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let hubble = telescope(&services, 0);
    let (_, booked) = services.book_with(
        &json!({"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:05:00Z", "duracao_min": 10, "alvo": "<b>M31</b>"}),
    );
    let (_, cancelled) = services.book(7, "2025-12-01T03:20:00Z");
    assert_eq!(services.follow(&cancelled, "cancelar").status, 200);
    let path = expand(&hubble["_links"]["agenda"], &[("de", "2025-12-01T03:02:00Z"), ("ate", "2025-12-01T03:25:00Z")]);
    let timetable = get(&services, &path);
    assert_eq!(states(&timetable), ["livre", "agendado", "agendado", "livre", "livre"]);
    assert_eq!((&timetable["de_utc"], &timetable["simulado"]), (&json!("2025-12-01T03:00:00Z"), &json!(true)));
    assert_eq!(timetable["agendamentos"].as_array().unwrap().len(), 1);
    assert_eq!(timetable["agendamentos"][0], booked);
    let [free, taken] = [0, 2].map(|index| timetable["horarios"][index].clone());
    assert_eq!(taken["agendamento_id"], booked["id"]);
    assert_eq!(services.follow(&taken, "agendamento").json(), booked);
    assert!(taken["_links"].get("agendar").is_none());
    assert_eq!((&free["agendamento_id"], free["_links"].get("agendamento")), (&Value::Null, None));
    assert_eq!(free["_links"]["agendar"]["method"], "POST");
    // A booking across the period's edge is in the period.
    let edge = get(&services, &expand(&hubble["_links"]["agenda"], &[("de", "2025-12-01T03:10:00Z")]));
    assert_eq!((states(&edge)[0], states(&edge).len()), ("agendado", 288));
    assert_eq!(edge["agendamentos"][0]["id"], booked["id"]);
    // To the next period and back, by links alone.
    let next = services.follow(&timetable, "seguinte").json();
    assert_eq!(next["de_utc"], timetable["ate_utc"]);
    let back = services.follow(&next, "anterior").json();
    assert_eq!((states(&back), &back["_links"]["self"]), (states(&timetable), &timetable["_links"]["self"]));
    assert_eq!(services.follow(&timetable, "telescopio").json(), hubble);
}

#[test]
fn the_past_of_a_real_telescope_cannot_be_booked() {
    let services = Services::start(&[]);
    let webb = telescope(&services, 1);
    let today = get(&services, &expand(&webb["_links"]["agenda"], &[]));
    let now = today["agora_utc"].as_str().unwrap();
    assert_eq!((today["simulado"].as_bool(), &today["de_utc"].as_str().unwrap()[..10]), (Some(false), &now[..10]));
    for slot in today["horarios"].as_array().unwrap() {
        // Both texts have the same form up to the second, so comparing them compares the instants.
        let past = slot["horario_inicio_utc"].as_str().unwrap()[..19] < now[..now.len() - 1];
        assert_eq!(slot["estado"], if past { "passado" } else { "livre" }, "{slot} {now}");
        assert_eq!(slot["_links"].as_object().unwrap().is_empty(), past);
    }
    let old = get(&services, &expand(&webb["_links"]["agenda"], &[("ate", "2025-12-01T03:00:00Z")]));
    assert_eq!((states(&old).len(), old["de_utc"].as_str()), (36, Some("2025-12-01T00:00:00Z")));
    assert!(states(&old).iter().all(|state| *state == "passado"));
    let free = get(&services, &expand(&webb["_links"]["livres"], &[]));
    assert_eq!(starts(&free).len(), 5);
    assert!(starts(&free).iter().all(|start| start[..19] >= now[..19]), "{free} {now}");
    let never = get(&services, &expand(&webb["_links"]["livres"], &[("perto_de", "2025-12-01T03:00:00Z")]));
    assert!(starts(&never).is_empty());
}

#[test]
fn a_loser_is_led_to_the_nearest_free_slots() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    for start in ["2025-12-01T03:00:00Z", "2025-12-01T03:05:00Z"] {
        assert_eq!(services.book(7, start).0, 201);
    }
    let (status, lost) = services.book(3, "2025-12-01T03:00:00Z");
    assert_eq!((status, lost["codigo"].as_str()), (409, Some("horario_ocupado")));
    assert_eq!((&lost["cientista_id"], &lost["cientista"]), (&json!(7), &json!("Marie Curie")));
    assert_eq!(services.follow(&lost, "agendamento").json()["id"], lost["agendamento_id"]);
    let day = services.follow(&lost, "agenda").json();
    assert_eq!(states(&day).iter().filter(|state| **state == "agendado").count(), 2);
    let free = services.follow(&lost, "livres").json();
    assert_eq!(
        starts(&free),
        ["02:55", "03:10", "02:50", "03:15", "02:45"].map(|time| format!("2025-12-01T{time}:00Z"))
    );
    assert_eq!(free["livres"][0]["_links"]["agendar"]["href"], "/agendamentos");
    assert_eq!(services.book(3, starts(&free)[0]).0, 201);
    // Of two slots that are equally near, the later comes first; and a run is free for the whole duration.
    let near = [("perto_de", "2025-12-01T05:00:00Z"), ("limite", "3"), ("duracao_min", "10")];
    assert_eq!(services.book(7, "2025-12-01T05:00:00Z").0, 201);
    let free = get(&services, &expand(&telescope(&services, 0)["_links"]["livres"], &near));
    assert_eq!(starts(&free), ["05:05", "05:10", "04:50"].map(|time| format!("2025-12-01T{time}:00Z")));
    assert_eq!(free["livres"][0]["horario_fim_utc"], "2025-12-01T05:15:00Z");
}

#[test]
fn a_loser_at_the_coordinator_is_led_on_without_the_database() {
    let services = Services::start(&["--lock-retention-ms", "60000"]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    let (status, lost) = services.book(3, "2025-12-01T03:00:00Z");
    assert_eq!((status, lost["codigo"].as_str()), (409, Some("recurso_ocupado")));
    let rels: Vec<&String> = lost["_links"].as_object().unwrap().keys().collect();
    assert_eq!(rels, ["agendamentos", "agenda", "livres", "agendar", "esperar"]);
    assert_eq!(services.follow(&lost, "agendamentos").json()["agendamentos"][0]["cientista_id"], 7);
    assert_eq!(starts(&services.follow(&lost, "livres").json())[0], "2025-12-01T03:05:00Z");
}

#[test]
fn without_locks_a_slot_says_how_often_it_was_sold_and_leads_to_all_of_its_bookings() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::common::scheduler_command(folder.path(), "http://127.0.0.1:9");
    let scheduler = crate::common::Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "1000"]), 1);
    let url = |path: &str| format!("{}{path}", scheduler.url());
    let at = |path: &str| http("GET", &url(path), None).json();
    std::thread::scope(|scope| {
        for rival in 1..=10 {
            let (url, body) =
                (url("/agendamentos"), json!({"cientista_id": rival, "horario_inicio_utc": "2025-12-01T03:00:00Z"}));
            scope.spawn(move || http("POST", &url, Some(("application/json", &body.to_string()))));
        }
    });
    let agenda = "/telescopios/Hubble-Acad/agenda?de=2025-12-01T02%3A55%3A00Z&ate=2025-12-01T03%3A10%3A00Z";
    let shown = at(agenda);
    let times: Vec<_> = shown["horarios"].as_array().unwrap().iter().map(|slot| &slot["vezes_agendado"]).collect();
    assert_eq!(times, [&json!(0), &json!(10), &json!(0)]);
    assert_eq!(shown["agendamentos"].as_array().unwrap().len(), 10);
    let slot = &shown["horarios"][1];
    assert_eq!(slot["agendamento_id"], 1);
    let all = at(slot["_links"]["agendamentos"]["href"].as_str().unwrap());
    assert_eq!(all["agendamentos"], shown["agendamentos"]);
    // One of them is cancelled: nine are left.
    let cancel = shown["agendamentos"][0]["_links"]["cancelar"]["href"].as_str().unwrap();
    assert_eq!(http("DELETE", &url(cancel), None).status, 200);
    assert_eq!(at(agenda)["horarios"][1]["vezes_agendado"], 9);
}

#[test]
fn without_locks_too_the_agenda_shows_active_bookings() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::common::scheduler_command(folder.path(), "http://127.0.0.1:9");
    let scheduler = crate::common::Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "0"]), 1);
    let post = |start: &str, minutes: i64| {
        let body = json!({"cientista_id": 2, "horario_inicio_utc": start, "duracao_min": minutes}).to_string();
        http("POST", &format!("{}/agendamentos", scheduler.url()), Some(("application/json", &body)))
    };
    assert_eq!(post("2025-12-01T03:00:00Z", 10).status, 201);
    let lost = post("2025-12-01T03:05:00Z", 5).json();
    assert_eq!(
        (&lost["cientista"], &lost["horario_inicio_utc"]),
        (&json!("Johannes Kepler"), &json!("2025-12-01T03:05:00Z"))
    );
    let get =
        |rel: &str| http("GET", &format!("{}{}", scheduler.url(), lost["_links"][rel]["href"].as_str().unwrap()), None);
    assert_eq!(states(&get("agenda").json()).iter().filter(|state| **state == "agendado").count(), 2);
    assert_eq!(starts(&get("livres").json())[0], "2025-12-01T03:10:00Z");
}

#[test]
fn wrong_parameters_are_named_and_an_unknown_telescope_is_404() {
    let services = Services::start(&[]);
    let wrong = |path: &str| {
        let answer = http("GET", &services.agenda(&format!("/telescopios/Hubble-Acad/{path}")), None);
        assert_eq!((answer.status, answer.json()["codigo"].as_str()), (422, Some("parametros_invalidos")), "{path}");
        let errors = answer.json()["erros"].as_array().unwrap().clone();
        errors.iter().map(|error| error["campo"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(wrong("agenda?de=ontem&x=1"), ["de", "x"]);
    assert_eq!(wrong("agenda?de=2025-12-01T00:00:00Z&ate=2025-12-01T00:00:00Z"), ["ate"]);
    assert_eq!(wrong("agenda?de=2025-12-01T00:00:00Z&ate=2025-12-08T00:00:01Z"), ["ate"]);
    assert_eq!(wrong("agenda?de=9998-12-31T23:56:00Z"), ["de"]);
    assert_eq!(wrong("livres?perto_de=x&duracao_min=7&limite=51"), ["perto_de", "duracao_min", "limite"]);
    for path in ["agenda", "livres"] {
        let answer = http("GET", &services.agenda(&format!("/telescopios/Nenhum/{path}")), None);
        assert_eq!((answer.status, answer.json()["codigo"].as_str()), (404, Some("telescopio_desconhecido")));
    }
}

#[test]
fn a_week_comes_in_one_answer_compressed_for_a_client_that_takes_that() {
    let services = Services::start(&[]);
    let ask = |until: &str, accept: &str| {
        let path = format!("/telescopios/Hubble-Acad/agenda?de=2025-12-01T00:00:00Z&ate={until}T00:00:00Z");
        http_with("GET", &services.agenda(&path), None, &[("Accept-Encoding", accept)])
    };
    for (until, accept, coding) in [
        ("2025-12-08", "gzip, deflate, br", Some("gzip")),
        ("2025-12-08", "identity", None),
        ("2025-12-08", "gzip;q=0", None),
        ("2025-12-02", "gzip", None),
    ] {
        let answer = ask(until, accept);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{until} {accept}");
        let week = until == "2025-12-08";
        let vary = if week { "Accept, Accept-Encoding" } else { "Accept" };
        assert_eq!(answer.header("vary"), Some(vary), "{until} {accept}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(states(&answer.json()).len(), if week { 2016 } else { 288 }, "{until} {accept}");
    }
}
