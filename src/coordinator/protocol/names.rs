//! The texts inside messages: names of resources, owners and requests, and a lease's identity.

use std::borrow::Cow;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::limits::{NAME_MAX_BYTES, RESOURCES_MAX};
use crate::coordinator::table::{LeaseId, Measure, NotLive};
use crate::http::fields::{TextRule, checked_text};
use crate::http::wrong::{FieldCode, Wrong};

/// Why a lease is not live, as the wire and the log name it.
pub fn not_live(why: NotLive) -> &'static str {
    match why {
        NotLive::AlreadyReleased => "ja_liberado",
        NotLive::Expired => "expirado",
        NotLive::Forced => "forcado",
        NotLive::Unknown => "desconhecido",
    }
}

/// What a bound of the table counts, as the wire and the log name it.
pub const fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Count => "limite",
        Measure::Bytes => "limite_bytes",
    }
}

/// What a client's quota counts, as the wire and the log name it.
pub const fn quota(places: bool) -> &'static str {
    if places { "espera" } else { "travas" }
}

/// Writes a lease's identity as 32 hexadecimal digits.
pub fn write_lease<S: Serializer>(lease: &LeaseId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(lease)
}

/// Reads what [`write_lease`] writes.
pub fn read_lease<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LeaseId, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Text(text) = Text::deserialize(deserializer)?;
    LeaseId::parse(&text).ok_or_else(|| D::Error::custom("trava_id não tem 32 algarismos hexadecimais"))
}

/// A lease's identity inside a message that is written.
pub struct WrittenLease(pub LeaseId);

impl Serialize for WrittenLease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_lease(&self.0, serializer)
    }
}

/// The name of an owner or a request.
pub fn checked_name(raw: &RawValue) -> Result<String, Wrong> {
    let name = checked_text(raw, TextRule { max_chars: NAME_MAX_BYTES, multiline: false })?;
    if name.len() > NAME_MAX_BYTES {
        return Err(FieldCode::Length.says(format!("deve ter até {NAME_MAX_BYTES} bytes; tem {}", name.len())));
    }
    Ok(name)
}

/// The name of a resource. It is a segment of its address's path, so it may not be `.` or `..`: clients that follow a link
/// resolve those, encoded or not.
pub fn checked_resource(raw: &RawValue) -> Result<String, Wrong> {
    let name = checked_name(raw)?;
    if matches!(name.as_str(), "." | "..") {
        return Err("não pode ser . nem .., que num caminho de URL têm outro significado".into());
    }
    Ok(name)
}

/// A list of distinct resources.
pub fn checked_resources(raw: &RawValue) -> Result<Vec<String>, Wrong> {
    let Ok(raw_names) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        return Err(FieldCode::Kind.says("deve ser uma lista de nomes"));
    };
    if raw_names.is_empty() || raw_names.len() > RESOURCES_MAX {
        let words = format!("deve ter de 1 a {RESOURCES_MAX} nomes; tem {}", raw_names.len());
        return Err(FieldCode::Length.says(words));
    }
    let mut names = Vec::with_capacity(raw_names.len());
    for (index, raw) in raw_names.into_iter().enumerate() {
        let checked = checked_resource(raw);
        names.push(checked.map_err(|Wrong { code, words }| code.says(format!("o nome na posição {index} {words}")))?);
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
        return Err(FieldCode::Repeated.says(format!("traz \"{twice}\" mais de uma vez")));
    }
    Ok(names)
}
