//! Exactly once: the races that other systems lost, each named after where it was reported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};

use serde_json::{Value, json};

use crate::common::{Services, count, http, pause, signal, wait_until};

const SLOT: &str = "2025-12-01T03:00:00Z";

/// Runs `request` on `n` threads at one instant and counts the statuses.
fn at_once(n: usize, request: impl Fn(usize) -> u16 + Send + Sync) -> BTreeMap<u16, usize> {
    let barrier = Barrier::new(n);
    let (barrier, request) = (&barrier, &request);
    let mut counts = BTreeMap::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n)
            .map(|index| {
                scope.spawn(move || {
                    barrier.wait();
                    request(index)
                })
            })
            .collect();
        for thread in threads {
            *counts.entry(thread.join().unwrap()).or_default() += 1;
        }
    });
    counts
}

fn slot(index: usize) -> String {
    format!("2025-12-{:02}T{:02}:{:02}:00Z", 1 + index / 288, index / 12 % 24, index % 12 * 5)
}

#[test]
fn calcom_13397_ten_parallel_requests_for_one_slot_book_it_once() {
    let services = Services::start(&[]);
    for round in 0..20 {
        let start = slot(round);
        let counts = at_once(10, |index| services.book(1 + i64::try_from(index % 10).unwrap(), &start).0);
        assert_eq!(counts, BTreeMap::from([(201, 1), (409, 9)]), "round {round}");
    }
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 20);
    assert_eq!(services.log_lines("app.log", "AGENDAMENTO_CRIADO").len(), 20);
    assert_eq!(services.log_lines("app.log", "Lock adquirido com sucesso").len(), 20);
    assert_eq!(services.log_lines("app.log", "Falha ao adquirir lock").len(), 180);
    assert_eq!(services.log_lines("coordenador.log", "Lock concedido").len(), 20);
    assert_eq!(services.log_lines("coordenador.log", "negando lock").len(), 180);
    assert_eq!(services.log_lines("coordenador.log", "Lock liberado").len(), 20);
}

#[test]
fn the_database_refuses_rivals_after_the_retention_too() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (status, winner) = services.book(1, SLOT);
    assert_eq!(status, 201);
    for _ in 0..5 {
        let (status, problem) = services.book(2, SLOT);
        assert_eq!((status, problem["codigo"].as_str()), (409, Some("horario_ocupado")));
        assert_eq!(problem["agendamento_id"], winner["id"]);
        // The refusal's link leads to the booking that has the slot.
        let listed = services.follow(&problem, "agendamentos").json();
        assert_eq!(listed["agendamentos"][0]["cientista_id"], 1);
    }
    let counts = at_once(10, |_| services.book(3, SLOT).0);
    assert_eq!(counts, BTreeMap::from([(409, 10)]));
}

#[test]
fn a_booking_of_several_slots_is_all_or_nothing() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let book = |start: &str, minutes: i64| {
        services.book_with(&json!({"cientista_id": 1, "horario_inicio_utc": start, "duracao_min": minutes}))
    };
    assert_eq!(book("2025-12-01T03:10:00Z", 5).0, 201);
    let (status, problem) = book(SLOT, 30);
    assert_eq!((status, problem["horario_inicio_utc"].as_str()), (409, Some("2025-12-01T03:10:00Z")));
    assert_eq!(services.count("SELECT count(*) FROM horarios"), 1);
    assert_eq!(book(SLOT, 10).0, 201);
    assert_eq!(book("2025-12-01T03:15:00Z", 1440).0, 201);
    assert_eq!(services.count("SELECT count(*) FROM horarios WHERE agendamento_id IS NOT NULL"), 1 + 2 + 288);
}

#[test]
fn sharetribe_27_random_books_and_cancels_over_many_slots_neither_hang_nor_overlap() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let counts = at_once(8, |thread| {
        let mut random = thread as u64 + 1;
        let mut next = move |below: usize| {
            // Pseudorandom with Knuth's MMIX constants, so that each run is the same.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap() % below
        };
        let mut mine: Vec<Value> = Vec::new();
        for _ in 0..60 {
            if !mine.is_empty() && next(3) == 0 {
                let booking = mine.swap_remove(next(mine.len()));
                let status = services.follow(&booking, "cancelar").status;
                assert!(status == 200 || status == 409, "{status}");
                if status == 409 {
                    mine.push(booking);
                }
            } else {
                let (start, minutes) = (slot(next(36)), 5 * (1 + next(6)));
                let body = json!({"cientista_id": 1 + thread, "horario_inicio_utc": start, "duracao_min": minutes});
                let (status, answer) = services.book_with(&body);
                assert!(status == 201 || status == 409, "{status} {answer}");
                if status == 201 {
                    mine.push(answer);
                }
            }
        }
        0
    });
    assert_eq!(counts, BTreeMap::from([(0, 8)]));
    let overlapping = "SELECT count(*) FROM agendamentos a JOIN agendamentos b ON a.id < b.id AND a.status = 'AGENDADO'
        AND b.status = 'AGENDADO' AND a.inicio_us < b.fim_us AND b.inicio_us < a.fim_us";
    assert_eq!(services.count(overlapping), 0);
    // Each active booking has exactly its slots, and each taken slot has one booking.
    let slots_of_bookings =
        "SELECT coalesce(sum((fim_us - inicio_us) / 300000000), 0) FROM agendamentos WHERE status = 'AGENDADO'";
    let claimed = "SELECT count(*) FROM horarios h JOIN agendamentos a ON a.id = h.agendamento_id
        AND a.status = 'AGENDADO' AND h.inicio_us >= a.inicio_us AND h.inicio_us < a.fim_us";
    assert_eq!(services.count(slots_of_bookings), services.count(claimed));
    assert_eq!(
        services.count(claimed),
        services.count("SELECT count(*) FROM horarios WHERE agendamento_id IS NOT NULL")
    );
}

#[test]
fn indico_4315_cancel_against_book_on_one_slot_many_times() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (_, mut standing) = services.book(1, SLOT);
    for _ in 0..30 {
        let results = std::sync::Mutex::new(Vec::new());
        at_once(4, |index| {
            let (status, answer) = if index == 0 {
                let answer = services.follow(&standing, "cancelar");
                (answer.status, answer.json())
            } else {
                services.book(2, SLOT)
            };
            results.lock().unwrap().push((index, status, answer));
            status
        });
        let results = results.into_inner().unwrap();
        assert!(results.iter().all(|(_, status, _)| matches!(status, 200 | 201 | 409)), "{results:?}");
        let active = services.count("SELECT count(*) FROM agendamentos WHERE status = 'AGENDADO'");
        let cancelled = results.iter().any(|(index, status, _)| *index == 0 && *status == 200);
        let booked = results.iter().find(|(index, status, _)| *index > 0 && *status == 201);
        assert!(booked.is_none() || cancelled, "booked over a booking that stands: {results:?}");
        assert_eq!(active, usize::from(!cancelled || booked.is_some()));
        if let Some((_, _, booking)) = booked {
            standing = booking.clone();
        } else if cancelled {
            standing = services.book(1, SLOT).1;
        }
    }
}

#[test]
fn calcom_10789_of_two_cancellations_one_counts() {
    let services = Services::start(&[]);
    let (_, booking) = services.book(1, SLOT);
    let counts = at_once(8, |_| services.follow(&booking, "cancelar").status);
    assert_eq!(counts, BTreeMap::from([(200, 1), (409, 7)]));
    assert_eq!(services.log_lines("app.log", "AGENDAMENTO_CANCELADO").len(), 1);
    let again = services.follow(&booking, "cancelar");
    assert_eq!((again.status, again.json()["codigo"].as_str()), (409, Some("ja_cancelado")));
}

#[test]
fn a_cancelled_slot_can_be_booked_again_at_once() {
    let services = Services::start(&[]);
    let (_, booking) = services.book(1, SLOT);
    let href = booking["_links"]["cancelar"]["href"].as_str().unwrap();
    let body = r#"{"motivo": "nuvens de poeira"}"#;
    let cancelled = http("DELETE", &services.agenda(href), Some(("application/json", body)));
    let cancelled = (cancelled.status, cancelled.json());
    assert_eq!((cancelled.0, cancelled.1["status"].as_str()), (200, Some("CANCELADO")));
    assert_eq!(cancelled.1["motivo_cancelamento"], "nuvens de poeira");
    assert!(cancelled.1["_links"]["cancelar"].is_null() && cancelled.1["_links"]["agendar"].is_object());
    assert_eq!(services.book(2, SLOT).0, 201);
    assert_eq!(services.list("?status=AGENDADO").len(), 1);
    assert_eq!(services.list("?status=CANCELADO").len(), 1);
}

#[test]
fn pretix_329_different_slots_never_wait_for_each_other() {
    // Each booking holds its lock for a second. If they ran one after the other, the second would begin after the first had
    // saved.
    let services = Services::start(&["--critical-delay-ms", "1000"]);
    let counts = at_once(16, |index| services.book(1, &slot(index)).0);
    assert_eq!(counts, BTreeMap::from([(201, 16)]));
    let lines = services.log_lines("app.log", "");
    let first_save = lines.iter().position(|line| line.contains("Salvando novo")).unwrap();
    let holders = lines[..first_save].iter().filter(|line| line.contains("Lock adquirido")).count();
    assert!(holders > 1, "{lines:#?}");
}

#[test]
fn pretix_1802_a_console_that_nobody_reads_slows_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = crate::common::sctec()
        .args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut console = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("servico-agendamento:escutando") {
        line.clear();
        assert_ne!(console.read_line(&mut line).unwrap(), 0);
    }
    let url = line.split_once("escutando em ").unwrap().1.split(' ').next().unwrap().to_owned();
    // From here on nobody reads the pipe. It holds 64 KiB, some hundreds of lines.
    let counts = at_once(8, |thread| {
        for _ in 0..500 {
            assert_eq!(http("GET", &format!("{url}/time?{thread}"), None).status, 200);
        }
        let body = json!({"cientista_id": 1, "horario_inicio_utc": slot(thread)}).to_string();
        http("POST", &format!("{url}/agendamentos"), Some(("application/json", &body))).status
    });
    signal(child.id(), "TERM");
    let mut status = None;
    wait_until("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!((counts, status.unwrap().code()), (BTreeMap::from([(201, 8)]), Some(0)));
    let logged = std::fs::read_to_string(folder.path().join("app.log")).unwrap();
    assert_eq!(logged.matches("GET /time").count(), 4000, "the file has every line");
}

#[test]
fn t3code_3983_clients_hours_off_have_no_effect_on_who_may_book() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    for (index, click) in
        ["2025-11-30T22:00:00Z", "2025-12-01T08:00:00Z", "1970-01-01T00:00:00Z"].into_iter().enumerate()
    {
        let body = |scientist: i64| json!({"cientista_id": scientist, "horario_inicio_utc": slot(index), "instante_clique_utc": click});
        let (status, booking) = services.book_with(&body(1));
        assert_eq!(status, 201);
        assert!(booking["instante_clique_utc"].as_str().unwrap().starts_with(&click[..19]));
        // An earlier click does not win a slot that is booked already.
        assert_eq!(services.book_with(&body(2)).0, 409);
    }
}

#[test]
fn eventyay_1359_without_the_gate_nothing_is_booked_and_with_it_all_goes_on() {
    let mut services = Services::start(&[]);
    assert_eq!(services.book(1, &slot(0)).0, 201);
    services.coordinator.kill();
    for _ in 0..3 {
        let answer = http(
            "POST",
            &services.agenda("/agendamentos"),
            Some(("application/json", &json!({"cientista_id": 1, "horario_inicio_utc": slot(1)}).to_string())),
        );
        assert_eq!((answer.status, answer.json()["codigo"].as_str()), (503, Some("coordenador_indisponivel")));
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(http("GET", &services.agenda("/pronto"), None).status, 503);
    assert_eq!(http("GET", &services.agenda("/saude"), None).status, 200);
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 1);
    services.restart_coordinator();
    assert_eq!(services.book(1, &slot(1)).0, 201);
    assert_eq!(http("GET", &services.agenda("/pronto"), None).status, 200);
}

#[test]
fn a_booking_gives_up_on_a_coordinator_that_hangs() {
    let services = Services::start(&[]);
    pause(services.coordinator.pid());
    let (status, problem) = services.book(1, SLOT);
    signal(services.coordinator.pid(), "CONT");
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("coordenador_indisponivel")));
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 0);
}

#[test]
fn a_conflict_over_midnight_leads_to_the_day_of_the_slot_that_was_not_free() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let late = json!({"cientista_id": 1, "horario_inicio_utc": "2031-05-06T23:50:00Z", "duracao_min": 30});
    let next_day = "2031-05-07T00:05:00Z";
    let slot_in_agenda = |problem: &Value| {
        let agenda = services.follow(problem, "agenda").json();
        let slots = agenda["horarios"].as_array().unwrap().clone();
        slots.into_iter().find(|slot| slot["horario_inicio_utc"] == next_day).expect("the slot is in the day")
    };
    // Another client holds the lock of one slot.
    let lock = json!({"recurso": format!("Hubble-Acad_{next_day}")}).to_string();
    let held = http("POST", &services.locks("/lock"), Some(("application/json", &lock)));
    assert_eq!(held.status, 200, "{}", held.body);
    let (status, problem) = services.book_with(&late);
    assert_eq!((status, problem["codigo"].as_str()), (409, Some("recurso_ocupado")), "{problem}");
    assert_eq!(slot_in_agenda(&problem)["estado"], "livre");
    let unlock = json!({"trava_id": held.json()["trava_id"]}).to_string();
    assert_eq!(http("POST", &services.locks("/unlock"), Some(("application/json", &unlock))).status, 200);
    // The slot has a booking.
    let (status, booking) = services.book(2, next_day);
    assert_eq!(status, 201, "{booking}");
    let (status, problem) = services.book_with(&late);
    assert_eq!((status, problem["horario_inicio_utc"].as_str()), (409, Some(next_day)), "{problem}");
    assert_eq!(slot_in_agenda(&problem)["agendamento_id"], booking["id"]);
}

#[test]
fn a_client_that_goes_away_leaves_nothing_half_done() {
    let services = Services::start(&["--critical-delay-ms", "200", "--lock-retention-ms", "0"]);
    let body = json!({"cientista_id": 1, "horario_inicio_utc": SLOT}).to_string();
    let mut stream = TcpStream::connect(services.agenda_address()).unwrap();
    let head = format!("POST /agendamentos HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Lock adquirido")));
    drop(stream);
    // The booking had begun, so it is completed: booked, recorded, and the lock given back.
    services.wait_for_log("coordenador.log", |lines| lines.iter().any(|line| line.contains("Lock liberado")));
    assert_eq!(services.list("?status=AGENDADO").len(), 1);
    assert_eq!(services.log_lines("app.log", "AGENDAMENTO_CRIADO").len(), 1);
    assert_eq!(services.book(2, SLOT).1["codigo"], "horario_ocupado");
}

#[test]
fn a_scheduler_killed_between_lock_and_commit_leaves_the_slot_bookable_after_the_ttl() {
    let mut services = Services::start(&["--critical-delay-ms", "60000", "--lock-ttl-ms", "5000"]);
    let body = json!({"cientista_id": 1, "horario_inicio_utc": SLOT, "duracao_min": 15}).to_string();
    let mut stream = TcpStream::connect(services.agenda_address()).unwrap();
    let head = format!("POST /agendamentos HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Iniciando verificação")));
    services.scheduler.kill();
    services.restart_scheduler(&[]);
    assert_eq!(services.book(2, SLOT).1["codigo"], "recurso_ocupado");
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 0);
    wait_until("the slot is bookable again", || services.book(2, SLOT).0 == 201);
    for table in ["horarios", "agendamentos", "auditoria WHERE linha LIKE '%\"AGENDAMENTO_%'"] {
        assert_eq!(services.count(&format!("SELECT count(*) FROM {table}")), 1, "{table}");
    }
    let expired = services.log_lines("coordenador.log", "Lock vencido");
    assert!(expired.len() == 1 && expired[0].contains(" recursos=3"), "{expired:?}");
}

#[test]
fn a_scheduler_whose_lease_expired_writes_nothing() {
    // The pause is longer than the TTL: no commit is started past the lease's deadline.
    let services = Services::start(&["--critical-delay-ms", "600", "--lock-ttl-ms", "200"]);
    let (status, problem) = services.book(1, SLOT);
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("trava_expirada")));
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 0);
}

#[test]
fn etcd_11456_a_write_with_an_older_token_than_the_slots_is_refused() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (_, booking) = services.book(1, SLOT);
    assert_eq!(services.follow(&booking, "cancelar").status, 200);
    // As if the holder of a later lease had written meanwhile.
    services.sql("UPDATE horarios SET token = token + 1000");
    let (status, problem) = services.book(2, SLOT);
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("token_obsoleto")));
    assert_eq!(services.count("SELECT count(*) FROM agendamentos WHERE status = 'AGENDADO'"), 0);
    // The next token is larger than the one that the slot has seen, so a second try succeeds.
    assert_eq!(services.book(2, SLOT).0, 201);
}

#[test]
fn a_coordinator_that_lost_its_state_is_lifted_past_all_tokens_seen() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    for index in 0..3 {
        let (_, booking) = services.book(1, &slot(index));
        services.follow(&booking, "cancelar");
    }
    let seen = services.count("SELECT max(token) FROM horarios");
    let folder = services.stop();
    crate::common::election::lose_limits(folder.path());
    let services = Services::start_in(folder, &[]);
    assert_eq!(services.book(1, &slot(0)).0, 201);
    assert!(services.count("SELECT max(token) FROM horarios") > seen);
}

#[test]
fn profilarr_519_no_5xx_under_load_with_readers_beside_the_writer() {
    let services = Services::start(&[]);
    let counts = at_once(32, |index| {
        for round in 0..10 {
            let status = if index % 4 == 0 {
                http("GET", &services.agenda("/agendamentos?limite=500"), None).status
            } else {
                services.book(1, &slot(index * 10 + round)).0
            };
            assert!(status == 200 || status == 201, "{status}");
        }
        0
    });
    assert_eq!(counts, BTreeMap::from([(0, 32)]));
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 240);
}

#[test]
fn without_locks_the_race_is_lost_and_the_agenda_untouched() {
    let services = Services::start(&[]);
    services.book(1, "2025-12-02T03:00:00Z");
    wait_until("the record is in the file", || {
        services.read_log("audit.jsonl").iter().any(|line| line.contains("AGENDAMENTO_CRIADO"))
    });
    let before = std::fs::read(services.data_dir().join("audit.jsonl")).unwrap();
    let race = crate::common::Server::spawn(
        crate::common::scheduler_command(services.data_dir(), "http://127.0.0.1:1").arg("--no-lock"),
        1,
    );
    let url = format!("{}/agendamentos", race.url());
    let body = json!({"cientista_id": 1, "horario_inicio_utc": SLOT}).to_string();
    let counts = at_once(10, |_| http("POST", &url, Some(("application/json", &body))).status);
    let won = counts.get(&201).copied().unwrap_or_default();
    assert!(won > 1, "{counts:?}");
    let rows = count(&services.data_dir().join("corrida.db"), "SELECT count(*) FROM agendamentos");
    assert_eq!(rows, won);
    services.wait_for_log("app.log", |lines| {
        let created = lines.iter().filter(|line| {
            line.contains("AGENDAMENTO_CRIADO") && line.contains(&format!("\"horario_inicio_utc\":\"{SLOT}\""))
        });
        created.count() == won
    });
    // Interleaved: a request checks while another, which has checked, has not saved yet.
    let lines = services.read_log("app.log");
    let race_lines: Vec<&String> = lines.iter().filter(|line| line.contains("no BD")).collect();
    let checks: BTreeSet<usize> =
        (0..race_lines.len()).filter(|&index| race_lines[index].contains("Iniciando")).collect();
    assert!(checks.iter().any(|index| checks.contains(&(index + 1))), "{race_lines:#?}");
    let of_slot = |line: &&&String| line.contains("Iniciando") && line.contains(&format!("recurso=Hubble-Acad_{SLOT}"));
    assert_eq!(race_lines.iter().filter(of_slot).count(), 10, "{race_lines:#?}");
    // A booking of the race is cancelled without a lock too, and once.
    let cancel = || http("DELETE", &format!("{url}/1"), None);
    assert_eq!(cancel().json()["status"], "CANCELADO");
    assert_eq!(cancel().json()["codigo"], "ja_cancelado");
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 1);
    assert_eq!(std::fs::read(services.data_dir().join("audit.jsonl")).unwrap(), before);
    assert_eq!(http("GET", &race.url(), None).json()["modo"], "sem_trava");
}

#[test]
fn lists_page_by_key_and_filter() {
    let services = Arc::new(Services::start(&[]));
    for index in 0..7 {
        assert_eq!(services.book(1 + i64::from(index % 2 == 1), &slot(index)).0, 201);
    }
    let ids =
        |query: &str| services.list(query).iter().map(|booking| booking["id"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids("?limite=3"), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ids("?limite=1&cientista_id=2"), [2, 4, 6]);
    assert_eq!(ids("?de=2025-12-01T00:07:00Z&ate=2025-12-01T00:15:00Z"), [2, 3]);
    assert_eq!(ids("?telescopio=Webb-Acad"), Vec::<i64>::new());
    // Bookings made and cancelled between two pages make no item appear twice or go missing.
    let first = http("GET", &services.agenda("/agendamentos?limite=3"), None).json();
    services.follow(&first["agendamentos"][0], "cancelar");
    services.book(1, "2025-11-30T00:00:00Z");
    let second = services.follow(&first, "proxima").json();
    let second: Vec<_> =
        second["agendamentos"].as_array().unwrap().iter().map(|booking| booking["id"].clone()).collect();
    assert_eq!(second, [4, 5, 6]);
    assert!(first["_links"]["proxima"].is_object());
}

#[test]
fn only_an_action_that_is_allowed_has_a_link() {
    let services = Services::start(&[]);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2999-01-01T00:00:00Z", "telescopio": "Webb-Acad"});
    let (status, booking) = services.book_with(&body);
    assert_eq!(status, 201);
    assert!(booking["_links"]["cancelar"].is_object());
    // As if the observation had begun: on a telescope that is not simulated it cannot be cancelled then.
    services.sql("UPDATE agendamentos SET inicio_us = 1764558000000000, fim_us = 1764558300000000");
    let begun = services.follow(&booking, "self").json();
    assert!(begun["_links"]["cancelar"].is_null());
    let refused = services.follow(&booking, "cancelar");
    assert_eq!((refused.status, refused.json()["codigo"].as_str()), (409, Some("observacao_iniciada")));
}

#[test]
fn a_scientist_added_to_the_catalogue_may_book_at_once() {
    let services = Services::start(&[]);
    assert_eq!(services.book(11, SLOT).0, 404);
    services.sql(
        "INSERT INTO cientistas (id, nome, instituicao, pais) VALUES (11, 'Jocelyn Bell', 'Oxford', 'GB');
         UPDATE resumo SET catalogo = catalogo + 1",
    );
    assert_eq!(services.book(11, SLOT).0, 201);
}

#[test]
fn meteor_timesync_1_the_time_is_stamped_when_the_request_was_read() {
    let services = Services::start(&[]);
    let answer = http("GET", &services.agenda("/time"), None).json();
    let instant = |name: &str| answer[name].as_str().unwrap().to_owned();
    assert!(instant("recebido_utc") <= instant("enviado_utc"));
    assert_eq!(instant("timestamp_utc"), instant("enviado_utc"));
    assert_eq!(instant("timestamp_utc").len(), "2025-10-26T18:00:05.123456Z".len());
    assert_eq!(services.log_lines("app.log", "Requisição recebida em GET /time do IP 127.0.0.1").len(), 2);
}
