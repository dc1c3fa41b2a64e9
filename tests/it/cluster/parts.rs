//! The parts of a cluster on loopback, run by the files of `examples/cluster`: etcd in three copies, PostgreSQL in two with Patroni, two coordinators,
//! two schedulers, and a proxy in front of them.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::machine::{Machine, NOBODY, as_nobody};
use crate::common::bookers::agent;
use crate::common::{deaf, free_port, run, sctec};

/// How long the cluster may take until all of it is well again: a copy of the database may have to be made anew.
const PATIENCE: Duration = Duration::from_secs(120);
const PASSWORD: &str = "uma-senha-de-teste";

/// A file of `examples/cluster`, with some of its text replaced. Each text has to be there.
fn example(name: &str, replaced: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cluster").join(name);
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in replaced {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

/// A cluster, which is killed when it is dropped.
pub struct Cluster {
    pub etcd: Vec<Machine>,
    pub databases: Vec<Machine>,
    pub coordinators: Vec<Machine>,
    pub schedulers: Vec<Machine>,
    pub front: Machine,
    /// Of Patroni's interface, one for each database.
    patroni: Vec<u16>,
    database_ports: Vec<u16>,
    coordinator_ports: Vec<u16>,
    scheduler_ports: Vec<u16>,
    front_port: u16,
    _folder: TempDir,
}

/// The three members: their machines, and the ports where clients reach them.
fn etcd(folder: &Path) -> (Vec<Machine>, Vec<u16>) {
    let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
    let names: Vec<_> = (1..=3).map(|nth| format!("etcd-{nth}")).collect();
    let all: Vec<_> =
        names.iter().zip(&ports).map(|(name, (_, peer))| format!("{name}=http://127.0.0.1:{peer}")).collect();
    let all = all.join(",");
    let machines = names.iter().zip(&ports).map(|(name, &(client, peer))| {
        let data = folder.join(name).join("dados");
        let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        // The settings of the file, with this machine's addresses.
        let settings = example("etcd.env", &[]);
        let settings =
            settings.lines().filter(|line| line.starts_with("ETCD_")).filter_map(|line| line.split_once('='));
        let mut settings: HashMap<String, String> = settings.map(|(name, value)| (name.into(), value.into())).collect();
        let own = [
            ("NAME", name.clone()),
            ("DATA_DIR", data.to_str().unwrap().to_owned()),
            ("INITIAL_CLUSTER", all.clone()),
            ("LISTEN_CLIENT_URLS", client.clone()),
            ("ADVERTISE_CLIENT_URLS", client),
            ("LISTEN_PEER_URLS", peer.clone()),
            ("INITIAL_ADVERTISE_PEER_URLS", peer),
        ];
        for (name, value) in own {
            assert!(settings.insert(format!("ETCD_{name}"), value).is_some(), "etcd.env has no ETCD_{name}");
        }
        Machine::new(name, folder, None, move || {
            let mut command = Command::new("etcd");
            command.envs(&settings);
            command
        })
    });
    (machines.collect(), ports.iter().map(|(client, _)| *client).collect())
}

/// Where Patroni is. That of Debian 12 must not be used: a primary that was frozen takes its key back although another one has it by now
/// (patroni/patroni#2689, mended in 3.0.3), and what the other one has acknowledged is lost.
fn patroni_program() -> String {
    let program = std::env::var("SCTEC_TEST_PATRONI").unwrap_or_else(|_| "patroni".into());
    let told = Command::new(&program).arg("--version").output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let told = String::from_utf8(told.stdout).unwrap();
    let version = told.split_whitespace().last().expect("it tells its version");
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    assert!(parts >= vec![3, 0, 3], "Patroni {version} loses data: .ci/run installs a newer one (SCTEC_TEST_PATRONI)");
    program
}

/// A PostgreSQL and its Patroni.
fn database(folder: &Path, name: &str, etcd: &[u16], port: u16, patroni: u16) -> Machine {
    let own = folder.join(name);
    let script = folder.join("sctec-criar-banco");
    let socket = format!("unix_socket_directories: {}", own.display());
    let config = example(
        "patroni.yml",
        &[
            ("/usr/local/bin/sctec-criar-banco", script.to_str().unwrap()),
            ("unix_socket_directories: /run/postgresql", &socket),
        ],
    );
    let path = folder.join(format!("{name}.yml"));
    std::fs::write(&path, config).unwrap();
    let hosts: Vec<_> = etcd.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let variables = HashMap::from([
        ("PATRONI_NAME", name.to_owned()),
        ("PATRONI_ETCD3_HOSTS", hosts.join(",")),
        ("PATRONI_RESTAPI_LISTEN", format!("127.0.0.1:{patroni}")),
        ("PATRONI_RESTAPI_CONNECT_ADDRESS", format!("127.0.0.1:{patroni}")),
        ("PATRONI_POSTGRESQL_LISTEN", format!("127.0.0.1:{port}")),
        ("PATRONI_POSTGRESQL_CONNECT_ADDRESS", format!("127.0.0.1:{port}")),
        ("PATRONI_POSTGRESQL_DATA_DIR", own.join("dados").display().to_string()),
        ("PATRONI_POSTGRESQL_PGPASS", own.join("pgpass").display().to_string()),
        ("PATRONI_SUPERUSER_PASSWORD", PASSWORD.to_owned()),
        ("PATRONI_REPLICATION_PASSWORD", PASSWORD.to_owned()),
        ("PATRONI_REWIND_PASSWORD", PASSWORD.to_owned()),
        ("SCTEC_BANCO_SENHA", PASSWORD.to_owned()),
        ("LC_ALL", "C.UTF-8".to_owned()),
    ]);
    let program = patroni_program();
    Machine::new(name, folder, Some(NOBODY), move || {
        let mut command = as_nobody(&program);
        command.arg(&path).envs(&variables);
        command
    })
}

impl Cluster {
    /// All of it, up and well.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sctec-cluster-").tempdir().unwrap();
        // `nobody` has to come through.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let script = folder.path().join("sctec-criar-banco");
        std::fs::write(&script, example("sctec-criar-banco", &[])).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let [patroni, database_ports, coordinator_ports, scheduler_ports] =
            std::array::from_fn(|_| vec![free_port(), free_port()]);
        let (etcd, clients) = etcd(folder.path());
        let databases = (0..2).map(|nth| {
            database(folder.path(), &format!("banco-{}", nth + 1), &clients, database_ports[nth], patroni[nth])
        });
        let databases = databases.collect();
        let coordinators = coordinators(folder.path(), &clients, &coordinator_ports);
        let schedulers = schedulers(folder.path(), &database_ports, &coordinator_ports, &scheduler_ports);
        let front_port = free_port();
        let front = front(folder.path(), &scheduler_ports, front_port);
        let mut cluster = Self {
            etcd,
            databases,
            coordinators,
            schedulers,
            front,
            patroni,
            database_ports,
            coordinator_ports,
            scheduler_ports,
            front_port,
            _folder: folder,
        };
        cluster.etcd.iter_mut().for_each(Machine::start);
        cluster.databases.iter_mut().for_each(Machine::start);
        cluster.wait("both databases", Self::databases_are_well);
        cluster.coordinators.iter_mut().for_each(Machine::start);
        cluster.schedulers.iter_mut().for_each(Machine::start);
        cluster.front.start();
        cluster.wait_until_well();
        cluster
    }

    /// Waits for a state of the cluster, which may take longer than one of a service.
    #[track_caller]
    pub fn wait(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is(self) {
            for machine in self.machines() {
                machine.check();
            }
            if begun.elapsed() > PATIENCE {
                let logs = self.machines().map(|machine| {
                    let log = machine.log();
                    let lines: Vec<_> = log.lines().collect();
                    format!("{}:\n{}\n", machine.name, lines[lines.len().saturating_sub(15)..].join("\n"))
                });
                panic!("waited in vain: {what}\n{}", logs.collect::<Vec<_>>().concat());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn machines(&mut self) -> impl Iterator<Item = &mut Machine> {
        let all = [&mut self.etcd, &mut self.databases, &mut self.coordinators, &mut self.schedulers];
        all.into_iter().flatten().chain(std::iter::once(&mut self.front))
    }

    /// Everything is there that may die: a synchronous standby, both coordinators, both schedulers, and all etcd.
    pub fn wait_until_well(&mut self) {
        self.wait("the cluster is well", |cluster| {
            cluster.databases_are_well()
                && cluster.elected().is_some()
                && cluster.coordinator_ports.iter().all(|port| status(*port, "/saude").is_some())
                && cluster.scheduler_ports.iter().all(|port| status(*port, "/pronto") == Some(200))
                && status(cluster.front_port, "/pronto") == Some(200)
        });
    }

    fn databases_are_well(&self) -> bool {
        self.primary().is_some() && self.patroni.iter().any(|port| status(*port, "/synchronous") == Some(200))
    }

    /// The number of the database that is the primary.
    pub fn primary(&self) -> Option<usize> {
        self.patroni.iter().position(|port| status(*port, "/primary") == Some(200))
    }

    /// The number of the coordinator that gives locks.
    pub fn elected(&self) -> Option<usize> {
        self.coordinator_ports.iter().position(|port| status(*port, "/pronto") == Some(200))
    }

    /// The address of all schedulers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front_port)
    }

    /// The schedulers' own addresses.
    pub fn scheduler_urls(&self) -> Vec<String> {
        self.scheduler_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect()
    }

    /// The database as `--store` names it.
    pub fn store(&self) -> String {
        store(&self.database_ports)
    }

    /// A command on the database, with its password.
    pub fn with_password(command: &mut Command) -> &mut Command {
        command.env("PGPASSWORD", PASSWORD)
    }

    /// The rows of a query, with `|` between the columns.
    pub fn sql(&self, sql: &str) -> Vec<String> {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--command", sql]);
        let ran = Self::with_password(psql.args(["--dbname", &self.store()])).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

fn store(ports: &[u16]) -> String {
    let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgres://sctec@{}/sctec?target_session_attrs=read-write", hosts.join(","))
}

/// The file with the secret between the services.
fn secret(folder: &Path) -> PathBuf {
    let path = folder.join("coordenador.segredo");
    if !path.exists() {
        let made = run(&["token", "secret", path.to_str().unwrap()]);
        assert!(made.status.success(), "{made:?}");
    }
    path
}

fn coordinators(folder: &Path, etcd: &[u16], ports: &[u16]) -> Vec<Machine> {
    let hosts: Vec<_> = etcd.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let election = format!("etcd://{}", hosts.join(","));
    let machines = ports.iter().zip(1..).map(|(port, nth)| {
        let (name, listen, election, secret) =
            (format!("coordenador-{nth}"), format!("127.0.0.1:{port}"), election.clone(), secret(folder));
        let data = folder.join(&name).join("dados");
        Machine::new(&name, folder, None, move || {
            let mut command = sctec();
            command.args(["serve-coordinator", "--listen", &listen, "--election", &election]);
            command.args(["--advertise", &format!("http://{listen}"), "--grace", "0", "--log-to", "file"]);
            command.arg("--coordinator-token-file").arg(&secret).arg("--data-dir").arg(&data);
            command
        })
    });
    machines.collect()
}

fn schedulers(folder: &Path, databases: &[u16], coordinators: &[u16], ports: &[u16]) -> Vec<Machine> {
    let gates: Vec<_> = coordinators.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let (gates, store) = (gates.join(","), store(databases));
    let machines = ports.iter().zip(1..).map(|(port, nth)| {
        let (name, listen, gates, store, secret) =
            (format!("agendamento-{nth}"), format!("127.0.0.1:{port}"), gates.clone(), store.clone(), secret(folder));
        let data = folder.join(&name).join("dados");
        Machine::new(&name, folder, None, move || {
            let mut command = sctec();
            command.args(["serve-scheduler", "--listen", &listen, "--coordinator", &gates, "--store", &store]);
            command.args(["--lock-ttl-ms", "3000", "--lock-retention-ms", "100", "--log-to", "file"]);
            command.arg("--coordinator-token-file").arg(&secret).arg("--data-dir").arg(&data);
            command.env("PGPASSWORD", PASSWORD);
            command
        })
    });
    machines.collect()
}

/// The proxy, by the example's file.
fn front(folder: &Path, schedulers: &[u16], port: u16) -> Machine {
    let [first, second] = [0, 1].map(|nth| format!("127.0.0.1:{}", schedulers[nth]));
    let config = example(
        "haproxy.cfg",
        &[
            ("bind :8080", &format!("bind 127.0.0.1:{port}")),
            ("agendamento-1:5000", &first),
            ("agendamento-2:5000", &second),
            // All clients of this test have one address.
            ("gt 2000", "gt 1000000"),
        ],
    );
    let path = folder.join("haproxy.cfg");
    std::fs::write(&path, config).unwrap();
    Machine::new("entrada", folder, None, move || {
        let mut command = Command::new("haproxy");
        deaf(&mut command).args(["-db", "-f"]).arg(&path);
        command
    })
}

/// The status that a service on loopback answers with, if it answers within a second.
fn status(port: u16, path: &str) -> Option<u16> {
    let answer = agent(Duration::from_secs(1)).get(format!("http://127.0.0.1:{port}{path}")).call().ok()?;
    Some(answer.status().as_u16())
}
