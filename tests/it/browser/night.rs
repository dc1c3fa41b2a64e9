//! A night of the agenda, from noon to noon, and a booking across midnight in it.

use fantoccini::key::Key;
use serde_json::json;

use super::axe::Axe;
use super::fixture::{as_scientist, start, wait_dialog_closed, wait_live};
use super::proxy::Proxy;

/// The cell that begins at `time` of a night.
fn cell(time: &str) -> String {
    let (hour, minute) = time.split_once(':').unwrap();
    let hour = hour.parse::<usize>().unwrap();
    format!("[data-slot=\"{}\"]", (hour + 12) % 24 * 12 + minute.parse::<usize>().unwrap() / 5)
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_night_is_from_noon_to_noon_and_a_booking_across_midnight_is_whole_in_it() {
    let (_turn, services, browser) = start(&[]).await;
    let body =
        json!({"cientista_id": 7, "horario_inicio_utc": "2031-05-06T23:50:00Z", "duracao_min": 20, "alvo": "M31"});
    assert_eq!(services.book_with(&body).0, 201);
    services.book(3, "2031-05-06T11:55:00Z");
    let axe = Axe::load();
    let proxy = Proxy::start(services.agenda_address());
    as_scientist(&browser, 7);
    browser.open(&format!("{}#Hubble-Acad@2031-05-06", proxy.url)).await;
    wait_live(&browser, "on").await;
    browser.click("#as-night").await;
    browser.wait_text("#agenda-title", "Noite: terça-feira, 6 de maio de 2031 – quarta-feira, 7 de maio de 2031").await;
    let hash = "return location.hash";
    assert_eq!(browser.ask(hash).await, "#Hubble-Acad@2031-05-06N");
    let rows =
        "return [...document.querySelectorAll('#grid [role=rowheader] .utc')].map((one) => one.textContent).join(' ')";
    let hours: Vec<_> = (0..24).map(|nth| format!("{:02}:00", (nth + 12) % 24)).collect();
    assert_eq!(browser.ask(rows).await, hours.join(" "));
    assert_eq!(browser.text("#grid [role=rowheader] .next:not(:empty)").await, "07/05");
    // The booking that ends at noon is in the night before.
    browser.wait_text("#agenda-counts", "livres 284").await;
    for time in ["23:50", "00:05"] {
        let label = format!("return document.querySelector('{}').getAttribute('aria-label')", cell(time));
        let label = browser.ask(&label).await;
        assert!(label.as_str().unwrap().contains("23:50 – 7 de mai., 00:10"), "{label}");
    }
    for (width, dark) in [(1280, false), (320, true)] {
        browser.look(width, 900, dark);
        axe.check(&browser, &format!("a night, {width} wide, dark {dark}")).await;
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.ask(overflow).await, 0);
        browser.picture(&format!("noite-{width}")).await;
    }
    browser.look(1280, 900, false);

    // Nights are turned, and Back turns them back.
    browser.click("#after").await;
    browser.wait_text("#agenda-title", "Noite: quarta-feira, 7 de maio").await;
    assert_eq!(browser.ask(hash).await, "#Hubble-Acad@2031-05-07N");
    browser.client.back().await.unwrap();
    browser.wait_text("#agenda-title", "Noite: terça-feira, 6 de maio").await;
    // What is booked in a night is shown in it.
    browser.click(&cell("00:20")).await;
    browser.wait("the form", "return document.querySelector('#dialog[open] form')").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "00:20").await;
    browser.key(Key::Enter).await;
    wait_dialog_closed(&browser).await;
    assert_eq!(services.list("?cientista_id=7").len(), 2);
    assert_eq!(browser.ask(hash).await, "#Hubble-Acad@2031-05-06N", "the night is still shown");
    browser
        .wait(
            "it is the person's",
            &format!("return document.querySelector('{}').classList.contains('mine')", cell("00:20")),
        )
        .await;

    // The present night has the present slot, by day and by night.
    browser.click("#today").await;
    browser.wait("the present slot", "return document.querySelector('#grid .now')").await;
    browser.click("#as-day").await;
    browser.wait("a day", "return document.querySelector('#grid [role=rowheader] .utc').textContent === '00:00'").await;
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}
