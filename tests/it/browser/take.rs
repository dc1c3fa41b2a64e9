//! The bookings outside the page: a calendar that other programs subscribe to, and a table.

use serde_json::{Value, json};

use super::axe::Axe;
use super::driver::Browser;
use super::fixture::{DAY, as_scientist, slot, start, wait_live};
use super::observatory::sign_in;
use super::office::press;
use super::proxy::Proxy;
use crate::common::access::give;
use crate::common::wait_until;

/// The table of the name `file` that the browser has saved in `folder`, when it is there as a whole.
fn saved(folder: &std::path::Path, file: &str) -> String {
    let path = folder.join(file);
    wait_until("the table is saved", || path.exists());
    std::fs::read_to_string(path).unwrap()
}

/// Lets the browser save files in `folder`.
fn save_in(browser: &Browser, folder: &std::path::Path) {
    browser.cdp("Browser.setDownloadBehavior", &json!({"behavior": "allow", "downloadPath": folder}));
}

/// What a program that is not signed in gets at an address: the status, the media type and the text.
async fn fetched(browser: &Browser, address: &str) -> [String; 3] {
    let fetch = format!(
        "window.fetched = undefined;
         fetch({address:?}, {{credentials: 'omit'}}).then(async (it) =>
             (window.fetched = [String(it.status), it.headers.get('Content-Type'), await it.text()]));
         return true"
    );
    browser.ask(&fetch).await;
    let answer = browser.wait("the answer", "return window.fetched").await;
    serde_json::from_value(answer).unwrap()
}

/// Looks at what is shown, on a wide screen and on a telephone.
async fn looked(browser: &Browser, axe: &Axe, state: &str) {
    for (width, dark) in [(320, true), (1280, false)] {
        browser.look(width, 900, dark);
        axe.check(browser, &format!("{state}, {width} wide, dark {dark}")).await;
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.ask(overflow).await, 0, "{state}, {width} wide");
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_bookings_of_a_telescope_and_ones_own_are_a_calendar_and_a_table() {
    let (_turn, mut services, browser) = start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    save_in(&browser, folder.path());
    services.book(7, &slot("05:00"));
    services.book(3, &slot("06:00"));
    let proxy = Proxy::start(services.agenda_address());
    as_scientist(&browser, 7);
    browser.open(&format!("{}#Hubble-Acad@{DAY}", proxy.url)).await;
    wait_live(&browser, "on").await;
    let starts = |calendar: &str| calendar.matches("BEGIN:VEVENT").count();
    let read = async |browser: &Browser| {
        let href = browser.ask("return document.querySelector('#take a').href").await;
        let [status, kind, calendar] = fetched(browser, href.as_str().unwrap()).await;
        assert_eq!((status.as_str(), kind.as_str()), ("200", "text/calendar; charset=utf-8"), "{href}");
        calendar
    };
    browser.wait_text("#take", "Acadêmico Hubble").await;
    assert_eq!(starts(&read(&browser).await), 2);
    browser.click("#take [data-focus=table]").await;
    let table = saved(folder.path(), "agendamentos-Hubble-Acad.csv");
    // The mark by which a spreadsheet knows the characters, the names, and both bookings.
    assert!(table.starts_with("\u{feff}id,") && table.lines().count() == 3, "{table}");
    browser.wait("it can be pressed again", "return !document.querySelector('#take [aria-busy]')").await;

    browser.click("#as-mine").await;
    browser.wait_text("#take", "Marie Curie").await;
    let own = read(&browser).await;
    assert!(starts(&own) == 1 && own.contains("X-WR-CALNAME:Marie Curie"), "{own}");
    browser.click("#take [data-focus=table]").await;
    assert_eq!(saved(folder.path(), "agendamentos-7.csv").lines().count(), 2);
    looked(&browser, &Axe::load(), "my bookings, with their calendar").await;
    // What cannot be read is said, and the page goes on.
    services.scheduler.kill();
    // Not by the pointer: the page says at the same time that the server is away, and that moves the button.
    browser.ask("document.querySelector('#take [data-focus=table]').click(); return true").await;
    browser.wait_text("#take [role=alert]", "o servidor não responde").await;
    browser.wait("it can be pressed again", "return !document.querySelector('#take [aria-busy]')").await;
    assert_eq!(proxy.strays(), [""; 0]);
    assert_eq!(browser.console(), [""; 0]);
}

/// How many addresses are listed.
async fn listed(browser: &Browser, count: usize) {
    let script = format!("return document.querySelectorAll('#dialog .items li').length === {count}");
    browser.wait(&format!("{count} addresses"), &script).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn where_everybody_says_who_they_are_a_calendar_has_secret_addresses() {
    let (_turn, services, browser) = start(&["--access", "token"]).await;
    let marie = give(services.data_dir(), &["marie", "--role", "cientista", "--scientist", "7"]);
    let proxy = Proxy::start(services.agenda_address());
    browser.client.goto(&format!("{}#Hubble-Acad@{DAY}", proxy.url)).await.unwrap();
    sign_in(&browser, &marie, "marie").await;
    browser.wait_text("#take", "Acadêmico Hubble").await;
    browser.click("#as-mine").await;
    browser.wait_text("#take", "Marie Curie").await;
    browser.click("#take [data-focus=subscribe]").await;
    browser.wait_text("#dialog h2", "Calendário de Marie Curie").await;
    listed(&browser, 0).await;
    press(&browser, "Criar um endereço").await;
    let made = "return document.querySelector('#field-address')?.value";
    let address = browser.wait("the address", made).await.as_str().unwrap().to_owned();
    listed(&browser, 1).await;
    looked(&browser, &Axe::load(), "a secret address").await;
    browser.look(1280, 900, false);
    browser.picture("calendario").await;
    let [status, _, calendar] = fetched(&browser, &address).await;
    assert!(status == "200" && calendar.contains("X-WR-CALNAME:Marie Curie"), "{status}: {calendar}");
    // It is shown once.
    press(&browser, "Fechar").await;
    browser.click("#take [data-focus=subscribe]").await;
    listed(&browser, 1).await;
    assert_eq!(browser.ask(made).await, Value::Null);
    press(&browser, "Revogar").await;
    listed(&browser, 0).await;
    browser.wait_text("#dialog", "O endereço foi revogado.").await;
    assert_eq!(fetched(&browser, &address).await[0], "401");
    assert_eq!(proxy.strays(), [""; 0]);
    assert_eq!(browser.console(), [""; 0]);
}
