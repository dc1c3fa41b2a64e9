//! Sessions: the page shows a token once, and a cookie that no script can read stands for it from then on.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderValue, SET_COOKIE};
use serde::Serialize;
use slog::info;

use super::app::App;
use super::handlers::signed;
use super::links::{self, Signed};
use super::tokens::{on_disk, register};
use crate::access::ip_of;
use crate::access::principal::Who;
use crate::access::register::Key;
use crate::access::role::Role;
use crate::access::session::{LONGEST, Secret};
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::{find_token, session_secret};
use crate::http::links::Links;
use crate::http::pass::find;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response, body, cookie};
use crate::time::Timestamp;

/// The most bytes of a body.
const BODY_MAX: usize = 4 * 1024;
/// The most characters of what may be a token.
const TOKEN_MAX: usize = 200;
/// The fields of a sign-in.
const FIELDS: &str = "token";

/// Who the caller is.
#[derive(Serialize)]
struct SessionView<'a> {
    identificacao: &'static str,
    nome: Option<&'a str>,
    papeis: Vec<&'static str>,
    cientista_id: Option<i64>,
    expira_em_utc: Option<String>,
    _links: Links,
}

fn view(who: &Who, signed: Signed, until: Option<Timestamp>) -> SessionView<'_> {
    let known = if let Who::Known(principal) = who { Some(principal) } else { None };
    SessionView {
        identificacao: match who {
            Who::Anyone => "aberta",
            Who::Stranger => "nenhuma",
            Who::Known(_) if signed.in_session => "sessao",
            Who::Known(_) => "token",
        },
        nome: known.map(|principal| principal.name.as_str()),
        papeis: known.into_iter().flat_map(|principal| principal.roles.iter()).map(Role::name).collect(),
        cientista_id: who.scientist(),
        expira_em_utc: until.map(|until| until.micros().to_string()),
        _links: links::of_session(signed),
    }
}

/// `GET /sessao`.
pub fn show(app: &App, request: &Request) -> Response {
    http::json(StatusCode::OK, &view(&request.who, signed(app, request), request.pass.until()))
}

/// `POST /sessao`. A session that the browser has already is ended: each sign-in has a secret of its own.
pub async fn begin(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let register = register(app)?;
    let bytes = body::read_json(&request.head.headers, &mut request.body, BODY_MAX).await?;
    let token = read(Fields::parse(&bytes)?)?;
    let found = find_token(register, &token, ip_of(request.peer)).await?;
    let (credential, before) = (found.credential, request.pass.session());
    let secret = on_disk(register, request, move |register| {
        if let Some(before) = before {
            register.end_session(&before)?;
        }
        register.begin_session(credential)
    });
    let secret = secret.await?;
    info!(request.log, "Sessão aberta para {} com o token {}", found.principal.name, credential);
    let end = register.now().saturating_add(LONGEST);
    let until = found.until.map_or(end, |until| until.min(end));
    let who = Who::Known(found.principal);
    let shown = view(&who, Signed { in_session: true, ..signed(app, request) }, Some(until));
    let mut response = http::json(StatusCode::CREATED, &shown);
    give(&mut response, cookie::set(secret.expose(), request.is_secure(), LONGEST));
    Ok(response)
}

/// `DELETE /sessao`. There is no session afterwards, whether there was one or not.
pub async fn end(app: &App, request: &Request) -> Result<Response, Problem> {
    if let (Some(register), Some(Some(secret))) = (app.identity.register(), session_secret(request)) {
        let digest = Secret::digest(&secret);
        // What no session has does not reach the disk: everybody may send it.
        let known = find(register, Key::Session(digest), ip_of(request.peer)).await.is_ok();
        if known && on_disk(register, request, move |register| register.end_session(&digest)).await? {
            info!(request.log, "Sessão encerrada por {}", request.who.author());
        }
    }
    let mut response = http::no_content();
    give(&mut response, cookie::set("", request.is_secure(), Duration::ZERO));
    Ok(response)
}

fn give(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

/// Reads the token of a sign-in. No message shows it.
fn read(mut fields: Fields<'_>) -> Result<String, Problem> {
    let token = fields.text("token", TextRule { max_chars: TOKEN_MAX, multiline: false });
    if token.is_none() && !fields.has_errors() {
        fields.reject("token", FieldCode::Missing.says("é obrigatório: o token que um operador lhe deu"));
    }
    fields.finish(FIELDS).map_err(Problem::invalid_fields)?;
    Ok(token.unwrap_or_default())
}
