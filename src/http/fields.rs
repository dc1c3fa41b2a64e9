//! Reading the fields of a request, with every wrong one named at once.
//!
//! A body is taken apart field by field: each read says what is expected, and a field that is missing or
//! wrong is noted while the reading goes on. At the end, what was never asked for is unknown and wrong as well. A
//! number is read from its digits and never through a float, so one beyond 64 bits is a wrong field and nothing worse.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::kind;
use super::problem::{FieldError, Problem};
use super::suggest;
use super::unknown::Unknown;
use super::wrong::{FieldCode, Wrong};
use crate::time::{ParseTimestampError, Timestamp};

/// Unknown fields named in an answer; a body of thousands is not echoed whole.
pub const UNKNOWN_NAMED: usize = 20;
/// Characters shown of an unknown field's name.
const NAME_SHOWN: usize = 60;

/// What a text may be.
#[derive(Clone, Copy, Debug)]
pub struct TextRule {
    /// The most characters.
    pub max_chars: usize,
    /// Whether line breaks and tabs are fine. Other control characters never are.
    pub multiline: bool,
}

/// The fields of one JSON object, and what was found wrong with them so far.
#[derive(Debug)]
pub struct Fields<'a> {
    values: BTreeMap<Cow<'a, str>, &'a RawValue>,
    /// Names that came more than once.
    repeated: BTreeSet<String>,
    errors: Vec<FieldError>,
}

/// An object's fields, with a field that comes twice told apart from one that comes once.
struct Object<'a> {
    values: BTreeMap<Cow<'a, str>, &'a RawValue>,
    repeated: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("um objeto")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object { values: BTreeMap::new(), repeated: BTreeSet::new() };
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    let again = object.values.insert(name.clone(), value).is_some();
                    if again {
                        object.repeated.insert(name.into_owned());
                    }
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl<'a> Fields<'a> {
    /// Takes a body apart.
    ///
    /// # Errors
    /// 400 when it is not JSON, 422 when it is JSON but not an object.
    pub fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| {
            malformed(format!("O corpo não é UTF-8: o byte na posição {} não é válido.", error.valid_up_to()))
        })?;
        // RFC 8259 §8.1: a mark of the byte order says nothing in UTF-8, and may be passed over. Some editors put it there.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(malformed("O corpo está vazio; envie um objeto JSON.".to_owned()));
        }
        let value: &RawValue = serde_json::from_str(text).map_err(|error| {
            malformed(format!("O corpo não é JSON válido (linha {}, coluna {}).", error.line(), error.column()))
        })?;
        Self::from_raw(value).map_err(|error| Problem::invalid_fields(vec![error]))
    }

    /// Takes one object inside a body apart.
    ///
    /// # Errors
    /// When it is not an object; the field is named `(corpo)`.
    pub fn from_raw(value: &'a RawValue) -> Result<Self, FieldError> {
        let not_an_object = || FieldError::new("(corpo)", FieldCode::Kind.says("deve ser um objeto JSON, entre { e }"));
        let object: Object<'a> = serde_json::from_str(value.get()).map_err(|_| not_an_object())?;
        Ok(Self { values: object.values, repeated: object.repeated, errors: Vec::new() })
    }

    /// No body at all is an object without fields.
    pub fn none() -> Self {
        Self { values: BTreeMap::new(), repeated: BTreeSet::new(), errors: Vec::new() }
    }

    /// Notes that `name` is wrong: what it should be.
    pub fn reject(&mut self, name: &str, wrong: impl Into<Wrong>) {
        self.errors.push(FieldError::new(name, wrong));
    }

    /// Whether anything was found wrong so far.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty() || !self.repeated.is_empty()
    }

    /// The raw value of `name`, or `None` where it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.values.remove(name).filter(|value| value.get() != "null")
    }

    /// Lets `name` be there, with any value, and does nothing with it.
    pub fn pass_over(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// Notes a required field that is not there.
    fn require<T>(&mut self, name: &str, value: Option<T>, present: bool) -> Option<T> {
        if value.is_none() && !present {
            self.reject(name, FieldCode::Missing.says("é obrigatório"));
        }
        value
    }

    /// Whether `name` is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.get() != "null")
    }

    /// An integer within `range`, if it is there.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let raw = self.take(name)?;
        let value = raw.get().parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.reject(name, not_within(&range));
        }
        value
    }

    /// An integer within `range` that has to be there.
    pub fn required_integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let present = self.has(name);
        let value = self.integer(name, range);
        self.require(name, value, present)
    }

    /// True or false, if it is there.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = serde_json::from_str(self.take(name)?.get()).ok();
        if value.is_none() {
            self.reject(name, FieldCode::Kind.says("deve ser true ou false"));
        }
        value
    }

    /// A text by `rule`, not empty, if it is there.
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

    /// An instant, if it is there.
    pub fn instant(&mut self, name: &str) -> Option<Timestamp> {
        self.instant_by(name, Timestamp::parse_rfc3339)
    }

    /// An instant that has to be exact to the microsecond, if it is there.
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

    /// An instant that has to be there, exact to the microsecond.
    pub fn required_exact_instant(&mut self, name: &str) -> Option<Timestamp> {
        let present = self.has(name);
        let value = self.exact_instant(name);
        self.require(name, value, present)
    }

    /// Ends the reading: all that is wrong, unknown fields included. `known` is for the answer.
    ///
    /// # Errors
    /// Every wrong field, in the order they were found.
    pub fn finish(mut self, known: &str) -> Result<(), Vec<FieldError>> {
        let repeated = self.repeated.iter().take(UNKNOWN_NAMED);
        let repeated =
            repeated.map(|name| FieldError::new(shown(name), FieldCode::Repeated.says("aparece mais de uma vez")));
        self.errors = repeated.chain(self.errors).collect();
        let unknown = self.values.len();
        for name in self.values.keys().take(UNKNOWN_NAMED) {
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
    /// Ends the reading as [`Fields::finish`] does, but passes unknown fields over, under their names after `prefix`, unless
    /// they are to be refused.
    ///
    /// # Errors
    /// Every wrong field.
    pub fn finish_noting(mut self, prefix: &str, known: &str, unknown: &mut Unknown) -> Result<(), Vec<FieldError>> {
        if !unknown.are_refused() {
            for name in std::mem::take(&mut self.values).keys() {
                // It is passed over, so it does not matter that it came twice.
                self.repeated.remove(&**name);
                unknown.pass_over(format!("{prefix}{}", shown(name)), known);
            }
        }
        self.finish(known)
    }
}

/// A JSON string that keeps `rule`, or what is wrong with it.
///
/// # Errors
/// What it should be.
pub fn checked_text(raw: &RawValue, rule: TextRule) -> Result<String, Wrong> {
    let Ok(text) = serde_json::from_str::<String>(raw.get()) else {
        return Err(FieldCode::Kind.says("deve ser um texto"));
    };
    let chars = text.chars().count();
    if chars == 0 || chars > rule.max_chars {
        return Err(FieldCode::Length.says(format!("deve ter de 1 a {} caracteres; tem {chars}", rule.max_chars)));
    }
    let allowed = |c: char| rule.multiline && matches!(c, '\n' | '\r' | '\t');
    if let Some(control) = text.chars().find(|&c| c.is_control() && !allowed(c)) {
        let words = format!("não pode ter caracteres de controle (U+{:04X})", u32::from(control));
        return Err(FieldCode::ControlCharacters.says(words));
    }
    Ok(text)
}

/// A whole number of digits, with a minus before them or without: what Rust reads, less the plus sign.
pub fn whole_number(text: &str) -> Option<i64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// What is said of a name that is none of `known`, which are separated as in a sentence.
pub fn unknown_name(what: &str, name: &str, known: &str) -> String {
    if known.is_empty() {
        return format!("{what}; aqui não há nenhum");
    }
    let names = known.split([',', ';', ' ']).filter(|name| !name.is_empty());
    match suggest::nearest(name, names) {
        Some(meant) => format!("{what}; seria {meant}? Os aceitos são {known}"),
        None => format!("{what}; os aceitos são {known}"),
    }
}

/// What is said of a number outside of `range`, or of what is no whole number.
pub fn not_within(range: &RangeInclusive<i64>) -> Wrong {
    FieldCode::Number.says(format!("deve ser um número inteiro entre {} e {}", range.start(), range.end()))
}

fn malformed(detail: String) -> Problem {
    Problem::new(kind::MALFORMED_JSON, detail)
}

/// A client's name for something, as an answer repeats it.
pub fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(NAME_SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: TextRule = TextRule { max_chars: 5, multiline: false };

    fn wrong(body: &str) -> Vec<String> {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        fields.required_integer("n", 1..=10);
        fields.text("t", RULE);
        fields.required_exact_instant("i");
        fields.boolean("b");
        fields.finish("n, t, i, b").err().unwrap_or_default().into_iter().map(|error| error.campo).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert_eq!(wrong(r#"{"n": 1, "i": "2025-12-01T03:00:00Z", "t": null}"#), Vec::<String>::new());
        assert_eq!(wrong("{}"), ["n", "i"]);
        assert_eq!(wrong(r#"{"n": 0, "t": "longo demais", "i": 3, "b": "sim", "x": [1]}"#), ["n", "t", "i", "b", "x"]);
        assert_eq!(wrong(r#"{"n": 1, "n": 2, "i": "2025-12-01T03:00:00Z"}"#), ["n"]);
    }

    #[test]
    fn numbers_beyond_64_bits_are_wrong_fields_and_not_malformed() {
        for number in ["99999999999999999999999999", "-9223372036854775809", "1e999", "1.0", "\"1\"", "true", "[]"] {
            assert_eq!(wrong(&format!(r#"{{"n": {number}, "i": "2025-12-01T03:00:00Z"}}"#)), ["n"], "{number}");
        }
    }

    #[test]
    fn not_json_is_400_and_not_an_object_422() {
        assert_eq!(Fields::parse("\u{feff}{\"n\": 1}".as_bytes()).unwrap().integer("n", 1..=1), Some(1));
        for body in [
            "",
            "  ",
            "\u{feff}",
            "\u{feff}\u{feff}{}",
            "{\u{feff}}",
            "{",
            "{\"n\":}",
            "nada",
            "{} {}",
            "{'n': 1}",
            "{\"n\": 01}",
        ] {
            assert_eq!(Fields::parse(body.as_bytes()).unwrap_err().status(), 400, "{body}");
        }
        assert_eq!(Fields::parse(b"{\"n\": \"\xff\"}").unwrap_err().status(), 400);
        for body in ["[]", "1", "null", "\"texto\""] {
            assert_eq!(Fields::parse(body.as_bytes()).unwrap_err().status(), 422, "{body}");
        }
    }

    #[test]
    fn control_characters_and_emptiness_are_refused_in_texts() {
        for text in [r#""""#, r#""a\u0000""#, r#""a\nb""#, r#""\u001b[2J""#, r#""abcdef""#] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert!(checked_text(raw, RULE).is_err(), "{text}");
        }
        let raw: &RawValue = serde_json::from_str(r#""a\nb\t""#).unwrap();
        assert!(checked_text(raw, TextRule { multiline: true, ..RULE }).is_ok());
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut fields) = Fields::parse(&body) {
                fields.instant("i");
                let _ = fields.finish("i");
            }
        }
    }
}
