//! The services' logs: clients cannot forge or flood them, and they are rotated, moved and reopened without a loss.

use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::common::{Locks, Server, Services, http, http_with, run, sctec, signal, wait_until};

/// The lines of a log and of its closed files, the oldest first.
fn all_lines(folder: &Path, name: &str) -> Vec<String> {
    let closed = (1..=5).rev().map(|number| folder.join(format!("{name}.{number}")));
    let files: Vec<PathBuf> = closed.chain([folder.join(name)]).collect();
    files
        .iter()
        .flat_map(|file| {
            std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// The names of a line's fields. A field has a `=` outside of quotes.
fn field_names(line: &str) -> Vec<String> {
    let (mut outside, mut quoted, mut after_backslash) = (String::new(), false, false);
    for c in line.chars() {
        if quoted {
            quoted = c != '"' || after_backslash;
            after_backslash = c == '\\' && !after_backslash;
        } else if c == '"' {
            (quoted, after_backslash) = (true, false);
        } else {
            outside.push(c);
        }
    }
    assert!(!quoted, "a quote stays open: {line}");
    outside.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name.to_owned()).collect()
}

/// The names of the pairs in the lines of the test below.
const OURS: &str = "req req_cliente token recursos retido esperou_ms espera_ms prometido visto de a ms us mandato";

#[test]
fn no_name_forges_fields_or_writes_invisible_characters_into_a_log() {
    let services = Services::start(&[]);
    let nasty = [
        "x req=forged-1 token=9",
        "x\" req=forged-2 \"",
        "x\\\" req=forged-3",
        "x\\",
        "req=forged-4",
        "\u{200e}x\u{200f}y\u{61c}z\u{202e}w\u{e0041}",
        "a\u{2028}b req=forged-5",
    ];
    for name in nasty {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        let post = |path: &str, body: Value| {
            let headers = [("X-Request-Id", "true-1")];
            http_with("POST", &services.locks(path), Some(("application/json", &body.to_string())), &headers)
        };
        assert_eq!(post("/lock", json!({"recurso": name})).status, 200);
        assert_eq!(post("/lock", json!({"recurso": name, "dono": name})).status, 409);
        post("/unlock", json!({"recurso": name}));
        post("/lote", json!({"operacoes": [{"op": "lock", "recursos": [name, "other"], "ttl_ms": 100}, {"op": name}]}));
        post("/lock", json!({"recurso": 1, name: 1}));
        http("GET", &services.locks(&format!("/locks/free-{encoded}")), None);
        http("DELETE", &services.locks(&format!("/locks/free-{encoded}")), None);
        for path in [
            format!("/telescopios/{encoded}"),
            format!("/cientistas/{encoded}"),
            format!("/agendamentos/{encoded}"),
            format!("/{encoded}"),
        ] {
            http("GET", &services.agenda(&path), None);
        }
        services
            .book_with(&json!({"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "telescopio": name}));
        services.book_with(&json!({name: 1}));
        http("GET", &services.agenda(&format!("/agendamentos?{encoded}=1")), None);
    }
    for file in ["coordenador.log", "app.log"] {
        services.log_lines(file, "");
        let text = std::fs::read_to_string(services.data_dir().join(file)).unwrap();
        let hidden = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{e0000}'..='\u{e007f}')
        };
        assert_eq!(text.find(hidden), None, "{file}");
        for line in text.lines().filter(|line| !line.starts_with('{')) {
            let names = field_names(line);
            assert!(names.iter().all(|name| OURS.split(' ').any(|ours| ours == name)), "{names:?}: {line}");
            for ours in ["req", "req_cliente"] {
                assert!(names.iter().filter(|name| *name == ours).count() <= 1, "{line}");
            }
        }
    }
    let told = services.read_log("coordenador.log");
    let granted = "Lock concedido para recurso \"x req=forged-1 token=9\" req=";
    let told = told.iter().any(|line| line.contains(granted) && line.contains(" req_cliente=true-1 token="));
    assert!(told, "a name is quoted as it is");
}

#[test]
fn a_request_writes_one_log_line_for_each_operation() {
    let locks = Locks::start();
    let operations: Vec<Value> = (0..300)
        .map(|operation| {
            let names: Vec<String> = (0..288).map(|name| format!("{operation:x}.{name:x}")).collect();
            json!({"op": "lock", "recursos": names, "ttl_ms": 100})
        })
        .collect();
    let body = json!({ "operacoes": operations });
    let sent = body.to_string().len();
    assert_eq!(locks.post("/lote", &body).0, 200);
    let log = || std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    let count = |text: &str| log().lines().filter(|line| line.contains(text) && line.contains(" recursos=288")).count();
    wait_until("all have expired", || count("Lock vencido para recurso") == 300);
    assert_eq!(count("Recebido pedido de lock para recurso"), 300);
    assert_eq!(count("Lock concedido para recurso"), 300);
    assert!(log().len() < sent, "{} bytes of log for {sent} sent", log().len());
    // The wrong fields of a small request do not make many lines or long lines.
    let before = log().len();
    let fields = (0..200).map(|field| format!("\"campo_{field}\": 1,")).collect::<Vec<_>>().concat();
    let body = format!("{{{fields} \"recurso\": \"X\"}}");
    http("POST", &locks.url("/lock"), Some(("application/json", &body)));
    wait_until("it is logged", || log().len() > before || log().contains("recurso X"));
    assert!(log().len() - before < body.len().max(4096), "{}", log().len() - before);
}

#[test]
fn the_resources_of_an_operation_are_logged_at_debug() {
    let locks = Locks::start_with(&["--log-level", "debug"]);
    assert_eq!(locks.lock(&json!({"recursos": ["A", "b c", "D"]})).0, 200);
    let log = || std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    wait_until("the names are told", || log().contains("Recursos do pedido: A \"b c\" D req="));
    wait_until("the grant is told", || log().contains("Lock concedido para recurso A req="));
}

#[test]
fn a_booking_of_a_day_writes_as_many_lines_as_a_booking_of_a_slot() {
    let services = Services::start(&[]);
    let book = |day: u8, duration_min: u16| {
        let start = format!("2025-12-{day:02}T00:00:00Z");
        let body = json!({"cientista_id": 1, "horario_inicio_utc": start, "duracao_min": duration_min});
        let id = format!("day-{day}");
        let headers = [("X-Request-Id", id.as_str())];
        let answer = http_with(
            "POST",
            &services.agenda("/agendamentos"),
            Some(("application/json", &body.to_string())),
            &headers,
        );
        assert_eq!(answer.status, 201);
        services.log_lines("app.log", &format!(" req_cliente={id} "))
    };
    let (one, many) = (book(1, 5), book(2, 1440));
    assert_eq!(one.len(), many.len());
    for text in [
        "Tentando adquirir lock para o recurso",
        "Lock adquirido com sucesso para o recurso",
        "Liberando lock para o recurso",
    ] {
        assert!(
            one.iter().any(|line| line.contains(&format!("{text} Hubble-Acad_2025-12-01T00:00:00Z req="))),
            "{one:?}"
        );
        assert!(
            many.iter().any(|line| line.contains(&format!("{text} Hubble-Acad_2025-12-02T00:00:00Z"))
                && line.contains(" recursos=288")),
            "{many:?}"
        );
    }
}

#[test]
fn a_sighup_reopens_the_logs_and_does_not_end_the_service() {
    // carbon #197, monero #8259: SIGHUP caused a crash, or the log was not reopened.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for arguments in [
        &["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0", "--data-dir", data][..],
        &["serve-coordinator", "--listen", "127.0.0.1:0", "--data-dir", data],
        &["serve-scheduler", "--no-lock", "--listen", "127.0.0.1:0", "--data-dir", data],
    ] {
        let mut server = Server::start(arguments);
        for name in ["app.log", "coordenador.log"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        signal(server.pid(), "HUP");
        let files = match arguments[0] {
            "serve-all" => &["app.log", "coordenador.log"][..],
            "serve-coordinator" => &["coordenador.log"],
            _ => &["app.log"],
        };
        for name in files {
            wait_until("the log is there again", || {
                std::fs::read_to_string(folder.path().join(name))
                    .is_ok_and(|text| text.contains(":log:arquivo reaberto a pedido us="))
            });
        }
        signal(server.pid(), "HUP");
        assert_eq!(http("GET", &format!("{}/saude", server.url_of("servico-")), None).status, 200);
        assert_eq!(server.terminate(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_log_that_was_moved_is_created_again_without_a_signal() {
    let services = Services::start(&[]);
    services.log_lines("app.log", "");
    for name in ["app.log", "coordenador.log"] {
        let (at, away) = (services.data_dir().join(name), services.data_dir().join(format!("{name}.moved")));
        std::fs::rename(&at, &away).unwrap();
        // No request is sent meanwhile.
        wait_until("it is made anew", || at.exists());
        assert!(std::fs::read_to_string(&away).unwrap().contains("escutando em"));
    }
    assert_eq!(services.book(1, "2025-12-01T03:00:00Z").0, 201);
    assert_eq!(services.log_lines("app.log", "Lock adquirido com sucesso").len(), 1);
    assert_eq!(services.log_lines("coordenador.log", "Lock concedido").len(), 1);
}

#[test]
fn two_schedulers_rotate_a_full_log_and_no_line_is_lost_or_split() {
    let services = Services::start(&["--log-rotate-mb", "1"]);
    let other = services.another_scheduler(&["--log-rotate-mb", "1"]);
    let urls = [services.scheduler.url(), other.url()];
    let long = "x".repeat(7000);
    // About 2.4 MB: two files are closed, and none is deleted.
    std::thread::scope(|scope| {
        for (writer, url) in urls.iter().enumerate() {
            let long = &long;
            scope.spawn(move || {
                for number in 0..160 {
                    let id = format!("w{writer}-{number}");
                    let answer = http_with("GET", &format!("{url}/telescopios/{long}"), None, &[("X-Request-Id", &id)]);
                    assert_eq!(answer.status, 404);
                }
            });
        }
    });
    assert_eq!(services.book(1, "2025-12-01T03:00:00Z").0, 201);
    let received = |lines: &[String]| {
        lines.iter().filter(|line| line.contains("Requisição recebida em GET /telescopios/")).count()
    };
    let lines = || all_lines(services.data_dir(), "app.log");
    wait_until("all is written", || {
        received(&lines()) == 320 && lines().iter().any(|line| line.contains("\"event_type\":\"AGENDAMENTO_CRIADO\""))
    });
    let lines = lines();
    for writer in 0..2 {
        for number in 0..160 {
            let (path, end) =
                (format!("/telescopios/{long} do IP 127.0.0.1 req="), format!(" req_cliente=w{writer}-{number} us="));
            let of = |line: &&String| line.contains(&path) && line.contains(&end);
            assert_eq!(lines.iter().filter(of).count(), 1, "{writer} {number}");
        }
    }
    for number in 1..=2 {
        let size = std::fs::metadata(services.data_dir().join(format!("app.log.{number}"))).unwrap().len();
        // Both schedulers may have found room for their lines at the same instant.
        assert!((500_000..=1_100_000).contains(&size), "{size}");
    }
    // The trail's records in the log are found in its closed file.
    let files: Vec<String> = ["app.log.2", "app.log.1", "app.log"]
        .iter()
        .map(|name| services.data_dir().join(name).to_str().unwrap().to_owned())
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let found = run(&[&["audit"], &files[..], &["--event", "AGENDAMENTO_CRIADO", "--count"]].concat());
    assert_eq!(String::from_utf8_lossy(&found.stdout), "1\n");
}

#[test]
fn a_log_with_rotation_off_grows_and_an_invalid_size_is_refused() {
    let locks = Locks::start_with(&["--log-rotate-mb", "0"]);
    let long = "x".repeat(7000);
    for _ in 0..160 {
        http("GET", &locks.url(&format!("/locks/{long}")), None);
    }
    let size = || std::fs::metadata(locks.folder.path().join("coordenador.log")).unwrap().len();
    wait_until("it has grown", || size() > 300_000);
    assert!(!locks.folder.path().join("coordenador.log.1").exists());
    for wrong in ["-1", "1.5", "", "muito"] {
        let output = sctec().args(["serve-all", &format!("--log-rotate-mb={wrong}")]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}
