//! The scheduler's endpoints, and the way from a request to its handler.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper::{Method, StatusCode};
use slog::{debug, info};

use super::app::App;
use super::calendar::{self, feeds};
use super::catalogue::{proposals, scientists, telescopes};
use super::idempotency::{Begun, begin, end};
use super::open_id::RETURN_PATH;
use super::problems::problem_kinds;
use super::route::Route;
use super::{
    alteration, bookings, contest, handlers, hour, keys, links, maintenance, page, planning, sessions, sign_in,
    timetable, tokens, trail, waiting,
};
use crate::access::role::{Need, Permission};
use crate::http::description;
use crate::http::explained::{Explained, TYPE_PATH};
use crate::http::files::File;
use crate::http::idempotency;
use crate::http::identity::admit;
use crate::http::kind::Kind;
use crate::http::problem::{Problem, TYPES_PATH};
use crate::http::rates::Share::{Free, Reserve};
use crate::http::represent::represent;
use crate::http::router::{Endpoint, Found, Query, Router, Table};
use crate::http::server::{Handler, Request};
use crate::http::unknown::{Handling, strict_unless};
use crate::http::{self, Response};

/// The scheduler's endpoints.
static TABLE: &Table<Route> = {
    use Need::{May, Nothing};
    use Permission::{ChangeAgenda, ManageAccess, ManageCatalogue, Observe, ReadAgenda, ReadTrail};
    use Query::{Ignored, Read};
    const fn get(path: &'static str, need: Need, about: &'static str) -> Endpoint {
        Endpoint::new(Method::GET, path, need, about)
    }
    const fn post(path: &'static str, need: Need, about: &'static str) -> Endpoint {
        Endpoint::new(Method::POST, path, need, about)
    }
    const fn delete(path: &'static str, need: Need, about: &'static str) -> Endpoint {
        Endpoint::new(Method::DELETE, path, need, about).share(Reserve)
    }
    const fn manage(method: Method, path: &'static str, about: &'static str) -> Endpoint {
        Endpoint::new(method, path, May(ManageCatalogue), about)
    }
    &[
        (Route::Entry, get("/", Nothing, "the links to everything else; to a browser, the page").query(Read).tagged()),
        (Route::Describe, get(description::PATH, Nothing, "this API, for programs (OpenAPI)")),
        (Route::Page, get("/pagina/{*arquivo}", Nothing, "the page's files").query(Ignored).share(Free)),
        (Route::Time, get("/time", Nothing, "the official time").query(Ignored)),
        (Route::Keys, get(links::KEYS_PATH, Nothing, "the public keys of time tokens and receipts").tagged()),
        (
            Route::Telescopes,
            get("/telescopios", May(ReadAgenda), "telescopes, by pages").query(Read).tagged().listing(),
        ),
        (Route::CreateTelescope, manage(Method::POST, "/telescopios", "adds a telescope")),
        (Route::Telescope, get("/telescopios/{id}", May(ReadAgenda), "one telescope").tagged()),
        (Route::ChangeTelescope, manage(Method::PATCH, "/telescopios/{id}", "changes a telescope")),
        (
            Route::Timetable,
            get("/telescopios/{id}/agenda", May(ReadAgenda), "the slots of a period, each with its state")
                .query(Read)
                .listing(),
        ),
        (Route::Free, get("/telescopios/{id}/livres", May(ReadAgenda), "the nearest free slots").query(Read).listing()),
        (
            Route::TelescopeCalendar,
            get("/telescopios/{id}/agenda.ics", May(ReadAgenda), "a telescope's bookings, as a calendar")
                .query(Read)
                .tagged()
                .keyed(),
        ),
        (
            Route::Maintenances,
            get("/telescopios/{id}/manutencoes", May(ReadAgenda), "a telescope's maintenances").tagged().listing(),
        ),
        (Route::CloseTelescope, manage(Method::POST, "/telescopios/{id}/manutencoes", "adds a maintenance")),
        (Route::Maintenance, get("/manutencoes/{id}", May(ReadAgenda), "one maintenance").tagged()),
        (Route::Reopen, delete("/manutencoes/{id}", May(ManageCatalogue), "takes a maintenance away")),
        (Route::Wait, post("/telescopios/{id}/agenda/{inicio}/espera", May(ChangeAgenda), "waits for booked slots")),
        (
            Route::SlotContest,
            get("/telescopios/{id}/agenda/{inicio}/disputa", May(ReadAgenda), "the last contest for a slot").tagged(),
        ),
        (Route::Waits, get("/esperas", May(ReadAgenda), "waiting lists, by pages").query(Read).tagged().listing()),
        (Route::Waiting, get("/esperas/{id}", May(ReadAgenda), "one entry of a waiting list").tagged()),
        (Route::Leave, delete("/esperas/{id}", May(ChangeAgenda), "leaves a waiting list")),
        (Route::Scientists, get("/cientistas", May(ReadAgenda), "scientists, by pages").query(Read).tagged().listing()),
        (
            Route::ScientistCalendar,
            get("/cientistas/{id}/agenda.ics", May(ReadAgenda), "a scientist's bookings, as a calendar")
                .query(Read)
                .tagged()
                .keyed(),
        ),
        (Route::CreateScientist, manage(Method::POST, "/cientistas", "adds a scientist")),
        (Route::Scientist, get("/cientistas/{id}", May(ReadAgenda), "one scientist").tagged()),
        (Route::ChangeScientist, manage(Method::PATCH, "/cientistas/{id}", "changes a scientist")),
        (Route::Proposals, get("/propostas", May(ReadAgenda), "proposals, by pages").query(Read).tagged().listing()),
        (Route::CreateProposal, manage(Method::POST, "/propostas", "adds a proposal")),
        (Route::Proposal, get("/propostas/{id}", May(ReadAgenda), "one proposal, with what it has used").tagged()),
        (Route::ChangeProposal, manage(Method::PATCH, "/propostas/{id}", "changes a proposal")),
        (Route::Book, post("/agendamentos", May(ChangeAgenda), "books")),
        (Route::Bookings, get("/agendamentos", May(ReadAgenda), "bookings, by pages").query(Read).tagged().listing()),
        (Route::Next, post(links::NEXT_PATH, May(ReadAgenda), "the first free start that fits; books nothing")),
        (Route::Validate, post(links::VALIDATE_PATH, May(ChangeAgenda), "what is wrong with a booking; books nothing")),
        (Route::Contest, get("/disputas/{id}", May(ReadAgenda), "the contest that a booking has won").tagged()),
        (Route::Booking, get("/agendamentos/{id}", May(ReadAgenda), "one booking").tagged()),
        (Route::Alter, Endpoint::new(Method::PATCH, "/agendamentos/{id}", May(ChangeAgenda), "changes a booking")),
        (Route::Cancel, delete("/agendamentos/{id}", May(ChangeAgenda), "cancels a booking")),
        (
            Route::Audit,
            get("/auditoria", May(ReadTrail), "the audit trail's records, by pages").query(Read).tagged().listing(),
        ),
        (Route::AuditHead, get("/auditoria/cabeca", May(ReadTrail), "the audit trail's newest record").tagged()),
        (Route::Listen, get("/eventos", May(ReadAgenda), "the agenda's events, as a stream").query(Read)),
        (Route::Session, get(links::SESSION_PATH, Nothing, "who the caller is")),
        (Route::SignIn, post(links::SESSION_PATH, Nothing, "signs a page in")),
        (Route::SignOut, delete(links::SESSION_PATH, Nothing, "signs a page out")),
        (Route::ToProvider, get(links::SIGN_IN_PATH, Nothing, "to the identity provider").query(Ignored)),
        (Route::FromProvider, get(RETURN_PATH, Nothing, "back from the identity provider").query(Ignored)),
        (
            Route::Tokens,
            get(links::TOKENS_PATH, May(ManageAccess), "the tokens, without their secrets").tagged().listing(),
        ),
        (Route::Create, post(links::TOKENS_PATH, May(ManageAccess), "makes a token")),
        (Route::Token, get("/tokens/{id}", May(ManageAccess), "one token, without its secret").tagged()),
        (Route::Revoke, delete("/tokens/{id}", May(ManageAccess), "revokes a token")),
        (
            Route::Calendars,
            get(links::CALENDARS_PATH, May(ReadAgenda), "the secret addresses of calendars").tagged().listing(),
        ),
        (Route::CreateCalendar, post(links::CALENDARS_PATH, May(ReadAgenda), "makes a secret address")),
        (Route::Calendar, get("/calendarios/{id}", May(ReadAgenda), "one secret address, without its secret").tagged()),
        (Route::RevokeCalendar, delete("/calendarios/{id}", May(ReadAgenda), "revokes a secret address")),
        (Route::Health, get("/saude", Nothing, "whether the process answers").query(Ignored).share(Free)),
        (Route::Ready, get("/pronto", Nothing, "whether bookings are possible now").query(Ignored).share(Free)),
        (Route::Problems, get(TYPES_PATH, Nothing, "the kinds of problem, explained").tagged().listing()),
        (Route::Problem, get(TYPE_PATH, Nothing, "one kind of problem, explained").tagged()),
        (Route::Metrics, get("/metrics", May(Observe), "counters and gauges").query(Ignored).share(Free)),
    ]
};

/// The description of these endpoints.
static DESCRIPTION: LazyLock<File> =
    LazyLock::new(|| description::file(include_str!("../../assets/openapi/scheduler.json")));

static ROUTER: LazyLock<Router<Route>> = LazyLock::new(|| Router::new(TABLE));

static PROBLEMS: LazyLock<Explained> = LazyLock::new(|| Explained::with(problem_kinds()));

/// The scheduler's endpoints, in the order of `docs/API.md`.
pub fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    TABLE.iter().map(|(_, endpoint)| endpoint)
}

/// The service as a handler. The state is shared because a booking's task outlives its request.
pub struct Routes(pub Arc<App>);

impl Handler for Routes {
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        self.route(request).await.map_err(|problem| problem.with_links_if_none(links::to_entry))
    }

    fn answered(&self, request: &Request, status: StatusCode, took: Duration) {
        let metrics = &self.0.metrics;
        metrics.answered.count(request.place, status, took);
        if let Some(steps) = request.steps.get() {
            metrics.stepped(steps);
        }
    }

    fn refused(&self, kind: Kind) {
        self.0.metrics.answered.refuse(kind);
    }
}

impl Routes {
    async fn route(&self, request: &mut Request) -> Result<Response, Problem> {
        let app = &self.0;
        let path = request.head.uri.path().to_owned();
        let found = ROUTER.find(&request.head.method, &path);
        request.place = found.as_ref().ok().and_then(Found::place);
        // Before anything is logged or looked for: what is refused for its number costs little.
        app.identity.meet(request, found.as_ref().ok().and_then(Found::endpoint)).await?;
        let (route, endpoint, id, second) = match found? {
            Found::Options(allow) => return Ok(http::options(&allow)),
            Found::Endpoint { route, endpoint, parameter, second, .. } => (route, endpoint, parameter, second),
        };
        announce(request, route, &path);
        admit(request, endpoint.need)?;
        endpoint.check_query(request.head.uri.query())?;
        let asked = if route.may_be_lenient() { Handling::asked(&request.head.headers) } else { None };
        let response = match asked {
            None => self.dispatch(route, (&id, &second), request).await?,
            Some(asked) => {
                let log = request.log.clone();
                strict_unless(asked, &log, Box::pin(self.dispatch(route, (&id, &second), request))).await?
            }
        };
        Ok(represent(response, &request.head, endpoint.tagged))
    }

    /// Answers the request, or gives the answer again that its repetition gets.
    async fn dispatch(&self, route: Route, at: (&str, &str), request: &mut Request) -> Result<Response, Problem> {
        match route.body_of_new() {
            Some(most) if idempotency::is_there(&request.head.headers) => {
                Box::pin(self.once(route, at, most, request)).await
            }
            _ => Self::handle_at(self, route, at, request).await,
        }
    }

    /// The same for a request that makes something and has a key.
    async fn once(
        &self,
        route: Route,
        at: (&str, &str),
        most: usize,
        request: &mut Request,
    ) -> Result<Response, Problem> {
        let app = &self.0;
        match begin(app, request, most).await? {
            Begun::Answered(response) => Ok(response),
            Begun::Anew(keeping) => {
                let answered = Self::handle_at(self, route, at, request).await;
                end(app, &keeping, answered, &request.log).await
            }
        }
    }

    /// Lets the endpoint's handler answer. Each has a box of its own: the future of a request would else be as large as the largest handler's, and
    /// thousands of requests may wait for room.
    #[expect(clippy::too_many_lines, reason = "one line for each endpoint")]
    async fn handle_at(
        Self(app): &Self,
        route: Route,
        (id, second): (&str, &str),
        request: &mut Request,
    ) -> Result<Response, Problem> {
        match route {
            Route::Entry => handlers::entry(app, request),
            Route::Describe => Ok(DESCRIPTION.respond(&request.head.headers)),
            Route::Page => page::file(id, &request.head),
            Route::Time => Box::pin(hour::time(app, request)).await,
            Route::Keys => Box::pin(keys::published(app, request)).await,
            Route::Telescopes => Box::pin(telescopes::list(app, request)).await,
            Route::CreateTelescope => Box::pin(telescopes::create(app, request)).await,
            Route::Telescope => Box::pin(telescopes::one(app, links::telescope_code(id), request)).await,
            Route::ChangeTelescope => Box::pin(telescopes::change(app, links::telescope_code(id), request)).await,
            Route::Timetable => Box::pin(timetable::states(app, links::telescope_code(id), request)).await,
            Route::Free => Box::pin(timetable::free(app, links::telescope_code(id), request)).await,
            Route::Maintenances => Box::pin(maintenance::list(app, links::telescope_code(id), request)).await,
            Route::CloseTelescope => Box::pin(maintenance::create(app, links::telescope_code(id), request)).await,
            Route::Maintenance => Box::pin(maintenance::one(app, id, request)).await,
            Route::Reopen => Box::pin(maintenance::remove(app, id, request)).await,
            Route::Wait => Box::pin(waiting::enter(app, (links::telescope_code(id), second), request)).await,
            Route::Waits => Box::pin(waiting::list(app, request)).await,
            Route::Waiting => Box::pin(waiting::show(app, id, request)).await,
            Route::Leave => Box::pin(waiting::leave(app, id, request)).await,
            Route::Scientists => Box::pin(scientists::list(app, request)).await,
            Route::CreateScientist => Box::pin(scientists::create(app, request)).await,
            Route::Scientist => Box::pin(scientists::one(app, id, request)).await,
            Route::ChangeScientist => Box::pin(scientists::change(app, id, request)).await,
            Route::TelescopeCalendar => Box::pin(calendar::of_telescope(app, links::telescope_code(id), request)).await,
            Route::ScientistCalendar => Box::pin(calendar::of_scientist(app, id, request)).await,
            Route::Calendars => Box::pin(feeds::list(app, request)).await,
            Route::CreateCalendar => Box::pin(feeds::create(app, request)).await,
            Route::Calendar => Box::pin(feeds::show(app, id, request)).await,
            Route::RevokeCalendar => Box::pin(feeds::revoke(app, id, request)).await,
            Route::Proposals => Box::pin(proposals::list(app, request)).await,
            Route::CreateProposal => Box::pin(proposals::create(app, request)).await,
            Route::Proposal => Box::pin(proposals::one(app, id, request)).await,
            Route::ChangeProposal => Box::pin(proposals::change(app, id, request)).await,
            Route::Book => Box::pin(handlers::book(app, request)).await,
            Route::Bookings => Box::pin(bookings::list(app, request)).await,
            Route::Next => Box::pin(planning::next(app, request)).await,
            Route::Validate => Box::pin(planning::validate(app, request)).await,
            Route::Contest => Box::pin(contest::one(app, id, request)).await,
            Route::SlotContest => Box::pin(contest::of_slot(app, (links::telescope_code(id), second), request)).await,
            Route::Booking => Box::pin(handlers::booking(app, id, request)).await,
            Route::Alter => Box::pin(alteration::alter(app, id, request)).await,
            Route::Cancel => Box::pin(handlers::cancel(app, id, request)).await,
            Route::Audit => Box::pin(trail::records(app, request)).await,
            Route::AuditHead => Box::pin(trail::head(app, request)).await,
            Route::Listen => app.live.listen(request),
            Route::Session => Ok(sessions::show(app, request)),
            Route::SignIn => Box::pin(sessions::begin(app, request)).await,
            Route::ToProvider => Box::pin(sign_in::start(app, request)).await,
            Route::FromProvider => Box::pin(sign_in::finish(app, request)).await,
            Route::SignOut => Box::pin(sessions::end(app, request)).await,
            Route::Tokens => Box::pin(tokens::list(app, request)).await,
            Route::Create => Box::pin(tokens::create(app, request)).await,
            Route::Token => Box::pin(tokens::show(app, id, request)).await,
            Route::Revoke => Box::pin(tokens::revoke(app, id, request)).await,
            Route::Health => Ok(handlers::health(app)),
            Route::Ready => Ok(handlers::ready(app).await),
            Route::Problems => PROBLEMS.list(&request.head.headers),
            Route::Problem => PROBLEMS.one(id, &request.head.headers),
            Route::Metrics => Ok(handlers::measure(app, request).await),
        }
    }
}

/// Logs the assignment's line for a request.
fn announce(request: &Request, route: Route, path: &str) {
    let (log, ip) = (&request.log, &request.ip);
    match route {
        Route::Book => info!(log, "Requisição recebida para POST /agendamentos"),
        Route::Alter => info!(log, "Requisição recebida para PATCH {}", path),
        Route::Cancel => info!(log, "Requisição recebida para DELETE {}", path),
        Route::Wait
        | Route::Leave
        | Route::Next
        | Route::Validate
        | Route::SignIn
        | Route::SignOut
        | Route::Create
        | Route::Revoke
        | Route::CloseTelescope
        | Route::Reopen
        | Route::CreateTelescope
        | Route::ChangeTelescope
        | Route::CreateProposal
        | Route::ChangeProposal
        | Route::CreateCalendar
        | Route::RevokeCalendar
        | Route::CreateScientist
        | Route::ChangeScientist => {
            info!(log, "Requisição recebida em {} {} do IP {}", request.head.method, path, ip);
        }
        Route::Health | Route::Ready | Route::Metrics => {
            debug!(log, "Requisição recebida em GET {} do IP {}", path, ip);
        }
        _ => info!(log, "Requisição recebida em GET {} do IP {}", path, ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the future that a call would give. It is not called.
    fn size_of_future<F>(_: impl FnOnce(&'static Routes, &'static mut Request) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_that_waits_does_not_keep_the_memory_of_the_largest_handler() {
        let bytes = size_of_future(<Routes as Handler>::handle);
        assert!(bytes <= 4096, "{bytes}");
    }
}
