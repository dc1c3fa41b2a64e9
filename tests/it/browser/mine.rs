//! "My bookings": those of all days and telescopes, with what can be done with each.

use serde_json::json;

use super::axe::Axe;
use super::fixture::{DAY, as_scientist, slot, start, wait_dialog_closed, wait_kind, wait_live};
use super::proxy::Proxy;
use crate::common::Services;

const MINE: &str = "#as-mine";

/// Books for Marie Curie.
fn book(services: &Services, telescope: &str, start: &str, target: &str) -> i64 {
    let body = json!({"cientista_id": 7, "telescopio": telescope, "horario_inicio_utc": start, "alvo": target});
    let (status, booking) = services.book_with(&body);
    assert_eq!(status, 201, "{booking}");
    booking["id"].as_i64().unwrap()
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn ones_bookings_of_all_days_are_listed_followed_and_cancelled() {
    let (_turn, services, browser) = start(&[]).await;
    book(&services, "Hubble-Acad", "2025-12-01T03:00:00Z", "Polônio");
    book(&services, "Webb-Acad", "2031-06-02T23:55:00Z", "Rádio");
    let first = book(&services, "Hubble-Acad", &slot("02:30"), "Betelgeuse");
    services.book(3, &slot("02:35"));
    let axe = Axe::load();
    let proxy = Proxy::start(services.agenda_address());
    as_scientist(&browser, 7);
    browser.open(&format!("{}#Hubble-Acad@{DAY}", proxy.url)).await;
    wait_live(&browser, "on").await;
    browser.click(MINE).await;
    browser.wait_text("#mine", "Rádio").await;
    let listed = browser.text("#mine").await;
    let place = |text: &str| listed.find(text).unwrap_or_else(|| panic!("{text} is not in {listed}"));
    assert!(place("6 de maio de 2031") < place("Betelgeuse") && place("Betelgeuse") < place("2 de junho de 2031"));
    assert!(place("02:30–02:35 UTC · 5 min · Telescópio Espacial Acadêmico Hubble") < place("Acadêmico Webb"));
    assert!(!listed.contains("Polônio") && !listed.contains("Caroline"), "{listed}");
    for (width, dark) in [(1280, false), (1280, true), (320, true), (320, false)] {
        browser.look(width, 900, dark);
        axe.check(&browser, &format!("my bookings, {width} wide, dark {dark}")).await;
        browser.picture(&format!("meus-{width}-{}", if dark { "escuro" } else { "claro" })).await;
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.ask(overflow).await, 0);
    }
    browser.look(1280, 900, false);

    // What is booked elsewhere comes by itself.
    book(&services, "Hubble-Acad", &slot("05:00"), "Sirius");
    browser.wait_text("#mine", "Sirius").await;
    browser.click("[data-focus=others]").await;
    browser.wait_text("#mine", "Polônio").await;
    browser.click(&format!("[data-focus=history-{first}]")).await;
    browser.wait_text("#mine .timeline", "Agendado por Marie Curie").await;
    axe.check(&browser, "my bookings, with a history").await;
    browser.click(&format!("[data-focus=cancel-{first}]")).await;
    browser.wait_text("#dialog h2", "Cancelar 02:30–02:35?").await;
    browser.type_in("nuvens").await;
    browser.click("#dialog .danger").await;
    wait_dialog_closed(&browser).await;
    browser.wait_text("#mine li.over", "motivo: nuvens").await;
    browser.wait("the focus is in the page", "return document.activeElement !== document.body").await;

    // It has an address of its own, and Back leads out of it and into it.
    assert_eq!(browser.ask("return location.hash").await, "#@meus");
    browser.client.back().await.unwrap();
    wait_kind(&browser, "02:30", "free").await;
    browser.wait("the agenda", "return !document.querySelector('main.personal')").await;
    browser.client.forward().await.unwrap();
    browser.wait_text("#mine", "Sirius").await;
    browser.client.refresh().await.unwrap();
    browser.wait_text("#mine", "Sirius").await;
    browser.click("#mine li:not(.over) a").await;
    browser.wait_text("#agenda-title", "6 de maio de 2031").await;
    wait_kind(&browser, "05:00", "mine").await;
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn who_has_not_said_who_one_is_is_asked_and_who_has_nothing_to_come_sees_what_was() {
    let (_turn, services, browser) = start(&[]).await;
    book(&services, "Hubble-Acad", "2025-12-01T03:00:00Z", "Polônio");
    browser.client.goto(&services.agenda("/#@meus")).await.unwrap();
    browser.wait_text("#mine", "Escolha acima o cientista que é você.").await;
    super::fixture::choose(&browser, "scientist", 7).await;
    browser.wait_text("#mine", "Nenhum agendamento a partir de agora.").await;
    browser.wait_text("#mine", "Polônio").await;
    browser.click("[data-language=en]").await;
    browser.wait_text("#agenda-title", "My bookings").await;
    browser.wait_text("#mine", "No bookings from now on.").await;
    browser.assert_clean(&services.agenda(""));
}
