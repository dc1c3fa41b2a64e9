//! What a service said that was asked how it is, or why it did not answer, in words: for `health` and `status`.

use std::borrow::Cow;

use rust_i18n::t;
use serde_json::Value;

use crate::http::client::AnswerError;
use crate::http::unreachable::Peer;
use crate::language::chain;
use crate::text::escaped;

/// Why a service did not answer, and what to do about it, in words that follow its URL. `other` is the option that names another address.
pub fn no_answer(error: &AnswerError, peer: Peer, other: &str) -> String {
    let cause = error.cause();
    let advice = cause.advice(peer, other);
    // The advice says all that is known of most causes.
    let said = if cause.is_explained() {
        t!("did not answer: %{advice}", advice = advice)
    } else {
        t!("did not answer: %{failure}; %{advice}", failure = escaped(&chain(error)), advice = advice)
    };
    said.into_owned()
}

/// The parts that are not well, by a service's answer to `GET /pronto`: the name of each on the wire, and what to say of it. The reason
/// is the service's own, in its language, and so it stands in quotes.
pub fn faulty_parts(answer: &Value) -> impl Iterator<Item = (&str, String)> {
    let parts = answer["partes"].as_object().into_iter().flatten();
    let parts = parts.map(|(part, state)| (part.as_str(), state.as_str().unwrap_or_default()));
    let faulty = parts.filter(|(_, state)| *state != "ok");
    faulty.map(|(part, state)| (part, format!("{}: \"{}\"", part_in_words(part), escaped(state))))
}

/// A part of a service.
fn part_in_words(name: &str) -> Cow<'_, str> {
    match name {
        "banco" => t!("the database"),
        "coordenador" => t!("the coordinator"),
        "auditoria" => t!("the audit trail"),
        "carencia" => t!("the grace after a restart"),
        "tokens" => t!("the limits on disk"),
        "eleicao" => t!("the election"),
        "registro" => t!("the log"),
        // A later version's.
        other => escaped(other).into(),
    }
}
