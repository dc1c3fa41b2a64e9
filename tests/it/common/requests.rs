//! One HTTP request and its answer.

use std::io::Read;
use std::sync::Barrier;
use std::thread;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::contract::{self, Seen};
use super::wait::PATIENCE;

/// A whole answer.
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Holds the answer to the document of the service that gave it.
    fn held_to_the_contract(&self, method: &str, url: &str, sent: Option<&str>) {
        let path = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = path.find(['/', '?']).map_or("/", |at| &path[at..]);
        let (status, headers, body) = (self.status, &self.headers, &self.body);
        contract::held(url, &Seen { method, path, sent, status, headers, body, direct: true });
    }

    /// The same answer with another body.
    pub fn with_body(&self, body: String) -> Self {
        Self { status: self.status, headers: self.headers.clone(), body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One request; `body` is its type and text.
pub fn http(method: &str, url: &str, body: Option<(&str, &str)>) -> Answer {
    http_with(method, url, body, &[])
}

/// One request of JSON that may find nobody there.
pub fn try_http(method: &str, url: &str, body: Option<&str>) -> Result<Answer, String> {
    try_http_with(method, url, body.map(|body| ("application/json", body)), &[])
}

/// One request with headers of its own.
pub fn http_with(method: &str, url: &str, body: Option<(&str, &str)>, headers: &[(&str, &str)]) -> Answer {
    try_http_with(method, url, body, headers).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// One request to a service that is seen below a path. The documents of the API know none.
pub fn http_below(method: &str, url: &str, body: Option<(&str, &str)>, headers: &[(&str, &str)]) -> Answer {
    exchange(method, url, body, headers).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// One request of JSON to another program's service, that may find nobody there.
pub fn try_http_elsewhere(url: &str, body: &str) -> Result<Answer, String> {
    exchange("POST", url, Some(("application/json", body)), &[])
}

/// One request with headers of its own that may find nobody there, or get no answer.
pub fn try_http_with(
    method: &str,
    url: &str,
    body: Option<(&str, &str)>,
    headers: &[(&str, &str)],
) -> Result<Answer, String> {
    let answer = exchange(method, url, body, headers)?;
    answer.held_to_the_contract(method, url, body.map(|(_, text)| text));
    Ok(answer)
}

fn exchange(method: &str, url: &str, body: Option<(&str, &str)>, headers: &[(&str, &str)]) -> Result<Answer, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = match body {
        Some((content_type, text)) => {
            agent.run(request.header("Content-Type", content_type).body(text.to_owned()).unwrap())
        }
        None => agent.run(request.body(()).unwrap()),
    };
    let mut answer = answer.map_err(|error| error.to_string())?;
    let gzip = answer.headers().get("content-encoding").is_some_and(|coding| coding == "gzip");
    let mut bytes = answer.body_mut().as_reader();
    let mut text = String::new();
    let read = if gzip { GzDecoder::new(bytes).read_to_string(&mut text) } else { bytes.read_to_string(&mut text) };
    read.map_err(|error| error.to_string())?;
    let headers =
        answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    Ok(Answer { status: answer.status().as_u16(), headers: headers.collect(), body: text })
}

/// A URL whose port has no listener.
pub fn nobody() -> String {
    format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// Asks two schedulers for the same slot, `each` times at the same instant, and returns the statuses in order. Two `sctec stress`
/// would not do: the later one finds the slot booked and sends nothing.
pub fn contest(urls: &[String; 2], each: usize, slot: &str) -> Vec<u16> {
    let body = json!({"cientista_id": 1, "horario_inicio_utc": slot}).to_string();
    let to = |number: usize| (format!("{}/agendamentos", urls[number % 2]), body.clone());
    at_once(&(0..2 * each).map(to).collect::<Vec<_>>())
}

/// Sends all these bodies, each to its URL, at the same instant, and returns the statuses in order.
pub fn at_once(bodies: &[(String, String)]) -> Vec<u16> {
    let start = Barrier::new(bodies.len());
    let mut statuses: Vec<u16> = thread::scope(|scope| {
        let rivals: Vec<_> = bodies
            .iter()
            .map(|(url, body)| {
                scope.spawn(|| {
                    start.wait();
                    http("POST", url, Some(("application/json", body))).status
                })
            })
            .collect();
        rivals.into_iter().map(|rival| rival.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    statuses
}
