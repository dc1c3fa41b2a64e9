//! A machine that is cut off: three machines, each with a member of etcd and a coordinator. The minority gives nothing.

use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::network::Network;
use crate::common::{Server, deaf, wait_until};

struct Machines {
    _coordinators: Vec<Server>,
    etcd: Vec<Child>,
    network: Network,
    _folder: TempDir,
}

impl Machines {
    fn start() -> Self {
        let (network, folder) = (Network::of(3), tempfile::tempdir().unwrap());
        let cluster: Vec<_> = (1..=3).map(|number| format!("m{number}=http://10.9.0.{number}:2380")).collect();
        let cluster = cluster.join(",");
        let etcd = (1..=3).map(|number| {
            let (client, peer) = (format!("http://10.9.0.{number}:2379"), format!("http://10.9.0.{number}:2380"));
            let data = folder.path().join(format!("etcd-{number}"));
            let mut command = network.on(number - 1, "etcd");
            command.args(["--name", &format!("m{number}"), "--initial-cluster", &cluster, "--data-dir"]).arg(data);
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("etcd starts")
        });
        let etcd: Vec<_> = etcd.collect();
        let coordinators = (1..=3).map(|number| {
            let data = folder.path().join(format!("coordinator-{number}"));
            let mut command = network.on(number - 1, env!("CARGO_BIN_EXE_sctec"));
            command.args(["serve-coordinator", "--open", "--grace", "0", "--listen", &format!("10.9.0.{number}:3000")]);
            command.args(["--election", "etcd://10.9.0.1,10.9.0.2,10.9.0.3", "--data-dir"]).arg(data);
            Server::spawn(deaf(&mut command), 1)
        });
        let coordinators = coordinators.collect();
        Self { _coordinators: coordinators, etcd, network, _folder: folder }
    }

    /// What a machine's coordinator answers on its own machine.
    fn lock(&self, host: usize, name: &str) -> Value {
        let body = json!({"recurso": name}).to_string();
        self.network.post(host, &format!("http://10.9.0.{}:3000/lock", host + 1), &body)
    }

    /// Which of these machines gives locks, and with which token. Each lock has a name of its own.
    fn giver(&self, hosts: &[usize], name: &str) -> Option<(usize, u64)> {
        hosts.iter().find_map(|host| Some((*host, self.lock(*host, name)["token"].as_u64()?)))
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for child in &mut self.etcd {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
#[ignore = "needs unshare, nsenter and ip, as root, curl and etcd"]
fn a_machine_that_is_cut_off_gives_nothing_and_the_others_go_on() {
    let machines = Machines::start();
    let mut giver = None;
    wait_until("one is elected", || {
        giver = machines.giver(&[0, 1, 2], "primeira");
        giver.is_some()
    });
    let (mut old, mut token) = giver.unwrap();
    for round in 0..2 {
        machines.network.cut(old);
        let cut = Instant::now();
        let others: Vec<usize> = (0..3).filter(|host| *host != old).collect();
        // Until it must have stopped, it may give; from then on it may not, while the others elect one and go on.
        let (mut last, mut next, mut number) = (Duration::ZERO, None, 0);
        // The lease's time begins anew with a new leader of etcd, if the machine that is cut off has the old one.
        while cut.elapsed() < Duration::from_secs(5) || (next.is_none() && cut.elapsed() < Duration::from_secs(30)) {
            number += 1;
            let sent = cut.elapsed();
            if let Some(given) = machines.lock(old, &format!("cortada-{round}-{number}"))["token"].as_u64() {
                assert!(next.is_none(), "both sides gave a lock");
                (last, token) = (sent, token.max(given));
            }
            if let Some(given) = machines.giver(&others, &format!("maioria-{round}-{number}")) {
                next.get_or_insert(given);
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(last < Duration::from_millis(2100), "it gave a lock {last:?} after it was cut off");
        let (new, larger) = next.expect("the majority elects one");
        assert!(larger > token, "{larger} {token}");
        machines.network.mend(old);
        let mut refused = Value::Null;
        wait_until("it knows the elected one", || {
            refused = machines.lock(old, "depois");
            refused["eleito"] == format!("http://10.9.0.{}:3000", new + 1)
        });
        (old, token) = (new, larger);
    }
}
