//! The audit trail over HTTP: a booking's history, pages and lines of records with their own bytes, and the head.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::storage::of_sqlite;
use crate::common::{Answer, Services, http, http_with, wait_until, without_rules};

fn slot(minute: usize) -> String {
    format!("2025-12-01T03:{minute:02}:00Z")
}

/// The records as JSON lines, of all pages.
fn lines(services: &Services, query: &str) -> Vec<String> {
    let mut path = format!("/auditoria{query}");
    let mut all = Vec::new();
    loop {
        let answer = http_with("GET", &services.agenda(&path), None, &[("Accept", "application/x-ndjson")]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
        assert!(answer.body.is_empty() || answer.body.ends_with('\n'));
        all.extend(answer.body.lines().map(str::to_owned));
        let links = answer.header("link").unwrap();
        let next = links.split(", ").find_map(|link| link.strip_prefix('<')?.strip_suffix(">; rel=\"next\""));
        let Some(next) = next else { return all };
        next.clone_into(&mut path);
    }
}

fn get(services: &Services, path: &str) -> Answer {
    http("GET", &services.agenda(path), None)
}

fn seqs(lines: &[String]) -> Vec<u64> {
    lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_bookings_history_is_a_link_away_with_the_bytes_that_the_file_has() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (_, first) = services.book(7, &slot(0));
    services.book(5, &slot(5));
    services.follow(&first, "cancelar");
    let booking = get(&services, "/agendamentos/1").json();
    let history = services.follow(&booking, "historico");
    let page = history.json();
    let events: Vec<_> = page["registros"].as_array().unwrap().iter().map(|record| &record["event_type"]).collect();
    assert_eq!(events, ["AGENDAMENTO_CRIADO", "AGENDAMENTO_CANCELADO"]);
    assert!(page["_links"]["proxima"].is_null());

    wait_until("the file has all", || services.read_log("audit.jsonl").len() == 4);
    let file = services.read_log("audit.jsonl");
    assert_eq!(lines(&services, ""), file);
    assert_eq!(lines(&services, "?agendamento_id=1"), [file[1].clone(), file[3].clone()]);
    // Inside the page too, each record has its own bytes, so that its hash can be checked.
    for line in [&file[1], &file[3]] {
        assert!(history.body.contains(line.as_str()), "{line} in {}", history.body);
    }

    // The head is that of the last record. The links in the list of bookings lead to histories as well.
    let head = get(&services, "/auditoria/cabeca").json();
    let last: Value = serde_json::from_str(&file[3]).unwrap();
    for member in ["seq", "hash", "timestamp_utc"] {
        assert_eq!(head[member], last[member], "{member}");
    }
    let hashed = file[3].rsplit_once(",\"hash\":").unwrap().0;
    assert_eq!(head["hash"], base16ct::lower::encode_string(&Sha256::digest(hashed)));
    assert_eq!(services.list("")[1]["_links"]["historico"]["href"], "/auditoria?agendamento_id=2");
}

#[test]
fn pages_follow_one_another_and_each_filter_narrows() {
    let services = Services::start(&["--lock-retention-ms", "0", "--audit-refusals"]);
    let booked = |scientist: i64, minute: usize, telescope: &str, req: &str| {
        let body = json!({"cientista_id": scientist, "horario_inicio_utc": slot(minute), "telescopio": telescope,
            "duracao_min": 10})
        .to_string();
        let body = Some(("application/json", body.as_str()));
        http_with("POST", &services.agenda("/agendamentos"), body, &[("X-Request-Id", req)]).status
    };
    assert_eq!(booked(7, 0, "Hubble-Acad", "a-1"), 201); // record 2
    assert_eq!(booked(5, 20, "Hubble-Acad", "a-2"), 201); // record 3
    assert_eq!(booked(5, 5, "Hubble-Acad", "a-3"), 409); // record 4
    http("DELETE", &services.agenda("/agendamentos/1"), None); // record 5
    let at = |seq: usize| {
        let all = lines(&services, "");
        serde_json::from_str::<Value>(&all[seq - 1]).unwrap()["timestamp_utc"].as_str().unwrap().to_owned()
    };
    for (query, expected) in [
        (String::new(), vec![1, 2, 3, 4, 5]),
        ("?limite=2".to_owned(), vec![1, 2, 3, 4, 5]),
        ("?cursor=3".to_owned(), vec![4, 5]),
        ("?evento=AGENDAMENTO_RECUSADO".to_owned(), vec![4]),
        ("?evento=SERVICO_INICIADO".to_owned(), vec![1]),
        ("?cientista_id=5&limite=1".to_owned(), vec![3, 4]),
        ("?agendamento_id=1&limite=1".to_owned(), vec![2, 5]),
        ("?agendamento_id=1&cientista_id=5".to_owned(), vec![]),
        (format!("?horario_utc={}", slot(5)), vec![2, 4, 5]),
        (format!("?horario_utc={}", slot(10)), vec![4]),
        ("?horario_utc=2025-12-01T00:29:59.999999-03:00".to_owned(), vec![3]),
        ("?telescopio=Hubble-Acad".to_owned(), vec![2, 3, 4, 5]),
        ("?telescopio=Hubble".to_owned(), vec![]),
        ("?req=a-3".to_owned(), vec![4]),
        (format!("?de={}&ate={}", at(3), at(5)), vec![3, 4]),
    ] {
        assert_eq!(seqs(&lines(&services, &query)), expected, "{query}");
        // The JSON pages have the same records.
        let mut page = get(&services, &format!("/auditoria{query}")).json();
        let mut found: Vec<u64> = Vec::new();
        loop {
            found.extend(page["registros"].as_array().unwrap().iter().map(|record| record["seq"].as_u64().unwrap()));
            if page["_links"]["proxima"].is_null() {
                break;
            }
            page = services.follow(&page, "proxima").json();
        }
        assert_eq!(found, expected, "{query}");
    }
    for (query, wrong) in [
        ("?evento=NADA", "evento"),
        ("?cientista_id=x", "cientista_id"),
        ("?agendamento_id=0", "agendamento_id"),
        ("?horario_utc=ontem", "horario_utc"),
        ("?limite=501", "limite"),
        ("?cursor=-1", "cursor"),
        ("?de=2025-12-02T00:00:00Z&ate=2025-12-01T00:00:00Z", "ate"),
        ("?nada=1", "nada"),
    ] {
        let problem = get(&services, &format!("/auditoria{query}"));
        assert_eq!((problem.status, &problem.json()["erros"][0]["campo"]), (422, &json!(wrong)), "{query}");
    }
}

#[test]
fn a_database_of_the_version_before_gets_its_histories() {
    of_sqlite!("the version before had no PostgreSQL");
    let services = Services::start(&[]);
    services.book(7, &slot(0));
    let folder = services.stop();
    let database = rusqlite::Connection::open(folder.path().join("sctec.db")).unwrap();
    without_rules(&database, 1);
    // A line that is not JSON, which another program must have written, does not keep the service from starting.
    database.execute("INSERT INTO auditoria (seq, linha) VALUES (1000000, 'nada')", ()).unwrap();
    drop(database);
    let services = Services::start_in(folder, &[]);
    assert_eq!(seqs(&lines(&services, "?agendamento_id=1")), [2]);
    assert_eq!(services.count("SELECT count(*) FROM pragma_index_list('auditoria')"), 1);
}
