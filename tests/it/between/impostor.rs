//! Programs that answer where a coordinator should: one that has bound the port of a coordinator that died, and others.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::{SLOT, SLOT_LOCK, ask, book, new_secret, secret_in, start, with_secret};
use crate::common::{Server, coordinator_command, http, wait_until};

/// How an impostor answers the challenge.
#[derive(Clone, Debug)]
enum Proof {
    /// With this, word for word: a proof that it has made up, or one that it has recorded.
    Body(String),
    /// With what it was asked, in both members.
    Echo,
    /// As a coordinator without a secret.
    NotFound,
    /// Not at all: with what a coordinator would answer to a batch.
    Lease,
    /// It closes the connection.
    Close,
}

/// A program that has bound a coordinator's port and answers everything as a coordinator: it grants every lock, accepts every
/// event, and is always ready. It keeps every byte that it is sent.
struct Impostor {
    heard: Arc<Mutex<Vec<u8>>>,
    proof: Arc<Mutex<Proof>>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Impostor {
    fn on(address: &str) -> Self {
        let mut listener = None;
        wait_until("the port is free", || {
            listener = TcpListener::bind(address).ok();
            listener.is_some()
        });
        let listener = listener.unwrap();
        listener.set_nonblocking(true).unwrap();
        let (heard, stop) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<AtomicBool>::default());
        let proof = Arc::new(Mutex::new(Proof::NotFound));
        let (noted, answers, stopped) = (Arc::clone(&heard), Arc::clone(&proof), Arc::clone(&stop));
        let accepting = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        let (noted, proof) = (Arc::clone(&noted), answers.lock().unwrap().clone());
                        // A connection that breaks is its client's affair.
                        std::thread::spawn(move || drop(serve(stream, &noted, &proof)));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { heard, proof, stop, accepting: Some(accepting) }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    fn leave(mut self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        self.accepting.take().unwrap().join().unwrap();
        self.heard()
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<u8>>, proof: &Proof) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        heard.lock().unwrap().extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let target = text.split(' ').nth(1).unwrap_or_default();
        let lease = json!({"respostas": [{"status": 200, "situacao": "concedido", "recursos": [SLOT_LOCK],
            "trava_id": "0123456789abcdef0123456789abcdef", "token": 1_u64 << 40, "dono": "agendamento-1", "ttl_ms": 10_000,
            "resta_ms": 10_000, "expira_em_utc": SLOT, "esperou_ms": 0}]});
        let (status, body) = if let Some(nonce) = target.strip_prefix("/desafio?nonce=") {
            match proof {
                Proof::Body(body) => (200, body.clone()),
                Proof::Echo => (200, json!({"processo": &nonce[..32], "prova": nonce}).to_string()),
                Proof::NotFound => (404, json!({"codigo": "sem_segredo"}).to_string()),
                Proof::Lease => (200, lease.to_string()),
                Proof::Close => return Ok(()),
            }
        } else if target.starts_with("/pronto") {
            let parts = json!({"carencia": "ok", "tokens": "ok", "parada": "ok"});
            (200, json!({"status": "pronto", "partes": parts, "agendador": true}).to_string())
        } else if target.starts_with("/lote") {
            (200, lease.to_string())
        } else {
            (200, json!({"canal": "agenda", "id": "00000001-1", "ouvintes": 1}).to_string())
        };
        let head =
            format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes())?;
    }
}

#[test]
fn who_binds_the_port_of_a_coordinator_that_died_is_not_believed_and_never_sees_the_secret() {
    let (mut services, file) = with_secret(&[]);
    let secret = secret_in(&file);
    let (status, first) = book(&services, 1);
    assert_eq!(status, 201, "{first}");
    let address = services.coordinator.url()["http://".len()..].to_owned();
    // What a program on the way could have recorded.
    let recorded = http("GET", &services.locks(&format!("/desafio?nonce={}", "ab".repeat(32))), None).body;
    services.coordinator.kill();
    let impostor = Impostor::on(&address);
    let made_up = json!({"processo": "0".repeat(32), "prova": "0".repeat(64)}).to_string();
    for (proof, says) in [
        (Proof::Body(made_up), "a resposta ao desafio não confere com o segredo"),
        (Proof::Body(recorded), "a resposta ao desafio não confere com o segredo"),
        (Proof::Echo, "a resposta ao desafio não confere com o segredo"),
        (Proof::Lease, "a resposta ao desafio não confere com o segredo"),
        (Proof::NotFound, "não é o coordenador deste agendador, ou começou sem o segredo (--coordinator-token-file)"),
        (Proof::Close, "não respondeu ao desafio"),
    ] {
        *impostor.proof.lock().unwrap() = proof.clone();
        let (status, refused) = book(&services, 2);
        assert_eq!(
            (status, refused["codigo"].as_str()),
            (503, Some("coordenador_indisponivel")),
            "{proof:?}: {refused}"
        );
        let ready = http("GET", &services.agenda("/pronto"), None);
        let part = ready.json()["partes"]["coordenador"].as_str().unwrap().to_owned();
        assert!(ready.status == 503 && part.contains(says), "{proof:?}: {part}");
        services.wait_for_log("app.log", |lines| {
            lines.iter().any(|line| line.contains("Coordenador indisponível: ") && line.contains(says))
        });
        let id = first["id"].as_i64().unwrap();
        let cancelled = http("DELETE", &services.agenda(&format!("/agendamentos/{id}")), None);
        assert_eq!(cancelled.status, 503, "{}", cancelled.body);
    }
    // The channel of events asks too.
    services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Canal da agenda interrompido")));
    assert_eq!(services.list("").len(), 1, "nothing was booked or cancelled");
    assert_eq!(services.count("SELECT count(*) FROM agendamentos WHERE status <> 'AGENDADO'"), 0);
    let heard = impostor.leave();
    assert!(heard.contains("GET /desafio?nonce="), "{heard}");
    for word in
        [secret.as_str(), &secret[6..], "sctec_", "earer", "uthorization", "/lote", "/eventos", "/pronto", SLOT_LOCK]
    {
        assert!(!heard.contains(word), "the impostor was told {word}: {heard}");
    }
    let questions: Vec<&str> = heard.lines().filter(|line| line.starts_with("GET ")).collect();
    let fresh: std::collections::BTreeSet<&&str> = questions.iter().collect();
    assert_eq!(fresh.len(), questions.len(), "each question is asked once");
    // The true one returns, and all goes on.
    let mut command = coordinator_command(services.data_dir(), &address);
    let command = command.args(["--grace", "0", "--coordinator-token-file", file.to_str().unwrap()]);
    services.coordinator = Server::spawn(command, 1);
    wait_until("the scheduler is ready", || http("GET", &services.agenda("/pronto"), None).status == 200);
    assert_eq!(services.book(2, "2030-01-01T03:05:00Z").0, 201);
    services.wait_for_log("app.log", |lines| {
        lines.iter().filter(|line| line.contains("Canal da agenda ligado")).count() == 2
    });
}

#[test]
fn a_scheduler_without_a_secret_believes_the_same_impostor() {
    // So the test above cannot pass for another reason: the impostor is good enough for a scheduler that asks for no proof.
    let folder = tempfile::tempdir().unwrap();
    let (mut gate, scheduler) = start(&folder, "127.0.0.1:0", None, None, &[]);
    let address = gate.url()["http://".len()..].to_owned();
    gate.kill();
    let impostor = Impostor::on(&address);
    let booked = ask(
        "POST",
        &format!("{}/agendamentos", scheduler.url()),
        &json!({"cientista_id": 1, "horario_inicio_utc": SLOT}),
        None,
    );
    assert_eq!(booked.status, 201, "{}", booked.body);
    assert_eq!(http("GET", &format!("{}/pronto", scheduler.url()), None).status, 200);
    assert!(impostor.leave().contains(SLOT_LOCK));
}

#[test]
fn a_coordinator_with_another_secret_or_none_is_refused_and_says_no_word_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| new_secret(folder.path(), name));
    for (of_coordinator, says) in [
        (Some(theirs.as_path()), "a resposta ao desafio não confere com o segredo"),
        (None, "começou sem o segredo (--coordinator-token-file)"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let (gate, scheduler) = start(&data, "127.0.0.1:0", of_coordinator, Some(&ours), &[]);
        let booking = json!({"cientista_id": 1, "horario_inicio_utc": SLOT});
        let refused = ask("POST", &format!("{}/agendamentos", scheduler.url()), &booking, None);
        assert_eq!((refused.status, refused.json()["codigo"].as_str()), (503, Some("coordenador_indisponivel")));
        let part = http("GET", &format!("{}/pronto", scheduler.url()), None).json()["partes"]["coordenador"].clone();
        assert!(part.as_str().unwrap().contains(says), "{part}");
        let locks = http("GET", &format!("{}/locks", gate.url()), None).json();
        assert_eq!(locks["travas"], json!([]));
        for file in ["app.log", "coordenador.log", "audit.jsonl"] {
            let text = std::fs::read_to_string(data.path().join(file)).unwrap();
            for secret in [&ours, &theirs].map(|path| secret_in(path)) {
                assert!(!text.contains(&secret), "{file}");
            }
        }
    }
}

#[test]
fn a_scheduler_without_the_secret_says_that_its_coordinator_does_not_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = new_secret(folder.path(), "secret");
    for args in [&[][..], &["--access", "token"]] {
        let data = tempfile::tempdir().unwrap();
        let (_gate, scheduler) = start(&data, "127.0.0.1:0", Some(&file), None, args);
        let booking = json!({"cientista_id": 1, "horario_inicio_utc": SLOT});
        let refused = ask("POST", &format!("{}/agendamentos", scheduler.url()), &booking, None);
        assert_eq!(
            (refused.status, refused.json()["codigo"].as_str()),
            (503, Some("coordenador_indisponivel")),
            "{args:?}"
        );
        let ready = http("GET", &format!("{}/pronto", scheduler.url()), None);
        let part = ready.json()["partes"]["coordenador"].clone();
        assert!(
            ready.status == 503 && part.as_str().unwrap().contains("não reconhece este agendador"),
            "{args:?}: {part}"
        );
    }
}

#[test]
fn the_other_address_is_tried_when_the_first_is_an_impostors() {
    let folder = tempfile::tempdir().unwrap();
    let file = new_secret(folder.path(), "secret");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let impostor = Impostor::on(&port.to_string());
    let mut gate = coordinator_command(folder.path(), "127.0.0.1:0");
    let gate = Server::spawn(gate.args(["--coordinator-token-file", file.to_str().unwrap()]), 1);
    let urls = format!("http://{port},{}", gate.url());
    let mut scheduler = crate::common::scheduler_command(folder.path(), &urls);
    let scheduler = Server::spawn(scheduler.args(["--coordinator-token-file", file.to_str().unwrap()]), 1);
    let booking = json!({"cientista_id": 1, "horario_inicio_utc": SLOT});
    let booked: Value = ask("POST", &format!("{}/agendamentos", scheduler.url()), &booking, None).json();
    assert_eq!(booked["status"], "AGENDADO", "{booked}");
    assert!(!impostor.leave().contains("earer"));
}
