//! `clock-sync` against a real scheduler on this machine, so that both have the same clock.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use serde_json::Value;

use crate::common::{Server, run, sctec, wait_until};

/// Both clocks are the same one. The tolerance is for a busy machine.
const TOLERANCE_MS: f64 = 5.0;

fn scheduler() -> Server {
    Server::start(&["serve-scheduler", "--listen", "127.0.0.1:0", "--no-lock"])
}

fn clock_sync(url: &str, more: &[&str]) -> Output {
    run(&[&["clock-sync", "--interval-ms", "1", "--url", url], more].concat())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn only_json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    serde_json::from_str(stdout).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().filter(|number| number.is_finite()).unwrap_or_else(|| panic!("{key} of {value}"))
}

#[track_caller]
fn assert_offset(found: &Value, expected_ms: f64) {
    let error = (number(found, "offset_ms") - expected_ms).abs();
    assert!(error <= number(found, "error_bound_ms") + TOLERANCE_MS, "{found}");
}

#[test]
fn a_clock_agrees_with_itself() {
    let server = scheduler();
    let found = only_json(&clock_sync(&server.url(), &["--json", "--samples", "4"]));
    assert_offset(&found, 0.0);
    assert_eq!(found["drift_ppm"], Value::Null);
    let samples = found["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 4);
    let used = &samples[usize::try_from(found["used"].as_u64().unwrap()).unwrap()];
    assert_eq!(used["rtt_ms"], found["rtt_min_ms"]);
    assert_eq!(used["offset_ms"], found["offset_ms"]);
    for sample in samples {
        assert!(number(sample, "rtt_ms") >= number(&found, "rtt_min_ms"), "{found}");
    }
}

#[test]
fn a_simulated_skew_is_measured_and_reported() {
    let server = scheduler();
    for (skew, offset_ms, words, city, click) in [
        ("--simulate-skew=+2s", -2000.0, "2.000 s ahead", "like São Paulo", "03:00:02.000"),
        ("--simulate-skew=-1s", 1000.0, "1.000 s behind", "like Tokyo", "02:59:59.000"),
    ] {
        assert_offset(&only_json(&clock_sync(&server.url(), &["--json", "--samples", "8", skew])), offset_ms);

        let output = clock_sync(&server.url(), &["--samples", "64", skew]);
        let report = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(report.contains(words) && report.contains(city), "{report}");
        assert!(report.contains(&format!("A click at {click} on this clock was at ")), "{report}");
        assert_eq!(report.lines().filter(|line| line.contains("used")).count(), 1, "{report}");
        assert!(!report.contains('\u{1b}'), "{report:?}");
    }
    // A value with a minus sign is not parsed as an option.
    assert_offset(&only_json(&clock_sync(&server.url(), &["--json", "--simulate-skew", "-150ms"])), 150.0);
}

#[test]
#[ignore = "needs faketime"]
fn the_offset_of_a_wrong_clock_is_measured() {
    let server = scheduler();
    let output = std::process::Command::new("faketime")
        .args(["-f", "+2s", env!("CARGO_BIN_EXE_sctec"), "clock-sync", "--json", "--url", &server.url()])
        .output()
        .unwrap();
    assert_offset(&only_json(&output), -2000.0);
}

#[test]
fn meteor_timesync_1_the_time_is_exact_while_bookings_saturate_the_server() {
    let server = Server::start(&["serve-all", "--listen", "127.0.0.1:0", "--listen-coordinator", "127.0.0.1:0"]);
    let url = server.url_of("servico-agendamento");
    let mut load = sctec()
        .args(["stress", "--n", "5000", "--distinct", "--concurrency", "64", "--url", &url])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let found = only_json(&clock_sync(&url, &["--json", "--samples", "32"]));
    assert_eq!(load.try_wait().unwrap(), None, "the load ended first");
    assert_eq!(load.wait().unwrap().code(), Some(0));
    // Both clocks are the same, so the true offset is 0 and must be within the error bound.
    assert!(number(&found, "offset_ms").abs() <= number(&found, "error_bound_ms"), "{found}");
}

#[test]
fn a_clock_that_is_off_by_more_than_allowed_exits_3() {
    let server = scheduler();
    for more in [&["--max-error", "5ms"][..], &["--max-error", "5ms", "--json"], &["--max-error", "5ms", "--watch"]] {
        let output = clock_sync(&server.url(), &[&["--simulate-skew", "+2s"], more].concat());
        assert_eq!(output.status.code(), Some(3), "{more:?}");
        assert!(!output.stdout.is_empty(), "{more:?}");
        assert!(text(&output.stderr).contains("cannot be shown to be within 5ms"), "{}", text(&output.stderr));
    }
    let output = clock_sync(&server.url(), &["--max-error", "10s"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn a_watch_exits_0_when_its_output_pipe_is_closed() {
    let server = scheduler();
    for (format, header) in [("--json", 0), ("--samples=2", 1)] {
        let mut watch = sctec()
            .args(["clock-sync", "--watch", "--interval-ms", "1", "--url", &server.url(), format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Vec<String> =
            BufReader::new(watch.stdout.take().unwrap()).lines().take(header + 3).map(Result::unwrap).collect();
        // Here the pipe is closed.
        let output = watch.wait_with_output().unwrap();
        assert_eq!(lines.len(), header + 3);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{lines:?}");
    }
}

#[test]
fn a_watch_shows_its_first_sample_at_once() {
    let server = scheduler();
    // A whole measurement would take a quarter of an hour.
    let slow = ["--watch", "--json", "--samples=16", "--interval-ms=60000", "--max-error=1us"];
    let mut watch =
        sctec().args(["clock-sync", "--url", &server.url()]).args(slow).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(watch.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let first: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(first["samples"].as_array().unwrap().len(), 1, "{first}");
    assert_offset(&first, 0.0);
    wait_until("it ends with its reader", || watch.try_wait().unwrap().is_some());
    assert_eq!(watch.wait().unwrap().code(), Some(0), "one sample is not judged");
}

#[test]
fn a_watch_ends_at_once_when_its_output_pipe_is_closed_during_a_pause() {
    let server = scheduler();
    let mut watch = sctec()
        .args(["clock-sync", "--watch", "--interval-ms", "60000", "--samples", "1", "--url", &server.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(watch.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    // A pause of a minute begins, but the command must end at once.
    drop(reader);
    wait_until("it ends", || watch.try_wait().unwrap().is_some());
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

/// A scheduler whose clock is `ahead_us` microseconds ahead of this machine's.
fn with_clock(ahead_us: Arc<AtomicI64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut byte = [0];
            while stream.read(&mut byte).is_ok_and(|read| read > 0) {
                request.push(byte[0]);
                if !request.ends_with(b"\r\n\r\n") {
                    continue;
                }
                request.clear();
                let now = sctec::time::Clock::system().now().as_micros() + ahead_us.load(Ordering::SeqCst);
                let now = sctec::time::Timestamp::from_micros(now).unwrap().micros();
                let body = format!(r#"{{"_links": {{"hora": {{"href": "/time"}}}}, "timestamp_utc": "{now}"}}"#);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                if stream.write_all((head + &body).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    url
}

#[test]
fn openntpd_portable_43_a_step_of_the_servers_clock_is_reported_as_a_step() {
    let ahead_us = Arc::new(AtomicI64::new(0));
    let url = with_clock(Arc::clone(&ahead_us));
    for json in [true, false] {
        let mut watch = sctec();
        watch.args(["clock-sync", "--watch", "--samples", "2", "--interval-ms", "10", "--url", &url]);
        if json {
            watch.arg("--json");
        }
        let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
        let before: Vec<String> = lines.by_ref().take(5).collect();
        assert!(before.iter().all(|line| !line.contains("step:") && !line.contains("\"server\"")), "{before:?}");
        ahead_us.fetch_add(30_000_000, Ordering::SeqCst);
        let told = lines.by_ref().take(500).find(|line| line.contains("step:") || line.contains("\"server\""));
        let told = told.expect("the step is reported");
        if json {
            let told: Value = serde_json::from_str(&told).unwrap();
            assert!((number(&told, "step_ms") - 30_000.0).abs() < 5_000.0, "{told}");
            assert_eq!((&told["step_of"], &told["drift_ppm"]), (&Value::from("server"), &Value::Null));
        } else {
            let is_it = |size: &str| told.contains(&format!("the server's clock was set {size}"));
            assert!(is_it("30.0") || is_it("29.9"), "{told}");
            assert!(told.contains(" ahead; the drift is measured again"), "{told}");
        }
        watch.kill().unwrap();
        watch.wait().unwrap();
    }
}

#[track_caller]
fn assert_cannot_run(output: &Output, why: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!((stderr.lines().count(), text(&output.stdout)), (1, ""), "{stderr}");
    assert!(stderr.contains(why), "{stderr}");
}

#[test]
fn without_an_answer_it_exits_2_with_advice() {
    // The port was bound and is free again, so nothing listens on it.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_cannot_run(
        &clock_sync(&format!("http://{address}"), &[]),
        "nothing listens at that address: start the scheduler",
    );
    assert_cannot_run(&clock_sync("http://no-such-name.invalid", &[]), "this machine finds no address for that name");
    assert_cannot_run(&clock_sync("ftp://127.0.0.1", &[]), "should look like http://");
}

#[test]
fn a_server_that_is_not_a_scheduler_is_refused() {
    let coordinator = Server::start(&["serve-coordinator", "--listen", "127.0.0.1:0"]);
    assert_cannot_run(&clock_sync(&coordinator.url(), &[]), "scheduler's entry point");

    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let link = r#"{"_links": {"hora": {"href": "/time"}}}"#;
    for (answers, why) in [
        (vec!["garbage\r\n\r\n".to_owned()], "is not a scheduler; a scheduler's default port is 5000"),
        (vec![ok("garbage")], "no link `hora`"),
        (vec![ok(&" ".repeat(70_000))], "is not a scheduler; a scheduler's default port is 5000"),
        (vec!["HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".to_owned()], "answered 301"),
        (vec![ok(link), ok("{}"), ok("{}")], "`timestamp_utc` is missing"),
        (vec![ok(link), ok("{}"), ok(r#"{"timestamp_utc": "ontem"}"#)], "not RFC 3339"),
    ] {
        assert_cannot_run(&clock_sync(&answering(answers), &[]), why);
    }
}

#[test]
fn a_scheduler_with_one_timestamp_is_enough() {
    // A clock that stands still in 1970, with milliseconds.
    let body = r#"{"timestamp_utc": "1970-01-01T00:00:00.000Z"}"#;
    let time = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let link = r#"{"_links": {"hora": {"href": "time"}}}"#;
    let entry = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{link}", link.len());
    let url = answering(vec![entry, time.clone(), time.clone(), time]);
    let found = only_json(&clock_sync(&url, &["--json", "--samples", "2"]));
    assert!(number(&found, "offset_ms") < -1e12, "{found}");
    assert!(number(&found, "error_bound_ms") >= 0.5, "{found}");
}

/// A server that gives one of these answers to each request, all on one connection, and then closes it.
fn answering(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for answer in answers {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    return;
                }
                request.push(byte[0]);
            }
            // The client may stop reading an answer that is too long.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}
