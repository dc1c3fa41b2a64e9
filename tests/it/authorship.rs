//! Who asked, and from where: in every record of both services, in searches of them, and in trails that began before records
//! said so.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::storage::of_sqlite;
use crate::common::trail::{file, succeed};
use crate::common::{Services, http, run, wait_until, without_rules};

const SLOTS: [&str; 3] = ["2025-12-01T03:00:00Z", "2025-12-01T03:05:00Z", "2025-12-01T03:10:00Z"];

fn sha256(text: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(text.as_bytes()))
}

fn records(data_dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(data_dir.join("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Makes the folder what an older version left: records without `autor` and `ip`, and a schema that had none. The trail's file
/// is written anew from the database.
fn age(data_dir: &Path) {
    let database = Connection::open(data_dir.join("sctec.db")).unwrap();
    let identity: String = database.query_row("SELECT identidade FROM trilha", (), |row| row.get(0)).unwrap();
    let mut lines = database.prepare("SELECT linha FROM auditoria ORDER BY seq").unwrap();
    let lines: Vec<String> = lines.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let (mut previous, mut text) = (sha256(&identity), String::new());
    for (seq, line) in (1..).zip(lines) {
        let (first, _) = line.split_once(",\"autor\":").unwrap();
        let hashed = format!("{first},\"prev\":\"{previous}\"");
        previous = sha256(&hashed);
        let old = format!("{hashed},\"hash\":\"{previous}\"}}");
        database.execute("UPDATE auditoria SET linha = ?1 WHERE seq = ?2", (&old, seq)).unwrap();
        text.push_str(&old);
        text.push('\n');
    }
    database.execute("UPDATE trilha SET hash = ?1", (&previous,)).unwrap();
    // What the database noted of the file is of the newer file.
    database.execute_batch("UPDATE trilha SET exportado = 0; UPDATE resumo SET exportado = NULL").unwrap();
    without_rules(&database, 3);
    std::fs::write(data_dir.join("audit.jsonl"), text).unwrap();
}

#[test]
fn a_trail_that_began_without_authors_goes_on_with_them() {
    of_sqlite!("the version without authors had no PostgreSQL");
    let services = Services::start(&[]);
    services.book(7, SLOTS[0]);
    let folder = services.stop();
    age(folder.path());
    let services = Services::start_in(folder, &[]);
    assert_eq!(services.book(5, SLOTS[1]).0, 201);
    assert_eq!(services.book(5, SLOTS[0]).0, 409);
    let rows = services.count("SELECT count(*) FROM auditoria");
    wait_until("the file has every record", || records(services.data_dir()).len() == rows);
    let folder = services.stop();
    let dir = folder.path().to_str().unwrap();
    let found = records(folder.path());
    let authors: Vec<_> = found.iter().map(|record| record["autor"].as_str().unwrap_or("-")).collect();
    let service = "servico-agendamento";
    assert_eq!(authors, ["-", "-", "-", service, "anonimo", service]);
    let verified = run(&["audit", "--verify", "--deep", "--data-dir", dir]);
    assert!(verified.status.success(), "{verified:?}");
    let trail = folder.path().join("audit.jsonl");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/verificar.py");
    if let Ok(verified) = std::process::Command::new("python3").arg(script).arg(&trail).output() {
        assert!(verified.status.success(), "{verified:?}");
    }

    // The database has the very same bytes: a file that is lost is made anew as it was.
    let written = std::fs::read(&trail).unwrap();
    std::fs::remove_file(&trail).unwrap();
    let services = Services::start_in(folder, &[]);
    wait_until("the file is there again", || {
        std::fs::metadata(&trail).is_ok_and(|file| file.len() > written.len() as u64)
    });
    assert!(std::fs::read(&trail).unwrap().starts_with(&written));
    let folder = services.stop();

    // Both kinds of record are found, counted and shown.
    let dir = folder.path().to_str().unwrap();
    let search = |arguments: &[&str]| succeed(&[&["--data-dir", dir], arguments].concat()).0;
    assert_eq!(search(&["--event", "AGENDAMENTO_CRIADO", "--count"]), "2\n");
    assert_eq!(search(&["--author", "anonimo", "--count"]), "1\n");
    assert_eq!(search(&["--ip", "127.0.0.1", "--count"]), "1\n");
    assert_eq!(search(&["--ip", "::ffff:127.0.0.1", "--count"]), "1\n");
    assert_eq!(search(&["--ip", "127.0.0.10", "--count"]), "0\n");
    assert!(search(&["--scientist", "5"]).contains(r#","autor":"anonimo","ip":"127.0.0.1","prev":""#));
    let csv = search(&["--event", "AGENDAMENTO_CRIADO", "--format", "csv"]);
    let rows: Vec<_> = csv.lines().collect();
    // Three columns of locks taken away follow, which bookings leave empty, and the identifier that a client chose.
    assert!(rows[0].ends_with(",autor,ip,recurso,dono,estado_anterior,req_cliente"), "{csv}");
    assert!(rows[1].ends_with(",,,,,,") && rows[2].ends_with(",anonimo,127.0.0.1,,,,"), "{csv}");
    let table = search(&["--event", "AGENDAMENTO_CRIADO", "--format", "table"]);
    assert!(table.contains("autor") && table.contains("127.0.0.1"), "{table}");
}

#[test]
fn the_trail_is_searched_by_author_and_address_over_http() {
    let services = Services::start(&["--audit-refusals"]);
    services.book(7, SLOTS[0]);
    services.book(5, SLOTS[0]);
    let events = |query: &str| {
        let page = http("GET", &services.agenda(&format!("/auditoria?{query}")), None).json();
        let events = page["registros"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
        (events.map(|record| record["event_type"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), page)
    };
    let (asked, page) = events("autor=anonimo&ip=::ffff:127.0.0.1");
    assert_eq!(asked, ["AGENDAMENTO_CRIADO", "AGENDAMENTO_RECUSADO"]);
    assert_eq!(page["_links"]["self"]["href"], "/auditoria?autor=anonimo&ip=127.0.0.1&limite=50");
    assert_eq!(events("autor=servico-agendamento").0, ["SERVICO_INICIADO"]);
    assert!(events("ip=2001:db8::1").0.is_empty());
    let wrong = http("GET", &services.agenda("/auditoria?ip=127.0.0.1:80"), None);
    assert_eq!((wrong.status, &wrong.json()["erros"][0]["campo"]), (422, &json!("ip")));
}

#[test]
fn a_request_is_told_with_its_author() {
    let folder = tempfile::tempdir().unwrap();
    let record = r#"{"timestamp_utc":"2025-10-26T18:00:05.123456Z","level":"AUDIT","event_type":"AGENDAMENTO_CRIADO","service":"servico-agendamento","details":{"agendamento_id":123},"seq":1,"req":"r-1","autor":"anonimo","ip":"192.0.2.10","prev":"00","hash":"aa"}"#;
    for name in ["audit.jsonl", "app.log", "coordenador.log"] {
        let lines: &[&str] = if name == "audit.jsonl" { &[record] } else { &[] };
        file(&folder, name, lines);
    }
    let (told, _) = succeed(&["--req", "r-1", "--data-dir", folder.path().to_str().unwrap()]);
    assert!(told.contains("autor=anonimo ip=192.0.2.10"), "{told}");
}
