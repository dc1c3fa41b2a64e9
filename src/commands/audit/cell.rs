//! A record's field as a CSV cell that no spreadsheet runs as a formula. Numbers stay numbers.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::audit::fields::text;
use crate::http::cell::cell as harmless;

/// A field's cell.
pub fn cell(field: Option<&RawValue>) -> Cow<'_, str> {
    let is_number = field.is_some_and(|raw| raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()));
    let text = text(field);
    if is_number { text } else { harmless(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_becomes_a_text_and_a_number_stays_a_number() {
        for (json, written) in [
            (r#""=1""#, "'=1"),
            (r#""-5""#, "'-5"),
            ("-5", "-5"),
            ("-1.5e3", "-1.5e3"),
            ("4711", "4711"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(cell(Some(&RawValue::from_string(json.to_owned()).unwrap())), written, "{json}");
        }
        assert_eq!(cell(None), "");
    }
}
