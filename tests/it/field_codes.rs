//! The table of field codes in docs/API.md, row by row, against both services: each code where the table says that it stands.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{Services, http};

const SLOT: &str = "2025-12-01T03:00:00Z";
const JSON: &str = "application/json";

/// A wrong request: method, path, body, and each field that is wrong, with its code.
struct Case(&'static str, &'static str, Value, &'static [(&'static str, &'static str)]);

/// The codes of the table, in its order.
fn rows() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/API.md")).unwrap();
    let (_, table) = text.split_once("| `codigo` de um campo |").unwrap();
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| "));
    let codes = rows.flat_map(|row| row.split(" | ").next().unwrap().split(", "));
    codes.map(|code| code.trim_matches('`').to_owned()).collect()
}

/// A booking that is right, with `changes`. A change to null takes the field away.
fn booking(changes: &Value) -> Value {
    let mut body = json!({"cientista_id": 1, "horario_inicio_utc": SLOT});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn post(path: &'static str, body: Value, wrong: &'static [(&'static str, &'static str)]) -> Case {
    Case("POST", path, body, wrong)
}

fn get(path: &'static str, wrong: &'static [(&'static str, &'static str)]) -> Case {
    Case("GET", path, Value::Null, wrong)
}

/// Asks one of the services, and gives the fields that it calls wrong, with their codes.
fn wrong_fields(url: &str, method: &str, body: &str) -> (Vec<(String, String)>, Value) {
    let sent = (method != "GET").then_some((JSON, body));
    let answer = http(method, url, sent);
    let mut problem = answer.json();
    // The answer to a batch has one to each operation.
    if problem["respostas"].is_array() {
        problem = problem["respostas"][0].clone();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = problem["erros"].as_array().cloned().unwrap_or_default();
    assert!(errors.iter().all(|error| error["mensagem"].is_string()), "{problem}");
    (errors.iter().map(|error| (text(&error["campo"]), text(&error["codigo"]))).collect(), problem)
}

fn asked(url: impl Fn(&str) -> String, cases: &[Case], seen: &mut BTreeSet<String>) {
    for Case(method, path, body, expected) in cases {
        let body = body.to_string();
        let (wrong, problem) = wrong_fields(&url(path), method, &body);
        let wrong: Vec<(&str, &str)> = wrong.iter().map(|(field, code)| (field.as_str(), code.as_str())).collect();
        assert_eq!(wrong, *expected, "{method} {path} {body}: {problem}");
        seen.extend(expected.iter().map(|(_, code)| (*code).to_owned()));
    }
}

fn bookings() -> Vec<Case> {
    let book = |changes: Value, wrong| post("/agendamentos", booking(&changes), wrong);
    vec![
        book(
            json!({"cientista_id": null, "horario_inicio_utc": null}),
            &[("cientista_id", "obrigatorio"), ("horario_inicio_utc", "obrigatorio")],
        ),
        post("/agendamentos", json!([]), &[("(corpo)", "tipo_errado")]),
        book(json!({"cientista_id": "7"}), &[("cientista_id", "tipo_errado")]),
        book(json!({"cientista_id": true}), &[("cientista_id", "tipo_errado")]),
        book(json!({"cientista_id": 0}), &[("cientista_id", "numero_invalido")]),
        book(json!({"cientista_id": 1.5}), &[("cientista_id", "numero_invalido")]),
        book(json!({"horario_inicio_utc": 5}), &[("horario_inicio_utc", "tipo_errado")]),
        book(json!({"telescopio": 5, "alvo": []}), &[("telescopio", "tipo_errado"), ("alvo", "tipo_errado")]),
        book(json!({"duracao_min": "5"}), &[("duracao_min", "tipo_errado")]),
        book(json!({"duracao_min": 5.0}), &[("duracao_min", "numero_invalido")]),
        book(json!({"duracao_min": 999}), &[("duracao_min", "duracao_invalida")]),
        book(json!({"duracao_min": -5}), &[("duracao_min", "duracao_invalida")]),
        book(json!({"duracao_min": u64::MAX}), &[("duracao_min", "duracao_invalida")]),
        book(json!({"horario_fim_utc": SLOT}), &[("horario_fim_utc", "duracao_invalida")]),
        book(
            json!({"duracao_min": 10, "horario_fim_utc": "2025-12-01T03:15:00Z"}),
            &[("duracao_min", "contradicao"), ("horario_fim_utc", "contradicao")],
        ),
        book(json!({"alvo": ""}), &[("alvo", "tamanho")]),
        book(json!({"alvo": "x".repeat(201)}), &[("alvo", "tamanho")]),
        book(json!({"alvo": "M\t31"}), &[("alvo", "caracteres_de_controle")]),
        book(json!({"alvvo": "a"}), &[("alvvo", "desconhecido")]),
        book(json!({"": "a"}), &[("(vazio)", "desconhecido")]),
        book(json!({"horario_inicio_utc": "2025-02-30T03:00:00Z"}), &[("horario_inicio_utc", "instante_invalido")]),
        book(json!({"horario_inicio_utc": "2025-12-01T03:01:00Z"}), &[("horario_inicio_utc", "fora_da_grade")]),
        book(json!({"horario_inicio_utc": "9998-12-31T23:55:00Z"}), &[("horario_inicio_utc", "tarde_demais")]),
        book(json!({"telescopio": "Webb-Acad"}), &[("horario_inicio_utc", "ja_passou")]),
        book(json!({"telescopio": "x"}), &[("telescopio", "telescopio_desconhecido")]),
        book(json!({"cientista_id": 77}), &[("cientista_id", "cientista_desconhecido")]),
        book(json!({"status": "CANCELADO"}), &[("status", "invalido")]),
        book(json!({"estado": "passado"}), &[("estado", "invalido")]),
        Case("DELETE", "/agendamentos/1", json!({"motivo": 5}), &[("motivo", "tipo_errado")]),
    ]
}

fn queries() -> Vec<Case> {
    vec![
        get("/agendamentos?limite=0", &[("limite", "numero_invalido")]),
        get("/agendamentos?cientista_id=x", &[("cientista_id", "numero_invalido")]),
        get("/agendamentos?de=x&cor=1", &[("de", "instante_invalido"), ("cor", "desconhecido")]),
        get("/agendamentos?status=x", &[("status", "invalido")]),
        get("/agendamentos?=x", &[("(vazio)", "desconhecido")]),
        get("/agendamentos?telescopio=", &[("telescopio", "tamanho")]),
        get("/agendamentos?limite=1&limite=1", &[("limite", "repetido")]),
        get("/agendamentos?de=2025-12-02T00:00:00Z&ate=2025-12-01T00:00:00Z", &[("ate", "contradicao")]),
        get("/auditoria?de=2025-12-02T00:00:00Z&ate=2025-12-01T00:00:00Z", &[("ate", "contradicao")]),
        get("/auditoria?agendamento_id=0&evento=x", &[("evento", "invalido"), ("agendamento_id", "numero_invalido")]),
        get(
            "/telescopios/Hubble-Acad/agenda?de=2025-12-02T00:00:00Z&ate=2025-12-01T00:00:00Z",
            &[("ate", "contradicao")],
        ),
        get(
            "/telescopios/Hubble-Acad/agenda?de=2025-12-01T00:00:00Z&ate=2025-12-09T00:00:00Z",
            &[("ate", "contradicao")],
        ),
        get("/telescopios/Hubble-Acad/livres?duracao_min=999", &[("duracao_min", "duracao_invalida")]),
        get("/telescopios/Hubble-Acad/livres?limite=51", &[("limite", "numero_invalido")]),
    ]
}

fn of_locks() -> Vec<Case> {
    let id = "0123456789abcdef0123456789abcdef";
    vec![
        post("/lock", json!({}), &[("recurso", "obrigatorio")]),
        post("/lock", json!({"recurso": 1}), &[("recurso", "tipo_errado")]),
        post("/lock", json!({"recurso": ""}), &[("recurso", "tamanho")]),
        post("/lock", json!({"recurso": ".."}), &[("recurso", "invalido")]),
        post("/lock", json!({"recursos": "a"}), &[("recursos", "tipo_errado")]),
        post("/lock", json!({"recursos": []}), &[("recursos", "tamanho")]),
        post("/lock", json!({"recursos": ["a", "a"]}), &[("recursos", "repetido")]),
        post("/lock", json!({"recurso": "a", "recursos": ["b"]}), &[("recursos", "contradicao")]),
        post("/lock", json!({"recurso": "a", "ttl_ms": 1}), &[("ttl_ms", "numero_invalido")]),
        post("/lock", json!({"recurso": "a", "ttl_ms": "1000"}), &[("ttl_ms", "tipo_errado")]),
        post("/lock", json!({"recurso": "a", "token_minimo": -1}), &[("token_minimo", "numero_invalido")]),
        post("/lock", json!({"recurso": "a", "apesar_da_retencao": 1}), &[("apesar_da_retencao", "tipo_errado")]),
        post("/renew", json!({}), &[("trava_id", "obrigatorio")]),
        post("/renew", json!({"trava_id": 1}), &[("trava_id", "tipo_errado")]),
        post("/renew", json!({"trava_id": "x"}), &[("trava_id", "invalido")]),
        post("/unlock", json!({}), &[("trava_id", "obrigatorio")]),
        post("/unlock", json!({"trava_id": id, "recurso": "a"}), &[("recurso", "contradicao")]),
        post("/lote", json!({}), &[("operacoes", "obrigatorio")]),
        post("/lote", json!({"operacoes": {}}), &[("operacoes", "tipo_errado")]),
        post("/lote", json!({"operacoes": []}), &[("operacoes", "tamanho")]),
        post("/lote", json!({"operacoes": [1]}), &[("(corpo)", "tipo_errado")]),
        post("/lote", json!({"operacoes": [{}]}), &[("op", "obrigatorio")]),
        post("/lote", json!({"operacoes": [{"op": 1}]}), &[("op", "tipo_errado")]),
        post("/lote", json!({"operacoes": [{"op": "x"}]}), &[("op", "invalido")]),
        post("/lote", json!({"operacoes": [{"op": "lock", "recurso": "a", "req": "é"}]}), &[("req", "invalido")]),
        post(
            "/lote",
            json!({"operacoes": [{"op": "lock", "recurso": "a", "req_cliente": "b"}]}),
            &[("req_cliente", "invalido")],
        ),
        get("/locks?limite=1001", &[("limite", "numero_invalido")]),
    ]
}

fn of_events() -> Vec<Case> {
    let long = "x".repeat(16 * 1024);
    vec![
        post("/eventos", json!({}), &[("canal", "obrigatorio"), ("evento", "obrigatorio")]),
        post("/eventos", json!({"canal": 5, "evento": 5}), &[("canal", "tipo_errado"), ("evento", "tipo_errado")]),
        post("/eventos", json!({"canal": "a b", "evento": ""}), &[("canal", "invalido"), ("evento", "tamanho")]),
        post("/eventos", json!({"canal": "travas", "evento": "a"}), &[("canal", "invalido")]),
        post("/eventos", json!({"canal": "a", "evento": "a", "dados": long}), &[("dados", "tamanho")]),
        post("/eventos", json!({"canal": "a", "eventos": {}}), &[("eventos", "tipo_errado")]),
        post("/eventos", json!({"canal": "a", "eventos": []}), &[("eventos", "tamanho")]),
        post("/eventos", json!({"canal": "a", "eventos": [{}]}), &[("eventos[0].evento", "obrigatorio")]),
        post(
            "/eventos",
            json!({"canal": "a", "evento": "a", "eventos": [{"evento": "a"}]}),
            &[("evento", "contradicao")],
        ),
        get("/eventos", &[("canal", "obrigatorio")]),
        get("/eventos?canal=a%20b", &[("canal", "invalido")]),
        get("/eventos?canal=", &[("canal", "tamanho")]),
    ]
}

/// The codes of bookings that the catalogue as it stands does not allow, each where it should be.
fn closed_to_bookings(services: &Services) -> Vec<String> {
    let mut seen = Vec::new();
    let patch = r#"{"regras": null}"#;
    assert_eq!(http("PATCH", &services.agenda("/telescopios/Hubble-Acad"), Some((JSON, patch))).status, 200);
    for (path, field, code) in [
        ("/cientistas/7", "cientista_id", "cientista_inativo"),
        ("/telescopios/Hubble-Acad", "telescopio", "telescopio_inativo"),
    ] {
        let set = |patch: &str| http("PATCH", &services.agenda(path), Some((JSON, patch))).status;
        assert_eq!(set(r#"{"ativo": false}"#), 200);
        let body = json!({"cientista_id": 7, "horario_inicio_utc": "2999-01-01T01:00:00Z"}).to_string();
        let (wrong, problem) = wrong_fields(&services.agenda("/agendamentos"), "POST", &body);
        assert_eq!(set(r#"{"ativo": true}"#), 200);
        assert_eq!(wrong, [(field.to_owned(), code.to_owned())], "{problem}");
        seen.push(code.to_owned());
    }
    let closed = r#"{"inicio_utc": "2998-01-01T00:00:00Z", "fim_utc": "2998-01-01T01:00:00Z", "motivo": "x"}"#;
    let url = services.agenda("/telescopios/Hubble-Acad/manutencoes");
    assert_eq!(http("POST", &url, Some((JSON, closed))).status, 201);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2998-01-01T00:55:00Z"}).to_string();
    let (wrong, problem) = wrong_fields(&services.agenda("/agendamentos"), "POST", &body);
    assert_eq!(wrong, [("horario_inicio_utc".to_owned(), "em_manutencao".to_owned())], "{problem}");
    seen.push("em_manutencao".to_owned());
    seen.extend(not_charged(services));
    seen
}

/// The codes of bookings that cannot be charged to a proposal.
fn not_charged(services: &Services) -> Vec<String> {
    let set = |method: &str, path: &str, body: &Value| {
        let status = http(method, &services.agenda(path), Some((JSON, &body.to_string()))).status;
        assert!([200, 201].contains(&status), "{method} {path}: {status}");
    };
    let (from, until) = ("2030-01-01T00:00:00Z", "2030-02-01T00:00:00Z");
    let proposal = json!({"titulo": "x", "responsavel_id": 7, "inicio_utc": from, "fim_utc": until});
    set("POST", "/propostas", &proposal);
    set("PATCH", "/telescopios/Hubble-Acad", &json!({"regras": {"exige_proposta": true}}));
    let booking = |scientist: i64, start: &str, proposal: Value| json!({"cientista_id": scientist, "horario_inicio_utc": start, "proposta_id": proposal});
    let mut seen = Vec::new();
    for (body, active, code) in [
        (booking(7, from, Value::Null), true, "proposta_obrigatoria"),
        (booking(7, from, json!(9)), true, "proposta_desconhecida"),
        (booking(7, from, json!(1)), false, "proposta_inativa"),
        (booking(5, from, json!(1)), true, "proposta_alheia"),
        (booking(7, until, json!(1)), true, "proposta_fora_do_periodo"),
        (booking(7, from, json!(1)), true, "proposta_sem_tempo"),
    ] {
        set("PATCH", "/propostas/1", &json!({"ativa": active}));
        let (wrong, problem) = wrong_fields(&services.agenda("/agendamentos"), "POST", &body.to_string());
        assert_eq!(wrong, [("proposta_id".to_owned(), code.to_owned())], "{problem}");
        seen.push(code.to_owned());
    }
    set("PATCH", "/telescopios/Hubble-Acad", &json!({"regras": null}));
    seen
}

#[test]
fn each_row_of_the_table_stands_where_it_says() {
    let services = Services::start(&[]);
    let mut seen = BTreeSet::new();
    for cases in [bookings(), queries()] {
        asked(|path| services.agenda(path), &cases, &mut seen);
    }
    for cases in [of_locks(), of_events()] {
        asked(|path| services.locks(path), &cases, &mut seen);
    }
    // No JSON value of serde has a field twice.
    let twice = r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "alvo": "a", "alvo": "a"}"#;
    let (wrong, _) = wrong_fields(&services.agenda("/agendamentos"), "POST", twice);
    assert_eq!(wrong, [("alvo".to_owned(), "repetido".to_owned())]);

    // Each rule of a telescope, one after the other.
    assert_eq!(services.book(1, SLOT).0, 201);
    let validate = services.agenda("/agendamentos/validar");
    let (taken, _) = wrong_fields(&validate, "POST", &booking(&json!({})).to_string());
    assert_eq!(taken, [("horario_inicio_utc".to_owned(), "ocupado".to_owned())]);
    seen.insert("ocupado".to_owned());
    for (rules, changes, field, code) in [
        (json!({"duracao_max_min": 5}), json!({"duracao_min": 10}), "duracao_min", "regra_duracao"),
        (json!({"antecedencia_min_min": 5}), json!({}), "horario_inicio_utc", "regra_antecedencia"),
        (
            json!({"horizonte_dias": 0}),
            json!({"horario_inicio_utc": "2999-01-01T00:00:00Z"}),
            "horario_inicio_utc",
            "regra_horizonte",
        ),
        (
            json!({"cota_ativas": 0}),
            json!({"horario_inicio_utc": "2999-01-01T00:00:00Z"}),
            "cientista_id",
            "regra_cota_ativas",
        ),
        (
            json!({"cota_dia_min": 5}),
            json!({"horario_inicio_utc": "2025-12-01T03:05:00Z"}),
            "cientista_id",
            "regra_cota_dia",
        ),
        (
            json!({"horas_de_operacao": [{"dia": "seg", "das": "00:00", "as": "01:00"}]}),
            json!({"horario_inicio_utc": "2030-01-01T03:00:00Z"}),
            "horario_inicio_utc",
            "regra_horas",
        ),
    ] {
        for rules in [Value::Null, rules] {
            let patch = json!({"regras": rules}).to_string();
            let url = services.agenda("/telescopios/Hubble-Acad");
            assert_eq!(http("PATCH", &url, Some((JSON, &patch))).status, 200, "{patch}");
        }
        let (wrong, problem) = wrong_fields(&services.agenda("/agendamentos"), "POST", &booking(&changes).to_string());
        assert_eq!(wrong, [(field.to_owned(), code.to_owned())], "{problem}");
        seen.insert(code.to_owned());
    }

    seen.extend(closed_to_bookings(&services));

    let rows = rows();
    assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), seen, "a row without a case, or a case without a row");
    let codes: BTreeSet<&str> = sctec::http::wrong::FieldCode::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(rows.iter().map(String::as_str).collect::<BTreeSet<_>>(), codes);
}

#[test]
fn a_wrong_number_is_told_the_limits_of_its_field_and_never_those_of_a_type() {
    let services = Services::start(&[]);
    let huge = "99999999999999999999";
    let duration = "deve ser um múltiplo de 5 entre 5 e 1440";
    let scientist = "deve ser o número de um cientista, um inteiro a partir de 1; a lista está em GET /cientistas";
    let number = |min: u64, max: u64| format!("deve ser um número inteiro entre {min} e {max}");
    let with = |field: &str, value: &str| {
        format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{SLOT}", "{field}": {value}}}"#).replacen(
            r#""cientista_id": 1, "#,
            if field == "cientista_id" { "" } else { r#""cientista_id": 1, "# },
            1,
        )
    };
    let agenda = services.agenda("/agendamentos");
    let said = |url: &str, method: &str, body: &str| {
        let (_, problem) = wrong_fields(url, method, body);
        problem["erros"][0]["mensagem"].as_str().unwrap_or_else(|| panic!("{body}: {problem}")).to_owned()
    };
    for value in ["999", "0", "\"5\"", huge, "-1", "true"] {
        assert_eq!(said(&agenda, "POST", &with("duracao_min", value)), duration, "{value}");
    }
    for value in ["0", "\"7\"", huge, "1.5"] {
        assert_eq!(said(&agenda, "POST", &with("cientista_id", value)), scientist, "{value}");
    }
    for value in ["0", "x", huge, ""] {
        let query = |path: &str| said(&services.agenda(&format!("{path}={value}")), "GET", "");
        let of_empty = |words: &str| {
            if value.is_empty() {
                "está vazio; informe um valor ou tire o parâmetro".into()
            } else {
                words.to_owned()
            }
        };
        assert_eq!(query("/telescopios/Hubble-Acad/livres?duracao_min"), of_empty(duration), "{value}");
        assert_eq!(query("/agendamentos?cientista_id"), of_empty(scientist), "{value}");
        assert_eq!(query("/auditoria?limite"), of_empty(&number(1, 500)), "{value}");
        assert_eq!(query("/telescopios/Hubble-Acad/livres?limite"), of_empty(&number(1, 50)), "{value}");
        let booking = "deve ser o número de um agendamento, um inteiro a partir de 1";
        assert_eq!(query("/auditoria?agendamento_id"), of_empty(booking), "{value}");
        let locks = said(&services.locks(&format!("/locks?limite={value}")), "GET", "");
        assert_eq!(locks, of_empty(&number(1, 1000)), "{value}");
    }
    for (path, field, most) in [
        ("/lock", "ttl_ms", (100, 300_000)),
        ("/lock", "espera_ms", (0, 60_000)),
        ("/unlock", "retencao_ms", (0, 60_000)),
    ] {
        let body = format!(r#"{{"recurso": "a", "{field}": {huge}}}"#);
        assert_eq!(said(&services.locks(path), "POST", &body), number(most.0, most.1), "{field}");
    }
}
