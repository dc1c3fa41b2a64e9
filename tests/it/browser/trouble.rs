//! Trouble around the page: keys that are held, second clicks, many tabs, and slow, wrong or missing answers.

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::driver::Browser;
use super::fixture::{
    DAY, as_scientist, book, cell, choose, focus, key, lose_race, marie, open, page, pause, shift, slot, start,
    wait_dialog_closed, wait_kind, wait_links, wait_live, wait_settled,
};

/// Disturbs the answers to requests whose URL has `window.about` in it: they come `window.slow` milliseconds late, with the
/// status `window.refusal`, or, `window.broken` of them, not at all.
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

/// Sets the disturbances of [`TAMPERED`].
async fn tamper(browser: &Browser, settings: Value) {
    browser.ask(&format!("Object.assign(window, {settings}); return true")).await;
}

async fn is_dialog_open(browser: &Browser) -> bool {
    browser.ask("return document.getElementById('dialog').open").await == json!(true)
}

/// Waits until the agenda has been read twice: at first, and again when the stream was open.
async fn wait_read_twice(browser: &Browser) {
    let script =
        "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/agenda?')).length > 1";
    browser.wait("the second reading", script).await;
    browser.settle().await;
}

const IS_BUSY: &str = "return document.getElementById('grid').getAttribute('aria-busy') === 'true'";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn eight_tabs_of_one_browser_are_all_alive() {
    let (_turn, services, browser) = start(&[]).await;
    let first = browser.client.window().await.unwrap();
    open(&services, &browser).await;
    for _ in 1..8 {
        let tab = browser.client.new_window(true).await.unwrap();
        browser.client.switch_to_window(tab.handle).await.unwrap();
        browser.open(&page(&services.agenda(""))).await;
        wait_live(&browser, "on").await;
    }
    assert_eq!(services.book(2, &slot("01:00")).0, 201);
    wait_kind(&browser, "01:00", "other").await;
    // A hidden tab has no stream. When it is seen again, it gets the event.
    browser.client.switch_to_window(first).await.unwrap();
    wait_live(&browser, "on").await;
    wait_kind(&browser, "01:00", "other").await;
    assert_eq!(services.book(3, &slot("02:00")).0, 201);
    wait_kind(&browser, "02:00", "other").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_key_that_is_held_books_nothing() {
    let (_turn, services, browser) = marie("").await;
    focus(&browser, "12:00").await;
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
    // Pressed again, the key books.
    browser.key(Key::Enter).await;
    browser.wait_text("dialog .outcome.won", "12:00–12:05 é seu").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn only_a_slot_of_the_chosen_agenda_can_be_booked() {
    let (_turn, _services, browser) = marie(TAMPERED).await;
    // The answer is slow, and meanwhile another day is chosen.
    tamper(&browser, json!({"slow": 1500})).await;
    choose(&browser, "telescope", "Webb-Acad").await;
    browser.click("#after").await;
    assert_eq!(browser.ask(IS_BUSY).await, true);
    browser.click(&cell("20:00")).await;
    assert!(!is_dialog_open(&browser).await, "what is shown is not what was chosen");
    wait_settled(&browser).await;
    assert_eq!(browser.ask("return document.getElementById('telescope').value").await, "Webb-Acad");
    assert_eq!(browser.ask("return location.hash").await, "#Webb-Acad@2031-05-07");
    browser.wait_text("#agenda-title", "7 de maio").await;
    // Each press counts, also before the answer to the last one.
    tamper(&browser, json!({"slow": 300})).await;
    for _ in 0..3 {
        browser.click("#after").await;
    }
    browser.wait_text("#agenda-title", "10 de maio").await;
    wait_settled(&browser).await;
    browser.click(&cell("21:00")).await;
    browser.wait_text("dialog .where", "Telescópio Espacial Acadêmico Webb, ").await;
    browser.key(Key::Escape).await;
    // No answer comes.
    tamper(&browser, json!({"slow": 0, "broken": 1000})).await;
    choose(&browser, "telescope", "Hubble-Acad").await;
    browser.wait_text("#agenda-problem", "o servidor não responde").await;
    browser.click(&cell("22:00")).await;
    assert!(!is_dialog_open(&browser).await);
    tamper(&browser, json!({"broken": 0})).await;
    wait_settled(&browser).await;
    browser.click(&cell("22:30")).await;
    browser.wait_text("dialog .where", "Telescópio Espacial Acadêmico Hubble, ").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_cancellation_that_an_answer_brings_before_its_event_is_shown() {
    let (_turn, services, browser) = start(&[]).await;
    as_scientist(&browser, 7);
    // The event comes a second after the answer that shows the cancellation too.
    browser.before_load(
        "const add = EventSource.prototype.addEventListener;
         EventSource.prototype.addEventListener = function (name, act) {
             return add.call(this, name, name === 'cancelado' ? (event) => setTimeout(() => act(event), 1000) : act);
         };",
    );
    open(&services, &browser).await;
    // The second reading, when the stream is open, would hide a fault here.
    wait_read_twice(&browser).await;
    let (_, booking) = services.book(2, &slot("01:00"));
    wait_kind(&browser, "01:00", "other").await;
    assert_eq!(services.follow(&booking, "cancelar").status, 200);
    browser.click(&cell("01:00")).await;
    wait_kind(&browser, "01:00", "free").await;
    browser.wait_text("#selected", "livre").await;
}

/// While `window.away`, no answer comes: a booking is made, and other requests do not arrive. A wait of one second ends when the
/// test calls `window.second`.
const AWAY: &str = "
    window.looks = 0;
    const [ask, set] = [window.fetch, window.setTimeout];
    window.setTimeout = (act, wait, ...rest) => wait === 1000 ? (window.second = act, 0) : set(act, wait, ...rest);
    window.fetch = async (url, how) => {
        // Whether bookings are possible is asked soon after the page was opened: then the form could not be sent.
        if (!window.away || String(url).includes('/pronto')) return ask(url, how);
        if (String(url).includes('/agenda?')) window.looks += 1;
        if (how?.body) await ask(url, how);
        throw new TypeError('away');
    };";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn after_a_lost_answer_a_person_sees_when_the_page_looks_again_and_can_look_now() {
    let (_turn, services, browser) = marie(AWAY).await;
    wait_read_twice(&browser).await;
    browser.ask("window.away = true; return true").await;
    book(&browser, "09:00").await;
    browser.wait_text("dialog .checks", "O servidor não responde. Próxima verificação em 5 s.").await;
    browser.ask("window.second(); return true").await;
    browser.wait_text("dialog .checks", "Próxima verificação em 4 s.").await;
    let looks = browser.ask("return window.looks").await.as_u64().unwrap();
    browser.click("dialog .checks button").await;
    browser.wait("another look", &format!("return window.looks > {looks}")).await;
    browser.wait_text("dialog .checks", "Próxima verificação em 5 s.").await;
    let focused = "return document.activeElement.closest('.checks') !== null";
    assert_eq!(browser.ask(focused).await, true, "the button keeps the focus");
    browser.ask("window.away = false; return true").await;
    browser.click("dialog .checks button").await;
    browser.wait_text("dialog .outcome.won", "09:00–09:05 é seu").await;
    assert_eq!(services.list("").len(), 1);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_bookings_links_are_asked_for_until_they_come() {
    let (_turn, services, browser) = marie(TAMPERED).await;
    // An agenda that is read after the booking has its links already.
    wait_read_twice(&browser).await;
    assert_eq!(services.book(7, &slot("15:00")).0, 201);
    wait_kind(&browser, "15:00", "mine").await;
    tamper(&browser, json!({"about": "/agendamentos/1", "broken": 1, "asked": 0})).await;
    browser.click(&cell("15:00")).await;
    wait_links(&browser).await;
    assert_eq!(browser.ask("return window.asked").await, 2, "one request without an answer, and one with");
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_second_click_on_a_button_that_has_just_appeared_is_ignored() {
    let (_turn, _services, browser) = marie("").await;
    browser.click(&cell("03:00")).await;
    browser.wait_text("dialog", "Agendar 03:00–03:05").await;
    // The second click of a double click may land on the button that closes the dialog. The page itself sends it, at once:
    // from here it could come so late on a busy machine that the page would obey it.
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
    lose_race(&browser, 2, &slot("03:00")).await;
    browser.wait("the second click", "return window.clicked").await;
    assert!(is_dialog_open(&browser).await);
    browser.wait_text("dialog .outcome.lost", "agendou 03:00–03:05.").await;
    // A later click closes the dialog.
    browser.click("dialog .offers ~ .buttons button").await;
    wait_dialog_closed(&browser).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_selection_ends_where_someone_else_has_booked() {
    let (_turn, services, browser) = marie("").await;
    focus(&browser, "09:00").await;
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
async fn a_day_that_does_not_exist_is_not_asked_for() {
    let (_turn, services, browser) = start(&[]).await;
    browser.before_load(TAMPERED);
    for day in ["2025-13-01", "2025-02-30", "9999-12-31", "0000-01-01", "9998-12-30"] {
        browser.client.goto("about:blank").await.unwrap();
        browser.open(&format!("{}/#Hubble-Acad@{day}", services.agenda(""))).await;
        assert_eq!(browser.text("#agenda-problem").await, "", "{day}");
    }
    browser.client.goto("about:blank").await.unwrap();
    browser.open(&page(&services.agenda(""))).await;
    choose(&browser, "day", "12027-03-05").await;
    browser.wait_text("#agenda-title", "6 de maio de 2031").await;

    // While a year is typed, the field has other years, and no error is shown for them.
    let watch = "window.said = []; new MutationObserver(() => window.said.push(document.getElementById('agenda-problem').textContent)).observe(document.getElementById('agenda-problem'), {childList: true}); const it = document.getElementById('day'); it.value = DAY; it.focus(); return true";
    browser.ask(&watch.replace("DAY", &format!("{DAY:?}"))).await;
    browser.type_in("0506").await;
    for digit in ["2", "0", "3", "2"] {
        browser.type_in(digit).await;
        pause(150).await;
    }
    browser.wait_text("#agenda-title", "de 2032").await;
    assert_eq!(browser.ask("return window.said.filter(Boolean)").await, json!([]));

    // A refused request is not repeated.
    tamper(&browser, json!({"refusal": 422, "asked": 0})).await;
    browser.click("#after").await;
    browser.wait_text("#agenda-problem", "não pôde ser lida").await;
    pause(6000).await;
    assert_eq!(browser.ask("return window.asked").await, 1);
    tamper(&browser, json!({"refusal": 0})).await;

    // The link that skips to the agenda leaves the address as it is.
    browser.click("#before").await;
    wait_settled(&browser).await;
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
async fn a_form_that_is_opened_before_the_event_of_the_last_ones_closing_books() {
    let (_turn, services, browser) = marie("").await;
    browser.click(&cell("12:00")).await;
    browser.wait_text("dialog", "Agendar 12:00–12:05").await;
    // The browser dispatches the event `close` after this task.
    let again = "document.getElementById('dialog').close(); document.querySelector('[data-focus=book]').click(); return document.getElementById('dialog').open";
    assert_eq!(browser.ask(again).await, true);
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "12:00–12:05 é seu").await;
    browser.assert_clean(&services.agenda(""));
}
