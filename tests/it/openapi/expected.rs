//! What a document has to say by the source: the routers' tables, the lists of problems and of field codes.

use std::collections::BTreeSet;

use hyper::Method;
use sctec::access::role::{Need, Permission};
use sctec::http::kind::{self, Kind};
use sctec::http::rates::Share;
use sctec::http::router::{Endpoint, Query};
use sctec::http::wrong::FieldCode;
use sctec::{coordinator, scheduler};
use serde_json::Value;

use crate::common::contract::{Contract, Service, template};

/// A problem of an answer: its status and code.
pub type Answered = (u16, String);

/// Endpoints of the scheduler that need a right over the agenda and do not read the database.
const WITHOUT_DATABASE: [&str; 4] =
    ["GET /eventos", "GET /calendarios", "GET /calendarios/{id}", "DELETE /calendarios/{id}"];

/// `GET /time`.
pub fn name(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.method, template(endpoint))
}

/// The document has the routes of the service, and no others.
pub fn routes(contract: &Contract) -> Vec<String> {
    let file = contract.service.file();
    let routed: BTreeSet<String> = contract.service.endpoints().into_iter().map(name).collect();
    let written: BTreeSet<String> =
        contract.operations().iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let missing = routed.difference(&written).map(|route| {
        format!(
            "{route} is in the router's table and not in {file}: write it under /paths (docs/ARCHITECTURE.md says how)"
        )
    });
    let superfluous =
        written.difference(&routed).map(|route| format!("{route} is in {file} and not in the router's table"));
    missing.chain(superfluous).collect()
}

/// Every kind of problem that a service may answer with.
pub fn known_kinds(service: Service) -> Vec<Kind> {
    let common = kind::ALL.iter().copied();
    match service {
        Service::Scheduler => common.chain(scheduler::problem_kinds()).collect(),
        Service::Coordinator => common.chain(coordinator::kinds::ALL.iter().copied()).collect(),
    }
}

/// The kinds of problem that only this service has: its own, and of the common ones those of signing in.
fn own_kinds(service: Service) -> Vec<Kind> {
    match service {
        // All common kinds stand in the scheduler's document.
        Service::Scheduler => known_kinds(service),
        Service::Coordinator => coordinator::kinds::ALL.to_vec(),
    }
}

/// The schemas of problems are the kinds in the source, with their statuses and titles.
pub fn kinds(contract: &Contract) -> Vec<String> {
    let file = contract.service.file();
    let mut faults = Vec::new();
    let schemas = contract.document["components"]["schemas"].as_object().expect("schemas");
    let written: BTreeSet<&str> = schemas
        .iter()
        .filter(|(name, schema)| schema["properties"]["codigo"]["const"] == **name)
        .map(|(name, _)| name.as_str())
        .collect();
    for kind in own_kinds(contract.service) {
        if !written.contains(kind.code()) {
            faults.push(format!(
                "the problem {} is in the source and not in {file}: write it at /components/schemas/{0}",
                kind.code()
            ));
        }
    }
    let enumerated: BTreeSet<&str> = schemas["Problema"]["properties"]["codigo"]["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for code in written.symmetric_difference(&enumerated) {
        faults.push(format!(
            "{code} is not both in /components/schemas and in the enum of /components/schemas/Problema of {file}"
        ));
    }
    for code in &written {
        let of_code: Vec<Kind> =
            known_kinds(contract.service).into_iter().filter(|kind| kind.code() == *code).collect();
        let Some(first) = of_code.first() else {
            faults.push(format!("the problem {code} is in {file} and is none of this service's"));
            continue;
        };
        let schema = &schemas[*code]["properties"];
        let statuses: BTreeSet<u16> = of_code.iter().map(|kind| kind.status().as_u16()).collect();
        let said =
            schema["status"]["enum"].as_array().cloned().unwrap_or_else(|| vec![schema["status"]["const"].clone()]);
        let said: BTreeSet<u16> =
            said.iter().filter_map(Value::as_u64).filter_map(|status| status.try_into().ok()).collect();
        if said != statuses || schema["title"]["const"] != first.title() {
            faults.push(format!(
                "/components/schemas/{code} of {file} has another title than {:?} or other statuses than {statuses:?}",
                first.title()
            ));
        }
    }
    faults
}

/// The field codes are those of the source.
pub fn field_codes(contract: &Contract) -> Vec<String> {
    let file = contract.service.file();
    let codes: BTreeSet<&str> = FieldCode::ALL.iter().map(|code| code.name()).collect();
    let written = contract.document["components"]["schemas"]["CodigoDeCampo"]["enum"].as_array();
    let written: BTreeSet<&str> = written.into_iter().flatten().filter_map(Value::as_str).collect();
    let differing = codes.symmetric_difference(&written);
    differing
        .map(|code| {
            format!("the field code {code} is not both in src/http/wrong.rs and in /components/schemas/CodigoDeCampo of {file}")
        })
        .collect()
}

/// The problems that an operation lists: status and code.
pub fn listed(contract: &Contract, operation: &Value) -> BTreeSet<Answered> {
    let mut listed = BTreeSet::new();
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = &contract.resolved(response)["content"]["application/problem+json"]["schema"];
        let codes: Vec<String> = content["anyOf"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![content.clone()])
            .iter()
            .filter_map(|schema| schema["$ref"].as_str()?.rsplit_once('/').map(|(_, name)| name.to_owned()))
            .collect();
        listed.extend(codes.into_iter().map(|code| (status.parse().unwrap_or(0), code)));
    }
    listed
}

/// The problems that an endpoint may give because of its row in the router's table: those of its handler come on top.
pub fn of_row(contract: &Contract, endpoint: &Endpoint, operation: &Value) -> BTreeSet<Answered> {
    let mut kinds = vec![
        kind::MALFORMED_HEAD,
        kind::PLAIN_HTTP,
        kind::WRONG_ORIGIN,
        kind::SLOW_HEAD,
        kind::WRONG_HOST,
        kind::INTERNAL,
        kind::NO_PLACE,
        kind::OWN_ANSWERS_FULL,
        kind::ANSWERS_FULL,
    ];
    if endpoint.share != Share::Free || endpoint.need != Need::Nothing {
        kinds.push(kind::TOO_FAST);
    }
    if endpoint.path.contains('{') {
        // What is in its place is no UTF-8, or is empty.
        kinds.push(kind::NOT_FOUND);
    }
    if endpoint.query != Query::Ignored {
        kinds.push(kind::INVALID_PARAMETERS);
    }
    if endpoint.lists {
        kinds.push(kind::NOT_ACCEPTABLE);
    }
    if let Need::May(permission) = endpoint.need {
        kinds.extend([kind::UNIDENTIFIED, kind::WRONG_TOKEN, kind::FORBIDDEN, kind::IDENTITY_UNAVAILABLE]);
        if contract.service == Service::Scheduler {
            kinds.push(kind::SESSION_OVER);
            let of_agenda = matches!(
                permission,
                Permission::ReadAgenda | Permission::ChangeAgenda | Permission::ManageCatalogue | Permission::ReadTrail
            );
            if of_agenda && !WITHOUT_DATABASE.contains(&name(endpoint).as_str()) {
                let of_database = ["banco_indisponivel", "banco_inconsistente"];
                kinds.extend(scheduler::problem_kinds().filter(|kind| of_database.contains(&kind.code())));
            }
        }
    }
    if has_body(endpoint) || operation["requestBody"].is_object() {
        kinds.extend([
            kind::MALFORMED_JSON,
            kind::CUT_BODY,
            kind::SLOW_BODY,
            kind::LARGE_BODY,
            kind::MEDIA_TYPE,
            kind::INVALID_FIELDS,
            kind::OWN_BODIES_FULL,
            kind::BODIES_FULL,
            kind::STOPPING,
        ]);
    }
    kinds.into_iter().map(|kind| (kind.status().as_u16(), kind.code().to_owned())).collect()
}

/// Whether an endpoint has a body by its method. A `DELETE` may have one.
fn has_body(endpoint: &Endpoint) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(&endpoint.method)
}

/// Each operation lists what its endpoint's row leads to.
pub fn answers(contract: &Contract) -> Vec<String> {
    let file = contract.service.file();
    let mut faults = Vec::new();
    for endpoint in contract.service.endpoints() {
        let (method, path) = (endpoint.method.as_str().to_ascii_lowercase(), template(endpoint));
        let Some(operation) = contract.document["paths"][&path].get(&method) else { continue };
        let listed = listed(contract, operation);
        for (status, code) in of_row(contract, endpoint, operation).difference(&listed) {
            faults.push(format!(
                "{} may give {status} {code}, and {file} does not list it at /paths/{path}/{method}/responses/{status}",
                name(endpoint)
            ));
        }
        if endpoint.tagged
            && !(operation["responses"]["304"].is_object() && operation.to_string().contains("/If-None-Match\""))
        {
            faults.push(format!(
                "{} has tags, and {file} lacks the parameter If-None-Match, or 304, at /paths/{path}/{method}",
                name(endpoint)
            ));
        }
        if endpoint.lists && !operation["responses"]["200"]["content"]["text/csv"].is_object() {
            faults.push(format!(
                "{} is a list, and {file} lacks it as a table at /paths/{path}/{method}/responses/200/content/text~1csv",
                name(endpoint)
            ));
        }
        if has_body(endpoint) && !operation["requestBody"].is_object() {
            faults.push(format!(
                "{} has a body, and {file} has no requestBody at /paths/{path}/{method}",
                name(endpoint)
            ));
        }
        let open = operation["security"] == serde_json::json!([]);
        if open != (endpoint.need == Need::Nothing) {
            faults.push(format!(
                "{}: \"security\": [] at /paths/{path}/{method} of {file} means that it is for everybody",
                name(endpoint)
            ));
        }
    }
    faults
}

/// What people and programs need of each operation, and nothing that is not used.
pub fn tidiness(contract: &Contract) -> Vec<String> {
    let file = contract.service.file();
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (method, path, operation) in contract.operations() {
        let place = format!("{method} {path} of {file}");
        let id = operation["operationId"].as_str().unwrap_or_default();
        if id.is_empty() || !names.insert(id) {
            faults.push(format!("{place} has no operationId of its own"));
        }
        if operation["summary"].as_str().is_none_or(str::is_empty)
            || operation["tags"].as_array().is_none_or(Vec::is_empty)
        {
            faults.push(format!("{place} has no summary or no tags"));
        }
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let of_path = contract.document["paths"][path]["parameters"].as_array().into_iter().flatten();
            let mut named = of_path.map(|parameter| contract.resolved(parameter));
            if !named.any(|parameter| parameter["in"] == "path" && parameter["name"] == part) {
                faults.push(format!("the parameter {{{part}}} is missing in /paths/{path}/parameters of {file}"));
            }
        }
    }
    let text = contract.document.to_string();
    for (part, items) in contract.document["components"].as_object().into_iter().flatten() {
        for item in items.as_object().into_iter().flatten().map(|(name, _)| name) {
            let used = text.contains(&format!("\"#/components/{part}/{item}\""));
            // Every path may be answered so, and the schemes of security are named by their names.
            let everywhere =
                part == "securitySchemes" || (part == "responses" && ["404", "405"].contains(&item.as_str()));
            if !used && !everywhere {
                faults.push(format!("nothing uses /components/{part}/{item} of {file}"));
            }
        }
    }
    faults
}
