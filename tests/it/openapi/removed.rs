//! What is left out of a document is noticed: each endpoint, each status, each problem, each field of real answers.

use serde_json::{Value, json};

use super::{BOTH, faults};
use crate::common::contract::{Contract, Seen, Service};
use crate::common::{Answer, Asked, Services, http};

/// Takes the member at `pointer` out of a copy of a document.
fn without(service: Service, pointer: &str) -> Value {
    let mut document = (*service.contract().document).clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let name = name.replace("~1", "/").replace("~0", "~");
    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
    assert!(parent.is_some_and(|parent| parent.shift_remove(&name).is_some()), "nothing is at {pointer}");
    document
}

fn escaped(path: &str) -> String {
    path.replace('~', "~0").replace('/', "~1")
}

/// Takes out what is at each pointer, and expects that a fault names `part` of it.
fn each_is_missed(service: Service, pointers: impl Iterator<Item = (String, String)>) -> usize {
    let mut tried = 0;
    for (pointer, part) in pointers {
        tried += 1;
        let faults = faults(&Contract::new(service, without(service, &pointer)));
        assert!(faults.iter().any(|fault| fault.contains(&part)), "{pointer} is not missed: {faults:?}");
    }
    tried
}

#[test]
fn an_endpoint_a_status_or_a_problem_that_is_left_out_is_missed() {
    for service in BOTH {
        let contract = service.contract();
        let operations = contract.operations();
        let place = |method: &str, path: &str| format!("/paths/{}/{}", escaped(path), method.to_ascii_lowercase());
        let endpoints = operations.iter().map(|(method, path, _)| (place(method, path), format!("{method} {path}")));
        assert_eq!(each_is_missed(service, endpoints), service.endpoints().len());
        let statuses = operations.iter().flat_map(|(method, path, operation)| {
            let statuses = operation["responses"].as_object().expect("responses").keys();
            statuses.map(move |status| (format!("{}/responses/{status}", place(method, path)), status.clone()))
        });
        assert!(each_is_missed(service, statuses) > 100);
        let problems =
            contract.document["components"]["schemas"]["Problema"]["properties"]["codigo"]["enum"].as_array();
        let problems = problems.expect("codes").iter().filter_map(Value::as_str);
        // Its references would lead nowhere, so only the name in the list of codes is taken out.
        for code in problems {
            let mut document = (*contract.document).clone();
            let codes = document.pointer_mut("/components/schemas/Problema/properties/codigo/enum");
            codes.and_then(Value::as_array_mut).expect("codes").retain(|one| one != code);
            let faults = faults(&Contract::new(service, document));
            assert!(faults.iter().any(|fault| fault.contains(code)), "{code} is not missed");
        }
    }
}

/// An answer that a service has given, and with what.
struct Given {
    service: Service,
    method: &'static str,
    path: String,
    answer: Answer,
    /// The schema of its body.
    schema: &'static str,
}

impl Given {
    fn check(&self, contract: &Contract) -> Result<(), String> {
        let headers: Vec<(String, String)> = ["content-type", "x-request-id", "location", "etag", "retry-after"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.answer.header(name)?.to_owned())))
            .collect();
        let Answer { status, body, .. } = &self.answer;
        contract.check(&Seen {
            method: self.method,
            path: &self.path,
            sent: None,
            status: *status,
            headers: &headers,
            body,
            direct: true,
        })
    }
}

fn given() -> Vec<Given> {
    let services = Services::start(&[]);
    let post = |url: String, body: Value| http("POST", &url, Some(("application/json", &body.to_string())));
    let booking = Asked::by(7, "2025-12-01T03:00:00Z").body().clone();
    let agenda = |method: &'static str, path: &str, schema, answer| Given {
        service: Service::Scheduler,
        method,
        path: path.to_owned(),
        answer,
        schema,
    };
    let locks = |method: &'static str, path: &str, schema, answer| Given {
        service: Service::Coordinator,
        method,
        path: path.to_owned(),
        answer,
        schema,
    };
    let get = |path: &str| http("GET", &services.agenda(path), None);
    let timetable = "/telescopios/Hubble-Acad/agenda?de=2025-12-01T03%3A00%3A00Z";
    vec![
        agenda("POST", "/agendamentos", "Agendamento", post(services.agenda("/agendamentos"), booking.clone())),
        agenda("POST", "/agendamentos", "horario_ocupado", {
            // Until the lock's retention is over, the lock answers.
            let mut answer = post(services.agenda("/agendamentos"), booking.clone());
            crate::common::wait_until("the retention is over", || {
                answer = post(services.agenda("/agendamentos"), booking.clone());
                answer.json()["codigo"] == "horario_ocupado"
            });
            answer
        }),
        agenda("GET", "/agendamentos", "Agendamentos", get("/agendamentos")),
        agenda("GET", timetable, "Agenda", get(timetable)),
        agenda("GET", "/telescopios/Hubble-Acad", "Telescopio", get("/telescopios/Hubble-Acad")),
        agenda("GET", "/cientistas/7", "Cientista", get("/cientistas/7")),
        agenda("GET", "/time", "Hora", get("/time")),
        agenda("GET", "/auditoria?limite=2", "Registros", get("/auditoria?limite=2")),
        agenda("GET", "/agendamentos?limite=0", "parametros_invalidos", get("/agendamentos?limite=0")),
        locks("POST", "/lock", "Trava", post(services.locks("/lock"), json!({"recurso": "X"}))),
        locks("POST", "/lock", "ocupado", post(services.locks("/lock"), json!({"recurso": "X"}))),
        locks("GET", "/locks/X", "TravaDePerto", http("GET", &services.locks("/locks/X"), None)),
    ]
}

#[test]
fn a_field_that_is_left_out_fails_the_test_that_meets_it() {
    let mut fields = 0;
    for given in given() {
        let contract = given.service.contract();
        given.check(contract).unwrap();
        for name in given.answer.json().as_object().unwrap().keys() {
            let mut lacking = (*contract.document).clone();
            // What all problems have in common stands in a schema of its own.
            for schema in [given.schema, "Problema"] {
                let schema = &mut lacking["components"]["schemas"][schema];
                if let Some(properties) = schema["properties"].as_object_mut() {
                    properties.shift_remove(name);
                }
                // It is then not required either.
                if let Some(required) = schema["required"].as_array_mut() {
                    required.retain(|one| one != name);
                }
            }
            let wrong = given.check(&Contract::new(given.service, lacking)).expect_err(name);
            assert!(wrong.contains(name), "{} of {}: {wrong}", name, given.schema);
            fields += 1;
        }
        // A member that nobody wrote down.
        let mut more = given.answer.json();
        more["sobra"] = json!(1);
        let changed = Given { answer: given.answer.with_body(more.to_string()), ..given };
        let wrong = changed.check(contract).expect_err("a member too much");
        assert!(wrong.contains("sobra"), "{wrong}");
    }
    assert!(fields > 70, "{fields}");
}

#[test]
fn a_status_a_header_a_type_or_a_parameter_that_is_not_listed_fails_the_test_that_meets_it() {
    let contract = Service::Scheduler.contract();
    let id = ("x-request-id".to_owned(), "6b1f-2a".to_owned());
    let json = ("content-type".to_owned(), "application/json".to_owned());
    let time = json!({
        "timestamp_utc": "2025-10-26T18:00:05.123481Z", "recebido_utc": "2025-10-26T18:00:05.123456Z",
        "enviado_utc": "2025-10-26T18:00:05.123481Z", "_links": {"self": {"href": "/time"}, "inicio": {"href": "/"}}
    });
    let time = time.to_string();
    let both = [id.clone(), json.clone()];
    let seen =
        Seen { method: "GET", path: "/time", sent: None, status: 200, headers: &both, body: &time, direct: true };
    contract.check(&seen).unwrap();
    let wrong = |seen: Seen<'_>| contract.check(&seen).unwrap_err();
    assert!(wrong(Seen { status: 202, ..seen }).contains("write it at /paths/~1time/get/responses/202"));
    assert!(
        wrong(Seen { headers: &[id.clone(), json.clone(), ("x-novo".into(), "1".into())], ..seen })
            .contains("the header x-novo (1)")
    );
    assert!(
        wrong(Seen { headers: std::slice::from_ref(&json), ..seen }).contains("the header X-Request-Id is missing")
    );
    let plain = [id.clone(), ("content-type".to_owned(), "text/plain".to_owned())];
    assert!(wrong(Seen { headers: &plain, ..seen }).contains("content/text~1plain"));
    assert!(wrong(Seen { method: "PUT", ..seen }).contains("PUT of this path"));
    assert!(wrong(Seen { path: "/nada", ..seen }).contains("no table of endpoints"));
    let list = json!({"agendamentos": [], "limite": 50, "_links": {"self": {"href": "/agendamentos?limite=50"}, "inicio": {"href": "/"}}}).to_string();
    let tagged = [id.clone(), json.clone(), ("etag".to_owned(), "\"a\"".to_owned())];
    let page = Seen { path: "/agendamentos?limite=50", body: &list, headers: &tagged, ..seen };
    contract.check(&page).unwrap();
    assert!(wrong(Seen { path: "/agendamentos?cor=azul", ..page }).contains("the parameter cor"));
    let created = contract
        .document
        .pointer("/paths/~1agendamentos/post/responses/201/content/application~1json/example")
        .unwrap()
        .to_string();
    let tag = ("etag".to_owned(), "\"1-0a1b\"".to_owned());
    let headers = [id, json, tag, ("location".to_owned(), "/agendamentos/123".to_owned())];
    let sent = |sent| Seen {
        method: "POST",
        path: "/agendamentos",
        sent: Some(sent),
        status: 201,
        headers: &headers,
        body: &created,
        direct: true,
    };
    contract.check(&sent(r#"{"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z"}"#)).unwrap();
    let accepted = r#"{"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z", "cor": "azul"}"#;
    assert!(wrong(sent(accepted)).contains("the request was accepted"));
}
