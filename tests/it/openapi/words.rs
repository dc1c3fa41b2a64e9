//! What `docs/API.md` says in words of each endpoint: the problems that its section names, and its successes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use super::expected::{Answered, known_kinds, listed, name, of_row};
use crate::common::contract::{Contract, Service, template};

/// The words after a number that is no status.
const UNITS: [&str; 6] = ["caracteres", "bytes", "por", "ms", "itens", "minutos"];

/// A section of API.md: the endpoints of its heading, and its words without its examples.
struct Section {
    endpoints: Vec<String>,
    words: String,
}

/// The sections of a service's endpoints.
fn sections(service: Service) -> &'static [Section] {
    static SCHEDULER: LazyLock<Vec<Section>> = LazyLock::new(|| read(Service::Scheduler));
    static COORDINATOR: LazyLock<Vec<Section>> = LazyLock::new(|| read(Service::Coordinator));
    match service {
        Service::Scheduler => &SCHEDULER,
        Service::Coordinator => &COORDINATOR,
    }
}

fn read(service: Service) -> Vec<Section> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/API.md")).unwrap();
    let part = text.split(&format!("\n## {}", service.name())).nth(1).expect("the part of the service");
    let part = part.split("\n## ").next().unwrap_or_default();
    part.split("\n### ").skip(1).filter_map(section).collect()
}

fn section(text: &str) -> Option<Section> {
    let (heading, rest) = text.split_once('\n')?;
    let endpoint = |one: &str| {
        let mut words = one.split(' ');
        let method = words.next().filter(|method| method.bytes().all(|byte| byte.is_ascii_uppercase()))?;
        Some(format!("{method} {}", words.next()?))
    };
    let endpoints: Vec<String> = heading.split(", ").filter_map(endpoint).collect();
    let words: String = rest.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    (!endpoints.is_empty()).then_some(Section { endpoints, words })
}

/// What stands between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The problems that a section names by their codes, each with all its statuses.
fn named(service: Service, section: &Section) -> BTreeMap<String, BTreeSet<u16>> {
    let quoted = quoted(&section.words);
    let mut named: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for kind in known_kinds(service).into_iter().filter(|kind| quoted.contains(kind.code())) {
        named.entry(kind.code().to_owned()).or_default().insert(kind.status().as_u16());
    }
    named
}

/// What the section of an endpoint names stands in the document, and what the document lists is named there or follows from the
/// endpoint's row.
pub fn problems(contract: &Contract) -> Vec<String> {
    let file = contract.service.file();
    let mut faults = Vec::new();
    for section in sections(contract.service) {
        let named = named(contract.service, section);
        let mut anywhere: BTreeSet<String> = BTreeSet::new();
        for endpoint in
            contract.service.endpoints().into_iter().filter(|endpoint| section.endpoints.contains(&name(endpoint)))
        {
            let (method, path) = (endpoint.method.as_str().to_ascii_lowercase(), template(endpoint));
            let Some(operation) = contract.document["paths"][&path].get(&method) else { continue };
            anywhere.extend(contract.leads_to(&operation["responses"]));
            let row: BTreeSet<Answered> = of_row(contract, endpoint, operation);
            for (status, code) in listed(contract, operation).difference(&row) {
                if !named.get(code).is_some_and(|statuses| statuses.contains(status)) {
                    faults.push(format!(
                        "{file} lists {status} {code} of {}, which neither follows from the router's table nor stands as `{code}` in its section of docs/API.md",
                        name(endpoint)
                    ));
                }
            }
        }
        for (code, statuses) in named {
            if !anywhere.contains(&code) {
                faults.push(format!(
                    "docs/API.md names {statuses:?} `{code}` in the section of {}, and {file} does not list it there",
                    section.endpoints.join(", ")
                ));
            }
        }
    }
    faults
}

/// The statuses from 200 to 399 that a section's words have.
fn told(section: &Section) -> BTreeSet<u16> {
    let words: Vec<&str> = section.words.split_whitespace().collect();
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let mut told = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        let followed = words.get(index + 1).map(|word| bare(word)).unwrap_or_default();
        let status = bare(word).parse().ok().filter(|status| [200, 201, 202, 204, 303, 304].contains(status));
        if let Some(status) = status.filter(|_| !UNITS.contains(&followed.as_str())) {
            told.insert(status);
        }
    }
    told
}

/// The successes that a section tells are those of the document.
pub fn successes(contract: &Contract) -> Vec<String> {
    let file = contract.service.file();
    let mut faults = Vec::new();
    for section in sections(contract.service) {
        let told = told(section);
        let mut written = BTreeSet::new();
        for (method, path, operation) in contract.operations() {
            if !section.endpoints.contains(&format!("{method} {path}")) {
                continue;
            }
            let statuses = operation["responses"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(status, _)| status.parse::<u16>().ok());
            let of_operation: BTreeSet<u16> = statuses.filter(|status| *status < 400).collect();
            if of_operation.iter().all(|status| *status == 304) {
                faults.push(format!(
                    "{method} {path} of {file} lists no success; its section of docs/API.md tells {told:?}"
                ));
            }
            written.extend(of_operation);
        }
        let is_tagged = contract
            .service
            .endpoints()
            .into_iter()
            .any(|endpoint| endpoint.tagged && section.endpoints.contains(&name(endpoint)));
        // API.md says once for all of them that they are answered so.
        for status in told.symmetric_difference(&written).filter(|status| **status != 304 || !is_tagged) {
            faults.push(format!(
                "{status} stands only in one of {file} and the section of {} in docs/API.md",
                section.endpoints.join(", ")
            ));
        }
    }
    faults
}
