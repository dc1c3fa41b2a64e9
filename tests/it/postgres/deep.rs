//! `sctec audit --verify --deep` of an agenda in PostgreSQL: it agrees with itself, and each contradiction is named.

use serde_json::json;

use super::Two;
use crate::common::trail::{audit, texts};
use crate::common::{Asked, http};

/// What does the damage, what repairs it, and what is said of it.
const CONTRADICTIONS: &[(&str, &str, &str)] = &[
    (
        "UPDATE horarios SET agendamento_id = NULL WHERE agendamento_id = 2 AND inicio_us % 600000000 = 0",
        "UPDATE horarios SET agendamento_id = 2 WHERE agendamento_id IS NULL AND inicio_us = (SELECT inicio_us FROM agendamentos WHERE id = 2)",
        "booking 2 is active, but has not claimed",
    ),
    (
        "UPDATE horarios SET agendamento_id = 3 WHERE agendamento_id = 2",
        "UPDATE horarios h SET agendamento_id = 2 FROM agendamentos a WHERE a.id = 2 AND h.inicio_us >= a.inicio_us AND h.inicio_us < a.fim_us",
        "is claimed by booking 3, which does not have this slot",
    ),
    (
        "UPDATE resumo SET maior_token = maior_token - 1000000",
        "UPDATE resumo SET maior_token = maior_token + 1000000",
        "a larger token",
    ),
    (
        "UPDATE agendamentos SET cientista_id = 8 WHERE id = 3",
        "UPDATE agendamentos SET cientista_id = 7 WHERE id = 3",
        "booking 3 is not what record 5 says",
    ),
    (
        "UPDATE agendamentos SET status = 'CANCELADO', cancelado_us = 1 WHERE id = 5",
        "UPDATE agendamentos SET status = 'AGENDADO', cancelado_us = NULL WHERE id = 5",
        "booking 5 is cancelled, but no record says so",
    ),
    (
        "SET session_replication_role = replica; UPDATE agendamentos SET cientista_id = 4711 WHERE id = 2",
        "UPDATE agendamentos SET cientista_id = 7 WHERE id = 2",
        "agendamentos (cientista_id 4711) refers to something in cientistas",
    ),
    (
        "UPDATE auditoria SET agendamento_id = 2 WHERE seq = 5",
        "UPDATE auditoria SET agendamento_id = 3 WHERE seq = 5",
        "record 5 is listed under another booking",
    ),
    (
        "UPDATE agendamentos SET alterado_us = NULL WHERE id = 1",
        "UPDATE agendamentos SET alterado_us = 1 WHERE id = 1",
        "changes booking 1, which is not there or was not changed",
    ),
    (
        "UPDATE auditoria SET linha = replace(linha, '2031-03-01T05:', '2031-03-01T06:') WHERE seq = 7",
        "UPDATE auditoria SET linha = replace(linha, '2031-03-01T06:', '2031-03-01T05:') WHERE seq = 7",
        "record 7 does not follow",
    ),
];

#[test]
#[ignore = "needs PostgreSQL"]
fn an_agenda_agrees_with_itself_and_each_contradiction_is_named() {
    let mut two = Two::start();
    for hour in 1..=5 {
        let asked = Asked::by(7, &format!("2031-03-01T{hour:02}:00:00Z")).with("duracao_min", 10);
        assert_eq!(two.book(hour % 2, &asked).0, 201);
    }
    let booking = |id: i64| format!("{}/agendamentos/{id}", two.schedulers[0].url());
    assert_eq!(http("DELETE", &booking(4), None).status, 200);
    let elsewhere = json!({"telescopio": "Webb-Acad"}).to_string();
    let moved = http("PATCH", &booking(1), Some(("application/merge-patch+json", &elsewhere)));
    assert_eq!(moved.status, 200, "{}", moved.body);
    for nth in 0..2 {
        two.caught_up(nth);
        assert_eq!(two.schedulers[nth].terminate(), Some(0));
    }
    // The one that was stopped last has every record.
    let (url, file) = (two.database.url(), two.folders[1].path().join("audit.jsonl"));
    let check = || {
        let mut command =
            audit(&["--verify", "--deep", "--store", &url, "--data-dir", two.folders[1].path().to_str().unwrap()]);
        let output = command.output().unwrap();
        let (printed, said) = texts(&output);
        // A long line is folded.
        let words: Vec<&str> = printed.split_whitespace().collect();
        (output.status.code(), words.join(" ") + &said)
    };
    let records = std::fs::read_to_string(file).unwrap().lines().count();
    let (status, said) = check();
    let read = format!("5 bookings, 8 claimed slots, {records} records");
    assert!(status == Some(0) && said.contains(&read) && said.contains("AGREES"), "{said}");
    for (damage, repair, expected) in CONTRADICTIONS {
        two.database.rows(&format!("SET search_path = sctec; {damage}")).unwrap();
        let (status, said) = check();
        assert!(status == Some(2) && said.contains(expected), "{damage}: {said}");
        two.database.rows(&format!("SET search_path = sctec; {repair}")).unwrap();
        let (status, said) = check();
        assert_eq!(status, Some(0), "{repair}: {said}");
    }
}
