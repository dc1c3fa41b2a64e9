//! Values as JSON: the same bytes that `serde_json` writes, in fewer steps. `serde_json` looks at each byte of a text for what it must
//! escape. Here eight bytes are looked at together, and `serde_json` writes the few texts that have something to be escaped, and the numbers.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::eights;

/// Why a value cannot be written: it says so itself.
pub type Error = serde_json::Error;

/// The JSON of a value, with room for so many bytes at first.
///
/// # Errors
/// Those of the value.
pub fn to_vec(value: &(impl Serialize + ?Sized), room: usize) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(room);
    append(&mut json, value)?;
    Ok(json)
}

/// The JSON of a value as a text, with room for so many bytes at first.
///
/// # Errors
/// Those of the value.
pub fn to_string(value: &(impl Serialize + ?Sized), room: usize) -> Result<String, Error> {
    String::from_utf8(to_vec(value, room)?).map_err(Error::custom)
}

/// Appends the JSON of a value.
///
/// # Errors
/// Those of the value.
pub fn append(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    value.serialize(Writer(json))
}

/// Writes one value at the end of what is there.
struct Writer<'a>(&'a mut Vec<u8>);

/// Appends a text between quotation marks.
fn push_text(json: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    let is_plain = eights::all(text, |eight| !eight.has_below(b' ') && !eight.has(b'"') && !eight.has(b'\\'));
    if !is_plain {
        return serde_json::to_writer(json, text);
    }
    json.reserve(text.len() + 2);
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
    Ok(())
}

/// What `serde_json` writes as well as can be.
macro_rules! as_serde_json {
    ($($name:ident($type:ty)),*) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            serde_json::Serializer::new(self.0).$name(value)
        })*
    };
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    as_serde_json!(
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_bytes(&[u8])
    );

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        push_text(self.0, text)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), Error> {
        push_text(self.0, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        Parts::of_variant(self.0, variant, "", "}")?.value(value)?.close()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(Parts::begin(self.0, "[", "]"))
    }

    fn serialize_tuple(self, _length: usize) -> Result<Parts<'a>, Error> {
        Ok(Parts::begin(self.0, "[", "]"))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Parts<'a>, Error> {
        Ok(Parts::begin(self.0, "[", "]"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Parts<'a>, Error> {
        Parts::of_variant(self.0, variant, "[", "]}")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(Parts::begin(self.0, "{", "}"))
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Parts<'a>, Error> {
        // In this way `RawValue` tells the serializer of `serde_json` that its text is JSON already.
        if name.starts_with('$') {
            return Err(Error::custom(format_args!("{name} is for serde_json alone")));
        }
        Ok(Parts::begin(self.0, "{", "}"))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Parts<'a>, Error> {
        Parts::of_variant(self.0, variant, "{", "}}")
    }
}

/// A list or an object that is being written.
struct Parts<'a> {
    json: &'a mut Vec<u8>,
    is_empty: bool,
    end: &'static str,
}

impl<'a> Parts<'a> {
    fn begin(json: &'a mut Vec<u8>, start: &str, end: &'static str) -> Self {
        json.extend_from_slice(start.as_bytes());
        Self { json, is_empty: true, end }
    }

    /// The value of an enum's variant: an object whose one member has the variant's name.
    fn of_variant(json: &'a mut Vec<u8>, variant: &str, start: &str, end: &'static str) -> Result<Self, Error> {
        json.push(b'{');
        push_text(json, variant)?;
        json.push(b':');
        Ok(Self::begin(json, start, end))
    }

    fn separate(&mut self) {
        if !self.is_empty {
            self.json.push(b',');
        }
        self.is_empty = false;
    }

    fn value<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, Error> {
        value.serialize(Writer(self.json))?;
        Ok(self)
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        value.serialize(Writer(self.json))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.separate();
        push_text(self.json, name)?;
        self.json.push(b':');
        value.serialize(Writer(self.json))
    }

    #[expect(clippy::unnecessary_wraps, reason = "the traits below want a result")]
    fn close(self) -> Result<(), Error> {
        self.json.extend_from_slice(self.end.as_bytes());
        Ok(())
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    /// A key that is no text, such as a number, becomes one.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.separate();
        let start = self.json.len();
        key.serialize(Writer(self.json))?;
        if self.json.get(start) != Some(&b'"') {
            self.json.insert(start, b'"');
            self.json.push(b'"');
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.json.push(b':');
        value.serialize(Writer(self.json))
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// The traits of all lists, or of all objects, say the same under several names.
macro_rules! parts {
    ($($trait:ident: $method:ident = $part:ident($($name:ident)?)),*) => {
        $(impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), Error> {
                self.$part($($name,)? value)
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        })*
    };
}

parts!(
    SerializeSeq: serialize_element = item(),
    SerializeTuple: serialize_element = item(),
    SerializeTupleStruct: serialize_field = item(),
    SerializeTupleVariant: serialize_field = item(),
    SerializeStruct: serialize_field = field(name),
    SerializeStructVariant: serialize_field = field(name)
);

#[cfg(test)]
mod tests {
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
    fn what_only_serde_json_can_write_is_refused() {
        let raw: &serde_json::value::RawValue = serde_json::from_str("1").unwrap();
        assert!(to_vec(&[raw], 0).unwrap_err().to_string().contains("RawValue"));
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
}
