//! A derived reader that takes only an object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value that stands in the text as an object. A derived reader of a struct also takes a list of the struct's values, in their
/// order: this one does not.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyObject<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyObject<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("um objeto")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OnlyObject(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Deserialize)]
    struct Pair<'a> {
        name: &'a str,
        #[serde(borrow)]
        value: &'a RawValue,
    }

    #[test]
    fn a_list_is_no_object() {
        let list = r#"["one", [2]]"#;
        assert!(serde_json::from_str::<Pair<'_>>(list).is_ok(), "a derived reader takes it");
        assert!(serde_json::from_str::<Object<Pair<'_>>>(list).is_err());
        let Object(Pair { name, value }) = serde_json::from_str(r#" {"value": [ 2], "name": "one"}"#).unwrap();
        assert_eq!((name, value.get()), ("one", "[ 2]"));
    }
}
