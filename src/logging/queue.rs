//! What is queued for a stream's writing thread.

use std::sync::mpsc;

use super::console::Console;
use super::file::LogFile;
use super::line::{Format, Line};
use crate::time::Timestamp;

/// An item of the queue.
pub enum Item {
    /// An output begins: lines go to it from here on.
    Open(Opened),
    /// An output ends: no line goes to it from here on.
    Close(OutputId),
    /// A line for an output.
    Line { to: OutputId, at: Timestamp, line: Line, reach: Reach },
    /// Answered when all lines before it are written.
    Flush { console: bool, done: mpsc::Sender<()> },
}

/// One output of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputId(pub u64);

/// An output: one service's file, if it has one, and whether its lines go to the console.
pub struct Opened {
    pub id: OutputId,
    pub file: Option<LogFile>,
    pub format: Format,
    pub on_console: bool,
    /// The console's thread, where this output is the stream's first on the console.
    pub console: Option<Console>,
}

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the output's file and to the console, as the output has them.
    All,
    /// To the console only: the file has the line already.
    Console,
}
