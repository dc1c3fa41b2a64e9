//! Leases: their remaining life in every answer, the grace after a stop, when the next waiter is served, and operators' orders with
//! their records.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::common::pending::{Pending, wait_for_queue};
use crate::common::{Locks, Server, coordinator_command, deaf, http, run, wait_until};

fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap()
}

/// Asks for a lock that is refused in the grace period, and gives what is left of that, in seconds.
fn refused_in_grace(locks: &Locks, resource: &str) -> u64 {
    let body = json!({"recurso": resource}).to_string();
    let answer = http("POST", &locks.url("/lock"), Some(("application/json", &body)));
    assert_eq!((answer.status, answer.json()["codigo"].as_str()), (503, Some("em_carencia")), "{}", answer.body);
    assert_eq!(http("GET", &locks.url("/pronto"), None).status, 503);
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn a_clean_stop_forgets_no_live_lease() {
    let mut locks = Locks::start();
    assert_eq!(locks.lock(&json!({"recurso": "X", "dono": "A", "ttl_ms": 300_000})).0, 200);
    assert_eq!(locks.lock(&json!({"recurso": "Z", "ttl_ms": 100})).0, 200);
    let mut last = 301;
    // Several stops, one after the other, without a lease in between.
    for _ in 0..3 {
        assert_eq!(locks.server.terminate(), Some(0));
        locks.restart();
        let left = refused_in_grace(&locks, "X");
        assert!(left <= last && left > 200, "{left} s are owed of 300");
        last = left;
    }
    // A run without grace leaves the grace to the next run, whether it gave a lease or not.
    for lease in [None, Some(json!({"recurso": "Y", "ttl_ms": 1000}))] {
        assert_eq!(locks.server.terminate(), Some(0));
        locks.restart_with(&["--grace", "0"]);
        if let Some(lease) = lease {
            assert_eq!(locks.lock(&lease).0, 200);
        }
        assert_eq!(locks.server.terminate(), Some(0));
        locks.restart();
        assert!(refused_in_grace(&locks, "X") > 200);
    }
}

#[test]
fn a_clean_stop_of_a_run_without_grace_keeps_the_grace_after_a_crash() {
    let mut locks = Locks::start();
    assert_eq!(locks.lock(&json!({"recurso": "X", "dono": "A", "ttl_ms": 300_000})).0, 200);
    locks.server.kill();
    for crash_again in [false, true, false] {
        locks.restart_with(&["--grace", "0"]);
        assert_eq!(locks.lock(&json!({"recurso": "B", "ttl_ms": 100})).0, 200);
        if crash_again {
            locks.server.kill();
        } else {
            assert_eq!(locks.server.terminate(), Some(0));
        }
    }
    locks.restart();
    assert!(refused_in_grace(&locks, "X") > 200);
}

#[test]
fn the_grace_is_the_longest_remaining_life_and_zero_without_live_leases() {
    let mut locks = Locks::start();
    // A long lease that was released, and a long one that was cut short: both leave a long TTL written down.
    let (_, back) = locks.lock(&json!({"recurso": "X", "dono": "A", "ttl_ms": 300_000}));
    assert_eq!(locks.unlock(&json!({"trava_id": back["trava_id"], "retencao_ms": 60_000})).1["liberado"], true);
    let (_, short) = locks.lock(&json!({"recurso": "Y", "dono": "A", "ttl_ms": 300_000}));
    assert_eq!(locks.post("/renew", &json!({"trava_id": short["trava_id"], "ttl_ms": 2000})).0, 200);
    assert_eq!(locks.server.terminate(), Some(0));
    locks.restart();
    let owed_ms = crate::common::election::limits(locks.folder.path())["ttl_maximo_ms"].as_u64().unwrap();
    assert!(owed_ms <= 2000, "{owed_ms}");
    wait_until("what was owed is over", || locks.lock(&json!({"recurso": "X", "ttl_ms": 100})).0 == 200);
    wait_until("it runs out", || http("GET", &locks.url("/locks/X"), None).status == 404);
    assert_eq!(locks.server.terminate(), Some(0));
    locks.restart();
    assert_eq!(locks.lock(&json!({"recurso": "X"})).0, 200);
}

#[test]
fn every_answer_about_a_lease_says_what_remains_of_it_now() {
    let locks = Locks::start();
    let request = json!({"recurso": "X", "dono": "eu", "pedido_id": "7", "ttl_ms": 60_000});
    let (_, first) = locks.lock(&request);
    assert!((1..=60_000).contains(&first["resta_ms"].as_u64().unwrap()), "{first}");
    // From here on, at least this much of its life is over.
    let granted = Instant::now();
    wait_until("some of it is gone", || millis_since(granted) >= 300);
    let at_most = 60_000 - millis_since(granted);
    let in_batch = json!({"op": "lock", "recurso": "X", "dono": "eu", "pedido_id": "7", "ttl_ms": 60_000});
    let (_, again) = locks.lock(&request);
    let batch = locks.post("/lote", &json!({"operacoes": [in_batch]})).1;
    let listed = http("GET", &locks.url("/locks"), None).json();
    let shown = http("GET", &locks.url("/locks/X"), None).json();
    for answer in [&again, &batch["respostas"][0], &listed["travas"][0], &shown] {
        let left = answer["resta_ms"].as_u64().unwrap_or_else(|| panic!("no resta_ms in {answer}"));
        assert!(left <= at_most && left > 1000, "{left} of {at_most}: {answer}");
    }
    assert_eq!((&again["ttl_ms"], &again["situacao"]), (&json!(60_000), &json!("concedido")));
    let renewed = locks.post("/renew", &json!({"trava_id": first["trava_id"], "ttl_ms": 2000})).1;
    assert!((1..=2000).contains(&renewed["resta_ms"].as_u64().unwrap()), "{renewed}");
}

#[test]
fn in_a_batch_an_answer_leaves_when_its_operation_is_decided() {
    let locks = Locks::start();
    let (_, h) = locks.lock(&json!({"recurso": "H", "dono": "eu", "ttl_ms": 60_000}));
    let mut batch = Pending::post(
        &locks,
        "/lote",
        &json!({"operacoes": [
            {"op": "lock", "recurso": "P", "ttl_ms": 500, "dono": "A"},
            {"op": "lock", "recurso": "H", "espera_ms": 60_000, "dono": "A"},
            {"op": "lock", "recurso": "Q", "ttl_ms": 60_000, "dono": "A"},
        ]}),
    );
    let head = batch.read_until("\"concedido\"");
    assert!(head.contains("\"recursos\":[\"P\"]"), "{head}");
    // Its successor has the lease, and the batch still waits for H.
    let mut successor = Value::Null;
    wait_until("P runs out", || {
        let (status, lease) = locks.lock(&json!({"recurso": "P", "dono": "B", "ttl_ms": 60_000}));
        successor = lease;
        status == 200
    });
    wait_for_queue(&locks, "H", 1);
    // The client has gone: answered grants stay, unanswered ones are undone.
    wait_until("Q is locked", || http("GET", &locks.url("/locks/Q"), None).status == 200);
    drop(batch);
    wait_for_queue(&locks, "H", 0);
    wait_until("Q is free", || http("GET", &locks.url("/locks/Q"), None).status == 404);
    assert_eq!(http("GET", &locks.url("/locks/P"), None).json()["token"], successor["token"]);
    assert_eq!(locks.unlock(&json!({"trava_id": h["trava_id"]})).1["liberado"], true);
}

#[test]
fn in_a_batch_no_answer_grants_a_lease_that_has_ended_meanwhile() {
    let locks = Locks::start();
    let (_, h) = locks.lock(&json!({"recurso": "H", "dono": "eu", "ttl_ms": 60_000}));
    let (_, z) = locks.lock(&json!({"recurso": "Z", "dono": "eu", "ttl_ms": 60_000}));
    let (_, r) = locks.lock(&json!({"recurso": "R", "dono": "A", "ttl_ms": 60_000}));
    let batch = Pending::post(
        &locks,
        "/lote",
        &json!({"operacoes": [
            {"op": "lock", "recurso": "H", "espera_ms": 60_000, "dono": "A", "ttl_ms": 60_000},
            {"op": "lock", "recurso": "P", "ttl_ms": 200, "dono": "A"},
            {"op": "lock", "recurso": "F", "ttl_ms": 60_000, "dono": "A"},
            {"op": "lock", "recurso": "N", "ttl_ms": 60_000},
            {"op": "renew", "trava_id": r["trava_id"], "ttl_ms": 200},
            {"op": "lock", "recurso": "Z", "dono": "A"},
            {"op": "lock", "recurso": "S", "ttl_ms": 60_000, "dono": "A"},
        ]}),
    );
    wait_until("S is locked", || http("GET", &locks.url("/locks/S"), None).status == 200);
    let begun = Instant::now();
    assert_eq!(http("DELETE", &locks.url("/locks/F"), None).status, 200);
    assert_eq!(locks.unlock(&json!({"recurso": "N"})).1["liberado"], true);
    for name in ["P", "R"] {
        wait_until("it runs out", || locks.lock(&json!({"recurso": name, "dono": "B", "ttl_ms": 60_000})).0 == 200);
    }
    assert_eq!(locks.post("/renew", &json!({"trava_id": z["trava_id"], "ttl_ms": 5000})).0, 200);
    let gone = millis_since(begun);
    assert_eq!(locks.unlock(&json!({"trava_id": h["trava_id"]})).1["liberado"], true);
    let (status, answers) = batch.answer();
    let answers = answers["respostas"].as_array().unwrap();
    let told: Vec<_> = answers.iter().map(|one| (one["status"].as_u64().unwrap(), one["motivo"].as_str())).collect();
    let lost = |why| (409, Some(why));
    assert_eq!(
        (status, told),
        (
            200,
            vec![
                (200, None),
                lost("expirado"),
                lost("forcado"),
                lost("ja_liberado"),
                lost("expirado"),
                (409, None),
                (200, None)
            ]
        )
    );
    assert_eq!(answers[1]["codigo"], "trava_perdida");
    // The obstacle of the refused operation has less time left too.
    assert_eq!(answers[5]["codigo"], "ocupado");
    assert!(answers[5]["expira_em_ms"].as_u64().unwrap() <= 5000, "{}", answers[5]);
    assert!(answers[6]["resta_ms"].as_u64().unwrap() <= 60_000 - gone, "{} after {gone} ms", answers[6]);
}

#[test]
fn a_waiter_is_served_in_time_when_a_lease_ends_earlier_than_expected() {
    let locks = Locks::start();
    // The minimum of several rounds: if the sweeper missed the earlier end, each would take 250 ms.
    let least = |what: &str, at_most: u64, make_earlier: &dyn Fn(&Value)| {
        let waited = (0..8).map(|_| {
            let (_, lease) = locks.lock(&json!({"recursos": ["X", "Y"], "dono": "eu", "ttl_ms": 60_000}));
            let waiter =
                Pending::post(&locks, "/lock", &json!({"recursos": ["Y", "X"], "dono": "b", "espera_ms": 30_000}));
            wait_for_queue(&locks, "X", 1);
            make_earlier(&lease["trava_id"]);
            let (status, next) = waiter.answer();
            assert_eq!(status, 200, "{what}");
            locks.unlock(&json!({"trava_id": next["trava_id"]}));
            next["esperou_ms"].as_u64().unwrap()
        });
        let least = waited.min().unwrap();
        assert!(least < at_most, "{what}: {least} ms");
    };
    least("a short retention", 180, &|id| {
        assert_eq!(locks.unlock(&json!({"trava_id": id, "retencao_ms": 20})).1["liberado"], true);
    });
    least("a renewal that shortens", 230, &|id| {
        assert_eq!(locks.post("/renew", &json!({"trava_id": id, "ttl_ms": 100})).0, 200);
    });
    least("a retention that is forced, resource by resource", 180, &|id| {
        locks.unlock(&json!({"trava_id": id, "retencao_ms": 60_000}));
        for name in ["X", "Y"] {
            assert_eq!(http("DELETE", &locks.url(&format!("/locks/{name}")), None).status, 200);
        }
    });
    let in_batch = |operation: Value| {
        let answer = locks.post("/lote", &json!({"operacoes": [operation]})).1;
        assert_eq!(answer["respostas"][0]["status"], 200, "{answer}");
    };
    least("a short retention in a batch", 180, &|id| {
        in_batch(json!({"op": "unlock", "trava_id": id, "retencao_ms": 20}));
    });
    least("a shorter renewal in a batch", 230, &|id| {
        in_batch(json!({"op": "renew", "trava_id": id, "ttl_ms": 100}));
    });
}

/// An operator's order for X that is refused: its holder keeps the lease.
fn refuses_to_force(locks: &Locks, lease: &Value, why: &str) {
    let answer = http("DELETE", &locks.url("/locks/X"), Some(("application/json", r#"{"motivo": "m"}"#)));
    let problem = answer.json();
    assert_eq!((answer.status, &problem["codigo"]), (503, &json!("registro_indisponivel")), "{why}");
    assert!(problem["detail"].as_str().unwrap().contains("nada foi feito"), "{problem}");
    let renewed = locks.post("/renew", &json!({"trava_id": lease["trava_id"], "ttl_ms": 60_000}));
    assert_eq!((renewed.0, &renewed.1["token"]), (200, &lease["token"]), "{why}");
}

/// The records in the coordinator's log.
fn records(locks: &Locks) -> Vec<Value> {
    let lines = locks.log();
    let audits = lines.lines().filter(|line| line.starts_with("{\"timestamp_utc\""));
    audits.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Removes a file and puts something else there. A service that writes to the file may make it anew in between.
fn put_in_place_of(file: &Path, make: impl Fn() -> std::io::Result<()>) {
    wait_until("something else is there", || {
        let _ = std::fs::remove_file(file);
        make().is_ok()
    });
}

#[test]
fn vault_31718_an_order_that_cannot_be_recorded_is_not_carried_out() {
    let locks = Locks::start();
    let log = locks.folder.path().join("coordenador.log");
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 60_000}));
    for target in ["/dev/full", "/dev/null", "/nowhere/at/all"] {
        put_in_place_of(&log, || std::os::unix::fs::symlink(target, &log));
        refuses_to_force(&locks, &lease, target);
        let out = run(&["locks", "--url", &locks.url(""), "--release", "X", "--reason", "m"]);
        assert!(!out.status.success() && out.stdout.is_empty(), "{out:?}");
        assert!(String::from_utf8_lossy(&out.stderr).contains("releases nothing"), "{out:?}");
    }
    put_in_place_of(&log, || std::fs::create_dir(&log));
    refuses_to_force(&locks, &lease, "a folder");
    std::fs::remove_dir(&log).unwrap();
    // The file was gone: a new one is made, and the record is in it.
    let forced = http("DELETE", &locks.url("/locks/X"), Some(("application/json", r#"{"motivo": "m"}"#)));
    assert_eq!((forced.status, &forced.json()["token"]), (200, &lease["token"]));
    let record = &records(&locks)[0];
    assert_eq!((&record["autor"], &record["ip"]), (&json!("anonimo"), &json!("127.0.0.1")));
    assert_eq!(record["details"]["ip"], record["ip"]);
    assert_eq!((&record["event_type"], &record["details"]["token"]), (&json!("TRAVA_FORCADA"), &lease["token"]));
    assert_eq!(locks.post("/renew", &json!({"trava_id": lease["trava_id"]})).1["motivo"], "forcado");
}

#[test]
fn vault_3725_on_a_full_disk_no_order_is_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = coordinator_command(folder.path(), "127.0.0.1:0");
    let mut limited = std::process::Command::new("sh");
    // Like a full disk: no file may grow past a few KiB, and a larger write fails (EFBIG).
    deaf(&mut limited).args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"]).arg(coordinator.get_program());
    let server = Server::spawn(limited.args(coordinator.get_args()), 1);
    let locks = Locks::of(server, folder);
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 60_000}));
    let mut size = 0;
    wait_until("the log is full", || {
        for _ in 0..50 {
            locks.lock(&json!({"recurso": "X"}));
        }
        let before = std::mem::replace(&mut size, locks.log().len());
        before == size
    });
    refuses_to_force(&locks, &lease, "a full disk");
    assert_eq!(records(&locks), Vec::<Value>::new());
}

#[test]
fn with_a_log_on_the_console_alone_a_record_is_in_the_folder_too() {
    let locks = Locks::start_with(&["--log-to", "console"]);
    locks.lock(&json!({"recurso": "X", "ttl_ms": 60_000}));
    assert_eq!(locks.log(), "");
    assert_eq!(http("DELETE", &locks.url("/locks/X"), None).status, 200);
    assert_eq!(records(&locks)[0]["event_type"], "TRAVA_FORCADA");
    let said = || locks.server.lines().iter().any(|line| line.contains("TRAVA_FORCADA"));
    wait_until("the console says so too", said);
}

/// strace on all threads of the coordinator, which injects into one system call on its log; it ends when dropped.
struct Injected(std::process::Child);

impl Injected {
    fn new(locks: &Locks, injection: &str) -> Self {
        let (pid, log) = (locks.server.pid(), locks.folder.path().join("coordenador.log"));
        let strace = std::process::Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-P", log.to_str().unwrap(), "-e", &format!("inject={injection}")])
            .args(["-p", &pid.to_string()])
            .spawn()
            .expect("strace starts");
        let tracer = format!("TracerPid:\t{}\n", strace.id());
        wait_until("all threads are traced", || {
            std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|task| {
                std::fs::read_to_string(task.unwrap().path().join("status")).is_ok_and(|text| text.contains(&tracer))
            })
        });
        Self(strace)
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        crate::common::signal(self.0.id(), "INT");
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "needs strace"]
fn a_disk_that_fails_or_is_slow_leaves_no_record_without_its_order_carried_out() {
    let locks = Locks::start();
    let events = || -> Vec<String> {
        records(&locks).iter().map(|record| record["event_type"].as_str().unwrap().to_owned()).collect()
    };
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 60_000}));
    let no_room = Injected::new(&locks, "write:error=ENOSPC");
    refuses_to_force(&locks, &lease, "no room");
    drop(no_room);
    assert_eq!(events(), Vec::<String>::new());
    // The record is written, and its sync fails: a second record takes it back.
    let no_sync = Injected::new(&locks, "fsync:error=EIO");
    refuses_to_force(&locks, &lease, "no sync");
    drop(no_sync);
    assert_eq!(events(), ["TRAVA_FORCADA", "TRAVA_NAO_FORCADA"]);
    // During a slow sync the lease ends by itself: its successor's lease stays.
    let slow = Injected::new(&locks, "fsync:delay_enter=1s");
    let order = Pending::connect(&locks).send_as("DELETE", "/locks/X", &json!({}));
    wait_until("it is recorded", || events().len() == 3);
    assert_eq!(locks.unlock(&json!({"trava_id": lease["trava_id"]})).1["liberado"], true);
    let (_, next) = locks.lock(&json!({"recurso": "X", "dono": "outro", "ttl_ms": 60_000}));
    let (status, problem) = order.answer();
    assert_eq!((status, &problem["codigo"]), (409, &json!("trava_mudou")));
    assert_eq!(events()[2..], ["TRAVA_FORCADA", "TRAVA_NAO_FORCADA"]);
    assert_eq!(locks.post("/renew", &json!({"trava_id": next["trava_id"]})).0, 200);
    // If the operator disconnects meanwhile, the order is carried out all the same.
    let order = Pending::connect(&locks).send_as("DELETE", "/locks/X", &json!({}));
    wait_until("it is recorded", || events().len() == 5);
    drop(order);
    wait_until("it is done", || http("GET", &locks.url("/locks/X"), None).status == 404);
    drop(slow);
    assert_eq!(events()[4..], ["TRAVA_FORCADA"]);
}
