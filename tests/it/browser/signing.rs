//! Signing in and out: what each role sees, and a session that ends while a form is open.

use fantoccini::key::Key;

use super::axe::Axe;
use super::driver::{Browser, Turn};
use super::fixture::{book, cell, page, slot, start, wait_kind, wait_live};
use crate::common::access::{Given, give, revoke};
use crate::common::{Services, http_with};

const ASKED: &str = "return document.querySelector('#sign-in[open] input')";

/// A browser that has opened the page of a service that asks for tokens.
async fn asked() -> (Turn, Services, Browser) {
    let (turn, services, browser) = start(&["--access", "token"]).await;
    // There is no agenda before somebody has signed in.
    browser.client.goto(&page(&services.agenda(""))).await.unwrap();
    browser.wait("the form to sign in", ASKED).await;
    (turn, services, browser)
}

async fn sign_in(browser: &Browser, given: &Given) {
    browser.wait("the form to sign in", ASKED).await;
    browser
        .ask(&format!("document.querySelector('#sign-in [name=token]').value = '{}'; return true", given.token))
        .await;
    browser.click("#sign-in button[type=submit]").await;
    browser.wait("nobody is asked", "return !document.querySelector('#sign-in').open").await;
}

fn marie(services: &Services) -> Given {
    give(services.data_dir(), &["marie", "--role", "cientista", "--scientist", "7"])
}

/// Books for a scientist with a token.
fn book_as(services: &Services, given: &Given, scientist: i64, time: &str) {
    let body =
        serde_json::json!({"cientista_id": scientist, "horario_inicio_utc": slot(time), "observacoes": "em segredo"});
    let bearer = format!("Bearer {}", given.token);
    let url = services.agenda("/agendamentos");
    let answer = http_with("POST", &url, Some(("application/json", &body.to_string())), &[("Authorization", &bearer)]);
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_scientist_signs_in_books_as_itself_alone_and_signs_out() {
    let (_turn, services, browser) = asked().await;
    let axe = Axe::load();
    axe.check(&browser, "sign-in").await;
    browser.look(390, 844, true);
    axe.check(&browser, "sign-in, phone, dark").await;
    browser.type_in("sctec_errado").await;
    browser.key(Key::Enter).await;
    browser.wait_text("#sign-in .problem", "soma de verificação").await;
    axe.check(&browser, "sign-in, refused").await;
    let given = marie(&services);
    sign_in(&browser, &given).await;
    wait_live(&browser, "on").await;
    browser.wait_text("#who", "marie · cientista").await;
    axe.check(&browser, "signed in, phone").await;
    let wide = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.ask(wide).await, true);
    browser.look(1280, 900, false);
    let chooser = "const it = document.getElementById('scientist'); return [it.disabled, it.options.length, it.value]";
    browser.wait("the chooser is fixed", "return document.getElementById('scientist').disabled").await;
    assert_eq!(browser.ask(chooser).await, serde_json::json!([true, 1, "7"]));
    book(&browser, "05:00").await;
    browser.wait_text("dialog .outcome.won", "05:00–05:05").await;
    browser.key(Key::Enter).await;
    wait_kind(&browser, "05:00", "mine").await;
    // The token is nowhere in the page, and no script sees the session.
    let kept = "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, document.documentElement.outerHTML])";
    let kept = browser.ask(kept).await.to_string();
    assert!(!kept.contains(&given.token) && !kept.contains("sctec_sessao"), "{kept}");

    browser.click("#sign").await;
    browser.wait("the form to sign in", ASKED).await;
    assert_eq!(browser.text("#who").await, "");
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_session_that_ends_while_a_form_is_open_loses_nothing_that_was_typed() {
    let (_turn, services, browser) = asked().await;
    let given = marie(&services);
    sign_in(&browser, &given).await;
    wait_live(&browser, "on").await;
    browser.wait("the chooser is fixed", "return document.getElementById('scientist').disabled").await;
    browser.click(&cell("06:00")).await;
    browser.wait("the form", "return document.querySelector('#dialog[open] form')").await;
    browser.type_in("Kepler-22b").await;
    revoke(services.data_dir(), &given);
    browser.wait_text("#sign-in", "A sua sessão terminou").await;
    sign_in(&browser, &marie(&services)).await;
    wait_live(&browser, "on").await;
    assert_eq!(browser.ask("return document.getElementById('field-alvo').value").await, "Kepler-22b");
    browser.click("#dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "06:00–06:05").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_reader_sees_what_is_free_and_books_nothing() {
    let (_turn, services, browser) = asked().await;
    let operator = give(services.data_dir(), &["chefe", "--role", "operador"]);
    book_as(&services, &operator, 3, "03:00");
    sign_in(&browser, &give(services.data_dir(), &["leo", "--role", "leitor"])).await;
    wait_live(&browser, "on").await;
    wait_kind(&browser, "04:00", "free").await;
    assert_eq!(browser.ask("return document.getElementById('as').hidden").await, true);
    browser.click(&cell("04:00")).await;
    browser.wait_text("#selected", "livre").await;
    assert_eq!(browser.ask("return document.querySelectorAll('#selected button, dialog[open]').length").await, 0);
    browser.click(&cell("03:00")).await;
    browser.wait_text("#selected", "Agendamento 1").await;
    assert!(!browser.text("#selected").await.contains("segredo"));
    assert_eq!(browser.ask("return document.querySelectorAll('#selected button').length").await, 0);
    // What others book is still told live, and no reading is repeated because of it.
    book_as(&services, &operator, 4, "04:00");
    wait_kind(&browser, "04:00", "other").await;
    Axe::load().check(&browser, "reader").await;

    browser.click("#sign").await;
    sign_in(&browser, &operator).await;
    wait_live(&browser, "on").await;
    browser.click(&cell("03:00")).await;
    browser.wait_text("#selected", "em segredo").await;
    browser.wait("its links", "return document.querySelector('[data-focus=cancel]')").await;
    assert_eq!(browser.ask("return document.getElementById('scientist').disabled").await, false);
}
