//! `sctec audit` on terminals of 80 columns and more: what its table shows, and that it fits.

use std::io::Write;

use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

use crate::common::terminal::{Terminal, on_terminal, without_colours};
use crate::common::trail::{CANCELLED, CURIE, NASTY, audit, file, lines};

/// A record of that instant, event and slot.
fn record(at: &str, event: &str, slot: &str) -> String {
    format!(
        r#"{{"timestamp_utc":"{at}","level":"AUDIT","event_type":"{event}","service":"servico-agendamento","details":{{"agendamento_id":1234567,"cientista_id":31,"horario_inicio_utc":"{slot}","telescopio":"Observatório Nacional de Astrofísica","cientista_nome":"Maria da Conceição Tavares de Almeida 望遠鏡 🔭","motivo":"nuvens\u001b[2J\n e muito vento, e por isso a observação não pode ser feita naquela noite"}},"seq":41234,"req":"6b1f-2a1b","prev":"00","hash":"aa"}}"#
    )
}

/// What a terminal of that width shows of these records.
fn shown(columns: u16, records: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    on_terminal(columns, &mut audit(&[&file(&folder, "audit.jsonl", records)]))
}

#[test]
fn no_line_is_longer_than_the_terminal_and_no_word_is_split() {
    let events = ["AGENDAMENTO_CRIADO", "AGENDAMENTO_CANCELADO", "AGENDAMENTO_RECUSADO", "SERVICO_INICIADO"];
    let of_one_day: Vec<String> =
        events.iter().map(|event| record("2026-11-25T23:04:12.123456Z", event, "2026-12-01T03:00:00Z")).collect();
    let of_two_years = [
        record("2025-11-25T23:04:12.123456Z", "AGENDAMENTO_CRIADO", "2026-12-01T03:00:00Z"),
        record("2026-01-02T03:04:05.123456Z", "AGENDAMENTO_CANCELADO", "2027-12-01T03:05:00Z"),
    ];
    for records in [&of_one_day[..], &of_two_years] {
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        for columns in [80, 100, 120, 160, 240] {
            let shown = without_colours(&shown(columns, &records));
            assert!(shown.lines().all(|line| line.width() <= usize::from(columns)), "{columns}\n{shown}");
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown}");
            // A title, the header, its line, one line for each record, and their number.
            let title = usize::from(!shown.starts_with("UTC") && !shown.contains("when (UTC)"));
            assert_eq!(shown.lines().count(), title + records.len() + 3, "{shown}");
            let header = shown.lines().nth(title).unwrap();
            for word in ["UTC", "event", "booking", "scientist", "slot"] {
                assert!(header.contains(word), "{columns}\n{shown}");
            }
            for record in &records {
                let event = events.iter().find(|event| record.contains(**event)).unwrap();
                assert!(shown.contains(&format!(" {event} ")), "{columns}\n{shown}");
            }
            assert!(shown.contains("31 Maria"), "{columns}\n{shown}");
        }
    }
}

#[test]
fn at_80_columns_times_are_short_and_at_120_they_are_whole() {
    let records = [CURIE, NASTY, CANCELLED];
    let narrow = without_colours(&shown(80, &records));
    assert_eq!(
        narrow,
        "events of 2025-10-26; slots in 2025 (UTC)\n\
         UTC       event                  booking  scientist         slot         req\n\
         ────────────────────────────────────────────────────────────────────────────────\n\
         18:00:05  AGENDAMENTO_CRIADO         123  7 Marie Curie     12-01 03:00  6b1f-2a\n\
         18:00:06  AGENDAMENTO_CRIADO         124  8 A \"B\"\\n\\u001b…  12-01 03:05  6b1f-2b\n\
         19:00:00  AGENDAMENTO_CANCELADO      123  7 Marie Curie     12-01 03:00  6b1f-2c\n\
         3 records\n"
    );
    let wide = without_colours(&shown(120, &records));
    for whole in ["2025-10-26T18:00:05.123456Z", "2025-12-01 03:00", "telescope", "Hubble-Acad", "6b1f-2c"] {
        assert!(wide.contains(whole), "{wide}");
    }
    assert!(!narrow.contains("telescope"));
}

#[test]
fn the_table_fits_in_portuguese_too() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "audit.jsonl", &[CURIE, NASTY, CANCELLED]);
    let shown = |columns| without_colours(&on_terminal(columns, &mut audit(&[&path, "--lang", "pt"])));
    assert_eq!(
        shown(80),
        "eventos de 2025-10-26; horários em 2025 (UTC)\n\
         UTC       evento                 agend.  cientista          horário      req\n\
         ────────────────────────────────────────────────────────────────────────────────\n\
         18:00:05  AGENDAMENTO_CRIADO        123  7 Marie Curie      12-01 03:00  6b1f-2a\n\
         18:00:06  AGENDAMENTO_CRIADO        124  8 A \"B\"\\n\\u001b[…  12-01 03:05  6b1f-2b\n\
         19:00:00  AGENDAMENTO_CANCELADO     123  7 Marie Curie      12-01 03:00  6b1f-2c\n\
         3 registros\n"
    );
    let long = record("2026-11-25T23:04:12.123456Z", "AGENDAMENTO_CANCELADO", "2026-12-01T03:00:00Z");
    let path = file(&folder, "longo.jsonl", &[CURIE, &long]);
    for columns in [80, 100, 120, 160, 240] {
        let shown = without_colours(&on_terminal(columns, &mut audit(&[&path, "--lang", "pt"])));
        assert!(shown.lines().all(|line| line.width() <= usize::from(columns)), "{columns}\n{shown}");
        for word in ["evento", "agend.", "cientista", "horário"] {
            assert!(shown.lines().take(2).any(|line| line.contains(word)), "{columns}\n{shown}");
        }
        assert!(columns < 120 || shown.contains("quando (UTC)"), "{shown}");
    }
}

#[test]
fn a_lock_that_was_taken_away_is_told_with_its_name_and_its_owner() {
    let forced = r#"{"timestamp_utc":"2025-10-26T18:00:40.001871Z","level":"AUDIT","event_type":"TRAVA_FORCADA","service":"servico-coordenador","details":{"recurso":"copia-noturna","estado_anterior":"travado","recursos":["copia-noturna"],"dono":"sh@m:1","token":4711,"motivo":"parou","ip":"127.0.0.1"},"req":"3b2f-b","autor":"anonimo","ip":"127.0.0.1"}"#;
    for columns in [80, 120] {
        let shown = without_colours(&shown(columns, &[forced]));
        for words in ["TRAVA_FORCADA", "3b2f-b", "127.0.0.1", "copia-noturna (sh@m:1): parou"] {
            assert!(shown.contains(words), "{words} at {columns}: {shown}");
        }
    }
    let folder = TempDir::new().unwrap();
    let csv = audit(&[&file(&folder, "coordenador.log", &[forced]), "--format", "csv"]).output().unwrap();
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.lines().nth(1).unwrap().ends_with(",anonimo,127.0.0.1,copia-noturna,sh@m:1,travado,"), "{csv}");
}

#[test]
fn events_have_colours_on_a_terminal_unless_no_color_is_set() {
    let folder = TempDir::new().unwrap();
    let refused = CURIE.replace("AGENDAMENTO_CRIADO", "AGENDAMENTO_RECUSADO");
    let path = file(&folder, "audit.jsonl", &[CURIE, CANCELLED, &refused]);
    let colours = ["\x1b[32mAGENDAMENTO_CRIADO", "\x1b[33mAGENDAMENTO_CANCELADO", "\x1b[31mAGENDAMENTO_RECUSADO"];
    let coloured = on_terminal(80, &mut audit(&[&path]));
    assert!(colours.iter().all(|event| coloured.contains(event)), "{coloured}");
    let plain = on_terminal(80, audit(&[&path]).env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1"));
    assert_eq!(plain, without_colours(&coloured));
    // JSON is the record's bytes, also on a terminal.
    assert_eq!(on_terminal(80, &mut audit(&[&path, "--format", "jsonl"])), lines(&[CURIE, CANCELLED, &refused]));
    // Elsewhere there are no colours, unless they are asked for.
    let piped = |force: &str| {
        let output = audit(&[&path, "--format", "table"]).env("CLICOLOR_FORCE", force).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!piped("0").contains('\x1b') && !piped("").contains('\x1b'));
    assert!(piped("1").contains("\x1b["), "{}", piped("1"));
    // The verdict of a verification has a colour too.
    let verified = audit(&["--verify", &path]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(String::from_utf8_lossy(&verified.stdout).contains("\x1b[31mTAMPERED"), "{verified:?}");
}

#[test]
fn a_followed_trail_is_a_table_that_grows() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "audit.jsonl", &[CURIE, NASTY]);
    let mut terminal = Terminal::start(80, audit(&[&path, "-f", "-n", "1"]).env("NO_COLOR", "1"));
    let shown = terminal.wait_for("6b1f-2b");
    assert!(shown.starts_with("UTC       event"), "{shown}");
    assert!(shown.contains("2025-10-26 (UTC)\n18:00:06  AGENDAMENTO_CRIADO "), "{shown}");
    assert!(!shown.contains("6b1f-2a"), "{shown}");
    let next = record("2025-10-27T00:00:01.000000Z", "AGENDAMENTO_CANCELADO", "2026-12-01T03:00:00Z");
    let mut trail = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    writeln!(trail, "{next}").unwrap();
    let shown = terminal.wait_for("6b1f-2a1b");
    assert!(shown.contains("2025-10-27 (UTC)\n00:00:01  AGENDAMENTO_CANCELADO"), "{shown}");
    assert!(shown.lines().all(|line| line.width() <= 80), "{shown}");
}
