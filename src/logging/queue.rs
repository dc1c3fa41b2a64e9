//! The queue from the threads that log to the thread that writes.

use std::sync::mpsc;

use crate::batch;

/// What is queued for the writing thread.
pub enum Item {
    /// A whole line, its newline included.
    Line(String),
    /// Answered when all lines before it are written.
    Flush(mpsc::Sender<()>),
}

/// Queues a line. The writing thread lives as long as there is a sender.
pub fn send(sender: &batch::Sender<Item>, line: String) {
    let _ = sender.send(Item::Line(line));
}
