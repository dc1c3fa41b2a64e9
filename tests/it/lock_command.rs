//! `sctec lock`: a command that runs while its lock is held, and no longer.

use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Command, Output, Stdio};

use serde_json::json;

use crate::common::{Background, Locks, deaf, http, nobody, pause, run, signal, wait_until};

const REFUSED: Option<i32> = Some(123);
const LOST: Option<i32> = Some(124);
const CANNOT_RUN: Option<i32> = Some(125);

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// `sctec lock` at a coordinator; the arguments are those before and after `--`.
fn lock_at(url: &str, options: &[&str], command: &[&str]) -> Command {
    // A shell ignores SIGINT for what it starts in the background, nohup ignores SIGHUP, and the tests inherit that.
    let mut lock = Command::new("env");
    deaf(&mut lock).args(["--default-signal=INT,HUP", env!("CARGO_BIN_EXE_sctec"), "lock", "--coordinator", url]);
    lock.args(options).arg("--").args(command);
    lock
}

fn output(locks: &Locks, options: &[&str], command: &[&str]) -> Output {
    lock_at(&locks.url(""), options, command).output().unwrap()
}

/// A `sctec lock` whose shell script has said something; killed when dropped.
struct Held {
    lock: Background,
    /// A script that reads goes on when this is closed.
    stdin: Option<ChildStdin>,
}

impl Held {
    fn spawn(lock: &mut Command) -> Self {
        let mut lock = Background::spawn(lock.stdin(Stdio::piped()));
        let stdin = lock.child.stdin.take();
        Self { lock, stdin }
    }

    /// Runs `script`, and waits until it has said its first line.
    fn run(locks: &Locks, options: &[&str], script: &str) -> Self {
        let held = Self::spawn(&mut lock_at(&locks.url(""), options, &["sh", "-c", script]));
        held.wait_for_lines(1);
        held
    }

    fn lines(&self) -> Vec<String> {
        self.lock.out.lock().unwrap().clone()
    }

    fn wait_for_lines(&self, count: usize) {
        wait_until("the command speaks", || self.lines().len() >= count);
    }

    /// Waits until standard error has `words`.
    fn wait_for_message(&self, words: &str) {
        wait_until(words, || self.lock.err.lock().unwrap().iter().any(|line| line.contains(words)));
    }

    /// Its exit status, once it has ended.
    fn status(&mut self) -> Option<i32> {
        self.lock.status()
    }

    /// Lets its script go on, and returns its exit status.
    fn finish(&mut self) -> Option<i32> {
        self.stdin = None;
        self.status()
    }
}

/// A script that says its token, and ends with the status 0 when its standard input is closed.
const UNTIL_CLOSED: &str = "echo $SCTEC_TOKEN_FENCING; cat";

fn is_free(locks: &Locks, name: &str) -> bool {
    http("GET", &locks.url(&format!("/locks/{name}")), None).status == 404
}

fn waiting(locks: &Locks, name: &str) -> u64 {
    http("GET", &locks.url(&format!("/locks/{name}")), None).json()["fila"].as_u64().unwrap_or_default()
}

/// Whether a process has not ended.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

#[test]
fn the_command_finds_its_token_and_ends_with_its_own_status() {
    let locks = Locks::start();
    let script = "echo $SCTEC_TOKEN_FENCING; echo \"$SCTEC_LOCK_RESOURCES\"; echo $SCTEC_LEASE_ID; exit 7";
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let ran = output(&locks, &["X", "a b"], &["sh", "-c", script]);
        assert_eq!((ran.status.code(), text(&ran.stderr)), (Some(7), ""));
        let lines: Vec<_> = text(&ran.stdout).lines().collect();
        assert_eq!((lines.len(), &lines[1..3], lines[3].len()), (4, &["X", "a b"][..], 32), "{lines:?}");
        tokens.push(lines[0].parse::<u64>().unwrap());
        assert!(is_free(&locks, "X") && is_free(&locks, "a%20b"));
    }
    assert!(tokens[0] < tokens[1], "{tokens:?}");
    assert_eq!(output(&locks, &["X"], &["sh", "-c", "kill -KILL $$"]).status.code(), Some(128 + 9));
    assert_eq!(output(&locks, &["X"], &["echo", "--", "-x", "--ttl"]).stdout, b"-- -x --ttl\n");
}

#[test]
fn the_second_is_refused_and_told_who_has_it() {
    let locks = Locks::start();
    let mut first = Held::run(&locks, &["X", "Y"], UNTIL_CLOSED);
    let pid = first.lock.child.id();
    let marker = locks.folder.path().join("ran");
    for options in [&["Y"][..], &["Z", "X"], &["X", "--wait", "100ms"]] {
        let second = output(&locks, options, &["touch", marker.to_str().unwrap()]);
        let said = text(&second.stderr);
        assert_eq!(second.status.code(), REFUSED, "{said}");
        for words in ["is held by sh@", &format!(":{pid} until 20"), "token ", "--wait"] {
            assert!(said.contains(words) || words == "--wait" && options.len() == 3, "{words} in {said}");
        }
    }
    assert!(!marker.exists() && is_free(&locks, "Z"));
    assert_eq!(first.finish(), Some(0));
    let third = output(&locks, &["Y", "--owner", "eu", "--wait"], &["true"]);
    assert_eq!((third.status.code(), text(&third.stderr)), (Some(0), ""));
}

#[test]
fn those_that_wait_are_served_in_order_of_arrival() {
    let locks = Locks::start();
    let mut first = Held::run(&locks, &["X"], UNTIL_CLOSED);
    let mut waiters = Vec::new();
    for (number, options) in [&["X", "--wait"][..], &["X", "--wait", "1h"]].iter().enumerate() {
        waiters.push(Held::spawn(&mut lock_at(&locks.url(""), options, &["sh", "-c", UNTIL_CLOSED])));
        wait_until("it waits", || waiting(&locks, "X") == number as u64 + 1);
        waiters[number].wait_for_message("; waiting");
    }
    let mut tokens = first.lines();
    assert_eq!(first.finish(), Some(0));
    for number in 0..2 {
        waiters[number].wait_for_lines(1);
        assert!(waiters[number + 1..].iter().all(|later| later.lines().is_empty()));
        tokens.extend(waiters[number].lines());
        assert_eq!(waiters[number].finish(), Some(0));
    }
    let tokens: Vec<u64> = tokens.iter().map(|token| token.parse().unwrap()).collect();
    assert!(tokens.is_sorted() && tokens.len() == 3, "{tokens:?}");
}

#[test]
fn a_waiter_that_is_ended_leaves_the_queue() {
    let locks = Locks::start();
    let _first = Held::run(&locks, &["X"], UNTIL_CLOSED);
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let mut waiter = Held::spawn(&mut lock_at(&locks.url(""), &["X", "--wait"], &["echo"]));
        wait_until("it waits", || waiting(&locks, "X") == 1);
        signal(waiter.lock.child.id(), name);
        assert_eq!((waiter.status(), waiter.lines().len()), (Some(128 + number), 0), "{name}");
        wait_until("its place is free", || waiting(&locks, "X") == 0);
    }
}

#[test]
fn a_waiter_outlives_a_restart_of_the_coordinator() {
    let mut locks = Locks::start();
    locks.keep_address();
    let mut first = Held::run(&locks, &["X", "--ttl", "1s"], UNTIL_CLOSED);
    let mut waiter = Held::spawn(&mut lock_at(&locks.url(""), &["X", "--wait"], &["sh", "-c", UNTIL_CLOSED]));
    wait_until("it waits", || waiting(&locks, "X") == 1);
    locks.server.kill();
    assert_eq!(first.status(), LOST);
    locks.restart();
    waiter.wait_for_message("still waiting");
    waiter.wait_for_lines(1);
    assert_eq!(waiter.finish(), Some(0));
}

#[test]
fn a_long_command_keeps_its_lock_past_the_ttl() {
    let locks = Locks::start();
    let mut held = Held::run(&locks, &["X", "--ttl", "1s"], UNTIL_CLOSED);
    let renewals = |locks: &Locks| locks.log().matches("Lock renovado").count();
    // Each is a third of the TTL after the one before.
    wait_until("it is renewed through two lives", || renewals(&locks) >= 6);
    let shown = http("GET", &locks.url("/locks/X"), None).json();
    assert_eq!((&shown["estado"], &shown["token"].to_string()), (&json!("travado"), &held.lines()[0]));
    assert_eq!(held.finish(), Some(0));
    assert!(is_free(&locks, "X") && held.lock.err.lock().unwrap().is_empty());
}

#[test]
fn of_several_addresses_the_first_that_answers_is_used() {
    let locks = Locks::start();
    let several = format!("{},{}", nobody(), locks.url(""));
    let mut held = Held::spawn(&mut lock_at(&several, &["X", "--ttl", "1s"], &["sh", "-c", UNTIL_CLOSED]));
    wait_until("it is renewed", || locks.log().contains("Lock renovado"));
    assert_eq!((held.finish(), held.lines().len()), (Some(0), 1));
    assert!(is_free(&locks, "X") && held.lock.err.lock().unwrap().is_empty());
}

#[test]
fn a_lock_that_is_released_by_force_ends_the_command_and_all_that_it_started() {
    let locks = Locks::start();
    // The shell's child ignores SIGTERM, and so does its grandchild.
    let script = "trap '' TERM; sh -c 'sleep 1000 & echo $!; wait' & echo $!; wait";
    for stubborn in [script, &script.replace("trap '' TERM; ", "")] {
        let mut held = Held::run(&locks, &["X", "--ttl", "1500ms"], stubborn);
        held.wait_for_lines(2);
        assert!(held.lines().iter().all(|pid| is_alive(pid)));
        let released = run(&["locks", "--coordinator", &locks.url(""), "--release", "X"]);
        assert_eq!(released.status.code(), Some(0), "{}", text(&released.stderr));
        assert_eq!(held.status(), LOST);
        held.wait_for_message("an operator released it by force");
        assert_eq!(held.lines().iter().filter(|pid| is_alive(pid)).count(), 0, "{stubborn}");
    }
}

#[test]
fn without_a_coordinator_the_command_ends_before_its_lock() {
    for freezes in [false, true] {
        let mut locks = Locks::start();
        let mut held =
            Held::run(&locks, &["X", "--ttl", "5s"], "trap 'echo told; exit 0' TERM; echo; sleep 1000 & wait");
        if freezes {
            pause(locks.server.pid());
        } else {
            locks.server.kill();
        }
        assert_eq!(held.status(), LOST, "{freezes}");
        assert_eq!(held.lines(), ["", "told"]);
        for words in ["cannot renew the lock", "no renewal was confirmed in time"] {
            // A coordinator that is silent leaves no time for a second try.
            assert!(freezes || held.lock.err.lock().unwrap().iter().any(|line| line.contains(words)), "{words}");
        }
    }
}

#[test]
fn a_command_that_ends_after_its_lock_was_taken_away_is_told_so() {
    let locks = Locks::start();
    // The next renewal is due in a minute.
    let mut held = Held::run(&locks, &["X", "--ttl", "3min"], UNTIL_CLOSED);
    assert_eq!(http("DELETE", &locks.url("/locks/X"), None).status, 200);
    assert_eq!(held.finish(), LOST);
    held.wait_for_message("the lock was lost before the command ended: an operator released it by force");
}

#[test]
fn a_script_does_not_go_on_to_its_next_step_without_the_lock() {
    let locks = Locks::start();
    let names: Vec<String> = (0..8).map(|number| format!("step-{number}")).collect();
    let step = "echo; sleep 1000; echo next";
    let mut held: Vec<_> = names.iter().map(|name| Held::run(&locks, &[name, "--ttl", "6s"], step)).collect();
    for name in &names {
        assert_eq!(http("DELETE", &locks.url(&format!("/locks/{name}")), None).status, 200);
    }
    for held in &mut held {
        assert_eq!(held.status(), LOST);
        assert_eq!(held.lines(), [""]);
    }
}

#[test]
fn signals_are_passed_on_and_the_lock_is_released() {
    let locks = Locks::start();
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("USR1", 10)] {
        let mut held = Held::run(&locks, &["X"], "exec sh -c 'echo; exec sleep 1000'");
        // `sleep` has to be there, and not only the shell.
        signal(held.lock.child.id(), name);
        assert_eq!(held.status(), Some(128 + number), "{name}");
        assert!(is_free(&locks, "X"));
        let handled = format!("trap 'exit 5' {name}; echo; while :; do sleep 0.01; done");
        let mut held = Held::run(&locks, &["X"], &handled);
        signal(held.lock.child.id(), name);
        assert_eq!(held.status(), Some(5), "{name}");
        assert!(is_free(&locks, "X"));
    }
}

#[test]
fn a_signal_that_is_ignored_at_the_start_stays_so() {
    let locks = Locks::start();
    let script = "trap '' HUP; exec \"$@\"";
    let mut nohup = Command::new("sh");
    let lock = lock_at(&locks.url(""), &["X"], &["sh", "-c", UNTIL_CLOSED]);
    // Without `env`, which would end the ignoring.
    nohup.args(["-c", script, "sh"]).args(lock.get_args().skip(1));
    let mut held = Held::spawn(&mut nohup);
    held.wait_for_lines(1);
    signal(held.lock.child.id(), "HUP");
    let pid = http("GET", &locks.url("/locks/X"), None).json()["dono"]
        .as_str()
        .unwrap()
        .rsplit_once(':')
        .unwrap()
        .1
        .to_owned();
    assert!(is_alive(&pid));
    assert_eq!(held.finish(), Some(0));
}

#[test]
fn what_is_left_when_sctec_lock_is_killed() {
    let locks = Locks::start();
    let mut held = Held::run(&locks, &["X", "--ttl", "1s"], "echo $$; echo $SCTEC_TOKEN_FENCING; cat");
    held.wait_for_lines(2);
    let lines = held.lines();
    signal(held.lock.child.id(), "KILL");
    assert_eq!(held.status(), None);
    wait_until("the lock expires", || is_free(&locks, "X"));
    // The command goes on without its lock: only the token tells the storage.
    assert!(is_alive(&lines[0]));
    let next = output(&locks, &["X"], &["sh", "-c", "echo $SCTEC_TOKEN_FENCING"]);
    assert!(text(&next.stdout).trim().parse::<u64>().unwrap() > lines[1].parse().unwrap());
    held.stdin = None;
    wait_until("the command ends", || !is_alive(&lines[0]));

    // A command that is not to outlive it asks the kernel for that, as the manual says.
    let command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", "echo $$; cat"];
    let mut held = Held::spawn(&mut lock_at(&locks.url(""), &["X"], &command));
    held.wait_for_lines(1);
    signal(held.lock.child.id(), "KILL");
    assert_eq!(held.status(), None);
    wait_until("the command ends too", || !is_alive(&held.lines()[0]));
}

#[test]
fn ctrl_c_on_a_terminal_reaches_the_command_once() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let locks = Locks::start();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let script = "trap 'echo told' INT; echo begun; while [ ! -e done ]; do sleep 0.01; done; exit 3";
    let lock = lock_at(&locks.url(""), &["X"], &["sh", "-c", script]);
    let mut session = Command::new("setsid");
    session.args(["--ctty", "--wait"]).arg(lock.get_program()).args(lock.get_args()).current_dir(locks.folder.path());
    let mut session = Background::spawn(session.stdin(terminal));
    wait_until("it begins", || session.out.lock().unwrap().len() == 1);
    std::fs::File::from(master.try_clone().unwrap()).write_all(b"\x03").unwrap();
    wait_until("it is told", || session.out.lock().unwrap().len() >= 2);
    std::fs::write(locks.folder.path().join("done"), "").unwrap();
    assert_eq!(session.status(), Some(3));
    assert_eq!(*session.out.lock().unwrap(), ["begun", "told"]);
}

#[test]
fn what_cannot_be_run_has_statuses_of_its_own() {
    let locks = Locks::start();
    let file = locks.folder.path().join("no-program");
    std::fs::write(&file, "").unwrap();
    for (command, status) in [("./no-such-program", 127), (file.to_str().unwrap(), 126)] {
        let ran = output(&locks, &["X"], &[command]);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(status), "{said}");
        assert!(said.contains("cannot run") && said.contains(command) && is_free(&locks, "X"), "{said}");
    }
    // A short form of the coordinator's URL is enough.
    let url = locks.url("");
    assert!(lock_at(url.strip_prefix("http://127.0.0.1").unwrap(), &["X"], &["true"]).status().unwrap().success());
    let nobody = nobody();
    for (arguments, words) in [
        (&["X", "--coordinator", &nobody, "--", "true"][..], &["nothing listens at that address", "--coordinator"][..]),
        (&["X", "--coordinator", "localhost", "--", "true"], &["http://127.0.0.1:3000", "--coordinator"]),
        (&["X", "true"], &["-- <COMMAND>", "tip: write -- before the command: 'sctec lock NAME -- COMMAND'"]),
        (&["X", "ls", "-l"], &["'-l'", "tip: write -- before the command"]),
        (&["X", "X", "--", "true"], &["X is named twice"]),
        (&["X", "..", "--", "true"], &["cannot be named . or .."]),
        (&["X", "--"], &["<COMMAND>"]),
        (&["--", "true"], &["<NAME>"]),
        (&["", "--", "true"], &["<NAME>"]),
        (&["X", "--ttl", "50ms", "--", "true"], &["from 100ms to 5min"]),
        (&["X", "--ttl", "10", "--", "true"], &["a number with a unit"]),
        (&["--wait", "X", "--", "true"], &["write the NAME before --wait"]),
        (&["X", "--verify", "--", "true"], &["--verify"]),
    ] {
        let ran = run(&[&["lock"], arguments].concat());
        let said = text(&ran.stderr);
        assert_eq!((ran.status.code(), ran.stdout.len()), (CANNOT_RUN, 0), "{arguments:?}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
    }
    // The coordinator refuses a name that it does not take.
    let ran = output(&locks, &["a\tb"], &["true"]);
    assert_eq!(ran.status.code(), CANNOT_RUN);
    assert!(text(&ran.stderr).contains("the lock's name has a control character"), "{}", text(&ran.stderr));
    // The command under a lock waits for that lock itself.
    let again =
        [env!("CARGO_BIN_EXE_sctec"), "lock", "X", "--wait", "--coordinator", &locks.server.url(), "--", "true"];
    let ran = output(&locks, &["X"], &again);
    assert_eq!(ran.status.code(), CANNOT_RUN);
    assert!(text(&ran.stderr).contains("X is already held by the command that runs this one"), "{ran:?}");
    // So does one with another lock in between.
    let nested = [&again[..2], &["Y"], &again[3..again.len() - 1], &again].concat();
    let ran = output(&locks, &["X"], &nested);
    assert_eq!(ran.status.code(), CANNOT_RUN);
    assert!(text(&ran.stderr).contains("X is already held by the command that runs this one"), "{ran:?}");
}

#[test]
fn a_scheduler_is_no_coordinator() {
    let scheduler = crate::common::Server::start(&["serve-scheduler", "--listen", "127.0.0.1:0", "--no-lock"]);
    let ran = lock_at(&scheduler.url(), &["X"], &["true"]).output().unwrap();
    assert_eq!(ran.status.code(), CANNOT_RUN);
    assert!(
        text(&ran.stderr).contains("is not a coordinator; a coordinator's default port is 3000"),
        "{}",
        text(&ran.stderr)
    );
}
