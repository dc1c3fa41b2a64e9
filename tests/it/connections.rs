//! Connections and machines that misbehave: half requests, ambiguous heads, listeners that vanish, and wrong clocks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::common::election::without_election;
use crate::common::listener::Listener;
use crate::common::network::Network;
use crate::common::{Asked, Locks, Server, Services, http, sctec, under_clock, wait_until};

/// The longest stop on a machine that is busy with other tests; otherwise a stop takes less than a second. The timeouts of a
/// request are longer than this.
const STOP_MAX: Duration = Duration::from_secs(4);

fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(&url["http://".len()..]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn say(url: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(url);
    stream.write_all(bytes).unwrap();
    stream
}

/// All bytes received on a connection until it is closed.
fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // After ECONNRESET no more bytes come.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// One answer, on a connection that is closed after it.
fn answer(url: &str, head: &str, body: &str) -> String {
    rest(say(url, format!("{head}Connection: close\r\n\r\n{body}").as_bytes()))
}

/// Stops a server, and returns how long that took.
fn stop(server: &mut Server) -> Duration {
    let begun = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    begun.elapsed()
}

#[test]
fn hyper_2730_half_a_request_does_not_delay_a_stop() {
    let body = "Host: localhost\r\nContent-Length: 100\r\n\r\n{";
    let halves: &[&[u8]] = &[
        b"",
        b"G",
        b"\r\n",
        b"\x16\x03\x01",
        b"GET /saude HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /saude HTTP/1.1\r\nHost: localhost\r\n\r\nGET /sau",
    ];
    let bodies = [
        format!("POST /agendamentos HTTP/1.1\r\n{body}"),
        format!("POST /unlock HTTP/1.1\r\n{body}"),
        format!("POST /nada HTTP/1.1\r\n{body}"),
        "POST /unlock HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"re".to_owned(),
    ];
    let both = ["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"];
    for args in
        [&both[..], &["serve-scheduler", "--listen", "127.0.0.1:0"], &["serve-coordinator", "--listen", "127.0.0.1:0"]]
    {
        let mut server = Server::start(args);
        let urls: Vec<String> = match args[0] {
            "serve-all" => ["agendamento", "coordenador"].iter().map(|name| server.url_of(name)).collect(),
            _ => vec![server.url()],
        };
        let mut open = Vec::new();
        for url in &urls {
            for _ in 0..20 {
                open.extend(halves.iter().map(|half| say(url, half)));
            }
            open.extend(bodies.iter().map(|half| say(url, half.as_bytes())));
            // After the answer to this later request, the server has read the halves.
            assert_eq!(http("GET", &format!("{url}/saude"), None).status, 200);
        }
        let took = stop(&mut server);
        assert!(took < STOP_MAX, "{args:?}: {took:?}");
        // A client that had begun a request to an existing path gets an answer that says that the service is stopping.
        let told = open.into_iter().map(rest).filter(|said| said.contains("\"encerrando\"")).count();
        assert!(told >= urls.len(), "{args:?}: {told}");
        assert!(!server.lines().iter().any(|line| line.contains("ainda em curso")), "{:#?}", server.lines());
    }
}

#[test]
fn a_stop_answers_the_requests_that_have_begun() {
    let mut services = Services::start(&["--critical-delay-ms", "1500"]);
    let booking = Asked::by(7, "2031-01-01T00:00:00Z").text();
    let head = format!("POST /agendamentos HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", booking.len());
    let stream = say(&services.scheduler.url(), format!("{head}{booking}").as_bytes());
    services.wait_for_log("app.log", |lines| lines.iter().any(|line| line.contains("Iniciando verificação")));
    stop(&mut services.scheduler);
    let said = rest(stream);
    assert!(said.starts_with("HTTP/1.1 201 "), "{said}");
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 1);
}

#[test]
fn a_listener_that_never_reads_does_not_delay_a_stop() {
    let mut locks = Locks::start();
    let deaf = Listener::open(&locks.url("/eventos?canal=c"), None);
    let event = json!({"evento": "e", "dados": "x".repeat(16_000)});
    let events = json!({"canal": "c", "eventos": vec![event; 50]});
    // More bytes than the socket's buffers hold.
    for _ in 0..20 {
        assert_eq!(locks.post("/eventos", &events).0, 200);
    }
    let took = stop(&mut locks.server);
    drop(deaf);
    assert!(took < STOP_MAX, "{took:?}");
}

#[test]
fn an_ambiguous_head_is_refused_by_both_services() {
    let services = Services::start(&[]);
    for url in [services.scheduler.url(), services.coordinator.url()] {
        let get = |headers: &str| answer(&url, &format!("GET /saude HTTP/1.1\r\n{headers}"), "");
        for wrong in [
            "",
            "Host:\r\n",
            "Host: localhost\r\nHost: b\r\n",
            "Host: localhost\r\nHost: localhost\r\n",
            "Host: a b\r\n",
            "Host: u@localhost\r\n",
            "Host: localhost:x\r\n",
        ] {
            let said = get(wrong);
            assert!(
                said.starts_with("HTTP/1.1 400 ") && said.contains("\"cabecalho_malformado\""),
                "{wrong:?}: {said}"
            );
            assert!(said.contains("connection: close"), "{wrong:?}: {said}");
        }
        for fine in ["Host: localhost\r\n", "Host: [::1]:5000\r\n", "Host: LocalHost.:\r\n", "host:\t127.0.0.1\t\r\n"] {
            assert!(get(fine).starts_with("HTTP/1.1 200 "), "{fine:?}");
        }
        // HTTP/1.0 needs a Host too, and a target that is a whole URL has its own.
        let old = |headers: &str| answer(&url, &format!("GET /saude HTTP/1.0\r\n{headers}"), "");
        assert!(old("Host: localhost\r\n").starts_with("HTTP/1.0 200 "));
        let none = old("");
        assert!(none.starts_with("HTTP/1.0 400 ") && none.contains("Falta o cabeçalho Host"), "{none}");
        let whole = |target: &str, host: &str| answer(&url, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n"), "");
        assert!(whole("http://localhost/saude", "b").starts_with("HTTP/1.1 200 "));
        assert!(whole("http://b/saude", "localhost").starts_with("HTTP/1.1 421 "));
        let options = answer(&url, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", "");
        assert!(options.starts_with("HTTP/1.1 204 ") && options.contains("GET, HEAD"), "{options}");
        let post = |headers: &str, body: &str| {
            answer(&url, &format!("POST /nada HTTP/1.1\r\nHost: localhost\r\n{headers}"), body)
        };
        for headers in [
            "Content-Length: 2\r\nContent-Length: 3\r\n",
            "Content-Length: 2, 2\r\n",
            "Content-Length: +2\r\n",
            "Content-Length : 2\r\n",
            "Content-Length: 2\r\nX: a\r\n b\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 2\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n",
        ] {
            let said = post(headers, "{}");
            assert!(said.starts_with("HTTP/1.1 400 "), "{headers:?}: {said}");
        }
        // Transfer-Encoding overrides Content-Length, and the connection is closed after the answer (RFC 9112 §6.3).
        let two = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /saude HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let said = rest(say(&url, format!("POST /nada HTTP/1.1\r\nHost: localhost\r\n{two}").as_bytes()));
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    }
}

/// The path that a client requests after it removed the dot segments (RFC 3986 §5.2.4).
fn folded(href: &str) -> String {
    let path = href.split(['?', '{']).next().unwrap();
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn every_href(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("href").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| every_href(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| every_href(item, found)),
        _ => {}
    }
}

#[test]
fn a_name_that_is_a_dot_segment_does_not_lead_to_another_path() {
    let services = Services::start(&[]);
    let names = [".", "..", "...", ".a", "a.."];
    for (id, name) in (3..).zip(names) {
        services.sql(&format!(
            "INSERT INTO telescopios (id, codigo, nome, simulado) VALUES ({id}, '{name}', 'T', TRUE);
             UPDATE resumo SET catalogo = catalogo + 1"
        ));
    }
    for name in names {
        let list = http("GET", &services.agenda("/telescopios"), None).json();
        let listed = list["telescopios"].as_array().unwrap().iter().find(|telescope| telescope["id"] == name).unwrap();
        let own = services.follow(listed, "self");
        assert_eq!((own.status, own.json()["id"].as_str()), (200, Some(name)));
        let asked = Asked::by(7, "2031-01-01T00:00:00Z").on(name);
        let (status, booking) = services.book_as(&asked);
        assert_eq!((status, &booking["telescopio"]), (201, &json!(name)));
        let period = http(
            "GET",
            &services.agenda(&format!("{}/agenda", folded(own.json()["_links"]["self"]["href"].as_str().unwrap()))),
            None,
        );
        assert_eq!((period.status, &period.json()["telescopio"]), (200, &json!(name)));
        let refused = services.book_as(&asked).1;
        let free = services.follow(&refused, "livres").json();
        assert_eq!(free["telescopio"], name);
        let mut hrefs = Vec::new();
        for answer in [listed, &own.json(), &booking, &period.json(), &refused, &free] {
            every_href(answer, &mut hrefs);
        }
        for href in hrefs {
            let path = href.split(['?', '{']).next().unwrap();
            assert_eq!(folded(&href), path, "{name}: {href}");
        }
    }
    // The coordinator refuses such names.
    for name in [".", ".."] {
        for (path, body) in [
            ("/lock", json!({"recurso": name})),
            ("/lock", json!({"recursos": ["a", name]})),
            ("/unlock", json!({"recurso": name})),
        ] {
            let answer = http("POST", &services.locks(path), Some(("application/json", &body.to_string())));
            assert_eq!(answer.status, 422, "{path} {body}");
            assert!(answer.body.contains("não pode ser . nem .."), "{}", answer.body);
        }
    }
    // All other names are found by their link.
    for name in ["...", "~.", "a/../b", "%2e%2e", "a b", "..;", "\\..", "?x", "#x", "é"] {
        let body = json!({"recurso": name}).to_string();
        assert_eq!(http("POST", &services.locks("/lock"), Some(("application/json", &body))).status, 200, "{name}");
        let query = format!("/locks?limite=1&prefixo={}", utf8_percent_encode(name, NON_ALPHANUMERIC));
        let listed = http("GET", &services.locks(&query), None).json();
        let href = listed["travas"][0]["_links"]["self"]["href"].as_str().unwrap();
        assert_eq!(folded(href), href, "{name}");
        assert_eq!(http("GET", &services.locks(href), None).json()["recurso"], name);
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let services = Services::start(&[]);
    let marked = |url: String, body: &Value| http("POST", &url, Some(("application/json", &format!("\u{feff}{body}"))));
    let booking = Asked::by(7, "2031-01-01T00:00:00Z");
    assert_eq!(marked(services.agenda("/agendamentos"), booking.body()).status, 201);
    assert_eq!(marked(services.locks("/lock"), &json!({"recurso": "X"})).status, 200);
    let batch = json!({"operacoes": [{"op": "unlock", "recurso": "X"}]});
    assert_eq!(marked(services.locks("/lote"), &batch).json()["respostas"][0]["liberado"], true);
    for events in [json!({"evento": "e"}), json!({"eventos": [{"evento": "e", "dados": 1}]})] {
        let mut body = events;
        body["canal"] = json!("c");
        assert_eq!(marked(services.locks("/eventos"), &body).status, 200, "{body}");
    }
    let delete =
        http("DELETE", &services.agenda("/agendamentos/1"), Some(("application/json", "\u{feff}{\"motivo\": \"m\"}")));
    assert_eq!(delete.json()["motivo_cancelamento"], "m");
}

#[test]
#[ignore = "needs faketime"]
fn a_service_works_with_a_clock_outside_the_range_of_dates() {
    for (at, date, now) in [
        ("@1960-01-01 00:00:00", "date: Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000000Z"),
        ("@9999-12-31 23:59:58", "date: Thu, 31 Dec 9998 23:59:59 GMT", "9998-12-31T23:59:59.999999Z"),
    ] {
        let mut command = sctec();
        command.args(["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"]);
        under_clock(at, &mut command);
        let begun = Instant::now();
        let mut server = Server::spawn(&mut command, 2);
        let (agenda, locks) = (server.url_of("agendamento"), server.url_of("coordenador"));
        // In the second case the year ends during the test: the clock runs on from the start of the service.
        wait_until("the year is over", || begun.elapsed() > Duration::from_secs(3));
        assert!(answer(&agenda, "GET /time HTTP/1.1\r\nHost: localhost\r\n", "").contains(date), "{at}");
        // hyper itself answers bytes that are not HTTP, with its own date.
        assert!(answer(&agenda, "x\r\n", "").starts_with("HTTP/1.1 400 "), "{at}");
        assert_eq!(http("GET", &format!("{agenda}/time"), None).json()["timestamp_utc"], now);
        assert_eq!(Asked::by(7, "2031-01-01T00:00:00Z").at(&agenda).status, 201);
        for path in
            ["/agendamentos", "/telescopios/Webb-Acad/agenda", "/telescopios/Webb-Acad/livres", "/auditoria", "/"]
        {
            assert_eq!(http("GET", &format!("{agenda}{path}"), None).status, 200, "{at} {path}");
        }
        assert_eq!(http("GET", &format!("{agenda}/telescopios/Hubble-Acad/agenda"), None).status, 200);
        let lock = json!({"recurso": "X", "ttl_ms": 100}).to_string();
        assert_eq!(http("POST", &format!("{locks}/lock"), Some(("application/json", &lock))).status, 200);
        assert_eq!(http("GET", &format!("{locks}/metrics"), None).status, 200);
        for arguments in
            [vec!["clock-sync", "--json", "--url", &agenda], vec!["health", &agenda], vec!["locks", "--url", &locks]]
        {
            let mut command = sctec();
            under_clock(at, command.args(&arguments));
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.code().is_some_and(|code| code < 100) && !said.contains("panicked"),
                "{arguments:?}: {said}"
            );
        }
        assert!(stop(&mut server) < STOP_MAX);
        assert!(!server.lines().iter().any(|line| line.starts_with("ERROR:")), "{:#?}", server.lines());
    }
}

#[test]
#[ignore = "needs unshare, nsenter and ip, as root, and curl"]
fn eventsource_121_a_listener_whose_packets_are_dropped_is_removed_after_30_seconds() {
    without_election!("its coordinator is in a network of its own, and etcd is not");
    let network = Network::start();
    let folder = tempfile::tempdir().unwrap();
    let mut command = network.on(0, env!("CARGO_BIN_EXE_sctec"));
    command.args(["serve-coordinator", "--open", "--listen", "0.0.0.0:3000", "--data-dir"]).arg(folder.path());
    let server = Server::spawn(crate::common::deaf(&mut command), 1);
    let listeners = || {
        let metrics = network.curl(0, "http://127.0.0.1:3000/metrics");
        let line = metrics.lines().find(|line| line.contains("listeners") && line.contains("channel=\"c\""));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
    };
    let mut listener = network.on(1, "curl");
    listener.args(["--silent", "--no-buffer", "http://10.9.0.1:3000/eventos?canal=c"]).stdout(Stdio::null());
    let mut listener = listener.spawn().unwrap();
    wait_until("it listens", || listeners() == Some(1));
    // A waiter for a lock too. Nothing is sent to it, so only the kernel's keepalive probes detect that it is gone.
    network.curl(1, "http://10.9.0.1:3000/saude");
    let lock = |wait_ms: u32| json!({"recurso": "X", "ttl_ms": 300_000, "espera_ms": wait_ms}).to_string();
    let post = |host: usize, url: &str, wait_ms: u32| {
        let mut command = network.on(host, "curl");
        command.args(["--silent", "--json", &lock(wait_ms), url]).stdout(Stdio::null());
        command
    };
    assert!(post(0, "http://127.0.0.1:3000/lock", 0).status().unwrap().success());
    let mut waiter = post(1, "http://10.9.0.1:3000/lock", 60_000).spawn().unwrap();
    let waiting = || {
        let health = network.curl(0, "http://127.0.0.1:3000/saude");
        serde_json::from_str::<Value>(&health).ok().and_then(|health| health["esperando"].as_u64())
    };
    wait_until("it waits", || waiting() == Some(1));
    // From now on the packets of both clients are dropped.
    network.ip(1, &["route", "add", "blackhole", "10.9.0.1/32"]);
    let begun = Instant::now();
    let mut gone = [None; 2];
    while gone.contains(&None) && begun.elapsed() < Duration::from_secs(58) {
        let counts = [listeners().map(u64::from), waiting()];
        for (gone, count) in gone.iter_mut().zip(counts) {
            if count == Some(0) && gone.is_none() {
                *gone = Some(begun.elapsed());
            }
        }
        // A pause between two polls: the measured time is seconds.
        std::thread::sleep(Duration::from_millis(200));
    }
    for child in [&mut listener, &mut waiter] {
        let _ = child.kill();
        let _ = child.wait();
    }
    for gone in gone {
        let gone = gone.expect("it is counted no more");
        assert!(gone > Duration::from_secs(5) && gone < Duration::from_secs(40), "{gone:?}");
    }
    assert!(Path::new(&format!("/proc/{}", server.pid())).exists());
}
