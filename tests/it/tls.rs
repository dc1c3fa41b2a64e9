//! The services over TLS: their answers, certificates that are renewed or wrong, and clients that speak without it.

use std::fs::{Permissions, rename, set_permissions, write};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::certificates::{Authority, HERE, Issued, write_private};
use crate::common::{Server, sctec, wait_until};

const SCHEDULER: &str = "servico-agendamento";
const COORDINATOR: &str = "servico-coordenador";

/// Both services in one process, over TLS.
struct Secure {
    authority: Authority,
    issued: Issued,
    files: [PathBuf; 2],
    server: Server,
    folder: TempDir,
}

impl Secure {
    fn start() -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let issued = authority.issue(&HERE);
        let files = issued.files(folder.path());
        let server = Server::spawn(&mut serve_all(folder.path(), &files), 2);
        Self { authority, issued, files, server, folder }
    }

    fn leaf(&self, service: &str) -> Vec<u8> {
        self.authority.connect(&self.server.url_of(service)).leaf()
    }

    /// Waits until both services present a certificate.
    fn wait_for(&self, issued: &Issued) {
        wait_until("both services present the new certificate", || {
            [SCHEDULER, COORDINATOR].iter().all(|service| self.leaf(service) == issued.leaf())
        });
    }

    fn logged(&self, text: &str) -> usize {
        self.server.lines().iter().filter(|line| line.contains(text)).count()
    }
}

fn serve_all(folder: &Path, files: &[PathBuf; 2]) -> std::process::Command {
    let mut command = sctec();
    command.args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0", "--data-dir"]);
    command.arg(folder.join("dados")).arg("--tls-cert").arg(&files[0]).arg("--tls-key").arg(&files[1]);
    command
}

#[test]
fn both_services_answer_over_tls_and_the_scheduler_books_with_its_coordinator() {
    let secure = Secure::start();
    for (service, path) in [(SCHEDULER, "/time"), (COORDINATOR, "/locks")] {
        let url = secure.server.url_of(service);
        assert!(url.starts_with("https://"), "{url}");
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut client = secure.authority.connect_by(&url, &[version]).unwrap();
            assert_eq!((client.leaf(), client.protocol().as_str()), (secure.issued.leaf(), "http/1.1"));
            for _ in 0..2 {
                let answer = client.ask(&format!("GET {path} HTTP/1.1\r\n"));
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            }
        }
    }
    let mut client = secure.authority.connect(&secure.server.url_of(SCHEDULER));
    let booking = "POST /agendamentos HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 65\r\n";
    let body = r#"{"cientista_id":7,"horario_inicio_utc":"2031-05-06T03:00:00Z"}   "#;
    assert_eq!(body.len(), 65);
    let answer = client.ask_with(booking, body);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    // The links are paths, and so need no scheme.
    assert!(answer.contains("\"href\":\"/agendamentos/1\"") && !answer.contains("http://"), "{answer}");
    assert!(secure.server.lines().iter().any(|line| line.contains("Lock concedido")));
}

#[test]
fn with_tls_a_page_of_the_same_host_without_it_is_another_origin() {
    let secure = Secure::start();
    for service in [SCHEDULER, COORDINATOR] {
        let mut client = secure.authority.connect(&secure.server.url_of(service));
        let mut status = |origin: &str| {
            let answer = client.ask(&format!("GET / HTTP/1.1\r\nAccept: application/json\r\nOrigin: {origin}\r\n"));
            answer[9..12].to_owned()
        };
        assert_eq!([status("https://localhost"), status("http://localhost")], ["200", "403"]);
    }
}

#[test]
fn a_client_without_tls_is_told_so_and_one_with_tls_at_a_plain_port_does_not_hang() {
    let secure = Secure::start();
    for service in [SCHEDULER, COORDINATOR] {
        for request in [
            "GET /time HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{}",
        ] {
            let answer = plain(&secure.server.url_of(service), request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"falta_tls\""), "{answer}");
            assert!(answer.contains("use https://"), "{answer}");
        }
        // No HTTP either.
        let answer = plain(&secure.server.url_of(service), b"SSH-2.0-x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let open = Server::start(&["serve-coordinator", "--listen", "127.0.0.1:0"]);
    let refused = secure.authority.connect_by(&open.url(), rustls::DEFAULT_VERSIONS);
    assert!(refused.is_err());
}

/// What a service answers to bytes, up to the end of the connection.
fn plain(url: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&url["https://".len()..]).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn half_a_handshake_holds_up_neither_others_nor_a_stop() {
    let mut secure = Secure::start();
    let url = secure.server.url_of(SCHEDULER);
    let mut half = TcpStream::connect(&url["https://".len()..]).unwrap();
    half.write_all(&[0x16, 3, 1, 2, 0]).unwrap();
    let _silent = TcpStream::connect(&url["https://".len()..]).unwrap();
    assert!(secure.authority.connect(&url).ask("GET /time HTTP/1.1\r\n").starts_with("HTTP/1.1 200 "));
    assert_eq!(secure.server.terminate(), Some(0));
    assert_eq!(secure.logged("Requisições ainda em curso"), 0);
}

#[test]
fn a_renewed_certificate_is_presented_to_new_connections_and_old_ones_go_on() {
    let secure = Secure::start();
    let mut kept = secure.authority.connect(&secure.server.url_of(SCHEDULER));
    // As certbot does it with a hook, or a person with mv.
    let renewed = secure.authority.issue(&HERE);
    let beside = tempfile::tempdir_in(secure.folder.path()).unwrap();
    for (from, to) in renewed.files(beside.path()).iter().zip(&secure.files) {
        rename(from, to).unwrap();
    }
    secure.wait_for(&renewed);
    assert!(kept.ask("GET /time HTTP/1.1\r\n").starts_with("HTTP/1.1 200 "));
    assert_eq!(kept.leaf(), secure.issued.leaf());
    wait_until("both logs tell of it", || secure.logged("Certificado TLS lido de novo") == 2);
    // Written in place.
    let again = secure.authority.issue(&HERE);
    again.files(secure.folder.path());
    secure.wait_for(&again);
    assert_eq!(secure.logged("não serve"), 0);
}

#[test]
fn a_folder_that_is_exchanged_behind_a_link_is_noticed() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let [first, second] = [authority.issue(&HERE), authority.issue(&HERE)];
    for (name, issued) in [("1", &first), ("2", &second)] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        issued.files(&folder.path().join(name));
    }
    // As Kubernetes mounts a secret: files are links through a link that is exchanged.
    symlink("1", folder.path().join("..data")).unwrap();
    let files = ["certificado.pem", "chave.pem"].map(|name| {
        symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
        folder.path().join(name)
    });
    let server = Server::spawn(&mut serve_all(folder.path(), &files), 2);
    let leaf = || authority.connect(&server.url_of(SCHEDULER)).leaf();
    assert_eq!(leaf(), first.leaf());
    symlink("2", folder.path().join("..new")).unwrap();
    rename(folder.path().join("..new"), folder.path().join("..data")).unwrap();
    wait_until("the new certificate is presented", || leaf() == second.leaf());
}

#[test]
fn a_pair_that_does_not_fit_is_told_of_and_the_one_before_goes_on() {
    let secure = Secure::start();
    let other = secure.authority.issue(&HERE);
    let wrong = "O certificado ou a chave TLS mudou e não serve";
    write(&secure.files[0], &other.cert).unwrap();
    wait_until("both logs tell of it", || secure.logged(wrong) == 2);
    assert_eq!(secure.logged("não é a do certificado em"), 2);
    write(&secure.files[0], &other.cert[..other.cert.len() / 2]).unwrap();
    wait_until("both logs tell of it", || secure.logged(wrong) == 4);
    assert_eq!(secure.leaf(SCHEDULER), secure.issued.leaf());
    std::fs::remove_file(&secure.files[0]).unwrap();
    wait_until("both logs tell of it", || secure.logged("não é possível ler") == 2);
    assert_eq!(secure.leaf(COORDINATOR), secure.issued.leaf());
    other.files(secure.folder.path());
    secure.wait_for(&other);
}

#[test]
fn a_key_that_others_may_read_is_told_of_and_used() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let files = authority.issue(&HERE).files(folder.path());
    set_permissions(&files[1], Permissions::from_mode(0o444)).unwrap();
    let server = Server::spawn(&mut serve_all(folder.path(), &files), 2);
    wait_until("both logs tell of it", || {
        let told = server.lines().iter().filter(|line| line.contains("Outros usuários podem ler a chave TLS")).count();
        told == 2
    });
    assert!(server.lines().iter().any(|line| line.contains("(modo 0444): chmod 600")));
}

#[test]
fn a_certificate_or_key_that_cannot_be_used_is_named_at_the_start() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let issued = authority.issue(&HERE);
    let [cert, key] = issued.files(folder.path());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        write_private(&path, text);
        path
    };
    let other_key = file("outra.pem", &authority.issue(&HERE).key);
    let encrypted = file("cifrada.pem", &issued.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
    let (empty, cut) = (file("vazio.pem", ""), file("meio.pem", &issued.cert[..100]));
    let garbage = file("lixo.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = folder.path().join("falta.pem");
    for (cert, key, said) in [
        (&missing, &key, format!("cannot read {}: No such file or directory", missing.display())),
        (&cert, &missing, format!("cannot read {}: No such file or directory", missing.display())),
        (&folder.path().to_owned(), &key, "is not a regular file".to_owned()),
        (&empty, &key, format!("there is no certificate in {}", empty.display())),
        (&key, &cert, format!("there is no certificate in {}", key.display())),
        (&cut, &key, format!("{} is damaged", cut.display())),
        (&garbage, &key, format!("the certificate in {} is malformed", garbage.display())),
        (&cert, &cert, format!("there is no private key in {}", cert.display())),
        (&cert, &encrypted, format!("there is no private key in {}", encrypted.display())),
        (
            &cert,
            &other_key,
            format!("the key in {} is not the key of the certificate in {}", other_key.display(), cert.display()),
        ),
    ] {
        for command in ["serve-all", "serve-scheduler", "serve-coordinator"] {
            let mut started = sctec();
            started.arg(command).arg("--tls-cert").arg(cert).env("SCTEC_TLS_KEY", key);
            let ended = started.current_dir(folder.path()).output().unwrap();
            let told = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(ended.status.code() == Some(2) && told.contains(&said), "{told}");
        }
    }
    for (given, missing) in [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")] {
        let ended = sctec().args(["serve-all", given]).arg(&cert).current_dir(folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.code() == Some(2) && told.contains(&format!("give {missing} FILE")), "{told}");
    }
    // An empty variable is none: a composition passes one on that is not set.
    let files = [PathBuf::new(), PathBuf::new()];
    let server = Server::spawn(&mut serve_all(folder.path(), &files), 2);
    assert!(server.url_of(SCHEDULER).starts_with("http://"));
}
