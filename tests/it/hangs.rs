//! A peer that hangs: it accepts connections and never answers. Each client still gets an answer within its own time limit, and a
//! finished change is acknowledged without waiting for the peer.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::election::is_elective;
use crate::common::{Asked, Server, Services, http, nobody, pause, scheduler_command, sctec, signal, wait_until};

const SLOT: &str = "2025-12-01T03:00:00Z";
/// Longer than a process may be without progress before another process examines it.
const LONG: Duration = Duration::from_secs(9);

/// The seconds of the day of a log line.
fn second_of(line: &str) -> f64 {
    let (_, time) = line.split_once('T').unwrap();
    let number = |range: std::ops::Range<usize>| time[range].parse::<f64>().unwrap();
    number(0..2) * 3600.0 + number(3..5) * 60.0 + number(6..12)
}

/// The request of a log line.
fn request_of(line: &str) -> &str {
    line.split_once(" req=").unwrap().1.split(' ').next().unwrap()
}

#[test]
fn each_of_thousands_of_requests_is_refused_within_its_own_time_limit() {
    const SERVED: usize = 600;
    const RIVALS: usize = 3000;
    let services = Services::start(&["--log-to", "both"]);
    let ask = |number: usize, at_once: usize| -> Value {
        let (number, at_once) = (number.to_string(), at_once.to_string());
        let mut stress = sctec();
        stress.args(["stress", "--distinct", "--json", "--n", &number, "--concurrency", &at_once, "--url"]);
        let out = stress.arg(services.scheduler.url()).output().unwrap();
        serde_json::from_slice(&out.stdout).unwrap()
    };
    // How fast this machine is now, while nothing hangs.
    let begun = Instant::now();
    assert_eq!(ask(SERVED, 50)["statuses"], json!({"201": SERVED}));
    let usual = begun.elapsed().as_secs_f64();
    pause(services.coordinator.pid());
    let outcomes = ask(RIVALS, RIVALS)["outcomes"].take();
    signal(services.coordinator.pid(), "CONT");
    assert_eq!(outcomes, json!({"coordenador_indisponivel": RIVALS}));
    // How long each request waited for the coordinator, according to the log: a client's time includes the machine's load.
    let refused = "Coordenador indisponível";
    services.wait_for_log("app.log", |lines| lines.iter().filter(|line| line.contains(refused)).count() == RIVALS);
    let mut asked = HashMap::new();
    let mut waited = Vec::new();
    for line in services.read_log("app.log") {
        if line.contains("Tentando adquirir lock") {
            // Of the requests that were served there is no refusal.
            asked.insert(request_of(&line).to_owned(), second_of(&line));
        } else if line.contains(refused) {
            // After midnight the seconds of the day begin at 0 again.
            waited.push((second_of(&line) - asked[request_of(&line)]).rem_euclid(86_400.0));
        }
    }
    waited.sort_by(f64::total_cmp);
    assert_eq!(waited.len(), RIVALS);
    let longest = waited[RIVALS - 1];
    // The limit is 2 s; a busy machine needs more to answer all. It was 8 s when the exchanges ran one after the other.
    let told = format!("up to {longest:.2} s; {SERVED} bookings took {usual:.2} s");
    println!("{told}");
    assert!(longest < 2.5 + 3.0 * usual, "{told}");
    // The coordinator continues at once, and grants no lock to requests that were already refused. An elected one was paused for so long
    // that it may be deposed: it continues when etcd has answered, and its grace is over.
    if is_elective() {
        wait_until("it gives locks", || services.book(1, SLOT).0 == 201);
    } else {
        assert_eq!(services.book(1, SLOT).0, 201);
    }
    let granted = services.log_lines("coordenador.log", "Lock concedido").len() - SERVED;
    assert!(granted < 100, "{granted} refused requests were granted a lock");
}

/// A booking during which the coordinator hangs after it granted the lock, and how long the answer took.
fn booked_while_it_hangs(services: &Services) -> (u16, Value, Duration) {
    std::thread::scope(|scope| {
        let begun = Instant::now();
        let booking = scope.spawn(|| services.book(1, SLOT));
        services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Lock adquirido com sucesso")));
        pause(services.coordinator.pid());
        let (status, body) = booking.join().unwrap();
        (status, body, begun.elapsed())
    })
}

#[test]
fn a_hang_after_the_commit_does_not_delay_the_answer_and_the_lock_is_released_later() {
    let services = Services::start(&["--critical-delay-ms", "500"]);
    let (status, booking, took) = booked_while_it_hangs(&services);
    assert_eq!(status, 201, "{booking}");
    assert!(took < Duration::from_millis(1900), "{took:?}");
    // The booking is visible at once, and the service reports that the lock is not released yet.
    assert_eq!(services.list("?status=AGENDADO").len(), 1);
    services
        .wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Lock sem confirmação de liberação")));
    signal(services.coordinator.pid(), "CONT");
    // A rival meanwhile finds the lock, its retention or the booking, and never a free slot.
    let (mut status, mut refused) = services.book(2, SLOT);
    if is_elective() {
        // An elected one was paused for so long that it gives nothing before etcd has answered.
        wait_until("it answers about locks", || {
            (status, refused) = services.book(2, SLOT);
            status != 503
        });
    }
    assert_eq!(status, 409, "{refused}");
    let resource = services.locks(&format!("/locks/Hubble-Acad_{SLOT}"));
    wait_until("the lock is given back long before it expires", || http("GET", &resource, None).status == 404);
    assert_eq!(services.log_lines("coordenador.log", "Lock vencido").len(), 0);
    // The log lines are in the assignment's order.
    let lines = services.log_lines("app.log", "");
    let place = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text}"));
    let steps = ["Lock adquirido", "Iniciando verificação", "Salvando novo", "AGENDAMENTO_CRIADO", "Liberando lock"];
    assert!(steps.map(place).is_sorted(), "{lines:#?}");
}

#[test]
fn a_hang_after_a_cancellation_does_not_delay_its_answer_either() {
    let services = Services::start(&["--critical-delay-ms", "500"]);
    let (status, booking) = services.book(1, SLOT);
    assert_eq!(status, 201);
    let took = std::thread::scope(|scope| {
        let begun = Instant::now();
        let cancelled = scope.spawn(|| services.follow(&booking, "cancelar").status);
        services.wait_for_log("app.log", |lines| {
            lines.iter().filter(|line| line.contains("Lock adquirido com sucesso")).count() == 2
        });
        pause(services.coordinator.pid());
        assert_eq!(cancelled.join().unwrap(), 200);
        begun.elapsed()
    });
    signal(services.coordinator.pid(), "CONT");
    assert!(took < Duration::from_millis(1900), "{took:?}");
}

#[test]
fn a_stop_does_not_wait_long_for_locks_that_cannot_be_released_and_is_clean() {
    let mut services = Services::start(&["--critical-delay-ms", "300"]);
    let (status, ..) = booked_while_it_hangs(&services);
    assert_eq!(status, 201);
    let begun = Instant::now();
    assert_eq!(services.scheduler.terminate(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    signal(services.coordinator.pid(), "CONT");
    let log = services.read_log("app.log");
    assert!(log.iter().any(|line| line.contains("1 travas sem confirmação de liberação ao encerrar")), "{log:#?}");
    // The last record and the trail's file are written, and there is no write-ahead log.
    let data_dir = services.data_dir().to_str().unwrap().to_owned();
    let verified = crate::common::run(&["audit", "--verify", "--data-dir", &data_dir]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    let trail = std::fs::read_to_string(services.data_dir().join("audit.jsonl")).unwrap();
    assert!(trail.lines().last().unwrap().contains("SERVICO_PARADO"), "{trail}");
}

#[test]
fn a_peer_that_hangs_is_reported_in_time() {
    let services = Services::start(&[]);
    pause(services.coordinator.pid());
    let in_time = |what: &str, most: u64, ask: &dyn Fn()| {
        let begun = Instant::now();
        ask();
        assert!(begun.elapsed() < Duration::from_secs(most), "{what}: {:?}", begun.elapsed());
    };
    in_time("readiness", 4, &|| {
        let ready = http("GET", &services.agenda("/pronto"), None);
        assert_eq!(ready.status, 503);
        assert!(ready.json()["partes"]["coordenador"].as_str().unwrap().contains("não respondeu"), "{}", ready.body);
    });
    in_time("health", 6, &|| {
        let health = sctec().args(["health", "--ready", &services.scheduler.url()]).output().unwrap();
        assert_eq!(health.status.code(), Some(1), "{}", String::from_utf8_lossy(&health.stderr));
        let health = sctec().args(["health", "--timeout", "1s", &services.coordinator.url()]).output().unwrap();
        assert_eq!(health.status.code(), Some(1), "{}", String::from_utf8_lossy(&health.stderr));
    });
    in_time("locks", 8, &|| {
        let locks = sctec().args(["locks", "--url", &services.coordinator.url()]).output().unwrap();
        assert_eq!(locks.status.code(), Some(2), "{}", String::from_utf8_lossy(&locks.stderr));
    });
    // Reading needs no lock, and a listener is informed that the channel may be silent.
    in_time("reading", 4, &|| assert_eq!(http("GET", &services.agenda("/agendamentos"), None).status, 200));
    signal(services.coordinator.pid(), "CONT");
    wait_until("it is ready again", || http("GET", &services.agenda("/pronto"), None).status == 200);
}

#[test]
fn of_several_addresses_one_that_hangs_is_skipped_in_time() {
    // It accepts connections, but never reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let services = Services::start(&[]);
    let addresses = format!("http://{},{}", silent.local_addr().unwrap(), services.coordinator.url());
    let second = Server::spawn(&mut scheduler_command(services.data_dir(), &addresses), 1);
    let book = |index: u32| Asked::by(1, &format!("2025-12-02T03:{:02}:00Z", index * 5)).at(&second.url()).status;
    let begun = Instant::now();
    assert_eq!(book(0), 201);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // From then on it is not the first one that is tried.
    let begun = Instant::now();
    for index in 1..6 {
        assert_eq!(book(index), 201);
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// Two schedulers on one folder. The first exports the trail and is paused.
fn with_its_exporter_paused() -> (Services, Server) {
    let services = Services::start(&[]);
    assert_eq!(services.book(1, SLOT).0, 201);
    wait_until("the first exports", || {
        std::fs::read_to_string(services.data_dir().join("audit.jsonl")).is_ok_and(|text| text.contains("_CRIADO"))
    });
    let second = services.another_scheduler(&[]);
    wait_until("it is paused between two transactions", || {
        pause(services.scheduler.pid());
        let is_between = may_be_written(services.data_dir());
        if !is_between {
            signal(services.scheduler.pid(), "CONT");
        }
        is_between
    });
    (services, second)
}

/// Whether nobody is writing to the agenda: a scheduler that is paused in a transaction keeps all others from it.
fn may_be_written(folder: &Path) -> bool {
    let path = folder.join("sctec.db");
    if !path.exists() {
        // The agenda is in PostgreSQL.
        return true;
    }
    let database = rusqlite::Connection::open(path).unwrap();
    database.busy_timeout(Duration::ZERO).unwrap();
    database.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
}

/// Books one slot after the other at `scheduler` for this time, and returns how many. Each booking must succeed.
fn book_all_the_while(scheduler: &Server, how_long: Duration) -> usize {
    let begun = Instant::now();
    let mut booked = 0;
    while begun.elapsed() < how_long {
        let start = format!("2025-12-{:02}T{:02}:{:02}:00Z", 2 + booked / 288, booked % 288 / 12, booked % 12 * 5);
        let answer = Asked::by(1, &start).at(&scheduler.url());
        assert_eq!(answer.status, 201, "after {:?}: {}", begun.elapsed(), answer.body);
        booked += 1;
        // A pause, so that the bookings are spread over the whole time.
        std::thread::sleep(Duration::from_millis(50));
    }
    booked
}

/// Checks that all bookings are in the file, each once and in order, and that the trail is whole.
fn the_trail_is_whole(services: &Services, bookings: usize) {
    let verify = || crate::common::run(&["audit", "--verify", "--data-dir", services.data_dir().to_str().unwrap()]);
    wait_until("the trail has caught up", || verify().status.code() == Some(0));
    let text = std::fs::read_to_string(services.data_dir().join("audit.jsonl")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (record, number) in records.iter().zip(1_u64..) {
        assert_eq!(record["seq"], number);
    }
    assert_eq!(records.iter().filter(|record| record["event_type"] == "AGENDAMENTO_CRIADO").count(), bookings);
}

#[test]
fn a_paused_exporter_does_not_stop_bookings_and_then_continues() {
    let (services, second) = with_its_exporter_paused();
    let ready = || http("GET", &format!("{}/pronto", second.url()), None);
    assert_eq!(ready().json()["partes"]["auditoria"], "ok");
    let booked = book_all_the_while(&second, LONG);
    // The other scheduler reports that the trail is behind, and that it is ready nevertheless.
    let said = ready();
    assert_eq!(said.status, 200, "{}", said.body);
    let trail = said.json()["partes"]["auditoria"].as_str().unwrap().to_owned();
    assert!(trail.starts_with("atrasada: ") && trail.contains("estão só no banco"), "{trail}");
    let verified = crate::common::run(&["audit", "--verify", "--data-dir", services.data_dir().to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(3), "{}", String::from_utf8_lossy(&verified.stdout));
    signal(services.scheduler.pid(), "CONT");
    the_trail_is_whole(&services, booked + 1);
    wait_until("it is up to date", || ready().json()["partes"]["auditoria"] == "ok");
    assert_eq!(services.log_lines("app.log", "Trilha de auditoria atrasada").len(), 1);
    assert_eq!(services.log_lines("app.log", "Trilha de auditoria em dia").len(), 1);
    assert_eq!(services.log_lines("app.log", "Auditoria indisponível").len(), 0);
}

#[test]
fn the_export_of_a_paused_scheduler_is_taken_over_after_it_is_killed() {
    let (mut services, second) = with_its_exporter_paused();
    let booked = book_all_the_while(&second, Duration::from_secs(7));
    services.scheduler.kill();
    wait_until("the other takes over", || {
        let ready = http("GET", &format!("{}/pronto", second.url()), None);
        ready.status == 200 && ready.json()["partes"]["auditoria"] == "ok"
    });
    the_trail_is_whole(&services, booked + 1);
}

#[test]
fn a_coordinator_that_is_not_there_is_named_in_plain_words() {
    for (coordinator, why) in [
        (nobody(), "/pronto não respondeu: nada escuta nesse endereço"),
        // It is this machine that does not know the name.
        ("http://nobody.invalid:3000".to_owned(), "/pronto não pôde ser consultado: "),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = scheduler_command(folder.path(), &coordinator);
        let scheduler = Server::spawn(&mut command, 1);
        let health = sctec().args(["health", "--ready", &scheduler.url()]).output().unwrap();
        let said = String::from_utf8_lossy(&health.stderr);
        assert_eq!(health.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(coordinator.contains(".invalid") || !said.contains("client error"), "{said}");
    }
}
