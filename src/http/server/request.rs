//! A request, for its handler: its head and body, who sends it, and from where.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use hyper::header::ORIGIN;
use hyper::http::request::Parts;
use slog::Logger;

use crate::access::principal::{Principal, Who};
use crate::http::body::Arriving;
use crate::http::bounds::address::AddressKey;
use crate::http::forwarded::{Proxies, Sender};
use crate::http::pass::Pass;
use crate::http::presence::Hosting;
use crate::http::problem::Problem;
use crate::http::rates::{Client, Meter, Named, Share};
use crate::http::recall::Recall;
use crate::http::request_id::RequestId;
use crate::http::steps::Steps;
use crate::time::Timestamp;

/// One request, for its handler.
pub struct Request {
    /// Method, URI and headers.
    pub head: Parts,
    /// The body, not yet read.
    pub body: Arriving,
    /// The client's address.
    pub peer: SocketAddr,
    /// The same without the port, as the log shows it: a connection writes it once.
    pub ip: Arc<str>,
    /// The proxies whose word on the client counts.
    pub proxies: Proxies,
    /// When its bytes were read from the network, before any wait in this process.
    pub received: Timestamp,
    /// Its identifier, in the answer's `X-Request-Id` and on every log line.
    pub id: RequestId,
    /// A logger that adds the identifier.
    pub log: Logger,
    /// Whether it came over TLS, without a proxy that ends it.
    pub tls: bool,
    /// Who sends it: the handler asks, and [`crate::http::identity`] finds out.
    pub who: Who,
    /// By what [`Self::who`] was found out.
    pub pass: Pass,
    /// What its connection remembers of the requests before.
    pub recall: Arc<Recall>,
    /// Why nobody was found out, if the request says who sends it: for the endpoints that need to know.
    pub unidentified: Option<Problem>,
    /// The place of its endpoint in the service's table, once the handler has found it.
    pub place: Option<usize>,
    /// How long its steps took, where they are measured.
    pub steps: OnceLock<Arc<Steps>>,
    /// Counts it in the rate of its client.
    pub meter: Meter,
    /// For a long answer: whether the client is still connected, and whether the service is stopping.
    pub hosting: Hosting,
}

impl Request {
    /// Where the durations of its steps are noted. The answer tells them.
    pub fn steps(&self) -> Arc<Steps> {
        Arc::clone(self.steps.get_or_init(Arc::default))
    }

    /// From whom it is, as far as that is known. Rates, bounds and records count the other end of the connection all the same.
    pub fn sender(&self) -> Sender {
        self.proxies.sender(&self.head.headers, self.peer)
    }

    /// Counts it in the rate of the address that it comes from.
    ///
    /// # Errors
    /// 429.
    pub fn charge_address(&mut self, share: Share) -> Result<(), Problem> {
        self.meter.charge(share, || Client::Address(AddressKey::of(self.peer)))
    }

    /// Counts it in the rate of who sends it.
    ///
    /// # Errors
    /// 429.
    pub fn charge_principal(&mut self, share: Share, principal: &Arc<Principal>) -> Result<(), Problem> {
        self.meter.charge(share, || Client::Principal(Named(Arc::clone(principal))))
    }

    /// Whether the client reaches the service over TLS, also where a proxy ends it: the page's origin says so. That the origin is this
    /// service's is known already.
    pub fn is_secure(&self) -> bool {
        let origin = self.head.headers.get(ORIGIN);
        self.tls || origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
    }
}
