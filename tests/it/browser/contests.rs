//! A contest that the page has lost: its click brings a time token, the contest is shown as it was decided, and the receipt can be saved.

use std::time::Duration;

use serde_json::json;

use super::axe::Axe;
use super::driver::Browser;
use super::fixture::{cell, clock_error, close_dialog, marie, slot};
use crate::common::Services;
use crate::contests::Client;

/// What the page gives to the browser to save.
const SAVED: &str =
    "URL.createObjectURL = (blob) => { blob.text().then((text) => (window.saved = text)); return 'blob:saved'; };";

/// Sends the form for a slot while a rival far away, who has clicked before, sends a booking too. Whether the page shows a contest of both: on a
/// busy machine one of them may come after the window.
async fn lose(services: &Services, browser: &Browser, far: &Client, time: &str) -> bool {
    browser.click(&cell(time)).await;
    browser.wait("the form", "return document.querySelector('dialog[open] form')").await;
    let body = json!({"cientista_id": 9, "horario_inicio_utc": slot(time), "token_hora": far.token});
    let script = format!(
        "const body = {body};
         body.instante_clique_utc = new Date(Date.now() - 60).toISOString();
         const rival = fetch('/agendamentos', {{
             method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: JSON.stringify(body)
         }});
         document.querySelector('dialog button[type=submit]').click();
         return rival.then((answer) => answer.status)"
    );
    let status = browser.ask(&script).await;
    browser.wait("the outcome", "return document.querySelector('dialog .outcome')").await;
    let shown = "return new Promise((done) => {
        const begun = performance.now();
        const look = () => {
            const there = Boolean(document.querySelector('dialog .contest'));
            if (there || performance.now() - begun > 10000) done(there);
            else setTimeout(look, 50);
        };
        look();
    })";
    let is_contested = browser.ask(shown).await == json!(true);
    assert_eq!(services.list(&format!("?de={}", slot(time)))[0]["horario_inicio_utc"], slot(time));
    status == json!(201) && is_contested
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_contest_is_shown_as_it_was_decided_and_its_receipt_is_saved() {
    let (_turn, services, browser) = marie(SAVED).await;
    clock_error(&browser).await;
    let far = Client::at(&services.agenda(""), Duration::from_millis(280));
    let mut lost = None;
    for hour in 3..20 {
        let time = format!("{hour:02}:00");
        if lose(&services, &browser, &far, &time).await {
            lost = Some(time);
            break;
        }
        close_dialog(&browser).await;
    }
    let time = lost.expect("the page and its rival never came within one window");
    browser.wait_text("dialog .contest li.won", "Vera Rubin · venceu").await;
    browser.wait_text("dialog .contest li.lost", "Marie Curie · o seu pedido").await;
    browser.wait_text("dialog .contest h3", "A disputa: 2 pedidos").await;
    browser.wait_text("dialog .contest li.won", "clique 0,0 ms, chegada").await;
    // The line of the first click begins before the others.
    let from = "return [...document.querySelectorAll('dialog .contest .line')].map((it) => Number(it.style.getPropertyValue('--from')))";
    let from = browser.ask(from).await;
    assert!(from[0] == json!(0) && from[1].as_f64() > Some(0.0), "{from}");
    let axe = Axe::load();
    for (width, dark) in [(320, true), (320, false), (1280, true), (1280, false)] {
        browser.look(width, 900, dark);
        axe.check(&browser, &format!("a contest, {width} wide, dark {dark}")).await;
        browser.ask("document.querySelector('dialog .contest').scrollIntoView(); return true").await;
        browser.picture(&format!("disputa-{width}-{dark}")).await;
        let cut = "return [...document.querySelectorAll('dialog .contest *')].filter((it) => it.scrollWidth > it.clientWidth + 1 && it.clientWidth).length";
        assert_eq!(browser.ask(cut).await, json!(0), "{width} wide, something is cut off");
    }
    browser.ask("[...document.querySelectorAll('dialog button')].find((it) => it.textContent === 'Salvar o recibo').click(); return true").await;
    let saved = browser.wait("the receipt", "return window.saved").await;
    let booking = &services.list(&format!("?de={}", slot(&time)))[0];
    let contest = services.follow(booking, "disputa").json();
    let own = "return JSON.parse(atob(window.saved.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).req";
    assert_eq!(browser.ask(own).await, contest["entradas"][1]["req"], "{saved}");
    assert_eq!(contest["entradas"][1]["ida_volta_de"], "token", "the page has brought its time token");
}
