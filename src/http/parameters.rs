//! Reads the parameters of a query and reports all wrong parameters in one answer, as [`super::fields`] does for a body.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::fields::{UNKNOWN_NAMED, Within, shown, unknown_name, whole_number};
use super::problem::{FieldError, Problem};
use super::wrong::{FieldCode, Wrong};
use crate::time::Timestamp;

/// The parameters of a query string.
#[derive(Debug)]
pub struct Parameters {
    values: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

impl Parameters {
    /// Parses a query. A repeated parameter is an error, and so is an empty one. Otherwise a filter left blank by mistake
    /// would return every record.
    pub fn parse(query: Option<&str>) -> Self {
        let mut parameters = Self { values: BTreeMap::new(), errors: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let again = parameters.values.insert(name.to_string(), value.into_owned()).is_some();
            if again && parameters.errors.len() < UNKNOWN_NAMED {
                parameters.reject(&shown(&name), FieldCode::Repeated.says("aparece mais de uma vez"));
            }
        }
        parameters
    }

    /// Checks the query of an endpoint that has no parameters.
    ///
    /// # Errors
    /// 422 with every parameter of the query.
    pub fn none(query: Option<&str>) -> Result<(), Problem> {
        Self::parse(query).finish("")
    }

    /// Records that the parameter `name` is wrong, and why.
    pub fn reject(&mut self, name: &str, wrong: impl Into<Wrong>) {
        self.errors.push(FieldError::new(name, wrong));
    }

    /// Whether any error was found so far.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether the parameter `name` is present, even if it is empty.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A parameter's text, if the parameter is present and not empty.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let text = self.values.remove(name)?;
        if text.is_empty() {
            self.reject(name, FieldCode::Length.says("está vazio; informe um valor ou tire o parâmetro"));
            return None;
        }
        // The decoder replaces bytes that are not UTF-8 by this character. No valid value contains it.
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.reject(name, "não é UTF-8 bem formado");
            return None;
        }
        Some(text)
    }

    /// A parameter read by `parse`, which returns the error for a wrong value.
    pub fn parsed<T, E: Into<Wrong>>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match parse(&self.text(name)?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.reject(name, wrong);
                None
            }
        }
    }

    /// An integer within `range`, if the parameter is present.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let words = Within(*range.start(), *range.end());
        self.integer_as(name, range, words)
    }

    /// An integer within `range`, if the parameter is present. `words` say which value would be right.
    pub fn integer_as(&mut self, name: &str, range: RangeInclusive<i64>, words: impl Display) -> Option<i64> {
        self.parsed(name, |text| {
            let value = whole_number(text).filter(|value| range.contains(value));
            value.ok_or_else(|| FieldCode::Number.says(words.to_string()))
        })
    }

    /// An instant, if the parameter is present.
    pub fn instant(&mut self, name: &str) -> Option<Timestamp> {
        self.parsed(name, |text| {
            Timestamp::parse_rfc3339(text).map_err(|error| {
                // A `+` is a space in a query (WHATWG URL, "application/x-www-form-urlencoded").
                let words = match Timestamp::parse_rfc3339(&text.replace(' ', "+")) {
                    Ok(_) if text.contains(' ') => {
                        "tem um espaço onde devia haver um +: numa consulta, escreva o + do fuso como %2B".to_owned()
                    }
                    _ => error.to_string(),
                };
                FieldCode::Instant.says(words)
            })
        })
    }

    /// Ends the reading. `known` lists the accepted names for the error messages.
    ///
    /// # Errors
    /// 422 with every wrong parameter, unknown ones included.
    pub fn finish(mut self, known: &str) -> Result<(), Problem> {
        for name in self.values.keys().take(UNKNOWN_NAMED) {
            let mensagem = unknown_name("parâmetro desconhecido", name, known);
            self.errors.push(FieldError::new(shown(name), FieldCode::Unknown.says(mensagem)));
        }
        if self.values.len() > UNKNOWN_NAMED {
            let mensagem = format!("e mais {} parâmetros desconhecidos", self.values.len() - UNKNOWN_NAMED);
            self.errors.push(FieldError::new("(outros)", FieldCode::Unknown.says(mensagem)));
        }
        self.finish_with_others()
    }

    /// Ends the reading where unknown parameters are passed over.
    ///
    /// # Errors
    /// 422 with every wrong parameter.
    pub fn finish_with_others(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid_parameters(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_query(query: &str) -> Vec<(String, String)> {
        let mut parameters = Parameters::parse(Some(query));
        parameters.integer("limite", 1..=10);
        parameters.text("telescopio");
        parameters.instant("de");
        parameters.finish("limite, telescopio, de").err().map_or_else(Vec::new, |problem| {
            let problem = problem.to_value("r");
            let errors = problem["erros"].as_array().cloned().unwrap_or_default();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            errors.iter().map(|error| (text(&error["campo"]), text(&error["mensagem"]))).collect()
        })
    }

    #[test]
    fn a_filter_that_is_empty_or_misspelt_is_wrong() {
        // In ciso-assistant #4701 and cloudify-manager #3366, such a filter returned every record.
        assert_eq!(wrong_query(""), []);
        assert_eq!(wrong_query("limite=3&telescopio=X&de=2025-12-01T03%3A00%3A00%2B01%3A00"), []);
        let fields = |query| wrong_query(query).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        for query in ["limite=", "limite", "limite=+5", "limite=%2B5", "limite=5&limite=5", "limite=٥", "limite=0"] {
            assert_eq!(fields(query), ["limite"], "{query}");
        }
        assert_eq!(fields("telescopio=&limte=3&de=&=&x="), ["telescopio", "de", "(vazio)", "limte", "x"]);
        assert_eq!(fields("telescopio=%ff"), ["telescopio"]);
        assert!(wrong_query("limte=3")[0].1.contains("quis dizer limite?"));
        assert!(!wrong_query("x=3")[0].1.contains("seria"));
        assert!(wrong_query("de=2025-12-01T03:00:00+01:00")[0].1.contains("%2B"));
        assert!(!wrong_query("de=2025-12-01+03:00:00Z")[0].1.contains("%2B"));
        assert!(Parameters::none(None).is_ok() && Parameters::none(Some("")).is_ok());
        assert!(Parameters::none(Some("a")).is_err());
    }
}
