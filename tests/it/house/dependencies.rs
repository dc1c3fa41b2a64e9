//! Every direct dependency is justified in docs/DEPENDENCIAS.md, and nothing else is.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::root;

/// The document's headings, each with the kind of dependency, as cargo calls it, that is listed below it.
const SECTIONS: [(&str, &str); 3] =
    [("No executável", "normal"), ("Só nos testes", "dev"), ("Cópias com mudanças", "patch")];

/// The direct dependencies of Cargo.toml, each by its kind and name.
fn of_the_manifest() -> BTreeSet<(&'static str, String)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]).current_dir(root());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let dependencies = metadata["packages"][0]["dependencies"].as_array().unwrap().iter().map(|dependency| {
        // A dependency of the build script is compiled into nothing else, and has the same readers.
        let kind = if dependency["kind"] == "dev" { "dev" } else { "normal" };
        (kind, dependency["name"].as_str().unwrap().to_owned())
    });
    // What is replaced by a copy, cargo does not list.
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let patch = manifest.split_once("\n[patch.crates-io]\n").expect("a section of patches").1;
    let patched = patch.lines().take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once(" = "));
    dependencies.chain(patched.map(|(name, _)| ("patch", name.to_owned()))).collect()
}

/// The dependencies that a text justifies, each by its kind and name. An error is a row that leaves something unsaid.
fn of_the_document(text: &str) -> Result<BTreeSet<(&'static str, String)>, String> {
    let mut found = BTreeSet::new();
    for (heading, kind) in SECTIONS {
        let section = text.split(&format!("\n## {heading}\n")).nth(1).ok_or(format!("no heading {heading}"))?;
        for row in section.split("\n## ").next().expect("a beginning").lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let [_, name, why, who, _] = cells[..] else { return Err(format!("not three columns: {row}")) };
            if why.is_empty() || who.is_empty() {
                return Err(format!("an empty column: {row}"));
            }
            if !found.insert((kind, name.trim_matches('`').to_owned())) {
                return Err(format!("twice: {row}"));
            }
        }
    }
    Ok(found)
}

#[test]
fn every_direct_dependency_is_justified_and_none_that_is_gone() {
    let text = std::fs::read_to_string(root().join("docs/DEPENDENCIAS.md")).unwrap();
    let (document, manifest) = (of_the_document(&text).unwrap(), of_the_manifest());
    let heading = |kind: &str| SECTIONS.iter().find(|(_, its)| *its == kind).expect("a known kind").0;
    let missing = manifest.difference(&document).map(|(kind, name)| {
        format!(
            "add below \"{}\": | `{name}` | para que serve, e por que esta biblioteca | quem a mantém |",
            heading(kind)
        )
    });
    let gone = document.difference(&manifest).map(|(kind, name)| {
        format!("remove the line of `{name}` below \"{}\": Cargo.toml does not have it there", heading(kind))
    });
    let told: Vec<_> = missing.chain(gone).collect();
    assert!(
        told.is_empty(),
        "docs/DEPENDENCIAS.md and Cargo.toml list different dependencies:\n  {}",
        told.join("\n  ")
    );
}

#[test]
fn a_line_without_a_reason_or_a_keeper_does_not_count() {
    let document = |row: &str| {
        of_the_document(&format!("\n## No executável\n{row}\n## Só nos testes\n\n## Cópias com mudanças\n"))
    };
    assert_eq!(document("| `a` | why | who |"), Ok(BTreeSet::from([("normal", "a".to_owned())])));
    for wrong in ["| `a` | | who |", "| `a` | why | |", "| `a` | why |", "| `a` | why | who |\n| `a` | why | who |"] {
        assert!(document(wrong).is_err(), "{wrong}");
    }
}
