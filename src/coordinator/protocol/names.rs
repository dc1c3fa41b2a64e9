//! The texts inside messages: names of resources, owners and requests, and a lease's identity.

use std::borrow::Cow;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::limits::{NAME_MAX_BYTES, RESOURCES_MAX};
use crate::coordinator::table::{LeaseId, Measure, NotLive};
use crate::http::fields::{TextRule, text_of};
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
    let mut digits = [0; 2 * size_of::<u128>()];
    let text = base16ct::lower::encode_str(&lease.0.to_be_bytes(), &mut digits);
    // There is room for two digits of each byte.
    serializer.serialize_str(text.expect("32 digits have room"))
}

/// Reads what [`write_lease`] writes.
pub fn read_lease<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LeaseId, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Text(text) = Text::deserialize(deserializer)?;
    LeaseId::parse(&text).ok_or_else(|| D::Error::custom("trava_id não tem 32 algarismos hexadecimais"))
}

/// A lease's identity inside a message.
#[derive(Clone, Copy)]
pub struct WrittenLease(pub LeaseId);

impl<'de> Deserialize<'de> for WrittenLease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_lease(deserializer).map(Self)
    }
}

impl Serialize for WrittenLease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_lease(&self.0, serializer)
    }
}

/// Checks the name of an owner or a request.
pub fn check_name(name: &str) -> Result<(), Wrong> {
    TextRule { max_chars: NAME_MAX_BYTES, multiline: false }.check(name)?;
    if name.len() > NAME_MAX_BYTES {
        return Err(FieldCode::Length.says(format!("deve ter até {NAME_MAX_BYTES} bytes; tem {}", name.len())));
    }
    Ok(())
}

/// Checks the name of a resource. It is a segment of its address's path, so it may not be `.` or `..`: clients that follow a link
/// resolve those, encoded or not.
pub fn check_resource(name: &str) -> Result<(), Wrong> {
    check_name(name)?;
    if matches!(name, "." | "..") {
        return Err("não pode ser . nem .., que num caminho de URL têm outro significado".into());
    }
    Ok(())
}

/// Checks a list of resources: how many they are, the name of each, and that they are distinct.
pub fn check_resources(names: &[impl AsRef<str>]) -> Result<(), Wrong> {
    check_count(names.len())?;
    for (index, name) in names.iter().enumerate() {
        check_resource(name.as_ref()).map_err(|wrong| at(index, wrong))?;
    }
    if names.len() == 1 {
        return Ok(());
    }
    let mut sorted: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
        Some(twice) => Err(FieldCode::Repeated.says(format!("traz \"{twice}\" mais de uma vez"))),
        None => Ok(()),
    }
}

/// Checks how many resources a list has.
fn check_count(count: usize) -> Result<(), Wrong> {
    if (1..=RESOURCES_MAX).contains(&count) {
        return Ok(());
    }
    Err(FieldCode::Length.says(format!("deve ter de 1 a {RESOURCES_MAX} nomes; tem {count}")))
}

/// What is wrong with the name at this place of a list.
fn at(index: usize, Wrong { code, words }: Wrong) -> Wrong {
    code.says(format!("o nome na posição {index} {words}"))
}

/// Reads the name of an owner or a request.
pub fn checked_name(raw: &RawValue) -> Result<String, Wrong> {
    let name = text_of(raw)?;
    check_name(&name).map(|()| name)
}

/// Reads the name of a resource.
pub fn checked_resource(raw: &RawValue) -> Result<String, Wrong> {
    let name = text_of(raw)?;
    check_resource(&name).map(|()| name)
}

/// Reads a list of distinct resources.
pub fn checked_resources(raw: &RawValue) -> Result<Vec<String>, Wrong> {
    let Ok(names) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        return Err(FieldCode::Kind.says("deve ser uma lista de nomes"));
    };
    // Before a text is made of each.
    check_count(names.len())?;
    let read = |(index, raw)| text_of(raw).map_err(|wrong| at(index, wrong));
    let names = names.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    check_resources(&names).map(|()| names)
}
