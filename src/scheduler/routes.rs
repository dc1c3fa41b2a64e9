//! From a path to its handler.

use std::sync::{Arc, LazyLock};

use hyper::Method;
use slog::{debug, info};

use super::app::App;
use super::{handlers, links, live, page, timetable, trail};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::router::{Found, Router};
use crate::http::server::{Handler, Request};
use crate::http::{self, Response};

#[derive(Clone, Copy)]
enum Route {
    Entry,
    Page,
    Time,
    Telescopes,
    Telescope,
    Timetable,
    Free,
    Scientists,
    Scientist,
    Book,
    Bookings,
    Booking,
    Cancel,
    Audit,
    AuditHead,
    Listen,
    Health,
    Ready,
}

impl Route {
    /// Whether a query is refused here because none is read: `POST /agendamentos?telescopio=…` would book another telescope
    /// without a word. What is asked again and again, the time and the service's health, takes what keeps its answers from
    /// a cache; and the page is a document, to whose address others append.
    fn refuses_query(self, request: &Request) -> bool {
        let reads_it = matches!(self, Self::Timetable | Self::Free | Self::Bookings | Self::Audit | Self::Listen);
        let passes_it_over = matches!(self, Self::Time | Self::Health | Self::Ready | Self::Page)
            || (matches!(self, Self::Entry) && page::is_preferred(&request.head.headers));
        !reads_it && !passes_it_over
    }
}

static ROUTER: LazyLock<Router<Route>> = LazyLock::new(|| {
    Router::new(&[
        ("/", Method::GET, Route::Entry),
        ("/pagina/{*id}", Method::GET, Route::Page),
        ("/time", Method::GET, Route::Time),
        ("/telescopios", Method::GET, Route::Telescopes),
        ("/telescopios/{id}", Method::GET, Route::Telescope),
        ("/telescopios/{id}/agenda", Method::GET, Route::Timetable),
        ("/telescopios/{id}/livres", Method::GET, Route::Free),
        ("/cientistas", Method::GET, Route::Scientists),
        ("/cientistas/{id}", Method::GET, Route::Scientist),
        ("/agendamentos", Method::POST, Route::Book),
        ("/agendamentos", Method::GET, Route::Bookings),
        ("/agendamentos/{id}", Method::GET, Route::Booking),
        ("/agendamentos/{id}", Method::DELETE, Route::Cancel),
        ("/auditoria", Method::GET, Route::Audit),
        ("/auditoria/cabeca", Method::GET, Route::AuditHead),
        ("/eventos", Method::GET, Route::Listen),
        ("/saude", Method::GET, Route::Health),
        ("/pronto", Method::GET, Route::Ready),
    ])
});

/// The service as a handler: a booking's task outlives its request and needs the state shared.
pub struct Routes(pub Arc<App>);

impl Handler for Routes {
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        self.route(request).await.map_err(|problem| problem.with_links_if_none(links::to_entry))
    }
}

impl Routes {
    async fn route(&self, request: &mut Request) -> Result<Response, Problem> {
        let app = &self.0;
        let path = request.head.uri.path().to_owned();
        let (route, id) = match ROUTER.find(&request.head.method, &path)? {
            Found::Options(allow) => return Ok(http::options(&allow)),
            Found::Route(route, id) => (route, id.unwrap_or_default()),
        };
        announce(request, route, &path);
        if route.refuses_query(request) {
            Parameters::none(request.head.uri.query())?;
        }
        match route {
            Route::Entry => handlers::entry(app, &request.head.headers),
            Route::Page => page::file(&id, &path, &request.head.headers),
            Route::Time => Ok(handlers::time(app, request.received)),
            Route::Telescopes => Ok(handlers::telescopes(&*handlers::catalogue(app, &request.log).await?)),
            Route::Telescope => handlers::telescope(app, links::telescope_code(&id), &request.log).await,
            Route::Timetable => timetable::states(app, links::telescope_code(&id), request).await,
            Route::Free => timetable::free(app, links::telescope_code(&id), request).await,
            Route::Scientists => Ok(handlers::scientists(&*handlers::catalogue(app, &request.log).await?)),
            Route::Scientist => handlers::scientist(app, &id, &request.log).await,
            Route::Book => handlers::book(app, request).await,
            Route::Bookings => handlers::bookings(app, request).await,
            Route::Booking => handlers::booking(app, &id, &request.log).await,
            Route::Cancel => handlers::cancel(app, &id, request).await,
            Route::Audit => trail::records(app, request).await,
            Route::AuditHead => trail::head(app, request).await,
            Route::Listen => live::listen(&app.live, request),
            Route::Health => Ok(handlers::health(app)),
            Route::Ready => Ok(handlers::ready(app).await),
        }
    }
}

/// The assignment's line for a request that came in.
fn announce(request: &Request, route: Route, path: &str) {
    let (log, ip) = (&request.log, request.peer.ip());
    match route {
        Route::Book => info!(log, "Requisição recebida para POST /agendamentos"),
        Route::Cancel => info!(log, "Requisição recebida para DELETE {}", path),
        Route::Health | Route::Ready => debug!(log, "Requisição recebida em GET {} do IP {}", path, ip),
        _ => info!(log, "Requisição recebida em GET {} do IP {}", path, ip),
    }
}
