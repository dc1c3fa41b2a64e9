//! The check of one answer: its path, status, headers and body, and the request where it was accepted.

use sctec::http::router::{Endpoint, Query};
use serde_json::Value;

use super::Contract;
use super::schemas::escaped;

/// A request and its answer.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    /// The body of the request, if it is JSON.
    pub sent: Option<&'a str>,
    pub status: u16,
    /// With names in lower case.
    pub headers: &'a [(String, String)],
    pub body: &'a str,
    /// Whether nothing stands between the client and the service that could add headers.
    pub direct: bool,
}

impl Seen<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Where a response stands: in the operation, or among the components.
fn pointer_of(operation: &Value, status: u16, pointer: &str) -> String {
    let reference = operation["responses"][status.to_string()].get("$ref").and_then(Value::as_str);
    reference
        .and_then(|reference| reference.strip_prefix('#'))
        .map_or_else(|| format!("{pointer}/responses/{status}"), str::to_owned)
}

type Checked = Result<(), String>;

impl Contract {
    /// Whether an answer is one that the document lists.
    ///
    /// # Errors
    /// What is missing in the document, and where it belongs.
    pub fn check(&self, seen: &Seen<'_>) -> Checked {
        let (path, query) = seen.path.split_once('?').unwrap_or((seen.path, ""));
        let head = seen.method == "HEAD";
        let method = if head { "get".to_owned() } else { seen.method.to_ascii_lowercase() };
        if method == "options" && seen.status == 204 {
            return Ok(());
        }
        let template = self.template_of(path);
        let operation = template.as_ref().and_then(|template| {
            let pointer = format!("/paths/{}/{method}", escaped(template));
            Some((self.document.pointer(&pointer)?, pointer))
        });
        let Some((operation, pointer)) = operation else {
            return self.check_nowhere(seen, template.as_deref());
        };
        let Some(response) = self.response(operation, seen.status) else {
            return Err(self.lacks(&format!("{pointer}/responses/{}", seen.status), "this status"));
        };
        let pointer = pointer_of(operation, seen.status, &pointer);
        self.check_headers(seen, response, &pointer)?;
        if !head && seen.status != 304 {
            self.check_body(seen, response, &pointer)?;
        }
        let page = seen.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        // A page takes what others append to its address.
        if seen.is_success() && !page {
            self.check_request(seen, operation, template.as_deref().unwrap_or(path), query)
        } else {
            Ok(())
        }
    }

    fn lacks(&self, pointer: &str, what: &str) -> String {
        format!("{} lacks {what}: write it at {pointer}", self.service.file())
    }

    /// An answer that belongs to no operation is a problem that every path may give.
    fn check_nowhere(&self, seen: &Seen<'_>, template: Option<&str>) -> Checked {
        let code =
            serde_json::from_str::<Value>(seen.body).ok().and_then(|body| body["codigo"].as_str().map(str::to_owned));
        match (code, template) {
            (Some(code), _) => self.check_problem(seen, &code, None),
            // Without a body: HEAD, OPTIONS.
            (None, _) if seen.body.is_empty() && seen.status >= 400 => Ok(()),
            (None, Some(template)) => {
                Err(self.lacks(&format!("/paths/{}", escaped(template)), &format!("{} of this path", seen.method)))
            }
            (None, None) => Err("this path is in no table of endpoints, and was not refused".to_owned()),
        }
    }

    fn check_headers(&self, seen: &Seen<'_>, response: &Value, pointer: &str) -> Checked {
        let listed = response["headers"].as_object();
        for (name, header) in listed.into_iter().flatten() {
            let header = self.resolved(header);
            let Some(value) = seen.header(&name.to_ascii_lowercase()) else {
                if header["required"] == true {
                    return Err(format!("the header {name} is missing, which {pointer}/headers requires"));
                }
                continue;
            };
            let reference =
                response["headers"][name].get("$ref").and_then(Value::as_str).and_then(|place| place.strip_prefix('#'));
            let place = reference.map_or_else(|| format!("{pointer}/headers/{}", escaped(name)), str::to_owned);
            let wrong = |wrong| format!("the header {name} is {value:?}: {wrong}");
            self.schemas.check(&format!("{place}/schema"), &Value::from(value)).map_err(wrong)?;
        }
        if !seen.direct {
            return Ok(());
        }
        let everywhere = self.document["x-cabecalhos"].as_object();
        for (name, value) in seen.headers {
            let is = |known: &String| known.eq_ignore_ascii_case(name);
            let mut known = listed.into_iter().chain(everywhere).flat_map(|headers| headers.keys());
            if !known.any(is) {
                let what = format!("the header {name} ({value})");
                return Err(
                    self.lacks(&format!("{pointer}/headers, or at /x-cabecalhos if every answer may have it"), &what)
                );
            }
        }
        Ok(())
    }

    fn check_body(&self, seen: &Seen<'_>, response: &Value, pointer: &str) -> Checked {
        let media =
            seen.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let Some(content) = response["content"].as_object() else {
            return if seen.body.is_empty() {
                Ok(())
            } else {
                Err(self.lacks(&format!("{pointer}/content"), "a body here"))
            };
        };
        if !content.contains_key(&media) {
            return Err(
                self.lacks(&format!("{pointer}/content/{}", escaped(&media)), &format!("a body of the type {media:?}"))
            );
        }
        let schema = format!("{pointer}/content/{}/schema", escaped(&media));
        if content[&media].get("schema").is_none() {
            // A stream of events.
            return Ok(());
        }
        if media == "application/problem+json" {
            let code = serde_json::from_str::<Value>(seen.body)
                .ok()
                .and_then(|body| body["codigo"].as_str().map(str::to_owned));
            return self.check_problem(seen, &code.unwrap_or_default(), Some(&schema));
        }
        let body = if media == "application/json" || media == "application/hal+json" {
            serde_json::from_str(seen.body).map_err(|error| format!("the body is not JSON: {error}"))?
        } else {
            Value::from(seen.body)
        };
        self.schemas.check(&schema, &body)
    }

    /// A problem fits the schema of its own code, which is among those that `schema` names.
    fn check_problem(&self, seen: &Seen<'_>, code: &str, schema: Option<&str>) -> Checked {
        let place = format!("/components/schemas/{}", escaped(code));
        if self.document.pointer(&place).is_none() {
            return Err(self.lacks(&place, &format!("the problem {code:?}")));
        }
        if let Some(schema) = schema {
            let named = self.document.pointer(schema).map(|schema| self.leads_to(schema)).unwrap_or_default();
            if !named.iter().any(|name| name == code) {
                return Err(self.lacks(schema, &format!("the problem {code} of this answer")));
            }
        }
        let body: Value = serde_json::from_str(seen.body).map_err(|error| error.to_string())?;
        if body["status"] != seen.status {
            return Err(format!("the problem says {}, and the answer {}", body["status"], seen.status));
        }
        self.schemas.check(&place, &body)
    }

    /// What was accepted fits what the document says of the request.
    fn check_request(&self, seen: &Seen<'_>, operation: &Value, template: &str, query: &str) -> Checked {
        let of_path = &self.document["paths"][template]["parameters"];
        let lists = [of_path, &operation["parameters"]].into_iter().filter_map(Value::as_array).flatten();
        let listed: Vec<&str> = lists
            .map(|parameter| self.resolved(parameter))
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let is =
            |endpoint: &&Endpoint| super::template(endpoint) == template && endpoint.method.as_str() == seen.method;
        let endpoint = self.service.endpoints().into_iter().find(is);
        let reads = endpoint.is_some_and(|endpoint| endpoint.query == Query::Read);
        for name in
            query.split('&').filter(|_| reads).filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty())
        {
            if !listed.contains(&name) {
                return Err(self.lacks(
                    &format!("/paths/{}/{}/parameters", escaped(template), seen.method.to_ascii_lowercase()),
                    &format!("the parameter {name}, which was accepted"),
                ));
            }
        }
        // The client has asked that fields which the document does not have be passed over.
        if seen.header("preference-applied") == Some("handling=lenient") {
            return Ok(());
        }
        let Some(sent) = seen.sent.filter(|sent| !sent.is_empty()) else { return Ok(()) };
        let pointer = format!("/paths/{}/{}/requestBody", escaped(template), seen.method.to_ascii_lowercase());
        if self.document.pointer(&pointer).is_none() {
            // Nothing reads it.
            return Ok(());
        }
        let Ok(sent) = serde_json::from_str::<Value>(sent.trim_start_matches('\u{feff}')) else { return Ok(()) };
        let wrong = |wrong| format!("the request was accepted, and is not in the contract: {wrong}");
        self.schemas.check(&format!("{pointer}/content/application~1json/schema"), &sent).map_err(wrong)
    }
}
