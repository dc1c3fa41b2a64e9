//! The contract for programs, `assets/openapi`: what an answer may be. The HTTP client of these tests holds every answer to it.
//!
//! How an endpoint enters a document is in `docs/ARCHITECTURE.md`.

mod check;
mod known;
mod schemas;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use sctec::http::router::Endpoint;
use sctec::{coordinator, scheduler};
use serde_json::Value;

pub use check::Seen;
pub use known::{ended, held, listens};
use schemas::Schemas;

/// The methods of `OpenAPI` that our services have.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Scheduler,
    Coordinator,
}

impl Service {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduler => scheduler::SERVICE,
            Self::Coordinator => coordinator::SERVICE,
        }
    }

    /// The file of its document.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Scheduler => "assets/openapi/scheduler.json",
            Self::Coordinator => "assets/openapi/coordinator.json",
        }
    }

    /// Its document as it stands in the repository.
    pub fn document(self) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.file());
        let text = std::fs::read_to_string(&path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.file()))
    }

    /// Its endpoints.
    pub fn endpoints(self) -> Vec<&'static Endpoint> {
        match self {
            Self::Scheduler => scheduler::endpoints().collect(),
            Self::Coordinator => coordinator::endpoints().collect(),
        }
    }

    /// Its contract. A validator is compiled once in a process.
    pub fn contract(self) -> &'static Contract {
        static SCHEDULER: LazyLock<Contract> =
            LazyLock::new(|| Contract::new(Service::Scheduler, Service::Scheduler.document()));
        static COORDINATOR: LazyLock<Contract> =
            LazyLock::new(|| Contract::new(Service::Coordinator, Service::Coordinator.document()));
        match self {
            Self::Scheduler => &SCHEDULER,
            Self::Coordinator => &COORDINATOR,
        }
    }
}

/// A service's document, with its validators.
pub struct Contract {
    pub service: Service,
    pub document: Arc<Value>,
    paths: matchit::Router<&'static str>,
    schemas: Schemas,
}

/// An endpoint's path as the documents write it.
pub fn template(endpoint: &Endpoint) -> String {
    endpoint.path.replace("{*", "{")
}

impl Contract {
    /// The contract of a service as `document` says it.
    pub fn new(service: Service, document: Value) -> Self {
        let mut paths = matchit::Router::new();
        for endpoint in service.endpoints() {
            // A path stands there once for each of its methods.
            let _ = paths.insert(endpoint.path, endpoint.path);
        }
        let document = Arc::new(document);
        let schemas = Schemas::new(Arc::clone(&document));
        Self { service, document, paths, schemas }
    }

    /// The path of an endpoint, as the router of the service finds it.
    fn template_of(&self, path: &str) -> Option<String> {
        self.paths.at(path).ok().map(|found| found.value.replace("{*", "{"))
    }

    /// The operations of the document: method, path, and what it says.
    pub fn operations(&self) -> Vec<(String, &str, &Value)> {
        let paths = self.document["paths"].as_object().expect("a document has paths");
        let mut operations = Vec::new();
        for (path, item) in paths {
            let of_path =
                METHODS.iter().filter_map(|method| Some((method.to_uppercase(), path.as_str(), item.get(method)?)));
            operations.extend(of_path);
        }
        operations
    }

    /// What is wrong with `value`, if it does not fit the schema at `pointer`.
    ///
    /// # Errors
    /// Each place with what is wrong there.
    pub fn fits(&self, pointer: &str, value: &Value) -> Result<(), String> {
        self.schemas.check(pointer, value)
    }

    /// An operation's answers of one status, where the document lists them.
    pub fn response<'a>(&'a self, operation: &'a Value, status: u16) -> Option<&'a Value> {
        operation["responses"].get(status.to_string()).map(|response| self.resolved(response))
    }

    /// A value, or what its `$ref` names.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads elsewhere"));
        self.document.pointer(pointer).unwrap_or_else(|| panic!("{}: nothing is at {reference}", self.service.file()))
    }

    /// The names of the schemas that a value leads to, itself or through others.
    pub fn leads_to(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(value, &mut found);
        found
    }

    fn collect(&self, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    if let Some(name) = reference.strip_prefix("#/components/schemas/") {
                        if found.iter().any(|known| known == name) {
                            return;
                        }
                        found.push(name.to_owned());
                    }
                    self.collect(self.resolved(value), found);
                }
                members.values().for_each(|member| self.collect(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, found)),
            _ => {}
        }
    }
}
