//! The contract for programs: `assets/openapi` says what the routers, the lists in the source and `docs/API.md` say, and is served as
//! it stands. `common::contract` holds the answers of all tests to it.

mod expected;
mod removed;
mod schemathesis;
mod words;

use serde_json::Value;

use crate::common::contract::{Contract, Service};
use crate::common::{Services, http, http_with};

const BOTH: [Service; 2] = [Service::Scheduler, Service::Coordinator];

/// Everything that a document lacks or has too much, each with its place.
fn faults(contract: &Contract) -> Vec<String> {
    let mut faults = expected::routes(contract);
    faults.extend(expected::kinds(contract));
    faults.extend(expected::field_codes(contract));
    faults.extend(expected::answers(contract));
    faults.extend(words::problems(contract));
    faults.extend(words::successes(contract));
    faults
}

fn assert_none(service: Service, faults: &[String]) {
    assert!(faults.is_empty(), "{} has {} faults:\n{}", service.file(), faults.len(), faults.join("\n"));
}

#[test]
fn each_document_says_what_the_router_and_the_lists_and_api_md_say() {
    for service in BOTH {
        let mut faults = faults(service.contract());
        faults.extend(expected::tidiness(service.contract()));
        assert_none(service, &faults);
    }
}

#[test]
fn each_example_fits_its_schema() {
    for service in BOTH {
        let contract = service.contract();
        let mut wrong = Vec::new();
        let mut examples = 0;
        examine(&contract.document, "", &mut |pointer, media| {
            let one = media.get("example").map(|example| ("example".to_owned(), example));
            let named = media["examples"].as_object().into_iter().flatten();
            let named = named.map(|(name, example)| (format!("examples/{name}"), &example["value"]));
            for (name, example) in one.into_iter().chain(named) {
                examples += 1;
                let shown: Value = example.clone();
                if let Err(fault) = contract.fits(&format!("{pointer}/schema"), &shown) {
                    wrong.push(format!("{pointer}/{name}: {fault}"));
                }
            }
        });
        assert_none(service, &wrong);
        assert!(examples > 40, "{examples}");
    }
}

/// Calls `with` for each media type, and each parameter, of a document.
fn examine(value: &Value, pointer: &str, with: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            if members.contains_key("schema") && !pointer.contains("/schemas/") {
                with(pointer, value);
            }
            for (name, member) in
                members.iter().filter(|(name, _)| !["example", "examples", "links"].contains(&name.as_str()))
            {
                let name = name.replace('~', "~0").replace('/', "~1");
                examine(member, &format!("{pointer}/{name}"), with);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                examine(item, &format!("{pointer}/{index}"), with);
            }
        }
        _ => {}
    }
}

#[test]
fn each_service_serves_its_document_as_the_entry_point_says() {
    let services = Services::start(&[]);
    for (service, url) in
        [(Service::Scheduler, services.scheduler.url()), (Service::Coordinator, services.coordinator.url())]
    {
        let entry = http("GET", &format!("{url}/"), None).json();
        let href = entry["_links"]["service-desc"]["href"].as_str().expect("RFC 8631").to_owned();
        let url = format!("{url}{href}");
        let served = http("GET", &url, None);
        assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
        assert!(served.json() == service.document(), "{href} of {} is not {}", service.name(), service.file());
        assert_eq!(served.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
        let tag = served.header("etag").expect("a tag").to_owned();
        let again = http_with("GET", &url, None, &[("If-None-Match", &tag)]);
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag.as_str())));
        assert_eq!(http("GET", &format!("{url}?versao=3"), None).status, 422);
    }
}
