//! Clients that are too slow, too many or too large are let go with a word and are counted, and others go on.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::common::stranger::from_elsewhere;
use crate::common::{Asked, Locks, Server, Services, coordinator_command, deaf, http, wait_until};

/// The most memory of a service under an attack, in KiB: what `compose.yml` grants.
const MEMORY_KIB: u64 = 256 * 1024;

/// The value of a metric; `name` has its labels too.
fn metric(url: &str, name: &str) -> u64 {
    let text = http("GET", &format!("{url}/metrics"), None).body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn turned_away(url: &str, service: &str, reason: &str) -> u64 {
    metric(url, &format!("sctec_{service}_turned_away_total{{reason=\"{reason}\"}}"))
}

/// The most memory that a process has had, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

/// All that comes until the connection is closed.
fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // After ECONNRESET no more bytes come.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether the service has closed a connection on which it said nothing.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// A coordinator with few descriptors, and so with 128 connections.
fn with_few_places() -> Locks {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = coordinator_command(folder.path(), "127.0.0.1:0");
    let mut limited = std::process::Command::new("sh");
    deaf(&mut limited).args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(coordinator.get_program());
    Locks::of(Server::spawn(limited.args(coordinator.get_args()), 1), folder)
}

#[test]
fn silent_connections_make_room_for_a_request() {
    let locks = with_few_places();
    let url = locks.server.url();
    // Of two addresses, the one with more connections makes room.
    let mut spared = TcpStream::connect(&url["http://".len()..]).unwrap();
    let mut silent: Vec<_> = (0..240).map(|_| from_elsewhere(&url)).collect();
    assert_eq!(http("GET", &locks.url("/saude"), None).status, 200);
    wait_until("some are closed", || silent.iter_mut().map(is_closed).filter(|closed| *closed).count() >= 110);
    wait_until("they are counted", || turned_away(&url, "coordinator", "Idle") >= 110);
    assert!(!is_closed(&mut spared));
}

#[test]
fn a_connection_whose_request_does_not_arrive_makes_room_and_is_told() {
    let locks = with_few_places();
    let url = locks.server.url();
    let slow: Vec<_> = (0..127)
        .map(|number| {
            let mut stream = from_elsewhere(&url);
            let body = "POST /unlock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
            say(&mut stream, if number % 2 == 0 { "GET /saude HTTP/1.1\r\nHo" } else { body });
            stream
        })
        .collect();
    // Each needs a place of its own, until one is told to go: a body is spared for two seconds.
    wait_until("some make room", || {
        let more: Vec<_> = (0..4).map(|_| TcpStream::connect(&url["http://".len()..]).unwrap()).collect();
        drop(more);
        slow.iter().any(|stream| {
            stream.set_nonblocking(true).unwrap();
            let told = stream.peek(&mut [0]).is_ok();
            stream.set_nonblocking(false).unwrap();
            told
        })
    });
    let told = slow.into_iter().map(rest).filter(|said| said.contains("\"conexoes_demais\"")).count();
    assert!(told > 0);
    assert!(turned_away(&url, "coordinator", "NoPlace") > 0);
}

#[test]
fn a_slow_head_and_a_slow_body_are_refused_with_a_word() {
    let locks = Locks::start();
    let url = locks.server.url();
    let (mut head, mut body) = (from_elsewhere(&url), from_elsewhere(&url));
    say(&mut head, "GET /saude HTTP/1.1\r\nHo");
    say(&mut body, "POST /unlock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    let (head, body) = (rest(head), rest(body));
    assert!(head.starts_with("HTTP/1.1 408 ") && head.contains("\"cabecalho_incompleto\""), "{head}");
    assert!(head.contains("x-request-id: ") && head.contains("connection: close"), "{head}");
    assert!(body.starts_with("HTTP/1.1 408 ") && body.contains("\"corpo_incompleto\""), "{body}");
    for reason in ["SlowHead", "SlowBody"] {
        assert_eq!(turned_away(&url, "coordinator", reason), 1, "{reason}");
    }
    // The other reasons are there too, at zero.
    assert_eq!(turned_away(&url, "coordinator", "SlowReader"), 0);
}

#[test]
fn unfinished_bodies_of_one_address_take_its_share_and_no_more() {
    const PIECE: usize = 900 * 1024;
    let locks = Locks::start();
    let url = locks.server.url();
    let head = format!("POST /lote HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", PIECE + 1);
    let piece = "x".repeat(PIECE);
    let unfinished: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = from_elsewhere(&url);
            say(&mut stream, &head);
            // One that was refused may have been closed.
            let _ = stream.write_all(piece.as_bytes());
            stream
        })
        .collect();
    wait_until("most are refused", || turned_away(&url, "coordinator", "BodiesFull") >= 20);
    assert!(metric(&url, "sctec_coordinator_body_bytes") <= 12 << 20);
    // Another address has room.
    let batch = json!({"operacoes": [{"op": "unlock", "recurso": "X".repeat(100)}]});
    assert_eq!(locks.post("/lote", &batch).0, 200);
    let told = unfinished.into_iter().map(rest).filter(|said| said.contains("\"corpos_demais\"")).count();
    assert!(told >= 20, "{told}");
    wait_until("their room is given back", || metric(&url, "sctec_coordinator_body_bytes") == 0);
    let peak = peak_kib(&locks.server);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

/// Services with 200 bookings of the longest notes, in the first days of 2031.
fn with_long_notes() -> Services {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let notes = "\u{1f52d}".repeat(2000);
    for number in 0..200 {
        let start = format!("2031-01-{:02}T{:02}:{:02}:00Z", 1 + number / 96, number % 96 / 4, number % 4 * 15);
        let mut asked = Asked::by(1, &start).body().clone();
        asked["observacoes"] = json!(notes);
        assert_eq!(services.book_with(&asked).0, 201);
    }
    services
}

/// Asks for `path` on a connection of another address, and does not read the answer.
fn ask(url: &str, path: &str) -> TcpStream {
    let mut stream = from_elsewhere(url);
    say(&mut stream, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    stream
}

#[test]
fn answers_that_are_not_read_take_the_share_of_their_address_and_no_more() {
    let services = with_long_notes();
    let url = services.scheduler.url();
    let list = "/agendamentos?limite=500";
    let length = http("GET", &services.agenda(list), None).body.len();
    assert!(length > 1_600_000, "{length}");
    // Some of them get room when others are let go.
    let unread: Vec<_> = (0..150).map(|_| ask(&url, list)).collect();
    wait_until("most are refused", || turned_away(&url, "scheduler", "AnswersFull") >= 30);
    assert!(metric(&url, "sctec_scheduler_answer_bytes") <= 32 << 20);
    // Another address has room.
    assert_eq!(http("GET", &services.agenda(list), None).status, 200);
    // Those who do not read while others need the room are let go.
    wait_until("slow readers are let go", || turned_away(&url, "scheduler", "SlowReader") >= 5);
    let told = unread.into_iter().map(rest).filter(|said| said.contains("\"respostas_demais\"")).count();
    assert!(told >= 30, "{told}");
    wait_until("their room is given back", || metric(&url, "sctec_scheduler_answer_bytes") == 0);
    let peak = peak_kib(&services.scheduler);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

#[test]
fn events_that_are_not_read_count_for_each_listener() {
    let locks = Locks::start();
    let url = locks.url("");
    let unread: Vec<_> = (0..3).map(|_| ask(&url, "/eventos?canal=notas")).collect();
    let held = || metric(&url, "sctec_coordinator_answer_bytes");
    // Small ones, which all listeners share: they count once their listeners read behind.
    let event = json!({"canal": "notas", "evento": "nota", "dados": "x".repeat(2000)}).to_string();
    wait_until("events wait for each of them", || {
        assert_eq!(http("POST", &locks.url("/eventos"), Some(("application/json", &event))).status, 200);
        held() > 3 * 8 * 1024
    });
    assert!(held() < 3 * 32 * 1024, "the rest is only in the channel: {}", held());
    drop(unread);
    wait_until("their room is given back", || held() == 0);
}

#[test]
fn an_agenda_waits_for_room_before_it_is_written() {
    let services = with_long_notes();
    let url = services.scheduler.url();
    let week = "/telescopios/Hubble-Acad/agenda?de=2031-01-01T00:00:00Z&ate=2031-01-08T00:00:00Z";
    let unread: Vec<_> = (0..40).map(|_| ask(&url, week)).collect();
    let held = || metric(&url, "sctec_scheduler_answer_bytes");
    wait_until("the room of the address is taken", || held() > 28 << 20);
    assert!(held() <= 32 << 20);
    // Another address has room.
    assert_eq!(http("GET", &services.agenda(week), None).status, 200);
    let next = ask(&url, week);
    drop(unread);
    let said = rest(next);
    assert!(said.starts_with("HTTP/1.1 200 "), "{}", &said[..said.len().min(300)]);
    wait_until("their room is given back", || held() == 0);
    let peak = peak_kib(&services.scheduler);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

#[test]
fn a_reader_in_time_gets_a_large_answer_whole() {
    let services = Services::start(&[]);
    let period = "/telescopios/Hubble-Acad/agenda?de=2031-01-01T00:00:00Z&ate=2031-01-08T00:00:00Z";
    let whole = http("GET", &services.agenda(period), None);
    assert_eq!(whole.status, 200, "{}", whole.body);
    let mut stream = ask(&services.scheduler.url(), period);
    let (mut said, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let read = stream.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        said.extend_from_slice(&piece[..read]);
        std::thread::sleep(Duration::from_millis(5));
    }
    let body = said.len() - said.windows(4).position(|four| four == b"\r\n\r\n").unwrap() - 4;
    // Only the instant of the answer differs.
    assert_eq!(body, whole.body.len());
}
