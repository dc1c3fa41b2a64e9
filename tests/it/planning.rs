//! What could be booked, found and checked without booking it.

use serde_json::{Value, json};

use crate::common::{Answer, Asked, Services, http};

const SLOT: &str = "2999-06-01T03:00:00Z";

fn post(services: &Services, path: &str, body: &Value) -> Answer {
    http("POST", &services.agenda(path), Some(("application/json", &body.to_string())))
}

fn next(services: &Services, body: &Value) -> Answer {
    post(services, "/agendamentos/proximo", body)
}

fn set(services: &Services, rules: &Value) {
    let body = json!({ "regras": rules }).to_string();
    let url = services.agenda("/telescopios/Hubble-Acad");
    assert_eq!(http("PATCH", &url, Some(("application/json", &body))).status, 200);
}

/// The wrong fields of an answer with their codes.
fn wrong(answer: &Value) -> Vec<(String, String)> {
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let errors = answer["erros"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| (text(error, "campo"), text(error, "codigo"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn the_first_free_start_that_fits_is_found_and_can_be_booked_as_it_is() {
    let services = Services::start(&[]);
    let entry = http("GET", &services.agenda("/"), None).json();
    assert_eq!(entry["_links"]["proximo"]["method"], "POST");
    // Free are 03:00, 03:10 to 03:20, and everything from 04:00 on.
    for (start, minutes) in [("2999-06-01T03:05:00Z", 5), ("2999-06-01T03:20:00Z", 40)] {
        assert_eq!(services.book_as(&Asked::by(3, start).minutes(minutes)).0, 201);
    }
    for (minutes, from, start) in [
        (5, SLOT, SLOT),
        (5, "2999-06-01T03:00:00.000001Z", "2999-06-01T03:10:00Z"),
        (10, SLOT, "2999-06-01T03:10:00Z"),
        (15, SLOT, "2999-06-01T04:00:00Z"),
    ] {
        let found = next(&services, &json!({"duracao_min": minutes, "a_partir_de_utc": from, "cientista_id": 7}));
        assert_eq!((found.status, &found.json()["horario_inicio_utc"]), (200, &json!(start)), "{}", found.body);
    }
    assert_eq!(services.list("").len(), 2, "nothing is booked by looking");
    let found = next(&services, &json!({"cientista_id": 7, "a_partir_de_utc": SLOT, "duracao_min": 15})).json();
    let booked = services.book_with(&found);
    assert_eq!((booked.0, &booked.1["horario_fim_utc"]), (201, &json!("2999-06-01T04:15:00Z")), "{}", booked.1);
    // Back with what was answered: the next one follows.
    let following = next(&services, &found).json();
    assert_eq!(following["horario_inicio_utc"], "2999-06-01T04:15:00Z");
    // A telescope that is not simulated has no free start before now.
    let real = next(&services, &json!({"telescopio": "Webb-Acad", "a_partir_de_utc": "2000-01-01T00:00:00Z"})).json();
    assert!(real["horario_inicio_utc"].as_str().unwrap() > "2025-01-01", "{real}");
}

#[test]
fn quotas_and_rules_lead_to_another_day_or_to_none() {
    let services = Services::start(&[]);
    set(&services, &json!({"cota_dia_min": 20, "duracao_max_min": 15}));
    assert_eq!(services.book_as(&Asked::by(7, SLOT).minutes(15)).0, 201);
    let asked =
        |minutes, scientist: Value| json!({"a_partir_de_utc": SLOT, "duracao_min": minutes, "cientista_id": scientist});
    let start = |body: &Value| next(&services, body).json()["horario_inicio_utc"].clone();
    // Five minutes of that day are left: the last of them may go on into the next day.
    assert_eq!(start(&asked(5, json!(7))), "2999-06-01T03:15:00Z");
    assert_eq!(start(&asked(10, json!(7))), "2999-06-01T23:55:00Z");
    assert_eq!(start(&asked(10, Value::Null)), "2999-06-01T03:15:00Z");
    let long = next(&services, &asked(20, Value::Null));
    assert_eq!((long.status, &long.json()["codigo"]), (404, &json!("sem_horario_livre")));
    set(&services, &json!({"cota_ativas": 1}));
    let full = next(&services, &asked(5, json!(7)));
    assert_eq!((full.status, wrong(&full.json())), (422, pairs(&[("cientista_id", "regra_cota_ativas")])));
    set(&services, &json!({"horizonte_dias": 3}));
    let beyond = next(&services, &asked(5, json!(3)));
    assert_eq!((beyond.status, &beyond.json()["codigo"]), (404, &json!("sem_horario_livre")), "{}", beyond.body);
    let several = next(&services, &json!({"duracao_min": 7, "a_partir_de_utc": "ontem", "x": 1}));
    let mut fields: Vec<_> = wrong(&several.json()).into_iter().map(|(field, _)| field).collect();
    fields.sort_unstable();
    assert_eq!((several.status, fields), (422, ["a_partir_de_utc", "duracao_min", "x"].map(str::to_owned).to_vec()));
    let unknown = next(&services, &json!({"telescopio": "Nenhum"}));
    assert_eq!((unknown.status, &unknown.json()["codigo"]), (404, &json!("telescopio_desconhecido")));
}

#[test]
fn maintenance_hours_and_proposals_count_without_booking_too() {
    let services = Services::start(&[]);
    let url = services.agenda("/telescopios/Hubble-Acad/manutencoes");
    let closed = json!({"inicio_utc": SLOT, "fim_utc": "2999-06-01T03:10:00Z", "motivo": "espelho"}).to_string();
    assert_eq!(http("POST", &url, Some(("application/json", &closed))).status, 201);
    let start = |minutes, from: &str| {
        next(&services, &json!({"duracao_min": minutes, "a_partir_de_utc": from})).json()["horario_inicio_utc"].clone()
    };
    assert_eq!(start(5, SLOT), "2999-06-01T03:10:00Z");
    assert_eq!(start(10, "2999-06-01T02:55:00Z"), "2999-06-01T03:10:00Z");
    let validate = |body: &Value| wrong(&post(&services, "/agendamentos/validar", body).json());
    let asked =
        |start: &str, minutes: i64| json!({"cientista_id": 7, "horario_inicio_utc": start, "duracao_min": minutes});
    assert_eq!(validate(&asked("2999-06-01T02:55:00Z", 10)), pairs(&[("horario_inicio_utc", "em_manutencao")]));
    // It is a Saturday.
    set(&services, &json!({"horas_de_operacao": [{"dia": "sab", "das": "04:00", "as": "05:00"}]}));
    assert_eq!(start(5, SLOT), "2999-06-01T04:00:00Z");
    assert_eq!(start(30, "2999-06-01T04:40:00Z"), "2999-06-08T04:00:00Z");
    assert_eq!(validate(&asked("2999-06-01T05:00:00Z", 5)), pairs(&[("horario_inicio_utc", "regra_horas")]));
    let proposal = json!({
        "titulo": "Cefeidas", "responsavel_id": 7, "inicio_utc": "2999-01-01T00:00:00Z", "fim_utc": "2999-12-01T00:00:00Z",
        "alocado_min": {"Hubble-Acad": 10},
    });
    assert_eq!(post(&services, "/propostas", &proposal).status, 201);
    let mut charged = asked("2999-06-01T04:00:00Z", 15);
    charged["proposta_id"] = json!(1);
    assert_eq!(validate(&charged), pairs(&[("proposta_id", "proposta_sem_tempo")]));
    charged["duracao_min"] = json!(10);
    assert_eq!(validate(&charged), pairs(&[]));
    // The first start that the proposal pays, and what pays none.
    set(&services, &json!({"horas_de_operacao": null, "exige_proposta": true}));
    let asked = |changes: &Value| {
        let mut body =
            json!({"cientista_id": 7, "proposta_id": 1, "a_partir_de_utc": "2998-12-31T23:50:00Z", "duracao_min": 10});
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        next(&services, &body)
    };
    let found = asked(&json!({})).json();
    assert_eq!((&found["horario_inicio_utc"], &found["proposta_id"]), (&json!("2999-01-01T00:00:00Z"), &json!(1)));
    for (changes, field, code) in [
        (json!({"duracao_min": 15}), "proposta_id", "proposta_sem_tempo"),
        (json!({"cientista_id": 3}), "proposta_id", "proposta_alheia"),
        (json!({"proposta_id": 9}), "proposta_id", "proposta_desconhecida"),
        (json!({"proposta_id": null}), "proposta_id", "proposta_obrigatoria"),
    ] {
        let refused = asked(&changes);
        assert_eq!((refused.status, wrong(&refused.json())), (422, pairs(&[(field, code)])), "{changes}");
    }
    assert_eq!(asked(&json!({"cientista_id": null, "proposta_id": null})).status, 200);
    assert_eq!(services.book_with(&found).0, 201);
    let inactive = json!({"ativo": false}).to_string();
    let url = services.agenda("/telescopios/Hubble-Acad");
    assert_eq!(http("PATCH", &url, Some(("application/json", &inactive))).status, 200);
    let closed = asked(&json!({}));
    assert_eq!((closed.status, wrong(&closed.json())[0].1.as_str()), (422, "telescopio_inativo"), "{}", closed.body);
}

#[test]
fn all_that_would_be_wrong_is_said_at_once_and_nothing_is_done() {
    let services = Services::start(&[]);
    assert_eq!(services.book(7, SLOT).0, 201);
    set(&services, &json!({"cota_ativas": 1, "duracao_max_min": 30}));
    let validate = |body: &Value| post(&services, "/agendamentos/validar", body);
    for (body, expected) in [
        (json!({"cientista_id": 3, "horario_inicio_utc": "2999-06-01T03:05:00Z"}), vec![]),
        (json!({"cientista_id": 3, "horario_inicio_utc": SLOT}), vec![("horario_inicio_utc", "ocupado")]),
        (
            json!({"cientista_id": 7, "horario_inicio_utc": SLOT}),
            vec![("cientista_id", "regra_cota_ativas"), ("horario_inicio_utc", "ocupado")],
        ),
        (
            json!({"cientista_id": 77, "horario_inicio_utc": "2999-06-01T02:30:00Z", "duracao_min": 35, "alvo": "", "x": 1}),
            vec![
                ("alvo", "tamanho"),
                ("x", "desconhecido"),
                ("cientista_id", "cientista_desconhecido"),
                ("duracao_min", "regra_duracao"),
                ("horario_inicio_utc", "ocupado"),
            ],
        ),
        (json!({}), vec![("cientista_id", "obrigatorio"), ("horario_inicio_utc", "obrigatorio")]),
    ] {
        let answer = validate(&body);
        let found = answer.json();
        assert_eq!((answer.status, wrong(&found)), (200, pairs(&expected)), "{body}");
        assert_eq!(found["valido"], json!(expected.is_empty()), "{found}");
        assert!(found["_links"].as_object().is_some_and(|links| !links.is_empty()), "{found}");
    }
    assert_eq!(post(&services, "/agendamentos/validar", &json!([])).status, 422);
    assert_eq!(services.list("").len(), 1);
    // What is valid can be booked as it was asked.
    let body = json!({"cientista_id": 3, "horario_inicio_utc": "2999-06-01T03:05:00Z"});
    let valid = validate(&body).json();
    assert_eq!((&valid["valido"], valid["_links"]["agendar"]["method"].as_str()), (&json!(true), Some("POST")));
    assert_eq!(services.book_with(&body).0, 201);
}
