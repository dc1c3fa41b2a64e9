//! Slots that open: two pages, whose computers' clocks are wrong, show them at the same instant of the true time. How far they are from each other is
//! printed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::axe::Axe;
use super::driver::{Browser, Turn};
use super::fixture::{as_scientist, cell, clock_error, page, slot, start, wait_kind, wait_live};
use crate::common::{Services, http};
use crate::contests::Client;

/// Notes when a slot becomes free in the page, in milliseconds since 1970 by the clock of this machine, which is the server's too.
const WATCH: &str = "
    window.opened = {};
    new MutationObserver((changes) => {
        const now = performance.timeOrigin + performance.now();
        for (const { target } of changes)
            if (target.classList.contains('free') && target.dataset.slot) window.opened[target.dataset.slot] ??= now;
    }).observe(document, { subtree: true, attributes: true, attributeFilter: ['class'] });";

/// The local clock of the page is wrong by so many milliseconds.
fn shifted(ms: i64) -> String {
    format!(
        "const True = Date;
         window.Date = class extends True {{
             constructor(...given) {{ given.length ? super(...given) : super(True.now() + {ms}); }}
             static now() {{ return True.now() + {ms}; }}
         }};"
    )
}

/// Services, and two pages with clocks that differ by a minute.
async fn two() -> (Turn, Services, [Browser; 2]) {
    let (turn, services, first) = start(&[]).await;
    let pages = [first, Browser::start().await];
    for (browser, (ms, scientist)) in pages.iter().zip([(2_000, 7), (-61_000, 9)]) {
        as_scientist(browser, scientist);
        browser.before_load(&shifted(ms));
        browser.before_load(WATCH);
    }
    (turn, services, pages)
}

async fn open(browser: &Browser, url: &str) {
    browser.open(url).await;
    wait_live(browser, "on").await;
    clock_error(browser).await;
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

fn ms(instant: &str) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 need 51 bits")]
    let us = sctec::time::Timestamp::parse_rfc3339(instant).unwrap().as_micros() as f64;
    us / 1000.0
}

/// When each page has shown the slot as free, after its instant.
async fn shown(pages: &[Browser; 2], time: &str, opens: f64) -> [f64; 2] {
    let mut after = [0.0; 2];
    for (browser, after) in pages.iter().zip(&mut after) {
        wait_kind(browser, time, "free").await;
        let (_, bound) = clock_error(browser).await;
        let seen =
            browser.ask(&format!("return window.opened[document.querySelector('{}').dataset.slot]", cell(time))).await;
        *after = seen.as_f64().expect("the page has seen it become free") - opens;
        // The clocks of the page and of the test are read with an error of their own.
        assert!(
            *after > -bound - 30.0,
            "{time} was free {after} ms after it opens, with a clock that is right within {bound} ms"
        );
    }
    println!(
        "{time} is shown {:.1} and {:.1} ms after its instant: {:.1} ms apart",
        after[0],
        after[1],
        (after[0] - after[1]).abs()
    );
    after
}

async fn forget(pages: &[Browser; 2]) {
    for browser in pages {
        browser.ask("window.opened = {}; return true").await;
    }
}

async fn book(browser: &Browser, time: &str) {
    super::fixture::book(browser, time).await;
    browser.wait_text("dialog .outcome.won", "é seu").await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_slot_whose_booking_ends_opens_in_all_pages_at_one_instant() {
    let (_turn, services, pages) = two().await;
    // The largest credit of all who may click is this one's.
    let _far = Client::at(&services.agenda(""), Duration::from_millis(280));
    let times = ["03:00", "04:00", "05:00", "06:00"];
    let made: Vec<Value> = times.iter().map(|time| services.book(3, &slot(time)).1).collect();
    for browser in &pages {
        open(browser, &page(&services.agenda(""))).await;
        wait_kind(browser, "06:00", "other").await;
    }
    forget(&pages).await;
    for (time, booking) in times.iter().zip(&made).take(3) {
        let url = services.agenda(booking["_links"]["cancelar"]["href"].as_str().unwrap());
        let answer = http("DELETE", &url, None);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let opens = ms(answer.json()["abre_em_utc"].as_str().expect("a token lives"));
        shown(&pages, time, opens).await;
    }
    // One that is moved leaves its slot, which opens too.
    let url = services.agenda(made[3]["_links"]["self"]["href"].as_str().unwrap());
    let to = json!({"horario_inicio_utc": slot("08:00")}).to_string();
    let answer = http("PATCH", &url, Some(("application/json", &to)));
    assert_eq!(answer.status, 200, "{}", answer.body);
    shown(&pages, "06:00", ms(answer.json()["abre_em_utc"].as_str().expect("a token lives"))).await;
    for browser in &pages {
        wait_kind(browser, "08:00", "other").await;
    }
    book(&pages[1], "03:00").await;
    wait_kind(&pages[0], "03:00", "other").await;
    book(&pages[0], "06:00").await;
    for browser in &pages {
        browser.assert_clean(&services.agenda(""));
    }
}

/// The next full minute that is `ahead` away at least.
fn minute(ahead: Duration) -> f64 {
    let ahead_ms = ahead.as_secs_f64() * 1000.0;
    ((now_ms() + ahead_ms) / 60_000.0).ceil() * 60_000.0
}

#[expect(clippy::cast_possible_truncation, reason = "an instant of this century")]
fn rfc3339(ms: f64) -> String {
    sctec::time::Timestamp::from_micros((ms * 1000.0) as i64).unwrap().micros().to_string()
}

const DAY_MS: f64 = 86_400_000.0;

/// The address of the agenda of a day.
fn of_day(services: &Services, ms: f64) -> String {
    format!("{}#Webb-Acad@{}", services.agenda("/"), &rfc3339(ms)[..10])
}

/// Whether a slot says that it opens at this time of a day. It is asked again until then.
async fn is_announced(browser: &Browser, opens: f64) -> bool {
    let script = format!("return document.querySelector('{}').getAttribute('aria-label')", cell("03:00"));
    let words = format!(" às {} UTC", &rfc3339(opens)[11..16]);
    loop {
        let label = browser.ask(&script).await;
        if label.as_str().unwrap().ends_with(&words) {
            return now_ms() < opens;
        }
        if now_ms() >= opens {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The rules open a day at the next minute that is `ahead`. Gives that instant, if both pages have said before it that the day opens then.
async fn announced(services: &Services, pages: &[Browser; 2], telescope: &str, ahead: Duration) -> Option<f64> {
    let opens = minute(ahead);
    let rules = json!({"regras": {"horizonte_dias": 3, "abre_as_utc": &rfc3339(opens)[11..16]}}).to_string();
    let answer = http("PATCH", &services.agenda(telescope), Some(("application/json", &rules)));
    assert_eq!(answer.status, 200, "{}", answer.body);
    for browser in pages {
        open(browser, &of_day(services, opens + 3.0 * DAY_MS)).await;
        if !is_announced(browser, opens).await {
            return None;
        }
    }
    forget(pages).await;
    (now_ms() < opens).then_some(opens)
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_day_that_the_rules_open_opens_in_all_pages_at_one_instant() {
    let (_turn, services, pages) = two().await;
    let telescopes = http("GET", &services.agenda("/telescopios"), None).json();
    let webb =
        telescopes["telescopios"].as_array().unwrap().iter().find(|one| one["id"] == "Webb-Acad").unwrap().clone();
    let telescope = webb["_links"]["self"]["href"].as_str().unwrap();
    let mut ahead = Duration::from_secs(5);
    let opens = loop {
        if let Some(opens) = announced(&services, &pages, telescope, ahead).await {
            break opens;
        }
        ahead *= 2;
        assert!(ahead < Duration::from_secs(300), "the pages were never there before the day opened");
    };
    // That may be a minute away, which is longer than a condition is waited for.
    while now_ms() < opens {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shown(&pages, "03:00", opens).await;
    shown(&pages, "23:55", opens).await;
    book(&pages[1], "03:00").await;
    wait_kind(&pages[0], "03:00", "other").await;

    // The day after opens tomorrow.
    open(&pages[0], &of_day(&services, opens + 4.0 * DAY_MS)).await;
    wait_kind(&pages[0], "03:00", "closed").await;
    assert!(is_announced(&pages[0], opens + DAY_MS).await);
    pages[0].click(&cell("03:00")).await;
    pages[0].wait_text("#selected", "indisponível: abre em ").await;
    Axe::load().check(&pages[0], "a slot that opens").await;
    pages[0].picture("abre").await;
    for browser in &pages {
        browser.assert_clean(&services.agenda(""));
    }
}
