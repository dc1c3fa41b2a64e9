//! The page on paper.

use fantoccini::key::Key;
use serde_json::json;

use super::fixture::{DAY, as_scientist, cell, open, page, shift, start, wait_links};
use crate::common::Services;

/// Width and height in centimetres, portrait.
const A4: (f64, f64) = (21.0, 29.7);
const LETTER: (f64, f64) = (21.59, 27.94);
const A5: (f64, f64) = (14.8, 21.0);
/// The margins that browsers leave: a centimetre, or half an inch.
const MARGINS: [f64; 2] = [1.0, 1.27];

/// Books a whole day without a gap, with bookings of one and of several slots. Names and targets are longer than their places.
fn fill(services: &Services) {
    let mut minute = 0;
    while minute < 1440 {
        let duration = [5, 10, 5, 40, 75][minute / 5 % 5].min(1440 - minute);
        let body = json!({
            "cientista_id": minute / 5 % 10 + 1, "duracao_min": duration,
            "horario_inicio_utc": format!("{DAY}T{:02}:{:02}:00Z", minute / 60, minute % 60),
            "alvo": "Uma nebulosa de nome mais comprido do que qualquer horário",
        });
        let (status, answer) = services.book_with(&body);
        assert_eq!(status, 201, "{answer}");
        minute += duration;
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_day_is_one_sheet_of_a4_or_letter() {
    let (_turn, services, browser) = start(&[]).await;
    as_scientist(&browser, 7);
    // The name of this zone is one of the longest, GMT+13:45.
    browser.zone("Pacific/Chatham");
    open(&services, &browser).await;
    for full in [false, true] {
        if full {
            fill(&services);
            browser.wait("all of it", "return !document.querySelector('[data-slot].free')").await;
        }
        for language in ["pt", "en"] {
            browser.click(&format!("[data-language={language}]")).await;
            for local in [false, true] {
                let tick = format!(
                    "const it = document.getElementById('local'); if (it.checked !== {local}) it.click(); return true"
                );
                browser.ask(&tick).await;
                browser.settle().await;
                for (paper, name) in [(A4, "A4"), (LETTER, "Letter")] {
                    for margin in MARGINS {
                        for landscape in [true, false] {
                            let state = format!(
                                "{name}, {margin} cm, landscape {landscape}, {language}, local {local}, full {full}"
                            );
                            assert_eq!(browser.sheets(paper, landscape, margin), 1, "{state}");
                        }
                    }
                }
            }
        }
    }
    // An open dialog and a selection change nothing.
    browser.click(&cell("10:00")).await;
    wait_links(&browser).await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", "Cancel").await;
    assert_eq!(browser.sheets(A4, true, 1.0), 1);
    // Small paper takes more than one sheet, and each has the row of minutes.
    assert!(browser.sheets(A5, true, 1.0) > 1);
    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    let heads = "const { display, breakInside } = getComputedStyle(document.querySelector('.grid .head')); return [display, breakInside]";
    assert_eq!(browser.ask(heads).await, json!(["table-header-group", "avoid"]));
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn on_paper_the_ink_is_dark_whatever_theme_was_chosen() {
    let (_turn, services, browser) = start(&[]).await;
    browser.before_load("localStorage.sctec = JSON.stringify({theme: 'dark'})");
    browser.open(&page(&services.agenda(""))).await;
    let ink = "return [getComputedStyle(document.body).color, getComputedStyle(document.querySelector('.free')).transitionProperty]";
    assert_eq!(browser.ask(ink).await[0], "rgb(232, 236, 246)");
    // What is selected is no part of the agenda.
    browser.ask(&format!("document.querySelector('{}').focus(); return true", cell("10:00"))).await;
    browser.press(&[shift(Key::Right)]).await;
    browser.wait("the selection", "return document.querySelectorAll('[aria-selected=true]').length === 2").await;
    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    assert_eq!(browser.ask(ink).await, json!(["rgb(27, 36, 55)", "none"]));
    let looks = format!(
        "return ['{}', '{}', '{}'].map((it) => {{
             const {{ backgroundColor, boxShadow, outlineStyle }} = getComputedStyle(document.querySelector(it));
             return [backgroundColor, boxShadow, outlineStyle].join();
         }})",
        cell("10:00"),
        cell("10:05"),
        cell("10:10")
    );
    let looks = browser.ask(&looks).await;
    assert_eq!((&looks[0], &looks[1]), (&looks[2], &looks[2]));
}
