//! The exporter: the one that writes `audit.jsonl`.
//!
//! It appends the committed records in order, makes them durable, and notes how far it is. The file follows the
//! database: whatever happened to it, the next look at its last whole line says from where to go on.
//!
//! # Locking
//!
//! A lock on `audit.lock` beside the file says who the exporter is. Another process on the same folder waits for it,
//! and takes over when it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};

use super::chain;

/// How often the exporter looks without being told: for other processes' records, and for what became of the file.
const POLL: Duration = Duration::from_millis(250);
/// How often a file that cannot be recovered is looked at again.
const RECOVER_EVERY: Duration = Duration::from_secs(2);
/// The pause after each look: under load, one fdatasync for all that was committed meanwhile.
const PAUSE: Duration = Duration::from_millis(5);
/// How often it notes how far it is. Only the refilling after a crash depends on it.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Records appended at once.
const LINES_AT_ONCE: u32 = 4096;
/// Bytes read at once when looking for the last line.
const TAIL_CHUNK: u32 = 64 * 1024;

/// How long another process's exporter may make no headway before this one's trail counts as unwritable.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// Where the records come from.
pub trait Source: Send + 'static {
    /// Appends the lines after `seq` to `text`, at most `limit`, and gives the last one's number.
    ///
    /// # Errors
    /// In words, when they cannot be read.
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String>;
    /// The line of one record.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn line(&self, seq: u64) -> Result<Option<String>, String>;
    /// How many bytes the lines up to `seq` have, line breaks included.
    ///
    /// # Errors
    /// In words, when they cannot be read.
    fn bytes_up_to(&self, seq: u64) -> Result<u64, String>;
    /// The number of the last record.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn head(&self) -> Result<u64, String>;
    /// Up to where the file was noted to be durable.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn exported(&self) -> Result<u64, String>;
    /// Notes that the file is durable up to `seq`.
    ///
    /// # Errors
    /// In words, when it cannot be noted.
    fn note_exported(&self, seq: u64) -> Result<(), String>;
}

/// The running exporter. Dropping it exports what there is and stops it.
pub struct Exporter {
    bell: Bell,
    stop: Arc<AtomicBool>,
    fault: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the exporter that something was committed.
#[derive(Clone)]
pub struct Bell(SyncSender<()>);

impl Bell {
    /// Never waits: a bell that already rings is enough.
    pub fn ring(&self) {
        match self.0.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// What [`Bell`]s ring for: made first, because the store that rings has to exist before the exporter that reads it.
pub fn bell() -> (Bell, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::sync_channel(1);
    (Bell(sender), receiver)
}

impl Exporter {
    /// Starts exporting `source` to `path`. The first look at the file is done before this returns.
    ///
    /// # Errors
    /// When the thread cannot be started. What is wrong with the file is [`Exporter::fault`]'s to say.
    pub fn start(
        path: &Path,
        source: impl Source,
        (bell, rings): (Bell, mpsc::Receiver<()>),
        log: Logger,
    ) -> io::Result<Self> {
        let fault = Arc::new(Mutex::new(None));
        let mut worker = Worker {
            path: path.to_owned(),
            source,
            log,
            lock: None,
            open: None,
            fault: Arc::clone(&fault),
            noted: 0,
            noted_at: Instant::now(),
            recovery: Recovery::default(),
            reached: 0,
            other: (0, Instant::now()),
        };
        worker.round();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || worker.run(&rings, &stopped))?;
        Ok(Self { bell, stop, fault, thread: Some(thread) })
    }

    /// Why the trail cannot be written now, if it cannot.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

struct Worker<S> {
    path: PathBuf,
    source: S,
    log: Logger,
    lock: Option<File>,
    open: Option<OpenFile>,
    fault: Arc<Mutex<Option<String>>>,
    noted: u64,
    noted_at: Instant,
    recovery: Recovery,
    /// The last record that this process wrote to the file.
    reached: u64,
    /// How far another process's exporter is, and since when.
    other: (u64, Instant),
}

/// Recovery reads a lot: after a failure it is not tried again at once.
#[derive(Default)]
struct Recovery {
    failed: Option<(Instant, String)>,
}

impl Recovery {
    fn attempt(&mut self, recover: impl FnOnce() -> Result<OpenFile, String>) -> Result<OpenFile, String> {
        if let Some((at, reason)) = &self.failed
            && at.elapsed() < RECOVER_EVERY
        {
            return Err(reason.clone());
        }
        let recovered = recover();
        self.failed = recovered.as_ref().err().map(|reason| (Instant::now(), reason.clone()));
        recovered
    }
}

/// The file, the number of the last record in it, and its length after that.
struct OpenFile {
    file: File,
    seq: u64,
    length: u64,
}

impl<S: Source> Worker<S> {
    fn run(mut self, rings: &mpsc::Receiver<()>, stopped: &AtomicBool) {
        loop {
            let unheard = matches!(rings.recv_timeout(POLL), Err(RecvTimeoutError::Disconnected));
            // Looked at before the round, so that what was committed before the stop is exported.
            let stop = unheard || stopped.load(Ordering::Acquire);
            self.round();
            if stop {
                self.note(true);
                return;
            }
            self.note(false);
            std::thread::sleep(PAUSE);
        }
    }

    /// Exports what there is, and keeps the fault up to date.
    fn round(&mut self) {
        let result = self.export();
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                if fault.take().is_some() {
                    info!(self.log, "Auditoria restabelecida");
                }
            }
            Err(reason) => {
                if fault.as_ref() != Some(&reason) {
                    error!(self.log, "Auditoria indisponível: {}", reason);
                    *fault = Some(reason);
                }
            }
        }
    }

    fn export(&mut self) -> Result<(), String> {
        if self.lock.as_ref().is_some_and(|lock| !leads_to(&self.lock_path(), lock)) {
            // Someone deleted it, so another process may hold a new one: whoever gets that is the exporter.
            (self.lock, self.open) = (None, None);
            self.other.1 = Instant::now();
        }
        if self.lock.is_none() {
            match self.try_lock()? {
                Some(lock) => {
                    self.lock = Some(lock);
                    self.other.1 = Instant::now();
                }
                // Another process is the exporter, and exports our records too.
                None => return self.watch_other(),
            }
        }
        if self.open.as_ref().is_some_and(|open| !leads_to(&self.path, &open.file) || !open.has_its_length()) {
            warn!(self.log, "{} já não é o arquivo que foi escrito; reabrindo", self.path.display());
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                self.open.insert(self.recovery.attempt(|| recover(&self.path, &self.source, self.reached, &self.log))?)
            }
        };
        let mut text = Vec::new();
        loop {
            text.clear();
            let Some(last) = self.source.lines_after(open.seq, LINES_AT_ONCE, &mut text)? else {
                return Ok(());
            };
            let write = open.file.write_all(&text).and_then(|()| open.file.sync_data());
            if let Err(error) = write {
                // What was written of it goes, so that the next try begins where this one did. If that fails too, the
                // file's length shows it.
                let _ = open.file.set_len(open.length);
                return Err(format!("{}: {error}", self.path.display()));
            }
            open.seq = last;
            self.reached = last;
            open.length += text.len() as u64;
        }
    }

    /// The trail is written by another process: it has to make headway.
    fn watch_other(&mut self) -> Result<(), String> {
        let exported = self.source.exported()?;
        if exported != self.other.0 || self.source.head()? == exported {
            self.other = (exported, Instant::now());
        }
        if self.other.1.elapsed() < STALLED_AFTER {
            return Ok(());
        }
        Err(format!("{}: o processo que o escreve está parado no registro {exported}", self.path.display()))
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    fn try_lock(&self) -> Result<Option<File>, String> {
        let path = self.lock_path();
        let explain = |error: io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(explain)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(explain(error)),
        }
    }

    fn note(&mut self, now: bool) {
        let Some(seq) = self.open.as_ref().map(|open| open.seq) else { return };
        if seq == self.noted || (!now && self.noted_at.elapsed() < NOTE_EVERY) {
            return;
        }
        self.noted_at = Instant::now();
        match self.source.note_exported(seq) {
            Ok(()) => self.noted = seq,
            Err(reason) => warn!(self.log, "Ponto da exportação não anotado: {}", reason),
        }
    }
}

impl OpenFile {
    /// Whether nobody has cut it or added to it.
    fn has_its_length(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() == self.length)
    }
}

/// Whether the path still leads to the file that is open: it may have been deleted or replaced.
fn leads_to(path: &Path, file: &File) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Opens the file, cuts an incomplete last line, and finds out which record it ends with. `reached` is the last record
/// that is known to have been in it.
fn recover(path: &Path, source: &impl Source, reached: u64, log: &Logger) -> Result<OpenFile, String> {
    let explain = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(explain)?;
    let (whole, last_line) = last_whole_line(&mut file).map_err(explain)?;
    let length = file.metadata().map_err(explain)?.len();
    if whole < length {
        warn!(log, "{}: linha incompleta ao fim ({} bytes), cortada", path.display(), length - whole);
        file.set_len(whole).map_err(explain)?;
    }
    let seq = match last_line {
        None => 0,
        Some(line) => {
            let foreign = || {
                format!(
                    "{}: a última linha não é um registro desta trilha; mova o arquivo para outro lugar e ele será refeito",
                    path.display()
                )
            };
            let seq = chain::checked_seq(&line).ok_or_else(foreign)?;
            if source.line(seq)?.is_none_or(|known| known.as_bytes() != line) {
                return Err(foreign());
            }
            let expected = source.bytes_up_to(seq)?;
            if whole != expected {
                return Err(format!(
                    "{}: tem {whole} bytes até o registro {seq}, e deveria ter {expected}; mova o arquivo para outro lugar e ele será refeito",
                    path.display()
                ));
            }
            seq
        }
    };
    // Lines of a process that was killed may not be on disk yet, and what is noted has to be.
    file.sync_data().map_err(explain)?;
    let noted = source.exported()?.max(reached);
    if seq < noted {
        warn!(log, "{}: faltam registros que já estiveram no arquivo, refeitos a partir do banco", path.display();
            "de" => seq + 1, "a" => noted);
    }
    Ok(OpenFile { file, seq, length: whole })
}

/// The length of the file up to its last line break, and the line before that.
fn last_whole_line(file: &mut File) -> io::Result<(u64, Option<Vec<u8>>)> {
    let mut start = file.metadata()?.len();
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let end = tail.iter().rposition(|&byte| byte == b'\n');
        if let Some(end) = end {
            let before = tail[..end].iter().rposition(|&byte| byte == b'\n');
            if before.is_some() || start == 0 {
                let line = tail[before.map_or(0, |position| position + 1)..end].to_vec();
                return Ok((start + end as u64 + 1, Some(line)));
            }
        } else if start == 0 {
            return Ok((0, None));
        }
        let chunk = u32::try_from(start).unwrap_or(u32::MAX).min(TAIL_CHUNK);
        start -= u64::from(chunk);
        let mut read = vec![0; chunk as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut read)?;
        read.append(&mut tail);
        tail = read;
    }
}
