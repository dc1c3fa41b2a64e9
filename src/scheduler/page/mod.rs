//! The web page's files, which are part of the executable. At `/` a browser gets the page, and other clients get JSON.
//!
//! Every file in `assets/page` is served; `build.rs` generates the table of these files. The page itself comes in the language
//! that the browser prefers ([`words`]), and no file with its comments ([`comments`]). It loads its modules and its style sheets as
//! one file each ([`bundle`]).

mod bundle;
mod comments;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use hyper::header::{
    ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    VARY,
};
use hyper::http::request::Parts;

use self::bundle::BundleError;
use self::comments::without_comments;
use self::words::{FillError, LANGUAGES, Language};
use crate::http::Response;
use crate::http::accept::Accepted;
use crate::http::files::File;
use crate::http::prefix::Prefix;
use crate::http::problem::Problem;

/// The file that is served at `/`.
const INDEX: &str = "index.html";
/// The page loads only our own files, including scripts, and cannot be shown inside another page.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The module that the page begins with.
const ENTRY: &str = "app.js";
/// All modules in one.
const SCRIPT: &str = "page.js";
/// All style sheets in one.
const STYLE: &str = "page.css";
/// The style sheets, in the order in which their rules overrule each other.
const SHEETS: [&str; 6] = ["base.css", "head.css", "agenda.css", "panel.css", "week.css", "media.css"];

const CONTENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// All files are hashed and compressed at the first request for one of them.
static FILES: LazyLock<HashMap<&'static str, File>> = LazyLock::new(|| {
    let files = CONTENTS.iter().filter(|(name, _)| *name != INDEX);
    let single = files.map(|&(name, content)| (name, File::new(name, served(name, content))));
    let script = script().expect("a test puts the modules together");
    let style = bundle::style(SHEETS.map(|name| without_comments(name, text(name))));
    single.chain([(SCRIPT, File::new(SCRIPT, script)), (STYLE, File::new(STYLE, style))]).collect()
});

/// All modules in one script.
fn script() -> Result<String, BundleError> {
    bundle::script(ENTRY, &|name| {
        Some(text(name)).filter(|text| !text.is_empty()).map(|text| without_comments(name, text))
    })
}

/// The page in each of its languages.
static PAGES: LazyLock<Vec<(&'static Language, File)>> = LazyLock::new(|| {
    let page =
        |language| (language, File::new(INDEX, filled(language).expect("a test fills the page in each language")));
    LANGUAGES.iter().map(page).collect()
});

/// The page below each prefix that was asked for last, in each language.
///
/// A std lock around a short list: held to find a page there, and to add one. A page is filled without it.
static BELOW: Mutex<Vec<(Prefix, usize, Arc<File>)>> = Mutex::new(Vec::new());
/// The most of them.
const BELOW_MAX: usize = 8;

/// A file as it is served: a text without its comments.
fn served(name: &str, content: &'static [u8]) -> Bytes {
    std::str::from_utf8(content).map_or(Bytes::from_static(content), |text| without_comments(name, text).into())
}

/// The page's HTML in a language.
fn filled(language: &Language) -> Result<String, FillError> {
    words::fill(text(INDEX), language, &words::read(text(language.script))?)
}

/// The text of a file; nothing if there is no such text.
fn text(name: &str) -> &'static str {
    let content = CONTENTS.iter().find(|(known, _)| *known == name);
    content.and_then(|(_, content)| std::str::from_utf8(content).ok()).unwrap_or_default()
}

/// `GET /`, to a browser: the page in the language that it prefers.
pub fn index(headers: &HeaderMap) -> Response {
    let tags = LANGUAGES.each_ref().map(|language| language.tag);
    let preferred = Accepted::read(headers, &ACCEPT_LANGUAGE).language(&tags).unwrap_or(0);
    let (language, page) = &PAGES[preferred];
    let prefix = Prefix::current();
    let page =
        if prefix == Prefix::default() { page.respond(headers) } else { below(&prefix, preferred).respond(headers) };
    let mut response = protected(page);
    response.headers_mut().insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.locale));
    vary(&mut response, "Accept, Accept-Language, Accept-Encoding");
    response
}

/// The page in a language, where clients see it below a prefix: its own addresses begin with that.
fn below(prefix: &Prefix, language: usize) -> Arc<File> {
    let known = || BELOW.lock().unwrap_or_else(PoisonError::into_inner);
    let is_it = |(known, of, _): &&(Prefix, usize, Arc<File>)| known == prefix && *of == language;
    let found = known().iter().find(is_it).map(|(_, _, page)| Arc::clone(page));
    if let Some(page) = found {
        return page;
    }
    // Without the lock: filling and compressing takes milliseconds, and others need their pages. Who does it at the same time has the same.
    let page = filled(&LANGUAGES[language]).expect("a test fills the page in each language");
    let page = [" href=\"", " src=\"", " content=\""]
        .iter()
        .fold(page, |page, name| page.replace(&format!("{name}/"), &format!("{name}{}/", prefix.as_str())));
    let page = Arc::new(File::new(INDEX, page));
    let mut known = known();
    known.retain(|(known, of, _)| known != prefix || *of != language);
    known.truncate(BELOW_MAX - 1);
    known.insert(0, (prefix.clone(), language, Arc::clone(&page)));
    page
}

/// `GET /pagina/{name}`.
pub fn file(name: &str, head: &Parts) -> Result<Response, Problem> {
    let headers = &head.headers;
    if name == INDEX {
        return Ok(index(headers));
    }
    let file = FILES.get(name).ok_or_else(|| Problem::not_found(head.uri.path()))?;
    Ok(protected(file.respond(headers)))
}

/// The response, with what the browser is to forbid.
pub fn protected(mut response: Response) -> Response {
    let all: [(HeaderName, &'static str); 2] = [(CONTENT_SECURITY_POLICY, POLICY), (REFERRER_POLICY, "no-referrer")];
    for (name, value) in all {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Names the request headers on which the response depends.
pub fn vary(response: &mut Response, on: &'static str) {
    response.headers_mut().insert(VARY, HeaderValue::from_static(on));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::files::content_type;

    #[test]
    fn the_page_is_filled_in_each_language() {
        let mut tags = Vec::new();
        for language in &LANGUAGES {
            let page = filled(language).unwrap();
            let lang = format!("<html lang=\"{}\">", language.locale);
            assert!(page.contains(&lang), "{page}");
            tags.push(page);
        }
        assert_ne!(tags[0], tags[1]);
    }

    #[test]
    fn every_module_and_every_style_sheet_is_in_the_one_that_the_page_loads() {
        let script = script().unwrap();
        for (name, _) in CONTENTS {
            match name.rsplit_once('.') {
                Some((stem, "js")) => assert!(script.contains(&format!("const ${stem} = (() => {{\n")), "{name}"),
                Some((_, "css")) => assert!(SHEETS.contains(name), "{name}"),
                _ => {}
            }
        }
        assert!(!script.contains("\nimport ") && !script.contains("\nexport "));
    }

    #[test]
    fn no_text_of_a_script_goes_over_several_lines_where_a_line_could_look_like_a_comment() {
        for (name, content) in CONTENTS
            .iter()
            .filter(|(name, _)| content_type(name).is_some_and(|kind| kind.starts_with("text/javascript")))
        {
            let lines = std::str::from_utf8(content).unwrap().lines();
            for line in lines.filter(|line| !line.trim_start().starts_with("//")) {
                assert!(line.matches('`').count().is_multiple_of(2) && !line.contains("/*"), "{name}: {line}");
            }
        }
    }

    #[test]
    fn every_file_has_a_known_type_and_one_is_the_page() {
        assert!(CONTENTS.iter().any(|(name, _)| *name == INDEX));
        for (name, content) in CONTENTS {
            assert!(content_type(name).is_some(), "{name}: its type is not known");
            assert!(!content.is_empty(), "{name}");
        }
    }
}
