//! Texts that people type, in any script and in either direction: initials, isolation, and markup, which stays text.

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::driver::Browser;
use super::fixture::{
    DAY, as_scientist, book, cell, close_dialog, contest, opened, page, slot, start, wait_kind, wait_links, wait_live,
};
use crate::common::http;

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn initials_are_letters_as_people_count_them() {
    let (_turn, _services, browser) = opened().await;
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

/// Finds typed texts that could turn the text around them: text nodes without a direction of their own, and attributes in
/// which they are not isolated. Finds also fields whose direction does not follow the text in them.
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
#[expect(clippy::too_many_lines, reason = "one agenda and every place that shows its names")]
async fn typed_texts_run_in_their_own_direction_everywhere() {
    let (_turn, services, browser) = start(&["--audit-refusals"]).await;
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    database
        .execute(
            "INSERT INTO cientistas (id, nome, instituicao, pais) VALUES (66, ?1, ?1, 'XX'), (67, ?2, ?2, 'XX')",
            [NAME, RIVAL],
        )
        .unwrap();
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
    assert_eq!(http("DELETE", &services.agenda(href), Some(("application/json", &body))).status, 200);
    assert_eq!(typed(66, "14:00").0, 201);
    as_scientist(&browser, 66);
    // The address names no telescope: the page says so, with the name in its own direction.
    browser.open(&format!("{}#%D7%90%D7%91%D7%92@{}", services.agenda("/"), DAY)).await;
    wait_live(&browser, "on").await;
    assert_isolated(&browser, "agenda", &[NAME, RIVAL, TARGET, TELESCOPE, "אבג"]).await;

    browser.click(&cell("12:10")).await;
    wait_links(&browser).await;
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", RIVAL).await;
    assert_isolated(&browser, "panel and history", &[NOTES]).await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", RIVAL).await;
    assert_isolated(&browser, "cancelling", &[]).await;
    close_dialog(&browser).await;
    // The cancelled booking has a reason.
    browser.click(&cell("14:00")).await;
    wait_links(&browser).await;
    let all = json!({"id": cancelled["id"], "_links": cancelled["_links"]});
    let show = "return import('/pagina/history.js').then(({ showHistory }) => showHistory(document.getElementById('history'), BOOKING))";
    browser.ask(&show.replace("BOOKING", &all.to_string())).await;
    browser.wait_text(".timeline", REASON).await;
    assert_isolated(&browser, "history with a reason", &[]).await;

    // A slot is lost, and the winner's name is announced; then another one is won.
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
    close_dialog(&browser).await;

    // A booking at the selected slot is announced.
    browser.click(&cell("20:00")).await;
    close_dialog(&browser).await;
    contest(&services, &slot("20:00"));
    let (_, made) = typed(67, "21:00");
    wait_kind(&browser, "21:00", "other").await;
    browser.click(&cell("21:00")).await;
    assert_eq!(services.follow(&made, "cancelar").status, 200);
    wait_kind(&browser, "21:00", "free").await;
    assert_eq!(typed(67, "21:00").0, 201);
    browser
        .wait("the announcement", &format!("return document.getElementById('status').textContent.includes({RIVAL:?})"))
        .await;
    browser.wait_text("#dispute", RIVAL).await;
    assert_isolated(&browser, "said aloud, and the contest", &[]).await;
    browser.click("[data-language=en]").await;
    assert_isolated(&browser, "English", &[RIVAL, TARGET]).await;
    // A text that turns nothing is not isolated.
    let label = browser.ask("return import('/pagina/names.js').then(({ isolate }) => isolate('Marie Curie'))");
    assert_eq!(label.await, Value::from("Marie Curie"));
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn markup_in_names_and_targets_is_text() {
    let (_turn, services, browser) = start(&[]).await;
    let evil = "<img src=x onerror=alert(1)><b>Eva</b>";
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    database.execute("INSERT INTO cientistas (id, nome, instituicao, pais) VALUES (66, ?1, ?1, 'XX')", [evil]).unwrap();
    let body = json!({
        "cientista_id": 66, "horario_inicio_utc": slot("12:00"), "duracao_min": 30,
        "alvo": "<script>alert(2)</script>", "observacoes": "</dd><iframe src=javascript:alert(3)>\n\"'&amp;",
    });
    let (status, booking) = services.book_with(&body);
    assert_eq!(status, 201, "{booking}");
    as_scientist(&browser, 66);
    browser.open(&page(&services.agenda(""))).await;
    wait_kind(&browser, "12:00", "mine").await;
    browser.click(&cell("12:10")).await;
    browser.wait_text("#selected", "<script>alert(2)</script>").await;
    let shown = browser.text("#selected").await;
    assert!(shown.contains(evil) && shown.contains("</dd><iframe src=javascript:alert(3)>\n\"'&amp;"), "{shown}");
    browser.click("[data-focus=history]").await;
    browser.wait_text(".timeline", &format!("Agendado por {evil}")).await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", evil).await;
    browser.key(Key::Escape).await;
    book(&browser, "13:00").await;
    browser.wait_text("dialog .outcome.won", "13:00").await;
    let made = "return document.querySelectorAll('img, iframe, b b, dd b, body script, option b').length";
    assert_eq!(browser.ask(made).await, 0);
    browser.assert_clean(&services.agenda(""));
}
