//! Contests: who clicked first gets the slot, and not whose request came first.

mod crashes;
mod distance;
mod opening;
mod sites;
mod wire;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::common::trail::{audit, succeed, texts};
use crate::common::{Services, http, wait_until};

const SLOT: &str = "2025-12-01T03:00:00Z";

/// A client of the official time, whose clock is right.
pub(super) struct Client {
    url: String,
    pub(super) token: String,
}

impl Client {
    /// One that answers `pause` after it has an answer: the scheduler sees a round trip of that length.
    pub(super) fn at(url: &str, pause: Duration) -> Self {
        let first = time(url, "nonce=a");
        thread::sleep(pause);
        let second = time(url, &format!("nonce=b&anterior={}", first["token_hora"].as_str().unwrap()));
        let seen = second["ida_volta_us"].as_u64().unwrap();
        assert!(seen >= u64::try_from(pause.as_micros()).unwrap().min(300_000), "{second}");
        Self { url: url.to_owned(), token: second["token_hora"].as_str().unwrap().to_owned() }
    }

    /// Books with a click of that instant.
    pub(super) fn book(&self, scientist: i64, slot: &str, clicked: SystemTime) -> (u16, Value) {
        self.book_at(scientist, slot, &rfc3339(clicked))
    }

    /// The same, as the instant is written.
    fn book_at(&self, scientist: i64, slot: &str, clicked: &str) -> (u16, Value) {
        let token = &self.token;
        let body = json!({
            "cientista_id": scientist, "horario_inicio_utc": slot, "instante_clique_utc": clicked, "token_hora": token
        });
        book(&self.url, &body)
    }
}

fn time(url: &str, query: &str) -> Value {
    http("GET", &format!("{url}/time?{query}"), None).json()
}

fn book(url: &str, body: &Value) -> (u16, Value) {
    let answer = http("POST", &format!("{url}/agendamentos"), Some(("application/json", &body.to_string())));
    (answer.status, answer.json())
}

fn micros(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).unwrap().as_micros()
}

pub(super) fn rfc3339(at: SystemTime) -> String {
    sctec::time::Timestamp::from_micros(i64::try_from(micros(at)).unwrap()).unwrap().micros().to_string()
}

const MS: Duration = Duration::from_millis(1);

/// Attempts it with one slot after the other until it comes about: on a busy machine a request may come after the window.
fn sooner_or_later<T>(attempt: impl Fn(&str) -> Option<T>) -> T {
    let come_about = (1..=28).find_map(|day| attempt(&format!("2025-12-{day:02}T03:00:00Z")));
    come_about.expect("the requests never came in time")
}

/// What came about between a far client, scientist 1, and a near one, scientist 2.
struct FarAndNear {
    slot: String,
    /// When the far one clicked.
    clicked: SystemTime,
    answers: [(u16, Value); 2],
}

/// The far client clicks, and is on its way for 60 ms; the near one clicks and arrives 20 ms after it. Again, until these are the answers, and the far
/// client, if it wins, was not on its way for longer than its credit.
fn far_and_near(services: &Services, wanted: [u16; 2]) -> FarAndNear {
    let url = services.agenda("");
    let (far, near) = (Client::at(&url, 250 * MS), Client::at(&url, Duration::ZERO));
    sooner_or_later(|slot| {
        let clicked = SystemTime::now();
        let answers = thread::scope(|scope| {
            let far = scope.spawn(|| {
                thread::sleep(60 * MS);
                far.book(1, slot, clicked)
            });
            let near = scope.spawn(|| {
                thread::sleep(20 * MS);
                near.book(2, slot, clicked + 20 * MS)
            });
            [far.join().unwrap(), near.join().unwrap()]
        });
        let is_in_time = answers[0].0 == 409 || answers[0].1["carimbo_utc"] == rfc3339(clicked);
        let is_wanted = is_in_time && wanted == [answers[0].0, answers[1].0];
        is_wanted.then(|| FarAndNear { slot: slot.to_owned(), clicked, answers })
    })
}

#[test]
fn the_far_client_that_clicked_first_wins_over_the_near_one_that_arrived_first() {
    let services = Services::start(&["--audit-refusals"]);
    let FarAndNear { slot, clicked, answers: [far_answer, near_answer] } = far_and_near(&services, [201, 409]);
    assert_eq!(near_answer.1["codigo"], "recurso_ocupado");
    assert_eq!(services.log_lines("coordenador.log", &format!("Na disputa por recurso Hubble-Acad_{slot}")).len(), 2);
    let of_booking = |event: &str| {
        let path = format!("/auditoria?evento={event}&agendamento_id={}", far_answer.1["id"]);
        http("GET", &services.agenda(&path), None).json()
    };
    let records = of_booking("AGENDAMENTO_CRIADO");
    let stamp = &records["registros"][0]["details"]["carimbo"];
    assert_eq!(
        json!([stamp["utc"], stamp["token"], stamp["ida_volta_de"], stamp["motivo"]]),
        json!([rfc3339(clicked), "aceito", "token", "como_alegado"])
    );
    // The whole contest stands in the trail: who loses can see why.
    let contests = of_booking("DISPUTA_RESOLVIDA");
    let contest = &contests["registros"][0];
    assert_eq!(contests["registros"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&contest["details"]["agendamento_id"], &contest["details"]["politica"]),
        (&far_answer.1["id"], &json!("ordem"))
    );
    let entries = contest["details"]["entradas"].as_array().unwrap();
    let of = |name: &str| entries.iter().map(|entry| entry[name].clone()).collect::<Vec<_>>();
    assert_eq!((of("cientista_id"), &of("motivo")[0]), (vec![json!(1), json!(2)], &json!("como_alegado")));
    // The near one may have been held up on its way by a busy machine, and has hardly a credit.
    assert_eq!(of("carimbo_utc")[0], rfc3339(clicked));
    assert!(of("carimbo_utc")[1].as_str().unwrap() >= rfc3339(clicked + 20 * MS).as_str());
    assert!(of("chegada_utc")[0].as_str() > of("chegada_utc")[1].as_str(), "the winner arrived later");
    assert_eq!(entries[0]["req"], contest["req"]);
    // Both are led to it.
    let [won, lost] = [&far_answer, &near_answer].map(|(_, answer)| services.follow(answer, "disputa"));
    assert_eq!((won.status, lost.status), (200, 200), "{} {}", won.body, lost.body);
    assert_eq!(won.json(), lost.json());
    assert_eq!((&won.json()["entradas"], &won.json()["seq"]), (&contest["details"]["entradas"], &contest["seq"]));
    let other = services.book(3, "2025-12-01T04:00:00Z").1;
    assert_eq!(other["_links"]["disputa"], Value::Null);
    for path in [
        format!("/disputas/{}", other["id"]),
        "/telescopios/Hubble-Acad/agenda/2025-12-01T04:00:00Z/disputa".to_owned(),
    ] {
        let answer = http("GET", &services.agenda(&path), None);
        assert_eq!((answer.status, &answer.json()["codigo"]), (404, &json!("disputa_desconhecida")), "{path}");
    }
}

/// What the example in Python says of a contest: its exit status, and what it printed.
fn example(trail: &Path, id: &str) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/disputa.py");
    let output = Command::new("python3").arg(script).args([trail, Path::new(id)]).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_contest_is_decided_anew_from_its_record() {
    let services = Services::start(&[]);
    let FarAndNear { answers: [far, _], .. } = far_and_near(&services, [201, 409]);
    let (id, folder) = (far.1["id"].to_string(), services.stop());
    let data_dir = ["--data-dir", folder.path().to_str().unwrap()];
    let (shown, _) = succeed(&[&["--contest", &id][..], &data_dir[..]].concat());
    assert!(shown.contains("Decided anew, the winner is the same.") && shown.contains("policy ordem"), "{shown}");
    let other = audit(&[&["--contest", "77"][..], &data_dir[..]].concat()).output().unwrap();
    let (_, said) = texts(&other);
    assert!(other.status.code() == Some(1) && said.contains("no contest that booking 77 has won"), "{said}");
    succeed(&[&["--verify"][..], &data_dir[..]].concat());
    // The example in Python says the same, also of a record that was decided otherwise.
    let trail = folder.path().join("audit.jsonl");
    assert_eq!(example(&trail, &id), (Some(0), format!("agendamento {id}: cientista 1, confere\n")));
    let text = std::fs::read_to_string(&trail).unwrap();
    let (before, after) = text.rsplit_once("\"margem_us\":3000").unwrap();
    let changed = folder.path().join("changed.jsonl");
    // With this margin the claim was possible, and with a negative one it was not.
    std::fs::write(&changed, format!("{before}\"margem_us\":-200000{after}")).unwrap();
    let output = audit(&["--contest", &id, changed.to_str().unwrap()]).output().unwrap();
    let (shown, _) = texts(&output);
    assert!(output.status.code() == Some(1) && shown.contains("The record contradicts itself."), "{shown}");
    assert_eq!(example(&changed, &id).0, Some(1));
}

pub(super) fn decide_by(services: &Services, policy: &str) {
    let body = json!({"regras": {"disputa": policy}}).to_string();
    let url = services.agenda("/telescopios/Hubble-Acad");
    let answer = http("PATCH", &url, Some(("application/merge-patch+json", &body)));
    assert_eq!((answer.status, &answer.json()["regras"]["disputa"]), (200, &json!(policy)), "{}", answer.body);
}

#[test]
fn where_contests_are_drawn_all_take_part_and_the_draw_can_be_repeated() {
    let services = Services::start(&[]);
    decide_by(&services, "sorteio");
    let url = services.agenda("");
    let clients: Vec<Client> = (0..6).map(|nth| Client::at(&url, 40 * MS * nth)).collect();
    let (answers, contest) = sooner_or_later(|slot| {
        let barrier = Barrier::new(clients.len());
        let book = |(nth, client): (i64, &Client)| {
            barrier.wait();
            client.book(1 + nth / 2, slot, SystemTime::now())
        };
        let book = &book;
        let mut answers: Vec<(u16, Value)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..).zip(&clients).map(|client| scope.spawn(move || book(client))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        answers.sort_unstable_by_key(|(status, _)| *status);
        assert_eq!((answers[0].0, answers[1].0), (201, 409), "{answers:?}");
        // Nobody may have met the first of them in time.
        answers[0].1["_links"]["disputa"].as_object()?;
        let contest = services.follow(&answers[0].1, "disputa").json();
        let entries = contest["entradas"].as_array().unwrap();
        (entries.len() == clients.len()).then_some((answers, contest))
    });
    let drawn = contest["entradas"].as_array().unwrap().iter().filter(|entry| entry["sorteada"] == true).count();
    assert_eq!((drawn, &contest["politica"]), (3, &json!("sorteio")), "each of three scientists once: {contest}");
    let (id, folder) = (answers[0].1["id"].to_string(), services.stop());
    let data_dir = ["--data-dir", folder.path().to_str().unwrap()];
    succeed(&[&["--contest", &id][..], &data_dir[..]].concat());
    succeed(&[&["--verify"][..], &data_dir[..]].concat());
    let trail = folder.path().join("audit.jsonl");
    assert_eq!(example(&trail, &id).0, Some(0));
    // With the seed of another draw the winner may be the same, and the chain is not.
    let seed = contest["sorteio"]["semente"].as_str().unwrap();
    let other = folder.path().join("other.jsonl");
    let text = std::fs::read_to_string(&trail).unwrap();
    let (link, digit) = seed.split_at(seed.len() - 1);
    let changed = format!("{link}{}", if digit == "0" { "1" } else { "0" });
    std::fs::write(&other, text.replace(seed, &changed)).unwrap();
    let output = audit(&["--contest", &id, other.to_str().unwrap()]).output().unwrap();
    assert!(output.status.code() == Some(1) && texts(&output).0.contains("the seed is not of the chain"), "{output:?}");
    assert_eq!(example(&other, &id).0, Some(1));
}

#[test]
fn where_the_arrival_decides_there_is_no_contest() {
    let services = Services::start(&[]);
    decide_by(&services, "chegada");
    far_and_near(&services, [409, 201]);
    assert!(services.log_lines("coordenador.log", "Na disputa").is_empty());
}

#[test]
fn a_client_without_a_token_is_in_the_contest_with_its_arrival() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    let far = Client::at(&url, 250 * MS);
    sooner_or_later(|slot| {
        let clicked = SystemTime::now();
        let (far, plain) = thread::scope(|scope| {
            let plain = scope.spawn(|| {
                thread::sleep(15 * MS);
                book(&url, &json!({"cientista_id": 2, "horario_inicio_utc": slot}))
            });
            thread::sleep(40 * MS);
            (far.book(1, slot, clicked), plain.join().unwrap())
        });
        ((far.0, plain.0) == (201, 409)).then_some(())
    });
}

#[test]
fn a_claim_is_worth_no_more_than_half_of_what_was_measured() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    let (far, liar) = (Client::at(&url, 200 * MS), Client::at(&url, Duration::ZERO));
    sooner_or_later(|slot| {
        let clicked = SystemTime::now();
        let (honest, lied) = thread::scope(|scope| {
            let honest = scope.spawn(|| {
                thread::sleep(60 * MS);
                far.book(1, slot, clicked)
            });
            thread::sleep(30 * MS);
            // Near, and says that it clicked an hour ago.
            let lied = liar.book(2, slot, clicked - Duration::from_secs(3600));
            (honest.join().unwrap(), lied)
        });
        ((honest.0, lied.0) == (201, 409)).then_some(())
    });
}

#[test]
fn where_no_token_lives_nobody_waits() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let begun = Instant::now();
    assert_eq!(services.book(1, SLOT).0, 201);
    assert_eq!(services.book(2, SLOT).0, 409);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(services.log_lines("coordenador.log", "Na disputa").is_empty());
}

#[test]
fn every_contest_has_one_winner_through_two_schedulers() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let second = services.another_scheduler(&["--lock-retention-ms", "0"]);
    let urls = [services.agenda(""), second.url()];
    let clients: Vec<Client> =
        (0..10).map(|nth| Client::at(&urls[nth % 2], 10 * MS * u32::try_from(nth).unwrap())).collect();
    for round in 0..10 {
        let slot = format!("2025-12-02T{round:02}:00:00Z");
        let barrier = Barrier::new(clients.len());
        let book = |(nth, client): (usize, &Client)| {
            barrier.wait();
            let clicked = SystemTime::now();
            thread::sleep(5 * MS * u32::try_from(nth).unwrap());
            client.book(1 + i64::try_from(nth).unwrap(), &slot, clicked).0
        };
        let book = &book;
        let mut statuses: Vec<u16> = thread::scope(|scope| {
            let threads: Vec<_> = clients.iter().enumerate().map(|client| scope.spawn(move || book(client))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 9][..]), "round {round}");
    }
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 10);
}

#[test]
fn a_scheduler_that_dies_after_it_has_won_holds_up_the_slot_for_its_lease_alone() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let mut dying = services.another_scheduler(&["--critical-delay-ms", "60000", "--lock-ttl-ms", "1000"]);
    let near = Client::at(&services.agenda(""), Duration::ZERO);
    let body = json!({
        "cientista_id": 1, "horario_inicio_utc": SLOT, "token_hora": Client::at(&dying.url(), 50 * MS).token
    })
    .to_string();
    let mut connection = TcpStream::connect(dying.url().strip_prefix("http://").unwrap()).unwrap();
    let head = format!("Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    write!(connection, "POST /agendamentos HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
    let lock = services.locks(&format!("/locks/Hubble-Acad_{SLOT}"));
    wait_until("it has won its contest", || http("GET", &lock, None).json()["token"].is_u64());
    dying.kill();
    wait_until("the lease is over", || {
        let (status, answer) = near.book(2, SLOT, SystemTime::now());
        assert!(status == 201 || answer["codigo"] == "recurso_ocupado", "{answer}");
        status == 201
    });
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 1);
}

/// Asks the coordinator for a lock, on a thread of its own.
fn lock<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    url: &str,
    body: &Value,
) -> thread::ScopedJoinHandle<'scope, (u16, Value)> {
    let (url, body) = (format!("{url}/lock"), body.to_string());
    scope.spawn(move || {
        let answer = http("POST", &url, Some(("application/json", &body)));
        (answer.status, answer.json())
    })
}

#[test]
fn the_coordinator_decides_by_stamps_when_the_window_closes() {
    let services = Services::start(&[]);
    let url = services.locks("");
    let entry = |stamp: u64, entry: &str| json!({"recurso": "X", "disputa": {"carimbo_us": stamp, "janela_ms": 300, "entrada": entry}});
    thread::scope(|scope| {
        let first = lock(scope, &url, &entry(500, "a"));
        wait_until("it is in the contest", || http("GET", &services.locks("/locks/X"), None).json()["fila"] == 1);
        let begun = Instant::now();
        let second = lock(scope, &url, &entry(100, "b"));
        // Who is in no contest is refused at once, and who wants something else has it at once.
        let plain = lock(scope, &url, &json!({"recurso": "X"})).join().unwrap();
        assert_eq!((plain.0, &plain.1["token"]), (409, &Value::Null), "{}", plain.1);
        assert_eq!(lock(scope, &url, &json!({"recurso": "Y"})).join().unwrap().0, 200);
        let (second, first) = (second.join().unwrap(), first.join().unwrap());
        assert_eq!((second.0, first.0), (200, 409), "{second:?} {first:?}");
        assert_eq!(first.1["token"], second.1["token"], "the loser is told of the winner");
        assert_eq!(
            second.1["disputa"],
            json!([
                {"carimbo_us": 100, "entrada": "b", "sorteada": false}, {"carimbo_us": 500, "entrada": "a", "sorteada": false}
            ])
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody prolongs the window");
        // Late.
        assert_eq!(lock(scope, &url, &entry(1, "c")).join().unwrap().0, 409);
    });
    for (contest, field) in [(json!({"carimbo_us": 1, "janela_ms": 301}), "disputa.janela_ms"), (json!(7), "disputa")] {
        let body = json!({"recurso": "Z", "disputa": contest}).to_string();
        let answer = http("POST", &services.locks("/lock"), Some(("application/json", &body)));
        assert_eq!((answer.status, &answer.json()["erros"][0]["campo"]), (422, &json!(field)), "{}", answer.body);
    }
}
