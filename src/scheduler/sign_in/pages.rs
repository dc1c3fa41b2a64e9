//! What a browser is shown on the way in: the step from the provider back to the page, and why a person cannot come in.
//!
//! # Why a step
//! The session's cookie is `SameSite=Strict`: a browser does not send it while it follows redirects from another site, and the
//! page would be opened without its session. So the return from the provider is answered by a page of this service, and that page goes on to `/`.

use hyper::StatusCode;
use hyper::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::http::accept::Accepted;
use crate::http::html::{self, escaped};
use crate::http::prefix::seen;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{Response, bytes};
use crate::scheduler::links::SIGN_IN_PATH;
use crate::scheduler::page;

const HTML: &str = "text/html; charset=utf-8";

/// The words of these pages. What the server itself says of a problem is in Portuguese.
struct Words {
    lang: &'static str,
    entering: &'static str,
    go_on: &'static str,
    again: &'static str,
    home: &'static str,
    issuer: &'static str,
    subject: &'static str,
}

const WORDS: [Words; 2] = [
    Words {
        lang: "pt-BR",
        entering: "Entrando…",
        go_on: "Continuar",
        again: "Entrar de novo",
        home: "Página inicial",
        issuer: "Provedor",
        subject: "Sujeito",
    },
    Words {
        lang: "en-GB",
        entering: "Signing in…",
        go_on: "Continue",
        again: "Sign in again",
        home: "Home page",
        issuer: "Provider",
        subject: "Subject",
    },
];

/// The step to the page, after somebody has signed in.
pub fn step(headers: &HeaderMap) -> Response {
    let words = words(headers);
    let home = seen("/");
    let head = format!("<meta http-equiv=\"refresh\" content=\"0; url={home}\">");
    let body = format!("<h1>{}</h1><p><a href=\"{home}\">{}</a></p>", words.entering, words.go_on);
    page_of(words, StatusCode::OK, &head, words.entering, &body)
}

/// Why somebody cannot come in, for a person. A program gets the problem itself.
pub fn refusal(problem: Problem, who: Option<(&str, &str)>, request: &Request) -> Result<Response, Problem> {
    let headers = &request.head.headers;
    if !html::is_preferred(headers) {
        return Err(problem);
    }
    crate::http::server::log_problem(&request.log, &problem);
    let words = words(headers);
    let title = problem.title();
    let shown = |name: &str, value: &str| format!("<p>{name}: <code>{}</code></p>", escaped(value));
    let who = who.map(|(issuer, subject)| shown(words.issuer, issuer) + &shown(words.subject, subject));
    let body = format!(
        "<h1>{title}</h1><p lang=\"pt-BR\">{}</p>{}<p><a href=\"{}\">{}</a> · <a href=\"{}\">{}</a></p>",
        escaped(problem.detail()),
        who.unwrap_or_default(),
        seen(SIGN_IN_PATH),
        words.again,
        seen("/"),
        words.home
    );
    let shown = page_of(words, problem.status(), "", title, &body);
    // Its headers stay: when to try again.
    let (mut parts, _) = problem.into_response(&request.id).into_parts();
    let (own, body) = shown.into_parts();
    parts.headers.extend(own.headers.into_iter().filter_map(|(name, value)| Some((name?, value))));
    Ok(Response::from_parts(parts, body))
}

fn words(headers: &HeaderMap) -> &'static Words {
    &WORDS[Accepted::read(headers, &ACCEPT_LANGUAGE).language(&["pt", "en"]).unwrap_or(0)]
}

fn page_of(words: &Words, status: StatusCode, head: &str, title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">{head}\
         <title>{title} – SCTEC</title><link rel=\"stylesheet\" href=\"{}\"></head><body><main>{body}</main></body></html>",
        words.lang,
        seen("/pagina/base.css")
    );
    let mut response = page::protected(bytes(status, HTML, text.into_bytes()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(HTML));
    response
}
