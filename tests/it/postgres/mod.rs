//! The agenda in PostgreSQL: schedulers with folders of their own on one database, the copies of the trail that they write, the tools that
//! read it there, and an agenda that moves from SQLite.

mod backups;
mod deep;
mod failover;
mod frozen;
mod pair;
mod plans;
mod tls;

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::postgres::Database;
use crate::common::trail::{audit, texts};
use crate::common::{Asked, Server, Services, coordinator_command, http, sctec, storage, wait_until};

const SLOT: &str = "2031-03-01T03:00:00Z";

/// Two schedulers with a coordinator, each with a folder of its own, on one database.
struct Two {
    database: Database,
    schedulers: [Server; 2],
    coordinator: Server,
    folders: [TempDir; 3],
}

fn scheduler(folder: &Path, coordinator: &Server, database: &Database) -> Server {
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &coordinator.url(), "--data-dir"]);
    Server::spawn(command.arg(folder).args(["--store", &database.url(), "--lock-retention-ms", "0"]), 1)
}

impl Two {
    fn start() -> Self {
        let (database, folders) = (Database::create(), std::array::from_fn(|_| TempDir::new().unwrap()));
        let [first, second, third] = &folders;
        let coordinator = Server::spawn(&mut coordinator_command(third.path(), "127.0.0.1:0"), 1);
        // Both find a database without tables, and one of them makes them.
        let schedulers = std::thread::scope(|scope| {
            let started =
                [first, second].map(|folder| scope.spawn(|| scheduler(folder.path(), &coordinator, &database)));
            started.map(|thread| thread.join().unwrap())
        });
        Self { database, schedulers, coordinator, folders }
    }

    fn book(&self, nth: usize, asked: &Asked) -> (u16, Value) {
        let url = format!("{}/agendamentos", self.schedulers[nth].url());
        let answer = http("POST", &url, Some(("application/json", &asked.text())));
        (answer.status, answer.json())
    }

    fn trail(&self, nth: usize) -> String {
        std::fs::read_to_string(self.folders[nth].path().join("audit.jsonl")).unwrap_or_default()
    }

    /// The lines of the trail in the database.
    fn records(&self) -> String {
        let rows = self.database.rows("SELECT linha FROM sctec.auditoria ORDER BY seq").unwrap();
        rows.into_iter().flatten().flatten().map(|line| line + "\n").collect()
    }

    fn caught_up(&self, nth: usize) {
        wait_until("the file has every record", || self.trail(nth) == self.records());
    }

    /// Verifies a scheduler's file with the database.
    fn verify(&self, nth: usize) -> (Option<i32>, String) {
        let folder = self.folders[nth].path().to_str().unwrap();
        let args = ["--verify", "--data-dir", folder, "--store", &self.database.url()];
        let output = audit(&args).output().unwrap();
        let (printed, said) = texts(&output);
        (output.status.code(), printed + &said)
    }
}

fn at(nth: usize) -> String {
    format!("2031-03-01T{:02}:{:02}:00Z", 3 + nth / 12, nth % 12 * 5)
}

#[test]
#[ignore = "needs PostgreSQL"]
fn two_schedulers_book_each_slot_once_and_each_has_the_whole_trail() {
    let two = Two::start();
    let won = (0..8).map(|slot| {
        let rival = |nth: usize| two.book(nth % 2, &Asked::by(1 + i64::try_from(nth).unwrap(), &at(slot))).0;
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let rivals: Vec<_> = (0..10).map(|nth| scope.spawn(move || rival(nth))).collect();
            rivals.into_iter().map(|rival| rival.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
        statuses.iter().filter(|status| **status == 201).count()
    });
    let won: Vec<usize> = won.collect();
    assert_eq!(won, [1; 8]);
    let count = |sql: &str| two.database.rows(sql).unwrap()[0][0].clone().unwrap();
    assert_eq!(count("SELECT count(*) FROM sctec.agendamentos"), "8");
    // Two starts and eight bookings.
    assert_eq!(two.records().lines().count(), 10);
    for nth in [0, 1] {
        two.caught_up(nth);
        let (status, said) = two.verify(nth);
        assert!(status == Some(0) && said.contains("record 10: matches the database"), "{said}");
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_scheduler_that_cannot_write_its_copy_books_nothing_and_the_other_goes_on() {
    let two = Two::start();
    assert_eq!(two.book(0, &Asked::by(7, &at(0))).0, 201);
    two.caught_up(0);
    let file = two.folders[0].path().join("audit.jsonl");
    std::fs::rename(&file, two.folders[0].path().join("moved")).unwrap();
    std::fs::create_dir(&file).unwrap();
    wait_until("the first one refuses", || two.book(0, &Asked::by(7, SLOT)).0 == 503);
    for nth in 1..20 {
        assert_eq!(two.book(1, &Asked::by(7, &at(nth))).0, 201);
    }
    two.caught_up(1);
    std::fs::remove_dir(&file).unwrap();
    wait_until("it books again", || two.book(0, &Asked::by(7, &at(20))).0 == 201);
    two.caught_up(0);
    assert_eq!(two.verify(0).0, Some(0));
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_scheduler_on_a_new_machine_writes_the_whole_trail_and_one_that_comes_back_the_rest() {
    let mut two = Two::start();
    for nth in 0..5 {
        assert_eq!(two.book(0, &Asked::by(7, &at(nth))).0, 201);
    }
    assert_eq!(two.schedulers[0].terminate(), Some(0));
    let before = two.trail(0);
    assert_eq!(two.book(1, &Asked::by(7, &at(5))).0, 201);
    let third = TempDir::new().unwrap();
    let _third = scheduler(third.path(), &two.coordinator, &two.database);
    let file = third.path().join("audit.jsonl");
    wait_until("it has all", || std::fs::read_to_string(&file).unwrap_or_default() == two.records());
    two.schedulers[0] = scheduler(two.folders[0].path(), &two.coordinator, &two.database);
    two.caught_up(0);
    assert!(two.trail(0).starts_with(&before) && two.trail(0).len() > before.len());
    // A file that is not what was written is evidence, and is not touched.
    assert_eq!(two.schedulers[0].terminate(), Some(0));
    // Another length: what was noted as written is not read again at a start as long as its length is the same.
    let forged = two.trail(0).replacen("Marie", "Maria Marie", 1);
    std::fs::write(two.folders[0].path().join("audit.jsonl"), &forged).unwrap();
    two.schedulers[0] = scheduler(two.folders[0].path(), &two.coordinator, &two.database);
    assert_eq!(two.book(0, &Asked::by(7, &at(6))).0, 503);
    assert_eq!(two.trail(0), forged);
    let (status, said) = two.verify(0);
    assert_eq!(status, Some(2), "{said}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn the_trail_in_the_database_is_searched_and_followed_as_its_files_are() {
    let two = Two::start();
    for nth in 0..30 {
        assert_eq!(two.book(nth % 2, &Asked::by(1 + i64::try_from(nth % 3).unwrap(), &at(nth))).0, 201);
    }
    two.caught_up(0);
    let folder = two.folders[0].path().to_str().unwrap().to_owned();
    let url = two.database.url();
    for filter in [
        &[][..],
        &["--scientist", "2"],
        &["--booking", "7"],
        &["--slot", &at(4)],
        &["-n", "3"],
        &["-n", "0"],
        &["--reverse"],
        &["-n", "4", "--reverse", "--event", "agendamento_criado"],
        &["--count", "--scientist", "1"],
        &["--format", "csv"],
    ] {
        let of = |from: &[&str]| {
            let output = audit(&[from, filter].concat()).output().unwrap();
            (output.status.code(), texts(&output).0)
        };
        let there = of(&["--store", &url]);
        assert_eq!(there, of(&["--data-dir", &folder]), "{filter:?}");
        assert_eq!(there.1.is_empty(), filter == ["-n", "0"], "{filter:?}");
    }
    let mut command = audit(&["--follow", "-n", "1", "--store", &url]);
    let followed = crate::common::Background::spawn(&mut command);
    wait_until("the last one is there", || followed.out.lock().unwrap().len() == 1);
    assert_eq!(two.book(0, &Asked::by(9, &at(40))).0, 201);
    wait_until("the new one too", || followed.out.lock().unwrap().len() == 2);
    assert_eq!(followed.out.lock().unwrap().join("\n") + "\n", {
        let lines: Vec<String> = two.records().lines().map(|line| line.to_owned() + "\n").collect();
        lines[lines.len() - 2..].concat()
    });
    // A copy of a file in another folder is compared with the database too.
    two.caught_up(0);
    let (copy, whole) = (two.folders[1].path().join("copia.jsonl"), two.trail(0));
    let forged = whole.replacen("Galileu", "Galilau", 1);
    for (text, expected) in [(&whole[..], 0), (&forged, 2), (&whole[..whole.len() / 2], 3)] {
        std::fs::write(&copy, text).unwrap();
        let output = audit(&["--verify", "--store", &url, copy.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{:?}", texts(&output));
    }
    let named = audit(&["--store", &url, copy.to_str().unwrap()]).output().unwrap();
    assert!(named.status.code() == Some(2) && texts(&named).1.contains("leave out one of them"), "{named:?}");
    // The password stands in no argument, and what is no database is said to be none.
    for (url, said) in [("postgres://a:b@127.0.0.1/x", "password"), ("mysql://a@b/c", "postgres://")] {
        let output = audit(&["--store", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(texts(&output).1.contains(said), "{url}: {}", texts(&output).1);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_record_that_is_altered_in_the_database_is_found_and_never_copied() {
    let two = Two::start();
    for nth in 0..4 {
        assert_eq!(two.book(0, &Asked::by(7, &at(nth))).0, 201);
    }
    two.caught_up(0);
    let whole = two.records();
    let forged = "UPDATE sctec.auditoria SET linha = replace(linha, 'Marie', 'Maria') WHERE seq = 4";
    two.database.rows(forged).unwrap();
    let (status, said) = two.verify(0);
    // The files are whole: it is the database whose record is another.
    assert_eq!(status, Some(0), "{said}");
    let third = TempDir::new().unwrap();
    let third_scheduler = scheduler(third.path(), &two.coordinator, &two.database);
    let url = format!("{}/agendamentos", third_scheduler.url());
    let refused = http("POST", &url, Some(("application/json", &Asked::by(7, &at(9)).text())));
    assert_eq!(refused.status, 503, "{}", refused.body);
    let copy = std::fs::read_to_string(third.path().join("audit.jsonl")).unwrap();
    assert!(whole.starts_with(&copy) && copy.lines().count() < 4, "{copy}");
}

/// An agenda in SQLite with bookings, cancellations, a waiting list, a proposal, a maintenance and an answer that is kept.
fn agenda_of_sqlite() -> TempDir {
    let folder = TempDir::new().unwrap();
    let coordinator = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &coordinator.url(), "--data-dir"]);
    command.arg(folder.path()).args(["--lock-retention-ms", "0", "--audit-refusals"]);
    let services = Services::of(Server::spawn_of_sqlite(&mut command, 1), coordinator, folder);
    let post = |path: &str, body: &Value| {
        let headers = [("Idempotency-Key", path)];
        let body = body.to_string();
        crate::common::http_with("POST", &services.agenda(path), Some(("application/json", &body)), &headers)
    };
    for nth in 0..20 {
        let asked = Asked::by(7, &at(nth)).with("observacoes", "duas\nlinhas\t\\N \"aspas\" 🔭");
        assert_eq!(services.book_as(&asked).0, 201);
    }
    assert_eq!(services.book(3, &at(0)).0, 409);
    let proposal = json!({"titulo": "Anéis", "responsavel_id": 1, "membros": [2], "inicio_utc": "2030-01-01T00:00:00Z",
        "fim_utc": "2032-01-01T00:00:00Z", "alocado_min": {"Hubble-Acad": 600}});
    assert_eq!(post("/propostas", &proposal).status, 201);
    let wait = format!("/telescopios/Hubble-Acad/agenda/{}/espera", at(1));
    assert_eq!(post(&wait, &json!({"cientista_id": 3})).status, 201);
    let closed = json!({"inicio_utc": "2031-05-01T00:00:00Z", "fim_utc": "2031-05-02T00:00:00Z", "motivo": "espelho"});
    assert_eq!(post("/telescopios/Hubble-Acad/manutencoes", &closed).status, 201);
    assert_eq!(http("DELETE", &services.agenda("/agendamentos/5"), None).status, 200);
    services.stop()
}

fn migrate(folder: &Path, url: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let from = format!("sqlite:{}", folder.display());
    let output = sctec().args(["migrate", "--from", &from, "--to", url]).args(args).output().unwrap();
    let (printed, said) = texts(&output);
    (output.status.code(), printed, said)
}

#[test]
#[ignore = "needs PostgreSQL"]
fn an_agenda_moves_with_its_trail_and_goes_on_where_it_was() {
    let folder = agenda_of_sqlite();
    let database = Database::create();
    let before = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let (status, printed, said) = migrate(folder.path(), &database.url(), &["--json"]);
    assert_eq!(status, Some(0), "{said}");
    let told: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&told["agendamentos"], &told["registros"]), (&json!(20), &json!(before.lines().count())));

    // Every row is there, as the other database has it.
    for table in ["telescopios", "cientistas", "propostas", "agendamentos", "horarios", "manutencoes", "esperas"] {
        let there = database.rows(&format!("SELECT count(*) FROM sctec.{table}")).unwrap()[0][0].clone();
        let here = storage::of_file(&folder.path().join("sctec.db"), &format!("SELECT count(*) FROM {table}"));
        assert_eq!(there, here[0][0], "{table}");
    }
    let sql = "SELECT id, inicio_us, status, alvo, observacoes, versao, token FROM agendamentos ORDER BY id";
    let moved = database.rows(&format!("SET search_path = sctec; {sql}")).unwrap();
    assert_eq!(moved, storage::of_file(&folder.path().join("sctec.db"), sql));

    // A second time there is an agenda, and it stays as it is.
    let (status, _, said) = migrate(folder.path(), &database.url(), &[]);
    assert!(status == Some(2) && said.contains("has an agenda already"), "{said}");

    // The same folder goes on with the database: its file is the beginning of the trail.
    let coordinator = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    let scheduler = scheduler(folder.path(), &coordinator, &database);
    let url = |path: &str| format!("{}{path}", scheduler.url());
    let book = |asked: &Asked| http("POST", &url("/agendamentos"), Some(("application/json", &asked.text())));
    assert_eq!(book(&Asked::by(2, &at(2))).status, 409);
    let booked = book(&Asked::by(2, &at(30)));
    assert_eq!((booked.status, &booked.json()["id"]), (201, &json!(21)));
    let listed = http("GET", &url("/agendamentos?limite=500"), None).json();
    assert_eq!(listed["agendamentos"].as_array().unwrap().len(), 21);
    let kept = json!({"titulo": "Anéis", "responsavel_id": 1, "membros": [2], "inicio_utc": "2030-01-01T00:00:00Z",
        "fim_utc": "2032-01-01T00:00:00Z", "alocado_min": {"Hubble-Acad": 600}})
    .to_string();
    let headers = [("Idempotency-Key", "/propostas")];
    let again = crate::common::http_with("POST", &url("/propostas"), Some(("application/json", &kept)), &headers);
    assert_eq!((again.status, &again.json()["id"]), (201, &json!(1)), "{}", again.body);
    let verified = || {
        let folder = folder.path().to_str().unwrap();
        audit(&["--verify", "--data-dir", folder, "--store", &database.url()]).output().unwrap()
    };
    wait_until("the trail is whole", || verified().status.code() == Some(0));
    let after = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(after.starts_with(&before) && after.len() > before.len());
}

#[test]
#[ignore = "needs PostgreSQL"]
fn an_agenda_does_not_move_while_it_is_used_or_is_not_whole() {
    let folder = agenda_of_sqlite();
    let database = Database::create();
    let nothing = || database.rows("SELECT count(*) FROM sctec.agendamentos").unwrap()[0][0].as_deref() == Some("0");
    let coordinator = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &coordinator.url(), "--data-dir"]);
    let mut running = Server::spawn_of_sqlite(command.arg(folder.path()), 1);
    let (status, _, said) = migrate(folder.path(), &database.url(), &[]);
    assert!(status == Some(2) && said.contains("a scheduler runs on"), "{said}");
    assert_eq!(running.terminate(), Some(0));
    // A scheduler has begun an agenda in the database.
    let used = Database::create();
    let other = TempDir::new().unwrap();
    drop(scheduler(other.path(), &coordinator, &used));
    let (status, _, said) = migrate(folder.path(), &used.url(), &[]);
    assert!(status == Some(2) && said.contains("has an agenda already"), "{said}");
    // Somebody has changed the old one.
    let forged = "UPDATE agendamentos SET fim_us = fim_us + 300000000 WHERE id = 3";
    storage::of_file(&folder.path().join("sctec.db"), forged);
    let (status, _, said) = migrate(folder.path(), &database.url(), &[]);
    assert!(status == Some(1) && said.contains("nothing was moved"), "{status:?} {said}");
    assert!(database.rows("SELECT 1 FROM sctec.agendamentos").is_err() || nothing());
    let (status, _, said) = migrate(&folder.path().join("none"), &database.url(), &[]);
    assert!(status == Some(2) && said.contains("--from"), "{said}");
}

fn token(url: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let output = sctec().arg("token").args(args).args(["--store", url]).output().unwrap();
    let (printed, said) = texts(&output);
    (output.status.code(), printed.trim().to_owned(), said)
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_token_is_known_at_every_scheduler_and_a_revoked_one_at_none_within_a_second() {
    let (database, folders): (_, [TempDir; 2]) = (Database::create(), std::array::from_fn(|_| TempDir::new().unwrap()));
    let coordinator = Server::spawn(&mut coordinator_command(folders[0].path(), "127.0.0.1:0"), 1);
    // The first token is made before any scheduler has made the tables.
    let (status, ana, said) = token(&database.url(), &["create", "ana", "--role", "cientista", "--scientist", "7"]);
    assert_eq!(status, Some(0), "{said}");
    let schedulers = folders.each_ref().map(|folder| {
        let mut command = sctec();
        command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &coordinator.url(), "--data-dir"]);
        command.arg(folder.path()).args(["--access", "token", "--store", &database.url()]);
        Server::spawn(&mut command, 1)
    });
    let read = |nth: usize, token: &str| {
        let url = format!("{}/agendamentos", schedulers[nth].url());
        crate::common::http_with("GET", &url, None, &[("Authorization", &format!("Bearer {token}"))]).status
    };
    let book = |nth: usize, token: &str, start: &str| {
        let url = format!("{}/agendamentos", schedulers[nth].url());
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        crate::common::http_with("POST", &url, Some(("application/json", &Asked::by(7, start).text())), &headers).status
    };
    assert_eq!([0, 1].map(|nth| book(nth, &ana, &at(nth))), [201, 201]);
    let (_, bia, _) = token(&database.url(), &["create", "bia", "--role", "leitor"]);
    assert_eq!([0, 1].map(|nth| read(nth, &bia)), [200, 200], "a new one is known at once");
    assert_eq!([0, 1].map(|nth| read(nth, "nothing")), [401, 401]);
    // Another principal does not get the name, and nobody becomes a scientist whom the agenda does not have.
    let (status, _, said) = token(&database.url(), &["create", "ana", "--role", "operador"]);
    assert!(status == Some(2) && said.contains("ana"), "{said}");
    let (status, _, said) = token(&database.url(), &["create", "rui", "--role", "cientista", "--scientist", "99"]);
    assert!(status == Some(2) && said.contains("99"), "{said}");
    let (_, listed, _) = token(&database.url(), &["list", "--json"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");

    assert_eq!(token(&database.url(), &["revoke", "1"]).0, Some(0));
    let begun = std::time::Instant::now();
    wait_until("it is refused at both", || [0, 1].map(|nth| read(nth, &ana)) == [401, 401]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!([0, 1].map(|nth| read(nth, &bia)), [200, 200]);
    // No secret is in the database.
    let stored = database.rows("SELECT encode(resumo, 'hex'), nome FROM sctec.credencial ORDER BY id").unwrap();
    assert_eq!(stored.len(), 2);
    assert!(!format!("{stored:?}").contains(&ana[6..20]));
}

/// Starts a scheduler that cannot start, and gives its exit status and what it says.
fn refused(url: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--lang", "en", "--store", url, "--data-dir"]);
    let output = command.arg(folder.path()).args(more).env("HOME", folder.path()).output().unwrap();
    let (printed, said) = texts(&output);
    (output.status.code(), printed + &said)
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    for url in ["postgres://ana:segredo@127.0.0.1/x", "postgres://ana@127.0.0.1/x?password=segredo"] {
        let (status, said) = refused(url, &[]);
        assert!(status == Some(2) && said.contains("PGPASSWORD") && !said.contains("segredo"), "{status:?}: {said}");
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let folder = TempDir::new().unwrap();
    let password = folder.path().join("senha");
    std::fs::write(&password, "segredo\n").unwrap();
    let args = ["--store-password-file", password.to_str().unwrap()];
    let (status, said) = refused("postgres://ana@127.0.0.1:1/x", &args);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("postgres://ana@127.0.0.1:1/x") && !said.contains("segredo"), "{said}");
    std::fs::write(&password, "\n").unwrap();
    let (status, said) = refused("postgres://ana@127.0.0.1:1/x", &args);
    assert!(status == Some(2) && said.contains("has no password"), "{said}");
    for url in ["mysql://ana@127.0.0.1/x", "postgres://127.0.0.1/x", "postgres:///x?user=ana"] {
        assert_eq!(refused(url, &[]).0, Some(2), "{url}");
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn the_race_is_shown_on_postgresql_too_and_leaves_the_agenda_alone() {
    let (database, folder) = (Database::create(), TempDir::new().unwrap());
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--no-lock", "--data-dir"]);
    let race = Server::spawn(command.arg(folder.path()).args(["--store", &database.url()]), 1);
    let url = format!("{}/agendamentos", race.url());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let book = || http("POST", &url, Some(("application/json", &Asked::by(7, SLOT).text()))).status;
        let rivals: Vec<_> = (0..10).map(|_| scope.spawn(book)).collect();
        rivals.into_iter().map(|rival| rival.join().unwrap()).collect()
    });
    assert!(statuses.iter().filter(|status| **status == 201).count() > 1, "{statuses:?}");
    let schemas = database.rows("SELECT nspname FROM pg_namespace WHERE nspname IN ('sctec', 'corrida')").unwrap();
    assert_eq!(schemas, [[Some("corrida".to_owned())]]);
}
