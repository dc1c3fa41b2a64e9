//! Hosts of PostgreSQL that are silent: their processes stand still, while the kernel goes on taking connections and bytes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::common::postgres::Database;
use crate::common::trail::audit;
use crate::common::{Server, coordinator_command, http, sctec, wait_until};

/// More than a scheduler's pool has connections, so that all of them are used.
const READINGS: usize = 12;

/// The address of a database with another host before it.
fn behind(first: SocketAddr, database: &Database) -> String {
    let url = database.url();
    let (begin, hosts) = url.split_once('@').unwrap();
    format!("{begin}@{first},{hosts}")
}

/// Where the server of a database listens.
fn address_of(database: &Database) -> SocketAddr {
    database.url().split(['@', '/']).find_map(|part| part.parse().ok()).unwrap()
}

/// The scheduler of a folder, and a coordinator with its data beside it.
fn services(folder: &TempDir, url: &str) -> (Server, Server) {
    let coordinator = Server::spawn(&mut coordinator_command(&folder.path().join("travas"), "127.0.0.1:0"), 1);
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &coordinator.url(), "--data-dir"]);
    (Server::spawn(command.arg(folder.path()).args(["--store", url, "--lock-retention-ms", "0"]), 1), coordinator)
}

/// Books a slot, and tells the status.
fn book(scheduler: &Server, slot: &str) -> u16 {
    let body = json!({"cientista_id": 1, "horario_inicio_utc": slot}).to_string();
    http("POST", &format!("{}/agendamentos", scheduler.url()), Some(("application/json", &body))).status
}

/// Reads the agenda many times at once, and tells whether all readings succeed.
fn all_read(scheduler: &Server) -> bool {
    let url = format!("{}/agendamentos", scheduler.url());
    std::thread::scope(|scope| {
        let readings: Vec<_> = (0..READINGS).map(|_| scope.spawn(|| http("GET", &url, None).status)).collect();
        readings.into_iter().all(|reading| reading.join().unwrap() == 200)
    })
}

/// A host in front of a database, which can be frozen.
struct Host {
    address: SocketAddr,
    frozen: Arc<AtomicBool>,
}

impl Host {
    fn before(database: SocketAddr) -> Self {
        let (listener, frozen) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(AtomicBool::new(false)));
        let (address, is_frozen) = (listener.local_addr().unwrap(), Arc::clone(&frozen));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(database).unwrap());
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                for (from, to) in [(client, server), back] {
                    let is_frozen = Arc::clone(&is_frozen);
                    std::thread::spawn(move || pass_on(from, to, &is_frozen));
                }
            }
        });
        Self { address, frozen }
    }
}

/// Passes on what comes, while nothing is frozen.
fn pass_on(mut from: TcpStream, mut to: TcpStream, is_frozen: &AtomicBool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        while is_frozen.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_host_that_was_silent_from_the_first_keeps_nobody_from_the_primary() {
    let (database, folder) = (Database::create(), TempDir::new().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = behind(silent.local_addr().unwrap(), &database);
    let (scheduler, _coordinator) = services(&folder, &url);
    assert_eq!(book(&scheduler, "2031-03-01T03:00:00Z"), 201);
    let counted = audit(&["--store", &url, "--count"]).output().unwrap();
    assert_eq!(counted.status.code(), Some(0), "{}", String::from_utf8_lossy(&counted.stderr));
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_host_that_freezes_is_left_by_all_connections_once_one_has_found_it_silent() {
    let (database, folder) = (Database::create(), TempDir::new().unwrap());
    let host = Host::before(address_of(&database));
    let (scheduler, _coordinator) = services(&folder, &behind(host.address, &database));
    assert_eq!(book(&scheduler, "2031-03-01T03:00:00Z"), 201);
    assert!(all_read(&scheduler));
    host.frozen.store(true, Ordering::Relaxed);
    // The writer finds it silent before a reading would.
    let mut slots = (1..250).map(super::at).cycle();
    wait_until("a booking at the other host", || book(&scheduler, &slots.next().unwrap()) == 201);
    assert!(all_read(&scheduler), "no connection to the frozen host is used");
    assert!(all_read(&scheduler), "nor later");
}
