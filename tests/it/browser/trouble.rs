//! What goes wrong around the page: impatient hands, slow and missing answers, servers that stop without a word,
//! another database under its feet.

use std::time::Duration;

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::driver::{Browser, Turn};
use super::{DAY, as_scientist, cell, key, page, shift, slot, wait_kind, wait_live};
use crate::common::{Server, Services, sctec, signal};

/// Answers to some requests come late (`window.slow`, in milliseconds), with an error (`window.refusal`), or not at all
/// (`window.broken` of them): those whose URL has `window.about` in it.
const TAMPERED: &str = "
    Object.assign(window, {slow: 0, broken: 0, refusal: 0, about: '/agenda?', asked: 0});
    const ask = window.fetch;
    window.fetch = async (url, how) => {
        if (!String(url).includes(window.about) || how?.body) return ask(url, how);
        window.asked += 1;
        await new Promise((resolve) => setTimeout(resolve, window.slow));
        if (window.broken > 0) { window.broken -= 1; throw new TypeError('broken'); }
        return window.refusal ? new Response('{}', {status: window.refusal}) : ask(url, how);
    };";

/// Sets what [`TAMPERED`] does.
async fn tamper(browser: &Browser, settings: Value) {
    browser.ask(&format!("Object.assign(window, {settings}); return true")).await;
}

async fn choose_telescope(browser: &Browser, id: &str) {
    let script = format!(
        "const it = document.getElementById('telescope'); it.value = {id:?}; it.dispatchEvent(new Event('change')); return true"
    );
    browser.ask(&script).await;
}

async fn is_dialog_open(browser: &Browser) -> bool {
    browser.ask("return document.getElementById('dialog').open").await == json!(true)
}

/// Waits until the agenda has been read twice: at first, and once more when the stream was open.
async fn wait_read_twice(browser: &Browser) {
    let script =
        "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/agenda?')).length > 1";
    browser.wait("the second reading", script).await;
    browser.settle().await;
}

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// A browser in which Marie Curie has the page open and alive, `script` running before it.
async fn marie(services: &Services, script: &str) -> Browser {
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    browser.before_load(script);
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    browser
}

const IS_BUSY: &str = "return document.getElementById('grid').getAttribute('aria-busy') === 'true'";
const IS_SETTLED: &str = "return document.getElementById('grid').getAttribute('aria-busy') === 'false'";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn eight_tabs_of_one_browser_are_all_alive() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    let first = browser.client.window().await.unwrap();
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    for _ in 1..8 {
        let tab = browser.client.new_window(true).await.unwrap();
        browser.client.switch_to_window(tab.handle).await.unwrap();
        browser.open(&page(&services.agenda(""))).await;
        wait_live(&browser, "on").await;
    }
    assert_eq!(services.book(2, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "other").await;
    // The one that was hidden has heard nothing, and hears it when it is seen.
    browser.client.switch_to_window(first).await.unwrap();
    wait_live(&browser, "on").await;
    wait_kind(&browser, "01:00", "other").await;
    assert_eq!(services.book(3, &slot("02:00")).0, 201);
    wait_kind(&browser, "02:00", "other").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_new_database_begins_its_numbers_again_under_an_open_page() {
    let _turn = Turn::take();
    let mut services = Services::start(&[]);
    let address = services.agenda_address();
    let browser = Browser::start().await;
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    let (_, before) = services.book(2, &slot("05:00"));
    wait_kind(&browser, "05:00", "other").await;
    assert_eq!(services.follow(&before, "cancelar").status, 200);
    wait_kind(&browser, "05:00", "free").await;

    let elsewhere = tempfile::tempdir().unwrap();
    services.scheduler.terminate();
    wait_live(&browser, "off").await;
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", &address, "--coordinator", &services.coordinator.url()]);
    services.scheduler = Server::spawn(command.arg("--data-dir").arg(elsewhere.path()), 1);
    wait_live(&browser, "on").await;
    let (_, after) = services.book(2, &slot("05:00"));
    assert_eq!(after["id"], before["id"]);
    wait_kind(&browser, "05:00", "other").await;
    // Also when the day is read again.
    browser.click("#after").await;
    browser.wait_text("#agenda-title", "7 de maio").await;
    browser.click("#before").await;
    browser.wait_text("#agenda-title", "6 de maio").await;
    wait_kind(&browser, "05:00", "other").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_key_that_is_held_books_nothing() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = marie(&services, "").await;
    browser.ask(&format!("document.querySelector('{}').focus(); return true", cell("12:00"))).await;
    let enter = |kind: &str, repeated: bool| {
        browser.cdp("Input.dispatchKeyEvent", &json!({
            "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "autoRepeat": repeated, "text": "\r",
        }));
    };
    enter("keyDown", false);
    for _ in 0..8 {
        pause(33).await;
        enter("keyDown", true);
    }
    enter("keyUp", false);
    pause(300).await;
    assert_eq!(services.list("").len(), 0);
    browser.wait_text("dialog", "Agendar 12:00–12:05").await;
    // Pressed anew it does.
    browser.key(Key::Enter).await;
    browser.wait_text("dialog .outcome.won", "12:00–12:05 é seu").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn what_can_be_booked_is_what_was_chosen() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = marie(&services, TAMPERED).await;
    // The answer takes its time, and meanwhile she goes on.
    tamper(&browser, json!({"slow": 1500})).await;
    choose_telescope(&browser, "Webb-Acad").await;
    browser.click("#after").await;
    assert_eq!(browser.ask(IS_BUSY).await, true);
    browser.click(&cell("20:00")).await;
    assert!(!is_dialog_open(&browser).await, "what is shown is not what was chosen");
    browser.wait("the answer", IS_SETTLED).await;
    assert_eq!(browser.ask("return document.getElementById('telescope').value").await, "Webb-Acad");
    assert_eq!(browser.ask("return location.hash").await, "#Webb-Acad@2031-05-07");
    browser.wait_text("#agenda-title", "7 de maio").await;
    // Each press counts, also one before the answer to the last.
    tamper(&browser, json!({"slow": 300})).await;
    for _ in 0..3 {
        browser.click("#after").await;
    }
    browser.wait_text("#agenda-title", "10 de maio").await;
    browser.wait("the answer", IS_SETTLED).await;
    browser.click(&cell("21:00")).await;
    browser.wait_text("dialog .where", "Webb-Acad").await;
    browser.key(Key::Escape).await;
    // No answer at all.
    tamper(&browser, json!({"slow": 0, "broken": 1000})).await;
    choose_telescope(&browser, "Hubble-Acad").await;
    browser.wait_text("#agenda-problem", "o servidor não responde").await;
    browser.click(&cell("22:00")).await;
    assert!(!is_dialog_open(&browser).await);
    tamper(&browser, json!({"broken": 0})).await;
    browser.wait("the answer", IS_SETTLED).await;
    browser.click(&cell("22:30")).await;
    browser.wait_text("dialog .where", "Hubble-Acad").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_cancellation_is_seen_however_it_comes() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    // Its event comes later than the answer that has it too.
    browser.before_load(
        "const add = EventSource.prototype.addEventListener;
         EventSource.prototype.addEventListener = function (name, act) {
             return add.call(this, name, name === 'cancelado' ? (event) => setTimeout(() => act(event), 1000) : act);
         };",
    );
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    // What is read once more when the stream is open would hide it.
    wait_read_twice(&browser).await;
    let (_, booking) = services.book(2, &slot("01:00"));
    wait_kind(&browser, "01:00", "other").await;
    assert_eq!(services.follow(&booking, "cancelar").status, 200);
    browser.click(&cell("01:00")).await;
    wait_kind(&browser, "01:00", "free").await;
    browser.wait_text("#selected", "livre").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn what_can_be_done_with_a_booking_is_asked_until_it_is_known() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = marie(&services, TAMPERED).await;
    // What is read once more when the stream is open has the links already.
    wait_read_twice(&browser).await;
    assert_eq!(services.book(7, &slot("15:00")).0, 201);
    wait_kind(&browser, "15:00", "mine").await;
    tamper(&browser, json!({"about": "/agendamentos/1", "broken": 1, "asked": 0})).await;
    browser.click(&cell("15:00")).await;
    browser.wait("its links", "return document.querySelector('[data-focus=cancel]')").await;
    assert_eq!(browser.ask("return window.asked").await, 2, "once in vain, and once again");
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn on_paper_the_ink_is_dark_whatever_theme_was_chosen() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    browser.before_load("localStorage.sctec = JSON.stringify({theme: 'dark'})");
    browser.open(&page(&services.agenda(""))).await;
    let ink = "return [getComputedStyle(document.body).color, getComputedStyle(document.querySelector('.free')).transitionProperty]";
    assert_eq!(browser.ask(ink).await[0], "rgb(232, 236, 246)");
    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    assert_eq!(browser.ask(ink).await, json!(["rgb(27, 36, 55)", "none"]));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_stream_that_is_silent_is_not_live() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    // Less patience than in life; still longer than from one sign of life to the next.
    browser.before_load(
        "const set = window.setTimeout, Source = window.EventSource;
         window.setTimeout = (act, wait, ...rest) => set(act, wait === 40000 ? 18000 : wait, ...rest);
         window.streams = 0;
         window.EventSource = class extends Source { constructor(...given) { super(...given); window.streams += 1; } };",
    );
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    pause(20_000).await;
    wait_live(&browser, "on").await;
    assert_eq!(browser.ask("return window.streams").await, 1, "no news is no silence");
    signal(services.scheduler.pid(), "STOP");
    wait_live(&browser, "off").await;
    signal(services.scheduler.pid(), "CONT");
    wait_live(&browser, "on").await;
    assert_eq!(services.book(2, &slot("03:00")).0, 201);
    wait_kind(&browser, "03:00", "other").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_second_click_meant_for_what_was_there_before_is_none() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = marie(&services, "").await;
    browser.click(&cell("03:00")).await;
    browser.wait_text("dialog", "Agendar 03:00–03:05").await;
    services.book(2, &slot("03:00"));
    // Where a second click lands depends on the size of the window: at worst on what closes the dialog. The page itself sends
    // it, at once: from here it could come too late on a busy machine, and would then be meant.
    let second = "
        const dialog = document.getElementById('dialog');
        new MutationObserver((changes, observer) => {
            const it = dialog.querySelector('.outcome.lost') && dialog.querySelector('.offers ~ .buttons button');
            if (!it) return;
            observer.disconnect();
            it.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true, detail: 2}));
            window.clicked = true;
        }).observe(dialog, {childList: true, subtree: true});
        return true";
    browser.ask(second).await;
    browser.click("dialog button[type=submit]").await;
    browser.wait("the second click", "return window.clicked").await;
    assert!(is_dialog_open(&browser).await);
    browser.wait_text("dialog .outcome.lost", "tem 03:00–03:05.").await;
    // One that comes later is meant.
    browser.click("dialog .offers ~ .buttons button").await;
    browser.wait("the dialog is closed", "return !document.getElementById('dialog').open").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_selection_ends_where_someone_else_has_booked() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = marie(&services, "").await;
    browser.ask(&format!("document.querySelector('{}').focus(); return true", cell("09:00"))).await;
    browser.press(&[shift(Key::Right), shift(Key::Right), shift(Key::Right), shift(Key::Right)]).await;
    browser.wait_text("#selected", "5 horários, 25 min").await;
    assert_eq!(services.book(2, &slot("09:10")).0, 201);
    browser.wait_text("#selected", "2 horários, 10 min").await;
    assert_eq!(browser.ask("return document.querySelectorAll('[aria-selected=true]').length").await, 2);
    browser.press(&[key(Key::Enter)]).await;
    browser.wait_text("dialog", "Agendar 09:00–09:10").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_day_that_does_not_exist_is_none() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    browser.before_load(TAMPERED);
    for day in ["2025-13-01", "2025-02-30", "9999-12-31", "0000-01-01", "9998-12-30"] {
        browser.client.goto("about:blank").await.unwrap();
        browser.open(&format!("{}/#Hubble-Acad@{day}", services.agenda(""))).await;
        assert_eq!(browser.text("#agenda-problem").await, "", "{day}");
    }
    browser.client.goto("about:blank").await.unwrap();
    browser.open(&page(&services.agenda(""))).await;
    let field = "const it = document.getElementById('day'); it.value = '12027-03-05'; it.dispatchEvent(new Event('change')); return true";
    browser.ask(field).await;
    browser.wait_text("#agenda-title", "6 de maio de 2031").await;

    // A year is another one while it is typed, and nothing is said of those.
    let watch = "window.said = []; new MutationObserver(() => window.said.push(document.getElementById('agenda-problem').textContent)).observe(document.getElementById('agenda-problem'), {childList: true}); const it = document.getElementById('day'); it.value = DAY; it.focus(); return true";
    browser.ask(&watch.replace("DAY", &format!("{DAY:?}"))).await;
    browser.type_in("0506").await;
    for digit in ["2", "0", "3", "2"] {
        browser.type_in(digit).await;
        pause(150).await;
    }
    browser.wait_text("#agenda-title", "de 2032").await;
    assert_eq!(browser.ask("return window.said.filter(Boolean)").await, json!([]));

    // What is refused is not asked again and again.
    tamper(&browser, json!({"refusal": 422, "asked": 0})).await;
    browser.click("#after").await;
    browser.wait_text("#agenda-problem", "não pôde ser lida").await;
    pause(6000).await;
    assert_eq!(browser.ask("return window.asked").await, 1);
    tamper(&browser, json!({"refusal": 0})).await;

    // The address is the place in the agenda, also for whoever skips to it.
    browser.click("#before").await;
    browser.wait("the answer", IS_SETTLED).await;
    let hash = browser.ask("return location.hash").await;
    browser.ask("document.querySelector('.skip').click(); return true").await;
    assert_eq!(
        browser.ask("return [location.hash, document.activeElement.matches('[data-slot]')]").await,
        json!([hash, true])
    );
    browser.click("#today").await;
    browser.wait("no day in it", "return location.hash === '#Hubble-Acad'").await;
    assert_eq!(browser.console(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn what_was_said_before_is_said_anew_after_an_outage_and_in_another_language() {
    let _turn = Turn::take();
    let mut services = Services::start(&[]);
    let address = services.agenda_address();
    let browser = marie(&services, "").await;
    assert_eq!(services.book(7, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "mine").await;
    browser.click(&cell("01:00")).await;
    browser.wait("its links", "return document.querySelector('[data-focus=history]')").await;
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", "Agendado por Marie Curie").await;
    browser.click("[data-language=en]").await;
    browser.wait_text(".timeline", "Booked by Marie Curie").await;

    let elsewhere = tempfile::tempdir().unwrap();
    services.scheduler.terminate();
    wait_live(&browser, "off").await;
    let mut command = sctec();
    command.args(["serve-scheduler", "--no-lock", "--critical-delay-ms", "0", "--listen", &address, "--data-dir"]);
    services.scheduler = Server::spawn(command.arg(elsewhere.path()), 1);
    wait_live(&browser, "on").await;
    browser.wait_text("#mode", "No-lock mode").await;
    // What was booked in the other database is not in this one.
    wait_kind(&browser, "01:00", "free").await;
    assert_eq!(services.book(2, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "other").await;
}
