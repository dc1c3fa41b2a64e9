//! The rules of the house, which docs/ARCHITECTURE.md states: imports run downwards and in no circle, files are short, begin
//! with why they exist, and have the one name that their shape asks for.
//!
//! A rule may have exceptions, which are listed here. An exception that is not needed fails its test, so the lists only shrink.

mod catalogue;
mod dependencies;
mod imports;
mod literals;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use imports::{Graph, Sources, texts};

/// The most lines of a file of production code, its unit tests included.
const LINES_MAX: usize = 400;

/// Modules with circles in them.
const CIRCLES: &[&str] = &[];
/// Modules that import from a higher one.
const UPWARDS: &[&str] = &[];
/// Files of production code with more than [`LINES_MAX`] lines.
const LONG: &[&str] = &[];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Which file imports from which.
static GRAPH: LazyLock<Graph> = LazyLock::new(|| sources().graph());

fn sources() -> Sources {
    let texts = texts(&root().join("src"));
    Sources::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
}

/// Fails with what was found, each by the file or module that an exception would name, unless it is an exception; and with the
/// exceptions that were not found.
#[track_caller]
fn assert_only(rule: &str, found: &[(&str, String)], exceptions: &[&str]) {
    let broken = found.iter().filter(|(name, _)| !exceptions.contains(name)).map(|(_, said)| said.clone());
    let vanished = exceptions.iter().filter(|exception| found.iter().all(|(name, _)| name != *exception));
    let vanished =
        vanished.map(|name| format!("{name} is no exception any more: remove it from the list in this test"));
    let told: Vec<_> = broken.chain(vanished).collect();
    assert!(told.is_empty(), "{rule}:\n  {}", told.join("\n  "));
}

/// The part of the house that a file belongs to: the first part of its name.
fn part(file: &str) -> &str {
    file.split('/').next().expect("a first part").trim_end_matches(".rs")
}

fn listed(paths: &BTreeSet<String>) -> String {
    paths.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The shortest way from one file to another along imports.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut known = BTreeSet::from([from]);
    let mut next = VecDeque::from([vec![from]]);
    while let Some(way) = next.pop_front() {
        let imports = graph.imports.get(*way.last().expect("a way has a beginning"));
        for imported in imports.into_iter().flat_map(BTreeMap::keys) {
            let longer = [&way[..], &[imported]].concat();
            if imported == to {
                return Some(longer.into_iter().map(str::to_owned).collect());
            }
            if known.insert(imported) {
                next.push_back(longer);
            }
        }
    }
    None
}

/// The circles of a graph, each as its first file and the words that describe it. Each import is in one of them at the most.
fn circles(graph: &Graph) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut graph = graph.clone();
    for file in graph.imports.keys().cloned().collect::<Vec<_>>() {
        while let Some(circle) = way(&graph, &file, &file) {
            let steps = circle.windows(2).map(|step| {
                format!("{} imports {} ({})", step[0], step[1], listed(&graph.imports[&step[0]][&step[1]]))
            });
            found.push((file.clone(), format!("a circle: {}", steps.collect::<Vec<_>>().join("; "))));
            graph.imports.get_mut(&file).expect("it was listed").remove(&circle[1]);
        }
    }
    found
}

/// The layers of the house, the highest first, as the table of docs/ARCHITECTURE.md lists them: modules of the same row may
/// import from each other.
fn layers() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let table = text.split("| module | what it is |").nth(1).expect("the table of modules");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let names = |row: &str| {
        let cell = row.split('|').nth(1).expect("a first cell").split('`').skip(1).step_by(2);
        cell.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
    };
    rows.map(names).collect()
}

/// Which layer a file belongs to.
fn layer(layers: &[Vec<String>], file: &str) -> usize {
    let found = layers.iter().position(|layer| layer.iter().any(|name| name == part(file)));
    found.unwrap_or_else(|| panic!("{file} has no place in the list of docs/ARCHITECTURE.md: add it where it belongs"))
}

#[test]
fn no_imports_between_files_form_a_circle() {
    let circles = circles(&GRAPH);
    let found: Vec<_> = circles.iter().map(|(file, said)| (part(file), said.clone())).collect();
    assert_only("Files must not import each other in a circle", &found, CIRCLES);
}

#[test]
fn no_part_imports_through_its_module_what_another_part_defines() {
    let told = GRAPH.roundabouts.iter().map(|(from, ancestor, path)| {
        format!("{from} imports {path} through {ancestor}: import it from the file that defines it")
    });
    let told: Vec<_> = told.collect();
    assert!(told.is_empty(), "A module passes on its parts' names for others:\n  {}", told.join("\n  "));
}

#[test]
fn imports_run_downwards() {
    let layers = layers();
    let mut found = Vec::new();
    for (from, imports) in &GRAPH.imports {
        for (to, paths) in imports.iter().filter(|(to, _)| layer(&layers, to) < layer(&layers, from)) {
            found.push((part(from), format!("{from} imports upwards from {to} ({})", listed(paths))));
        }
    }
    assert_only("A module imports only from below in the list of docs/ARCHITECTURE.md", &found, UPWARDS);
}

#[test]
fn no_file_of_production_code_is_long() {
    let sources = sources();
    let long = sources.lengths().filter(|(_, lines)| *lines > LINES_MAX);
    let found: Vec<_> = long.map(|(name, lines)| (name, format!("{name} has {lines} lines"))).collect();
    assert_only("A file of more than 400 lines has two subjects", &found, LONG);
}

#[test]
fn every_file_begins_with_why_it_exists() {
    for folder in ["src", "tests", "benches", "examples"] {
        for (name, text) in texts(&root().join(folder)) {
            assert!(
                text.starts_with("//! "),
                "{folder}/{name} does not begin with why it exists: a sentence after `//!`"
            );
        }
    }
}

#[test]
fn a_module_is_a_file_until_it_has_parts_and_then_a_folder() {
    for folder in ["src", "tests/it"] {
        let folder = root().join(folder);
        for (name, _) in texts(&folder) {
            let (file, path) = (Path::new(&name), folder.join(&name));
            if file.file_name().is_some_and(|name| name == "mod.rs") {
                let parts = std::fs::read_dir(path.parent().expect("it is in a folder")).unwrap().count();
                assert!(parts > 1, "{name} has no parts beside it: call it {}.rs", file.parent().unwrap().display());
            } else {
                let parts = path.with_extension("");
                assert!(
                    !parts.is_dir(),
                    "{name} has parts in a folder: call it {}/mod.rs",
                    file.with_extension("").display()
                );
            }
        }
    }
}

/// Files by name and text.
const SAMPLE: &[(&str, &str)] = &[
    ("lib.rs", "//! x\npub mod a; pub mod b; pub mod c;"),
    (
        "a/mod.rs",
        "//! x\nmod one; mod two; #[cfg(test)] mod tests; pub use one::One; pub use two::Two; pub struct Own;
         #[cfg(test)] use crate::c::ForTests; fn f() -> Two { Two }",
    ),
    ("a/one.rs", "//! x\nuse super::Own; use super::two; pub struct One;"),
    ("a/two.rs", "//! x\nuse super::One; pub struct Two; mod inside { fn f() { super::super::one::f() } }"),
    ("a/tests.rs", "//! x\nuse crate::c::ForTests;"),
    (
        "b.rs",
        "//! x\nuse crate::{a::{self, One as Other}, c}; fn f() { a::g(); say!(\"{}\", c::h(&crate::a::two::K)); }",
    ),
    ("c.rs", "//! x\nuse serde::Serialize; #[arg(value = crate::b::parse)] struct S;"),
];

#[test]
fn the_sample_has_the_imports_that_are_written_in_it() {
    let graph = Sources::read(SAMPLE.iter().copied()).graph();
    let imports = |from: &str| graph.imports[from].keys().map(String::as_str).collect::<Vec<_>>();
    assert!(!graph.imports.contains_key("a/tests.rs"));
    assert_eq!(imports("lib.rs"), Vec::<&str>::new());
    // One is passed on and Two is used; the import for tests does not count.
    assert_eq!(imports("a/mod.rs"), ["a/two.rs"]);
    // A module of which nothing is named is no import.
    assert_eq!(imports("a/one.rs"), ["a/mod.rs"]);
    assert_eq!(imports("a/two.rs"), ["a/one.rs"]);
    assert_eq!(imports("b.rs"), ["a/mod.rs", "a/one.rs", "a/two.rs", "c.rs"]);
    assert_eq!(imports("c.rs"), ["b.rs"]);
    let roundabout = ("a/two.rs".to_owned(), "a/mod.rs".to_owned(), "super::One".to_owned());
    assert_eq!(graph.roundabouts, BTreeSet::from([roundabout]));
    let circles: Vec<_> = circles(&graph).into_iter().map(|(_, said)| said).collect();
    assert_eq!(circles.len(), 2, "{circles:?}");
    assert!(
        circles[0].starts_with("a circle: a/mod.rs imports a/two.rs (two::Two); a/two.rs imports a/one.rs ("),
        "{circles:?}"
    );
    assert_eq!(circles[1], "a circle: b.rs imports c.rs (crate::c::h); c.rs imports b.rs (crate::b::parse)");
}
