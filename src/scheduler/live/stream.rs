//! `GET /eventos`: the agenda as it happens, and whether that can be known.

use bytes::Bytes;
use hyper::Method;
use tokio::sync::watch;

use super::{Event, Live};
use crate::http::channel::Subscription;
use crate::http::kind;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::sse::{self, Source};
use crate::http::{self, Response};

// Without an identifier: it is of this connection, and no place in the channel.
const LINKED: &[u8] = b"event: canal\ndata: {\"ligado\":true}\n\n";
const NOT_LINKED: &[u8] = b"event: canal\ndata: {\"ligado\":false}\n\n";
// A page has to know that it hears: a stream that broke without a word is otherwise as silent as one with no news.
const ALIVE: &[u8] = b"event: vivo\ndata: {}\n\n";

/// `GET /eventos`.
pub fn listen(live: &Live, request: &Request) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(request.head.uri.query());
    let since = parameters.text("desde");
    parameters.finish("desde")?;
    if request.hosting.is_stopping() {
        let detail = "O serviço está parando.";
        let problem = Problem::new(kind::STOPPING, detail);
        return Err(problem.retry_after_s(1));
    }
    if request.head.method == Method::HEAD {
        return Ok(http::text("text/event-stream", String::new()));
    }
    let guest = request.hosting.admit()?;
    let since = sse::last_event_id(&request.head.headers).or(since);
    let events = live.channel.subscribe(since.as_deref(), &live.lost);
    Ok(sse::respond(Listener { events, linked: live.linked.clone(), told: None }, guest))
}

/// One who listens.
struct Listener {
    events: Subscription<Event>,
    linked: watch::Receiver<bool>,
    /// What it was told last about the link.
    told: Option<bool>,
}

impl Source for Listener {
    async fn next(&mut self) -> Bytes {
        loop {
            let linked = *self.linked.borrow_and_update();
            if self.told != Some(linked) {
                self.told = Some(linked);
                return Bytes::from_static(if linked { LINKED } else { NOT_LINKED });
            }
            tokio::select! {
                biased;
                changed = self.linked.changed() => if changed.is_err() {
                    // Nobody is left to change it.
                    return self.events.next().await;
                },
                events = self.events.next() => return events,
            }
        }
    }

    fn position(&self) -> Option<String> {
        self.events.position()
    }

    fn alive(&self) -> &'static [u8] {
        ALIVE
    }
}
