//! Every write and every sync of a booking's way fails once, and for good: what was answered is what is there after a crash.
//!
//! strace makes one system call of one file fail, the first, the second and so on until none is left to fail. After each
//! booking the service is killed and started without it. A 201 that is not there, or a "nothing was written" that is, is a lie.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use crate::common::{Server, Services, http, sctec, signal, try_http, wait_until};

/// More calls than any step has.
const CALLS_MAX: u32 = 60;

/// The error, and whether it goes on.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    when: u32,
    lasts: bool,
}

/// strace, attached to all threads of a process and making one call of one file fail.
struct Injector {
    strace: Child,
    log: PathBuf,
}

impl Injector {
    fn attach(pid: u32, file: &Path, fault: Fault, folder: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let log = folder.join(format!("strace-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let Fault { call, error, when, lasts } = fault;
        let strace = Command::new("strace")
            .args(["-f", "-o", log.to_str().unwrap(), "-P", file.to_str().unwrap()])
            .args(["-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:error={error}:when={when}{}", if lasts { "+" } else { "" })])
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .expect("strace starts");
        let tracer = format!("TracerPid:\t{}\n", strace.id());
        wait_until("all threads are traced", || {
            std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|task| {
                std::fs::read_to_string(task.unwrap().path().join("status")).is_ok_and(|text| text.contains(&tracer))
            })
        });
        Self { strace, log }
    }

    /// Whether the call was reached, and so failed.
    fn end(mut self) -> bool {
        // It may have ended with the process that it was attached to.
        signal(self.strace.id(), "INT");
        self.strace.wait().unwrap();
        std::fs::read_to_string(&self.log).is_ok_and(|text| text.contains("(INJECTED)"))
    }
}

/// The faults of one call: each that there is once, and each of the first ones for good.
fn faults(call: &'static str, when: u32) -> Vec<Fault> {
    let mut faults = Vec::new();
    for error in ["EIO", "ENOSPC"] {
        for lasts in [false, true] {
            faults.push(Fault { call, error, when, lasts });
        }
    }
    faults
}

fn minute(index: u32) -> String {
    format!("2030-12-{:02}T{:02}:{:02}:00Z", 1 + index / 288, index / 12 % 24, index % 12 * 5)
}

/// What an answer to a booking or to a cancellation says of what was written: yes, no, or that nobody knows.
fn says(what: &str, status: u16, body: &serde_json::Value) -> Option<bool> {
    let detail = body["detail"].as_str().unwrap_or_default();
    match (status, body["codigo"].as_str()) {
        (200 | 201, _) => Some(true),
        (503, Some("banco_indisponivel")) if detail.contains("nada foi gravado") => Some(false),
        (503, Some("auditoria_indisponivel" | "coordenador_indisponivel")) => Some(false),
        (503, Some("resultado_incerto")) => {
            assert!(detail.contains("Não se sabe") && !detail.contains("nada foi gravado"), "{what}: {detail}");
            assert!(body["_links"].as_object().is_some_and(|links| links.len() <= 2), "{what}: {body}");
            None
        }
        _ => panic!("{what}: {status} {body}"),
    }
}

/// A scheduler under faults at one file, with what was answered since it was last looked at.
struct Trial {
    services: Services,
    next: u32,
    certain: (u32, u32),
    unknown: u32,
}

impl Trial {
    fn restart(&mut self) {
        self.services.scheduler.kill();
        self.services.restart_scheduler(&[]);
    }

    /// Books, and cancels what was booked before, under one fault; then crashes and compares.
    fn run(&mut self, file: &Path, fault: Fault) -> bool {
        let before = minute(self.next);
        let start = minute(self.next + 1);
        self.next += 2;
        let (status, standing) = self.services.book(7, &before);
        assert_eq!(status, 201, "{standing}");
        // A fault of a moment ago counts against it until a record is written.
        let injector = Injector::attach(self.services.scheduler.pid(), file, fault, self.services.data_dir());
        let what = format!("{fault:?} of {}", file.display());
        let (status, booked) = self.services.book(3, &start);
        let said_booked = says(&what, status, &booked);
        let cancelled = self.services.follow(&standing, "cancelar");
        let said_cancelled = says(&what, cancelled.status, &cancelled.json());
        // What is read meanwhile says nothing that is not so either, if it says anything.
        let listed = http("GET", &self.services.agenda(&format!("/agendamentos?de={start}")), None);
        assert!(listed.status == 200 || listed.status == 503, "{what}: {}", listed.status);
        self.services.scheduler.kill();
        let reached = injector.end();
        self.services.restart_scheduler(&[]);
        let is_there = self.services.list(&format!("?de={start}")).iter().any(|booking| booking["cientista_id"] == 3);
        let now = http("GET", &self.services.agenda(&format!("/agendamentos/{}", standing["id"])), None).json();
        let is_cancelled = now["status"] == "CANCELADO";
        for (said, is) in [(said_booked, is_there), (said_cancelled, is_cancelled)] {
            match said {
                Some(said) => assert_eq!(said, is, "{what}: {booked} {}", cancelled.body),
                None => self.unknown += 1,
            }
            if said.is_some() {
                let place = if reached { &mut self.certain.0 } else { &mut self.certain.1 };
                *place += 1;
            }
        }
        reached
    }

    /// All faults of a call until there is none left to fail.
    fn run_all(&mut self, file: &Path, call: &'static str, step: usize) {
        for when in (1..CALLS_MAX).step_by(step) {
            let mut reached = false;
            for fault in faults(call, when) {
                reached |= self.run(file, fault);
            }
            if !reached {
                assert!(when > 1, "{call} of {} is never reached", file.display());
                return;
            }
        }
        panic!("there is no end to {call} of {}", file.display());
    }
}

fn verify(folder: &Path) {
    let output = sctec().args(["audit", "--verify", "--data-dir", folder.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "needs strace"]
fn no_write_or_sync_of_the_database_that_fails_makes_an_answer_untrue() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let mut trial = Trial { services, next: 0, certain: (0, 0), unknown: 0 };
    let log = trial.services.data_dir().join("sctec.db-wal");
    trial.run_all(&log, "fsync", 1);
    // A page is two writes, its header and itself, and there are many pages: some of each.
    trial.run_all(&log, "pwrite64", 3);
    // A sync that never works again leaves what nobody knows; one that fails once does not.
    assert!(trial.unknown > 0 && trial.certain.0 > 0, "{} {:?}", trial.unknown, trial.certain);
    trial.restart();
    wait_until("the trail has all", || {
        http("GET", &trial.services.agenda("/pronto"), None).json()["partes"]["auditoria"] == "ok"
    });
    verify(&trial.services.stop().keep());
}

#[test]
#[ignore = "needs strace"]
fn no_write_or_sync_of_the_trail_that_fails_makes_an_answer_untrue() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let mut trial = Trial { services, next: 0, certain: (0, 0), unknown: 0 };
    let trail = trial.services.data_dir().join("audit.jsonl");
    for call in ["write", "fdatasync"] {
        trial.run_all(&trail, call, 1);
    }
    assert_eq!(trial.unknown, 0, "the file follows the database, which was well");
    verify(&trial.services.stop().keep());
}

#[test]
#[ignore = "needs strace"]
fn no_log_that_cannot_be_written_makes_an_answer_untrue() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let mut trial = Trial { services, next: 0, certain: (0, 0), unknown: 0 };
    let log = trial.services.data_dir().join("app.log");
    for fault in faults("write", 1) {
        trial.run(&log, fault);
    }
    assert_eq!(trial.unknown, 0);
}

#[test]
#[ignore = "needs strace"]
fn no_write_or_sync_of_the_tokens_limit_that_fails_gives_a_token_twice() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("coordenador.json");
    let start = |grace: &str| {
        let mut command = crate::common::coordinator_command(folder.path(), "127.0.0.1:0");
        Server::spawn(command.args(["--grace", grace]), 1)
    };
    let lock = |url: &str, body: &serde_json::Value| {
        let answer = try_http("POST", &format!("{url}/lock"), Some(&body.to_string())).unwrap();
        (answer.status, answer.json())
    };
    let (mut last, mut given, mut refused) = (0, 0, 0);
    let mut ttl = 0;
    for (call, file) in [
        ("write", state.with_extension("json.tmp")),
        ("fsync", state.with_extension("json.tmp")),
        ("fsync", folder.path().to_owned()),
        ("rename", state.clone()),
    ] {
        for fault in faults(call, 1) {
            let mut server = start("0");
            let injector = Injector::attach(server.pid(), &file, fault, folder.path());
            // The file is written for a TTL that is longer than any before, and for tokens far ahead.
            ttl = if ttl == 300_000 { 1_500 } else { 300_000 };
            for body in [
                json!({ "recurso": "a", "ttl_ms": ttl }),
                json!({ "recurso": "b", "token_minimo": last + 600_000 }),
                json!({ "recurso": "c" }),
            ] {
                let (status, answer) = lock(&server.url(), &body);
                match status {
                    200 => {
                        let token = answer["token"].as_u64().unwrap();
                        assert!(token > last, "{fault:?}: {token} after {last}");
                        (last, given) = (token, given + 1);
                    }
                    503 => refused += 1,
                    _ => panic!("{fault:?}: {status} {answer}"),
                }
            }
            server.kill();
            injector.end();
            // After the crash the tokens go on from above, and the state is whole.
            let server = start("0");
            let (status, answer) = lock(&server.url(), &json!({ "recurso": "d" }));
            assert_eq!(status, 200, "{fault:?}: {answer}");
            let token = answer["token"].as_u64().unwrap();
            assert!(token > last, "{fault:?}: {token} after {last}");
            last = token;
        }
    }
    assert!(given > 0 && refused > 0, "{given} {refused}");
}
