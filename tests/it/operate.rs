//! The tools of an operator: `health`, the destinations of the log, completions, manual pages and systemd units.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::storage::is_postgres;
use crate::common::{Server, Services, coordinator_command, deaf, http, run, sctec, wait_until};

const SCTEC: &str = env!("CARGO_BIN_EXE_sctec");

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Checks the exit status and returns the output, which must be one line: on standard output after status 0, else on standard
/// error.
#[track_caller]
fn said(output: &Output, status: i32) -> &str {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let (said, silent) = if status == 0 { (&output.stdout, &output.stderr) } else { (&output.stderr, &output.stdout) };
    assert!(silent.is_empty(), "{output:?}");
    let said = text(said);
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// How a warning begins that the database has no standby.
const NO_STANDBY: &str = "sctec: warning: the standby of the database: ";

#[test]
fn the_exit_status_of_health_is_the_state_of_the_service() {
    let mut services = Services::start(&[]);
    let (agenda, locks) = (services.agenda(""), services.locks("/"));
    let alive = run(&["health", &agenda]);
    assert_eq!(said(&alive, 0), format!("{agenda}/saude: alive (servico-agendamento {})\n", env!("CARGO_PKG_VERSION")));
    assert!(said(&run(&["health", &locks]), 0).contains("alive (servico-coordenador "));
    for url in [&agenda, &locks] {
        let mut ready = run(&["health", "--ready", url]);
        if is_postgres() && *url == agenda {
            // The database of the tests has no standby.
            let warned = std::mem::take(&mut ready.stderr);
            assert!(text(&warned).starts_with(NO_STANDBY), "{}", text(&warned));
        }
        assert!(said(&ready, 0).ends_with("/pronto: ready\n"));
    }
    services.coordinator.kill();
    assert!(said(&run(&["health", &locks]), 1).contains("did not answer"));
    said(&run(&["health", &agenda]), 0);
    // What the coordinator said last counts for a second.
    let ask = || run(&["health", &agenda, "--ready"]);
    wait_until("the service is not ready", || !ask().status.success());
    let mut unready = ask();
    if is_postgres() {
        let lines = text(&unready.stderr).lines().filter(|line| !line.starts_with(NO_STANDBY));
        unready.stderr = lines.map(|line| line.to_owned() + "\n").collect::<String>().into_bytes();
    }
    let unready = said(&unready, 1);
    assert!(unready.contains("answered 503: not ready; the coordinator: \"http://127.0.0.1:"), "{unready}");
    // The environment may give the URL too, as in a container.
    let mut by_environment = sctec();
    said(&by_environment.arg("health").env("SCTEC_URL", &agenda).output().unwrap(), 0);
}

#[test]
fn health_keeps_its_timeout_and_refuses_answers_of_other_programs() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    assert!(said(&run(&["health", &url, "--timeout", "200ms"]), 1).contains("did not answer: no answer came"));
    assert!(begun.elapsed() < Duration::from_secs(5));
    let answering = thread::spawn(move || {
        // The connection of the request that timed out.
        drop(silent.accept().unwrap());
        for answer in ["{}", "{\"status\": \"pronto\"}", "<html>\x1b[2J</html>"] {
            let (mut client, _) = silent.accept().unwrap();
            assert!(client.read(&mut [0; 4096]).unwrap() > 0);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            client.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).unwrap();
        }
    });
    for _ in 0..3 {
        assert!(said(&run(&["health", &url]), 1).contains("answered 200, but this is not a service of sctec"));
    }
    answering.join().unwrap();
}

#[test]
fn health_prints_the_warnings_of_a_service_that_is_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        assert!(client.read(&mut [0; 4096]).unwrap() > 0);
        let answer = r#"{"status": "pronto", "partes": {"banco": "ok"}, "avisos": {"wal": "cresce\u001b"}}"#;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        client.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).unwrap();
    });
    let output = run(&["health", "--ready", &url]);
    answering.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), format!("{url}/pronto: ready\n"));
    assert_eq!(text(&output.stderr), "sctec: warning: the write-ahead log of the database: \"cresce\\u001b\"\n");
}

#[test]
fn health_refuses_a_wrong_url_with_advice() {
    for (args, expected) in [
        (["health", "127.0.0.1", "--ready"], "http://127.0.0.1:5000"),
        (["health", "ftp://127.0.0.1:5000", "--ready"], "http://127.0.0.1:5000"),
        (["health", "http://127.0.0.1:5000/?x", "--ready"], "entry point"),
        (["health", "--timeout", "0s"], "--timeout"),
    ] {
        let output = run(&args);
        assert!(said(&output, 2).contains(expected), "{output:?}");
    }
    assert_eq!(run(&["health", "--timeout", "3"]).status.code(), Some(2), "a duration has a unit");
}

#[test]
fn the_log_goes_to_the_given_destination() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("coordenador.log");
    let lock = |server: &Server| {
        let body = Some(("application/json", r#"{"recurso": "X"}"#));
        // The lock is released too: a lock that is valid at the stop would delay the next start.
        for path in ["/lock", "/unlock"] {
            assert_eq!(http("POST", &format!("{}{path}", server.url()), body).status, 200);
        }
    };
    let mut console =
        Server::spawn(coordinator_command(folder.path(), "127.0.0.1:0").env("SCTEC_LOG_TO", "console"), 1);
    lock(&console);
    wait_until("it is shown", || console.lines().iter().any(|line| line.contains("Lock concedido")));
    assert_eq!(console.terminate(), Some(0));
    wait_until("the end is shown too", || console.lines().iter().any(|line| line.contains(":encerrado us=")));
    assert!(!log.exists());
    let mut command = coordinator_command(folder.path(), "127.0.0.1:0");
    let mut file = Server::spawn_unread(command.args(["--log-to", "file"]), &log);
    lock(&file);
    assert_eq!(file.terminate(), Some(0));
    let written = std::fs::read_to_string(&log).unwrap();
    let end = written.lines().last().unwrap_or_default();
    assert!(written.contains("Lock concedido") && end.contains(":encerrado us="), "{written}");
    let mut quiet = coordinator_command(folder.path(), "127.0.0.1:0");
    let mut child = quiet.args(["--log-to", "file"]).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("it listens", || std::fs::read_to_string(&log).unwrap().matches("escutando em").count() == 2);
    crate::common::signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
    assert!(child.wait_with_output().unwrap().stdout.is_empty());
}

#[test]
fn completions_load_in_bash_and_complete() {
    // Bash calls the completion function with the words so far when a person presses the tab key.
    let script = r#"
        source <("$SCTEC" completions bash) || exit 1
        complete -p sctec || exit 2
        COMP_WORDS=(sctec serve-); COMP_CWORD=1; _sctec sctec serve- sctec; echo "${COMPREPLY[*]}"
        COMP_WORDS=(sctec health --); COMP_CWORD=2; _sctec sctec -- health; echo "${COMPREPLY[*]}"
        COMP_WORDS=(sctec stress --expect ''); COMP_CWORD=3; _sctec sctec '' --expect; echo "${COMPREPLY[*]}""#;
    let output = deaf(&mut Command::new("bash")).args(["-c", script]).env("SCTEC", SCTEC).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let lines: Vec<&str> = text(&output.stdout).lines().skip(1).collect();
    assert_eq!(lines[0], "serve-scheduler serve-coordinator serve-all");
    assert!(lines[1].contains("--ready") && lines[1].contains("--timeout"), "{lines:?}");
    assert_eq!(lines[2], "one race all");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("serve-coordinator"), "{shell}");
    }
    assert_eq!(run(&["completions", "cobol"]).status.code(), Some(2));
}

/// Writes the manual pages to a folder and returns their names.
fn pages() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    let output = run(&["manual", dir.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let pages = text(&output.stdout).lines().map(str::to_owned).collect();
    (folder, pages)
}

#[test]
fn every_command_has_a_page_with_its_options_and_examples() {
    let (_folder, pages) = pages();
    let help = run(&["--help"]);
    let commands = text(&help.stdout).split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 9, "{names:?}");
    for name in names.into_iter().filter(|&name| name != "help") {
        let page = pages.iter().find(|page| page.ends_with(&format!("/sctec-{name}.1")));
        let page = std::fs::read_to_string(page.unwrap_or_else(|| panic!("no page for {name}"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH EXAMPLES\n.nf\n"), "{name}: {page}");
    }
    assert!(pages.iter().any(|page| page.ends_with("/sctec.1")));
    let file = tempfile::NamedTempFile::new().unwrap();
    said(&run(&["manual", file.path().to_str().unwrap()]), 2);
}

#[test]
#[ignore = "needs man"]
fn manual_pages_render() {
    let (_folder, pages) = pages();
    for page in &pages {
        let output = Command::new("man")
            .args(["--warnings=w", "--encoding=utf8", "-l", page])
            .env("MANWIDTH", "120")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {}", text(&output.stderr));
        let shown = text(&output.stdout);
        assert!(shown.contains("SYNOPSIS") && shown.contains("EXAMPLES"), "{shown}");
    }
    let page = pages.iter().find(|page| page.ends_with("/sctec-serve-scheduler.1")).unwrap();
    let output = Command::new("man").args(["-l", page]).env("MANWIDTH", "120").output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("\n       sctec serve-scheduler\n"), "an example is a line of its own: {shown}");
    assert!(shown.contains("SCTEC_LOCK_TTL_MS"), "{shown}");
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_units_are_valid_and_hardened() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd");
    let folder = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(units).unwrap() {
        let entry = entry.unwrap();
        // systemd-analyze requires that the program of a unit exists.
        let unit = std::fs::read_to_string(entry.path()).unwrap().replace("/usr/local/bin/sctec", SCTEC);
        let copy = folder.path().join(entry.file_name());
        std::fs::write(&copy, unit).unwrap();
        copies.push(copy);
    }
    assert_eq!(copies.len(), 2);
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&copies).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    for copy in &copies {
        // The scale is from 0, nothing exposed, to 100. The rest of the exposure is the network.
        let command = ["security", "--offline=true", "--threshold=15", "--no-pager"];
        let judged = Command::new("systemd-analyze").args(command).arg(copy).output().unwrap();
        assert!(judged.status.success(), "{}", text(&judged.stdout));
    }
}
