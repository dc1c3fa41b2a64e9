//! The order of log lines: the line of a cause stands before the line of its effect, in the console of `serve-all`, and in the
//! files of two processes after they were merged as `docs/LOGGING.md` says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use crate::common::{Locks, Server, Services, http, request_of, sctec, stamp, wait_until};

/// The steps of a request, in the words of their lines.
const STEPS: &[(&str, &str)] = &[
    ("posted", "Requisição recebida para POST /agendamentos"),
    ("deleted", "Requisição recebida para DELETE /agendamentos/"),
    ("asks", "Tentando adquirir lock"),
    ("is asked", "Recebido pedido de lock"),
    ("grants", "Lock concedido"),
    ("denies", "já em uso, negando lock"),
    ("has the lock", "Lock adquirido"),
    ("is denied", "Falha ao adquirir lock"),
    ("checks", "Iniciando verificação"),
    ("is taken", "Conflito no BD"),
    ("saves", "Salvando "),
    ("recorded", "\"level\":\"AUDIT\""),
    ("gives back", "Liberando lock"),
    ("released", "Lock liberado"),
];

/// What a request that changes the agenda may do, in the order of cause.
const WAYS: &[&[&str]] = &[
    &["posted", "asks", "is asked", "grants", "has the lock", "checks", "saves", "recorded", "gives back", "released"],
    &["posted", "asks", "is asked", "denies", "is denied"],
    &["posted", "asks", "is asked", "grants", "has the lock", "checks", "is taken", "gives back", "released"],
    &["deleted", "asks", "is asked", "grants", "has the lock", "checks", "saves", "recorded", "gives back", "released"],
];

/// The lines of each request that changes the agenda, as steps.
fn ways(lines: &[String]) -> BTreeMap<&str, Vec<&'static str>> {
    let mut ways: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let Some(request) = request_of(line) else { continue };
        let step = STEPS.iter().find(|(_, words)| line.contains(words));
        ways.entry(request).or_default().push(step.map_or("another line", |(step, _)| step));
    }
    ways.retain(|_, steps| steps.contains(&"posted") || steps.contains(&"deleted"));
    ways
}

/// Checks that the lines of each request stand in the order of cause. Gives how many requests there are.
fn check_ways(lines: &[String], what: &str) -> usize {
    let ways = ways(lines);
    for (request, steps) in &ways {
        let told =
            || lines.iter().filter(|line| request_of(line) == Some(request)).cloned().collect::<Vec<_>>().join("\n");
        assert!(WAYS.contains(&&steps[..]), "{what}, {request}: {steps:?}\n{}", told());
    }
    ways.len()
}

/// Merges both files with the command of `docs/LOGGING.md`.
fn merged(data_dir: &Path) -> Vec<String> {
    let text = include_str!("../../docs/LOGGING.md");
    let (_, section) = text.split_once("### A ordem das linhas").expect("the section is there");
    let (command, _) = section.split_once("```sh\n").and_then(|(_, rest)| rest.split_once("```")).expect("a command");
    let output = Command::new("sh").args(["-c", command]).current_dir(data_dir).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Ten rivals for a free slot.
fn stress(url: &str) {
    let output = sctec().args(["stress", "--n", "10", "--url", url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Books a slot and cancels the booking.
fn book_and_cancel(url: &str, start: &str) {
    let body = json!({"cientista_id": 1, "horario_inicio_utc": start}).to_string();
    let booked = http("POST", &format!("{url}/agendamentos"), Some(("application/json", &body)));
    assert_eq!(booked.status, 201, "{}", booked.body);
    let path = booked.json()["_links"]["cancelar"]["href"].as_str().unwrap().to_owned();
    assert_eq!(http("DELETE", &format!("{url}{path}"), None).status, 200);
}

#[test]
fn the_lines_of_both_services_in_one_process_stand_in_the_order_of_cause() {
    const ROUNDS: usize = 100;
    let folder = TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap();
    let anywhere = ["--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"];
    let mut server = Server::start(&[&["serve-all", "--data-dir", data][..], &anywhere].concat());
    let url = server.url_of("servico-agendamento");
    for _ in 0..ROUNDS {
        stress(&url);
    }
    book_and_cancel(&url, "2031-01-01T03:00:00Z");
    assert_eq!(server.terminate(), Some(0));
    let ended = |lines: &[String]| lines.iter().filter(|line| line.contains(":encerrado us=")).count() == 2;
    wait_until("the console has shown all of it", || ended(&server.lines()));
    let (console, merged) = (server.lines(), merged(folder.path()));
    for (lines, what) in [(&console, "console"), (&merged, "merged")] {
        assert_eq!(check_ways(lines, what), 10 * ROUNDS + 2);
        let stamps: Vec<String> = lines.iter().filter_map(|line| stamp(line)).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{what}: a stamp goes back, or two are equal");
    }
    let set = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(set(&console), set(&merged), "both have every line");
}

#[test]
fn the_files_of_two_processes_are_merged_in_the_order_of_cause() {
    let services = Services::start(&[]);
    for _ in 0..3 {
        stress(&services.scheduler.url());
    }
    book_and_cancel(&services.scheduler.url(), "2031-01-01T03:00:00Z");
    let folder = services.stop();
    assert_eq!(check_ways(&merged(folder.path()), "merged"), 32);
}

/// The places of these words in the log, each in a line behind the one before.
fn places(lines: &[String], words: &[&str]) -> Vec<usize> {
    let mut from = 0;
    words
        .iter()
        .map(|words| {
            let place = lines[from..].iter().position(|line| line.contains(words));
            let place = from + place.unwrap_or_else(|| panic!("{words} is not behind line {from} of {lines:#?}"));
            from = place + 1;
            place
        })
        .collect()
}

#[test]
fn the_coordinators_lines_stand_in_the_order_of_its_decisions() {
    let mut locks = Locks::start();
    let (_, first) = locks.lock(&json!({"recurso": "X", "desconhecido": 1}));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| locks.lock(&json!({"recurso": "X", "espera_ms": 30_000})));
        let queue = || http("GET", &locks.url("/locks/X"), None).json()["fila"].clone();
        wait_until("it waits", || queue() == 1);
        locks.post("/unlock", &json!({"trava_id": first["trava_id"]}));
        assert_eq!(waiter.join().unwrap().0, 200);
    });
    assert_eq!(http("DELETE", &locks.url("/locks/X"), None).status, 200);
    let batch = json!({"operacoes": [
        {"op": "lock", "recurso": "Y", "req": "lote-1", "desconhecido": 1},
        {"op": "lock", "recurso": "Y", "req": "lote-2"},
        {"op": "unlock", "recurso": "Y", "req": "lote-3"},
    ]});
    assert_eq!(locks.post("/lote", &batch).0, 200);
    locks.lock(&json!({"recurso": "Z"}));
    let status = thread::scope(|scope| {
        let url = locks.url("/lock");
        let queue = locks.url("/locks/Z");
        let body = json!({"recurso": "Z", "espera_ms": 30_000}).to_string();
        let waiter = scope.spawn(move || http("POST", &url, Some(("application/json", &body))).status);
        wait_until("it waits", || http("GET", &queue, None).json()["fila"] == 1);
        assert_eq!(locks.server.terminate(), Some(0));
        waiter.join().unwrap()
    });
    assert_eq!(status, 503);
    let text = std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let decisions = [
        "Campos desconhecidos, ignorados: desconhecido",
        "Recebido pedido de lock para recurso X",
        "Lock concedido para recurso X",
        "Recebido pedido de lock para recurso X",
        "Na fila por recurso X",
        "Recebido pedido de unlock para recurso X. Lock liberado.",
        "Lock concedido para recurso X",
        "\"event_type\":\"TRAVA_FORCADA\"",
        "Lock retirado à força do recurso X",
        "Campos desconhecidos, ignorados: desconhecido req=lote-1",
        "Recebido pedido de lock para recurso Y req=lote-1",
        "Lock concedido para recurso Y req=lote-1",
        "Recebido pedido de lock para recurso Y req=lote-2",
        "Recurso Y já em uso, negando lock req=lote-2",
        "Recebido pedido de unlock para recurso Y. Lock liberado. req=lote-3",
        "Lock concedido para recurso Z",
        "Na fila por recurso Z",
        ":encerrando",
        "Encerrando, negando lock",
        ":encerrado",
    ];
    assert_eq!(places(&lines, &decisions).len(), decisions.len());
    let on_console = |line: &String| line.contains("TRAVA_FORCADA");
    wait_until("the console shows the record too", || locks.server.lines().iter().any(on_console));
}
