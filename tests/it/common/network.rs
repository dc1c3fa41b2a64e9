//! Machines that lose sight of each other. Needs root.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use super::wait::wait_until;

/// Machines and the wires between them: network namespaces, which end with the processes inside.
pub struct Network {
    hosts: Vec<Child>,
    /// Where the wires of more than two machines meet.
    switch: Option<Child>,
}

impl Network {
    /// Two machines, 10.9.0.1 and 10.9.0.2.
    pub fn start() -> Self {
        let network = Self { hosts: vec![namespace(), namespace()], switch: None };
        let peer = network.hosts[1].id().to_string();
        network.ip(0, &["link", "add", "fio", "type", "veth", "peer", "name", "fio", "netns", &peer]);
        network.address_all();
        network
    }

    /// So many machines at one switch, 10.9.0.1 and so on. Each can be cut off.
    pub fn of(count: usize) -> Self {
        let network = Self { hosts: (0..count).map(|_| namespace()).collect(), switch: Some(namespace()) };
        network.at_switch(&["link", "add", "pontes", "type", "bridge"]);
        network.at_switch(&["link", "set", "pontes", "up"]);
        for (number, host) in network.hosts.iter().enumerate() {
            let (port, machine) = (format!("p{number}"), host.id().to_string());
            network.at_switch(&["link", "add", &port, "type", "veth", "peer", "name", "fio", "netns", &machine]);
            network.at_switch(&["link", "set", &port, "master", "pontes", "up"]);
        }
        network.address_all();
        network
    }

    fn address_all(&self) {
        for host in 0..self.hosts.len() {
            self.ip(host, &["address", "add", &format!("10.9.0.{}/24", host + 1), "dev", "fio"]);
            self.ip(host, &["link", "set", "fio", "up"]);
            self.ip(host, &["link", "set", "lo", "up"]);
        }
    }

    /// Pulls a machine's plug at the switch.
    pub fn cut(&self, host: usize) {
        self.at_switch(&["link", "set", &format!("p{host}"), "down"]);
    }

    /// Puts it in again.
    pub fn mend(&self, host: usize) {
        self.at_switch(&["link", "set", &format!("p{host}"), "up"]);
    }

    /// A command on one of the machines.
    pub fn on(&self, host: usize, program: &str) -> Command {
        inside(&self.hosts[host], program)
    }

    /// Runs ip on one of them, to its success.
    pub fn ip(&self, host: usize, args: &[&str]) {
        ip(&self.hosts[host], args);
    }

    fn at_switch(&self, args: &[&str]) {
        ip(self.switch.as_ref().expect("there is a switch"), args);
    }

    /// What is at `url`, seen from one of them.
    pub fn curl(&self, host: usize, url: &str) -> String {
        let output = self.on(host, "curl").args(["--silent", "--max-time", "5", url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The answer to a body of JSON that is sent from one of them; null without an answer.
    pub fn post(&self, host: usize, url: &str, body: &str) -> Value {
        let mut curl = self.on(host, "curl");
        curl.args(["--silent", "--max-time", "5", "--header", "Content-Type: application/json", "--data", body, url]);
        serde_json::from_slice(&curl.output().unwrap().stdout).unwrap_or_default()
    }
}

/// Clients and a server whose packets take their time: two namespaces, and a wire between them that delays each packet by the address of its client.
pub struct Distance {
    clients: Child,
    server: Child,
    wire: Child,
    /// The wire ends with it.
    _held: Option<ChildStdin>,
}

impl Distance {
    /// The server's address.
    pub const SERVER: &str = "10.8.0.1";

    /// So far apart; `ways` is what `wire.py` reads.
    pub fn of(folder: &Path, ways: &Value) -> Self {
        let (clients, server, file) = (namespace(), namespace(), folder.join("wire.json"));
        std::fs::write(&file, ways.to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/common/wire.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(file).args([clients.id().to_string(), server.id().to_string()]);
        let mut wire = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(wire.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "the wire is not there");
        Self { clients, server, _held: wire.stdin.take(), wire }
    }

    /// A command where the clients are.
    pub fn at_clients(&self, program: &str) -> Command {
        inside(&self.clients, program)
    }

    /// A command where the server is.
    pub fn at_server(&self, program: &str) -> Command {
        inside(&self.server, program)
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        for child in [&mut self.wire, &mut self.clients, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A namespace of its own.
fn namespace() -> Child {
    let child = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().unwrap();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let theirs = format!("/proc/{}/ns/net", child.id());
    wait_until("the namespace is there", || std::fs::read_link(&theirs).is_ok_and(|theirs| theirs != own));
    child
}

fn inside(host: &Child, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &host.id().to_string(), program]);
    command
}

fn ip(host: &Child, args: &[&str]) {
    assert!(inside(host, "ip").args(args).status().unwrap().success(), "ip {args:?}");
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in self.hosts.iter_mut().chain(&mut self.switch) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
