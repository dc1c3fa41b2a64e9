//! What a lock request brings to a contest, as the server reads it and as a client writes it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::limits::{STAMP_US_MAX, TIE_US_MAX, WINDOW_MS_MAX};
use super::numbers::{integer, name};
use crate::coordinator::table::{Contest, Tie};
use crate::http::fields::Fields;
use crate::http::problem::FieldError;
use crate::http::wrong::FieldCode;
use crate::time::millis;

const FIELDS: &str = "carimbo_us, janela_ms, entrada, empate_us, semente, grupo";

/// As a client writes it.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    carimbo_us: i64,
    janela_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrada: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    empate_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    semente: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grupo: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl<'a> Written<'a> {
    pub(super) fn of(Contest { stamp_us, window, entry, tie }: &'a Contest) -> Self {
        Self {
            carimbo_us: *stamp_us,
            janela_ms: millis(*window),
            entrada: entry.as_deref(),
            empate_us: tie.within_us,
            semente: tie.seed.as_deref(),
            grupo: tie.group.as_deref(),
        }
    }
}

/// What the request brings to a contest, if it enters one.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Contest> {
    match read_alone(fields.take("disputa")?) {
        Ok(contest) => Some(contest),
        Err(errors) => {
            for FieldError { campo, codigo, mensagem } in errors {
                fields.reject(&campo, codigo.says(mensagem));
            }
            None
        }
    }
}

/// Reads what a request brings to a contest.
///
/// # Errors
/// Every wrong field.
pub(super) fn read_alone(raw: &RawValue) -> Result<Contest, Vec<FieldError>> {
    let wrong = || {
        let words = "deve ser um objeto com carimbo_us e janela_ms, números inteiros";
        vec![FieldError::new("disputa", FieldCode::Kind.says(words))]
    };
    let mut inner = Fields::from_raw(raw).map_err(|_| wrong())?;
    let stamp_us = inner.integer("carimbo_us", 0..=STAMP_US_MAX);
    let window_ms = integer(&mut inner, "janela_ms", 0, WINDOW_MS_MAX);
    let mut text = |field| name(&mut inner, field).map(Arc::from);
    let (entry, seed, group) = (text("entrada"), text("semente"), text("grupo"));
    let within_us = inner.integer("empate_us", 0..=TIE_US_MAX).unwrap_or(0);
    let tie = Tie { within_us, seed, group };
    let inside = |error: FieldError| FieldError { campo: format!("disputa.{}", error.campo), ..error };
    inner.finish(FIELDS).map_err(|errors| errors.into_iter().map(inside).collect::<Vec<_>>())?;
    let (Some(stamp_us), Some(window_ms)) = (stamp_us, window_ms) else { return Err(wrong()) };
    Ok(Contest { stamp_us, window: Duration::from_millis(window_ms), entry, tie })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(contest: &str) -> Result<Option<Contest>, Vec<String>> {
        let body = format!(r#"{{"disputa": {contest}}}"#);
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        let contest = read(&mut fields);
        let wrong = fields.finish("disputa").err().unwrap_or_default();
        if wrong.is_empty() { Ok(contest) } else { Err(wrong.into_iter().map(|error| error.campo).collect()) }
    }

    #[test]
    fn a_contest_has_a_stamp_and_a_window() {
        let window = Duration::from_millis(150);
        let contest = Contest { stamp_us: 1_764_558_000_000_000, window, entry: None, tie: Tie::default() };
        assert_eq!(lock(r#"{"carimbo_us": 1764558000000000, "janela_ms": 150}"#), Ok(Some(contest.clone())));
        let with = Contest { entry: Some("a b".into()), ..contest };
        let tie = Tie { within_us: 5000, seed: Some("s".into()), group: Some("7".into()) };
        assert_eq!(
            lock(r#"{"carimbo_us": 1764558000000000, "janela_ms": 150, "entrada": "a b"}"#),
            Ok(Some(with.clone()))
        );
        let tied = r#"{"carimbo_us": 1764558000000000, "janela_ms": 150, "entrada": "a b", "empate_us": 5000, "semente": "s", "grupo": "7"}"#;
        assert_eq!(lock(tied), Ok(Some(Contest { tie, ..with })));
        assert_eq!(lock("null"), Ok(None));
        for (contest, field) in [
            ("1", "disputa"),
            ("[]", "disputa"),
            ("{}", "disputa"),
            (r#"{"carimbo_us": 1}"#, "disputa"),
            (r#"{"carimbo_us": -1, "janela_ms": 1}"#, "disputa.carimbo_us"),
            (r#"{"carimbo_us": 1, "janela_ms": 301}"#, "disputa.janela_ms"),
            (r#"{"carimbo_us": 1, "janela_ms": 1, "x": 1}"#, "disputa.x"),
            (r#"{"carimbo_us": 1, "janela_ms": 1, "empate_us": 1000001}"#, "disputa.empate_us"),
            (r#"{"carimbo_us": 1, "janela_ms": 1, "entrada": ""}"#, "disputa.entrada"),
        ] {
            assert_eq!(lock(contest), Err(vec![field.to_owned()]), "{contest}");
        }
    }
}
