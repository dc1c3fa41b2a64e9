//! Machines that lose sight of each other. Needs root.

use std::process::{Child, Command};

use super::wait::wait_until;

/// Two machines and the wire between them: network namespaces, which end with the processes inside.
pub struct Network {
    hosts: [Child; 2],
}

impl Network {
    /// Two machines, 10.9.0.1 and 10.9.0.2.
    pub fn start() -> Self {
        let host = || Command::new("unshare").args(["--net", "sleep", "600"]).spawn().unwrap();
        let network = Self { hosts: [host(), host()] };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        for child in &network.hosts {
            let theirs = format!("/proc/{}/ns/net", child.id());
            wait_until("the namespace is there", || std::fs::read_link(&theirs).is_ok_and(|theirs| theirs != own));
        }
        let peer = network.hosts[1].id().to_string();
        network.ip(0, &["link", "add", "fio", "type", "veth", "peer", "name", "fio", "netns", &peer]);
        for (host, address) in [(0, "10.9.0.1/24"), (1, "10.9.0.2/24")] {
            network.ip(host, &["address", "add", address, "dev", "fio"]);
            network.ip(host, &["link", "set", "fio", "up"]);
            network.ip(host, &["link", "set", "lo", "up"]);
        }
        network
    }

    /// A command on one of the machines.
    pub fn on(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.hosts[host].id().to_string(), program]);
        command
    }

    /// Runs ip on one of them, to its success.
    pub fn ip(&self, host: usize, args: &[&str]) {
        assert!(self.on(host, "ip").args(args).status().unwrap().success(), "ip {args:?}");
    }

    /// What is at `url`, seen from one of them.
    pub fn curl(&self, host: usize, url: &str) -> String {
        let output = self.on(host, "curl").args(["--silent", "--max-time", "5", url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in &mut self.hosts {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
