//! `sctec audit --req ID`: what the trail and the logs of both services have of one request, told in the order of time.

use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

use crate::common::terminal::{on_terminal, without_colours};
use crate::common::trail::{audit, file, gzip, texts};
use crate::common::{Asked, Server, Services, http_with, scheduler_command, wait_until};

/// The messages of a booking, in the order of cause.
const BOOKING: [(&str, &str); 10] = [
    ("app.log", "Requisição recebida para POST /agendamentos"),
    ("app.log", "Tentando adquirir lock para o recurso R"),
    ("coordenador.log", "Recebido pedido de lock para recurso R"),
    ("coordenador.log", "Lock concedido para recurso R"),
    ("app.log", "Lock adquirido com sucesso para o recurso R"),
    ("app.log", "Iniciando verificação de conflito no BD"),
    ("app.log", "Salvando novo agendamento no BD"),
    ("audit.jsonl", "AGENDAMENTO_CRIADO"),
    ("app.log", "Liberando lock para o recurso R"),
    ("coordenador.log", "Recebido pedido de unlock para recurso R. Lock liberado."),
];

/// Books a slot in a request for which its client chose this identifier.
fn book(url: &str, id: &str, scientist: i64, start: &str) -> u16 {
    let body = Asked::by(scientist, start).body().to_string();
    let answer =
        http_with("POST", &format!("{url}/agendamentos"), Some(("application/json", &body)), &[("X-Request-Id", id)]);
    answer.status
}

fn run(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output: Output = audit(arguments).output().unwrap();
    let (printed, said) = texts(&output);
    (printed, said, output.status.code())
}

/// The objects that `--json` prints, once the unlock of the request is among them.
fn told(arguments: &[&str]) -> Vec<Value> {
    let mut objects = Vec::new();
    wait_until("the unlock and the record are told", || {
        let (printed, ..) = run(&[arguments, &["--json"]].concat());
        objects = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
        printed.contains("Recebido pedido de unlock") && printed.contains("audit.jsonl")
    });
    objects
}

/// Where each line comes from, and its message or event.
fn story(objects: &[Value]) -> Vec<(String, String)> {
    let of = |object: &Value| {
        let origin = std::path::Path::new(object["origem"].as_str().unwrap()).file_name().unwrap().to_str().unwrap();
        let message = object["msg"].as_str().or(object["event_type"].as_str()).unwrap();
        (origin.to_owned(), message.to_owned())
    };
    objects.iter().map(of).collect()
}

/// Checks that these are the lines of the booking of that slot, in the order of cause. The instant of the record is that of its
/// transaction, which is a little earlier than the line of the saving.
fn assert_is_booking(objects: &[Value], start: &str) {
    assert_eq!(story(objects), booking(start));
    let at = |object: &Value| object["timestamp_utc"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(objects.iter().filter(|object| object["level"] != "AUDIT").is_sorted_by_key(at), "{objects:#?}");
}

fn booking(start: &str) -> Vec<(String, String)> {
    let resource = format!("Hubble-Acad_{start}");
    let named = |(origin, message): (&str, &str)| {
        let message = message.replace(" R", &format!(" {resource}"));
        (origin.to_owned(), message)
    };
    BOOKING.map(named).to_vec()
}

#[test]
fn a_booking_is_told_in_both_formats_of_the_log() {
    for format in ["text", "json"] {
        let folder = TempDir::new().unwrap();
        let data_dir = folder.path().to_str().unwrap();
        let listen = ["--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"];
        let server =
            Server::start(&[&["serve-all", "--data-dir", data_dir, "--log-format", format][..], &listen].concat());
        let url = server.url_of("servico-agendamento");
        assert_eq!(book(&url, "r-1", 7, "2025-12-01T03:00:00Z"), 201);
        assert_eq!(book(&url, "r-10", 7, "2025-12-01T03:05:00Z"), 201);
        let objects = told(&["--data-dir", data_dir, "--req", "r-1"]);
        assert_is_booking(&objects, "2025-12-01T03:00:00Z");
        let found = story(&objects);
        // The record comes once, although the log has its echo.
        let records: Vec<&Value> = objects.iter().filter(|object| object["level"] == "AUDIT").collect();
        assert_eq!(records.len(), 1, "{format}: {found:?}");
        assert_eq!(records[0]["details"]["cientista_id"], 7);
        assert!(objects.iter().all(|object| object["req_cliente"] == "r-1" && object["linha"].as_u64() > Some(0)));
        let granted = &objects.iter().find(|object| object["msg"].as_str().unwrap_or("").starts_with("Lock conc"));
        assert_eq!(granted.unwrap()["token"], 1, "{format}");
        // For people, it is the same story, as a problem's `instance` names it.
        let (printed, said, status) = run(&["--data-dir", data_dir, "--req", "urn:sctec:req:r-1"]);
        assert_eq!((said.as_str(), status), ("", Some(0)), "{format}: {printed}");
        assert_eq!(printed.lines().count(), objects.len() + 1);
        for (line, (origin, message)) in printed.lines().zip(&found) {
            assert!(line.contains(&format!("Z  {origin} ")) && line.contains(message.as_str()), "{line}");
        }
        let counts = "10 lines of request r-1: 6 in app.log, 1 in audit.jsonl, 3 in coordenador.log";
        assert_eq!(printed.lines().last(), Some(counts));
    }
}

#[test]
fn each_of_many_requests_at_once_has_its_own_lines_of_the_coordinator() {
    const REQUESTS: usize = 24;
    let services = Services::start(&[]);
    let url = services.agenda("");
    let start = |of: usize| format!("2025-12-01T{:02}:{:02}:00Z", 3 + of / 12, of % 12 * 5);
    std::thread::scope(|scope| {
        for of in 0..REQUESTS {
            let url = &url;
            scope.spawn(move || assert_eq!(book(url, &format!("many-{of}"), 7, &start(of)), 201));
        }
    });
    let data_dir = services.data_dir().to_str().unwrap();
    for of in 0..REQUESTS {
        let id = format!("many-{of}");
        assert_is_booking(&told(&["--data-dir", data_dir, "--req", &id]), &start(of));
    }
}

#[test]
fn what_is_not_here_is_named_and_can_be_added() {
    let services = Services::start(&[]);
    assert_eq!(book(&services.agenda(""), "r-1", 7, "2025-12-01T03:00:00Z"), 201);
    let both = told(&["--data-dir", services.data_dir().to_str().unwrap(), "--req", "r-1"]);
    let folder = services.stop();
    // Each service has a folder of its own.
    let away = TempDir::new().unwrap();
    std::fs::rename(folder.path().join("coordenador.log"), away.path().join("coordenador.log")).unwrap();
    let (here, there) = (folder.path().to_str().unwrap(), away.path().to_str().unwrap());
    let log = format!("{there}/coordenador.log");
    let (printed, said, status) = run(&["--data-dir", here, "--req", "r-1", "--json"]);
    assert_eq!((printed.lines().count(), status), (both.len() - 3, Some(1)), "{printed}");
    assert!(said.contains("no log of servico-coordenador was found") && said.contains("--data-dir"), "{said}");
    let (printed, said, status) = run(&["--data-dir", there, "--req", "r-1"]);
    assert!(printed.contains("Lock concedido") && status == Some(1), "{printed}");
    assert!(said.contains("no log of servico-agendamento was found") && said.contains("no audit trail"), "{said}");
    for more in [&["--data-dir", here, "--data-dir", there][..], &["--data-dir", here, "--log", &log]] {
        let (printed, said, status) = run(&[more, &["--req", "r-1", "--json"]].concat());
        assert_eq!((printed.lines().count(), said.as_str(), status), (both.len(), "", Some(0)), "{more:?}");
    }
    let input = std::fs::File::open(&log).unwrap();
    let output = audit(&["--data-dir", here, "--log", "-", "--req", "r-1"]).stdin(input).output().unwrap();
    assert!(output.status.success() && texts(&output).0.contains("standard input  Lock concedido"), "{output:?}");
    let (_, said, status) = run(&["--data-dir", "/nowhere", "--req", "r-1"]);
    assert!(status == Some(2) && said.contains("no log and no audit trail in /nowhere"), "{said}");
    let (printed, said, status) = run(&["--data-dir", here, "--data-dir", there, "--req", "nobody"]);
    assert_eq!((printed.as_str(), status), ("0 lines of request nobody\n", Some(0)));
    let empty = TempDir::new().unwrap();
    let (_, nowhere, _) =
        run(&["--data-dir", empty.path().to_str().unwrap(), "--log", &file(&empty, "app.log", &[]), "--req", "r-1"]);
    assert!(nowhere.contains("about request r-1 in files without a line that has a time; check"), "{nowhere}");
    // A mistyped identifier does not pass for one that was found.
    assert!(
        said.contains("nothing was found about request nobody in ") && said.contains("app.log (since 20"),
        "{said}"
    );
}

/// A folder with a request in logs that were rotated: its first lines are in closed files, one compressed; an operator took its
/// lock away by force.
fn rotated() -> TempDir {
    let folder = TempDir::new().unwrap();
    let app = |second: u32, rest: &str| format!("INFO:2026-11-25T23:59:{second:02}.100Z:servico-agendamento:{rest}");
    let coordinator =
        |second: u32, rest: &str| format!("WARNING:2026-11-25T23:59:{second:02}.100Z:servico-coordenador:{rest}");
    let first = app(1, "Requisição recebida para POST /agendamentos req=r-1 us=001") + "\n";
    std::fs::write(folder.path().join("app.log.2.gz"), gzip(first.as_bytes())).unwrap();
    file(&folder, "app.log.1", &[&app(2, "Tentando adquirir lock para o recurso X req=r-1 us=001")]);
    let refused = r#"ERROR:2026-11-26T00:00:09.100Z:servico-agendamento:Gravação recusada para o recurso "x\u001b[2J y z": a trava venceu antes e por isso nada foi gravado req=r-1 token=7 us=001"#;
    file(&folder, "app.log", &[refused]);
    let granted = coordinator(3, "Lock concedido para recurso X req=r-1 token=7 us=001");
    let other = coordinator(3, "Lock concedido para recurso Y req=r-2 token=8 us=002");
    let forced = r#"{"timestamp_utc":"2026-11-25T23:59:05.001871Z","level":"AUDIT","event_type":"TRAVA_FORCADA","service":"servico-coordenador","details":{"recurso":"X","token":7,"motivo":"parou"},"req":"r-9"}"#;
    let expired = coordinator(6, "Lock vencido para recurso Y token=8 us=001");
    file(&folder, "coordenador.log", &[&coordinator(0, "escutando us=000"), &granted, &other, forced, &expired]);
    let record = r#"{"timestamp_utc":"2026-11-25T23:59:04.000001Z","level":"AUDIT","event_type":"AGENDAMENTO_RECUSADO","service":"servico-agendamento","details":{"cientista_nome":"A\u001b[2J\u202e","motivo":null},"seq":1,"req":"r-1","prev":"00","hash":"aa"}"#;
    file(&folder, "audit.jsonl", &[record]);
    folder
}

#[test]
fn rotated_logs_are_read_and_the_end_of_the_requests_lock_is_told() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    let (printed, said, status) = run(&["--data-dir", data_dir, "--req", "r-1"]);
    assert_eq!((said.as_str(), status), ("", Some(0)));
    assert_eq!(
        printed,
        "2026-11-25T23:59:01.100001Z  app.log.2.gz     Requisição recebida para POST /agendamentos\n\
         2026-11-25T23:59:02.100001Z  app.log.1        Tentando adquirir lock para o recurso X\n\
         2026-11-25T23:59:03.100001Z  coordenador.log  WARNING: Lock concedido para recurso X token=7\n\
         2026-11-25T23:59:04.000001Z  audit.jsonl      AGENDAMENTO_RECUSADO cientista_nome=\"A\\u001b[2J\\u202e\" seq=1\n\
         2026-11-25T23:59:05.001871Z  coordenador.log  TRAVA_FORCADA recurso=X token=7 motivo=parou req=r-9\n\
         2026-11-26T00:00:09.100001Z  app.log          ERROR: Gravação recusada para o recurso \"x\\u001b[2J y z\": a trava \
         venceu antes e por isso nada foi gravado token=7\n\
         6 lines of request r-1: 1 in app.log, 1 in app.log.1, 1 in app.log.2.gz, 1 in audit.jsonl, 2 in coordenador.log\n"
    );
    let (printed, ..) = run(&["--data-dir", data_dir, "--req", "r-1", "--since", "2026-11-26", "--json"]);
    assert_eq!(printed.lines().count(), 1, "{printed}");
    // The oldest file is gone.
    std::fs::remove_file(folder.path().join("app.log.2.gz")).unwrap();
    let log = format!("{data_dir}/earlier");
    std::fs::write(&log, "INFO:2026-11-25T23:59:01.100Z:servico-agendamento:Requisição recebida req=r-1\n").unwrap();
    let (_, said, status) = run(&["--data-dir", data_dir, "--log", &log, "--req", "r-1"]);
    assert!(
        status == Some(1)
            && said.contains("app.log.1 begins at 2026-11-25T23:59:02Z")
            && said.contains("older logs, add them with --log"),
        "{said}"
    );
}

#[test]
fn the_logs_of_both_services_may_come_in_one_stream_one_after_the_other() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    let (trail, logs) = (TempDir::new().unwrap(), ["app.log.1", "app.log", "coordenador.log"]);
    std::fs::copy(folder.path().join("audit.jsonl"), trail.path().join("audit.jsonl")).unwrap();
    let mut stream = String::new();
    for log in logs {
        for line in std::fs::read_to_string(folder.path().join(log)).unwrap().lines() {
            stream.extend(["sctec_servico-1  | ", line, "\n"]);
        }
    }
    let stream = file(&folder, "stream", &[stream.trim_end()]);
    let (printed, said, status) =
        run(&["--data-dir", trail.path().to_str().unwrap(), "--log", &stream, "--req", "r-1", "--json"]);
    assert_eq!((said.as_str(), status), ("", Some(0)), "{printed}");
    let (whole, ..) = run(&["--data-dir", data_dir, "--req", "r-1", "--json"]);
    let at = |printed: &str| -> Vec<String> {
        let objects = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        objects.map(|object| object["timestamp_utc"].as_str().unwrap().to_owned()).collect()
    };
    // Without the compressed file.
    assert_eq!(at(&printed), at(&whole)[1..]);
}

#[test]
fn on_a_terminal_no_line_is_longer_and_long_ones_are_broken_between_words() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    for columns in [80, 120] {
        let shown = on_terminal(columns, &mut audit(&["--data-dir", data_dir, "--req", "r-1"]));
        assert!(shown.contains("\x1b[31mAGENDAMENTO_RECUSADO") && shown.contains("\x1b[31mERROR: "), "{shown}");
        let shown = without_colours(&shown);
        assert!(shown.lines().all(|line| line.width() <= usize::from(columns)), "{columns}\n{shown}");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n') && !shown.contains('\u{202e}'), "{shown}");
        assert!(shown.starts_with("2026-11-25 (UTC)\n23:59:01.100001  app.log.2.gz "), "{shown}");
        assert!(shown.contains("\n2026-11-26 (UTC)\n00:00:09.100001  app.log  "), "{shown}");
        for word in ["Requisição", "/agendamentos", "AGENDAMENTO_RECUSADO", "gravado", "token=7"] {
            assert!(shown.contains(word), "{columns}\n{shown}");
        }
    }
}

#[test]
fn with_another_filter_a_format_or_a_file_req_finds_records_only() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    let trail = format!("{data_dir}/audit.jsonl");
    let record = std::fs::read_to_string(&trail).unwrap();
    for arguments in [
        &["--format", "jsonl", "--data-dir", data_dir][..],
        &["-n", "5", "--data-dir", data_dir],
        &["--event", "AGENDAMENTO_RECUSADO", "--data-dir", data_dir],
        &[&trail],
    ] {
        let (printed, said, status) = run(&[arguments, &["--req", "r-1"]].concat());
        assert_eq!((printed, said.as_str(), status), (record.clone(), "", Some(0)), "{arguments:?}");
    }
    for (arguments, right) in [
        (&["--json"][..], "use it with --req ID and no other search option"),
        (&["--json", "--req", "r-1", "--format", "csv"], "use it with --req ID and no other search option"),
        (&["--log", "x", "--event", "X"], "use it with --req ID and no other search option"),
        (&["--data-dir", "a", "--data-dir", "b"], "give it once"),
        (&["--req", "a b"], "is not the identifier of a request"),
        (&["--req", "-"], "is not the identifier of a request"),
    ] {
        let (_, said, status) = run(arguments);
        assert!(status == Some(2) && said.contains(right) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}

#[test]
fn what_could_not_be_read_changes_the_exit_status() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    let of = |id: &str| run(&["--data-dir", data_dir, "--req", id]);
    assert_eq!(of("r-1").2, Some(0));
    // A folder cannot be read as a file, not even by root.
    std::fs::create_dir(folder.path().join("app.log.3")).unwrap();
    let (_, said, status) = of("r-1");
    assert!(status == Some(1) && said.contains("app.log.3: it is a folder") && said.lines().count() == 1, "{said}");
    std::fs::remove_dir(folder.path().join("app.log.3")).unwrap();
    let closed = folder.path().join("audit-000000000001.jsonl.zst");
    std::fs::write(&closed, "x").unwrap();
    let (_, said, status) = of("r-1");
    assert!(status == Some(1) && said.contains("audit-000000000001.jsonl.zst; decompress it first"), "{said}");
    std::fs::remove_file(closed).unwrap();
    std::fs::write(folder.path().join("app.log.3"), "x".repeat(17 << 20) + "\n").unwrap();
    let (_, said, status) = of("r-1");
    assert!(status == Some(1) && said.contains("1 line is longer than 16 MiB"), "{said}");
}

#[test]
fn a_log_that_begins_after_the_request_is_whole_only_if_its_service_began_then() {
    let folder = rotated();
    let data_dir = folder.path().to_str().unwrap();
    for closed in ["app.log.1", "app.log.2.gz"] {
        std::fs::remove_file(folder.path().join(closed)).unwrap();
    }
    // A rotation with a date in the names leaves a log that looks as if it was never rotated.
    let (_, said, status) = run(&["--data-dir", data_dir, "--req", "r-1"]);
    assert!(status == Some(1) && said.contains("app.log begins at 2026-11-26T00:00:09Z"), "{said}");
    let start = "INFO:2026-11-26T00:00:08.100Z:servico-agendamento:escutando em http://127.0.0.1:5000 us=000";
    file(&folder, "app.log", &[start]);
    let (_, said, status) = run(&["--data-dir", data_dir, "--req", "r-1"]);
    assert!(status == Some(0) && said.contains("app.log begins at 2026-11-26T00:00:08Z"), "{said}");
}

#[test]
fn the_race_has_no_coordinator_to_miss() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let mut command = scheduler_command(folder.path(), "http://127.0.0.1:1");
    let server = Server::spawn(command.args(["--no-lock", "--critical-delay-ms", "0"]), 1);
    assert_eq!(book(&server.url(), "r-1", 7, "2025-12-01T03:00:00Z"), 201);
    let of = |arguments: &[&str]| run(&[&["--data-dir", data_dir, "--req", "r-1"], arguments].concat());
    wait_until("the record is told", || of(&["--race"]).0.contains("AGENDAMENTO_CRIADO"));
    let (printed, said, status) = of(&["--race"]);
    assert_eq!((said.as_str(), status), ("", Some(0)), "{printed}");
    // Without --race its trail is not read, and that is said.
    let (_, said, status) = of(&[]);
    assert!(status == Some(1) && said.contains("add --race") && said.lines().count() == 1, "{said}");
}
