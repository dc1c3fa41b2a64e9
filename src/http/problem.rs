//! Problem documents ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), the one form that every error takes.
//!
//! The client reads the `detail` of a [`Problem`], which says what to do next. The operator needs the cause, so the text for
//! the log is a separate field.

use std::borrow::Cow;

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::kind::{self, Kind};
use super::links::{Links, NextSteps};
use super::prefix::seen;
use super::response::{self, Response};
use super::wrong::{FieldCode, Wrong};
use crate::text::shortened;

/// The path under which a service explains its kinds of problem. The `type` of a problem leads there.
pub const TYPES_PATH: &str = "/problemas";
/// The most characters of the log text of one problem.
const LOG_TEXT_MAX_CHARS: usize = 2000;
/// The most wrong fields that the log text names. Even a small request may have many.
const LOG_FIELDS: usize = 5;

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name on the wire.
    pub campo: String,
    /// The error code, for programs.
    pub codigo: FieldCode,
    /// The error message, for people: what is wrong, and which value would be right.
    pub mensagem: String,
}

impl FieldError {
    /// The error `wrong` of the field named `field`.
    pub fn new(field: impl Into<String>, wrong: impl Into<Wrong>) -> Self {
        let Wrong { code, words } = wrong.into();
        Self { campo: field.into(), codigo: code, mensagem: words }
    }
}

/// An error answer for the client.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

/// The parts of a problem. They are boxed, so that a `Result` with a [`Problem`] stays small.
#[derive(Clone, Debug)]
struct Parts {
    kind: Kind,
    detail: String,
    fields: Vec<FieldError>,
    links: NextSteps,
    members: Members,
    retry_after_s: Option<u64>,
    allow: Option<String>,
    cause: Option<String>,
    logged: bool,
    preference: Option<&'static str>,
    challenge: Option<&'static str>,
}

/// The members that a problem has beside those of all problems, in the order they were added. They are few, so that a list serves.
#[derive(Clone, Debug, Default)]
struct Members(Vec<(Cow<'static, str>, Value)>);

impl Members {
    /// Adds a member, or gives another value to the one of this name.
    fn set(&mut self, name: Cow<'static, str>, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The document's members: those of RFC 9457 in its order, then our own.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    codigo: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    erros: &'a [FieldError],
    #[serde(flatten)]
    members: &'a Members,
    #[serde(rename = "_links", skip_serializing_if = "NextSteps::is_empty")]
    links: &'a NextSteps,
}

impl Problem {
    /// A problem of a `kind`, with a `detail` for people that says what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            detail: detail.into(),
            fields: Vec::new(),
            links: NextSteps::default(),
            members: Members::default(),
            retry_after_s: None,
            allow: None,
            cause: None,
            logged: false,
            preference: None,
            challenge: None,
        }))
    }

    /// 422 with all wrong fields of a body.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let detail = name_fields(&fields, "campo");
        Self::new(kind::INVALID_FIELDS, detail).with_fields(fields)
    }

    /// 422 with all wrong parameters of a query.
    pub fn invalid_parameters(fields: Vec<FieldError>) -> Self {
        let detail = name_fields(&fields, "parâmetro");
        Self::new(kind::INVALID_PARAMETERS, detail).with_fields(fields)
    }

    /// 404 for a path that does not exist.
    pub fn not_found(path: &str) -> Self {
        let detail = format!("Não há nada em {path}.");
        Self::new(kind::NOT_FOUND, detail)
    }

    /// 405 with the methods that the path accepts.
    pub fn method_not_allowed(method: &str, path: &str, allow: String) -> Self {
        let detail = format!("{path} não aceita {method}; aceita {allow}.");
        let mut problem = Self::new(kind::METHOD_NOT_ALLOWED, detail);
        problem.0.allow = Some(allow);
        problem
    }

    /// 500 for an internal error. Only the log shows `cause`.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "O serviço falhou por um defeito próprio. Antes de repetir, veja o que foi gravado. O identificador em instance está também no log do serviço.";
        Self::new(kind::INTERNAL, detail).caused_by(cause)
    }

    /// Sets the detail, where the kind of problem has a more exact one.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Sets the cause, which the log shows instead of the detail.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Marks the problem as already logged, so that it is not logged a second time.
    #[must_use]
    pub fn already_logged(mut self) -> Self {
        self.0.logged = true;
        self
    }

    /// Whether the problem is already logged.
    pub fn is_logged(&self) -> bool {
        self.0.logged
    }

    /// Sets the wrong fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields = fields;
        self
    }

    /// Sets the links to the next steps.
    #[must_use]
    pub fn with_links(mut self, links: impl Into<NextSteps>) -> Self {
        self.0.links = links.into();
        self
    }

    /// Sets the links to the next steps, if the problem has no links yet.
    #[must_use]
    pub fn with_links_if_none(mut self, links: impl FnOnce() -> Links) -> Self {
        if self.0.links.is_empty() {
            self.0.links = links().into();
        }
        self
    }

    /// Adds a member to the document.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.set(name.into(), value.into());
        self
    }

    /// Adds the members of the struct `reply` to the document.
    #[must_use]
    pub fn with_members(mut self, reply: &impl Serialize) -> Self {
        if let Ok(Value::Object(members)) = serde_json::to_value(reply) {
            for (name, value) in members {
                self.0.members.set(name.into(), value);
            }
        }
        self
    }

    /// Sets the header `Retry-After`, in whole seconds.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Sets the header `Preference-Applied`, which names the client's preference that was applied.
    #[must_use]
    pub fn with_preference(mut self, applied: &'static str) -> Self {
        self.0.preference = Some(applied);
        self
    }

    /// Sets the header `WWW-Authenticate`, which says how a client identifies itself.
    #[must_use]
    pub fn with_challenge(mut self, challenge: &'static str) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// What kind of problem it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// In how many seconds the client may try again, if that is known.
    pub fn wait_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    /// The status code of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.kind.status()
    }

    /// The title, for people.
    pub fn title(&self) -> &'static str {
        self.0.kind.title()
    }

    /// What to do, for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The stable error code.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// The text for the log: the cause if there is one, or else the detail; then the wrong fields.
    pub fn log_text(&self) -> String {
        let said = self.0.cause.as_deref().unwrap_or(&self.0.detail);
        let shown = self.0.fields.iter().take(LOG_FIELDS);
        let mut fields: Vec<String> = shown.map(|field| format!("{}: {}", field.campo, field.mensagem)).collect();
        if let more @ 1.. = self.0.fields.len().saturating_sub(LOG_FIELDS) {
            fields.push(format!("e mais {more}"));
        }
        let text = if fields.is_empty() { said.to_owned() } else { format!("{said} {}", fields.join("; ")) };
        shortened(text, LOG_TEXT_MAX_CHARS)
    }

    /// The document without status and headers, for the answer to a batch.
    pub fn to_value(&self, request_id: &str) -> Value {
        // The document has only texts, numbers and maps with text keys, so serialising it cannot fail.
        serde_json::to_value(self.document(request_id)).expect("a problem serialises")
    }

    /// The complete HTTP answer.
    pub fn into_response(self, request_id: &str) -> Response {
        let mut response =
            response::typed(self.0.kind.status(), "application/problem+json", &self.document(request_id));
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(applied) = self.0.preference {
            response.headers_mut().insert("preference-applied", HeaderValue::from_static(applied));
        }
        if let Some(challenge) = self.0.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(allow) = self.0.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }

    fn document<'a>(&'a self, request_id: &str) -> Document<'a> {
        Document {
            kind: seen(&[TYPES_PATH, "/", self.code()].concat()).into_owned(),
            title: self.0.kind.title(),
            status: self.0.kind.status().as_u16(),
            detail: &self.0.detail,
            instance: ["urn:sctec:req:", request_id].concat(),
            codigo: self.code(),
            erros: &self.0.fields,
            members: &self.0.members,
            links: &self.0.links,
        }
    }
}

fn name_fields(fields: &[FieldError], what: &str) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.campo.as_str()).collect();
    match names.as_slice() {
        [name] => format!("Um {what} precisa de correção: {name}."),
        names => format!("{} {what}s precisam de correção: {}.", names.len(), names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::links::{FixedLinks, Link};
    use crate::http::prefix::Prefix;

    #[test]
    fn links_that_are_shared_are_written_as_those_of_one_problem() {
        let links = || Links::new().with("z", Link::get("/z")).with("a", Link::action("POST", "/a", "A"));
        let problem = || Problem::not_found("/x").with("recurso", "X");
        let own = problem().with_links(links());
        let shared = problem().with_links(Arc::new(FixedLinks::new(links())));
        let written = |problem: &Problem| serde_json::to_string(&problem.document("r")).unwrap();
        assert!(written(&own).contains(r#""recurso":"X","_links":{"z":{"href":"/z"},"a":{"#), "{}", written(&own));
        assert_eq!(written(&shared), written(&own));
        let prefix: Prefix = "/sctec".parse().unwrap();
        assert_eq!(prefix.within(|| written(&shared)), prefix.within(|| written(&own)));
        assert_eq!(shared.to_value("r"), own.to_value("r"));
        // It has links already.
        assert_eq!(written(&shared.with_links_if_none(Links::new)), written(&own));
    }

    #[test]
    fn members_stand_in_the_order_they_were_added_and_each_once() {
        #[derive(Serialize)]
        struct Reply {
            dono: &'static str,
            recurso: &'static str,
        }
        let problem = Problem::not_found("/x").with("z", 1).with("recurso", "X").with("z", 2);
        let problem = problem.with_members(&Reply { dono: "d", recurso: "Y" });
        let written = serde_json::to_string(&problem.document("r")).unwrap();
        assert!(written.ends_with(r#","z":2,"recurso":"Y","dono":"d"}"#), "{written}");
    }
}
