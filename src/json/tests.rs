//! What is written equals what `serde_json` writes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::*;

fn written(value: &impl Serialize) -> String {
    to_string(value, 0).unwrap()
}

fn assert_same(value: &impl Serialize) {
    assert_eq!(written(value), serde_json::to_string(value).unwrap());
}

#[derive(Serialize)]
struct Pair(i8, &'static str);

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
enum Kind {
    Nothing,
    One(Option<u8>),
    Two(u16, f32),
    Named { a: char, b: () },
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    more: BTreeMap<&'a str, u64>,
    kinds: [Kind; 5],
    pair: Pair,
    unit: Unit,
    none: Option<&'a str>,
    bytes: &'a [u8],
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<i128>,
    numbers: BTreeMap<i64, bool>,
    floats: (f64, f64, f64),
}

#[test]
fn each_kind_of_value_is_written_as_serde_json_does() {
    let two = Kind::Two(7, 1.5);
    assert_same(&Whole {
        more: BTreeMap::from([("x", u64::MAX), ("", 0)]),
        kinds: [Kind::Nothing, Kind::One(Some(1)), Kind::One(None), two, Kind::Named { a: '"', b: () }],
        pair: Pair(-3, "a\"b"),
        unit: Unit,
        none: None,
        bytes: b"ab",
        left_out: None,
        numbers: BTreeMap::from([(-1, true), (2, false)]),
        floats: (0.1, f64::NAN, -0.0),
    });
}

#[test]
fn a_value_that_cannot_be_written_says_why() {
    struct Never;
    impl Serialize for Never {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("nunca"))
        }
    }
    assert_eq!(to_vec(&[Never], 0).unwrap_err().to_string(), "nunca");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Any text, and plain ones of all lengths.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[a-z]{0,40}", "[ -~]{0,20}", "[a-z]{0,20}[\\x00-\\x22\\x5c\\x7f-\\x80][a-z]{0,20}"]
}

proptest! {
    #[test]
    fn any_value_is_written_as_serde_json_does(value in json()) {
        prop_assert_eq!(written(&value), value.to_string());
    }

    #[test]
    fn any_text_is_written_as_serde_json_does(text in text()) {
        prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
    }
}
