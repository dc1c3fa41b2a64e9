//! Schemathesis makes requests out of each document, right ones and wrong ones and sequences along its links, and holds the answers of a
//! real service to it. `schemathesis.toml` says which of its expectations are not ours, and why.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use crate::common::access::give;
use crate::common::contract::Service;
use crate::common::{Server, Services, coordinator_command, http_with};

/// The most requests that it makes out of one operation in one phase.
const EXAMPLES: &str = "12";
/// How long a lock may be kept.
const KEPT: Duration = Duration::from_secs(2);
/// The same requests in every run.
const SEED: &str = "20261127";

/// The document of a service, as a file for Schemathesis. A service that asks for tokens asks everybody.
fn written(service: Service, folder: &Path, asks: bool) -> String {
    let mut document = service.document();
    if asks {
        for item in document["paths"].as_object_mut().expect("paths").values_mut() {
            for operation in item.as_object_mut().expect("operations").values_mut() {
                if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
                    operation["security"] = json!([{"token": []}]);
                }
            }
        }
    }
    let path = folder.join(format!("{}.json", service.name()));
    std::fs::write(&path, document.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The version that Schemathesis says it has, and how many cases it says it made. It says none if it made none.
fn told(text: &str) -> Option<(&str, u64)> {
    let version = text.lines().find_map(|line| line.strip_prefix("Schemathesis v"))?;
    let cases = text.lines().skip_while(|line| *line != "Test cases:").nth(1)?;
    let (count, _) = cases.trim_start().split_once(" generated")?;
    Some((version, count.parse().ok()?))
}

#[test]
fn a_run_is_known_by_its_version_and_the_number_of_its_cases() {
    let of = |cases: &str| format!("Schemathesis v4.32.5\n━━━━\n\nSUMMARY\n\nTest cases:\n  {cases}\n\nSeed: 1\n");
    assert_eq!(told(&of("1234 generated, 1234 passed, 5 skipped")), Some(("4.32.5", 1234)));
    assert_eq!(told(&of("No test cases were generated")), None);
    assert_eq!(told("Schemathesis v4.32.5\n"), None);
}

/// Runs it, and prints its version and the number of its cases. `EXAMPLES` and `SEED` bound the run; `SCTEC_TEST_SCHEMATHESIS_EXAMPLES` makes a longer one.
fn run(service: Service, url: &str, token: Option<&str>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::var("SCTEC_TEST_SCHEMATHESIS")
        .unwrap_or_else(|_| root.join("target/schemathesis/bin/st").to_str().unwrap().to_owned());
    let examples = std::env::var("SCTEC_TEST_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(&program);
    command
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(root.join("tests/it/openapi/schemathesis.toml"))
        .args(["--no-color", "run", &written(service, folder.path(), token.is_some()), "--url", url])
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"])
        .args(["--max-examples", &examples, "--seed", SEED, "--continue-on-failure"]);
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
    let name = service.name();
    let access = if token.is_some() { "with tokens" } else { "open" };
    assert!(output.status.success(), "{name} {access}:\n{text}");
    let Some((version, cases)) = told(&text) else { panic!("{name} {access}: no cases were made:\n{text}") };
    println!("{text}");
    println!("Schemathesis {version}, {name}, {access}: {cases} cases");
}

#[test]
#[ignore = "needs Schemathesis"]
fn no_request_of_schemathesis_is_answered_against_the_documents() {
    let services = Services::start(&[]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    run(Service::Scheduler, &services.scheduler.url(), None);
    let _reaper = Reaper::begin(services.coordinator.url(), None);
    run(Service::Coordinator, &services.coordinator.url(), None);
}

/// Takes away locks that Schemathesis keeps, so that its requests that wait for them do not wait for a minute.
struct Reaper {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    fn begin(url: String, token: Option<String>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let bearer = token.map(|token| format!("Bearer {token}"));
            let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
            let ask = |method: &str, href: &str| http_with(method, &format!("{url}{href}"), None, &headers);
            let mut before: Vec<(String, u64)> = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(KEPT);
                let locks = ask("GET", "/locks?limite=1000").json()["travas"].as_array().cloned().unwrap_or_default();
                let now = locks.iter().filter_map(|lock| {
                    Some((lock["_links"]["forcar"]["href"].as_str()?.to_owned(), lock["token"].as_u64()?))
                });
                let now: Vec<_> = now.collect();
                for (href, _) in now.iter().filter(|lock| before.contains(lock)) {
                    ask("DELETE", href);
                }
                before = now;
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Its last request needs the service. A panic of it has been told already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A token of an operator. Schemathesis revokes tokens by small numbers, so it has a larger one.
fn token(data_dir: &Path) -> String {
    for number in 0..20 {
        give(data_dir, &[&format!("outro-{number}"), "--role", "leitor"]);
    }
    give(data_dir, &["schemathesis", "--role", "operador", "--role", "auditor"]).token
}

#[test]
#[ignore = "needs Schemathesis"]
fn nor_where_the_services_ask_for_tokens() {
    let asks = ["--access", "token", "--rate", "0"];
    let services = Services::start(&asks);
    run(Service::Scheduler, &services.scheduler.url(), Some(&token(services.data_dir())));
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Server::spawn(coordinator_command(folder.path(), "127.0.0.1:0").args(asks), 1);
    let token = token(folder.path());
    let _reaper = Reaper::begin(coordinator.url(), Some(token.clone()));
    run(Service::Coordinator, &coordinator.url(), Some(&token));
}
