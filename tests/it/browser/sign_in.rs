//! The whole way in, in a real browser: to the provider, which is another site, and back to the page.

use serde_json::json;

use super::axe::Axe;
use super::driver::{Browser, Turn};
use super::fixture::{cell, page, wait_live};
use crate::common::Services;
use crate::common::identity_provider::{Provider, services, tie, verified};

const BUTTON: &str = "#sign-in button.primary";

/// A browser with the form to sign in, of a service that knows ana as a scientist.
async fn asked() -> (Turn, Provider, Services, Browser) {
    let turn = Turn::take();
    let provider = Provider::start(&[("ana", verified("ana@obs.example")), ("bia", verified("bia@outro.example"))]);
    let services = services(&provider.url, &["--oidc-email-domain", "obs.example"]);
    tie(&services, &["ana", "--issuer", &provider.url, "--subject", "ana", "--role", "cientista", "--scientist", "7"]);
    let browser = Browser::start().await;
    browser.client.goto(&home(&services)).await.unwrap();
    browser.wait("the form to sign in", "return document.querySelector('#sign-in[open] input')").await;
    (turn, provider, services, browser)
}

/// A place in the agenda. To a browser, localhost and 127.0.0.1 are two sites.
fn home(services: &Services) -> String {
    page(&services.agenda("")).replace("127.0.0.1", "localhost")
}

/// Says to the provider who one is.
async fn be(browser: &Browser, subject: &str) {
    let button = format!("button[value={subject}]");
    browser.wait("the provider asks", &format!("return document.querySelector('{button}') !== null")).await;
    browser.click(&button).await;
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and oidc-provider-mock"]
async fn a_person_signs_in_at_the_provider_and_comes_back_to_the_same_place() {
    let (_turn, _provider, services, browser) = asked().await;
    let axe = Axe::load();
    browser.wait_text(BUTTON, "Entrar com a conta da instituição").await;
    axe.check(&browser, "sign-in with an account").await;
    browser.picture("sign-in-account").await;
    browser.look(390, 844, true);
    axe.check(&browser, "sign-in with an account, phone, dark").await;
    browser.picture("sign-in-account-phone-dark").await;
    // Nobody knows bia, who is told what an operator needs.
    browser.click(BUTTON).await;
    be(&browser, "bia").await;
    browser.wait_text("main", "este serviço ainda não sabe quem você é").await;
    browser.wait_text("main", "Sujeito: bia").await;
    axe.check(&browser, "refused, phone, dark").await;
    browser.picture("sign-in-refused-phone-dark").await;
    browser.look(1280, 900, false);
    axe.check(&browser, "refused").await;
    browser.picture("sign-in-refused").await;

    browser.client.goto(&home(&services)).await.unwrap();
    browser.wait_text(BUTTON, "Entrar com a conta da instituição").await;
    browser.click(BUTTON).await;
    be(&browser, "ana").await;
    browser.wait_text("#who", "ana · cientista").await;
    wait_live(&browser, "on").await;
    // The code stays in no address that the person can copy, and no script sees a cookie.
    assert_eq!(browser.ask("return location.href").await, home(&services));
    assert_eq!(browser.ask("return [document.cookie, sessionStorage.length]").await, json!(["", 0]));
    browser.click("#sign").await;
    browser.wait_text(BUTTON, "Entrar com a conta da instituição").await;
    assert_eq!(browser.text("#who").await, "");
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and oidc-provider-mock"]
async fn a_session_that_ends_while_a_form_is_open_begins_again_in_another_tab_and_nothing_typed_is_lost() {
    let (_turn, _provider, _services, browser) = asked().await;
    browser.click(BUTTON).await;
    be(&browser, "ana").await;
    wait_live(&browser, "on").await;
    browser.wait("the chooser is fixed", "return document.getElementById('scientist').disabled").await;
    browser.click(&cell("06:00")).await;
    browser.wait("the form", "return document.querySelector('#dialog[open] form')").await;
    browser.type_in("Kepler-22b").await;
    browser.ask("fetch('/sessao', {method: 'DELETE'}); return true").await;
    browser.wait_text("#sign-in", "A sua sessão terminou").await;
    browser.wait_text(BUTTON, "em outra aba").await;
    let here = browser.client.window().await.unwrap();
    browser.click(BUTTON).await;
    let windows = browser.client.windows().await.unwrap();
    let other = windows.into_iter().find(|window| *window != here).expect("another tab is there");
    browser.client.switch_to_window(other).await.unwrap();
    be(&browser, "ana").await;
    browser.wait_text("#who", "ana · cientista").await;
    browser.client.close_window().await.unwrap();
    browser.client.switch_to_window(here).await.unwrap();
    browser.wait("nobody is asked", "return !document.querySelector('#sign-in').open").await;
    assert_eq!(browser.ask("return document.getElementById('field-alvo').value").await, "Kepler-22b");
    browser.click("#dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "06:00–06:05").await;
}
