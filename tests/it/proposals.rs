//! Proposals: bookings are charged to them, and parallel bookings through two schedulers never overdraw.

use serde_json::{Value, json};

use crate::common::{Answer, Services, at_once, http, http_with};

const JSON: &str = "application/json";
const HUBBLE: &str = "/telescopios/Hubble-Acad";

fn create(services: &Services, changes: &Value) -> Answer {
    let mut body = json!({
        "titulo": "Cefeidas em M31", "responsavel_id": 7, "membros": [5], "inicio_utc": "2030-01-01T00:00:00Z",
        "fim_utc": "2030-07-01T00:00:00Z", "alocado_min": {"Hubble-Acad": 60},
    });
    for (field, value) in changes.as_object().into_iter().flatten() {
        body[field] = value.clone();
    }
    http("POST", &services.agenda("/propostas"), Some((JSON, &body.to_string())))
}

fn patch(services: &Services, path: &str, body: &Value) -> Answer {
    http("PATCH", &services.agenda(path), Some(("application/merge-patch+json", &body.to_string())))
}

fn booking(scientist: i64, start: &str, minutes: i64, proposal: Option<i64>) -> Value {
    json!({"cientista_id": scientist, "horario_inicio_utc": start, "duracao_min": minutes, "proposta_id": proposal})
}

/// The codes of the wrong fields of an answer, which all concern the proposal.
fn codes(answer: &Value) -> Vec<&str> {
    let errors = answer["erros"].as_array().into_iter().flatten();
    errors.filter(|error| error["campo"] == "proposta_id").map(|error| error["codigo"].as_str().unwrap()).collect()
}

fn minutes(services: &Services) -> (Value, Value) {
    let shown = http("GET", &services.agenda("/propostas/1"), None).json();
    (shown["usado_min"]["Hubble-Acad"].clone(), shown["restante_min"]["Hubble-Acad"].clone())
}

#[test]
fn a_hundred_parallel_bookings_through_two_schedulers_never_overdraw() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    assert_eq!(create(&services, &json!({})).status, 201);
    let urls = [services.agenda("/agendamentos"), format!("{}/agendamentos", other.url())];
    let body = |nth: usize| {
        let start = format!("2030-01-01T{:02}:{:02}:00Z", nth / 6, nth % 6 * 10);
        let scientist = if nth.is_multiple_of(3) { 5 } else { 7 };
        (urls[nth % 2].clone(), booking(scientist, &start, 10, Some(1)).to_string())
    };
    let bodies: Vec<_> = (0..100).map(body).collect();
    let statuses = at_once(&bodies);
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(201), count(422)), (6, 94), "{statuses:?}");
    assert_eq!(minutes(&services), (json!(60), json!(0)));
    // A cancellation gives back, and another booking can have it.
    let mine = services.list("?status=AGENDADO").remove(0);
    assert_eq!(mine["proposta_id"], 1);
    assert_eq!(mine["_links"]["proposta"]["href"], "/propostas/1");
    assert_eq!(
        http("DELETE", &services.agenda(mine["_links"]["cancelar"]["href"].as_str().unwrap()), None).status,
        200
    );
    assert_eq!(minutes(&services), (json!(50), json!(10)));
    let (_, refused) = services.book_with(&booking(7, "2030-01-02T00:00:00Z", 15, Some(1)));
    assert_eq!(codes(&refused), ["proposta_sem_tempo"]);
    assert!(refused["erros"][0]["mensagem"].as_str().unwrap().contains("restam 10"), "{refused}");
    assert_eq!(services.book_with(&booking(7, "2030-01-02T00:00:00Z", 10, Some(1))).0, 201);
    let records = http("GET", &services.agenda("/auditoria?evento=AGENDAMENTO_CRIADO&limite=500"), None).json();
    let charged =
        records["registros"].as_array().unwrap().iter().filter(|record| record["details"]["proposta_id"] == 1);
    assert_eq!(charged.count(), 7);
}

#[test]
fn a_booking_is_charged_only_where_the_proposal_allows_it() {
    let services = Services::start(&[]);
    let created = create(&services, &json!({}));
    assert_eq!((created.status, created.header("location")), (201, Some("/propostas/1")), "{}", created.body);
    assert_eq!(patch(&services, HUBBLE, &json!({"regras": {"exige_proposta": true}})).status, 200);
    for (body, code) in [
        (booking(7, "2030-01-01T03:00:00Z", 5, None), "proposta_obrigatoria"),
        (booking(7, "2030-01-01T03:00:00Z", 5, Some(9)), "proposta_desconhecida"),
        (booking(3, "2030-01-01T03:00:00Z", 5, Some(1)), "proposta_alheia"),
        (booking(7, "2030-06-30T23:55:00Z", 10, Some(1)), "proposta_fora_do_periodo"),
        (booking(7, "2030-01-01T03:00:00Z", 65, Some(1)), "proposta_sem_tempo"),
    ] {
        let (status, answer) = services.book_with(&body);
        assert_eq!((status, codes(&answer)), (422, vec![code]), "{answer}");
    }
    assert_eq!(services.book_with(&booking(5, "2030-01-01T03:00:00Z", 60, Some(1))).0, 201);
    assert_eq!(
        patch(&services, "/propostas/1", &json!({"alocado_min": {"Hubble-Acad": 90}, "ativa": false})).status,
        200
    );
    let (_, refused) = services.book_with(&booking(5, "2030-01-02T03:00:00Z", 30, Some(1)));
    assert_eq!(codes(&refused), ["proposta_inativa"]);
    assert_eq!(patch(&services, "/propostas/1", &json!({"ativa": true})).status, 200);
    assert_eq!(services.book_with(&booking(5, "2030-01-02T03:00:00Z", 30, Some(1))).0, 201);
    assert_eq!(patch(&services, HUBBLE, &json!({"regras": {"exige_proposta": null}})).status, 200);
    assert_eq!(services.book_with(&booking(3, "2030-01-03T03:00:00Z", 5, None)).0, 201);
    assert_eq!(minutes(&services), (json!(90), json!(0)));
}

#[test]
fn a_proposal_is_searched_changed_under_its_version_and_recorded() {
    let services = Services::start(&[]);
    assert_eq!(create(&services, &json!({})).status, 201);
    assert_eq!(create(&services, &json!({"titulo": "Órion", "membros": []})).status, 201);
    let found = http("GET", &services.agenda("/propostas?busca=ORION"), None).json();
    assert_eq!((found["propostas"].as_array().unwrap().len(), &found["propostas"][0]["id"]), (1, &json!(2)));
    let of = |scientist: &str| {
        let found = http("GET", &services.agenda(&format!("/propostas?cientista_id={scientist}")), None).json();
        found["propostas"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((of("7"), of("5"), of("9")), (vec![1, 2], vec![1], vec![]));
    let read = http("GET", &services.agenda("/propostas/2"), None);
    let tag = read.header("etag").unwrap().to_owned();
    let body = json!({"membros": [1, 2], "alocado_min": {"Hubble-Acad": null, "Webb-Acad": 30}}).to_string();
    let change = || http_with("PATCH", &services.agenda("/propostas/2"), Some((JSON, &body)), &[("If-Match", &tag)]);
    let changed = change();
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(
        (&changed.json()["membros"], &changed.json()["alocado_min"]),
        (&json!([1, 2]), &json!({"Webb-Acad": 30}))
    );
    assert_eq!((change().status, &change().json()["codigo"]), (412, &json!("versao_diferente")));
    let again = patch(&services, "/propostas/2", &changed.json());
    assert_eq!((again.status, again.json()), (200, changed.json()));
    let records = http("GET", &services.agenda("/auditoria?evento=CATALOGO_ALTERADO"), None).json();
    let records = records["registros"].as_array().unwrap();
    assert_eq!(records.len(), 3, "{records:?}");
    assert_eq!(records[2]["details"]["antes"]["membros"], json!([]));

    let wrong = |answer: &Answer| {
        let errors = answer.json()["erros"].as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone();
        errors.iter().map(|error| error["campo"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let bad = json!({"responsavel_id": 99, "membros": [98], "alocado_min": {"Nenhum": 5, "Hubble-Acad": -1}, "fim_utc": "2029-01-01T00:00:00Z"});
    let fields = wrong(&create(&services, &bad));
    assert_eq!(fields, ["responsavel_id", "membros", "alocado_min.Hubble-Acad", "alocado_min.Nenhum", "fim_utc"]);
    assert_eq!(wrong(&patch(&services, "/propostas/1", &json!({"fim_utc": "2029-01-01T00:00:00Z"}))), ["fim_utc"]);
    let unknown = http("GET", &services.agenda("/propostas/9"), None);
    assert_eq!((unknown.status, &unknown.json()["codigo"]), (404, &json!("proposta_desconhecida")));
}

#[test]
fn minutes_at_too_many_telescopes_are_refused_also_one_after_the_other_and_null_takes_all_away() {
    let services = Services::start(&[]);
    services.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
         INSERT INTO telescopios (id, codigo, nome, simulado) SELECT 2 + i, 'T-' || i, 'T', TRUE FROM n;
         UPDATE resumo SET catalogo = catalogo + 1",
    );
    let all: serde_json::Map<_, _> = (1..=50).map(|nth| (format!("T-{nth}"), json!(5))).collect();
    let created = create(&services, &json!({"alocado_min": all}));
    assert_eq!(created.status, 201, "{}", created.body);
    let change = |minutes: &Value| patch(&services, "/propostas/1", &json!({ "alocado_min": minutes }));
    let refused = change(&json!({"Hubble-Acad": 60}));
    assert_eq!(
        (refused.status, &refused.json()["erros"][0]["campo"]),
        (422, &json!("alocado_min")),
        "{}",
        refused.body
    );
    assert_eq!(change(&json!({"Hubble-Acad": 60, "T-50": null})).status, 200);
    assert_eq!(change(&Value::Null).json()["alocado_min"], json!({}));
}

#[test]
fn a_booking_that_moves_takes_its_proposal_with_it() {
    let services = Services::start(&[]);
    assert_eq!(create(&services, &json!({})).status, 201);
    let booked = services.book_with(&booking(7, "2030-01-01T00:00:00Z", 40, Some(1))).1;
    let path = booked["_links"]["alterar"]["href"].as_str().unwrap();
    assert_eq!(patch(&services, HUBBLE, &json!({"regras": {"exige_proposta": true}})).status, 200);
    let change = |body: &Value| patch(&services, path, body);
    assert_eq!(change(&json!({"horario_inicio_utc": "2030-01-01T06:00:00Z"})).status, 200);
    assert_eq!(minutes(&services), (json!(40), json!(20)));
    // What the booking has itself is given back first.
    let longer = change(&json!({"horario_inicio_utc": "2030-01-01T08:00:00Z", "duracao_min": 60}));
    assert_eq!((longer.status, &longer.json()["proposta_id"]), (200, &json!(1)), "{}", longer.body);
    assert_eq!(minutes(&services), (json!(60), json!(0)));
    for (body, code) in [
        (json!({"duracao_min": 65}), "proposta_sem_tempo"),
        (json!({"telescopio": "Webb-Acad"}), "proposta_sem_tempo"),
        (json!({"horario_inicio_utc": "2030-08-01T00:00:00Z"}), "proposta_fora_do_periodo"),
    ] {
        let refused = change(&body);
        assert_eq!((refused.status, codes(&refused.json())), (422, vec![code]), "{body}: {}", refused.body);
    }
    for other in [json!(2), Value::Null] {
        let refused = change(&json!({ "proposta_id": other }));
        assert_eq!((refused.status, codes(&refused.json()).len()), (422, 1), "{}", refused.body);
    }
    assert_eq!(change(&longer.json()).json(), longer.json(), "what was read can be sent back");
    assert_eq!(change(&json!({"duracao_min": 20})).status, 200);
    assert_eq!(minutes(&services), (json!(20), json!(40)));
    let records = http("GET", &services.agenda("/auditoria?evento=AGENDAMENTO_ALTERADO"), None).json();
    let states: Vec<_> = records["registros"].as_array().unwrap().iter().map(|record| &record["details"]).collect();
    assert_eq!(states.len(), 3);
    assert!(states.iter().all(|state| state["antes"]["proposta_id"] == 1 && state["depois"]["proposta_id"] == 1));
}

#[test]
fn bookings_that_become_longer_at_once_never_overdraw() {
    let services = Services::start(&[]);
    let other = services.another_scheduler(&[]);
    assert_eq!(create(&services, &json!({})).status, 201);
    let urls = [services.agenda(""), other.url()];
    let paths: Vec<_> = (0..10)
        .map(|nth| {
            let booked = services.book_with(&booking(7, &format!("2030-01-01T{nth:02}:00:00Z"), 5, Some(1))).1;
            format!("{}/agendamentos/{}", urls[nth % 2], booked["id"])
        })
        .collect();
    // 50 of 60 minutes are used: two of ten can have five more.
    let longer = json!({"duracao_min": 10}).to_string();
    let longer = longer.as_str();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let changes: Vec<_> = paths
            .iter()
            .map(|path| scope.spawn(move || http("PATCH", path, Some(("application/merge-patch+json", longer))).status))
            .collect();
        changes.into_iter().map(|change| change.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(200), count(422)), (2, 8), "{statuses:?}");
    assert_eq!(minutes(&services), (json!(60), json!(0)));
}
