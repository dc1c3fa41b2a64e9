//! The file of the secret, and the secret that `serve-all` makes for itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::{SLOT, SLOT_LOCK, ask, new_secret, secret_in};
use crate::common::{Server, coordinator_command, http, run, scheduler_command, sctec, storage, wait_until};

#[test]
fn a_secret_is_made_for_its_user_alone_and_never_over_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_secret(folder.path(), "secret");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = secret_in(&path);
    assert!(secret.starts_with("sctec_") && secret.len() == 55, "{secret}");
    let again = run(&["token", "secret", path.to_str().unwrap()]);
    assert_eq!((again.status.code(), secret_in(&path)), (Some(2), secret));
}

#[test]
fn services_that_start_at_once_make_one_secret_and_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("between.secret");
    let file = path.to_str().unwrap();
    let refused = sctec().args(["serve-coordinator", "--create-coordinator-token"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let nowhere = ["--coordinator-token-file", "/nowhere/at/all", "--create-coordinator-token"];
    let nowhere = run(&[&["serve-coordinator", "--listen", "127.0.0.1:0"], &nowhere[..]].concat());
    let told = String::from_utf8_lossy(&nowhere.stderr);
    assert!(nowhere.status.code() == Some(2) && told.contains("cannot write /nowhere/at/all"), "{told}");

    let option = ["--coordinator-token-file", file, "--create-coordinator-token"];
    let folders = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
    let start = |data: &Path| Server::spawn(coordinator_command(data, "127.0.0.1:0").args(option), 1);
    let mut made = Vec::new();
    for _ in 0..2 {
        let servers = std::thread::scope(|scope| {
            let all = folders.each_ref().map(|data| scope.spawn(|| start(data.path())));
            all.map(|one| one.join().unwrap())
        });
        made.push(secret_in(&path));
        for server in &servers {
            let data = tempfile::tempdir().unwrap();
            let mut scheduler = scheduler_command(data.path(), &server.url());
            let scheduler = Server::spawn(scheduler.args(["--coordinator-token-file", file]), 1);
            let ready = || http("GET", &format!("{}/pronto", scheduler.url()), None).status == 200;
            wait_until("both have the same secret", ready);
        }
    }
    assert_eq!(made[0], made[1]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_has_no_secret_is_refused_without_showing_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let miscopied = {
        let secret = secret_in(&new_secret(folder.path(), "right"));
        format!("{}{}", &secret[..54], if secret.ends_with('0') { '1' } else { '0' })
    };
    for (text, mode, says) in [
        ("hunter2", 0o600, "one token and nothing else"),
        ("", 0o600, "is empty"),
        (miscopied.as_str(), 0o600, "copied with an error"),
        (miscopied.as_str(), 0o622, "chmod 600"),
    ] {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for service in ["serve-scheduler", "serve-coordinator", "serve-all"] {
            let mut command = sctec();
            command.args([service, "--listen", "127.0.0.1:0", "--coordinator-token-file"]).arg(&path);
            let refused = command.current_dir(folder.path()).output().unwrap();
            let told = String::from_utf8_lossy(&refused.stderr);
            assert!(refused.status.code() == Some(2) && told.contains(says), "{service}: {told}");
            assert!(text.is_empty() || !told.contains(text), "{told}");
        }
    }
    let missing = run(&["serve-coordinator", "--listen", "127.0.0.1:0", "--coordinator-token-file", "/nowhere/at/all"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot read the token in /nowhere/at/all"));
}

#[test]
fn the_secret_stands_in_no_log_and_in_no_list_of_processes() {
    let (services, file) = super::with_secret(&[]);
    let secret = secret_in(&file);
    assert_eq!(super::book(&services, 1).0, 201);
    for process in [&services.scheduler, &services.coordinator] {
        for name in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{}/{name}", process.pid())).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(&secret), "{name}");
        }
        assert!(process.lines().iter().all(|line| !line.contains(&secret)));
    }
    for entry in std::fs::read_dir(services.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path != file && path.is_file() {
            assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(&secret), "{}", path.display());
        }
    }
}

#[test]
fn a_challenge_is_answered_to_everybody_and_says_what_is_wrong_with_a_question() {
    let (services, _) = super::with_secret(&["--access", "token"]);
    let asked = |query: &str| http("GET", &services.locks(&format!("/desafio{query}")), None);
    let nonce = "0123456789abcdef".repeat(4);
    let proof = asked(&format!("?nonce={nonce}"));
    assert_eq!(proof.status, 200, "{}", proof.body);
    let proof = proof.json();
    let length = |member: &str| proof[member].as_str().unwrap().len();
    assert_eq!((length("processo"), length("prova")), (32, 64));
    let again = asked(&format!("?nonce={nonce}")).json();
    assert_eq!((&again["processo"], &again["prova"]), (&proof["processo"], &proof["prova"]));
    assert_ne!(asked(&format!("?nonce={}", "0".repeat(64))).json()["prova"], proof["prova"]);
    for query in ["", "?nonce=", "?nonce=12", &format!("?nonce={nonce}00"), &format!("?nonce={nonce}&x=1")] {
        assert_eq!(asked(query).json()["codigo"], "parametros_invalidos", "{query}");
    }
}

#[test]
fn serve_all_shares_a_secret_with_itself_that_changes_nothing_for_others() {
    let server = Server::start(&["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"]);
    let [agenda, locks] = ["servico-agendamento", "servico-coordenador"].map(|service| server.url_of(service));
    let proof = http("GET", &format!("{locks}/desafio?nonce={}", "0".repeat(64)), None);
    assert_eq!(proof.status, 200, "{}", proof.body);
    assert_eq!(http("GET", &format!("{agenda}/pronto"), None).status, 200);
    let lease = ask("POST", &format!("{locks}/lock"), &json!({"recurso": SLOT_LOCK, "token_minimo": 1}), None);
    assert_eq!(lease.status, 200, "{}", lease.body);
    let booking = json!({"cientista_id": 1, "horario_inicio_utc": SLOT});
    assert_eq!(ask("POST", &format!("{agenda}/agendamentos"), &booking, None).status, 409);
    assert_eq!(ask("DELETE", &format!("{locks}/locks/{SLOT_LOCK}"), &Value::Null, None).status, 200);
    assert_eq!(ask("POST", &format!("{agenda}/agendamentos"), &booking, None).status, 201);
}

#[test]
fn serve_all_with_tokens_books_for_a_scientist_and_locks_for_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sctec();
    command.args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0", "--access", "token"]);
    // From here on the folder has its database, which the tokens below are made in.
    storage::choose(&mut command, folder.path());
    let create = ["token", "create", "--data-dir", folder.path().to_str().unwrap()];
    let token_of = |made: Output| {
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    let ana = token_of(run(&[&create[..], &["ana", "--role", "cientista", "--scientist", "7"]].concat()));
    // The coordinator's tokens are in the data folder, also when the agenda is in PostgreSQL.
    let program = ["backup", "--role", "servico", "--prefix", "backup-"];
    let backup = token_of(sctec().args(create).args(program).output().unwrap());
    let server = Server::spawn(command.arg("--data-dir").arg(folder.path()), 2);
    let [agenda, locks] = ["servico-agendamento", "servico-coordenador"].map(|service| server.url_of(service));
    let booking = json!({"cientista_id": 7, "horario_inicio_utc": SLOT});
    let booked = ask("POST", &format!("{agenda}/agendamentos"), &booking, Some(&ana));
    assert_eq!(booked.status, 201, "{}", booked.body);
    let id = booked.json()["id"].clone();
    assert_eq!(ask("DELETE", &format!("{agenda}/agendamentos/{id}"), &Value::Null, Some(&ana)).status, 200);
    assert_eq!(ask("POST", &format!("{locks}/lock"), &json!({"recurso": "backup-1"}), Some(&backup)).status, 200);
    assert_eq!(ask("POST", &format!("{locks}/lock"), &json!({"recurso": SLOT_LOCK}), Some(&backup)).status, 403);
    // With the agenda in PostgreSQL the coordinator does not know who books there.
    let refused = if storage::is_postgres() { 401 } else { 403 };
    assert_eq!(ask("POST", &format!("{locks}/lock"), &json!({"recurso": "x"}), Some(&ana)).status, refused);
    wait_until("its events reach the channel", || {
        let log = std::fs::read_to_string(folder.path().join("app.log")).unwrap();
        log.contains("Canal da agenda ligado") && !log.contains("Eventos da agenda recusados")
    });
}
