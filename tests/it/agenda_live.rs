//! The agenda's events, through any number of schedulers: every change is published to all listeners, after its commit.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::listener::{Event, Listener};
use crate::common::{Server, Services, http, http_with, scheduler_command};

fn listen(scheduler: &Server, last_event_id: Option<&str>) -> Listener {
    Listener::open(&format!("{}/eventos", scheduler.url()), last_event_id)
}

/// Listens, and waits until the channel reaches the scheduler.
fn listen_linked(scheduler: &Server) -> Listener {
    let mut listener = listen(scheduler, None);
    while listener.next("canal").data != json!({"ligado": true}) {}
    listener
}

fn post(scheduler: &Server, start: &str) -> (u16, Value) {
    let body = json!({"cientista_id": 7, "horario_inicio_utc": start}).to_string();
    let answer = http("POST", &format!("{}/agendamentos", scheduler.url()), Some(("application/json", &body)));
    (answer.status, answer.json())
}

/// A booking as its event shows it: without links.
fn as_told(mut booking: Value, event: &Event) -> Value {
    booking.as_object_mut().unwrap().shift_remove("_links").expect("an answer has links");
    booking.as_object_mut().unwrap().shift_remove("observacoes").expect("an answer has the notes, or none");
    booking["req"] = event.data["req"].clone();
    booking
}

/// What a listener hears of a changed telescope, by name and code.
fn next_telescope(listener: &mut Listener) -> Value {
    let mut event = listener.next("telescopio");
    assert!(event.data.as_object_mut().unwrap().shift_remove("req").unwrap().is_string());
    event.data
}

#[test]
fn a_changed_telescope_is_told_of_and_the_scheduler_that_tells_knows_the_change() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let mut listeners = [listen_linked(&services.scheduler), listen_linked(&other)];
    let agenda = "/telescopios/Webb-Acad/agenda?de=2031-05-06T03:00:00Z&ate=2031-05-06T03:05:00Z";
    let state = || {
        let answer = http("GET", &format!("{}{agenda}", other.url()), None).json();
        answer["horarios"][0]["estado"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "livre");
    let closed = json!({"inicio_utc": "2031-05-06T03:00:00Z", "fim_utc": "2031-05-06T04:00:00Z", "motivo": "espelho"});
    let path = services.agenda("/telescopios/Webb-Acad/manutencoes");
    let made = http("POST", &path, Some(("application/json", &closed.to_string())));
    assert_eq!(made.status, 201, "{}", made.body);
    for listener in &mut listeners {
        assert_eq!(next_telescope(listener), json!({"telescopio": "Webb-Acad"}));
    }
    assert_eq!(state(), "manutencao");
    let removed = services.follow(&made.json(), "retirar");
    assert_eq!(removed.status, 200, "{}", removed.body);
    for listener in &mut listeners {
        assert_eq!(next_telescope(listener), json!({"telescopio": "Webb-Acad"}));
    }
    assert_eq!(state(), "livre");
    let rules = json!({"regras": {"horizonte_dias": 1}}).to_string();
    let path = services.agenda("/telescopios/Webb-Acad");
    assert_eq!(http("PATCH", &path, Some(("application/merge-patch+json", &rules))).status, 200);
    for listener in &mut listeners {
        assert_eq!(next_telescope(listener), json!({"telescopio": "Webb-Acad"}));
    }
    assert_eq!(state(), "fechado");
    let new = json!({"id": "Kepler-Acad", "nome": "Kepler"}).to_string();
    assert_eq!(http("POST", &services.agenda("/telescopios"), Some(("application/json", &new))).status, 201);
    for listener in &mut listeners {
        assert_eq!(next_telescope(listener), json!({"telescopio": "Kepler-Acad"}));
    }
}

#[test]
fn a_change_at_one_scheduler_reaches_the_listeners_of_all() {
    let services = Services::start(&["--lock-retention-ms", "0", "--critical-delay-ms", "20"]);
    let other = services.another_scheduler(&[]);
    let mut listeners = [listen_linked(&services.scheduler), listen_linked(&other)];
    for (scheduler, start) in [(&services.scheduler, "2025-12-01T03:00:00Z"), (&other, "2025-12-01T03:05:00Z")] {
        let poster = {
            let url = format!("{}/agendamentos", scheduler.url());
            let body = json!({"cientista_id": 7, "horario_inicio_utc": start, "alvo": "<b>M31</b>"}).to_string();
            std::thread::spawn(move || {
                http_with("POST", &url, Some(("application/json", &body)), &[("X-Request-Id", "clique-1")])
            })
        };
        let told = listeners.each_mut().map(|listener| listener.next("criado"));
        // The booking was on disk before its event was published, also at the other scheduler.
        let entry = http("GET", &services.agenda("/"), None).json();
        let template = entry["_links"]["agendamento"]["href"].as_str().unwrap();
        let path = template.replace("{id}", &told[0].data["id"].to_string());
        for scheduler in [&services.scheduler, &other] {
            let found = http("GET", &format!("{}{path}", scheduler.url()), None);
            assert_eq!((found.status, as_told(found.json(), &told[0])), (200, told[0].data.clone()));
        }
        assert_eq!((&told[0].id, &told[0].data), (&told[1].id, &told[1].data));
        let answer = poster.join().unwrap();
        let req = json!(answer.header("x-request-id").unwrap());
        assert_eq!((&told[0].data["req"], &told[0].data["alvo"]), (&req, &json!("<b>M31</b>")));
        let booked = answer.json();
        assert_eq!(as_told(booked.clone(), &told[0]), told[0].data);
        let path = services.agenda(&format!("/agendamentos/{}", booked["id"]));
        let later = json!({"horario_inicio_utc": start.replace("T03", "T07")}).to_string();
        let altered = http("PATCH", &path, Some(("application/merge-patch+json", &later))).json();
        for listener in &mut listeners {
            let mut event = listener.next("alterado");
            // A page that shows neither place need not read its agenda again.
            let was = ["telescopio", "horario_inicio_utc", "horario_fim_utc"].map(|name| (name, booked[name].clone()));
            let before = event.data.as_object_mut().unwrap().shift_remove("antes").unwrap();
            assert_eq!(before, was.into_iter().collect::<Value>());
            assert_eq!(as_told(altered.clone(), &event), event.data);
        }
        let cancelled = services.follow(&booked, "cancelar").json();
        for listener in &mut listeners {
            let event = listener.next("cancelado");
            assert_eq!(as_told(cancelled.clone(), &event), event.data);
        }
    }
}

#[test]
fn a_stream_without_news_says_that_it_lives() {
    let services = Services::start(&[]);
    let mut listener = listen_linked(&services.scheduler);
    let alive = listener.next("vivo");
    assert_eq!((alive.id.as_str(), alive.data), ("", json!({})), "it is no place in the channel");
}

#[test]
fn a_place_at_one_scheduler_is_a_place_at_another() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let mut listener = listen_linked(&services.scheduler);
    // The other scheduler's start is an event too. A booking made after its link is up comes after that event.
    drop(listen_linked(&other));
    for minute in [0, 5, 10] {
        assert_eq!(post(&other, &format!("2025-12-01T03:{minute:02}:00Z")).0, 201);
    }
    let events: Vec<Event> = (0..3).map(|_| listener.next("criado")).collect();
    drop(listener);
    for scheduler in [&services.scheduler, &other] {
        let mut again = listen(scheduler, Some(&events[0].id));
        assert_eq!(again.begins.as_ref(), Some(&events[0].id));
        assert_eq!(again.event().name, "canal");
        for event in &events[1..] {
            let heard = again.event();
            assert_eq!((&heard.id, &heard.data), (&event.id, &event.data));
        }
    }
    let by_parameter = format!("{}/eventos?desde={}", other.url(), events[1].id);
    assert_eq!(Listener::open(&by_parameter, None).next("criado").id, events[2].id);
    let mut stranger = listen(&other, Some("00000000-1"));
    assert_eq!((stranger.begins.take(), stranger.next("perdidos").data), (None, json!({"perdidos": null})));
}

#[test]
fn an_interrupted_channel_is_told_and_no_change_meanwhile_is_lost() {
    let mut services = Services::start(&["--critical-delay-ms", "400"]);
    let mut listener = listen_linked(&services.scheduler);
    let url = services.agenda("/agendamentos");
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z"}).to_string();
    let poster = std::thread::spawn(move || http("POST", &url, Some(("application/json", &body))).status);
    // Once it has its lease, the booking does not need the coordinator.
    services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Lock adquirido")));
    services.coordinator.kill();
    assert_eq!(listener.next("canal").data, json!({"ligado": false}));
    assert_eq!(poster.join().unwrap(), 201);
    // A new listener is told at once.
    let mut late = listen(&services.scheduler, None);
    assert_eq!((late.event().data, late.begins.is_some()), (json!({"ligado": false}), true));
    services.restart_coordinator();
    for listener in [&mut listener, &mut late] {
        assert_eq!(listener.next("canal").data, json!({"ligado": true}));
        assert_eq!(listener.next("perdidos").data, json!({"perdidos": null}));
    }
    let told = listener.next("criado");
    assert_eq!(told.data["horario_inicio_utc"], "2025-12-01T03:00:00Z");
    assert_eq!(post(&services.scheduler, "2025-12-01T04:00:00Z").0, 201);
    let next = loop {
        let next = listener.next("criado");
        // The events whose exchange got no answer were sent again.
        if next.data["id"] != told.data["id"] {
            break next;
        }
    };
    assert_eq!(next.data["horario_inicio_utc"], "2025-12-01T04:00:00Z");
}

#[test]
fn a_scheduler_that_starts_says_that_events_may_be_missing() {
    let mut services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let mut elsewhere = listen_linked(&other);
    assert_eq!(post(&services.scheduler, "2025-12-01T03:00:00Z").0, 201);
    let before = elsewhere.next("criado");
    services.scheduler.kill();
    services.restart_scheduler(&[]);
    assert_eq!(elsewhere.next("perdidos").data, json!({"perdidos": null}));
    // A listener that comes back with its place from before the restart is told so too.
    let mut back = listen(&services.scheduler, Some(&before.id));
    assert!(back.next("perdidos").data.is_object());
    assert_eq!(post(&other, "2025-12-01T03:05:00Z").0, 201);
    assert_eq!(back.next("criado").data["horario_inicio_utc"], "2025-12-01T03:05:00Z");
}

#[test]
fn every_request_of_a_contest_is_the_winner_or_counted_as_refused() {
    const REQUESTS: u64 = 200;
    let services = Services::start(&[]);
    let mut listener = listen_linked(&services.scheduler);
    let mut stress = crate::common::sctec();
    let n = REQUESTS.to_string();
    stress.args(["stress", "--url", &services.scheduler.url(), "--n", &n, "--slot", "2025-12-01T03:00:00Z", "--json"]);
    let seen = stress.output().unwrap();
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stdout));
    let (mut refused, mut winners) = (0, 0);
    while refused < REQUESTS - 1 || winners == 0 {
        let event = listener.event();
        match event.name.as_str() {
            "criado" => winners += 1,
            "disputa" => {
                assert_eq!(event.data["telescopio"], "Hubble-Acad");
                assert_eq!(event.data["horario_inicio_utc"], "2025-12-01T03:00:00Z");
                let requests = event.data["pedidos"].as_array().unwrap();
                let count = event.data["recusados"].as_u64().unwrap();
                assert_eq!(requests.len() as u64, count.min(20));
                for request in requests {
                    assert!(matches!(request["codigo"].as_str(), Some("recurso_ocupado" | "horario_ocupado")));
                    assert!(
                        request["cientista_id"].is_i64() && request["utc"].is_string() && request["req"].is_string()
                    );
                }
                refused += count;
            }
            _ => {}
        }
    }
    assert_eq!((refused + winners, winners), (REQUESTS, 1));
}

#[test]
fn a_listener_that_never_reads_delays_nobody_and_is_told_how_much_it_lost() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let mut deaf = listen_linked(&services.scheduler);
    let mut awake = listen_linked(&services.scheduler);
    // Far more events than the connection's buffers and the ring hold.
    let events: Vec<Value> = (0..60).map(|_| json!({"evento": "grande", "dados": "x".repeat(16_000)})).collect();
    let batch = json!({"canal": "agenda", "eventos": events}).to_string();
    for round in 0..12_u64 {
        assert_eq!(http("POST", &services.locks("/eventos"), Some(("application/json", &batch))).status, 200);
        let start = format!("2025-12-01T03:{:02}:00Z", round * 5 % 60);
        assert_eq!(post(&services.scheduler, &start).0, 201);
        assert_eq!(awake.next("criado").data["horario_inicio_utc"], start);
    }
    let (mut heard, mut lost) = (0, 0);
    while heard + lost < 12 * 61 {
        match deaf.event() {
            event if event.name == "perdidos" => lost += event.data["perdidos"].as_u64().unwrap_or_default(),
            event if event.name == "canal" => {}
            _ => heard += 1,
        }
    }
    assert_eq!(heard + lost, 12 * 61);
    assert!(lost > 0, "{heard} heard");
}

#[test]
fn of_several_coordinator_addresses_the_one_that_answers_is_used() {
    let services = Services::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let addresses = format!("http://127.0.0.1:9,{}", services.coordinator.url());
    let other = Server::spawn(&mut scheduler_command(folder.path(), &addresses), 1);
    let mut listener = listen_linked(&other);
    assert_eq!(post(&services.scheduler, "2025-12-01T03:00:00Z").0, 201);
    assert_eq!(listener.next("criado").data["horario_inicio_utc"], "2025-12-01T03:00:00Z");
}

#[test]
fn without_a_coordinator_the_scheduler_publishes_to_its_own_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let mut command: Command = scheduler_command(folder.path(), "http://127.0.0.1:9");
    let scheduler = Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "0"]), 1);
    let mut listener = listen_linked(&scheduler);
    let (_, booked) = post(&scheduler, "2025-12-01T03:00:00Z");
    let told = listener.next("criado");
    assert_eq!(as_told(booked, &told), told.data);
    assert_eq!(post(&scheduler, "2025-12-01T03:00:00Z").0, 409);
    assert_eq!(listener.next("disputa").data["recusados"], 1);
    assert!(listen(&scheduler, Some(&told.id)).next("disputa").data.is_object());
}

#[test]
fn a_stop_ends_the_streams_and_a_wrong_parameter_is_named() {
    let mut services = Services::start(&[]);
    let entry = http("GET", &services.agenda("/"), None).json();
    assert_eq!(entry["_links"]["eventos"]["href"], "/eventos");
    let head = http("HEAD", &services.agenda("/eventos"), None);
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    let wrong = http("GET", &services.agenda("/eventos?canal=agenda"), None);
    assert_eq!((wrong.status, wrong.json()["erros"][0]["campo"].as_str()), (422, Some("canal")));
    let mut listener = listen_linked(&services.scheduler);
    assert_eq!(services.scheduler.terminate(), Some(0));
    assert!(listener.rest().ends_with("0\r\n\r\n"), "the stream ended as a stream ends");
    assert!(!services.read_log("app.log").iter().any(|line| line.contains("ainda em curso")));
}
