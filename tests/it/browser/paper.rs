//! The page on paper.

use serde_json::json;

use super::driver::{Browser, Turn};
use super::{DAY, as_scientist, cell, page, wait_live};
use crate::common::Services;

/// In centimetres, standing.
const A4: (f64, f64) = (21.0, 29.7);
const LETTER: (f64, f64) = (21.59, 27.94);
const A5: (f64, f64) = (14.8, 21.0);
/// What browsers leave around a page: a centimetre, or half an inch.
const MARGINS: [f64; 2] = [1.0, 1.27];

/// A day without a gap: bookings of one slot and of several, with names and targets longer than their places.
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
    let _turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start().await;
    as_scientist(&browser, 7);
    // The clocks of this zone's name are as long as any.
    browser.zone("Pacific/Chatham");
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
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
    // With a dialog open, and a selection, all the same.
    browser.click(&cell("10:00")).await;
    browser.wait("its links", "return document.querySelector('[data-focus=cancel]')").await;
    browser.click("[data-focus=cancel]").await;
    browser.wait_text("dialog", "Cancel").await;
    assert_eq!(browser.sheets(A4, true, 1.0), 1);
    // Small paper takes more than one: each has the minutes over its columns.
    assert!(browser.sheets(A5, true, 1.0) > 1);
    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    let heads = "const { display, breakInside } = getComputedStyle(document.querySelector('.grid .head')); return [display, breakInside]";
    assert_eq!(browser.ask(heads).await, json!(["table-header-group", "avoid"]));
    browser.assert_clean(&services.agenda(""));
}
