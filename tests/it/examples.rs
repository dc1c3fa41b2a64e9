//! The examples do what they say, as a person would run them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Server, Services, coordinator_command, deaf, http, http_with, run, signal};

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
fn run_request(text: &str, agenda: &str, locks: &str) {
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
    let answer = http_with(method, url, body, &others);
    assert_eq!(answer.status, status, "{title}: {}", answer.body);
    if let Some((_, accepted)) = others.iter().find(|(name, _)| *name == "Accept") {
        assert_eq!(answer.header("content-type"), Some(*accepted), "{title}");
    }
}

#[test]
fn every_request_of_the_api_clients_file_has_the_status_below_its_title() {
    let services = Services::start(&[]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sctec.http");
    let text = std::fs::read_to_string(path).unwrap();
    let (head, requests) = text.split_once("\n### ").unwrap();
    assert!(head.contains("@agenda = http://127.0.0.1:5000\n@locks = http://127.0.0.1:3000"), "{head}");
    let requests: Vec<&str> = requests.split("\n### ").collect();
    assert!(requests.len() > 20);
    for request in requests {
        run_request(request, services.scheduler.url().as_str(), services.coordinator.url().as_str());
    }
}

/// One of `examples/*.rs`, as built from what is tested here.
fn example(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    command.args(["run", "--quiet", "--offline", "--manifest-path", manifest, "--example", name]);
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
