//! Bookings' lives under stress: clients book, cancel, move, shorten, name and wait for a few slots, which operators close, through two schedulers on one folder
//! that are killed meanwhile, and so is the coordinator. Afterwards the trail is replayed, and gives exactly the database.
//!
//! `SCTEC_TEST_LIVES_OPERATIONS` is how many operations (2400 by default), and `SCTEC_TEST_LIVES_SEED` repeats the random choices of a run.

mod replay;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::replay::Replay;
use crate::common::bookers::Dice;
use crate::common::trail::{audit, texts};
use crate::common::{Server, coordinator_command, http, scheduler_command, try_http};

const CLIENTS: u64 = 6;
/// The slots that the clients compete for, at each of two telescopes.
const SLOTS: u64 = 10;
const TELESCOPES: [&str; 2] = ["Hubble-Acad", "Webb-Acad"];
/// How many bookings a scientist may have at the first telescope.
const QUOTA: i64 = 2;
/// How many minutes the proposal has at the second telescope.
const PAID_MIN: i64 = 20;

/// A maintenance of a few of the slots. Most may cancel what is booked there.
fn maintenance(dice: &mut Dice) -> Value {
    let from = dice.below(SLOTS);
    let at = |nth: u64| format!("2999-06-01T03:{:02}:00Z", nth * 5);
    let (start, end) = (at(from), at(from + 1 + dice.below(2)));
    json!({"inicio_utc": start, "fim_utc": end, "motivo": "espelho", "cancelar_agendamentos": dice.below(4) > 0})
}

/// What all clients know together.
#[derive(Default)]
struct World {
    urls: [RwLock<String>; 2],
    /// The largest numbers of a booking, of an entry and of a maintenance that were answered.
    bookings: AtomicI64,
    waits: AtomicI64,
    maintenances: AtomicI64,
    /// Acknowledged bookings.
    booked: Mutex<Vec<i64>>,
    answers: Mutex<BTreeMap<String, u64>>,
    left: AtomicU64,
}

impl World {
    /// One operation; gives its name, method, path and body.
    fn choose(&self, dice: &mut Dice) -> (&'static str, &'static str, String, Value) {
        let start = format!("2999-06-01T03:{:02}:00Z", dice.below(SLOTS) * 5);
        let telescope = TELESCOPES[usize::from(dice.below(3) == 0)];
        let (scientist, minutes) = (1 + dice.below(8), 5 * (1 + dice.below(3)));
        let newest = |count: &AtomicI64, of: u64, dice: &mut Dice| {
            let known = count.load(Ordering::Relaxed).max(1).cast_unsigned();
            known - dice.below(known.min(of))
        };
        let booking = format!("/agendamentos/{}", newest(&self.bookings, 10, dice));
        // The proposal pays at the second telescope only.
        let proposal = (telescope == TELESCOPES[1] && dice.below(2) == 0).then_some(1);
        match dice.below(40) {
            0..11 => (
                "book",
                "POST",
                "/agendamentos".to_owned(),
                json!({
                    "cientista_id": scientist, "horario_inicio_utc": start, "telescopio": telescope, "duracao_min": minutes,
                    "proposta_id": proposal,
                }),
            ),
            11..17 => ("cancel", "DELETE", booking, json!({"motivo": "nuvens"})),
            17..24 => ("move", "PATCH", booking, json!({"horario_inicio_utc": start, "telescopio": telescope})),
            24 | 25 => ("shorten", "PATCH", booking, json!({"duracao_min": 5})),
            26 => ("name", "PATCH", booking, json!({"alvo": format!("M{scientist}"), "observacoes": "frio"})),
            27..34 => (
                "wait",
                "POST",
                format!("/telescopios/{telescope}/agenda/{start}/espera"),
                json!({"cientista_id": scientist, "duracao_min": minutes, "alvo": "M31", "proposta_id": proposal}),
            ),
            34 => ("close", "POST", format!("/telescopios/{telescope}/manutencoes"), maintenance(dice)),
            35..38 => ("reopen", "DELETE", format!("/manutencoes/{}", newest(&self.maintenances, 3, dice)), json!({})),
            _ => ("leave", "DELETE", format!("/esperas/{}", newest(&self.waits, 20, dice)), json!({})),
        }
    }

    /// One client: operations until there are enough.
    fn run(&self, mut dice: Dice) {
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let (name, method, path, body) = self.choose(&mut dice);
            let url = self.urls[usize::from(dice.below(2) == 0)].read().unwrap().clone();
            let answer = try_http(method, &format!("{url}{path}"), Some(&body.to_string()));
            let said = match &answer {
                Ok(answer) => answer.status.to_string(),
                Err(_) => "none".to_owned(),
            };
            *self.answers.lock().unwrap().entry(format!("{name} {said}")).or_default() += 1;
            if let Ok(answer) = answer {
                let known = [200, 201, 404, 409, 422, 429, 503].contains(&answer.status);
                assert!(known, "{method} {path} {body}: {} {}", answer.status, answer.body);
                if answer.status == 201 {
                    let id = answer.json()["id"].as_i64().unwrap();
                    let count = match name {
                        "book" => &self.bookings,
                        "close" => &self.maintenances,
                        _ => &self.waits,
                    };
                    count.fetch_max(id, Ordering::Relaxed);
                    if name == "book" {
                        self.booked.lock().unwrap().push(id);
                    }
                }
            } else {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn start_scheduler(folder: &Path, coordinator: &str, world: &World, nth: usize) -> Server {
    // A lock whose scheduler was killed soon ends.
    let mut command = scheduler_command(folder, coordinator);
    let server = Server::spawn(command.args(["--lock-ttl-ms", "1000", "--lock-retention-ms", "0"]), 1);
    *world.urls[nth].write().unwrap() = server.url();
    server
}

/// The first telescope gets a quota, and the second one a proposal.
fn set_limits(scheduler: &Server) {
    let rules = json!({"regras": {"cota_ativas": QUOTA}}).to_string();
    let url = format!("{}/telescopios/{}", scheduler.url(), TELESCOPES[0]);
    assert_eq!(http("PATCH", &url, Some(("application/json", &rules))).status, 200);
    let proposal = json!({
        "titulo": "Tempestade", "responsavel_id": 1, "membros": [2, 3, 4, 5, 6, 7, 8], "inicio_utc": "2999-01-01T00:00:00Z",
        "fim_utc": "3000-01-01T00:00:00Z", "alocado_min": {(TELESCOPES[1]): PAID_MIN},
    });
    let url = format!("{}/propostas", scheduler.url());
    assert_eq!(http("POST", &url, Some(("application/json", &proposal.to_string()))).status, 201);
}

/// The files agree with each other, and the trail replayed is the database.
fn check(folder: &Path, world: &World) {
    let verified = audit(&["--data-dir", folder.to_str().unwrap(), "--verify", "--deep"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{:?}", texts(&verified));
    let replay = Replay::of(&std::fs::read_to_string(folder.join("audit.jsonl")).unwrap());
    replay.check_database(folder);
    for id in &*world.booked.lock().unwrap() {
        assert!(replay.bookings.contains_key(id), "booking {id} was acknowledged and has no record");
    }
    println!("{} promoted, {} passed over, {} moved", replay.promoted, replay.passed_over, replay.moved);
    println!("{} by a maintenance that was taken away", replay.reopened);
    // It was a storm indeed.
    assert!(replay.promoted > 0 && replay.passed_over > 0 && replay.moved > 0 && replay.reopened > 0);
}

#[test]
fn the_trail_of_a_stormy_agenda_replayed_is_the_agenda() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let operations = number("SCTEC_TEST_LIVES_OPERATIONS").unwrap_or(2400);
    let seed = number("SCTEC_TEST_LIVES_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("SCTEC_TEST_LIVES_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut coordinator = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    let gate = coordinator.url();
    let world = World { left: AtomicU64::new(operations), ..World::default() };
    let mut schedulers = [0, 1].map(|nth| start_scheduler(folder.path(), &gate, &world, nth));
    set_limits(&schedulers[0]);

    let (over, begun) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                let (world, dice) = (&world, Dice::new(seed.wrapping_mul(1000).wrapping_add(nth)));
                scope.spawn(move || world.run(dice))
            })
            .collect();
        let storm = scope.spawn(|| {
            let mut dice = Dice::new(seed ^ 0x5eed);
            // After an eighth of the operations each time, one of the three is killed and comes back.
            for blow in 1..=7_u64 {
                let until = operations - operations * blow / 8;
                while world.left.load(Ordering::Relaxed) > until && !over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                if over.load(Ordering::Relaxed) {
                    break;
                }
                match dice.below(7) {
                    0 => {
                        coordinator.kill();
                        let address = gate["http://".len()..].to_owned();
                        let mut command = coordinator_command(folder.path(), &address);
                        coordinator = Server::spawn(command.args(["--grace", "0"]), 1);
                    }
                    dealt => {
                        let nth = usize::from(dealt % 2 == 0);
                        schedulers[nth].kill();
                        schedulers[nth] = start_scheduler(folder.path(), &gate, &world, nth);
                    }
                }
            }
        });
        let ended: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        storm.join().unwrap();
        assert!(ended.iter().all(Result::is_ok));
    });
    let answers = world.answers.lock().unwrap().clone();
    println!("{operations} operations in {:?}: {answers:?}", begun.elapsed());
    for server in &mut schedulers {
        assert_eq!(server.terminate(), Some(0));
    }
    assert_eq!(coordinator.terminate(), Some(0));
    check(folder.path(), &world);
}
