//! `sctec audit` on a data folder whose trail has lines that are not records: a search names them, and its exit status says so.

use std::path::Path;

use tempfile::TempDir;

use crate::common::trail::{CANCELLED, CURIE, NASTY, audit, file, gzip, lines, numbered, succeed, texts};

/// A folder with a closed file of `closed` and a current file of `current`.
fn folder(closed: &str, current: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("audit-000000000001.jsonl"), closed).unwrap();
    std::fs::write(folder.path().join("audit.jsonl"), current).unwrap();
    folder
}

/// Runs a search of the folder; what it printed, what it said, and its exit status.
fn search(folder: &Path, arguments: &[&str]) -> (String, String, i32) {
    let output = audit(&[&["--data-dir", folder.to_str().unwrap()], arguments].concat()).output().unwrap();
    let (printed, said) = texts(&output);
    (printed, said, output.status.code().unwrap())
}

/// The line with which a search names one line of a file.
fn named(folder: &TempDir, file: &str, line: u64) -> String {
    let path = folder.path().join(file);
    format!("sctec: {}: line {line} is not a record; run sctec audit --verify\n", path.display())
}

#[test]
fn a_line_of_the_trail_that_is_not_a_record_is_named_and_changes_the_exit_status() {
    let other_level = NASTY.replace("AUDIT", "AUDIX");
    let before = format!("x{NASTY}");
    let no_json = NASTY.replace("\"cientista_id\":8", "\"cientista_id\":;8");
    let cut = &NASTY[..200];
    for damaged in [&other_level, &before, &no_json, cut, "", "{}", "not a record", &"x".repeat(17 << 20)] {
        let folder = folder(&lines(&[CURIE]), &lines(&[CURIE, damaged, CANCELLED]));
        let (printed, said, status) = search(folder.path(), &[]);
        let shown = &damaged[..damaged.len().min(80)];
        assert_eq!((status, said), (1, named(&folder, "audit.jsonl", 2)), "{shown}");
        assert_eq!(printed, lines(&[CURIE, CURIE, CANCELLED]));
    }
    let folder = folder(&lines(&[CURIE]), &lines(&[CURIE, &other_level, CANCELLED]));
    for (arguments, printed) in [
        (&["--count"][..], "3\n"),
        (&["--event", "AGENDAMENTO_CANCELADO", "--count"], "1\n"),
        (&["--booking", "9", "--count"], "0\n"),
        (&["--since", "2030-01-01"], ""),
        (&["--req", "6b1f-2c", "--format", "jsonl"], &lines(&[CANCELLED])),
    ] {
        let named = named(&folder, "audit.jsonl", 2);
        assert_eq!(search(folder.path(), arguments), (printed.to_owned(), named, 1), "{arguments:?}");
    }
    // A request is told with the same warning.
    let (_, said, status) = search(folder.path(), &["--req", "6b1f-2c"]);
    assert!(status == 1 && said.contains(&named(&folder, "audit.jsonl", 2)), "{said}");
}

#[test]
fn the_lines_of_one_file_are_named_in_one_message_even_if_they_are_thousands() {
    let many = "x\n".repeat(10_000);
    let folder = folder(&format!("{}{many}", lines(&[CURIE])), &lines(&[CURIE, "x", CANCELLED, "x"]));
    let (printed, said, status) = search(folder.path(), &["--count"]);
    assert_eq!((printed.as_str(), status), ("3\n", 1), "{said}");
    let named = |file: &str, lines: &str| {
        format!("sctec: {}: {lines}; run sctec audit --verify\n", folder.path().join(file).display())
    };
    let closed = named("audit-000000000001.jsonl", "10000 lines are not records, the first is line 2");
    let current = named("audit.jsonl", "2 lines are not records, the first is line 2");
    assert_eq!(said, closed.clone() + &current);
    // Read from the end, lines have no number.
    let (_, said, status) = search(folder.path(), &["--reverse"]);
    let current = named("audit.jsonl", "2 lines are not records");
    assert_eq!(
        (said, status),
        (current.clone() + &named("audit-000000000001.jsonl", "10000 lines are not records"), 1)
    );
    let (printed, said, status) = search(folder.path(), &["-n", "2"]);
    assert_eq!((printed, said, status), (lines(&[CURIE, CANCELLED]), current, 1));
    let (printed, said, status) = search(folder.path(), &["-n", "1"]);
    let one = named("audit.jsonl", "a line is not a record");
    assert_eq!((printed, said, status), (lines(&[CANCELLED]), one, 1), "what comes before is not read");
}

#[test]
fn a_closed_file_that_was_compressed_is_looked_at_too() {
    let folder = folder("", &numbered(4, 5));
    std::fs::remove_file(folder.path().join("audit-000000000001.jsonl")).unwrap();
    let closed = numbered(1, 3).replacen("\"level\":\"AUDIT\",\"seq\":2", "\"level\":\"AUDIX\",\"seq\":2", 1);
    std::fs::write(folder.path().join("audit-000000000001.jsonl.gz"), gzip(closed.as_bytes())).unwrap();
    for order in [&["--count"][..], &["--reverse"]] {
        let (_, said, status) = search(folder.path(), order);
        assert_eq!((said, status), (named(&folder, "audit-000000000001.jsonl.gz", 2), 1), "{order:?}");
    }
}

#[test]
fn a_last_line_without_a_line_break_may_still_be_written() {
    for begun in ["x", "\0\0\0\0", &CANCELLED[..60], CANCELLED] {
        let folder = folder(&lines(&[CURIE]), &format!("{}{begun}", lines(&[NASTY])));
        for order in [&[][..], &["--reverse"], &["-n", "9"]] {
            let (_, said, status) = search(folder.path(), order);
            assert!(status == 0 && !said.contains("not a record"), "{begun}: {said}");
        }
    }
}

#[test]
fn the_other_lines_of_a_file_that_was_named_are_passed_over() {
    let folder = TempDir::new().unwrap();
    for name in ["app.log", "audit.jsonl"] {
        let path = file(&folder, name, &[CURIE, "INFO:2025-10-26T18:00:04.500Z:servico-agendamento:x", "", CANCELLED]);
        for order in [&[][..], &["--reverse"]] {
            assert_eq!(succeed(&[&[path.as_str()], order].concat()).1, "", "{name}");
        }
    }
}
