//! Answers that do not arrive: clients that leave, a proxy that loses answers, a service whose answers are away for a while.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{KEY, SLOT, at_once, book, code, is_replayed, post, records, shape};
use crate::common::{Asked, Services, try_http, wait_until};
use crate::observing::run_at;

/// Sends a booking and closes the connection, at once or when an answer has come.
pub fn send_and_leave(url: &str, body: &str, key: &str, waits: bool) -> std::io::Result<()> {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /agendamentos HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    if waits {
        stream.read_exact(&mut [0; 1])?;
    }
    Ok(())
}

/// A proxy that loses answers to `POST`.
#[derive(Default)]
struct Losing {
    /// How many more it loses.
    answers: AtomicUsize,
    /// How many bytes of each it passes on, before it closes the connection.
    bytes: AtomicUsize,
}

impl Losing {
    /// Gives its URL.
    fn start(to: &str) -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (losing, to) = (Arc::new(Self::default()), to.strip_prefix("http://").unwrap().to_owned());
        let shared = Arc::clone(&losing);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (losing, to) = (Arc::clone(&shared), to.clone());
                // A connection that breaks is its client's affair.
                thread::spawn(move || drop(losing.pass(client, &to)));
            }
        });
        (url, losing)
    }

    fn pass(&self, mut client: TcpStream, to: &str) -> std::io::Result<()> {
        let mut service = TcpStream::connect(to)?;
        let (mut asking, mut asked) = (client.try_clone()?, service.try_clone()?);
        let posts = Arc::new(AtomicBool::new(false));
        let is_posting = Arc::clone(&posts);
        thread::spawn(move || -> std::io::Result<()> {
            let mut buffer = [0; 4096];
            loop {
                let read = asking.read(&mut buffer)?;
                // The client waits for each answer, so a request begins with a piece.
                if buffer[..read].starts_with(b"POST") {
                    is_posting.store(true, Ordering::SeqCst);
                }
                asked.write_all(&buffer[..read])?;
                if read == 0 {
                    return asked.shutdown(Shutdown::Write);
                }
            }
        });
        let mut buffer = [0; 8 * 1024];
        loop {
            let read = service.read(&mut buffer)?;
            let loses = posts.load(Ordering::SeqCst)
                && self.answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let passes = if loses { read.min(self.bytes.load(Ordering::SeqCst)) } else { read };
            client.write_all(&buffer[..passes])?;
            if read == 0 || loses {
                client.shutdown(Shutdown::Both)?;
                return service.shutdown(Shutdown::Both);
            }
        }
    }
}

#[test]
fn an_answer_that_a_proxy_loses_is_given_when_the_request_is_repeated() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (proxy, losing) = Losing::start(&services.agenda(""));
    for (number, bytes) in (1..).zip([0, 1, 17, 200, 900]) {
        losing.bytes.store(bytes, Ordering::SeqCst);
        losing.answers.store(3, Ordering::SeqCst);
        let (asked, key) = (Asked::by(7, &format!("2031-03-01T{number:02}:00:00Z")), format!("key-{number}"));
        let request = || {
            let agent: ureq::Agent =
                ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
            let request = agent.post(format!("{proxy}/agendamentos")).header("Idempotency-Key", &key);
            request
                .content_type("application/json")
                .send(asked.text())
                .and_then(|mut it| it.body_mut().read_to_string())
        };
        for _ in 0..3 {
            assert!(request().is_err(), "the answer is lost");
        }
        wait_until("the key answers", || book(&services.agenda(""), &asked, &key).status == 201);
        let answered = request().expect("an answer");
        assert_eq!(answered, book(&services.agenda(""), &asked, &key).body);
        assert_eq!((services.list("").len(), records(&services, "AGENDAMENTO_CRIADO")), (number, number));
    }
}

#[test]
fn the_command_repeats_a_request_whose_answer_was_lost() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let (proxy, losing) = Losing::start(&services.agenda(""));
    let command = ["book", SLOT, "--scientist", "7"];
    losing.answers.store(2, Ordering::SeqCst);
    let (status, line, said) = run_at(&proxy, &command);
    assert!(status == 0 && line.starts_with("1\t"), "{line}{said}");
    assert!(said.contains("but the booking was made, once: the request was sent again with the same key"), "{said}");
    assert_eq!((services.list("").len(), records(&services, "AGENDAMENTO_CRIADO")), (1, 1));
    // Each command has a key of its own: the same command again is another request.
    let (status, _, said) = run_at(&proxy, &command);
    assert!(status == 1 && said.contains("is booked by 7 Marie Curie"), "{said}");
}

#[test]
fn a_request_whose_client_has_left_holds_its_key_until_it_is_carried_out() {
    let services = Services::start(&["--critical-delay-ms", "700", "--lock-retention-ms", "0"]);
    let second = services.another_scheduler(&[]);
    let asked = Asked::by(7, SLOT);
    send_and_leave(&services.agenda(""), &asked.text(), KEY, false).unwrap();
    wait_until("the slot is locked", || {
        services.read_log("app.log").iter().any(|line| line.contains("Iniciando verificação de conflito no BD"))
    });
    // Its own repetition is told apart from a rival, here and at another scheduler.
    for url in [services.agenda(""), second.url()] {
        assert_eq!(code(&book(&url, &asked, KEY)), "chave_em_andamento");
        assert_eq!(code(&asked.at(&url)), "recurso_ocupado");
    }
    wait_until("it is carried out", || book(&second.url(), &asked, KEY).status == 201);
    let answers = [services.agenda(""), second.url()].map(|url| book(&url, &asked, KEY));
    assert!(answers.iter().all(is_replayed));
    assert_eq!(shape(&answers[0]), shape(&answers[1]));
    assert_eq!((services.list("").len(), records(&services, "AGENDAMENTO_CRIADO")), (1, 1));
}

#[test]
fn kills_at_any_moment_leave_one_booking_for_each_key_and_one_answer() {
    let mut services = Services::start(&["--lock-retention-ms", "0", "--lock-ttl-ms", "1000"]);
    for round in 0..6_usize {
        let (asked, key) = (Asked::by(7, &format!("2031-04-{:02}T03:00:00Z", round + 1)), format!("key-{round}"));
        let url = services.agenda("");
        thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    let (url, text, key) = (url.clone(), asked.text(), key.clone());
                    scope.spawn(move || {
                        let _ = send_and_leave(&url, &text, &key, true);
                    })
                })
                .collect();
            // At a later moment in each round, at the latest when the answer is kept.
            for _ in 0..round * 3 {
                if services.count("SELECT count(*) FROM respostas") > round {
                    break;
                }
            }
            services.scheduler.kill();
            for client in clients {
                client.join().unwrap();
            }
        });
        services.restart_scheduler(&["--lock-retention-ms", "0", "--lock-ttl-ms", "1000"]);
        wait_until("the key answers", || book(&services.agenda(""), &asked, &key).status == 201);
        let answers = at_once(&[services.agenda("")], 4, &asked, &key);
        let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).map(shape).collect();
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]) && !made.is_empty());
        assert_eq!((services.list("").len(), records(&services, "AGENDAMENTO_CRIADO")), (round + 1, round + 1));
    }
}

#[test]
fn what_a_coordinator_that_is_away_kept_from_being_booked_is_booked_by_the_repetition() {
    let mut services = Services::start(&["--lock-retention-ms", "0"]);
    services.coordinator.kill();
    let asked = Asked::by(7, SLOT);
    assert_eq!(code(&book(&services.agenda(""), &asked, KEY)), "coordenador_indisponivel");
    services.restart_coordinator();
    wait_until("it is back", || book(&services.agenda(""), &asked, KEY).status == 201);
    let again = book(&services.agenda(""), &asked, KEY);
    assert!(is_replayed(&again), "{}", again.body);
    let telescope = r#"{"id": "SALSA", "nome": "Onsala"}"#;
    assert_eq!(post(&services.agenda(""), "/telescopios", telescope, "t").status, 201);
    assert!(
        try_http("POST", &services.agenda("/telescopios"), Some(telescope)).is_ok_and(|answer| answer.status == 409)
    );
}
