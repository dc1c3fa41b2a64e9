//! Puts the lines of several sources together in the order of time, with one line of each source in memory. A record is moved down to
//! the line of its saving: its instant is that of its transaction, a little earlier.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::line::{self, What};
use super::source::{Found, Source};

/// The records that are remembered, to pass over their echoes in a log. An echo is written some milliseconds after its record.
const RECORDS: usize = 10_000;
/// How much later than its record the line of the saving may be, in microseconds: the transaction lies between them.
const SAVED_WITHIN: i64 = 5_000_000;
/// How the scheduler's log begins to tell of a request.
const ARRIVAL: [&str; 2] = ["Requisição", "recebida"];
/// The most lines that are read ahead for that line.
const AHEAD: usize = 1000;

/// The lines of all sources.
pub struct Merge {
    sources: Vec<Source>,
    heads: Vec<Option<Found>>,
    hasher: RandomState,
    /// The hashes of the last records, the oldest first, and the same hashes to be found at once.
    order: VecDeque<u64>,
    records: HashSet<u64>,
    /// Lines that were read ahead, each with whether its place is settled.
    ahead: VecDeque<(Found, bool)>,
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
        Self { sources, heads, hasher, order, records, ahead: VecDeque::new() }
    }

    /// The next line, or `None` after the last. An audit record comes once, its echo in a log is passed over; and it comes after
    /// the line that announces its saving.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub fn next(&mut self) -> anyhow::Result<Option<Found>> {
        loop {
            let (found, is_settled) = match self.ahead.pop_front() {
                Some(ahead) => ahead,
                None => match self.next_by_time()? {
                    Some(found) => (found, false),
                    None => return Ok(None),
                },
            };
            if is_settled {
                return Ok(Some(found));
            }
            let Some(saving) = line::saving_of(&found.entry.what) else { return Ok(Some(found)) };
            match self.place_of(saving, found.key)? {
                Some(place) => self.settle(found, place + 1),
                None => return Ok(Some(found)),
            }
        }
    }

    /// Puts a record at a place among the lines ahead, and behind it the records of its transaction that no line announces. A transaction has one
    /// instant.
    fn settle(&mut self, record: Found, place: usize) {
        let key = record.key;
        self.ahead.insert(place, (record, true));
        let follows = |found: &Found| {
            let is_record = matches!(found.entry.what, What::Record(_));
            is_record && found.key == key && line::saving_of(&found.entry.what).is_none()
        };
        while self.ahead.front().is_some_and(|(found, is_settled)| !is_settled && follows(found))
            && let Some((follower, _)) = self.ahead.pop_front()
        {
            // One line fewer is before the record now.
            self.ahead.insert(place, (follower, true));
        }
    }

    /// Where the line `saving` stands among the lines ahead of a record, if no other record was moved there, and no new request
    /// with the same identifier begins before it.
    fn place_of(&mut self, saving: &[&str], record: i64) -> anyhow::Result<Option<usize>> {
        for place in 0..AHEAD {
            if place == self.ahead.len() {
                let Some(found) = self.next_by_time()? else { return Ok(None) };
                self.ahead.push_back((found, false));
            }
            let found = &self.ahead[place].0;
            if found.key > record.saturating_add(SAVED_WITHIN) || line::says(&found.entry.what, &ARRIVAL) {
                return Ok(None);
            }
            let is_taken = self.ahead.get(place + 1).is_some_and(|(_, is_settled)| *is_settled);
            if !is_taken && line::says(&found.entry.what, saving) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The next line by its instant.
    fn next_by_time(&mut self) -> anyhow::Result<Option<Found>> {
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

    use super::super::line::{Entry, Lookout};
    use super::*;
    use crate::audit::record::SERVICE;
    use crate::time::Timestamp;

    fn record(number: usize) -> Found {
        let json = format!("{{\"seq\":{number}}}");
        let entry = Entry { at: None, what: What::Record(serde_json::Map::new()), json };
        Found { entry, key: 0, origin: Rc::from("audit.jsonl"), number: 1 }
    }

    /// Lines in the order of time, given as their second and what they say, in the order that they are told in.
    fn told(lines: &[(i64, &str)]) -> Vec<String> {
        let mut merge = Merge::of(Vec::new(), Vec::new());
        for (second, says) in lines {
            let at = Timestamp::from_micros(second * 1_000_000).unwrap();
            let is_event = says.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            let event = if is_event { *says } else { "" };
            let level = if event.is_empty() { "INFO" } else { "AUDIT" };
            let line = serde_json::json!({
                "timestamp_utc": at.micros().to_string(), "level": level, "event_type": event, "service": SERVICE, "msg": says, "req": "r"
            });
            let entry = Lookout::new("r").judge(line.to_string().as_bytes()).unwrap();
            let found = Found { key: entry.at.unwrap(), entry, origin: Rc::from("app.log"), number: 1 };
            merge.ahead.push_back((found, false));
        }
        let mut told = Vec::new();
        while let Some(found) = merge.next().unwrap() {
            let second = found.key / 1_000_000;
            let says = serde_json::from_str::<serde_json::Value>(&found.entry.json).unwrap()["msg"]
                .as_str()
                .unwrap()
                .to_owned();
            told.push(format!("{second} {says}"));
        }
        told
    }

    #[test]
    fn a_record_is_told_after_the_line_of_its_saving() {
        const CREATED: &str = "AGENDAMENTO_CRIADO";
        const BOOKING: &str = "Salvando novo agendamento no BD";
        const CANCELLATION: &str = "Salvando cancelamento no BD";
        const ARRIVAL: &str = "Requisição recebida para POST /agendamentos";
        const DECIDED: &str = "DISPUTA_RESOLVIDA";
        let case = |lines: &[(i64, &str)], order: &[usize]| {
            let expected: Vec<String> =
                order.iter().map(|place| format!("{} {}", lines[*place].0, lines[*place].1)).collect();
            assert_eq!(told(lines), expected);
        };
        case(&[(1, ARRIVAL), (2, CREATED), (2, "x"), (3, BOOKING), (3, "y")], &[0, 2, 3, 1, 4]);
        // Its line is there already, or comes much later, or not at all.
        case(&[(1, BOOKING), (2, CREATED), (3, "x")], &[0, 1, 2]);
        case(&[(1, CREATED), (9, BOOKING)], &[0, 1]);
        case(&[(1, CREATED), (2, "x")], &[0, 1]);
        // Another use of the same identifier, one after the other and at the same time.
        case(&[(1, BOOKING), (2, CREATED), (3, ARRIVAL), (4, BOOKING)], &[0, 1, 2, 3]);
        case(&[(1, CREATED), (1, CREATED), (2, BOOKING), (3, BOOKING)], &[2, 0, 3, 1]);
        // Each kind of change has its own line, and a refusal has none.
        case(&[(1, "AGENDAMENTO_CANCELADO"), (2, BOOKING), (3, CANCELLATION)], &[1, 2, 0]);
        case(&[(1, "AGENDAMENTO_RECUSADO"), (2, BOOKING)], &[0, 1]);
        // Records of the same transaction stay behind it, in their order; one of another instant does not.
        case(&[(1, CREATED), (1, DECIDED), (1, "ESPERA_ATENDIDA"), (2, BOOKING), (3, "x")], &[3, 0, 1, 2, 4]);
        case(&[(1, CREATED), (2, DECIDED), (3, BOOKING)], &[1, 2, 0]);
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
