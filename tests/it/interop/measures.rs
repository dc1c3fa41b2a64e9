//! The scheduler's metrics count what happened, in both formats of Prometheus.

use std::collections::BTreeMap;

use serde_json::json;

use crate::common::storage::is_postgres;
use crate::common::{Services, http, http_with, nobody, wait_until};

const PLAIN: (&str, &str) = ("Accept", "text/plain;version=0.0.4;q=0.9, */*;q=0.1");

/// The samples of a text, each series with its value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

struct Measured(BTreeMap<String, f64>);

impl Measured {
    fn of(services: &Services) -> Self {
        Self(samples(&http("GET", &services.agenda("/metrics"), None).body))
    }

    #[track_caller]
    fn is(&self, series: &str, value: f64) {
        let found = self.0.get(&format!("sctec_scheduler_{series}"));
        assert!(
            found.is_some_and(|found| (found - value).abs() < f64::EPSILON),
            "{series}: {found:?} in {:#?}",
            self.0
        );
    }
}

#[test]
fn what_a_scheduler_did_is_in_its_metrics() {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    assert_eq!(services.book(7, "2025-12-01T03:05:00Z").0, 201);
    assert_eq!(services.book(5, "2025-12-01T03:00:00Z").0, 409);
    assert_eq!(services.book(77, "2025-12-01T03:00:00Z").0, 404);
    // The second time it changes nothing.
    for _ in 0..2 {
        let named = Some(("application/merge-patch+json", r#"{"alvo": "M31"}"#));
        assert_eq!(http("PATCH", &services.agenda("/agendamentos/1"), named).status, 200);
    }
    assert_eq!(http("DELETE", &services.agenda("/agendamentos/2"), None).status, 200);
    assert_eq!(http("GET", &services.agenda("/nada"), None).status, 404);
    assert_eq!(http("OPTIONS", &services.agenda("/time"), None).status, 204);
    assert_eq!(http_with("GET", &services.agenda("/time"), None, &[("Host", "x.example")]).status, 421);
    wait_until("the trail is written", || Measured::of(&services).0["sctec_scheduler_trail_behind_records"] == 0.0);
    let measured = Measured::of(&services);
    for (series, value) in [
        ("requests_total{route=\"POST /agendamentos\",status=\"201\"}", 2.0),
        ("requests_total{route=\"POST /agendamentos\",status=\"409\"}", 1.0),
        ("requests_total{route=\"POST /agendamentos\",status=\"404\"}", 1.0),
        ("requests_total{route=\"DELETE /agendamentos/{id}\",status=\"200\"}", 1.0),
        ("requests_total{route=\"none\",status=\"404\"}", 1.0),
        ("requests_total{route=\"none\",status=\"204\"}", 1.0),
        ("requests_total{route=\"none\",status=\"421\"}", 1.0),
        ("request_duration_seconds_count{route=\"POST /agendamentos\"}", 4.0),
        ("request_duration_seconds_bucket{le=\"+Inf\",route=\"POST /agendamentos\"}", 4.0),
        ("refusals_total{codigo=\"horario_ocupado\"}", 1.0),
        ("refusals_total{codigo=\"cientista_desconhecido\"}", 1.0),
        ("refusals_total{codigo=\"nao_encontrado\"}", 1.0),
        ("refusals_total{codigo=\"host_recusado\"}", 1.0),
        ("refusals_total{codigo=\"resultado_incerto\"}", 0.0),
        ("bookings_total", 2.0),
        ("booking_changes_total", 1.0),
        ("cancellations_total", 1.0),
        ("replayed_answers_total", 0.0),
        ("changes_under_way", 0.0),
        // Two bookings, one refusal in the transaction, and a cancellation.
        ("lock_seconds_count", 4.0),
        ("build_info{version=\"0.1.0\"}", 1.0),
    ] {
        measured.is(series, value);
    }
    // The start is a transaction too.
    assert!(measured.0["sctec_scheduler_commit_changes_count"] >= 5.0);
    assert!(measured.0["sctec_scheduler_commit_changes_sum"] >= 5.0);
    assert!(measured.0["sctec_scheduler_commit_seconds_sum"] > 0.0);
    // The write-ahead log is a file of SQLite.
    let log_bytes = measured.0.get("sctec_scheduler_database_log_bytes");
    assert_eq!(log_bytes.is_some_and(|bytes| *bytes > 0.0), !is_postgres());
}

#[test]
fn the_older_format_has_the_same_samples() {
    let services = Services::start(&[]);
    for url in [services.agenda("/metrics"), services.locks("/metrics")] {
        let (new, old) = (http("GET", &url, None), http_with("GET", &url, None, &[PLAIN]));
        assert_eq!(new.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
        assert_eq!(old.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        assert_eq!((new.header("vary"), old.header("vary")), (Some("Accept"), Some("Accept")));
        assert!(new.body.ends_with("# EOF\n") && !old.body.contains("# EOF"));
        let names =
            |text: &str| samples(text).into_keys().filter(|series| !series.contains("/metrics")).collect::<Vec<_>>();
        assert_eq!(names(&new.body), names(&old.body));
        // Of a counter, the family has the samples' name.
        for line in old.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (family, kind) = line.split_once(' ').unwrap();
            let is_there = names(&old.body).iter().any(|series| series.starts_with(family));
            assert!(is_there || kind != "gauge", "{line}");
            assert_eq!(kind == "counter", family.ends_with("_total"), "{line}");
        }
    }
}

#[test]
fn a_scheduler_without_its_coordinator_counts_why_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::common::scheduler_command(folder.path(), &nobody());
    let server = crate::common::Server::spawn(&mut command, 1);
    let body = json!({"cientista_id": 7, "horario_inicio_utc": "2025-12-01T03:00:00Z"}).to_string();
    let answer = http("POST", &format!("{}/agendamentos", server.url()), Some(("application/json", &body)));
    assert_eq!(answer.status, 503);
    assert!(answer.header("server-timing").unwrap().starts_with("lock;dur="));
    let text = http("GET", &format!("{}/metrics", server.url()), None).body;
    assert!(samples(&text)["sctec_scheduler_refusals_total{codigo=\"coordenador_indisponivel\"}"] > 0.0, "{text}");
}
