//! `sctec stress` against the real services: its results, its report and its exit status.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::terminal::Terminal;
use crate::common::{Background, deaf, http, nobody, sctec, signal, wait_until};

const SCTEC: &str = env!("CARGO_BIN_EXE_sctec");

/// A running server, and the URL of its agenda.
struct Server {
    url: String,
    _running: crate::common::Server,
}

impl Server {
    /// Both services, with default options.
    fn all() -> Self {
        Self::start(&["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"])
    }

    /// The scheduler without locks.
    fn race() -> Self {
        Self::start(&["serve-scheduler", "--no-lock", "--listen", "127.0.0.1:0"])
    }

    fn start(arguments: &[&str]) -> Self {
        let running = crate::common::Server::start(arguments);
        Self { url: running.url_of("servico-agendamento"), _running: running }
    }

    /// Runs `stress` against it.
    fn stress(&self, arguments: &[&str]) -> Output {
        stress(&self.url, arguments)
    }

    /// Runs `stress --json` against it; its exit status and its report.
    fn report(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.stress(&[arguments, &["--json"]].concat());
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (exit_status(&output), report)
    }
}

fn stress(url: &str, arguments: &[&str]) -> Output {
    sctec().args(["stress", "--url", url]).args(arguments).output().unwrap()
}

fn exit_status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// Checks that it could not run, said so in one line that contains `wanted`, and printed nothing else.
fn assert_cannot_run(output: &Output, wanted: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(exit_status(output), 2, "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.starts_with("sctec: ") && message.contains(wanted), "{message}");
    assert!(output.stdout.is_empty());
}

#[test]
fn one_of_ten_wins_every_time() {
    let server = Server::all();
    for _ in 0..2 {
        let output = server.stress(&["--n", "10"]);
        assert_eq!(exit_status(&output), 0, "{output:?}");
        let text = stdout(&output);
        assert!(text.ends_with("\nas expected: exactly one 201, all others 409, one booking listed\n"), "{text}");
        assert_eq!(text.matches(" booked ").count(), 2, "one row and one total: {text}");
        assert!(!text.contains('\x1b'), "no colours in a pipe: {text}");
        assert!(output.stderr.is_empty(), "no progress in a pipe: {output:?}");
    }
}

#[test]
fn the_json_report_has_the_same_facts() {
    let server = Server::all();
    let (status, report) = server.report(&["--n", "10", "--scientist", "7"]);
    assert_eq!(status, 0, "{report}");
    assert_eq!(report["statuses"], serde_json::json!({"201": 1, "409": 9}));
    assert_eq!((&report["n"], &report["concurrency"], &report["errors"]), (&10.into(), &10.into(), &0.into()));
    assert_eq!((report["telescope"].as_str(), report["expect"].as_str()), (Some("Hubble-Acad"), Some("one")));
    assert_eq!((&report["as_expected"], &report["outcomes"]["booked"]), (&true.into(), &1.into()));
    assert_eq!(report["seen"], "1 × 201, 9 × 409, 1 booking listed");
    let (winners, listed) = (report["winners"].as_array().unwrap(), report["listed"].as_array().unwrap());
    assert_eq!((winners.len(), listed.len()), (1, 1));
    assert_eq!(winners[0]["booking_id"], listed[0]["id"]);
    assert_eq!((&listed[0]["cientista_id"], &listed[0]["horario_inicio_utc"]), (&7.into(), &report["slot"]));
    let latency = |name: &str| report["latency_us"][name].as_u64().unwrap();
    let ascending = ["min", "p50", "p95", "p99", "max"].map(latency);
    assert!(ascending[0] > 0 && ascending.is_sorted(), "{report}");
    assert!(report["throughput_per_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn one_of_two_hundred_wins_also_when_connections_are_shared() {
    let server = Server::all();
    let (status, report) = server.report(&["--n", "200"]);
    assert_eq!((status, &report["concurrency"]), (0, &200.into()), "{report}");
    let (status, report) = server.report(&["--n", "200", "--concurrency", "7"]);
    assert_eq!((status, &report["concurrency"]), (0, &7.into()), "{report}");
    assert_eq!(report["statuses"], serde_json::json!({"201": 1, "409": 199}));
    let output = server.stress(&["--n", "200"]);
    let text = stdout(&output);
    assert!(text.contains("… and 150 more requests, 0 of them 201\n"), "{text}");
}

#[test]
fn with_distinct_slots_every_request_wins() {
    let server = Server::all();
    let (status, report) = server.report(&["--distinct", "--n", "20"]);
    assert_eq!(status, 0, "{report}");
    assert_eq!((&report["statuses"], &report["expect"]), (&serde_json::json!({"201": 20}), &"all".into()));
    assert_eq!(report["listed"].as_array().unwrap().len(), 20);
    // More bookings than a page has: the list is read to its end.
    let (status, report) = server.report(&["--distinct", "--n", "520", "--concurrency", "50"]);
    assert_eq!((status, report["listed"].as_array().unwrap().len()), (0, 520), "{}", report["seen"]);
    assert_cannot_run(&server.stress(&["--distinct", "--expect", "race"]), "--distinct");
}

#[test]
fn a_slot_that_was_booked_before_is_named_and_nothing_is_sent() {
    let server = Server::all();
    let slot = "2031-05-01T10:00:00-03:00";
    let (status, report) = server.report(&["--slot", slot, "--scientist", "7"]);
    assert_eq!((status, &report["slot"]), (0, &"2031-05-01T13:00:00Z".into()), "{report}");
    let named = "booking 1 of Marie Curie (2031-05-01T13:00:00Z) was there before this run, so nothing was sent";
    for more in [&[][..], &["--json"], &["--expect", "race"], &["--distinct", "-n", "3"]] {
        assert_cannot_run(&server.stress(&[&["--slot", slot], more].concat()), named);
    }
    // The first of three slots is free, and the second is not.
    let before = "2031-05-01T12:55:00Z";
    assert_cannot_run(&server.stress(&["--slot", before, "--distinct", "-n", "3"]), named);
    assert_eq!(server.report(&["--slot", before]).0, 0, "it is still free");
    let (status, report) = server.report(&["--slot", "2031-05-01T10:01:00Z", "--n", "2"]);
    assert_eq!((status, &report["outcomes"]), (2, &serde_json::json!({"campos_invalidos": 2})), "{report}");
    assert_eq!((&report["judged"], &report["as_expected"]), (&false.into(), &false.into()), "{report}");
}

#[test]
fn the_flags_of_other_load_generators_are_accepted() {
    let server = Server::all();
    for flags in [&["-n", "12", "-c", "3"][..], &["--requests=12", "--connections=3"], &["-n12", "-c3"]] {
        let (status, report) = server.report(flags);
        assert_eq!((status, &report["n"], &report["concurrency"]), (0, &12.into(), &3.into()), "{flags:?}: {report}");
    }
}

#[test]
fn a_run_after_another_takes_a_free_slot_of_the_coming_day() {
    let server = Server::all();
    let slots: Vec<String> = (0..5)
        .map(|_| {
            let (status, report) = server.report(&["-n", "10"]);
            assert_eq!((status, &report["statuses"]), (0, &serde_json::json!({"201": 1, "409": 9})), "{report}");
            report["slot"].as_str().unwrap().to_owned()
        })
        .collect();
    let now = sctec::time::Clock::system().now();
    let in_26_hours = now.saturating_add(std::time::Duration::from_secs(26 * 3600)).seconds().to_string();
    assert!(slots.iter().all(|slot| *slot < in_26_hours), "{slots:?}");
    let distinct: std::collections::BTreeSet<_> = slots.iter().collect();
    assert_eq!(distinct.len(), slots.len(), "{slots:?}");
}

#[test]
fn the_histogram_counts_every_answer() {
    let server = Server::all();
    let output = server.stress(&["-n", "300", "-c", "20"]);
    let text = stdout(&output);
    let (_, after) = text.split_once("\nhistogram   latency ms, and how many\n").unwrap_or_else(|| panic!("{text}"));
    let bars: Vec<&str> = after.lines().take_while(|line| line.starts_with(' ')).collect();
    let counts = bars.iter().map(|line| line.split_whitespace().nth(3).unwrap().parse::<u32>().unwrap());
    assert_eq!((bars.len(), counts.sum::<u32>()), (10, 300), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn without_locks_there_is_a_race() {
    let server = Server::race();
    let (status, report) = server.report(&["--expect", "race"]);
    assert_eq!(status, 0, "{report}");
    let winners = report["winners"].as_array().unwrap().len();
    assert!(winners >= 2 && report["listed"].as_array().unwrap().len() == winners, "{report}");
    let output = server.stress(&[]);
    assert_eq!(exit_status(&output), 1, "{output:?}");
    assert!(stdout(&output).contains("\nNOT as expected: "), "{output:?}");
}

#[test]
fn a_run_whose_every_request_is_refused_for_the_same_other_reason_is_not_judged() {
    let server = Server::all();
    for (wrong, reason) in [
        (["--slot", "2030-01-01T00:01:00Z"], "horario_inicio_utc: deve começar em um múltiplo de cinco minutos"),
        (["--scientist", "99"], "cientista"),
    ] {
        let output = server.stress(&[&["--n", "3"], &wrong[..]].concat());
        let said = stdout(&output);
        assert_eq!(exit_status(&output), 2, "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("not judged: every request was refused with 4"), "{said}");
        assert!(last.contains("; the scheduler says: \"") && last.contains(reason), "{said}");
        assert_eq!(said.matches("the scheduler says").count(), 1, "{said}");
        let distinct = server.stress(&[&["--n", "3", "--distinct"], &wrong[..]].concat());
        assert_eq!(exit_status(&distinct), 2, "{distinct:?}");
    }
}

#[test]
fn a_coordinator_that_is_not_there_is_looked_for_in_the_schedulers_log() {
    let server = Server::start(&["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &nobody()]);
    let output = server.stress(&["-n", "2"]);
    let said = stdout(&output);
    assert_eq!((exit_status(&output), said.matches("its option --coordinator names").count()), (1, 1), "{said}");
    let (_, report) = server.report(&["-n", "2"]);
    assert!(!report["reasons"]["503"].as_str().unwrap().contains("--coordinator"), "{report}");
}

/// `stress` with the signals that a shell ignores for what it starts in the background.
fn interruptible(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    deaf(&mut command).args(["--default-signal=INT", SCTEC, "stress", "--url", url]).args(arguments);
    command
}

/// A run that takes minutes.
const LONG: [&str; 5] = ["-n", "100000", "-c", "1", "--distinct"];

#[test]
fn a_run_that_is_interrupted_says_how_far_it_came() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let server = Server::all();
        let listed = || {
            let listed = http("GET", &format!("{}/agendamentos?limite=500", server.url), None).json();
            listed["agendamentos"].as_array().unwrap().len()
        };
        let mut run = Background::spawn(&mut interruptible(&server.url, &LONG));
        // The second is sent after the answer to the first.
        wait_until("it books", || listed() > 1);
        signal(run.child.id(), name);
        assert_eq!(run.status(), Some(128 + number), "{name}");
        wait_until("it says so", || !run.err.lock().unwrap().is_empty());
        let said = run.err.lock().unwrap().join("\n");
        let answered = said.strip_prefix("sctec: interrupted: ").and_then(|said| said.split_once(' ')).unwrap();
        assert_eq!(answered.1, "of 100000 answered; bookings that were made stay", "{said}");
        let answered: usize = answered.0.parse().unwrap();
        // The last request may have been answered after the interruption.
        assert!((1..100_000).contains(&answered) && listed() >= answered.min(500), "{said}");
        assert!(run.out.lock().unwrap().is_empty());
    }
    // It hangs before the first request.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut run = Background::spawn(&mut interruptible(&format!("http://{}", silent.local_addr().unwrap()), &[]));
    let _asked = silent.accept().unwrap();
    signal(run.child.id(), "INT");
    assert_eq!(run.status(), Some(130));
    wait_until("it says so", || !run.err.lock().unwrap().is_empty());
    assert_eq!(*run.err.lock().unwrap(), ["sctec: interrupted before any request was sent"]);
}

#[test]
fn an_interrupted_run_takes_its_bar_away() {
    let server = Server::all();
    let mut terminal = Terminal::start(80, &mut interruptible(&server.url, &LONG));
    terminal.wait_for("/100000");
    signal(terminal.id(), "INT");
    let shown = terminal.end_with(130);
    let (before, said) = shown.rsplit_once("sctec: interrupted: ").unwrap_or_else(|| panic!("{shown}"));
    let (_, after_bar) = before.rsplit_once("/100000").unwrap();
    assert!(after_bar.contains("\x1b[2K") && said.ends_with(" bookings that were made stay\n"), "{shown:?}");
}

#[test]
fn with_locks_there_is_no_race() {
    let server = Server::all();
    let (status, report) = server.report(&["--expect", "race"]);
    assert_eq!((status, &report["statuses"]), (1, &serde_json::json!({"201": 1, "409": 9})), "{report}");
    let output = server.stress(&["--expect", "race"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("takes locks, so one wins; the race needs serve-scheduler --no-lock"), "{said}");
}

#[test]
fn a_run_that_cannot_begin_is_explained_in_one_line() {
    // The port was free a moment ago, and has no listener.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_cannot_run(&stress(&format!("http://127.0.0.1:{port}"), &[]), "cannot reach http://127.0.0.1:");
    assert_cannot_run(&stress("localhost", &[]), "--url: \"localhost\" is not a URL that can be asked");
    let server = Server::all();
    let tomorrow = server.stress(&["--slot", "tomorrow"]);
    assert_cannot_run(&tomorrow, "--slot \"tomorrow\" is not an instant");
    assert_cannot_run(&tomorrow, "as 2030-06-01T03:00:00Z");
    assert_cannot_run(
        &server.stress(&["--telescope", "hubble"]),
        "did you mean Hubble-Acad? The server has: Hubble-Acad",
    );
    assert_cannot_run(
        &server.stress(&["--telescope", "Keck"]),
        "unknown telescope \"Keck\"; the server has: Hubble-Acad",
    );
    assert_cannot_run(&stress(&format!("{}/time", server.url), &[]), "has no link \"agendamentos\"");
    assert_cannot_run(&stress(&format!("{}/nowhere", server.url), &[]), "404");
}

#[test]
fn too_few_file_descriptors_are_named_with_an_advice() {
    let server = Server::all();
    let command = format!("ulimit -n 40; exec {SCTEC} stress --n 100 --url {}", server.url);
    let output = deaf(&mut Command::new("sh")).args(["-c", &command]).output().unwrap();
    assert_cannot_run(&output, "--concurrency");
    assert!(String::from_utf8_lossy(&output.stderr).contains("too many open files"), "{output:?}");
    let command = format!("ulimit -n 40; exec {SCTEC} stress --n 100 --concurrency 10 --url {}", server.url);
    let output = deaf(&mut Command::new("sh")).args(["-c", &command]).output().unwrap();
    assert_eq!(exit_status(&output), 0, "{output:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let server = Server::all();
    let run = |redirect: &str| {
        let command = format!("{{ {SCTEC} stress --url {}; echo $? >&2; }} {redirect}", server.url);
        let output = deaf(&mut Command::new("sh")).args(["-c", &command]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(run("| true"), "0\n");
    let full = run("> /dev/full");
    assert!(full.contains("cannot write to stdout") && full.ends_with("\n2\n"), "{full}");
}

#[test]
fn a_scheduler_without_locks_is_named_in_the_report() {
    let output = Server::race().stress(&["--n", "10"]);
    assert_eq!(exit_status(&output), 1);
    assert!(stdout(&output).contains("takes no locks"), "{}", stdout(&output));
    assert!(!stdout(&Server::all().stress(&["--n", "2"])).contains("takes no locks"));
}

#[test]
fn dflockd_a_server_with_few_descriptors_serves_a_thousand_rivals() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "ulimit -n 1024; exec {SCTEC} serve-all --listen 127.0.0.1:0 --listen-coordinator 127.0.0.1:0 --data-dir {}",
        folder.path().display()
    );
    let server = crate::common::Server::spawn(deaf(Command::new("sh").args(["-c", &script])), 2);
    let url = server.url_of("servico-agendamento");
    for _ in 0..2 {
        let output = stress(&url, &["--n", "1000", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let statuses = &report["statuses"];
        // On a busy machine the coordinator may answer too late for some (503). No connection fails, and one rival wins.
        let refused = ["409", "503"].map(|status| statuses[status].as_u64().unwrap_or(0));
        assert_eq!(statuses["201"], 1, "{statuses}");
        assert!(refused[0] > 0 && refused[0] + refused[1] == 999, "{statuses}");
    }
}
