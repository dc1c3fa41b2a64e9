//! The page in a real browser: what a scientist sees, clicks, types and hears.
//!
//! Each test needs `chromium` and `chromedriver`; the one about accessibility also axe-core, whose `axe.min.js`
//! `SCTEC_TEST_AXE` names. With `SCTEC_TEST_PICTURES` the README's pictures are made in the folder it names
//! (they are in `docs/pictures`).

mod axe;
mod driver;
mod files;
mod looks;
mod names;
mod paper;
mod places;
mod proxy;
mod spans;
mod trouble;

use std::time::{Duration, Instant};

use self::driver::{Browser, Press, Turn};
use self::proxy::Proxy;
use fantoccini::key::Key;
use serde_json::json;

use crate::common::{Server, Services, http};

/// A day that no clock shows.
const DAY: &str = "2031-05-06";

/// The page of a scheduler, at a day of its default telescope.
fn page(scheduler: &str) -> String {
    format!("{}/#Hubble-Acad@{DAY}", scheduler.trim_end_matches('/'))
}

/// The cell that begins at `time` of the day shown.
fn cell(time: &str) -> String {
    let (hour, minute) = time.split_once(':').unwrap();
    format!("[data-slot=\"{}\"]", hour.parse::<usize>().unwrap() * 12 + minute.parse::<usize>().unwrap() / 5)
}

fn slot(time: &str) -> String {
    format!("{DAY}T{time}:00Z")
}

/// Chooses the scientist that later pages of this browser remember.
fn as_scientist(browser: &Browser, scientist: i64) {
    let script = format!("localStorage.sctec ??= JSON.stringify({{scientist: {scientist}}})");
    browser.before_load(&script);
}

/// Waits until the page has the true time, and says how far ahead of it the local clock is and how far off that may
/// be, both in milliseconds.
async fn clock_error(browser: &Browser) -> (f64, f64) {
    let script = "const it = document.getElementById('clock-error'); return it.value && [it.value, it.dataset.bound]";
    let value = browser.wait("the true time", script).await;
    let number = |index: usize| value[index].as_str().unwrap().parse().unwrap();
    (number(0), number(1))
}

async fn wait_live(browser: &Browser, state: &str) {
    let script = format!("return document.getElementById('live').dataset.state === {state:?}");
    browser.wait(&format!("the page is {state}"), &script).await;
}

/// Waits until a cell is of a kind: free, mine, other…
async fn wait_kind(browser: &Browser, time: &str, kind: &str) {
    let script = format!("return document.querySelector('{}')?.classList.contains({kind:?})", cell(time));
    browser.wait(&format!("{time} is {kind}"), &script).await;
}

/// Books `time` in the page as it is filled in.
async fn book(browser: &Browser, time: &str) {
    browser.click(&cell(time)).await;
    browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
    browser.click("dialog button[type=submit]").await;
}

/// Eight scientists ask for one slot at once.
fn contest(services: &Services, start: &str) {
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let rivals: Vec<_> = (1..=8).map(|rival| scope.spawn(move || services.book(rival, start).0)).collect();
        rivals.into_iter().map(|rival| rival.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
}

fn key(key: Key) -> Press {
    Press { key: key.into(), shift: false }
}

fn shift(key: Key) -> Press {
    Press { key: key.into(), shift: true }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_keyboard_alone_books_cancels_and_books_again() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    browser.open(&page(&services.agenda(""))).await;
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
    browser.wait("the dialog is closed", "return !document.querySelector('dialog').open").await;
    wait_kind(&browser, "02:15", "mine").await;

    // The focus is on the booking: Enter goes to what can be done with it.
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
    browser.wait("the dialog is closed", "return !document.querySelector('dialog').open").await;
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
async fn of_two_browsers_one_books_and_the_other_sees_it_loses_and_takes_an_offered_slot() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let (curie, rubin) = (Browser::start().await, Browser::start().await);
    as_scientist(&curie, 7);
    as_scientist(&rubin, 9);
    for browser in [&curie, &rubin] {
        browser.open(&page(&services.agenda(""))).await;
        wait_live(browser, "on").await;
    }
    // She has the form open when it is taken: a page cannot know everything in time.
    rubin.click(&cell("03:00")).await;
    rubin.wait_text("dialog", "Agendar 03:00–03:05").await;

    book(&curie, "03:00").await;
    curie.wait_text("dialog .outcome.won", "03:00–03:05 é seu").await;
    let begun = Instant::now();
    wait_kind(&rubin, "03:00", "other").await;
    let seen = begun.elapsed();
    // Without the stream the page reads the agenda every half minute.
    assert!(seen < Duration::from_secs(10), "{seen:?}");

    rubin.click("dialog button[type=submit]").await;
    rubin.wait_text("dialog .outcome.lost", "Marie Curie tem 03:00–03:05.").await;
    rubin.wait_text("dialog .offers", "Agendar 03:05–03:10").await;
    rubin.click("dialog .offers button").await;
    rubin.wait_text("dialog .outcome.won", "03:05–03:10 é seu").await;
    wait_kind(&curie, "03:05", "other").await;
    assert_eq!(services.list("").len(), 2);
    // And away again.
    let booked = &services.list("")[1];
    assert_eq!(services.follow(booked, "cancelar").status, 200);
    wait_kind(&curie, "03:05", "free").await;
    wait_kind(&rubin, "03:05", "free").await;
    curie.assert_clean(&services.agenda(""));
    rubin.assert_clean(&services.agenda(""));
}

/// Sets the page's clock, as a person or a bad battery would: `window.shift` milliseconds ahead.
const SHIFTED_DATE: &str = "
    window.shift = 2000;
    const True = Date;
    window.Date = class extends True {
        constructor(...given) { given.length ? super(...given) : super(True.now() + window.shift); }
        static now() { return True.now() + window.shift; }
    };";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_clock_two_seconds_ahead_is_told_and_the_click_carries_the_servers_time() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    browser.before_load(SHIFTED_DATE);
    browser.open(&page(&services.agenda(""))).await;
    let (ahead, bound) = clock_error(&browser).await;
    assert!((ahead - 2000.0).abs() <= bound, "{ahead} ± {bound} ms");
    browser.wait_text("#clock-error", "seu relógio está 2,0 s adiantado (± 0,0").await;

    book(&browser, "04:00").await;
    browser.wait_text("dialog .outcome.won", "Seu clique: ").await;
    let booking = &services.list("")[0];
    let micros = |field: &str| {
        let instant = sctec::time::Timestamp::parse_rfc3339(booking[field].as_str().unwrap()).unwrap();
        instant.as_micros()
    };
    // Two seconds ahead would be in the future. The click was before the booking, and not long before.
    let passed_us = micros("criado_em_utc") - micros("instante_clique_utc");
    assert!((-50_000..5_000_000).contains(&passed_us), "{passed_us} µs");

    // The clock is set while the page is open: the true time does not move, and the page says what is wrong now.
    let shown = "return new Date(document.getElementById('time').dateTime).getTime() - performance.timeOrigin";
    let before = browser.ask(shown).await.as_f64().unwrap();
    browser.ask("window.shift = -61000; return true").await;
    browser.wait_text("#clock-error", "seu relógio está 61,0 s atrasado").await;
    let after = browser.ask(shown).await.as_f64().unwrap();
    assert!((after - before).abs() < 20_000.0, "{before} {after}");
    let (ahead, bound) = clock_error(&browser).await;
    assert!((ahead + 61_000.0).abs() <= bound, "{ahead} ± {bound} ms");
    browser.assert_clean(&services.agenda(""));
}

/// Puts a booking into the database that began an hour ago, on the telescope that refuses the past; gives its day and
/// time.
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
async fn what_has_no_link_has_no_button_and_no_url_is_built() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let (day, time) = past_booking(&services);
    let proxy = Proxy::start(services.agenda_address());
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    browser.open(&format!("{}#Webb-Acad@{day}", proxy.url)).await;
    wait_live(&browser, "on").await;
    browser.click(&cell(&time)).await;
    browser.wait_text("#selected", "Agendamento 1").await;
    assert!(browser.text("#selected").await.contains("Histórico"));
    assert_eq!(browser.ask("return document.querySelectorAll('[data-focus=cancel]').length").await, 0);

    // Everything that can be done, through links that only the answers know.
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
    browser.wait("its links", "return document.querySelector('[data-focus=cancel]')").await;
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", "Agendado por Caroline Herschel").await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", "de Caroline Herschel").await;
    browser.click("dialog button[type=submit]").await;
    wait_kind(&browser, "06:00", "free").await;
    browser.wait_text(".timeline", "Cancelado").await;
    browser.click("#after").await;
    browser.wait_text("#agenda-title", "7 de maio").await;
    browser.click("#before").await;
    browser.wait_text("#agenda-title", "6 de maio").await;

    // The answer is lost on the way: the page looks, and finds what it had asked for.
    proxy.cut_answers(true);
    book(&browser, "07:00").await;
    browser.wait_text("dialog .outcome.won", "07:00–07:05 é seu").await;
    proxy.cut_answers(false);
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_scheduler_that_stops_and_comes_back_has_kept_nothing_from_the_page() {
    let _turn = Turn::take();
    let mut services = Services::start(&[]);
    let address = services.agenda_address();
    let other = services.another_scheduler(&[]);
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    // One event, so that there is one to go on after.
    assert_eq!(services.book(2, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "other").await;

    assert_eq!(services.scheduler.terminate(), Some(0));
    wait_live(&browser, "off").await;
    browser.wait_text("#live", "sem atualização ao vivo").await;
    // Meanwhile life goes on elsewhere.
    let body = json!({"cientista_id": 3, "horario_inicio_utc": slot("08:00")}).to_string();
    let made = http("POST", &format!("{}/agendamentos", other.url()), Some(("application/json", &body)));
    assert_eq!(made.status, 201, "{}", made.body);
    // What is clicked now has a result that nobody knows yet.
    book(&browser, "09:00").await;
    browser.wait_text("dialog", "Não se sabe ainda").await;

    let mut command = crate::common::sctec();
    command.args(["serve-scheduler", "--listen", &address, "--coordinator", &services.coordinator.url()]);
    services.scheduler = Server::spawn(command.arg("--data-dir").arg(services.data_dir()), 1);
    wait_live(&browser, "on").await;
    wait_kind(&browser, "08:00", "other").await;
    browser.wait_text("dialog", "Pode tentar de novo").await;
    browser.click("dialog .primary").await;
    browser.wait_text("dialog", "Agendar 09:00–09:05").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "09:00–09:05 é seu").await;
    assert_eq!(browser.console(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn without_the_coordinator_it_says_when_to_try_again() {
    let _turn = Turn::take();
    let mut services = Services::start(&[]);
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    services.coordinator.kill();
    wait_live(&browser, "off").await;
    book(&browser, "10:00").await;
    browser.wait_text("dialog .outcome.refused", "O coordenador não respondeu").await;
    assert_eq!(services.list("").len(), 0);
    services.restart_coordinator();
    browser.wait("the wait is over", "return !document.querySelector('dialog .primary[aria-disabled]')").await;
    browser.click("dialog .primary").await;
    browser.wait_text("dialog .outcome.won", "10:00–10:05 é seu").await;
    wait_live(&browser, "on").await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn what_is_wrong_is_said_at_its_field_and_sent_once() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    browser.open(&page(&services.agenda(""))).await;
    // Nobody is chosen yet.
    book(&browser, "11:00").await;
    browser.wait_text("#error-cientista_id", "Escolha quem agenda.").await;
    assert_eq!(browser.ask("return document.activeElement.id").await, "field-cientista_id");
    browser.type_in("Vera").await;
    // A tab cannot be typed into a field, but pasted.
    browser.ask("document.getElementById('field-alvo').value = 'M\\u000731'; return true").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("#error-alvo", "caracteres de controle").await;
    assert_eq!(browser.ask("return document.activeElement.id").await, "field-alvo");
    assert_eq!(browser.ask("return document.activeElement.getAttribute('aria-describedby')").await, "error-alvo");
    browser.ask("document.getElementById('field-alvo').value = 'M31'; return true").await;
    // An impatient hand.
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
async fn markup_in_names_and_targets_is_text() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let evil = "<img src=x onerror=alert(1)><b>Eva</b>";
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    database.execute("INSERT INTO cientistas VALUES (66, ?1, ?1, 'XX')", [evil]).unwrap();
    let body = json!({
        "cientista_id": 66, "horario_inicio_utc": slot("12:00"), "duracao_min": 30,
        "alvo": "<script>alert(2)</script>", "observacoes": "</dd><iframe src=javascript:alert(3)>\n\"'&amp;",
    });
    let (status, booking) = services.book_with(&body);
    assert_eq!(status, 201, "{booking}");
    let browser = Browser::start().await;
    as_scientist(&browser, 66);
    browser.open(&page(&services.agenda(""))).await;
    wait_kind(&browser, "12:00", "mine").await;
    browser.click(&cell("12:10")).await;
    browser.wait_text("#selected", "<script>alert(2)</script>").await;
    let shown = browser.text("#selected").await;
    assert!(shown.contains(evil) && shown.contains("</dd><iframe src=javascript:alert(3)>\n\"'&amp;"), "{shown}");
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", &format!("Agendado por {evil}")).await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", evil).await;
    browser.key(Key::Escape).await;
    book(&browser, "13:00").await;
    browser.wait_text("dialog .outcome.won", "13:00").await;
    let made = "return document.querySelectorAll('img, iframe, b b, dd b, body script, option b').length";
    assert_eq!(browser.ask(made).await, 0);
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_contest_is_followed_live() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    // The slot is looked at without being booked.
    browser.click(&cell("14:00")).await;
    browser.key(Key::Escape).await;
    browser.wait_text("#dispute", "Nenhuma disputa").await;
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
    let _turn = Turn::take();
    let services = Services::start(&[]);
    assert_eq!(services.book(2, &slot("15:20")).0, 201);
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    browser.open(&page(&services.agenda(""))).await;
    let close = "document.querySelector('dialog').close(); return true";
    browser.drag(&cell("15:05"), &cell("15:15")).await;
    browser.wait_text("dialog", "Agendar 15:05–15:20").await;
    browser.ask(close).await;
    // As far as it is free, and backwards.
    browser.drag(&cell("15:05"), &cell("15:50")).await;
    browser.wait_text("dialog", "Agendar 15:05–15:20").await;
    browser.ask(close).await;
    browser.drag(&cell("15:15"), &cell("15:00")).await;
    browser.wait_text("dialog", "Agendar 15:00–15:20").await;
    browser.ask(close).await;
    // A finger taps, and asks for more in the form.
    browser.tap(&cell("16:00")).await;
    browser.wait_text("dialog", "Agendar 16:00–16:05").await;
    browser.click("#field-duracao_min").await;
    browser.ask("const it = document.getElementById('field-duracao_min'); it.value = 75; it.dispatchEvent(new Event('change')); return true").await;
    browser.wait_text("dialog", "Agendar 16:00–17:15").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "16:00–17:15 é seu").await;
    wait_kind(&browser, "17:10", "mine").await;
    // It is one piece: selected as a whole.
    browser.key(Key::Enter).await;
    browser.click(&cell("16:30")).await;
    assert_eq!(browser.ask("return document.querySelectorAll('[aria-selected=true]').length").await, 15);
    browser.wait_text("#selected", "16:00–17:15 UTC").await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn local_time_follows_daylight_saving() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    browser.cdp("Emulation.setTimezoneOverride", &json!({"timezoneId": "America/New_York"}));
    // On that day the clocks there go from 02:00 back to 01:00, at 06:00 UTC.
    browser.open(&format!("{}#Hubble-Acad@2026-11-01", services.agenda("/"))).await;
    assert_eq!(browser.text("[role=rowheader] .local").await, "");
    browser.click("#local").await;
    let hours =
        "return [...document.querySelectorAll('[role=rowheader] .local')].map((it) => it.innerText).join(' | ')";
    let shown = browser.wait("the local hours", hours).await;
    let hours: Vec<_> = shown.as_str().unwrap().split(" | ").collect();
    assert_eq!(&hours[3..8], ["23:00", "00:00 (01)", "01:00", "01:00 GMT-5", "02:00"], "{hours:?}");
    browser.wait_text("#local-time", "GMT-5").await;
    // The days and their slots stay those of UTC.
    browser.wait_text("#agenda-title", "1 de novembro").await;
    browser.client.refresh().await.unwrap();
    browser.wait("it is remembered", "return document.getElementById('local').checked").await;
    browser.assert_clean(&services.agenda(""));
}
