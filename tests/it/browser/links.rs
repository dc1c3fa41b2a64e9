//! Links: the page shows an action only if it has a link, and asks for no URL but those of links.

use fantoccini::key::Key;

use super::fixture::{as_scientist, book, cell, clock_error, page, slot, start, wait_kind, wait_links, wait_live};
use super::proxy::Proxy;
use crate::common::Services;

/// Puts a booking that began an hour ago into the database, on the telescope that refuses the past. Gives its day and time.
fn past_booking(services: &Services) -> (String, String) {
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    let start: i64 = database.query_row("SELECT (unixepoch() / 300 - 12) * 300000000", (), |row| row.get(0)).unwrap();
    let sql = "INSERT INTO agendamentos (telescopio_id, cientista_id, inicio_us, fim_us, status, criado_us, req)
               VALUES (2, 7, ?1, ?1 + 300000000, 'AGENDADO', ?1 - 86400000000, 'x')";
    database.execute(sql, [start]).unwrap();
    let sql = "INSERT INTO horarios (telescopio_id, inicio_us, agendamento_id, token) VALUES (2, ?1, ?2, 1)";
    database.execute(sql, [start, database.last_insert_rowid()]).unwrap();
    let text: String = database
        .query_row("SELECT strftime('%Y-%m-%dT%H:%M', ?1 / 1000000, 'unixepoch')", [start], |row| row.get(0))
        .unwrap();
    let (day, time) = text.split_once('T').unwrap();
    (day.to_owned(), time.to_owned())
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn an_action_without_a_link_has_no_button_and_no_url_is_built() {
    let (_turn, services, browser) = start(&[]).await;
    let (day, time) = past_booking(&services);
    let proxy = Proxy::start(services.agenda_address());
    as_scientist(&browser, 7);
    browser.open(&format!("{}#Webb-Acad@{day}", proxy.url)).await;
    wait_live(&browser, "on").await;
    browser.click(&cell(&time)).await;
    browser.wait_text("#selected", "Agendamento 1").await;
    assert!(browser.text("#selected").await.contains("Histórico"));
    assert_eq!(browser.ask("return document.querySelectorAll('[data-focus=cancel]').length").await, 0);

    // Every action works through links whose URLs only the answers have.
    browser.open(&page(&proxy.url)).await;
    browser.client.refresh().await.unwrap();
    wait_live(&browser, "on").await;
    let (_, bound) = clock_error(&browser).await;
    assert!(bound < 1000.0);
    book(&browser, "05:00").await;
    browser.wait_text("dialog .outcome.won", "05:00–05:05").await;
    browser.key(Key::Enter).await;
    let (status, _) = services.book(3, &slot("06:00"));
    assert_eq!(status, 201);
    wait_kind(&browser, "06:00", "other").await;
    browser.click(&cell("06:00")).await;
    wait_links(&browser).await;
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", "Agendado por Caroline Herschel").await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", "de Caroline Herschel").await;
    browser.click("dialog button.danger").await;
    wait_kind(&browser, "06:00", "free").await;
    browser.wait_text(".timeline", "Cancelado").await;
    browser.click("#after").await;
    browser.wait_text("#agenda-title", "7 de maio").await;
    browser.click("#before").await;
    browser.wait_text("#agenda-title", "6 de maio").await;

    // The answer is lost on the way: the page reads the agenda, and finds its booking.
    proxy.cut_answers(true);
    book(&browser, "07:00").await;
    browser.wait_text("dialog .outcome.won", "07:00–07:05 é seu").await;
    proxy.cut_answers(false);
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}
