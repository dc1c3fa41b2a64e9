//! The identifiers of a request: the service's own, which nobody can choose, and the one of its client beside it: in answers, logs
//! and records, in a batch, and when they are searched for.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::trail::{audit, succeed};
use crate::common::{Answer, Asked, Services, http, http_with, wait_until};

fn own(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap().to_owned()
}

fn book(services: &Services, scientist: i64, start: &str, headers: &[(&str, &str)]) -> Answer {
    let body = Asked::by(scientist, start).text();
    http_with("POST", &services.agenda("/agendamentos"), Some(("application/json", &body)), headers)
}

fn records(data_dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(data_dir.join("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn both_services_make_their_own_identifier_and_send_the_clients_back_beside_it() {
    let services = Services::start(&[]);
    for url in [services.agenda("/time"), services.locks("/saude"), services.agenda("/nada"), services.locks("/nada")] {
        let with = |headers: &[(&str, &str)]| http_with("GET", &url, None, headers);
        let first = with(&[("X-Request-Id", "meu-id.7")]);
        let mine = own(&first);
        assert_ne!(mine, "meu-id.7", "{url}");
        assert_eq!(first.header("x-client-request-id"), Some("meu-id.7"), "{url}");
        if first.status == 404 {
            assert_eq!(first.json()["instance"], format!("urn:sctec:req:{mine}"));
        }
        // The identifier of another request takes no place of it.
        let second = with(&[("X-Request-Id", &mine)]);
        assert_ne!(own(&second), mine, "{url}");
        assert_eq!(second.header("x-client-request-id"), Some(&*mine), "{url}");
        for ignored in [&[][..], &[("X-Request-Id", "nao vale")], &[("X-Request-Id", "-")], &[("X-Request-Id", "")]] {
            let answer = with(ignored);
            assert!(answer.header("x-client-request-id").is_none() && !own(&answer).is_empty(), "{ignored:?}");
        }
    }
}

#[test]
fn a_request_is_found_by_both_and_the_trail_is_whole() {
    let services = Services::start(&["--audit-refusals"]);
    let answers = [
        book(&services, 7, "2025-12-01T03:00:00Z", &[("X-Request-Id", "clique-1")]),
        book(&services, 5, "2025-12-01T03:00:00Z", &[("X-Request-Id", "clique-2")]),
        book(&services, 5, "2025-12-01T03:05:00Z", &[]),
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [201, 409, 201]);
    let ids = answers.each_ref().map(own);
    // Another client chooses the identifier of the first request for its own.
    let forged = book(&services, 3, "2025-12-01T03:10:00Z", &[("X-Request-Id", &ids[0])]);
    assert_eq!(forged.status, 201);

    let page = |query: &str| http("GET", &services.agenda(&format!("/auditoria?{query}")), None).json();
    let found = |query: &str| {
        let page = page(query);
        let of = |record: &Value| (record["req"].as_str().unwrap().to_owned(), record["req_cliente"].clone());
        page["registros"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(found("req=clique-1"), [(ids[0].clone(), json!("clique-1"))]);
    assert_eq!(found("req=clique-2"), [(ids[1].clone(), json!("clique-2"))]);
    assert_eq!(found(&format!("req={}", ids[2])), [(ids[2].clone(), Value::Null)]);
    let of_first = [(ids[0].clone(), json!("clique-1")), (own(&forged), json!(ids[0]))];
    assert_eq!(found(&format!("req={}", ids[0])), of_first, "each record says whose it is");

    let rows = services.count("SELECT count(*) FROM auditoria");
    wait_until("the file has every record", || records(services.data_dir()).len() == rows);
    let folder = services.stop();
    let dir = folder.path().to_str().unwrap();
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let fields = format!(r#","req":"{}","req_cliente":"clique-1","autor":"anonimo","ip":"127.0.0.1","prev":""#, ids[0]);
    assert!(text.contains(&fields), "{text}");
    assert!(text.contains(&format!(r#","req":"{}","autor":"anonimo","#, ids[2])), "{text}");
    let verified = audit(&["--verify", "--deep", "--data-dir", dir]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/verificar.py");
    if let Ok(verified) = Command::new("python3").arg(script).arg(folder.path().join("audit.jsonl")).output() {
        assert!(verified.status.success(), "{verified:?}");
    }
    let csv = succeed(&["--data-dir", dir, "--req", "clique-1", "--format", "csv"]).0;
    let rows: Vec<_> = csv.lines().collect();
    assert!(rows.len() == 2 && rows[0].ends_with(",req_cliente") && rows[1].ends_with(",clique-1"), "{csv}");

    // The story of the first request: told by the client's identifier, each line says which request it is of; told by the service's,
    // only the lines of the request that was to pass for it do.
    let story = |id: &str| succeed(&["--data-dir", dir, "--req", id]).0;
    let (by_client, by_own) = (story("clique-1"), story(&ids[0]));
    let of = |text: &str, needle: &str| text.lines().filter(|line| line.contains(needle)).count();
    let lines = by_client.lines().count() - 1;
    assert_eq!(of(&by_client, &format!(" req={}", ids[0])), lines, "{by_client}");
    assert!(of(&by_client, "coordenador.log  ") >= 3 && of(&by_client, "AGENDAMENTO_CRIADO") == 1, "{by_client}");
    assert_eq!(of(&by_own, &format!(" req={}", own(&forged))), by_own.lines().count() - 1 - lines, "{by_own}");
    assert_eq!(of(&by_own, " req_cliente=clique-1"), lines, "{by_own}");
}

#[test]
fn a_batch_hands_on_both_identifiers_of_a_schedulers_request() {
    let services = Services::start(&[]);
    let batch = |operations: Value, headers: &[(&str, &str)]| {
        let body = json!({ "operacoes": operations }).to_string();
        http_with("POST", &services.locks("/lote"), Some(("application/json", &body)), headers)
    };
    let operations = json!([
        {"op": "lock", "recurso": "X", "req": "r-1", "req_cliente": "clique-1"},
        {"op": "lock", "recurso": "Y", "req": "r-2"},
        {"op": "lock", "recurso": "Z"},
        {"op": "lock", "recurso": "W", "req_cliente": "clique-4"},
        {"op": "lock", "recurso": "W", "req": "r-5", "req_cliente": "é"},
    ]);
    let answer = batch(operations, &[("X-Request-Id", "do-lote")]);
    let answers = answer.json();
    let status = |index: usize| answers["respostas"][index]["status"].as_u64().unwrap();
    assert_eq!([0, 1, 2, 3, 4].map(status), [200, 200, 200, 422, 422], "{answers}");
    for index in [3, 4] {
        assert_eq!(answers["respostas"][index]["erros"][0]["campo"], "req_cliente", "{answers}");
    }
    let granted = |resource: &str| {
        let lines = services.log_lines("coordenador.log", &format!("Lock concedido para recurso {resource} "));
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].split_once(&format!("recurso {resource} ")).unwrap().1.to_owned()
    };
    assert!(granted("X").starts_with("req=r-1 req_cliente=clique-1 token="));
    assert!(granted("Y").starts_with("req=r-2 token="));
    assert!(granted("Z").starts_with(&format!("req={} req_cliente=do-lote token=", own(&answer))));

    // The record of a lock that was taken away has both too.
    let forced = http_with("DELETE", &services.locks("/locks/X"), None, &[("X-Request-Id", "chamado-9")]);
    assert_eq!(forced.status, 200);
    let lines = services.log_lines("coordenador.log", "TRAVA_FORCADA");
    let fields = format!(r#","req":"{}","req_cliente":"chamado-9","autor":"anonimo","#, own(&forced));
    assert!(lines.iter().any(|line| line.contains(&fields)), "{lines:?}");
}
