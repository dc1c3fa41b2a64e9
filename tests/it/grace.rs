//! The coordinator's grace after a crash: every answer and every tool says how long it still lasts.

use std::process::Output;

use serde_json::{Value, json};

use crate::common::{Answer, Server, Services, coordinator_command, http, peer, run, scheduler_command, wait_until};

const START: &str = "2031-01-01T03:00:00Z";
const JSON: &str = "application/json";

/// Services whose coordinator crashed while another client had a lock for `ttl_ms`, and was started again on its port.
fn after_a_crash(ttl_ms: u64) -> Services {
    let mut services = Services::start(&[]);
    let held = json!({"recurso": "X", "ttl_ms": ttl_ms}).to_string();
    assert_eq!(http("POST", &services.locks("/lock"), Some((JSON, &held))).status, 200);
    restart(&mut services);
    services
}

fn restart(services: &mut Services) {
    services.coordinator.kill();
    let address = services.coordinator.url()["http://".len()..].to_owned();
    services.coordinator = Server::spawn(&mut coordinator_command(services.data_dir(), &address), 1);
}

/// The seconds that an answer of 503 says are left, everywhere where it says it.
fn told(answer: &Answer, words: &str) -> u64 {
    assert_eq!(answer.status, 503, "{}", answer.body);
    let seconds = seconds_of(&answer.json());
    assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()), "{}", answer.body);
    assert!(words.contains(&format!(": faltam {seconds} s")), "{seconds}: {words}");
    seconds
}

/// The rest of the grace in a document, in seconds.
fn seconds_of(document: &Value) -> u64 {
    let left_ms = document["carencia_resta_ms"].as_u64();
    left_ms.unwrap_or_else(|| panic!("it does not say how long: {document}")).div_ceil(1000)
}

/// The seconds that a tool says are left.
fn said(text: &str) -> u64 {
    let (before, _) = text.split_once(" s left").unwrap_or_else(|| panic!("it does not say how long: {text}"));
    let (_, seconds) = before.rsplit_once("until earlier locks have expired: ").unwrap_or_else(|| panic!("{text}"));
    seconds.parse().unwrap()
}

fn printed(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn in_the_grace_every_answer_says_how_long_it_lasts() {
    let mut services = Services::start(&[]);
    let (_, booking) = services.book(1, START);
    let held = json!({"recurso": "X", "ttl_ms": 300_000}).to_string();
    assert_eq!(http("POST", &services.locks("/lock"), Some((JSON, &held))).status, 200);
    restart(&mut services);
    let detail = |answer: &Answer| answer.json()["detail"].as_str().unwrap().to_owned();
    let mut left = Vec::new();

    let lock = http("POST", &services.locks("/lock"), Some((JSON, r#"{"recurso": "Y"}"#)));
    left.push(told(&lock, &detail(&lock)));
    let batch =
        http("POST", &services.locks("/lote"), Some((JSON, r#"{"operacoes": [{"op": "lock", "recurso": "Y"}]}"#)));
    left.push(seconds_of(&batch.json()["respostas"][0]));
    let ready = http("GET", &services.locks("/pronto"), None);
    let part = ready.json()["partes"]["carencia"].as_str().unwrap().to_owned();
    left.push(told(&ready, &format!("carencia: {part}")));
    left.push(seconds_of(&http("GET", &services.locks("/saude"), None).json()));

    let body = json!({"cientista_id": 1, "horario_inicio_utc": "2031-01-01T04:00:00Z"}).to_string();
    let book = http("POST", &services.agenda("/agendamentos"), Some((JSON, &body)));
    assert_eq!(book.json()["codigo"], "coordenador_indisponivel");
    left.push(told(&book, &detail(&book)));
    let cancel = services.follow(&booking, "cancelar");
    left.push(told(&cancel, &detail(&cancel)));
    let ready = http("GET", &services.agenda("/pronto"), None);
    let part = ready.json()["partes"]["coordenador"].as_str().unwrap().to_owned();
    left.push(told(&ready, &part));

    // They were told one after the other, of one grace.
    assert!(left.iter().all(|seconds| (200..=300).contains(seconds)) && left.is_sorted_by(|a, b| a >= b), "{left:?}");
    let logged = services.log_lines("app.log", "Coordenador indisponível: em carência, faltam ");
    assert_eq!(logged.len(), 2, "{logged:?}");
    let logged = services.log_lines("coordenador.log", "Em carência, negando lock");
    assert!(logged.len() == 4 && logged.iter().all(|line| line.contains(" falta_ms=2")), "{logged:?}");
}

#[test]
fn in_the_grace_every_tool_says_how_long_it_lasts() {
    let services = after_a_crash(300_000);
    let (agenda, locks) = (services.scheduler.url(), services.coordinator.url());
    for (arguments, status) in [
        (&["health", &locks][..], 0),
        (&["health", "--ready", &locks], 1),
        (&["health", "--ready", &agenda], 1),
        (&["lock", "Y", "--coordinator", &locks, "--", "true"], 125),
        (&["stress", "--n", "10", "--url", &agenda], 1),
        (&["stress", "--n", "10", "--json", "--url", &agenda], 1),
    ] {
        let output = run(arguments);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!((200..=300).contains(&said(&text)), "{text}");
        // Once, and in one language.
        if arguments[0] == "health" {
            assert!(text.matches(" s left").count() == 1 && !text.contains("faltam"), "{text}");
        }
    }
    for (arguments, status) in
        [(&["locks", "--url", &locks][..], 0), (&["locks", "--url", &locks, "--release", "X"], 1)]
    {
        let output = run(arguments);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.contains("it does not list earlier locks, which may be in use for "), "{text}");
    }
    let listed = run(&["locks", "--json", "--url", &locks]);
    assert!((200..=300).contains(&seconds_of(&serde_json::from_slice(&listed.stdout).unwrap())), "{listed:?}");
    let report = run(&["stress", "--n", "10", "--json", "--url", &agenda]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert!(report["reasons"]["503"].as_str().unwrap().ends_with(" s left"), "{report}");
    assert!((200_000..=300_000).contains(&report["grace_left_ms"].as_u64().unwrap()), "{report}");
}

#[test]
fn the_grace_hides_no_other_reason() {
    let url = peer::start(|_, path, body| {
        if path == "/lote" {
            let too_far = json!({"status": 422, "codigo": "token_minimo_distante", "detail": "longe demais"});
            let operations = body["operacoes"].as_array().unwrap().iter();
            (200, json!({"respostas": operations.map(|_| too_far.clone()).collect::<Vec<_>>()}))
        } else {
            let parts = json!({"carencia": "faltam 9 s", "parada": "ok", "tokens": "o disco está cheio"});
            (503, json!({"status": "indisponivel", "partes": parts, "carencia_resta_ms": 8812}))
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &url), 1);
    let told = || {
        let ready = http("GET", &format!("{}/pronto", scheduler.url()), None);
        assert_eq!((ready.status, ready.header("retry-after")), (503, Some("9")), "{}", ready.body);
        ready.json()["partes"]["coordenador"].as_str().unwrap().to_owned()
    };
    let without_tokens = told();
    assert!(without_tokens.ends_with(": faltam 9 s; tokens: o disco está cheio"), "{without_tokens}");
    // Nor does it hide that the tokens do not fit, which a booking finds out.
    let body = json!({"cientista_id": 1, "horario_inicio_utc": START}).to_string();
    let booked = http("POST", &format!("{}/agendamentos", scheduler.url()), Some((JSON, &body)));
    assert_eq!(booked.json()["codigo"], "coordenador_indisponivel", "{}", booked.body);
    let both = told();
    assert!(both.starts_with(&without_tokens) && both.contains("no último pedido de trava: "), "{both}");
}

#[test]
fn after_the_grace_nothing_speaks_of_it_any_more() {
    let services = after_a_crash(1500);
    wait_until("the grace is over", || services.book(1, START).0 == 201);
    for url in [services.locks("/pronto"), services.locks("/saude"), services.agenda("/pronto")] {
        let answer = http("GET", &url, None);
        assert_eq!((answer.status, &answer.json()["carencia_resta_ms"]), (200, &Value::Null), "{url}");
    }
    for url in [services.scheduler.url(), services.coordinator.url()] {
        assert!(!printed(&run(&["health", "--ready", &url])).contains("left"));
    }
}
