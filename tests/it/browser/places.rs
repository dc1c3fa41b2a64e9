//! The address and the days: places that an address names, Back and Forward, bookings and conflicts over midnight; and the
//! server's Portuguese texts on a page in English.

use fantoccini::key::Key;
use serde_json::json;

use super::driver::Browser;
use super::fixture::{
    DAY, as_scientist, cell, choose, close_dialog, focus, lose_race, marie, open, opened, slot, start, wait_kind,
    wait_links,
};
use crate::common::Services;

const NEXT_DAY: &str = "2031-05-07";

async fn wait_address(browser: &Browser, hash: &str) {
    browser.wait(&format!("the address {hash}"), &format!("return location.hash === {hash:?}")).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
#[expect(clippy::too_many_lines, reason = "a table of addresses and one loop over it")]
async fn an_address_that_leads_nowhere_is_told_of() {
    let (_turn, services, browser) = start(&[]).await;
    let today = browser_day(&browser, &services).await;
    let hubble = |day: &str| format!("#Hubble-Acad@{day}");
    let none = "2031-11-25";
    for (hash, telescope, day, told) in [
        ("#Nope@2031-11-25", "Hubble-Acad", Some(none), vec!["“Nope”", "que não existe", "Acadêmico Hubble"]),
        ("#hubble-acad@2031-11-25", "Hubble-Acad", Some(none), vec!["“hubble-acad”"]),
        ("#Nope", "Hubble-Acad", None, vec!["“Nope”"]),
        ("#%4Eope@2031-11-25", "Hubble-Acad", Some(none), vec!["“Nope”"]),
        ("#%E0%A4%A@2031-11-25", "Hubble-Acad", Some(none), vec!["“%E0%A4%A”"]),
        ("#a@b@2031-11-25", "Hubble-Acad", Some(none), vec!["“a@b”"]),
        ("#%3Cb%3EX@2031-11-25", "Hubble-Acad", Some(none), vec!["“<b>X”"]),
        ("#2031-11-25", "Hubble-Acad", None, vec!["“2031-11-25”"]),
        (
            "#Hubble-Acad@2031-11-31",
            "Hubble-Acad",
            None,
            vec!["“2031-11-31”", "não é um dia", "1970-01-01", "9998-12-30"],
        ),
        ("#Hubble-Acad@1969-12-31", "Hubble-Acad", None, vec!["“1969-12-31”"]),
        ("#Hubble-Acad@9999-12-31", "Hubble-Acad", None, vec!["“9999-12-31”"]),
        ("#Webb-Acad@12031-01-01", "Webb-Acad", None, vec!["“12031-01-01”"]),
        ("#Webb-Acad@amanh%C3%A3", "Webb-Acad", None, vec!["“amanhã”"]),
        ("#Nope@2031-11-31", "Hubble-Acad", None, vec!["“Nope”", "“2031-11-31”"]),
        // These name places that exist.
        ("#Hubble-Acad@2031-11-25", "Hubble-Acad", Some(none), vec![]),
        ("#%48ubble%2DAcad@2031%2D11%2D25", "Hubble-Acad", Some(none), vec![]),
        ("#Webb-Acad", "Webb-Acad", None, vec![]),
        ("#@2031-11-25", "Hubble-Acad", Some(none), vec![]),
        ("#Webb-Acad@", "Webb-Acad", None, vec![]),
        ("", "Hubble-Acad", None, vec![]),
    ] {
        // Each is typed into the address of an open page. Some are also opened directly.
        let opened = ["#Nope@2031-11-25", "#Hubble-Acad@2031-11-31", "#%48ubble%2DAcad@2031%2D11%2D25"].contains(&hash);
        for typed in [true, false].into_iter().take(if opened { 2 } else { 1 }) {
            if typed {
                browser.ask("location.hash = '#Hubble-Acad@2031-05-06'; return true").await;
                browser.wait("another day", "return document.getElementById('day').value === '2031-05-06'").await;
                browser.ask(&format!("location.hash = {hash:?}; return true")).await;
            } else {
                browser.client.goto("about:blank").await.unwrap();
                browser.open(&services.agenda(&format!("/{hash}"))).await;
            }
            let expected = day.unwrap_or(&today);
            browser.wait(hash, &format!("return document.getElementById('day').value === {expected:?}")).await;
            let words = browser.text("#address-problem").await;
            assert_eq!(words.is_empty(), told.is_empty(), "{hash}: {words}");
            assert!(told.iter().all(|part| words.contains(part)), "{hash}: {words}");
            let chosen = browser.ask("return document.getElementById('telescope').value").await;
            assert_eq!(chosen, telescope, "{hash}");
            assert_eq!(browser.text("#agenda-problem").await, "", "{hash}");
            let right = day.map_or_else(|| format!("#{telescope}"), |day| format!("#{telescope}@{day}"));
            wait_address(&browser, &right).await;
        }
    }
    // The message changes with the language, and goes when another place is chosen.
    browser.open(&services.agenda("/#Nope@2031-11-25")).await;
    browser.wait_text("#address-problem", "“Nope”").await;
    browser.click("[data-language=en]").await;
    browser.wait_text("#address-problem", "which does not exist").await;
    browser.click("#after").await;
    wait_address(&browser, &hubble("2031-11-26")).await;
    assert_eq!(browser.text("#address-problem").await, "");
    assert_eq!(browser.console(), [""; 0]);
}

/// Today, as the page shows it.
async fn browser_day(browser: &Browser, services: &Services) -> String {
    browser.open(&services.agenda("/")).await;
    let day = browser.wait("the day", "return document.getElementById('day').value").await;
    day.as_str().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn back_turns_days_back_and_forward_turns_them_again() {
    let (_turn, _services, browser) = opened().await;
    let length = "return history.length";
    let begun = browser.ask(length).await.as_u64().unwrap();
    let places = [
        format!("#Hubble-Acad@{DAY}"),
        "#Hubble-Acad@2031-05-07".to_owned(),
        "#Hubble-Acad@2031-05-06".to_owned(),
        "#Webb-Acad@2031-05-06".to_owned(),
        "#Webb-Acad@2032-02-29".to_owned(),
        "#Webb-Acad".to_owned(),
    ];
    let acts = [
        "document.getElementById('after').click()",
        "document.getElementById('before').click()",
        "const it = document.getElementById('telescope'); it.value = 'Webb-Acad'; it.dispatchEvent(new Event('change'))",
        "const it = document.getElementById('day'); it.value = '2032-02-29'; it.dispatchEvent(new Event('change'))",
        "document.getElementById('today').click()",
    ];
    for (act, place) in acts.iter().zip(&places[1..]) {
        browser.ask(&format!("{act}; return true")).await;
        wait_address(&browser, place).await;
    }
    assert_eq!(browser.ask(length).await, begun + 5, "one step for each choice");
    // Only another place is a step. Language, local time, scientist, a slot, and today a second time are none.
    browser.click("[data-language=en]").await;
    browser.click("#local").await;
    choose(&browser, "scientist", 7).await;
    browser.click(&cell("05:00")).await;
    browser.ask("document.getElementById('today').click(); return true").await;
    assert_eq!(browser.ask(length).await, begun + 5);
    let shows = |place: &str| {
        let (telescope, day) = place[1..].split_once('@').unwrap_or((&place[1..], ""));
        format!(
            "return document.getElementById('telescope').value === {telescope:?} && document.getElementById('grid').getAttribute('aria-busy') === 'false' && ({day:?} === '' || document.getElementById('day').value === {day:?})"
        )
    };
    for place in places[..5].iter().rev() {
        browser.client.back().await.unwrap();
        wait_address(&browser, place).await;
        browser.wait(place, &shows(place)).await;
    }
    browser.wait_text("#agenda-title", "6 May 2031").await;
    for place in &places[1..] {
        browser.ask("history.forward(); return true").await;
        wait_address(&browser, place).await;
        browser.wait(place, &shows(place)).await;
    }
    assert_eq!(browser.console(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_key_that_is_held_is_one_step_back() {
    let (_turn, _services, browser) = opened().await;
    let begun = browser.ask("return history.length").await.as_u64().unwrap();
    focus(&browser, "05:00").await;
    for (index, day) in ["07", "08", "09", "10", "11"].iter().enumerate() {
        let press = json!({
            "type": "keyDown", "key": "PageDown", "code": "PageDown", "windowsVirtualKeyCode": 34, "autoRepeat": index > 0,
        });
        browser.cdp("Input.dispatchKeyEvent", &press);
        wait_address(&browser, &format!("#Hubble-Acad@2031-05-{day}")).await;
    }
    assert_eq!(browser.ask("return history.length").await, begun + 1);
    browser.client.back().await.unwrap();
    wait_address(&browser, &format!("#Hubble-Acad@{DAY}")).await;
    browser.wait_text("#agenda-title", "6 de maio").await;

    // A day that is typed is one step too: it is January for a moment, then December.
    browser.ask("document.getElementById('day').focus(); return true").await;
    browser.type_in("1207").await;
    browser.wait("the day", "return document.getElementById('day').value === '2031-12-07'").await;
    wait_address(&browser, "#Hubble-Acad@2031-12-07").await;
    assert_eq!(browser.ask("return history.length").await, begun + 1);
    browser.client.back().await.unwrap();
    wait_address(&browser, &format!("#Hubble-Acad@{DAY}")).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_booking_over_midnight_can_be_chosen_as_far_as_it_is_free() {
    let (_turn, services, browser) = start(&[]).await;
    assert_eq!(services.book(2, &format!("{NEXT_DAY}T01:00:00Z")).0, 201);
    as_scientist(&browser, 7);
    open(&services, &browser).await;
    let longest =
        "const it = document.getElementById('field-duracao_min'); return it && it.options[it.length - 1].value";
    let is_longest = |minutes: u32| format!("{longest} === '{minutes}'");
    browser.click(&cell("23:55")).await;
    browser.wait("up to the booking at one", &is_longest(65)).await;
    choose(&browser, "field-duracao_min", 65).await;
    browser.wait_text("dialog h2", "Agendar 6 de mai., 23:55 – 7 de mai., 01:00").await;
    choose(&browser, "field-duracao_min", 20).await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "6 de mai., 23:55 – 7 de mai., 00:15 é seu").await;
    assert_eq!(services.list("?cientista_id=7")[0]["duracao_min"], 20);
    browser.key(Key::Enter).await;
    // The booking is shown on both days.
    wait_kind(&browser, "23:55", "mine").await;
    browser.click("#after").await;
    wait_kind(&browser, "00:10", "mine").await;
    wait_kind(&browser, "00:15", "free").await;
    // A free slot before the booking has five minutes. Nothing is longer than a day.
    browser.click("#before").await;
    wait_kind(&browser, "23:50", "free").await;
    browser.click(&cell("23:50")).await;
    browser.wait("five minutes", &is_longest(5)).await;
    close_dialog(&browser).await;
    browser.open(&format!("{}#Hubble-Acad@2033-01-01", services.agenda("/"))).await;
    browser.wait("the agenda", "return document.getElementById('day').value === '2033-01-01' && document.getElementById('grid').getAttribute('aria-busy') === 'false'").await;
    for time in ["00:00", "10:00"] {
        browser.click(&cell(time)).await;
        browser.wait("a whole day", &is_longest(1440)).await;
        close_dialog(&browser).await;
    }
    // A booking can go over midnight also on the last day that has an agenda.
    browser.open(&format!("{}#Hubble-Acad@9998-12-30", services.agenda("/"))).await;
    browser.wait("the agenda", "return document.getElementById('day').value === '9998-12-30' && document.getElementById('grid').getAttribute('aria-busy') === 'false'").await;
    browser.click(&cell("23:55")).await;
    browser.wait("a whole day", &is_longest(1440)).await;
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_conflict_over_midnight_leads_to_its_day_and_slot() {
    let (_turn, services, browser) = marie("").await;
    browser.click(&cell("23:50")).await;
    browser.wait("half an hour", "return document.getElementById('field-duracao_min').length >= 6").await;
    choose(&browser, "field-duracao_min", 30).await;
    lose_race(&browser, 2, &format!("{NEXT_DAY}T00:05:00Z")).await;
    browser.wait_text("dialog .outcome.lost", "agendou 7 de mai., 00:05–00:10.").await;
    let see = "return [...document.querySelectorAll('dialog .buttons button')].find((it) => it.innerText === 'Ver 7 de mai., 00:05–00:10 na agenda')";
    browser.wait("what leads there", see).await;
    browser.click("dialog .buttons button:last-child").await;
    wait_address(&browser, &format!("#Hubble-Acad@{NEXT_DAY}")).await;
    browser.wait_text("#selected h3", "00:05–00:10 UTC").await;
    browser.wait("the focus is there", "return document.activeElement.dataset.slot === '1'").await;
    wait_kind(&browser, "00:05", "other").await;
    assert!(!browser.ask("return document.getElementById('dialog').open").await.as_bool().unwrap());
    // Back leads to the day before.
    browser.client.back().await.unwrap();
    browser.wait_text("#agenda-title", "6 de maio").await;
    browser.assert_clean(&services.agenda(""));
}

/// Pastes a text into a field of the dialog: some of it could not be typed.
async fn paste(browser: &Browser, field: &str, text: &str) {
    browser.ask(&format!("document.getElementById('field-{field}').value = {text:?}; return true")).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_servers_errors_are_in_english_on_the_english_page() {
    let (_turn, services, browser) = start(&[]).await;
    assert_eq!(services.book(7, &slot("15:00")).0, 201);
    browser.before_load("localStorage.sctec ??= JSON.stringify({scientist: 7, language: 'en'})");
    open(&services, &browser).await;
    browser.click(&cell("11:00")).await;
    browser.wait_text("dialog", "Book 11:00–11:05").await;
    paste(&browser, "alvo", "M\t31").await;
    paste(&browser, "observacoes", &"x".repeat(2001)).await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("#error-alvo", "This contains a tab or another control character. Remove it.").await;
    browser.wait_text("#error-observacoes", "at most 2000 characters").await;
    browser.wait_text("dialog .problem", "Some fields need to be corrected.").await;
    let portuguese = "return document.querySelectorAll('dialog [lang=pt-BR]').length";
    assert_eq!(browser.ask(portuguese).await, 0);
    // An error in the reason of a cancellation is told at its field, which keeps its text.
    close_dialog(&browser).await;
    browser.click(&cell("15:00")).await;
    wait_links(&browser).await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", "Reason (optional)").await;
    paste(&browser, "motivo", "nuvens\tde poeira").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("#error-motivo", "a tab or another control character").await;
    assert_eq!(browser.ask("return document.getElementById('field-motivo').value").await, "nuvens\tde poeira");
    assert_eq!(browser.ask(portuguese).await, 0);
    paste(&browser, "motivo", "nuvens de poeira").await;
    browser.click("dialog button[type=submit]").await;
    wait_kind(&browser, "15:00", "free").await;

    // Errors of fields that the form does not have, and codes of a newer server.
    let shown = browser
        .ask(
            "return import('/pagina/problems.js').then(({ explain }) => {
                const root = document.createElement('div');
                document.body.append(root);
                explain(root, { code: 'campos_invalidos', errors: [
                    { campo: 'horario_inicio_utc', codigo: 'ja_passou', mensagem: 'já passou' },
                    { campo: 'x', codigo: 'invalido', mensagem: 'deve ser outro' },
                    { campo: 'y', codigo: 'de_amanha', mensagem: 'de um servidor mais novo' },
                ] });
                return [...root.children].map((it) => it.innerHTML);
            })",
        )
        .await;
    assert_eq!(
        shown,
        json!([
            "Some fields need to be corrected.",
            "horario_inicio_utc: This slot has already begun, and this telescope accepts only future slots.",
            "x: The server does not accept this: <span lang=\"pt-BR\" dir=\"auto\">deve ser outro</span>",
            "y: <span lang=\"pt-BR\" dir=\"auto\">de um servidor mais novo</span>",
        ])
    );
    assert_eq!(browser.console(), [""; 0]);
}
