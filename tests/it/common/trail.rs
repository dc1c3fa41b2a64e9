//! Trails to search, and `sctec audit` on them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::executable::sctec;
use super::storage;

/// Marie Curie books; her target spells out another event.
pub const CURIE: &str = r#"{"timestamp_utc":"2025-10-26T18:00:05.123456Z","level":"AUDIT","event_type":"AGENDAMENTO_CRIADO","service":"servico-agendamento","details":{"agendamento_id":123,"cientista_id":7,"horario_inicio_utc":"2025-12-01T03:00:00Z","horario_fim_utc":"2025-12-01T03:05:00Z","telescopio":"Hubble-Acad","cientista_nome":"Marie Curie","alvo":"\",\"event_type\":\"AGENDAMENTO_CANCELADO\",\"x\":\"","instante_clique_utc":"2025-10-26T18:00:05.000001Z","token":4711},"seq":1,"req":"6b1f-2a","prev":"00","hash":"aa"}"#;
/// A name that would break lines, clear terminals and turn text around.
pub const NASTY: &str = r#"{"timestamp_utc":"2025-10-26T18:00:06.000000Z","level":"AUDIT","event_type":"AGENDAMENTO_CRIADO","service":"servico-agendamento","details":{"agendamento_id":124,"cientista_id":8,"horario_inicio_utc":"2025-12-01T03:05:00Z","horario_fim_utc":"2025-12-01T03:10:00Z","telescopio":"Hubble-Acad","cientista_nome":"A \"B\"\n\u001b[2J🔭\u202e, Ç","alvo":null,"instante_clique_utc":null,"token":null},"seq":2,"req":"6b1f-2b","prev":"aa","hash":"bb"}"#;
pub const CANCELLED: &str = r#"{"timestamp_utc":"2025-10-26T19:00:00.000000Z","level":"AUDIT","event_type":"AGENDAMENTO_CANCELADO","service":"servico-agendamento","details":{"agendamento_id":123,"cientista_id":7,"horario_inicio_utc":"2025-12-01T03:00:00Z","horario_fim_utc":"2025-12-01T03:05:00Z","telescopio":"Hubble-Acad","cientista_nome":"Marie Curie","motivo":"=1+1, \"nuvens\"","token":4712},"seq":3,"req":"6b1f-2c","prev":"bb","hash":"cc"}"#;

pub fn audit(arguments: &[&str]) -> Command {
    let mut command = sctec();
    command.arg("audit").args(arguments).stdin(Stdio::null());
    storage::choose_for_tool(&mut command);
    command
}

/// Runs to the end; gives what it printed and what it said.
pub fn succeed(arguments: &[&str]) -> (String, String) {
    let output = audit(arguments).output().unwrap();
    let (printed, said) = texts(&output);
    assert!(output.status.success(), "{arguments:?}: {said}");
    (printed, said)
}

/// Runs to its failure; gives what it said, which is one line.
pub fn fail(arguments: &[&str]) -> String {
    let output = audit(arguments).output().unwrap();
    let (_, said) = texts(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

pub fn file(folder: &TempDir, name: &str, lines: &[&str]) -> String {
    let path = folder.path().join(name);
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

pub fn lines(records: &[&str]) -> String {
    records.iter().flat_map(|record| [record, "\n"]).collect()
}

/// Records of a form that says their numbers.
pub fn numbered(first: u64, last: u64) -> String {
    let zeros = "0".repeat(64);
    let record = |seq| {
        format!("{{\"level\":\"AUDIT\",\"seq\":{seq},\"req\":\"-\",\"prev\":\"{zeros}\",\"hash\":\"{zeros}\"}}\n")
    };
    (first..=last).map(record).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
