//! One running process with one service or both.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::contract;
use super::executable::{sctec, signal};
use super::wait::wait_until;
use super::{election, storage};

/// One running `sctec serve-…`, killed when dropped.
pub struct Server {
    /// Where it runs, and so where its data is unless it was told otherwise.
    _folder: TempDir,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it and waits until every service in it listens.
    pub fn start(args: &[&str]) -> Self {
        Self::spawn(sctec().args(args), if args[0] == "serve-all" { 2 } else { 1 })
    }

    /// Starts `command` and waits until `services` of it listen.
    pub fn spawn(command: &mut Command, services: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        storage::choose_in(command, folder.path());
        Self::spawn_in(folder, command, services)
    }

    /// The same with the agenda in SQLite, also in a run whose other tests have it in PostgreSQL.
    pub fn spawn_of_sqlite(command: &mut Command, services: usize) -> Self {
        Self::spawn_in(tempfile::tempdir().unwrap(), command, services)
    }

    fn spawn_in(folder: TempDir, command: &mut Command, services: usize) -> Self {
        election::choose_in(command, folder.path());
        let mut child =
            command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().expect("the executable starts");
        let stdout = child.stdout.take().expect("it is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                contract::listens(&line);
                sink.lock().unwrap().push(line);
            }
        });
        let mut server = Self { _folder: folder, child, lines };
        wait_until("the services listen", || {
            assert_eq!(server.child.try_wait().unwrap(), None, "the server ended: {:?}", server.lines());
            server.lines().iter().filter(|line| line.contains("escutando em http")).count() >= services
        });
        if election::is_sure(command) {
            wait_until("it is elected", || server.lines().iter().any(|line| line.contains(election::BEGUN)));
        }
        server
    }

    /// Starts `command`, whose output nobody reads, and waits until `log` says that it listens.
    pub fn spawn_unread(command: &mut Command, log: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = command.current_dir(folder.path()).stdout(Stdio::null()).spawn().expect("the executable starts");
        let mut server = Self { _folder: folder, child, lines: Arc::default() };
        wait_until("the service listens", || {
            assert_eq!(server.child.try_wait().unwrap(), None, "the server ended");
            let text = std::fs::read_to_string(log).unwrap_or_default();
            // The last line may be half written.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            whole.lines().for_each(contract::listens);
            *server.lines.lock().unwrap() = whole.lines().map(str::to_owned).collect();
            whole.contains("escutando em http") && (!election::is_sure(command) || whole.contains(election::BEGUN))
        });
        server
    }

    /// What it printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The URL of its only service.
    pub fn url(&self) -> String {
        self.url_of("")
    }

    /// The URL of one of its services.
    pub fn url_of(&self, service: &str) -> String {
        let lines = self.lines();
        let line = lines.iter().find(|line| line.contains(service) && line.contains("escutando em http")).unwrap();
        let (scheme, address) = line.split_once("escutando em ").unwrap().1.split_once("://").unwrap();
        // In JSON a quotation mark follows.
        let end = address.find(|c: char| !matches!(c, '0'..='9' | '.' | ':')).unwrap_or(address.len());
        format!("{scheme}://{}", &address[..end])
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    pub fn kill(&mut self) {
        self.forget();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> Option<i32> {
        self.end_by("TERM")
    }

    /// Its port may be another service's soon.
    fn forget(&self) {
        self.lines().iter().for_each(|line| contract::ended(line));
    }

    /// The signal `name`, and the exit status.
    pub fn end_by(&mut self, name: &str) -> Option<i32> {
        self.forget();
        signal(self.child.id(), name);
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.forget();
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
