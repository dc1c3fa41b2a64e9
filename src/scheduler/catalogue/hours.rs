//! The hours of operation of a telescope, as a client gives them.

use serde_json::value::RawValue;

use crate::agenda::SLOT_MIN;
use crate::agenda::hours::{DAYS, Hours, WINDOWS_MAX, Window};
use crate::http::fields::{Fields, TextRule, whole_number};
use crate::http::problem::FieldError;
use crate::http::wrong::FieldCode;

/// The field.
pub const HOURS: &str = "horas_de_operacao";
/// The fields of a window.
const FIELDS: &str = "dia, das, as";

/// Reads the windows.
///
/// # Errors
/// Every wrong field, each with its place in the list.
pub fn read(raw: &RawValue) -> Result<Hours, Vec<FieldError>> {
    let wrong = |code: FieldCode, words: String| vec![FieldError::new(HOURS, code.says(words))];
    let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        return Err(wrong(FieldCode::Kind, "deve ser uma lista de períodos da semana, ou null".to_owned()));
    };
    if !(1..=WINDOWS_MAX).contains(&all.len()) {
        let words = format!("deve ter de 1 a {WINDOWS_MAX} períodos; tem {} (null é sem limite de horas)", all.len());
        return Err(wrong(FieldCode::Length, words));
    }
    let (mut windows, mut errors) = (Vec::new(), Vec::new());
    for (nth, raw) in all.into_iter().enumerate() {
        match window(raw) {
            Ok(window) => windows.push(window),
            Err(wrong) => errors.extend(wrong.into_iter().map(|error| {
                let campo = format!("{HOURS}[{nth}].{}", error.campo);
                FieldError { campo, ..error }
            })),
        }
    }
    if errors.is_empty() { Ok(Hours::new(windows)) } else { Err(errors) }
}

/// The minutes after midnight of `HH:MM`.
pub fn time_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes) = (whole_number(hours)?, whole_number(minutes)?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 60 + minutes)
}

fn window(raw: &RawValue) -> Result<Window, Vec<FieldError>> {
    const SHORT: TextRule = TextRule { max_chars: 5, multiline: false };
    let mut fields = Fields::from_raw(raw).map_err(|error| vec![error])?;
    let day = fields.required_text("dia", SHORT).and_then(|name| {
        let day = DAYS.iter().position(|known| *known == name);
        if day.is_none() {
            fields.reject("dia", format!("deve ser um de {}", DAYS.join(", ")));
        }
        u8::try_from(day?).ok()
    });
    let mut time = |name: &str| {
        let text = fields.required_text(name, SHORT)?;
        let minutes = time_of_day(&text).filter(|minutes| minutes % SLOT_MIN == 0);
        if minutes.is_none() {
            fields.reject(
                name,
                "deve ser uma hora do dia em UTC, de 00:00 a 23:55, de cinco em cinco minutos, como 18:00",
            );
        }
        u16::try_from(minutes?).ok()
    };
    let (from, until) = (time("das"), time("as"));
    fields.finish(FIELDS)?;
    let (Some(day), Some(from_min), Some(until_min)) = (day, from, until) else {
        return Err(vec![FieldError::new("dia", FieldCode::Missing.says("é obrigatório"))]);
    };
    Ok(Window { day, from_min, until_min })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_of_a_window_is_named_with_its_place() {
        let wrong = |text: &str| {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let errors = read(raw).err().unwrap_or_default();
            errors.into_iter().map(|error| error.campo).collect::<Vec<_>>()
        };
        assert!(wrong(r#"[{"dia": "seg", "das": "18:00", "as": "06:00"}]"#).is_empty());
        assert_eq!(wrong("[]"), [HOURS]);
        assert_eq!(wrong("7"), [HOURS]);
        let text =
            r#"[{"dia": "seg", "das": "18:00", "as": "06:00"}, {"dia": "mon", "das": "24:00", "as": "06:01", "x": 1}]"#;
        let fields = ["dia", "das", "as", "x"].map(|field| format!("{HOURS}[1].{field}"));
        assert_eq!(wrong(text), fields);
        assert_eq!(wrong(r#"[{"dia": "seg"}]"#), ["das", "as"].map(|field| format!("{HOURS}[0].{field}")));
    }
}
