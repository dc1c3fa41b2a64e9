//! Several coordinators, of which a real etcd elects one. They need Debian's etcd-server.

mod cluster;
mod deposed;
mod followers;
mod members;
mod partition;

use std::time::{Duration, Instant};

use cluster::{Coordinators, JSON};
use serde_json::{Value, json};

use crate::common::certificates::Authority;
use crate::common::etcd::Etcd;
use crate::common::{Locks, Server, coordinator_command, http, nobody, run, signal, wait_until};

#[test]
#[ignore = "needs etcd"]
fn one_is_elected_and_the_others_say_which_and_give_nothing() {
    let etcd = Etcd::start(1);
    let coordinators = Coordinators::start(&etcd, 3, &[]);
    let elected = coordinators.elected();
    let address = coordinators.url(elected, "");
    let granted = coordinators.lock(elected, &json!({"recurso": "X"}));
    assert_eq!(granted.status, 200, "{}", granted.body);
    let health = http("GET", &coordinators.url(elected, "/saude"), None).json();
    let term = health["eleicao"]["mandato"].as_u64().unwrap();
    assert_eq!(health["eleicao"], json!({"papel": "eleito", "eleito": address, "mandato": term}));
    let ready = http("GET", &coordinators.url(elected, "/pronto"), None);
    assert_eq!((ready.status, &ready.json()["partes"]["eleicao"]), (200, &json!("ok")));
    for other in coordinators.others(elected) {
        wait_until("it knows the elected one", || coordinators.ready(other)["eleicao"]["eleito"] == json!(address));
        for (method, path, body) in [
            ("POST", "/lock", Some(r#"{"recurso": "X"}"#)),
            ("POST", "/renew", Some(r#"{"trava_id": "7f3c0a5e9b1d4c268e02a6f1d95b3370"}"#)),
            ("POST", "/unlock", Some(r#"{"recurso": "X"}"#)),
            ("POST", "/lote", Some(r#"{"operacoes": [{"op": "lock", "recurso": "Y"}]}"#)),
            ("GET", "/locks", None),
            ("GET", "/locks/X", None),
            ("DELETE", "/locks/X", None),
            ("POST", "/eventos", Some(r#"{"canal": "c", "evento": "e", "dados": {}}"#)),
            ("GET", "/eventos?canal=c", None),
        ] {
            let answer = http(method, &coordinators.url(other, path), body.map(|body| (JSON, body)));
            let problem = answer.json();
            assert_eq!((answer.status, &problem["codigo"]), (503, &json!("nao_eleito")), "{method} {path}: {problem}");
            assert_eq!((&problem["eleito"], answer.header("retry-after")), (&json!(address), Some("1")));
        }
        let ready = coordinators.ready(other);
        assert_eq!(ready["eleicao"], json!({"papel": "reserva", "eleito": address, "mandato": term}));
        assert_eq!(ready["partes"]["eleicao"], format!("não eleito; o eleito é {address}"));
        assert_eq!(coordinators.metric(other, "elected"), "0");
        assert_eq!(coordinators.metric(other, "election_term"), term.to_string());
    }
    assert_eq!(coordinators.metric(elected, "elected"), "1");
    assert_eq!(coordinators.metric(elected, "elections_won_total"), "1");
    let all = coordinators.addresses();
    let status = run(&["status", "--json", "--url", &nobody(), "--coordinator", &all]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_else(|_| panic!("{status:?}"));
    assert_eq!((&status["elected"], &status["term"]), (&json!(address), &json!(term)));
    assert_eq!(status["faults"].as_array().unwrap().len(), 1, "only the scheduler is away: {status}");
    assert_eq!(status["coordinators"][elected]["role"], "elected");
    // The lock is as it was.
    assert_eq!(coordinators.lock(elected, &json!({"recurso": "X"})).status, 409);
}

#[test]
#[ignore = "needs etcd"]
fn after_a_clean_stop_another_is_elected_at_once_without_a_grace_and_its_tokens_are_larger() {
    let etcd = Etcd::start(1);
    let mut coordinators = Coordinators::start(&etcd, 2, &[]);
    let (mut tokens, mut terms) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let elected = coordinators.elected();
        let granted = coordinators.lock(elected, &json!({"recurso": "X"})).json();
        tokens.push(granted["token"].as_u64().unwrap_or_else(|| panic!("{granted}")));
        terms.push(coordinators.ready(elected)["eleicao"]["mandato"].as_u64().unwrap());
        let released = json!({"trava_id": granted["trava_id"]});
        assert_eq!(coordinators.post(elected, "/unlock", &released).status, 200);
        let begun = Instant::now();
        assert_eq!(coordinators.terminate(elected), Some(0));
        let next = coordinators.elected();
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(2500), "the lease of a stopped coordinator was waited for: {took:?}");
        assert_eq!(coordinators.ready(next)["carencia_resta_ms"], Value::Null);
        coordinators.begin(elected);
    }
    assert!(tokens.is_sorted_by(|a, b| a < b) && terms.is_sorted_by(|a, b| a < b), "{tokens:?} {terms:?}");
}

#[test]
#[ignore = "needs etcd"]
fn after_a_kill_another_is_elected_and_waits_until_the_locks_of_the_dead_one_have_expired() {
    let etcd = Etcd::start(1);
    let mut coordinators = Coordinators::start(&etcd, 2, &[]);
    let elected = coordinators.elected();
    let granted = coordinators.lock(elected, &json!({"recurso": "X", "ttl_ms": 5000})).json();
    let begun = Instant::now();
    coordinators.kill(elected);
    let next = coordinators.elected();
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(6)).contains(&took), "{took:?}");
    let refused = coordinators.lock(next, &json!({"recurso": "Y"}));
    assert_eq!((refused.status, &refused.json()["codigo"]), (503, &json!("em_carencia")), "{}", refused.body);
    // What the dead one gave is not known here.
    let renewed = coordinators.post(next, "/renew", &json!({"trava_id": granted["trava_id"]}));
    assert_eq!((renewed.status, &renewed.json()["motivo"]), (409, &json!("desconhecido")));
    let mut token = 0;
    wait_until("the grace is over", || {
        let locked = coordinators.lock(next, &json!({"recurso": "X"}));
        token = locked.json()["token"].as_u64().unwrap_or_default();
        locked.status == 200
    });
    assert!(begun.elapsed() > Duration::from_secs(5), "the dead one's lock may have been live");
    assert!(token > granted["token"].as_u64().unwrap());
}

#[test]
#[ignore = "needs etcd"]
fn the_tokens_of_one_coordinator_go_on_in_an_election_and_damage_in_etcd_gives_nothing() {
    let etcd = Etcd::start(1);
    let mut single = Locks::start();
    let mut last = 0;
    for number in 0..3 {
        last = single.lock(&json!({"recurso": format!("X{number}")})).1["token"].as_u64().unwrap();
    }
    single.server.terminate();
    let start = || {
        let mut command = coordinator_command(single.folder.path(), "127.0.0.1:0");
        Server::spawn(command.args(["--election", &etcd.url(), "--grace", "0"]), 1)
    };
    let server = start();
    let lock = |server: &Server, name: &str| {
        let body = json!({"recurso": name}).to_string();
        http("POST", &format!("{}/lock", server.url()), Some((JSON, &body)))
    };
    let mut token = 0;
    wait_until("it is elected", || {
        token = lock(&server, "Y").json()["token"].as_u64().unwrap_or_default();
        token > 0
    });
    assert!(token > last, "{token} {last}");
    drop(server);
    etcd.control(&[
        "put",
        "/sctec/coordenador/limites",
        r#"{"formato":2,"limite_token":1,"ttl_maximo_ms":0,"soma":"0"}"#,
    ]);
    let server = start();
    wait_until("it says why", || {
        server.lines().iter().any(|line| line.contains("Eleito, mas ainda sem tokens: limites no etcd"))
    });
    let refused = lock(&server, "Z");
    assert_eq!((refused.status, &refused.json()["codigo"]), (503, &json!("nao_eleito")), "{}", refused.body);
}

#[test]
#[ignore = "needs etcd"]
fn a_user_of_etcd_comes_from_a_file_and_a_wrong_password_is_told() {
    let etcd = Etcd::start(1);
    for arguments in [
        &["user", "add", "root:raiz"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "sctec:a:senha"],
        &["role", "add", "sctec"],
        &["role", "grant-permission", "sctec", "--prefix=true", "readwrite", "/celula/"],
        &["user", "grant-role", "sctec", "sctec"],
        &["auth", "enable"],
    ] {
        etcd.control(arguments);
    }
    let folder = tempfile::tempdir().unwrap();
    let login = folder.path().join("login");
    let url = format!("{}/celula", etcd.url());
    let arguments = ["--election", &url, "--election-login-file", login.to_str().unwrap()];
    std::fs::write(&login, "sctec:outra\n").unwrap();
    let start = || {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::spawn(coordinator_command(folder.path(), "127.0.0.1:0").args(arguments), 1);
        (server, folder)
    };
    let (server, _data) = start();
    wait_until("it says why", || {
        server.lines().iter().any(|line| line.contains("o usuário sctec não pôde entrar") && !line.contains("outra"))
    });
    drop(server);
    std::fs::write(&login, "sctec:a:senha\n").unwrap();
    let (server, _data) = start();
    let ready = || http("GET", &format!("{}/pronto", server.url()), None).status;
    wait_until("it is elected", || ready() == 200);
    // All tokens of logins are void when etcd's rights are enabled anew: the next login goes unnoticed.
    let root = ["--user", "root:raiz"];
    etcd.control(&[&root[..], &["auth", "disable"]].concat());
    etcd.control(&["auth", "enable"]);
    // Longer than the lease of 3 s, in which a keep-alive must have succeeded: this is a time, and no condition.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(ready(), 200);
    let lost = http("GET", &format!("{}/metrics", server.url()), None).body;
    assert!(lost.contains("sctec_coordinator_elections_lost_total 0"), "{lost}");
}

#[test]
#[ignore = "needs etcd"]
fn etcd_over_tls_is_believed_with_a_certificate_of_the_authority_and_else_not() {
    let authority = Authority::new();
    let (_etcd, url) = Etcd::start_secure(&authority);
    let folder = tempfile::tempdir().unwrap();
    let start = |authority: &Authority, name: &str| {
        let ca = folder.path().join(format!("{name}.pem"));
        std::fs::write(&ca, &authority.pem).unwrap();
        let data = folder.path().join(name);
        let mut command = coordinator_command(&data, "127.0.0.1:0");
        Server::spawn(command.args(["--election", &url, "--ca", ca.to_str().unwrap()]), 1)
    };
    let deceived = start(&Authority::new(), "other");
    wait_until("it says why", || {
        deceived.lines().iter().any(|line| line.contains("O etcd não fez o que lhe foi pedido: https://"))
    });
    let server = start(&authority, "right");
    let ready = |server: &Server| http("GET", &format!("{}/pronto", server.url()), None).status;
    wait_until("it is elected", || ready(&server) == 200);
    assert_eq!(ready(&deceived), 503);
}

#[test]
fn options_that_cannot_work_are_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |arguments: &[&str]| {
        let data = folder.path().to_str().unwrap();
        let output = run(&[&["serve-coordinator", "--data-dir", data][..], arguments].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let missing = folder.path().join("none");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "no colon").unwrap();
    for (arguments, said) in [
        (&["--election", "http://127.0.0.1:2379"][..], "should begin with etcd:// or etcds://"),
        (&["--election", "etcd://root:x@127.0.0.1"], "use --election-login-file"),
        (&["--election", "etcd://"], "has a host that is not valid"),
        (&["--advertise", "http://10.0.0.4:3000"], "--election"),
        (&["--listen", "0.0.0.0:0", "--open", "--election", "etcd://127.0.0.1"], "--advertise"),
        (&["--listen", "0", "--election", "etcd://127.0.0.1", "--advertise", "x y"], "--advertise"),
        (
            &["--listen", "0", "--election", "etcd://127.0.0.1", "--election-login-file", missing.to_str().unwrap()],
            "cannot read the login in",
        ),
        (
            &["--listen", "0", "--election", "etcd://127.0.0.1", "--election-login-file", empty.to_str().unwrap()],
            "should have one line, USER:PASSWORD",
        ),
    ] {
        let (status, told) = serve(arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
}

#[test]
fn without_etcd_nothing_is_given_and_a_stop_is_quick() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = nobody();
    let url = nobody.replacen("http", "etcd", 1);
    let mut command = coordinator_command(folder.path(), "127.0.0.1:0");
    let mut server = Server::spawn(command.args(["--election", &url]), 1);
    wait_until("it says why", || {
        server.lines().iter().any(|line| line.contains("O etcd não fez o que lhe foi pedido: "))
    });
    let lock = http("POST", &format!("{}/lock", server.url()), Some((JSON, r#"{"recurso": "X"}"#)));
    let problem = lock.json();
    assert_eq!((lock.status, &problem["codigo"], &problem["eleito"]), (503, &json!("nao_eleito"), &Value::Null));
    assert_eq!(http("GET", &format!("{}/pronto", server.url()), None).status, 503);
    assert_eq!(http("GET", &format!("{}/saude", server.url()), None).status, 200);
    // One line, however often it asks.
    wait_until("it asks on", || {
        let metrics = http("GET", &format!("{}/metrics", server.url()), None).body;
        let failures = metrics.lines().find_map(|line| line.strip_prefix("sctec_coordinator_etcd_failures_total "));
        failures.is_some_and(|failures| failures.parse::<u64>().unwrap() > 5)
    });
    assert_eq!(server.lines().iter().filter(|line| line.contains("O etcd não fez o que lhe foi pedido: ")).count(), 1);
    let begun = Instant::now();
    signal(server.pid(), "TERM");
    assert_eq!(server.terminate(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
