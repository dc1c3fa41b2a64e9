//! What a service said that was asked how it is, or why it did not answer, in words: for `health` and `status`.

use std::borrow::Cow;

use rust_i18n::t;
use serde_json::Value;

use crate::http::client::AnswerError;
use crate::http::unreachable::Peer;
use crate::language::chain;
use crate::scheduler::NOT_USED;
use crate::text::escaped;

/// Why a service could not be asked, or did not answer, and what to do about it, in words that follow its URL. `other` is the option that
/// names another address.
pub fn no_answer(error: &AnswerError, peer: Peer, other: &str) -> String {
    let cause = error.cause();
    let advice = cause.advice(peer, other);
    // The advice says all that is known of most causes.
    let said = if cause.is_here() {
        t!("cannot be asked: %{advice}", advice = advice)
    } else if cause.is_explained() {
        t!("did not answer: %{advice}", advice = advice)
    } else {
        t!("did not answer: %{failure}; %{advice}", failure = escaped(&chain(error)), advice = advice)
    };
    said.into_owned()
}

/// The parts that are not well, by a service's answer to `GET /pronto`: the name of each on the wire, and what to say of it.
pub fn faulty_parts(answer: &Value) -> impl Iterator<Item = (&str, String)> {
    texts(answer, "partes")
        .filter(|(_, state)| !matches!(*state, "ok" | NOT_USED))
        .map(|(part, state)| (part, quoted(part, state)))
}

/// What a service's answer to `GET /pronto` warns of: nothing is wrong yet, but it will be.
pub fn warnings(answer: &Value) -> impl Iterator<Item = String> {
    texts(answer, "avisos").map(|(part, text)| quoted(part, text))
}

/// The texts of a member of an answer, each with its name.
fn texts<'a>(answer: &'a Value, member: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let members = answer[member].as_object().into_iter().flatten();
    members.map(|(name, text)| (name.as_str(), text.as_str().unwrap_or_default()))
}

/// What a service says of one of its parts. Its own words are in its language, and so they stand in quotes.
fn quoted(part: &str, words: &str) -> String {
    format!("{}: \"{}\"", part_in_words(part), escaped(words))
}

/// A part of a service.
fn part_in_words(name: &str) -> Cow<'_, str> {
    match name {
        "banco" => t!("the database"),
        "coordenador" => t!("the coordinator"),
        "auditoria" => t!("the audit trail"),
        "carencia" => t!("the grace after a restart"),
        "tokens" => t!("the limits on disk"),
        "parada" => t!("its stop"),
        "eleicao" => t!("the election"),
        "registro" => t!("the log"),
        "paginas" => t!("the pages of the database"),
        "wal" => t!("the write-ahead log of the database"),
        "replica" => t!("the standby of the database"),
        // A later version's.
        other => escaped(other).into(),
    }
}
