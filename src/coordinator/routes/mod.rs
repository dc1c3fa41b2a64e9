//! The coordinator over HTTP: parse, decide, render.

mod answers;
mod audit_line;
mod batch;
mod callers;
mod decision;
mod events;
pub mod force;
mod forms;
mod list;
mod operation;
mod record_file;
mod rights;
mod status;

use std::sync::{Arc, LazyLock};

use hyper::Method;
use slog::info;

pub use self::callers::Callers;
use self::force::Forcing;
use self::rights::Rights;
use super::kinds;
use super::office::Office;
use super::protocol::requests::OperationKind;
use super::protocol::{LARGE_BODY_MAX, path};
use crate::access::role::{Need, Permission};
use crate::http::description;
use crate::http::explained::Explained;
use crate::http::files::File;
use crate::http::identity::read_json;
use crate::http::problem::Problem;
use crate::http::rates::Share::{Free, Reserve};
use crate::http::represent::represent;
use crate::http::router::{Endpoint, Found, Query, Router, Table};
use crate::http::server::{Handler, Request};
use crate::http::unknown::{Handling, Unknown};
use crate::http::{self, Response};

#[derive(Clone, Copy)]
enum Route {
    Entry,
    Describe,
    Lock,
    Renew,
    Unlock,
    Batch,
    List,
    Show,
    Force,
    Publish,
    Listen,
    Health,
    Ready,
    Challenge,
    Problems,
    Problem,
    Metrics,
}

/// The coordinator's endpoints.
static TABLE: &Table<Route> = {
    use Need::{May, Nothing};
    use Permission::{Observe, TakeLocks, UseLocks};
    use Query::{Ignored, Read};
    const fn get(path: &'static str, need: Need, about: &'static str) -> Endpoint {
        Endpoint::new(Method::GET, path, need, about)
    }
    const fn post(path: &'static str, about: &'static str) -> Endpoint {
        Endpoint::new(Method::POST, path, May(UseLocks), about)
    }
    &[
        (Route::Entry, get(path::ENTRY, Nothing, "the links to everything else").tagged()),
        (Route::Describe, get(description::PATH, Nothing, "this API, for programs (OpenAPI)")),
        (Route::Lock, post(path::LOCK, "asks for a lease on one or several resources, and waits for it if told to")),
        (Route::Renew, post(path::RENEW, "prolongs a lease").share(Reserve)),
        (Route::Unlock, post(path::UNLOCK, "gives a lease back").share(Reserve)),
        (Route::Batch, post(path::BATCH, "several of these in one exchange, each decided on its own")),
        (
            Route::List,
            get(path::LOCKS, May(Observe), "the resources that are locked or waited for, by pages")
                .query(Read)
                .listing(),
        ),
        (Route::Show, get(path::LOCK_OF, May(Observe), "the holder and the waiters of one resource")),
        (
            Route::Force,
            Endpoint::new(Method::DELETE, path::LOCK_OF, May(TakeLocks), "takes a lease away, for the operator")
                .share(Reserve),
        ),
        (Route::Publish, post(path::EVENTS, "publishes events to a channel")),
        (Route::Listen, get(path::EVENTS, May(Observe), "a channel's events, as a stream").query(Read)),
        (Route::Health, get(path::HEALTH, Nothing, "whether the process answers").query(Ignored).share(Free)),
        (Route::Ready, get(path::READY, Nothing, "whether locks can be granted now").query(Ignored).share(Free)),
        (
            Route::Challenge,
            get(path::CHALLENGE, Nothing, "proves that the coordinator has the schedulers' secret")
                .query(Read)
                .share(Free),
        ),
        (Route::Problems, get(path::PROBLEMS, Nothing, "the kinds of problem, explained").tagged().listing()),
        (Route::Problem, get(path::PROBLEM, Nothing, "one kind of problem, explained").tagged()),
        (Route::Metrics, get(path::METRICS, May(Observe), "counters and gauges").query(Ignored).share(Free)),
    ]
};

/// The description of these endpoints.
static DESCRIPTION: LazyLock<File> =
    LazyLock::new(|| description::file(include_str!("../../../assets/openapi/coordinator.json")));

static ROUTER: LazyLock<Router<Route>> = LazyLock::new(|| Router::new(TABLE));

static PROBLEMS: LazyLock<Explained> = LazyLock::new(|| Explained::with(kinds::ALL.iter().copied()));

/// The coordinator's endpoints, in the order of `docs/API.md`.
pub fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    TABLE.iter().map(|(_, endpoint)| endpoint)
}

/// The service as a handler. It is shared with the tasks that it spawns.
pub struct Routes {
    pub office: Arc<Office>,
    /// Operators' orders.
    pub forcing: Forcing,
    /// Who the callers are.
    pub callers: Callers,
}

impl Handler for Routes {
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        // Unknown fields are passed over in POST, which programs send. An operator's order (DELETE) is read strictly.
        let handling = Handling::asked(&request.head.headers).filter(|_| request.head.method == Method::POST);
        let mut unknown = Unknown::new(handling);
        let answered = self.answer(request, &mut unknown).await;
        // Of a request that was refused when it was read.
        unknown.log(&request.log);
        let mut response = match answered {
            Ok(response) => response,
            Err(problem) => {
                let problem = unknown.problem(problem);
                return Err(handling.map(Handling::applied).into_iter().fold(problem, Problem::with_preference));
            }
        };
        if let Some(handling) = handling {
            handling.note(&mut response);
        }
        Ok(response)
    }
}

impl Routes {
    async fn answer(&self, request: &mut Request, unknown: &mut Unknown) -> Result<Response, Problem> {
        let found = ROUTER.find(&request.head.method, request.head.uri.path());
        self.callers.meet(request, found.as_ref().ok().and_then(Found::endpoint)).await?;
        let found = found.map_err(|problem| problem.with_links_if_none(status::to_entry));
        let (route, endpoint, name) = match found? {
            Found::Options(allow) => return Ok(http::options(&allow)),
            Found::Endpoint { route, endpoint, parameter, .. } => (route, endpoint, parameter),
        };
        let rights = self.callers.admit(request, endpoint.need)?;
        endpoint.check_query(request.head.uri.query())?;
        let response = self.dispatch(route, &name, rights, (request, unknown)).await?;
        Ok(represent(response, &request.head, endpoint.tagged))
    }

    /// Lets the endpoint answer. What most requests do not need has a box of its own: the future of a request, which is copied when it
    /// begins, would else be as large as the largest.
    async fn dispatch(
        &self,
        route: Route,
        name: &str,
        rights: Rights,
        (request, unknown): (&mut Request, &mut Unknown),
    ) -> Result<Response, Problem> {
        if let Some(answered) = self.without_locks(route, name, request, &rights) {
            return answered;
        }
        let service = &self.office.service().ok_or_else(|| self.not_elected(request))?;
        match route {
            Route::Lock => operation::answer(service, request, OperationKind::Lock, &rights, unknown).await,
            Route::Renew => operation::answer(service, request, OperationKind::Renew, &rights, unknown).await,
            Route::Unlock => operation::answer(service, request, OperationKind::Unlock, &rights, unknown).await,
            Route::Batch => {
                let bytes = read_json(request, LARGE_BODY_MAX).await?;
                Box::pin(batch::answer(service, request, &bytes, &rights, unknown)).await
            }
            Route::List => Box::pin(list::list(service, request, rights)).await,
            Route::Show => list::show(service, name, &rights),
            Route::Force => Box::pin(self.forcing.force(service, request, name, rights)).await,
            Route::Publish => {
                let bytes = read_json(request, LARGE_BODY_MAX).await?;
                events::publish(service, request, &bytes, &rights, unknown)
            }
            Route::Listen => events::listen(service, request, &rights),
            // Answered above.
            Route::Entry
            | Route::Describe
            | Route::Health
            | Route::Ready
            | Route::Challenge
            | Route::Problems
            | Route::Problem
            | Route::Metrics => Err(Problem::internal("uma rota sem travas")),
        }
    }

    /// The answer of an endpoint that does not ask for locks, or for what is said of them: also a coordinator that is not elected gives it.
    fn without_locks(
        &self,
        route: Route,
        name: &str,
        request: &Request,
        rights: &Rights,
    ) -> Option<Result<Response, Problem>> {
        let (office, headers) = (&self.office, &request.head.headers);
        Some(match route {
            Route::Entry => Ok(status::entry(rights)),
            Route::Describe => Ok(DESCRIPTION.respond(headers)),
            Route::Health => Ok(status::health(office, rights)),
            Route::Ready => Ok(status::ready(office, request, rights)),
            Route::Challenge => self.callers.prove(request),
            Route::Problems => PROBLEMS.list(headers),
            Route::Problem => PROBLEMS.one(name, headers),
            Route::Metrics => Ok(status::measure(office, request)),
            _ => return None,
        })
    }

    fn not_elected(&self, request: &Request) -> Problem {
        info!(request.log, "Não eleito, negando pedido");
        let view = self.office.election().unwrap_or_default();
        // A term that begins has no locks yet, and this address is no advice then.
        if view.elected { answers::just_elected() } else { answers::not_elected(view.address.as_deref()) }
    }
}
