//! Unknown fields of a request. They are ignored and reported, or refused if the client asks for that.
//!
//! A client may send extra fields that this service does not need. But an unknown field may also be a misspelt one. So the
//! answer (`avisos`) and the log name each unknown field. If the client sends `Prefer: handling=strict` ([RFC
//! 7240](https://www.rfc-editor.org/rfc/rfc7240)), a request with unknown fields is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use slog::{Logger, info};

use super::prefer::{APPLIED, is_only_minimal, preference};
use super::problem::{FieldError, Problem};
use super::represent::changed;
use super::response::{self, Response};
use super::wrong::FieldCode;
use crate::text::Word;

/// The most unknown fields that an answer names.
const NAMED_MAX: usize = 20;

tokio::task_local! {
    /// The unknown fields of the request that the task answers, if its client wants them to be ignored.
    static PASSED: Passed;
}

/// How to handle unknown fields. The first `handling` preference of the request decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Unknown fields are ignored.
    Lenient,
    /// A request with unknown fields is refused.
    Strict,
}

impl Handling {
    /// Reads the preference from the request's headers.
    pub fn asked(headers: &HeaderMap) -> Option<Self> {
        if is_only_minimal(headers) {
            return None;
        }
        let value = preference(headers, "handling")?;
        if value.eq_ignore_ascii_case("strict") {
            Some(Self::Strict)
        } else {
            value.eq_ignore_ascii_case("lenient").then_some(Self::Lenient)
        }
    }

    /// The value of the header `Preference-Applied`.
    pub fn applied(self) -> &'static str {
        match self {
            Self::Lenient => "handling=lenient",
            Self::Strict => "handling=strict",
        }
    }

    /// Adds the header `Preference-Applied` to an answer.
    pub fn note(self, response: &mut Response) {
        response.headers_mut().append(APPLIED, HeaderValue::from_static(self.applied()));
    }
}

/// Answers a request of a service that refuses unknown fields unless its client asks it to ignore them. Those that were ignored stand in
/// the answer and in the log.
///
/// # Errors
/// Those of `answer`.
pub async fn strict_unless(
    asked: Handling,
    log: &Logger,
    answer: impl Future<Output = Result<Response, Problem>>,
) -> Result<Response, Problem> {
    let answered = if asked == Handling::Lenient {
        let passed = Passed(Arc::new(Mutex::new(Unknown::new(Some(asked)))));
        let answered = PASSED.scope(passed.clone(), answer).await;
        passed.lock().settle(answered, log)
    } else {
        answer.await
    };
    let mut response = answered.map_err(|problem| problem.with_preference(asked.applied()))?;
    asked.note(&mut response);
    Ok(response)
}

/// Notes that a field of the present request is ignored. False if its client does not want that.
pub fn is_passed_over(name: &str, known: &str) -> bool {
    PASSED.try_with(|passed| passed.lock().pass_over(name.to_owned(), known)).is_ok()
}

/// The unknown fields of the request that a task answers. Another thread may make the answer, once the request is read.
///
/// A std lock around a list: it is held to add to it or to write it.
#[derive(Clone, Debug)]
pub struct Passed(Arc<Mutex<Unknown>>);

impl Passed {
    /// Those of the present request, if its client wants them to be ignored.
    pub fn current() -> Option<Self> {
        PASSED.try_with(Self::clone).ok()
    }

    /// An answer with the ignored fields.
    pub fn added_to(&self, response: Response) -> Response {
        self.lock().noted_in(response)
    }

    fn lock(&self) -> MutexGuard<'_, Unknown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The unknown fields of one request, or of one operation of a batch.
#[derive(Debug)]
pub struct Unknown {
    handling: Handling,
    named: Vec<FieldError>,
    more: usize,
    is_logged: bool,
}

impl Unknown {
    /// An empty list. Without a preference, unknown fields are ignored.
    pub fn new(handling: Option<Handling>) -> Self {
        Self { handling: handling.unwrap_or(Handling::Lenient), named: Vec::new(), more: 0, is_logged: false }
    }

    /// Whether unknown fields are refused.
    pub fn are_refused(&self) -> bool {
        self.handling == Handling::Strict
    }

    /// Records that the unknown field `name` was ignored. `known` lists the accepted names.
    pub fn pass_over(&mut self, name: String, known: &str) {
        if self.named.len() < NAMED_MAX {
            let mensagem = format!("campo desconhecido, ignorado; os campos aceitos são {known}");
            self.named.push(FieldError::new(name, FieldCode::Unknown.says(mensagem)));
        } else {
            self.more += 1;
        }
    }

    /// The ignored fields, in the form in which the answer names them.
    fn notices(&self) -> Vec<FieldError> {
        let mut notices = self.named.clone();
        if self.more > 0 {
            let mensagem = format!("e mais {} campos desconhecidos, ignorados", self.more);
            notices.push(FieldError::new("(outros)", FieldCode::Unknown.says(mensagem)));
        }
        notices
    }

    /// Logs the names of the ignored fields, if there are any: once, when the request was read.
    pub fn log(&mut self, log: &Logger) {
        if self.named.is_empty() || std::mem::replace(&mut self.is_logged, true) {
            return;
        }
        let names: Vec<String> = self.named.iter().map(|field| Word(&field.campo).to_string()).collect();
        let names = names.join(", ");
        if self.more > 0 {
            info!(log, "Campos desconhecidos, ignorados: {} e mais {}", names, self.more);
        } else {
            info!(log, "Campos desconhecidos, ignorados: {}", names);
        }
    }

    /// Adds the ignored fields to `answer`, which must be an object.
    ///
    /// # Errors
    /// Returns `answer` unchanged when no field was ignored.
    pub fn added_to<T: Serialize>(&self, answer: T) -> Result<Value, T> {
        if self.named.is_empty() {
            return Err(answer);
        }
        // Answers are structs of texts, numbers and lists, so serialising one to memory cannot fail.
        let mut value = serde_json::to_value(&answer).expect("an answer serialises");
        value["avisos"] = serde_json::to_value(self.notices()).expect("notices serialise");
        Ok(value)
    }

    /// The member `avisos` as JSON text, if any field was ignored.
    pub fn member(&self) -> Option<String> {
        if self.named.is_empty() {
            return None;
        }
        let notices = serde_json::to_string(&self.notices()).expect("notices serialise");
        Some(format!("\"avisos\":{notices}"))
    }

    /// 200 with `answer`, which must be an object, and the ignored fields.
    pub fn answer(&self, answer: &impl Serialize) -> Response {
        match self.added_to(answer) {
            Ok(value) => response::json(StatusCode::OK, &value),
            Err(answer) => response::json(StatusCode::OK, answer),
        }
    }

    /// The answer to a request, with the ignored fields.
    fn settle(&mut self, answered: Result<Response, Problem>, log: &Logger) -> Result<Response, Problem> {
        self.log(log);
        if self.named.is_empty() {
            return answered;
        }
        match answered {
            Ok(response) => Ok(self.noted_in(response)),
            Err(problem) => Err(self.problem(problem)),
        }
    }

    /// An answer with the ignored fields, if there are any.
    fn noted_in(&self, response: Response) -> Response {
        if self.named.is_empty() {
            return response;
        }
        changed(response, None, |value| self.added_to(value).unwrap_or_else(|value| value))
    }

    /// Adds the ignored fields to an error.
    #[must_use]
    pub fn problem(&self, problem: Problem) -> Problem {
        if self.named.is_empty() {
            return problem;
        }
        problem.with("avisos", serde_json::to_value(self.notices()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&'static str]) -> Option<Handling> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", HeaderValue::from_static(value));
        }
        Handling::asked(&headers)
    }

    #[test]
    fn the_first_preference_that_says_how_counts() {
        for strict in [
            &["handling=strict"][..],
            &["Handling = \"strict\""],
            &["respond-async, wait=10, handling=strict; x=1"],
            &["return=minimal", "handling=STRICT"],
            &["foo=\"a, handling=lenient\", handling=strict"],
            &["handling=strict, handling=lenient"],
        ] {
            assert_eq!(asked(strict), Some(Handling::Strict), "{strict:?}");
        }
        assert_eq!(asked(&["handling=lenient, handling=strict"]), Some(Handling::Lenient));
        for nothing in [&[][..], &["handling"], &["handling="], &["handling=other"], &["x=handling=strict"], &[",;=\""]]
        {
            assert_eq!(asked(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn some_are_named_and_all_are_counted() {
        let mut unknown = Unknown::new(None);
        assert_eq!(unknown.added_to(7), Err(7));
        for number in 0..1000 {
            unknown.pass_over(format!("campo-{number}"), "recurso");
        }
        let value = unknown.added_to(serde_json::json!({"status": 200})).unwrap();
        let notices = value["avisos"].as_array().unwrap();
        assert_eq!(notices.len(), NAMED_MAX + 1);
        assert_eq!(notices[0]["campo"], "campo-0");
        assert_eq!(notices[NAMED_MAX]["mensagem"], "e mais 980 campos desconhecidos, ignorados");
    }
}
