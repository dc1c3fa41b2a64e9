//! Clocks: the true time against a local clock that is wrong, and local time beside UTC.

use serde_json::json;

use super::fixture::{as_scientist, book, clock_error, page, start};

/// Sets the page's local clock `window.shift` milliseconds ahead.
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
    let (_turn, services, browser) = start(&[]).await;
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
    // By the local clock the click would be in the future. By the true time it was shortly before the booking.
    let passed_us = micros("criado_em_utc") - micros("instante_clique_utc");
    assert!((-50_000..5_000_000).contains(&passed_us), "{passed_us} µs");

    // The clock is set while the page is open: the true time does not change, and the page tells the new error.
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

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn local_time_follows_daylight_saving() {
    let (_turn, services, browser) = start(&[]).await;
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
