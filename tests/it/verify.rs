//! `sctec audit --verify` on the trail of a real service: whole, damaged, growing and rotated. The independent verifier
//! `examples/verificar.py` must give the same verdicts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sctec::access::Caller;
use serde_json::json;
use tempfile::TempDir;

use crate::common::storage::{is_postgres, of_sqlite};
use crate::common::trail::{audit, gzip};
use crate::common::{Services, http, sctec, wait_until};

fn slot(index: usize) -> String {
    format!("2025-12-{:02}T{:02}:{:02}:00Z", 1 + index / 288, index / 12 % 24, index % 12 * 5)
}

fn verify(arguments: &[&str]) -> Output {
    audit(&[&["--verify"], arguments].concat()).output().unwrap()
}

/// The exit status, and the whole output.
fn status(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// Verifies a data folder's trail against its database.
fn verify_folder(folder: &Path) -> (i32, String) {
    status(&verify(&["--data-dir", folder.to_str().unwrap()]))
}

/// The result of `--verify` and of the example for a file, which must be the same.
fn verify_file(path: &Path) -> (i32, String) {
    let path = path.to_str().unwrap();
    let ours = status(&verify(&[path]));
    if let Some(theirs) = example(&[path]) {
        assert_eq!(theirs.0, ours.0, "{}\n{}", theirs.1, ours.1);
    }
    ours
}

/// Runs the example, if Python is installed.
fn example(arguments: &[&str]) -> Option<(i32, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/verificar.py");
    let output = Command::new("python3").arg(script).args(arguments).output().ok()?;
    Some(status(&output))
}

/// A folder with a trail of some bookings, its service stopped.
fn stopped(bookings: usize) -> TempDir {
    let services = Services::start(&[]);
    for index in 0..bookings {
        assert_eq!(services.book(7, &slot(index)).0, 201);
    }
    services.stop()
}

fn trail(folder: &TempDir) -> PathBuf {
    folder.path().join("audit.jsonl")
}

#[test]
fn a_whole_trail_is_whole_also_while_it_grows() {
    let services = Services::start(&[]);
    for index in 0..20 {
        assert_eq!(services.book(7, &slot(index)).0, 201);
        let (code, said) = verify_folder(services.data_dir());
        assert_eq!(code, 0, "{said}");
        // A booking that was answered a moment ago is in the trail too.
        assert!(said.contains(&format!("records 1 to {}", index + 2)), "{said}");
    }
    let folder = services.stop();
    let (code, said) = verify_folder(folder.path());
    assert!(code == 0 && said.contains("WHOLE") && said.contains("record 22: matches the database"), "{said}");
    assert!(said.ends_with("The bookings in the database were not checked: --deep checks them.\n"), "{said}");
    let (code, said) = verify_file(&trail(&folder));
    assert!(code == 0 && said.contains("removed or rewritten records") && !said.contains("--deep"), "{said}");
    let from_stdin =
        sctec().args(["audit", "--verify", "-"]).stdin(std::fs::File::open(trail(&folder)).unwrap()).output();
    assert_eq!(status(&from_stdin.unwrap()).0, 0);
}

#[test]
fn damage_is_reported_with_its_place_and_has_its_own_exit_status() {
    let folder = stopped(10);
    let whole = std::fs::read_to_string(trail(&folder)).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let without =
        |gone: usize| lines.iter().enumerate().filter(|(index, _)| *index != gone).map(|(_, line)| *line).collect();
    let swapped: String = [&lines[..4], &[lines[5], lines[4]], &lines[6..]].concat().concat();
    let cases: [(String, i32, &str); 10] = [
        (whole.replacen("\"cientista_id\":7", "\"cientista_id\":8", 1), 2, "record 2 was changed"),
        (without(4), 2, "record 6 stands where record 5 should: 5 is missing"),
        (swapped, 2, "5 is missing"),
        ([whole.as_str(), lines[11]].concat(), 2, "record 12 stands where record 13 should"),
        (whole.replacen('\n', "\r\n", 1), 2, "carriage return"),
        (whole.replacen('\n', "", 1), 2, "two records stand on one line"),
        (format!("{whole}lixo"), 2, "not the beginning of a record"),
        (format!("{whole}\n"), 2, "blank"),
        (whole[..whole.len() - 1].to_owned(), 3, "was not written to its end"),
        (whole[..whole.len() - 100].to_owned(), 3, "was not written to its end"),
    ];
    for (damaged, expected, says) in cases {
        std::fs::write(trail(&folder), &damaged).unwrap();
        for (code, said) in [verify_file(&trail(&folder)), verify_folder(folder.path())] {
            assert_eq!(code, expected, "{said}");
            assert!(said.contains(says), "{says} in {said}");
            assert_eq!(said.contains("the last one whose bytes give its hash"), code == 2, "{said}");
        }
    }
    // A trail that was cut at its beginning looks like one whose closed files were archived. But the database shows that the
    // missing records are too few to fill a file.
    std::fs::write(trail(&folder), without(0)).unwrap();
    let (code, said) = verify_file(&trail(&folder));
    assert!(code == 3 && said.contains("record 1 is not here: it stood in an earlier file, or was cut off"), "{said}");
    let (code, said) = verify_folder(folder.path());
    assert!(code == 2 && said.contains("1 is missing"), "{said}");
    // Without the database the file looks whole. The database shows that records are missing.
    std::fs::write(trail(&folder), without(11)).unwrap();
    assert_eq!(verify_file(&trail(&folder)).0, 0);
    let (code, said) = verify_folder(folder.path());
    assert!(code == 3 && said.contains("the database has record 12, and the files do not"), "{said}");
    std::fs::write(trail(&folder), "").unwrap();
    let (code, said) = verify_file(&trail(&folder));
    assert!(code == 1 && said.contains("it is empty"), "{said}");
    assert_eq!(verify_folder(folder.path()).0, 3);
    // A torn line in the right form that is not the database's next record.
    let torn = lines[11].replacen("\"details\":{", "\"details\":{\"x\":", 1);
    std::fs::write(trail(&folder), [without(11), torn[..250].to_owned()].concat()).unwrap();
    assert_eq!(verify_file(&trail(&folder)).0, 3);
    let (code, said) = verify_folder(folder.path());
    assert!(code == 2 && said.contains("not the beginning of record 12, as the database has it"), "{said}");
    // No file at all.
    std::fs::remove_file(trail(&folder)).unwrap();
    let (code, said) = verify_folder(folder.path());
    assert!(
        code == 3 && said.contains("the database has records up to 12, and the files have no record after 0"),
        "{said}"
    );
    // The head in the report is the last record that gives its own hash.
    let changed = lines[11].replacen("\"details\":{", "\"details\":{\"x\":1,", 1);
    std::fs::write(trail(&folder), [without(11), changed].concat()).unwrap();
    let (code, said) = verify_folder(folder.path());
    assert!(code == 2 && said.contains("head      record 11, ") && said.contains("record 12 was changed"), "{said}");
    assert!(said.contains("The original records are in the database"), "{said}");
    // Which database has the records of a file that was named is not known.
    assert!(verify_file(&trail(&folder)).1.contains("may be in the service's database"));
    // A fault is reported with the file, the line and the byte.
    std::fs::write(trail(&folder), without(4)).unwrap();
    let place = format!("audit.jsonl, line 5, byte {}", lines[..4].concat().len());
    assert!(verify_folder(folder.path()).1.contains(&place));
}

#[test]
fn a_head_noted_elsewhere_finds_a_rewritten_trail() {
    let services = Services::start(&[]);
    let noted = services.data_dir().join("heads.jsonl");
    let mut heads = String::new();
    for index in 0..3 {
        assert_eq!(services.book(7, &slot(index)).0, 201);
        // The answers have no line break, so `>>` appends the heads on one line.
        heads.push_str(&http("GET", &services.agenda("/auditoria/cabeca"), None).body);
    }
    // Some editors write a byte order mark at the beginning of the file.
    std::fs::write(&noted, format!("\u{feff}{heads}")).unwrap();
    let folder = services.stop();
    let noted = folder.path().join(noted.file_name().unwrap());
    let (file, noted) = (trail(&folder), noted.to_str().unwrap());
    let with_head = || status(&verify(&[file.to_str().unwrap(), "--head", noted]));
    let (code, said) = with_head();
    assert!(
        code == 0 && said.contains("record 4: matches") && !said.contains("removed or rewritten records"),
        "{said}"
    );

    // A whole trail of another service.
    let other = stopped(5);
    let own = std::fs::read(&file).unwrap();
    std::fs::copy(trail(&other), &file).unwrap();
    assert_eq!(verify_file(&file).0, 0);
    let (code, said) = with_head();
    assert!(code == 2 && said.contains("record 2 differs from ") && said.contains("heads.jsonl"), "{said}");
    assert!(
        said.contains("TAMPERED: record 2 differs from ") && said.contains("in it or in a record before it"),
        "{said}"
    );
    let (code, said) = verify_folder(folder.path());
    assert!(code == 2 && said.contains("the trail's beginning differs from the database"), "{said}");
    // A trail that ends before a noted head.
    let lines = String::from_utf8(own).unwrap();
    std::fs::write(&file, lines.split_inclusive('\n').take(2).collect::<String>()).unwrap();
    let (code, said) = with_head();
    assert!(code == 3 && said.contains("has records up to 4, and the files have no record after 2"), "{said}");
}

#[test]
fn a_verification_that_cannot_run_exits_1() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().to_str().unwrap();
    let file = folder.path().join("x.jsonl");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let head = folder.path().join("head");
    std::fs::write(&head, "{\"seq\":1,\"hash\":\"ABC\"}").unwrap();
    let ten = folder.path().join("ten");
    std::fs::write(&ten, "10").unwrap();
    let ten = ten.to_str().unwrap();
    for (arguments, says) in [
        (vec!["--data-dir", empty], "there is no"),
        (vec!["/nonexistent"], "/nonexistent"),
        (vec![file, "--head", head.to_str().unwrap()], "64 lower-case hexadecimal digits"),
        (vec![file, "--head", file], "is empty"),
        (
            vec![file, "--head", ten],
            "ten, line 1, column 2: this is not a chain head; give heads as GET /auditoria/cabeca",
        ),
        (vec!["-", "--head", "-"], "standard input"),
        (vec![file, "--race"], "--race"),
        (vec![file, "--event", "X"], "--event"),
        (vec![file, "--nonsense"], "--nonsense"),
    ] {
        let (code, said) = status(&verify(&arguments));
        assert!(code == 1 && said.contains(says), "{code} {said}");
    }
    // A database that cannot be read.
    std::fs::write(folder.path().join("audit.jsonl"), "").unwrap();
    std::fs::write(folder.path().join("sctec.db"), "not a database".repeat(100)).unwrap();
    let (code, said) = verify_folder(folder.path());
    assert!(code == 1 && said.contains("name the trail's files"), "{said}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one trail, which is costly to make, and all that is checked of it")]
fn a_rotated_trail_is_one_trail() {
    of_sqlite!("it alters the file of SQLite");
    let services = Services::start(&["--audit-rotate-mb", "1", "--lock-retention-ms", "0"]);
    // Each pair of records has about 6,000 bytes.
    let (target, reason) = ("🔭".repeat(200), "\u{202e}".repeat(500));
    let file_count = || closed(services.data_dir()).len();
    let mut made = 0;
    while file_count() < 2 {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": slot(0), "alvo": target});
        let (status, booking) = services.book_with(&body);
        assert_eq!(status, 201);
        let path = booking["_links"]["cancelar"]["href"].as_str().unwrap();
        let why = json!({"motivo": reason}).to_string();
        assert_eq!(http("DELETE", &services.agenda(path), Some(("application/json", &why))).status, 200);
        made += 2;
        assert!(made < 2000, "no file was closed");
    }
    let folder = services.data_dir().to_owned();
    let (code, said) = verify_folder(&folder);
    assert_eq!(code, 0, "{said}");
    let closed = closed(&folder);
    assert!(closed.iter().all(|path| std::fs::metadata(path).unwrap().len() <= 1_000_000));
    // A search reads all files, in order.
    let records = |arguments: &[&str]| {
        let output = sctec().args(["audit", "--data-dir", folder.to_str().unwrap()]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    wait_until("the files have all", || records(&["--count"]) == format!("{}\n", made + 1));
    assert_eq!(records(&["--event", "AGENDAMENTO_CANCELADO", "--count"]), format!("{}\n", made / 2));
    let text: String = closed.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(records(&[]).starts_with(&text));

    // A closed file is moved away. The database confirms its records; without the database, the files after it are
    // incomplete.
    let away = folder.join("arquivado");
    std::fs::rename(&closed[0], &away).unwrap();
    let (code, said) = verify_folder(&folder);
    let first = first_in(&closed[1]);
    let elsewhere = format!("records 1 to {} are in files that are not here", first - 1);
    assert!(code == 0 && said.contains(&elsewhere), "{said}");
    for name in ["audit.jsonl", "audit-202511231250.jsonl"] {
        let copy = away.with_file_name("copia");
        std::fs::create_dir_all(&copy).unwrap();
        std::fs::copy(&closed[1], copy.join(name)).unwrap();
        let (code, said) = verify_file(&copy.join(name));
        assert!(code == 3 && said.contains("they stood in earlier files"), "{said}");
    }
    assert_eq!(verify_file(&closed[1]).0, 3);
    // A closed file that ends within a line was cut.
    let whole = std::fs::read(&closed[1]).unwrap();
    std::fs::write(&closed[1], &whole[..whole.len() - 9]).unwrap();
    let (code, said) = verify_file(&closed[1]);
    assert!(code == 2 && said.contains("but was closed") && !said.contains("as after a crash"), "{said}");
    std::fs::write(&closed[1], &whole).unwrap();
    // A file twice, and in the wrong order.
    let [older, newer] = [away.to_str().unwrap(), closed[1].to_str().unwrap()];
    for (files, says) in [
        (vec![older, newer, newer], format!("record {first} was already read: is a file named twice")),
        (vec![newer, older], "record 1 stands after record".to_owned()),
    ] {
        let (code, said) = status(&verify(&files));
        assert!(code == 2 && said.contains(&says), "{said}");
        assert!(said.contains(&format!("first bad record is {}", if files.len() == 3 { first } else { 1 })), "{said}");
        assert!(example(&files).is_none_or(|(code, _)| code == 2));
    }
    let all = [away.as_path(), &closed[1], &folder.join("audit.jsonl")].map(|path| path.to_str().unwrap().to_owned());
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(status(&verify(&all)).0, 0);
    if let Some((code, said)) = example(&all) {
        assert_eq!(code, 0, "{said}");
    }
    std::fs::rename(&away, &closed[0]).unwrap();
    // A copy with a date in its name is not a file of the trail.
    let dated = folder.join("audit-202511231250.jsonl");
    std::fs::copy(&closed[0], &dated).unwrap();
    let (code, said) = verify_folder(&folder);
    assert!(code == 0 && said.contains("sctec skipped it"), "{said}");
    assert_eq!(records(&["--count"]), format!("{}\n", made + 1));
    std::fs::remove_file(&dated).unwrap();
    // The database no longer has the records before the files.
    let folder = services.stop();
    let database = folder.path().join("sctec.db");
    let [archived, away] = [closed[0].file_name().unwrap(), "arquivado".as_ref()].map(|name| folder.path().join(name));
    std::fs::rename(&archived, &away).unwrap();
    let kept = std::fs::read(&database).unwrap();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute("DELETE FROM auditoria WHERE seq < ?1", [first.cast_signed()]).unwrap();
    drop(connection);
    let (code, said) = verify_folder(folder.path());
    assert!(code == 3 && said.contains("they stood in earlier files"), "{said}");
    std::fs::write(&database, kept).unwrap();
    assert_eq!(verify_folder(folder.path()).0, 0);
    // A file from the middle was removed. A search reports that too.
    std::fs::rename(&away, &archived).unwrap();
    std::fs::rename(folder.path().join(closed[1].file_name().unwrap()), &away).unwrap();
    let (code, said) = verify_folder(folder.path());
    assert!(code == 2 && said.contains("missing"), "{said}");
    let search = sctec().args(["audit", "--count", "--data-dir", folder.path().to_str().unwrap()]).output().unwrap();
    let (code, said) = status(&search);
    assert!(
        code == 1 && said.contains(&format!("sctec: records {first} to ")) && said.contains("are missing between"),
        "{said}"
    );
}

/// The first record of a closed file, according to its name.
fn first_in(path: &Path) -> u64 {
    path.file_stem().unwrap().to_str().unwrap().rsplit_once('-').unwrap().1.parse().unwrap()
}

/// The files of a folder, with their lengths and the times of their last write.
fn listing(folder: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let (path, metadata) = (entry.as_ref().unwrap().path(), entry.as_ref().unwrap().metadata().unwrap());
            (path, metadata.len(), metadata.modified().unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_read_only_folder_is_verified_and_no_file_is_left_in_a_writable_one() {
    of_sqlite!("it reads the file of SQLite");
    // After a clean stop, and after a kill: then the records are in the database's write-ahead log.
    let stopped = stopped(3);
    let mut services = Services::start(&[]);
    assert_eq!(services.book(7, &slot(0)).0, 201);
    assert_eq!(verify_folder(services.data_dir()).0, 0);
    services.scheduler.kill();
    assert!(std::fs::metadata(services.data_dir().join("sctec.db-wal")).unwrap().len() > 0);
    for (folder, records) in [(stopped.path(), 5), (services.data_dir(), 2)] {
        for writable in [true, false] {
            let mode = if writable { 0o755 } else { 0o555 };
            std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            let before = listing(folder);
            let (code, said) = verify_folder(folder);
            assert!(code == 0 && said.contains(&format!("records 1 to {records}")), "{said}");
            assert_eq!(listing(folder), before);
        }
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_verification_waits_for_the_process_that_takes_over_the_files() {
    let folder = stopped(3);
    let whole = std::fs::read(trail(&folder)).unwrap();
    std::fs::write(trail(&folder), &whole[..whole.len() - 9]).unwrap();
    // As after a crash, before another process takes over: the lock is free, and the torn line is not written again.
    let mut command = audit(&["--verify", "--data-dir", folder.path().to_str().unwrap()]);
    let verification = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let descriptors = format!("/proc/{}/fd", verification.id());
    let file = trail(&folder).canonicalize().unwrap();
    wait_until("it has the file open", || {
        let links = std::fs::read_dir(&descriptors).into_iter().flatten().flatten();
        links.filter_map(|link| std::fs::read_link(link.path()).ok()).any(|target| target == file)
    });
    // A verification that does not wait would have ended by now. It waits for several times this long.
    std::thread::sleep(std::time::Duration::from_millis(100));
    std::fs::write(trail(&folder), &whole).unwrap();
    let (code, said) = status(&verification.wait_with_output().unwrap());
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_pipe_or_folder_in_place_of_a_file_is_reported_without_waiting() {
    let folder = stopped(1);
    let path = trail(&folder);
    for kind in ["a named pipe", "a folder"] {
        std::fs::rename(&path, folder.path().join("kept")).unwrap();
        let maker = if kind == "a folder" { "mkdir" } else { "mkfifo" };
        assert!(Command::new(maker).arg(&path).status().unwrap().success());
        let search = status(&sctec().args(["audit", "--data-dir", folder.path().to_str().unwrap()]).output().unwrap());
        for ((code, said), expected) in [(verify_folder(folder.path()), 1), (search, 2)] {
            assert!(code == expected && said.contains(&format!("it is {kind}, not a file")), "{code} {said}");
        }
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        std::fs::rename(folder.path().join("kept"), &path).unwrap();
    }
}

#[test]
fn the_races_trail_is_verified_against_the_races_database() {
    let folder = TempDir::new().unwrap();
    let running = crate::common::Server::start(&[
        "serve-scheduler",
        "--no-lock",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        folder.path().to_str().unwrap(),
    ]);
    let file = folder.path().join("corrida-audit.jsonl");
    wait_until("its start is in the trail", || std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')));
    drop(running);
    let with_race = |arguments: &[&str]| {
        let folder = ["--race", "--data-dir", folder.path().to_str().unwrap()];
        status(&audit(&[&folder, arguments].concat()).output().unwrap())
    };
    let (code, said) = with_race(&["--verify"]);
    let name = if is_postgres() { "postgres://" } else { "corrida.db" };
    assert!(code == 0 && said.contains(name) && said.contains("record 1: matches the database"), "{said}");
    assert_eq!(with_race(&["--count"]), (0, "1\n".to_owned()));
    // A slot that was sold three times agrees with its records, and is named.
    let mut command = crate::common::scheduler_command(folder.path(), "http://127.0.0.1:1");
    let running = crate::common::Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "1000"]), 1);
    let url = running.url();
    let race = sctec().args(["stress", "-n", "3", "--expect", "race", "--url", &url]).output().unwrap();
    assert!(race.status.success(), "{race:?}");
    let (code, said) = with_race(&["--verify", "--deep"]);
    drop(running);
    assert!(code == 0 && said.contains("1 slot has more than one booking") && said.contains("AGREES"), "{said}");
    let (code, said) = verify_folder(folder.path());
    assert!(code == 1 && said.contains("--race"), "{said}");
}

#[test]
fn heads_may_come_from_standard_input() {
    let folder = stopped(1);
    let whole = std::fs::read_to_string(trail(&folder)).unwrap();
    let head = folder.path().join("head");
    std::fs::write(&head, whole.lines().nth(1).unwrap()).unwrap();
    let input = std::fs::File::open(&head).unwrap();
    let arguments = ["audit", "--verify", trail(&folder).to_str().unwrap(), "--head", "-"].map(str::to_owned);
    let (code, said) = status(&sctec().args(arguments).stdin(input).output().unwrap());
    assert!(code == 0 && said.contains("record 2: matches standard input"), "{said}");
}

#[test]
fn the_example_has_a_usage_text_reads_standard_input_and_has_the_same_limit_for_lines() {
    let Some((code, said)) = example(&[]) else { return };
    assert!(code == 1 && said.contains("verificar.py audit"), "{said}");
    let folder = stopped(1);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/verificar.py");
    let input = std::fs::File::open(trail(&folder)).unwrap();
    let output = Command::new("python3").arg(script).arg("-").stdin(input).output().unwrap();
    assert_eq!(status(&output).0, 0);
    // A record with a right hash that is as long as a line may be, and one that is a byte longer.
    for (length, expected) in [((1 << 20) - 1, 0), (1 << 20, 2)] {
        let line = |fill: usize| {
            let open = format!(
                "{{\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"level\":\"AUDIT\",\"event_type\":\"A\",\
                 \"service\":\"a\",\"details\":{{\"x\":\"{}\"}}",
                "x".repeat(fill)
            );
            sctec::audit::chain::ChainHead::genesis("abc").append(open, None, &Caller::service("servico-agendamento"))
        };
        let line = line(length - line(0).len());
        assert_eq!(line.len(), length);
        std::fs::write(trail(&folder), line + "\n").unwrap();
        assert_eq!(verify_file(&trail(&folder)).0, expected, "{length}");
    }
}

#[test]
fn a_compressed_file_has_the_verdict_of_the_uncompressed_file() {
    let folder = stopped(5);
    let whole = std::fs::read(trail(&folder)).unwrap();
    let changed = String::from_utf8(whole.clone()).unwrap().replacen("\"cientista_id\":7", "\"cientista_id\":8", 1);
    let compressed = folder.path().join("copy.gz");
    for (bytes, expected) in [(&whole[..], 0), (&whole[..whole.len() - 9], 3), (changed.as_bytes(), 2)] {
        let packed = gzip(bytes);
        std::fs::write(&compressed, &packed).unwrap();
        let (code, said) = verify_file(&compressed);
        assert_eq!(code, expected, "{said}");
        let input = std::fs::File::open(&compressed).unwrap();
        let from_stdin = sctec().args(["audit", "--verify", "-"]).stdin(input).output().unwrap();
        assert_eq!(status(&from_stdin).0, expected);
        // A cut gzip file has no verdict.
        std::fs::write(&compressed, &packed[..packed.len() - 8]).unwrap();
        let (code, said) = verify_file(&compressed);
        assert!(code == 1 && said.contains("the file was cut"), "{code} {said}");
    }
}

#[test]
fn closed_files_that_were_compressed_in_place_are_verified() {
    let services = Services::start(&["--audit-rotate-mb", "1", "--lock-retention-ms", "0"]);
    let target = "\u{202e}".repeat(200);
    let mut index = 0;
    while closed(services.data_dir()).len() < 2 {
        let body = json!({"cientista_id": 7, "horario_inicio_utc": slot(index), "alvo": target});
        assert_eq!(services.book_with(&body).0, 201);
        index += 1;
    }
    let folder = services.stop();
    let files = closed(folder.path());
    let pack = |path: &Path, suffix: &str, bytes: &[u8]| {
        std::fs::write(format!("{}{suffix}", path.display()), bytes).unwrap();
        std::fs::remove_file(path).unwrap();
    };
    let second = std::fs::read(&files[1]).unwrap();
    for path in [&files[1], &files[0]] {
        pack(path, ".gz", &gzip(&std::fs::read(path).unwrap()));
        let (code, said) = verify_folder(folder.path());
        assert!(code == 0 && said.contains(".jsonl.gz"), "{said}");
    }
    let names: Vec<String> = closed(folder.path()).iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    let current = trail(&folder);
    let named = [names[0].as_str(), &names[1], current.to_str().unwrap()];
    assert_eq!(status(&verify(&named)).0, 0);
    assert!(example(&named).is_none_or(|(code, _)| code == 0));
    // A file in another compressed form may be whole, so the verification cannot run.
    pack(Path::new(&names[1]), "", b"");
    std::fs::write(format!("{}.zst", files[1].display()), b"\x28\xb5\x2f\xfd").unwrap();
    let (code, said) = verify_folder(folder.path());
    assert!(code == 1 && said.contains(".jsonl.zst; decompress it"), "{said}");
    // A file that was changed before it was compressed.
    let changed = String::from_utf8(second).unwrap().replacen("\"cientista_id\":7", "\"cientista_id\":8", 1);
    std::fs::write(&names[1], gzip(changed.as_bytes())).unwrap();
    assert_eq!(verify_folder(folder.path()).0, 2);
}

#[test]
fn a_file_that_is_not_a_trail_cannot_be_verified() {
    let folder = stopped(1);
    let text = std::fs::read_to_string(trail(&folder)).unwrap();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let path = folder.path().join("copy");
    for (bytes, says) in [
        (b"\x28\xb5\x2f\xfd....".to_vec(), "compressed with zstd"),
        (b"\xfd7zXZ\0..".to_vec(), "compressed with xz"),
        (b"BZh91AY&SY".to_vec(), "compressed with bzip2"),
        ([b"\xfe\xff".to_vec(), utf16.clone()].concat(), "UTF-16"),
        (utf16, "UTF-16"),
        (b"SQLite format 3\0\x10\0\x02\x02".to_vec(), "a SQLite database"),
        (b"seq,timestamp_utc\n1,2025-10-26T18:00:05.123456Z\n".to_vec(), "nothing in it begins as an audit record"),
        (Vec::new(), "it is empty"),
        (gzip(b""), "it is empty"),
        (gzip(b"ontem\n"), "nothing in it begins as an audit record"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let (code, said) = status(&verify(&[path.to_str().unwrap()]));
        assert!(code == 1 && said.contains("cannot verify") && said.contains(says), "{says}: {code} {said}");
    }
    for path in ["/dev/null", "/dev/zero", folder.path().to_str().unwrap()] {
        let (code, said) = status(&verify(&[path]));
        assert!(code == 1 && said.contains(path), "{code} {said}");
    }
    // In a data folder the same bytes are a damaged trail, because the database has its records.
    std::fs::write(trail(&folder), "ontem\n").unwrap();
    assert_eq!(verify_folder(folder.path()).0, 2);
}

#[test]
fn go_sqlite3_276_a_database_behind_a_link_is_read_with_its_log_after_a_crash() {
    of_sqlite!("it reads the file of SQLite");
    let mut services = Services::start(&[]);
    for index in 0..5 {
        assert_eq!(services.book(7, &slot(index)).0, 201);
    }
    wait_until("all is in the file", || verify_folder(services.data_dir()).0 == 0);
    services.scheduler.kill();
    let data = services.data_dir();
    let log = std::fs::metadata(data.join("sctec.db-wal")).unwrap().len();
    assert!(log > 0, "it is all in the log");
    let root = TempDir::new().unwrap();
    let copy_to = |folder: &Path| {
        std::fs::create_dir_all(folder).unwrap();
        for name in ["sctec.db", "sctec.db-wal", "sctec.db-shm", "audit.jsonl"] {
            std::fs::copy(data.join(name), folder.join(name)).unwrap();
        }
    };
    // Symbolic links with an absolute and a relative target, to a link, and to the folder.
    copy_to(&root.path().join("real"));
    let link = |to: &str, name: &str| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
    };
    link(root.path().join("real/sctec.db").to_str().unwrap(), "absolute/sctec.db");
    link("../real/sctec.db", "relative/sctec.db");
    link("../relative/sctec.db", "twice/sctec.db");
    for name in ["absolute", "relative", "twice"] {
        std::fs::copy(data.join("audit.jsonl"), root.path().join(name).join("audit.jsonl")).unwrap();
    }
    link("real", "folder");
    for name in ["real", "absolute", "relative", "twice", "folder", "folder/../real", "./real/."] {
        let (code, said) = status(
            &sctec()
                .args(["audit", "--verify", "--data-dir", name])
                .current_dir(root.path())
                // There is no temporary folder either, as in an image that has only the executable.
                .env("TMPDIR", root.path().join("none"))
                .output()
                .unwrap(),
        );
        assert!(code == 0 && said.contains("record 6: matches the database"), "{name}: {code} {said}");
    }
    // No file was created or changed.
    let left: Vec<_> = std::fs::read_dir(root.path().join("absolute")).unwrap().collect();
    assert_eq!(left.len(), 2);
    assert_eq!(std::fs::metadata(root.path().join("real/sctec.db-wal")).unwrap().len(), log);
    // Under another hard link the database's log cannot be found, so the verification cannot run.
    let other = root.path().join("hard");
    std::fs::create_dir(&other).unwrap();
    std::fs::hard_link(root.path().join("real/sctec.db"), other.join("sctec.db")).unwrap();
    std::fs::copy(data.join("audit.jsonl"), other.join("audit.jsonl")).unwrap();
    let (code, said) = verify_folder(&other);
    assert!(code == 1 && said.contains("hard link"), "{code} {said}");
}

#[test]
fn a_whole_trail_whose_report_cannot_be_written_does_not_exit_0() {
    let folder = stopped(1);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let code = || {
        let mut command = audit(&["--verify", "--data-dir", folder.path().to_str().unwrap()]);
        let output = command.stdout(full()).output().unwrap();
        assert!(String::from_utf8(output.stderr).unwrap().contains("cannot write to stdout"));
        output.status.code()
    };
    assert_eq!(code(), Some(1));
    // A tampered trail still has its exit status.
    let mut text = std::fs::read_to_string(trail(&folder)).unwrap();
    text.push_str("ontem\n");
    std::fs::write(trail(&folder), text).unwrap();
    assert_eq!(code(), Some(2));
}

/// The files that rotation closed, in order.
fn closed(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut closed: Vec<PathBuf> =
        paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("audit-")).collect();
    closed.sort();
    closed
}
