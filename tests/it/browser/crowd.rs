//! Ten thousand scientists and a thousand telescopes: the page reads the few that it shows, and searches the rest while one types.

use fantoccini::key::Key;

use super::axe::Axe;
use super::driver::{Browser, Turn};
use super::fixture::{DAY, as_scientist, cell, slot, start, wait_kind, wait_live};
use super::proxy::Proxy;
use crate::common::Services;

/// Fills the catalogue, as an operator does it with SQL. Every tenth telescope is out of service.
fn fill(services: &Services) {
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    database
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO cientistas (nome, instituicao, pais) SELECT 'Astrônoma ' || printf('%05d', i), 'X', 'BR' FROM n;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO telescopios (codigo, nome, simulado, ativo)
             SELECT 'T-' || i, 'Radiotelescópio ' || printf('%04d', i), 1, i % 10 > 0 FROM n",
        )
        .unwrap();
}

/// Types into the field that searches within `within`, and waits until `found` is marked.
async fn search(browser: &Browser, within: &str, text: &str, found: &str) {
    browser.click(&format!("{within} [role=combobox]")).await;
    browser.type_in(text).await;
    browser.wait_text(&format!("{within} .found [aria-selected=true]"), found).await;
}

/// Services with a full catalogue, a proxy that renames every link, and a browser that shows T-777, which a person has booked.
async fn opened() -> (Turn, Services, Proxy, Browser) {
    let (turn, services, browser) = start(&[]).await;
    fill(&services);
    let body = serde_json::json!({"cientista_id": 8888, "telescopio": "T-777", "horario_inicio_utc": slot("05:00")});
    assert_eq!(services.book_with(&body).0, 201);
    let proxy = Proxy::start(services.agenda_address());
    as_scientist(&browser, 9000);
    browser.open(&format!("{}#T-777@{DAY}", proxy.url)).await;
    (turn, services, proxy, browser)
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_page_reads_what_it_shows_and_searches_the_rest_while_one_types() {
    let (_turn, _services, proxy, browser) = opened().await;
    let axe = Axe::load();
    let label = format!(
        "return document.querySelector('{}').getAttribute('aria-label').includes('Astrônoma 08878')",
        cell("05:00")
    );
    browser.wait("the name of who has booked", &label).await;
    println!("ready after {} ms, behind a proxy", browser.ask("return Math.round(performance.now())").await);
    wait_live(&browser, "on").await;
    browser
        .wait("who uses the page", "return document.querySelector('#as [role=combobox]').value === 'Astrônoma 08990'")
        .await;
    assert_eq!(
        browser.ask("return document.querySelector('#which [role=combobox]').value").await,
        "Radiotelescópio 0777"
    );
    let read =
        "return performance.getEntriesByType('resource').filter(({name}) => /limite=500|cursor=/.test(name)).length";
    assert_eq!(browser.ask(read).await, 0, "the catalogue is not read page by page");
    let options = "return ['telescope', 'scientist'].map((id) => document.getElementById(id).options.length)";
    assert!(browser.ask(options).await.as_array().unwrap().iter().all(|count| count.as_u64().unwrap() < 60));

    search(&browser, "#as", "astronoma 0777", "Astrônoma 00777").await;
    browser.wait_text("#as .found", "Astrônoma 07779").await;
    for (width, dark) in [(1280, true), (320, false)] {
        browser.look(width, 900, dark);
        axe.check(&browser, &format!("search, {width} wide, dark {dark}")).await;
        browser.picture(&format!("busca-{width}")).await;
    }
    browser.look(1280, 900, false);
    browser.key(Key::Down).await;
    browser.wait_text("#as .found [aria-selected=true]", "Astrônoma 07770").await;
    browser.key(Key::Enter).await;
    assert_eq!(browser.ask("return JSON.parse(localStorage.sctec).scientist").await, 7780);
    // Escape leaves everything as it was.
    search(&browser, "#as", "rubin", "Vera Rubin").await;
    browser.key(Key::Escape).await;
    assert_eq!(browser.ask("return document.querySelector('#as [role=combobox]').value").await, "Astrônoma 07770");

    // A telescope that is out of service is not offered.
    search(&browser, "#which", "0311", "Radiotelescópio 0311").await;
    browser.key(Key::Enter).await;
    browser.wait("its address", "return location.hash.startsWith('#T-311@')").await;
    browser.click("#which [role=combobox]").await;
    browser.type_in("telescopio 031").await;
    browser.wait_text("#which .found", "Radiotelescópio 0319").await;
    assert!(!browser.text("#which .found").await.contains("0310"));
    browser.key(Key::Escape).await;
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_name_that_is_typed_and_not_chosen_yet_sends_no_form() {
    let (_turn, services, proxy, browser) = opened().await;
    let axe = Axe::load();
    wait_live(&browser, "on").await;
    browser.click(&cell("06:00")).await;
    browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
    browser.click("#dialog [role=combobox]").await;
    browser.type_in("astronoma 00200").await;
    browser.key(Key::Enter).await;
    browser.wait_text("#dialog .found [aria-selected=true]", "Astrônoma 00200").await;
    axe.check(&browser, "search in the form").await;
    browser.key(Key::Enter).await;
    browser.key(Key::Enter).await;
    browser.wait_text("dialog .outcome.won", "06:00–06:05").await;
    browser.key(Key::Enter).await;
    wait_kind(&browser, "06:00", "mine").await;
    assert_eq!(services.list("?telescopio=T-777&de=2031-05-06T06:00:00Z")[0]["cientista_id"], 210);
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn keys_that_come_right_after_a_click_are_a_new_search() {
    let (_turn, services, browser) = start(&[]).await;
    fill(&services);
    as_scientist(&browser, 9000);
    // On a busy machine, a key comes before the timers of the click.
    browser.before_load(
        "const later = setTimeout; window.setTimeout = (then, ms) => later(then, Math.max(ms ?? 0, 1000));",
    );
    browser.open(&services.agenda(&format!("/#T-777@{DAY}"))).await;
    browser
        .wait("who uses the page", "return document.querySelector('#as [role=combobox]').value === 'Astrônoma 08990'")
        .await;
    search(&browser, "#as", "astronoma 0777", "Astrônoma 00777").await;
    browser.key(Key::Enter).await;
    search(&browser, "#as", "rubin", "Vera Rubin").await;
    assert_eq!(browser.ask("return document.querySelector('#as [role=combobox]').value").await, "rubin");
}
