//! Which values of a field are wrong, and which bodies are not JSON.

use proptest::prelude::*;

use super::*;

const RULE: TextRule = TextRule { max_chars: 5, multiline: false };

fn wrong(body: &str) -> Vec<String> {
    let mut fields = Fields::parse(body.as_bytes()).unwrap();
    fields.required_integer_as("n", 1..=10, "de 1 a 10");
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
fn another_type_than_a_number_is_told_from_a_number_out_of_range() {
    for (value, code) in [
        ("\"1\"", FieldCode::Kind),
        ("true", FieldCode::Kind),
        ("[1]", FieldCode::Kind),
        ("{}", FieldCode::Kind),
        ("0", FieldCode::Number),
        ("-1", FieldCode::Number),
        ("1.0", FieldCode::Number),
        ("1e0", FieldCode::Number),
        ("99999999999999999999", FieldCode::Number),
    ] {
        let body = format!(r#"{{"n": {value}}}"#);
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        assert_eq!(fields.integer("n", 1..=10), None);
        let error = fields.finish("n").unwrap_err().remove(0);
        let words = "deve ser um número inteiro entre 1 e 10";
        assert_eq!((error.codigo, error.mensagem.as_str()), (code, words), "{value}");
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
