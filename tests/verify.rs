//! `sctec audit --verify` as its users meet it: on a real service's trail, whole, damaged, growing, rotated; and someone
//! else's verifier, `examples/verificar.py`, of the same opinion.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Services, http, sctec, wait_until};
use serde_json::json;
use tempfile::TempDir;

fn slot(index: usize) -> String {
    format!("2025-12-{:02}T{:02}:{:02}:00Z", 1 + index / 288, index / 12 % 24, index % 12 * 5)
}

fn verify(arguments: &[&str]) -> Output {
    sctec().args(["audit", "--verify"]).args(arguments).output().unwrap()
}

/// The exit status, and all that was said.
fn status(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// Holds a data folder's trail against its database.
fn verify_folder(folder: &Path) -> (i32, String) {
    status(&verify(&["--data-dir", folder.to_str().unwrap()]))
}

/// What `--verify` and the example say of a file, which has to be the same.
fn verify_file(path: &Path) -> (i32, String) {
    let path = path.to_str().unwrap();
    let ours = status(&verify(&[path]));
    if let Some(theirs) = example(&[path]) {
        assert_eq!(theirs.0, ours.0, "{}\n{}", theirs.1, ours.1);
    }
    ours
}

/// The example in Python, where there is a Python.
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
        // What was answered is in it, however short ago.
        assert!(said.contains(&format!("records 1 to {}", index + 2)), "{said}");
    }
    let folder = services.stop();
    let (code, said) = verify_folder(folder.path());
    assert!(code == 0 && said.contains("WHOLE") && said.contains("record 22 of the database: as there"), "{said}");
    let (code, said) = verify_file(&trail(&folder));
    assert!(code == 0 && said.contains("only a head can tell"), "{said}");
    let from_stdin =
        sctec().args(["audit", "--verify", "-"]).stdin(std::fs::File::open(trail(&folder)).unwrap()).output();
    assert_eq!(status(&from_stdin.unwrap()).0, 0);
}

#[test]
fn damage_is_named_with_its_place_and_has_its_own_exit_status() {
    let folder = stopped(10);
    let whole = std::fs::read_to_string(trail(&folder)).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let without =
        |gone: usize| lines.iter().enumerate().filter(|(index, _)| *index != gone).map(|(_, line)| *line).collect();
    let swapped: String = [&lines[..4], &[lines[5], lines[4]], &lines[6..]].concat().concat();
    let cases: [(String, i32, &str); 11] = [
        (whole.replacen("\"cientista_id\":7", "\"cientista_id\":8", 1), 2, "record 2 was changed"),
        (without(4), 2, "record 6 stands where record 5 should: 5 is missing"),
        (without(0), 2, "1 is missing"),
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
        }
    }
    // Alone it looks whole; the database knows better.
    std::fs::write(trail(&folder), without(11)).unwrap();
    assert_eq!(verify_file(&trail(&folder)).0, 0);
    let (code, said) = verify_folder(folder.path());
    assert!(code == 3 && said.contains("record 12 is known to the database, and not here"), "{said}");
    std::fs::write(trail(&folder), "").unwrap();
    assert_eq!(verify_file(&trail(&folder)).0, 0);
    assert_eq!(verify_folder(folder.path()).0, 3);
    // A fault says the file, the line and the byte.
    std::fs::write(trail(&folder), without(4)).unwrap();
    let place = format!("audit.jsonl, line 5, byte {}", lines[..4].concat().len());
    assert!(verify_folder(folder.path()).1.contains(&place));
}

#[test]
fn a_head_noted_elsewhere_finds_a_trail_written_anew() {
    let services = Services::start(&[]);
    let noted = services.data_dir().join("heads.jsonl");
    let mut heads = String::new();
    for index in 0..3 {
        assert_eq!(services.book(7, &slot(index)).0, 201);
        // One after the other without a line break, as `>>` puts them.
        heads.push_str(&http("GET", &services.agenda("/auditoria/cabeca"), None).body);
    }
    std::fs::write(&noted, &heads).unwrap();
    let folder = services.stop();
    let noted = folder.path().join(noted.file_name().unwrap());
    let (file, noted) = (trail(&folder), noted.to_str().unwrap());
    let with_head = || status(&verify(&[file.to_str().unwrap(), "--head", noted]));
    let (code, said) = with_head();
    assert!(code == 0 && said.contains("record 4 of") && !said.contains("only a head can tell"), "{said}");

    // Another service's trail: whole in itself.
    let other = stopped(5);
    let own = std::fs::read(&file).unwrap();
    std::fs::copy(trail(&other), &file).unwrap();
    assert_eq!(verify_file(&file).0, 0);
    let (code, said) = with_head();
    assert!(code == 2 && said.contains("is not the one that") && said.contains("heads.jsonl"), "{said}");
    let (code, said) = verify_folder(folder.path());
    assert!(code == 2 && said.contains("record 0 is not the one that the database speaks of"), "{said}");
    // One that ends before a noted head.
    let lines = String::from_utf8(own).unwrap();
    std::fs::write(&file, lines.split_inclusive('\n').take(2).collect::<String>()).unwrap();
    let (code, said) = with_head();
    assert!(code == 3 && said.contains("records 3 to 4 are known to"), "{said}");
}

#[test]
fn what_keeps_it_from_running_is_exit_status_1() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().to_str().unwrap();
    let file = folder.path().join("x.jsonl");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let head = folder.path().join("head");
    std::fs::write(&head, "{\"seq\":1,\"hash\":\"ABC\"}").unwrap();
    for (arguments, says) in [
        (vec!["--data-dir", empty], "there is no"),
        (vec!["/nonexistent"], "/nonexistent"),
        (vec![file, "--head", head.to_str().unwrap()], "64 lower-case hexadecimal digits"),
        (vec![file, "--head", file], "is empty"),
        (vec![file, "--event", "X"], "--event"),
        (vec![file, "--nonsense"], "--nonsense"),
    ] {
        let (code, said) = status(&verify(&arguments));
        assert!(code == 1 && said.contains(says), "{code} {said}");
    }
    // A database that cannot be read: what it knows cannot be told.
    std::fs::write(folder.path().join("audit.jsonl"), "").unwrap();
    std::fs::write(folder.path().join("sctec.db"), "not a database".repeat(100)).unwrap();
    let (code, said) = verify_folder(folder.path());
    assert!(code == 1 && said.contains("name the trail's files"), "{said}");
}

#[test]
fn a_rotated_trail_is_one_trail() {
    let services = Services::start(&["--audit-rotate-mb", "1", "--lock-retention-ms", "0"]);
    // Each pair of records has some six thousand bytes.
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
    // Reading takes all of them, in order.
    let records = |arguments: &[&str]| {
        let output = sctec().args(["audit", "--data-dir", folder.to_str().unwrap()]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    wait_until("the files have all", || records(&["--count"]) == format!("{}\n", made + 1));
    assert_eq!(records(&["--event", "AGENDAMENTO_CANCELADO", "--count"]), format!("{}\n", made / 2));
    let text: String = closed.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(records(&[]).starts_with(&text));

    // An archived file is missing, and named as such; one from the middle was removed.
    let away = folder.join("arquivado");
    std::fs::rename(&closed[0], &away).unwrap();
    let (code, said) = verify_folder(&folder);
    assert!(code == 3 && said.contains("stood in earlier files"), "{said}");
    assert_eq!(verify_file(&closed[1]).0, 3);
    let all = [away.as_path(), &closed[1], &folder.join("audit.jsonl")].map(|path| path.to_str().unwrap().to_owned());
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(status(&verify(&all)).0, 0);
    if let Some((code, said)) = example(&all) {
        assert_eq!(code, 0, "{said}");
    }
    std::fs::rename(&away, &closed[0]).unwrap();
    std::fs::rename(&closed[1], &away).unwrap();
    let (code, said) = verify_folder(&folder);
    assert!(code == 2 && said.contains("missing"), "{said}");
}

/// The files that rotation closed, in order.
fn closed(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut closed: Vec<PathBuf> =
        paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("audit-")).collect();
    closed.sort();
    closed
}
