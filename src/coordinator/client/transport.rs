//! How the scheduler reaches the coordinator: its addresses, and the pool of connections to them.
//!
//! Of several addresses one is used until it does not answer, or says that another coordinator is elected; then the next is. All have to
//! lead to the same coordinator, or to coordinators of one election: two that each give locks of their own would leave only the database
//! between rivals.
//!
//! With a secret, a connection is used only after its other end has proved to have it too ([`super::challenge`]), and each request
//! presents it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};

use super::challenge::AskForSecret;
use super::ready::{Failure, NOT_A_SCHEDULER, TOO_FAST};
use crate::access::secret::Secret;
use crate::coordinator::protocol::{NOT_ELECTED, path};
use crate::http::client::{NotProven, Pool, whole_body};
use crate::http::prefer::MINIMAL;
use crate::http::tls::Trust;
use crate::http::unreachable::{causes, is_here, logged};
use rust_i18n::t;
use serde::Deserialize;
use tokio::sync::watch;

/// How long an answer may take, from the request's arrival in the client on and with all tries, until the coordinator
/// counts as unreachable.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of an answer.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// A text that is not a coordinator's URL. Shown by the command line, hence in English.
#[derive(Debug, thiserror::Error)]
#[error("{}", t!("%{url} is not the URL of a coordinator; it should look like http://127.0.0.1:3000", url = format_args!("{:?}", .0)))]
pub struct AddressError(String);

/// What a coordinator has to show before it is believed.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// A certificate of these, where its URL is `https://`.
    pub trust: Trust,
    /// That it has this secret, if there is one.
    pub secret: Option<Secret>,
}

/// The coordinator's addresses and the connections to them.
pub struct Transport {
    pool: Pool,
    addresses: Vec<Endpoints>,
    /// The secret as each request presents it, if there is one.
    presented: Option<HeaderValue>,
    /// The index of the address that served last.
    current: watch::Sender<usize>,
}

/// One address's endpoints.
pub struct Endpoints {
    /// The index of the address.
    pub place: usize,
    pub batch: Uri,
    pub ready: Uri,
    pub events: Uri,
}

impl Transport {
    /// A transport to the coordinator at any of `urls`, which has to show what is `expected`.
    ///
    /// # Errors
    /// [`AddressError`], also when there is no URL at all.
    pub fn new(urls: &[String], expected: Expected) -> Result<Self, AddressError> {
        let addresses =
            urls.iter().enumerate().map(|(place, url)| Endpoints::of(place, url)).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(AddressError(String::new()));
        }
        let Expected { trust, secret } = expected;
        let presented = secret.as_ref().map(bearer);
        let pool = match secret {
            Some(secret) => {
                Pool::challenging(CONNECT_TIMEOUT, &trust, Arc::new(AskForSecret(secret)), EXCHANGE_TIMEOUT)
            }
            None => Pool::new(CONNECT_TIMEOUT, &trust),
        };
        Ok(Self { pool, addresses, presented, current: watch::Sender::new(0) })
    }

    /// Tries the addresses from the current one on, each for its share of `whole`, until one serves; the next exchange
    /// begins with that one.
    ///
    /// # Errors
    /// The first address's failure. Of coordinators of one election it is that of the elected one, if one is.
    pub async fn first_that<'a, T, E, F>(&'a self, whole: Duration, serves: impl Fn(&'a Endpoints) -> F) -> Result<T, E>
    where
        E: Failure,
        F: Future<Output = Result<T, E>>,
    {
        let (first, count) = (*self.current.borrow(), self.addresses.len());
        // So that the last address is tried too.
        let share = whole / u32::try_from(count).unwrap_or(u32::MAX);
        let mut fault: Option<E> = None;
        for place in (0..count).map(|step| (first + step) % count) {
            let address = &self.addresses[place];
            let served = tokio::time::timeout(share, serves(address)).await;
            let late = || {
                let scheme = address.batch.scheme_str().unwrap_or_default();
                let host = address.batch.authority().map_or("", |authority| authority.as_str());
                format!("{scheme}://{host} não respondeu em {} ms", share.as_millis())
            };
            match served.unwrap_or_else(|_| Err(late().into())) {
                Ok(served) => {
                    // Those who listen at another address hear of it.
                    self.current.send_if_modified(|current| std::mem::replace(current, place) != place);
                    return Ok(served);
                }
                Err(reason) if fault.as_ref().is_none_or(E::is_elsewhere) => fault = Some(reason),
                Err(_) => {}
            }
        }
        // There is an address.
        Err(fault.unwrap_or_else(|| E::from(String::new())))
    }

    /// Completes when another address than the one at `place` serves.
    pub async fn moved_from(&self, place: usize) {
        // The sender is this transport's own, and so there.
        let _ = self.current.subscribe().wait_for(|current| *current != place).await;
    }

    /// The head of the answer to a request without a body.
    ///
    /// # Errors
    /// In words, when there is none.
    pub async fn get(&self, request: hyper::http::request::Builder) -> Result<Response<Incoming>, String> {
        self.send(request.body(Full::default()).map_err(|error| error.to_string())?).await
    }

    /// The head of the answer to a request with a body of JSON. The answer may be a short one.
    ///
    /// # Errors
    /// In words, when there is none.
    pub async fn post(&self, uri: &Uri, body: &Bytes) -> Result<Response<Incoming>, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json")
            // Coordinators that do not know this answer at length.
            .header("prefer", MINIMAL)
            .body(Full::new(body.clone()))
            .map_err(|error| error.to_string())?;
        self.send(request).await
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        if let Some(secret) = &self.presented {
            request.headers_mut().insert(AUTHORIZATION, secret.clone());
        }
        let uri = request.uri().clone();
        self.pool.send(request).await.map_err(|error| match causes(&error).next() {
            Some(NotProven(why)) => format!("{uri} {why}"),
            // A fault of this machine says nothing of the coordinator: nobody should restart that for it.
            None if is_here(&error) => format!("{uri} não pôde ser consultado: {}", logged(&error)),
            None => format!("{uri} não respondeu: {}", logged(&error)),
        })
    }
}

/// The value of `Authorization` that presents the secret.
fn bearer(secret: &Secret) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose()))
        // A token has letters, digits and `_`.
        .expect("a header takes a token");
    value.set_sensitive(true);
    value
}

/// Why there is no answer, or what an answer says that is not a success.
#[derive(Clone, Debug)]
pub struct NotServed {
    /// In words, for the log.
    pub reason: String,
    /// Whether the coordinator has a rate, and this scheduler made more requests than that.
    pub too_fast: bool,
    /// Whether another coordinator is elected, or none.
    pub elsewhere: bool,
}

impl From<String> for NotServed {
    fn from(reason: String) -> Self {
        Self { reason, too_fast: false, elsewhere: false }
    }
}

impl NotServed {
    /// Whether the coordinator has refused the request, and would do so again.
    pub fn is_definite(&self) -> bool {
        self.elsewhere || self.too_fast
    }
}

impl Failure for NotServed {
    fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }
}

/// The members of a problem document that are used here.
#[derive(Default, Deserialize)]
struct Refusal {
    codigo: Option<String>,
    eleito: Option<String>,
}

/// What an answer says that is not a success.
pub fn not_served(uri: &Uri, status: StatusCode, body: &[u8]) -> NotServed {
    let Refusal { codigo, eleito } = serde_json::from_slice(body).unwrap_or_default();
    let elsewhere = codigo.as_deref() == Some(NOT_ELECTED);
    let reason = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!("{uri} {NOT_A_SCHEDULER}"),
        StatusCode::TOO_MANY_REQUESTS => format!("{uri} {TOO_FAST}"),
        _ if elsewhere => match eleito {
            Some(eleito) => format!("{uri} não é do coordenador eleito, que é {eleito}"),
            None => format!("{uri} não é do coordenador eleito, e não sabe qual é"),
        },
        _ => format!("{uri} respondeu {status}"),
    };
    NotServed { reason, too_fast: status == StatusCode::TOO_MANY_REQUESTS, elsewhere }
}

/// The status of an answer and its whole body.
///
/// # Errors
/// In words, when the body breaks off or is too long.
pub async fn read_whole(answer: Response<Incoming>) -> Result<(StatusCode, Bytes), String> {
    let status = answer.status();
    let body = whole_body(answer.into_body(), ANSWER_MAX).await.map_err(|error| error.to_string())?;
    Ok((status, body))
}

impl Endpoints {
    fn of(place: usize, url: &str) -> Result<Self, AddressError> {
        let base = url.trim().trim_end_matches('/');
        let uri = |path: &str| -> Result<Uri, AddressError> {
            let uri: Uri = format!("{base}{path}").parse().map_err(|_| AddressError(url.to_owned()))?;
            let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
            if is_http && uri.host().is_some_and(|host| !host.is_empty()) {
                Ok(uri)
            } else {
                Err(AddressError(url.to_owned()))
            }
        };
        Ok(Self { place, batch: uri(path::BATCH)?, ready: uri(path::READY)?, events: uri(path::EVENTS)? })
    }
}
