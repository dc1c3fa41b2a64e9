//! How long the steps of a booking took, and the trace that a request belongs to.

use serde_json::json;

use crate::common::{Answer, Services, http, http_with};

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
    ]});
    let answers = http("POST", &services.locks("/lote"), Some(("application/json", &body.to_string()))).json();
    assert_eq!(answers["respostas"][0]["situacao"], "concedido");
    for index in [1, 2] {
        assert_eq!(answers["respostas"][index]["erros"][0]["campo"], "traceparent", "{answers}");
    }
    let expected = format!(" req=r-1 trace_id={TRACE} token=");
    services.wait_for_log("coordenador.log", |lines| lines.iter().any(|line| line.contains(&expected)));
}
