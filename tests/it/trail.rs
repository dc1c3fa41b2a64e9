//! Every booking has its record and every record its booking, in the trail's file exactly once and in order.

use std::path::Path;

use sctec::time::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::storage::{self, of_sqlite};
use crate::common::{Services, http, wait_until};

fn slot(index: usize) -> String {
    let first = Timestamp::parse_rfc3339("2025-12-01T00:00:00Z").unwrap();
    let start = first.saturating_add(std::time::Duration::from_secs(300 * index as u64));
    start.seconds().to_string()
}

fn sha256(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

/// The text of all files of a trail: the closed files in the order of their names, then the current file.
fn trail_text(data_dir: &Path) -> String {
    let names = std::fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut closed: Vec<String> = names.filter(|name| name.starts_with("audit-") && name.contains(".jsonl")).collect();
    closed.sort();
    closed.push("audit.jsonl".to_owned());
    closed.iter().map(|name| std::fs::read_to_string(data_dir.join(name)).unwrap()).collect()
}

/// Checks a trail's file against the documentation: the order of the fields, the numbers and the chain.
fn check_chain(data_dir: &Path) -> Vec<Value> {
    let text = trail_text(data_dir);
    assert!(text.is_empty() || text.ends_with('\n'));
    let found = storage::rows(data_dir, "sctec.db", "SELECT identidade, hash FROM trilha").remove(0);
    let [identity, head] = <[String; 2]>::try_from(found.into_iter().flatten().collect::<Vec<_>>()).unwrap();
    let mut previous = sha256(identity.as_bytes());
    let mut records = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        let mut position = 0;
        for field in
            ["timestamp_utc", "level", "event_type", "service", "details", "seq", "req", "autor", "ip", "prev", "hash"]
        {
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

/// Checks the chain and returns the records of bookings, without those of the service's starts and stops.
fn bookings(data_dir: &Path) -> Vec<Value> {
    let mut records = check_chain(data_dir);
    records.retain(|record| !record["details"]["agendamento_id"].is_null());
    records
}

/// Waits until the file has caught up with the database.
fn caught_up(services: &Services) {
    let rows = services.count("SELECT count(*) FROM auditoria");
    wait_until("the files have every record", || trail_text(services.data_dir()).lines().count() == rows);
}

#[test]
fn the_record_has_the_assignments_form_and_the_chain_is_right() {
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
    // app.log has the same bytes.
    let echoed = services.log_lines("app.log", "\"level\":\"AUDIT\"");
    assert_eq!(echoed, services.read_log("audit.jsonl"));
}

#[test]
fn mvm_2258_a_record_with_any_text_of_a_client_is_one_line() {
    let services = Services::start(&[]);
    let longest = "🔭\"\\".repeat(66);
    for (index, target) in
        ["aspas \" e \\ barra", "emoji 🔭 \u{202e}", "{\"level\":\"AUDIT\"}", &longest].into_iter().enumerate()
    {
        let notes = "linha um\r\nlinha dois\nlinha três\te \"aspas\"";
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

/// Four clients book one slot after the other until the server is killed. Returns the bookings that were acknowledged to each
/// client, in order.
fn book_until_killed(services: &Services, round: usize, kill_when: impl Fn(usize) -> bool) -> Vec<Vec<i64>> {
    let url = services.agenda("/agendamentos");
    let answered = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (url, answered) = (&url, &answered);
        let clients: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn(move || {
                    let mut told = Vec::new();
                    for index in 0..250 {
                        let start = slot(round * 1000 + client * 250 + index);
                        let body = json!({"cientista_id": 1, "horario_inicio_utc": start}).to_string();
                        // The client ends when the server is killed.
                        let Ok(mut answer) = ureq::post(url.as_str()).content_type("application/json").send(&body)
                        else {
                            break;
                        };
                        assert_eq!(answer.status(), 201);
                        let Ok(text) = answer.body_mut().read_to_string() else { break };
                        let booking: Value = serde_json::from_str(&text).unwrap();
                        told.push(booking["id"].as_i64().unwrap());
                        answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    told
                })
            })
            .collect();
        let begun = std::time::Instant::now();
        while !kill_when(answered.load(std::sync::atomic::Ordering::Relaxed)) {
            assert!(begun.elapsed().as_secs() < 30, "the condition for the kill was never met");
            std::hint::spin_loop();
        }
        crate::common::signal(services.scheduler.pid(), "KILL");
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn a_kill_under_load_loses_no_acknowledged_booking_and_writes_no_record_twice() {
    // TRAIL_CYCLES=200 runs more rounds.
    let cycles = std::env::var("TRAIL_CYCLES").map_or(8, |cycles| cycles.parse().unwrap());
    let arguments = ["--lock-ttl-ms", "200", "--audit-rotate-mb", "1"];
    let mut services = Services::start(&arguments);
    let mut told: Vec<Vec<i64>> = Vec::new();
    for round in 0..cycles {
        let file = services.data_dir().join("audit.jsonl");
        let length = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let before = length();
        told.extend(book_until_killed(&services, round, |answered| {
            // Each round kills at another point. Every other round kills while the exporter is writing: the file has just changed.
            answered > 3 * (round % 20) && (round % 2 == 0 || length() != before)
        }));
        services.scheduler.kill();
        services.restart_scheduler(&arguments);
        let verified = crate::common::run(&["audit", "--verify", "--data-dir", services.data_dir().to_str().unwrap()]);
        assert_eq!(verified.status.code(), Some(0), "round {round}: {}", String::from_utf8_lossy(&verified.stdout));
    }
    caught_up(&services);
    let recorded: Vec<i64> = bookings(services.data_dir())
        .iter()
        .map(|record| record["details"]["agendamento_id"].as_i64().unwrap())
        .collect();
    let mut acknowledged = 0;
    for one_client in told {
        // Each booking has one record, in the order in which its client was answered.
        let positions = one_client.iter().map(|id| {
            let mut found = (0..recorded.len()).filter(|position| recorded[*position] == *id);
            let position = found.next().unwrap_or_else(|| panic!("booking {id} has no record"));
            assert_eq!(found.next(), None, "booking {id} has two records");
            position
        });
        assert!(positions.collect::<Vec<_>>().is_sorted());
        acknowledged += one_client.len();
    }
    assert!(acknowledged > 3 * cycles);
    assert_eq!(recorded.len(), services.count("SELECT count(*) FROM agendamentos"));
    eprintln!("{cycles} cycles, {acknowledged} bookings acknowledged, {} recorded", recorded.len());
}

#[test]
fn systemd_17833_a_torn_last_line_is_cut_and_written_again() {
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
            crate::common::Server::spawn(&mut crate::common::scheduler_command(folder.path(), "http://127.0.0.1:1"), 1);
        assert!(std::fs::read(&file).unwrap().starts_with(&whole), "cut by {cut}");
        assert_eq!(scheduler.terminate(), Some(0));
    }
    check_chain(folder.path());
}

#[test]
fn vault_31718_a_file_that_is_deleted_while_running_is_written_again() {
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
fn without_a_trail_bookings_are_refused_and_after_the_repair_they_continue() {
    let services = Services::start(&[]);
    services.book(1, &slot(0));
    caught_up(&services);
    let file = services.data_dir().join("audit.jsonl");
    // Another file is put in its place. The service must not write to it.
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
    let second = crate::common::Server::spawn(
        &mut crate::common::scheduler_command(services.data_dir(), &services.coordinator.url()),
        1,
    );
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
fn hyprstream_675_a_file_that_is_cut_while_running_is_completed_again() {
    let services = Services::start(&[]);
    for index in 0..4 {
        services.book(1, &slot(index));
    }
    caught_up(&services);
    let file = services.data_dir().join("audit.jsonl");
    let whole = std::fs::read(&file).unwrap();
    for keep in [0, 10, whole.len() / 2, whole.len() - 1] {
        // The file is shorter, but has the same path and the same inode.
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(keep as u64).unwrap();
        wait_until("it is whole again", || std::fs::read(&file).unwrap() == whole);
    }
    assert_eq!(services.book(1, &slot(4)).0, 201);
    caught_up(&services);
    assert_eq!(bookings(services.data_dir()).len(), 5);
    assert!(!services.log_lines("app.log", "faltam registros que já estiveram no arquivo").is_empty());
}

#[test]
fn a_file_with_a_missing_record_stops_the_bookings_until_it_is_moved_away() {
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
    assert_eq!(std::fs::read_to_string(&file).unwrap(), without_second, "evidence is not changed");
    std::fs::rename(&file, services.data_dir().join("visto")).unwrap();
    wait_until("it is made again", || std::fs::read_to_string(&file).is_ok_and(|text| text.starts_with(&lines)));
    wait_until("bookings go on", || services.book(1, &slot(4)).0 == 201);
}

#[test]
fn an_end_of_the_file_that_no_crash_leaves_is_evidence_and_is_not_changed() {
    let services = Services::start(&[]);
    for index in 0..4 {
        services.book(1, &slot(index));
    }
    let folder = services.stop();
    let file = folder.path().join("audit.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    // The last record was changed and has no line break, so that it looks torn.
    let (before, last) = whole.trim_end().rsplit_once('\n').unwrap();
    let forged = format!("{before}\n{}", last.replace("servico-agendamento", "servico-forjado"));
    std::fs::write(&file, &forged).unwrap();
    let services = Services::start_in(folder, &[]);
    let (status, problem) = services.book(1, &slot(4));
    assert_eq!((status, problem["codigo"].as_str()), (503, Some("auditoria_indisponivel")));
    let parts = http("GET", &services.agenda("/pronto"), None).json()["partes"].clone();
    assert!(parts["auditoria"].as_str().unwrap().contains("não é o que foi escrito"), "{parts}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), forged);
    std::fs::rename(&file, services.data_dir().join("visto")).unwrap();
    wait_until("it goes on", || services.book(1, &slot(4)).0 == 201);
    caught_up(&services);
    assert!(trail_text(services.data_dir()).starts_with(&whole));
}

#[test]
fn an_altered_database_does_not_become_the_trail() {
    let services = Services::start(&[]);
    for index in 0..4 {
        services.book(1, &slot(index));
    }
    let folder = services.stop();
    let file = folder.path().join("audit.jsonl");
    let whole = std::fs::read(&file).unwrap();
    let forged = "UPDATE auditoria SET linha = replace(linha, 'servico-agendamento', 'servico-forjado') WHERE seq = 3";
    storage::rows(folder.path(), "sctec.db", forged);
    let services = Services::start_in(folder, &[]);
    assert_eq!(services.book(1, &slot(4)).0, 503);
    let parts = http("GET", &services.agenda("/pronto"), None).json()["partes"].clone();
    assert!(
        parts["auditoria"].as_str().unwrap().contains("o banco foi alterado: o registro de auditoria 3"),
        "{parts}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), whole, "the file has the original records");
    // Without a file to compare with, only the new records are written.
    std::fs::rename(&file, services.data_dir().join("visto")).unwrap();
    wait_until("it looks again", || file.exists());
    assert_eq!(services.book(1, &slot(5)).0, 503);
    assert!(whole.starts_with(&std::fs::read(&file).unwrap()));
}

#[test]
fn a_scheduler_that_does_not_export_notices_that_the_exporter_cannot_write() {
    let services = Services::start(&[]);
    services.book(1, &slot(0));
    caught_up(&services);
    let second = crate::common::Server::spawn(
        &mut crate::common::scheduler_command(services.data_dir(), &services.coordinator.url()),
        1,
    );
    let file = services.data_dir().join("audit.jsonl");
    std::fs::rename(&file, services.data_dir().join("visto")).unwrap();
    std::fs::create_dir(&file).unwrap();
    let book = |index: usize| {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": slot(index)}).to_string();
        http("POST", &format!("{}/agendamentos", second.url()), Some(("application/json", &body))).status
    };
    // Bookings made meanwhile are in the database, and after the repair in the file.
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
fn profilarr_519_while_another_program_locks_the_database_bookings_are_refused_with_503() {
    of_sqlite!("another program takes SQLite's lock");
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

#[test]
fn starts_and_stops_are_recorded() {
    let services = Services::start(&[]);
    let (address, pid) = (services.agenda_address(), services.scheduler.pid());
    services.book(1, &slot(0));
    let folder = services.stop();
    let records = check_chain(folder.path());
    assert_eq!(records.len(), 3);
    for (record, event) in [(&records[0], "SERVICO_INICIADO"), (&records[2], "SERVICO_PARADO")] {
        assert_eq!((record["event_type"].as_str(), record["req"].as_str()), (Some(event), Some("-")));
        assert_eq!((&record["autor"], &record["ip"]), (&json!("servico-agendamento"), &json!(null)));
        let details = &record["details"];
        assert_eq!(
            (&details["modo"], &details["endereco"], &details["pid"]),
            (&json!("com_trava"), &json!(address), &json!(pid))
        );
        assert_eq!(details["ativo_ha_ms"].is_u64(), event == "SERVICO_PARADO");
    }
}

#[test]
fn refusals_are_recorded_on_demand_with_the_scientist_the_slot_and_the_reason() {
    for recorded in [false, true] {
        let flags: &[&str] = if recorded { &["--audit-refusals"] } else { &[] };
        let services = Services::start(&[flags, &["--lock-retention-ms", "0"]].concat());
        assert_eq!(services.book(1, &slot(0)).0, 201);
        let (status, problem) = services.book_with(&json!({
            "cientista_id": 7, "horario_inicio_utc": slot(0), "alvo": "linha\u{2028} \"aspas\" 🔭"
        }));
        assert_eq!((status, problem["codigo"].as_str()), (409, Some("horario_ocupado")));
        // A request that is not a scientist's booking is only in app.log.
        assert_eq!(services.book(77, &slot(0)).0, 404);
        assert_eq!(services.book(7, "ontem").0, 422);
        caught_up(&services);
        let records = check_chain(services.data_dir());
        assert_eq!(records.len(), if recorded { 3 } else { 2 });
        if let Some(refused) = records.get(2) {
            assert_eq!(refused["event_type"], "AGENDAMENTO_RECUSADO");
            assert_eq!(problem["instance"], format!("urn:sctec:req:{}", refused["req"].as_str().unwrap()));
            let details = &refused["details"];
            assert_eq!(details["cientista_nome"], "Marie Curie");
            assert_eq!(
                (&details["horario_inicio_utc"], &details["telescopio"]),
                (&json!(slot(0)), &json!("Hubble-Acad"))
            );
            assert_eq!(details["alvo"], "linha\u{2028} \"aspas\" 🔭");
            assert_eq!((&details["codigo"], &details["motivo"]), (&problem["codigo"], &problem["detail"]));
            assert_eq!(details["ocupado_por"], 1);
        }
    }
}

/// Books until a booking is refused, and then tries some more. Returns the number of bookings and the code of the refusal.
fn book_until_refused(services: &Services, first: usize) -> (usize, String) {
    let mut made = 0;
    let code = loop {
        let body =
            json!({"cientista_id": 1, "horario_inicio_utc": slot(first + made), "observacoes": "x".repeat(1500)});
        let (status, answer) = services.book_with(&body);
        if status != 201 {
            assert_eq!(status, 503, "{answer}");
            break answer["codigo"].as_str().unwrap().to_owned();
        }
        made += 1;
        assert!(made < 20_000, "never refused");
    };
    for index in 0..10 {
        assert_eq!(services.book(1, &slot(first + made + index)).0, 503);
    }
    (made, code)
}

/// Both services on an existing folder. The scheduler has this limit for the size of a file.
fn start_limited(folder: tempfile::TempDir, limit_kib: u64) -> Services {
    let coordinator =
        crate::common::Server::spawn(&mut crate::common::coordinator_command(folder.path(), "127.0.0.1:0"), 1);
    let scheduler = crate::common::scheduler_command(folder.path(), &coordinator.url());
    let mut limited = std::process::Command::new("sh");
    // The shell counts in blocks of 512 bytes.
    limited.args(["-c", &format!("ulimit -S -f {}; exec \"$0\" \"$@\"", limit_kib * 2)]);
    limited.arg(scheduler.get_program()).args(scheduler.get_args());
    let scheduler = crate::common::Server::spawn(crate::common::deaf(&mut limited), 1);
    Services::of(scheduler, coordinator, folder)
}

/// Removes the limit from a running scheduler. Checks that it continues by itself with booking number `made + 1`, and that all
/// earlier bookings have their record.
fn lift_limit(services: &Services, made: usize) {
    let pid = rustix::process::Pid::from_raw(services.scheduler.pid().cast_signed());
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    limit.current = limit.maximum;
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap();
    wait_until("it goes on by itself", || services.book(1, &slot(made)).0 == 201);
    caught_up(services);
    assert_eq!(bookings(services.data_dir()).len(), made + 1);
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), made + 1);
}

#[test]
fn vault_3725_without_space_for_the_trail_bookings_are_refused_and_then_continue() {
    let services = Services::start(&[]);
    let before = 500;
    for index in 0..before {
        let target = "\u{202e}".repeat(200);
        let body = json!({"cientista_id": 1, "horario_inicio_utc": slot(index), "alvo": target});
        let (status, answer) = services.book_with(&body);
        assert_eq!(status, 201, "{answer}");
    }
    let folder = services.stop();
    // The database's write-ahead log is emptied, so that the trail's file reaches the limit first.
    let length = std::fs::metadata(folder.path().join("audit.jsonl")).unwrap().len();
    let services = start_limited(folder, length / 1024 + 8);
    let (made, code) = book_until_refused(&services, before);
    assert_eq!(code, "auditoria_indisponivel", "after {made} bookings");
    let ready = http("GET", &services.agenda("/pronto"), None);
    assert_eq!(ready.status, 503);
    assert!(ready.json()["partes"]["auditoria"].as_str().unwrap().contains("File too large"), "{}", ready.body);
    lift_limit(&services, before + made);
}

#[test]
fn vault_3725_without_any_space_no_acknowledged_booking_is_lost() {
    let services = start_limited(tempfile::tempdir().unwrap(), 700);
    let (made, code) = book_until_refused(&services, 0);
    assert!(made > 0 && ["banco_indisponivel", "auditoria_indisponivel"].contains(&code.as_str()), "{made} {code}");
    lift_limit(&services, made);
}

#[test]
fn any_name_and_the_longest_texts_are_one_line() {
    of_sqlite!("PostgreSQL stores no text with the character NUL");
    let services = Services::start(&["--audit-refusals"]);
    // The name of a scientist, as an operator may write it into the database.
    let name = "A \"B\"\n\r\t\u{0}\u{1b}[2J🔭\u{202e}\u{2028}\\ \",\"hash\":\"".to_owned();
    let database = rusqlite::Connection::open(services.data_dir().join("sctec.db")).unwrap();
    database.execute("UPDATE cientistas SET nome = ?1 WHERE id = 8", [&name]).unwrap();
    http("GET", &services.agenda("/cientistas"), None);
    let target = "\u{202e}".repeat(200);
    let notes = "🔭\n\t\"\\".repeat(400);
    let body = json!({"cientista_id": 8, "horario_inicio_utc": slot(0), "alvo": target, "observacoes": notes});
    let (status, booking) = services.book_with(&body);
    assert_eq!(status, 201, "{booking}");
    assert_eq!(services.book_with(&body).0, 409);
    let why = json!({"motivo": "\u{2029}\"".repeat(250)}).to_string();
    assert_eq!(http("DELETE", &services.agenda("/agendamentos/1"), Some(("application/json", &why))).status, 200);
    // The largest allowed body is refused and has no record.
    let huge =
        json!({"cientista_id": 8, "horario_inicio_utc": slot(1), "observacoes": "🔭".repeat(16_000)}).to_string();
    let refused = http("POST", &services.agenda("/agendamentos"), Some(("application/json", &huge)));
    assert_eq!(refused.status, 422);
    caught_up(&services);
    let records = check_chain(services.data_dir());
    let events: Vec<_> = records.iter().map(|record| record["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["SERVICO_INICIADO", "AGENDAMENTO_CRIADO", "AGENDAMENTO_RECUSADO", "AGENDAMENTO_CANCELADO"]);
    for record in &records[1..] {
        assert_eq!(record["details"]["cientista_nome"], name);
    }
    assert_eq!(records[1]["details"]["alvo"], target);
    let verified = crate::common::run(&["audit", "--verify", "--data-dir", services.data_dir().to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0));
}
