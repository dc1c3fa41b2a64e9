//! Connections of a service that asks another one many things at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::proven::{Challenge, Proven};
use crate::http::socket::{PEER_TIMEOUT, PROBE_EVERY};
use crate::http::tls::Trust;

/// Idle connections are dropped before the server drops them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// A pool of kept-alive connections: one for each request under way, to any number of addresses.
pub struct Pool {
    http: Client<Proven<HttpsConnector<HttpConnector>>, Full<Bytes>>,
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
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(Proven::new(connector, challenge, patience));
        Self { http }
    }

    /// Sends a request and reads the head of its answer. The connection is closed if this is dropped before, or the body
    /// before its end: so the server sees that its client has given up.
    ///
    /// # Errors
    /// hyper's own.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.http.request(request).await
    }
}
