//! How the scheduler reaches the coordinator: its addresses, and the pool of connections to them.
//!
//! Of several addresses one is spoken with until it does not answer; then the next is. All have to lead to the same
//! coordinator: two that each give locks of their own would leave only the database between rivals.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::client::StartError;
use crate::http::in_words;
use crate::http::socket::{PEER_TIMEOUT, PROBE_EVERY};

/// How long an answer may take from the asking on, with all tries and all that was asked before it, until the coordinator
/// counts as unreachable.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Idle connections are dropped before the server drops them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The most bytes of an answer.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

type Http = HttpClient<HttpConnector, Full<Bytes>>;

/// The way to the coordinator.
pub struct Way {
    http: Http,
    addresses: Vec<Address>,
    /// The one that answered last.
    current: AtomicUsize,
}

/// One address, as its endpoints.
pub struct Address {
    pub batch: Uri,
    pub ready: Uri,
    pub events: Uri,
}

impl Way {
    /// The way to any of `urls`.
    ///
    /// # Errors
    /// [`StartError::Url`].
    pub fn new(urls: &[String]) -> Result<Self, StartError> {
        let addresses = urls.iter().map(|url| address(url)).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(StartError::Url(String::new()));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // One that has vanished is noticed on a stream too, and on a connection that nobody uses now.
        connector.set_tcp_user_timeout(Some(PEER_TIMEOUT));
        connector.set_keepalive(Some(PROBE_EVERY));
        connector.set_keepalive_interval(Some(PROBE_EVERY));
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self { http, addresses, current: AtomicUsize::new(0) })
    }

    /// Tries the addresses from the current one on, each for its share of `whole`, until one serves; the next try begins
    /// there.
    ///
    /// # Errors
    /// In words, what the first of them had to say.
    pub async fn first_that<'a, T, F>(&'a self, whole: Duration, serves: impl Fn(&'a Address) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>>,
    {
        let (first, count) = (self.current.load(Ordering::Relaxed), self.addresses.len());
        // So that the last is tried too.
        let share = whole / u32::try_from(count).unwrap_or(u32::MAX);
        let mut fault = None;
        for place in (0..count).map(|step| (first + step) % count) {
            let address = &self.addresses[place];
            let served = tokio::time::timeout(share, serves(address)).await;
            let late = || {
                let host = address.batch.authority().map_or("", |authority| authority.as_str());
                format!("http://{host} não respondeu em {} ms", share.as_millis())
            };
            match served.unwrap_or_else(|_| Err(late())) {
                Ok(served) => {
                    self.current.store(place, Ordering::Relaxed);
                    return Ok(served);
                }
                Err(reason) => drop(fault.get_or_insert(reason)),
            }
        }
        Err(fault.unwrap_or_default())
    }

    /// The head of an answer to a request without a body.
    ///
    /// # Errors
    /// In words, when there was none.
    pub async fn get(&self, request: hyper::http::request::Builder) -> Result<Response<Incoming>, String> {
        let request = request.body(Full::default()).map_err(|error| error.to_string())?;
        let uri = request.uri().clone();
        self.http.request(request).await.map_err(|error| format!("{uri} não respondeu: {}", in_words(&error)))
    }

    /// The whole answer to a request with a body of JSON.
    ///
    /// # Errors
    /// In words, when there was none.
    pub async fn post(&self, uri: &Uri, body: &Bytes) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.clone()))
            .map_err(|error| error.to_string())?;
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| format!("{uri} não respondeu: {}", in_words(&error)))?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|error| error.to_string())?;
        Ok((status, bytes.to_bytes()))
    }
}

fn address(url: &str) -> Result<Address, StartError> {
    let base = url.trim().trim_end_matches('/');
    let uri = |path: &str| -> Result<Uri, StartError> {
        let uri: Uri = format!("{base}{path}").parse().map_err(|_| StartError::Url(url.to_owned()))?;
        let plain_http = uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty());
        if plain_http { Ok(uri) } else { Err(StartError::Url(url.to_owned())) }
    };
    Ok(Address { batch: uri("/lote")?, ready: uri("/pronto")?, events: uri("/eventos")? })
}
