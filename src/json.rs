//! Values as JSON, with room for it at first: most answers, records and events are about as long as the others of their kind.
//!
//! And values from the bytes of a body.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Error;

/// Reads a value from the bytes of its JSON. They are checked as UTF-8 all together, which takes less than text by text.
///
/// # Errors
/// When they are not UTF-8, or no such value.
pub fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Error> {
    serde_json::from_str(std::str::from_utf8(json).map_err(Error::custom)?)
}

/// The JSON of a value, with room for so many bytes at first.
///
/// # Errors
/// Those of the value.
pub fn to_vec(value: &(impl Serialize + ?Sized), room: usize) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(room);
    serde_json::to_writer(&mut json, value)?;
    Ok(json)
}

/// The JSON of a value as a text, with room for so many bytes at first.
///
/// # Errors
/// Those of the value.
pub fn to_string(value: &(impl Serialize + ?Sized), room: usize) -> Result<String, Error> {
    String::from_utf8(to_vec(value, room)?).map_err(Error::custom)
}
