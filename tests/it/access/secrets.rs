//! No secret is anywhere but with its bearer: not in the database, the trail, the logs, a backup, or the list of processes.

use std::path::Path;

use serde_json::json;

use super::{ask, asking, create};
use crate::common::wait_until;

/// The files of a folder that have these bytes.
fn holding(folder: &Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        if memchr::memmem::find(&bytes, secret.as_bytes()).is_some() {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

/// The arguments and the environment of every process that may be read.
fn processes(secret: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let named = all.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    named
        .filter(|pid| {
            let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            memchr::memmem::find(&bytes, secret.as_bytes()).is_some()
        })
        .collect()
}

#[test]
fn no_token_is_in_the_folder_in_a_backup_or_in_the_list_of_processes() {
    let services = asking();
    let mut secrets = vec![
        create(services.data_dir(), "ana", &["--role", "cientista", "--scientist", "7"]),
        create(services.data_dir(), "chefe", &["--role", "operador", "--role", "auditor"]),
    ];
    let url = services.agenda("/agendamentos");
    wait_until("the tokens are known", || ask("GET", &url, Some(&secrets[1]), None).status == 200);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2030-01-01T03:00:00Z"}).to_string();
    assert_eq!(ask("POST", &url, Some(&secrets[0]), Some(&body)).status, 201);
    // Refusals are logged: a conflict, a missing role, a token that was cut, a token in a place where it does not belong.
    assert_eq!(ask("POST", &url, Some(&secrets[0]), Some(&body)).status, 409);
    assert_eq!(ask("GET", &services.agenda("/auditoria"), Some(&secrets[0]), None).status, 403);
    let cut = secrets[0][..secrets[0].len() - 3].to_owned();
    assert_eq!(ask("GET", &url, Some(&cut), None).status, 401);
    let made =
        ask("POST", &services.agenda("/tokens"), Some(&secrets[1]), Some(r#"{"nome": "bia", "papeis": ["leitor"]}"#));
    secrets.push(made.json()["token"].as_str().unwrap().to_owned());
    assert_eq!(ask("GET", &url, Some(&secrets[2]), None).status, 200);
    let backup = services.data_dir().join("copia.db");
    for name in ["sctec.db", "acesso.db"] {
        let database = rusqlite::Connection::open(services.data_dir().join(name)).unwrap();
        let _ = std::fs::remove_file(&backup);
        database.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
        for secret in &secrets {
            // Without its last digits: they alone would not sign in, but tell what it is.
            let part = &secret[..40];
            assert!(processes(part).is_empty(), "{:?}", processes(part));
            assert_eq!(holding(services.data_dir(), part), Vec::<String>::new());
        }
    }
    // What is looked for would be found: the trail has the author's name.
    wait_until("the trail has the booking", || {
        holding(services.data_dir(), "\"autor\":\"ana\"").iter().any(|name| name == "audit.jsonl")
    });
    let folder = services.stop();
    for secret in &secrets {
        assert_eq!(holding(folder.path(), &secret[..40]), Vec::<String>::new());
    }
}
