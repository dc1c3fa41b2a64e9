//! A real etcd on free ports, in folders of its own.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::{Authority, HERE};
use super::executable::signal;
use super::ports::free_port;
use super::requests::try_http_elsewhere;
use super::wait::wait_until;

/// A cluster, killed when dropped.
pub struct Etcd {
    members: Vec<Member>,
    folder: TempDir,
}

struct Member {
    child: Option<Child>,
    arguments: Vec<String>,
    client: String,
}

impl Etcd {
    /// A cluster of so many members, which has elected its own leader.
    pub fn start(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let urls: Vec<String> = (0..2 * count).map(|_| format!("http://127.0.0.1:{}", free_port())).collect();
        let (clients, peers) = urls.split_at(count);
        let cluster: Vec<_> = peers.iter().enumerate().map(|(number, peer)| format!("m{number}={peer}")).collect();
        let cluster = cluster.join(",");
        let members = clients.iter().zip(peers).enumerate().map(|(number, (client, peer))| {
            let name = format!("m{number}");
            let data = folder.path().join(&name).to_str().unwrap().to_owned();
            let arguments = [
                ("--name", name.as_str()),
                ("--data-dir", &data),
                ("--listen-client-urls", client),
                ("--advertise-client-urls", client),
                ("--listen-peer-urls", peer),
                ("--initial-advertise-peer-urls", peer),
                ("--initial-cluster", &cluster),
            ];
            let arguments = arguments.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]);
            Member { child: None, arguments: arguments.collect(), client: client.clone() }
        });
        let mut etcd = Self { members: members.collect(), folder };
        for number in 0..count {
            etcd.begin(number);
        }
        wait_until("etcd has a leader", || etcd.leader().is_some());
        etcd
    }

    /// One member that also speaks TLS, with a certificate of `authority`. Gives the value of `--election` for that.
    pub fn start_secure(authority: &Authority) -> (Self, String) {
        let mut etcd = Self::start(1);
        etcd.kill(0);
        let issued = authority.issue(&HERE);
        let [cert, key] = [("cert", issued.cert), ("key", issued.key)].map(|(name, pem)| {
            let path = etcd.folder.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        });
        let secure = format!("https://127.0.0.1:{}", free_port());
        let member = &mut etcd.members[0];
        let listens = member.arguments.iter().position(|argument| argument == "--listen-client-urls").unwrap();
        member.arguments[listens + 1] = format!("{},{secure}", member.client);
        member.arguments.extend([format!("--cert-file={cert}"), format!("--key-file={key}")]);
        etcd.begin(0);
        wait_until("etcd has a leader", || etcd.leader().is_some());
        (etcd, secure.replacen("https", "etcds", 1))
    }

    /// The value of `--election`.
    pub fn url(&self) -> String {
        self.url_from(0)
    }

    /// The same with this member first: it is the one that is asked, as long as it answers.
    pub fn url_from(&self, first: usize) -> String {
        let count = self.members.len();
        let members = (0..count).map(|step| &self.members[(first + step) % count]);
        let hosts: Vec<_> = members.map(|member| member.client.trim_start_matches("http://")).collect();
        format!("etcd://{}", hosts.join(","))
    }

    /// Starts a member, perhaps again.
    pub fn begin(&mut self, number: usize) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("etcd");
        command.args(&self.members[number].arguments).stdout(Stdio::null()).stderr(log);
        self.members[number].child = Some(command.spawn().expect("etcd starts"));
    }

    /// SIGKILL.
    pub fn kill(&mut self, number: usize) {
        let mut child = self.members[number].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A signal by name.
    pub fn signal(&self, number: usize, name: &str) {
        signal(self.members[number].child.as_ref().unwrap().id(), name);
    }

    /// The member that leads the others.
    pub fn leader(&self) -> Option<usize> {
        (0..self.members.len()).filter(|number| self.members[*number].child.is_some()).find(|number| {
            self.ask(*number, "/v3/maintenance/status", "{}")
                .is_some_and(|status| status["leader"].is_string() && status["leader"] == status["header"]["member_id"])
        })
    }

    /// Whether a member takes part: it answers as the majority does.
    pub fn takes_part(&self, number: usize) -> bool {
        self.ask(number, "/v3/kv/range", r#"{"key": "YQ=="}"#).is_some()
    }

    /// Runs etcdctl, to its success.
    pub fn control(&self, arguments: &[&str]) -> String {
        let hosts: Vec<_> = self.members.iter().map(|member| member.client.as_str()).collect();
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &hosts.join(",")]).args(arguments);
        let output = command.output().expect("etcdctl starts");
        assert!(output.status.success(), "etcdctl {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn ask(&self, number: usize, path: &str, body: &str) -> Option<Value> {
        let url = format!("{}{path}", self.members[number].client);
        let asked = try_http_elsewhere(&url, body);
        asked.ok().filter(|answer| answer.status == 200).map(|answer| answer.json())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for child in self.members.iter_mut().filter_map(|member| member.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
