//! The jobs that get a transaction together, and those that join it late.

use std::ops::Range;

use super::job::Job;
use crate::batch::Batches;

/// The most jobs in one transaction: bounds how long the first of them waits.
pub const MAX_JOBS: usize = 1024;

/// The jobs that wait for a transaction.
pub type Waiting = Batches<Box<dyn Job>>;

/// Jobs of a batch that get a transaction together.
pub struct Part<'a> {
    /// The batch.
    pub all: &'a mut Vec<Box<dyn Job>>,
    /// Which of them.
    pub range: Range<usize>,
    /// Those that may still join, at the end of the batch.
    pub late: Option<&'a mut Waiting>,
}

impl Part<'_> {
    /// The jobs.
    pub fn jobs(&mut self) -> &mut [Box<dyn Job>] {
        &mut self.all[self.range.clone()]
    }

    /// Takes what waits into the transaction, and gives it.
    pub fn join(&mut self) -> &mut [Box<dyn Job>] {
        let before = self.range.end;
        if let Some(late) = &mut self.late {
            late.add_waiting(self.all, MAX_JOBS);
            self.range.end = self.all.len();
        }
        &mut self.all[before..self.range.end]
    }
}
