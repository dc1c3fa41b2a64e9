//! No booking without its record, no record without its booking, each in the file exactly once and in order.

mod common;

use std::path::Path;

use common::{Services, http, wait_until};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn slot(index: usize) -> String {
    format!("2025-12-{:02}T{:02}:{:02}:00Z", 1 + index / 288, index / 12 % 24, index % 12 * 5)
}

fn sha256(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

/// All of a trail's files, in the order of their names, the one that is written last.
fn trail_text(data_dir: &Path) -> String {
    let names = std::fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut closed: Vec<String> = names.filter(|name| name.starts_with("audit-") && name.ends_with(".jsonl")).collect();
    closed.sort();
    closed.push("audit.jsonl".to_owned());
    closed.iter().map(|name| std::fs::read_to_string(data_dir.join(name)).unwrap()).collect()
}

/// Holds a trail's file against the documents alone: the order of the fields, the numbers, the chain.
fn check_chain(data_dir: &Path) -> Vec<Value> {
    let text = trail_text(data_dir);
    assert!(text.is_empty() || text.ends_with('\n'));
    let database = rusqlite::Connection::open(data_dir.join("sctec.db")).unwrap();
    let (identity, head): (String, String) =
        database.query_row("SELECT identidade, hash FROM trilha", (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut previous = sha256(identity.as_bytes());
    let mut records = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        let mut position = 0;
        for field in ["timestamp_utc", "level", "event_type", "service", "details", "seq", "req", "prev", "hash"] {
            let found = line[position..].find(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field} in {line}"));
            position += found;
        }
        let hashed = &line[..line.rfind(",\"hash\":").unwrap()];
        assert_eq!(record["level"], "AUDIT");
        assert_eq!(record["seq"], index + 1);
        assert_eq!(record["prev"], previous);
        assert_eq!(record["hash"], sha256(hashed.as_bytes()));
        record["hash"].as_str().unwrap().clone_into(&mut previous);
        records.push(record);
    }
    assert_eq!(previous, head, "the file ends where the database's head is");
    records
}

/// The same, less the records of the service itself.
fn bookings(data_dir: &Path) -> Vec<Value> {
    let mut records = check_chain(data_dir);
    records.retain(|record| !record["details"]["agendamento_id"].is_null());
    records
}

/// Waits until the file has caught up with the database.
fn caught_up(services: &Services) {
    let rows = services.count("SELECT count(*) FROM auditoria");
    wait_until("the file has every record", || services.read_log("audit.jsonl").len() == rows);
}

#[test]
fn the_record_is_the_assignments_and_the_chain_holds() {
    let services = Services::start(&[]);
    let (_, booking) = services.book(7, &slot(0));
    services.follow(&booking, "cancelar");
    services.book(5, &slot(1));
    caught_up(&services);
    let records = check_chain(services.data_dir());
    let events: Vec<_> = records.iter().map(|record| record["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["SERVICO_INICIADO", "AGENDAMENTO_CRIADO", "AGENDAMENTO_CANCELADO", "AGENDAMENTO_CRIADO"]);
    let details = &records[1]["details"];
    assert_eq!(records[0]["service"], "servico-agendamento");
    assert_eq!((&details["agendamento_id"], &details["cientista_id"]), (&json!(1), &json!(7)));
    assert_eq!(details["horario_inicio_utc"], slot(0));
    assert_eq!(details["cientista_nome"], "Marie Curie");
    // The same bytes stand in app.log.
    let echoed = services.log_lines("app.log", "\"level\":\"AUDIT\"");
    assert_eq!(echoed, services.read_log("audit.jsonl"));
}

#[test]
fn mvm_2258_whatever_a_client_says_is_one_line() {
    let services = Services::start(&[]);
    let longest = "🔭\"\\".repeat(66);
    for (index, target) in
        ["aspas \" e \\ barra", "emoji 🔭 \u{202e}", "{\"level\":\"AUDIT\"}", &longest].into_iter().enumerate()
    {
        let notes = "linha um\nlinha dois\te \"aspas\"";
        let body = json!({"cientista_id": 1, "horario_inicio_utc": slot(index), "alvo": target, "observacoes": notes});
        let (status, booking) = services.book_with(&body);
        assert_eq!(
            (status, booking["alvo"].as_str(), booking["observacoes"].as_str()),
            (201, Some(target), Some(notes))
        );
    }
    caught_up(&services);
    let records = bookings(services.data_dir());
    assert_eq!(records[1]["details"]["alvo"], "emoji 🔭 \u{202e}");
    assert_eq!(records.len(), 4);
}

#[test]
fn kill_minus_nine_under_load_loses_no_acknowledged_booking_and_doubles_no_record() {
    let mut services = Services::start(&["--lock-ttl-ms", "200"]);
    let mut acknowledged: Vec<i64> = Vec::new();
    for round in 0..6 {
        let begun = std::sync::Barrier::new(5);
        let url = services.agenda("/agendamentos");
        let answers = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (begun, answers, url) = (&begun, &answers, &url);
                scope.spawn(move || {
                    begun.wait();
                    for index in 0..100 {
                        let start = slot(round * 400 + thread * 100 + index);
                        let body = json!({"cientista_id": 1, "horario_inicio_utc": start}).to_string();
                        // Once the server is gone, so is this client.
                        let Ok(mut answer) = ureq::post(url.as_str()).content_type("application/json").send(&body)
                        else {
                            return;
                        };
                        assert_eq!(answer.status(), 201);
                        let Ok(text) = answer.body_mut().read_to_string() else { return };
                        let booking: Value = serde_json::from_str(&text).unwrap();
                        answers.lock().unwrap().push(booking["id"].as_i64().unwrap());
                    }
                });
            }
            begun.wait();
            // Some bookings in, at another point each round.
            wait_until("bookings are made", || answers.lock().unwrap().len() > 3 * (round + 1));
            services.scheduler.kill();
        });
        acknowledged.append(&mut answers.into_inner().unwrap());
        services.restart_scheduler(&["--lock-ttl-ms", "200"]);
    }
    caught_up(&services);
    let recorded: Vec<i64> = bookings(services.data_dir())
        .iter()
        .map(|record| record["details"]["agendamento_id"].as_i64().unwrap())
        .collect();
    assert!(acknowledged.len() > 20);
    for id in &acknowledged {
        assert_eq!(recorded.iter().filter(|recorded| *recorded == id).count(), 1, "booking {id}");
    }
    let booked = services.count("SELECT count(*) FROM agendamentos");
    assert_eq!(recorded.len(), booked);
}

#[test]
fn systemd_17833_a_torn_last_line_is_cut_and_filled_in_again() {
    let services = Services::start(&[]);
    for index in 0..5 {
        services.book(1, &slot(index));
    }
    let folder = services.stop();
    let file = folder.path().join("audit.jsonl");
    let whole = std::fs::read(&file).unwrap();
    for cut in [1, 40, 200, 700, whole.len() - 1, whole.len()] {
        std::fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        let mut scheduler =
            common::Server::spawn(&mut common::scheduler_command(folder.path(), "http://127.0.0.1:1"), 1);
        assert!(std::fs::read(&file).unwrap().starts_with(&whole), "cut by {cut}");
        assert_eq!(scheduler.terminate(), Some(0));
    }
    check_chain(folder.path());
}

#[test]
fn vault_31718_the_file_deleted_while_running_comes_back_whole() {
    let services = Services::start(&[]);
    services.book(1, &slot(0));
    caught_up(&services);
    std::fs::remove_file(services.data_dir().join("audit.jsonl")).unwrap();
    wait_until("the file is back", || services.read_log("audit.jsonl").len() == 2);
    services
        .wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("já não é o arquivo que foi escrito")));
    assert_eq!(services.book(1, &slot(1)).0, 201);
    caught_up(&services);
    assert_eq!(bookings(services.data_dir()).len(), 2);
}

#[test]
fn what_cannot_be_recorded_is_not_booked_and_goes_on_by_itself_after_repair() {
    let services = Services::start(&[]);
    services.book(1, &slot(0));
    caught_up(&services);
    let file = services.data_dir().join("audit.jsonl");
    // Someone puts another file in its place: not ours to write to.
    std::fs::write(services.data_dir().join("outro"), "isto não é a trilha\n").unwrap();
    std::fs::rename(services.data_dir().join("outro"), &file).unwrap();
    wait_until("it is noticed", || http("GET", &services.agenda("/pronto"), None).status == 503);
    let (status, problem) = services.book(1, &slot(1));
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("auditoria_indisponivel")));
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "isto não é a trilha\n");
    std::fs::rename(&file, services.data_dir().join("outro")).unwrap();
    wait_until("it goes on by itself", || services.book(1, &slot(1)).0 == 201);
    caught_up(&services);
    assert_eq!(bookings(services.data_dir()).len(), 2);
    assert_eq!(services.log_lines("app.log", "Auditoria restabelecida").len(), 1);
}

#[test]
fn only_one_scheduler_of_a_folder_exports_and_the_other_takes_over() {
    let mut services = Services::start(&[]);
    let second =
        common::Server::spawn(&mut common::scheduler_command(services.data_dir(), &services.coordinator.url()), 1);
    let book = |url: &str, index: usize| {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": slot(index)}).to_string();
        http("POST", &format!("{url}/agendamentos"), Some(("application/json", &body))).status
    };
    for index in 0..10 {
        assert_eq!(book(&second.url(), index * 2), 201);
        assert_eq!(book(&services.scheduler.url(), index * 2 + 1), 201);
    }
    caught_up(&services);
    services.scheduler.kill();
    for index in 20..25 {
        assert_eq!(book(&second.url(), index), 201);
    }
    caught_up(&services);
    assert_eq!(bookings(services.data_dir()).len(), 25);
}

#[test]
fn hyprstream_675_a_file_cut_in_place_while_running_comes_back_whole() {
    let services = Services::start(&[]);
    for index in 0..4 {
        services.book(1, &slot(index));
    }
    caught_up(&services);
    let file = services.data_dir().join("audit.jsonl");
    let whole = std::fs::read(&file).unwrap();
    for keep in [0, 10, whole.len() / 2, whole.len() - 1] {
        // The same file, shorter: its path and its identity are what they were.
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(keep as u64).unwrap();
        wait_until("it is whole again", || std::fs::read(&file).unwrap() == whole);
    }
    assert_eq!(services.book(1, &slot(4)).0, 201);
    caught_up(&services);
    assert_eq!(bookings(services.data_dir()).len(), 5);
    assert!(!services.log_lines("app.log", "faltam registros que já estiveram no arquivo").is_empty());
}

#[test]
fn records_missing_inside_the_file_stop_the_bookings_until_it_is_moved_away() {
    let services = Services::start(&[]);
    for index in 0..4 {
        services.book(1, &slot(index));
    }
    let folder = services.stop();
    let file = folder.path().join("audit.jsonl");
    let lines = std::fs::read_to_string(&file).unwrap();
    let without_second: String =
        lines.split_inclusive('\n').enumerate().filter(|(index, _)| *index != 1).map(|(_, line)| line).collect();
    std::fs::write(&file, &without_second).unwrap();
    let services = Services::start_in(folder, &[]);
    assert_eq!(services.book(1, &slot(4)).1["codigo"], "auditoria_indisponivel");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), without_second, "evidence is left alone");
    std::fs::rename(&file, services.data_dir().join("visto")).unwrap();
    wait_until("it is made again", || std::fs::read_to_string(&file).is_ok_and(|text| text.starts_with(&lines)));
    wait_until("bookings go on", || services.book(1, &slot(4)).0 == 201);
}

#[test]
fn a_scheduler_that_does_not_export_learns_that_the_exporter_cannot() {
    let services = Services::start(&[]);
    services.book(1, &slot(0));
    caught_up(&services);
    let second =
        common::Server::spawn(&mut common::scheduler_command(services.data_dir(), &services.coordinator.url()), 1);
    let file = services.data_dir().join("audit.jsonl");
    std::fs::rename(&file, services.data_dir().join("visto")).unwrap();
    std::fs::create_dir(&file).unwrap();
    let book = |index: usize| {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": slot(index)}).to_string();
        http("POST", &format!("{}/agendamentos", second.url()), Some(("application/json", &body))).status
    };
    // What it books meanwhile is in the database, and in the file once that is repaired.
    let mut booked = 1;
    wait_until("it refuses too", || {
        let status = book(booked);
        booked += usize::from(status == 201);
        status == 503
    });
    std::fs::remove_dir(&file).unwrap();
    wait_until("it goes on", || book(booked) == 201);
    caught_up(&services);
    assert_eq!(bookings(services.data_dir()).len(), booked + 1);
}

#[test]
fn profilarr_519_a_database_that_another_program_holds_is_a_503_for_all_and_then_goes_on() {
    let services = Services::start(&[]);
    services.book(1, &slot(0));
    let holder = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(http("GET", &services.agenda("/pronto"), None).status, 503);
    std::thread::scope(|scope| {
        let services = &services;
        let threads: Vec<_> = (1..6).map(|index| scope.spawn(move || services.book(1, &slot(index)))).collect();
        for thread in threads {
            let (status, problem) = thread.join().unwrap();
            assert_eq!((status, problem["codigo"].as_str()), (503, Some("banco_indisponivel")));
        }
    });
    holder.execute_batch("ROLLBACK").unwrap();
    wait_until("it goes on", || services.book(1, &slot(1)).0 == 201);
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 2);
}
