//! A PostgreSQL primary with its synchronous standby, which is made the primary by hand; and a gate before a server, which can cut a COMMIT off.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tempfile::TempDir;

use crate::cluster::machine::{Machine, NOBODY, as_nobody};
use crate::common::postgres::program;
use crate::common::{free_port, wait_until};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STANDBY: &str = "copia";

/// The two servers. The standby reads the primary's log through a gate.
pub struct Pair {
    pub primary: Machine,
    pub standby: Machine,
    ports: [u16; 2],
    /// Before the primary, for its clients.
    pub gate: Gate,
    /// Before the primary, for the standby.
    pub replication: Gate,
    _folder: TempDir,
}

fn run_as_nobody(name: &str, folder: &Path, args: &[&str]) {
    let mut command = as_nobody(program(name).to_str().expect("a path of text"));
    let ran = command.args(args).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn server(name: &str, parent: &Path, settings: &[String]) -> Machine {
    let data = parent.join(name).join("dados");
    let settings: Vec<String> = settings.iter().flat_map(|setting| ["-c".to_owned(), setting.clone()]).collect();
    Machine::new(name, parent, Some(NOBODY), move || {
        let mut command = as_nobody(program("postgres").to_str().expect("a path of text"));
        command.arg("-D").arg(&data).args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        command.args(&settings);
        command
    })
}

impl Pair {
    /// Both run, and every commit waits for the standby.
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let ports = [(); 2].map(|()| free_port());
        let [gate, replication] = [(); 2].map(|()| Gate::before(([127, 0, 0, 1], ports[0]).into()));
        let port = |nth: usize| format!("port={}", ports[nth]);
        let waits = format!("synchronous_standby_names={STANDBY}");
        let mut primary = server("primario", folder.path(), &[port(0), waits]);
        let mut standby = server("copia", folder.path(), &[port(1)]);
        let settings = ["--auth=trust", "--username=sctec", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
        run_as_nobody("initdb", primary.folder(), &[&["--pgdata=dados"], &settings[..]].concat());
        primary.start();
        let pair_of = |sql: &str, nth: usize| psql(ports[nth], "postgres", sql);
        wait_until("the primary answers", || pair_of("SELECT 1", 0).is_ok());
        let from = format!(
            "host=127.0.0.1 port={} user=sctec application_name={STANDBY} sslmode=disable",
            replication.address.port()
        );
        let copy = ["--pgdata=dados", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", &from];
        run_as_nobody("pg_basebackup", standby.folder(), &copy);
        standby.start();
        let is_synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        wait_until("the standby is synchronous", || pair_of(is_synchronous, 0).as_deref() == Ok("1"));
        pair_of("CREATE DATABASE sctec", 0).unwrap();
        Self { primary, standby, ports, gate, replication, _folder: folder }
    }

    /// Where the agenda is: at the gate, or else at the standby.
    pub fn url(&self) -> String {
        let hosts = format!("{},127.0.0.1:{}", self.gate.address, self.ports[1]);
        format!("postgres://sctec@{hosts}/sctec?target_session_attrs=read-write")
    }

    /// A value of the agenda at the primary (0) or the standby (1).
    pub fn value(&self, nth: usize, sql: &str) -> Result<String, String> {
        psql(self.ports[nth], "sctec", sql)
    }

    /// The primary loses its power, and the standby is the primary.
    pub fn fail_over(&mut self) {
        self.primary.lose_power();
        psql(self.ports[1], "postgres", "SELECT pg_promote(wait => false)").unwrap();
        let writes = "SELECT NOT pg_is_in_recovery()";
        wait_until("the standby has become the primary", || self.value(1, writes).as_deref() == Ok("t"));
    }
}

fn psql(port: u16, database: &str, sql: &str) -> Result<String, String> {
    let url = format!("postgres://sctec@127.0.0.1:{port}/{database}?connect_timeout=10");
    let mut psql = Command::new(program("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--command", sql]);
    let ran = psql.args(["--dbname", &url]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    if ran.status.success() { Ok(text(ran.stdout)) } else { Err(text(ran.stderr)) }
}

/// Passes on what clients and a server say to each other.
pub struct Gate {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What the server says from now on is lost.
    is_mute: AtomicBool,
    trap: Mutex<Option<Trap>>,
}

/// Waits for a COMMIT.
struct Trap {
    passes: bool,
    reached: mpsc::Sender<()>,
    /// The connection ends when this does.
    held: mpsc::Receiver<()>,
}

/// A connection whose COMMIT has been caught, or is going to be. It is cut when this is dropped.
pub struct Caught {
    reached: mpsc::Receiver<()>,
    _held: mpsc::Sender<()>,
}

impl Caught {
    /// Waits until the COMMIT came.
    pub fn wait(&self) {
        self.reached.recv_timeout(PATIENCE).expect("a COMMIT is sent");
    }
}

impl Gate {
    fn before(server: SocketAddr) -> Self {
        let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(State::default()));
        let (address, of_thread) = (listener.local_addr().unwrap(), Arc::clone(&state));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // A server without power takes no connection.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else { continue };
                let (Ok(to_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { continue };
                let (state, is_caught) = (Arc::clone(&of_thread), Arc::new(AtomicBool::new(false)));
                let (of_answers, caught) = (Arc::clone(&of_thread), Arc::clone(&is_caught));
                std::thread::spawn(move || pass_on_requests(client, server, &state, &is_caught));
                std::thread::spawn(move || pass_on_answers(from_server, to_client, &of_answers, &caught));
            }
        });
        Self { address, state }
    }

    /// From now on nothing that the server says arrives.
    pub fn mute(&self) {
        self.state.is_mute.store(true, Ordering::SeqCst);
    }

    /// Catches the next COMMIT. The server gets it if it `passes`, and its answer does not arrive.
    pub fn catch(&self, passes: bool) -> Caught {
        let ((reached, is_reached), (hold, held)) = (mpsc::channel(), mpsc::channel());
        *self.state.trap.lock().unwrap() = Some(Trap { passes, reached, held });
        Caught { reached: is_reached, _held: hold }
    }
}

/// Passes on what a server says, unless nobody is to hear it.
fn pass_on_answers(mut from: TcpStream, mut to: TcpStream, state: &State, is_caught: &AtomicBool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let is_heard = !is_caught.load(Ordering::SeqCst) && !state.is_mute.load(Ordering::SeqCst);
        if is_heard && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // One that is caught is cut when the test says so.
    if !is_caught.load(Ordering::SeqCst) {
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn pass_on_requests(mut from: TcpStream, mut to: TcpStream, state: &State, is_caught: &AtomicBool) {
    let mut is_begun = false;
    while let Ok(message) = message(&mut from, &mut is_begun) {
        let trap = if message == b"Q\0\0\0\x0bCOMMIT\0" { state.trap.lock().unwrap().take() } else { None };
        if let Some(trap) = trap {
            is_caught.store(true, Ordering::SeqCst);
            if trap.passes {
                to.write_all(&message).unwrap();
            }
            trap.reached.send(()).unwrap();
            let _ = trap.held.recv();
            break;
        }
        if to.write_all(&message).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// The next message of a client: its kind and its length come first. Those that begin a connection have no kind.
fn message(from: &mut TcpStream, is_begun: &mut bool) -> io::Result<Vec<u8>> {
    /// What begins a session, after the client may have asked for encryption.
    const VERSION_3: [u8; 4] = [0, 3, 0, 0];
    let mut message = vec![0; if *is_begun { 5 } else { 4 }];
    from.read_exact(&mut message)?;
    let length = message.last_chunk::<4>().map(|length| u32::from_be_bytes(*length)).expect("it is read");
    let head = message.len();
    message.resize(head + length.saturating_sub(4) as usize, 0);
    from.read_exact(&mut message[head..])?;
    *is_begun = *is_begun || message[4..].starts_with(&VERSION_3);
    Ok(message)
}
