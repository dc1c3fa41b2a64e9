//! The coordinator from outside: the simplest client, leases, owners, retention, batches, tokens across crashes. Waiting
//! is in `tests/queues.rs`, events are in `tests/events.rs`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::common::election::without_election;
use crate::common::{Locks, Services, http, http_with, pause, run, try_http, wait_until};

#[test]
fn the_simplest_client_sends_one_name() {
    let locks = Locks::start();
    let x = json!({"recurso": "X"});
    for _ in 0..3 {
        assert_eq!(locks.lock(&x).0, 200);
        let (status, busy) = locks.lock(&x);
        assert_eq!((status, busy["codigo"].as_str(), busy["recurso"].as_str()), (409, Some("ocupado"), Some("X")));
        assert_eq!(locks.unlock(&x), (200, json!({"liberado": true})));
    }
    assert_eq!(locks.unlock(&x), (200, json!({"liberado": false, "motivo": "desconhecido"})));
}

#[test]
fn a_refusal_names_the_holder_and_the_remaining_time_and_keeps_the_secret() {
    let locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu", "ttl_ms": 60_000}));
    let url = format!("{}/lock", locks.server.url());
    let answer = http("POST", &url, Some(("application/json", r#"{"recurso": "X"}"#)));
    let busy = answer.json();
    assert_eq!((busy["dono"].as_str(), &busy["token"], &busy["retido"]), (Some("eu"), &lease["token"], &json!(false)));
    let left = busy["expira_em_ms"].as_u64().unwrap();
    assert!(left > 50_000 && left <= 60_000, "{left}");
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.body.contains(lease["trava_id"].as_str().unwrap()));
    assert_eq!(locks.unlock(&json!({"recurso": "X"})).1["codigo"], "nao_e_dono");
    assert_eq!(locks.unlock(&json!({"trava_id": lease["trava_id"]})), (200, json!({"liberado": true})));
    let again = locks.unlock(&json!({"trava_id": lease["trava_id"]}));
    assert_eq!(again, (200, json!({"liberado": false, "motivo": "ja_liberado"})));
}

#[test]
fn node_redlock_65_an_unlock_after_expiry_leaves_the_next_holder_alone() {
    let locks = Locks::start();
    let (_, first) = locks.lock(&json!({"recurso": "X", "ttl_ms": 100}));
    let mut second = Value::Null;
    wait_until("the lease runs out", || {
        let (status, lease) = locks.lock(&json!({"recurso": "X"}));
        second = lease;
        status == 200
    });
    assert!(second["token"].as_u64() > first["token"].as_u64());
    let late = locks.unlock(&json!({"trava_id": first["trava_id"]}));
    assert_eq!(late, (200, json!({"liberado": false, "motivo": "expirado"})));
    assert_eq!(locks.lock(&json!({"recurso": "X"})).0, 409);
}

#[test]
fn several_resources_are_locked_together_or_not_at_all() {
    let locks = Locks::start();
    locks.lock(&json!({"recurso": "B"}));
    let (status, busy) = locks.lock(&json!({"recursos": ["A", "B", "C"]}));
    assert_eq!((status, busy["recurso"].as_str()), (409, Some("B")));
    let (status, lease) = locks.lock(&json!({"recursos": ["C", "A"]}));
    assert_eq!((status, &lease["recursos"]), (200, &json!(["C", "A"])));
    assert_eq!(locks.unlock(&json!({"trava_id": lease["trava_id"]})).1["liberado"], true);
    assert_eq!(locks.lock(&json!({"recurso": "A"})).0, 200);
}

#[test]
fn a_retention_refuses_for_a_while_and_can_be_passed_over() {
    let locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu"}));
    locks.unlock(&json!({"trava_id": lease["trava_id"], "retencao_ms": 60_000}));
    let (status, busy) = locks.lock(&json!({"recurso": "X"}));
    assert_eq!((status, &busy["retido"]), (409, &json!(true)));
    let (status, lease) = locks.lock(&json!({"recurso": "X", "apesar_da_retencao": true}));
    assert_eq!(status, 200);
    locks.unlock(&json!({"trava_id": lease["trava_id"]}));
    assert_eq!(locks.lock(&json!({"recurso": "X"})).0, 200);
}

#[test]
fn sim_6864_the_same_request_again_gets_the_same_lease() {
    let locks = Locks::start();
    let request = json!({"recurso": "X", "dono": "eu", "pedido_id": "7"});
    let (_, first) = locks.lock(&request);
    let (status, again) = locks.lock(&request);
    assert_eq!((status, &again["trava_id"], &again["token"]), (200, &first["trava_id"], &first["token"]));
    assert_eq!(locks.lock(&json!({"recurso": "X", "dono": "eu", "pedido_id": "8"})).0, 409);
}

#[test]
fn a_batch_decides_each_on_its_own_in_order() {
    let locks = Locks::start();
    let operations = json!({"operacoes": [
        {"op": "lock", "recurso": "X", "req": "r-1"},
        {"op": "lock", "recurso": "X", "req": "r-2"},
        {"op": "unlock", "recurso": "X"},
        {"op": "lock", "recurso": "X"},
        {"op": "lock", "recurso": "Y", "ttl_ms": 0},
    ]});
    let (status, answers) = locks.post("/lote", &operations);
    assert_eq!(status, 200);
    let statuses: Vec<_> =
        answers["respostas"].as_array().unwrap().iter().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 409, 200, 200, 422]);
    // The batch itself released the first lease: nothing is left of it when its answer is written.
    let left = |index: usize| answers["respostas"][index]["resta_ms"].as_u64().unwrap();
    assert_eq!((left(0), left(3) > 0), (0, true));
    let log = || std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    wait_until("the log has the grant", || log().contains("Lock concedido para recurso X req=r-1 token=1 us="));
    wait_until("the log has the refusal", || log().contains("Recurso X já em uso, negando lock req=r-2 us="));
    // A name that looks like pairs is a name.
    locks.lock(&json!({"recurso": "X req=forjado token=1"}));
    wait_until("it is quoted", || log().contains("Lock concedido para recurso \"X req=forjado token=1\" req="));
}

#[test]
fn a_batch_that_asks_for_short_answers_gets_what_a_scheduler_reads() {
    let locks = Locks::start();
    let operations = json!({"operacoes": [
        {"op": "lock", "recurso": "X", "desconhecido": 1},
        {"op": "lock", "recurso": "X", "espera_ms": 30_000},
        {"op": "lock", "recurso": "Y", "ttl_ms": 0},
        {"op": "unlock", "recurso": "X"},
    ]});
    let body = Some(("application/json", &*operations.to_string()));
    let answer = http_with("POST", &locks.url("/lote"), body, &[("Prefer", "return=minimal")]);
    assert_eq!(answer.header("preference-applied"), Some("return=minimal"));
    let mut answers = answer.json()["respostas"].as_array().unwrap().clone();
    let lease = answers[0].as_object_mut().unwrap();
    assert_eq!(lease.remove("avisos").unwrap()[0]["campo"], "desconhecido");
    let names: Vec<_> = lease.keys().map(String::as_str).collect();
    assert_eq!(names, ["status", "situacao", "trava_id", "token", "ttl_ms", "resta_ms", "esperou_ms"]);
    // The release comes later in the batch, and is decided before the wait is over.
    assert_eq!((&answers[1]["status"], &answers[1]["situacao"]), (&json!(200), &json!("concedido")));
    assert_eq!((&answers[2]["codigo"], answers[2]["erros"].is_array()), (&json!("campos_invalidos"), true));
    assert_eq!(answers[3], json!({"status": 200, "liberado": true}));
    let busy = http_with(
        "POST",
        &locks.url("/lote"),
        Some(("application/json", r#"{"operacoes": [{"op": "lock", "recurso": "X"}]}"#)),
        &[("Prefer", "return=minimal, handling=strict")],
    );
    assert_eq!(busy.header("preference-applied"), Some("return=minimal"));
    assert_eq!(busy.json()["respostas"], json!([{"status": 409, "codigo": "ocupado", "recurso": "X"}]));
}

#[test]
fn no_single_request_uses_up_the_tokens() {
    let locks = Locks::start();
    for too_far in [(1_u64 << 53) - 2, 1 << 52] {
        let (status, problem) = locks.lock(&json!({"recurso": "X", "token_minimo": too_far}));
        assert_eq!((status, problem["erros"][0]["campo"].as_str()), (422, Some("token_minimo")));
    }
    for name in ["X", "Y", "Z"] {
        assert_eq!(locks.lock(&json!({"recurso": name, "token_minimo": 1_000_000})).0, 200);
    }
}

#[test]
fn hazelcast_17436_tokens_grow_across_kill_minus_nine() {
    let mut locks = Locks::start_with(&["--grace", "0"]);
    let mut last = 0;
    for round in 0..5 {
        for index in 0..10 {
            let (status, lease) = locks.lock(&json!({"recurso": format!("{round}-{index}")}));
            let token = lease["token"].as_u64().unwrap();
            assert!(status == 200 && token > last, "{token} after {last}");
            last = token;
        }
        locks.server.kill();
        locks.restart();
    }
    let (_, lease) = locks.lock(&json!({"recurso": "X", "token_minimo": last + 1_000_000}));
    assert!(lease["token"].as_u64().unwrap() > last + 1_000_000);
    let lifted = lease["token"].as_u64();
    locks.server.kill();
    locks.restart();
    assert!(locks.lock(&json!({"recurso": "X"})).1["token"].as_u64() > lifted);
}

#[test]
fn kill_minus_nine_twenty_times_under_load_and_tokens_strictly_grow() {
    let mut locks = Locks::start_with(&["--grace", "0"]);
    let address = locks.keep_address();
    let (stop, failed, granted) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let tokens: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (stop, failed, granted, url) = (&stop, &failed, &granted, format!("http://{address}/lock"));
                scope.spawn(move || {
                    let mut tokens = Vec::new();
                    for count in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let body = json!({"recurso": format!("{client}-{count}"), "ttl_ms": 1000}).to_string();
                        match try_http("POST", &url, Some(&body)) {
                            Ok(answer) if answer.status == 200 => {
                                tokens.push(answer.json()["token"].as_u64().unwrap());
                                granted.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => {
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                    tokens
                })
            })
            .collect();
        for _ in 0..20 {
            let seen = granted.load(Ordering::Relaxed);
            wait_until("it is under load", || granted.load(Ordering::Relaxed) > seen + 20);
            locks.server.kill();
            locks.restart();
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut all = BTreeSet::new();
    for of_one in &tokens {
        assert!(of_one.windows(2).all(|pair| pair[0] < pair[1]), "a client saw tokens that did not grow");
        for token in of_one {
            assert!(all.insert(*token), "token {token} was given twice");
        }
    }
    assert!(all.len() > 400, "{}", all.len());
}

#[test]
fn a_damaged_state_is_refused_and_a_lost_one_is_lifted_by_the_tokens_that_clients_saw() {
    without_election!("it damages the state file");
    let mut locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "X", "token_minimo": 500_000}));
    let seen = lease["token"].as_u64().unwrap();
    assert_eq!(locks.server.terminate(), Some(0));
    let path = locks.folder.path().join("coordenador.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.replace("\"limite_token\":1", "\"limite_token\":2")).unwrap();
    let folder = locks.folder.path().to_str().unwrap().to_owned();
    let refused = run(&["serve-coordinator", "--listen", "127.0.0.1:0", "--data-dir", &folder]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("coordenador.json is damaged") && said.contains("restore it from a backup"), "{said}");
    std::fs::remove_file(&path).unwrap();
    locks.restart();
    assert!(locks.lock(&json!({"recurso": "Y"})).1["token"].as_u64().unwrap() < seen);
    let (_, lifted) = locks.lock(&json!({"recurso": "Z", "token_minimo": seen}));
    assert!(lifted["token"].as_u64().unwrap() > seen);
}

#[test]
fn after_a_crash_there_is_a_grace_and_after_a_clean_stop_without_leases_none() {
    let mut locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "X", "ttl_ms": 1500}));
    locks.server.kill();
    locks.restart();
    let answer = http("POST", &locks.url("/lock"), Some(("application/json", r#"{"recurso": "Y"}"#)));
    assert_eq!((answer.status, answer.json()["codigo"].as_str()), (503, Some("em_carencia")));
    assert!((1..=2).contains(&answer.header("retry-after").unwrap().parse::<u64>().unwrap()));
    let ready = http("GET", &locks.url("/pronto"), None);
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("indisponivel")));
    assert!(ready.header("retry-after").is_some());
    // A holder from before the crash is told that its lease is unknown, and does not get it again.
    assert_eq!(locks.post("/renew", &json!({"trava_id": lease["trava_id"]})).1["motivo"], "desconhecido");
    assert_eq!(locks.unlock(&json!({"trava_id": lease["trava_id"]})).1["motivo"], "desconhecido");
    wait_until("the grace is over", || locks.lock(&json!({"recurso": "Y"})).0 == 200);
    assert_eq!(http("GET", &locks.url("/pronto"), None).status, 200);
    assert_eq!(locks.unlock(&json!({"recurso": "Y"})).1["liberado"], true);
    assert_eq!(locks.server.terminate(), Some(0));
    locks.restart();
    assert_eq!(locks.lock(&json!({"recurso": "Y"})).0, 200);
}

#[test]
fn redlock_rb_36_a_renewal_prolongs_and_never_resurrects() {
    let locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "X", "ttl_ms": 300}));
    let id = &lease["trava_id"];
    let (status, renewed) = locks.post("/renew", &json!({"trava_id": id, "ttl_ms": 60_000}));
    assert_eq!((status, &renewed["situacao"], &renewed["token"]), (200, &json!("renovado"), &lease["token"]));
    assert!(locks.lock(&json!({"recurso": "X"})).1["expira_em_ms"].as_u64() > Some(50_000));
    assert_eq!(locks.post("/renew", &json!({"trava_id": id, "ttl_ms": 100})).0, 200);
    wait_until("it runs out", || http("GET", &locks.url("/locks/X"), None).status == 404);
    for _ in 0..2 {
        let (status, lost) = locks.post("/renew", &json!({"trava_id": id, "ttl_ms": 60_000}));
        assert_eq!((status, &lost["codigo"], &lost["motivo"]), (409, &json!("trava_perdida"), &json!("expirado")));
        assert_eq!(http("GET", &locks.url("/locks/X"), None).status, 404);
    }
    assert_eq!(locks.post("/renew", &json!({})).1["erros"][0]["campo"], "trava_id");
    assert_eq!(locks.post("/renew", &json!({"trava_id": id, "ttl_ms": 0})).0, 422);
    let batch = locks.post("/lote", &json!({"operacoes": [{"op": "renew", "trava_id": id}]})).1;
    assert_eq!((&batch["respostas"][0]["status"], &batch["respostas"][0]["motivo"]), (&json!(409), &json!("expirado")));
}

#[test]
fn an_operator_lists_and_shows_locks_and_takes_one_away_with_a_record() {
    let locks = Locks::start();
    for name in ["b/2", "a", "b/1", "b/3"] {
        locks.lock(&json!({"recurso": name, "dono": "eu"}));
    }
    let page = http("GET", &locks.url("/locks?prefixo=b/&limite=2"), None).json();
    let names = |page: &Value| -> Vec<String> {
        page["travas"].as_array().unwrap().iter().map(|lock| lock["recurso"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&page), ["b/1", "b/2"]);
    let next = http("GET", &locks.url(page["_links"]["proxima"]["href"].as_str().unwrap()), None).json();
    assert_eq!((names(&next), next["_links"]["proxima"].is_null()), (vec!["b/3".to_owned()], true));
    assert_eq!(http("GET", &locks.url("/locks?limite=0&x=1"), None).status, 422);
    let link = &page["travas"][0]["_links"]["forcar"]["href"];
    let url = locks.url(link.as_str().unwrap());
    let shown = http("GET", &url, None);
    assert!(!shown.body.contains("trava_id"));
    assert_eq!((&shown.json()["dono"], &shown.json()["estado"]), (&json!("eu"), &json!("travado")));
    let forced = http("DELETE", &url, Some(("application/json", r#"{"motivo": "parou\u0041"}"#)));
    assert_eq!((forced.status, &forced.json()["estado_anterior"]), (200, &json!("travado")));
    // It is recorded before it is answered.
    let log = locks.folder.path().join("coordenador.log");
    let found = run(&["audit", log.to_str().unwrap(), "--event", "TRAVA_FORCADA", "--format", "jsonl"]);
    let record: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&record["details"]["recurso"], &record["details"]["motivo"]), (&json!("b/1"), &json!("parouA")));
    let again = http("DELETE", &url, None);
    assert_eq!((again.status, again.json()["codigo"].as_str()), (404, Some("sem_trava")));
    assert_eq!(http("GET", &url, None).status, 404);
    let (_, lease) = locks.lock(&json!({"recurso": "b/1", "dono": "outro"}));
    assert_eq!(locks.unlock(&json!({"trava_id": lease["trava_id"]})).1["liberado"], true);
}

#[test]
fn prometheus_reads_the_counters() {
    let locks = Locks::start();
    let (_, lease) = locks.lock(&json!({"recurso": "X", "dono": "eu"}));
    locks.lock(&json!({"recurso": "X"}));
    locks.post("/renew", &json!({"trava_id": lease["trava_id"]}));
    let text = http("GET", &locks.url("/metrics"), None);
    assert!(text.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "sctec_coordinator_locks_granted_total 1",
        "sctec_coordinator_locks_refused_total{reason=\"Busy\"} 1",
        "sctec_coordinator_locks_renewed_total 1",
        "sctec_coordinator_leases 1",
        "sctec_coordinator_in_grace 0",
        "sctec_coordinator_last_token 1",
        "sctec_coordinator_events_published_total{channel=\"travas\"} 2",
        "# EOF",
    ] {
        assert!(text.body.lines().any(|found| found == line), "{line} is not in {}", text.body);
    }
}

#[test]
fn two_schedulers_on_one_coordinator_make_one_winner_per_slot() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    let (first, second) = (services.agenda("/agendamentos"), format!("{}/agendamentos", other.url()));
    for slot in 0..5 {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": format!("2025-12-01T03:{:02}:00Z", slot * 5)});
        let body = body.to_string();
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let rivals: Vec<_> = (0..20)
                .map(|rival| {
                    let (url, body) = (if rival % 2 == 0 { &first } else { &second }, &body);
                    scope.spawn(move || http("POST", url, Some(("application/json", body))).status)
                })
                .collect();
            rivals.into_iter().map(|rival| rival.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 19, "{statuses:?}");
    }
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 5);
}

#[test]
fn of_several_addresses_the_next_is_tried_when_one_does_not_answer() {
    // Nothing listens at the first address: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let locks = Locks::start();
    let addresses = format!("http://{free},{}", locks.url(""));
    let scheduler =
        crate::common::Server::spawn(&mut crate::common::scheduler_command(locks.folder.path(), &addresses), 1);
    let body = json!({"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z"}).to_string();
    for expected in [201, 409] {
        let url = format!("{}/agendamentos", scheduler.url());
        assert_eq!(http("POST", &url, Some(("application/json", &body))).status, expected);
    }
    assert_eq!(http("GET", &format!("{}/pronto", scheduler.url()), None).status, 200);
}

#[test]
fn consul_1843_a_scheduler_stopped_past_its_lease_writes_nothing_and_its_successor_keeps_the_lock() {
    let services = Services::start(&["--lock-ttl-ms", "1000", "--critical-delay-ms", "400"]);
    let successor = services.another_scheduler(&["--critical-delay-ms", "2000"]);
    let slot = "2025-12-01T03:00:00Z";
    let resource = services.locks(&format!("/locks/Hubble-Acad_{slot}"));
    std::thread::scope(|scope| {
        let stale = scope.spawn(|| services.book(1, slot));
        services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Lock adquirido com sucesso")));
        pause(services.scheduler.pid());
        wait_until("its lease runs out", || http("GET", &resource, None).status == 404);
        let body = json!({"cientista_id": 2, "horario_inicio_utc": slot}).to_string();
        let url = format!("{}/agendamentos", successor.url());
        let fresh = scope.spawn(move || http("POST", &url, Some(("application/json", &body))));
        let mut token = Value::Null;
        wait_until("its successor has the lock", || {
            token = http("GET", &resource, None).json()["token"].clone();
            token.is_u64()
        });
        crate::common::signal(services.scheduler.pid(), "CONT");
        let (status, problem) = stale.join().unwrap();
        assert_eq!((status, problem["codigo"].as_str()), (503, Some("trava_expirada")));
        // Its unlock is over by now, and had no effect on the successor.
        assert_eq!(http("GET", &resource, None).json()["token"], token);
        assert_eq!(fresh.join().unwrap().status, 201);
    });
    assert_eq!(services.log_lines("app.log", "Lock já não existia ao liberar: expirado").len(), 1);
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 1);
    assert_eq!(services.count("SELECT count(*) FROM agendamentos WHERE cientista_id = 2"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_has_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let listener = sctec::http::server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/lock", listener.local_addr().unwrap());
    let limits = sctec::coordinator::table::Limits {
        resources: 4,
        places: 3,
        waiters_of_one: 1,
        ..sctec::coordinator::table::Limits::default()
    };
    let config = sctec::coordinator::Config {
        limits,
        logging: sctec::logging::Config::quiet(),
        ..sctec::coordinator::Config::new(folder.path())
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(sctec::coordinator::serve(listener, config, async { drop(stopped.await) }));
    tokio::task::spawn_blocking(move || {
        let ask = |body: Value| {
            let answer = http("POST", &url, Some(("application/json", &body.to_string())));
            let code = answer.json()["codigo"].as_str().map(str::to_owned);
            (answer.status, code, answer.header("retry-after").is_some())
        };
        let full = |code: &str| (503, Some(code.to_owned()), true);
        assert_eq!(ask(json!({"recursos": ["a", "b", "c", "d", "e"]})), full("tabela_cheia"));
        assert_eq!(ask(json!({"recursos": ["a", "b"], "ttl_ms": 60_000})).0, 200);
        let waiter = {
            let url = url.clone();
            std::thread::spawn(move || {
                http("POST", &url, Some(("application/json", r#"{"recurso": "a", "espera_ms": 60000}"#))).status
            })
        };
        let shown = url.replace("/lock", "/locks/a");
        wait_until("it waits", || http("GET", &shown, None).json()["fila"] == 1);
        assert_eq!(ask(json!({"recurso": "a", "espera_ms": 1000})), full("fila_cheia"));
        assert_eq!(ask(json!({"recursos": ["b", "c"], "espera_ms": 1000})), full("tabela_cheia"));
        drop(stop);
        assert_eq!(waiter.join().unwrap(), 503);
    })
    .await
    .unwrap();
    served.await.unwrap().unwrap();
}
