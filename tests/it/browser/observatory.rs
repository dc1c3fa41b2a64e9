//! An observatory in the page: an operator opens a telescope, gives it rules and closes it for maintenance; a scientist signs in,
//! waits for a slot, gets it, moves it, and sees it among the own bookings.

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::axe::Axe;
use super::driver::Browser;
use super::fixture::{DAY, cell, slot, start, wait_dialog_closed, wait_kind, wait_live};
use super::office::{fill, press};
use super::proxy::Proxy;
use crate::common::access::{Given, give};
use crate::common::{Services, http_with};

pub async fn sign_in(browser: &Browser, given: &Given, name: &str) {
    browser.wait("the form to sign in", "return document.querySelector('#sign-in[open] input')").await;
    browser
        .ask(&format!("document.querySelector('#sign-in [name=token]').value = '{}'; return true", given.token))
        .await;
    browser.click("#sign-in button[type=submit]").await;
    browser.wait_text("#who", name).await;
    wait_live(browser, "on").await;
}

/// Sends a request for a person with a token.
fn send(services: &Services, given: &Given, method: &str, path: &str, body: &Value) -> Value {
    let bearer = format!("Bearer {}", given.token);
    let body = body.to_string();
    let headers = [("Authorization", bearer.as_str())];
    let answer = http_with(method, &services.agenda(path), Some(("application/json", &body)), &headers);
    assert!(answer.status < 300, "{}", answer.body);
    answer.json()
}

/// An operator opens SALSA-1, gives it rules, and closes it from ten to eleven.
async fn open_telescope(browser: &Browser) {
    browser.click("#office").await;
    press(browser, "Novo telescópio").await;
    browser.wait_text("#dialog", "Regras").await;
    fill(browser, "id", "SALSA-1").await;
    fill(browser, "nome", "Radiotelescópio SALSA").await;
    fill(browser, "regras.cota_ativas", "1").await;
    fill(browser, "regras.duracao_max_min", "30").await;
    press(browser, "Salvar").await;
    browser.wait_text("#dialog", "Salvo: Radiotelescópio SALSA.").await;
    press(browser, "Radiotelescópio SALSA").await;
    press(browser, "Manutenções").await;
    press(browser, "Nova manutenção").await;
    browser.wait_text("#dialog", "Repetir toda semana").await;
    fill(browser, "inicio_utc", &format!("{DAY}T10:00")).await;
    fill(browser, "fim_utc", &format!("{DAY}T11:00")).await;
    fill(browser, "motivo", "troca de filtro").await;
    press(browser, "Fechar o telescópio").await;
    browser.wait_text("#dialog", "A manutenção foi salva.").await;
    browser.key(Key::Escape).await;
    wait_dialog_closed(browser).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_telescope_is_opened_and_closed_and_a_scientist_waits_gets_moves_and_finds_a_booking() {
    let (_turn, services, browser) = start(&["--access", "token"]).await;
    let operator = give(services.data_dir(), &["bia", "--role", "operador"]);
    let marie = give(services.data_dir(), &["marie", "--role", "cientista", "--scientist", "7"]);
    let axe = Axe::load();
    let proxy = Proxy::start(services.agenda_address());
    browser.client.goto(&format!("{}#Hubble-Acad@{DAY}", proxy.url)).await.unwrap();
    sign_in(&browser, &operator, "bia").await;
    open_telescope(&browser).await;
    browser.click("#sign").await;
    let body =
        json!({"cientista_id": 3, "telescopio": "SALSA-1", "horario_inicio_utc": slot("05:00"), "duracao_min": 10});
    let taken = send(&services, &operator, "POST", "/agendamentos", &body);

    sign_in(&browser, &marie, "marie").await;
    super::fixture::choose(&browser, "telescope", "SALSA-1").await;
    wait_kind(&browser, "10:00", "closed").await;
    wait_kind(&browser, "05:05", "other").await;
    browser.click(&cell("05:05")).await;
    browser.click("[data-focus=wait]").await;
    browser.wait_text("#dialog", "05:00–05:10 é de Caroline Herschel.").await;
    fill(&browser, "alvo", "M31").await;
    for (width, dark) in [(320, true), (1280, false)] {
        browser.look(width, 900, dark);
        axe.check(&browser, &format!("whether to wait, {width} wide, dark {dark}")).await;
        browser.picture(&format!("esperar-{width}")).await;
    }
    press(&browser, "Entrar na lista de espera").await;
    browser.wait_text("#dialog", "05:00–05:10: lugar 1 na lista de espera.").await;
    axe.check(&browser, "on the waiting list").await;
    press(&browser, "Fechar").await;
    browser.click("#as-mine").await;
    browser.wait_text("#mine .wait", "lugar 1 na lista de espera").await;
    axe.check(&browser, "my bookings, with one that is waited for").await;
    browser.picture("meus-espera").await;

    send(&services, &operator, "DELETE", taken["_links"]["self"]["href"].as_str().unwrap(), &json!({}));
    browser.wait_text("#gained", "Um horário que você esperava agora é seu: 05:00–05:10 UTC.").await;
    axe.check(&browser, "a slot that was waited for is the person's").await;
    browser.picture("esperado").await;
    browser.click("#gained button").await;
    browser.wait("the notice is closed", "return !document.querySelector('#gained').childElementCount").await;
    browser.wait_text("#mine", "M31").await;
    browser.wait("nothing is waited for", "return !document.querySelector('#mine .wait')").await;
    browser.click("[data-focus^=change]").await;
    browser.wait("the form", "return document.querySelector('#dialog[open] #field-alvo')").await;
    fill(&browser, "horario_inicio_utc", &format!("{DAY}T06:00")).await;
    press(&browser, "Salvar").await;
    wait_dialog_closed(&browser).await;
    browser.wait_text("#mine", "06:00–06:10 UTC").await;
    browser.click("#mine a").await;
    wait_kind(&browser, "06:05", "mine").await;
    wait_kind(&browser, "05:00", "free").await;
    assert_eq!(proxy.strays(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn who_was_too_late_waits_and_leaves_the_list_again() {
    let (_turn, services, browser) = super::fixture::marie("").await;
    browser.click(&cell("05:00")).await;
    browser.wait("the form", "return document.querySelector('#dialog[open] form')").await;
    super::fixture::lose_race(&browser, 9, &slot("05:00")).await;
    browser.wait_text("dialog .outcome.lost", "Vera Rubin agendou 05:00–05:05.").await;
    press(&browser, "Entrar na lista de espera").await;
    browser.wait_text("#dialog", "lugar 1 na lista de espera").await;
    press(&browser, "Fechar").await;
    browser.click("#as-mine").await;
    browser.wait_text("#mine .wait", "lugar 1").await;
    browser.click("[data-focus^=leave]").await;
    browser.wait("nothing is waited for", "return !document.querySelector('#mine .wait')").await;
    let waits = crate::common::http("GET", &services.agenda("/esperas"), None).json();
    assert_eq!(waits["esperas"][0]["status"], "RETIRADA");
    browser.assert_clean(&services.agenda(""));
}
