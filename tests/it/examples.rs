//! The examples do what they say, as a person would run them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use sctec::http::router::Endpoint;

use crate::common::{Server, Services, coordinator_command, deaf, http, http_with, nobody, run, signal};
use crate::observing::renamed;

#[test]
#[ignore = "needs curl and jq"]
fn the_api_from_a_shell() {
    let services = Services::start(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agendar.sh");
    let output = Command::new("bash").arg(script).arg(format!("{}/", services.scheduler.url())).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    for expected in
        ["booked:", "number 1, Hubble-Acad", "a rival is told:              409", "CANCELADO at ", "no link, so no"]
    {
        assert!(stdout.contains(expected), "{expected} in {stdout}");
    }
}

#[test]
fn a_client_of_thirty_lines_finds_books_and_cancels() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cliente.py");
    let ask = |url: &str, scientist: &str| {
        let output = Command::new("python3").arg(&script).args([url, scientist]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (status, said, wrong) = ask(&services.agenda(""), "7");
    assert_eq!((status, wrong.as_str()), (0, ""), "{said}");
    let booking = http("GET", &services.agenda("/agendamentos/1"), None).json();
    assert_eq!((&booking["status"], &booking["cientista_id"]), (&"CANCELADO".into(), &7.into()));
    let start = booking["horario_inicio_utc"].as_str().unwrap();
    assert!(start > booking["criado_em_utc"].as_str().unwrap(), "it is still to come: {booking}");
    assert!(said.starts_with(&format!("agendado:  1 Hubble-Acad {start}\ncancelado: 1 CANCELADO ")), "{said}");
    // The same scheduler, whose paths all have other names.
    let (status, said, wrong) = ask(&renamed(&services), "7");
    assert_eq!((status, wrong.as_str()), (0, ""), "{said}");
    let (status, _, wrong) = ask(&services.agenda(""), "77");
    assert!(status == 1 && wrong.starts_with("404: Não existe cientista com o número 77"), "{wrong}");
    let (status, _, wrong) = ask(&nobody(), "7");
    assert!(status == 1 && wrong.contains("não responde: "), "{wrong}");
}

#[test]
#[ignore = "needs curl and jq"]
fn an_observatory_from_nothing() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/observatorio.sh");
    let run = |url: &str| {
        let output = Command::new("bash").arg(&script).arg(url).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{stdout}{stderr}");
        stdout.into_owned()
    };
    let told = run(&services.agenda("/"));
    for expected in [
        "422 proposta_obrigatoria",
        "422 regra_duracao",
        "60 min used, 30 min left",
        "45 min used, 45 min left",
        "T20:30:00Z to ",
        "change number 2",
        "422 proposta_sem_tempo",
        "409 Há agendamentos no período",
        "cancelled: 1\n",
        "CANCELADO, manutenção: realuminização do espelho",
        "0 min used, 90 min left",
        "422 em_manutencao",
        "number 2, AGENDADO",
        "AGENDAMENTO_CRIADO, AGENDAMENTO_ALTERADO, AGENDAMENTO_ALTERADO, AGENDAMENTO_CANCELADO",
        " 4 events, 3 of them cancelled\n",
        "place 1, AGUARDANDO",
        "ATENDIDA, number 3 of scientist",
        "\r\n1,Lunar-",
    ] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
    // The same scheduler, whose paths all have other names.
    assert!(run(&renamed(&services)).contains("number 5, AGENDADO"));
}

#[test]
#[ignore = "needs curl and jq"]
fn every_deliverable_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/entregas.sh");
    let mut command = Command::new("bash");
    deaf(&mut command).arg(script).arg(folder.path().join("provas")).env("SCTEC", env!("CARGO_BIN_EXE_sctec"));
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout.lines().filter(|line| line.starts_with("OK ")).count(), 33, "{stdout}");
}

/// A request of `sctec.http`, in the part of the format that both clients read: a title, a comment with the status, the request's
/// line, its headers, an empty line and the body.
///
/// Gives the service, the method and the path.
fn run_request(text: &str, agenda: &str, locks: &str) -> (bool, String, String) {
    let expanded = text.replace("{{agenda}}", agenda).replace("{{locks}}", locks);
    assert!(!expanded.contains("{{"), "only one of the clients knows this: {text}");
    let (head, body) = expanded.split_once("\n\n").unwrap_or((&expanded, ""));
    let mut lines = head.lines();
    let title = lines.next().unwrap();
    let status: u16 = lines.next().and_then(|line| line.strip_prefix("# ")?.parse().ok()).expect(title);
    let (method, url) = lines.next().unwrap().split_once(' ').expect(title);
    let headers: Vec<_> = lines.map(|line| line.split_once(": ").expect(title)).collect();
    let (content_type, others): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| *name == "Content-Type");
    let body = content_type.first().map(|(_, value)| (*value, body.trim_end()));
    let path = url.strip_prefix(agenda).or_else(|| url.strip_prefix(locks)).expect(title);
    let path = path.split('?').next().unwrap().to_owned();
    let asked = (url.starts_with(agenda), method.to_owned(), path);
    if (method, asked.2.as_str()) == ("GET", "/eventos") {
        assert_eq!(status_of_stream(url), status, "{title}");
        return asked;
    }
    let answer = http_with(method, url, body, &others);
    assert_eq!(answer.status, status, "{title}: {}", answer.body);
    if let Some((_, accepted)) = others.iter().find(|(name, _)| *name == "Accept") {
        let media = answer.header("content-type").and_then(|media| media.split(';').next());
        assert_eq!(media, Some(*accepted), "{title}");
    }
    asked
}

/// The status of an answer that does not end.
fn status_of_stream(url: &str) -> u16 {
    let (host, target) = url["http://".len()..].split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{target} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Whether a path is one of an endpoint's.
fn is_of(path: &str, endpoint: &Endpoint) -> bool {
    let (path, pattern): (Vec<_>, Vec<_>) = (path.split('/').collect(), endpoint.path.split('/').collect());
    path.len() == pattern.len()
        && path.iter().zip(pattern).all(|(part, named)| named.starts_with('{') || named == *part)
}

#[test]
fn every_endpoint_has_a_request_in_the_api_clients_file_with_the_status_below_its_title() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let ports = ["--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"];
    let services = Server::start(&[&["serve-all", "--data-dir", data_dir], &ports[..]].concat());
    let (agenda, locks) = (services.url_of("servico-agendamento"), services.url_of("servico-coordenador"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sctec.http");
    let text = std::fs::read_to_string(path).unwrap();
    let (head, requests) = text.split_once("\n### ").unwrap();
    assert!(head.contains("@agenda = http://127.0.0.1:5000\n@locks = http://127.0.0.1:3000"), "{head}");
    let asked: Vec<_> = requests.split("\n### ").map(|request| run_request(request, &agenda, &locks)).collect();
    let schedulers = sctec::scheduler::endpoints().map(|endpoint| (true, endpoint));
    for (scheduler, endpoint) in schedulers.chain(sctec::coordinator::endpoints().map(|endpoint| (false, endpoint))) {
        let is_asked = asked.iter().any(|(of_scheduler, method, path)| {
            *of_scheduler == scheduler && *method == endpoint.method.as_str() && is_of(path, endpoint)
        });
        assert!(is_asked, "no request for {} {} (scheduler: {scheduler})", endpoint.method, endpoint.path);
    }
}

/// One of `examples/*.rs`, as built from what is tested here.
fn example(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    // cargo looks for it from its working folder, which is another one here: without it, all that depends on it would be built anew.
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/.cargo/config.toml");
    command.args(["run", "--quiet", "--offline", "--config", config, "--manifest-path", manifest, "--example", name]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.arg("--");
    command
}

/// What a story says that came to its good end.
fn told(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    stdout
}

#[test]
fn the_stale_writer_is_refused_only_where_tokens_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let running = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    for story in [told(&mut example("fenced_writer")), told(example("fenced_writer").arg(running.url()))] {
        let (first, second) = story.split_once("ACT TWO").unwrap();
        for (act, expected) in [
            (first, "refused: token"),
            (first, "The report reads: \"B's report\""),
            (second, "accepted, over B's"),
            (second, "The report reads: \"A's report\""),
        ] {
            assert!(act.contains(expected), "{expected} in {story}");
        }
        assert_eq!(story.matches("409 trava_perdida").count(), 2, "{story}");
    }
}

#[test]
fn the_smallest_embedding_stops_cleanly() {
    for name in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let mut services = Server::spawn(example("embed").arg(folder.path()), 2);
        let agenda = services.url_of("servico-agendamento");
        let booking = r#"{"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z"}"#;
        assert_eq!(http("POST", &format!("{agenda}/agendamentos"), Some(("application/json", booking))).status, 201);
        assert_eq!(services.end_by(name), Some(0), "{name}");
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        // The mark of a clean stop, and no write-ahead log.
        let clean = ["app.log", "audit.jsonl", "audit.lock", "coordenador.json", "coordenador.lock", "coordenador.log"];
        assert_eq!(left, [&clean[..], &["sctec.db", "sctec.db-limpo"]].concat(), "{name}");
        let data_dir = folder.path().to_str().unwrap();
        assert_eq!(run(&["audit", "--verify", "--data-dir", data_dir]).status.code(), Some(0), "{name}");
    }
}

#[test]
fn an_interrupted_example_leaves_no_folder_behind() {
    for (name, begun) in [("tour", "ACT ONE"), ("fenced_writer", "ACT ONE")] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = example(name);
        let mut child =
            command.env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains(begun)), "{name}");
        signal(child.id(), "INT");
        // Its output is read to the end: a closed pipe would be another failure.
        lines.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(1), "{name}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_writer_without_a_coordinator_says_so() {
    let output = example("fenced_writer").arg("http://127.0.0.1:1").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // 101 would be a panic, or an example that does not compile.
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("refused"), "{stderr}");
}
