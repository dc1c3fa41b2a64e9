//! Coordinators of one election, each a process with a folder of its own.

use serde_json::Value;
use tempfile::TempDir;

use crate::common::etcd::Etcd;
use crate::common::{Answer, Server, coordinator_command, http, try_http, wait_until};

pub const JSON: &str = "application/json";

pub struct Coordinators {
    running: Vec<Option<Server>>,
    urls: Vec<String>,
    folders: Vec<TempDir>,
    arguments: Vec<String>,
}

impl Coordinators {
    /// Starts so many, with these arguments more.
    pub fn start(etcd: &Etcd, count: usize, arguments: &[&str]) -> Self {
        Self::start_at(&etcd.url(), count, arguments)
    }

    /// The same, with the value of `--election`.
    pub fn start_at(url: &str, count: usize, arguments: &[&str]) -> Self {
        let arguments = ["--election", url].iter().chain(arguments).map(|&argument| argument.to_owned()).collect();
        let folders = (0..count).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut coordinators = Self { running: Vec::new(), urls: Vec::new(), folders, arguments };
        for number in 0..count {
            let server = coordinators.spawn(number, "127.0.0.1:0");
            coordinators.urls.push(server.url());
            coordinators.running.push(Some(server));
        }
        coordinators
    }

    fn spawn(&self, number: usize, listen: &str) -> Server {
        let mut command = coordinator_command(self.folders[number].path(), listen);
        Server::spawn(command.args(&self.arguments), 1)
    }

    /// Starts one again, at its address.
    pub fn begin(&mut self, number: usize) {
        let listen = self.urls[number]["http://".len()..].to_owned();
        self.running[number] = Some(self.spawn(number, &listen));
    }

    pub fn kill(&mut self, number: usize) {
        self.running[number].take().unwrap().kill();
    }

    pub fn terminate(&mut self, number: usize) -> Option<i32> {
        self.running[number].take().unwrap().terminate()
    }

    pub fn pid(&self, number: usize) -> u32 {
        self.running[number].as_ref().unwrap().pid()
    }

    pub fn log(&self, number: usize) -> String {
        std::fs::read_to_string(self.folders[number].path().join("coordenador.log")).unwrap_or_default()
    }

    /// The addresses of all, as `--coordinator` takes them.
    pub fn addresses(&self) -> String {
        self.urls.join(",")
    }

    pub fn url(&self, number: usize, path: &str) -> String {
        format!("{}{path}", self.urls[number])
    }

    pub fn others(&self, elected: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.urls.len()).filter(move |number| *number != elected)
    }

    /// Waits until one that runs is elected, and its service is there.
    pub fn elected(&self) -> usize {
        self.elected_but(usize::MAX)
    }

    /// Waits until another than this one is elected: that one may be paused, and is not asked.
    pub fn elected_but(&self, paused: usize) -> usize {
        let mut elected = None;
        wait_until("one is elected", || {
            elected = (0..self.running.len())
                .filter(|number| *number != paused && self.running[*number].is_some())
                .find(|number| {
                    let ready = try_http("GET", &self.url(*number, "/pronto"), None);
                    ready.is_ok_and(|ready| ready.json()["partes"]["eleicao"] == "ok")
                });
            elected.is_some()
        });
        elected.unwrap()
    }

    pub fn ready(&self, number: usize) -> Value {
        http("GET", &self.url(number, "/pronto"), None).json()
    }

    pub fn lock(&self, number: usize, body: &Value) -> Answer {
        self.post(number, "/lock", body)
    }

    pub fn post(&self, number: usize, path: &str, body: &Value) -> Answer {
        http("POST", &self.url(number, path), Some((JSON, &body.to_string())))
    }

    /// A metric without labels.
    pub fn metric(&self, number: usize, name: &str) -> String {
        let metrics = http("GET", &self.url(number, "/metrics"), None).body;
        let prefix = format!("sctec_coordinator_{name} ");
        metrics.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("absent").to_owned()
    }
}
