//! `GET /eventos`: the agenda's events as they happen, and whether the coordinator's channel reaches this scheduler.

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

// This event has no identifier: it belongs to this connection only, and has no number in the channel.
const LINKED: &[u8] = b"event: canal\ndata: {\"ligado\":true}\n\n";
const NOT_LINKED: &[u8] = b"event: canal\ndata: {\"ligado\":false}\n\n";
// A page must be able to see that its stream is alive: without this, a broken stream looks like a stream without events.
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
    Ok(sse::respond(Listener { events, linked, told: None }, guest, request.pass.clone()))
}

/// One listening connection.
struct Listener {
    events: Subscription<Event>,
    linked: watch::Receiver<bool>,
    /// The state of the link that this connection was last told.
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
                    // The state cannot change any more, because its sender was dropped.
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
