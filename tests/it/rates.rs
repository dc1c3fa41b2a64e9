//! How many requests each client may make: what counts and what does not, who has no limit, and what is said of a refusal.
//!
//! A rate gives back at least one request a second, so no test relies on a refusal at the second request: it asks until it is refused,
//! or reads from the headers how much is left. A batch leaves a debt that lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::common::access::give;
use crate::common::stranger::head_from_elsewhere;
use crate::common::{
    Answer, Locks, Server, Services, http, http_with, peer, run, scheduler_command, sctec, wait_until,
};

/// A rate that is used up at once.
const TINY: [&str; 4] = ["--rate", "1", "--burst", "3"];
const POLICY: &str = "\"requisicoes\";q=3;w=3";

/// What an answer says that its client has left.
fn left(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit")
}

/// Asks until the service takes no more, and gives the refusal.
fn refused(ask: impl Fn() -> Answer) -> Answer {
    (0..100).map(|_| ask()).find(|answer| answer.status == 429).expect("a refusal")
}

fn as_bearer(method: &str, url: &str, token: &str) -> Answer {
    http_with(method, url, None, &[("Authorization", &format!("Bearer {token}"))])
}

/// How many clients a service has turned away for their haste.
fn turned_away(url: &str) -> u64 {
    let text = http("GET", &format!("{url}/metrics"), None).body;
    let line = text.lines().find(|line| line.contains("turned_away_total{reason=\"TooFast\"}")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// Uses up the rate of this machine at a coordinator, for a quarter of an hour.
fn use_up(coordinator: &str) {
    let operations = vec![json!({"op": "unlock", "recurso": "X"}); 1024];
    let body = json!({ "operacoes": operations }).to_string();
    let answer = http("POST", &format!("{coordinator}/lote"), Some(("application/json", &body)));
    let left = left(&answer).unwrap();
    // A scheduler on this machine may have made a request or two before.
    assert!(answer.status == 200 && left.starts_with("\"requisicoes\";r=0;t=10"), "{left}");
    let refusal = http("GET", &format!("{coordinator}/locks"), None);
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    assert!(refusal.status == 429 && (900..=1024).contains(&wait), "{wait}");
}

#[test]
fn a_client_that_makes_too_many_requests_is_told_when_to_come_back() {
    let services = Services::start(&TINY);
    let time = || http("GET", &services.agenda("/time"), None);
    let first = time();
    assert_eq!((first.status, left(&first)), (200, Some("\"requisicoes\";r=2;t=2")));
    assert_eq!(first.header("ratelimit-policy"), Some(POLICY));
    let refusal = refused(time);
    assert_eq!((left(&refusal), refusal.header("retry-after")), (Some("\"requisicoes\";r=0;t=1"), Some("1")));
    assert_eq!(refusal.header("ratelimit-policy"), Some(POLICY));
    assert_eq!(refusal.header("content-type"), Some("application/problem+json"));
    let problem = refusal.json();
    assert_eq!(problem["codigo"], "requisicoes_demais");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("Deste endereço vieram") && detail.ends_with("tente de novo em 1 s."), "{detail}");
    // It is told to the log once in a while, and counted always.
    refused(time);
    assert!(turned_away(&services.scheduler.url()) >= 2);
    let lines = services.log_lines_of_refusals();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("o endereço 127.0.0.1 passou da sua taxa (--rate 1)"), "{}", lines[0]);
    // A client that waits is served.
    wait_until("the rate gives a request back", || time().status == 200);
}

impl Services {
    /// The log's lines about clients that were refused for their haste, once there is one.
    fn log_lines_of_refusals(&self) -> Vec<String> {
        let of_haste = |line: &String| line.contains("429 requisicoes_demais");
        self.wait_for_log("app.log", |lines| lines.iter().any(of_haste));
        self.read_log("app.log").into_iter().filter(of_haste).collect()
    }
}

#[test]
fn what_watches_and_what_gives_back_does_not_depend_on_the_rest() {
    let services = Services::start(&TINY);
    refused(|| http("GET", &services.agenda("/time"), None));
    for path in ["/saude", "/pronto", "/metrics", "/pagina/app.js"] {
        for _ in 0..10 {
            let answer = http("GET", &services.agenda(path), None);
            assert_eq!((answer.status, left(&answer)), (200, None), "{path}");
        }
    }
    let cancelled = http("DELETE", &services.agenda("/agendamentos/1"), None);
    assert_eq!((cancelled.status, left(&cancelled)), (404, Some("\"reserva\";r=2;t=2")));
    // What leads nowhere counts too.
    assert_eq!(refused(|| http("GET", &services.agenda("/nada"), None)).status, 429);
    refused(|| http("OPTIONS", &services.agenda("/time"), None));
    // And another address has a rate of its own.
    let head = head_from_elsewhere(&services.scheduler.url(), "/eventos");
    assert!(head[0].contains(" 200 "), "{head:?}");
    assert!(
        head.contains(&"ratelimit: \"requisicoes\";r=2;t=2".to_owned()),
        "a stream counts when it begins: {head:?}"
    );
}

#[test]
fn many_questions_whether_it_is_ready_are_few_for_the_coordinator() {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let coordinator = peer::start(move |_, path, _| {
        counted.fetch_add(u64::from(path == "/pronto"), Ordering::Relaxed);
        (200, json!({"status": "pronto", "partes": {"carencia": "ok", "tokens": "ok"}}))
    });
    let folder = tempfile::tempdir().unwrap();
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &coordinator), 1);
    let ready = format!("{}/pronto", scheduler.url());
    let begun = Instant::now();
    let many: Vec<_> = (0..8)
        .map(|_| {
            let ready = ready.clone();
            std::thread::spawn(move || (0..50).all(|_| http("GET", &ready, None).status == 200))
        })
        .collect();
    assert!(many.into_iter().all(|one| one.join().unwrap()));
    // One at the beginning, and one for each second.
    let most = begun.elapsed().as_secs() + 1;
    let asked = asked.load(Ordering::Relaxed);
    assert!((1..=most).contains(&asked), "{asked} of {most}");
}

#[test]
fn a_page_of_another_site_cannot_use_up_the_rate_of_its_visitor() {
    let services = Services::start(&TINY);
    let url = services.agenda("/time");
    for _ in 0..10 {
        let answer = http_with("GET", &url, None, &[("Origin", "http://evil.example")]);
        assert_eq!((answer.status, left(&answer)), (403, None));
        let answer = http_with("GET", &url, None, &[("Host", "evil.example")]);
        assert_eq!((answer.status, left(&answer)), (421, None));
    }
    assert_eq!(left(&http("GET", &url, None)), Some("\"requisicoes\";r=2;t=2"));
}

#[test]
fn a_principal_has_one_rate_and_who_guesses_tokens_uses_up_that_of_the_address() {
    let services = Services::start(&[&["--access", "token"], &TINY[..]].concat());
    let [ana, again, rui] = [("ana", 1), ("ana", 1), ("rui", 2)].map(|(name, scientist)| {
        let scientist = scientist.to_string();
        give(services.data_dir(), &[name, "--role", "cientista", "--scientist", &scientist]).token
    });
    let url = services.agenda("/telescopios");
    // A token that the service has not read yet counts at the address.
    for token in [&ana, &again, &rui] {
        wait_until("it knows the token", || {
            as_bearer("GET", &services.agenda("/sessao"), token).json()["identificacao"] == "token"
        });
    }
    let guess = || as_bearer("GET", &url, "sctec_0000000000000000000000000000000000000000000000000");
    let refusal = refused(guess);
    assert!(refusal.json()["detail"].as_str().unwrap().starts_with("Deste endereço vieram"));
    refused(|| http("POST", &services.agenda("/sessao"), Some(("application/json", "{}"))));
    // Those who are known at the same address go on, each with a rate of its own.
    for (name, token) in [("ana", &ana), ("rui", &rui)] {
        wait_until("its own rate gives a request back", || {
            refused(guess);
            let answer = as_bearer("GET", &url, token);
            assert!(answer.status == 200 || answer.body.contains(&format!("De {name} vieram")), "{}", answer.body);
            answer.status == 200
        });
    }
    // Two tokens of one principal share its rate, and what gives something back has its own.
    let refusal = refused(|| as_bearer("GET", &url, &again));
    assert!(refusal.json()["detail"].as_str().unwrap().starts_with("De ana vieram"), "{}", refusal.body);
    assert_eq!(left(&as_bearer("DELETE", &services.agenda("/agendamentos/1"), &ana)), Some("\"reserva\";r=2;t=2"));
    assert_eq!(left(&as_bearer("DELETE", &services.agenda("/agendamentos/1"), &again)), Some("\"reserva\";r=1;t=1"));
    // What everybody gets in any case, a client with a wrong token gets too.
    for _ in 0..10 {
        assert_eq!(as_bearer("GET", &services.agenda("/saude"), "sctec_x").status, 200);
    }
}

#[test]
fn only_who_says_who_it_is_has_a_rate_on_this_machine_by_default() {
    let services = Services::start(&[]);
    for url in [services.agenda("/"), services.locks("/")] {
        let answer = http("GET", &url, None);
        assert_eq!((answer.status, left(&answer), answer.header("ratelimit-policy")), (200, None, None), "{url}");
    }
    let asking = Services::start(&["--access", "token"]);
    let answer = http("GET", &asking.agenda("/"), None);
    assert_eq!((answer.status, left(&answer)), (200, None), "most of the burst is left");
    let some = Services::start(&["--access", "token", "--burst", "2"]);
    let answer = http("GET", &some.agenda("/"), None);
    assert_eq!(left(&answer), Some("\"requisicoes\";r=1;t=1"));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"requisicoes\";q=2;w=1"));
    let off = Services::start(&["--access", "token", "--rate", "0"]);
    assert_eq!(left(&http("GET", &off.agenda("/"), None)), None);
}

#[test]
fn a_scheduler_that_the_coordinator_refuses_books_nothing_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut gate = crate::common::coordinator_command(folder.path(), "127.0.0.1:0");
    let gate = Server::spawn(gate.args(TINY), 1);
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &gate.url()), 1);
    let services = Services::of(scheduler, gate, folder);
    use_up(&services.coordinator.url());
    let (status, problem) = services.book(1, "2031-05-06T03:00:00Z");
    assert_eq!((status, &problem["codigo"]), (503, &json!("coordenador_indisponivel")));
    assert!(problem["detail"].as_str().unwrap().contains("a taxa dele"), "{problem}");
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 0);
    let why = "Coordenador indisponível: ";
    services.wait_for_log("app.log", |lines| {
        lines.iter().any(|line| line.contains(why) && line.contains("--coordinator-token-file"))
    });
    // What was locked can be released all the same.
    let body = Some(("application/json", r#"{"recurso": "X"}"#));
    let released = http("POST", &services.locks("/unlock"), body);
    assert_eq!((released.status, left(&released)), (200, Some("\"reserva\";r=2;t=2")));
    let renewed = http("POST", &services.locks("/renew"), Some(("application/json", "{}")));
    assert_eq!((renewed.status, left(&renewed)), (422, Some("\"reserva\";r=1;t=1")));
    let taken = http("DELETE", &services.locks("/locks/X"), None);
    assert_eq!((taken.status, left(&taken)), (404, Some("\"reserva\";r=0;t=1")));
    for path in ["/saude", "/pronto", "/metrics", "/desafio"] {
        let answer = http("GET", &services.locks(path), None);
        assert!(answer.status != 429 && left(&answer).is_none(), "{path}: {}", answer.status);
    }
    assert!(turned_away(&services.coordinator.url()) >= 1);
}

#[test]
fn a_scheduler_with_the_secret_has_no_limit() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("between.secret");
    assert!(run(&["token", "secret", secret.to_str().unwrap()]).status.success());
    let option = ["--coordinator-token-file", secret.to_str().unwrap()];
    let mut gate = crate::common::coordinator_command(folder.path(), "127.0.0.1:0");
    let gate = Server::spawn(gate.args(option).args(TINY), 1);
    let mut scheduler = scheduler_command(folder.path(), &gate.url());
    let scheduler = Server::spawn(scheduler.args(option), 1);
    let services = Services::of(scheduler, gate, folder);
    use_up(&services.coordinator.url());
    for slot in 0..10 {
        let (status, booking) = services.book(1, &format!("2031-05-06T03:{:02}:00Z", slot * 5));
        assert_eq!(status, 201, "{booking}");
    }
}

#[test]
fn the_two_services_of_one_process_know_each_other() {
    let server = Server::start(
        &[
            &["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0", "--data-dir", "data"],
            &["--rate", "1", "--burst", "20"][..],
        ]
        .concat(),
    );
    use_up(&server.url_of("servico-coordenador"));
    for slot in 0..10 {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": format!("2031-05-06T03:{:02}:00Z", slot * 5)});
        let url = format!("{}/agendamentos", server.url_of("servico-agendamento"));
        assert_eq!(http("POST", &url, Some(("application/json", &body.to_string()))).status, 201);
    }
}

#[test]
fn the_tools_say_what_happened_and_what_to_do() {
    let locks = Locks::start_with(&TINY);
    use_up(&locks.server.url());
    let coordinator = locks.server.url();
    for (command, status) in [("lock", 125), ("locks", 2)] {
        let mut tool = sctec();
        tool.args([command, "--coordinator", &coordinator]);
        if command == "lock" {
            tool.args(["X", "--", "true"]);
        }
        let said = tool.output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(status), "{command}: {text}");
        let expected = "answered 429: it takes no more requests from one client in this time: \"Deste endereço vieram";
        assert!(text.contains(expected) && text.contains("ask the operator for a higher --rate"), "{command}: {text}");
    }
    let services = Services::start(&["--rate", "1", "--burst", "20"]);
    let run = sctec().args(["stress", "--n", "200", "--json", "--url", &services.scheduler.url()]).output().unwrap();
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    assert!(report["statuses"]["429"].as_u64().unwrap() > 100, "{report}");
    assert!(report["outcomes"]["requisicoes_demais"].as_u64().unwrap() > 100, "{report}");
    let run = sctec().args(["stress", "--n", "200", "--url", &services.scheduler.url()]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("--rate"), "{said}");
}

#[test]
fn the_document_says_of_each_endpoint_in_which_count_it_is() {
    use sctec::http::rates::Share;
    let endpoints = sctec::scheduler::endpoints().chain(sctec::coordinator::endpoints());
    for endpoint in endpoints {
        let (method, path) = (endpoint.method.as_str(), endpoint.path);
        let expected = match (method, path) {
            ("DELETE", _) | ("POST", "/unlock" | "/renew") => Share::Reserve,
            ("GET", "/saude" | "/pronto" | "/metrics" | "/desafio" | "/pagina/{*arquivo}") => Share::Free,
            _ => Share::Ordinary,
        };
        assert_eq!(endpoint.share, expected, "{method} {path}");
    }
    let document = include_str!("../../docs/API.md");
    let (_, table) = document.split_once("| conta | o que conta nela |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take(3).collect();
    for (row, named) in [
        (1, &["`POST /renew`", "`POST /unlock`", "todo `DELETE`"][..]),
        (2, &["`GET /saude`", "`GET /pronto`", "`GET /metrics`", "`GET /desafio`", "arquivos da página"]),
    ] {
        assert!(named.iter().all(|name| rows[row].contains(name)), "{}", rows[row]);
    }
}
