//! The thread that writes a stream: to the file of each output, and to the console.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use slog::Level;

use super::console::Console;
use super::file::LogFile;
use super::line::{Format, Line};
use super::queue::{Item, Opened, OutputId, Reach};
use super::stamps::Stamps;
use crate::batch;
use crate::time::Timestamp;

/// The pause after a write: what is logged meanwhile is written with one call. A single line is still written at once.
const PAUSE: Duration = Duration::from_millis(1);
/// While each pause brings new lines, the next one is twice as long, up to this one: then the thread wakes less often.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);
/// How often the files are looked after when no line is logged and nobody tells that one was moved.
const LOOK_AFTER: Duration = Duration::from_millis(300);
/// The same for files whose moves are told: the kernel might know of no move, as when a link on the way to the file is changed.
const LOOK_AFTER_TOLD: Duration = Duration::from_secs(30);

/// The state of the writing thread.
pub struct Writer {
    lines: batch::Batches<Item>,
    stamps: Arc<Stamps>,
    outputs: Vec<Output>,
    console: Option<Console>,
    /// The lines of a batch for the console.
    shown: Text,
    /// The stamp of the last line.
    last_at: Timestamp,
}

/// An output, and the lines of a batch for its file.
struct Output {
    id: OutputId,
    file: Option<LogFile>,
    format: Format,
    on_console: bool,
    text: Text,
}

/// Lines that are written with one call.
#[derive(Default)]
struct Text {
    lines: String,
    count: usize,
    /// The stamp of the first line.
    first_at: Option<Timestamp>,
}

impl Text {
    /// Appends a line. The line as it is written.
    fn push(&mut self, at: Timestamp, line: &Line) -> &str {
        let start = self.lines.len();
        line.push_to(&mut self.lines, at);
        self.count(at);
        &self.lines[start..]
    }

    /// Appends a line that was written for another place.
    fn push_written(&mut self, at: Timestamp, line: &str) {
        self.lines.push_str(line);
        self.count(at);
    }

    fn count(&mut self, at: Timestamp) {
        self.count += 1;
        self.first_at.get_or_insert(at);
    }
}

impl Output {
    /// Writes the lines to the file, and looks after it.
    fn write(&mut self) {
        let Some(file) = &mut self.file else { return };
        match self.text.first_at.take() {
            Some(at) => file.write(self.text.lines.as_bytes(), at),
            None => file.look_after(),
        }
        self.text.lines.clear();
        self.text.count = 0;
    }
}

impl Writer {
    /// Starts the thread, which ends when all senders of `lines` are dropped.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn start(lines: batch::Batches<Item>, stamps: Arc<Stamps>) -> io::Result<()> {
        let (outputs, shown) = (Vec::new(), Text::default());
        let writer = Self { lines, stamps, outputs, console: None, shown, last_at: Timestamp::MIN };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run()).map(drop)
    }

    fn run(mut self) {
        let (mut batch, mut pause) = (Vec::new(), PAUSE);
        while self.lines.next_within(&mut batch, self.patience()).is_some() {
            let mut flushes = Vec::new();
            for item in batch.drain(..) {
                match item {
                    Item::Line { to, at, line, reach } => self.sort(to, at, &line, reach),
                    Item::Open(opened) => self.open(opened),
                    Item::Close(id) => self.close(id),
                    Item::Flush { console, done } => flushes.push((console, done)),
                }
            }
            self.write();
            for (console, done) in flushes {
                if let Some(shown) = self.console.as_ref().filter(|_| console) {
                    shown.flush();
                }
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
            std::thread::sleep(pause);
            pause = if self.lines.is_empty() { PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
        }
    }

    /// How long no file has to be looked after, if nothing is told.
    fn patience(&self) -> Duration {
        let mut files = self.outputs.iter().filter_map(|output| output.file.as_ref());
        if files.all(LogFile::is_told) { LOOK_AFTER_TOLD } else { LOOK_AFTER }
    }

    fn open(&mut self, opened: Opened) {
        let Opened { id, mut file, format, on_console, console } = opened;
        if let Some(file) = &mut file {
            let nudge = self.lines.nudge();
            file.tell(move || nudge.wake());
        }
        self.console = console.or(self.console.take());
        self.outputs.push(Output { id, file, format, on_console, text: Text::default() });
    }

    fn close(&mut self, id: OutputId) {
        for mut output in self.outputs.extract_if(.., |output| output.id == id) {
            if output.text.count > 0 {
                output.write();
            }
        }
    }

    /// Puts a line with those that go to the same place.
    fn sort(&mut self, to: OutputId, at: Timestamp, line: &Line, reach: Reach) {
        if at < self.last_at {
            self.tell_of_the_clock(at);
        }
        self.last_at = at;
        let Some(output) = self.outputs.iter_mut().find(|output| output.id == to) else { return };
        match (output.file.is_some() && reach == Reach::All, output.on_console) {
            (true, true) => self.shown.push_written(at, output.text.push(at, line)),
            (true, false) => {
                output.text.push(at, line);
            }
            (false, true) => {
                self.shown.push(at, line);
            }
            (false, false) => {}
        }
    }

    /// Says in every place that the stamps go back here.
    fn tell_of_the_clock(&mut self, at: Timestamp) {
        let back_ms = (self.last_at.as_micros() - at.as_micros()) / 1000;
        let message = format!("o relógio do sistema voltou {back_ms} ms");
        let line_of = |output: &Output| Line::of_the_log(output.format, Level::Warning, &message);
        if let Some(output) = self.outputs.iter().find(|output| output.on_console) {
            self.shown.push(at, &line_of(output));
        }
        for output in self.outputs.iter_mut().filter(|output| output.file.is_some()) {
            let line = line_of(output);
            output.text.push(at, &line);
        }
    }

    fn write(&mut self) {
        for output in &mut self.outputs {
            output.write();
            if output.file.as_mut().is_some_and(LogFile::was_reopened) {
                let (to, line) = (output.id, Line::of_the_log(output.format, Level::Info, "arquivo reaberto a pedido"));
                // Behind the lines that were made before it.
                let stamps = &self.stamps;
                self.lines.add_with(|| Item::Line { to, at: stamps.take(), line, reach: Reach::All });
            }
        }
        let Text { lines, count, first_at } = std::mem::take(&mut self.shown);
        if let (Some(console), Some(at)) = (&mut self.console, first_at) {
            console.show(lines, count, at);
        }
    }
}
