//! What commands show on terminals of 80 and 120 columns: no line is wider. With `SCTEC_TEST_PICTURES` this is also drawn, in the
//! folder that it names (the pictures are in `docs/pictures`).

use serde_json::json;

use crate::common::terminal::{Terminal, without_colours};
use crate::common::{Asked, Services, http, http_with, picture, sctec, wait_until};

/// The widths.
const COLUMNS: [u16; 2] = [80, 120];

/// Runs `sctec` with these arguments at each width, and draws it as `name`; `url` is left out of the drawn command.
#[track_caller]
fn shown(name: &str, arguments: &[&str], hidden: &[&str]) -> Vec<String> {
    shown_with(0, name, arguments, hidden)
}

/// The same for a command that ends with this status.
#[track_caller]
fn shown_with(status: i32, name: &str, arguments: &[&str], hidden: &[&str]) -> Vec<String> {
    // The headings are longer in Portuguese; only the English ones are drawn.
    let columns_in_portuguese = if hidden.contains(&"--lang") { &[][..] } else { &COLUMNS };
    for &columns in columns_in_portuguese {
        let mut command = sctec();
        command.args(arguments).args(hidden).args(["--lang", "pt"]).env("TERM", "dumb").env_remove("COLUMNS");
        let shown = without_colours(&Terminal::start(columns, &mut command).end_with(status));
        for line in shown.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{arguments:?} at {columns}: {line}");
        }
    }
    let shown = COLUMNS.map(|columns| {
        // On a terminal that is called dumb there are no bars of progress; clap would have no colours there.
        let term = if arguments[0] == "stress" { "dumb" } else { "xterm" };
        let mut command = sctec();
        command.args(arguments).args(hidden).env("TERM", term).env_remove("NO_COLOR").env_remove("COLUMNS");
        let shown = Terminal::start(columns, &mut command).end_with(status);
        for line in without_colours(&shown).lines() {
            assert!(line.chars().count() <= usize::from(columns), "{arguments:?} at {columns}: {line}");
        }
        picture(&format!("terminal-{name}-{columns}"), columns, &format!("sctec {}", arguments.join(" ")), &shown);
        // Colours, and nothing else, are what a terminal adds.
        let without = Terminal::start(columns, command.env("NO_COLOR", "1")).end_with(status);
        assert!(!without.contains('\x1b'), "{without}");
        without_colours(&shown)
    });
    shown.into()
}

#[test]
fn help_fits() {
    for shown in shown("ajuda", &["--help"], &[]) {
        assert!(shown.contains("sctec stress"), "{shown}");
    }
    shown("ajuda-stress", &["stress", "--help"], &[]);
}

#[test]
fn the_result_of_a_run_fits() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    for shown in shown("stress", &["stress", "-n", "10"], &["--url", &url]) {
        assert!(shown.contains("\nhistogram ") && shown.contains("\nas expected: "), "{shown}");
    }
    for shown in shown("stress-300", &["stress", "-n", "300", "-c", "50"], &["--url", &url]) {
        assert!(shown.contains("… and 250 more requests"), "{shown}");
    }
}

#[test]
fn the_day_of_a_telescope_and_the_list_of_bookings_fit() {
    let services = Services::start(&[]);
    for (scientist, start, minutes) in [
        (7, "03:00", 30),
        (4, "03:30", 75),
        (1, "04:45", 5),
        (7, "04:50", 5),
        (2, "05:20", 40),
        (9, "11:00", 120),
        (3, "21:35", 15),
    ] {
        let asked = Asked::by(scientist, &format!("2030-06-01T{start}:00Z")).minutes(minutes);
        assert_eq!(services.book_as(&asked.with("alvo", "Andrômeda, M31")).0, 201);
    }
    let (_, other) = services.book_as(&Asked::by(5, "2030-06-02T01:00:00Z").on("Webb-Acad"));
    assert_eq!(services.follow(&other, "cancelar").status, 200);
    let url = services.agenda("");
    for shown in shown("agenda", &["agenda", "--day", "2030-06-01", "--scientist", "7"], &["--url", &url]) {
        assert!(shown.contains("Marie Curie##") && shown.contains("\n7 bookings, 2 of them yours, "), "{shown}");
    }
    for shown in shown("bookings", &["bookings"], &["--url", &url]) {
        assert!(shown.contains("2030-06-01 03:00") && shown.ends_with("\n8 bookings\n"), "{shown}");
    }
}

#[test]
fn a_booking_that_was_made_fits() {
    let services = Services::start(&[]);
    let url = services.agenda("");
    // The command makes a booking each time that it runs, so each width has a start of its own.
    for (columns, hour) in COLUMNS.into_iter().zip(["03:00", "04:00"]) {
        let arguments = ["book", "2030-06-01", hour, "--duration", "30m", "--scientist", "7", "--target", "M31"];
        let mut command = sctec();
        command.args(arguments).args(["--url", &url]).env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
        let shown = Terminal::start(columns, &mut command).end_with(0);
        picture(&format!("terminal-book-{columns}"), columns, &format!("sctec {}", arguments.join(" ")), &shown);
        let plain = without_colours(&shown);
        for line in plain.lines() {
            assert!(line.chars().count() <= usize::from(columns), "at {columns}: {line}");
        }
        assert!(plain.contains(&format!("2030-06-01 {hour}")) && plain.contains("\nbooked; "), "{plain}");
    }
}

#[test]
fn the_table_of_locks_fits() {
    let services = Services::start(&["--lock-retention-ms", "60000"]);
    assert_eq!(services.book(7, "2030-06-01T03:00:00Z").0, 201);
    let lock = |body: serde_json::Value| {
        assert_eq!(http("POST", &services.locks("/lock"), Some(("application/json", &body.to_string()))).status, 200);
    };
    lock(json!({"recurso": "Hubble-Acad_2030-06-01T03:05:00Z", "dono": "servico-agendamento-2", "ttl_ms": 60_000}));
    lock(json!({"recurso": "calibracao-do-espectrografo", "dono": "rotina-da-madrugada", "ttl_ms": 300_000}));
    for shown in shown("locks", &["locks"], &["--url", &services.locks("")]) {
        assert!(shown.contains("2 locked, 1 retained"), "{shown}");
        assert!(shown.contains("Hubble-Acad_2030-06-01T03:05:00Z"), "a name is not split: {shown}");
    }
}

#[test]
fn the_table_of_the_trail_fits() {
    let services = Services::start(&[]);
    for (scientist, minute) in [(7, "00"), (1, "05"), (4, "10")] {
        assert_eq!(services.book(scientist, &format!("2030-06-01T03:{minute}:00Z")).0, 201);
    }
    let (_, booking) = services.book(2, "2030-06-01T03:15:00Z");
    assert_eq!(services.follow(&booking, "cancelar").status, 200);
    let trail = services.data_dir().join("audit.jsonl");
    wait_until("the trail has the cancellation", || {
        std::fs::read_to_string(&trail).is_ok_and(|trail| trail.contains("AGENDAMENTO_CANCELADO"))
    });
    let folder = services.data_dir().to_str().unwrap();
    for shown in shown("audit", &["audit"], &["--data-dir", folder]) {
        assert!(shown.contains("\n6 records"), "{shown}");
    }
    for shown in shown("audit-pt", &["audit"], &["--data-dir", folder, "--lang", "pt"]) {
        assert!(shown.contains("\n6 registros") && shown.contains("cientista"), "{shown}");
    }
}

#[test]
fn the_story_of_a_request_fits() {
    let services = Services::start(&[]);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2030-06-01T03:00:00Z"}).to_string();
    let id = [("X-Request-Id", "6b1f-2a")];
    let answer = http_with("POST", &services.agenda("/agendamentos"), Some(("application/json", &body)), &id);
    assert_eq!(answer.status, 201);
    services.wait_for_log("coordenador.log", |lines| lines.iter().any(|line| line.contains("Lock liberado.")));
    services.wait_for_log("audit.jsonl", |lines| lines.iter().any(|line| line.contains("6b1f-2a")));
    let folder = services.data_dir().to_str().unwrap();
    for shown in shown("audit-req", &["audit", "--req", "6b1f-2a"], &["--data-dir", folder]) {
        assert!(shown.contains("\n10 lines of request 6b1f-2a"), "{shown}");
    }
    for shown in shown("audit-req-pt", &["audit", "--req", "6b1f-2a"], &["--data-dir", folder, "--lang", "pt"]) {
        assert!(shown.contains("\n10 linhas da requisição 6b1f-2a"), "{shown}");
    }
}

#[test]
fn a_measured_clock_fits() {
    let services = Services::start(&[]);
    let hidden = ["--interval-ms", "1", "--url", &services.agenda("")];
    for shown in shown("clock-sync", &["clock-sync", "--simulate-skew=+2s"], &hidden) {
        assert!(shown.contains("like São Paulo"), "{shown}");
    }
}

/// Replaces the first place of `old` in a file of a data folder.
fn change(path: &std::path::Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(path, text.replacen(old, new, 1)).unwrap();
}

#[test]
fn the_report_of_a_verification_fits() {
    let services = Services::start(&[]);
    assert_eq!(services.book(7, "2030-06-01T03:00:00Z").0, 201);
    let folder = services.stop();
    let name = folder.path().to_str().unwrap();
    let hidden = [&["--data-dir", name][..], &["--data-dir", name, "--lang", "pt"]];
    let report = |status, picture: &str, hidden: &[&str]| shown_with(status, picture, &["audit", "--verify"], hidden);
    for (picture, hidden, verdict) in [("verify", hidden[0], "\nWHOLE: "), ("verify-pt", hidden[1], "\nÍNTEGRA: ")] {
        for shown in report(0, picture, hidden) {
            assert!(shown.contains(verdict), "{shown}");
            let hash = shown.lines().map(str::trim).any(|line| line.len() == 64 && !line.contains(' '));
            assert!(hash, "the head's hash is on a line of its own: {shown}");
        }
    }
    let trail = folder.path().join("audit.jsonl");
    change(&trail, "\"cientista_id\":7", "\"cientista_id\":8");
    for (picture, hidden, verdict) in
        [("tampered", hidden[0], "\nTAMPERED: "), ("tampered-pt", hidden[1], "\nADULTERADA: ")]
    {
        assert!(report(2, picture, hidden).iter().all(|shown| shown.contains(verdict)));
    }
    change(&trail, "\"cientista_id\":8", "\"cientista_id\":7");
    let whole = std::fs::read(&trail).unwrap();
    std::fs::write(&trail, &whole[..whole.len() - 9]).unwrap();
    for (picture, hidden, verdict) in
        [("incomplete", hidden[0], "\nINCOMPLETE: "), ("incomplete-pt", hidden[1], "\nINCOMPLETA: ")]
    {
        assert!(report(3, picture, hidden).iter().all(|shown| shown.contains(verdict)));
    }
}
