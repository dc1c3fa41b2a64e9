//! The exporter's thread: appends what was committed, rotates the file, and keeps the fault up to date.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};

use super::behind::Other;
use super::file::OpenFile;
use super::fresh::Fresh;
use super::health::{Change, Health};
use super::lock::{self, ExporterLock};
use super::recover;
use super::source::{LINES_AT_ONCE, Source};
use crate::stirring::Stirring;

/// How often the exporter checks without being rung: for other processes' records, and for a file that was moved or changed.
pub const POLL: Duration = Duration::from_millis(250);
/// The same when each of these is told, and nothing was for [`LIVELY`]. The kernel might know of no change, as when a link on the way to
/// the folder is changed.
const REST: Duration = Duration::from_secs(30);
/// How long the exporter goes on checking after it was rung: what is told may come a moment before it can be seen.
const LIVELY: Duration = Duration::from_secs(1);
/// The pause between two attempts to recover a file.
pub const RECOVER_EVERY: Duration = Duration::from_secs(2);
/// The pause after each round: under load, one fdatasync for all records that were committed meanwhile.
pub const PAUSE: Duration = Duration::from_millis(5);
/// How often the last durable record is noted. Only the refilling after a crash depends on it.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// The exporter's state, owned by its thread.
pub struct Worker<S> {
    path: PathBuf,
    source: S,
    fresh: Arc<Fresh>,
    rotate_bytes: Option<u64>,
    log: Logger,
    lock: Option<ExporterLock>,
    open: Option<OpenFile>,
    health: Arc<Health>,
    noted: u64,
    noted_at: Instant,
    recovery: Recovery,
    /// The time at which closing a full file failed.
    not_closed: Option<Instant>,
    /// The last record that this process wrote to the file.
    reached: u64,
    /// The progress of another process's exporter.
    other: Other,
    /// Whether the last round had no fault.
    is_well: bool,
}

/// Recovery reads a lot, so it is not tried again at once after a failure.
#[derive(Default)]
struct Recovery {
    /// The earliest next attempt, and why the last one failed.
    failed: Option<(Instant, String)>,
}

impl Recovery {
    fn attempt(&mut self, recover: impl FnOnce() -> Result<OpenFile, String>) -> Result<OpenFile, String> {
        let begun = Instant::now();
        if let Some((not_before, reason)) = &self.failed
            && begun < *not_before
        {
            return Err(reason.clone());
        }
        let recovered = recover();
        // The longer an attempt took, the longer the pause.
        let pause = RECOVER_EVERY.max(begun.elapsed() * 10);
        self.failed = recovered.as_ref().err().map(|reason| (Instant::now() + pause, reason.clone()));
        recovered
    }
}

impl<S: Source> Worker<S> {
    /// A worker that has not opened the file yet. Its records are those of the source, of which some are fresh.
    pub fn new(
        path: &Path,
        (source, fresh): (S, Arc<Fresh>),
        rotate_bytes: Option<u64>,
        health: Arc<Health>,
        log: Logger,
    ) -> Self {
        Self {
            path: path.to_owned(),
            source,
            fresh,
            rotate_bytes,
            log,
            lock: None,
            open: None,
            health,
            noted: 0,
            noted_at: Instant::now(),
            recovery: Recovery::default(),
            not_closed: None,
            reached: 0,
            other: Other::new(),
            is_well: false,
        }
    }

    /// Exports in rounds until the bell's last sender is gone, or `stopped` is set. `files` ring the bell. The watching thread rests as
    /// long as this one does.
    pub fn run(
        mut self,
        rings: &mpsc::Receiver<()>,
        stopped: &AtomicBool,
        files: &[Stirring],
        watching: &mpsc::Sender<()>,
    ) {
        let mut rung = Instant::now();
        loop {
            let rests = rung.elapsed() >= LIVELY && self.may_rest(files);
            self.health.set_rests(rests);
            let heard = rings.recv_timeout(if rests { REST } else { POLL });
            if rests {
                self.health.set_rests(false);
                // It has gone only if it has panicked.
                let _ = watching.send(());
            }
            let unheard = matches!(heard, Err(RecvTimeoutError::Disconnected));
            // Read before the round, so that the last round exports every record that was committed before the stop.
            let stop = unheard || stopped.load(Ordering::Acquire);
            self.round();
            if stop {
                // What another process has committed during that round has rung in vain: the database tells all of it.
                self.fresh.forget();
                self.round();
                self.note(true);
                return;
            }
            // Counted from the end of the round: it may have written fresh records without asking the database for those of others.
            if heard.is_ok() {
                rung = Instant::now();
            }
            self.note(false);
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether nothing has to be done before the bell is rung.
    fn may_rest(&self, files: &[Stirring]) -> bool {
        let is_told = !files.is_empty() && files.iter().all(Stirring::is_told);
        let is_noted = self.open.as_ref().is_some_and(|open| open.head.seq == self.noted);
        // Another process's exporter gives the lock up without a word.
        is_told && is_noted && self.lock.is_some() && self.is_well
    }

    /// Exports the committed records, and keeps the fault up to date.
    pub fn round(&mut self) {
        self.health.begin_step();
        let (behind, fault) = match self.export() {
            Ok(behind) => (behind, None),
            Err(fault) => (None, Some(fault)),
        };
        self.is_well = fault.is_none();
        let told_stall = self.health.take_told_stall();
        let change = self.health.end(fault.clone());
        match &change {
            Change::None => {}
            Change::Failed(reason) => error!(self.log, "Auditoria indisponível: {}", reason),
            Change::Restored => info!(self.log, "Auditoria restabelecida"),
        }
        let was_behind = self.health.set_behind(behind.clone());
        match behind {
            Some(how_far) if !was_behind => warn!(self.log, "Trilha de auditoria {}", how_far),
            None if was_behind && fault.is_none() => info!(self.log, "Trilha de auditoria em dia"),
            _ => {}
        }
        // A fault is reported again in each round: this process may have become the exporter only now.
        let is_news = fault.is_some() || told_stall || change == Change::Restored;
        if let Some(lock) = self.lock.as_ref().filter(|_| is_news) {
            lock.tell(fault.as_deref());
        }
    }

    /// Exports the committed records. If another process is the exporter, returns how far that one is behind.
    fn export(&mut self) -> Result<Option<String>, String> {
        if !self.is_exporter() {
            self.health.set_exporter(false);
            (self.lock, self.open) = (None, None);
            let Some(lock) = ExporterLock::try_take(&self.path)? else {
                // Another process is the exporter, and exports this process's records too.
                self.fresh.forget();
                return self.watch_other();
            };
            self.lock = Some(lock);
            self.health.set_exporter(true);
            self.other = Other::new();
        }
        if self.open.as_ref().is_some_and(|open| !open.is_as_written()) {
            warn!(self.log, "{} já não é o arquivo que foi escrito; reabrindo", self.path.display());
            self.open = None;
        }
        let mut text = Vec::new();
        loop {
            text.clear();
            let fresh = Arc::clone(&self.fresh);
            let head = &self.open()?.head;
            // Those are all, if they are fresh or fewer than were asked for. What was committed meanwhile has rung the bell: it is the next
            // round's, and shares its fdatasync with what is committed during the pause.
            let were_all;
            if let Some(lines) = fresh.take_after(head) {
                (text, were_all) = (lines, true);
            } else {
                let seq = head.seq;
                let Some(last) = self.source.lines_after(seq, LINES_AT_ONCE, &mut text)? else { return Ok(None) };
                were_all = last.saturating_sub(seq) < u64::from(LINES_AT_ONCE);
            }
            self.append(&text)?;
            if were_all || !self.is_exporter() {
                // The next round finds out which process is the exporter.
                return Ok(None);
            }
        }
    }

    /// The file, recovered first if it is not open.
    fn open(&mut self) -> Result<&mut OpenFile, String> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.recovery.attempt(|| OpenFile::recover(&self.path, &self.source, self.reached, &self.log))?,
        };
        self.health.end_look();
        self.health.set_exported(open.head.seq);
        Ok(self.open.insert(open))
    }

    /// Whether this process is still the exporter. If its lock was deleted, another process may have a new one.
    fn is_exporter(&self) -> bool {
        self.lock.as_ref().is_some_and(ExporterLock::is_in_force)
    }

    /// Appends whole lines, and rotates the file where they do not fit.
    fn append(&mut self, mut lines: &[u8]) -> Result<(), String> {
        while !lines.is_empty() {
            if !self.is_exporter() {
                return Ok(());
            }
            self.health.begin_step();
            let may_close = self.not_closed.is_none_or(|at| at.elapsed() >= RECOVER_EVERY);
            let limit = self.rotate_bytes.filter(|_| may_close);
            let open = self.open()?;
            let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(open.length));
            let mut fitting = whole_lines_within(lines, room);
            if fitting == 0 {
                if open.length > 0 {
                    self.close();
                    continue;
                }
                // A record that is larger than the limit gets a file of its own.
                fitting = memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
            }
            let (now, later) = lines.split_at(fitting);
            let mut head = open.head.clone();
            // A row that was altered must not be written to the trail.
            recover::follow(now, &mut head).map_err(recover::database_broken)?;
            open.append(now, head)?;
            self.reached = open.head.seq;
            self.health.set_exported(self.reached);
            lines = later;
        }
        Ok(())
    }

    /// Closes the full file. If this fails, the file grows further, and bookings are not refused.
    fn close(&mut self) {
        let Some(open) = &self.open else { return };
        match open.close(&self.log) {
            Ok(next) => (self.open, self.not_closed) = (next, None),
            Err(reason) => {
                if self.not_closed.is_none() {
                    warn!(self.log, "Arquivo de auditoria não fechado, e por isso maior do que pedido: {}", reason);
                }
                self.not_closed = Some(Instant::now());
            }
        }
    }

    /// Another process is the exporter: returns how far it is behind, or fails when it is too far behind.
    fn watch_other(&mut self) -> Result<Option<String>, String> {
        let (exported, head) = (self.source.exported()?.seq, self.source.head()?);
        self.health.set_exported(exported);
        if let Some(reason) = lock::told(&self.path) {
            return Err(reason);
        }
        self.other.look(exported, head, Instant::now(), &self.path)
    }

    fn note(&mut self, now: bool) {
        let Some((seq, file)) = self.open.as_ref().map(|open| (open.head.seq, open.extent())) else { return };
        if seq == self.noted || (!now && self.noted_at.elapsed() < NOTE_EVERY) {
            return;
        }
        self.noted_at = Instant::now();
        match self.source.note_exported(seq, file) {
            Ok(()) => self.noted = seq,
            Err(reason) => warn!(self.log, "Ponto da exportação sem confirmação: {}", reason),
        }
    }
}

/// The length of the whole lines among the first `most` bytes.
fn whole_lines_within(lines: &[u8], most: u64) -> usize {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(lines.len());
    memchr::memrchr(b'\n', &lines[..most]).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests;
