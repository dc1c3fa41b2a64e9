//! Booking and cancelling slots: with the keyboard alone, by drag, by touch, and against another browser.

use std::time::{Duration, Instant};

use fantoccini::key::Key;
use serde_json::json;

use super::driver::Browser;
use super::fixture::{
    as_scientist, book, cell, choose, clock_error, close_dialog, contest, key, marie, opened, page, shift, slot, start,
    wait_dialog_closed, wait_kind, wait_live,
};

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_keyboard_alone_books_cancels_and_books_again() {
    let (_turn, services, browser) = opened().await;
    let (_, bound) = clock_error(&browser).await;
    assert!(bound < 1000.0, "{bound} ms");

    browser.tab_to("#scientist").await;
    browser.type_in("Marie").await;
    assert_eq!(browser.ask("return document.getElementById('scientist').value").await, "7");
    browser.tab_to("[data-slot]").await;
    browser.press(&[key(Key::Down), key(Key::Down), key(Key::Right), shift(Key::Right), shift(Key::Right)]).await;
    assert_eq!(browser.ask("return document.querySelectorAll('[aria-selected=true]').length").await, 3);
    browser.key(Key::Enter).await;
    browser.wait_text("dialog", "Agendar 02:05–02:20").await;
    browser.type_in("Andrômeda").await;
    browser.key(Key::Enter).await;
    browser.wait_text("dialog .outcome.won", "02:05–02:20 é seu: agendamento 1.").await;
    assert_eq!(services.list("")[0]["alvo"], "Andrômeda");
    browser.key(Key::Enter).await;
    wait_dialog_closed(&browser).await;
    wait_kind(&browser, "02:15", "mine").await;

    // The focus is on the booking: Enter leads to its buttons.
    assert_eq!(browser.ask("return document.activeElement.dataset.slot").await, "27");
    browser.key(Key::Enter).await;
    browser.tab_to("[data-focus=cancel]").await;
    browser.key(Key::Enter).await;
    browser.wait_text("dialog", "Cancelar 02:05–02:20?").await;
    browser.type_in("nuvens").await;
    browser.key(Key::Enter).await;
    wait_kind(&browser, "02:05", "free").await;
    let cancelled = &services.list("")[0];
    assert_eq!((&cancelled["status"], &cancelled["motivo_cancelamento"]), (&json!("CANCELADO"), &json!("nuvens")));
    browser.wait("the focus is in the grid", "return document.activeElement.matches('[data-slot]')").await;

    browser.press(&[key(Key::Home), key(Key::Right), key(Key::Enter)]).await;
    browser.wait_text("dialog", "Agendar 02:05–02:10").await;
    browser.key(Key::Escape).await;
    wait_dialog_closed(&browser).await;
    browser.key(Key::Enter).await;
    browser.wait_text("dialog", "Agendar 02:05–02:10").await;
    browser.key(Key::Enter).await;
    browser.wait_text("dialog .outcome.won", "agendamento 2").await;
    browser.key(Key::Enter).await;
    wait_kind(&browser, "02:05", "mine").await;
    browser.press(&[key(Key::PageDown)]).await;
    browser.wait_text("#agenda-title", "7 de maio").await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_browser_that_loses_a_slot_reads_who_has_it_and_books_an_offered_one() {
    let (_turn, services, curie) = start(&[]).await;
    let rubin = Browser::start().await;
    as_scientist(&curie, 7);
    as_scientist(&rubin, 9);
    for browser in [&curie, &rubin] {
        browser.open(&page(&services.agenda(""))).await;
        wait_live(browser, "on").await;
    }
    // Her form is open when the slot is taken.
    rubin.click(&cell("03:00")).await;
    rubin.wait_text("dialog", "Agendar 03:00–03:05").await;

    book(&curie, "03:00").await;
    curie.wait_text("dialog .outcome.won", "03:00–03:05 é seu").await;
    let begun = Instant::now();
    rubin.wait_text("dialog .outcome.lost", "Marie Curie acabou de agendar 03:00–03:05.").await;
    let seen = begun.elapsed();
    // Without the stream the page reads the agenda every half minute.
    assert!(seen < Duration::from_secs(10), "{seen:?}");
    wait_kind(&rubin, "03:00", "other").await;
    rubin.wait_text("dialog .offers", "03:05–03:10").await;
    rubin.click("dialog .offers button").await;
    rubin.wait_text("dialog .outcome.won", "03:05–03:10 é seu").await;
    wait_kind(&curie, "03:05", "other").await;
    assert_eq!(services.list("").len(), 2);
    // It is cancelled, and free again in both browsers.
    let booked = &services.list("")[1];
    assert_eq!(services.follow(booked, "cancelar").status, 200);
    wait_kind(&curie, "03:05", "free").await;
    wait_kind(&rubin, "03:05", "free").await;
    curie.assert_clean(&services.agenda(""));
    rubin.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn an_error_is_told_at_its_field_and_a_triple_click_sends_one_request() {
    let (_turn, services, browser) = opened().await;
    // No scientist is chosen yet.
    book(&browser, "11:00").await;
    browser.wait_text("#error-cientista_id", "Escolha quem agenda.").await;
    assert_eq!(browser.ask("return document.activeElement.id").await, "field-cientista_id");
    browser.type_in("Vera").await;
    // A tab can be pasted into a field, but not typed.
    browser.ask("document.getElementById('field-alvo').value = 'M\\u000731'; return true").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("#error-alvo", "caractere de controle").await;
    assert_eq!(browser.ask("return document.activeElement.id").await, "field-alvo");
    assert_eq!(browser.ask("return document.activeElement.getAttribute('aria-describedby')").await, "error-alvo");
    browser.ask("document.getElementById('field-alvo').value = 'M31'; return true").await;
    // Three clicks in a row.
    let twice = "const send = document.querySelector('dialog button[type=submit]'); send.click(); send.click(); send.click(); return true";
    browser.ask(twice).await;
    browser.wait_text("dialog .outcome.won", "11:00–11:05 é seu").await;
    assert_eq!(services.log_lines("app.log", "POST /agendamentos").len(), 2, "the refused one and the good one");
    // The scientist is remembered.
    browser.client.refresh().await.unwrap();
    wait_kind(&browser, "11:00", "mine").await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_contest_is_followed_live() {
    let (_turn, services, browser) = marie("").await;
    // The slot is looked at without being booked.
    browser.click(&cell("14:00")).await;
    browser.key(Key::Escape).await;
    browser.wait_text("#dispute", "Nenhum pedido").await;
    contest(&services, &slot("14:00"));
    browser.wait_text("#dispute", "pedidos 8 · atendidos 1 · recusados 7").await;
    let entries = "return document.querySelectorAll('#dispute li').length";
    assert_eq!(browser.ask(entries).await, 8);
    assert_eq!(browser.ask("return document.querySelectorAll('#dispute li.won').length").await, 1);
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn several_slots_by_drag_by_shift_and_by_touch() {
    let (_turn, services, browser) = start(&[]).await;
    assert_eq!(services.book(2, &slot("15:20")).0, 201);
    as_scientist(&browser, 7);
    browser.open(&page(&services.agenda(""))).await;
    browser.drag(&cell("15:05"), &cell("15:15")).await;
    browser.wait_text("dialog", "Agendar 15:05–15:20").await;
    close_dialog(&browser).await;
    // A drag selects as far as it is free, also backwards.
    browser.drag(&cell("15:05"), &cell("15:50")).await;
    browser.wait_text("dialog", "Agendar 15:05–15:20").await;
    close_dialog(&browser).await;
    browser.drag(&cell("15:15"), &cell("15:00")).await;
    browser.wait_text("dialog", "Agendar 15:00–15:20").await;
    close_dialog(&browser).await;
    // A finger taps one slot, and chooses a longer duration in the form.
    browser.tap(&cell("16:00")).await;
    browser.wait_text("dialog", "Agendar 16:00–16:05").await;
    browser.click("#field-duracao_min").await;
    choose(&browser, "field-duracao_min", 75).await;
    browser.wait_text("dialog", "Agendar 16:00–17:15").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "16:00–17:15 é seu").await;
    wait_kind(&browser, "17:10", "mine").await;
    // A booking is selected as a whole.
    browser.key(Key::Enter).await;
    browser.click(&cell("16:30")).await;
    assert_eq!(browser.ask("return document.querySelectorAll('[aria-selected=true]').length").await, 15);
    browser.wait_text("#selected", "16:00–17:15 UTC").await;
    browser.assert_clean(&services.agenda(""));
}
