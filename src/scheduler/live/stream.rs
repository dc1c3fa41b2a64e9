//! `GET /eventos`: the agenda as it happens, and whether the coordinator's channel reaches this scheduler.

use bytes::Bytes;
use hyper::Method;
use tokio::sync::watch;

use super::event::Event;
use crate::http::channel::Subscription;
use crate::http::kind;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::sse::{self, Source};
use crate::http::{self, Response};

// Without an identifier: it belongs to this connection, and has no place in the channel.
const LINKED: &[u8] = b"event: canal\ndata: {\"ligado\":true}\n\n";
const NOT_LINKED: &[u8] = b"event: canal\ndata: {\"ligado\":false}\n\n";
// A page has to see that its stream is alive: a broken stream is otherwise as silent as one without news.
const ALIVE: &[u8] = b"event: vivo\ndata: {}\n\n";

/// Answers `GET /eventos`. `subscribe` gives the events after an identifier, and whether the channel reaches this
/// scheduler.
pub fn listen(
    request: &Request,
    subscribe: impl FnOnce(Option<&str>) -> (Subscription<Event>, watch::Receiver<bool>),
) -> Result<Response, Problem> {
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
    let (events, linked) = subscribe(since.as_deref());
    Ok(sse::respond(Listener { events, linked, told: None }, guest))
}

/// One connection that listens.
struct Listener {
    events: Subscription<Event>,
    linked: watch::Receiver<bool>,
    /// The state of the link that it was told last.
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
                    // It cannot change any more: its sender is gone.
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
