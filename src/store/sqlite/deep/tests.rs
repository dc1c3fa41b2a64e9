//! Every kind of contradiction is found and described.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use slog::{Discard, Logger, o};

use super::*;
use crate::agenda::alteration::{Alteration, Destination, Texts};
use crate::agenda::{Cancellation, Draft};
use crate::audit::record::Cause;
use crate::store::sqlite::SqliteStore;
use crate::store::{Backend, Fence, Store, Unobserved};
use crate::time::{Clock, Timestamp};

/// An agenda of five bookings. The fourth was cancelled, and the first has moved to another telescope.
async fn agenda() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sctec.db");
    let log = Logger::root(Discard, o!());
    let clock = Clock::held_at(Timestamp::parse_rfc3339("2030-01-01T00:00:00Z").unwrap());
    let store = SqliteStore::open(&path, DatabaseKind::Agenda, clock.clone(), &log, Unobserved).unwrap();
    let fence = |token| Fence { token, deadline: Instant::now() + Duration::from_secs(60) };
    let catalogue = store.catalogue().await.unwrap();
    for hour in 1..=5_u64 {
        let start = Timestamp::parse_rfc3339(&format!("2030-01-01T0{hour}:00:00Z")).unwrap();
        let draft = Draft { scientist_id: Some(7), start: Some(start), duration_min: Some(10), ..Draft::default() };
        let new = draft.check(&catalogue, clock.now()).unwrap();
        store.book(new, fence(hour), Cause::of_test("r-1")).await.unwrap().unwrap();
    }
    let read = async |id| store.booking(id).await.unwrap().unwrap();
    store
        .cancel(4, read(4).await.place(), Cancellation::default(), fence(9), Cause::of_test("r-1"))
        .await
        .unwrap()
        .unwrap();
    let first = read(1).await;
    let draft = Draft {
        scientist_id: Some(7),
        start: Some(first.slots.start()),
        telescope: Some("Webb-Acad".to_owned()),
        duration_min: Some(10),
        ..Draft::default()
    };
    let new = draft.check(&catalogue, clock.now()).unwrap();
    let asked = Alteration {
        texts: Texts::default(),
        destination: Destination::Elsewhere(Box::new(new)),
        from: first.place(),
        expected: None,
        lead: Duration::ZERO,
    };
    store.alter(1, asked, Some(fence(10)), Cause::of_test("r-1")).await.unwrap().unwrap();
    drop(store);
    (folder, path)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of contradictions and one loop over it")]
async fn an_agenda_agrees_with_itself_and_each_contradiction_is_named() {
    let (_folder, path) = agenda().await;
    let found = deep(&path, DatabaseKind::Agenda, || false).unwrap();
    assert_eq!((found.bookings, found.claims, found.records, found.fault_count), (5, 8, 7, 0), "{found:?}");
    let whole = std::fs::read(&path).unwrap();
    let create_record = "INSERT INTO auditoria SELECT seq + 3, replace(linha, '\"agendamento_id\":5', '\"agendamento_id\":6') \
                         FROM auditoria WHERE seq = 5";
    for (sql, expected) in [
        (
            "UPDATE horarios SET agendamento_id = NULL WHERE agendamento_id = 2 AND inicio_us % 600000000 = 0",
            "booking 2 is active, but has not claimed",
        ),
        (
            "UPDATE horarios SET agendamento_id = 3 WHERE agendamento_id = 2",
            "is claimed by booking 3, which does not have this slot",
        ),
        (
            "UPDATE horarios SET agendamento_id = 4 WHERE agendamento_id IS NULL AND token = 9",
            "is claimed by booking 4, which does not",
        ),
        ("UPDATE resumo SET maior_token = 1", "a larger token"),
        ("UPDATE agendamentos SET cientista_id = 8 WHERE id = 3", "booking 3 is not what record 3 says"),
        (
            "UPDATE agendamentos SET status = 'AGENDADO', cancelado_us = NULL WHERE id = 4",
            "booking 4 is active, but a record says that it is cancelled",
        ),
        (
            "UPDATE agendamentos SET status = 'CANCELADO', cancelado_us = 1 WHERE id = 5",
            "booking 5 is cancelled, but no record says so",
        ),
        ("PRAGMA foreign_keys = OFF; DELETE FROM cientistas WHERE id = 7", "refers to something in cientistas"),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM agendamentos WHERE id = 5",
            "record 5 makes booking 5, which is not there",
        ),
        ("DELETE FROM auditoria WHERE seq = 5", "booking 5 has no record"),
        ("UPDATE auditoria SET linha = replace(linha, ':10:', ':20:') WHERE seq = 2", "record 2 does not follow"),
        (create_record, "record 8 makes booking 6, which is not there"),
        (
            "UPDATE agendamentos SET inicio_us = inicio_us + 300000000, fim_us = fim_us + 300000000 WHERE id = 1",
            "booking 1 is not what its records say",
        ),
        (
            "UPDATE agendamentos SET alterado_us = NULL WHERE id = 1",
            "record 7 changes booking 1, which is not there or was not",
        ),
        (
            "UPDATE auditoria SET linha = replace(linha, 'T01:', 'T02:') WHERE seq = 7",
            "record 7 changes booking 1 from what",
        ),
        ("UPDATE trilha SET seq = 5", "the trail's head is record 5, and its last record is 7"),
        (
            "DROP INDEX agendamentos_por_telescopio; CREATE INDEX agendamentos_por_telescopio ON agendamentos \
          (telescopio_id, status, fim_us); PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, \
          'fim_us', 'inicio_us') WHERE name = 'agendamentos_por_telescopio'",
            "pages: ",
        ),
    ] {
        std::fs::write(&path, &whole).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        let found = deep(&path, DatabaseKind::Agenda, || false).unwrap();
        assert!(found.faults.iter().any(|fault| fault.contains(expected)), "{sql}: {found:?}");
    }
    // A page with invalid content.
    let mut bytes = whole;
    let end = bytes.len();
    bytes[end - 4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let found = deep(&path, DatabaseKind::Agenda, || false).unwrap();
    assert!(found.fault_count > 0 && found.faults.iter().all(|fault| fault.contains("page")), "{found:?}");
}
