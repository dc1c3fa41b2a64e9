//! Channels of events, from outside: publishing, listening, going on after a break, and listeners that do not read.

use serde_json::{Value, json};

use crate::common::listener::{Event, Listener};
use crate::common::{Locks, Services, http, wait_until};

fn listen(locks: &Locks, query: &str, last_event_id: Option<&str>) -> Listener {
    Listener::open(&locks.url(&format!("/eventos?{query}")), last_event_id)
}

fn publish(locks: &Locks, number: u64) -> Value {
    let (status, answer) =
        locks.post("/eventos", &json!({"canal": "agenda", "evento": "criado", "dados": {"n": number}}));
    assert_eq!(status, 200);
    answer
}

#[test]
fn events_are_heard_in_order_and_a_stream_goes_on_after_a_break() {
    let mut locks = Locks::start();
    let mut listener = listen(&locks, "canal=agenda", None);
    let begins = listener.begins.clone();
    assert_eq!(publish(&locks, 0)["ouvintes"], 1);
    publish(&locks, 1);
    let first = listener.event();
    assert_eq!((first.name.as_str(), &first.data), ("criado", &json!({"n": 0})));
    assert_eq!(listener.event().data, json!({"n": 1}));
    drop(listener);
    wait_until("nobody listens", || publish(&locks, 2)["ouvintes"] == 0);
    for mut again in [
        listen(&locks, "canal=agenda", Some(&first.id)),
        listen(&locks, &format!("canal=agenda&desde={}", first.id), None),
    ] {
        assert_eq!((again.event().data, again.event().data), (json!({"n": 1}), json!({"n": 2})));
    }
    // The beginning of a stream is a position too: a client that is cut off before the first event goes on from there.
    assert_eq!(listen(&locks, "canal=agenda", begins.as_deref()).event().data, json!({"n": 0}));
    locks.server.kill();
    locks.restart();
    let mut stranger = listen(&locks, "canal=agenda", Some(&first.id));
    let told = stranger.event();
    assert_eq!((told.name.as_str(), told.data), ("perdidos", json!({"perdidos": null})));
    publish(&locks, 3);
    assert_eq!(stranger.event().data, json!({"n": 3}));
}

#[test]
fn several_events_are_published_together_or_not_at_all() {
    let locks = Locks::start();
    let mut listener = listen(&locks, "canal=agenda", None);
    let events = |count: u64| -> Vec<Value> { (0..count).map(|n| json!({"evento": "e", "dados": n})).collect() };
    let (status, answer) = locks.post("/eventos", &json!({"canal": "agenda", "eventos": events(300)}));
    assert_eq!((status, &answer["ouvintes"]), (200, &json!(1)));
    let heard: Vec<Event> = (0..300).map(|_| listener.event()).collect();
    assert!(heard.iter().map(|event| event.data.as_u64().unwrap()).eq(0..300));
    assert_eq!(heard[299].id, answer["id"].as_str().unwrap());
    let wrong = |body: Value| {
        let (status, problem) = locks.post("/eventos", &body);
        assert_eq!(status, 422, "{problem}");
        problem["erros"][0]["campo"].as_str().unwrap().to_owned()
    };
    for (several, field) in [
        (json!([]), "eventos"),
        (json!(events(1025)), "eventos"),
        (json!({"evento": "e"}), "eventos"),
        (json!([{"evento": "e"}, {"evento": "a b"}]), "eventos[1].evento"),
        (json!([{"evento": "e", "dados": "x".repeat(16 * 1024)}]), "eventos[0].dados"),
        (json!([1]), "eventos[0].(corpo)"),
        // A list of its values is no event.
        (json!([["e", {}]]), "eventos[0].(corpo)"),
    ] {
        assert_eq!(wrong(json!({"canal": "agenda", "eventos": several})), field);
    }
    assert_eq!(wrong(json!({"canal": "agenda", "eventos": events(1), "evento": "e"})), "evento");
    assert_eq!(wrong(json!(["agenda", [["e", {}]]])), "(corpo)");
    publish(&locks, 7);
    assert_eq!(listener.event().data, json!({"n": 7}), "nothing of what was wrong was published");
}

#[test]
fn lock_events_are_on_their_own_channel_and_never_have_the_secret() {
    let locks = Locks::start();
    let mut listener = listen(&locks, "canal=travas", None);
    let (_, lease) = locks.lock(&json!({"recursos": ["X", "Y"], "dono": "eu"}));
    locks.post("/renew", &json!({"trava_id": lease["trava_id"], "ttl_ms": 5000}));
    locks.unlock(&json!({"trava_id": lease["trava_id"], "retencao_ms": 60_000}));
    http("DELETE", &locks.url("/locks/X"), None);
    locks.lock(&json!({"recurso": "Z", "ttl_ms": 100}));
    let events: Vec<Event> = (0..6).map(|_| listener.event()).collect();
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["concedida", "renovada", "liberada", "forcada", "concedida", "vencida"]);
    for event in &events[..3] {
        assert_eq!((&event.data["recursos"], &event.data["dono"]), (&json!(["X", "Y"]), &json!("eu")));
        assert_eq!(event.data["token"], lease["token"]);
        assert!(event.data.get("trava_id").is_none());
    }
    assert_eq!((&events[1].data["ttl_ms"], &events[2].data["retencao_ms"]), (&json!(5000), &json!(60_000)));
}

#[test]
fn a_listener_that_reads_nothing_slows_no_other_and_is_told_how_much_it_lost() {
    let locks = Locks::start();
    let mut deaf = listen(&locks, "canal=c", None);
    // Far more than its connection's buffers and the channel's ring hold, in large events, so that they overflow soon: a listener that
    // reads nothing is not kept for long.
    let event = json!({"evento": "e", "dados": "x".repeat(16_000)});
    let events = json!({"canal": "c", "eventos": vec![event; 50]});
    let mut published = 0_u64;
    for _ in 0..60 {
        assert_eq!(locks.post("/eventos", &events).0, 200);
        published += 50;
    }
    let (mut heard, mut lost, mut reports) = (0, 0, 0);
    while heard + lost < published {
        let event = deaf.event();
        if event.name == "perdidos" {
            lost += event.data["perdidos"].as_u64().unwrap();
            reports += 1;
        } else {
            heard += 1;
        }
    }
    assert_eq!(heard + lost, published, "every event was heard or counted as lost");
    assert!(lost > 0 && reports > 0 && heard > 100, "{heard} heard, {lost} lost");
    let metrics = http("GET", &locks.url("/metrics"), None).body;
    assert!(metrics.contains(&format!("sctec_coordinator_events_lost_total {lost}\n")), "{metrics}");
}

#[test]
fn a_stop_ends_the_streams_and_is_quick() {
    let mut locks = Locks::start();
    let mut listener = listen(&locks, "canal=agenda", None);
    assert_eq!(locks.server.terminate(), Some(0));
    let rest = listener.rest();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream ended as a stream ends: {rest:?}");
    let log = std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    assert!(!log.contains("ainda em curso"), "{log}");
}

#[test]
fn each_bound_of_events_has_its_own_refusal() {
    let locks = Locks::start();
    let wrong = |body: Value| {
        let (status, problem) = locks.post("/eventos", &body);
        assert_eq!(status, 422, "{problem}");
        problem["erros"][0]["campo"].as_str().unwrap().to_owned()
    };
    assert_eq!(wrong(json!({"evento": "e"})), "canal");
    assert_eq!(wrong(json!({"canal": "a b", "evento": "e"})), "canal");
    assert_eq!(wrong(json!({"canal": "travas", "evento": "concedida"})), "canal");
    assert_eq!(wrong(json!({"canal": "a", "evento": "e\nid: 1"})), "evento");
    assert_eq!(wrong(json!({"canal": "a", "evento": "e", "dados": "x".repeat(16 * 1024)})), "dados");
    assert_eq!(http("GET", &locks.url("/eventos"), None).status, 422);
    // A channel that had a listener for a moment, or only a HEAD request, is not kept.
    for number in 0..70 {
        assert_eq!(http("HEAD", &locks.url(&format!("/eventos?canal=h-{number}")), None).status, 200);
        drop(listen(&locks, &format!("canal=g-{number}"), None));
    }
    wait_until("they are gone", || http("GET", &locks.url("/metrics"), None).body.contains("channel=\"travas\"} 0"));
    let _listeners: Vec<_> = (0..63).map(|number| listen(&locks, &format!("canal={number}"), None)).collect();
    let (status, problem) = locks.post("/eventos", &json!({"canal": "mais-um", "evento": "e"}));
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("canais_demais")));
    assert_eq!(http("GET", &locks.url("/eventos?canal=mais-um"), None).status, 503);
}

#[test]
fn mercure_704_an_unknown_position_is_reported_at_both_services() {
    let services = Services::start(&[]);
    let agenda = services.agenda("/eventos");
    let mut first = Listener::open(&agenda, None);
    while first.next("canal").data != json!({"ligado": true}) {}
    assert_eq!(services.book(7, "2031-01-01T00:00:00Z").0, 201);
    let last = first.next("criado").id;
    let (epoch, number) = last.split_once('-').unwrap();
    let ahead = format!("{epoch}-{}", number.parse::<u64>().unwrap() + 5000);
    let huge = format!("{epoch}-{}", u64::MAX);
    let unknown = [
        ahead.as_str(),
        &huge,
        &format!("{epoch}-99999999999999999999999"),
        &format!("{epoch}--1"),
        &format!("{epoch} -1"),
        &format!("ffffffff-{number}"),
        "-1",
        "1",
        "",
        "não é",
        "\u{1f52d}",
        &format!("{last}\r\nLast-Event-ID: {ahead}"),
    ];
    for url in [agenda, services.locks("/eventos?canal=agenda")] {
        for id in unknown {
            let mut listener = Listener::open(&url, Some(id));
            assert_eq!(listener.next("perdidos").data, json!({"perdidos": null}), "{url} {id:?}");
        }
        // The same by the parameter; a known position is not called unknown.
        let separator = if url.contains('?') { '&' } else { '?' };
        let mut listener = Listener::open(&format!("{url}{separator}desde={ahead}"), None);
        assert_eq!(listener.next("perdidos").data, json!({"perdidos": null}), "{url}");
        let known = format!("{last}\r\nLast-Event-ID: {last}");
        let mut listener = Listener::open(&url, Some(&known));
        assert_eq!(listener.begins.as_deref(), Some(last.as_str()));
        let minute = if url.contains('?') { "10" } else { "05" };
        assert_eq!(services.book(7, &format!("2031-01-01T00:{minute}:00Z")).0, 201);
        loop {
            let event = listener.event();
            assert_ne!(event.name, "perdidos", "{url}");
            if event.name == "criado" {
                break;
            }
        }
    }
}

/// Whether a scheduler on a folder of its own gets the events of the agenda.
fn is_linked(coordinator: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let scheduler = crate::common::Server::spawn(&mut crate::common::scheduler_command(folder.path(), coordinator), 1);
    let mut pages = Listener::open(&format!("{}/eventos", scheduler.url()), None);
    // The first event may come before the channel is linked; if it never is, the listener times out.
    while pages.next("canal").data["ligado"] != true {}
    let body = json!({"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z"}).to_string();
    let booked = http("POST", &format!("{}/agendamentos", scheduler.url()), Some(("application/json", &body)));
    pages.next("criado").data["req"] == booked.header("x-request-id").unwrap()
}

#[test]
fn earlier_channels_of_other_programs_leave_the_schedulers_theirs() {
    let locks = Locks::start();
    let publish_to = |channel: &str| locks.post("/eventos", &json!({"canal": channel, "evento": "e", "dados": 1})).0;
    for number in 0..63 {
        assert_eq!(publish_to(&format!("alheio-{number}")), 200, "{number}");
    }
    assert_eq!(publish_to("mais-um"), 200);
    assert!(is_linked(&locks.url("")));
    // The coordinator's own channel exists too.
    let mut told = listen(&locks, "canal=travas", None);
    locks.lock(&json!({"recurso": "X"}));
    assert_eq!(told.next("concedida").data["recursos"], json!(["X"]));
}

#[test]
fn earlier_listeners_leave_the_schedulers_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = crate::common::coordinator_command(folder.path(), "127.0.0.1:0");
    let mut limited = std::process::Command::new("sh");
    crate::common::deaf(&mut limited).args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(coordinator.get_program());
    let server = crate::common::Server::spawn(limited.args(coordinator.get_args()), 1);
    let locks = Locks::of(server, folder);
    // 256 - 128 connections, three quarters of which may listen.
    let _others: Vec<_> = (0..96).map(|_| listen(&locks, "canal=alheio", None)).collect();
    assert_eq!(http("GET", &locks.url("/eventos?canal=alheio"), None).status, 503);
    assert!(is_linked(&locks.url("")));
}
