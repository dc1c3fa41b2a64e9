//! Puts the lines of several sources together in the order of time, with one line of each source in memory.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::line::What;
use super::source::{Found, Source};

/// The records that are remembered, to pass over their echoes in a log. An echo is written some milliseconds after its record.
const RECORDS: usize = 10_000;

/// The lines of all sources.
pub struct Merge {
    sources: Vec<Source>,
    heads: Vec<Option<Found>>,
    hasher: RandomState,
    /// The hashes of the last records, the oldest first, and the same hashes to be found at once.
    order: VecDeque<u64>,
    records: HashSet<u64>,
}

impl Merge {
    /// The lines of these sources. Of two lines of one instant, that of the earlier source comes first.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub fn new(mut sources: Vec<Source>) -> anyhow::Result<Self> {
        let heads = sources.iter_mut().map(Source::next).collect::<anyhow::Result<_>>()?;
        Ok(Self::of(sources, heads))
    }

    fn of(sources: Vec<Source>, heads: Vec<Option<Found>>) -> Self {
        let (hasher, order, records) = (RandomState::new(), VecDeque::new(), HashSet::new());
        Self { sources, heads, hasher, order, records }
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
        let hash = self.hasher.hash_one(&found.entry.json);
        if !self.records.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if self.order.len() > RECORDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::line::Entry;
    use super::*;

    fn record(number: usize) -> Found {
        let json = format!("{{\"seq\":{number}}}");
        let entry = Entry { at: None, what: What::Record(serde_json::Map::new()), json };
        Found { entry, key: 0, origin: Rc::from("audit.jsonl"), number: 1 }
    }

    #[test]
    fn an_echo_is_known_as_long_as_its_record_is_among_the_last_ones() {
        let mut merge = Merge::of(Vec::new(), Vec::new());
        for number in 0..=RECORDS {
            assert!(!merge.is_echo(&record(number)));
        }
        // The first record was forgotten for the last one, and nothing else was.
        for number in 1..=RECORDS {
            assert!(merge.is_echo(&record(number)), "{number}");
        }
        assert!(!merge.is_echo(&record(0)));
        assert!(!merge.is_echo(&record(1)));
        assert_eq!((merge.order.len(), merge.records.len()), (RECORDS, RECORDS));
    }
}
