//! What the page shows first: the present hour, the language that the browser prefers, and whether a telescope is simulated.

use super::driver::{Browser, Turn};
use super::fixture::{DAY, choose, page, start, wait_live};
use crate::common::Services;

/// Whether the mark of the present is in view.
const SEES_NOW: &str = "
    const mark = document.querySelector('.grid .now')?.getBoundingClientRect();
    return Boolean(mark) && mark.top >= 0 && mark.bottom <= innerHeight";
/// Notes how the page scrolls to an element.
const NOTE_SCROLLS: &str = "
    window.scrolls = [];
    const scroll = Element.prototype.scrollIntoView;
    Element.prototype.scrollIntoView = function (options) {
        scrolls.push(options.behavior);
        scroll.call(this, {...options, behavior: 'instant'});
    };";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_page_opens_at_the_present_unless_its_address_names_a_day() {
    let (_turn, services, browser) = start(&[]).await;
    browser.before_load(NOTE_SCROLLS);
    // At this size even midnight is below the first screen.
    browser.look(390, 600, false);
    browser.open(&services.agenda("/")).await;
    browser.wait("the present is in view", SEES_NOW).await;
    assert_eq!(browser.ask("return [scrollY > 0, scrolls]").await, serde_json::json!([true, ["instant"]]));

    browser.open(&format!("{}?outra", services.agenda("/"))).await;
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    assert_eq!(browser.ask("return [scrollY, scrolls]").await, serde_json::json!([0, []]));
    // "Today" goes there, also when today is shown already; without motion for a person who wants less of it.
    for expected in ["smooth", "instant"] {
        browser.ask("scrollTo(0, 0); scrolls.length = 0; document.getElementById('today').click(); return true").await;
        browser.wait("the present is in view", SEES_NOW).await;
        assert_eq!(browser.ask("return scrolls").await, serde_json::json!([expected]));
        let features = serde_json::json!([{"name": "prefers-reduced-motion", "value": "reduce"}]);
        browser.cdp("Emulation.setEmulatedMedia", &serde_json::json!({"features": features}));
    }
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_browser_chooses_the_first_language_and_a_person_every_other() {
    let (_turn, services) = (Turn::take(), Services::start(&[]));
    let browser = Browser::start_as(&[], "en-US,en").await;
    browser.open(&services.agenda("/")).await;
    wait_live(&browser, "on").await;
    let seen = "return [document.documentElement.lang, document.title, document.querySelector('[aria-pressed=true]').innerText]";
    let english = serde_json::json!(["en-GB", "SCTEC · the telescope's agenda", "English"]);
    assert_eq!(browser.ask(seen).await, english);
    browser.wait_text("#agenda-counts", "free").await;
    browser.click("[data-language=pt]").await;
    let portuguese = serde_json::json!(["pt-BR", "SCTEC · a agenda do telescópio", "Português"]);
    assert_eq!(browser.ask(seen).await, portuguese);
    browser.client.refresh().await.unwrap();
    browser.wait_text("#agenda-counts", "livres").await;
    assert_eq!(browser.ask(seen).await, portuguese);
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_minutes_and_the_day_stay_in_view_on_a_telephone() {
    let (_turn, services, browser) = start(&[]).await;
    browser.look(390, 600, false);
    browser.open(&page(&services.agenda(""))).await;
    browser.ask("scrollTo(0, document.documentElement.scrollHeight); return true").await;
    let head = "const it = document.querySelector('.head').getBoundingClientRect();
        return [scrollY > 0, it.top, document.querySelector('.head .short').innerText]";
    assert_eq!(browser.ask(head).await, serde_json::json!([true, 0, "06/05"]));
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_simulated_telescope_says_so_and_that_its_past_can_be_booked() {
    let (_turn, services, browser) = start(&[]).await;
    let shown = "return ['simulated', 'legend-simulated', 'legend-past', 'legend-now'].map((id) => !document.getElementById(id).hidden)";
    browser.open(&services.agenda("/")).await;
    assert_eq!(browser.ask(shown).await, serde_json::json!([true, true, false, true]));
    browser.wait_text("#simulated", "simulado").await;
    browser.wait_text(".legend", "já passou, e ainda pode ser agendado: este telescópio é simulado").await;
    choose(&browser, "telescope", "Webb-Acad").await;
    browser.wait("the other telescope", "return document.getElementById('simulated').hidden").await;
    assert_eq!(browser.ask(shown).await, serde_json::json!([false, false, true, true]));
    // A day to come has no past slots to explain, and no present.
    choose(&browser, "telescope", "Hubble-Acad").await;
    choose(&browser, "day", DAY).await;
    browser.wait_text("#agenda-title", "6 de maio").await;
    assert_eq!(browser.ask(shown).await, serde_json::json!([true, false, false, false]));
    browser.assert_clean(&services.agenda(""));
}
