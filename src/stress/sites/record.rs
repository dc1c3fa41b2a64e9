//! What the scheduler has recorded of a contest.

use std::collections::HashMap;

use serde::Deserialize;

use super::figures::Contest;
use crate::time::Timestamp;

/// The record of a contest, as far as it counts here.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// How long it waited for others, in milliseconds.
    #[serde(rename = "janela_ms")]
    pub window_ms: u64,
    #[serde(rename = "entradas")]
    entries: Vec<Entry>,
}

/// A request that was in a contest. What stands beside the stamp is missing of a scheduler of another version.
#[derive(Debug, Deserialize)]
struct Entry {
    cientista_id: Option<i64>,
    carimbo_utc: String,
    chegada_utc: Option<String>,
    ida_volta_us: Option<u32>,
    ida_volta_de: Option<String>,
    motivo: Option<String>,
}

/// Why the scheduler does not see a distance that is emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenThrough {
    /// It has measured the connection.
    Connection,
    /// It does not believe who is asked for.
    Proxy,
    /// It has held no contest.
    NoContest,
}

impl Record {
    /// Adds what the record says to a contest; `scientists` are those for whom the sites book, each for its own.
    pub fn add_to(&self, contest: &mut Contest, scientists: &[i64]) {
        let of_scientist: HashMap<i64, &Entry> =
            self.entries.iter().filter_map(|entry| Some((entry.cientista_id?, entry))).collect();
        let entries: Vec<Option<&Entry>> = scientists.iter().map(|id| of_scientist.get(id).copied()).collect();
        let instant = |text: &str| Timestamp::parse_rfc3339(text).map(Timestamp::as_micros).ok();
        let of = |text: fn(&Entry) -> Option<&str>| -> Vec<Option<i64>> {
            entries.iter().map(|entry| entry.and_then(text).and_then(instant)).collect()
        };
        contest.arrivals = of(|entry| entry.chegada_utc.as_deref());
        contest.stamps = of(|entry| Some(&entry.carimbo_utc));
        contest.round_trips = entries.iter().map(|entry| entry.and_then(|entry| entry.ida_volta_us)).collect();
    }

    /// Why distances are not seen, if they are not; `emulated` are the scientists of the sites whose distances are emulated.
    pub fn seen_through(&self, emulated: &[i64]) -> Option<SeenThrough> {
        let is_emulated = |entry: &Entry| entry.cientista_id.is_some_and(|id| emulated.contains(&id));
        let has = |is: fn(&Entry) -> bool| self.entries.iter().any(|entry| is_emulated(entry) && is(entry));
        if has(|entry| entry.motivo.as_deref() == Some("por_intermediario")) {
            Some(SeenThrough::Proxy)
        } else {
            has(|entry| entry.ida_volta_de.as_deref() == Some("conexao")).then_some(SeenThrough::Connection)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_are_found_by_their_scientists() {
        let text = r#"{"janela_ms": 143, "politica": "ordem", "entradas": [
            {"cientista_id": 9, "carimbo_utc": "2025-12-01T03:00:00.000001Z", "chegada_utc": "2025-12-01T03:00:00.140000Z",
             "ida_volta_us": 280000, "ida_volta_de": "token", "motivo": "como_alegado"},
            {"cientista_id": 4, "carimbo_utc": "2025-12-01T03:00:00.02Z", "chegada_utc": "2025-12-01T03:00:00.021Z",
             "ida_volta_us": 90, "ida_volta_de": "conexao", "motivo": "como_alegado"},
            {"carimbo_utc": "2025-12-01T03:00:00.03Z"}]}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        let mut contest = Contest { clicks: vec![0; 3], ..Contest::default() };
        record.add_to(&mut contest, &[4, 9, 7]);
        assert_eq!(contest.round_trips, [Some(90), Some(280_000), None]);
        assert_eq!(contest.arrivals[0].unwrap() - contest.stamps[1].unwrap(), 20_999);
        assert_eq!((contest.arrivals[2], contest.stamps[2]), (None, None));
        assert_eq!(record.seen_through(&[9]), None);
        assert_eq!((record.window_ms, record.seen_through(&[4])), (143, Some(SeenThrough::Connection)));
    }
}
