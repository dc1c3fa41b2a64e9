//! The token of a tool: from a file or the variable, in each request to the service that was named, and in no text.

use std::fs::{Permissions, set_permissions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::common::certificates::write_private;
use crate::common::{Services, peer, sctec};

/// The token of 32 zero bytes.
const TOKEN: &str = "sctec_00000000000000000000000000000000000000000003Jut82";
/// The same with an error in its last digit.
const MISCOPIED: &str = "sctec_00000000000000000000000000000000000000000003Jut83";

/// Between a tool and a service: what the tool sends is kept, and goes on.
struct Recorder {
    url: String,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    fn before(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (url, service) =
            (format!("http://{}", listener.local_addr().unwrap()), service["http://".len()..].to_owned());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                let Ok(to) = TcpStream::connect(&service) else { return };
                let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut back_from, &mut back_to);
                    let _ = back_to.shutdown(Shutdown::Write);
                });
                let kept = Arc::clone(&kept);
                thread::spawn(move || pass_on(from, to, &kept));
            }
        });
        Self { url, sent }
    }

    /// How many requests were sent, and how many of them with the token.
    fn counted(&self) -> (usize, usize) {
        let sent = String::from_utf8(self.sent.lock().unwrap().clone()).unwrap();
        let with = format!("authorization: bearer {}", TOKEN.to_ascii_lowercase());
        (sent.matches(" HTTP/1.1\r\n").count(), sent.to_ascii_lowercase().matches(&with).count())
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, kept: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        kept.lock().unwrap().extend_from_slice(&bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A slot that no other call gave.
pub fn another_slot() -> String {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let number = GIVEN.fetch_add(1, Ordering::Relaxed);
    format!("2030-06-{:02}T{:02}:{:02}:00Z", 1 + number / 288, number / 12 % 24, number % 12 * 5)
}

/// Each tool, and its exit status when it cannot run.
fn tools(scheduler: &str, coordinator: &str) -> Vec<(Vec<String>, i32)> {
    let words = |text: String| text.split(' ').map(str::to_owned).collect();
    vec![
        (words(format!("stress --url {scheduler} -n 3 -c 2")), 2),
        (words(format!("clock-sync --url {scheduler} --samples 2 --interval-ms 0")), 2),
        (words(format!("health --timeout 30s {scheduler}")), 2),
        (words(format!("health --timeout 30s --ready {coordinator}")), 2),
        (words(format!("agenda --url {scheduler}")), 2),
        // Each call names another slot. The first booking is cancelled again and again, which is no failure.
        (words(format!("book {} --scientist 7 --url {scheduler}", another_slot())), 2),
        (words(format!("cancel 1 --url {scheduler}")), 2),
        (words(format!("bookings --url {scheduler}")), 2),
        (words(format!("locks --url {coordinator}")), 2),
        (words(format!("lock X --coordinator {coordinator} -- true")), 125),
    ]
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn run(command: &mut Command, status: i32) -> String {
    let output = command.output().unwrap();
    let told = told(&output);
    assert_eq!(output.status.code(), Some(status), "{command:?}: {told}");
    assert!(!told.contains(&TOKEN[6..20]), "{command:?}: {told}");
    told
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    write_private(&path, text);
    path
}

#[test]
fn every_request_of_every_tool_has_the_token_of_the_file_or_the_variable() {
    let services = Services::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let token = file(folder.path(), "token", &format!(" {TOKEN}\r\n"));
    for index in 0..tools("", "").len() {
        let path = token.to_str().unwrap();
        let with = [
            ("a file", [("SCTEC_TOKEN_FILE", path), ("SCTEC_TOKEN", "another")]),
            ("the variable", [("SCTEC_TOKEN_FILE", ""), ("SCTEC_TOKEN", TOKEN)]),
            ("nothing", [("SCTEC_TOKEN_FILE", ""), ("SCTEC_TOKEN", "")]),
        ];
        for (name, variables) in with {
            let agenda = Recorder::before(&services.scheduler.url());
            let locks = Recorder::before(&services.coordinator.url());
            let (tool, _) = tools(&agenda.url, &locks.url).swap_remove(index);
            let said = run(sctec().args(&tool).envs(variables), 0);
            assert!(!said.contains("warning"), "{said}");
            let ((agenda, agenda_with), (locks, locks_with)) = (agenda.counted(), locks.counted());
            let sent = agenda + locks;
            assert!(sent > 0, "{tool:?}");
            assert_eq!(agenda_with + locks_with, if name == "nothing" { 0 } else { sent }, "{tool:?} with {name}");
        }
    }
}

#[test]
fn a_file_or_variable_without_a_token_is_refused_and_its_content_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("falta");
    let nobody = crate::common::nobody();
    for (path, said) in [
        (missing.clone(), "cannot read the token in "),
        (folder.path().to_owned(), "cannot read the token in "),
        (file(folder.path(), "vazio", " \n"), "vazio has no token: it is empty"),
        (file(folder.path(), "dois", &format!("{TOKEN}\n{TOKEN}\n")), "dois has no token: a token is one word"),
        (file(folder.path(), "trocado", MISCOPIED), "trocado was copied with an error: its checksum"),
        (file(folder.path(), "longo", &TOKEN.repeat(100)), "longo has no token: it is longer than any token"),
    ] {
        for (tool, status) in tools(&nobody, &nobody) {
            let told = run(sctec().args(&tool).env("SCTEC_TOKEN_FILE", &path), status);
            assert!(told.contains(said), "{told}");
        }
    }
    for (tool, status) in tools(&nobody, &nobody) {
        for (text, said) in [
            (format!("{TOKEN} {TOKEN}"), "SCTEC_TOKEN has no token: a token is one word"),
            (MISCOPIED.to_owned(), "the token in SCTEC_TOKEN was copied with an error"),
        ] {
            let told = run(sctec().args(&tool).env("SCTEC_TOKEN", text), status);
            assert!(told.contains(said) && !told.contains("Jut83"), "{told}");
        }
    }
}

#[test]
fn a_refusal_of_the_token_says_what_to_do() {
    for (answered, said) in [
        (401, "it has to know who asks: give a token with --token-file FILE"),
        (403, "it does not allow this: \"Falta o papel operador.\"; ask an operator for the role that is missing"),
    ] {
        let problem = json!({"status": answered, "codigo": "sem_papel", "detail": "Falta o papel operador."});
        let service = peer::start(move |_, _, _| (answered, problem.clone()));
        for (tool, status) in tools(&service, &service) {
            let told = run(sctec().args(&tool).env("SCTEC_TOKEN", TOKEN), status);
            assert!(told.contains(&format!("answered {answered}")) && told.contains(said), "{tool:?}: {told}");
        }
    }
}

#[test]
fn no_text_shows_the_token_and_careless_use_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let token = file(folder.path(), "token", TOKEN);
    for command in
        ["agenda", "book", "cancel", "bookings", "stress", "clock-sync", "health", "locks", "lock", "serve-scheduler"]
    {
        for help in ["-h", "--help"] {
            run(sctec().args([command, help]).env("SCTEC_TOKEN", TOKEN), 0);
        }
        let status = if command == "lock" { 125 } else { 2 };
        run(sctec().args([command, "--nonsense"]).env("SCTEC_TOKEN", TOKEN), status);
    }
    let status = |args: &[&str], status| run(sctec().args(args).env("SCTEC_TOKEN_FILE", &token), status);
    // An address of the documentation: nobody answers there.
    let far = ["health", "http://192.0.2.1:9", "--timeout", "1ms"];
    let output = sctec().args(far).env("SCTEC_TOKEN", TOKEN).output().unwrap();
    let said = told(&output);
    assert!(said.contains("warning: the token goes to http://192.0.2.1:9 unencrypted"), "{said}");
    assert!(!said.contains(&TOKEN[6..20]), "{said}");
    let nobody = crate::common::nobody();
    let with_user = nobody.replace("http://", "http://u:segredo@");
    let said = status(&["locks", "--url", &with_user], 2);
    assert!(said.contains("has a user, and a token is given too") && !said.contains("segredo"), "{said}");
    assert!(!status(&["locks", "--url", &nobody], 2).contains("warning"));
    set_permissions(&token, Permissions::from_mode(0o640)).unwrap();
    let said = status(&["locks", "--url", &nobody], 2);
    assert!(
        said.contains(&format!("warning: other users can read the token in {}: chmod 600", token.display())),
        "{said}"
    );
}
