//! An error in one line with its causes.

use std::error::Error;

/// An error and its causes: hyper's own message is only "client error (Connect)".
pub fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
