//! `sctec audit --follow` on files that grow, that are closed, compressed, replaced or missing, and on the trail of a real
//! service.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::common::trail::{CANCELLED, CURIE, NASTY, audit, file, gzip, lines, numbered};
use crate::common::{Services, wait_until};

/// A running `--follow`, and its output so far.
struct Follower {
    child: std::process::Child,
    printed: std::sync::Arc<std::sync::Mutex<String>>,
    /// The file of its standard error.
    said: tempfile::NamedTempFile,
}

impl Follower {
    fn start(arguments: &[&str]) -> Self {
        let said = tempfile::NamedTempFile::new().unwrap();
        let stderr = said.reopen().unwrap();
        let mut child = audit(arguments).arg("--follow").stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let printed = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let (sink, stdout) = (std::sync::Arc::clone(&printed), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, printed, said }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.said.path()).unwrap()
    }

    /// The bytes that it has read, from `/proc`.
    fn bytes_read(&self) -> u64 {
        let counters = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap();
        counters.lines().next().unwrap().strip_prefix("rchar: ").unwrap().parse().unwrap()
    }

    /// Whether it has read a file up to this place: until then it may not know yet where the file ended when it began.
    fn has_read(&self, path: &str, to: u64) -> bool {
        let process = format!("/proc/{}", self.child.id());
        let open = std::fs::read_dir(format!("{process}/fd")).unwrap();
        open.flatten().any(|entry| {
            let is_it = std::fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(path));
            let place = Path::new(&process).join("fdinfo").join(entry.file_name());
            is_it && std::fs::read_to_string(place).is_ok_and(|info| info.starts_with(&format!("pos:\t{to}\n")))
        })
    }

    fn wait_for(&self, expected: &str) {
        wait_until("it is printed", || self.printed.lock().unwrap().len() >= expected.len());
        assert_eq!(*self.printed.lock().unwrap(), expected);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn following_prints_each_line_once_through_rotation_a_crash_and_a_replaced_file() {
    let folder = TempDir::new().unwrap();
    let (data_dir, path) = (folder.path().to_str().unwrap(), folder.path().join("audit.jsonl"));
    let append = |text: &str| {
        std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let rotate_to =
        |first: u64| std::fs::rename(&path, folder.path().join(format!("audit-{first:012}.jsonl"))).unwrap();
    // A closed file and the current file.
    append(&lines(&[CURIE]));
    rotate_to(1);
    append(&lines(&[NASTY]));
    let follower = Follower::start(&["--data-dir", data_dir, "--telescope", "Hubble-Acad"]);
    follower.wait_for(&lines(&[CURIE, NASTY]));
    // Half a line is not printed, even after it was read. Then, as after a crash, the torn line is cut and written again.
    let before = follower.bytes_read();
    append(&CANCELLED[..300]);
    wait_until("half of it is read", || follower.bytes_read() >= before + 300);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(NASTY.len() as u64 + 1).unwrap();
    append(&lines(&[CANCELLED]));
    follower.wait_for(&lines(&[CURIE, NASTY, CANCELLED]));
    // Two files are written and closed between two polls.
    append(&lines(&[CURIE]));
    rotate_to(2);
    append(&lines(&[NASTY]));
    rotate_to(5);
    append(&lines(&[CANCELLED]));
    follower.wait_for(&lines(&[CURIE, NASTY, CANCELLED, CURIE, NASTY, CANCELLED]));
    // A file that replaces the current one is read from its beginning.
    std::fs::write(folder.path().join("new"), lines(&[NASTY])).unwrap();
    std::fs::rename(folder.path().join("new"), &path).unwrap();
    follower.wait_for(&lines(&[CURIE, NASTY, CANCELLED, CURIE, NASTY, CANCELLED, NASTY]));
    append(&lines(&[CURIE]));
    follower.wait_for(&lines(&[CURIE, NASTY, CANCELLED, CURIE, NASTY, CANCELLED, NASTY, CURIE]));
}

#[test]
fn following_waits_for_a_missing_file_and_for_a_missing_folder() {
    let folder = TempDir::new().unwrap();
    let (data_dir, away) = (folder.path().join("data"), folder.path().join("away"));
    let path = data_dir.join("audit.jsonl");
    let append = |text: &str| {
        std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    for arguments in [["--data-dir", data_dir.to_str().unwrap()].as_slice(), &[path.to_str().unwrap()]] {
        let follower = Follower::start(arguments);
        wait_until("it says so", || follower.said().contains("audit.jsonl is not there; waiting for it"));
        std::fs::create_dir(&data_dir).unwrap();
        append(&lines(&[CURIE]));
        follower.wait_for(&lines(&[CURIE]));
        // The folder is moved away, and comes back with one more record.
        std::fs::rename(&data_dir, &away).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::fs::rename(&away, &data_dir).unwrap();
        append(&lines(&[NASTY]));
        follower.wait_for(&lines(&[CURIE, NASTY]));
        // The folder is moved away, and another one takes its place.
        std::fs::remove_dir_all(&data_dir).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::fs::create_dir(&data_dir).unwrap();
        append(&lines(&[CANCELLED]));
        follower.wait_for(&lines(&[CURIE, NASTY, CANCELLED]));
        drop(follower);
        std::fs::remove_dir_all(&data_dir).unwrap();
    }
}

#[test]
fn following_with_tail_0_prints_only_new_records_and_with_tail_n_the_last_ones_too() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "audit.jsonl", &[CURIE, NASTY]);
    let append = |text: &str| {
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    // The file ends with half a line.
    append(&CANCELLED[..100]);
    let (now, last) = (Follower::start(&[&path, "--tail", "0"]), Follower::start(&[&path, "--tail", "1"]));
    last.wait_for(&lines(&[NASTY]));
    let length = std::fs::metadata(&path).unwrap().len();
    wait_until("it has read the half line", || now.has_read(&path, length));
    append(&(CANCELLED[100..].to_owned() + "\n"));
    now.wait_for(&lines(&[CANCELLED]));
    last.wait_for(&lines(&[NASTY, CANCELLED]));
}

#[test]
fn following_continues_after_a_closed_file_is_compressed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    std::fs::write(&path, numbered(1, 2)).unwrap();
    let follower = Follower::start(&["--data-dir", folder.path().to_str().unwrap()]);
    follower.wait_for(&numbered(1, 2));
    // The file and the next one are closed and compressed between two polls; then a current file follows.
    let staged = TempDir::new_in(folder.path()).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(staged.path().join(name), bytes).unwrap();
        std::fs::rename(staged.path().join(name), folder.path().join(name)).unwrap();
    };
    write("audit-000000000001.jsonl.gz", &gzip(numbered(1, 2).as_bytes()));
    write("audit-000000000003.jsonl.gz", &gzip(numbered(3, 4).as_bytes()));
    write("audit.jsonl", numbered(5, 6).as_bytes());
    follower.wait_for(&numbered(1, 6));
    assert!(!follower.said().contains("missing"), "{}", follower.said());
    // A compressed file that is named, also as the last input.
    let gz = folder.path().join("audit-000000000003.jsonl.gz");
    Follower::start(&[gz.to_str().unwrap()]).wait_for(&numbered(3, 4));
}

/// Waits until a command has ended by itself.
fn wait_for_end(mut child: std::process::Child) -> Output {
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

#[test]
fn following_ends_when_the_output_pipe_is_closed_even_without_new_records() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "audit.jsonl", &[CURIE]);
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    for arguments in [&[path.as_str()][..], &[&path, "--booking", "9"], &[&missing], &[&path, "--format", "csv"]] {
        let mut child = audit(arguments).arg("--follow").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Like `head -1`, if there is a line.
        if arguments.len() == 1 && arguments[0] == path {
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, lines(&[CURIE]));
        }
        drop(child.stdout.take());
        let output = wait_for_end(child);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }
    // It also ends while it waits for an input pipe without data.
    for (arguments, sent) in [(["-", "--count"], ""), (["-", "--booking=9"], CURIE)] {
        let mut child =
            audit(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{sent}").unwrap();
        drop(child.stdout.take());
        assert_eq!(wait_for_end(child).status.code(), Some(0), "{arguments:?}");
        drop(input);
    }
}

#[test]
fn following_a_service_through_rotation_prints_every_record_once() {
    let services = Services::start(&["--audit-rotate-mb", "1", "--lock-retention-ms", "0"]);
    let follower = Follower::start(&["--data-dir", services.data_dir().to_str().unwrap()]);
    let (target, reason) = ("\u{202e}".repeat(200), "\u{202e}".repeat(500));
    let closed = || {
        std::fs::read_dir(services.data_dir())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("audit-"))
            .count()
    };
    while closed() < 2 {
        let body = serde_json::json!({"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "alvo": target});
        let (_, booking) = services.book_with(&body);
        let why = serde_json::json!({"motivo": reason}).to_string();
        let path = services.agenda(booking["_links"]["self"]["href"].as_str().unwrap());
        assert_eq!(crate::common::http("DELETE", &path, Some(("application/json", &why))).status, 200);
    }
    let records = services.count("SELECT count(*) FROM auditoria");
    wait_until("all is printed", || follower.printed.lock().unwrap().lines().count() == records);
    let printed = follower.printed.lock().unwrap().clone();
    for (index, line) in printed.lines().enumerate() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["seq"], index + 1);
    }
}
