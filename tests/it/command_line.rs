//! The common behaviour of all commands: output that cannot be written is a failure with a message, a closed output pipe ends the
//! command, and terminals of any width and paths of any name work.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::common::storage::is_postgres;
use crate::common::terminal::{on_terminal, without_colours};
use crate::common::{Server, deaf, run, sctec, signal, wait_until};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A folder with a trail of one record, and running services.
struct Services {
    folder: TempDir,
    server: Server,
}

impl Services {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let data_dir = folder.path().to_str().unwrap();
        let ports = ["--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"];
        let server = Server::start(&[&["serve-all", "--data-dir", data_dir], &ports[..]].concat());
        Self { folder, server }
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure_of_every_command() {
    let services = Services::start();
    let data_dir = services.folder.path().to_str().unwrap();
    let agenda = services.server.url_of("servico-agendamento");
    let locks = services.server.url_of("servico-coordenador");
    let manual = services.folder.path().join("man").to_str().unwrap().to_owned();
    let backup = services.folder.path().join("copia.db").to_str().unwrap().to_owned();
    wait_until("the trail has its first record", || {
        std::fs::metadata(services.folder.path().join("audit.jsonl")).is_ok_and(|file| file.len() > 0)
    });
    let commands: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["help"],
        &["help", "audit"],
        &["audit", "--help"],
        &["serve-all", "--version"],
        &["audit", "--data-dir", data_dir],
        &["audit", "--data-dir", data_dir, "--count"],
        &["audit", "--data-dir", data_dir, "--format", "csv"],
        &["audit", "--data-dir", data_dir, "--format", "table"],
        &["audit", "--data-dir", data_dir, "--follow"],
        &["audit", "--data-dir", data_dir, "--verify"],
        &["locks", "--url", &locks],
        &["locks", "--url", &locks, "--json"],
        &["locks", "--url", &locks, "--watch"],
        &["locks", "--url", &locks, "--release", "X"],
        &["clock-sync", "--url", &agenda, "--samples", "1"],
        &["clock-sync", "--url", &agenda, "--samples", "1", "--json"],
        &["clock-sync", "--url", &agenda, "--samples", "1", "--watch"],
        &["stress", "--url", &agenda, "--n", "2"],
        &["stress", "--url", &agenda, "--n", "2", "--json"],
        &["agenda", "--url", &agenda],
        &["agenda", "--url", &agenda, "--json"],
        &["book", "2030-06-03T03:00:00Z", "--scientist", "7", "--url", &agenda],
        &["cancel", "1", "--url", &agenda],
        &["bookings", "--url", &agenda],
        &["health", &agenda],
        &["health", &locks, "--ready"],
        &["backup", &backup, "--data-dir", data_dir],
        &["completions", "bash"],
        &["manual", &manual],
    ];
    // sctec backup copies a file of SQLite.
    let is_there = |arguments: &&&[&str]| !is_postgres() || arguments[0] != "backup";
    for arguments in commands.iter().filter(is_there) {
        let output = sctec().args(*arguments).stdout(full()).output().unwrap();
        let said = text(&output.stderr);
        let expected = if arguments.contains(&"--verify") { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {said}");
        assert!(said.contains("cannot write to stdout: No space left on device"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_standard_error_that_cannot_be_written_changes_no_exit_status() {
    for (arguments, expected) in [
        (&["audit", "missing"][..], 2),
        (&["audit", "--verify", "missing"], 1),
        (&["audit", "--nonsense"], 2),
        (&["audit", "--event", "lock", "--nonsense"], 2),
        (&["lock", "X", "--nonsense", "--", "audit", "--verify"], 125),
        (&["lock", "X", "--coordinator", "x", "--", "true"], 125),
        (&["audit", "--verify", "--nonsense"], 1),
        (&["clock-sync", "--url", "x"], 2),
        (&["health", "x"], 2),
        (&["locks", "--url", "x"], 2),
        (&["stress", "--url", "x"], 2),
        (&["agenda", "--url", "x"], 2),
        (&["book", "03:00", "--url", "x"], 2),
        (&["cancel", "1", "--url", "x"], 2),
        (&["bookings", "--url", "x"], 2),
        (&["manual", "/dev/null/x"], 2),
    ] {
        let status = sctec().args(arguments).stdout(Stdio::null()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn a_closed_output_pipe_is_a_normal_end_of_every_command() {
    for arguments in [&["--help"][..], &["--version"], &["completions", "bash"]] {
        let mut child = sctec().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        // The command may have written before the pipe was closed.
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn a_watch_ends_when_its_output_pipe_is_closed_without_an_answer_and_during_a_pause() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let services = Services::start();
    for url in [format!("http://{nobody}"), services.server.url_of("servico-coordenador")] {
        let mut watch = sctec()
            .args(["locks", "--watch", "--interval-ms", "60000", "--url", &url])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(watch.stdout.take());
        wait_until("it ends", || watch.try_wait().unwrap().is_some());
        assert_eq!(watch.wait().unwrap().code(), Some(0), "{url}");
    }
}

#[test]
fn commands_that_run_on_are_ended_by_sigint() {
    use std::os::unix::process::ExitStatusExt;
    let services = Services::start();
    let data_dir = services.folder.path().to_str().unwrap();
    let agenda = services.server.url_of("servico-agendamento");
    let locks = services.server.url_of("servico-coordenador");
    for arguments in [
        &["audit", "--follow", "--data-dir", data_dir][..],
        &["locks", "--watch", "--url", &locks],
        &["clock-sync", "--watch", "--samples", "1", "--url", &agenda],
    ] {
        // A shell ignores SIGINT for what it starts in the background, and the tests inherit that.
        let mut command = Command::new("env");
        let command = deaf(&mut command).args(["--default-signal=INT", env!("CARGO_BIN_EXE_sctec")]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        signal(child.id(), "INT");
        // A shell shows this as exit status 130.
        assert_eq!(child.wait().unwrap().signal(), Some(2), "{arguments:?}");
    }
}

#[test]
fn on_a_terminal_of_width_0_or_a_few_columns_no_line_has_a_single_letter() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let record = r#"{"timestamp_utc":"2025-10-26T18:00:05.123456Z","level":"AUDIT","event_type":"AGENDAMENTO_CRIADO","service":"servico-agendamento","details":{"agendamento_id":123,"cientista_id":7,"horario_inicio_utc":"2025-12-01T03:00:00Z","horario_fim_utc":"2025-12-01T03:05:00Z","telescopio":"Hubble-Acad","cientista_nome":"Marie Curie"},"seq":1,"req":"6b1f-2a","prev":"00","hash":"aa"}"#;
    std::fs::write(&path, format!("{record}\n")).unwrap();
    let table = |columns, variable: Option<&str>| {
        let mut command = sctec();
        command.arg("audit").arg(&path).env_remove("COLUMNS");
        if let Some(variable) = variable {
            command.env("COLUMNS", variable);
        }
        on_terminal(columns, &mut command)
    };
    let usual = table(80, None);
    for columns in [0, 1, 7, 40] {
        assert_eq!(table(columns, None), usual, "{columns}");
    }
    for variable in ["0", "", "x", "5"] {
        assert_eq!(table(0, Some(variable)), usual, "{variable}");
    }
    // If the terminal's width is unknown, the variable COLUMNS is used.
    assert_eq!(table(0, Some("160")), table(160, None));
    assert!(table(160, None).contains("2025-10-26T18:00:05.123456Z") && usual.contains("18:00:05  "), "{usual}");
    for command in [&["--help"][..], &["audit", "--help"], &["help", "stress"]] {
        for (columns, variable) in [(0, "0"), (1, "1"), (3, ""), (0, "100")] {
            let help = on_terminal(columns, sctec().args(command).env("COLUMNS", variable));
            let short = help.lines().filter(|line| matches!(line.trim().chars().count(), 1..=3)).count();
            assert!(short < 5, "{columns} {variable}\n{help}");
        }
    }
}

/// Runs a scheduler with a data folder of that name inside `folder`, then verifies the folder and returns the result.
fn serve_and_verify(folder: &TempDir, name: &std::ffi::OsStr) -> Output {
    let argument = [b"--data-dir=", name.as_bytes()].concat();
    let argument = std::ffi::OsStr::from_bytes(&argument);
    let mut command = sctec();
    command.args(["serve-scheduler", "--no-lock", "--listen", "127.0.0.1:0"]).arg(argument);
    // `Server` would run it in another folder.
    let mut child = command.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listens = lines.by_ref().map_while(Result::ok).any(|line| line.contains("escutando em http://"));
    if !listens {
        return child.wait_with_output().unwrap();
    }
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", name.display());
    let mut verify = sctec();
    verify.args(["audit", "--verify", "--race"]).arg(argument);
    verify.current_dir(folder.path()).output().unwrap()
}

#[test]
fn a_data_folder_may_have_any_name() {
    let folder = TempDir::new().unwrap();
    for name in [
        &b"file:x"[..],
        b"file:x?mode=memory",
        b"file:///x",
        b":memory:",
        b"a?b#c%20d",
        b"a b",
        b"-x",
        b"--verify",
        "ação 望遠鏡".as_bytes(),
        b"\xff\xfe",
        b"'\"$(x)",
        b"a/../a/./b",
    ] {
        let name = std::ffi::OsStr::from_bytes(name);
        let output = serve_and_verify(&folder, name);
        let shown = name.display();
        assert_eq!(output.status.code(), Some(0), "{shown}: {}{}", text(&output.stdout), text(&output.stderr));
        assert!(folder.path().join(name).join("corrida.db").is_file(), "{shown}");
    }
    // A path that is too long for SQLite is refused at the start.
    let long = ["x".repeat(200), "y".repeat(200), "z".repeat(200)].join("/");
    let output = serve_and_verify(&folder, long.as_ref());
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("paths of at most 504 bytes"), "{said}");
    // A path that is too long for the system.
    let output = serve_and_verify(&folder, "x".repeat(300).as_ref());
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("too long"), "{output:?}");
}

#[test]
fn the_advice_for_a_failed_connection_fits_its_cause() {
    let nobody = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    for (url, status, says) in [
        (nobody.as_str(), [2, 2, 2, 1], "nothing listens at that address: start the "),
        ("http://no-such-name.invalid:1", [2; 4], "this machine finds no address for that name"),
    ] {
        let commands = [["stress", "--url"], ["clock-sync", "--url"], ["locks", "--url"], ["health", "--timeout=5s"]];
        for (command, status) in commands.iter().zip(status) {
            let output = run(&[&command[..], &[url]].concat());
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{command:?}: {said}");
            assert!(said.contains(says) && said.lines().count() == 1, "{command:?}: {said}");
            assert_eq!(said.contains("start the"), url == nobody, "{said}");
        }
    }
}

/// Every command, with its help.
fn helps() -> Vec<Vec<String>> {
    let listed = text(&run(&["--help"]).stdout);
    let (_, commands) = listed.split_once("Commands:\n").unwrap();
    // A command's name is followed by its meaning; a line that only goes on has more indentation.
    let commands = commands.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names: Vec<&str> = commands.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(names.contains(&"stress") && names.contains(&"health"), "{names:?}");
    let names = names.into_iter().filter(|name| *name != "help").collect::<Vec<_>>();
    let of_command = names.iter().flat_map(|name| [vec![*name, "-h"], vec![*name, "--help"]]);
    of_command.chain([vec!["-h"], vec!["--help"]]).map(|words| words.into_iter().map(str::to_owned).collect()).collect()
}

/// The examples of a help text: each command with the explanation that stands beside it or below it.
fn examples(help: &str) -> Vec<String> {
    let list = help.split("\nExamples:\n").nth(1).unwrap_or_default().replace(" \\\n", " ");
    let mut examples: Vec<String> = Vec::new();
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        match examples.last_mut() {
            Some(example) if line.starts_with("   ") => example.extend([" ", &words]),
            _ => examples.push(words),
        }
    }
    examples
}

#[test]
fn help_fits_any_width_without_a_word_lost_or_an_example_broken() {
    for arguments in helps() {
        let at = |columns: u16| {
            let help = without_colours(&on_terminal(columns, sctec().args(&arguments).env_remove("COLUMNS")));
            let elsewhere = sctec().args(&arguments).env("COLUMNS", columns.to_string()).output().unwrap();
            assert_eq!(help, text(&elsewhere.stdout), "{arguments:?} {columns}");
            help
        };
        let words = |help: &str| help.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ");
        let widest = at(200);
        for columns in [40, 50, 64, 80, 100, 120] {
            let help = at(columns);
            assert_eq!(words(&help), words(&widest), "{arguments:?} {columns}");
            assert_eq!(examples(&help), examples(&widest), "{arguments:?} {columns}");
            for line in help.lines() {
                // A single word that is wider than the terminal stays whole, and so does clap's line of usage.
                let is_wide = line.chars().count() > usize::from(columns.min(100)) && !line.starts_with("Usage: ");
                assert!(!is_wide || words(line).split(' ').count() == 1, "{arguments:?} {columns}: {line}");
            }
        }
    }
}

#[test]
fn an_unknown_option_is_answered_with_the_one_that_was_meant() {
    for (arguments, says) in [
        (&["stress", "--concurency", "5"][..], "'--concurrency'"),
        (&["stress", "--threads", "5"], "'--concurrency'"),
        (&["stress", "-d", "5s"], "give their number with '-n'"),
        (&["serve-all", "--bind", "0.0.0.0"], "'--listen'"),
        (&["serve-coordinator", "-v"], "'--log-level debug'"),
        (&["serve-all", "--no-lock"], "'sctec serve-scheduler --no-lock'"),
        (&["serve-all", "--coordinator", ":3000"], "'sctec serve-scheduler --coordinator URL'"),
        (&["locks", "--force", "X"], "'--release'"),
        (&["clock-sync", "-n", "3"], "'--samples'"),
        (&["status", "--scheduler", ":5000"], "'--url'"),
        (&["stress", "http://h:5000"], "'sctec stress --url http://h:5000'"),
        (&["health", "--url", ":3000"], "'sctec health http://127.0.0.1:3000'"),
        (&["health", "--coordinator", ":3000"], "'sctec health http://127.0.0.1:3000'"),
        (
            &["serve-coordinator", "--lock-ttl-ms", "5000"],
            "--lock-ttl-ms is an option of serve-all and serve-scheduler",
        ),
        (&["serve-scheduler", "--listen-coordinator", ":1"], "--listen-coordinator is an option of serve-all"),
        (&["serve-all", "--prot", "5000"], "'--listen'"),
        (&["serve-all", "--hots", "0.0.0.0"], "'--listen'"),
        (&["audit", "--verfy"], "'--verify'"),
        (&["strss"], "'stress'"),
        (&["serve"], "'serve-all'"),
        (&["stress", "--expect", "al"], "'all'"),
    ] {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        assert!(said.contains("tip: ") && said.contains(says), "{arguments:?}: {said}");
        // What is only proposed is in no help.
        let help = text(&run(&[arguments[0], "--help"]).stdout);
        assert!(!help.contains("--threads") && !help.contains("--force"), "{help}");
    }
    // A refused option is named alone.
    let said = text(&run(&["health", "--url", ":3000"]).stderr);
    assert!(said.contains("unexpected argument '--url' found"), "{said}");
    // A mistyped option is no file.
    for arguments in [["audit", "--zzz"], ["health", "--zzz"]] {
        let said = text(&run(&arguments).stderr);
        assert!(said.contains("unexpected argument '--zzz'") && !said.contains("as a value"), "{said}");
    }
}
