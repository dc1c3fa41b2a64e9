//! Decides a contest anew from its record: whether each stamp follows from what was seen, and the winner from the stamps. Pure.
//!
//! The rules are written here once more, from docs/API.md and not from the code that decided: so a fault of that code shows.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rust_i18n::t;
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use super::record::CONTEST_DECIDED;
use super::shape::instant_and_event;
use crate::agenda::seeds::Commitment;
use crate::text::escaped;
use crate::time::Timestamp;

/// The policies that are known here: who ties with the smallest stamp is drawn, within a short time or all of them.
const POLICIES: [&str; 2] = ["ordem", "sorteio"];

/// The longest chain of seeds whose links are counted.
const LINKS_MAX: usize = 1 << 20;

/// A contest as its record tells of it.
#[derive(Debug, Deserialize)]
pub struct Contest {
    /// The booking that has won.
    #[serde(rename = "agendamento_id")]
    pub booking_id: i64,
    /// Its scientist.
    #[serde(rename = "cientista_id")]
    pub scientist_id: i64,
    /// Its telescope.
    #[serde(rename = "telescopio")]
    pub telescope: String,
    /// The start of its slots.
    #[serde(rename = "horario_inicio_utc", deserialize_with = "instant")]
    pub start: Timestamp,
    /// How it was decided.
    #[serde(rename = "politica")]
    pub policy: String,
    /// How long it waited for others.
    #[serde(rename = "janela_ms")]
    pub window_ms: u64,
    /// By how much the two ways of a round trip may differ.
    #[serde(rename = "margem_us")]
    margin_us: i64,
    /// Stamps that are later than the smallest one by no more than this tie with it.
    #[serde(rename = "empate_us")]
    within_us: i64,
    /// What was drawn with, if there was a tie.
    #[serde(rename = "sorteio")]
    pub draw: Option<Draw>,
    /// Who was in it, as it was decided: the winner first.
    #[serde(rename = "entradas")]
    pub entries: Vec<Entry>,
}

/// What was drawn with.
#[derive(Debug, Deserialize)]
pub struct Draw {
    #[serde(rename = "recurso")]
    resource: String,
    /// The seed.
    #[serde(rename = "semente")]
    pub seed: String,
}

/// A request that was in a contest.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// Its stamp, as the record has it.
    #[serde(rename = "carimbo_utc", deserialize_with = "instant")]
    pub stamp: Timestamp,
    /// Whether it took part in the draw.
    #[serde(rename = "sorteada")]
    pub is_drawn: bool,
    /// What its scheduler told the coordinator.
    #[serde(rename = "entrada")]
    pub words: String,
    /// What the stamp follows from; `None` of a scheduler of another version.
    #[serde(flatten)]
    pub seen: Option<Seen>,
}

/// What a scheduler has seen of a request.
#[derive(Debug, Deserialize)]
pub struct Seen {
    /// The request.
    pub req: String,
    /// Who would have observed.
    #[serde(rename = "cientista_id")]
    pub scientist_id: i64,
    /// When it arrived.
    #[serde(rename = "chegada_utc", deserialize_with = "instant")]
    pub arrived: Timestamp,
    /// When its user clicked, as its client says.
    #[serde(rename = "instante_clique_utc", deserialize_with = "perhaps")]
    pub claim: Option<Timestamp>,
    /// When its time token was made.
    #[serde(rename = "token_utc", deserialize_with = "perhaps")]
    pub token_at: Option<Timestamp>,
    /// When the slot opens, if that was still to come or not long over.
    #[serde(rename = "abre_em_utc", default, deserialize_with = "perhaps")]
    pub opens_at: Option<Timestamp>,
    /// The round trip that counts, in microseconds.
    #[serde(rename = "ida_volta_us")]
    pub round_trip_us: Option<u32>,
}

fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = Cow::<'de, str>::deserialize(from)?;
    Timestamp::parse_rfc3339(&text).map_err(|_| serde::de::Error::custom("an instant cannot be read"))
}

fn perhaps<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Instant(#[serde(deserialize_with = "instant")] Timestamp);
    Ok(Option::<Instant>::deserialize(from)?.map(|Instant(at)| at))
}

/// What a record is read for.
#[derive(Deserialize)]
struct Line {
    details: Contest,
    req: String,
}

/// A contest that was decided anew.
#[derive(Debug)]
pub struct Judged {
    /// The contest.
    pub contest: Contest,
    /// The stamp of each entry as it follows from what was seen, where that is known.
    pub stamps: Vec<Option<Timestamp>>,
    /// What contradicts the record, in words.
    pub wrong: Vec<String>,
    /// What could not be decided anew, in words.
    pub unknown: Vec<String>,
}

/// What contradicts the record of a contest, if the line is one: a fault of the service, or of who has made a trail anew.
pub fn contradiction(line: &[u8]) -> Option<String> {
    instant_and_event(line).filter(|(_, event)| *event == CONTEST_DECIDED.as_bytes())?;
    // A record that cannot be read is one of another version: nothing is known of it.
    judge(line).ok()?.wrong.into_iter().next()
}

/// Decides the contest of a record's line anew. The error says why the record cannot be read.
pub fn judge(line: &[u8]) -> Result<Judged, String> {
    let Line { details: contest, req } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let stamps: Vec<_> =
        contest.entries.iter().map(|entry| entry.seen.as_ref().map(|seen| seen.stamp(contest.margin_us))).collect();
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for (nth, (entry, found)) in (1..).zip(contest.entries.iter().zip(&stamps)) {
        match found {
            Some(found) if *found != entry.stamp => wrong.push(
                t!(
                    "the stamp of entry %{nth} should be %{found}, and the record has %{told}",
                    nth = nth,
                    found = found.micros(),
                    told = entry.stamp.micros()
                )
                .into_owned(),
            ),
            Some(_) => {}
            None => unknown.push(t!("entry %{nth} is of another version of sctec", nth = nth).into_owned()),
        }
    }
    match contest.entries.first() {
        None => wrong.push(t!("the record has no entries").into_owned()),
        Some(Entry { seen: Some(seen), .. }) if seen.req != req || seen.scientist_id != contest.scientist_id => {
            wrong.push(t!("the first entry is not the request that has the booking").into_owned());
        }
        Some(_) => {}
    }
    if POLICIES.contains(&&*contest.policy) {
        contest.judge_order(&mut wrong, &mut unknown);
    } else {
        let policy = escaped(&contest.policy);
        unknown.push(t!("the policy %{policy} is of another version of sctec", policy = policy).into_owned());
    }
    Ok(Judged { contest, stamps, wrong, unknown })
}

impl Contest {
    /// Whether the winner has the smallest stamp, or was drawn of those that tie with it.
    fn judge_order(&self, wrong: &mut Vec<String>, unknown: &mut Vec<String>) {
        let Some(draw) = &self.draw else {
            if !self.entries.is_sorted_by_key(|entry| entry.stamp) {
                let words = t!("the first entry does not have the smallest stamp, or the others are not in order");
                wrong.push(words.into_owned());
            }
            return;
        };
        let others = self.entries.get(1..).unwrap_or_default();
        if !others.is_sorted_by_key(|entry| entry.stamp) {
            wrong.push(t!("the entries after the first are not in the order of their stamps").into_owned());
        }
        let drawn = || self.entries.iter().filter(|entry| entry.is_drawn);
        let winner = drawn().min_by_key(|entry| draw.lot(entry));
        if !winner.zip(self.entries.first()).is_some_and(|(winner, first)| std::ptr::eq(winner, first)) {
            wrong.push(t!("the first entry does not have the smallest lot of those that were drawn").into_owned());
        }
        self.judge_who_was_drawn(wrong, unknown);
    }

    /// Whether those were drawn that tie with the smallest stamp: one entry of each scientist.
    fn judge_who_was_drawn(&self, wrong: &mut Vec<String>, unknown: &mut Vec<String>) {
        let Some(smallest) = self.entries.iter().map(|entry| entry.stamp).min() else { return };
        let ties = |entry: &Entry| entry.stamp.as_micros().saturating_sub(smallest.as_micros()) <= self.within_us;
        let drawn = || self.entries.iter().filter(|entry| entry.is_drawn);
        if drawn().any(|entry| !ties(entry)) {
            wrong.push(t!("an entry was drawn that does not tie with the smallest stamp").into_owned());
        }
        let scientist = |entry: &Entry| entry.seen.as_ref().map(|seen| seen.scientist_id);
        let mut scientists = BTreeSet::new();
        if !drawn().filter_map(scientist).all(|id| scientists.insert(id)) {
            wrong.push(t!("a scientist took part in the draw more than once").into_owned());
        }
        let is_left_out = |entry: &Entry| {
            !entry.is_drawn && ties(entry) && scientist(entry).is_none_or(|id| !scientists.contains(&id))
        };
        if self.entries.iter().any(is_left_out) {
            unknown.push(t!("an entry ties and was not drawn: it may have asked for other slots too").into_owned());
        }
    }
}

impl Draw {
    fn lot(&self, entry: &Entry) -> [u8; 32] {
        Sha256::digest([&*self.seed, &*self.resource, &*entry.words].join("\n")).into()
    }
}

/// A record that tells of a chain of seeds.
#[derive(Deserialize)]
struct ChainLine {
    details: Chain,
}

#[derive(Deserialize)]
struct Chain {
    nome: String,
    elos: usize,
    fim: String,
}

/// Whether a seed is one of the chain that was recorded on this line; `None` if the line tells of another chain.
pub fn holds(line: &[u8], seed: &str) -> Option<bool> {
    let ChainLine { details: Chain { nome: name, elos: links, fim: end } } = serde_json::from_slice(line).ok()?;
    Commitment { name, links: links.min(LINKS_MAX), end }.holds(seed)
}

impl Seen {
    /// The stamp by the rule of docs/API.md.
    fn stamp(&self, margin_us: i64) -> Timestamp {
        let of_click = self.stamp_of_click(margin_us);
        self.opens_at.map_or(of_click, |opens_at| of_click.max(opens_at))
    }

    /// The same for a slot that has long been open.
    fn stamp_of_click(&self, margin_us: i64) -> Timestamp {
        let (Some(token_at), Some(claim)) = (self.token_at, self.claim) else { return self.arrived };
        let credit_us = i64::from(self.round_trip_us.unwrap_or(0) / 2).saturating_add(margin_us);
        let of_credit = Timestamp::from_micros(self.arrived.as_micros().saturating_sub(credit_us));
        let earliest = of_credit.unwrap_or(Timestamp::MIN).max(token_at).min(self.arrived);
        claim.clamp(earliest, self.arrived)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::agenda::stamp::{Evidence, MARGIN_US, Vouched};
    use crate::clock::token::NotValid;

    /// A record of a contest of two: the second arrived first.
    fn record() -> Value {
        let second = json!({
            "carimbo_utc": "2025-12-01T03:00:00.020000Z", "sorteada": false, "entrada": "r-2 …", "req": "r-2", "cientista_id": 2, "chegada_utc": "2025-12-01T03:00:00.020000Z",
            "instante_clique_utc": null, "token_utc": null, "ida_volta_us": null, "ida_volta_de": null, "motivo": "sem_token"
        });
        json!({
            "timestamp_utc": "2025-12-01T03:00:01.000000Z", "level": "AUDIT", "event_type": CONTEST_DECIDED, "service": "servico-agendamento",
            "details": {
                "agendamento_id": 7, "cientista_id": 1, "horario_inicio_utc": "2025-12-02T03:00:00Z", "horario_fim_utc": "2025-12-02T03:05:00Z",
                "telescopio": "Hubble-Acad", "politica": "ordem", "janela_ms": 143, "margem_us": 3000, "empate_us": 5000, "sorteio": null,
                "entradas": [{
                    "carimbo_utc": "2025-12-01T03:00:00.010000Z", "sorteada": false, "entrada": "r-1 …", "req": "r-1", "cientista_id": 1,
                    "chegada_utc": "2025-12-01T03:00:00.060000Z", "instante_clique_utc": "2025-12-01T03:00:00.010000Z",
                    "token_utc": "2025-12-01T02:59:00.000000Z", "ida_volta_us": 100_000, "ida_volta_de": "token", "motivo": "como_alegado"
                }, second]
            },
            "seq": 9, "req": "r-1"
        })
    }

    fn judged(change: impl FnOnce(&mut Value)) -> (usize, usize) {
        let mut record = record();
        change(&mut record);
        let judged = judge(record.to_string().as_bytes()).unwrap();
        (judged.wrong.len(), judged.unknown.len())
    }

    #[test]
    fn a_record_that_was_decided_otherwise_contradicts_itself() {
        assert_eq!(judged(|_| ()), (0, 0));
        let entry = |nth: usize, field: &'static str, value: Value| {
            move |record: &mut Value| record["details"]["entradas"][nth][field] = value
        };
        // The credit is R/2 + m.
        assert_eq!(judged(entry(0, "ida_volta_us", json!(94_000))), (0, 0));
        assert_eq!(judged(entry(0, "ida_volta_us", json!(93_998))), (1, 0));
        assert_eq!(judged(entry(0, "token_utc", json!(null))), (1, 0));
        assert_eq!(judged(entry(0, "token_utc", json!("2025-12-01T03:00:00.011Z"))), (1, 0));
        assert_eq!(judged(entry(0, "req", json!("r-3"))), (1, 0));
        // It may have been earlier than the slot opened, and not later.
        assert_eq!(judged(entry(0, "abre_em_utc", json!("2025-12-01T03:00:00.010Z"))), (0, 0));
        assert_eq!(judged(entry(0, "abre_em_utc", json!("2025-12-01T03:00:00.010001Z"))), (1, 0));
        assert_eq!(judged(entry(1, "chegada_utc", json!("2025-12-01T03:00:00.009Z"))), (1, 0));
        let other_winner = |record: &mut Value| {
            record["details"]["entradas"].as_array_mut().unwrap().swap(0, 1);
            (record["req"], record["details"]["cientista_id"]) = (json!("r-2"), json!(2));
        };
        assert_eq!(judged(other_winner), (1, 0), "the stamps are not in order");
        assert_eq!(judged(|record| record["details"]["entradas"] = json!([])), (1, 0));
        // Of another version.
        let other = json!({"carimbo_utc": "2025-12-01T03:00:00.020000Z", "sorteada": false, "entrada": "x"});
        assert_eq!(judged(|record| record["details"]["entradas"][1] = other), (0, 1));
        assert_eq!(judged(|record| record["details"]["politica"] = json!("x")), (0, 1));
        assert!(judge(b"{}").is_err());
    }

    #[test]
    fn a_draw_is_drawn_anew() {
        // Of these two lots the second is smaller, as the winner's is.
        let lot = |seed: &str, words: &str| Sha256::digest(format!("{seed}\nX\n{words}"));
        let seed = (0..1000).map(|nth| format!("s{nth}")).find(|seed| lot(seed, "r-2 …") < lot(seed, "r-1 …"));
        let drawn = |change: &dyn Fn(&mut Value)| {
            judged(|record| {
                let details = &mut record["details"];
                details["sorteio"] = json!({"recurso": "X", "semente": seed});
                (details["empate_us"], details["cientista_id"]) = (json!(10_000), json!(2));
                let entries = details["entradas"].as_array_mut().unwrap();
                entries.swap(0, 1);
                for entry in entries.iter_mut() {
                    entry["sorteada"] = json!(true);
                }
                record["req"] = json!("r-2");
                change(record);
            })
        };
        assert_eq!(drawn(&|_| ()), (0, 0));
        assert_eq!(drawn(&|record| record["details"]["sorteio"] = json!(null)), (1, 0), "the smallest stamp wins");
        assert_eq!(drawn(&|record| record["details"]["empate_us"] = json!(9_999)), (1, 0));
        assert_eq!(drawn(&|record| record["details"]["entradas"][1]["sorteada"] = json!(false)), (0, 1));
        let swapped = |record: &mut Value| {
            record["details"]["entradas"].as_array_mut().unwrap().swap(0, 1);
            (record["details"]["cientista_id"], record["req"]) = (json!(1), json!("r-1"));
        };
        assert_eq!(drawn(&swapped), (1, 0), "the first has the larger lot");
        assert_eq!(drawn(&|record| record["details"]["entradas"][1]["cientista_id"] = json!(2)), (1, 0));
    }

    proptest! {
        #[test]
        fn a_stamp_is_found_anew_as_it_was_found(
            claim in prop::option::of(-400_000_i64..10_000),
            token in prop::option::of(-400_000_i64..10_000),
            round_trip_us in prop::option::of(0..400_000_u32),
            opens in prop::option::of(-400_000_i64..400_000),
        ) {
            let at = |micros: i64| Timestamp::from_micros(1_764_558_000_000_000 + micros).unwrap();
            let token_of = |sent: i64| Vouched { sent: at(sent), round_trip_us };
            let evidence = Evidence {
                arrived: at(0), claim: claim.map(at), token: token.map(token_of).ok_or(NotValid::Expired), connection_us: None, account_us: None,
            };
            let (stamp, opens_at) = (evidence.stamp(), opens.map(at));
            let stamp = opens_at.map_or(stamp, |opens_at| stamp.since(opens_at));
            let seen = Seen {
                req: String::new(), scientist_id: 1, arrived: stamp.arrived, claim: evidence.claim, token_at: stamp.token.ok(), opens_at,
                round_trip_us: stamp.round_trip.map(|(us, _)| us),
            };
            prop_assert_eq!(seen.stamp(MARGIN_US), stamp.at);
        }
    }
}
