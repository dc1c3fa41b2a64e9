//! Changing a booking in the page: its words, its length, its time and its telescope, beside others who change it too.

use serde_json::{Value, json};

use super::axe::Axe;
use super::driver::Browser;
use super::fixture::{DAY, as_scientist, cell, slot, start, wait_dialog_closed, wait_kind, wait_live};
use super::proxy::Proxy;
use crate::common::{Services, http};

/// Gives a field of the form a value.
async fn fill(browser: &Browser, field: &str, value: &str) {
    let script = format!("document.getElementById('field-{field}').value = {value:?}; return true");
    browser.ask(&script).await;
}

/// Opens the form for the booking at `time`.
async fn open(browser: &Browser, time: &str) {
    browser.click(&cell(time)).await;
    browser.wait("its links", "return document.querySelector('[data-focus=change]')").await;
    browser.click("[data-focus=change]").await;
    browser.wait("the form", "return document.querySelector('#dialog[open] #field-alvo')").await;
}

async fn send(browser: &Browser) {
    browser.click("#dialog button[type=submit]").await;
}

fn first(services: &Services) -> Value {
    services.list("?cientista_id=7").remove(0)
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_booking_is_changed_shortened_and_moved() {
    let (_turn, services, browser) = start(&[]).await;
    let body = json!({"cientista_id": 7, "horario_inicio_utc": slot("05:00"), "duracao_min": 30, "alvo": "Vega"});
    assert_eq!(services.book_with(&body).0, 201);
    assert_eq!(services.book(3, &slot("08:00")).0, 201);
    let axe = Axe::load();
    let proxy = Proxy::start(services.agenda_address());
    as_scientist(&browser, 7);
    browser.open(&format!("{}#Hubble-Acad@{DAY}", proxy.url)).await;
    wait_live(&browser, "on").await;

    open(&browser, "05:00").await;
    for (width, dark) in [(320, true), (1280, true), (1280, false)] {
        browser.look(width, 900, dark);
        axe.check(&browser, &format!("change, {width} wide, dark {dark}")).await;
        browser.picture(&format!("alterar-{width}-{dark}")).await;
    }
    fill(&browser, "alvo", "Deneb").await;
    fill(&browser, "duracao_min", "10").await;
    send(&browser).await;
    wait_dialog_closed(&browser).await;
    wait_kind(&browser, "05:10", "free").await;
    browser.wait_text("#selected", "Deneb").await;
    assert_eq!((&first(&services)["duracao_min"], &first(&services)["versao"]), (&json!(10), &json!(2)));

    // A slot that another person has: the form says whose it is, and offers what is free.
    open(&browser, "05:05").await;
    fill(&browser, "horario_inicio_utc", &format!("{DAY}T08:00")).await;
    send(&browser).await;
    browser.wait_text("#dialog .problem", "Caroline Herschel agendou 08:00–08:05.").await;
    browser.wait_text("#dialog .offers", "08:05–08:15").await;
    axe.check(&browser, "change to a slot that is not free").await;
    browser.click("#dialog .offers li:first-child button").await;
    let moved = browser.ask("return document.getElementById('field-horario_inicio_utc').value").await;
    assert_eq!(moved, format!("{DAY}T08:05"));
    send(&browser).await;
    wait_dialog_closed(&browser).await;
    wait_kind(&browser, "08:05", "mine").await;
    wait_kind(&browser, "05:00", "free").await;

    // To another telescope, on another day: the page goes there.
    open(&browser, "08:05").await;
    fill(&browser, "telescopio", "Webb-Acad").await;
    fill(&browser, "horario_inicio_utc", "2031-05-08T23:55").await;
    send(&browser).await;
    browser.wait("its address", "return location.hash === '#Webb-Acad@2031-05-08'").await;
    browser.wait_text("#selected", "Deneb").await;
    wait_kind(&browser, "23:55", "mine").await;
    assert_eq!(first(&services)["horario_fim_utc"], "2031-05-09T00:05:00Z");
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", "Alterado").await;
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn two_who_change_a_booking_undo_nothing_of_each_other() {
    let (_turn, services, browser) = start(&[]).await;
    let body = json!({"cientista_id": 7, "horario_inicio_utc": slot("05:00"), "alvo": "Vega"});
    let (_, made) = services.book_with(&body);
    let url = services.agenda(made["_links"]["self"]["href"].as_str().unwrap());
    as_scientist(&browser, 7);
    browser.client.goto(&services.agenda("/#@meus")).await.unwrap();
    browser.wait_text("#mine", "Vega").await;
    browser.click("[data-focus^=change]").await;
    browser.wait("the form", "return document.querySelector('#dialog[open] #field-alvo')").await;
    fill(&browser, "alvo", "Deneb").await;
    let other = json!({"observacoes": "com filtro"}).to_string();
    assert_eq!(http("PATCH", &url, Some(("application/json", &other))).status, 200);
    send(&browser).await;
    browser.wait_text("#dialog .problem", "Outra pessoa mudou isto").await;
    let fields = "return ['alvo', 'observacoes'].map((id) => document.getElementById(`field-${id}`).value)";
    assert_eq!(browser.ask(fields).await, json!(["Deneb", "com filtro"]));
    // What is taken out goes.
    fill(&browser, "observacoes", "").await;
    send(&browser).await;
    wait_dialog_closed(&browser).await;
    browser.wait_text("#mine", "Deneb").await;
    let now = first(&services);
    assert_eq!((&now["alvo"], &now["observacoes"]), (&json!("Deneb"), &Value::Null));

    // It was cancelled while the form was open.
    browser.click("[data-focus^=change]").await;
    browser.wait("the form", "return document.querySelector('#dialog[open] #field-alvo')").await;
    assert_eq!(http("DELETE", &url, None).status, 200);
    fill(&browser, "alvo", "Altair").await;
    send(&browser).await;
    browser.wait_text("#dialog", "Este agendamento não pode mais ser alterado.").await;
    browser.assert_clean(&services.agenda(""));
}
