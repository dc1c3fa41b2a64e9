//! Tests of the exporter alone, on records in a list: crashes at every byte, rotation, and manual changes to the files.

use std::io::Write;
use std::path::PathBuf;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicU64;

use slog::{Discard, o};
use tempfile::TempDir;

use super::source::LINES_AT_ONCE;
use super::*;
use crate::access::Caller;
use crate::audit::chain::ChainHead;
use crate::audit::files;
use crate::http::request_id::RequestId;

/// Records in memory, the last one noted as exported, and how many records were read.
#[derive(Clone)]
pub struct List {
    lines: Arc<Mutex<Vec<String>>>,
    noted: Arc<Mutex<Exported>>,
    read: Arc<AtomicU64>,
}

impl List {
    pub fn of(records: usize) -> Self {
        let mut head = ChainHead::genesis("abc");
        let lines = (0..records)
            .map(|index| {
                head.append(
                    format!("{{\"n\":\"{}\"", "x".repeat(index % 50)),
                    Some(&RequestId::of_test("r")),
                    &Caller::service("x"),
                )
            })
            .collect();
        Self { lines: Arc::new(Mutex::new(lines)), noted: Arc::default(), read: Arc::default() }
    }

    pub fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap()
    }

    pub fn text(&self) -> String {
        self.lines().iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Resets the note, so that no record counts as exported.
    fn forget(&self) -> &Self {
        *self.noted.lock().unwrap() = Exported::default();
        self
    }

    /// The same list with only its first `records` records.
    pub fn cut_to(&self, records: usize) -> Self {
        let lines = self.lines()[..records].to_vec();
        Self { lines: Arc::new(Mutex::new(lines)), noted: Arc::clone(&self.noted), read: Arc::default() }
    }
}

impl Source for List {
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String> {
        let mut last = None;
        for (index, line) in self.lines().iter().enumerate().skip(usize::try_from(seq).unwrap()).take(limit as usize) {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            last = Some(index as u64 + 1);
        }
        self.read.fetch_add(last.unwrap_or(seq) - seq, Ordering::Relaxed);
        Ok(last)
    }

    fn line(&self, seq: u64) -> Result<Option<String>, String> {
        self.read.fetch_add(1, Ordering::Relaxed);
        Ok(self.lines().get(usize::try_from(seq).unwrap() - 1).cloned())
    }

    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String> {
        self.read.fetch_add(last + 1 - first, Ordering::Relaxed);
        let (first, last) = (usize::try_from(first).unwrap(), usize::try_from(last).unwrap());
        Ok(self.lines()[first - 1..last].iter().map(|line| line.len() as u64 + 1).sum())
    }

    fn beginning(&self) -> Result<String, String> {
        Ok(ChainHead::genesis("abc").hash)
    }

    fn head(&self) -> Result<u64, String> {
        Ok(self.lines().len() as u64)
    }

    fn exported(&self) -> Result<Exported, String> {
        Ok(*self.noted.lock().unwrap())
    }

    fn note_exported(&self, seq: u64, file: Extent) -> Result<(), String> {
        *self.noted.lock().unwrap() = Exported { seq, file: Some(file) };
        Ok(())
    }
}

/// Exports all records and stops; returns the fault. A child that another test starts has the locked files of this process open until its own
/// program begins: that another process writes is a fault only if it lasts.
pub fn export(folder: &TempDir, source: &List, rotate_bytes: Option<u64>) -> Option<String> {
    let once = || {
        let log = Logger::root(Discard, o!());
        let exporter = Exporter::start(&trail(folder), source.clone(), rotate_bytes, bell(), log).unwrap();
        exporter.fault()
    };
    let until = Instant::now() + Duration::from_millis(500);
    loop {
        let fault = once();
        let is_others = fault.as_ref().is_some_and(|fault| fault.contains("outro processo"));
        if !is_others || Instant::now() > until {
            return fault;
        }
        std::thread::sleep(PAUSE);
    }
}

pub fn trail(folder: &TempDir) -> PathBuf {
    folder.path().join("audit.jsonl")
}

/// The trail's files, in order.
pub fn paths(folder: &TempDir) -> Vec<PathBuf> {
    let closed = files::closed(&trail(folder)).unwrap().into_iter().map(|closed| closed.path);
    closed.chain([trail(folder)]).collect()
}

pub fn all_text(folder: &TempDir) -> String {
    paths(folder).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

pub const LIMIT: u64 = 1000;

#[test]
fn mvm_2258_killed_at_every_byte_of_a_write_it_goes_on_as_if_it_had_not_been() {
    let source = List::of(12);
    let text = source.text();
    let written = source.cut_to(4).text().len();
    for rotate_bytes in [None, Some(LIMIT)] {
        let whole = TempDir::new().unwrap();
        assert_eq!(export(&whole, &source, rotate_bytes), None);
        for killed_at in written..=text.len() {
            let folder = TempDir::new().unwrap();
            assert_eq!(export(&folder, &source.forget().cut_to(4), rotate_bytes), None);
            // The part that the next write would have left: in its own file, and in the files before it.
            let mut begin = 0;
            for path in paths(&whole) {
                let bytes = std::fs::read(&path).unwrap();
                if killed_at > begin {
                    let kept = bytes.len().min(killed_at - begin);
                    std::fs::write(folder.path().join(path.file_name().unwrap()), &bytes[..kept]).unwrap();
                    let closed = path != trail(&whole);
                    if closed && kept < bytes.len() {
                        std::fs::rename(folder.path().join(path.file_name().unwrap()), trail(&folder)).unwrap();
                    } else if closed && killed_at == begin + kept && trail(&folder).exists() {
                        // The process was killed between closing one file and opening the next.
                        std::fs::remove_file(trail(&folder)).unwrap();
                    }
                }
                begin += bytes.len();
            }
            assert_eq!(export(&folder, &source, rotate_bytes), None, "killed at {killed_at}");
            assert_eq!(all_text(&folder), text, "killed at {killed_at}");
        }
    }
}

#[test]
fn one_round_exports_all_that_was_committed_before_it() {
    let most = LINES_AT_ONCE as usize;
    for records in [0, 1, most - 1, most, most + 1, 2 * most] {
        let (folder, source, health) = (TempDir::new().unwrap(), List::of(records), Arc::new(Health::default()));
        let log = Logger::root(Discard, o!());
        Worker::new(&trail(&folder), (source.clone(), Arc::default()), None, Arc::clone(&health), log).round();
        assert_eq!(health.exported(), records as u64);
        assert_eq!(all_text(&folder), source.text());
    }
}

#[test]
fn a_round_writes_what_is_fresh_and_the_last_one_also_what_another_process_has_committed() {
    let worker = |folder: &TempDir, source: &List| {
        let fresh = Arc::new(Fresh::default());
        fresh.keep(&source.lines()[..2]);
        let log = Logger::root(Discard, o!());
        Worker::new(&trail(folder), (source.clone(), fresh), None, Arc::default(), log)
    };
    let (folder, source) = (TempDir::new().unwrap(), List::of(5));
    worker(&folder, &source).round();
    assert_eq!(all_text(&folder).lines().count(), 2);
    let folder = TempDir::new().unwrap();
    let (_, rings) = mpsc::channel();
    let (watching, _watcher) = mpsc::channel();
    worker(&folder, &source).run(&rings, &AtomicBool::new(true), &[], &watching);
    assert_eq!(all_text(&folder), source.text());
}

#[test]
fn files_are_closed_at_their_size_and_named_after_their_first_record() {
    let (folder, source) = (TempDir::new().unwrap(), List::of(100));
    assert_eq!(export(&folder, &source.cut_to(40), Some(LIMIT)), None);
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    assert_eq!(all_text(&folder), source.text());
    let paths = paths(&folder);
    assert!(paths.len() > 10);
    let mut next = 1;
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        assert!((1..=LIMIT).contains(&(text.len() as u64)), "{}", text.len());
        if let Some(first) = files::first_in(path) {
            assert_eq!(first, next);
        }
        next += text.lines().count() as u64;
    }
    // A record that is larger than the file limit gets a file of its own.
    let folder = TempDir::new().unwrap();
    assert_eq!(export(&folder, &source, Some(1)), None);
    assert_eq!(self::paths(&folder).len(), 100);
    assert_eq!(all_text(&folder), source.text());
}

#[test]
fn what_was_removed_after_a_rotation_comes_back_and_what_was_archived_does_not() {
    let (folder, source) = (TempDir::new().unwrap(), List::of(60));
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    let before = paths(&folder);
    // The current file was deleted: it is made again from the end of the closed file before it.
    std::fs::remove_file(trail(&folder)).unwrap();
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    assert_eq!((all_text(&folder), paths(&folder)), (source.text(), before.clone()));
    // The same, with compressed closed files.
    for closed in files::closed(&trail(&folder)).unwrap() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&std::fs::read(&closed.path).unwrap()).unwrap();
        std::fs::write(format!("{}.gz", closed.path.display()), encoder.finish().unwrap()).unwrap();
        std::fs::rename(&closed.path, closed.path.with_extension("kept")).unwrap();
    }
    let written = std::fs::read(trail(&folder)).unwrap();
    std::fs::remove_file(trail(&folder)).unwrap();
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    assert_eq!(std::fs::read(trail(&folder)).unwrap(), written);
    for gzipped in files::closed_or_gzipped(&trail(&folder)).unwrap() {
        std::fs::remove_file(&gzipped.path).unwrap();
        let plain = gzipped.path.with_extension("");
        std::fs::rename(plain.with_extension("kept"), plain).unwrap();
    }
    // The closed files were archived: no file is made again.
    let archived: usize = before[..2].iter().map(|path| std::fs::read(path).unwrap().len()).sum();
    for path in &before[..2] {
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    assert_eq!(all_text(&folder), source.text()[archived..]);
    // All files were deleted: all of them are made again.
    for path in paths(&folder) {
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    assert_eq!((all_text(&folder), paths(&folder)), (source.text(), before));
}

#[test]
fn a_closed_file_that_was_damaged_is_not_gone_on_from() {
    let (folder, source) = (TempDir::new().unwrap(), List::of(20));
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    let closed = files::closed(&trail(&folder)).unwrap().pop().unwrap().path;
    std::fs::remove_file(trail(&folder)).unwrap();
    let whole = std::fs::read(&closed).unwrap();
    std::fs::write(&closed, &whole[..whole.len() - 1]).unwrap();
    assert!(
        export(&folder, &source, Some(LIMIT))
            .unwrap()
            .contains("foi fechado inteiro e já não termina em um registro inteiro")
    );
    std::fs::write(&closed, &whole).unwrap();
    // A copy with a date in its name does not count as a closed file.
    let copy = folder.path().join("audit-202511231250.jsonl");
    std::fs::write(&copy, &whole).unwrap();
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    std::fs::remove_file(copy).unwrap();
    assert_eq!(all_text(&folder), source.text());
}

#[test]
fn a_file_that_cannot_be_closed_is_written_on() {
    let (folder, source) = (TempDir::new().unwrap(), List::of(20));
    assert_eq!(export(&folder, &source.cut_to(2), Some(LIMIT)), None);
    // A folder exists under the name that the closed file would get.
    std::fs::create_dir(files::closed_path(&trail(&folder), 1)).unwrap();
    assert_eq!(export(&folder, &source, Some(LIMIT)), None);
    assert_eq!(std::fs::read_to_string(trail(&folder)).unwrap(), source.text());
}

/// A folder whose trail was written from the first `records` of the list.
pub fn written(source: &List, records: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    assert_eq!(export(&folder, &source.forget().cut_to(records), None), None);
    folder
}

#[test]
fn what_no_crash_can_have_left_is_evidence_and_is_left_alone() {
    let source = List::of(6);
    let text = source.text();
    let four = source.cut_to(4).text();
    let forged = text[..four.len() + 20].replace("\"n\":\"\"", "\"n\":\"forged\"");
    for left in [
        format!("{four}x"),
        format!("{four}{{\"n\":\"another"),
        format!("{text}{{"),
        format!("{text}\n"),
        format!("{text}\0"),
        four[..four.len() - 1].to_owned() + "x",
        forged,
        "a whole file in one line, without an end".to_owned(),
        "two lines\nand no end".to_owned(),
    ] {
        let folder = written(&source, 4);
        std::fs::write(trail(&folder), &left).unwrap();
        let fault = export(&folder, &source, None);
        assert!(
            fault.is_some_and(|fault| fault.contains("em outro lugar") || fault.contains("para outro lugar")),
            "{left}"
        );
        assert_eq!(std::fs::read_to_string(trail(&folder)).unwrap(), left);
        std::fs::remove_file(trail(&folder)).unwrap();
        assert_eq!(export(&folder, &source, None), None);
        assert_eq!(all_text(&folder), text);
    }
}

#[test]
fn a_power_failure_that_left_holes_is_filled_in_and_a_change_is_not() {
    let source = List::of(12);
    let text = source.text().into_bytes();
    let durable = source.cut_to(4).text().len();
    for (from, to) in [(durable, durable + 10), (durable + 100, durable + 700), (text.len() - 5, text.len())] {
        for end in [to, text.len()] {
            let folder = written(&source, 4);
            let mut holed = text[..end].to_vec();
            holed[from..to].fill(0);
            std::fs::write(trail(&folder), &holed).unwrap();
            assert_eq!(export(&folder, &source, None), None, "{from} to {to} of {end}");
            assert_eq!(all_text(&folder).as_bytes(), text);
        }
    }
    let folder = written(&source, 4);
    let mut changed = text.clone();
    changed[durable + 8] ^= 1;
    std::fs::write(trail(&folder), &changed).unwrap();
    assert!(export(&folder, &source, None).is_some());
    assert_eq!(std::fs::read(trail(&folder)).unwrap(), changed);
}

#[test]
fn a_database_that_was_altered_is_not_exported_and_the_right_one_is_blamed() {
    for alter in [
        (|lines: &mut Vec<String>| lines[2] = lines[2].replace("\"r\"", "\"s\"")) as fn(&mut Vec<String>),
        |lines| {
            lines[2] = ChainHead::genesis("other").append(
                "{\"n\":\"\"".to_owned(),
                Some(&RequestId::of_test("r")),
                &Caller::service("x"),
            );
        },
        |lines| lines.swap(2, 3),
    ] {
        // The file has the records already, so they show which side was altered.
        let source = List::of(4);
        let folder = written(&source, 4);
        let whole = all_text(&folder);
        alter(&mut source.lines());
        source.noted.lock().unwrap().seq = 1;
        let fault = export(&folder, &source, None).unwrap();
        assert!(fault.contains("o banco foi alterado: o registro de auditoria 3"), "{fault}");
        assert_eq!(all_text(&folder), whole);

        // The file does not have the records: only the correct ones are written to it.
        let folder = TempDir::new().unwrap();
        *source.noted.lock().unwrap() = Exported::default();
        let fault = export(&folder, &source, None).unwrap();
        assert!(fault.contains("o banco foi alterado: o registro de auditoria 3"), "{fault}");
        assert!(all_text(&folder).is_empty());
    }
}

#[test]
fn a_start_reads_no_more_records_of_a_long_trail_than_of_a_short_one() {
    for (rotate_bytes, records) in [(None, 10), (None, 3000), (Some(LIMIT), 60)] {
        let (folder, list) = (TempDir::new().unwrap(), List::of(records));
        // After a clean stop, and after a crash that left the last records unnoted.
        assert_eq!(export(&folder, &list, rotate_bytes), None);
        for unnoted in [0, 3] {
            {
                let mut noted = list.noted.lock().unwrap();
                let lines = list.lines();
                let bytes: usize = lines[records - unnoted..].iter().map(|line| line.len() + 1).sum();
                let file = noted.file.as_mut().unwrap();
                // These records may be in the file after the noted one.
                if file.bytes > bytes as u64 {
                    file.bytes -= bytes as u64;
                    noted.seq -= unnoted as u64;
                }
            }
            list.read.store(0, Ordering::Relaxed);
            let log = Logger::root(Discard, o!());
            let exporter = Exporter::start(&trail(&folder), list.clone(), rotate_bytes, bell(), log).unwrap();
            assert_eq!(exporter.fault(), None);
            drop(exporter);
            let read = list.read.load(Ordering::Relaxed);
            assert!((1..60).contains(&read), "{read} of {records}");
            assert_eq!(all_text(&folder), list.text());
        }
    }
}

#[test]
fn a_file_that_is_shorter_than_was_noted_is_filled_in() {
    let (folder, list) = (TempDir::new().unwrap(), List::of(50));
    assert_eq!(export(&folder, &list, None), None);
    let text = list.text();
    for cut in [0, 1, 200, text.len() - 1] {
        std::fs::write(trail(&folder), &text[..cut]).unwrap();
        assert_eq!(export(&folder, &list, None), None, "{cut}");
        assert_eq!(all_text(&folder), text, "{cut}");
    }
}
