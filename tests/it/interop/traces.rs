//! How long the steps of a booking took, and the trace that a request belongs to, with what others keep in it.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::common::{Answer, Server, Services, http, http_with, peer, scheduler_command};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const BOOKING: &str = r#"{"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z"}"#;

/// The names of the steps in `Server-Timing`, whose durations are numbers of milliseconds.
fn steps(answer: &Answer) -> Vec<&str> {
    let timing = answer.header("server-timing").unwrap_or_default();
    let parts = timing.split(", ").filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, duration) = part.split_once(";dur=").unwrap_or_else(|| panic!("{timing}"));
            assert!(duration.parse::<f64>().is_ok_and(|duration| duration >= 0.0), "{timing}");
            name
        })
        .collect()
}

#[test]
fn the_answer_to_a_booking_tells_how_long_its_steps_took() {
    let services = Services::start(&[]);
    let book = |body: &str| http("POST", &services.agenda("/agendamentos"), Some(("application/json", body)));
    let booked = book(BOOKING);
    assert_eq!((booked.status, steps(&booked)), (201, vec!["lock", "commit", "total"]));
    // Its rival loses at the coordinator: the lock is retained.
    let lost = book(BOOKING);
    assert_eq!((lost.status, steps(&lost)), (409, vec!["lock", "total"]));
    assert_eq!(steps(&book("{}")), ["total"]);
    let cancelled = http("DELETE", &services.agenda("/agendamentos/1"), None);
    assert_eq!(steps(&cancelled), ["lock", "commit", "total"]);
    assert!(steps(&http("GET", &services.agenda("/agendamentos/1"), None)).is_empty());
}

#[test]
fn the_trace_of_a_request_is_on_its_lines_at_both_services() {
    let services = Services::start(&[]);
    let book = |start: &str, headers: &[(&str, &str)]| {
        let body = json!({"cientista_id": 7, "horario_inicio_utc": start}).to_string();
        http_with("POST", &services.agenda("/agendamentos"), Some(("application/json", &body)), headers)
    };
    let context = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let answer = book("2025-12-01T03:00:00Z", &[("traceparent", &context), ("X-Request-Id", "meu-1")]);
    assert_eq!(answer.status, 201);
    let expected = format!(" req={} req_cliente=meu-1 trace_id={TRACE} ", answer.header("x-request-id").unwrap());
    for file in ["app.log", "coordenador.log"] {
        services.wait_for_log(file, |lines| lines.iter().filter(|line| line.contains(&expected)).count() >= 2);
    }
    for wrong in [format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), "x".to_owned(), context.to_uppercase()] {
        let answer = book("2025-12-01T03:10:00Z", &[("traceparent", &wrong)]);
        let own = format!(" req={} ", answer.header("x-request-id").unwrap());
        services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains(&own)));
        let lines = services.read_log("app.log");
        assert!(lines.iter().filter(|line| line.contains(&own)).all(|line| !line.contains("trace_id=")), "{lines:?}");
    }
}

#[test]
fn a_batch_names_the_trace_of_each_request_beside_its_identifier() {
    let services = Services::start(&[]);
    let context = format!("00-{TRACE}-00f067aa0ba902b7-00");
    let body = json!({"operacoes": [
        {"op": "lock", "recurso": "X", "req": "r-1", "traceparent": context},
        {"op": "lock", "recurso": "Y", "traceparent": context},
        {"op": "lock", "recurso": "Z", "req": "r-3", "traceparent": "x"},
        {"op": "lock", "recurso": "V", "req": "r-4", "traceparent": context, "tracestate": "rojo=1"},
        {"op": "lock", "recurso": "W", "req": "r-5", "traceparent": context, "tracestate": "rojo"},
        {"op": "lock", "recurso": "U", "req": "r-6", "tracestate": "rojo=1"},
        {"op": "lock", "recurso": "T", "tracestate": "rojo=1"},
    ]});
    let answers = http("POST", &services.locks("/lote"), Some(("application/json", &body.to_string()))).json();
    assert_eq!(answers["respostas"][0]["situacao"], "concedido");
    for index in [1, 2] {
        assert_eq!(answers["respostas"][index]["erros"][0]["campo"], "traceparent", "{answers}");
    }
    assert_eq!(answers["respostas"][3]["situacao"], "concedido", "{answers}");
    for index in [4, 5, 6] {
        assert_eq!(answers["respostas"][index]["erros"][0]["campo"], "tracestate", "{answers}");
    }
    let expected = format!(" req=r-1 trace_id={TRACE} token=");
    services.wait_for_log("coordenador.log", |lines| lines.iter().any(|line| line.contains(&expected)));
}

/// A coordinator that gives every lock, and keeps the operations that it was sent.
fn keeping(kept: &Arc<Mutex<Vec<Value>>>) -> String {
    let kept = Arc::clone(kept);
    peer::start(move |_, path, body| {
        let Some(operations) = body["operacoes"].as_array().filter(|_| path == "/lote") else {
            return (200, json!({"status": "pronto"}));
        };
        let answers = operations.iter().map(|operation| {
            let mut kept = kept.lock().unwrap();
            kept.push(operation.clone());
            match operation["op"].as_str() {
                // A token that grows with each operation.
                Some("lock") => json!({"status": 200, "situacao": "concedido", "token": kept.len(), "ttl_ms": 10_000,
                    "recursos": operation["recursos"], "trava_id": "0".repeat(32)}),
                _ => json!({"status": 200, "liberado": true}),
            }
        });
        (200, json!({"respostas": answers.collect::<Vec<Value>>()}))
    })
}

#[test]
fn what_others_keep_in_a_trace_reaches_the_coordinator_beside_its_context() {
    let kept = Arc::default();
    let folder = tempfile::tempdir().unwrap();
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &keeping(&kept)), 1);
    let url = format!("{}/agendamentos", scheduler.url());
    let context = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let parent = ("traceparent", context.as_str());
    let long = format!("rojo={}", "x".repeat(513));
    for (minute, headers, expected) in [
        (
            "00",
            &[parent, ("tracestate", "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE")][..],
            [json!(context), json!("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE")],
        ),
        (
            "05",
            &[parent, ("tracestate", "rojo=1"), ("tracestate", "congo=2")],
            [json!(context), json!("rojo=1,congo=2")],
        ),
        ("10", &[parent, ("tracestate", "ROJO=1")], [json!(context), Value::Null]),
        ("15", &[parent, ("tracestate", &long)], [json!(context), Value::Null]),
        ("20", &[parent], [json!(context), Value::Null]),
        ("25", &[("tracestate", "rojo=1")], [Value::Null, Value::Null]),
        ("30", &[("traceparent", "x"), ("tracestate", "rojo=1")], [Value::Null, Value::Null]),
    ] {
        let start = format!("2025-12-01T03:{minute}:00Z");
        let body = json!({"cientista_id": 7, "horario_inicio_utc": start}).to_string();
        let answer = http_with("POST", &url, Some(("application/json", &body)), headers);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let kept = kept.lock().unwrap();
        let names_it =
            |operation: &&Value| operation["recursos"][0].as_str().is_some_and(|name| name.ends_with(&start));
        let lock = kept.iter().find(names_it).expect("a lock was asked for");
        assert_eq!(["traceparent", "tracestate"].map(|name| lock[name].clone()), expected, "{lock}");
    }
}
