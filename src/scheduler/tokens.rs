//! Tokens over HTTP, for operators: what `sctec token` does on the data folder.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use serde::Serialize;
use serde_json::value::RawValue;
use slog::{error, info};

use super::app::App;
use super::handlers::catalogue;
use super::open_id::Issuer;
use super::{links, requests};
use crate::access::grant::{DAYS_DEFAULT, DAYS_MAX, Grant, PREFIX_BYTES_MAX, PREFIXES_MAX, WrongGrant};
use crate::access::register::credential::Credential;
use crate::access::register::{Register, RegisterError};
use crate::access::role::{Role, Roles};
use crate::access::subject::{EMAIL_MAX, SUBJECT_MAX, Subject, email_of};
use crate::access::token::Token;
use crate::access::{AUTHOR_MAX, WrongName};
use crate::http::fields::{Fields, TextRule, checked_text, shown};
use crate::http::identity::read_json;
use crate::http::links::Links;
use crate::http::prefix::seen;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::written::Written;
use crate::http::wrong::{FieldCode, Wrong};
use crate::http::{self, Response, kind};
use crate::panics;
use crate::time::Timestamp;

/// The most bytes of a body.
const BODY_MAX: usize = 16 * 1024;
/// The longest URL of an identity provider.
const ISSUER_MAX: usize = 500;
/// The fields of a new token.
const FIELDS: &str = "nome, papeis, cientista_id, prefixos, validade_dias, emissor, sujeito, email";

/// The tokens as a table.
static TABLE: Table = Table {
    list: "tokens",
    columns: &[
        "id",
        "nome",
        "papeis",
        "cientista_id",
        "prefixos",
        "estado",
        "criado_por",
        "criado_em_utc",
        "expira_em_utc",
        "revogado_em_utc",
        "usado_em",
        "usado_de",
        "emissor",
        "sujeito",
        "email",
    ],
    also: &[],
};

/// A token on the wire.
#[derive(Serialize)]
struct TokenView<'a> {
    id: i64,
    nome: &'a str,
    papeis: Vec<&'static str>,
    cientista_id: Option<i64>,
    prefixos: &'a [String],
    estado: &'static str,
    criado_por: &'a str,
    criado_em_utc: String,
    expira_em_utc: Option<String>,
    revogado_em_utc: Option<String>,
    usado_em: Option<&'a str>,
    usado_de: Option<String>,
    /// How an identity provider recognises the principal, where one does.
    #[serde(flatten)]
    provedor: Option<SubjectView<'a>>,
    /// The secret, in the one answer that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    _links: Links,
}

/// A person of an identity provider on the wire.
#[derive(Serialize)]
struct SubjectView<'a> {
    emissor: &'a str,
    sujeito: Option<&'a str>,
    email: Option<&'a str>,
}

fn view<'a>(credential: &'a Credential, secret: Option<&'a Token>, now: Timestamp) -> TokenView<'a> {
    let instant = |at: Timestamp| at.micros().to_string();
    TokenView {
        id: credential.id,
        nome: credential.principal.name.as_str(),
        papeis: credential.principal.roles.iter().map(Role::name).collect(),
        cientista_id: credential.principal.scientist,
        prefixos: &credential.principal.prefixes,
        estado: credential.state(now).name(),
        criado_por: &credential.created_by,
        criado_em_utc: instant(credential.created),
        expira_em_utc: credential.expires.map(instant),
        revogado_em_utc: credential.revoked.map(instant),
        usado_em: credential.last.as_ref().map(|last| last.day.as_str()),
        usado_de: credential.last.as_ref().and_then(|last| last.ip).map(|ip| ip.to_string()),
        provedor: credential.subject.as_ref().map(|subject| SubjectView {
            emissor: &subject.issuer,
            sujeito: subject.subject.as_deref(),
            email: subject.email.as_deref(),
        }),
        token: secret.map(Token::expose),
        _links: links::of_token(credential.id, credential.revoked.is_some()),
    }
}

/// `GET /tokens`.
pub async fn list(app: &App, request: &Request) -> Result<Response, Problem> {
    let register = register(app)?;
    let written = Written::of_list(&request.head.headers, &TABLE)?;
    let now = register.now();
    let all = on_disk(register, request, Register::all).await?;
    let shown = all.iter().map(|credential| view(credential, None, now));
    Ok(written.with_list(TABLE.list, shown).with_links(&links::of_tokens()).into_counted())
}

/// `GET /tokens/{id}`.
pub async fn show(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let (register, number) = (register(app)?, number(id)?);
    let now = register.now();
    let all = on_disk(register, request, Register::all).await?;
    let found = all.iter().find(|credential| credential.id == number).ok_or_else(|| unknown(id))?;
    Ok(http::json(StatusCode::OK, &view(found, None, now)))
}

/// `POST /tokens`. The answer is the only one that has the token.
pub async fn create(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let register = register(app)?;
    let bytes = read_json(request, BODY_MAX).await?;
    let (grant, subject) = read(app, Fields::parse(&bytes)?)?;
    if let Some(scientist) = grant.scientist
        && catalogue(app, &request.log).await?.scientist(scientist).is_none()
    {
        let words = format!("não existe cientista {scientist}; a lista está em GET /cientistas");
        let wrong = FieldError::new("cientista_id", FieldCode::UnknownScientist.says(words));
        return Err(Problem::invalid_fields(vec![wrong]));
    }
    let now = register.now();
    let new = grant.check(now).map_err(|wrong| Problem::invalid_fields(vec![wrong_grant(wrong)]))?;
    let by = request.who.author();
    let made = on_disk(register, request, move |register| match subject {
        Some(subject) => Ok((None, register.tie(&subject, &new, &by)?)),
        None => register.create(&new, &by).map(|(token, credential)| (Some(token), credential)),
    });
    let (token, credential) = made.await?;
    info!(
        request.log,
        "{} {} criado para {} ({}) por {}",
        if token.is_some() { "Token" } else { "Vínculo" },
        credential.id,
        credential.principal.name,
        credential.principal.roles,
        request.who.author()
    );
    let mut response = http::json(StatusCode::CREATED, &view(&credential, token.as_ref(), now));
    // No cache may keep the secret.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(location) = HeaderValue::from_str(&seen(&links::token_path(credential.id))) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `DELETE /tokens/{id}`.
pub async fn revoke(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let (register, number) = (register(app)?, number(id)?);
    let now = register.now();
    let revoked = on_disk(register, request, move |register| register.revoke(number)).await?;
    let revoked = revoked.ok_or_else(|| unknown(id))?;
    info!(request.log, "Token {} de {} revogado por {}", revoked.id, revoked.principal.name, request.who.author());
    Ok(http::json(StatusCode::OK, &view(&revoked, None, now)))
}

/// The register. A service that asks nobody who they are has none, and no tokens.
pub fn register(app: &App) -> Result<&Arc<Register>, Problem> {
    let detail = "Este serviço não usa tokens: ele foi iniciado com --access open.";
    app.identity.register().ok_or_else(|| Problem::new(kind::NOT_FOUND, detail))
}

/// Runs what blocks in a thread that may.
pub async fn on_disk<T: Send + 'static>(
    register: &Arc<Register>,
    request: &Request,
    work: impl FnOnce(&Register) -> Result<T, RegisterError> + Send + 'static,
) -> Result<T, Problem> {
    let register = Arc::clone(register);
    let done = panics::blocking(move || work(&register)).await;
    let done = done.map_err(|panicked| Problem::internal(panicked.to_string()))?;
    done.map_err(|failed| match failed {
        RegisterError::OtherPrincipal { name, roles } => {
            let words = format!(
                "{name} já tem um token válido com outros direitos ({roles}); peça os mesmos, escolha outro nome, ou revogue antes os tokens dele"
            );
            Problem::invalid_fields(vec![FieldError::new("nome", FieldCode::Contradiction.says(words))])
        }
        failed => {
            error!(request.log, "Falha no registro de tokens: {}", failed);
            let detail = "O registro de tokens não pôde ser lido ou gravado. Veja GET /tokens antes de tentar de novo.";
            Problem::new(kind::IDENTITY_UNAVAILABLE, detail).retry_after_s(1).already_logged()
        }
    })
}

fn number(id: &str) -> Result<i64, Problem> {
    requests::id(id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    Problem::new(kind::NOT_FOUND, format!("Não há token {id}.")).with_links(links::to_tokens())
}

/// Reads the fields of a new token.
fn read(app: &App, mut fields: Fields<'_>) -> Result<(Grant, Option<Subject>), Problem> {
    let name = fields.text("nome", TextRule { max_chars: AUTHOR_MAX, multiline: false });
    if name.is_none() && !fields.has_errors() {
        fields.reject("nome", FieldCode::Missing.says("é obrigatório: o nome de quem recebe o token"));
    }
    let roles = texts(&mut fields, "papeis", Role::ALL.len(), 20).unwrap_or_default();
    let roles = roles.iter().map(|name| Role::from_name(name).ok_or(name)).collect::<Result<Roles, _>>();
    let roles = roles.unwrap_or_else(|name| {
        let all: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
        fields.reject("papeis", format!("não existe o papel {}; os papéis são {}", shown(name), all.join(", ")));
        Roles::default()
    });
    let prefixes = texts(&mut fields, "prefixos", PREFIXES_MAX, PREFIX_BYTES_MAX).unwrap_or_default();
    let subject = subject(app, &mut fields);
    if subject.is_some() && roles.has(Role::Service) {
        fields.reject("papeis", FieldCode::Contradiction.says("servico é o papel de um programa, que tem um token"));
    }
    // A person of a provider is put out there: nothing needs to end here.
    let days_default = if subject.is_some() { 0 } else { DAYS_DEFAULT };
    let grant = Grant {
        name: name.unwrap_or_default(),
        roles,
        scientist: fields.integer("cientista_id", 1..=i64::MAX),
        prefixes,
        days: fields
            .integer("validade_dias", 0..=DAYS_MAX.into())
            .map_or(days_default, |days| u32::try_from(days).unwrap_or(DAYS_MAX)),
    };
    fields.finish(FIELDS).map_err(Problem::invalid_fields)?;
    Ok((grant, subject))
}

/// The person of an identity provider who is to be tied, if the fields name one.
fn subject(app: &App, fields: &mut Fields<'_>) -> Option<Subject> {
    let rule = |max_chars| TextRule { max_chars, multiline: false };
    let issuer = fields.text("emissor", rule(ISSUER_MAX));
    let subject = fields.text("sujeito", rule(SUBJECT_MAX));
    let text = fields.text("email", rule(EMAIL_MAX));
    let email = text.as_deref().and_then(email_of);
    if text.is_some() && email.is_none() {
        fields.reject("email", "deve ser um endereço de e-mail, como ana@obs.example");
    }
    match (&subject, &text) {
        (None, None) if issuer.is_some() => {
            fields.reject("emissor", FieldCode::Contradiction.says("só vale com sujeito ou com email"));
        }
        (None, None) => return None,
        (Some(_), Some(_)) => {
            fields.reject("email", FieldCode::Contradiction.says("não vale com sujeito; dê um dos dois"));
        }
        _ => {}
    }
    let own = app.provider.as_ref().map(|provider| provider.settings().issuer.as_str().to_owned());
    let given = issuer.is_some();
    let issuer = match issuer {
        Some(text) => Issuer::parse(&text).ok().map(|issuer| issuer.as_str().to_owned()),
        None => own,
    };
    if given && issuer.is_none() {
        fields.reject("emissor", "deve ser a URL do provedor, como https://id.obs.example");
    }
    if issuer.is_none() && !fields.has_errors() {
        fields.reject(
            "emissor",
            FieldCode::Missing.says("é obrigatório: este serviço não tem um provedor de identidade"),
        );
    }
    Some(Subject { issuer: issuer?, subject, email })
}

/// A list of texts, if the field is present.
fn texts(fields: &mut Fields<'_>, name: &str, most: usize, max_chars: usize) -> Option<Vec<String>> {
    let raw = fields.take(name)?;
    let read = || -> Result<Vec<String>, Wrong> {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|_| FieldCode::Kind.says("deve ser uma lista de textos, entre [ e ]"))?;
        if items.len() > most {
            return Err(FieldCode::Length.says(format!("deve ter até {most} textos; tem {}", items.len())));
        }
        items.into_iter().map(|item| checked_text(item, TextRule { max_chars, multiline: false })).collect()
    };
    match read() {
        Ok(texts) => Some(texts),
        Err(wrong) => {
            fields.reject(name, wrong);
            None
        }
    }
}

fn wrong_grant(wrong: WrongGrant) -> FieldError {
    match wrong {
        WrongGrant::Name(WrongName::Form) => {
            FieldError::new("nome", format!("deve ter de 1 a {AUTHOR_MAX} letras sem acento, algarismos e . _ - + @"))
        }
        WrongGrant::Name(WrongName::Reserved) => {
            FieldError::new("nome", "tem outro significado nos registros; escolha outro")
        }
        WrongGrant::NoRole => {
            FieldError::new("papeis", FieldCode::Missing.says("deve ter pelo menos um papel, como [\"cientista\"]"))
        }
        WrongGrant::NoScientist => FieldError::new(
            "cientista_id",
            FieldCode::Missing.says("é obrigatório com o papel cientista; a lista está em GET /cientistas"),
        ),
        WrongGrant::ScientistWithoutRole => {
            FieldError::new("cientista_id", FieldCode::Contradiction.says("só vale com o papel cientista"))
        }
        WrongGrant::NoPrefix => FieldError::new(
            "prefixos",
            FieldCode::Missing.says(
                "é obrigatório com o papel servico: os começos dos nomes que ele pode travar, ou [\"*\"] para todos",
            ),
        ),
        WrongGrant::PrefixWithoutRole => {
            FieldError::new("prefixos", FieldCode::Contradiction.says("só vale com o papel servico"))
        }
        WrongGrant::Prefix => FieldError::new(
            "prefixos",
            FieldCode::Length.says(format!("até {PREFIXES_MAX} textos, de 1 a {PREFIX_BYTES_MAX} bytes cada um")),
        ),
        WrongGrant::Days => {
            FieldError::new("validade_dias", FieldCode::Number.says(format!("deve ser de 0 (sem fim) a {DAYS_MAX}")))
        }
    }
}
