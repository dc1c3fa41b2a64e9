//! Requests that make something and have an `Idempotency-Key`: a repetition gets the answer of the first, and makes nothing.
//!
//! ```text
//! hold the key ──▶ an answer is kept? ──yes──▶ give it again, or 422 to another request
//!                      │ no
//!                      └──▶ is the key held? ──no──▶ 409: another request holds it
//!                              └─yes──▶ the handler; the answer is written in the transaction of what is made ──▶ give the key back
//! ```
//!
//! An answer that is kept is given also while somebody else holds the key: its request is being ended, or its scheduler died then.
//!
//! The key is held by all parts of carrying the request out, also after its client has gone away. What is not made is not kept: a refusal
//! has changed nothing, so its repetition is decided anew.

pub mod refusal;

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::{ETAG, HeaderName, HeaderValue, LOCATION};
use slog::{Logger, error, info};

use self::refusal::KeyRefusal;
use super::app::App;
use super::catalogue::{proposals, scientists, telescopes};
use super::problems::{not_read, refused};
use super::refusal::Refusal;
use super::{handlers, maintenance, waiting};
use crate::agenda::keeping::{Digest, Keeping, Kept, KeptAnswer, Made};
use crate::http::idempotency::{EarlyBody, fingerprint, mark, read};
use crate::http::identity::read_json;
use crate::http::prefix::Prefix;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::unknown::Passed;
use crate::http::{self, Response};
use crate::text::Word;
use crate::time::Timestamp;

/// How often old answers are looked for.
const REMOVED_EVERY: Duration = Duration::from_secs(60);
/// How many of them one transaction removes, so that it delays no booking.
const REMOVED_AT_ONCE: u32 = 200;

/// What is known of a request with a key before its handler is called.
pub enum Begun {
    /// It was carried out before: this is its answer.
    Answered(Response),
    /// It has to be carried out.
    Anew(Arc<Keeping>),
}

/// Begins a request that has a key. Its body has at most `most` bytes.
///
/// # Errors
/// The problem to answer with.
pub async fn begin(app: &Arc<App>, request: &mut Request, most: usize) -> Result<Begun, Problem> {
    let key = read(&request.head.headers).map_err(|wrong| refused(Refusal::Key(KeyRefusal::Wrong(wrong))))?;
    let body = read_json(request, most).await?;
    let author = request.who.author();
    let key = key.digest(author.as_str());
    let asked = fingerprint(&request.head.method, request.head.uri.path(), &body);
    request.head.extensions.insert(EarlyBody(body));
    let held = app.store.hold(key).await.map_err(|error| not_read(&request.log, &error))?;
    if let Some(kept) = kept(app, key, &request.log).await? {
        return given_again(app, kept, &asked, &request.log).map(Begun::Answered);
    }
    let Some(held) = held else { return Err(refused(Refusal::Key(KeyRefusal::InUse))) };
    let keeping = Arc::new(Keeping::new(author, (key, asked), held, render(app, request)));
    request.head.extensions.insert(Arc::clone(&keeping));
    Ok(Begun::Anew(keeping))
}

/// Ends a request that was carried out: the answer that was written is the one that is given.
///
/// # Errors
/// The problem to answer with.
pub async fn end(
    app: &App,
    keeping: &Keeping,
    answered: Result<Response, Problem>,
    log: &Logger,
) -> Result<Response, Problem> {
    let problem = match answered {
        Ok(response) => return Ok(keeping.answer().map_or(response, response_of)),
        Err(problem) if problem.status().is_server_error() => problem,
        Err(problem) => return Err(problem),
    };
    // The failure may have come after the commit, and what was committed answers the request.
    let (key, asked) = keeping.digests();
    match kept(app, key, log).await {
        Ok(Some(kept)) => given_again(app, kept, &asked, log),
        Ok(None) | Err(_) => Err(problem),
    }
}

async fn kept(app: &App, key: Digest, log: &Logger) -> Result<Option<Kept>, Problem> {
    app.store.kept(key, app.clock.now()).await.map_err(|error| not_read(log, &error))
}

/// The kept answer, if it is one to this request.
fn given_again(app: &App, kept: Kept, asked: &Digest, log: &Logger) -> Result<Response, Problem> {
    if kept.request != *asked {
        return Err(refused(Refusal::Key(KeyRefusal::Reused)));
    }
    info!(log, "Resposta da requisição {} dada de novo: a Idempotency-Key é a mesma", Word(&kept.request_id));
    app.metrics.replays.inc();
    let mut response = response_of(kept.answer);
    mark(response.headers_mut());
    Ok(response)
}

/// What makes the answer, also on another thread. It reads nothing: what it shows is what was known when the request began, and what
/// was made.
fn render(app: &App, request: &Request) -> Box<dyn Fn(Made<'_>, Timestamp) -> KeptAnswer + Send + Sync> {
    let (catalogue, who) = (app.catalogue(), request.who.clone());
    let (prefix, passed) = (Prefix::current(), Passed::current());
    Box::new(move |made, now| {
        let response = prefix.within(|| match made {
            Made::Booking(booking) => handlers::made(booking, &catalogue, now, &who),
            Made::Telescope(telescope) => telescopes::made(telescope, &who),
            Made::Scientist(scientist) => scientists::made(scientist, &who),
            Made::Proposal(proposal) => proposals::made(proposal, &who),
            Made::Wait { wait, place } => waiting::made(wait, Some(place), &who),
            Made::Maintenance { telescope, maintenance, cancelled } => {
                maintenance::made(telescope, maintenance, cancelled, &who)
            }
        });
        answer_of(match &passed {
            Some(passed) => passed.added_to(response),
            None => response,
        })
    })
}

/// The answer as it is kept.
fn answer_of(response: Response) -> KeptAnswer {
    let text = |name: HeaderName| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let (status, location, etag) = (response.status().as_u16(), text(LOCATION), text(ETAG));
    // A resource is in memory as a whole.
    let body = response.into_body().collect().now_or_never().and_then(Result::ok);
    let body = body.map_or_else(Bytes::new, http_body_util::Collected::to_bytes);
    KeptAnswer { status, location, etag, body: body.into() }
}

/// The kept answer as it is given.
fn response_of(kept: KeptAnswer) -> Response {
    let KeptAnswer { status, location, etag, body } = kept;
    // It was a status when it was written.
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = http::bytes(status, "application/json", body);
    for (name, value) in [(LOCATION, location), (ETAG, etag)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Removes old answers, as long as the service runs.
pub async fn removed(app: Weak<App>) {
    let mut failed = false;
    loop {
        let Some(app) = app.upgrade() else { return };
        let removed = app.store.remove_old_answers(app.clock.now(), REMOVED_AT_ONCE).await;
        let has_more = matches!(removed, Ok(count) if count == REMOVED_AT_ONCE as usize);
        if let Err(error) = &removed
            && !failed
        {
            error!(app.log, "Respostas guardadas não removidas: {}", error);
        }
        failed = removed.is_err();
        drop(app);
        if !has_more {
            tokio::time::sleep(REMOVED_EVERY).await;
        }
    }
}
