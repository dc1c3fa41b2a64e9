//! Reading input: instants to the letter of RFC 3339, filters that are never ignored, and our own answers sent back.

use serde_json::{Value, json};

use crate::common::{Services, http, run};

const SLOT: &str = "2025-12-01T03:00:00Z";

/// The wrong fields or parameters that an answer names, each with its message.
fn errors(problem: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = problem["erros"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().map(|error| (text(&error["campo"]), text(&error["mensagem"]))).collect()
}

fn names(problem: &Value) -> Vec<String> {
    errors(problem).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn an_instant_is_read_to_the_letter_in_bodies_queries_and_options() {
    // JSON-Schema-Test-Suite `date-time`, rails #57914.
    let services = Services::start(&[]);
    let query = |text: &str| {
        let encoded = text.replace('+', "%2B").replace(' ', "%20");
        http("GET", &services.agenda(&format!("/auditoria?de={encoded}")), None).status
    };
    let since = |text: &str| {
        let file = services.data_dir().join("app.log");
        run(&["audit", file.to_str().unwrap(), &format!("--since={text}")]).status.code()
    };
    let hundred = format!("2025-12-01T03:00:00.{}Z", "1".repeat(100));
    for text in [
        "2025-12-01t03:00:00z",
        "2025-12-01T03:00:00-00:00",
        "2025-12-01T03:00:00+23:59",
        "2025-12-01T03:00:00.0123456789Z",
        hundred.as_str(),
        "2016-12-31T23:59:60Z",
        "2016-12-31T20:59:60.25-03:00",
    ] {
        let body = json!({"cientista_id": 99, "horario_inicio_utc": SLOT, "instante_clique_utc": text});
        // There is no scientist 99; everything else is right.
        assert_eq!(services.book_with(&body).0, 404, "{text}");
        assert_eq!((query(text), since(text)), (200, Some(0)), "{text}");
    }
    for text in [
        "2025-12-01T03:00:00+24:00",
        "2025-12-01T03:00:00+25:59",
        "2025-12-01T03:00:00-23:60",
        "2025-12-01T12:30:60Z",
        "2025-12-31T23:59:60-03:00",
        "2025-12-01T24:00:00Z",
        "2025-02-29T00:00:00Z",
        "2025-12-01T03:00:00,5Z",
        "2025-12-01T03:00:00.Z",
        "2025-12-01 03:00:00Z",
        "1969-12-31T23:59:59.9999999999Z",
        "9999-01-01T00:00:00Z",
        "2025-12-01T0３:00:00Z",
    ] {
        let body = json!({"cientista_id": 1, "horario_inicio_utc": text, "instante_clique_utc": text});
        let (status, problem) = services.book_with(&body);
        assert_eq!(
            (status, names(&problem)),
            (422, vec!["horario_inicio_utc".into(), "instante_clique_utc".into()]),
            "{text}"
        );
        assert_eq!((query(text), since(text)), (422, Some(2)), "{text}");
    }
}

#[test]
fn digits_past_the_microsecond_do_not_put_an_instant_on_the_grid() {
    let services = Services::start(&[]);
    for text in ["2025-12-01T03:00:00.0000000001Z", "2016-12-31T23:59:60Z", "2025-12-01T02:59:59.9999999999Z"] {
        let (status, problem) = services.book(1, text);
        assert_eq!((status, names(&problem)), (422, vec!["horario_inicio_utc".to_owned()]), "{text}");
        let slot = run(&["stress", "--url", &services.scheduler.url(), "--n", "1", "--slot", text]);
        assert_eq!(slot.status.code(), Some(2), "{text}");
    }
    let body = json!({"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00.0000000000Z",
        "instante_clique_utc": "2025-12-01T02:59:59.1234567899Z"});
    let (status, booking) = services.book_with(&body);
    assert_eq!((status, &booking["horario_inicio_utc"]), (201, &json!(SLOT)));
    assert_eq!(booking["instante_clique_utc"], "2025-12-01T02:59:59.123456Z");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases and one loop over it")]
fn a_filter_that_is_empty_or_misspelt_is_refused_everywhere() {
    // ciso-assistant #4701, cloudify-manager #3366: such a filter returned everything.
    let services = Services::start(&[]);
    assert_eq!(services.book(1, SLOT).0, 201);
    let agenda = [
        ("GET", "/"),
        ("GET", "/telescopios"),
        ("GET", "/telescopios/Hubble-Acad"),
        ("GET", "/telescopios/Hubble-Acad/agenda"),
        ("GET", "/telescopios/Hubble-Acad/livres"),
        ("GET", "/cientistas"),
        ("GET", "/cientistas/7"),
        ("POST", "/agendamentos"),
        ("GET", "/agendamentos"),
        ("GET", "/agendamentos/1"),
        ("DELETE", "/agendamentos/1"),
        ("GET", "/auditoria"),
        ("GET", "/auditoria/cabeca"),
        ("GET", "/eventos"),
    ];
    let locks = [
        ("POST", "/lock"),
        ("POST", "/renew"),
        ("POST", "/unlock"),
        ("POST", "/lote"),
        ("GET", "/locks"),
        ("GET", "/locks/X"),
        ("DELETE", "/locks/X"),
        ("POST", "/eventos"),
    ];
    let agenda = agenda.map(|(method, path)| (method, services.agenda(path)));
    let locks = locks.map(|(method, path)| (method, services.locks(path)));
    for (method, url) in agenda.into_iter().chain(locks) {
        for query in ["cientsta_id=", "cientsta_id=3", "x"] {
            let body = (method == "POST").then_some(("application/json", "{}"));
            let answer = http(method, &format!("{url}?{query}"), body);
            let problem = answer.json();
            assert_eq!(
                (answer.status, &problem["codigo"]),
                (422, &json!("parametros_invalidos")),
                "{method} {url}?{query}"
            );
            assert_eq!(names(&problem), [query.split('=').next().unwrap()], "{url}");
        }
    }
    // Endpoints that are polled ignore parameters against caches.
    for url in ["/time", "/saude", "/pronto"].map(|path| services.agenda(path)) {
        assert_eq!(http("GET", &format!("{url}?1764558000"), None).status, 200, "{url}");
    }
    for url in ["/saude", "/pronto", "/metrics"].map(|path| services.locks(path)) {
        assert_eq!(http("GET", &format!("{url}?1764558000"), None).status, 200, "{url}");
    }
    // None of these requests changed anything.
    assert_eq!(services.list("?status=AGENDADO").len(), 1);
    let wrong = |url: String| {
        let answer = http("GET", &url, None);
        assert_eq!(answer.status, 422, "{url}: {}", answer.body);
        errors(&answer.json())
    };
    for (path, parameters) in [
        ("/agendamentos", "telescopio,cientista_id,status,de,ate,limite,cursor"),
        ("/auditoria", "evento,cientista_id,agendamento_id,horario_utc,telescopio,req,de,ate,limite,cursor"),
        ("/telescopios/Hubble-Acad/agenda", "de,ate"),
        ("/telescopios/Hubble-Acad/livres", "perto_de,duracao_min,limite"),
        ("/eventos", "desde"),
    ] {
        for name in parameters.split(',') {
            let found = wrong(services.agenda(&format!("{path}?{name}=")));
            assert!(found.len() == 1 && found[0].0 == name && found[0].1.contains("vazio"), "{path} {name}: {found:?}");
            assert_eq!(wrong(services.agenda(&format!("{path}?{name}=&{name}=")))[0].0, name);
        }
    }
    for name in ["prefixo", "limite", "cursor"] {
        assert_eq!(wrong(services.locks(&format!("/locks?{name}=")))[0].0, name);
    }
    for query in ["canal=", "canal=a%20b", "desde=x", "desde=x&canal="] {
        assert_eq!(wrong(services.locks(&format!("/eventos?{query}"))).len(), 1, "{query}");
    }
    // For a name close to a known one, the answer suggests the known one.
    let found = wrong(services.agenda("/agendamentos?cientsta_id=1&estado=x&limite="));
    let found: Vec<(&str, &str)> = found.iter().map(|(name, said)| (name.as_str(), said.as_str())).collect();
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["limite", "cientsta_id", "estado"]);
    assert!(found[1].1.contains("quis dizer cientista_id?") && !found[2].1.contains("quis dizer"), "{found:?}");
    assert!(
        wrong(services.agenda("/telescopios/Hubble-Acad/livres?perto_de_utc=x"))[0].1.contains("quis dizer perto_de?")
    );
    let (_, problem) = services.book_with(&json!({"cientista_id": 1, "horario_inicio": SLOT}));
    assert!(
        errors(&problem)
            .iter()
            .any(|(name, said)| name == "horario_inicio" && said.contains("quis dizer horario_inicio_utc?"))
    );
}

#[test]
fn a_plus_in_a_query_is_told_how_to_be_written() {
    let services = Services::start(&[]);
    for path in [
        "/agendamentos?de=2025-12-01T00:00:00+03:00",
        "/auditoria?horario_utc=2025-12-01T00:00:00+03:00",
        "/telescopios/Hubble-Acad/livres?perto_de=2025-12-01T00:00:00+03:00",
        "/telescopios/Hubble-Acad/agenda?ate=2025-12-01T00:00:00+03:00",
    ] {
        let answer = http("GET", &services.agenda(path), None);
        assert_eq!(answer.status, 422, "{path}");
        assert!(errors(&answer.json())[0].1.contains("%2B"), "{}", answer.body);
        assert_eq!(http("GET", &services.agenda(&path.replace('+', "%2B")), None).status, 200, "{path}");
    }
}

#[test]
fn the_page_ignores_parameters_that_others_append_to_its_address() {
    let services = Services::start(&[]);
    let answer = crate::common::http_with("GET", &services.agenda("/?utm_source=x"), None, &[("Accept", "text/html")]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
}

#[test]
fn an_answer_can_be_sent_back_as_a_request() {
    let services = Services::start(&[]);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": SLOT, "horario_fim_utc": "2025-12-01T03:15:00Z"});
    let (status, booking) = services.book_with(&body);
    assert_eq!((status, &booking["duracao_min"]), (201, &json!(15)));
    // A whole booking, for the slots after it.
    let mut again = booking.clone();
    again["horario_inicio_utc"] = json!("2025-12-01T03:15:00Z");
    again["horario_fim_utc"] = json!("2025-12-01T03:30:00Z");
    let (status, second) = services.book_with(&again);
    assert_eq!((status, &second["status"]), (201, &json!("AGENDADO")), "{second}");
    assert_ne!(second["id"], booking["id"]);
    // A free slot as it was offered, with the scientist added.
    let free = http("GET", &services.agenda(&format!("/telescopios/Hubble-Acad/livres?perto_de={SLOT}")), None).json();
    let mut offered = free["livres"][0].clone();
    offered["cientista_id"] = json!(7);
    assert_eq!(services.book_with(&offered).0, 201, "{offered}");
    // A free slot as the agenda shows it; and one that is taken says so.
    let agenda = http("GET", &services.agenda(&format!("/telescopios/Hubble-Acad/agenda?de={SLOT}")), None).json();
    let slots = agenda["horarios"].as_array().unwrap();
    for (state, status, wrong) in [("livre", 201, &[][..]), ("agendado", 422, &["estado"])] {
        let mut slot = slots.iter().find(|slot| slot["estado"] == state).unwrap().clone();
        slot["cientista_id"] = json!(7);
        let (got, answer) = services.book_with(&slot);
        assert_eq!((got, names(&answer)), (status, wrong.iter().map(|&name| name.to_owned()).collect()), "{answer}");
    }
    // A booking cannot be made with the status of a cancelled one.
    let cancelled = services.follow(&second, "cancelar").json();
    let (status, problem) = services.book_with(&cancelled);
    assert_eq!((status, names(&problem)), (422, vec!["status".to_owned()]));
}

#[test]
fn an_end_that_contradicts_the_duration_is_refused_with_both_named() {
    let services = Services::start(&[]);
    let book = |duration_min: Value, end: &str| {
        let body =
            json!({"cientista_id": 7, "horario_inicio_utc": SLOT, "duracao_min": duration_min, "horario_fim_utc": end});
        let (status, answer) = services.book_with(&body);
        (status, names(&answer))
    };
    assert_eq!(book(json!(10), "2025-12-01T03:15:00Z"), (422, vec!["duracao_min".into(), "horario_fim_utc".into()]));
    for end in
        ["2025-12-01T03:00:00Z", "2025-12-01T02:55:00Z", "2025-12-01T03:01:00Z", "2025-12-03T03:00:00Z", "amanhã"]
    {
        assert_eq!(book(Value::Null, end), (422, vec!["horario_fim_utc".into()]), "{end}");
    }
    assert_eq!(book(json!(15), "2025-12-01T00:15:00-03:00").0, 201);
}

#[test]
fn an_empty_option_or_variable_is_refused_and_named() {
    let refused = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for arguments in [
        &["audit", "--event", ""][..],
        &["audit", "--telescope", ""],
        &["audit", "--req", ""],
        &["audit", "--scientist", ""],
        &["audit", "--since", ""],
        &["audit", "--slot", ""],
        &["audit", "--data-dir", ""],
        &["locks", "--prefix", ""],
        &["locks", "--url", ""],
        &["locks", "--release", "X", "--reason", ""],
        &["stress", "--telescope", ""],
        &["stress", "--scientist", ""],
        &["stress", "--slot", ""],
        &["clock-sync", "--url", ""],
        &["health", ""],
        &["serve-scheduler", "--coordinator", ""],
        &["serve-all", "--data-dir", ""],
    ] {
        let said = refused(crate::common::sctec().args(arguments));
        let name = arguments.iter().rfind(|argument| argument.starts_with("--")).unwrap_or(&"URL");
        assert!(said.contains(name.trim_start_matches("--")) || said.contains("URL"), "{arguments:?}: {said}");
    }
    for (variable, command) in [
        ("SCTEC_DATA_DIR", "audit"),
        ("SCTEC_URL", "stress"),
        ("SCTEC_URL", "clock-sync"),
        ("SCTEC_COORDINATOR", "locks"),
        ("SCTEC_COORDINATOR", "serve-scheduler"),
        ("SCTEC_LISTEN", "serve-coordinator"),
        ("SCTEC_NO_LOCK", "serve-scheduler"),
        ("SCTEC_AUDIT_REFUSALS", "serve-all"),
        ("SCTEC_LOG_ROTATE_MB", "serve-all"),
    ] {
        let said = refused(crate::common::sctec().arg(command).env(variable, ""));
        assert!(said.contains(&format!("{variable} is set and empty")), "{variable}: {said}");
    }
}
