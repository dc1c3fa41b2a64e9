//! Pages of other origins, in a real browser: nothing is booked, locked, published or read at either service.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::driver::{Browser, Turn};
use super::fixture::slot;
use crate::common::{Asked, Services, http, wait_until};

/// Everything that a page can send to `url`, to read or to change something. Each attack tells what the page got: `refused`
/// (nothing), `opaque` (an answer that the page cannot look into), `sent` (no answer is given to pages), or what it could read.
const ATTACKS: &str = "
    const [base, path, body] = arguments;
    const url = base + path;
    const read = async (answer) => answer.type === 'opaque' ? 'opaque' : `${answer.status} ${await answer.text()}`;
    const ask = (at, how) => fetch(at, how).then(read).catch(() => 'refused');
    const event = (target, good, bad) => new Promise((told) => {
        target.addEventListener(good, () => told(good));
        target.addEventListener(bad, () => told('refused'));
    });
    const post = (mode, body, headers = {}) => ask(url, {method: 'POST', mode, body, headers});
    const form = (kind) => new Promise((told) => {
        const frame = document.createElement('iframe');
        frame.name = kind + path;
        document.body.append(frame);
        const form = document.body.appendChild(document.createElement('form'));
        Object.assign(form, {method: 'POST', action: url, enctype: kind, target: frame.name});
        const field = form.appendChild(document.createElement('input'));
        // The field's name and value together are the body: {...,\"dono\":\"=\"} is JSON.
        [field.name, field.value] = [body.slice(0, -1) + ',\"dono\":\"', '\"}'];
        frame.addEventListener('load', () => {
            try { told(frame.contentDocument?.body.innerText || 'sent'); } catch { told('sent'); }
        });
        form.submit();
    });
    const stream = (at) => {
        const source = new EventSource(at);
        return event(source, 'open', 'error').finally(() => source.close());
    };
    const element = (name, properties) => {
        const made = Object.assign(document.createElement(name), properties);
        const told = event(made, 'load', 'error');
        document.body.append(made);
        return told;
    };
    const json = {'Content-Type': 'application/json'};
    const attacks = {
        blob: post('no-cors', new Blob([body])),
        text: post('no-cors', body),
        typed: post('cors', body, json),
        simple: post('cors', body),
        beacon: Promise.resolve(navigator.sendBeacon(url, new Blob([body])) && 'sent'),
        beaconText: Promise.resolve(navigator.sendBeacon(url, body) && 'sent'),
        formText: form('text/plain'),
        formFields: form('application/x-www-form-urlencoded'),
        events: stream(base + '/eventos?canal=invasor'),
        agenda: stream(base + '/eventos'),
        image: element('img', {src: base + '/pagina/icon.svg'}),
        script: element('script', {src: base + '/pagina/app.js'}),
        get: ask(base + '/', {}),
        getBlind: ask(base + '/', {mode: 'no-cors'}),
        remove: ask(base + '/locks/X', {method: 'DELETE'}),
        cancel: ask(base + '/agendamentos/1', {method: 'DELETE'}),
    };
    window.told = undefined;
    Promise.all(Object.entries(attacks).map(async ([name, told]) => [name, await told]))
        .then((all) => { window.told = Object.fromEntries(all); });
    return true";

/// A server of another origin, whose every page is empty. Gives its port.
fn stranger() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                let page = "<!doctype html><title>other</title><body></body>";
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
                // A browser may close a connection at any moment.
                let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
            });
        }
    });
    port
}

/// What the attacks change: each service, with a path and a body.
fn targets(services: &Services) -> [(String, &'static str, Value); 3] {
    let booking = Asked::by(7, &slot("03:00")).body().clone();
    let event = json!({"canal": "agenda", "evento": "criado", "dados": {"id": 1}});
    [
        (services.agenda(""), "/agendamentos", booking),
        (services.locks(""), "/lock", json!({"recurso": "Y"})),
        (services.locks(""), "/eventos", event),
    ]
}

/// Runs the attacks on one target, and gives what the page got by each.
async fn attack(browser: &Browser, (base, path, body): &(String, &str, Value)) -> Value {
    let arguments = vec![json!(base), json!(path), json!(body.to_string())];
    browser.client.execute(ATTACKS, arguments).await.unwrap();
    browser.wait("every attack has ended", "return window.told").await
}

/// The events that were published, by the coordinator's metrics.
fn published(services: &Services) -> Vec<String> {
    let metrics = http("GET", &services.locks("/metrics"), None).body;
    let lines = metrics.lines().filter(|line| line.contains("events_published_total{"));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// A booking and a lock, which no page of another origin may touch. Gives the events that were published until then.
fn prepare(services: &Services) -> Vec<String> {
    assert_eq!(services.book(3, &slot("06:00")).0, 201);
    let lock = json!({"recurso": "X", "ttl_ms": 300_000}).to_string();
    assert_eq!(http("POST", &services.locks("/lock"), Some(("application/json", &lock))).status, 200);
    // The scheduler's start and the booking; the booking's lock and its release, and the lock X.
    let told = |lines: &[String]| lines.len() == 2 && lines[0].ends_with(" 2") && lines[1].ends_with(" 3");
    wait_until("all of it is published", || told(&published(services)));
    published(services)
}

fn refusals(services: &Services, code: &str) -> [usize; 2] {
    ["app.log", "coordenador.log"].map(|file| services.log_lines(file, code).len())
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_page_of_another_origin_changes_and_reads_nothing() {
    let turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start_with(&["--host-resolver-rules=MAP evil.example 127.0.0.1"]).await;
    let (port, before) = (stranger(), prepare(&services));
    // Another port of the same host, another name of it, and another site.
    for host in ["127.0.0.1", "localhost", "evil.example"] {
        browser.client.goto(&format!("http://{host}:{port}/")).await.unwrap();
        let seen = refusals(&services, "origem_recusada");
        for target in targets(&services) {
            let told = attack(&browser, &target).await;
            for (name, got) in told.as_object().unwrap() {
                let got = got.as_str().unwrap();
                assert!(["refused", "opaque", "sent"].contains(&got), "{host} {} {name}: {got}", target.1);
            }
        }
        // They have reached both services.
        let now = refusals(&services, "origem_recusada");
        assert!(now[0] >= seen[0] + 8 && now[1] >= seen[1] + 16, "{host}: {seen:?} {now:?}");
    }
    nothing_happened(&services, &before);
    drop(turn);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_page_whose_name_was_rebound_changes_and_reads_nothing() {
    let turn = Turn::take();
    let services = Services::start(&[]);
    let browser = Browser::start_with(&["--host-resolver-rules=MAP evil.example 127.0.0.1"]).await;
    let before = prepare(&services);
    for (base, path, body) in targets(&services) {
        let base = base.replace("127.0.0.1", "evil.example");
        // To the browser this is one origin with the service, so the page may read every answer.
        browser.client.goto(&format!("{base}/")).await.unwrap();
        let shown = browser.text("body").await;
        assert!(shown.contains("host_recusado") && !shown.contains("_links"), "{shown}");
        let told = attack(&browser, &(base, path, body)).await;
        for (name, got) in told.as_object().unwrap() {
            let got = got.as_str().unwrap();
            let refused = ["refused", "sent"].contains(&got) || got.contains("\"host_recusado\"");
            assert!(refused && !got.contains("_links"), "{path} {name}: {got}");
        }
        assert!(told["typed"].as_str().unwrap().starts_with("421 "), "{told}");
    }
    nothing_happened(&services, &before);
    drop(turn);
}

/// The agenda, the locks and the channels are as they were.
#[track_caller]
fn nothing_happened(services: &Services, published_before: &[String]) {
    let bookings = services.list("");
    assert_eq!(bookings.len(), 1, "{bookings:?}");
    assert_eq!(bookings[0]["status"], "AGENDADO");
    let locks = http("GET", &services.locks("/locks"), None).json();
    let names: Vec<&Value> = locks["travas"].as_array().unwrap().iter().map(|lock| &lock["recurso"]).collect();
    assert!(names.contains(&&json!("X")) && !names.contains(&&json!("Y")), "{locks}");
    assert_eq!(published(services), published_before);
    assert!(!http("GET", &services.locks("/metrics"), None).body.contains("invasor"));
}
