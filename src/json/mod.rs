//! Values as JSON: the same bytes that `serde_json` writes, in fewer steps. `serde_json` looks at each byte of a text for what it must
//! escape. Here eight bytes are looked at together, and `serde_json` writes the few texts that have something to be escaped, and the numbers.

mod parts;

use serde::ser::{Error as _, Serialize, Serializer};

use self::parts::Parts;
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
        // In this way serde_json's own types tell its serializer that their text is JSON already.
        debug_assert!(!name.starts_with('$'), "{name} is serde_json's own");
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

#[cfg(test)]
mod tests;
