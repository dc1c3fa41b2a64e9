//! Puts the lines of several sources together in the order of time, with one line of each source in memory.

use std::collections::VecDeque;

use super::line::What;
use super::source::{Found, Source};

/// The records that are remembered, to pass over their echoes in a log. An echo is written some milliseconds after its record.
const RECORDS: usize = 10_000;

/// The lines of all sources.
pub struct Merge {
    sources: Vec<Source>,
    heads: Vec<Option<Found>>,
    records: VecDeque<String>,
}

impl Merge {
    /// The lines of these sources. Of two lines of one instant, that of the earlier source comes first.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub fn new(mut sources: Vec<Source>) -> anyhow::Result<Self> {
        let heads = sources.iter_mut().map(Source::next).collect::<anyhow::Result<_>>()?;
        Ok(Self { sources, heads, records: VecDeque::new() })
    }

    /// The next line, or `None` after the last. An audit record comes once: its echo in a log is passed over.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub fn next(&mut self) -> anyhow::Result<Option<Found>> {
        loop {
            let keys =
                self.heads.iter().enumerate().filter_map(|(place, head)| head.as_ref().map(|head| (head.key, place)));
            let Some((_, place)) = keys.min() else { return Ok(None) };
            let next = self.sources[place].next()?;
            let found = std::mem::replace(&mut self.heads[place], next);
            if found.as_ref().is_some_and(|found| self.is_echo(found)) {
                continue;
            }
            return Ok(found);
        }
    }

    /// The sources, read as far as the lines were asked for.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether a record was there before.
    fn is_echo(&mut self, found: &Found) -> bool {
        if matches!(found.entry.what, What::Log(_)) {
            return false;
        }
        if self.records.contains(&found.entry.json) {
            return true;
        }
        if self.records.len() == RECORDS {
            self.records.pop_front();
        }
        self.records.push_back(found.entry.json.clone());
        false
    }
}
