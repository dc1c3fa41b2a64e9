//! How a service has answered: requests by endpoint and status with their times, and refusals by kind of problem.
//!
//! # Cost
//!
//! An answer costs two readings of the clock, one counter and one histogram. The counters of an endpoint are found by its place in the
//! service's table, and no label is made or compared: each series is made at its first answer.

use std::sync::OnceLock;
use std::time::Duration;

use hyper::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::kind::{self, Kind};
use super::router::Endpoint;

/// Upper bounds of the histogram, in seconds.
const BUCKETS_S: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// The statuses of answers, in order. Another one is counted too, and costs a search.
const STATUSES: [u16; 23] =
    [200, 201, 204, 302, 303, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 421, 422, 428, 429, 431, 500, 503];
/// The label of requests that lead to no endpoint.
const NOWHERE: &str = "none";

/// The labels of the counter of answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: String,
    status: u32,
}

/// The label of the histogram.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// The label of the counter of refusals.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    codigo: &'static str,
}

/// One endpoint's series.
#[derive(Debug)]
struct Row {
    route: String,
    answers: [OnceLock<Counter>; STATUSES.len()],
    seconds: OnceLock<Histogram>,
}

impl Row {
    fn new(route: String) -> Self {
        Self { route, answers: [const { OnceLock::new() }; STATUSES.len()], seconds: OnceLock::new() }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS_S)
}

/// The counters.
#[derive(Debug)]
pub struct Answered {
    /// By place in the service's table; the last one is of requests that lead to no endpoint.
    rows: Vec<Row>,
    answers: Family<Answer, Counter>,
    seconds: Family<Route, Histogram>,
    /// By code.
    refused: Vec<(&'static str, Counter)>,
    refusals: Family<Code, Counter>,
}

impl Answered {
    /// For a service's endpoints, in the order of its table, and its own kinds of problem beside those of all services.
    pub fn new(endpoints: impl Iterator<Item = &'static Endpoint>, own: impl Iterator<Item = Kind>) -> Self {
        let name = |endpoint: &Endpoint| format!("{} {}", endpoint.method, endpoint.path.replace("{*", "{"));
        let mut rows: Vec<Row> = endpoints.map(name).map(Row::new).collect();
        rows.push(Row::new(NOWHERE.to_owned()));
        let refusals = Family::<Code, Counter>::default();
        let mut refused: Vec<(&'static str, Counter)> = Vec::new();
        // All at zero: a series that begins with its first event has no increase that an alert could see.
        for kind in kind::ALL.iter().copied().chain(own) {
            if refused.iter().all(|(code, _)| *code != kind.code()) {
                refused.push((kind.code(), refusals.get_or_create(&Code { codigo: kind.code() }).clone()));
            }
        }
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        Self { rows, answers: Family::default(), seconds, refused, refusals }
    }

    /// Counts an answer. `place` is the endpoint's in the table; `None` if the request led to none.
    pub fn count(&self, place: Option<usize>, status: StatusCode, took: Duration) {
        let last = self.rows.len() - 1;
        let row = &self.rows[place.unwrap_or(last).min(last)];
        let counter = || {
            let label = Answer { route: row.route.clone(), status: status.as_u16().into() };
            self.answers.get_or_create(&label).clone()
        };
        match STATUSES.binary_search(&status.as_u16()) {
            Ok(index) => row.answers[index].get_or_init(counter).inc(),
            Err(_) => counter().inc(),
        };
        let series = || self.seconds.get_or_create(&Route { route: row.route.clone() }).clone();
        row.seconds.get_or_init(series).observe(took.as_secs_f64());
    }

    /// Counts an answer that is a problem.
    pub fn refuse(&self, kind: Kind) {
        if let Some((_, counter)) = self.refused.iter().find(|(code, _)| *code == kind.code()) {
            counter.inc();
        }
    }

    /// Puts all of them into a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("requests", "Requests answered, by endpoint and status", self.answers.clone());
        registry.register(
            "request_duration_seconds",
            "From the arrival of a request's head to its answer's, by endpoint",
            self.seconds.clone(),
        );
        registry.register("refusals", "Answers that are problems, by codigo", self.refusals.clone());
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::access::role::Need;

    static ENDPOINTS: [Endpoint; 2] = [
        Endpoint::new(Method::GET, "/a/{*x}", Need::Nothing, "one"),
        Endpoint::new(Method::POST, "/b", Need::Nothing, "another"),
    ];

    fn text(answered: &Answered) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        answered.register(&mut registry);
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn each_answer_is_counted_at_its_endpoint_also_one_of_an_unknown_status() {
        assert!(STATUSES.is_sorted());
        let answered = Answered::new(ENDPOINTS.iter(), std::iter::empty());
        let at = |place, status| answered.count(place, StatusCode::from_u16(status).unwrap(), Duration::from_millis(2));
        at(Some(0), 200);
        at(Some(0), 200);
        at(Some(1), 418);
        at(Some(1), 418);
        at(None, 404);
        let text = text(&answered);
        for line in [
            "requests_total{route=\"GET /a/{x}\",status=\"200\"} 2",
            "requests_total{route=\"POST /b\",status=\"418\"} 2",
            "requests_total{route=\"none\",status=\"404\"} 1",
            "request_duration_seconds_bucket{le=\"0.001\",route=\"GET /a/{x}\"} 0",
            "request_duration_seconds_bucket{le=\"0.0025\",route=\"GET /a/{x}\"} 2",
            "request_duration_seconds_count{route=\"POST /b\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn refusals_begin_at_zero() {
        let answered = Answered::new(ENDPOINTS.iter(), std::iter::empty());
        assert!(text(&answered).contains("refusals_total{codigo=\"requisicoes_demais\"} 0\n"));
        answered.refuse(kind::TOO_FAST);
        assert!(text(&answered).contains("refusals_total{codigo=\"requisicoes_demais\"} 1\n"));
    }
}
