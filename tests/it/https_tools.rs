//! Each tool over `https://`: whose certificates it believes, and what it says of the others.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bearer::another_slot;
use crate::common::certificates::{Authority, HERE, Issued};
use crate::common::{Server, coordinator_command, http, scheduler_command, sctec, wait_until};

/// Both services, each a process of its own, with a certificate from an authority of the test's.
struct Secure {
    authority: PathBuf,
    scheduler: Server,
    coordinator: Server,
    folder: TempDir,
}

impl Secure {
    fn start(names: &[&str]) -> Self {
        let authority = Authority::new();
        let issued = authority.issue(names);
        Self::start_with(&authority.pem, &issued)
    }

    fn start_with(authority: &str, issued: &Issued) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("autoridade.pem");
        std::fs::write(&ca, authority).unwrap();
        let files = issued.files(folder.path());
        let secured = |mut command: Command| {
            command.arg("--tls-cert").arg(&files[0]).arg("--tls-key").arg(&files[1]);
            command
        };
        let coordinator = Server::spawn(&mut secured(coordinator_command(&folder.path().join("c"), "127.0.0.1:0")), 1);
        let mut scheduler = secured(scheduler_command(&folder.path().join("s"), &by_name(&coordinator.url())));
        let scheduler = Server::spawn(scheduler.arg("--ca").arg(&ca), 1);
        Self { authority: ca, scheduler, coordinator, folder }
    }

    /// Each tool, and its exit status when it cannot run.
    fn tools(&self) -> Vec<(Vec<String>, i32)> {
        tools(&by_name(&self.scheduler.url()), &by_name(&self.coordinator.url()))
    }
}

/// A URL with the name of this machine in place of its address.
fn by_name(url: &str) -> String {
    url.replace("127.0.0.1", "localhost")
}

fn tools(scheduler: &str, coordinator: &str) -> Vec<(Vec<String>, i32)> {
    let words = |text: String| text.split(' ').map(str::to_owned).collect();
    vec![
        (words(format!("stress --url {scheduler} -n 3")), 2),
        (words(format!("clock-sync --url {scheduler} --samples 1")), 2),
        (words(format!("health {scheduler}")), 2),
        (words(format!("health --ready {coordinator}")), 2),
        (words(format!("agenda --url {scheduler}")), 2),
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
fn works(command: &mut Command) {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{command:?}: {}", told(&output));
}

#[track_caller]
fn fails(command: &mut Command, status: i32, said: &str) {
    let output = command.output().unwrap();
    let told = told(&output);
    assert!(output.status.code() == Some(status) && told.contains(said), "{command:?}: {:?} {told}", output.status);
}

#[test]
fn every_tool_and_the_scheduler_believe_the_authority_in_a_file_or_the_systems() {
    let secure = Secure::start(&HERE);
    for index in 0..secure.tools().len() {
        let tool = || secure.tools().swap_remove(index).0;
        let first = tool();
        works(sctec().args(&first[..1]).arg("--ca").arg(&secure.authority).args(&first[1..]));
        works(sctec().args(tool()).env("SCTEC_CA", &secure.authority));
        works(sctec().args(tool()).env("SSL_CERT_FILE", &secure.authority).env("SCTEC_CA", ""));
    }
    assert!(secure.coordinator.lines().iter().any(|line| line.contains("Lock concedido para recurso Hubble-Acad_")));
}

#[test]
fn an_unknown_authority_is_told_of_with_the_option_that_names_one() {
    let secure = Secure::start(&HERE);
    let other = secure.folder.path().join("outra.pem");
    std::fs::write(&other, Authority::new().pem).unwrap();
    for (tool, status) in secure.tools() {
        let said = "no authority that is believed here has signed its certificate; give the authority's certificate with --ca FILE";
        fails(sctec().args(&tool).env("SCTEC_CA", &other), status, said);
        fails(sctec().args(&tool).env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null"), status, said);
    }
    let nothing = secure.folder.path().join("nada.pem");
    for (tool, status) in secure.tools() {
        fails(sctec().args(&tool).env("SCTEC_CA", &nothing), status, "--ca: cannot read ");
    }
    // The scheduler says it in its log and its answers.
    let data = secure.folder.path().join("t");
    let mut command = scheduler_command(&data, &by_name(&secure.coordinator.url()));
    let unbelieving = Server::spawn(command.arg("--ca").arg(&other), 1);
    let ready = http("GET", &format!("{}/pronto", unbelieving.url()), None);
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("o certificado não é de uma autoridade conhecida aqui"), "{}", ready.body);
}

#[test]
fn another_name_and_an_expired_certificate_are_told_apart() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str, issued: &Issued| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let files = issued.files(&folder);
        let mut command = sctec();
        command.args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0", "--data-dir"]);
        command.arg(folder.join("dados")).arg("--tls-cert").arg(&files[0]).arg("--tls-key").arg(&files[1]);
        Server::spawn(&mut command, 2)
    };
    let ca = folder.path().join("autoridade.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let named = start("nome", &authority.issue(&["sctec.example", "10.0.0.7"]));
    let old = start("velho", &authority.issue_until(&HERE, 2024));
    for (server, said) in [
        (&named, "its certificate is for sctec.example, 10.0.0.7; use such a name in "),
        (&old, "its certificate has expired; renew it"),
    ] {
        let [scheduler, coordinator] =
            ["servico-agendamento", "servico-coordenador"].map(|service| by_name(&server.url_of(service)));
        for (tool, status) in tools(&scheduler, &coordinator) {
            // A certificate that has expired is the service's fault.
            let status = if tool[0] == "health" && said.contains("expired") { 1 } else { status };
            fails(sctec().args(&tool).env("SCTEC_CA", &ca), status, said);
        }
    }
}

#[test]
fn the_wrong_scheme_is_told_of() {
    let secure = Secure::start(&HERE);
    let plain = |url: &str| by_name(url).replace("https://", "http://");
    for (tool, status) in tools(&plain(&secure.scheduler.url()), &plain(&secure.coordinator.url())) {
        fails(&mut sctec_with(&tool, &secure.authority), status, "it answers only over TLS: use https:// in its URL");
    }
    // It answers, and how it is remains unknown.
    let mut asking = sctec_with(&["status".to_owned(), "--json".to_owned()], &secure.authority);
    let urls = [&secure.scheduler, &secure.coordinator].map(|service| plain(&service.url()));
    let output = asking.args(["--url", &urls[0], "--coordinator", &urls[1]]).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let refused = &told["schedulers"][0];
    assert_eq!([&refused["asked"], &refused["answers"], &refused["ready"]], [&json!(true), &json!(true), &Value::Null]);
    assert!(
        output.status.code() == Some(2) && refused["why"].as_str().unwrap().starts_with("answered 400: "),
        "{told}"
    );
    let open = Server::start(&["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"]);
    let [scheduler, coordinator] = ["servico-agendamento", "servico-coordenador"]
        .map(|service| open.url_of(service).replace("http://", "https://"));
    for (tool, status) in tools(&scheduler, &coordinator) {
        let status = if tool[0] == "health" { 1 } else { status };
        fails(&mut sctec_with(&tool, &secure.authority), status, "it does not speak TLS; use http:// in ");
    }
}

fn sctec_with(tool: &[String], ca: &Path) -> Command {
    let mut command = sctec();
    command.args(tool).env("SCTEC_CA", ca);
    command
}

#[test]
fn a_certificate_that_is_its_own_authority_is_believed_for_its_own_names() {
    // openssl req -x509 makes such a certificate.
    let issued = Issued::self_signed(&["localhost"]);
    let secure = Secure::start_with(&issued.cert, &issued);
    for (tool, _) in secure.tools() {
        works(&mut sctec_with(&tool, &secure.authority));
    }
    let by_address = secure.scheduler.url();
    let said = "its certificate is for localhost; use such a name in ";
    fails(sctec().args(["clock-sync", "--url", &by_address]).env("SCTEC_CA", &secure.authority), 2, said);
}

#[test]
fn a_check_of_health_believes_the_certificate_of_the_service_itself_by_any_name() {
    let secure = Secure::start(&["localhost", "sctec.example"]);
    let cert = secure.folder.path().join("certificado.pem");
    let url = secure.scheduler.url();
    let port = url.rsplit(':').next().unwrap();
    works(sctec().args(["health", port]).env("SCTEC_TLS_CERT", &cert));
    works(sctec().args(["health", "--ready", &url, "--tls-cert"]).arg(&cert));
    fails(
        sctec().args(["health", &url]).env("SCTEC_CA", &secure.authority),
        2,
        "its certificate is for localhost, sctec.example",
    );
    let other = Authority::new().issue(&HERE);
    let elsewhere = tempfile::tempdir().unwrap();
    let [other, _] = other.files(elsewhere.path());
    fails(sctec().args(["health", port, "--tls-cert"]).arg(&other), 2, "no authority that is believed here");
    // Without TLS in the environment, the same words ask without it.
    let open = Server::start(&["serve-coordinator", "--listen", "127.0.0.1:0"]);
    works(sctec().args(["health", open.url().rsplit(':').next().unwrap()]).env("SCTEC_TLS_CERT", ""));
}

#[test]
fn a_scheduler_hears_the_events_of_its_coordinator_over_tls() {
    let secure = Secure::start(&HERE);
    let mut watcher = Authority::of_pem(&secure.authority).connect(&secure.coordinator.url());
    wait_until("the scheduler listens", || {
        watcher.ask("GET /metrics HTTP/1.1\r\n").contains("listeners{channel=\"agenda\"} 1")
    });
}
