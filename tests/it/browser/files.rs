//! Checks of the page's files that need no browser: their size, their URLs, and words in both languages.

use crate::common::{Services, http};

/// The page's files, by name.
fn files() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/page");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    names
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

/// What a browser loads.
const LOADED: [&str; 4] = ["index.html", "page.js", "page.css", "icon.svg"];

#[test]
fn the_whole_page_is_small() {
    use std::io::Write as _;
    let services = Services::start(&[]);
    let sizes = LOADED.map(|name| {
        let served = http("GET", &services.agenda(&format!("/pagina/{name}")), None);
        assert_eq!(served.status, 200, "{name}");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(served.body.as_bytes()).unwrap();
        (gzip.finish().unwrap().len(), name)
    });
    let total: usize = sizes.iter().map(|(size, _)| size).sum();
    println!("{total} bytes in all: {sizes:?}");
    assert!(total < 80_000, "{total} bytes");
}

#[test]
fn index_html_loads_nothing_else() {
    let files = files();
    let (_, index) = files.iter().find(|(name, _)| name == "index.html").unwrap();
    let after = index.split("=\"/pagina/").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert_eq!(after.collect::<Vec<_>>(), ["icon.svg", "page.css", "page.js"]);
}

fn is_script(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "js")
}

#[test]
fn the_architecture_names_every_module_of_the_page() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ARCHITECTURE.md")).unwrap();
    let (_, section) = text.split_once("\n## The page\n").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.strip_prefix("| `")?.split_once("` | "));
    let mut named: Vec<_> = first.flat_map(|(names, _)| names.split("`, `")).map(|name| format!("{name}.js")).collect();
    named.sort_unstable();
    let mut modules: Vec<_> = files().into_iter().map(|(name, _)| name).filter(|name| is_script(name)).collect();
    modules.sort_unstable();
    assert_eq!(named, modules);
}

#[test]
fn the_page_knows_one_url() {
    let known: Vec<_> = files()
        .into_iter()
        .filter(|(name, _)| is_script(name))
        .flat_map(|(name, text)| {
            let urls = ["\"/", "`/", "'/", "://"].map(|quoted| text.matches(quoted).count());
            let markup = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("];
            assert!(!markup.iter().any(|way| text.contains(way)), "{name} makes markup of text");
            std::iter::repeat_n(name, urls.iter().sum())
        })
        .collect();
    assert_eq!(known, ["api.js"], "only the entry point stands in the code");
}

#[test]
fn every_word_is_in_both_languages() {
    let (portuguese, english) = (keys("pt.js"), keys("en.js"));
    assert_eq!(portuguese.difference(&english).collect::<Vec<_>>(), Vec::<&String>::new());
    for name in english.difference(&portuguese) {
        assert!(name.starts_with("problem."), "{name} has no words in Portuguese");
    }
}

/// The keys of a catalogue of words.
fn keys(name: &str) -> std::collections::BTreeSet<String> {
    let (_, text) = files().into_iter().find(|(file, _)| file == name).unwrap();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\":"));
    lines.map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn every_code_that_the_server_gives_has_words_in_the_page() {
    let api = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/API.md")).unwrap();
    let (english, portuguese) = (keys("en.js"), keys("pt.js"));
    for code in sctec::http::wrong::FieldCode::ALL {
        let key = format!("field.{}", code.name());
        assert!(english.contains(&key) && portuguese.contains(&key), "{key} is not in both languages");
        assert!(api.contains(&format!("`{}`", code.name())), "API.md does not have {}", code.name());
    }
    // Of the problems, those that the scheduler has: in Portuguese the page has the server's own words.
    for kind in sctec::http::kind::ALL.iter().copied().chain(sctec::scheduler::problem_kinds()) {
        let key = format!("problem.{}", kind.code());
        assert!(english.contains(&key), "{key} has no words in English");
    }
}
