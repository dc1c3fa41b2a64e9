//! A service dies within a window: nobody wins twice, everybody hears something, and the slot is free again. And a contest holds up nobody else.
//!
//! A window is over in a fraction of a second, and a busy machine may be too slow to kill anybody within it. So each of these tests begins anew, with
//! another slot, until what it waits for was seen; what must hold whenever the service dies, it checks each time.

use std::thread;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Client, MS, book, rfc3339};
use crate::common::{Answer, Server, Services, coordinator_command, http, try_http, try_http_with, wait_until};

/// How often a test begins anew.
const TRIES: usize = 20;

/// The slot of a try.
fn slot(nth: usize) -> String {
    format!("2031-12-03T{nth:02}:00:00Z")
}

/// How many bookings of a slot there are.
fn bookings(services: &Services, slot: &str) -> usize {
    let until = slot.replace(":00:00Z", ":05:00Z");
    services.list(&format!("?telescopio=Hubble-Acad&status=AGENDADO&de={slot}&ate={until}")).len()
}

/// Whether so many are in the contest for a slot, as the coordinator says.
fn are_in_contest(services: &Services, slot: &str, count: u64) -> bool {
    http("GET", &services.locks(&format!("/locks/Hubble-Acad_{slot}")), None).json()["fila"].as_u64() >= Some(count)
}

impl Client {
    /// Books with a key, from a scheduler that may die before it answers.
    fn try_to_book(&self, scientist: i64, slot: &str, clicked: SystemTime, key: &str) -> Result<Answer, String> {
        let body = json!({
            "cientista_id": scientist, "horario_inicio_utc": slot, "instante_clique_utc": rfc3339(clicked), "token_hora": self.token
        });
        let (url, body) = (format!("{}/agendamentos", self.url), body.to_string());
        try_http_with("POST", &url, Some(("application/json", &body)), &[("Idempotency-Key", key)])
    }
}

#[test]
fn a_coordinator_that_dies_within_a_window_lets_nobody_win_twice_and_everybody_hears_of_it() {
    let mut services = Services::start(&["--lock-ttl-ms", "1000", "--lock-retention-ms", "0"]);
    let address = services.locks("")["http://".len()..].to_owned();
    let all_were_in_the_window = (0..TRIES).any(|nth| {
        let (slot, url) = (slot(nth), services.agenda(""));
        let clients = [250, 100, 0].map(|pause| Client::at(&url, pause * MS));
        let book_by = |(scientist, client): (i64, &Client)| client.book(scientist, &slot, SystemTime::now());
        let book_by = &book_by;
        let answers: Vec<(u16, Value)> = thread::scope(|scope| {
            let threads: Vec<_> = (1..).zip(&clients).map(|client| scope.spawn(move || book_by(client))).collect();
            wait_until("the contest has begun, or is over", || {
                are_in_contest(&services, &slot, 1) || threads.iter().any(thread::ScopedJoinHandle::is_finished)
            });
            services.coordinator.kill();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let of = |wanted: u16| answers.iter().filter(|(status, _)| *status == wanted).count();
        let (won, lost, not_known) = (of(201), of(409), of(503));
        assert!(won <= 1 && won + lost + not_known == 3, "{answers:?}");
        for (_, answer) in answers.iter().filter(|(status, _)| *status == 503) {
            assert_eq!(answer["codigo"], "coordenador_indisponivel", "{answer}");
        }
        services.coordinator = Server::spawn(&mut coordinator_command(services.data_dir(), &address), 1);
        // One that was told of no decision may have a lease that nobody knows of; it is over after the grace.
        let mut last = (0, Value::Null);
        wait_until("the slot is free again, or somebody has it", || {
            last = book(&url, &json!({"cientista_id": 4, "horario_inicio_utc": slot}));
            last.0 == 201 || last.1["codigo"] == "horario_ocupado"
        });
        assert_eq!((last.0 == 201, bookings(&services, &slot)), (won == 0, 1), "{answers:?} {last:?}");
        not_known == 3
    });
    assert!(all_were_in_the_window, "it was never killed within a window");
}

#[test]
fn a_scheduler_that_dies_within_a_window_leaves_the_slot_to_its_rival_and_its_client_learns_the_outcome_by_its_key() {
    let services = Services::start(&["--lock-ttl-ms", "1000", "--lock-retention-ms", "0"]);
    let the_rival_has_won = (0..TRIES).any(|nth| {
        let slot = slot(nth);
        let mut dying = services.another_scheduler(&["--lock-ttl-ms", "1000", "--lock-retention-ms", "0"]);
        let (far, near) = (Client::at(&dying.url(), 250 * MS), Client::at(&services.agenda(""), 200 * MS));
        let clicked = SystemTime::now();
        let key = format!("chave-{nth}");
        let (cut_off, rival) = thread::scope(|scope| {
            let cut_off = scope.spawn(|| far.try_to_book(1, &slot, clicked, &key));
            let rival = scope.spawn(|| near.book(2, &slot, clicked + 100 * MS));
            wait_until("both are in the contest, or it is over", || {
                are_in_contest(&services, &slot, 2) || cut_off.is_finished() || rival.is_finished()
            });
            dying.kill();
            (cut_off.join().unwrap(), rival.join().unwrap())
        });
        // Without the crash the far client wins: it clicked first. If it has, its rival was told so.
        assert!(matches!(rival.0, 201 | 409), "{rival:?}");
        let again = Client { url: services.agenda(""), token: far.token.clone() };
        let mut repeated = None;
        wait_until("the client that was cut off learns what became of its request", || {
            let answer = again.try_to_book(1, &slot, clicked, &key).unwrap();
            let is_known = answer.status == 201 || answer.json()["codigo"] == "horario_ocupado";
            repeated = Some(answer);
            is_known
        });
        let repeated = repeated.unwrap();
        let winners = usize::from(rival.0 == 201) + usize::from(repeated.status == 201);
        assert_eq!((winners, bookings(&services, &slot)), (1, 1), "{rival:?} {}", repeated.body);
        if let Ok(answer) = &cut_off {
            assert_eq!(answer.status, repeated.status, "{} {}", answer.body, repeated.body);
        }
        cut_off.is_err() && rival.0 == 201
    });
    assert!(the_rival_has_won, "it was never killed within a window");
}

#[test]
fn a_contest_in_progress_holds_up_no_other_lock_and_no_other_booking() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    // The other bookings are on a telescope where nothing is contested: else they would wait for rivals of their own.
    let (rules, url) = (json!({"regras": {"disputa": "chegada"}}), services.agenda("/telescopios/Webb-Acad"));
    assert_eq!(http("PATCH", &url, Some(("application/json", &rules.to_string()))).status, 200);
    let url = services.agenda("");
    let far = Client::at(&url, 250 * MS);
    let (mut locks_went_by, mut bookings_went_by) = (false, false);
    for nth in 0..TRIES {
        if locks_went_by && bookings_went_by {
            return;
        }
        let slot = slot(nth);
        thread::scope(|scope| {
            let contested = scope.spawn(|| far.book(1, &slot, SystemTime::now()));
            wait_until("the contest has begun, or is over", || {
                are_in_contest(&services, &slot, 1) || contested.is_finished()
            });
            let body = json!({"recurso": format!("X-{nth}")}).to_string();
            let lock = try_http("POST", &services.locks("/lock"), Some(&body)).unwrap();
            locks_went_by |= !contested.is_finished();
            let other = book(&url, &json!({"cientista_id": 2, "horario_inicio_utc": slot, "telescopio": "Webb-Acad"}));
            bookings_went_by |= !contested.is_finished();
            assert_eq!((lock.status, other.0, contested.join().unwrap().0), (200, 201, 201), "{}", other.1);
        });
    }
    assert!(locks_went_by && bookings_went_by, "{locks_went_by} {bookings_went_by}");
}
