//! Events that lie: a program that may publish in the agenda's channel makes no page do anything but read again.

use serde_json::json;

use super::fixture::{DAY, cell, marie, slot, wait_kind};
use crate::common::{Asked, http, wait_until};

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_forged_event_makes_the_page_read_again_and_nothing_else() {
    let (_turn, services, browser) = marie("").await;
    let (status, real) = services.book_as(&Asked::by(7, &slot("03:00")));
    assert_eq!(status, 201);
    wait_kind(&browser, "03:00", "mine").await;
    browser.click(&cell("03:00")).await;
    browser.wait("its links", "return document.querySelector('[data-focus=cancel]')").await;
    browser.requests();
    let evil = |method: &str| json!({"href": "http://127.0.0.1:9/roubo", "method": method});
    let links = json!({
        "self": evil("DELETE"), "cancelar": evil("GET"), "agendar": evil("POST"), "historico": evil("POST"),
        "agendamento": {"href": "/agendamentos/1", "method": "DELETE"},
    });
    // The first lies of a booking that is there, the second of one that is not, and the others have what no event has.
    let forged = |id: i64, start: &str, status: &str| {
        let mut booking = real.clone();
        booking["id"] = json!(id);
        booking["horario_inicio_utc"] = json!(slot(start));
        booking["horario_fim_utc"] = json!(slot(&start.replace(":00", ":05")));
        booking["status"] = json!(status);
        booking["_links"] = links.clone();
        booking["req"] = json!("x");
        booking
    };
    let mut cancelled = forged(real["id"].as_i64().unwrap(), "03:00", "CANCELADO");
    cancelled["cancelado_em_utc"] = real["criado_em_utc"].clone();
    for (event, data) in [
        ("cancelado", cancelled),
        ("criado", forged(77, "04:00", "AGENDADO")),
        ("criado", json!({"_links": links, "href": "http://127.0.0.1:9/roubo", "method": "DELETE"})),
        (
            "disputa",
            json!({"_links": links, "telescopio": "Hubble-Acad", "pedidos": "<img src=http://127.0.0.1:9/roubo>"}),
        ),
        ("entrar", json!({"_links": links})),
    ] {
        let body = json!({"canal": "agenda", "evento": event, "dados": data}).to_string();
        let published = http("POST", &services.locks("/eventos"), Some(("application/json", &body)));
        assert_eq!(published.status, 200, "{}", published.body);
    }
    // The lies are shown for a moment at the most: the page reads what is true.
    let mut sent = Vec::new();
    wait_until("the agenda is read again", || {
        sent.extend(browser.sent());
        sent.iter().any(|(_, url)| url.contains("/agenda?"))
    });
    wait_kind(&browser, "03:00", "mine").await;
    wait_kind(&browser, "04:00", "free").await;
    sent.extend(browser.sent());
    let server = services.agenda("");
    for (method, url) in &sent {
        assert!(method == "GET" && (url.starts_with(&server) || url.starts_with("data:")), "{method} {url}");
    }
    let bookings = services.list("");
    assert_eq!(bookings.len(), 1, "{bookings:?}");
    assert_eq!((&bookings[0]["id"], &bookings[0]["status"]), (&real["id"], &json!("AGENDADO")));
    let changes = services.log_lines("app.log", "Requisição recebida para ");
    assert_eq!(changes.len(), 1, "only the booking that the test made: {changes:?}");
    assert!(real["horario_inicio_utc"].as_str().unwrap().starts_with(DAY));
}
