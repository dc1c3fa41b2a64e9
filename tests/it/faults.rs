//! Every write and every sync of a booking fails, once and permanently. After a crash the database must agree with the answers.
//!
//! strace makes one system call on one file fail: first the first call, then the second, until there is none left. After each
//! booking the service is killed and restarted without strace. A booking with a 201 must then exist, and one with the answer that
//! nothing was written must not.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use crate::common::election::without_election;
use crate::common::trail::audit;
use crate::common::{Asked, Server, Services, http, http_with, signal, try_http, wait_until};

/// More calls than any step makes.
const CALLS_MAX: u32 = 60;

/// The system call that fails, its error, and whether all later calls fail too.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    when: u32,
    lasts: bool,
}

/// strace, attached to all threads of a process. It makes one call on one file fail.
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

    /// Ends strace and returns whether the call was made, and so failed.
    fn end(mut self) -> bool {
        // strace may have ended with its process.
        signal(self.strace.id(), "INT");
        self.strace.wait().unwrap();
        std::fs::read_to_string(&self.log).is_ok_and(|text| text.contains("(INJECTED)"))
    }
}

/// The faults of one call: EIO and ENOSPC, each once and permanently.
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

/// Whether the change was written, according to the answer to a booking or a cancellation; `None` if the answer says that this is
/// unknown.
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

/// A scheduler with faults on one file, and the counts of its answers.
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

    /// Books, and cancels an earlier booking, under one fault. Then kills the service and compares the answers with the database.
    fn run(&mut self, file: &Path, fault: Fault) -> bool {
        let before = minute(self.next);
        let start = minute(self.next + 1);
        self.next += 2;
        let (status, standing) = self.services.book(7, &before);
        assert_eq!(status, 201, "{standing}");
        // After the last fault the service is unavailable until a record is written, so this booking comes before the fault.
        let injector = Injector::attach(self.services.scheduler.pid(), file, fault, self.services.data_dir());
        let what = format!("{fault:?} of {}", file.display());
        let asked = Asked::by(3, &start);
        let keyed = |services: &Services| {
            let (url, text) = (services.agenda("/agendamentos"), asked.text());
            http_with("POST", &url, Some(("application/json", &text)), &[("Idempotency-Key", &start)])
        };
        let answer = keyed(&self.services);
        let (status, booked) = (answer.status, answer.json());
        let said_booked = says(&what, status, &booked);
        let cancelled = self.services.follow(&standing, "cancelar");
        let said_cancelled = says(&what, cancelled.status, &cancelled.json());
        // A read during the fault succeeds or is refused with 503.
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
        // The key resolves what was not known: the booking that is there is the answer, or it is made now.
        let again = keyed(&self.services);
        let is_replayed = again.header("idempotent-replayed").is_some();
        assert_eq!((again.status, is_replayed), (201, is_there), "{what}: {booked} {}", again.body);
        let all = self.services.list(&format!("?de={start}"));
        assert_eq!(all.iter().filter(|booking| booking["cientista_id"] == 3).count(), 1, "{what}");
        reached
    }

    /// Runs all faults of a call, until no call is left to fail.
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
    let output = audit(&["--verify", "--data-dir", folder.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "needs strace"]
fn when_a_write_or_sync_of_the_database_fails_every_answer_is_true() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let mut trial = Trial { services, next: 0, certain: (0, 0), unknown: 0 };
    let log = trial.services.data_dir().join("sctec.db-wal");
    trial.run_all(&log, "fdatasync", 1);
    // A page is two writes, its header and its content. There are many pages, so only some writes fail.
    trial.run_all(&log, "pwrite64", 3);
    // Only a sync that fails permanently gives an answer with an unknown result.
    assert!(trial.unknown > 0 && trial.certain.0 > 0, "{} {:?}", trial.unknown, trial.certain);
    trial.restart();
    wait_until("the trail has all", || {
        http("GET", &trial.services.agenda("/pronto"), None).json()["partes"]["auditoria"] == "ok"
    });
    verify(&trial.services.stop().keep());
}

#[test]
#[ignore = "needs strace"]
fn a_disk_that_stays_full_makes_one_result_unknown_and_then_refuses_plainly() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let log = services.data_dir().join("sctec.db-wal");
    let book = |index: u32| {
        let (status, body) = services.book(3, &minute(index));
        (says("a full disk", status, &body), body)
    };
    assert_eq!(book(0).0, Some(true));
    for (round, call) in (1..).zip(["fdatasync", "pwrite64"]) {
        let full = Fault { call, error: "ENOSPC", when: 1, lasts: true };
        let injector = Injector::attach(services.scheduler.pid(), &log, full, services.data_dir());
        let first = round * 10;
        let (said, body) = book(first);
        assert_eq!(said, None, "{call}: nobody can know yet: {body}");
        for index in first + 1..first + 4 {
            let (said, body) = book(index);
            assert_eq!((said, body["codigo"].as_str()), (Some(false), Some("banco_indisponivel")), "{call}: {body}");
        }
        assert!(injector.end(), "{call} is reached");
        // The first write that succeeds ends it, without a restart.
        assert_eq!(book(first + 4).0, Some(true), "{call}");
        let booked = services.list(&format!("?de={}&ate={}", minute(first + 1), minute(first + 5)));
        assert_eq!(booked.len(), 1, "{call}: what was refused was not written: {booked:?}");
    }
    verify(&services.stop().keep());
}

#[test]
#[ignore = "needs strace"]
fn when_a_write_or_sync_of_the_trail_fails_every_answer_is_true() {
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
fn when_the_log_cannot_be_written_every_answer_is_true() {
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
fn when_a_write_or_sync_of_the_token_limit_fails_no_token_is_granted_twice() {
    without_election!("it makes writes of the state file fail");
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
            // The file is written when a TTL is longer than all before, and when the tokens reach the limit.
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
            // After the crash the next token is larger, and the state file is whole.
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
