//! Who may call a service with nothing configured: the names that it answers to, pages of other origins, and a start that
//! other machines could reach.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::common::election::without_election;
use crate::common::network::Network;
use crate::common::{Asked, Server, Services, deaf, http, http_with, run, scheduler_command, sctec};

const SLOT: &str = "2031-05-06T03:00:00Z";

/// One request, word for word: the status and the whole answer.
fn raw(url: &str, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(&url["http://".len()..]).unwrap();
    let length = body.len();
    write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

/// Each service with a request that changes something there.
fn changes(services: &Services) -> [(String, &'static str, String); 2] {
    let booking = Asked::by(7, SLOT).text();
    let lock = json!({"recurso": "X"}).to_string();
    [(services.scheduler.url(), "POST /agendamentos", booking), (services.coordinator.url(), "POST /lock", lock)]
}

fn nothing_happened(services: &Services) {
    assert!(services.list("").is_empty());
    assert_eq!(http("GET", &services.locks("/locks"), None).json()["travas"], json!([]));
}

#[test]
fn a_scheduler_does_not_start_as_its_own_coordinator_and_is_not_ready_with_another_schedulers_address() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("d");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own = format!("http://localhost:{port}");
    let listen = format!("127.0.0.1:{port}");
    let args = ["serve-scheduler", "--listen", &listen, "--coordinator", &own, "--data-dir", data.to_str().unwrap()];
    let refused = run(&args);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && told.contains("is the address of this scheduler itself"), "{told}");

    let services = Services::start(&[]);
    let other = folder.path().join("other");
    let mistaken = Server::spawn(&mut scheduler_command(&other, &services.scheduler.url()), 1);
    let ready = http("GET", &format!("{}/pronto", mistaken.url()), None);
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(ready.body.contains("é de um agendador, e não de um coordenador"), "{}", ready.body);
}

#[test]
fn stellar_core_1517_a_name_that_was_rebound_reads_and_writes_nothing() {
    let services = Services::start(&[]);
    for (url, change, body) in changes(&services) {
        let port = url.rsplit(':').next().unwrap();
        for name in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "0.0.0.0", "2130706433", "127.1"] {
            for host in [name.to_owned(), format!("{name}:{port}")] {
                for (line, body) in [("GET /", ""), ("GET /eventos?canal=agenda", ""), (change, body.as_str())] {
                    let (status, answer) = raw(&url, &format!("{line} HTTP/1.1\r\nHost: {host}\r\n"), body);
                    assert_eq!(status, 421, "{line} {host}: {answer}");
                    assert!(
                        answer.contains("application/problem+json") && answer.contains("\"host_recusado\""),
                        "{answer}"
                    );
                    assert!(answer.contains(&format!("--allowed-host {name} ")), "{answer}");
                }
            }
        }
    }
    nothing_happened(&services);
}

#[test]
fn leandb_40_a_page_of_another_origin_changes_nothing_at_either_service() {
    let services = Services::start(&[]);
    for (url, change, body) in changes(&services) {
        let post = |headers: &str| raw(&url, &format!("{change} HTTP/1.1\r\nHost: localhost\r\n{headers}"), &body);
        for headers in [
            // A form, a beacon, a Blob without a type, a fetch: with and without a type, and what browsers add to them.
            "Origin: http://evil.example\r\nContent-Type: text/plain\r\n",
            "Origin: null\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            "Origin: null\r\n",
            "Origin: http://localhost:1\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n",
            "Origin: http://127.0.0.1\r\nContent-Type: application/json\r\n",
            "Origin: http://localhost\r\nOrigin: http://localhost\r\n",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
            "Sec-Fetch-Site: same-site\r\nContent-Type: application/json\r\n",
        ] {
            let (status, answer) = post(headers);
            assert_eq!(status, 403, "{headers}: {answer}");
            assert!(answer.contains("\"origem_recusada\""), "{answer}");
        }
        let asked = "OPTIONS /agendamentos HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n";
        let answer = raw(&url, &format!("{asked}Access-Control-Request-Method: POST\r\n"), "").1;
        assert!(!answer.to_lowercase().contains("access-control-"), "{answer}");
    }
    nothing_happened(&services);
    // The page of the service, and a program that names no origin and no type.
    for ((url, change, body), headers) in changes(&services).into_iter().zip(["Origin: http://localhost\r\n", ""]) {
        let (status, answer) = raw(&url, &format!("{change} HTTP/1.1\r\nHost: localhost\r\n{headers}"), &body);
        assert!(status == 201 || status == 200, "{answer}");
    }
}

#[test]
fn every_answer_keeps_other_origins_out() {
    let services = Services::start(&[]);
    let page = ("Accept", "text/html");
    let tag = http_with("GET", &services.agenda("/"), None, &[page]).header("etag").unwrap().to_owned();
    let stranger = ("Origin", "http://evil.example");
    for (status, url, headers) in [
        (200, services.agenda("/"), vec![page]),
        (304, services.agenda("/"), vec![page, ("If-None-Match", tag.as_str())]),
        (200, services.agenda("/time"), vec![]),
        (404, services.agenda("/nada"), vec![]),
        (403, services.agenda("/time"), vec![stranger]),
        (421, services.agenda("/time"), vec![("Host", "evil.example")]),
        (400, services.agenda("/time"), vec![("Host", "a b")]),
        (200, services.locks("/metrics"), vec![]),
        (403, services.locks("/metrics"), vec![stranger]),
    ] {
        let answer = http_with("GET", &url, None, &headers);
        assert_eq!(answer.status, status, "{url} {headers:?}");
        for header in ["cross-origin-resource-policy", "cross-origin-opener-policy"] {
            assert_eq!(answer.header(header), Some("same-origin"), "{url} {status} {header}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn a_host_that_an_operator_allows_is_answered_also_behind_a_proxy_with_tls() {
    let mut command = sctec();
    command.args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"]);
    command.args(["--allowed-host", "Sctec.example", "--allowed-host", "agenda.example,192.0.2.1"]);
    let server = Server::spawn(&mut command, 2);
    let agenda = server.url_of("agendamento");
    for url in [&agenda, &server.url_of("coordenador")] {
        let get = |host: &str| raw(url, &format!("GET /saude HTTP/1.1\r\nHost: {host}\r\n"), "").0;
        for host in ["sctec.example", "agenda.example:443", "192.0.2.1:80", "localhost"] {
            assert_eq!(get(host), 200, "{host}");
        }
        assert_eq!([get("sctec.example.evil"), get("192.0.2.2"), get("a.sctec.example")], [421; 3]);
    }
    let post = |origin: &str, start: &str| {
        let head = format!("POST /agendamentos HTTP/1.1\r\nHost: sctec.example\r\nOrigin: {origin}\r\n");
        raw(&agenda, &head, &Asked::by(7, start).text()).0
    };
    assert_eq!(post("https://sctec.example", SLOT), 201);
    assert_eq!(post("http://agenda.example", "2031-05-06T04:00:00Z"), 403);
}

#[test]
fn the_environment_may_allow_no_host_and_several() {
    let mut command = sctec();
    command.args(["serve-coordinator", "--listen", "127.0.0.1:0"]).env("SCTEC_ALLOWED_HOST", "porteiro,,");
    let server = Server::spawn(&mut command, 1);
    let get = |host: &str| raw(&server.url(), &format!("GET /saude HTTP/1.1\r\nHost: {host}\r\n"), "").0;
    assert_eq!((get("porteiro:3000"), get("outro:3000")), (200, 421));
}

#[test]
fn a_start_that_other_machines_could_reach_needs_open() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("dados");
    let data = data.to_str().unwrap();
    for (args, flag) in [
        (&["serve-scheduler", "--listen", "0.0.0.0:0"][..], "--listen 0.0.0.0:0"),
        (&["serve-coordinator", "--listen", "[::]:0"], "--listen [::]:0"),
        (
            &["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "0.0.0.0:0"],
            "--listen-coordinator 0.0.0.0:0",
        ),
        (&["serve-all", "--listen", "0.0.0.0:0", "--listen-coordinator", "127.0.0.1:0"], "--listen 0.0.0.0:0"),
    ] {
        let output = run(&[args, &["--data-dir", data]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(flag) && said.contains("--open"), "{said}");
        assert!(!std::path::Path::new(data).exists(), "nothing was done");
    }
    let mut command = sctec();
    command.args(["serve-coordinator", "--listen", "0.0.0.0:0", "--open"]);
    let by_flag = Server::spawn(&mut command, 1);
    let mut command = sctec();
    command.args(["serve-coordinator", "--listen", "[::1]:0"]);
    let _on_loopback = Server::spawn(&mut command, 1);
    // All addresses are bound, and the one that the client has connected to is a name of the service.
    let port = by_flag.url().rsplit(':').next().unwrap().to_owned();
    let url = format!("http://127.0.0.1:{port}");
    let get = |host: &str| raw(&url, &format!("GET /saude HTTP/1.1\r\nHost: {host}\r\n"), "").0;
    assert_eq!((get("127.0.0.1"), get("0.0.0.0"), get("10.9.0.1")), (200, 421, 421));
}

#[test]
#[ignore = "needs unshare, nsenter and ip, as root, and curl"]
fn another_machine_calls_a_service_by_the_address_that_it_reaches() {
    without_election!("its coordinator is in a network of its own, and etcd is not");
    let network = Network::start();
    let folder = tempfile::tempdir().unwrap();
    let mut command = network.on(0, env!("CARGO_BIN_EXE_sctec"));
    command.args(["serve-coordinator", "--listen", "0.0.0.0:3000", "--data-dir"]).arg(folder.path());
    let _server = Server::spawn(deaf(&mut command).env("SCTEC_OPEN", "1"), 1);
    assert!(network.curl(1, "http://10.9.0.1:3000/saude").contains("\"servico\""));
    let rebound =
        network.on(1, "curl").args(["--silent", "-H", "Host: evil.example", "http://10.9.0.1:3000/saude"]).output();
    assert!(String::from_utf8(rebound.unwrap().stdout).unwrap().contains("host_recusado"));
}
