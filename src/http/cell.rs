//! A text as a CSV cell that no spreadsheet runs as a formula.
//!
//! People type names and targets. A spreadsheet runs a text that begins with `=`, `+`, `-` or `@` as a formula
//! ([OWASP](https://owasp.org/www-community/attacks/CSV_Injection)). `docs/LOGGING.md` says how to get the text back.

use std::borrow::Cow;

use crate::text::{escaped, is_unsafe};

/// The cell of a text.
pub fn cell(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(|c: char| is_sign(c) || c == '\\' || is_unsafe(c)) { Cow::Owned(harmless(&text)) } else { text }
}

/// A text as a cell that is no formula and has no invisible characters. An apostrophe is put before a sign at the beginning, and
/// unsafe characters are escaped as in JSON. In some locales Excel separates cells by `;`, so a cell also begins after a `;`.
fn harmless(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 1);
    let mut begins = true;
    for c in text.chars() {
        if begins && is_sign(c) {
            cell.push('\'');
            begins = false;
        }
        match c {
            '\\' => cell.push_str("\\\\"),
            // Inside the quotes of RFC 4180 these are part of the text.
            '\n' | '\r' | '\t' => cell.push(c),
            c if is_unsafe(c) => cell.push_str(&escaped(c.encode_utf8(&mut [0; 4]))),
            c => cell.push(c),
        }
        begins = c == ';' || (begins && c.is_whitespace());
    }
    cell
}

/// Whether a character at the beginning of a cell gets an apostrophe before it. These are the signs of a formula (halfwidth and
/// fullwidth), the white space that a spreadsheet skips before a formula, and the apostrophe itself: a typed apostrophe must
/// differ from an added one.
fn is_sign(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '\t' | '\r' | '\n' | '\'')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(json: &str) -> String {
        cell(serde_json::from_str::<String>(json).unwrap().into()).into_owned()
    }

    /// Restores the recorded text by the rule of `docs/LOGGING.md`.
    fn undone(cell: &str) -> String {
        let (mut plain, mut begins) = (String::new(), true);
        for c in cell.chars() {
            if begins && c == '\'' {
                begins = false;
                continue;
            }
            plain.push(c);
            begins = c == ';' || (begins && c.is_whitespace());
        }
        // The rest is the inside of a JSON string in which quotes and line breaks are not escaped.
        let json: String = plain
            .chars()
            .map(|c| match c {
                '"' => "\\\"".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                c => c.to_string(),
            })
            .collect();
        serde_json::from_str(&format!("\"{json}\"")).unwrap()
    }

    #[test]
    fn a_formula_becomes_a_text() {
        for (json, written) in [
            (r#""=HYPERLINK(\"http://x\")""#, "'=HYPERLINK(\"http://x\")"),
            (r#""@SUM(1)""#, "'@SUM(1)"),
            (r#""+1""#, "'+1"),
            (r#""-1""#, "'-1"),
            (r#""\t=1""#, "'\t=1"),
            (r#""\r=1""#, "'\r=1"),
            (r#""  =1""#, "  '=1"),
            (r#""\u00a0=1""#, "\u{a0}'=1"),
            (r#""＝1""#, "'＝1"),
            (r#""a;=1""#, "a;'=1"),
            (r#""a; @b;-c""#, "a; '@b;'-c"),
            (r#""'a""#, "''a"),
            (r#""a=1+1-b@c""#, "a=1+1-b@c"),
            (r#""2025-12-01T03:00:00Z""#, "2025-12-01T03:00:00Z"),
            (r#""a\nb""#, "a\nb"),
            (r#""a\\u202e""#, "a\\\\u202e"),
            (r#""\u202eb\u200f\u061c\u001b""#, "\\u202eb\\u200f\\u061c\\u001b"),
        ] {
            assert_eq!(shown(json), written, "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula_and_each_text_can_be_restored(
            text in r#"([=+@;' \t\r\n\\"-]|\PC|\u{202e}|\u{feff}|\u{1b}){0,12}"#
        ) {
            let cell = shown(&serde_json::to_string(&text).unwrap());
            let formula = |part: &str| part.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
            prop_assert!(!cell.split(';').any(formula), "{:?}", cell);
            prop_assert!(!cell.starts_with(['\t', '\r', '\n']), "{:?}", cell);
            prop_assert_eq!(undone(&cell), text);
        }
    }
}
