//! The secret addresses of calendars over HTTP: who may read the agenda makes them, and revokes their own.

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::Serialize;
use slog::info;

use super::super::app::{App, not_recorded};
use super::super::book::check_audit;
use super::super::catalogue::refusal::CatalogueRefusal;
use super::super::links::{self, CALENDARS_PATH as PATH};
use super::super::origin::Origin;
use super::super::outcome::store_failed;
use super::super::problems::refused;
use super::super::refusal::Refusal;
use super::super::tokens::{on_disk, register};
use super::super::{handlers, requests};
use crate::access::calendar::{Calendar, Shows};
use crate::access::principal::Who;
use crate::access::register::Register;
use crate::access::role::Permission;
use crate::access::session::Secret;
use crate::audit::record::Catalogued;
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::{KEY_PARAMETER, read_json};
use crate::http::links::{Link, Links, with_query};
use crate::http::prefix::seen;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::written::Written;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response, kind};

/// The most bytes of a body.
const BODY_MAX: usize = 4 * 1024;
/// The fields of a new address.
const FIELDS: &str = "telescopio, cientista_id";

/// The addresses as a table.
static TABLE: Table = Table {
    list: "calendarios",
    columns: &["id", "telescopio", "cientista_id", "dono", "estado", "criado_em_utc", "revogado_em_utc"],
    also: &[],
};

/// An address on the wire.
#[derive(Serialize)]
struct View<'a> {
    id: i64,
    telescopio: Option<&'a str>,
    cientista_id: Option<i64>,
    dono: &'a str,
    estado: &'static str,
    criado_em_utc: String,
    revogado_em_utc: Option<String>,
    _links: Links,
}

/// Shows an address. The secret is in the one answer that makes it.
fn view<'a>(calendar: &'a Calendar, secret: Option<&Secret>) -> View<'a> {
    let Calendar { id, shows, owner, created, revoked, .. } = calendar;
    let of = match shows {
        Shows::Telescope(code) => links::telescope_path(code),
        Shows::Scientist(id) => links::scientist_path(*id),
    };
    let address = secret.map(|secret| with_query(&links::calendar_of(&of), [(KEY_PARAMETER, secret.expose())]));
    let path = format!("{PATH}/{id}");
    View {
        id: *id,
        telescopio: shows.telescope(),
        cientista_id: shows.scientist(),
        dono: owner.as_str(),
        estado: if revoked.is_some() { "revogado" } else { "valido" },
        criado_em_utc: created.micros().to_string(),
        revogado_em_utc: revoked.map(|at| at.micros().to_string()),
        _links: Links::new()
            .with("self", Link::get(path.clone()))
            .with_some(
                "calendario",
                address.map(|address| Link::titled(address, "O endereço secreto deste calendário")),
            )
            .with_if(revoked.is_none(), "revogar", || Link::action("DELETE", path, "Revogar este endereço"))
            .with(if shows.telescope().is_some() { "telescopio" } else { "cientista" }, Link::get(of))
            .with("calendarios", Link::get(PATH)),
    }
}

/// `GET /calendarios`.
pub async fn list(app: &App, request: &Request) -> Result<Response, Problem> {
    let register = register(app)?;
    let written = Written::of_list(&request.head.headers, &TABLE)?;
    let all = on_disk(register, request, Register::calendars).await?;
    let shown = all.iter().filter(|calendar| is_shown(calendar, &request.who)).map(|calendar| view(calendar, None));
    let links = Links::new()
        .with("self", Link::get(PATH))
        .with("criar", Link::action("POST", PATH, "Criar o endereço secreto de um calendário"))
        .with("inicio", Link::get("/"));
    Ok(written.with_list(TABLE.list, shown).with_links(&links).into_counted())
}

/// `GET /calendarios/{id}`.
pub async fn show(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    Ok(http::json(StatusCode::OK, &view(&known(app, id, request).await?, None)))
}

/// `POST /calendarios`. The answer is the only one that has the secret.
pub async fn create(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let register = register(app)?;
    let bytes = read_json(request, BODY_MAX).await?;
    let shows = read(Fields::parse(&bytes)?)?;
    check_known(app, &shows, request).await?;
    check_audit(app, &origin).map_err(refused)?;
    let owner = request.who.author();
    let made = on_disk(register, request, move |register| register.make_calendar(&shows, &owner)).await?;
    let (secret, calendar) = made.ok_or_else(|| refused(Refusal::Catalogue(CatalogueRefusal::TooManyCalendars)))?;
    let id = calendar.id;
    if let Err(error) = app.store.record_calendar(calendar.clone(), origin.cause.clone()).await {
        // Nobody has the secret yet.
        on_disk(register, request, move |register| register.revoke_calendar(id)).await?;
        return Err(refused(store_failed(&origin, &error)));
    }
    info!(origin.log, "Calendário {} criado por {}", id, request.who.author());
    let mut response = http::json(StatusCode::CREATED, &view(&calendar, Some(&secret)));
    if let Ok(location) = HeaderValue::from_str(&seen(&format!("{PATH}/{id}"))) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `DELETE /calendarios/{id}`. It is revoked also when that cannot be recorded: a secret that is out must not stay.
pub async fn revoke(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let number = known(app, id, request).await?.id;
    let revoked = on_disk(register(app)?, request, move |register| register.revoke_calendar(number)).await?;
    let (calendar, just_now) = revoked.ok_or_else(|| unknown(id))?;
    if just_now {
        info!(origin.log, "Calendário {} revogado por {}", number, request.who.author());
        if let Err(error) = app.store.record_calendar(calendar.clone(), origin.cause.clone()).await {
            not_recorded(&origin.log, Catalogued::CalendarRevoked(&calendar).event_type(), &error);
        }
    }
    Ok(http::json(StatusCode::OK, &view(&calendar, None)))
}

/// Whether the caller sees an address: its owner does, and an operator.
fn is_shown(calendar: &Calendar, who: &Who) -> bool {
    calendar.owner == who.author() || who.may(Permission::ManageAccess)
}

/// The address of that number, if the caller sees it.
async fn known(app: &App, id: &str, request: &Request) -> Result<Calendar, Problem> {
    let number = requests::id(id).ok_or_else(|| unknown(id))?;
    let all = on_disk(register(app)?, request, Register::calendars).await?;
    let found = all.into_iter().find(|calendar| calendar.id == number && is_shown(calendar, &request.who));
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    let links = Links::new().with("calendarios", Link::get(PATH)).with("inicio", Link::get("/"));
    Problem::new(kind::NOT_FOUND, format!("Não há calendário {id} seu.")).with_links(links)
}

/// Checks that there is what a calendar is to show.
async fn check_known(app: &App, shows: &Shows, request: &Request) -> Result<(), Problem> {
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let wrong = match shows {
        Shows::Telescope(code) if catalogue.telescope(code).is_none() => {
            let words = "não existe; a lista está em GET /telescopios";
            FieldError::new("telescopio", FieldCode::UnknownTelescope.says(words))
        }
        Shows::Scientist(id) if catalogue.scientist(*id).is_none() => {
            let words = format!("não existe cientista {id}; a lista está em GET /cientistas");
            FieldError::new("cientista_id", FieldCode::UnknownScientist.says(words))
        }
        Shows::Telescope(_) | Shows::Scientist(_) => return Ok(()),
    };
    Err(Problem::invalid_fields(vec![wrong]))
}

/// Reads the fields of a new address.
fn read(mut fields: Fields<'_>) -> Result<Shows, Problem> {
    let telescope = fields.text("telescopio", TextRule { max_chars: 200, multiline: false });
    let scientist = fields.integer_as("cientista_id", 1..=requests::ID_MAX, requests::SCIENTIST_ID);
    if telescope.is_some() && scientist.is_some() {
        let words = "não vale com telescopio: um calendário é de um telescópio ou de um cientista";
        fields.reject("cientista_id", FieldCode::Contradiction.says(words));
    }
    if telescope.is_none() && scientist.is_none() && !fields.has_errors() {
        let words = "é obrigatório, ou então cientista_id: um calendário é de um telescópio ou de um cientista";
        fields.reject("telescopio", FieldCode::Missing.says(words));
    }
    fields.finish(FIELDS).map_err(Problem::invalid_fields)?;
    let shows = telescope.map(Shows::Telescope).or(scientist.map(Shows::Scientist));
    shows.ok_or_else(|| Problem::internal("um calendário sem erro e sem o que ele mostra"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_of_a_telescope_or_of_a_scientist() {
        let shows = |body: &str| read(Fields::parse(body.as_bytes()).unwrap());
        assert_eq!(shows(r#"{"telescopio": "a"}"#).unwrap(), Shows::Telescope("a".to_owned()));
        assert_eq!(shows(r#"{"cientista_id": 7, "telescopio": null}"#).unwrap(), Shows::Scientist(7));
        for (wrong, fields) in [
            ("{}", &["telescopio"][..]),
            (r#"{"telescopio": "a", "cientista_id": 7}"#, &["cientista_id"]),
            (r#"{"cientista_id": 0}"#, &["cientista_id"]),
            (r#"{"telescopio": 7, "x": 1}"#, &["telescopio", "x"]),
        ] {
            let problem = shows(wrong).unwrap_err().to_value("r");
            let named: Vec<_> = problem["erros"].as_array().unwrap().iter().map(|one| one["campo"].clone()).collect();
            assert_eq!(named, fields, "{wrong}");
        }
    }
}
