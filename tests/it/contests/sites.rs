//! `sctec stress --sites`: contests of clients at different distances, and what it says of them.

use std::process::Output;

use serde_json::{Value, json};

use crate::common::{Services, sctec};

/// Runs contests of these sites. The scheduler's telescope takes every slot.
fn stress(services: &Services, sites: &Value, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sites.json");
    std::fs::write(&file, sites.to_string()).unwrap();
    let mut command = sctec();
    command.args(["stress", "--url", &services.agenda(""), "--sites"]).arg(file).args(args);
    command.output().unwrap()
}

/// The report of a run that went well.
fn report(services: &Services, sites: &Value, contests: u32) -> Value {
    let output = stress(services, sites, &["--contests", &contests.to_string(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The sum of a figure over all sites.
fn sum(report: &Value, figure: &str) -> u64 {
    report["sites"].as_array().unwrap().iter().map(|site| site[figure]["count"].as_u64().unwrap()).sum()
}

#[test]
fn the_wins_of_each_site_are_counted_beside_what_arrival_would_have_given() {
    let services = Services::start(&[]);
    let sites = json!({"clicks_within_ms": 5, "sites": [
        {"name": "near"}, {"name": "far", "round_trip_ms": 100, "jitter": 0.1},
        {"name": "liar", "round_trip_ms": 20, "there": 0.9, "claim": "early", "waits_ms": 30}
    ]});
    let report = report(&services, &sites, 6);
    assert_eq!(json!([report["as_expected"], report["judged"], report["one_winner"]]), json!([true, true, 6]));
    assert_eq!((&report["statuses"], &report["seen_through"]), (&json!({"201": 6, "409": 12}), &Value::Null));
    assert_eq!((sum(&report, "won"), sum(&report, "clicked_first")), (6, 6), "{report}");
    let recorded = 6 - report["without_record"].as_u64().unwrap();
    assert_eq!(sum(&report, "arrived_first"), recorded, "{report}");
    // The scheduler has measured at least what the client lets pass.
    let seen = |nth: usize| report["sites"][nth]["round_trip_seen_us"].as_u64();
    assert!(seen(1).is_none_or(|us| us >= 100_000) && seen(2).is_none_or(|us| us >= 50_000), "{report}");
    assert!(seen(1).is_some() || seen(2).is_some() || recorded == 0, "{report}");
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 6);
}

#[test]
fn tokens_that_do_not_count_give_no_credit() {
    let services = Services::start(&[]);
    let sites = json!({"clicks_within_ms": 0, "sites": [
        {"name": "far", "round_trip_ms": 150, "token": "first"}, {"name": "altered", "token": "altered", "claim": "early"},
        {"name": "foreign", "token": "foreign", "claim": "early"}, {"name": "without", "token": "none", "claim": "early"}
    ]});
    let report = report(&services, &sites, 4);
    for nth in 1..4 {
        assert_eq!(report["sites"][nth]["round_trip_seen_us"], Value::Null, "{report}");
    }
    assert_eq!((sum(&report, "won"), &report["as_expected"]), (4, &json!(true)), "{report}");
}

#[test]
fn a_scheduler_that_sees_through_the_emulation_is_told_of() {
    let services = Services::start(&["--trusted-proxy", "10.0.0.0/8"]);
    let sites = json!({"clicks_within_ms": 5, "sites": [{"name": "near"}, {"name": "far", "round_trip_ms": 20}]});
    let output = stress(&services, &sites, &["--contests", "10"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for words in ["10 contests of 2 sites", "near", "95 % interval", "as expected: one winner in each contest"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Nobody has a credit, so there is no contest, or one whose record says so.
    assert!(text.contains("start it with --trusted-proxy ADDRESS"), "{text}");
}

#[test]
fn what_is_no_file_of_sites_is_said_and_nothing_is_sent() {
    let services = Services::start(&[]);
    for (sites, words) in [
        (json!({"sites": [{"name": "alone"}]}), "from 2 to 100 sites"),
        (json!({"sites": [{"name": "a"}, {"name": "b", "jitter": 7}]}), "b: jitter and there are parts"),
        (json!([]), "examples/sites.json"),
    ] {
        let output = stress(&services, &sites, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
    }
    let many: Vec<Value> = (0..11).map(|nth| json!({"name": nth.to_string()})).collect();
    let output = stress(&services, &json!({"sites": many}), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("11 sites need as many scientists"), "{said}");
    let both = sctec().args(["stress", "--sites", "x", "-n", "3"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2));
    assert_eq!(services.count("SELECT count(*) FROM agendamentos"), 0);
}
