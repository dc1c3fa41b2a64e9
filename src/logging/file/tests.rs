//! Files that are full, moved, deleted, shared and opened again.

use super::*;

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

/// A file that is rotated at `bytes`.
fn log_file(folder: &Path, bytes: u64) -> LogFile {
    let file = LogFile::open(&folder.join("app.log"), Format::Text, 1, Reopen::default()).unwrap();
    LogFile { rotate_bytes: Some(bytes), ..file }
}

#[test]
fn a_full_file_is_rotated_and_five_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = log_file(folder.path(), 10);
    for number in 0..8 {
        file.write(format!("{number} line\n").as_bytes(), Timestamp::MIN);
    }
    assert_eq!(text(folder.path(), "app.log"), "7 line\n");
    for number in 1..=KEPT {
        assert_eq!(text(folder.path(), &format!("app.log.{number}")), format!("{} line\n", 7 - number));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), KEPT + 1);
}

#[test]
fn no_line_is_split_however_long() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = log_file(folder.path(), 10);
    file.write(b"a\nbb\nccccccccccccccccccccccc\nd\ne\n", Timestamp::MIN);
    assert_eq!(text(folder.path(), "app.log.2"), "a\nbb\n");
    assert_eq!(text(folder.path(), "app.log.1"), "ccccccccccccccccccccccc\n");
    assert_eq!(text(folder.path(), "app.log"), "d\ne\n");
}

#[test]
fn of_two_writers_one_rotates_and_both_go_on_in_the_next_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (log_file(folder.path(), 12), log_file(folder.path(), 12));
    one.write(b"one 1\n", Timestamp::MIN);
    other.write(b"other 1\n", Timestamp::MIN);
    assert_eq!(text(folder.path(), "app.log.1"), "one 1\n");
    one.write(b"1 2\n", Timestamp::MIN);
    assert_eq!(text(folder.path(), "app.log"), "other 1\n1 2\n");
    // The other has the file's lock: this one goes on writing, and closes the file the next time.
    other.output.lock().unwrap();
    one.write(b"one 3\n", Timestamp::MIN);
    assert_eq!(text(folder.path(), "app.log"), "other 1\n1 2\none 3\n");
    other.output.unlock().unwrap();
    one.write(b"one 4\n", Timestamp::MIN);
    assert_eq!(text(folder.path(), "app.log"), "one 4\n");
    assert_eq!(text(folder.path(), "app.log.1"), "other 1\n1 2\none 3\n");
}

#[test]
fn writers_at_once_lose_and_split_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            // So few closings that none of the closed files goes.
            let mut file = log_file(folder.path(), 8000);
            std::thread::spawn(move || {
                for line in 0..500 {
                    file.write(format!("writer {writer} line {line:04}\n").as_bytes(), Timestamp::MIN);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let mut lines: Vec<String> = Vec::new();
    for name in ["app.log", "app.log.1", "app.log.2", "app.log.3", "app.log.4", "app.log.5"] {
        lines.extend(text(folder.path(), name).lines().map(str::to_owned));
    }
    lines.sort_unstable();
    let all = (0..4).flat_map(|writer| (0..500).map(move |line| format!("writer {writer} line {line:04}")));
    assert!(lines.iter().cloned().eq(all), "{} lines", lines.len());
}

#[test]
fn a_file_that_was_moved_is_made_anew() {
    // carbon #197, monero #8259: the log was never opened again.
    let folder = tempfile::tempdir().unwrap();
    let (at, away) = (folder.path().join("app.log"), folder.path().join("app.log.old"));
    let mut file = log_file(folder.path(), 1000);
    file.write(b"before\n", Timestamp::MIN);
    std::fs::rename(&at, &away).unwrap();
    file.look_after();
    assert_eq!(text(folder.path(), "app.log"), "");
    assert!(at.exists());
    file.write(b"after\n", Timestamp::MIN);
    assert_eq!(
        (text(folder.path(), "app.log.old").as_str(), text(folder.path(), "app.log").as_str()),
        ("before\n", "after\n")
    );
    std::fs::remove_file(&at).unwrap();
    file.write(b"again\n", Timestamp::MIN);
    assert_eq!(text(folder.path(), "app.log"), "again\n");
}

#[test]
fn lines_are_kept_in_a_moved_folder_and_counted_as_lost_in_a_deleted_one() {
    let folder = tempfile::tempdir().unwrap();
    let (home, away) = (folder.path().join("home"), folder.path().join("away"));
    std::fs::create_dir(&home).unwrap();
    let mut file = log_file(&home, 1000);
    std::fs::rename(&home, &away).unwrap();
    file.write(b"in the old one\n", Timestamp::MIN);
    assert_eq!(text(&away, "app.log"), "in the old one\n");
    std::fs::remove_dir_all(&away).unwrap();
    file.write(b"lost\nlost too\n", Timestamp::MIN);
    std::fs::create_dir(&home).unwrap();
    file.write(b"back\n", Timestamp::MIN);
    let lines = text(&home, "app.log");
    let lines: Vec<&str> = lines.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0] == "ERROR:1970-01-01T00:00:00.000Z:log:2 linhas perdidas us=000"
            && lines[1] == "back",
        "{lines:?}"
    );
}

#[test]
fn the_file_is_opened_again_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = log_file(folder.path(), 1000);
    file.reopen.ask();
    file.look_after();
    assert!(file.was_reopened());
    file.look_after();
    assert!(!file.was_reopened());
}

#[test]
fn a_symbolic_link_stays_and_its_target_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("real.log"), folder.path().join("app.log")).unwrap();
    let mut file = log_file(folder.path(), 10);
    file.write(b"1 line\n", Timestamp::MIN);
    file.write(b"2 line\n", Timestamp::MIN);
    assert!(folder.path().join("app.log").is_symlink());
    assert_eq!(
        (text(&elsewhere, "real.log.1").as_str(), text(&elsewhere, "real.log").as_str()),
        ("1 line\n", "2 line\n")
    );
}
