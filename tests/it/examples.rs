//! The examples do what they say, as a person would run them.

use std::path::Path;
use std::process::Command;

use crate::common::{Server, Services, coordinator_command, deaf};

#[test]
#[ignore = "needs curl and jq"]
fn the_api_from_a_shell() {
    let services = Services::start(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agendar.sh");
    let output = Command::new("bash").arg(script).arg(services.scheduler.url()).output().unwrap();
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
    assert_eq!(stdout.lines().filter(|line| line.starts_with("OK ")).count(), 30, "{stdout}");
}

/// One of `examples/*.rs`, as built from what is tested here.
fn example(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--offline", "--example", name]).current_dir(env!("CARGO_MANIFEST_DIR"));
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
fn a_writer_without_a_coordinator_says_so() {
    let output = example("fenced_writer").arg("http://127.0.0.1:1").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // 101 would be a panic, or an example that does not compile.
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("refused"), "{stderr}");
}
