//! The client of Cristian's algorithm: asks a scheduler for its time, and takes the samples.
//!
//! # What a sample measures
//! A sample measures one exchange on an open connection. A warm-up request, which is not measured, looks up the name and connects.
//! The exchange ends at the answer's last byte, before parsing. The local clock is read once, and the elapsed time is measured
//! with the monotonic clock, so setting the local clock during a sample does not change the sample.
//!
//! # Addresses
//! A name is looked up once, and again after every failure, because the scheduler may have a new address.
//!
//! # Rounding
//! Clocks are read in microseconds; another server may give fewer digits. Each reading is rounded so that the round trip becomes
//! longer, never shorter. So the true offset stays inside the error bound.

use std::time::{Duration, Instant};

use iri_string::types::{UriAbsoluteStr, UriReferenceStr};
use serde::Deserialize;

use super::cristian::Sample;
use crate::http::blocking::{self, ExchangeError, Lookup, askable};
use crate::http::client::Security;
use crate::http::unreachable::{Cause, Peer};
use crate::language::translation;
use crate::time::{Clock, Timestamp, micros};
use rust_i18n::t;

/// The service that is asked.
pub const SCHEDULER: Peer = Peer { name: "the scheduler", command: "sctec serve-all" };
/// A connection that was idle for longer may have been closed: it is warmed up again.
const WARM_FOR: Duration = Duration::from_secs(5);
/// The unit of [`Timestamp`], in microseconds.
const LOCAL_RESOLUTION_US: i64 = 1;

/// Why no time was received. Each message says what to do, or what is wrong with the answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A URL to which this client cannot send a request.
    #[error("{}", t!("cannot ask %{url}: the URL should look like http://127.0.0.1:5000", url = format_args!("{:?}", .0)))]
    Url(String),
    /// There was no answer.
    #[error("{}", t!("cannot reach %{url}: %{advice}", url = url, advice = cause.advice(SCHEDULER, "--url")))]
    Unreachable {
        /// The URL that was asked.
        url: String,
        /// Why.
        cause: Cause,
        /// The error itself, if the advice for its cause does not say all that is known.
        #[source]
        error: Option<Box<ureq::Error>>,
    },
    /// An answer that is not HTTP, or too long.
    #[error("{}", t!("%{url} is not a scheduler; a scheduler's default port is 5000", url = url))]
    Protocol {
        /// The URL that was asked.
        url: String,
        /// Why.
        #[source]
        error: Box<ureq::Error>,
    },
    /// An answer other than 200.
    #[error("{}", if let Some(advice) = advice {
        t!("%{url} answered %{status}: %{said}", url = url, status = status, said = advice)
    } else {
        t!("%{url} answered %{status} instead of 200; --url should be a scheduler's entry point", url = url, status = status)
    })]
    Status {
        /// The URL that was asked.
        url: String,
        /// The status.
        status: u16,
        /// What to do, if it is about TLS or about who asks.
        advice: Option<String>,
    },
    /// The entry point has no link to the time.
    #[error("{}", t!("%{url} is not a scheduler's entry point: it has no link `hora`; name one with --url", url = url))]
    NotAScheduler {
        /// The URL that was asked.
        url: String,
    },
    /// An answer without a time.
    #[error("{}", t!("%{url} answered without the time: %{field}", url = url, field = translation(field).unwrap_or_else(|| (*field).into())))]
    NoTime {
        /// The URL that was asked.
        url: String,
        /// The field that is wrong, and how.
        field: &'static str,
    },
}

/// A scheduler whose clock is compared with the local one.
#[derive(Debug)]
pub struct Client {
    entry_point: String,
    security: Security,
    lookup: Lookup,
    clock: Clock,
    skew_us: i64,
    /// `None` after a failure: the next sample asks the entry point again.
    way: Option<Way>,
}

/// The URL of the time, and a client with an open connection.
#[derive(Debug)]
struct Way {
    client: blocking::Client,
    time_url: String,
    /// When the connection was last used.
    used: Instant,
}

impl Client {
    /// Finds the time's URL by the link `hora` of the scheduler's `entry_point`, which gets the token of `security`. The local time is `clock` plus `skew_us`
    /// microseconds, a simulated error.
    ///
    /// # Errors
    /// When the URL is malformed, there is no answer, or the answer is not a scheduler's.
    pub fn connect(entry_point: &str, security: &Security, clock: Clock, skew_us: i64) -> Result<Self, ClientError> {
        Self::connect_by(Lookup::system(), (entry_point, security), clock, skew_us)
    }

    fn connect_by(
        lookup: Lookup,
        (entry_point, security): (&str, &Security),
        clock: Clock,
        skew_us: i64,
    ) -> Result<Self, ClientError> {
        let (entry_point, security) = (entry_point.to_owned(), security.clone());
        let mut client = Self { entry_point, security, lookup, clock, skew_us, way: None };
        client.way = Some(client.find()?);
        Ok(client)
    }

    /// Takes one sample.
    ///
    /// # Errors
    /// When there is no answer in time, or the answer has no time. The next sample then begins at the entry point again.
    pub fn sample(&mut self) -> Result<Sample, ClientError> {
        self.timed_sample().map(|(_, sample)| sample)
    }

    /// Takes one sample and returns it with its start by the monotonic clock.
    ///
    /// # Errors
    /// As [`Client::sample`].
    pub fn timed_sample(&mut self) -> Result<(Instant, Sample), ClientError> {
        let mut way = match self.way.take() {
            Some(way) => way,
            None => self.find()?,
        };
        if way.used.elapsed() > WARM_FOR {
            way.warm_up()?;
        }
        // The monotonic clock is read first: a pause between the two makes the round trip longer, never shorter.
        let started = Instant::now();
        let t1 = self.clock.now().as_micros().saturating_add(self.skew_us);
        let body = get(&way.client, &way.time_url)?;
        let elapsed = started.elapsed();
        way.used = Instant::now();

        let server = parse_time(&body).map_err(|field| ClientError::NoTime { url: way.time_url.clone(), field })?;
        self.way = Some(way);
        // Both t1 and the elapsed time were rounded down to the microsecond.
        let elapsed_us = (2 * LOCAL_RESOLUTION_US).saturating_add_unsigned(micros(elapsed));
        let sample = Sample { t1, t2: server.received_by_us, t3: server.sent_us, t4: t1.saturating_add(elapsed_us) };
        Ok((started, sample))
    }

    /// Follows the entry point's link to the time, and opens the connection for the samples.
    fn find(&self) -> Result<Way, ClientError> {
        let client = blocking::Client::new(&self.lookup, &self.security);
        let entry_point = &self.entry_point;
        let not_askable = |url: &str| ClientError::Url(url.to_owned());
        let base = askable(entry_point).ok_or_else(|| not_askable(entry_point))?;
        let body = get(&client, entry_point)?;
        let time_url = time_link(base, &body).ok_or_else(|| ClientError::NotAScheduler { url: entry_point.clone() })?;
        askable(&time_url).ok_or_else(|| not_askable(&time_url))?;
        let way = Way { client, time_url, used: Instant::now() };
        way.warm_up()?;
        Ok(way)
    }
}

impl Way {
    fn warm_up(&self) -> Result<(), ClientError> {
        get(&self.client, &self.time_url).map(drop)
    }
}

fn get(client: &blocking::Client, url: &str) -> Result<Vec<u8>, ClientError> {
    let url = || url.to_owned();
    client.get(&url()).map_err(|error| match error {
        ExchangeError::Url => ClientError::Url(url()),
        ExchangeError::Unreachable(cause, error) => {
            let error = (!cause.is_explained()).then_some(error);
            ClientError::Unreachable { url: url(), cause, error }
        }
        ExchangeError::Protocol(error) => ClientError::Protocol { url: url(), error },
        ExchangeError::Status(status, advice) => ClientError::Status { url: url(), status, advice },
    })
}

/// The absolute URL of the link `hora`, resolved by RFC 3986 §5.
fn time_link(base: &UriAbsoluteStr, body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct EntryPoint {
        #[serde(rename = "_links")]
        links: Links,
    }
    #[derive(Deserialize)]
    struct Links {
        hora: Link,
    }
    #[derive(Deserialize)]
    struct Link {
        href: String,
    }
    let entry_point: EntryPoint = serde_json::from_slice(body).ok()?;
    let reference = UriReferenceStr::new(&entry_point.links.hora.href).ok()?;
    Some(reference.resolve_against(base).to_string())
}

/// The server's instants, in microseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
struct ServerTime {
    /// The server received the request at or before this instant.
    received_by_us: i64,
    /// The server sent the answer at or after this instant.
    sent_us: i64,
}

/// Parses the answer of `GET /time`. If the server gives only one timestamp, it is used for both instants.
fn parse_time(body: &[u8]) -> Result<ServerTime, &'static str> {
    #[expect(clippy::struct_field_names, reason = "the names on the wire")]
    #[derive(Deserialize)]
    struct Answer {
        timestamp_utc: Option<String>,
        recebido_utc: Option<String>,
        enviado_utc: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "it is not JSON with times in it")?;
    let (received, sent) = match (&answer.recebido_utc, &answer.enviado_utc, &answer.timestamp_utc) {
        (Some(received), Some(sent), _) => (received, sent),
        (_, _, Some(read)) => (read, read),
        _ => return Err("`timestamp_utc` is missing"),
    };
    let micros = |text: &str| Timestamp::parse_rfc3339(text).map(Timestamp::as_micros);
    let wrong = "the times are not RFC 3339 instants";
    Ok(ServerTime {
        received_by_us: micros(received).map_err(|_| wrong)?.saturating_add(resolution_us(received)),
        sent_us: micros(sent).map_err(|_| wrong)?,
    })
}

/// The unit of an RFC 3339 instant's last digit, in microseconds; at least one.
fn resolution_us(text: &str) -> i64 {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).take(6).count();
    (digits..6).fold(1, |unit, _| unit * 10)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::mpsc::{self, TryRecvError};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;

    fn link(base: &str, href: &str) -> Option<String> {
        let body = serde_json::json!({"_links": {"hora": {"href": href}}}).to_string();
        time_link(UriAbsoluteStr::new(base).unwrap(), body.as_bytes())
    }

    #[test]
    fn the_link_is_resolved_against_the_entry_point() {
        for (base, href, url) in [
            ("http://h:5000", "/time", "http://h:5000/time"),
            ("http://h:5000", "time", "http://h:5000/time"),
            ("http://h/sctec/", "time", "http://h/sctec/time"),
            ("http://h/sctec/", "/time?a=1", "http://h/time?a=1"),
            ("http://h", "http://other:80/t", "http://other:80/t"),
        ] {
            assert_eq!(link(base, href).as_deref(), Some(url), "{base} {href}");
        }
        assert_eq!(link("http://h", "not a\nreference"), None);
        let base = UriAbsoluteStr::new("http://h").unwrap();
        for body in ["", "[]", "{}", r#"{"_links": {}}"#, r#"{"_links": {"hora": "/time"}}"#] {
            assert_eq!(time_link(base, body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn an_answer_has_two_instants_or_one_for_both() {
        let both = r#"{"timestamp_utc": "1970-01-01T00:00:09.000000Z", "recebido_utc": "1970-01-01T00:00:01.000005Z",
            "enviado_utc": "1970-01-01T00:00:01.000009Z"}"#;
        let both = parse_time(both.as_bytes()).unwrap();
        assert_eq!(both, ServerTime { received_by_us: 1_000_006, sent_us: 1_000_009 });
        let one = parse_time(br#"{"timestamp_utc": "1970-01-01T00:00:01.500000Z", "recebido_utc": null}"#).unwrap();
        assert_eq!(one, ServerTime { received_by_us: 1_500_001, sent_us: 1_500_000 });
    }

    #[test]
    fn a_coarse_instant_widens_the_bound() {
        for (text, unit) in [("1Z", 1_000_000), ("1.5Z", 100_000), ("1.123Z", 1000), ("1.123456789+00:00", 1)] {
            assert_eq!(resolution_us(text), unit, "{text}");
        }
    }

    #[test]
    fn an_answer_without_a_time_is_refused() {
        for body in ["", "{}", "[1]", r#"{"timestamp_utc": 5}"#, r#"{"timestamp_utc": "ontem"}"#] {
            assert!(parse_time(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn only_http_urls_are_asked() {
        for url in ["", "127.0.0.1:5000", "localhost:5000", "ftp://h", "http://h:99999", "http://h#x", "http:///"] {
            let error = Client::connect(url, &Security::default(), Clock::system(), 0).unwrap_err();
            assert!(matches!(error, ClientError::Url(_)), "{url}: {error:?}");
        }
    }

    /// A scheduler that answers every request with this time. When the sender is dropped, it closes all connections and ends.
    fn scheduler_at(time: &'static str) -> (SocketAddr, mpsc::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (alive, ended) = mpsc::channel::<()>();
        thread::spawn(move || {
            let mut connections: Vec<TcpStream> = Vec::new();
            while ended.try_recv() != Err(TryRecvError::Disconnected) {
                if let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).unwrap();
                    connections.push(stream);
                }
                for stream in &mut connections {
                    // In this test a request arrives in one read.
                    if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                        let body =
                            format!(r#"{{"_links": {{"hora": {{"href": "/time"}}}}, "timestamp_utc": "{time}"}}"#);
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                        let _ = stream.write_all((head + &body).as_bytes());
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        (address, alive)
    }

    #[test]
    fn uptime_kuma_2278_a_name_whose_address_died_is_looked_up_again() {
        let (first, alive) = scheduler_at("1970-01-01T00:00:01.000000Z");
        let (second, _alive) = scheduler_at("1970-01-01T00:00:02.000000Z");
        let address = Arc::new(Mutex::new(first));
        let hosts = blocking::tests::lookup_of(&address);
        let mut client =
            Client::connect_by(hosts, ("http://scheduler.test:5000", &Security::default()), Clock::system(), 0)
                .unwrap();
        assert_eq!(client.sample().unwrap().t3, 1_000_000);
        // Without a failure the name is not looked up again: the lookup would be part of the sample.
        *address.lock().unwrap() = second;
        assert_eq!(client.sample().unwrap().t3, 1_000_000);
        drop(alive);
        // The first scheduler closes its connections at once and its listener a little later.
        let begun = Instant::now();
        let moved = loop {
            match client.sample() {
                Ok(sample) if sample.t3 == 2_000_000 => break true,
                _ if begun.elapsed() > Duration::from_secs(30) => break false,
                _ => thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(moved, "the client kept the dead address");
    }
}
