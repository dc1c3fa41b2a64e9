//! Numbers and names among the fields of a request.

use super::names::checked_name;
use crate::http::fields::Fields;

pub(super) fn integer(fields: &mut Fields<'_>, name: &str, min: u64, max: u64) -> Option<u64> {
    fields.integer(name, min.cast_signed()..=max.cast_signed()).map(i64::cast_unsigned)
}

pub(super) fn name(fields: &mut Fields<'_>, field: &str) -> Option<String> {
    match checked_name(fields.take(field)?) {
        Ok(name) => Some(name),
        Err(message) => {
            fields.reject(field, message);
            None
        }
    }
}
