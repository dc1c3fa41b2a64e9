//! A coordinator without a scheduler, for tests of locks.

use serde_json::Value;
use tempfile::TempDir;

use super::executable::coordinator_command;
use super::requests::http;
use super::server::Server;

/// A coordinator by itself.
pub struct Locks {
    pub server: Server,
    pub folder: TempDir,
    args: Vec<String>,
    address: String,
}

impl Locks {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments, then and when it is started again.
    pub fn start_with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = "127.0.0.1:0".to_owned();
        let server = Server::spawn(coordinator_command(folder.path(), &address).args(args), 1);
        Self { server, folder, args: args.iter().map(|&arg| arg.to_owned()).collect(), address }
    }

    /// One that was started in some other way.
    pub fn of(server: Server, folder: TempDir) -> Self {
        Self { server, folder, args: Vec::new(), address: "127.0.0.1:0".to_owned() }
    }

    /// Lets it keep the address it has when it is started again, and says which.
    pub fn keep_address(&mut self) -> String {
        self.server.url()["http://".len()..].clone_into(&mut self.address);
        self.address.clone()
    }

    /// Starts it again with other arguments, for this once.
    pub fn restart_with(&mut self, args: &[&str]) {
        self.server = Server::spawn(coordinator_command(self.folder.path(), &self.address).args(args), 1);
    }

    pub fn restart(&mut self) {
        self.server = Server::spawn(coordinator_command(self.folder.path(), &self.address).args(&self.args), 1);
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = http("POST", &self.url(path), Some(("application/json", &body.to_string())));
        (answer.status, answer.json())
    }

    pub fn lock(&self, body: &Value) -> (u16, Value) {
        self.post("/lock", body)
    }

    pub fn unlock(&self, body: &Value) -> (u16, Value) {
        self.post("/unlock", body)
    }

    /// Its log as it is now.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("coordenador.log")).unwrap_or_default()
    }
}
