//! What a coordinator keeps for its schedulers, and what it lets each token use.

use std::path::Path;

use serde_json::{Value, json};

use super::{SLOT_LOCK, ask, secret_in, with_secret};
use crate::common::{Services, http, run};

/// A request to the coordinator.
fn gate(services: &Services, method: &str, path: &str, body: &Value, bearer: Option<&str>) -> (u16, Value) {
    let answer = ask(method, &services.locks(path), body, bearer);
    (answer.status, answer.json())
}

/// The links of an answer.
fn links(answer: &Value) -> String {
    answer["_links"].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn with_a_secret_the_schedulers_names_channel_counter_and_orders_are_theirs_and_the_rest_is_free() {
    let (services, file) = with_secret(&[]);
    let secret = secret_in(&file);
    let anonymous = |method: &str, path: &str, body: Value| gate(&services, method, path, &body, None);
    let scheduler = |method: &str, path: &str, body: Value| gate(&services, method, path, &body, Some(&secret));
    let forged = json!({"canal": "agenda", "evento": "criado", "dados": {"id": 1}});
    let held = scheduler("POST", "/lock", json!({"recurso": SLOT_LOCK})).1;
    for (method, path, body) in [
        ("POST", "/eventos", forged.clone()),
        ("POST", "/eventos", json!({"canal": "agenda", "eventos": [{"evento": "criado", "dados": {}}]})),
        ("POST", "/lock", json!({"recurso": "Hubble-Acad_2031-01-01T03:00:00Z"})),
        ("POST", "/lock", json!({"recursos": ["X", "other_2031-01-01T00:00:00-03:00"]})),
        ("POST", "/lock", json!({"recurso": "X", "token_minimo": 1})),
        ("POST", "/unlock", json!({"recurso": SLOT_LOCK})),
        ("POST", "/unlock", json!({"trava_id": held["trava_id"]})),
        ("POST", "/renew", json!({"trava_id": held["trava_id"]})),
        ("DELETE", &format!("/locks/{SLOT_LOCK}"), Value::Null),
        ("DELETE", "/locks/X", Value::Null),
    ] {
        let (status, problem) = anonymous(method, path, body.clone());
        assert_eq!((status, problem["codigo"].as_str()), (401, Some("nao_identificado")), "{method} {path} {body}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("guarda") && detail.contains("--coordinator-token-file"), "{detail}");
        // Another token than the secret is no help.
        let wrong = ask(method, &services.locks(path), &body, Some(&"sctec_".repeat(9)));
        assert_eq!(wrong.status, 401, "{method} {path} {body}");
        assert!(wrong.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    }
    // Each operation of a batch by itself.
    let (status, batch) = anonymous(
        "POST",
        "/lote",
        json!({"operacoes": [
            {"op": "lock", "recurso": "backup"},
            {"op": "lock", "recurso": SLOT_LOCK},
            {"op": "unlock", "trava_id": held["trava_id"]},
            {"op": "unlock", "recurso": "backup"}
        ]}),
    );
    let statuses: Vec<u64> =
        batch["respostas"].as_array().unwrap().iter().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!((status, statuses), (200, vec![200, 401, 401, 200]), "{batch}");
    // Everything else is everybody's.
    let lease = anonymous("POST", "/lock", json!({"recurso": "backup"})).1;
    assert_eq!(anonymous("POST", "/renew", json!({"trava_id": lease["trava_id"]})).0, 200);
    assert_eq!(anonymous("POST", "/eventos", json!({"canal": "backups", "evento": "x"})).0, 200);
    assert_eq!(anonymous("POST", "/unlock", json!({"trava_id": lease["trava_id"]})).1["liberado"], true);
    // The scheduler's lease is as it was.
    let renewed = scheduler("POST", "/renew", json!({"trava_id": held["trava_id"]}));
    assert_eq!((renewed.0, &renewed.1["token"]), (200, &held["token"]));
    assert_eq!(scheduler("POST", "/eventos", forged).0, 200);
}

#[test]
fn with_a_secret_the_links_and_the_records_are_of_who_asks() {
    let (services, file) = with_secret(&[]);
    let secret = secret_in(&file);
    gate(&services, "POST", "/lock", &json!({"recurso": SLOT_LOCK}), Some(&secret));
    for path in ["/locks".to_owned(), format!("/locks/{SLOT_LOCK}")] {
        let first = |answer: Value| if answer["travas"].is_array() { answer["travas"][0].clone() } else { answer };
        let anonymous = first(gate(&services, "GET", &path, &Value::Null, None).1);
        assert_eq!(links(&anonymous), "self", "{path}");
        let scheduler = first(gate(&services, "GET", &path, &Value::Null, Some(&secret)).1);
        assert_eq!(links(&scheduler), "self forcar", "{path}");
    }
    for (bearer, knows) in [(None, false), (Some(secret.as_str()), true)] {
        assert_eq!(gate(&services, "GET", "/pronto", &Value::Null, bearer).1["agendador"], knows);
    }
    // An order, a lock and an entry of a batch, each with its author.
    assert_eq!(gate(&services, "DELETE", &format!("/locks/{SLOT_LOCK}"), &Value::Null, Some(&secret)).0, 200);
    assert_eq!(services.book(1, "2030-01-01T04:00:00Z").0, 201);
    let lines = services.log_lines("coordenador.log", "");
    let about = |text: &str| {
        let line = lines.iter().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("no line with {text}: {lines:#?}")).clone()
    };
    let order: Value = serde_json::from_str(&about("TRAVA_FORCADA")).unwrap();
    assert_eq!((&order["autor"], &order["ip"]), (&json!("servico-agendamento"), &json!("127.0.0.1")));
    for text in [format!("concedido para recurso {SLOT_LOCK}"), "Hubble-Acad_2030-01-01T04:00:00Z".to_owned()] {
        assert!(about(&text).contains(" autor=servico-agendamento"), "{}", about(&text));
    }
    assert!(!about("unlock sem efeito").contains("autor="), "{}", about("unlock sem efeito"));
    assert!(lines.iter().all(|line| !line.contains(&secret)));
}

#[test]
fn without_a_secret_everything_is_as_before() {
    let services = Services::start(&[]);
    let anonymous = |method: &str, path: &str, body: Value| gate(&services, method, path, &body, None);
    assert_eq!(anonymous("POST", "/lock", json!({"recurso": SLOT_LOCK, "token_minimo": 7})).0, 200);
    assert_eq!(anonymous("POST", "/eventos", json!({"canal": "agenda", "evento": "x"})).0, 200);
    let shown = anonymous("GET", &format!("/locks/{SLOT_LOCK}"), Value::Null).1;
    assert_eq!(links(&shown), "self forcar");
    assert_eq!(anonymous("DELETE", &format!("/locks/{SLOT_LOCK}"), Value::Null).0, 200);
    let (status, problem) = anonymous("GET", &format!("/desafio?nonce={}", "0".repeat(64)), Value::Null);
    assert_eq!((status, problem["codigo"].as_str()), (404, Some("sem_segredo")));
    assert!(services.read_log("coordenador.log").iter().all(|line| !line.contains("autor=")));
}

/// Makes a token in a data folder.
fn token(data_dir: &Path, name: &str, rest: &[&str]) -> String {
    let made = run(&[&["token", "create", name, "--data-dir", data_dir.to_str().unwrap()], rest].concat());
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

#[test]
fn with_tokens_a_program_uses_its_names_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = super::new_secret(folder.path(), "between.secret");
    let token = |name, rest| token(folder.path(), name, rest);
    let backup = token("backup", &["--role", "servico", "--prefix", "backup-"][..]);
    let other = token("other", &["--role", "servico", "--prefix", "other-"]);
    let chief = token("chief", &["--role", "operador"]);
    let reader = token("reader", &["--role", "leitor"]);
    let (gate_process, scheduler) =
        super::start(&folder, "127.0.0.1:0", Some(&file), Some(&file), &["--access", "token"]);
    let services = Services::of(scheduler, gate_process, folder);
    let by = |who: &str, method: &str, path: &str, body: Value| gate(&services, method, path, &body, Some(who));
    let lease = by(&backup, "POST", "/lock", json!({"recurso": "backup-1", "token_minimo": 5})).1;
    let id = &lease["trava_id"];
    assert!(id.is_string(), "{lease}");
    for (who, method, path, body) in [
        (&backup, "POST", "/lock", json!({"recurso": SLOT_LOCK})),
        (&backup, "POST", "/lock", json!({"recursos": ["backup-2", "x"]})),
        (&backup, "POST", "/eventos", json!({"canal": "agenda", "evento": "criado"})),
        (&other, "POST", "/renew", json!({"trava_id": id})),
        (&other, "POST", "/unlock", json!({"trava_id": id})),
        (&other, "POST", "/unlock", json!({"recurso": "backup-1"})),
        (&other, "DELETE", "/locks/backup-1", Value::Null),
        (&reader, "POST", "/lock", json!({"recurso": "x"})),
        (&reader, "DELETE", "/locks/backup-1", Value::Null),
    ] {
        let (status, problem) = by(who, method, path, body.clone());
        assert_eq!((status, problem["codigo"].as_str()), (403, Some("papel_insuficiente")), "{method} {path} {body}");
    }
    let (_, refused) = by(&backup, "POST", "/lock", json!({"recurso": SLOT_LOCK}));
    assert!(refused["detail"].as_str().unwrap().contains("os que começam com backup-"), "{refused}");
    assert_eq!(ask("POST", &services.locks("/lock"), &json!({"recurso": "backup-9"}), None).status, 401);
    let (_, batch) = by(
        &other,
        "POST",
        "/lote",
        json!({"operacoes": [
            {"op": "lock", "recurso": "other-1"}, {"op": "lock", "recurso": "backup-2"}, {"op": "renew", "trava_id": id}
        ]}),
    );
    let statuses: Vec<_> = batch["respostas"].as_array().unwrap().iter().map(|answer| &answer["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(403), &json!(403)], "{batch}");
    // A lease of several names is taken away only by who may use all of them.
    let both = by(&chief, "POST", "/lock", json!({"recursos": ["other-2", "backup-3"]}));
    assert_eq!((both.0, by(&other, "DELETE", "/locks/other-2", Value::Null).0), (200, 403));
    // Each sees the links of what it may do.
    let link_of = |who: &str, path: &str| links(&by(who, "GET", path, Value::Null).1);
    assert_eq!(link_of(&reader, "/locks/backup-1"), "self");
    assert_eq!(link_of(&other, "/locks/backup-1"), "self");
    assert_eq!(link_of(&backup, "/locks/backup-1"), "self forcar");
    assert_eq!(link_of(&chief, "/locks/backup-1"), "self forcar");
    assert_eq!(link_of(&reader, "/"), "self travas trava eventos saude pronto desafio problemas service-desc medidas");
    let stranger = http("GET", &services.locks("/"), None).json();
    assert_eq!(links(&stranger), "self saude pronto desafio problemas service-desc");
    assert_eq!(links(&http("GET", &services.locks("/saude"), None).json()), "self pronto");
    // The scheduler books, and each line says whose it is.
    assert_eq!(services.book(1, "2030-01-01T04:00:00Z").0, 201);
    assert_eq!(by(&backup, "POST", "/unlock", json!({"trava_id": id})).1["liberado"], true);
    services.wait_for_log("coordenador.log", |lines| {
        ["autor=servico-agendamento", "autor=backup", "autor=other"]
            .iter()
            .all(|author| lines.iter().any(|line| line.contains(author)))
    });
}
