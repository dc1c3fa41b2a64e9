//! The parts of a list or of an object, one after the other.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Error, Writer, push_text};

/// A list or an object that is being written.
pub struct Parts<'a> {
    json: &'a mut Vec<u8>,
    is_empty: bool,
    end: &'static str,
}

impl<'a> Parts<'a> {
    pub fn begin(json: &'a mut Vec<u8>, start: &str, end: &'static str) -> Self {
        json.extend_from_slice(start.as_bytes());
        Self { json, is_empty: true, end }
    }

    /// The value of an enum's variant: an object whose one member has the variant's name.
    pub fn of_variant(json: &'a mut Vec<u8>, variant: &str, start: &str, end: &'static str) -> Result<Self, Error> {
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

    pub fn value<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, Error> {
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
    pub fn close(self) -> Result<(), Error> {
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
