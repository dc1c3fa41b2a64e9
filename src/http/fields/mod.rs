//! Reads the fields of a request and reports all wrong fields in one answer.
//!
//! The handler reads a body field by field, and each read states the expected type. A missing or wrong field is recorded, and
//! the reading goes on. At the end, every field that the handler did not read is an unknown field. A number is parsed as an
//! integer and never through a float, so a number beyond 64 bits is reported as a wrong field and is never rounded.

pub mod object;
mod values;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use self::values::Values;
use crate::http::kind;
use crate::http::problem::{FieldError, Problem};
use crate::http::suggest;
use crate::http::unknown::{Unknown, is_passed_over};
use crate::http::wrong::{FieldCode, Wrong};
use crate::time::{ParseTimestampError, Timestamp};

/// The most unknown fields that an answer names, so that a body with thousands of them does not make a huge answer.
pub const UNKNOWN_NAMED: usize = 20;
/// The most characters that an answer shows of an unknown field's name.
const NAME_SHOWN: usize = 60;

/// The limits of a text field.
#[derive(Clone, Copy, Debug)]
pub struct TextRule {
    /// The maximum length in characters.
    pub max_chars: usize,
    /// Whether line breaks and tabs are allowed. Other control characters are never allowed.
    pub multiline: bool,
}

/// The fields of one JSON object, and the errors found in them so far.
#[derive(Debug)]
pub struct Fields<'a> {
    values: Values<'a>,
    /// Names that occur more than once in the object.
    repeated: BTreeSet<String>,
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the fields of an object, whose values are not parsed yet. So a body that is made of such objects is read in one pass.
impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("um objeto")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::none();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.values.push(name, value);
                }
                fields.repeated = fields.values.without_repeated();
                Ok(fields)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl<'a> Fields<'a> {
    /// Parses a body.
    ///
    /// # Errors
    /// 400 when the body is not JSON, 422 when it is JSON but not an object.
    pub fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| {
            malformed(format!("O corpo não é UTF-8: o byte na posição {} não é válido.", error.valid_up_to()))
        })?;
        // Some editors write a byte order mark at the start of a file. RFC 8259 §8.1 allows a parser to ignore it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // What is right is read in one pass. The rest of this function finds out what is wrong.
        if let Ok(fields) = serde_json::from_str(text) {
            return Ok(fields);
        }
        if text.trim().is_empty() {
            return Err(malformed("O corpo está vazio; envie um objeto JSON.".to_owned()));
        }
        let value: &RawValue = serde_json::from_str(text).map_err(|error| {
            malformed(format!("O corpo não é JSON válido (linha {}, coluna {}).", error.line(), error.column()))
        })?;
        Self::from_raw(value).map_err(|error| Problem::invalid_fields(vec![error]))
    }

    /// Parses one object inside a body.
    ///
    /// # Errors
    /// When the value is not an object. The error names the field `(corpo)`.
    pub fn from_raw(value: &'a RawValue) -> Result<Self, FieldError> {
        let not_an_object = || FieldError::new("(corpo)", FieldCode::Kind.says("deve ser um objeto JSON, entre { e }"));
        serde_json::from_str(value.get()).map_err(|_| not_an_object())
    }

    /// The fields of a request without a body: none.
    pub fn none() -> Self {
        Self { values: Values::default(), repeated: BTreeSet::new(), errors: Vec::new() }
    }

    /// Records that the field `name` is wrong, and why.
    pub fn reject(&mut self, name: &str, wrong: impl Into<Wrong>) {
        self.errors.push(FieldError::new(name, wrong));
    }

    /// Whether any error was found so far.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty() || !self.repeated.is_empty()
    }

    /// The raw value of `name`, or `None` where it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.values.remove(name).filter(|value| value.get() != "null")
    }

    /// Whether the field `name` is null. It then counts as read: in a merge patch (RFC 7396) null takes a value away.
    pub fn take_null(&mut self, name: &str) -> bool {
        let is_null = self.values.get(name).is_some_and(|value| value.get() == "null");
        if is_null {
            self.values.remove(name);
        }
        is_null
    }

    /// Accepts the field `name` with any value, and ignores it.
    pub fn pass_over(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// Records an error when a required field is absent.
    fn require<T>(&mut self, name: &str, value: Option<T>, present: bool) -> Option<T> {
        if value.is_none() && !present {
            self.reject(name, FieldCode::Missing.says("é obrigatório"));
        }
        value
    }

    /// Whether the field `name` is present and not null.
    pub fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.get() != "null")
    }

    /// An integer within `range`, if the field is present.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let words = Within(*range.start(), *range.end());
        self.integer_as(name, range, words)
    }

    /// An integer within `range`, if the field is present. `words` say which value would be right.
    pub fn integer_as(&mut self, name: &str, range: RangeInclusive<i64>, words: impl Display) -> Option<i64> {
        self.number(name, &words, |digits| {
            let value = digits.parse().ok().filter(|value| range.contains(value));
            value.ok_or_else(|| FieldCode::Number.says(words.to_string()))
        })
    }

    /// A number, if the field is present: `parse` reads its digits as they stand in the body. For a value that is no number,
    /// `words` say which value would be right.
    pub fn number<T>(
        &mut self,
        name: &str,
        words: impl Display,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let text = self.take(name)?.get();
        let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let read = if is_number { parse(text) } else { Err(FieldCode::Kind.says(words.to_string())) };
        read.map_err(|wrong| self.reject(name, wrong)).ok()
    }

    /// A required integer within `range`. `words` say which value would be right.
    pub fn required_integer_as(&mut self, name: &str, range: RangeInclusive<i64>, words: &str) -> Option<i64> {
        let present = self.has(name);
        let value = self.integer_as(name, range, words);
        self.require(name, value, present)
    }

    /// A boolean, if the field is present.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = serde_json::from_str(self.take(name)?.get()).ok();
        if value.is_none() {
            self.reject(name, FieldCode::Kind.says("deve ser true ou false"));
        }
        value
    }

    /// A non-empty text that keeps `rule`, if the field is present.
    pub fn text(&mut self, name: &str, rule: TextRule) -> Option<String> {
        let raw = self.take(name)?;
        match checked_text(raw, rule) {
            Ok(text) => Some(text),
            Err(wrong) => {
                self.reject(name, wrong);
                None
            }
        }
    }

    /// A required text that keeps `rule`.
    pub fn required_text(&mut self, name: &str, rule: TextRule) -> Option<String> {
        let present = self.has(name);
        let value = self.text(name, rule);
        self.require(name, value, present)
    }

    /// An instant, if the field is present.
    pub fn instant(&mut self, name: &str) -> Option<Timestamp> {
        self.instant_by(name, Timestamp::parse_rfc3339)
    }

    /// An instant, if the field is present. Digits below the microsecond are an error.
    pub fn exact_instant(&mut self, name: &str) -> Option<Timestamp> {
        self.instant_by(name, Timestamp::parse_exact)
    }

    fn instant_by(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<Timestamp, ParseTimestampError>,
    ) -> Option<Timestamp> {
        let raw = self.take(name)?;
        let Ok(text) = serde_json::from_str::<Cow<'_, str>>(raw.get()) else {
            let words = "deve ser um texto com um instante RFC 3339, como \"2025-12-01T03:00:00Z\"";
            self.reject(name, FieldCode::Kind.says(words));
            return None;
        };
        match parse(&text) {
            Ok(at) => Some(at),
            Err(error) => {
                self.reject(name, FieldCode::Instant.says(error.to_string()));
                None
            }
        }
    }

    /// A required instant. Digits below the microsecond are an error.
    pub fn required_exact_instant(&mut self, name: &str) -> Option<Timestamp> {
        let present = self.has(name);
        let value = self.exact_instant(name);
        self.require(name, value, present)
    }

    /// Ends the reading, and returns all errors, unknown fields included. `known` lists the accepted names for the error
    /// messages.
    ///
    /// # Errors
    /// All wrong fields: first the repeated ones, then the others in the order in which they were found, and last the
    /// unknown ones.
    pub fn finish(mut self, known: &str) -> Result<(), Vec<FieldError>> {
        let mut unread = self.values.into_names();
        // The field is ignored, so a repeated one is no error.
        let repeated = &mut self.repeated;
        unread.retain(|name| {
            let refused = !is_passed_over(&shown(name), known);
            if !refused {
                repeated.remove(&**name);
            }
            refused
        });
        let repeated = self.repeated.iter().take(UNKNOWN_NAMED);
        let repeated =
            repeated.map(|name| FieldError::new(shown(name), FieldCode::Repeated.says("aparece mais de uma vez")));
        self.errors = repeated.chain(self.errors).collect();
        let unknown = unread.len();
        for name in unread.iter().take(UNKNOWN_NAMED) {
            let mensagem = unknown_name("campo desconhecido", name, known);
            self.errors.push(FieldError::new(shown(name), FieldCode::Unknown.says(mensagem)));
        }
        if unknown > UNKNOWN_NAMED {
            let mensagem = format!("e mais {} campos desconhecidos", unknown - UNKNOWN_NAMED);
            self.errors.push(FieldError::new("(outros)", FieldCode::Unknown.says(mensagem)));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

impl Fields<'_> {
    /// Ends the reading as [`Fields::finish`] does, but ignores unknown fields unless `unknown` refuses them. The name of
    /// each ignored field is recorded in `unknown`, with `prefix` before it.
    ///
    /// # Errors
    /// Every wrong field.
    pub fn finish_noting(
        mut self,
        prefix: &str,
        known: impl Display,
        unknown: &mut Unknown,
    ) -> Result<(), Vec<FieldError>> {
        if self.values.is_empty() && !self.has_errors() {
            return Ok(());
        }
        let known = &known.to_string();
        if !unknown.are_refused() {
            for name in std::mem::take(&mut self.values).into_names() {
                // The field is ignored, so a repeated one is no error.
                self.repeated.remove(&*name);
                unknown.pass_over(format!("{prefix}{}", shown(&name)), known);
            }
        }
        self.finish(known)
    }
}

impl TextRule {
    /// Checks a text.
    ///
    /// # Errors
    /// How it breaks the rule.
    pub fn check(self, text: &str) -> Result<(), Wrong> {
        let chars = text.chars().count();
        if chars == 0 || chars > self.max_chars {
            return Err(FieldCode::Length.says(format!("deve ter de 1 a {} caracteres; tem {chars}", self.max_chars)));
        }
        let allowed = |c: char| self.multiline && matches!(c, '\n' | '\r' | '\t');
        if let Some(control) = text.chars().find(|&c| c.is_control() && !allowed(c)) {
            let words = format!("não pode ter caracteres de controle (U+{:04X})", u32::from(control));
            return Err(FieldCode::ControlCharacters.says(words));
        }
        Ok(())
    }
}

/// Reads a JSON string and checks it against `rule`.
///
/// # Errors
/// When the value is not a string, or breaks `rule`.
pub fn checked_text(raw: &RawValue, rule: TextRule) -> Result<String, Wrong> {
    let text = text_of(raw)?;
    rule.check(&text).map(|()| text)
}

/// Reads a JSON string.
///
/// # Errors
/// When the value is not a string.
pub fn text_of(raw: &RawValue) -> Result<String, Wrong> {
    serde_json::from_str(raw.get()).map_err(|_| FieldCode::Kind.says("deve ser um texto"))
}

/// Parses an integer. It accepts a leading minus sign but no plus sign, which Rust's own parser would accept.
pub fn whole_number(text: &str) -> Option<i64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// The error message for a name that is not in `known`, a list of names separated by commas, semicolons or spaces.
pub fn unknown_name(what: &str, name: &str, known: &str) -> String {
    if known.is_empty() {
        return format!("{what}; aqui não há nenhum");
    }
    let names = known.split([',', ';', ' ']).filter(|name| !name.is_empty());
    match suggest::nearest(name, names) {
        Some(meant) => format!("{what}; você quis dizer {meant}? São aceitos: {known}"),
        None => format!("{what}; são aceitos: {known}"),
    }
}

/// Which number is right where one from the first to the second is expected, both included.
pub struct Within(pub i64, pub i64);

impl Display for Within {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "deve ser um número inteiro entre {} e {}", self.0, self.1)
    }
}

fn malformed(detail: String) -> Problem {
    Problem::new(kind::MALFORMED_JSON, detail)
}

/// A name that the client sent, shortened for an answer.
pub fn shown(name: &str) -> String {
    if name.is_empty() {
        // With nothing in its place a person could not find it.
        return "(vazio)".to_owned();
    }
    let mut shown: String = name.chars().take(NAME_SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
