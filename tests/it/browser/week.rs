//! A week at a glance: seven days of a telescope, each a strip and a link; and the size of what a finger touches.

use fantoccini::key::Key;
use serde_json::json;

use super::axe::Axe;
use super::driver::Browser;
use super::fixture::{
    DAY, as_scientist, cell, choose, key, open, slot, start, wait_dialog_closed, wait_kind, wait_links, wait_live,
};
use super::looks::fill;
use crate::common::{Services, http};

/// The week of [`DAY`], a Tuesday.
const WEEK: &str = "#Hubble-Acad@2031-W19";

async fn wait_address(browser: &Browser, hash: &str) {
    browser.wait(&format!("the address {hash}"), &format!("return location.hash === {hash:?}")).await;
}

/// The link to a day.
fn day(iso: &str) -> String {
    format!("#week a[href$='@{iso}']")
}

async fn wait_label(browser: &Browser, iso: &str, label: &str) {
    let script = format!("return document.querySelector({:?})?.ariaLabel === {label:?}", day(iso));
    browser.wait(&format!("{iso} says {label:?}"), &script).await;
}

/// Opens the page at an address that names a week, and waits until the week is shown and live.
async fn open_week(services: &Services, browser: &Browser, hash: &str) {
    browser.client.goto(&services.agenda(&format!("/{hash}"))).await.unwrap();
    wait_live(browser, "on").await;
    wait_week(browser).await;
}

async fn wait_week(browser: &Browser) {
    let shown = "return document.querySelector('main.weekly') && document.getElementById('week').getAttribute('aria-busy') === 'false'";
    browser.wait("the week", shown).await;
}

/// Today, as the service has it.
fn today(services: &Services) -> String {
    let time = http("GET", &services.agenda("/time"), None).json();
    time["enviado_utc"].as_str().unwrap()[..10].to_owned()
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_week_leads_to_a_day_and_back_and_is_read_with_one_request() {
    let (_turn, services, browser) = start(&[]).await;
    fill(&services, DAY);
    as_scientist(&browser, 7);
    open(&services, &browser).await;
    browser.requests();
    browser.click("#as-week").await;
    wait_week(&browser).await;
    wait_address(&browser, WEEK).await;
    let agendas: Vec<_> = browser.requests().into_iter().filter(|url| url.contains("/agenda?")).collect();
    assert_eq!(agendas.len(), 1, "{agendas:?}");
    wait_label(&browser, DAY, "terça-feira 06/05: 15 agendamentos, 3 meus, 201 horários livres").await;
    wait_label(&browser, "2031-05-11", "domingo 11/05: nenhum agendamento, 288 horários livres").await;
    assert_eq!(browser.ask("return document.querySelectorAll('#week a').length").await, 7);
    let kinds = format!("return [...document.querySelectorAll(\"{} i\")].map((it) => it.classList[0])", day(DAY));
    let kinds = browser.ask(&kinds).await;
    assert_eq!(kinds.as_array().unwrap().iter().filter(|&kind| kind == "mine").count(), 3, "{kinds}");

    // The keyboard: a link to each day, Page Up and Page Down, and back to the day's own link.
    browser.tab_to(&day("2031-05-08")).await;
    browser.key(Key::Enter).await;
    wait_address(&browser, "#Hubble-Acad@2031-05-08").await;
    browser.wait_text("#agenda-title", "8 de maio").await;
    browser.wait("the title has the focus", "return document.activeElement.id === 'agenda-title'").await;
    browser.client.back().await.unwrap();
    wait_address(&browser, WEEK).await;
    wait_week(&browser).await;
    browser.tab_to(&day(DAY)).await;
    browser.press(&[key(Key::PageDown)]).await;
    wait_address(&browser, "#Hubble-Acad@2031-W20").await;
    browser.wait_text("#agenda-title", "semana 20").await;
    browser.click("#before").await;
    wait_address(&browser, WEEK).await;
    browser.wait_text("#agenda-title", "semana 19").await;
    browser.click("#as-day").await;
    wait_address(&browser, "#Hubble-Acad@2031-05-08").await;
    wait_kind(&browser, "12:00", "free").await;
    // Back from the day to the week, where the focus is at that day again.
    browser.ask(&format!("document.querySelector('{}').focus(); return true", cell("05:00"))).await;
    browser.client.back().await.unwrap();
    wait_week(&browser).await;
    let focused = "return document.activeElement.getAttribute('href')";
    assert_eq!(browser.ask(focused).await, "#Hubble-Acad@2031-05-08");
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_week_is_opened_by_its_address_and_follows_bookings_live() {
    let (_turn, services, browser) = start(&[]).await;
    as_scientist(&browser, 7);
    open_week(&services, &browser, WEEK).await;
    browser.wait_text("#day-label", "Semana (UTC)").await;
    browser.wait_text("#today", "esta semana").await;
    wait_label(&browser, DAY, "terça-feira 06/05: nenhum agendamento, 288 horários livres").await;
    assert_eq!(services.book(2, &slot("03:00")).0, 201);
    wait_label(&browser, DAY, "terça-feira 06/05: 1 agendamento, 287 horários livres").await;
    let (_, mine) = services.book(7, &slot("04:00"));
    wait_label(&browser, DAY, "terça-feira 06/05: 2 agendamentos, 1 meu, 286 horários livres").await;
    assert_eq!(services.follow(&mine, "cancelar").status, 200);
    wait_label(&browser, DAY, "terça-feira 06/05: 1 agendamento, 287 horários livres").await;
    // Another telescope's booking is not shown; choosing that telescope shows its week.
    let webb =
        json!({"cientista_id": 2, "horario_inicio_utc": slot("05:00"), "telescopio": "Webb-Acad", "duracao_min": 60});
    assert_eq!(services.book_with(&webb).0, 201);
    choose(&browser, "telescope", "Webb-Acad").await;
    wait_address(&browser, "#Webb-Acad@2031-W19").await;
    let webb = "#week a[href='#Webb-Acad@2031-05-06']";
    let label = format!(
        "return document.querySelector(\"{webb}\")?.ariaLabel === 'terça-feira 06/05: 1 agendamento, 276 horários livres'"
    );
    browser.wait("the other telescope's week", &label).await;
    // A click at an hour of the strip leads to that hour of the day.
    let strip = "const it = document.querySelector('#week a[href$=\"@2031-05-06\"] .strip').getBoundingClientRect(); return [it.x + it.width * 0.9, it.y + 10]";
    let place = browser.ask(strip).await;
    for kind in ["mousePressed", "mouseReleased"] {
        let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
        browser.cdp("Input.dispatchMouseEvent", &event);
    }
    wait_address(&browser, "#Webb-Acad@2031-05-06").await;
    // A slot is less than three pixels of the strip.
    let stop = "return Math.abs(document.querySelector('[data-slot][tabindex=\"0\"]')?.dataset.slot - 259) <= 1";
    browser.wait("the tab stop is at 21:35", stop).await;
    let seen = "const { top, bottom } = document.querySelector('[data-slot][tabindex=\"0\"]').getBoundingClientRect(); return top >= 0 && bottom <= innerHeight";
    browser.wait("it is seen", seen).await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_present_week_marks_today_and_what_is_past() {
    let (_turn, services, browser) = start(&[]).await;
    // The local clock is four weeks ahead: the present week is the service's.
    browser.before_load("const { now } = Date; Date.now = () => now() + 28 * 86400000;");
    open_week(&services, &browser, "#Webb-Acad@semana").await;
    let today = today(&services);
    let current = "return document.querySelector('#week [aria-current=date]')?.getAttribute('href')";
    browser.wait("today", &format!("{current} === '#Webb-Acad@{today}'")).await;
    assert_eq!(browser.ask("return document.querySelectorAll('#week [aria-current=date]').length").await, 1);
    assert_eq!(browser.ask("return document.querySelectorAll('#week .today .now').length").await, 1);
    // The week stays that of today; the week before is over, and this telescope takes nothing there any more.
    let week = browser.ask("return location.hash.split('@')[1]").await;
    let week = week.as_str().unwrap().to_owned();
    assert!(week.len() == "2026-W48".len() && week.contains("-W"), "the address has the week's number: {week}");
    browser.click("#before").await;
    browser.wait("all is past", "return [...document.querySelectorAll('#week a')].every((it) => it.ariaLabel.endsWith(': nenhum agendamento, já passou'))").await;
    // A simulated telescope takes any date, also at both ends of time.
    choose(&browser, "telescope", "Hubble-Acad").await;
    browser.wait("all is free", "return [...document.querySelectorAll('#week a')].every((it) => it.ariaLabel.endsWith('288 horários livres'))").await;
    for (hash, rel, days) in [("#Hubble-Acad@1970-W01", "before", 4), ("#Hubble-Acad@9998-W53", "after", 3)] {
        browser.ask(&format!("location.hash = {hash:?}; return true")).await;
        browser.wait("the end", &format!("return document.querySelectorAll('#week a').length === {days}")).await;
        assert_eq!(browser.ask(&format!("return document.getElementById('{rel}').disabled")).await, true, "{hash}");
    }
    browser.click("#today").await;
    wait_address(&browser, &format!("#Hubble-Acad@{week}")).await;
    browser.ask("location.hash = '#Hubble-Acad@2031-W54'; return true").await;
    browser.wait_text("#address-problem", "“2031-W54”").await;
    assert_eq!(browser.console(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_week_is_accessible_in_every_look_and_language() {
    let (_turn, services, browser) = start(&[]).await;
    let axe = Axe::load();
    fill(&services, DAY);
    for (scientist, date, time, minutes) in [
        (4, "2031-05-05", "20:30", 215),
        (7, "2031-05-07", "09:00", 180),
        (2, "2031-05-07", "13:15", 10),
        (8, "2031-05-08", "01:10", 95),
        (6, "2031-05-10", "05:00", 30),
        (7, "2031-05-10", "22:00", 5),
        (1, "2031-05-11", "11:45", 150),
    ] {
        let start = format!("{date}T{time}:00Z");
        let body = json!({"cientista_id": scientist, "horario_inicio_utc": start, "duracao_min": minutes});
        assert_eq!(services.book_with(&body).0, 201);
    }
    as_scientist(&browser, 7);
    browser.zone("America/Sao_Paulo");
    open_week(&services, &browser, WEEK).await;
    wait_label(&browser, DAY, "terça-feira 06/05: 16 agendamentos, 3 meus, 200 horários livres").await;
    for language in ["pt", "en"] {
        browser.click(&format!("[data-language={language}]")).await;
        for (width, height, name) in [(1280, 900, "semana"), (390, 1300, "semana-telefone")] {
            for dark in [false, true] {
                browser.look(width, height, dark);
                axe.check(&browser, &format!("{language}, {width} wide, dark {dark}")).await;
                let shade = if dark { "escuro" } else { "claro" };
                browser.ask("scrollTo(0, 0); document.activeElement.blur(); return true").await;
                if language == "pt" {
                    browser.picture(&format!("{name}-{shade}")).await;
                }
            }
        }
    }
    browser.click("#local").await;
    browser.wait_text("#week .hours", "21:00").await;
    axe.check(&browser, "local hours").await;
    let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    browser.look(320, 640, false);
    assert_eq!(browser.ask(overflow).await, 0);
    browser.look(1280, 900, false);
    assert_eq!(browser.sheets((21.0, 29.7), true, 1.0), 1, "a week on paper");
    browser.assert_clean(&services.agenda(""));
}

/// What a finger touches and is lower than 40 pixels or narrower than 24: everything that can be pressed and is seen.
const SMALL: &str = "
    const all = document.querySelectorAll('button, select, input, textarea, a[href], label.check, [role=gridcell]');
    const seen = [...all].filter((it) => it.checkVisibility() && !it.matches('.skip, label.check input'));
    if (!seen.length) return ['nothing is seen'];
    return seen.map((it) => [it, it.getBoundingClientRect()]).filter(([, { width, height }]) => height < 40 || width < 24)
        .map(([it, { width, height }]) => `${it.outerHTML.slice(0, 80)} ${width} x ${height}`)";

async fn assert_large(browser: &Browser, state: &str) {
    browser.settle().await;
    assert_eq!(browser.ask(SMALL).await, json!([]), "{state}");
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_finger_finds_what_it_touches_on_a_telephone() {
    let (_turn, services, browser) = start(&[]).await;
    as_scientist(&browser, 7);
    browser.look(390, 844, false);
    open(&services, &browser).await;
    assert_large(&browser, "a day").await;
    browser.click("#local").await;
    assert_large(&browser, "a day with the local time").await;
    assert_eq!(services.book(7, &slot("12:00")).0, 201);
    wait_kind(&browser, "12:00", "mine").await;
    browser.click(&cell("12:00")).await;
    wait_links(&browser).await;
    assert_large(&browser, "a booking").await;
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", "Agendado por").await;
    assert_large(&browser, "its history").await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", "Motivo").await;
    assert_large(&browser, "cancelling").await;
    browser.key(Key::Escape).await;
    wait_dialog_closed(&browser).await;
    browser.click(&cell("15:00")).await;
    browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
    assert_large(&browser, "the form").await;
    assert_eq!(services.book(9, &slot("15:00")).0, 201);
    browser.click("dialog button[type=submit]").await;
    browser.wait("what is offered", "return document.querySelector('dialog .offers button')").await;
    assert_large(&browser, "what is offered").await;
    browser.key(Key::Escape).await;
    wait_dialog_closed(&browser).await;
    browser.click("#as-week").await;
    wait_week(&browser).await;
    assert_large(&browser, "a week").await;
    browser.assert_clean(&services.agenda(""));
}

/// The texts that are cut off, of those that show a telescope's name; and those that make the page scroll sideways.
const CUT: &str = "
    const cut = [...document.querySelectorAll('#agenda-telescope, #agenda-title, .title')].filter((it) => it.scrollWidth > it.clientWidth);
    const select = document.getElementById('telescope');
    const style = getComputedStyle(select);
    const pen = document.createElement('canvas').getContext('2d');
    pen.font = style.font;
    const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const text = pen.measureText(select.selectedOptions[0].text).width;
    const page = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    return {cut: cut.map((it) => it.outerHTML), select: Math.max(0, Math.ceil(text - room)), page}";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_telescopes_name_is_not_cut() {
    let (_turn, services, browser) = start(&[]).await;
    let long = "Telescópio Espacial Interamericano de Observação do Céu Profundo e das Ondas Longas";
    let endless = "X".repeat(200);
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    let mut names = vec!["Telescópio Espacial Acadêmico Hubble", long, &endless];
    for (index, name) in names.drain(..).enumerate() {
        database.execute("UPDATE telescopios SET nome = ?1 WHERE id = 1", [name]).unwrap();
        for width in [1280, 390] {
            browser.look(width, 900, false);
            open(&services, &browser).await;
            browser.client.refresh().await.unwrap();
            wait_live(&browser, "on").await;
            for view in ["as-day", "as-week"] {
                browser.click(&format!("#{view}")).await;
                browser.wait_text("#agenda-telescope", name).await;
                browser.settle().await;
                let found = browser.ask(CUT).await;
                let state = format!("{name}, {width} wide, {view}: {found}");
                assert_eq!((&found["cut"], &found["page"]), (&json!([]), &json!(0)), "{state}");
                // A name that the list shows whole does not stand in the title again.
                let again = "return getComputedStyle(document.getElementById('agenda-telescope')).display !== 'none'";
                assert_eq!(browser.ask(again).await, index > 0, "{state}");
                // The list leaves room for the other choices. A name that is longer stands in the title.
                assert!(width < 1280 || index > 0 || found["select"] == 0, "{state}");
                let wide = browser.ask("return document.getElementById('telescope').offsetWidth").await;
                assert!(wide.as_u64().unwrap() <= 384, "{state}: {wide}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn on_a_telephone_two_scales_of_hours_have_their_names() {
    let (_turn, services, browser) = start(&[]).await;
    browser.zone("America/Sao_Paulo");
    browser.look(390, 844, false);
    open_week(&services, &browser, WEEK).await;
    let names = "return [...document.querySelectorAll('#week .zone')].filter((it) => it.checkVisibility()).map((it) => it.innerText)";
    assert_eq!(browser.ask(names).await, json!([]), "one scale needs none: it is UTC");
    browser.click("#local").await;
    assert_eq!(browser.ask(names).await, json!(["UTC", "GMT-3"]));
}
