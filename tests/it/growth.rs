//! The write-ahead log, the work of a start and a page of a list must not grow with the agenda. Damage in pages that a start does
//! not read is found later and reported.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::storage::of_sqlite;
use crate::common::{Asked, Server, Services, count, http, run, wait_until};

const MEGABYTE: u64 = 1 << 20;

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Books whole days, from day `first` on, while `goes_on` returns true.
fn book_days(urls: &[String], first: u64, goes_on: impl Fn() -> bool) {
    for (day, url) in (first..).zip(urls.iter().cycle()) {
        if !goes_on() {
            return;
        }
        let start = sctec::time::Timestamp::from_micros((20_000 + day.cast_signed()) * 86_400_000_000).unwrap();
        let answer = Asked::by(1, &start.seconds().to_string()).minutes(1440).at(url);
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

fn ready(url: &str) -> (u16, Value) {
    let answer = http("GET", &format!("{url}/pronto"), None);
    (answer.status, answer.json())
}

/// Keeps a read transaction open during bookings, then ends it, and checks the size of the write-ahead log.
fn long_reader(folder: &Path, database: &str, urls: &[String]) {
    let path = folder.join(database);
    let log = folder.join(format!("{database}-wal"));
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM agendamentos").unwrap();
    // `execute_batch` runs the query, so the read transaction has its snapshot.
    book_days(urls, 0, || ready(&urls[0]).1["avisos"]["wal"].is_null());
    let peak = bytes(&log);
    assert!(peak > 8 * MEGABYTE, "{peak}");
    let (_, warned) = ready(&urls[0]);
    assert!(warned["avisos"]["wal"].as_str().unwrap().contains("leitura aberta"), "{warned}");
    assert_eq!(warned["partes"]["banco"], "ok");
    book_days(urls, 5000, || bytes(&log) < peak + MEGABYTE);

    reader.execute_batch("COMMIT").unwrap();
    wait_until("the log shrinks", || bytes(&log) <= 4 * MEGABYTE);
    wait_until("nobody is warned any more", || ready(&urls[0]).1["avisos"]["wal"].is_null());
    let text = std::fs::read_to_string(folder.join("app.log")).unwrap();
    let told = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    // Each scheduler warns only once.
    let warned = told("não pode ser recolhido");
    assert!((1..=urls.len()).contains(&warned), "{warned}");
    assert!(told("voltou a ser recolhido") >= 1);
    // Without an open read transaction the log stays small.
    book_days(urls, 9000, || {
        count(&path, "SELECT count(*) FROM agendamentos WHERE inicio_us >= 2505600000000000") < 250
    });
    assert!(bytes(&log) <= 33 * MEGABYTE, "{}", bytes(&log));
}

#[test]
fn codebase_memory_mcp_1137_a_write_ahead_log_shrinks_after_a_long_read_transaction() {
    of_sqlite!("it is about the files of SQLite");
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let second = services.another_scheduler(&["--lock-retention-ms", "0"]);
    long_reader(services.data_dir(), "sctec.db", &[services.scheduler.url(), second.url()]);
}

#[test]
fn the_races_write_ahead_log_shrinks_too() {
    of_sqlite!("it is about the files of SQLite");
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::common::scheduler_command(folder.path(), "http://127.0.0.1:9");
    let scheduler = Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "0"]), 1);
    long_reader(folder.path(), "corrida.db", &[scheduler.url()]);
}

/// Waits until the check of the pages in the background has ended.
fn settle(services: &Services) {
    wait_until("all pages were looked at", || ready(&services.agenda("")).1["avisos"] == json!({}));
}

#[test]
fn a_start_checks_the_pages_in_the_background_unless_the_stop_was_clean() {
    const LOOKED: &str = "Páginas do banco conferidas";
    of_sqlite!("it is about the files of SQLite");
    let looked = |services: &Services| services.read_log("app.log").iter().filter(|line| line.contains(LOOKED)).count();
    let mut services = Services::start(&[]);
    assert_eq!(services.book(1, "2025-12-01T03:00:00Z").0, 201);
    settle(&services);
    let mark = services.data_dir().join("sctec.db-limpo");
    let before = looked(&services);
    assert_eq!(services.scheduler.terminate(), Some(0));
    assert!(mark.exists());

    services.restart_scheduler(&[]);
    assert!(!mark.exists());
    assert_eq!(services.book(1, "2025-12-01T03:05:00Z").0, 201);
    assert_eq!(looked(&services), before, "the stop was clean");
    services.scheduler.kill();
    assert!(!mark.exists());
    services.restart_scheduler(&[]);
    wait_until("the pages are looked at", || looked(&services) > before);
    settle(&services);

    // One of two schedulers stops and leaves a mark. The other writes after that, so the mark is no longer valid.
    let mut second = services.another_scheduler(&[]);
    assert_eq!(services.scheduler.terminate(), Some(0));
    let booked = Asked::by(1, "2025-12-01T03:10:00Z").at(&second.url());
    assert_eq!(booked.status, 201);
    second.kill();
    let before = looked(&services);
    services.restart_scheduler(&[]);
    wait_until("the pages are looked at", || looked(&services) > before);
    settle(&services);
    assert_eq!(services.scheduler.terminate(), Some(0));
    assert!(mark.exists());
}

#[test]
fn a_damaged_page_stops_the_writing_and_is_reported_at_pronto() {
    of_sqlite!("it is about the files of SQLite");
    let services = Services::start(&["--lock-retention-ms", "0"]);
    book_days(&[services.agenda("")], 0, || services.count("SELECT count(*) FROM agendamentos") < 40);
    let folder = services.stop();
    let path = folder.path().join("sctec.db");
    // A page in the middle of the slots, which no start reads.
    let sql = "SELECT pageno FROM dbstat WHERE name = 'horarios' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 40";
    let page = count(&path, sql);
    let mut content = std::fs::read(&path).unwrap();
    content[(page - 1) * 4096..page * 4096].fill(0xa5);
    std::fs::write(&path, content).unwrap();

    let mut services = Services::start_in(folder, &[]);
    wait_until("it is found", || ready(&services.agenda("")).0 == 503);
    let (_, said) = ready(&services.agenda(""));
    assert!(said["partes"]["banco"].as_str().unwrap().contains("danificado"), "{said}");
    let (status, problem) = services.book(1, "2025-12-01T03:00:00Z");
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("banco_indisponivel")));
    // The undamaged pages can still be read.
    assert_eq!(services.list("?limite=500").len(), 40);
    services.wait_for_log("app.log", |lines| {
        lines.iter().any(|line| line.starts_with("ERROR:") && line.contains("Conferência"))
    });
    assert_eq!(services.scheduler.terminate(), Some(0));
    assert!(!services.data_dir().join("sctec.db-limpo").exists());

    let folder = services.data_dir().display().to_string();
    let deep = run(&["audit", "--verify", "--deep", "--data-dir", &folder]);
    let said = String::from_utf8_lossy(&deep.stdout);
    assert!(deep.status.code() == Some(2) && said.contains("CONTRADICTS ITSELF") && said.contains("page"), "{deep:?}");
}

#[test]
fn verify_deep_checks_the_database_and_its_records() {
    of_sqlite!("it is about the files of SQLite");
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (_, booking) = services.book(7, "2025-12-01T03:00:00Z");
    assert_eq!(services.book(1, "2025-12-01T03:05:00Z").0, 201);
    assert_eq!(services.follow(&booking, "cancelar").status, 200);
    let folder = services.data_dir().display().to_string();
    let deep = |args: &[&str]| {
        let output = run(&[&["audit", "--verify", "--deep", "--data-dir", &folder], args].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // While a service is running, and without one.
    let (status, said) = deep(&[]);
    assert!(status == Some(0) && said.contains("2 bookings, 1 claimed slot, ") && said.contains("AGREES"), "{said}");
    let _folder = services.stop();
    assert_eq!(deep(&[]).0, Some(0));
    let database = Connection::open(Path::new(&folder).join("sctec.db")).unwrap();
    database.execute("UPDATE agendamentos SET cientista_id = 3 WHERE id = 2", ()).unwrap();
    drop(database);
    let (status, said) = deep(&[]);
    assert!(status == Some(2) && said.contains("booking 2 is not what record"), "{said}");
    // With named files there is no database.
    assert_eq!(deep(&["audit.jsonl"]).0, Some(1));
}

#[test]
fn a_list_continues_after_bookings_that_were_cancelled_before_its_period() {
    of_sqlite!("it is about the files of SQLite");
    let services = Services::start(&[]);
    assert_eq!(services.book(7, "2025-12-02T03:00:00Z").0, 201);
    let path = services.data_dir().join("sctec.db");
    // More cancelled bookings on the day before the period than one page holds.
    let sql = "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 2499)
        INSERT INTO agendamentos (telescopio_id, cientista_id, inicio_us, fim_us, status, criado_us, cancelado_us, req)
        SELECT 1, 1, 1764633900000000 + (n % 20) * 300000000, 1764634200000000 + (n % 20) * 300000000, 'CANCELADO', 0, 1, 'r' FROM n";
    assert_eq!(Connection::open(path).unwrap().execute(sql, ()).unwrap(), 2500);
    let first = http("GET", &services.agenda("/agendamentos?de=2025-12-02T03%3A00%3A00Z"), None).json();
    assert_eq!(first["agendamentos"], json!([]));
    assert!(first["_links"]["proxima"].is_object());
    for query in ["", "&telescopio=Hubble-Acad", "&status=AGENDADO", "&cientista_id=7"] {
        let all = services.list(&format!("?de=2025-12-02T03%3A00%3A00Z{query}"));
        assert_eq!(all.len(), 1, "{query}");
        assert_eq!(all[0]["cientista_id"], 7);
    }
    assert_eq!(services.list("?status=CANCELADO&limite=500").len(), 2500);
}
