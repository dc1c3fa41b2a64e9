//! What people type: in any script, in either direction, with signs of any kind. Initials, and isolation.

use serde_json::{Value, json};

use super::driver::{Browser, Turn};
use super::{as_scientist, cell, contest, page, slot, wait_kind, wait_live};
use crate::common::Services;

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn initials_are_letters_as_people_count_them() {
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    browser.open(&page(&services.agenda(""))).await;
    let names: Vec<(String, String)> = serde_json::from_str(include_str!("../../page/initials.json")).unwrap();
    for (name, right) in names {
        let script = format!(
            "return (async () => (await import('/pagina/names.js')).initials({}))()",
            serde_json::to_string(&name).unwrap()
        );
        assert_eq!(browser.ask(&script).await, json!(right), "{name:?}");
    }
    assert_eq!(browser.console(), [""; 0]);
}

/// Where a typed text stands with neighbours of other people's: a text node that is not in its own direction, or an
/// attribute in which it is not isolated; and fields for typing that do not go by what is typed.
const LOOSE: &str = r"
    const loose = [];
    const bare = (text) => text.replace(/\u2068[^\u2069]*\u2069/g, '');
    const turns = (text) => /[\u0590-\u08ff]/.test(bare(text));
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_ALL);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
        if (node.nodeType === Node.TEXT_NODE && turns(node.data) && node.parentElement.closest('[dir]')?.dir !== 'auto')
            loose.push(node.parentElement.outerHTML);
        for (const { name, value } of node.attributes ?? [])
            if (turns(value) && name !== 'href') loose.push(`${name}: ${value}`);
        if (node.matches?.('textarea, input:not([type]), input[type=text]') && node.dir !== 'auto') loose.push(node.outerHTML);
    }
    return loose";

async fn assert_isolated(browser: &Browser, state: &str, shown: &[&str]) {
    let text = browser.ask("return document.body.textContent").await;
    for words in shown {
        assert!(text.as_str().unwrap().contains(words), "{state} does not show {words}");
    }
    assert_eq!(browser.ask(LOOSE).await, json!([]), "{state}");
}

const NAME: &str = "דוד בן (מכון)";
const RIVAL: &str = "مريم";
const TARGET: &str = "מאדים 3";
const NOTES: &str = "שורה (1)\nline 2";
const REASON: &str = "עננים!";
const TELESCOPE: &str = "טלסקופ הובל";

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn what_people_typed_runs_in_its_own_direction_everywhere() {
    let _turn = Turn::take();
    let services = Services::start(&["--audit-refusals"]);
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    database.execute("INSERT INTO cientistas VALUES (66, ?1, ?1, 'XX'), (67, ?2, ?2, 'XX')", [NAME, RIVAL]).unwrap();
    database.execute("UPDATE telescopios SET nome = ?1 WHERE id = 1", [TELESCOPE]).unwrap();
    let typed = |scientist: i64, time: &str| {
        let body = json!({
            "cientista_id": scientist, "horario_inicio_utc": slot(time), "duracao_min": 30, "alvo": TARGET, "observacoes": NOTES,
        });
        services.book_with(&body)
    };
    let (status, hers) = typed(67, "12:00");
    assert_eq!(status, 201, "{hers}");
    let (_, cancelled) = typed(67, "14:00");
    let href = cancelled["_links"]["cancelar"]["href"].as_str().unwrap();
    let body = json!({"motivo": REASON}).to_string();
    assert_eq!(crate::common::http("DELETE", &services.agenda(href), Some(("application/json", &body))).status, 200);
    assert_eq!(typed(66, "14:00").0, 201);
    let browser = Browser::start().await;
    as_scientist(&browser, 66);
    // The first address leads nowhere, and says so in its own direction too.
    browser.open(&format!("{}#%D7%90%D7%91%D7%92@{}", services.agenda("/"), super::DAY)).await;
    wait_live(&browser, "on").await;
    assert_isolated(&browser, "agenda", &[NAME, RIVAL, TARGET, TELESCOPE, "אבג"]).await;

    browser.click(&cell("12:10")).await;
    browser.wait("its links", "return document.querySelector('[data-focus=history]')").await;
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", RIVAL).await;
    assert_isolated(&browser, "panel and history", &[NOTES]).await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", RIVAL).await;
    assert_isolated(&browser, "cancelling", &[]).await;
    browser.ask("document.getElementById('dialog').close(); return true").await;
    // The one that was cancelled, with its reason.
    browser.click(&cell("14:00")).await;
    browser.wait("its links", "return document.querySelector('[data-focus=history]')").await;
    let all = json!({"id": cancelled["id"], "_links": cancelled["_links"]});
    let show = "return import('/pagina/history.js').then(({ showHistory }) => showHistory(document.getElementById('history'), BOOKING))";
    browser.ask(&show.replace("BOOKING", &all.to_string())).await;
    browser.wait_text(".timeline", REASON).await;
    assert_isolated(&browser, "history with a reason", &[]).await;

    // Lost against her, whose name is said aloud too; then won.
    browser.click(&cell("16:00")).await;
    browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
    assert_isolated(&browser, "form", &[]).await;
    assert_eq!(services.book(67, &slot("16:00")).0, 201);
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.lost", RIVAL).await;
    browser.wait("what is offered", "return document.querySelector('dialog .offers button')").await;
    assert_isolated(&browser, "lost", &[]).await;
    browser.click("dialog .offers button").await;
    browser.wait_text("dialog .outcome.won", "é seu").await;
    assert_isolated(&browser, "won", &[]).await;
    browser.ask("document.getElementById('dialog').close(); return true").await;

    // What happens to what is looked at is said aloud.
    browser.click(&cell("20:00")).await;
    browser.ask("document.getElementById('dialog').close(); return true").await;
    contest(&services, &slot("20:00"));
    let (_, made) = typed(67, "21:00");
    wait_kind(&browser, "21:00", "other").await;
    browser.click(&cell("21:00")).await;
    assert_eq!(services.follow(&made, "cancelar").status, 200);
    wait_kind(&browser, "21:00", "free").await;
    assert_eq!(typed(67, "21:00").0, 201);
    browser
        .wait("it is said", &format!("return document.getElementById('status').textContent.includes({RIVAL:?})"))
        .await;
    browser.wait_text("#dispute", RIVAL).await;
    assert_isolated(&browser, "said aloud, and the contest", &[]).await;
    browser.click("[data-language=en]").await;
    assert_isolated(&browser, "English", &[RIVAL, TARGET]).await;
    // What turns nothing has no signs put into it.
    let label = browser.ask("return import('/pagina/names.js').then(({ isolate }) => isolate('Marie Curie'))");
    assert_eq!(label.await, Value::from("Marie Curie"));
    browser.assert_clean(&services.agenda(""));
}
