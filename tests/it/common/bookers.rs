//! Clients that book and cancel at random while services die, the ledger of what they were told, and its comparison with the trail.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use super::asked::Asked;

/// Random choices that a seed repeats.
pub struct Dice(SplitMix64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    pub fn roll(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }
}

/// A whole number that the environment may set.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The answers that a client got about one booking.
#[derive(Clone, Debug)]
struct Told {
    slot: String,
    /// `None` before its cancellation was requested; then whether the cancellation was acknowledged.
    cancelled: Option<bool>,
    /// Whether a client is requesting the cancellation now.
    in_hand: bool,
}

/// The answers that all clients got.
#[derive(Default)]
pub struct Ledger {
    /// Acknowledged bookings by their number.
    booked: Mutex<HashMap<i64, Told>>,
    /// Requests that were refused with the answer that nothing was written.
    refused: Mutex<HashSet<String>>,
    /// Requests whose answer is that nobody knows: `resultado_incerto`.
    uncertain: Mutex<HashSet<String>>,
    /// The number of times of each answer.
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Ledger {
    /// What the clients were told: a line for each answer, with its number.
    pub fn told(&self) -> Vec<String> {
        self.counts.lock().unwrap().iter().map(|(what, count)| format!("{count:>8}  {what}")).collect()
    }

    /// How many bookings were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.booked.lock().unwrap().len()
    }

    /// Requests whose answer is that nobody knows, and how many of them made a record in the trail.
    pub fn uncertain(&self, records: &[Value]) -> (usize, usize) {
        let uncertain = self.uncertain.lock().unwrap();
        let made: HashSet<&str> = records.iter().filter_map(|record| record["req_cliente"].as_str()).collect();
        (uncertain.len(), uncertain.iter().filter(|request| made.contains(request.as_str())).count())
    }
}

/// The start of a slot that the clients compete for.
pub fn slot(index: u64) -> String {
    let (day, minute) = (1 + index / 288, index % 288 * 5);
    format!("2031-05-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

/// A client's connections. After `patience` the client does not know the result of its request.
pub fn agent(patience: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    config.timeout_global(Some(patience)).build().into()
}

/// One client, which books and cancels until it is stopped.
pub struct Booker<'a> {
    pub dice: Dice,
    pub name: String,
    /// The schedulers.
    pub urls: &'a [String],
    /// The number of slots that all clients compete for.
    pub slots: u64,
    pub ledger: &'a Ledger,
    pub agent: ureq::Agent,
    pub requests: u64,
}

impl Booker<'_> {
    /// Sends one request with its own identifier. `None` if its result is unknown.
    fn send(&mut self, method: &str, path: &str, body: &str) -> (String, Option<(u16, Value)>) {
        let url = &self.urls[usize::try_from(self.dice.below(self.urls.len() as u64)).unwrap()];
        self.requests += 1;
        let id = format!("{}-{}", self.name, self.requests);
        let request = ureq::http::Request::builder().method(method).uri(format!("{url}{path}"));
        let request = request.header("X-Request-Id", &id).header("Content-Type", "application/json");
        let answer = self.agent.run(request.body(body.to_owned()).unwrap()).ok().and_then(|mut answer| {
            let status = answer.status().as_u16();
            let body = answer.body_mut().read_to_string().ok()?;
            Some((status, serde_json::from_str::<Value>(&body).ok()?))
        });
        let what = match &answer {
            None => {
                // Without a pause, the clients of a dead process would take the CPU time of the others.
                std::thread::sleep(Duration::from_millis(10));
                "no answer".to_owned()
            }
            Some((status, body)) => format!("{status} {}", body["codigo"].as_str().unwrap_or(method)),
        };
        *self.ledger.counts.lock().unwrap().entry(what).or_default() += 1;
        if let Some((status, body)) = &answer
            && *status >= 400
        {
            match body["codigo"].as_str() {
                Some("resultado_incerto") => drop(self.ledger.uncertain.lock().unwrap().insert(id.clone())),
                Some("erro_interno") => {}
                _ => drop(self.ledger.refused.lock().unwrap().insert(id.clone())),
            }
        }
        (id, answer)
    }

    fn book(&mut self) {
        let start = slot(self.dice.below(self.slots));
        let scientist = 1 + i64::try_from(self.dice.below(10)).unwrap();
        let body = Asked::by(scientist, &start).text();
        if let (_, Some((201, booking))) = self.send("POST", "/agendamentos", &body) {
            let id = booking["id"].as_i64().expect("a booking has a number");
            assert_eq!(booking["horario_inicio_utc"], start);
            let told = Told { slot: start, cancelled: None, in_hand: false };
            assert!(self.ledger.booked.lock().unwrap().insert(id, told).is_none(), "booking {id} was given twice");
        }
    }

    fn cancel(&mut self) {
        let (id, asked_before) = {
            let mut booked = self.ledger.booked.lock().unwrap();
            // A booking whose cancellation was not acknowledged, and that no other client is cancelling.
            let free = |told: &Told| !told.in_hand && told.cancelled != Some(true);
            let Some((id, told)) = booked.iter_mut().find(|(_, told)| free(told)) else { return };
            told.in_hand = true;
            // From now on it may be cancelled.
            (*id, told.cancelled.replace(false))
        };
        let (request, answer) = self.send("DELETE", &format!("/agendamentos/{id}"), "");
        let mut booked = self.ledger.booked.lock().unwrap();
        let told = booked.get_mut(&id).expect("it is never removed");
        told.in_hand = false;
        match answer {
            Some((200, _)) => told.cancelled = Some(true),
            Some((409, body)) if body["codigo"] == "ja_cancelado" => {
                assert_eq!(asked_before, Some(false), "booking {id} was cancelled without a request");
                told.cancelled = Some(true);
            }
            // This request changed nothing.
            Some(_) if self.ledger.refused.lock().unwrap().contains(&request) => told.cancelled = asked_before,
            _ => {}
        }
    }

    /// Books and cancels until the end.
    pub fn run(mut self, end: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            if self.dice.below(100) < 55 { self.book() } else { self.cancel() }
        }
    }
}

/// What the trail says: the slot of each booking that was created, and the bookings that were cancelled.
pub struct Replayed<'a> {
    pub created: HashMap<i64, &'a str>,
    pub cancelled: HashSet<i64>,
}

impl<'a> Replayed<'a> {
    /// Replays the trail. No slot is booked twice in it, the tokens of each slot grow, and no refused request is in it.
    pub fn of(records: &'a [Value], ledger: &Ledger) -> Self {
        // The booking of each slot, and the last token that wrote to it.
        let (mut holders, mut tokens): (HashMap<&str, i64>, HashMap<&str, u64>) = (HashMap::new(), HashMap::new());
        let (mut created, mut cancelled) = (HashMap::new(), HashSet::new());
        for record in records {
            let (event, details) = (record["event_type"].as_str().unwrap(), &record["details"]);
            if !event.starts_with("AGENDAMENTO_") {
                continue;
            }
            let request = record["req_cliente"].as_str().unwrap();
            assert!(!ledger.refused.lock().unwrap().contains(request), "{request} was refused, and yet: {record}");
            let id = details["agendamento_id"].as_i64().unwrap();
            let start = details["horario_inicio_utc"].as_str().unwrap();
            let token = details["token"].as_u64().expect("it was written under a lock");
            if let Some(before) = tokens.insert(start, token) {
                assert!(token > before, "slot {start}: token {token} wrote after {before}");
            }
            if event == "AGENDAMENTO_CRIADO" {
                assert_eq!(holders.insert(start, id), None, "slot {start} was booked twice: {record}");
                assert!(created.insert(id, start).is_none(), "booking {id} was made twice");
            } else {
                assert_eq!(holders.remove(start), Some(id), "{record}");
                cancelled.insert(id);
            }
        }
        Self { created, cancelled }
    }

    /// Checks that the trail has all that the clients were told.
    pub fn keeps(&self, ledger: &Ledger) {
        for (id, told) in ledger.booked.lock().unwrap().iter() {
            let recorded = self.created.get(id).copied();
            assert_eq!(recorded, Some(told.slot.as_str()), "booking {id} was acknowledged and is lost");
            match told.cancelled {
                None => assert!(!self.cancelled.contains(id), "booking {id} was cancelled without any request"),
                Some(true) => {
                    assert!(self.cancelled.contains(id), "booking {id} was acknowledged as cancelled and is not");
                }
                Some(false) => {}
            }
        }
    }

    /// Checks that a database has the bookings of the trail. Its rows tell which of them are active.
    pub fn is(&self, rows: &HashMap<i64, bool>) {
        assert_eq!(rows.len(), self.created.len());
        for (id, active) in rows {
            assert_eq!(*active, !self.cancelled.contains(id), "booking {id}");
        }
    }
}

/// The token of a whole line, which ends with the microseconds of its stamp.
fn token_of(line: &str) -> Option<u64> {
    let (before, _) = line.rsplit_once(" us=")?;
    before.rsplit_once(" token=")?.1.parse().ok()
}

/// The tokens that a coordinator's log says were given, in order. Each kill may have lost some lines of the log.
pub fn granted(log: &str) -> Vec<u64> {
    // The last line of a killed process may be torn.
    log.lines().filter(|line| line.contains("Lock concedido para recurso")).filter_map(token_of).collect()
}

/// Checks that tokens, in the order in which they were given, grow; and gives the last.
#[track_caller]
pub fn tokens_grow(tokens: &[u64]) -> u64 {
    for pair in tokens.windows(2) {
        assert!(pair[1] > pair[0], "token {} was given after {}", pair[1], pair[0]);
    }
    tokens.last().copied().unwrap_or_default()
}
