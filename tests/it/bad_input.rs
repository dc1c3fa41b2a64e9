//! Bad input gets a clear answer and one log line; the process lives on, and no lock stays held.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::common::{Services, http};

const SLOT: &str = "2025-12-01T03:00:00Z";

/// Sends `body` to the agenda and gives the status and the problem document.
fn post(services: &Services, body: &str) -> (u16, Value) {
    let answer = http("POST", &services.agenda("/agendamentos"), Some(("application/json", body)));
    (answer.status, answer.json())
}

fn wrong_fields(problem: &Value) -> Vec<&str> {
    let errors = problem["erros"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().map(|error| error["campo"].as_str().unwrap()).collect()
}

/// Sends bytes on a bare connection, closes the sending side if asked, and reads the whole answer.
fn raw(services: &Services, bytes: &[u8], close: bool) -> String {
    let mut stream = TcpStream::connect(services.agenda_address()).unwrap();
    stream.write_all(bytes).unwrap();
    if close {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    // After a reset no more bytes come.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases and one loop over it")]
fn every_wrong_field_is_named_at_once() {
    let services = Services::start(&[]);
    let cases: &[(&str, u16, &[&str])] = &[
        ("{}", 422, &["cientista_id", "horario_inicio_utc"]),
        (r#"{"cientista_id": "1", "horario_inicio_utc": 5}"#, 422, &["cientista_id", "horario_inicio_utc"]),
        (
            r#"{"cientista_id": 0, "horario_inicio_utc": "2025-12-01T03:01:00Z", "duracao_min": 7, "alvo": "", "x": 1}"#,
            422,
            &["cientista_id", "alvo", "x", "duracao_min", "horario_inicio_utc"],
        ),
        (r#"{"cientista_id": 1, "horario_inicio_utc": "2025-02-30T03:00:00Z"}"#, 422, &["horario_inicio_utc"]),
        (r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00"}"#, 422, &["horario_inicio_utc"]),
        (r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00.5Z"}"#, 422, &["horario_inicio_utc"]),
        (r#"{"cientista_id": 1, "horario_inicio_utc": "1969-12-31T23:55:00Z"}"#, 422, &["horario_inicio_utc"]),
        (r#"{"cientista_id": 1, "horario_inicio_utc": "9998-12-31T23:55:00Z"}"#, 422, &["horario_inicio_utc"]),
        (
            r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "duracao_min": 0}"#,
            422,
            &["duracao_min"],
        ),
        (
            r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "duracao_min": 1445}"#,
            422,
            &["duracao_min"],
        ),
        (
            r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "duracao_min": 5.0}"#,
            422,
            &["duracao_min"],
        ),
        (
            r#"{"cientista_id": 99999999999999999999999, "horario_inicio_utc": "2025-12-01T03:00:00Z"}"#,
            422,
            &["cientista_id"],
        ),
        (r#"{"cientista_id": 1e999, "horario_inicio_utc": "2025-12-01T03:00:00Z"}"#, 422, &["cientista_id"]),
        (r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "alvo": "a\u0007b"}"#, 422, &["alvo"]),
        (
            r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "observacoes": "a\u001bb"}"#,
            422,
            &["observacoes"],
        ),
        (
            r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "instante_clique_utc": "já"}"#,
            422,
            &["instante_clique_utc"],
        ),
        (
            r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "telescopio": "Webb-Acad"}"#,
            422,
            &["horario_inicio_utc"],
        ),
        (r#"{"cientista_id": 11, "horario_inicio_utc": "2025-12-01T03:00:00Z"}"#, 404, &["cientista_id"]),
        (
            r#"{"cientista_id": 1, "horario_inicio_utc": "2025-12-01T03:00:00Z", "telescopio": "x"}"#,
            404,
            &["telescopio"],
        ),
        (
            r#"{"cientista_id": 11, "horario_inicio_utc": "2025-12-01T03:00:00Z", "telescopio": "x"}"#,
            404,
            &["cientista_id", "telescopio"],
        ),
        ("[]", 422, &["(corpo)"]),
        ("7", 422, &["(corpo)"]),
        ("{\"cientista_id\": 1,", 400, &[]),
        ("", 400, &[]),
        ("{\"cientista_id\": NaN}", 400, &[]),
    ];
    for (body, status, fields) in cases {
        let (got, problem) = post(&services, body);
        assert_eq!((got, wrong_fields(&problem)), (*status, fields.to_vec()), "{body}: {problem}");
        assert_eq!(problem["status"], *status, "{body}");
        assert!(
            problem["codigo"].is_string() && problem["detail"].is_string() && problem["type"].is_string(),
            "{problem}"
        );
    }
    // One line for each request, with its identifier; and the coordinator has no lock.
    let refused = services.log_lines("app.log", "Requisição recusada:");
    assert_eq!(refused.len(), cases.len(), "{refused:#?}");
    assert!(refused.iter().all(|line| line.starts_with("WARNING:") && line.contains(" req=")));
    assert_eq!(services.log_lines("app.log", "Tentando adquirir lock").len(), 0);
    assert_eq!(services.book(1, SLOT).0, 201);
}

#[test]
fn another_zone_is_accepted_and_converted() {
    let services = Services::start(&[]);
    for (sent, stored) in [
        ("2025-12-01T00:00:00-03:00", "2025-12-01T03:00:00Z"),
        ("2025-12-01T12:05:00+09:00", "2025-12-01T03:05:00Z"),
        ("2025-12-01t03:10:00.000z", "2025-12-01T03:10:00Z"),
    ] {
        let (status, booking) = services.book(1, sent);
        assert_eq!((status, booking["horario_inicio_utc"].as_str()), (201, Some(stored)), "{sent}");
    }
}

#[test]
fn wrong_methods_paths_types_and_sizes_have_their_own_answer() {
    let services = Services::start(&[]);
    let valid = format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{SLOT}"}}"#);
    let long = format!(r#"{{"cientista_id": 1, "observacoes": "{}"}}"#, "x".repeat(1024 * 1024));
    let json = "application/json";
    for (method, path, body, status, code) in [
        ("PUT", "/agendamentos", Some((json, "{}")), 405, "metodo_nao_permitido"),
        ("DELETE", "/agendamentos", None, 405, "metodo_nao_permitido"),
        ("POST", "/time", Some((json, "{}")), 405, "metodo_nao_permitido"),
        ("GET", "/nada", None, 404, "nao_encontrado"),
        ("GET", "/agendamentos/", None, 404, "nao_encontrado"),
        ("GET", "/agendamentos/abc", None, 404, "agendamento_desconhecido"),
        ("GET", "/agendamentos/+1", None, 404, "agendamento_desconhecido"),
        ("GET", "/agendamentos?campo_x=1", None, 422, "parametros_invalidos"),
        ("GET", "/agendamentos/999", None, 404, "agendamento_desconhecido"),
        ("GET", "/agendamentos/99999999999999999999", None, 404, "agendamento_desconhecido"),
        ("DELETE", "/agendamentos/999", None, 404, "agendamento_desconhecido"),
        ("DELETE", "/agendamentos/1", Some((json, "[1]")), 422, "campos_invalidos"),
        ("DELETE", "/agendamentos/1", Some((json, r#"{"motivo": "a\nb"}"#)), 422, "campos_invalidos"),
        ("GET", "/cientistas/11", None, 404, "cientista_desconhecido"),
        ("GET", "/cientistas/x", None, 404, "cientista_desconhecido"),
        ("GET", "/telescopios/Nenhum", None, 404, "telescopio_desconhecido"),
        ("GET", "/telescopios/%ff", None, 404, "nao_encontrado"),
        ("POST", "/agendamentos", Some(("text/plain", valid.as_str())), 415, "tipo_de_conteudo"),
        ("POST", "/agendamentos", Some(("application/x-www-form-urlencoded", "a=b")), 415, "tipo_de_conteudo"),
        ("POST", "/agendamentos", Some((json, long.as_str())), 413, "corpo_grande_demais"),
        ("GET", "/agendamentos?de=ontem&limite=0&status=TALVEZ&x=1", None, 422, "parametros_invalidos"),
        ("GET", "/agendamentos?cursor=abc", None, 422, "parametros_invalidos"),
        ("GET", "/agendamentos?limite=5&limite=6", None, 422, "parametros_invalidos"),
        ("GET", "/agendamentos?de=2025-12-02T00:00:00Z&ate=2025-12-01T00:00:00Z", None, 422, "parametros_invalidos"),
    ] {
        let answer = http(method, &services.agenda(path), body);
        let problem = answer.json();
        assert_eq!((answer.status, problem["codigo"].as_str()), (status, Some(code)), "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
        if status == 405 {
            assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{method} {path}");
        }
    }
    let problem = http("GET", &services.agenda("/agendamentos?de=ontem&limite=0&status=TALVEZ&x=1"), None).json();
    assert_eq!(wrong_fields(&problem), ["status", "de", "limite", "x"]);
    let options = http("OPTIONS", &services.agenda("/agendamentos"), None);
    assert_eq!((options.status, options.header("allow")), (204, Some("POST, GET, HEAD, OPTIONS")));
    assert_eq!(http("HEAD", &services.agenda("/time"), None).status, 200);
    assert_eq!(services.book(1, SLOT).0, 201);
}

#[test]
fn bytes_that_are_not_http_cost_a_connection_and_no_more() {
    let services = Services::start(&[]);
    let head = "POST /agendamentos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    // A blank line or the beginning of another request after the first delays no answer; neither does a half-close.
    for after in ["\r\n", "GET /time HT"] {
        let mut stream = TcpStream::connect(services.agenda_address()).unwrap();
        stream.write_all(format!("GET /time HTTP/1.1\r\nHost: localhost\r\n\r\n{after}").as_bytes()).unwrap();
        let mut start = [0; 15];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
    }
    assert!(raw(&services, b"GET /time HTTP/1.1\r\nHost: localhost\r\n\r\n", true).starts_with("HTTP/1.1 200 OK"));
    for bytes in [
        b"\x00\x01\x02\x03\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(64 * 1024)).into_bytes(),
        format!("{head}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
    ] {
        let answer = raw(&services, &bytes, false);
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer:?} to {:?}", String::from_utf8_lossy(&bytes));
    }
    // Connections closed in the middle of the head, and of the body.
    raw(&services, b"POST /agendamentos HT", true);
    raw(&services, format!("{head}Content-Length: 100\r\n\r\n{{\"cientista_id\"").as_bytes(), true);
    services.wait_for_log("app.log", |lines| {
        lines
            .iter()
            .filter(|line| line.contains("antes do fim da requisição") || line.contains("corpo_incompleto"))
            .count()
            >= 2
    });
    assert_eq!(services.book(1, SLOT).0, 201);
    assert_eq!(services.log_lines("coordenador.log", "Lock concedido").len(), 1);
}

#[test]
fn the_sender_of_a_body_too_large_receives_its_answer() {
    let services = Services::start(&[]);
    let body = vec![b'x'; 1024 * 1024];
    let mut stream = TcpStream::connect(services.agenda_address()).unwrap();
    stream
        .write_all(
            format!("POST /agendamentos HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len())
                .as_bytes(),
        )
        .unwrap();
    stream.write_all(&body[..1000]).unwrap();
    // The server reads the rest first: a client that is still sending would lose an answer that is followed by a close.
    stream.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err());
    stream.write_all(&body[1000..]).unwrap();
    stream.set_read_timeout(None).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn line_breaks_in_a_body_make_no_log_line_of_their_own() {
    let services = Services::start(&[]);
    let (status, _) = post(&services, "{\"a\\nINFO:2025-01-01T00:00:00.000Z:servico-agendamento:forjado\": 1}");
    assert_eq!(status, 422);
    let id = "nao\u{20}vale";
    let answer = crate::common::http_with("GET", &services.agenda("/time"), None, &[("X-Request-Id", id)]);
    assert_eq!(answer.header("x-client-request-id"), None);
    assert!(services.log_lines("app.log", "nao vale").is_empty());
    assert!(services.log_lines("app.log", "forjado").iter().all(|line| line.starts_with("WARNING:")));
}

#[test]
fn every_refusal_has_a_next_step() {
    let services = Services::start(&[]);
    for (method, path, body, rel) in [
        ("GET", "/nada", None, "inicio"),
        ("PUT", "/time", None, "inicio"),
        ("POST", "/agendamentos", Some("{"), "inicio"),
        ("POST", "/agendamentos", Some("{}"), "inicio"),
        ("GET", "/agendamentos/9", None, "agendamentos"),
        ("GET", "/cientistas/99", None, "cientistas"),
        ("GET", "/telescopios/x", None, "telescopios"),
    ] {
        let problem = http(method, &services.agenda(path), body.map(|body| ("application/json", body))).json();
        assert_eq!(services.follow(&problem, rel).status, 200, "{method} {path}: {problem}");
    }
}

#[test]
fn thousands_of_fields_are_refused_in_a_few_words() {
    let services = Services::start(&[]);
    for field in ["\"a\": 1", "\"N\": 1"] {
        let fields: Vec<String> = (0..3000).map(|index| field.replace('N', &index.to_string())).collect();
        let answer = http(
            "POST",
            &services.agenda("/agendamentos"),
            Some(("application/json", &format!("{{{}}}", fields.join(",")))),
        );
        assert_eq!(answer.status, 422);
        assert!(answer.body.len() < 10_000, "{} bytes", answer.body.len());
    }
    assert!(services.log_lines("app.log", "campos_invalidos").iter().all(|line| line.len() < 5000));
}

#[test]
fn json_lines_are_lines_for_every_reader() {
    let services = Services::start(&["--log-format", "json"]);
    assert_eq!(post(&services, "{\"x\u{9b}2J\u{202e}\u{2028}y\": 1}").0, 422);
    services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("campos_invalidos")));
    let text = services.read_log("app.log").join("\n");
    assert!(!text.contains(['\u{9b}', '\u{202e}', '\u{2028}']), "{text}");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["timestamp_utc"].is_string() && line["service"] == "servico-agendamento", "{line}");
    }
}

#[test]
fn the_coordinator_names_what_is_wrong_too() {
    let services = Services::start(&[]);
    let json = "application/json";
    for (path, body, status, code) in [
        ("/lock", "{", 400, "json_malformado"),
        ("/lock", "{}", 422, "campos_invalidos"),
        ("/lock", r#"{"recurso": "X", "ttl_ms": 0}"#, 422, "campos_invalidos"),
        ("/lock", r#"{"recurso": "X", "ttl_ms": 1e400}"#, 422, "campos_invalidos"),
        ("/unlock", "{}", 422, "campos_invalidos"),
        ("/unlock", r#"{"trava_id": "curto"}"#, 422, "campos_invalidos"),
        ("/lote", r#"{"operacoes": []}"#, 422, "campos_invalidos"),
        ("/lote", r#"{"operacoes": {}}"#, 422, "campos_invalidos"),
        ("/lote", "{}", 422, "campos_invalidos"),
        ("/nada", "{}", 404, "nao_encontrado"),
        ("/saude", "{}", 405, "metodo_nao_permitido"),
    ] {
        let answer = http("POST", &services.locks(path), Some((json, body)));
        assert_eq!((answer.status, answer.json()["codigo"].as_str()), (status, Some(code)), "{path} {body}");
    }
    assert_eq!(http("POST", &services.locks("/lock"), Some(("text/plain", "{\"recurso\":\"X\"}"))).status, 415);
    let long = format!(r#"{{"recurso": "{}"}}"#, "x".repeat(1024 * 1024));
    assert_eq!(http("POST", &services.locks("/lock"), Some((json, &long))).status, 413);
    // In a batch each operation has its own answer.
    let batch = r#"{"operacoes": [{"op": "lock", "recurso": "X"}, 7, {"op": "nada"}, {"op": "lock"}, {"op": "unlock", "recurso": "X"}]}"#;
    let answers = http("POST", &services.locks("/lote"), Some((json, batch))).json();
    let statuses: Vec<_> =
        answers["respostas"].as_array().unwrap().iter().map(|answer| answer["status"].clone()).collect();
    assert_eq!(statuses, [200, 422, 422, 422, 200]);
}
