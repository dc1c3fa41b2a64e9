//! The page behind nginx, below a path and over TLS, with the lines that OPERACAO.md gives.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use fantoccini::key::Key;
use serde_json::json;
use tempfile::TempDir;

use super::driver::{Browser, Turn};
use super::fixture::{DAY, book, cell, wait_kind, wait_live};
use crate::common::access::give;
use crate::common::certificates::{Authority, HERE};
use crate::common::{Services, free_port, http_with, signal, wait_until};

/// An nginx of the test's own.
struct Nginx {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Nginx {
    /// In front of a scheduler's address, which clients see below `/sctec/`.
    fn start(scheduler: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let issued = Authority::new().issue(&HERE);
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("cert.pem", &issued.cert);
        file("key.pem", &issued.key);
        // nginx cannot choose a port by itself.
        let port = free_port();
        let manual = include_str!("../../../docs/OPERACAO.md");
        let (_, rest) = manual.split_once("location /sctec/ {").expect("OPERACAO.md has these lines");
        let location = rest.split_once('}').unwrap().0.replace("127.0.0.1:5000", scheduler);
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = kinds.map(|kind| format!("{kind}_temp_path {kind};")).join("\n");
        file(
            "nginx.conf",
            &format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n
                 server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate cert.pem;\nssl_certificate_key key.pem;
                 location /sctec/ {{{location}}}\n}}\n}}\n"
            ),
        );
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf")).args(["-e", "stderr"]);
        let child = nginx.stdin(Stdio::null()).spawn().expect("nginx starts");
        wait_until("nginx listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, url: format!("https://localhost:{port}/sctec/"), _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs nginx, chromium and chromedriver"]
async fn the_page_works_below_a_path_over_tls_also_signed_in_and_live() {
    let _turn = Turn::take();
    let services = Services::start(&["--base-path", "/sctec", "--allowed-host", "localhost", "--access", "token"]);
    let marie = give(services.data_dir(), &["marie", "--role", "cientista", "--scientist", "7"]);
    let bia = give(services.data_dir(), &["bia", "--role", "operador"]);
    let nginx = Nginx::start(&services.agenda_address());
    let browser = Browser::start_with(&["--ignore-certificate-errors"]).await;
    browser.client.goto(&format!("{}#Hubble-Acad@{DAY}", nginx.url)).await.unwrap();
    for (given, name) in [(&bia, "bia"), (&marie, "marie")] {
        browser.wait("the form to sign in", "return document.querySelector('#sign-in[open] input')").await;
        browser
            .ask(&format!("document.querySelector('#sign-in [name=token]').value = '{}'; return true", given.token))
            .await;
        browser.click("#sign-in button[type=submit]").await;
        browser.wait_text("#who", name).await;
        wait_live(&browser, "on").await;
        wait_kind(&browser, "06:00", "free").await;
        if name == "bia" {
            browser.click("#office").await;
            browser.wait_text("#dialog .items", "Acadêmico Webb").await;
            browser.key(Key::Escape).await;
            browser.click("#sign").await;
        }
    }
    book(&browser, "05:00").await;
    browser.wait_text("dialog .outcome.won", "05:00–05:05").await;
    browser.key(Key::Enter).await;
    // An event comes through the proxy at once.
    let body = json!({"cientista_id": 3, "horario_inicio_utc": format!("{DAY}T06:00:00Z")}).to_string();
    let bearer = format!("Bearer {}", bia.token);
    let url = services.agenda("/agendamentos");
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(http_with("POST", &url, Some(("application/json", &body)), &headers).status, 201);
    wait_kind(&browser, "06:00", "other").await;
    browser.click("#as-mine").await;
    browser.wait_text("#mine", "05:00–05:05 UTC").await;
    browser.click("#mine .danger").await;
    browser.wait_text("#dialog h2", "Cancelar 05:00–05:05?").await;
    browser.click("#dialog .danger").await;
    browser.wait_text("#mine", "Nenhum agendamento a partir de agora.").await;
    browser.click("#as-day").await;
    wait_kind(&browser, "05:00", "free").await;
    browser.click(&cell("05:00")).await;
    browser.wait_text("dialog h2", "Agendar 05:00–05:05").await;
    browser.assert_clean(&nginx.url);
}
