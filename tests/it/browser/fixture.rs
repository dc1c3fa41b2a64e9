//! What the browser's tests share: services with a browser, and the page's own elements.

use std::fmt::Display;
use std::time::Duration;

use fantoccini::key::Key;

use super::driver::{Browser, Press, Turn};
use crate::common::{Server, Services, coordinator_command, http};

/// A day in the future, which every telescope can book.
pub const DAY: &str = "2031-05-06";

/// The page of a scheduler, at a day of its default telescope.
pub fn page(scheduler: &str) -> String {
    format!("{}/#Hubble-Acad@{DAY}", scheduler.trim_end_matches('/'))
}

/// The cell that begins at `time` of the day shown.
pub fn cell(time: &str) -> String {
    let (hour, minute) = time.split_once(':').unwrap();
    format!("[data-slot=\"{}\"]", hour.parse::<usize>().unwrap() * 12 + minute.parse::<usize>().unwrap() / 5)
}

pub fn slot(time: &str) -> String {
    format!("{DAY}T{time}:00Z")
}

/// Services and a browser. The test keeps the right to have browsers until its end.
pub async fn start(args: &[&str]) -> (Turn, Services, Browser) {
    let turn = Turn::take();
    (turn, Services::start(args), Browser::start().await)
}

/// Services, and a browser in which the page is open and live at [`DAY`].
pub async fn opened() -> (Turn, Services, Browser) {
    let (turn, services, browser) = start(&[]).await;
    open(&services, &browser).await;
    (turn, services, browser)
}

/// The same with Marie Curie as the scientist, and with `script` run before the page's own.
pub async fn marie(script: &str) -> (Turn, Services, Browser) {
    let (turn, services, browser) = start(&[]).await;
    as_scientist(&browser, 7);
    browser.before_load(script);
    open(&services, &browser).await;
    (turn, services, browser)
}

/// Opens the page at [`DAY`], and waits until it is live.
pub async fn open(services: &Services, browser: &Browser) {
    browser.open(&page(&services.agenda(""))).await;
    wait_live(browser, "on").await;
}

/// Books `start` for a rival and sends the open form, in one task of the page: no event of the rival's booking can come
/// between them.
pub async fn lose_race(browser: &Browser, rival: i64, start: &str) {
    let body = serde_json::json!({"cientista_id": rival, "horario_inicio_utc": start});
    let script = format!(
        "const request = new XMLHttpRequest();
         request.open('POST', '/agendamentos', false);
         request.setRequestHeader('Content-Type', 'application/json');
         request.send('{body}');
         document.querySelector('dialog button[type=submit]').click();
         return request.status"
    );
    assert_eq!(browser.ask(&script).await, 201);
}

/// Chooses the scientist that later pages of this browser remember.
pub fn as_scientist(browser: &Browser, scientist: i64) {
    let script = format!("localStorage.sctec ??= JSON.stringify({{scientist: {scientist}}})");
    browser.before_load(&script);
}

/// Waits until the page has the true time. Gives how far the local clock is ahead of it, and the error bound of that, both in
/// milliseconds.
pub async fn clock_error(browser: &Browser) -> (f64, f64) {
    let script = "const it = document.getElementById('clock-error'); return it.value && [it.value, it.dataset.bound]";
    let value = browser.wait("the true time", script).await;
    let number = |index: usize| value[index].as_str().unwrap().parse().unwrap();
    (number(0), number(1))
}

pub async fn wait_live(browser: &Browser, state: &str) {
    let script = format!("return document.getElementById('live').dataset.state === {state:?}");
    browser.wait(&format!("the page is {state}"), &script).await;
}

/// Waits until a cell has a kind: free, mine, other…
pub async fn wait_kind(browser: &Browser, time: &str, kind: &str) {
    let script = format!("return document.querySelector('{}')?.classList.contains({kind:?})", cell(time));
    browser.wait(&format!("{time} is {kind}"), &script).await;
}

/// Books `time` with the form as the page fills it in.
pub async fn book(browser: &Browser, time: &str) {
    browser.click(&cell(time)).await;
    browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
    browser.click("dialog button[type=submit]").await;
}

/// Kills the coordinator and starts it again at the same address. Its grace lasts about five minutes.
pub fn grace(services: &mut Services) {
    let held = serde_json::json!({"recurso": "X", "ttl_ms": 300_000}).to_string();
    assert_eq!(http("POST", &services.locks("/lock"), Some(("application/json", &held))).status, 200);
    services.coordinator.kill();
    let address = services.coordinator.url()["http://".len()..].to_owned();
    services.coordinator = Server::spawn(&mut coordinator_command(services.data_dir(), &address), 1);
}

/// Eight scientists request one slot at once.
pub fn contest(services: &Services, start: &str) {
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let rivals: Vec<_> = (1..=8).map(|rival| scope.spawn(move || services.book(rival, start).0)).collect();
        rivals.into_iter().map(|rival| rival.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
}

pub fn key(key: Key) -> Press {
    Press { key: key.into(), shift: false }
}

pub fn shift(key: Key) -> Press {
    Press { key: key.into(), shift: true }
}

/// Gives a field of the page another value, as a person does who chooses it.
pub async fn choose(browser: &Browser, id: &str, value: impl Display) {
    let script = format!(
        "const it = document.getElementById('{id}'); it.value = '{value}'; it.dispatchEvent(new Event('change')); return true"
    );
    browser.ask(&script).await;
}

pub async fn close_dialog(browser: &Browser) {
    browser.ask("document.getElementById('dialog').close(); return true").await;
}

pub async fn wait_dialog_closed(browser: &Browser) {
    browser.wait("the dialog is closed", "return !document.getElementById('dialog').open").await;
}

/// Puts the focus on a cell.
pub async fn focus(browser: &Browser, time: &str) {
    browser.ask(&format!("document.querySelector('{}').focus(); return true", cell(time))).await;
}

/// Waits until the agenda that was chosen is shown.
pub async fn wait_settled(browser: &Browser) {
    let script = "return document.getElementById('grid').getAttribute('aria-busy') === 'false'";
    browser.wait("the chosen agenda", script).await;
}

/// Waits until the selected booking can be cancelled: an event has no link for that, and the page asks for it.
pub async fn wait_links(browser: &Browser) {
    browser.wait("its links", "return document.querySelector('[data-focus=cancel]')").await;
}

pub async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Chooses the language of the page.
pub async fn speak(browser: &Browser, language: &str) {
    browser.click(&format!("[data-language={language}]")).await;
}
