//! Reads the fields of a record's line, and shows them as text.
//!
//! A trail may be older or newer than the program that reads it, so a record with more, fewer or other fields is still a record.
//! Fields are slices of the line and are parsed only when they are needed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::LEVEL;

/// A record's unparsed fields: [`text`] and [`number`] parse them. Any object whose `level` is `AUDIT` is a record; its other
/// fields do not matter.
#[derive(Debug, Deserialize)]
pub struct Record<'a> {
    #[serde(borrow)]
    level: Option<&'a RawValue>,
    /// Its number in the trail.
    #[serde(borrow)]
    pub seq: Option<&'a RawValue>,
    /// The instant at which it was made.
    #[serde(borrow)]
    pub timestamp_utc: Option<&'a RawValue>,
    /// The event.
    #[serde(borrow)]
    pub event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
    /// The service that recorded it.
    #[serde(borrow)]
    pub service: Option<&'a RawValue>,
    /// The request that caused it.
    #[serde(borrow)]
    pub req: Option<&'a RawValue>,
    /// The identifier that the client chose for that request, if it did.
    #[serde(borrow)]
    pub req_cliente: Option<&'a RawValue>,
    /// Who sent that request. Older records do not say it.
    #[serde(borrow)]
    pub autor: Option<&'a RawValue>,
    /// Where it came from.
    #[serde(borrow)]
    pub ip: Option<&'a RawValue>,
    /// The hash of the record before.
    #[serde(borrow)]
    pub prev: Option<&'a RawValue>,
    /// Its link in the chain.
    #[serde(borrow)]
    pub hash: Option<&'a RawValue>,
}

/// The booking that a record is about, if it is about one.
pub fn booking_of(line: &str) -> Option<i64> {
    let record: Record<'_> = serde_json::from_str(line).ok()?;
    record.details().ok()?.agendamento_id?.get().parse().ok()
}

/// The known fields of `details`, of all events together.
#[derive(Debug, Default, Deserialize)]
pub struct Details<'a> {
    #[serde(borrow)]
    pub agendamento_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub cientista_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub cientista_nome: Option<&'a RawValue>,
    #[serde(borrow)]
    pub telescopio: Option<&'a RawValue>,
    #[serde(borrow)]
    pub horario_inicio_utc: Option<&'a RawValue>,
    #[serde(borrow)]
    pub horario_fim_utc: Option<&'a RawValue>,
    #[serde(borrow)]
    pub token: Option<&'a RawValue>,
    #[serde(borrow)]
    pub alvo: Option<&'a RawValue>,
    #[serde(borrow)]
    pub motivo: Option<&'a RawValue>,
    #[serde(borrow)]
    pub codigo: Option<&'a RawValue>,
    #[serde(borrow)]
    pub instante_clique_utc: Option<&'a RawValue>,
    #[serde(borrow)]
    pub ocupado_por: Option<&'a RawValue>,
    #[serde(borrow)]
    pub versao: Option<&'a RawValue>,
    #[serde(borrow)]
    pub modo: Option<&'a RawValue>,
    #[serde(borrow)]
    pub pid: Option<&'a RawValue>,
    #[serde(borrow)]
    pub endereco: Option<&'a RawValue>,
    #[serde(borrow)]
    pub ativo_ha_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    pub recurso: Option<&'a RawValue>,
    #[serde(borrow)]
    pub dono: Option<&'a RawValue>,
    #[serde(borrow)]
    pub estado_anterior: Option<&'a RawValue>,
    #[serde(borrow)]
    pub antes: Option<&'a RawValue>,
    #[serde(borrow)]
    pub depois: Option<&'a RawValue>,
}

impl<'a> Record<'a> {
    /// Whether it is a record, by its `level`.
    pub fn is_audit(&self) -> bool {
        text(self.level) == LEVEL
    }

    /// The event's details; empty if they are not an object. An object with the same field twice is an error, because the two
    /// values may differ.
    pub fn details(&self) -> serde_json::Result<Details<'a>> {
        match self.details {
            Some(raw) if raw.get().starts_with('{') => serde_json::from_str(raw.get()),
            _ => Ok(Details::default()),
        }
    }
}

impl Details<'_> {
    /// The reason of an event; of a lock that was taken away, after its name and its owner.
    pub fn why(&self) -> String {
        let reason = text(self.motivo.or(self.codigo));
        let lock = text(self.recurso);
        if lock.is_empty() {
            return reason.into_owned();
        }
        let owner = self.dono.map_or_else(String::new, |owner| format!(" ({})", text(Some(owner))));
        let colon = if reason.is_empty() { "" } else { ": " };
        format!("{lock}{owner}{colon}{reason}")
    }
}

/// A field as text: a string without its quotes and escapes, any other value as it is written, a missing field as empty.
pub fn text(field: Option<&RawValue>) -> Cow<'_, str> {
    let Some(written) = field.map(RawValue::get) else { return Cow::Borrowed("") };
    match written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        // An escape of half a surrogate pair is valid JSON, but not valid UTF-8: the string is shown as written.
        Some(_) => serde_json::from_str(written).map_or(Cow::Borrowed(written), Cow::Owned),
        None => Cow::Borrowed(written),
    }
}

/// A field as an integer, if its value is one. `7`, `7.0` and `70e-1` are the same integer.
pub fn number(field: Option<&RawValue>) -> Option<i64> {
    /// Up to this value (2^53), a floating-point number holds every integer exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let written = field?.get();
    written.parse().ok().or_else(|| {
        let number = written.parse().ok().filter(|number: &f64| number.fract() == 0.0 && number.abs() <= EXACT)?;
        #[expect(clippy::cast_possible_truncation, reason = "it is an integer, and not too large")]
        Some(number as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_shown_without_escapes_and_other_values_as_written() {
        let raw = |written: &str| RawValue::from_string(written.to_owned()).unwrap();
        for (written, shown) in [
            (r#""Marie Curie""#, "Marie Curie"),
            (r#""a\"b\n\u001b""#, "a\"b\n\u{1b}"),
            ("4711", "4711"),
            ("[1, 2]", "[1, 2]"),
            (r#""\ud800""#, r#""\ud800""#),
        ] {
            assert_eq!(text(Some(&raw(written))), shown);
        }
        assert_eq!(text(None), "");
    }

    #[test]
    fn details_that_are_not_an_object_are_empty() {
        let read = |line| {
            serde_json::from_str::<Record<'_>>(line).unwrap().details().unwrap().agendamento_id.map(RawValue::get)
        };
        assert_eq!(read(r#"{"details":{"agendamento_id":12,"x":[]}}"#), Some("12"));
        for line in [r#"{"details":[12]}"#, r#"{"details":null}"#, "{}"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
