//! Spans of time as people read them: over midnight, a day long, and over a change of the clocks, in every zone.

use serde_json::{Value, json};

use super::fixture::{cell, close_dialog, marie, opened, speak, start, wait_kind, wait_links, wait_live};

/// One zone of each sort. Zones whose clocks showed the same times in these years are one sort.
const ZONES: &str = r"
    const sorts = new Map();
    for (const timeZone of Intl.supportedValuesOf('timeZone')) {
        const offset = new Intl.DateTimeFormat('en-GB', { timeZone, timeZoneName: 'longOffset' });
        let shown = '';
        for (const [from, to] of [[2011, 2012], [2026, 2028]])
            for (let at = Date.UTC(from, 0, 1); at < Date.UTC(to, 0, 1); at += 5 * 86400000)
                shown += offset.formatToParts(at).find(({ type }) => type === 'timeZoneName').value;
        if (!sorts.has(shown)) sorts.set(shown, timeZone);
    }
    return [...sorts.values()]";

/// The check of one zone, which Node's tests share; it is a module there, and the body of a function here.
fn sweep() -> String {
    let module = include_str!("../../page/sweep.mjs").replace("export function", "function");
    // 2011 has a day that Samoa left out.
    let run = "return (async () => sweep(
        await import('/pagina/format.js'), await import('/pagina/i18n.js'), [[2011, 2012], [2026, 2028]]))()";
    format!("{module}\n{run}")
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_span_over_a_zone_change_or_over_a_day_names_both_zones_and_both_days() {
    let (_turn, _services, browser) = opened().await;
    let zones = browser.ask(ZONES).await;
    let zones: Vec<_> = zones.as_array().unwrap().iter().map(|zone| zone.as_str().unwrap()).collect();
    assert!(zones.len() > 50 && zones.contains(&"Pacific/Chatham"), "{zones:?}");
    let script = sweep();
    let mut changes = 0;
    for id in zones {
        browser.zone(id);
        let found = browser.ask(&script).await;
        assert_eq!(found[1], json!([]), "{id}");
        changes += found[0].as_u64().unwrap();
    }
    assert!(changes > 100, "{changes}");
    assert_eq!(browser.console(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_booking_over_the_end_of_summer_time_has_both_zones_in_panel_form_and_grid() {
    let (_turn, services, browser) = start(&[]).await;
    browser.zone("Europe/London");
    // The clocks there go from 02:00 back to 01:00, at 01:00 UTC.
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2026-10-25T00:30:00Z", "duracao_min": 60});
    assert_eq!(services.book_with(&body).0, 201);
    browser.before_load("localStorage.sctec ??= JSON.stringify({scientist: 7, local: true})");
    browser.open(&format!("{}#Hubble-Acad@2026-10-25", services.agenda("/"))).await;
    wait_live(&browser, "on").await;
    browser.click(&cell("00:30")).await;
    browser.wait_text("#selected", "01:30 GMT+1 – 01:30 GMT+0 aqui").await;
    speak(&browser, "en").await;
    browser.wait_text("#selected", "01:30 GMT+1 – 01:30 GMT+0 here").await;
    // The form has a line with local time if that differs from UTC at the start or at the end.
    for (time, told) in [("00:00", Some("01:00–01:05 GMT+1 here")), ("02:00", None)] {
        browser.click(&cell(time)).await;
        browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
        let form = browser.text("dialog form").await;
        assert_eq!(form.contains("GMT"), told.is_some(), "{form}");
        assert!(form.contains(told.unwrap_or_default()), "{form}");
        close_dialog(&browser).await;
    }
    let hours = "return [...document.querySelectorAll('[role=rowheader] .local')].map((it) => it.innerText)";
    let shown = browser.ask(hours).await;
    assert_eq!(shown.as_array().unwrap()[..3], [json!("01:00"), json!("01:00 GMT+0"), json!("02:00")], "{shown}");
    assert_eq!(browser.text("[role=columnheader] .local").await, "GMT+1", "the zone in which the day begins");
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_booking_of_a_whole_day_has_both_days_in_panel_label_dialog_and_announcement() {
    let (_turn, services, browser) = marie("").await;
    let body = json!({"cientista_id": 2, "horario_inicio_utc": "2031-05-06T12:00:00Z", "duracao_min": 1440});
    let (status, _) = services.book_with(&body);
    assert_eq!(status, 201);
    wait_kind(&browser, "12:00", "other").await;
    browser.click(&cell("12:00")).await;
    for (language, utc, days) in [
        (
            "pt",
            "6 de mai., 12:00 – 7 de mai., 12:00",
            "terça-feira, 6 de maio de 2031 – quarta-feira, 7 de maio de 2031",
        ),
        ("en", "6 May, 12:00 – 7 May, 12:00", "Tuesday, 6 May 2031 – Wednesday, 7 May 2031"),
    ] {
        speak(&browser, language).await;
        browser.wait_text("#selected h3", &format!("{utc} UTC")).await;
        let place = browser.ask("return document.querySelector('#selected .where').textContent").await;
        assert_eq!(place, days);
        let label = format!("return document.querySelector('{}').getAttribute('aria-label')", cell("13:00"));
        assert!(browser.ask(&label).await.as_str().unwrap().contains(utc));
        wait_links(&browser).await;
        browser.click("[data-focus=cancel]").await;
        // The booking is another scientist's: the title names them, and the question has the span.
        browser.wait_text("dialog .outcome", utc).await;
        let asked = browser.ask("return document.querySelector('dialog .where').textContent").await;
        assert_eq!(asked, format!("Telescópio Espacial Acadêmico Hubble, {days}"), "what is cancelled, where and when");
        close_dialog(&browser).await;
    }
    // Its cancellation is announced.
    let first = &services.list("")[0];
    assert_eq!(services.follow(first, "cancelar").status, 200);
    wait_kind(&browser, "12:00", "free").await;
    browser.wait("the announcement", "return document.getElementById('status').textContent.includes('6 May')").await;
    browser.assert_clean(&services.agenda(""));
}

/// Finds row headers with a piece that is wider than its place. If `GMT+13:45` is cut off, it reads as another zone.
const CLIPPED: &str = "
    const edge = (it) => it.getBoundingClientRect();
    const clipped = [...document.querySelectorAll('[role=row]')].flatMap((row) => {
        const limit = edge(row.children[1]).left;
        return [...row.firstChild.querySelectorAll('.local, .local span')].filter((it) => it.textContent && edge(it).right > limit + 0.5);
    });
    return clipped.map((it) => it.textContent)";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_zone_with_a_long_name_is_not_cut_off() {
    let (_turn, services, browser) = opened().await;
    browser.click("#local").await;
    // In Chatham the clocks change at 14:00 UTC, to +13:45 and back, on Lord Howe by half an hour. The offsets of St. John's
    // and of the Marquesas end with half an hour.
    for (id, day, zone_told) in [
        ("Pacific/Chatham", "2026-09-26", "GMT+13:45"),
        ("Pacific/Chatham", "2026-04-04", "GMT+12:45"),
        ("Australia/Lord_Howe", "2026-04-04", "GMT+10:30"),
        ("America/St_Johns", "2026-11-01", "GMT-3:30"),
        ("Pacific/Marquesas", "2026-11-01", "GMT-9:30"),
    ] {
        browser.zone(id);
        browser.client.goto("about:blank").await.unwrap();
        browser.open(&format!("{}#Hubble-Acad@{day}", services.agenda("/"))).await;
        for width in [1280, 1100, 768, 390, 360, 320] {
            browser.look(width, 900, false);
            browser.settle().await;
            assert_eq!(browser.ask(CLIPPED).await, json!([]), "{id} {day} at {width}");
            let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.ask(overflow).await, Value::from(0), "{id} {day} at {width}");
        }
        let all = "return [...document.querySelectorAll('.grid .local')].map((it) => it.innerText).join(' ')";
        let told = browser.ask(all).await;
        assert!(told.as_str().unwrap().contains(zone_told), "{id}: {told}");
    }
    assert_eq!(browser.console(), [""; 0]);
}
