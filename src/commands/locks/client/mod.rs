//! Asks a coordinator for its locks, page by page, and for the release of one.
//!
//! # Several addresses
//! Each request begins with the first address and uses the first that answers at all; an unexpected answer is an error, and
//! the next address is not asked. A coordinator that says that it is not the elected one counts as one that does not answer, since it has
//! done nothing. A release goes to the next address only if it surely did not arrive: two coordinators
//! must not both release for one command.

mod error;
mod refusal;

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use self::error::{COORDINATOR, ClientError};
use crate::coordinator::protocol::{NOT_ELECTED, grace, path};
use crate::http::client::{AnswerError, Limits, Security, Session, Url, refused};
use crate::http::links::{ReadLink, with_query};
use crate::text::escaped;

/// The limits of one exchange. Connecting has less time, because another address may be next; a full page is far below
/// the most bytes of an answer.
const LIMITS: Limits =
    Limits { connect: Duration::from_secs(2), exchange: Duration::from_secs(5), answer_bytes: 16 * 1024 * 1024 };
/// The most locks of one page, by the contract.
const PAGE_MAX: usize = 1000;
/// More locks than a coordinator ever has: a million locked or retained, and fewer promised.
const LOCKS_MAX: usize = 2_000_000;

/// The locks of one request.
#[derive(Debug)]
pub struct Listing {
    /// The address that answered.
    pub coordinator: String,
    /// The coordinator's own objects, in its order.
    pub locks: Vec<Value>,
    /// Whether there are more than were asked for.
    pub more: bool,
    /// For how long locks from before the coordinator's restart may be in use; asked where no lock is listed.
    pub grace_left: Option<Duration>,
}

/// One lock, as listed. A promised resource has no owner, token or expiry.
#[derive(Debug, Deserialize)]
pub struct Lock {
    pub recurso: String,
    pub estado: String,
    pub dono: Option<String>,
    pub token: Option<u64>,
    pub expira_em_ms: Option<u64>,
    pub fila: u64,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    url: String,
    status: StatusCode,
    /// Null where it was not JSON.
    pub body: Value,
    /// What to do, if it refuses because of TLS or of who asks.
    advice: Option<String>,
}

/// The result of a release.
#[derive(Debug)]
pub enum Release {
    /// The resource was locked or retained, and is free now.
    Done(Answer),
    /// The resource was free. After a restart of the coordinator, a lock from before may be in use for this long.
    Free(Answer, Option<Duration>),
}

impl Listing {
    /// The locks as values.
    ///
    /// # Errors
    /// When one is not a coordinator's.
    pub fn parsed(&self) -> Result<Vec<Lock>, ClientError> {
        let wrong = |_| ClientError::NotACoordinator { url: self.coordinator.clone(), status: 200 };
        self.locks.iter().map(|lock| Lock::deserialize(lock).map_err(wrong)).collect()
    }
}

impl Answer {
    fn read(url: &Url, (status, body): (StatusCode, Bytes)) -> Self {
        let advice = refused(status, &body);
        Self { url: url.to_string(), status, body: serde_json::from_slice(&body).unwrap_or_default(), advice }
    }

    /// Its body as a value.
    ///
    /// # Errors
    /// When it is not a coordinator's.
    pub fn parsed<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        T::deserialize(&self.body).map_err(|_| self.not_a_coordinators())
    }

    fn not_a_coordinators(&self) -> ClientError {
        ClientError::NotACoordinator { url: self.url.clone(), status: self.status.as_u16() }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code of the problem that it is.
    pub fn code(&self) -> Option<&str> {
        self.body["codigo"].as_str()
    }

    /// Whether another coordinator is elected, or none: nothing was done.
    fn is_elsewhere(&self) -> bool {
        self.code() == Some(NOT_ELECTED)
    }

    /// The error for an answer that is not the expected one.
    pub fn refusal(&self) -> ClientError {
        if let Some(said) = self.advice.clone() {
            return ClientError::Refused { url: self.url.clone(), status: self.status.as_u16(), said };
        }
        // The server is a scheduler, or a coordinator without this path.
        let foreign = matches!(self.code(), None | Some("nao_encontrado" | "metodo_nao_permitido"));
        let Some(detail) = self.body["detail"].as_str().filter(|_| !foreign) else {
            return self.not_a_coordinators();
        };
        if self.is_elsewhere() {
            let elected = self.body["eleito"].as_str().map(escaped);
            return ClientError::NotElected { url: self.url.clone(), elected };
        }
        let said = escaped(&refusal::in_words(&self.body, detail));
        ClientError::Refused { url: self.url.clone(), status: self.status.as_u16(), said }
    }
}

/// Asks one coordinator, at one of several addresses.
pub struct Client {
    addresses: Vec<Address>,
    security: Security,
}

/// One address of a coordinator.
struct Address {
    url: String,
    session: Session,
}

impl Client {
    /// A client of the coordinator at `addresses`; empty ones are passed over.
    ///
    /// # Errors
    /// When one is no URL of HTTP, or there is none.
    pub fn new(addresses: &[String], security: &Security) -> Result<Self, ClientError> {
        let trimmed = addresses.iter().map(|address| address.trim().trim_end_matches('/'));
        let named: Vec<String> = trimmed.filter(|address| !address.is_empty()).map(str::to_owned).collect();
        if let Some(wrong) = named.iter().find(|address| address.contains('?') || Url::parse(address).is_err()) {
            return Err(ClientError::Url(wrong.clone()));
        }
        if named.is_empty() {
            return Err(ClientError::Url(addresses.join(",")));
        }
        let session = || Session::new(LIMITS, security);
        let addresses = named.into_iter().map(|url| Address { url, session: session() }).collect();
        Ok(Self { addresses, security: security.clone() })
    }

    /// The locks whose names begin with `prefix`, at most `limit`.
    ///
    /// # Errors
    /// When no address answers, or the answer is not a coordinator's.
    pub async fn list(&mut self, prefix: Option<&str>, limit: usize) -> Result<Listing, ClientError> {
        self.at_first_that_answers(async |address| {
            let mut listing = pages(address, prefix, limit).await?;
            if listing.locks.is_empty() {
                listing.grace_left = grace_left(address).await;
            }
            Ok(listing)
        })
        .await
    }

    /// Releases the lock that `resource` belongs to.
    ///
    /// # Errors
    /// When no address answers, or the coordinator refuses.
    pub async fn release(&mut self, resource: &str, reason: Option<&str>) -> Result<Release, ClientError> {
        let name = utf8_percent_encode(resource, NON_ALPHANUMERIC);
        let body = reason.map(|reason| json!({ "motivo": reason }).to_string());
        let answer = self.at_first_that_answers(async |address| {
            let url = parsed(format!("{}/locks/{name}", address.url))?;
            let sent = address.session.send(Method::DELETE, &url, body.clone().map(Into::into)).await;
            let answer = sent.map(|answer| Answer::read(&url, answer)).map_err(|cause| {
                let url = url.to_string();
                if cause.is_unsent() { failed(cause, url) } else { ClientError::Unsure { url, cause } }
            })?;
            if answer.is_elsewhere() { Err(answer.refusal()) } else { Ok(answer) }
        });
        let answer = answer.await?;
        match (answer.status, answer.code()) {
            (StatusCode::OK, _) => Ok(Release::Done(answer)),
            (StatusCode::NOT_FOUND, Some("sem_trava")) => {
                let left = self.at_first_that_answers(async |address| Ok(grace_left(address).await)).await?;
                Ok(Release::Free(answer, left))
            }
            _ => Err(answer.refusal()),
        }
    }

    /// Posts to `path` at the first address that answers, over a connection of its own. The same request may arrive twice: the
    /// caller has to send one that does no more then.
    ///
    /// # Errors
    /// When no address answers.
    pub async fn post(&self, path: &str, body: &Value, limits: Limits) -> Result<Answer, ClientError> {
        let body = Bytes::from(body.to_string());
        let (mut last, mut elsewhere) = (None, None);
        for address in &self.addresses {
            let url = parsed(format!("{}{path}", address.url))?;
            match Session::new(limits, &self.security).send(Method::POST, &url, Some(body.clone())).await {
                Ok(answer) => {
                    let answer = Answer::read(&url, answer);
                    if !answer.is_elsewhere() {
                        return Ok(answer);
                    }
                    elsewhere.get_or_insert(answer);
                }
                Err(cause) if cause.is_silence() => last = Some(cause),
                Err(cause) => return Err(failed(cause, url.to_string())),
            }
        }
        elsewhere.map_or_else(|| Err(self.unreachable(last)), Ok)
    }

    /// How many addresses there are.
    pub fn addresses(&self) -> u32 {
        u32::try_from(self.addresses.len()).unwrap_or(u32::MAX)
    }

    async fn at_first_that_answers<T>(
        &mut self,
        ask: impl AsyncFn(&mut Address) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let (mut last, mut elsewhere) = (None, None);
        for address in &mut self.addresses {
            match ask(address).await {
                Err(ClientError::Unreachable { cause, .. }) => last = Some(cause),
                Err(error @ ClientError::NotElected { .. }) => drop(elsewhere.get_or_insert(error)),
                answered => return answered,
            }
        }
        Err(elsewhere.unwrap_or_else(|| self.unreachable(last)))
    }

    /// No address answers; `last` is why the last one does not.
    fn unreachable(&self, last: Option<AnswerError>) -> ClientError {
        let cause = last.expect("there is at least one address");
        let tried: Vec<&str> = self.addresses.iter().map(|address| address.url.as_str()).collect();
        ClientError::Unreachable { tried: tried.join(", "), cause }
    }
}

/// What is left of the grace after a restart. The locks are shown without it where its answer is no use.
async fn grace_left(address: &mut Address) -> Option<Duration> {
    let url = Url::parse(&format!("{}{}", address.url, path::HEALTH)).ok()?;
    let (_, body) = address.session.get(&url).await.ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    body[grace::LEFT].as_u64().map(Duration::from_millis)
}

async fn pages(address: &mut Address, prefix: Option<&str>, limit: usize) -> Result<Listing, ClientError> {
    let page_size = limit.min(PAGE_MAX).to_string();
    let query = prefix.map(|prefix| ("prefixo", prefix)).into_iter().chain([("limite", page_size.as_str())]);
    let mut url = parsed(with_query(&format!("{}/locks", address.url), query))?;
    let mut listing = Listing { coordinator: address.url.clone(), locks: Vec::new(), more: false, grace_left: None };
    loop {
        let (mut locks, next) = page(&mut address.session, &url).await?;
        let nothing_new = locks.is_empty();
        listing.locks.append(&mut locks);
        let Some(next) = next else { break };
        if listing.locks.len() >= limit {
            listing.more = true;
            break;
        }
        if nothing_new || next == url || listing.locks.len() > LOCKS_MAX {
            return Err(ClientError::Endless { url: url.to_string() });
        }
        url = next;
    }
    listing.more |= listing.locks.len() > limit;
    listing.locks.truncate(limit);
    Ok(listing)
}

/// The locks of one page, and the URL of the next.
async fn page(session: &mut Session, url: &Url) -> Result<(Vec<Value>, Option<Url>), ClientError> {
    #[derive(Deserialize)]
    struct Page {
        travas: Vec<Value>,
        #[serde(default, rename = "_links")]
        links: Links,
    }
    #[derive(Default, Deserialize)]
    struct Links {
        proxima: Option<ReadLink>,
    }
    let answer = session.get(url).await.map_err(|cause| failed(cause, url.to_string()))?;
    let answer = Answer::read(url, answer);
    if answer.status != StatusCode::OK {
        return Err(answer.refusal());
    }
    let page: Page = answer.parsed()?;
    let next = page.links.proxima.map(|link| url.join(&link.href).map_err(|_| answer.not_a_coordinators()));
    Ok((page.travas, next.transpose()?))
}

fn parsed(url: String) -> Result<Url, ClientError> {
    Url::parse(&url).map_err(|_| ClientError::Url(url))
}

fn failed(cause: AnswerError, url: String) -> ClientError {
    match cause {
        AnswerError::Request(_) => ClientError::Url(url),
        cause if cause.is_silence() => ClientError::Unreachable { tried: url, cause },
        cause => ClientError::Protocol { url, cause },
    }
}

#[cfg(test)]
mod tests;
