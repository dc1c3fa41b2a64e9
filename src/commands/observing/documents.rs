//! The scheduler's documents, as far as these commands read them.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::http::links::ReadLink;
use crate::time::Timestamp;

/// A document, and its links by relation.
#[derive(Clone, Debug)]
pub struct Document(pub Value);

impl Document {
    /// Where a link leads.
    pub fn link(&self, relation: &str) -> Option<ReadLink> {
        ReadLink::deserialize(&self.0["_links"][relation]).ok()
    }

    /// The document as one of those below.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> serde_json::Result<T> {
        T::deserialize(&self.0)
    }
}

/// A booking.
#[derive(Clone, Debug, Deserialize)]
pub struct Booking {
    /// Its identifier.
    pub id: i64,
    /// Its telescope's identifier.
    pub telescopio: String,
    /// Its scientist.
    pub cientista_id: i64,
    /// When it starts.
    #[serde(rename = "horario_inicio_utc", deserialize_with = "instant")]
    pub start: Timestamp,
    /// When it ends.
    #[serde(rename = "horario_fim_utc", deserialize_with = "instant")]
    pub end: Timestamp,
    /// `AGENDADO` or `CANCELADO`.
    pub status: String,
    /// What is observed.
    #[serde(default)]
    pub alvo: Option<String>,
    /// The instant of the click that made it.
    #[serde(default, rename = "instante_clique_utc", deserialize_with = "optional_instant")]
    pub clicked: Option<Timestamp>,
}

impl Booking {
    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.status == "CANCELADO"
    }
}

/// A period of a telescope, slot by slot.
#[derive(Clone, Debug, Deserialize)]
pub struct Agenda {
    /// The telescope's identifier.
    pub telescopio: String,
    /// Whether it takes any date.
    #[serde(default)]
    pub simulado: bool,
    /// The official time.
    #[serde(rename = "agora_utc", deserialize_with = "instant")]
    pub now: Timestamp,
    /// Its slots, in order.
    pub horarios: Vec<Slot>,
    /// The bookings in it.
    pub agendamentos: Vec<Value>,
}

/// A slot of an agenda.
#[derive(Clone, Debug, Deserialize)]
pub struct Slot {
    /// When it starts.
    #[serde(rename = "horario_inicio_utc", deserialize_with = "instant")]
    pub start: Timestamp,
    /// Whether it is free, booked, past or closed.
    pub estado: String,
    /// The booking that has it.
    #[serde(default)]
    pub agendamento_id: Option<i64>,
    /// How many bookings have it.
    #[serde(default)]
    pub vezes_agendado: u64,
}

/// The starts that are free near an instant.
#[derive(Clone, Debug, Deserialize)]
pub struct Free {
    /// The nearest one first.
    pub livres: Vec<FreeStart>,
}

/// A start that is free.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct FreeStart {
    /// When it is.
    #[serde(rename = "horario_inicio_utc", deserialize_with = "instant")]
    pub start: Timestamp,
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    parsed(&String::deserialize(deserializer)?)
}

fn optional_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|text| parsed(&text)).transpose()
}

fn parsed<E: serde::de::Error>(text: &str) -> Result<Timestamp, E> {
    Timestamp::parse_rfc3339(text).map_err(|_| E::custom("not an instant"))
}
