//! Tests of the exporter's thread: it does not go on, it is one of several, or another process writes.

use std::sync::Mutex;

use slog::{Discard, o};
use tempfile::TempDir;

use super::*;
use crate::audit::export::source::{Exported, Extent};
use crate::audit::export::tests::{LIMIT, List, all_text, export, paths, trail, written};
use crate::audit::export::watch::watch;
use crate::audit::export::{Exporter, STALLED_AFTER, STOP_TIMEOUT, bell};

/// Records whose last one cannot be read until the test allows it. This imitates an exporter at a disk that does not answer.
struct Stuck {
    list: List,
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Source for Stuck {
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String> {
        if seq == 2 {
            let _ = self.gate.lock().unwrap().recv();
        }
        self.list.lines_after(seq, limit.min(1), text)
    }

    fn line(&self, seq: u64) -> Result<Option<String>, String> {
        self.list.line(seq)
    }

    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String> {
        self.list.bytes_between(first, last)
    }

    fn beginning(&self) -> Result<String, String> {
        self.list.beginning()
    }

    fn head(&self) -> Result<u64, String> {
        self.list.head()
    }

    fn exported(&self) -> Result<Exported, String> {
        self.list.exported()
    }

    fn note_exported(&self, seq: u64, file: Extent) -> Result<(), String> {
        self.list.note_exported(seq, file)
    }
}

#[test]
fn an_exporter_that_is_stuck_is_a_fault_and_does_not_keep_the_service_from_stopping() {
    let (folder, list) = (TempDir::new().unwrap(), List::of(3));
    let (opened, gate) = mpsc::channel();
    // Only two records at first, so that the first comparison of the file ends before the exporter is blocked.
    let all = std::mem::take(&mut *list.lines());
    list.lines().push(all[0].clone());
    let stuck = Stuck { list: list.clone(), gate: Mutex::new(gate) };
    let log = Logger::root(Discard, o!());
    let exporter = Exporter::start(&trail(&folder), stuck, None, bell(), log).unwrap();
    assert_eq!(exporter.fault(), None);
    *list.lines() = all;
    exporter.bell.ring();
    let until = Instant::now() + STALLED_AFTER * 4;
    while exporter.fault().is_none() && Instant::now() < until {
        std::thread::sleep(POLL);
    }
    assert!(exporter.fault().is_some_and(|fault| fault.contains("parada há")), "{:?}", exporter.fault());
    let begun = Instant::now();
    drop(exporter);
    assert!(begun.elapsed() < STOP_TIMEOUT * 4);
    drop(opened);
}

#[test]
fn two_never_write_even_when_the_lock_file_is_deleted() {
    let (folder, source) = (TempDir::new().unwrap(), List::of(400));
    let start = || {
        let log = Logger::root(Discard, o!());
        Exporter::start(&trail(&folder), source.clone(), Some(LIMIT), bell(), log).unwrap()
    };
    let all = std::mem::take(&mut *source.lines());
    let exporters = [start(), start(), start()];
    for (index, line) in all.iter().enumerate() {
        source.lines().push(line.clone());
        for exporter in &exporters {
            exporter.bell.ring();
        }
        if index % 10 == 0 {
            let _ = std::fs::remove_file(trail(&folder).with_extension("lock"));
            std::thread::sleep(PAUSE);
        }
    }
    let until = Instant::now() + RECOVER_EVERY * 10;
    // While a full file is being closed, the next one is not there yet.
    let written = || paths(&folder).iter().map(std::fs::read_to_string).collect::<Result<String, _>>();
    while written().map_or(0, |text| text.len()) < source.text().len() && Instant::now() < until {
        std::thread::sleep(POLL);
    }
    drop(exporters);
    assert_eq!(all_text(&folder), source.text());
}

#[test]
fn a_file_that_another_process_is_writing_is_left_to_it() {
    let source = List::of(4);
    let folder = written(&source, 2);
    // Another exporter has the file locked, and lost `audit.lock` because a person deleted it.
    let other = std::fs::OpenOptions::new().append(true).open(trail(&folder)).unwrap();
    other.try_lock().unwrap();
    let fault = export(&folder, &source, None).unwrap();
    assert!(fault.contains("outro processo o está escrevendo"), "{fault}");
    assert_eq!(all_text(&folder), source.cut_to(2).text());
    drop(other);
    assert_eq!(export(&folder, &source, None), None);
    assert_eq!(all_text(&folder), source.text());
}

#[test]
fn a_write_that_does_not_end_is_told_to_the_others_and_taken_back_when_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("audit.jsonl");
    let lock = ExporterLock::try_take(&trail).unwrap().unwrap();
    let health = Arc::new(Health::default());
    let (watched, ends) = mpsc::channel();
    let times = (Duration::from_millis(5), Duration::from_millis(20));
    let thread = {
        let (trail, health) = (trail.clone(), Arc::clone(&health));
        std::thread::spawn(move || watch(&trail, &health, &ends, times))
    };
    // A process that does not write the file has no fault to report.
    health.begin_step();
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(lock::told(&trail), None);
    health.set_exporter(true);
    let begun = Instant::now();
    while lock::told(&trail).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not told");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(lock::told(&trail).unwrap().contains("parada"));
    health.end(None);
    drop(watched);
    thread.join().unwrap();
    assert!(health.take_told_stall());
    lock.tell(None);
    assert_eq!(lock::told(&trail), None);
}

#[test]
fn what_was_committed_here_is_written_without_being_read_again() {
    let (folder, all) = (TempDir::new().unwrap(), List::of(9));
    let (source, lines) = (all.cut_to(2), all.lines().clone());
    let log = Logger::root(Discard, o!());
    let exporter = Exporter::start(&trail(&folder), source.clone(), None, bell(), log).unwrap();
    let has = |records: usize| {
        let (expected, until) = (all.cut_to(records).text(), Instant::now() + RECOVER_EVERY * 10);
        while all_text(&folder) != expected && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
        assert_eq!(all_text(&folder), expected);
    };
    // The source does not show these.
    exporter.bell.committed(&lines[2..5]);
    has(5);
    // Another process has committed the one before these.
    source.lines().extend_from_slice(&lines[2..]);
    exporter.bell.committed(&lines[6..]);
    has(9);
    assert_eq!(exporter.fault(), None);
}
