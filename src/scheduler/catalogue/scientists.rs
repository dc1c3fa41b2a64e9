//! Scientists over HTTP.

use std::sync::Arc;

use slog::info;

use super::super::app::App;
use super::super::origin::Origin;
use super::super::problems::{not_a_scientist, refused};
use super::super::refusal::Refusal;
use super::super::{handlers, links, requests, views};
use super::lists::{List, ListRequest};
use super::{BODY_MAX, NAME_MAX_CHARS, changed, created, make, shown};
use crate::access::principal::Who;
use crate::agenda::directory::Place;
use crate::agenda::{Catalogue, Rejection, Scientist, ScientistPatch};
use crate::http::Response;
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::read_json;
use crate::http::precondition::IfMatch;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::written::Written;

static LIST: List = List {
    path: "/cientistas",
    create: "Acrescentar um cientista",
    of_scientists: false,
    table: Table { list: "cientistas", columns: &["id", "nome", "instituicao", "pais", "ativo"], also: &[] },
    write,
};
/// The fields of a scientist that a client gives.
const FIELDS: &str = "nome, instituicao, pais, ativo";
/// Its other fields. A client that sends back what it read may leave them in.
const ANSWERED_FIELDS: [&str; 2] = ["id", "_links"];
const NAME: TextRule = TextRule { max_chars: NAME_MAX_CHARS, multiline: false };

/// `GET /cientistas`.
pub async fn list(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    LIST.answer(app, request).await
}

/// Writes the scientists that are asked for.
fn write(catalogue: &Catalogue, asked: &ListRequest, who: &Who, written: &mut Written) -> Option<Place> {
    let found = catalogue.find_scientists(&asked.search(requests::id), asked.after.as_ref(), asked.limit);
    for scientist in found.items {
        written.item(&views::scientist(scientist, who));
    }
    found.next.cloned()
}

/// `GET /cientistas/{id}`.
pub async fn one(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let number = number(id)?;
    match handlers::catalogue(app, &request.log).await?.scientist(number) {
        Some(scientist) => Ok(shown(&views::scientist(scientist, &request.who), &scientist.version())),
        None => Err(unknown(number)),
    }
}

/// `POST /cientistas`.
pub async fn create(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let bytes = read_json(request, BODY_MAX).await?;
    let new = new_scientist(&bytes)?;
    let scientist = make(app, &origin, app.store.create_scientist(new, origin.cause.clone())).await?;
    info!(origin.log, "Cientista {} criado por {}", scientist.id, request.who.author());
    Ok(made(&scientist, &request.who))
}

/// The answer to the request that has made this scientist.
pub fn made(scientist: &Scientist, who: &Who) -> Response {
    created(&views::scientist(scientist, who), &scientist.version(), &links::scientist_path(scientist.id))
}

/// `PATCH /cientistas/{id}`: a merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)).
pub async fn change(app: &App, id: &str, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let if_match = IfMatch::read(&request.head.headers)?;
    let bytes = read_json(request, BODY_MAX).await?;
    let (number, patch) = (number(id)?, patch(&bytes)?);
    let outcome = make(app, &origin, app.store.change_scientist(number, patch, if_match, origin.cause.clone())).await?;
    let scientist = changed(outcome, || unknown(number))?;
    info!(origin.log, "Cientista {} alterado por {}", scientist.id, request.who.author());
    Ok(shown(&views::scientist(&scientist, &request.who), &scientist.version()))
}

fn number(id: &str) -> Result<i64, Problem> {
    requests::id(id).ok_or_else(|| not_a_scientist(id))
}

fn unknown(id: i64) -> Problem {
    refused(Refusal::Unknown(Rejection::UnknownScientist(id)))
}

/// Reads a new scientist.
///
/// # Errors
/// The problem to answer with.
fn new_scientist(body: &[u8]) -> Result<Scientist, Problem> {
    let mut fields = Fields::parse(body)?;
    let read = (fields.required_text("nome", NAME), fields.required_text("instituicao", NAME));
    let country = fields.required_text("pais", NAME).and_then(|country| check_country(country, &mut fields));
    let active = fields.boolean("ativo").unwrap_or(true);
    for answered in ANSWERED_FIELDS {
        fields.pass_over(answered);
    }
    fields.finish(FIELDS).map_err(Problem::invalid_fields)?;
    let ((Some(name), Some(institution)), Some(country)) = (read, country) else {
        return Err(Problem::internal("um cientista sem erro e sem um campo obrigatório"));
    };
    Ok(Scientist { id: 0, name, institution, country, active })
}

/// Reads a change of a scientist.
///
/// # Errors
/// The problem to answer with.
fn patch(body: &[u8]) -> Result<ScientistPatch, Problem> {
    let mut fields = Fields::parse(body)?;
    for name in ["nome", "instituicao", "pais", "ativo"] {
        if fields.take_null(name) {
            fields.reject(name, "um cientista tem sempre este campo; mande outro valor, ou deixe o campo fora");
        }
    }
    let patch = ScientistPatch {
        name: fields.text("nome", NAME),
        institution: fields.text("instituicao", NAME),
        country: fields.text("pais", NAME).and_then(|country| check_country(country, &mut fields)),
        active: fields.boolean("ativo"),
    };
    for answered in ANSWERED_FIELDS {
        fields.pass_over(answered);
    }
    fields.finish(FIELDS).map_err(Problem::invalid_fields)?;
    Ok(patch)
}

fn check_country(country: String, fields: &mut Fields<'_>) -> Option<String> {
    if country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(country);
    }
    fields.reject("pais", "deve ser o código de um país com duas letras maiúsculas (ISO 3166-1), como BR");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong<T>(read: Result<T, Problem>) -> Vec<String> {
        let problem = read.err().map(|problem| problem.to_value("r")).unwrap_or_default();
        let fields = problem["erros"].as_array().cloned().unwrap_or_default();
        fields.iter().map(|field| field["campo"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn every_wrong_field_of_a_scientist_is_named() {
        assert_eq!(wrong(new_scientist(b"{}")), ["nome", "instituicao", "pais"]);
        let body = r#"{"nome": "", "instituicao": 7, "pais": "br", "ativo": 1, "x": 1}"#;
        assert_eq!(wrong(new_scientist(body.as_bytes())), ["nome", "instituicao", "pais", "ativo", "x"]);
        assert_eq!(wrong(patch(br#"{"nome": null, "pais": "BRA", "ativo": null}"#)), ["nome", "ativo", "pais"]);
        let new = new_scientist(r#"{"id": 99, "nome": "Vera", "instituicao": "X", "pais": "US"}"#.as_bytes()).unwrap();
        assert_eq!((new.id, new.name.as_str(), new.active), (0, "Vera", true));
        let changed = patch(br#"{"id": 7, "ativo": false, "_links": {}}"#).unwrap();
        assert_eq!(changed, ScientistPatch { active: Some(false), ..ScientistPatch::default() });
    }
}
