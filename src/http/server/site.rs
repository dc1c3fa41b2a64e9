//! What all connections of a server share, and what it says to a client that finds no place.

use std::sync::Arc;

use slog::Logger;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::farewell;
use super::handler::Handler;
use crate::http::bounds::Bounds;
use crate::http::guard::Guard;
use crate::http::kind;
use crate::http::prefix::Prefixes;
use crate::http::presence::Places;
use crate::http::problem::Problem;
use crate::http::rates::Rates;
use crate::http::request_id::RequestIds;
use crate::http::stream::Stream;
use crate::http::tls::Tls;
use crate::time::Clock;

/// How far a stop is.
#[derive(Clone, Default)]
pub(super) struct Stop {
    /// The service stops.
    pub begun: CancellationToken,
    /// The time for draining is over: connections are dropped.
    pub over: CancellationToken,
}

/// What all connections of a server share.
pub(super) struct Site<H> {
    pub handler: Arc<H>,
    pub clock: Clock,
    pub log: Logger,
    pub ids: RequestIds,
    pub guard: Guard,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<Tls>,
    pub stop: Stop,
    pub places: Places,
    pub bounds: Arc<Bounds>,
    pub prefixes: Prefixes,
    pub rates: Option<Arc<Rates>>,
}

impl<H: Handler> Site<H> {
    /// Tells a new client that there is no place for it. One that must speak TLS first would not understand.
    pub async fn refuse(&self, stream: TcpStream) {
        if self.tls.is_some() {
            return;
        }
        let detail = "Todas as conexões do serviço estão em uso; tente de novo em instantes.";
        let problem = Problem::new(kind::NO_PLACE, detail).retry_after_s(1);
        self.handler.refused(problem.kind());
        let word = farewell::word(&problem, &self.ids.next_alone(), self.clock.now());
        farewell::say(&mut Stream::new(stream), &word, true).await;
    }
}
