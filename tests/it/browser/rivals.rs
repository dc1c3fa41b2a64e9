//! Dialogs that are open while other people act: a form whose slot is taken and freed, and a question about a booking that is
//! not one's own, or that is gone meanwhile.

use fantoccini::key::Key;
use serde_json::json;

use super::driver::Browser;
use super::fixture::{cell, choose, lose_race, marie, opened, slot, wait_dialog_closed, wait_kind, wait_links};
use crate::common::Services;

/// Opens the form for `time`, and types a target.
async fn open_form(browser: &Browser, time: &str) {
    browser.click(&cell(time)).await;
    browser.wait("the form", "return document.activeElement.id === 'field-alvo'").await;
    browser.type_in("Kepler-22b").await;
}

/// Whether the form can be sent.
async fn can_send(browser: &Browser) -> bool {
    browser.ask("return !document.querySelector('dialog button[type=submit]').ariaDisabled").await == json!(true)
}

/// Books for another scientist, and waits until the open form says so.
async fn lose(services: &Services, browser: &Browser, time: &str) -> serde_json::Value {
    let (status, booked) = services.book(9, &slot(time));
    assert_eq!(status, 201);
    browser.wait_text("dialog .notice", "Vera Rubin acabou de agendar").await;
    booked
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn an_open_form_says_at_once_that_its_slot_is_taken_and_that_it_is_free_again() {
    let (_turn, services, browser) = marie("").await;
    open_form(&browser, "21:00").await;
    assert!(can_send(&browser).await);
    let booked = lose(&services, &browser, "21:00").await;
    browser.wait_text("dialog .notice", "Vera Rubin acabou de agendar 21:00–21:05.").await;
    assert!(!can_send(&browser).await);
    let said = browser.ask("return document.getElementById('dialog-status').textContent").await;
    assert!(said.as_str().unwrap().starts_with("Vera Rubin acabou de agendar 21:00–21:05."), "{said}");
    browser.wait_text("dialog .offers", "21:05–21:10").await;
    let label = "return document.querySelector('dialog .offers button').ariaLabel";
    assert!(browser.ask(label).await.as_str().unwrap().starts_with("Agendar "));
    // Two stand in a row on a telephone, and three on a wider screen.
    for (width, height, expected) in [(390, 844, 2), (1280, 900, 3)] {
        browser.look(width, height, false);
        let row = "const tops = [...document.querySelectorAll('dialog .offers li')].map((it) => it.offsetTop);
            return tops.filter((top) => top === tops[0]).length";
        assert_eq!(browser.ask(row).await, expected, "{width} wide");
    }
    // What was typed stays, and so does the focus. Enter sends nothing.
    assert_eq!(browser.ask("return document.activeElement.value").await, "Kepler-22b");
    browser.key(Key::Enter).await;
    assert_eq!(services.follow(&booked, "cancelar").status, 200);
    browser.wait_text("dialog .notice", "21:00–21:05 ficou livre de novo.").await;
    assert!(can_send(&browser).await);
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "21:00–21:05 é seu: agendamento 2.").await;
    assert_eq!(services.list("")[1]["alvo"], "Kepler-22b");
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_slot_offered_in_the_form_is_booked_with_what_was_typed_and_the_offers_follow_the_agenda() {
    let (_turn, services, browser) = marie("").await;
    open_form(&browser, "21:00").await;
    lose(&services, &browser, "21:00").await;
    browser.wait_text("dialog .offers", "21:05–21:10").await;
    assert_eq!(services.book(3, &slot("21:05")).0, 201);
    browser
        .wait("it is not offered", "return !document.querySelector('dialog .offers').innerText.includes('21:05–')")
        .await;
    browser.wait_text("dialog .offers", "21:10–21:15").await;
    browser.click("dialog .offers button").await;
    browser.wait_text("dialog .outcome.won", "20:55–21:00 é seu").await;
    let mine = services.list("?cientista_id=7");
    assert_eq!((&mine[0]["alvo"], &mine[0]["horario_inicio_utc"]), (&json!("Kepler-22b"), &json!(slot("20:55"))));
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_form_can_be_shortened_to_what_the_rival_left() {
    let (_turn, services, browser) = marie("").await;
    browser.drag(&cell("15:00"), &cell("15:10")).await;
    browser.wait_text("dialog", "Agendar 15:00–15:15").await;
    lose(&services, &browser, "15:05").await;
    browser.wait_text("dialog .notice", "Vera Rubin acabou de agendar 15:05–15:10.").await;
    assert!(!can_send(&browser).await);
    choose(&browser, "field-duracao_min", 5).await;
    browser.wait_text("dialog .notice", "15:00–15:05 está livre.").await;
    assert!(can_send(&browser).await);
    choose(&browser, "field-duracao_min", 15).await;
    browser.wait_text("dialog .notice", "Vera Rubin acabou de agendar 15:05–15:10.").await;
    choose(&browser, "field-duracao_min", 5).await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "15:00–15:05 é seu").await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn after_a_lost_race_the_dialog_says_that_the_slot_is_free_again() {
    let (_turn, services, browser) = marie("").await;
    open_form(&browser, "21:00").await;
    lose_race(&browser, 9, &slot("21:00")).await;
    browser.wait_text("dialog .outcome.lost", "Vera Rubin agendou 21:00–21:05.").await;
    let booked = &services.list("?cientista_id=9")[0];
    assert_eq!(services.follow(booked, "cancelar").status, 200);
    browser.wait_text("dialog .outcome.won", "21:00–21:05 ficou livre de novo.").await;
    browser.wait_text("dialog .offers", "21:00–21:05").await;
    browser.click("dialog .offers button").await;
    browser.wait_text("dialog .outcome.won", "21:00–21:05 é seu").await;
    assert_eq!(services.list("?cientista_id=7")[0]["alvo"], "Kepler-22b");
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn cancelling_another_persons_booking_names_them_and_takes_a_second_step() {
    let (_turn, services, browser) = marie("").await;
    services.book(2, &slot("03:00"));
    wait_kind(&browser, "03:00", "other").await;
    browser.click(&cell("03:00")).await;
    wait_links(&browser).await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog h2", "Cancelar o agendamento de Johannes Kepler?").await;
    browser.wait_text("dialog", "03:00–03:05 não é seu: é de Johannes Kepler (agendamento 1).").await;
    assert_eq!(browser.ask("return document.activeElement.textContent").await, "Manter o agendamento");
    let said = "return document.getElementById('dialog-status').textContent";
    assert_eq!(browser.ask(said).await, "03:00–03:05 não é seu: é de Johannes Kepler (agendamento 1).");
    browser.key(Key::Escape).await;
    wait_dialog_closed(&browser).await;
    assert_eq!(services.list("")[0]["status"], "AGENDADO");
    // Enter in the field of the reason leads to the button, and does not press it.
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog h2", "Cancelar o agendamento de").await;
    browser.ask("document.getElementById('field-motivo').focus(); return true").await;
    browser.type_in("nuvens").await;
    browser.key(Key::Enter).await;
    let focus = "return document.activeElement.matches('button.danger')";
    browser.wait("the focus is on the button that cancels", focus).await;
    assert_eq!(services.list("")[0]["status"], "AGENDADO");
    browser.key(Key::Enter).await;
    wait_kind(&browser, "03:00", "free").await;
    assert_eq!(services.list("")[0]["motivo_cancelamento"], "nuvens");
    // The next dialog does not begin with what was said in the one before.
    browser.click(&cell("04:00")).await;
    browser.wait_text("dialog h2", "04:00").await;
    assert_eq!(browser.ask(said).await, "");
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_question_about_a_booking_that_another_person_cancelled_is_withdrawn() {
    let (_turn, services, browser) = opened().await;
    let (_, booked) = services.book(2, &slot("03:00"));
    wait_kind(&browser, "03:00", "other").await;
    browser.click(&cell("03:00")).await;
    wait_links(&browser).await;
    browser.click("[data-focus=cancel]").await;
    // Nobody is chosen on the page: every booking is another person's.
    browser.wait_text("dialog h2", "Cancelar o agendamento de Johannes Kepler?").await;
    assert_eq!(services.follow(&booked, "cancelar").status, 200);
    browser.wait_text("dialog h2", "Já foi cancelado").await;
    browser.key(Key::Enter).await;
    wait_dialog_closed(&browser).await;
    browser.wait("the focus is in the grid", "return document.activeElement.matches('[data-slot]')").await;
    browser.assert_clean(&services.agenda(""));
}
