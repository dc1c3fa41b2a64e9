//! The metrics of both services are those that OPERACAO.md describes, and the alerts in `examples/prometheus` use only these.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::common::election::without_election;
use crate::common::storage::is_postgres;
use crate::common::{Locks, Services, http, nobody};

const PREFIX: &str = "sctec_coordinator_";
const PREFIX_OF_SCHEDULERS: &str = "sctec_scheduler_";
/// The files that use metrics.
const USERS: [&str; 3] =
    ["docs/OPERACAO.md", "examples/prometheus/alertas.yml", "examples/prometheus/alertas.teste.yml"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// A part of OPERACAO.md: from one text to the next heading.
fn part(from: &str) -> String {
    let document = text("docs/OPERACAO.md");
    let (_, part) = document.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    part.split("\n#").next().unwrap().to_owned()
}

/// The first cells of the first table of a text, without their backticks.
fn first_column(text: &str) -> BTreeSet<String> {
    let rows = text.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).unwrap_or_else(|| panic!("no name in {row}")).to_owned()).collect()
}

/// The names of metrics with a prefix in a text, as in a query.
fn used(text: &str, prefix: &str) -> BTreeSet<String> {
    let starts = text.match_indices(prefix).map(|(at, _)| &text[at..]);
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    starts.map(|from| from.split(|letter| !is_name(letter)).next().unwrap().to_owned()).collect()
}

/// The names that the coordinator exports, as a query names them: a counter with `_total`, a histogram without an ending.
fn exported() -> BTreeSet<String> {
    let locks = Locks::start();
    // One refusal: a counter with a label is exported once it has a value.
    locks.lock(&json!({"recurso": "X"}));
    locks.lock(&json!({"recurso": "X"}));
    names(&http("GET", &locks.url("/metrics"), None).body)
}

/// The names that a coordinator exports beside these when it takes part in an election. It needs no etcd for that.
fn exported_in_an_election() -> BTreeSet<String> {
    let locks = Locks::start_with(&["--election", &nobody().replacen("http", "etcd", 1)]);
    names(&http("GET", &locks.url("/metrics"), None).body)
}

/// The names in the text of metrics.
fn names(answer: &str) -> BTreeSet<String> {
    let types = answer.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let endings = [("counter", "_total"), ("info", "_info")];
    let ending = |kind: &str| endings.iter().find(|(known, _)| *known == kind).map_or("", |(_, ending)| ending);
    types.map(|(name, kind)| format!("{name}{}", ending(kind))).collect()
}

#[test]
fn the_document_names_every_metric_and_no_other_and_alerts_use_only_these() {
    without_election!("it has a coordinator without an election, and one with");
    let exported = exported();
    assert!(exported.len() > 15, "{exported:?}");
    assert_eq!(first_column(&part("\n## Métricas\n")), exported);
    let of_election: BTreeSet<_> = exported_in_an_election().difference(&exported).cloned().collect();
    assert!(of_election.len() >= 5, "{of_election:?}");
    assert_eq!(first_column(&part("\n### Métricas de uma eleição\n")), of_election);
    assert_only(PREFIX, &(&exported | &of_election));
}

/// Fails if a file uses a metric that is not exported.
fn assert_only(prefix: &str, exported: &BTreeSet<String>) {
    // A histogram is queried by its three series.
    let known = |name: &String| {
        let ends = ["_bucket", "_sum", "_count"];
        exported.contains(name) || ends.iter().any(|end| name.strip_suffix(end).is_some_and(|of| exported.contains(of)))
    };
    for path in USERS {
        let used = used(&text(path), prefix);
        assert!(used.len() > 5, "{path}: {used:?}");
        let unknown: Vec<_> = used.iter().filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{path} uses {unknown:?}");
    }
}

#[test]
fn the_document_names_every_metric_of_the_scheduler_and_no_other() {
    let services = Services::start(&[]);
    // A series of a route exists from its first answer on.
    assert_eq!(http("GET", &services.agenda("/time"), None).status, 200);
    let answer = http("GET", &services.agenda("/metrics?n=1"), None);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let exported = names(&answer.body);
    assert!(exported.len() >= 15, "{exported:?}");
    let mut documented = first_column(&part("\n### Métricas do servico-agendamento\n"));
    assert_only(PREFIX_OF_SCHEDULERS, &documented);
    // The write-ahead log is a file of SQLite.
    assert!(!is_postgres() || documented.remove("sctec_scheduler_database_log_bytes"));
    assert_eq!(documented, exported);
}

#[test]
fn the_document_tells_what_to_do_about_every_alert() {
    let rules = text("examples/prometheus/alertas.yml");
    let alerts = rules.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: ")).map(str::to_owned);
    let alerts: BTreeSet<_> = alerts.collect();
    assert_eq!(first_column(&part("\n### Alertas\n")), alerts);
    // Each of them fires in the tests of the rules.
    let tests = text("examples/prometheus/alertas.teste.yml");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert} has no test");
    }
}

#[test]
#[ignore = "needs promtool, on the path or in SCTEC_TEST_PROMTOOL"]
fn prometheus_accepts_the_configuration_and_the_alerts_fire_when_they_should() {
    let promtool = std::env::var_os("SCTEC_TEST_PROMTOOL").map_or_else(|| "promtool".into(), PathBuf::from);
    for args in [["check", "config", "prometheus.yml"], ["test", "rules", "alertas.teste.yml"]] {
        let run = Command::new(&promtool).args(args).current_dir(root().join("examples/prometheus")).output().unwrap();
        assert!(run.status.success(), "{args:?}: {run:?}");
    }
}
