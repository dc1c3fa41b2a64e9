//! The files of a data folder may be deleted, moved, replaced, partly restored, created by two processes at once, or changed by
//! hand. The service reports the state, and no acknowledged change is lost.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::common::election::without_election;
use crate::common::storage::of_sqlite;
use crate::common::{
    Asked, Server, Services, coordinator_command, http, scheduler_command, sctec, signal, try_http, wait_until,
};

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["codigo"].as_str().unwrap_or_default())
}

const GONE: (u16, &str) = (503, "banco_indisponivel");

/// Checks that every request that needs the database is refused with a message that names the missing file.
fn says_that_it_is_gone(services: &Services, name: &str, slot: &str, standing: &Value) {
    let booked = services.book(2, slot);
    assert_eq!(code(&booked), GONE, "{}", booked.1);
    let detail = booked.1["detail"].as_str().unwrap();
    assert!(detail.contains(name) && detail.contains("nada foi gravado"), "{detail}");
    let cancelled = services.follow(standing, "cancelar");
    assert_eq!((cancelled.status, cancelled.json()["codigo"].as_str().unwrap()), GONE);
    for path in ["/agendamentos", "/agendamentos/1", "/cientistas", "/auditoria", "/telescopios/Hubble-Acad/agenda"] {
        let read = http("GET", &services.agenda(path), None);
        assert_eq!((read.status, read.json()["codigo"].as_str().unwrap()), GONE, "{path}");
        assert!(read.json()["detail"].as_str().unwrap().contains(name), "{path}: {}", read.body);
    }
    let ready = http("GET", &services.agenda("/pronto"), None);
    assert_eq!(ready.status, 503);
    assert!(ready.json()["partes"]["banco"].as_str().unwrap().contains(name), "{}", ready.body);
}

#[test]
fn better_sqlite3_1237_a_database_that_is_deleted_takes_no_booking_until_it_is_back() {
    of_sqlite!("it deletes the files of SQLite");
    let mut services = Services::start(&["--lock-retention-ms", "0"]);
    let (_, standing) = services.book(1, "2030-12-01T03:00:00Z");
    let folder = services.data_dir().to_owned();
    for (hour, name) in ["sctec.db", "sctec.db-wal", "sctec.db-shm"].into_iter().enumerate() {
        std::fs::rename(folder.join(name), folder.join("away")).unwrap();
        says_that_it_is_gone(&services, name, "2030-12-01T04:00:00Z", &standing);
        std::fs::rename(folder.join("away"), folder.join(name)).unwrap();
        wait_until("it is ready again", || http("GET", &services.agenda("/pronto"), None).status == 200);
        let (status, booked) = services.book(1, &format!("2030-12-02T0{hour}:00:00Z"));
        assert_eq!(status, 201, "it goes on: {booked}");
    }
    // All files are deleted permanently. The acknowledged bookings are lost with them, and no new booking is acknowledged.
    for name in ["sctec.db", "sctec.db-wal", "sctec.db-shm"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    says_that_it_is_gone(&services, "sctec.db", "2030-12-01T04:00:00Z", &standing);
    // A second scheduler creates a new database there. The first must not write to it and must not delete its files.
    let second = services.another_scheduler(&[]);
    let other = Asked::by(2, "2030-12-01T04:00:00Z").at(&second.url());
    assert!(matches!(other.status, 201 | 503), "{}", other.body);
    says_that_it_is_gone(&services, "sctec.db", "2030-12-01T04:00:00Z", &standing);
    assert_eq!(services.scheduler.terminate(), Some(0));
    assert!(folder.join("sctec.db-wal").exists(), "the second one's log");
    let listed = http("GET", &format!("{}/agendamentos", second.url()), None).json();
    assert_eq!(listed["agendamentos"].as_array().unwrap().len(), usize::from(other.status == 201));
}

#[test]
fn get_bb_2190_a_replaced_database_takes_no_booking_and_acknowledged_ones_are_in_the_right_one() {
    of_sqlite!("it replaces the file of SQLite");
    let mut services = Services::start(&["--lock-retention-ms", "0"]);
    let folder = services.data_dir().to_owned();
    let (_, standing) = services.book(1, "2030-12-01T03:00:00Z");
    // A valid database of another agenda.
    let elsewhere = Services::start(&[]).stop();
    std::fs::rename(folder.join("sctec.db"), folder.join("right")).unwrap();
    std::fs::copy(elsewhere.path().join("sctec.db"), folder.join("sctec.db")).unwrap();
    says_that_it_is_gone(&services, "sctec.db", "2030-12-01T04:00:00Z", &standing);
    services.scheduler.kill();
    std::fs::rename(folder.join("right"), folder.join("sctec.db")).unwrap();
    services.restart_scheduler(&[]);
    assert_eq!(services.list("").len(), 1);
    assert_eq!(services.book(1, "2030-12-01T04:00:00Z").0, 201);
}

#[test]
fn a_moved_folder_and_a_deleted_race_database_are_noticed_too() {
    of_sqlite!("it moves the files of SQLite");
    let outer = tempfile::tempdir().unwrap();
    let (data, away) = (outer.path().join("dados"), outer.path().join("fora"));
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--no-lock", "--data-dir"]).arg(&data);
    let server = Server::spawn(&mut command, 1);
    let book = |minute: u32| {
        let answer = Asked::by(1, &format!("2030-12-01T03:{minute:02}:00Z")).at(&server.url());
        (answer.status, answer.json())
    };
    assert_eq!(book(0).0, 201);
    std::fs::rename(&data, &away).unwrap();
    let refused = book(5);
    assert_eq!(code(&refused), GONE, "{}", refused.1);
    std::fs::rename(&away, &data).unwrap();
    wait_until("it is ready again", || http("GET", &format!("{}/pronto", server.url()), None).status == 200);
    assert_eq!(book(10).0, 201);
    std::fs::remove_file(data.join("corrida.db")).unwrap();
    let refused = book(15);
    assert_eq!(code(&refused), GONE, "{}", refused.1);
    assert!(refused.1["detail"].as_str().unwrap().contains("corrida.db"), "{}", refused.1);
}

#[test]
fn after_the_write_ahead_log_is_deleted_no_acknowledged_booking_is_lost() {
    of_sqlite!("it deletes SQLite's log");
    let mut services = Services::start(&[]);
    for minute in ["00", "05", "10"] {
        assert_eq!(services.book(1, &format!("2030-12-01T03:{minute}:00Z")).0, 201);
    }
    for name in ["sctec.db-wal", "sctec.db-shm"] {
        std::fs::remove_file(services.data_dir().join(name)).unwrap();
    }
    let refused = services.book(1, "2030-12-01T03:15:00Z");
    assert_eq!(code(&refused), GONE, "{}", refused.1);
    // When `/pronto` answers, the database's writer has checked its files.
    assert_eq!(http("GET", &services.agenda("/pronto"), None).status, 503);
    services.scheduler.kill();
    services.restart_scheduler(&[]);
    assert_eq!(services.list("").len(), 3);
    assert_eq!(services.book(1, "2030-12-01T03:15:00Z").0, 201);
}

/// Starts the command with its output in files.
fn begin(command: &mut Command, said: &Path) -> Child {
    let file = |name: &str| std::fs::File::create(said.with_extension(name)).unwrap();
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap()
}

/// Waits until the process listens or ends, and returns whether it listens.
fn listens(child: &mut Child, said: &Path, services: usize) -> bool {
    let mut listens = false;
    wait_until("it listens or has ended", || {
        let text = std::fs::read_to_string(said.with_extension("out")).unwrap();
        listens = text.matches("escutando em http://").count() >= services;
        listens || child.try_wait().unwrap().is_some()
    });
    listens
}

fn end(mut children: Vec<Child>) {
    for child in &mut children {
        // The process may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
    }
}

#[test]
fn schedulers_that_start_at_once_on_a_new_folder_all_start() {
    for round in 0..16 {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("a/b");
        let saids: Vec<_> = (0..3).map(|which| outer.path().join(format!("said-{which}"))).collect();
        let mut children: Vec<Child> = saids
            .iter()
            .map(|said| {
                let mut command = scheduler_command(&data, "http://127.0.0.1:9");
                if round % 4 == 3 {
                    command.arg("--no-lock");
                }
                begin(&mut command, said)
            })
            .collect();
        for (child, said) in children.iter_mut().zip(&saids) {
            let listens = listens(child, said, 1);
            assert!(listens, "round {round}: {}", std::fs::read_to_string(said.with_extension("err")).unwrap());
        }
        end(children);
        // The result is one agenda, with each row once.
        let database = data.join(if round % 4 == 3 { "corrida.db" } else { "sctec.db" });
        assert_eq!(crate::common::count(&database, "SELECT count(*) FROM trilha"), 1);
        assert_eq!(crate::common::count(&database, "SELECT count(*) FROM telescopios"), 2);
    }
}

#[test]
fn of_coordinators_that_start_at_once_one_starts_and_the_others_say_why_not() {
    for round in 0..6 {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("a/b");
        let saids: Vec<_> = (0..3).map(|which| outer.path().join(format!("said-{which}"))).collect();
        let all = round % 2 == 1;
        let mut children: Vec<Child> = saids
            .iter()
            .map(|said| {
                let mut command = coordinator_command(&data, "127.0.0.1:0");
                if all {
                    command = sctec();
                    command.args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"]);
                    command.arg("--data-dir").arg(&data);
                }
                begin(&mut command, said)
            })
            .collect();
        let count = if all { 2 } else { 1 };
        let listening: usize =
            children.iter_mut().zip(&saids).map(|(child, said)| usize::from(listens(child, said, count))).sum();
        assert_eq!(listening, 1, "round {round}");
        for (child, said) in children.iter_mut().zip(&saids) {
            let Some(status) = child.try_wait().unwrap() else { continue };
            let error = std::fs::read_to_string(said.with_extension("err")).unwrap();
            assert!(status.code() == Some(2) && error.contains("in use by another coordinator"), "{status}: {error}");
        }
        end(children);
    }
}

#[test]
fn after_a_first_start_that_was_killed_at_any_moment_the_next_start_succeeds() {
    for delay_ms in (0..60).step_by(4) {
        let outer = tempfile::tempdir().unwrap();
        let said = outer.path().join("said");
        let child = begin(&mut scheduler_command(&outer.path().join("dados"), "http://127.0.0.1:9"), &said);
        // Each delay kills the start at another step.
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        end(vec![child]);
        let mut child = begin(&mut scheduler_command(&outer.path().join("dados"), "http://127.0.0.1:9"), &said);
        let listens = listens(&mut child, &said, 1);
        end(vec![child]);
        assert!(listens, "{delay_ms}: {}", std::fs::read_to_string(said.with_extension("err")).unwrap());
    }
}

#[test]
fn an_older_database_beside_a_newer_log_is_reported_and_the_advice_works() {
    of_sqlite!("it exchanges the files of SQLite");
    let mut services = Services::start(&["--lock-retention-ms", "0"]);
    let folder = services.data_dir().to_owned();
    let (database, log) = (folder.join("sctec.db"), folder.join("sctec.db-wal"));
    let slot = |index: u32| format!("2031-01-{:02}T{:02}:{:02}:00Z", 1 + index / 288, index / 12 % 24, index % 12 * 5);
    for (from, until) in [(0, 5), (5, 150)] {
        for index in from..until {
            assert_eq!(services.book(1, &slot(index)).0, 201);
        }
        assert_eq!(services.scheduler.terminate(), Some(0));
        if until == 5 {
            std::fs::copy(&database, folder.join("copy")).unwrap();
        }
        services.restart_scheduler(&["--lock-retention-ms", "0"]);
    }
    for index in 150..160 {
        assert_eq!(services.book(1, &slot(index)).0, 201);
    }
    services.scheduler.kill();
    std::fs::copy(folder.join("copy"), &database).unwrap();
    let start = || scheduler_command(&folder, &services.coordinator.url()).output().unwrap();
    for _ in 0..2 {
        let output = start();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
        assert!(error.contains("contradict each other") && error.contains("move sctec.db-wal"), "{error}");
        assert!(!error.contains("*** in database"), "{error}");
        assert_eq!(std::fs::read(&database).unwrap(), std::fs::read(folder.join("copy")).unwrap(), "untouched");
    }
    let verified = sctec().args(["audit", "--verify", "--data-dir"]).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stdout).into_owned() + &String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.code() == Some(1) && said.contains("contradicts itself"), "{said}");
    // Follow the advice.
    for name in ["sctec.db-wal", "sctec.db-shm"] {
        if folder.join(name).exists() {
            std::fs::rename(folder.join(name), folder.join(format!("away-{name}"))).unwrap();
        }
    }
    assert!(!log.exists());
    services.restart_scheduler(&[]);
    assert_eq!(services.list("").len(), 5);
    let ready = http("GET", &services.agenda("/pronto"), None).json();
    assert!(
        ready["partes"]["auditoria"].as_str().unwrap().contains("cópia antiga"),
        "and the trail knows more: {ready}"
    );
}

#[test]
fn a_booking_of_a_deleted_scientist_is_refused_and_others_can_book() {
    of_sqlite!("PostgreSQL deletes no scientist who has a booking");
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (_, standing) = services.book(4, "2030-12-01T02:00:00Z");
    let sql = |sql: &str| {
        let other = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
        other.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        other.execute_batch(sql).unwrap();
    };
    sql("PRAGMA foreign_keys = OFF; DELETE FROM cientistas WHERE id IN (3, 4)");
    for minute in ["00", "05"] {
        let refused = services.book(3, &format!("2030-12-01T03:{minute}:00Z"));
        assert_eq!(code(&refused), (404, "cientista_desconhecido"), "{}", refused.1);
    }
    assert_eq!(services.book(5, "2030-12-01T03:00:00Z").0, 201);
    assert_eq!(http("GET", &services.agenda("/pronto"), None).status, 200);
    assert_eq!(services.follow(&standing, "cancelar").status, 200);
    // A trigger that an operator added to the database: its message is passed on, and other scientists can still book.
    sql("CREATE TRIGGER nao BEFORE INSERT ON agendamentos WHEN new.cientista_id = 6
         BEGIN SELECT raise(ABORT, 'cientista suspenso'); END");
    let refused = services.book(6, "2030-12-01T03:05:00Z");
    assert_eq!(code(&refused), (500, "gravacao_recusada"), "{}", refused.1);
    let detail = refused.1["detail"].as_str().unwrap();
    assert!(detail.contains("cientista suspenso") && detail.contains("nada foi gravado"), "{detail}");
    assert_eq!(http("GET", &services.agenda("/pronto"), None).status, 200);
    assert_eq!(services.book(5, "2030-12-01T03:05:00Z").0, 201);
    // An invalid value is an error only for requests that read it.
    sql("UPDATE agendamentos SET fim_us = inicio_us + 300000000 * 1000 WHERE cientista_id = 4");
    let read = http("GET", &services.agenda("/agendamentos/1"), None);
    assert_eq!((read.status, read.json()["codigo"].as_str().unwrap()), (500, "banco_inconsistente"), "{}", read.body);
    assert_eq!(http("GET", &services.agenda("/agendamentos/2"), None).status, 200);
    sql("DROP TRIGGER nao");
    assert_eq!(services.book(6, "2030-12-01T03:10:00Z").0, 201);
}

/// The service's process, which faketime may run as its child. It is killed when dropped.
struct Served(u32);

impl Served {
    fn by(faketime: &Server) -> Self {
        let pid = faketime.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        // If faketime has no child, it became the service itself.
        Self(children.split_whitespace().next().map_or(pid, |child| child.parse().unwrap()))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        signal(self.0, "KILL");
    }
}

#[test]
#[ignore = "needs faketime"]
fn a_slot_that_begins_while_its_booking_waits_is_not_booked() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    let mut command = Command::new("faketime");
    crate::common::deaf(&mut command);
    command.args(["-f", "@2030-06-01 02:59:56", env!("CARGO_BIN_EXE_sctec"), "serve-scheduler"]);
    command.args(["--listen", "127.0.0.1:0", "--critical-delay-ms", "6000", "--coordinator", &coordinator.url()]);
    command.arg("--data-dir").arg(folder.path()).env("TZ", "UTC");
    let scheduler = Server::spawn(&mut command, 1);
    let served = Served::by(&scheduler);
    let url = format!("{}/agendamentos", scheduler.url());
    let answer = Asked::by(1, "2030-06-01T03:00:00Z").on("Webb-Acad").at(&scheduler.url());
    assert_eq!(
        (answer.status, answer.json()["codigo"].as_str().unwrap()),
        (422, "campos_invalidos"),
        "{}",
        answer.body
    );
    assert_eq!(answer.json()["erros"][0]["campo"], "horario_inicio_utc");
    assert_eq!(http("GET", &url, None).json()["agendamentos"], json!([]));
    drop(served);
}

#[test]
fn two_coordinators_never_grant_locks_on_one_folder_even_if_its_lock_file_is_deleted() {
    without_election!("it is about the files of the folder; etcd elects one of the two");
    let folder = tempfile::tempdir().unwrap();
    let first = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    let lock = |server: &Server, resource: &str| {
        let body = json!({ "recurso": resource }).to_string();
        let answer = try_http("POST", &format!("{}/lock", server.url()), Some(&body)).unwrap();
        (answer.status, answer.json())
    };
    assert_eq!(lock(&first, "a").0, 200);
    // The coordinator writes the state file again, so that no token is granted twice.
    std::fs::remove_file(folder.path().join("coordenador.json")).unwrap();
    let (status, granted) = lock(&first, "b");
    assert_eq!(status, 200);
    assert!(folder.path().join("coordenador.json").exists());
    std::fs::remove_file(folder.path().join("coordenador.lock")).unwrap();
    let refused = lock(&first, "c");
    assert_eq!(code(&refused), (503, "tokens_indisponiveis"), "{}", refused.1);
    let ready = http("GET", &format!("{}/pronto", first.url()), None);
    assert!(ready.status == 503 && ready.body.contains("coordenador.lock"), "{}", ready.body);
    let mut command = coordinator_command(folder.path(), "127.0.0.1:0");
    let second = Server::spawn(command.args(["--grace", "0"]), 1);
    let (status, later) = lock(&second, "c");
    assert_eq!(status, 200);
    assert!(later["token"].as_u64() > granted["token"].as_u64(), "{later} {granted}");
    assert_eq!(lock(&first, "d").0, 503);
}
