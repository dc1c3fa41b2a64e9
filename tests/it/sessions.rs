//! Sessions: what a page shows once and a cookie stands for from then on, which requests it counts for, and when it ends.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::access::{Given, give, revoke};
use crate::common::{Answer, Asked, Server, Services, http, http_with, scheduler_command, wait_until};

const SLOT: &str = "2031-05-06T03:00:00Z";
const PLAIN: &str = "sctec_sessao=";
const SECURE: &str = "__Host-sctec_sessao=";

/// A scheduler that asks for tokens, with a coordinator that does not.
fn services() -> Services {
    Services::start(&["--access", "token"])
}

fn scientist(services: &Services) -> Given {
    let given = give(services.data_dir(), &["marie", "--role", "cientista", "--scientist", "7"]);
    let bearer = format!("Bearer {}", given.token);
    let known =
        || http_with("GET", &services.agenda("/telescopios"), None, &[("Authorization", &bearer)]).status == 200;
    wait_until("the token is known", known);
    given
}

/// Signs in as a page does, and gives the answer and the cookie.
fn sign_in(url: &str, token: &str) -> (Answer, String) {
    let body = json!({ "token": token }).to_string();
    let origin = [("Origin", url), ("Sec-Fetch-Site", "same-origin")];
    let answer = http_with("POST", &format!("{url}/sessao"), Some(("application/json", &body)), &origin);
    let cookie = answer.header("set-cookie").unwrap_or_default().split(';').next().unwrap().to_owned();
    (answer, cookie)
}

/// A request of the page, with its cookie.
fn by_page(method: &str, url: &str, path: &str, body: Option<&str>, cookie: &str) -> Answer {
    let headers = [("Origin", url), ("Sec-Fetch-Site", "same-origin"), ("Cookie", cookie)];
    http_with(method, &format!("{url}{path}"), body.map(|body| ("application/json", body)), &headers)
}

/// Who the page is.
fn who(url: &str, cookie: &str) -> Value {
    by_page("GET", url, "/sessao", None, cookie).json()
}

fn rels(answer: &Value) -> Vec<&str> {
    answer["_links"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_page_signs_in_acts_as_its_scientist_and_signs_out() {
    let services = services();
    let url = services.scheduler.url();
    let given = scientist(&services);
    let entry = http("GET", &url, None).json();
    assert_eq!(
        rels(&entry),
        ["self", "hora", "hora_assinada", "chaves", "saude", "pronto", "problemas", "service-desc", "sessao", "entrar"]
    );
    assert_eq!(http("GET", &services.agenda("/telescopios"), None).status, 401);

    let (answer, cookie) = sign_in(&url, &given.token);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with(PLAIN) && set.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"), "{set}");
    let shown = answer.json();
    assert_eq!(
        (&shown["nome"], &shown["papeis"], &shown["cientista_id"]),
        (&json!("marie"), &json!(["cientista"]), &json!(7))
    );
    assert_eq!((&shown["identificacao"], rels(&shown)), (&json!("sessao"), vec!["self", "sair", "inicio"]));
    assert!(!answer.body.contains(&given.token) && !answer.body.contains(&cookie[PLAIN.len()..]));

    let entry = by_page("GET", &url, "/", None, &cookie).json();
    assert!(entry["_links"]["agendar"].is_object() && entry["_links"]["sair"]["method"] == "DELETE", "{entry}");
    assert!(entry["_links"]["entrar"].is_null(), "{entry}");
    let booked = by_page("POST", &url, "/agendamentos", Some(&Asked::by(7, SLOT).text()), &cookie);
    assert_eq!(booked.status, 201, "{}", booked.body);
    let others = by_page("POST", &url, "/agendamentos", Some(&Asked::by(8, "2031-05-06T04:00:00Z").text()), &cookie);
    assert_eq!(others.status, 403, "{}", others.body);
    // The trail names the principal.
    let trail = || std::fs::read_to_string(services.data_dir().join("audit.jsonl")).unwrap_or_default();
    wait_until("the trail has it", || {
        trail().lines().any(|line| line.contains("AGENDAMENTO_CRIADO") && line.contains("\"autor\":\"marie\""))
    });
    assert!(!trail().contains(&cookie[PLAIN.len()..]));

    let out = by_page("DELETE", &url, "/sessao", None, &cookie);
    assert_eq!((out.status, out.header("set-cookie").unwrap().contains("Max-Age=0")), (204, true));
    assert_eq!(who(&url, &cookie)["identificacao"], "nenhuma");
    let refused = by_page("GET", &url, "/telescopios", None, &cookie);
    assert_eq!((refused.status, &refused.json()["codigo"]), (401, &json!("sessao_encerrada")), "{}", refused.body);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"sctec\""));
    // Once more changes nothing.
    assert_eq!(by_page("DELETE", &url, "/sessao", None, &cookie).status, 204);
}

#[test]
fn a_session_counts_only_where_a_page_of_this_service_acts() {
    let services = services();
    let url = services.scheduler.url();
    let (_, cookie) = sign_in(&url, &scientist(&services).token);
    let body = Asked::by(7, SLOT).text();
    let post = |headers: &[(&str, &str)]| {
        let headers = [&[("Cookie", cookie.as_str())], headers].concat();
        http_with("POST", &services.agenda("/agendamentos"), Some(("application/json", &body)), &headers).status
    };
    assert_eq!(post(&[]), 401);
    assert_eq!(post(&[("Origin", "http://evil.example")]), 403);
    assert_eq!(post(&[("Sec-Fetch-Site", "same-site")]), 403);
    assert_eq!(post(&[("Origin", "http://localhost:1"), ("Sec-Fetch-Site", "same-site")]), 403);
    // What the caller says of itself is not what another one says of it: a wrong token beside a session is refused.
    assert_eq!(post(&[("Origin", &url), ("Authorization", "Bearer sctec_wrong")]), 401);
    // Two sessions in one request: a program on another port has set one of them.
    let two = format!("{cookie}; {PLAIN}{}", "x".repeat(43));
    assert_eq!(http_with("GET", &services.agenda("/telescopios"), None, &[("Cookie", &two)]).status, 401);
    let deleted = http_with("DELETE", &services.agenda("/sessao"), None, &[("Cookie", &cookie)]);
    assert_eq!(deleted.status, 204);
    assert_eq!(who(&url, &cookie)["identificacao"], "sessao");
    assert!(services.count("SELECT count(*) FROM agendamentos") == 0);
    assert_eq!(post(&[("Origin", &url)]), 201);
}

#[test]
fn what_is_no_token_begins_no_session_and_is_said_in_words() {
    let services = services();
    let url = services.scheduler.url();
    let given = scientist(&services);
    for (token, codigo, says) in [
        ("abc", "token_recusado", "começa com sctec_"),
        (&given.token[..given.token.len() - 1], "token_recusado", "copiado com um erro"),
        ("", "campos_invalidos", "token"),
    ] {
        let (answer, cookie) = sign_in(&url, token);
        let problem = answer.json();
        assert_eq!((&problem["codigo"], cookie.as_str()), (&json!(codigo), ""), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
        assert!(token.len() < 10 || !answer.body.contains(token), "{problem}");
    }
    revoke(services.data_dir(), &given);
    wait_until("the revocation is known", || sign_in(&url, &given.token).0.status == 401);
    let (answer, _) = sign_in(&url, &given.token);
    assert!(answer.json()["detail"].as_str().unwrap().contains("revogado"), "{}", answer.body);

    let open = Services::start(&[]);
    let url = open.scheduler.url();
    assert_eq!(http("GET", &open.agenda("/sessao"), None).json()["identificacao"], "aberta");
    assert_eq!(sign_in(&url, "abc").0.status, 404);
    assert_eq!(by_page("DELETE", &url, "/sessao", None, "a=b").status, 204);
    let entry = http("GET", &url, None).json();
    assert!(entry["_links"]["sessao"].is_null() && entry["_links"]["entrar"].is_null(), "{entry}");
}

#[test]
fn a_session_is_valid_at_every_scheduler_on_the_folder_and_ends_with_its_token_within_a_second() {
    let services = services();
    let other = services.another_scheduler(&["--access", "token"]);
    let urls = [services.scheduler.url(), other.url()];
    let given = scientist(&services);
    let (_, cookie) = sign_in(&urls[0], &given.token);
    let (_, left) = sign_in(&urls[0], &given.token);
    let is = |url: &str, cookie: &str| who(url, cookie)["identificacao"] == "sessao";
    for url in &urls {
        wait_until("the session is known", || is(url, &cookie) && is(url, &left));
    }
    // A sign-out at one ends it at the other, and no other session.
    assert_eq!(by_page("DELETE", &urls[1], "/sessao", None, &left).status, 204);
    assert!(!is(&urls[1], &left));
    wait_until("the sign-out is known", || !is(&urls[0], &left));
    assert!(is(&urls[0], &cookie));
    revoke(services.data_dir(), &given);
    for url in &urls {
        wait_until("the revocation is known", || by_page("GET", url, "/telescopios", None, &cookie).status == 401);
        let problem = by_page("GET", url, "/telescopios", None, &cookie).json();
        assert!(problem["detail"].as_str().unwrap().contains("foi revogado"), "{problem}");
    }
}

/// Opens the agenda's stream, and waits for its first line.
fn listen(url: &str, header: &str) -> BufReader<TcpStream> {
    let address = &url["http://".len()..];
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /eventos HTTP/1.1\r\nHost: {address}\r\n{header}\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with("retry: ") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream did not begin");
    }
    stream
}

/// Reads to the stream's end, which is an empty chunk. A stream that goes on ends the test by its timeout.
fn ends(mut stream: BufReader<TcpStream>) {
    let mut line = String::new();
    while line.trim() != "0" {
        line.clear();
        if stream.read_line(&mut line).expect("the stream ends") == 0 {
            return;
        }
    }
}

#[test]
fn a_stream_of_events_ends_with_the_session_or_the_token_that_opened_it() {
    let services = services();
    let url = services.scheduler.url();
    let given = scientist(&services);
    let (_, cookie) = sign_in(&url, &given.token);
    let by_session = listen(&url, &format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-origin"));
    let by_token = listen(&url, &format!("Authorization: Bearer {}", given.token));
    assert_eq!(by_page("DELETE", &url, "/sessao", None, &cookie).status, 204);
    ends(by_session);
    // The token's goes on.
    let (_, cookie) = sign_in(&url, &given.token);
    assert_eq!(by_page("POST", &url, "/agendamentos", Some(&Asked::by(7, SLOT).text()), &cookie).status, 201);
    let mut by_token = by_token;
    let mut line = String::new();
    while !line.contains("\"cientista_id\":7") {
        line.clear();
        assert!(by_token.read_line(&mut line).unwrap() > 0, "the stream ended");
    }
    let by_session = listen(&url, &format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-origin"));
    revoke(services.data_dir(), &given);
    ends(by_session);
    ends(by_token);
}

#[test]
fn behind_a_proxy_with_tls_the_cookie_is_for_this_host_over_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    let given = give(folder.path(), &["ana", "--role", "leitor"]);
    let mut command = scheduler_command(folder.path(), "http://127.0.0.1:9");
    let server = Server::spawn(command.args(["--access", "token", "--allowed-host", "sctec.example"]), 1);
    let body = json!({ "token": given.token }).to_string();
    let headers = [("Host", "sctec.example"), ("Origin", "https://sctec.example"), ("Sec-Fetch-Site", "same-origin")];
    let answer = http_with("POST", &format!("{}/sessao", server.url()), Some(("application/json", &body)), &headers);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with(SECURE) && set.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{set}");
    let cookie = set.split(';').next().unwrap();
    let read = http_with(
        "GET",
        &format!("{}/telescopios", server.url()),
        None,
        &[("Host", "sctec.example"), ("Cookie", cookie)],
    );
    assert_eq!(read.status, 200, "{}", read.body);
}

#[test]
fn a_credential_has_fifty_sessions_and_no_secret_is_stored_or_logged() {
    let services = services();
    let url = services.scheduler.url();
    let given = scientist(&services);
    let cookies: Vec<String> = (0..51).map(|_| sign_in(&url, &given.token).1).collect();
    assert_eq!(who(&url, &cookies[0])["identificacao"], "nenhuma");
    for cookie in &cookies[1..] {
        assert_eq!(who(&url, cookie)["identificacao"], "sessao");
    }
    let folder = services.stop();
    for secret in [&cookies[50][PLAIN.len()..], &given.token] {
        assert!(secret.len() >= 43);
        holds_not(folder.path(), secret);
    }
}

/// No file of the folder has the text.
fn holds_not(folder: &Path, text: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found, "{} has a secret", path.display());
    }
}
