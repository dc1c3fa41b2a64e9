//! Connections of a service that asks another one many things at once.
//!
//! Requests take turns on few connections, of which each was opened because all others were busy. So this is less than hyper's own pool:
//! that begins a task with each answer, to learn when the connection is free again, and races a new connection with those that become free.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use super::proven::{Challenge, Proven, host};
use crate::http::socket::{PEER_TIMEOUT, PROBE_EVERY};
use crate::http::tls::Trust;

/// Connections that were idle for so long are not used any more: the server may be dropping them just then.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// There is no connection.
    #[error("sem conexão")]
    Unconnected(#[source] Box<dyn Error + Send + Sync>),
    /// It broke.
    #[error("conexão interrompida")]
    Broken(#[source] hyper::Error),
}

/// A pool of kept-alive connections: one for each request under way, to any number of addresses.
pub struct Pool {
    connector: Proven<HttpsConnector<HttpConnector>>,
    /// Those that were answered last are at the end. A std lock, held to take one out or to put it back.
    open: Mutex<Vec<Open>>,
}

/// An open connection. It may be busy with the body of its last answer.
struct Open {
    /// An address that it leads to: one of the same scheme and authority is another.
    to: Uri,
    sender: SendRequest<Full<Bytes>>,
    answered: Instant,
}

impl Open {
    fn leads_to(&self, uri: &Uri) -> bool {
        self.to.authority() == uri.authority() && self.to.scheme() == uri.scheme()
    }

    /// Whether it may be used again some time.
    fn is_worth_keeping(&self) -> bool {
        let is_old = self.answered.elapsed() >= IDLE_TIMEOUT;
        !(self.sender.is_closed() || is_old && self.sender.is_ready())
    }
}

impl Pool {
    /// A pool without connections yet. Connecting may take `connect_timeout`, without the handshake of TLS.
    pub fn new(connect_timeout: Duration, trust: &Trust) -> Self {
        Self::with(connect_timeout, trust, None, Duration::ZERO)
    }

    /// The same, whose connections are asked for a proof before anything else is sent. The answer may take `patience`.
    pub fn challenging(
        connect_timeout: Duration,
        trust: &Trust,
        challenge: Arc<dyn Challenge>,
        patience: Duration,
    ) -> Self {
        Self::with(connect_timeout, trust, Some(challenge), patience)
    }

    fn with(
        connect_timeout: Duration,
        trust: &Trust,
        challenge: Option<Arc<dyn Challenge>>,
        patience: Duration,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // A peer that has vanished is noticed on a stream too, and on an idle connection.
        connector.set_tcp_user_timeout(Some(PEER_TIMEOUT));
        connector.set_keepalive(Some(PROBE_EVERY));
        connector.set_keepalive_interval(Some(PROBE_EVERY));
        connector.set_connect_timeout(Some(connect_timeout));
        // The connector of TLS leaves `http://` to this one.
        connector.enforce_http(false);
        let connector = HttpsConnector::from((connector, trust.config()));
        Self { connector: Proven::new(connector, challenge, patience), open: Mutex::default() }
    }

    /// Sends a request and reads the head of its answer. The connection is closed if this is dropped before, or the body
    /// before its end: so the server sees that its client has given up.
    ///
    /// # Errors
    /// Without a connection, or when it breaks.
    pub async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NoAnswer> {
        let to = address(&mut request);
        while let Some(open) = self.take(&to) {
            match self.exchange(open, request).await {
                Ok(answer) => return Ok(answer),
                // The server has closed it before the request was on its way.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(NoAnswer::Broken(error.into_error())),
                },
            }
        }
        let open = self.connect(to).await?;
        self.exchange(open, request).await.map_err(|error| NoAnswer::Broken(error.into_error()))
    }

    /// A connection to that address which is free.
    fn take(&self, to: &Uri) -> Option<Open> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(Open::is_worth_keeping);
        let at = open.iter().rposition(|open| open.leads_to(to) && open.sender.is_ready())?;
        Some(open.remove(at))
    }

    async fn connect(&self, to: Uri) -> Result<Open, NoAnswer> {
        let mut connector = self.connector.clone();
        let connected = async {
            std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(to.clone()).await
        };
        let (sender, connection) =
            http1::handshake(connected.await.map_err(NoAnswer::Unconnected)?).await.map_err(NoAnswer::Broken)?;
        // It ends with the sender; its errors are told to the sender's exchange.
        tokio::spawn(connection);
        Ok(Open { to, sender, answered: Instant::now() })
    }

    /// Sends the request over that connection, which is free again when the body of the answer is read.
    async fn exchange(
        &self,
        mut open: Open,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let answer = open.sender.try_send_request(request).await?;
        open.answered = Instant::now();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(open);
        Ok(answer)
    }
}

/// Where the request goes, which is in its header `Host` from then on, and no more in its target.
fn address(request: &mut Request<Full<Bytes>>) -> Uri {
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let to = std::mem::replace(request.uri_mut(), path.into());
    // A URI has no characters that a header cannot have.
    if let Ok(host) = HeaderValue::from_str(host(&to)) {
        request.headers_mut().entry(HOST).or_insert(host);
    }
    to
}
