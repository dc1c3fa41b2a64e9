//! A blocking HTTP client, for a command that needs no runtime: ureq, with all its settings in one place.
//!
//! ureq has no timeouts of its own, reports an answer of 4xx without its body, and reads proxy variables: here an exchange has
//! one timeout, every answer is read to its end, and no proxy or redirect is followed.
//!
//! # Why `ureq::unversioned`
//!
//! ureq looks up the name before every request, also on a connection that is open, and starts a thread for it when there is a
//! timeout. In `clock-sync` that would be part of what is measured, so a name is looked up once here. ureq's `Resolver` is the
//! only way to do that. The module is outside of its version promise; Cargo.lock keeps the version.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iri_string::types::UriAbsoluteStr;
use ureq::http::{StatusCode, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, TcpConnector};
use ureq::{Agent, Timeout, config::Config};

use super::client::{Security, Url, refused};
use super::tls;
use super::unreachable::Cause;

/// How long one exchange may take, from looking up the name to the last byte of the answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of an answer.
const ANSWER_MAX: u64 = 64 * 1024;

/// Why there is no answer to use.
#[derive(Debug)]
pub enum ExchangeError {
    /// The URL cannot be asked.
    Url,
    /// There was no answer.
    Unreachable(Cause, Box<ureq::Error>),
    /// The answer is not HTTP, or too long.
    Protocol(Box<ureq::Error>),
    /// The answer's status is not 200. If it is about TLS or about who asks, with what to do.
    Status(u16, Option<String>),
}

impl From<ureq::Error> for ExchangeError {
    fn from(error: ureq::Error) -> Self {
        let cause = match &error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => return Self::Url,
            ureq::Error::Io(error) => Cause::of(error),
            ureq::Error::HostNotFound | ureq::Error::Timeout(Timeout::Resolve) => Cause::UnknownName,
            ureq::Error::Timeout(_) => Cause::Silence,
            ureq::Error::ConnectionFailed => Cause::Other,
            _ => return Self::Protocol(Box::new(error)),
        };
        Self::Unreachable(cause, Box::new(error))
    }
}

/// Where names are looked up.
#[derive(Clone, Debug)]
pub struct Lookup(Arc<dyn Resolver>);

impl Lookup {
    /// The system's own lookup.
    pub fn system() -> Self {
        Self(Arc::new(DefaultResolver::default()))
    }
}

/// A client that keeps its connections open, and looks up a name once.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    security: Security,
}

impl Client {
    /// A client without connections.
    pub fn new(lookup: &Lookup, security: &Security) -> Self {
        let config = Config::builder()
            .timeout_global(Some(EXCHANGE_TIMEOUT))
            .http_status_as_error(false)
            // A detour through a proxy or a redirect would be measured too.
            .proxy(None)
            .max_redirects(0)
            .build();
        let resolver = ResolveOnce { lookup: lookup.clone(), known: Mutex::default() };
        let connector = ().chain(TcpConnector::default()).chain(tls::Connector(security.trust().clone()));
        Self { agent: Agent::with_parts(config, connector, resolver), security: security.clone() }
    }

    /// The body of a 200 to `GET url`.
    pub fn get(&self, url: &str) -> Result<Vec<u8>, ExchangeError> {
        let mut request = self.agent.get(url).header("Accept", "application/json");
        if let Some(authorization) = Url::parse(url).ok().and_then(|url| self.security.authorization(&url).cloned()) {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.call()?;
        // Every answer is read to its end, errors too: only then is the connection kept.
        let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec()?;
        match response.status() {
            StatusCode::OK => Ok(body),
            status => Err(ExchangeError::Status(status.as_u16(), refused(status, &body))),
        }
    }
}

/// The URL, if this client can ask it. ureq itself takes a port past 65535 for port 80.
pub fn askable(url: &str) -> Option<&UriAbsoluteStr> {
    let has_port = |url: &&UriAbsoluteStr| {
        let port = url.authority_components().and_then(|authority| authority.port());
        port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok())
    };
    let is_http =
        |url: &&UriAbsoluteStr| ["http", "https"].iter().any(|scheme| url.scheme_str().eq_ignore_ascii_case(scheme));
    UriAbsoluteStr::new(url).ok().filter(is_http).filter(has_port)
}

/// Looks up a name once, and remembers its addresses.
#[derive(Debug)]
struct ResolveOnce {
    lookup: Lookup,
    /// Held to find the addresses or to note them, and not while they are looked up: a poisoned mutex is still usable.
    known: Mutex<Option<(Uri, ResolvedSocketAddrs)>>,
}

impl Resolver for ResolveOnce {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, addresses)) = known().as_ref()
            && (of.scheme(), of.authority()) == (uri.scheme(), uri.authority())
        {
            return Ok(addresses.clone());
        }
        let addresses = self.lookup.0.resolve(uri, config, timeout)?;
        *known() = Some((uri.clone(), addresses.clone()));
        Ok(addresses)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// A name server whose only entry can be changed.
    #[derive(Debug)]
    struct Hosts(Arc<Mutex<SocketAddr>>);

    impl Resolver for Hosts {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut addresses = self.empty();
            addresses.push(*self.0.lock().unwrap());
            Ok(addresses)
        }
    }

    /// A lookup that gives the same address for every name.
    pub fn lookup_of(address: &Arc<Mutex<SocketAddr>>) -> Lookup {
        Lookup(Arc::new(Hosts(Arc::clone(address))))
    }

    #[test]
    fn a_name_without_an_address_is_told_from_silence() {
        let cause = |error: ureq::Error| match ExchangeError::from(error) {
            ExchangeError::Unreachable(cause, _) => Some(cause),
            _ => None,
        };
        assert_eq!(cause(ureq::Error::HostNotFound), Some(Cause::UnknownName));
        assert_eq!(cause(ureq::Error::Timeout(Timeout::Resolve)), Some(Cause::UnknownName));
        assert_eq!(cause(ureq::Error::Timeout(Timeout::Connect)), Some(Cause::Silence));
        assert_eq!(cause(ureq::Error::TooManyRedirects), None);
    }

    #[test]
    fn only_http_urls_with_a_port_that_exists_are_asked() {
        for url in ["", "127.0.0.1:5000", "localhost:5000", "ftp://h", "http://h:99999"] {
            assert!(askable(url).is_none(), "{url}");
        }
        assert!(askable("http://h:5000/x").is_some() && askable("https://h").is_some());
    }
}
