//! Asks a coordinator for its locks, page by page, and to release one.
//!
//! # Several addresses
//! Each look begins with the first address and takes the first that answers at all; an answer that is no good is an
//! error and not a reason to ask another. A release goes to the next address only where it surely did not arrive: two
//! coordinators must not both release for one command.

use std::fmt::Write;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, Timeout};

use crate::http::links::with_query;
use crate::http::unreachable::{Cause, Peer};
use crate::stress::wire::Url;
use crate::text::escaped;

/// Who is asked.
const COORDINATOR: Peer = Peer { name: "the coordinator", command: "sctec serve-coordinator" };
/// How long one exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connecting may take: another address may be waiting for its turn.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most bytes of an answer; a full page is far below it.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;
/// The most locks of one page, by the contract.
const PAGE_MAX: usize = 1000;
/// More than a coordinator ever has: a million locked or retained, and fewer promised.
const LOCKS_MAX: usize = 2_000_000;

/// Why a coordinator could not be asked, or what was wrong with its answer. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL that this client can ask.
    #[error(
        "cannot ask {0:?}: a coordinator's URL looks like http://127.0.0.1:3000; correct --url or SCTEC_COORDINATOR"
    )]
    Url(String),
    /// Nobody answers.
    #[error("cannot reach {tried}; {}", Cause::of_exchange(cause).advice(COORDINATOR, "--url"))]
    Unreachable {
        /// What was asked.
        tried: String,
        /// Why the last of them did not answer.
        #[source]
        cause: Box<ureq::Error>,
    },
    /// The request may have arrived, the answer did not.
    #[error("{url} took the request and did not answer: it may or may not have released; look with sctec locks")]
    Unsure {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        cause: Box<ureq::Error>,
    },
    /// Someone answers, but not in HTTP or too much.
    #[error("{url} does not answer as a coordinator does; name another with --url")]
    Protocol {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        cause: Box<ureq::Error>,
    },
    /// An answer that is neither what was asked for nor a reason of the coordinator's.
    #[error("{url} answered {status}, but not as a coordinator of this version does; name another with --url")]
    NotACoordinator {
        /// What was asked.
        url: String,
        /// What was answered.
        status: u16,
    },
    /// The coordinator says why not.
    #[error("{url} answered {status}: {said}")]
    Refused {
        /// What was asked.
        url: String,
        /// What was answered.
        status: u16,
        /// In its own words, safe to print.
        said: String,
    },
    /// A list that never ends.
    #[error("the pages that {url} leads to do not end; name another coordinator with --url")]
    Endless {
        /// The last page.
        url: String,
    },
}

impl ClientError {
    /// Whether nobody answered: someone may later.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// The locks of one look.
#[derive(Debug)]
pub struct Listing {
    /// Who answered.
    pub coordinator: String,
    /// The coordinator's own objects, in its order.
    pub locks: Vec<Value>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// One lock, as listed. What a promised resource has not is null.
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
}

/// What came of asking for a release.
#[derive(Debug)]
pub enum Release {
    /// It was locked or retained, and is no more.
    Done(Answer),
    /// It was free.
    Free(Answer),
}

impl Listing {
    /// The locks as values.
    ///
    /// # Errors
    /// When one is not what a coordinator lists.
    pub fn parsed(&self) -> Result<Vec<Lock>, ClientError> {
        let wrong = |_| ClientError::NotACoordinator { url: self.coordinator.clone(), status: 200 };
        self.locks.iter().map(|lock| Lock::deserialize(lock).map_err(wrong)).collect()
    }
}

impl Answer {
    /// Its body as a value.
    ///
    /// # Errors
    /// When it is not what a coordinator answers.
    pub fn parsed<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        T::deserialize(&self.body).map_err(|_| self.not_a_coordinators())
    }

    fn not_a_coordinators(&self) -> ClientError {
        ClientError::NotACoordinator { url: self.url.clone(), status: self.status.as_u16() }
    }

    fn code(&self) -> Option<&str> {
        self.body["codigo"].as_str()
    }

    /// The error that an answer is which is not the wanted one.
    fn refusal(&self) -> ClientError {
        // A coordinator that knows no such path, or a scheduler.
        let foreign = matches!(self.code(), None | Some("nao_encontrado" | "metodo_nao_permitido"));
        let Some(detail) = self.body["detail"].as_str().filter(|_| !foreign) else {
            return self.not_a_coordinators();
        };
        let mut said = detail.to_owned();
        for wrong in self.body["erros"].as_array().into_iter().flatten() {
            if let (Some(field), Some(message)) = (wrong["campo"].as_str(), wrong["mensagem"].as_str()) {
                // Writing to a String cannot fail.
                let _ = write!(said, " {field}: {message}.");
            }
        }
        ClientError::Refused { url: self.url.clone(), status: self.status.as_u16(), said: escaped(&said) }
    }
}

/// Asks one coordinator, at one of several addresses.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    addresses: Vec<String>,
}

impl Client {
    /// A client of the coordinator at `addresses`; empty ones are passed over.
    ///
    /// # Errors
    /// When one is no URL that can be asked, or there is none.
    pub fn new(addresses: &[String]) -> Result<Self, ClientError> {
        let trimmed = addresses.iter().map(|address| address.trim().trim_end_matches('/'));
        let named: Vec<String> = trimmed.filter(|address| !address.is_empty()).map(str::to_owned).collect();
        if let Some(wrong) = named.iter().find(|address| address.contains('?') || Url::parse(address).is_err()) {
            return Err(ClientError::Url(wrong.clone()));
        }
        if named.is_empty() {
            return Err(ClientError::Url(addresses.join(",")));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(EXCHANGE_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            // A proxy or a redirect would be someone else's locks.
            .proxy(None)
            .max_redirects(0);
        Ok(Self { agent: config.build().into(), addresses: named })
    }

    /// The locks whose names begin with `prefix`, at most `limit`.
    ///
    /// # Errors
    /// When nobody answers, or not as a coordinator does.
    pub fn list(&self, prefix: Option<&str>, limit: usize) -> Result<Listing, ClientError> {
        self.at_first_that_answers(|address| self.pages(address, prefix, limit))
    }

    /// Releases the lock that `resource` belongs to.
    ///
    /// # Errors
    /// When nobody answers, or the coordinator refuses.
    pub fn release(&self, resource: &str, reason: Option<&str>) -> Result<Release, ClientError> {
        let name = utf8_percent_encode(resource, NON_ALPHANUMERIC);
        let answer = self.at_first_that_answers(|address| {
            let url = format!("{address}/locks/{name}");
            let request = self.agent.delete(&url).header("Accept", "application/json");
            let sent = match reason {
                Some(reason) => request.force_send_body().send_json(json!({ "motivo": reason })),
                None => request.call(),
            };
            read(sent, &url)
                .map_err(|cause| if surely_unsent(&cause) { failed(cause, url) } else { unsure(cause, url) })
        })?;
        match (answer.status, answer.code()) {
            (StatusCode::OK, _) => Ok(Release::Done(answer)),
            (StatusCode::NOT_FOUND, Some("sem_trava")) => Ok(Release::Free(answer)),
            _ => Err(answer.refusal()),
        }
    }

    fn at_first_that_answers<T>(&self, ask: impl Fn(&str) -> Result<T, ClientError>) -> Result<T, ClientError> {
        let mut last = None;
        for address in &self.addresses {
            match ask(address) {
                Err(ClientError::Unreachable { cause, .. }) => last = Some(cause),
                answered => return answered,
            }
        }
        let cause = last.expect("there is at least one address");
        Err(ClientError::Unreachable { tried: self.addresses.join(", "), cause })
    }

    fn pages(&self, address: &str, prefix: Option<&str>, limit: usize) -> Result<Listing, ClientError> {
        let page_size = limit.min(PAGE_MAX).to_string();
        let query = prefix.map(|prefix| ("prefixo", prefix)).into_iter().chain([("limite", page_size.as_str())]);
        let mut url = with_query(&format!("{address}/locks"), query);
        let mut listing = Listing { coordinator: address.to_owned(), locks: Vec::new(), more: false };
        loop {
            let (mut locks, next) = self.page(&url)?;
            let nothing_new = locks.is_empty();
            listing.locks.append(&mut locks);
            let Some(next) = next else { break };
            if listing.locks.len() >= limit {
                listing.more = true;
                break;
            }
            if nothing_new || next == url || listing.locks.len() > LOCKS_MAX {
                return Err(ClientError::Endless { url });
            }
            url = next;
        }
        listing.more |= listing.locks.len() > limit;
        listing.locks.truncate(limit);
        Ok(listing)
    }

    /// The locks of one page, and the URL of the next.
    fn page(&self, url: &str) -> Result<(Vec<Value>, Option<String>), ClientError> {
        #[derive(Deserialize)]
        struct Page {
            travas: Vec<Value>,
            #[serde(default, rename = "_links")]
            links: Links,
        }
        #[derive(Default, Deserialize)]
        struct Links {
            proxima: Option<Link>,
        }
        #[derive(Deserialize)]
        struct Link {
            href: String,
        }
        let asked = self.agent.get(url).header("Accept", "application/json").call();
        let answer = read(asked, url).map_err(|cause| failed(cause, url.to_owned()))?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal());
        }
        let page: Page = answer.parsed()?;
        let next = page.links.proxima.map(|link| {
            let joined = Url::parse(url).and_then(|base| base.join(&link.href));
            joined.map(|url| url.to_string()).map_err(|_| answer.not_a_coordinators())
        });
        Ok((page.travas, next.transpose()?))
    }
}

fn read(answer: Result<Response<Body>, ureq::Error>, url: &str) -> Result<Answer, ureq::Error> {
    let mut answer = answer?;
    let body = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Answer { url: url.to_owned(), status: answer.status(), body })
}

fn failed(cause: ureq::Error, url: String) -> ClientError {
    let cause = Box::new(cause);
    match *cause {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => ClientError::Url(url),
        ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => {
            ClientError::Unreachable { tried: url, cause }
        }
        _ => ClientError::Protocol { url, cause },
    }
}

fn unsure(cause: ureq::Error, url: String) -> ClientError {
    ClientError::Unsure { url, cause: Box::new(cause) }
}

/// Whether there was not even a connection.
fn surely_unsent(cause: &ureq::Error) -> bool {
    match cause {
        // What is wrong here may also come while an answer is waited for.
        ureq::Error::Io(_) => {
            !matches!(Cause::of_exchange(cause), Cause::HungUp | Cause::Silence | Cause::NoMemory | Cause::Other)
        }
        ureq::Error::Timeout(at) => matches!(at, Timeout::Resolve | Timeout::Connect),
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
