//! A scheduler or a coordinator that stops and comes back.

use std::path::Path;

use fantoccini::key::Key;
use serde_json::json;

use super::fixture::{
    as_scientist, book, cell, clock_error, grace, marie, open, page, pause, slot, speak, start, wait_kind, wait_links,
    wait_live,
};
use crate::common::{Server, http, sctec, signal};

/// Starts a scheduler at the address that another one had.
fn scheduler_at(address: &str, folder: &Path, args: &[&str]) -> Server {
    let mut command = sctec();
    Server::spawn(command.args(["serve-scheduler", "--listen", address, "--data-dir"]).arg(folder).args(args), 1)
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn bookings_made_during_an_outage_are_shown_after_it() {
    let (_turn, mut services, browser) = start(&[]).await;
    let address = services.agenda_address();
    let other = services.another_scheduler(&[]);
    as_scientist(&browser, 7);
    open(&services, &browser).await;
    clock_error(&browser).await;
    // The page goes on after the last event, so it needs one.
    assert_eq!(services.book(2, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "other").await;

    assert_eq!(services.scheduler.terminate(), Some(0));
    wait_live(&browser, "off").await;
    // It is said before anyone tries.
    browser
        .wait_text("#paused", "Agendamentos suspensos: o servidor não responde. Você vê a agenda como ela estava às ")
        .await;
    browser.wait_text("#live", "sem conexão: a página tenta de novo").await;
    browser.wait_text("#clock-error", "seu relógio foi comparado pela última vez às ").await;
    // Meanwhile another scheduler of the same agenda books.
    let body = json!({"cientista_id": 3, "horario_inicio_utc": slot("08:00")}).to_string();
    let made = http("POST", &format!("{}/agendamentos", other.url()), Some(("application/json", &body)));
    assert_eq!(made.status, 201, "{}", made.body);
    // The form covers what the page says, and says it too.
    browser.click(&cell("09:00")).await;
    browser.wait_text("dialog form", "Agendamentos suspensos: o servidor não responde.").await;
    // The result of a request that is sent now is not known yet.
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog", "Ainda não se sabe o resultado").await;
    browser.wait_text("dialog .checks", "O servidor não responde. Próxima verificação em ").await;

    let (coordinator, folder) = (services.coordinator.url(), services.data_dir().to_owned());
    services.scheduler = scheduler_at(&address, &folder, &["--coordinator", &coordinator]);
    wait_live(&browser, "on").await;
    wait_kind(&browser, "08:00", "other").await;
    browser.wait_text("dialog .checks", "O servidor responde. O pedido ainda pode estar em andamento: ").await;
    browser.wait_text("dialog", "Você pode tentar de novo").await;
    let said =
        "return [document.querySelector('dialog h2').innerText, document.querySelector('dialog .primary').innerText]";
    assert_eq!(browser.ask(said).await, json!(["Não foi agendado", "Voltar ao formulário"]));
    browser.click("dialog .primary").await;
    browser.wait_text("dialog", "Agendar 09:00–09:05").await;
    browser
        .wait("nothing is paused any more", "return !document.querySelector('#paused, dialog [role=alert]').innerText")
        .await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "09:00–09:05 é seu").await;
    assert_eq!(browser.console(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn without_the_coordinator_the_page_says_when_to_try_again() {
    let (_turn, mut services, browser) = marie("").await;
    services.coordinator.kill();
    wait_live(&browser, "off").await;
    browser.wait_text("#paused", "Agendamentos suspensos: o coordenador de travas não está disponível").await;
    browser.click(&cell("10:00")).await;
    browser.wait_text("dialog form", "Agendamentos suspensos: o coordenador").await;
    browser.click("dialog button[type=submit]").await;
    browser
        .wait_text("dialog .outcome.refused", "o coordenador de travas não está disponível. Nada foi gravado.")
        .await;
    assert_eq!(services.list("").len(), 0);
    services.restart_coordinator();
    browser
        .wait_text("dialog .outcome", "Os agendamentos voltaram a funcionar. Nada foi gravado; tente de novo.")
        .await;
    let waits = "return document.querySelector('dialog .primary').hasAttribute('aria-disabled')";
    assert_eq!(browser.ask(waits).await, false);
    browser.click("dialog .primary").await;
    browser.wait_text("dialog .outcome.won", "10:00–10:05 é seu").await;
    wait_live(&browser, "on").await;
    browser.wait("nothing is paused any more", "return !document.getElementById('paused').textContent").await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn in_the_grace_of_the_coordinator_the_page_says_how_long_it_lasts() {
    for (language, words, paused, again) in [
        (
            "pt",
            "O coordenador de travas foi reiniciado ",
            "Agendamentos suspensos: o coordenador de travas foi",
            "Tentar de novo em",
        ),
        ("en", "The lock coordinator was restarted, ", "Bookings are paused: the lock coordinator was", "Try again in"),
    ] {
        let (_turn, mut services, browser) = marie("").await;
        speak(&browser, language).await;
        assert_eq!(services.book(7, &slot("09:00")).0, 201);
        grace(&mut services);
        // It is said before anyone tries.
        browser.wait_text("#paused", paused).await;
        book(&browser, "10:00").await;
        // The words have no number, since only the button counts.
        let script = format!(
            "const told = document.querySelector('dialog .outcome.refused p')?.textContent;
             const left = document.querySelector('dialog .primary')?.textContent.match(/^{again} (\\d+) s$/)?.[1];
             return told?.startsWith({words:?}) && !/\\d/.test(told) && left > 200 && left <= 300"
        );
        browser.wait("the button says how long", &script).await;
        assert_eq!(services.list("").len(), 1);
        // The same holds for a cancellation.
        browser.key(Key::Escape).await;
        wait_kind(&browser, "09:00", "mine").await;
        browser.click(&cell("09:00")).await;
        wait_links(&browser).await;
        browser.click("[data-focus=cancel]").await;
        browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
        browser.click("dialog button[type=submit]").await;
        browser.wait("the button says how long", &script).await;
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_new_database_begins_its_numbers_again_under_an_open_page() {
    let (_turn, mut services, browser) = start(&[]).await;
    let address = services.agenda_address();
    open(&services, &browser).await;
    let (_, before) = services.book(2, &slot("05:00"));
    wait_kind(&browser, "05:00", "other").await;
    assert_eq!(services.follow(&before, "cancelar").status, 200);
    wait_kind(&browser, "05:00", "free").await;

    let elsewhere = tempfile::tempdir().unwrap();
    services.scheduler.terminate();
    wait_live(&browser, "off").await;
    let coordinator = services.coordinator.url();
    services.scheduler = scheduler_at(&address, elsewhere.path(), &["--coordinator", &coordinator]);
    wait_live(&browser, "on").await;
    let (_, after) = services.book(2, &slot("05:00"));
    assert_eq!(after["id"], before["id"]);
    wait_kind(&browser, "05:00", "other").await;
    // The booking is there also when the day is read again.
    browser.click("#after").await;
    browser.wait_text("#agenda-title", "7 de maio").await;
    browser.click("#before").await;
    browser.wait_text("#agenda-title", "6 de maio").await;
    wait_kind(&browser, "05:00", "other").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_stream_that_is_silent_is_not_live() {
    let (_turn, services, browser) = start(&[]).await;
    // The page waits 18 s instead of 40 s for a sign of life. The scheduler sends one every 15 s.
    browser.before_load(
        "const set = window.setTimeout, Source = window.EventSource;
         window.setTimeout = (act, wait, ...rest) => set(act, wait === 40000 ? 18000 : wait, ...rest);
         window.streams = 0;
         window.EventSource = class extends Source { constructor(...given) { super(...given); window.streams += 1; } };",
    );
    open(&services, &browser).await;
    pause(20_000).await;
    wait_live(&browser, "on").await;
    assert_eq!(browser.ask("return window.streams").await, 1, "a sign of life keeps the stream");
    crate::common::pause(services.scheduler.pid());
    wait_live(&browser, "off").await;
    signal(services.scheduler.pid(), "CONT");
    wait_live(&browser, "on").await;
    assert_eq!(services.book(2, &slot("03:00")).0, 201);
    wait_kind(&browser, "03:00", "other").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_history_is_told_in_another_language_and_the_mode_is_read_again_after_an_outage() {
    let (_turn, mut services, browser) = marie("").await;
    let address = services.agenda_address();
    assert_eq!(services.book(7, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "mine").await;
    browser.click(&cell("01:00")).await;
    wait_links(&browser).await;
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", "Agendado por Marie Curie").await;
    browser.click("[data-language=en]").await;
    browser.wait_text(".timeline", "Booked by Marie Curie").await;

    let elsewhere = tempfile::tempdir().unwrap();
    services.scheduler.terminate();
    wait_live(&browser, "off").await;
    browser.ask("window.stopped = performance.now(); return true").await;
    services.scheduler = scheduler_at(&address, elsewhere.path(), &["--no-lock", "--critical-delay-ms", "0"]);
    wait_live(&browser, "on").await;
    browser.wait_text("#mode", "No-lock mode").await;
    // A scheduler without a coordinator is no reason to pause.
    let asked = "return performance.getEntriesByType('resource').some(({ name, startTime, responseStatus }) =>
        name.endsWith('/pronto') && startTime > window.stopped && responseStatus === 200)";
    browser.wait("whether bookings are paused", asked).await;
    browser.settle().await;
    assert_eq!(browser.text("#paused").await, "");
    // The booking of the other database is not in this one.
    wait_kind(&browser, "01:00", "free").await;
    assert_eq!(services.book(2, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "other").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn without_a_stream_the_agenda_is_read_again_and_again() {
    let (_turn, services, browser) = start(&[]).await;
    // No stream comes, and the browser tries again each second. The page waits 4 s instead of 15 to 30 s until the next reading.
    browser.before_load(
        "const set = window.setTimeout;
         window.setTimeout = (act, wait, ...rest) => set(act, wait >= 15000 && wait <= 30000 ? 4000 : wait, ...rest);
         window.EventSource = class extends EventTarget {
             static CLOSED = 2;
             readyState = 0;
             tries = setInterval(() => this.dispatchEvent(new Event('error')), 1000);
             close() { clearInterval(this.tries); }
         };",
    );
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "off").await;
    browser.wait_text("#live", "sem atualização ao vivo: a agenda é relida a cada meio minuto").await;
    for (time, rival) in [("03:00", 2), ("04:00", 3)] {
        assert_eq!(services.book(rival, &slot(time)).0, 201);
        wait_kind(&browser, time, "other").await;
    }
    // The server answers: bookings are not paused.
    assert_eq!(browser.text("#paused").await, "");
    assert_eq!(browser.console(), [""; 0]);
}
