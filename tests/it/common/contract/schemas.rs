//! The schemas of a document as validators, each compiled when it is needed first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::{Draft, Registry, RegistryBuilder, Validator};
use serde_json::{Value, json};

/// Under which name a document is registered.
const DOCUMENT: &str = "urn:sctec:openapi";

pub struct Schemas {
    document: Arc<Value>,
    registry: OnceLock<Registry<'static>>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schemas {
    pub fn new(document: Arc<Value>) -> Self {
        Self { document, registry: OnceLock::new(), compiled: Mutex::default() }
    }

    /// The document, prepared for the validators.
    fn registry(&self) -> &Registry<'static> {
        self.registry.get_or_init(|| {
            let registry = Registry::new().draft(Draft::Draft202012).add(DOCUMENT, (*self.document).clone());
            registry.and_then(RegistryBuilder::prepare).unwrap_or_else(|error| panic!("{error}"))
        })
    }

    /// What is wrong with `value`, if it does not fit the schema at `pointer`.
    pub fn check(&self, pointer: &str, value: &Value) -> Result<(), String> {
        let validator = self.validator(pointer);
        let errors: Vec<String> = validator
            .iter_errors(value)
            .take(5)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the whole".to_owned() } else { place };
                format!("{place}: {} (by {})", shortened(&error.to_string()), error.schema_path())
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n  ")) }
    }

    fn validator(&self, pointer: &str) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().unwrap();
        let build = || {
            // The braces of a template are no characters of a URI.
            let place = pointer.replace('{', "%7B").replace('}', "%7D");
            let schema = json!({"$ref": format!("{DOCUMENT}#{place}")});
            let options = jsonschema::options().with_draft(Draft::Draft202012).with_registry(self.registry());
            let built = options.should_validate_formats(true).build(&schema);
            Arc::new(built.unwrap_or_else(|error| panic!("the schema at {pointer}: {error}")))
        };
        Arc::clone(compiled.entry(pointer.to_owned()).or_insert_with(build))
    }
}

/// A message that shows a whole agenda is cut.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let (head, tail): (String, Vec<char>) =
        (text.chars().take(MOST / 2).collect(), text.chars().rev().take(MOST / 2).collect());
    format!("{head} … {}", tail.into_iter().rev().collect::<String>())
}

/// A member's name as a part of a JSON pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
