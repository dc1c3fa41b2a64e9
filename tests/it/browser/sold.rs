//! Without locks a slot is sold several times, and the page shows it: the proof of the race.

use serde_json::{Value, json};

use super::axe::Axe;
use super::driver::{Browser, Turn};
use super::fixture::{as_scientist, cell, page, slot, wait_live};
use crate::common::{Server, http, scheduler_command};

/// Ten scientists request one slot at once; each of them gets it.
fn sell(scheduler: &Server) -> Vec<Value> {
    let url = format!("{}/agendamentos", scheduler.url());
    let book = |rival: u64| {
        let body = json!({"cientista_id": rival, "horario_inicio_utc": slot("03:00"), "alvo": "M31"}).to_string();
        http("POST", &url, Some(("application/json", &body)))
    };
    std::thread::scope(|scope| {
        let rivals: Vec<_> = (1..=10).map(|rival| scope.spawn(move || book(rival))).collect();
        let answers = rivals.into_iter().map(|rival| rival.join().unwrap());
        answers
            .map(|answer| {
                assert_eq!(answer.status, 201, "{}", answer.body);
                answer.json()
            })
            .collect()
    })
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_slot_that_was_sold_ten_times_says_so_and_opens_its_ten_bookings() {
    let _turn = Turn::take();
    let folder = tempfile::tempdir().unwrap();
    let mut command = scheduler_command(folder.path(), "http://127.0.0.1:9");
    let scheduler = Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "1000"]), 1);
    let browser = Browser::start().await;
    let axe = Axe::load();
    as_scientist(&browser, 7);
    browser.open(&page(&scheduler.url())).await;
    wait_live(&browser, "on").await;
    let explained = "return !document.getElementById('legend-sold').hidden";
    assert_eq!(browser.ask(explained).await, false);

    let booked = sell(&scheduler);
    let three = cell("03:00");
    browser.wait_text(&three, "×10").await;
    let label = browser.ask(&format!("return document.querySelector('{three}').ariaLabel")).await;
    assert_eq!(label, "03:00, ×10, vendido 10 vezes");
    assert_eq!(browser.ask(explained).await, true);
    browser.wait_text("#agenda-counts", "vendidos várias vezes 1").await;
    browser.click(&three).await;
    browser.wait_text("#selected", "×10 · vendido 10 vezes").await;
    let names = "return [...document.querySelectorAll('.sales summary')].map((it) => it.innerText)";
    let names = browser.ask(names).await;
    let names: Vec<_> = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(names.len(), 10);
    let marie = names.iter().position(|name| name.contains("Marie Curie")).unwrap();
    assert!(names[marie].contains(&format!("Agendamento {}", marie + 1)), "{}", names[marie]);
    axe.check(&browser, "sold").await;

    // One of them is opened. It stays open when another one is cancelled, and the number falls.
    browser.click(".sales li:last-child summary").await;
    browser.wait_text(".sales li:last-child", "M31").await;
    for (width, height, dark) in [(1280, 1180, true), (1280, 1180, false), (390, 844, true), (390, 844, false)] {
        browser.look(width, height, dark);
        axe.check(&browser, &format!("sold, {width} wide, dark {dark}")).await;
    }
    browser.look(1280, 1000, false);
    browser.ask("scrollTo(0, 0); return true").await;
    browser.picture("vendido-dez-vezes").await;
    let cancel = |booking: &Value| {
        let href = booking["_links"]["cancelar"]["href"].as_str().unwrap();
        assert_eq!(http("DELETE", &format!("{}{href}", scheduler.url()), None).status, 200);
    };
    let is_marie = |booking: &&Value| booking["cientista_id"] == 7;
    let mut others: Vec<_> = booked.iter().filter(|booking| !is_marie(booking)).collect();
    others.sort_unstable_by_key(|booking| booking["id"].as_i64());
    cancel(others.remove(0));
    browser.wait_text(&three, "×9").await;
    browser.wait_text("#selected", "vendido 9 vezes").await;
    assert_eq!(browser.ask("return document.querySelectorAll('.sales details[open]').length").await, 1);
    // When one is left, the slot is like any other.
    others.into_iter().for_each(cancel);
    browser.wait("it is Marie's", &format!("return document.querySelector('{three}').matches('.mine')")).await;
    browser.wait_text("#selected", "Marie Curie (seu)").await;
    assert_eq!(browser.ask(explained).await, false);
    browser.assert_clean(&scheduler.url());
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_note_of_the_race_covers_no_heading_and_its_week_fits_the_page() {
    let _turn = Turn::take();
    let folder = tempfile::tempdir().unwrap();
    let mut command = scheduler_command(folder.path(), "http://127.0.0.1:9");
    let scheduler = Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "1000"]), 1);
    let browser = Browser::start().await;
    browser.look(1280, 757, false);
    browser.open(&page(&scheduler.url())).await;
    wait_live(&browser, "on").await;
    sell(&scheduler);
    let three = cell("03:00");
    browser.wait_text(&three, "×10").await;
    browser.click(&three).await;
    browser.wait_text("#selected", "vendido 10 vezes").await;
    let between = "scrollTo(0, 400);
        const [note, heading] = ['mode', 'panel-title'].map((id) => document.getElementById(id).getBoundingClientRect());
        return [scrollY, note.top, heading.top >= note.bottom + 12]";
    assert_eq!(browser.ask(between).await, json!([400, 0, true]));
    for language in ["pt", "en"] {
        browser.click(&format!("[data-language={language}]")).await;
        browser.click("#as-week").await;
        let told = if language == "pt" { "1 vendido várias vezes" } else { "1 sold several times" };
        browser
            .wait(
                "what was sold",
                &format!(
                    "return document.querySelector('#week').innerText.replaceAll('\\u00a0', ' ').includes({told:?})"
                ),
            )
            .await;
        let wide = "return [document.documentElement, ...document.querySelectorAll('.totals')].filter((it) => it.scrollWidth > it.clientWidth).length";
        assert_eq!(browser.ask(wide).await, 0, "{language}");
    }
}
