//! Contests over real distances: packets take their time in the network, and the kernel of the scheduler measures it.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::common::network::Distance;
use crate::common::{Server, deaf};

/// Ten distances: half of a round trip, in milliseconds.
const WAYS_MS: [f64; 10] = [1.0, 5.0, 15.0, 30.0, 45.0, 60.0, 80.0, 100.0, 120.0, 140.0];

/// The address of a site.
fn address(nth: usize) -> String {
    format!("10.8.1.{}", nth + 1)
}

/// The report of contests between ten sites. At every other site the way there takes up to 2 ms longer than the way back, and at the others as much
/// shorter. A liar is a site, what its client does, and by how much its kernel delays what it acknowledges.
fn contests(count: u32, policy: &str, liar: Option<&(usize, Value, f64)>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut ways = serde_json::Map::new();
    let mut sites: Vec<Value> = Vec::new();
    for (nth, half) in WAYS_MS.into_iter().enumerate() {
        // By no more than a stamp's margin.
        let uneven = (half / 10.0).min(2.0) * if nth % 2 == 0 { 1.0 } else { -1.0 };
        let mut way = json!({"there_ms": half + uneven, "back_ms": half - uneven, "jitter": 0.1});
        let mut site = json!({"name": format!("{} ms", 2.0 * half), "from": address(nth)});
        if let Some((liar, lies, acks_ms)) = liar
            && *liar == nth
        {
            way["ack_ms"] = json!(acks_ms);
            site.as_object_mut().unwrap().extend(lies.as_object().unwrap().clone());
        }
        ways.insert(address(nth), way);
        sites.push(site);
    }
    let distance = Distance::of(folder.path(), &ways.into());
    let file = folder.path().join("sites.json");
    std::fs::write(&file, json!({"sites": sites}).to_string()).unwrap();
    let listen = format!("{}:5000", Distance::SERVER);
    let mut command = distance.at_server(env!("CARGO_BIN_EXE_sctec"));
    command.args(["serve-all", "--open", "--listen", &listen, "--listen-coordinator", "127.0.0.1:3000", "--data-dir"]);
    let _services = Server::spawn(deaf(command.arg(folder.path())), 2);
    decide_by(&distance, &listen, policy);
    let mut stress = distance.at_clients(env!("CARGO_BIN_EXE_sctec"));
    stress.args([
        "stress",
        "--url",
        &format!("http://{listen}"),
        "--json",
        "--contests",
        &count.to_string(),
        "--sites",
    ]);
    let output = deaf(stress.arg(file)).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Has the telescope's contests decided so.
fn decide_by(distance: &Distance, listen: &str, policy: &str) {
    let program = format!(
        "import urllib.request as u\n\
         body = b'{{\"regras\": {{\"disputa\": \"{policy}\"}}}}'\n\
         kind = {{'Content-Type': 'application/merge-patch+json'}}\n\
         u.urlopen(u.Request('http://{listen}/telescopios/Hubble-Acad', body, kind, method='PATCH'))"
    );
    let output = deaf(distance.at_server("python3").args(["-c", &program])).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn won(report: &Value, nth: usize) -> u64 {
    report["sites"][nth]["won"]["count"].as_u64().unwrap()
}

#[test]
#[ignore = "needs network namespaces: unshare, nsenter, ip and /dev/net/tun, as root, and python3"]
fn over_real_distances_the_far_win_and_the_kernels_measure_counts() {
    let report = contests(40, "ordem", None);
    assert_eq!(json!([report["one_winner"], report["seen_through"]]), json!([40, null]), "{report}");
    for (nth, half) in WAYS_MS.into_iter().enumerate() {
        let seen = report["sites"][nth]["round_trip_seen_us"].as_f64();
        assert!(seen.is_none_or(|us| us >= 2000.0 * half), "{nth} {report}");
    }
    // By arrival none of these would win.
    assert!((4..10).map(|nth| won(&report, nth)).sum::<u64>() >= 1, "{report}");
    let seen = |nth: usize| report["sites"][nth]["round_trip_seen_us"].is_u64();
    assert!((0..10).any(seen), "{report}");
}

#[test]
#[ignore = "needs network namespaces: unshare, nsenter, ip and /dev/net/tun, as root, and python3"]
fn over_real_distances_a_client_that_waits_is_no_farther_than_its_packets() {
    let lies = json!({"claim": "early", "waits_ms": 160});
    let report = contests(10, "ordem", Some(&(0, lies, 0.0)));
    assert_eq!(report["one_winner"], 10, "{report}");
    let seen = report["sites"][0]["round_trip_seen_us"].as_u64();
    // Half of what it pretends.
    assert!(seen.is_none_or(|us| us < 80_000), "{report}");
}

/// With `SCTEC_TEST_CONTESTS=200` it gives the figures of docs/JUSTICA.md.
#[test]
#[ignore = "needs network namespaces: unshare, nsenter, ip and /dev/net/tun, as root, and python3"]
fn over_real_distances_every_contest_has_one_winner_also_with_a_liar_and_where_it_is_drawn() {
    let count = std::env::var("SCTEC_TEST_CONTESTS").map_or(8, |count| count.parse().unwrap());
    let early = json!({"claim": "early"});
    for (policy, liar) in [("ordem", Some(0)), ("ordem", Some(4)), ("sorteio", None)] {
        let report = contests(count, policy, liar.map(|nth| (nth, early.clone(), 0.0)).as_ref());
        assert_eq!(report["one_winner"], count, "{report}");
        let won: Vec<u64> = (0..WAYS_MS.len()).map(|nth| won(&report, nth)).collect();
        writeln!(std::io::stderr(), "{policy}, a liar at {liar:?}: won {won:?} of {count}; {report}").unwrap();
        assert_eq!(won.iter().sum::<u64>(), u64::from(count));
    }
}
