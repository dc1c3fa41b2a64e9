//! Hosts of PostgreSQL that are silent: their processes stand still, while the kernel goes on taking connections and bytes. And one that greets,
//! and answers no statement.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::common::postgres::Database;
use crate::common::trail::audit;
use crate::common::{Server, coordinator_command, http, sctec, wait_until};

/// More than a scheduler's pool has connections, so that all of them are used.
const READINGS: usize = 12;
/// Within this time a booking is answered, however the database behaves.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

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

/// A host in front of a database.
struct Host {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// It passes nothing on.
    is_frozen: AtomicBool,
    /// It does not pass on what begins with a statement that is to be prepared. So a new connection is greeted and set up.
    is_deaf: AtomicBool,
    /// Its connections.
    open: Mutex<Vec<TcpStream>>,
}

impl Host {
    fn before(database: SocketAddr) -> Self {
        let (listener, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(State::default()));
        let (address, of_thread) = (listener.local_addr().unwrap(), Arc::clone(&state));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(database).unwrap());
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                of_thread.open.lock().unwrap().push(client.try_clone().unwrap());
                for (is_request, (from, to)) in [(true, (client, server)), (false, back)] {
                    let state = Arc::clone(&of_thread);
                    std::thread::spawn(move || pass_on(from, to, is_request, &state));
                }
            }
        });
        Self { address, state }
    }

    /// Ends the connections that are open.
    fn cut(&self) {
        for client in self.state.open.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

/// Passes on what comes, as the host's state lets it.
fn pass_on(mut from: TcpStream, mut to: TcpStream, is_request: bool, state: &State) {
    /// A message with a statement that is to be prepared.
    const PARSE: u8 = b'P';
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let is_statement = is_request && bytes[0] == PARSE;
        while state.is_frozen.load(Ordering::Relaxed) || is_statement && state.is_deaf.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
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
    host.state.is_frozen.store(true, Ordering::Relaxed);
    // The writer finds it silent before a reading would.
    let mut slots = (1..250).map(super::at).cycle();
    wait_until("a booking at the other host", || book(&scheduler, &slots.next().unwrap()) == 201);
    assert!(all_read(&scheduler), "no connection to the frozen host is used");
    assert!(all_read(&scheduler), "nor later");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_booking_is_answered_in_time_although_the_only_host_greets_and_answers_no_statement() {
    let (database, folder) = (Database::create(), TempDir::new().unwrap());
    let host = Host::before(address_of(&database));
    let url = database.url().replace(&address_of(&database).to_string(), &host.address.to_string());
    let (scheduler, _coordinator) = services(&folder, &url);
    assert_eq!(book(&scheduler, &super::at(0)), 201);
    host.state.is_deaf.store(true, Ordering::Relaxed);
    host.cut();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let bookings: Vec<_> = (1..4)
            .map(super::at)
            .map(|slot| {
                scope.spawn({
                    let scheduler = &scheduler;
                    move || book(scheduler, &slot)
                })
            })
            .collect();
        for booking in bookings {
            assert_eq!(booking.join().unwrap(), 503);
        }
    });
    assert!(begun.elapsed() < ANSWERED_WITHIN, "{:?}", begun.elapsed());
    host.state.is_deaf.store(false, Ordering::Relaxed);
    let mut slots = (4..250).map(super::at).cycle();
    wait_until("a booking once the host answers", || book(&scheduler, &slots.next().unwrap()) == 201);
}
