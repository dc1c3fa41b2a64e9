//! `Prefer: handling` at the scheduler: unknown fields are refused, unless a client asks that they be ignored and named.

use serde_json::json;

use crate::common::access::give;
use crate::common::{Answer, Services, http_with};

const LENIENT: &str = "handling=lenient";
const STRICT: &str = "handling=strict";

fn send(services: &Services, method: &str, path: &str, body: &str, prefer: &[&str]) -> Answer {
    let headers: Vec<_> = prefer.iter().map(|prefer| ("Prefer", *prefer)).collect();
    http_with(method, &services.agenda(path), Some(("application/json", body)), &headers)
}

fn passed(answer: &Answer) -> Vec<String> {
    let notices = answer.json()["avisos"].as_array().cloned().unwrap_or_default();
    assert!(notices.iter().all(|notice| notice["codigo"] == "desconhecido"), "{notices:?}");
    notices.iter().map(|notice| notice["campo"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn unknown_fields_pass_and_are_named_for_those_who_ask_for_it() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z", "prioridade": 1, "cor": "azul"});
    let body = body.to_string();
    for (prefer, applied) in [(&[][..], None), (&[STRICT], Some(STRICT))] {
        let refused = send(&services, "POST", "/agendamentos", &body, prefer);
        assert_eq!((refused.status, refused.header("preference-applied")), (422, applied));
        assert!(passed(&refused).is_empty());
    }
    let booked = send(&services, "POST", "/agendamentos", &body, &[LENIENT]);
    assert_eq!((booked.status, booked.header("preference-applied")), (201, Some(LENIENT)));
    assert_eq!(passed(&booked), ["cor", "prioridade"]);
    assert_eq!((&booked.json()["id"], booked.header("location")), (&json!(1), Some("/agendamentos/1")));
    services.wait_for_log("app.log", |lines| {
        lines.iter().any(|line| line.contains("Campos desconhecidos, ignorados: cor, prioridade"))
    });
    // A refusal names them too, and what is known is checked as always.
    let taken = send(&services, "POST", "/agendamentos", &body, &[LENIENT]);
    assert_eq!((taken.status, passed(&taken).len()), (409, 2));
    let wrong = send(&services, "POST", "/agendamentos", &body.replace("03:00:00", "03:01:00"), &[LENIENT]);
    assert_eq!((wrong.status, wrong.json()["erros"].as_array().unwrap().len()), (422, 1));
    assert_eq!(wrong.json()["erros"][0]["campo"], "horario_inicio_utc");
    let gone = send(&services, "DELETE", "/agendamentos/1", r#"{"motivo": "nuvens", "humor": 7}"#, &[LENIENT]);
    assert_eq!((gone.status, passed(&gone)), (200, vec!["humor".to_owned()]));
    assert_eq!(gone.json()["motivo_cancelamento"], "nuvens");
    let rules = send(&services, "PATCH", "/telescopios/Hubble-Acad", r#"{"apelido": "H"}"#, &[LENIENT]);
    assert_eq!((rules.status, passed(&rules)), (200, vec!["apelido".to_owned()]));
    let none = send(&services, "PATCH", "/telescopios/Hubble-Acad", "{}", &[LENIENT]);
    assert_eq!((none.status, none.header("preference-applied"), none.json().get("avisos")), (200, Some(LENIENT), None));
}

#[test]
fn what_gives_access_is_always_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let token = give(folder.path(), &["chefe", "--role", "operador"]).token;
    let services = Services::start_in(folder, &["--access", "token"]);
    let body = json!({"nome": "x", "papeis": ["leitor"], "prazo": 1}).to_string();
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Prefer", LENIENT)];
    let answer = http_with("POST", &services.agenda("/tokens"), Some(("application/json", &body)), &headers);
    assert_eq!((answer.status, answer.header("preference-applied")), (422, None));
}
