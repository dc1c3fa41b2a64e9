//! `sctec audit --last`, `--reverse`, `--since` and `--until`: the end of the trail, the order, and the forms of an instant.

use std::process::Stdio;

use tempfile::TempDir;

use crate::common::trail::{CANCELLED, CURIE, NASTY, audit, fail, file, gzip, lines, numbered, succeed, texts};

/// The numbers of the records that are printed.
fn numbers(printed: &str) -> Vec<u64> {
    let number = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap();
    printed.lines().map(number).collect()
}

/// A folder with nine records: two closed files, the second one compressed, and the current file.
fn rotated() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("audit-000000000001.jsonl", numbered(1, 3).as_bytes());
    write("audit-000000000004.jsonl.gz", &gzip(numbered(4, 6).as_bytes()));
    write("audit.jsonl", numbered(7, 9).as_bytes());
    folder
}

#[test]
fn the_last_records_come_from_as_many_files_as_are_needed() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    for last in 0..=12 {
        let expected: Vec<u64> = (1..=9).skip(9_usize.saturating_sub(last)).collect();
        for option in ["--last", "-n", "--tail"] {
            let (printed, said) = succeed(&["--data-dir", data_dir, option, &last.to_string()]);
            assert_eq!((numbers(&printed), said.as_str()), (expected.clone(), ""), "{option} {last}");
        }
        let (printed, said) = succeed(&["--data-dir", data_dir, "-n", &last.to_string(), "--reverse"]);
        assert_eq!((numbers(&printed), said.as_str()), (expected.into_iter().rev().collect(), ""), "{last}");
    }
    let (printed, said) = succeed(&["--data-dir", data_dir, "-r"]);
    assert_eq!((numbers(&printed), said), ((1..=9).rev().collect(), String::new()));
    // From a pipe, which has no end to begin with.
    let pipe = std::fs::File::open(file(&folder, "x", &[numbered(1, 5).trim_end()])).unwrap();
    let mut child = audit(&["-", "-r", "-n", "2"]).stdin(pipe).stdout(Stdio::piped()).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(numbers(&texts(&child.wait_with_output().unwrap()).0), [5, 4]);
}

#[test]
fn what_comes_before_the_last_records_is_not_read() {
    let folder = TempDir::new().unwrap();
    // A search from the beginning would tell of this line.
    let long = "x".repeat(17 << 20);
    let path = file(&folder, "audit.jsonl", &[&long, CURIE, NASTY, CANCELLED]);
    assert!(succeed(&[&path]).1.contains("longer than 16 MiB"));
    assert_eq!(succeed(&[&path, "-n", "2"]), (lines(&[NASTY, CANCELLED]), String::new()));
    let (printed, said) = succeed(&[&path, "-n", "4"]);
    assert!(printed == lines(&[CURIE, NASTY, CANCELLED]) && said.contains("longer than 16 MiB"), "{said}");
}

#[test]
fn records_that_are_missing_are_reported_from_the_end_too() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    std::fs::remove_file(folder.path().join("audit-000000000004.jsonl.gz")).unwrap();
    let run = |arguments: &[&str]| {
        let output = audit(&[&["--data-dir", data_dir], arguments].concat()).output().unwrap();
        (numbers(&texts(&output).0), texts(&output).1, output.status.code())
    };
    let (printed, said, status) = run(&["-r"]);
    assert_eq!((printed, status), (vec![9, 8, 7, 3, 2, 1], Some(1)));
    assert!(
        said.contains("records 4 to 6 are missing between ") && said.contains("audit-000000000001.jsonl"),
        "{said}"
    );
    // They are not among the last three.
    assert_eq!(run(&["-n", "3"]), (vec![7, 8, 9], String::new(), Some(0)));
    std::fs::remove_file(folder.path().join("audit-000000000001.jsonl")).unwrap();
    let (printed, said, status) = run(&["-n", "4"]);
    assert_eq!((printed, status), (vec![7, 8, 9], Some(1)));
    assert!(said.contains("records 1 to 6 are missing before "), "{said}");
    std::fs::write(folder.path().join("audit.jsonl"), numbered(1, 2) + &numbered(5, 6)).unwrap();
    let (printed, said, _) = run(&["-r"]);
    assert!(printed == [6, 5, 2, 1] && said.contains("2 records are missing within "), "{said}");
}

#[test]
fn an_instant_may_be_a_span_before_now_a_word_or_a_day() {
    let folder = TempDir::new().unwrap();
    let now = jiff::Timestamp::now();
    let ago = |hours: i64| {
        let at = now - jiff::SignedDuration::from_hours(hours);
        CURIE.replace("2025-10-26T18:00:05.123456Z", &format!("{at:.6}"))
    };
    let (fresh, old) = (ago(0), ago(72));
    let path = file(&folder, "audit.jsonl", &[CURIE, &old, &fresh]);
    for (arguments, found) in [
        (&["--since", "-1h"][..], vec![&*fresh]),
        (&["--since=-1h30min"], vec![&*fresh]),
        (&["--since", "2 hours ago"], vec![&*fresh]),
        (&["--since", "-7d", "--until", "yesterday"], vec![&*old]),
        (&["--until", "-1h"], vec![CURIE, &*old]),
        (&["--since", "-1min", "--until", "-30s"], vec![]),
        (&["--until", "2025-10-27"], vec![CURIE]),
        (&["--since", "2025-10-26", "--until", "2025-10-26T18:00"], vec![]),
        (&["--since", "2025-10-26T18:00:05", "--until", "2025-10-26 18:01"], vec![CURIE]),
        (&["--slot", "2025-12-01T03:00", "--until", "2025-10-27T00:00:00Z"], vec![CURIE]),
    ] {
        let (printed, said) = succeed(&[&[path.as_str()], arguments].concat());
        assert_eq!((printed, said), (lines(&found), String::new()), "{arguments:?}");
    }
    for (since, right) in
        [("1h", "put - before it"), ("last week", "now, today, yesterday, tomorrow"), ("25/11/2026", "2026-11-25")]
    {
        let said = fail(&[&path, "--since", since]);
        assert!(said.contains("--since") && said.contains(since) && said.contains(right), "{said}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused_with_what_would_be_right() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "audit.jsonl", &[CURIE]);
    for (arguments, right) in [
        (&["-f", "-r"][..], "leave out --reverse"),
        (&["-f", "--count"], "leave out --follow or --count"),
        (&["-n", "3", "--count"], "leave out --last or --count"),
        (&["-r", "--count"], "leave out --reverse or --count"),
        (&["--count", "--format", "csv"], "leave out --format or --count"),
        (&["--bom"], "use it with --format csv"),
    ] {
        let said = fail(&[&[path.as_str()], arguments].concat());
        assert!(said.contains(right), "{arguments:?}: {said}");
    }
    // 2 would mean that the trail was tampered with.
    for searching in [&["-n", "3"][..], &["-r"], &["-f"], &["--since", "-1h"], &["--count"], &["--req", "x"]] {
        let output = audit(&[&[path.as_str(), "--verify"], searching].concat()).output().unwrap();
        let said = texts(&output).1;
        assert!(output.status.code() == Some(1) && said.contains("--verify checks the whole trail"), "{said}");
    }
}

#[test]
fn records_that_were_found_before_an_error_are_printed() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    // A folder cannot be read as a file, not even by root.
    let closed = folder.path().join("audit-000000000001.jsonl");
    std::fs::remove_file(&closed).unwrap();
    std::fs::create_dir(&closed).unwrap();
    let run = |arguments: &[&str]| {
        let output = audit(&[&["--data-dir", data_dir], arguments].concat()).output().unwrap();
        let (printed, said) = texts(&output);
        assert!(said.contains("audit-000000000001.jsonl") && output.status.code() == Some(2), "{arguments:?}: {said}");
        numbers(&printed)
    };
    assert_eq!(run(&["-n", "20"]), [4, 5, 6, 7, 8, 9]);
    assert_eq!(run(&["-n", "20", "-r"]), [9, 8, 7, 6, 5, 4]);
    // From the beginning: the second closed file is the one that fails.
    std::fs::remove_dir(&closed).unwrap();
    std::fs::write(&closed, numbered(1, 3)).unwrap();
    let second = folder.path().join("audit-000000000004.jsonl.gz");
    std::fs::remove_file(&second).unwrap();
    std::fs::create_dir(&second).unwrap();
    let output = audit(&["--data-dir", data_dir, "-f", "-n", "20", "--format", "jsonl"]).output().unwrap();
    assert_eq!((numbers(&texts(&output).0), output.status.code()), (vec![1, 2, 3], Some(2)), "{output:?}");
}
