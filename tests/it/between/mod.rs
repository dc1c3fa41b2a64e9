//! A coordinator and its schedulers share a secret: a scheduler believes no other coordinator, and a coordinator keeps for its
//! schedulers what is theirs.

mod impostor;
mod kept;
mod secrets;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Answer, Server, Services, coordinator_command, http_with, run, scheduler_command};

/// The slot that tests book and lock.
const SLOT: &str = "2030-01-01T03:00:00Z";
/// Its lock.
const SLOT_LOCK: &str = "Hubble-Acad_2030-01-01T03:00:00Z";

/// A file with a new secret, made as an operator makes it.
fn new_secret(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = run(&["token", "secret", path.to_str().unwrap()]);
    assert!(made.status.success() && made.stdout.is_empty(), "{made:?}");
    path
}

/// The secret in a file.
fn secret_in(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// Both services with one secret: `coordinador` are the arguments of the coordinator.
fn with_secret(coordinator: &[&str]) -> (Services, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = new_secret(folder.path(), "between.secret");
    let (gate, scheduler) = start(&folder, "127.0.0.1:0", Some(&file), Some(&file), coordinator);
    (Services::of(scheduler, gate, folder), file)
}

/// A coordinator and a scheduler on a folder, each with the secret in a file, if there is one.
fn start(
    folder: &TempDir,
    listen: &str,
    of_coordinator: Option<&Path>,
    of_scheduler: Option<&Path>,
    args: &[&str],
) -> (Server, Server) {
    let option = |file: Option<&Path>| match file {
        Some(file) => vec!["--coordinator-token-file".to_owned(), file.to_str().unwrap().to_owned()],
        None => Vec::new(),
    };
    let mut gate = coordinator_command(folder.path(), listen);
    let gate = Server::spawn(gate.args(option(of_coordinator)).args(args), 1);
    let mut scheduler = scheduler_command(folder.path(), &gate.url());
    let scheduler = Server::spawn(scheduler.args(option(of_scheduler)), 1);
    (gate, scheduler)
}

/// A request of JSON, with a bearer token if there is one.
fn ask(method: &str, url: &str, body: &Value, bearer: Option<&str>) -> Answer {
    let bearer = bearer.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    let text = body.to_string();
    let body = (*body != Value::Null).then_some(("application/json", text.as_str()));
    http_with(method, url, body, &headers)
}

/// What a booking is answered.
fn book(services: &Services, scientist: i64) -> (u16, Value) {
    services.book_with(&json!({"cientista_id": scientist, "horario_inicio_utc": SLOT}))
}
