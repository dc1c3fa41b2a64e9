//! Backups: made while bookings go on, interrupted, on a full disk; restored into new folders and over newer agendas.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::access::{give, revoke};
use crate::common::storage::of_sqlite;
use crate::common::{Asked, Services, count, deaf, http, http_with, sctec, wait_until};

fn slot(index: usize) -> String {
    format!("2031-{:02}-{:02}T{:02}:{:02}:00Z", 1 + index / 8064, 1 + index / 288 % 28, index / 12 % 24, index % 12 * 5)
}

fn backup(to: &Path, data_dir: &Path) -> Command {
    let mut command = sctec();
    command.arg("backup").arg(to).arg("--json").arg("--data-dir").arg(data_dir);
    command
}

fn restore(file: &Path, data_dir: &Path, more: &[&str]) -> Output {
    let mut command = sctec();
    command.arg("restore").arg(file).arg("--data-dir").arg(data_dir).args(more).output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[track_caller]
fn refused(output: &Output, status: i32, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(status) && said.contains(expected), "{:?} {said}", output.status);
}

#[track_caller]
fn verify(data_dir: &Path, more: &[&str], status: i32) {
    let output = sctec().args(["audit", "--verify", "--deep", "--data-dir"]).arg(data_dir).args(more).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
}

/// A backup of a stopped agenda with that many bookings, and its folder.
fn stopped(bookings: usize) -> (TempDir, PathBuf) {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    for index in 0..bookings {
        assert_eq!(services.book(1, &slot(index)).0, 201);
    }
    let folder = services.stop();
    let file = folder.path().join("copia.db");
    let made = succeeded(&backup(&file, folder.path()).output().unwrap());
    assert_eq!(made["agendamentos"], bookings);
    (folder, file)
}

/// Each file of a folder with its bytes.
fn bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file() && path.file_name().unwrap() != "audit.lock");
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_backup_under_load_is_one_instant_of_the_agenda_and_bookings_go_on() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (done, outer) = (AtomicBool::new(false), TempDir::new().unwrap());
    let heads = outer.path().join("heads.jsonl");
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (services, done) = (&services, &done);
            scope.spawn(move || {
                let mut index = worker * 5000;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(services.book(1, &slot(index)).0, 201);
                    index += 1;
                }
            });
        }
        let mut last = 0;
        for round in 0..4 {
            wait_until("bookings go on", || services.count("SELECT count(*) FROM agendamentos") > last + 20);
            let before = services.count("SELECT count(*) FROM agendamentos");
            let made = succeeded(&backup(outer.path(), services.data_dir()).output().unwrap());
            let file = PathBuf::from(made["arquivo"].as_str().unwrap());
            let metadata = std::fs::metadata(&file).unwrap();
            assert_eq!(
                (metadata.permissions().mode() & 0o777, metadata.size()),
                (0o600, made["bytes"].as_u64().unwrap())
            );
            last = count(&file, "SELECT count(*) FROM agendamentos");
            assert!(last >= before, "{round}: what was answered before the backup is in it");
            assert_eq!(made["agendamentos"], last);
            let sql = "SELECT count(*) FROM auditoria WHERE json_extract(linha, '$.event_type') = 'AGENDAMENTO_CRIADO'";
            assert_eq!(count(&file, sql), last, "each booking with its record");
            assert_eq!(count(&file, "SELECT count(agendamento_id) FROM horarios"), last, "and its slot");
            let noted = std::fs::read_to_string(&heads).unwrap_or_default();
            std::fs::write(&heads, format!("{noted}{made}\n")).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let names: BTreeSet<_> = std::fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "four backups and the heads, and nothing else: {names:?}");
    // The heads of the backups are points of the trail.
    verify(services.data_dir(), &["--head", heads.to_str().unwrap()], 0);
}

#[test]
fn a_backup_that_is_killed_at_any_moment_leaves_nothing_that_looks_whole() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let (folder, _) = stopped(40);
    let file = folder.path().join("noite.db");
    let mut whole = 0;
    for delay_ms in (0..120).step_by(6) {
        let mut child = backup(&file, folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        let _ = child.kill();
        child.wait().unwrap();
        if file.exists() {
            assert_eq!(count(&file, "SELECT count(*) FROM agendamentos"), 40, "after {delay_ms} ms");
            std::fs::remove_file(&file).unwrap();
            whole += 1;
        }
    }
    assert!(whole < 20, "none was interrupted");
    // What is left is in nobody's way.
    std::fs::write(folder.path().join("noite.db.incompleta"), "interrupted").unwrap();
    succeeded(&backup(&file, folder.path()).output().unwrap());
    assert!(!folder.path().join("noite.db.incompleta").exists());
    refused(&backup(&file, folder.path()).output().unwrap(), 2, "exists; a backup is written to a new file");
}

#[test]
fn on_a_full_disk_there_is_no_backup_and_nothing_is_left_of_it() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let (folder, whole) = stopped(20);
    let limited = |command: &Command, kib: u64| {
        let mut limited = Command::new("sh");
        // The shell counts in blocks of 512 bytes.
        limited.args(["-c", &format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", kib * 2)]);
        deaf(&mut limited).arg(command.get_program()).args(command.get_args()).output().unwrap()
    };
    let file = folder.path().join("cheio.db");
    let before = bytes(folder.path());
    for kib in [0, 8, 32] {
        refused(&limited(&backup(&file, folder.path()), kib), 2, "cannot copy");
        assert!(bytes(folder.path()) == before, "{kib} KiB");
        let mut command = sctec();
        command.arg("restore").arg(&whole).args(["--replace", "--data-dir"]).arg(folder.path());
        refused(&limited(&command, kib), 2, if kib == 0 { "cannot" } else { "cannot copy" });
        assert!(bytes(folder.path()) == before, "{kib} KiB");
    }
    verify(folder.path(), &[], 0);
}

#[test]
fn an_agenda_that_contradicts_itself_is_not_backed_up() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let (folder, _) = stopped(3);
    let database = rusqlite::Connection::open(folder.path().join("sctec.db")).unwrap();
    database.execute_batch("UPDATE auditoria SET linha = replace(linha, 'Galileu', 'Galileo') WHERE seq = 3").unwrap();
    database.close().unwrap();
    let file = folder.path().join("errada.db");
    refused(&backup(&file, folder.path()).output().unwrap(), 1, "record 3 does not follow the record before");
    assert!(!file.exists() && !folder.path().join("errada.db.incompleta").exists());
    let nothing = TempDir::new().unwrap();
    refused(&backup(&file, nothing.path()).output().unwrap(), 2, "there is no ");
    // As with a folder that belongs to another user, it is not known whether it is there.
    let no_folder = nothing.path().join("arquivo");
    std::fs::write(&no_folder, "").unwrap();
    refused(&backup(&file, &no_folder).output().unwrap(), 2, "cannot read ");
}

#[test]
fn a_restored_agenda_is_whole_in_a_new_folder_and_goes_on_with_larger_tokens() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let (folder, file) = stopped(5);
    let new = TempDir::new().unwrap();
    let data = new.path().join("a/b");
    let done = succeeded(&restore(&file, &data, &["--json"]));
    assert_eq!(
        (&done["agendamentos"], &done["guardada_em"], &done["substituida_seq"]),
        (&json!(5), &Value::Null, &Value::Null)
    );
    assert_eq!(std::fs::metadata(data.join("sctec.db")).unwrap().permissions().mode() & 0o777, 0o600);
    verify(&data, &[], 0);
    // The coordinator of the new folder knows none of the tokens that were granted before.
    let largest = done["maior_token"].as_u64().unwrap();
    let services = Services::start_in(folder_at(&new, &data), &["--lock-retention-ms", "0"]);
    let (status, booked) = services.book(2, &slot(5));
    assert_eq!(status, 201, "{booked}");
    assert_eq!(services.list("").len(), 6);
    let history = services.follow(&booked, "historico").json();
    assert!(history["registros"][0]["details"]["token"].as_u64().unwrap() > largest, "{history}");
    verify(services.data_dir(), &[], 0);
    let restored = http("GET", &services.agenda("/auditoria?evento=AGENDA_RESTAURADA"), None).json();
    let record = &restored["registros"][0];
    assert_eq!(
        (&record["autor"], &record["details"]["copia"]),
        (&json!("linha-de-comando"), &json!("copia.db")),
        "{restored}"
    );
    assert_eq!(record["prev"], done["copia_hash"]);
    drop(folder);
}

/// The folder `data`, moved to a temporary folder of its own.
fn folder_at(outer: &TempDir, data: &Path) -> TempDir {
    let own = TempDir::new_in(outer.path().parent().unwrap()).unwrap();
    std::fs::remove_dir(own.path()).unwrap();
    std::fs::rename(data, own.path()).unwrap();
    own
}

#[test]
fn an_older_backup_over_a_newer_agenda_keeps_that_one_and_says_what_is_missing() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let (folder, file) = stopped(3);
    let services = Services::start_in(folder, &["--lock-retention-ms", "0", "--access", "token"]);
    let data = services.data_dir().to_owned();
    let [ana, chefe] = [&["ana", "--role", "cientista", "--scientist", "7"][..], &["chefe", "--role", "operador"]]
        .map(|args| give(&data, args));
    let send = |method: &str, path: &str, body: Option<&str>, secret: &str| {
        let bearer = format!("Bearer {secret}");
        let body = body.map(|body| ("application/json", body));
        http_with(method, &services.agenda(path), body, &[("Authorization", &bearer)])
    };
    // A text that imitates a record's fields is not counted as one.
    let imitation = r#"","level":"AUDIT","event_type":"AGENDAMENTO_CRIADO","#;
    let body = Asked::by(7, &slot(10)).with("alvo", imitation).text();
    assert_eq!(send("POST", "/agendamentos", Some(&body), &ana.token).status, 201);
    assert_eq!(send("PATCH", "/agendamentos/1", Some(r#"{"alvo": "M31"}"#), &chefe.token).status, 200);
    assert_eq!(send("DELETE", "/agendamentos/1", None, &chefe.token).status, 200);
    refused(&restore(&file, &data, &["--replace"]), 2, "a scheduler runs on");
    let head =
        sctec().args(["backup", "--json", "--data-dir"]).arg(&data).arg(data.join("depois.db")).output().unwrap();
    let later = data.join("later.jsonl");
    std::fs::write(&later, &head.stdout).unwrap();
    revoke(&data, &ana);
    let folder = services.stop();
    refused(&restore(&file, &data, &[]), 2, "--replace keeps it");
    let done = succeeded(&restore(&file, &data, &["--replace", "--json"]));
    for lost in ["agendamentos_perdidos", "mudancas_perdidas", "cancelamentos_perdidos"] {
        assert_eq!(done[lost], 1, "{lost}: {done}");
    }
    let kept = PathBuf::from(done["guardada_em"].as_str().unwrap());
    verify(&data, &[], 0);
    verify(&kept, &["--head", later.to_str().unwrap()], 0);
    // A head that was noted after the backup tells that its records are not here.
    verify(&data, &["--head", later.to_str().unwrap()], 3);
    let services = Services::start_in(folder, &["--lock-retention-ms", "0", "--access", "token"]);
    let bearer = |secret: &str| format!("Bearer {secret}");
    let read =
        |secret: &str| http_with("GET", &services.agenda("/agendamentos"), None, &[("Authorization", &bearer(secret))]);
    assert_eq!(read(&ana.token).status, 401, "a revoked token stays revoked");
    let listed = read(&chefe.token).json();
    let states: Vec<_> = listed["agendamentos"].as_array().unwrap().iter().map(|booking| &booking["status"]).collect();
    assert_eq!(states, ["AGENDADO"; 3], "{listed}");
    let ready = http("GET", &services.agenda("/pronto"), None);
    assert_eq!(ready.status, 200, "{}", ready.body);
}

#[test]
fn what_is_no_whole_backup_is_refused_and_nothing_changes() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let (folder, file) = stopped(3);
    let data = folder.path();
    let outer = TempDir::new().unwrap();
    let of = |name: &str, change: &dyn Fn(&Path)| {
        let path = outer.path().join(name);
        std::fs::copy(&file, &path).unwrap();
        change(&path);
        path
    };
    let sql = |path: &Path, sql: &str| rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let cases = [
        (of("empty", &|path| std::fs::write(path, "").unwrap()), "is not an sctec agenda"),
        (of("text", &|path| std::fs::write(path, "x".repeat(9000)).unwrap()), "cannot be read as an agenda"),
        (of("cut", &|path| std::fs::File::options().write(true).open(path).unwrap().set_len(20_000).unwrap()), "cut"),
        (of("foreign", &|path| sql(path, "PRAGMA application_id = 7")), "is not an sctec agenda"),
        (of("race", &|path| sql(path, "PRAGMA application_id = 0x53435452")), "is not an sctec agenda"),
        (of("newer", &|path| sql(path, "PRAGMA user_version = 999")), "newer sctec"),
        (of("altered", &|path| sql(path, "UPDATE agendamentos SET cientista_id = 9 WHERE id = 2")), "was altered"),
        (
            of("logged", &|path| {
                std::fs::write(path.with_file_name("logged-wal"), "x").unwrap();
            }),
            "write-ahead log",
        ),
    ];
    let before = bytes(data);
    for (path, expected) in &cases {
        let output = restore(path, data, &["--replace"]);
        refused(&output, 1, expected);
        refused(&output, 1, "nothing was restored");
        assert!(bytes(data) == before, "{}", path.display());
    }
    refused(&restore(&data.join("sctec.db"), data, &["--replace"]), 2, "is the agenda of");
    refused(&restore(&outer.path().join("nothing"), data, &["--replace"]), 2, "cannot read");
    refused(&restore(outer.path(), data, &["--replace"]), 2, "is not a file");
    // A log without its service: a crash left it, or another program has the agenda open.
    for name in ["sctec.db-wal", "sctec.db-shm"] {
        std::fs::write(data.join(name), "x").unwrap();
        refused(&restore(&file, data, &["--replace"]), 2, name);
        std::fs::remove_file(data.join(name)).unwrap();
    }
    assert!(bytes(data) == before);
    succeeded(&restore(&file, data, &["--replace", "--json"]));
}

#[test]
fn a_restoration_that_is_killed_at_any_moment_leaves_one_whole_agenda() {
    of_sqlite!("backup and restore copy the file of SQLite");
    let (folder, file) = stopped(4);
    let services = Services::start_in(folder, &["--lock-retention-ms", "0"]);
    for index in 10..13 {
        assert_eq!(services.book(1, &slot(index)).0, 201);
    }
    let folder = services.stop();
    let data = folder.path();
    let mut ends = BTreeSet::new();
    for delay_ms in (0..300).step_by(12) {
        let mut child = sctec();
        child.arg("restore").arg(&file).args(["--replace", "--data-dir"]).arg(data);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        let _ = child.kill();
        child.wait().unwrap();
        let bookings = count(&data.join("sctec.db"), "SELECT count(*) FROM agendamentos");
        assert!(bookings == 7 || bookings == 4, "{bookings} after {delay_ms} ms");
        ends.insert(bookings);
    }
    assert_eq!(ends.len(), 2, "kills before and after the change: {ends:?}");
    let services = Services::start_in(folder, &["--lock-retention-ms", "0"]);
    assert_eq!(services.book(2, &slot(20)).0, 201);
    verify(services.data_dir(), &[], 0);
}
