//! The coordinator from outside: the simplest client, leases, owners, retention, batches, tokens across crashes.

mod common;

use common::{Server, coordinator_command, http, wait_until};
use serde_json::{Value, json};

struct Locks {
    server: Server,
    folder: tempfile::TempDir,
}

impl Locks {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::spawn(&mut coordinator_command(folder.path(), "127.0.0.1:0"), 1);
        Self { server, folder }
    }

    fn restart(&mut self) {
        self.server = Server::spawn(&mut coordinator_command(self.folder.path(), "127.0.0.1:0"), 1);
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.server.url());
        let answer = http("POST", &url, Some(("application/json", &body.to_string())));
        (answer.status, answer.json())
    }

    fn lock(&self, body: &Value) -> (u16, Value) {
        self.post("/lock", body)
    }

    fn unlock(&self, body: &Value) -> (u16, Value) {
        self.post("/unlock", body)
    }
}

#[test]
fn the_simplest_client_says_a_name_and_no_more() {
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
fn a_refusal_says_who_holds_it_and_until_when_and_keeps_the_secret() {
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
fn node_redlock_65_an_unlock_after_expiry_is_an_answer_and_frees_nobody_else() {
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
    let log = || std::fs::read_to_string(locks.folder.path().join("coordenador.log")).unwrap();
    wait_until("the log has it", || log().lines().any(|line| line.contains("422")));
    assert!(log().lines().any(|line| line.ends_with("Lock concedido para recurso X req=r-1 token=1")));
    assert!(log().lines().any(|line| line.ends_with("Recurso X já em uso, negando lock req=r-2")));
    // A name that looks like pairs is a name.
    locks.lock(&json!({"recurso": "X req=forjado token=1"}));
    wait_until("it is quoted", || log().contains("Lock concedido para recurso \"X req=forjado token=1\" req="));
}

#[test]
fn no_single_request_uses_up_the_tokens() {
    let locks = Locks::start();
    let (status, problem) = locks.lock(&json!({"recurso": "X", "token_minimo": (1_u64 << 53) - 2}));
    assert_eq!((status, problem["erros"][0]["campo"].as_str()), (422, Some("token_minimo")));
    for name in ["X", "Y", "Z"] {
        assert_eq!(locks.lock(&json!({"recurso": name, "token_minimo": 1_u64 << 52})).0, 200);
    }
}

#[test]
fn hazelcast_17436_tokens_grow_across_kill_minus_nine() {
    let mut locks = Locks::start();
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
    let (_, lease) = locks.lock(&json!({"recurso": "X", "token_minimo": last + 5_000_000}));
    assert!(lease["token"].as_u64().unwrap() > last + 5_000_000);
    let lifted = lease["token"].as_u64();
    locks.server.kill();
    locks.restart();
    assert!(locks.lock(&json!({"recurso": "X"})).1["token"].as_u64() > lifted);
}
