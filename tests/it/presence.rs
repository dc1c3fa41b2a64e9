//! Clients that disconnect: behind unread bytes, while they wait or listen, while the process is paused. Nothing is granted to them,
//! and they keep no places.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::pending::{Pending, wait_for_queue};
use crate::common::{
    Locks, Server, Services, coordinator_command, deaf, http, pause, scheduler_command, signal, wait_until,
};

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    StopSending,
    Reset,
}

const ENDS: [End; 3] = [End::Close, End::StopSending, End::Reset];

/// Ends a connection; gives back the half that is still open.
fn end(client: Pending, how: End) -> Option<Pending> {
    match how {
        End::Close => drop(client),
        End::StopSending => {
            client.stop_sending();
            return Some(client);
        }
        End::Reset => client.reset(),
    }
    None
}

/// Bytes that a client may have sent after its request: none, a stray line, its next requests, more than is ever read ahead.
fn afterwards() -> [Vec<u8>; 5] {
    let next = b"GET /saude HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    [Vec::new(), b"\r\n".to_vec(), next.clone(), next.repeat(3), vec![b'x'; 100_000]]
}

#[test]
fn golang_13165_a_waiter_that_dies_behind_unread_bytes_leaves_its_place_to_the_next() {
    // And haproxy #1708, fasthttp #1057.
    let locks = Locks::start();
    locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 300_000}));
    let wait = json!({"recurso": "X", "espera_ms": 60_000, "ttl_ms": 60_000});
    let operation = json!({"op": "lock", "recurso": "X", "espera_ms": 60_000, "ttl_ms": 60_000});
    for (path, body) in [("/lock", wait.clone()), ("/lote", json!({"operacoes": [operation]}))] {
        for said in afterwards() {
            for how in ENDS {
                let mut ghost = Pending::post(&locks, path, &body);
                wait_for_queue(&locks, "X", 1);
                ghost.say(&said);
                let _open = end(ghost, how);
                wait_until(&format!("{path}: gone behind {} bytes by {how:?}", said.len()), || {
                    http("GET", &locks.url("/locks/X"), None).json()["fila"] == 0
                });
            }
        }
    }
    // More than the kernel takes: the end of the connection lies behind these bytes, and never arrives.
    for how in ENDS {
        let mut ghost = Pending::post(&locks, "/lock", &wait);
        wait_for_queue(&locks, "X", 1);
        ghost.say_what_is_taken(&vec![b'x'; 1_000_000]);
        let _open = end(ghost, how);
        wait_for_queue(&locks, "X", 0);
    }
    // A client that has sent more, and is there, keeps its place and is served.
    let mut honest = Pending::post(&locks, "/lock", &wait);
    wait_for_queue(&locks, "X", 1);
    honest.say(b"\r\n");
    let _ghosts: Vec<_> = ENDS
        .into_iter()
        .map(|how| {
            let mut ghost = Pending::post(&locks, "/lock", &wait);
            ghost.say(b"\r\n");
            end(ghost, how)
        })
        .collect();
    wait_for_queue(&locks, "X", 1);
    assert_eq!(http("DELETE", &locks.url("/locks/X"), None).status, 200);
    assert_eq!(honest.answer().0, 200);
}

#[test]
fn listeners_that_disconnected_keep_no_places_at_either_service() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |command: &Command| {
        let mut limited = Command::new("sh");
        deaf(&mut limited).args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(command.get_program());
        limited.args(command.get_args());
        Server::spawn(&mut limited, 1)
    };
    let coordinator = limited(&coordinator_command(folder.path(), "127.0.0.1:0"));
    let scheduler = limited(&scheduler_command(folder.path(), &coordinator.url()));
    for (server, path) in [(&coordinator, "/eventos?canal=a"), (&scheduler, "/eventos")] {
        let address = &server.url()["http://".len()..];
        let listen = || {
            let mut stream = TcpStream::connect(address).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut head = [0; 12];
            stream.read_exact(&mut head).unwrap();
            // Bytes that are not read while the answer lasts.
            stream.write_all(b"\r\n").unwrap();
            (head[9..].to_vec(), stream)
        };
        // 256 - 128 connections, three quarters of which may listen; the coordinator has its scheduler besides.
        let mut ghosts = Vec::new();
        wait_until("all places are taken", || {
            let (status, stream) = listen();
            ghosts.push(stream);
            status == b"503"
        });
        assert!(ghosts.len() > 60, "{}", ghosts.len());
        drop(ghosts);
        let begun = Instant::now();
        wait_until(&format!("{path}: an honest listener has a place"), || listen().0 == b"200");
        // Long before the comment of every 15 s would show it.
        assert!(begun.elapsed() < Duration::from_secs(10), "{path}: {:?}", begun.elapsed());
    }
}

#[test]
fn after_a_pause_nothing_is_granted_to_clients_that_disconnected_meanwhile() {
    let mut locks = Locks::start();
    let (_, held) = locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 60_000}));
    let wait = json!({"recurso": "X", "espera_ms": 60_000, "ttl_ms": 60_000});
    let waiters: Vec<_> = (0..50).map(|_| Pending::post(&locks, "/lock", &wait)).collect();
    wait_for_queue(&locks, "X", 50);
    let known: Vec<_> = (0..50).map(|_| Pending::connect(&locks)).collect();
    // All of them are accepted.
    wait_until("others are served", || http("GET", &locks.url("/saude"), None).status == 200);
    pause(locks.server.pid());
    let mut open = Vec::new();
    for (index, waiter) in waiters.into_iter().enumerate() {
        open.push(end(waiter, ENDS[index % 3]));
    }
    let fresh = (0..50).map(|_| Pending::connect(&locks));
    for (index, client) in known.into_iter().chain(fresh).enumerate() {
        let name = |number: usize| format!("r-{index}-{number}");
        let client = if index % 2 == 0 {
            client.send("/lock", &json!({"recurso": name(0), "ttl_ms": 60_000}))
        } else {
            let lock = |number: usize| json!({"op": "lock", "recurso": name(number), "ttl_ms": 60_000});
            client.send("/lote", &json!({"operacoes": (0..10).map(lock).collect::<Vec<_>>()}))
        };
        let mut client = client;
        client.say(&afterwards()[index % 4]);
        // A client that only stopped sending is told; a connection that was reset is not read.
        open.push(end(client, ENDS[index % 3]));
    }
    // The holder disconnects as well; its end would serve the next.
    let release = Pending::connect(&locks).send("/unlock", &json!({"trava_id": held["trava_id"]}));
    signal(locks.server.pid(), "CONT");
    assert_eq!(release.answer().1["liberado"], true);
    for client in open.into_iter().flatten() {
        let (status, answer) = client.answer();
        let told: Vec<Value> = answer["respostas"].as_array().cloned().unwrap_or_else(|| vec![answer]);
        assert!(told.iter().all(|one| one["codigo"] == "cliente_ausente"), "{status} {told:?}");
    }
    // A stop finishes what was begun; then the log has all of it.
    assert_eq!(locks.server.terminate(), Some(0));
    let log = locks.log();
    let granted: Vec<_> = log.lines().filter(|line| line.contains("Lock concedido")).collect();
    assert_eq!(granted.len(), 1, "only the first holder was there: {granted:?}");
}

#[test]
fn requests_that_schedulers_gave_up_while_the_coordinator_hung_are_not_granted_when_it_goes_on() {
    let services = Services::start(&[]);
    assert_eq!(services.book(1, "2025-12-01T00:00:00Z").0, 201);
    let granted = || services.log_lines("coordenador.log", "Lock concedido").len();
    let before = granted();
    pause(services.coordinator.pid());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let book =
            |number: usize| services.book(1, &format!("2025-12-02T{:02}:{:02}:00Z", number / 12, number % 12 * 5));
        let asked: Vec<_> = (0..60).map(|number| scope.spawn(move || book(number).0)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    signal(services.coordinator.pid(), "CONT");
    wait_until("it goes on", || http("GET", &services.agenda("/pronto"), None).status == 200);
    assert_eq!(granted(), before, "nobody waited for these any more");
    assert_eq!(services.book(1, "2025-12-02T00:00:00Z").0, 201);
}
