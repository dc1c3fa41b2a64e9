//! What each kind of problem means and what to do about it: `GET /problemas` and `GET /problemas/{codigo}`, for people and for
//! programs.
//!
//! The words are those of `assets/problemas.md`, which is part of the executable.

use std::fmt::Write as _;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, VARY};
use serde::Serialize;

use super::html::{self, escaped};
use super::kind::{self, Kind};
use super::links::{Link, Links};
use super::prefix::seen;
use super::problem::{Problem, TYPES_PATH};
use super::response::{self, Response};
use super::table::Table;
use super::written::Written;

/// The path of one explanation.
pub const TYPE_PATH: &str = "/problemas/{codigo}";

/// The explanations, each under its code.
const TEXT: &str = include_str!("../../assets/problemas.md");
/// What stands before the second half of an explanation.
const REMEDY: &str = "**O que fazer:** ";

/// One code and the words for it.
#[derive(Debug)]
struct Explanation {
    code: &'static str,
    title: &'static str,
    /// A code may come with several.
    statuses: Vec<u16>,
    /// In the marks of `TEXT`: `**` and backquotes.
    meaning: String,
    remedy: String,
}

/// An explanation on the wire.
#[derive(Serialize)]
struct Shown {
    codigo: &'static str,
    titulo: &'static str,
    status: Vec<u16>,
    significado: String,
    o_que_fazer: String,
    #[serde(rename = "_links")]
    links: Links,
}

/// The explanations as a table.
static TABLE: Table = Table {
    list: "problemas",
    columns: &["codigo", "titulo", "status", "significado", "o_que_fazer"],
    also: &["text/html"],
};

/// The kinds of problem of a service, explained.
#[derive(Debug)]
pub struct Explained(Vec<Explanation>);

impl Explained {
    /// The kinds that all services have, and a service's own.
    pub fn with(own: impl Iterator<Item = Kind>) -> Self {
        let mut all: Vec<Explanation> = Vec::new();
        for kind in kind::ALL.iter().copied().chain(own) {
            let status = kind.status().as_u16();
            match all.iter_mut().find(|known| known.code == kind.code()) {
                Some(known) if known.statuses.contains(&status) => {}
                Some(known) => known.statuses.push(status),
                None => {
                    let (meaning, remedy) = words(kind.code()).expect("a test finds each kind in the text");
                    let (code, title) = (kind.code(), kind.title());
                    all.push(Explanation { code, title, statuses: vec![status], meaning, remedy });
                }
            }
        }
        all.sort_unstable_by_key(|explanation| explanation.code);
        for explanation in &mut all {
            explanation.statuses.sort_unstable();
        }
        Self(all)
    }

    /// `GET /problemas`.
    ///
    /// # Errors
    /// 406 when the client accepts none of its types.
    pub fn list(&self, headers: &HeaderMap) -> Result<Response, Problem> {
        let written = Written::of_list(headers, &TABLE)?;
        if !written.is_table() && html::is_preferred(headers) {
            return Ok(self.page());
        }
        let links = Links::new().with("self", Link::get(TYPES_PATH)).with("inicio", Link::get("/"));
        Ok(written.with_list(TABLE.list, self.0.iter().map(Explanation::shown)).with_links(&links).into_counted())
    }

    /// `GET /problemas/{codigo}`.
    ///
    /// # Errors
    /// 404.
    pub fn one(&self, code: &str, headers: &HeaderMap) -> Result<Response, Problem> {
        let Some(found) = self.0.iter().find(|explanation| explanation.code == code) else {
            let detail = format!("Não há um tipo de problema {code:?}; a lista está em GET {TYPES_PATH}.");
            let links = Links::new().with("problemas", Link::get(TYPES_PATH));
            return Err(Problem::new(kind::NOT_FOUND, detail).with_links(links));
        };
        Ok(if html::is_preferred(headers) { found.page() } else { json(&found.shown()) })
    }

    fn page(&self) -> Response {
        let mut rows = String::new();
        for Explanation { code, title, statuses, .. } in &self.0 {
            let _ = write!(
                rows,
                "<tr><td><a href=\"{}/{code}\"><code>{code}</code></a></td><td>{}</td><td>{title}</td></tr>",
                seen(TYPES_PATH),
                listed(statuses)
            );
        }
        let head = "<th scope=\"col\">codigo</th><th scope=\"col\">status</th><th scope=\"col\">título</th>";
        let body = format!(
            "<h1>Tipos de problema</h1><p>Toda resposta de erro deste serviço tem um <code>codigo</code>. Cada um é explicado na sua página.</p>\
             <table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p><a href=\"{}\">Início</a></p>",
            seen("/")
        );
        html::page("Tipos de problema", &body)
    }
}

impl Explanation {
    fn shown(&self) -> Shown {
        Shown {
            codigo: self.code,
            titulo: self.title,
            status: self.statuses.clone(),
            significado: plain(&self.meaning),
            o_que_fazer: plain(&self.remedy),
            links: Links::new()
                .with("self", Link::get(format!("{TYPES_PATH}/{}", self.code)))
                .with("problemas", Link::get(TYPES_PATH)),
        }
    }

    fn page(&self) -> Response {
        let Self { code, title, statuses, meaning, remedy } = self;
        let body = format!(
            "<h1>{title}</h1><p><code>{code}</code>, status {}</p><h2>O que significa</h2><p>{}</p><h2>O que fazer</h2><p>{}</p>\
             <p><a href=\"{}\">Todos os tipos de problema</a> · <a href=\"{}\">Início</a></p>",
            listed(statuses),
            marked(meaning),
            marked(&capital(remedy)),
            seen(TYPES_PATH),
            seen("/"),
        );
        html::page(title, &body)
    }
}

fn json(body: &impl Serialize) -> Response {
    let mut response = response::json(StatusCode::OK, body);
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

fn listed(statuses: &[u16]) -> String {
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" ou ")
}

/// What a code means and what to do, each in one line.
fn words(code: &str) -> Option<(String, String)> {
    let part = TEXT.split("\n## ").skip(1).find_map(|part| part.strip_prefix(code)?.strip_prefix("\n\n"))?;
    let (meaning, remedy) = part.split_once(REMEDY)?;
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some((line(meaning), line(remedy)))
}

/// A text without its marks.
fn plain(text: &str) -> String {
    text.replace("**", "").replace('`', "")
}

/// A text with its marks as HTML.
fn marked(text: &str) -> String {
    let elements = |text: &str, mark: &str, name: &str| {
        let parts = text.split(mark).enumerate();
        parts.fold(String::new(), |all, (index, part)| match index % 2 {
            0 => all + part,
            _ => all + &format!("<{name}>{part}</{name}>"),
        })
    };
    elements(&elements(&escaped(text), "**", "strong"), "`", "code")
}

/// A sentence with a capital letter at its beginning.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_all_services_is_explained_once_with_all_its_statuses() {
        let explained = Explained::with(std::iter::empty());
        let cut: Vec<_> = explained.0.iter().filter(|one| one.code == "corpo_incompleto").collect();
        assert_eq!(cut.iter().map(|one| &*one.statuses).collect::<Vec<_>>(), [[400, 408]]);
        for one in &explained.0 {
            assert!(one.meaning.ends_with('.') && one.remedy.ends_with('.'), "{one:?}");
        }
    }

    #[test]
    fn marks_are_html_for_browsers_and_nothing_for_programs() {
        let text = "o `Host` e **nada** <b>";
        assert_eq!(plain(text), "o Host e nada <b>");
        assert_eq!(marked(text), "o <code>Host</code> e <strong>nada</strong> &lt;b&gt;");
        assert_eq!(capital("é assim"), "É assim");
        assert_eq!(words("horario"), None);
    }
}
