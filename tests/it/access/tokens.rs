//! Tokens: made, shown once, told apart from typing errors, revoked everywhere.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::{ask, asking, create, list};
use crate::common::{Server, coordinator_command, run, wait_until};

#[test]
fn a_revoked_token_ends_at_every_scheduler_within_a_second() {
    let services = asking();
    let another = services.another_scheduler(&["--access", "token"]);
    let ana = create(services.data_dir(), "ana", &["--role", "leitor"]);
    let urls = [services.agenda("/agendamentos"), format!("{}/agendamentos", another.url())];
    for url in &urls {
        wait_until("the token is known", || ask("GET", url, Some(&ana), None).status == 200);
    }
    let id = list(services.data_dir())[0]["id"].to_string();
    let revoked = run(&["token", "revoke", &id, "--data-dir", services.data_dir().to_str().unwrap()]);
    let begun = Instant::now();
    assert!(revoked.status.success(), "{revoked:?}");
    for url in &urls {
        wait_until("the token is refused", || ask("GET", url, Some(&ana), None).status == 401);
    }
    // A machine that is busy with other tests may take its time; the register looks five times a second.
    println!("refused after {} ms", begun.elapsed().as_millis());
    let refused = ask("GET", &urls[0], Some(&ana), None);
    assert_eq!(refused.json()["codigo"], "token_recusado");
    assert!(refused.json()["detail"].as_str().unwrap().contains("foi revogado"), "{}", refused.body);
    let challenge = refused.header("www-authenticate").unwrap();
    assert_eq!(challenge, "Bearer realm=\"sctec\", error=\"invalid_token\"");
    let nobody = ask("GET", &urls[0], None, None);
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer realm=\"sctec\"")));
}

#[test]
fn a_request_whose_body_is_held_back_does_nothing_after_the_revocation() {
    let services = asking();
    let chefe = create(services.data_dir(), "chefe", &["--role", "operador"]);
    let (tokens, address) = (services.agenda("/tokens"), services.agenda_address());
    assert_eq!(ask("GET", &tokens, Some(&chefe), None).status, 200);
    let body = json!({"nome": "outro", "papeis": ["operador"], "validade_dias": 0}).to_string();
    let (first, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /tokens HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {chefe}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    write!(stream, "{head}{first}").unwrap();
    // Its line is logged once the caller has been admitted.
    services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("POST /tokens do IP")));
    let revoked = run(&["token", "revoke", "1", "--data-dir", services.data_dir().to_str().unwrap()]);
    assert!(revoked.status.success(), "{revoked:?}");
    wait_until("the token is refused", || ask("GET", &tokens, Some(&chefe), None).status == 401);
    write!(stream, "{rest}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("token_recusado"), "{answer}");
    assert_eq!(list(services.data_dir()).len(), 1);
}

#[test]
fn a_revocation_over_the_api_holds_at_once_where_it_was_made() {
    let services = asking();
    let chefe = create(services.data_dir(), "chefe", &["--role", "operador"]);
    let tokens = services.agenda("/tokens");
    wait_until("the token is known", || ask("GET", &tokens, Some(&chefe), None).status == 200);
    let body = json!({"nome": "bia", "papeis": ["cientista"], "cientista_id": 3, "validade_dias": 0}).to_string();
    let made = ask("POST", &tokens, Some(&chefe), Some(&body));
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let (bia, href) = (made.json()["token"].as_str().unwrap().to_owned(), made.header("location").unwrap().to_owned());
    assert_eq!(made.json()["criado_por"], "chefe");
    assert_eq!(made.json()["expira_em_utc"], json!(null));
    let agenda = services.agenda("/agendamentos");
    assert_eq!(ask("GET", &agenda, Some(&bia), None).status, 200);
    // The secret is shown in that answer only.
    for path in [tokens.clone(), services.agenda(&href)] {
        assert!(!ask("GET", &path, Some(&chefe), None).body.contains(&bia));
    }
    let revoked = ask("DELETE", &services.agenda(&href), Some(&chefe), None);
    assert_eq!((revoked.status, &revoked.json()["estado"]), (200, &json!("revogado")));
    assert_eq!(ask("GET", &agenda, Some(&bia), None).status, 401);
    assert_eq!(ask("DELETE", &services.agenda("/tokens/99"), Some(&chefe), None).status, 404);
    services.wait_for_log("app.log", |lines| {
        lines.iter().any(|line| line.contains("criado para bia (cientista) por chefe"))
    });
}

#[test]
fn a_wrong_field_of_a_new_token_is_named_and_nothing_is_made() {
    let services = asking();
    let chefe = create(services.data_dir(), "chefe", &["--role", "operador"]);
    let tokens = services.agenda("/tokens");
    for (body, field) in [
        (json!({"papeis": ["leitor"]}), "nome"),
        (json!({"nome": "a b", "papeis": ["leitor"]}), "nome"),
        (json!({"nome": "anonimo", "papeis": ["leitor"]}), "nome"),
        (json!({"nome": "chefe", "papeis": ["leitor"]}), "nome"),
        (json!({"nome": "x"}), "papeis"),
        (json!({"nome": "x", "papeis": ["rei"]}), "papeis"),
        (json!({"nome": "x", "papeis": "leitor"}), "papeis"),
        (json!({"nome": "x", "papeis": ["cientista"]}), "cientista_id"),
        (json!({"nome": "x", "papeis": ["cientista"], "cientista_id": 9999}), "cientista_id"),
        (json!({"nome": "x", "papeis": ["leitor"], "cientista_id": 7}), "cientista_id"),
        (json!({"nome": "x", "papeis": ["servico"]}), "prefixos"),
        (json!({"nome": "x", "papeis": ["servico"], "prefixos": [""]}), "prefixos"),
        (json!({"nome": "x", "papeis": ["leitor"], "validade_dias": 9999}), "validade_dias"),
        (json!({"nome": "x", "papeis": ["leitor"], "senha": "y"}), "senha"),
    ] {
        let mut answer = ask("POST", &tokens, Some(&chefe), Some(&body.to_string()));
        wait_until("the token is known", || {
            answer = ask("POST", &tokens, Some(&chefe), Some(&body.to_string()));
            answer.status != 401
        });
        assert_eq!(
            (answer.status, &answer.json()["erros"][0]["campo"]),
            (422, &json!(field)),
            "{body} {}",
            answer.body
        );
    }
    assert_eq!(list(services.data_dir()).len(), 1);
}

#[test]
fn what_is_wrong_with_a_token_is_said_and_never_repeated() {
    let services = asking();
    let ana = create(services.data_dir(), "ana", &["--role", "leitor"]);
    let url = services.agenda("/agendamentos");
    wait_until("the token is known", || ask("GET", &url, Some(&ana), None).status == 200);
    let cut = &ana[..ana.len() - 1];
    let other = "sctec_00000000000000000000000000000000000000000001";
    for (token, said) in [(cut, "copiado com um erro"), (other, "copiado com um erro"), ("ghp_x", "deve ser um só")] {
        let answer = ask("GET", &url, Some(token), None);
        assert_eq!((answer.status, &answer.json()["codigo"]), (401, &json!("token_recusado")));
        assert!(answer.json()["detail"].as_str().unwrap().contains(said), "{}", answer.body);
        assert!(!answer.body.contains(token), "{}", answer.body);
        // What is for everybody answers it too, as it answers nobody.
        let entry = ask("GET", &services.agenda("/"), Some(token), None);
        assert!(entry.status == 200 && entry.json()["_links"].get("agendamentos").is_none());
    }
}

#[test]
fn the_command_line_makes_a_token_for_its_user_alone_and_refuses_what_makes_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("d");
    let dir = data.to_str().unwrap();
    let out = folder.path().join("ana.token");
    let create = |name: &str, rest: &[&str]| run(&[&["token", "create", name, "--data-dir", dir], rest].concat());
    let made = create("ana", &["--role", "leitor", "--out", out.to_str().unwrap()]);
    assert!(made.status.success() && made.stdout.is_empty(), "{made:?}");
    assert_eq!(std::fs::metadata(&out).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(data.join("acesso.db")).unwrap().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&out).unwrap();
    assert!(token.starts_with("sctec_") && token.trim().len() == 55, "{token}");
    for (name, rest, said) in [
        ("bia", &["--role", "leitor", "--out", out.to_str().unwrap()][..], "exists"),
        ("bia", &["--role", "cientista"], "--scientist"),
        ("bia", &["--role", "servico"], "--prefix"),
        ("bia", &["--role", "rei"], "leitor, cientista, operador, auditor, servico"),
        ("anonimo", &["--role", "leitor"], "another meaning"),
        ("ana", &["--role", "operador"], "other rights"),
        ("a b", &["--role", "leitor"], "letters"),
    ] {
        let refused = create(name, rest);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(2) && told.contains(said), "{name} {rest:?}: {told}");
    }
    assert_eq!(list(&data).len(), 1);
    let shown = run(&["token", "list", "--data-dir", dir]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("leitor"), "{shown:?}");
    let revoke = |id: &str| run(&["token", "revoke", id, "--data-dir", dir]).status.code();
    assert_eq!((revoke("1"), revoke("1"), revoke("9")), (Some(0), Some(0), Some(1)));
    let elsewhere = folder.path().join("none");
    let none = run(&["token", "list", "--data-dir", elsewhere.to_str().unwrap()]);
    assert!(none.status.code() == Some(2) && !elsewhere.exists(), "{none:?}");
}

#[test]
fn a_service_that_asks_for_tokens_may_listen_beyond_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--listen", "0.0.0.0:0", "--access", "token"];
    let coordinator = Server::spawn(
        crate::common::sctec().arg("serve-coordinator").args(args).arg("--data-dir").arg(folder.path().join("d")),
        1,
    );
    let url = format!("http://127.0.0.1:{}", coordinator.url().rsplit(':').next().unwrap());
    assert_eq!(ask("GET", &format!("{url}/saude"), None, None).status, 200);
    assert_eq!(ask("GET", &format!("{url}/locks"), None, None).status, 401);
}

/// A coordinator that asks for tokens.
fn asking_coordinator(folder: &Path) -> Server {
    Server::spawn(coordinator_command(folder, "127.0.0.1:0").args(["--access", "token"]), 1)
}

#[test]
fn a_request_that_waits_for_a_lock_gets_none_after_the_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let chefe = create(folder.path(), "chefe", &["--role", "operador"]);
    let program = create(folder.path(), "programa", &["--role", "servico", "--prefix", "w-"]);
    let coordinator = asking_coordinator(folder.path());
    let url = coordinator.url();
    let held = json!({"recurso": "w-1", "ttl_ms": 300_000}).to_string();
    assert_eq!(ask("POST", &format!("{url}/lock"), Some(&chefe), Some(&held)).status, 200);
    let one = json!({"recurso": "w-1", "espera_ms": 60_000}).to_string();
    let batch = json!({"operacoes": [{"op": "lock", "recurso": "w-1", "espera_ms": 60_000}]}).to_string();
    std::thread::scope(|scope| {
        let waiting = [("/lock", &one), ("/lote", &batch)].map(|(path, body)| {
            let (url, program) = (format!("{url}{path}"), &program);
            scope.spawn(move || ask("POST", &url, Some(program), Some(body)))
        });
        let queue = || ask("GET", &format!("{url}/locks/w-1"), Some(&chefe), None).json()["fila"].clone();
        wait_until("both wait", || queue().as_array().map(Vec::len) == Some(2) || queue() == json!(2));
        let revoked = run(&["token", "revoke", "2", "--data-dir", folder.path().to_str().unwrap()]);
        assert!(revoked.status.success(), "{revoked:?}");
        let [one, batch] = waiting.map(|waiting| waiting.join().unwrap());
        assert_eq!((one.status, &one.json()["codigo"]), (401, &json!("token_recusado")), "{}", one.body);
        assert_eq!(batch.json()["respostas"][0]["status"], 401, "{}", batch.body);
    });
}

#[test]
fn a_program_writes_no_line_under_the_request_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let program = create(folder.path(), "programa", &["--role", "servico", "--prefix", "w-"]);
    let scheduler = create(folder.path(), "agendador", &["--role", "servico", "--prefix", "*"]);
    let coordinator = asking_coordinator(folder.path());
    let url = format!("{}/lote", coordinator.url());
    for (token, req, recurso) in [(&program, "do-programa", "w-1"), (&scheduler, "do-agendador", "w-2")] {
        let body = json!({"operacoes": [{"op": "lock", "recurso": recurso, "req": req}]}).to_string();
        let answer = ask("POST", &url, Some(token), Some(&body));
        assert_eq!(answer.json()["respostas"][0]["status"], 200, "{}", answer.body);
    }
    // The later one's line is there, and so is the earlier one's.
    wait_until("the lines are there", || coordinator.lines().iter().any(|line| line.contains("req=do-agendador")));
    let lines = coordinator.lines();
    assert!(lines.iter().any(|line| line.contains("w-1")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("req=do-programa")), "{lines:?}");
}
