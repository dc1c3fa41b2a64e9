//! Values as JSON, with room for it at first: most answers, records and events are about as long as the others of their kind.

use serde::Serialize;
use serde::ser::Error as _;
use serde_json::Error;

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
