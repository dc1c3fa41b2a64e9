//! Two schedulers on one coordinator and one folder: several processes may write one SQLite file on one machine.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::common::{Services, contest, http, run};

/// Runs a stress test against each of the two schedulers at once, and returns the reports.
fn stress_both(urls: &[String; 2], args: impl Fn(usize) -> Vec<String> + Sync) -> [Value; 2] {
    let (stress, args) = (
        |url: &str, args: Vec<String>| -> Value {
            let mut all = vec!["stress", "--json", "--url", url];
            all.extend(args.iter().map(String::as_str));
            let output = run(&all);
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
        },
        &args,
    );
    thread::scope(|scope| {
        let second = scope.spawn(move || stress(&urls[1], args(1)));
        [stress(&urls[0], args(0)), second.join().unwrap()]
    })
}

#[test]
fn two_schedulers_book_a_slot_once_and_write_one_trail_and_one_log_of_whole_lines() {
    let services = Services::start(&[]);
    let mut second = services.another_scheduler(&[]);
    let urls = [services.agenda(""), second.url()];
    for month in 1..=5 {
        let slot = format!("2040-{month:02}-01T03:00:00Z");
        let statuses = contest(&urls, 50, &slot);
        assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 99][..]));
    }
    // Both write as fast as they can, and neither waits so long for the database that a request fails.
    let reports = stress_both(&urls, |which| {
        let slot = format!("20{}0-01-01T00:00:00Z", 5 + which);
        ["--n", "1000", "--distinct", "--concurrency", "50", "--slot", &slot].map(str::to_owned).to_vec()
    });
    for report in &reports {
        assert_eq!(report["statuses"], json!({"201": 1000}));
    }
    for url in &urls {
        let head = http("GET", &format!("{url}/auditoria/cabeca"), None).json();
        // The records of two starts, five contests and two thousand separate bookings.
        assert_eq!(head["seq"], 2 + 5 + 2000);
    }
    assert_eq!(services.count("SELECT count(*) FROM horarios"), 2005);
    assert_eq!(second.terminate(), Some(0));
    let folder = services.stop();
    let verified = run(&["audit", "--verify", "--data-dir", folder.path().to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let log = std::fs::read_to_string(folder.path().join("app.log")).unwrap();
    let mut records = BTreeSet::new();
    for line in log.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(record) => assert!(records.insert(record["seq"].as_u64().unwrap()), "twice: {line}"),
            Err(_) => assert_eq!(line.split(':').nth(4), Some("servico-agendamento"), "{line}"),
        }
    }
    // And the records of their stops.
    assert_eq!(records, (1..=2009).collect());
}
