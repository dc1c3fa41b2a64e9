//! Changes of the catalogue over HTTP, for operators: a telescope's name and rules.

use hyper::StatusCode;
use slog::info;

use super::app::App;
use super::book::check_audit;
use super::origin::Origin;
use super::outcome::store_failed;
use super::problems::{refused, unknown_telescope};
use super::views;
use crate::agenda::rules::{HORIZON_DAYS_MAX, NOTICE_MIN_MAX, STANDING_MAX};
use crate::agenda::{DURATION_MIN_MAX, SLOT_MIN, TelescopePatch};
use crate::http::fields::{Fields, TextRule, whole_number};
use crate::http::identity::read_json;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::{self, Response};

/// The most bytes of a body.
const BODY_MAX: usize = 16 * 1024;
/// The most characters of a telescope's name.
const NAME_MAX_CHARS: usize = 200;
/// The fields of a telescope that can be changed.
const FIELDS: &str = "nome, regras";
/// Its other fields. A client that sends back what it read may leave them in.
const ANSWERED_FIELDS: [&str; 3] = ["id", "simulado", "_links"];
/// The rules.
const RULES: &str = "duracao_max_min, antecedencia_min_min, cancelamento_min_min, horizonte_dias, abre_as_utc, cota_ativas, cota_dia_min";

/// `PATCH /telescopios/{id}`: a merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)).
pub async fn change_telescope(app: &App, code: &str, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let bytes = read_json(request, BODY_MAX).await?;
    let patch = patch(&bytes)?;
    check_audit(app, &origin).map_err(refused)?;
    let changed = app.store.change_telescope(code.to_owned(), patch, origin.cause.clone()).await;
    let changed = changed.map_err(|error| refused(store_failed(&origin, &error)))?;
    let telescope = changed.ok_or_else(|| unknown_telescope(code))?;
    info!(origin.log, "Telescópio {} alterado por {}", telescope.code, request.who.author());
    // What is cached here is right at once.
    app.reload_catalogue().await.map_err(|error| refused(store_failed(&origin, &error)))?;
    Ok(http::json(StatusCode::OK, &views::telescope(&telescope, &request.who)))
}

/// Reads a change of a telescope. A rule that is null is taken away, and one that is left out stays.
///
/// # Errors
/// The problem to answer with.
fn patch(body: &[u8]) -> Result<TelescopePatch, Problem> {
    let mut fields = Fields::parse(body)?;
    let mut patch = TelescopePatch::default();
    if fields.take_null("nome") {
        fields.reject("nome", "um telescópio tem sempre um nome; mande outro, ou deixe este campo fora");
    }
    patch.name = fields.text("nome", TextRule { max_chars: NAME_MAX_CHARS, multiline: false });
    for answered in ANSWERED_FIELDS {
        fields.pass_over(answered);
    }
    let mut errors = Vec::new();
    if fields.take_null("regras") {
        patch = TelescopePatch { name: patch.name, ..TelescopePatch::without_rules() };
    } else if let Some(raw) = fields.take("regras") {
        match Fields::from_raw(raw) {
            Ok(rules) => errors.extend(read_rules(rules, &mut patch)),
            Err(error) => errors.push(FieldError { campo: "regras".to_owned(), ..error }),
        }
    }
    errors.extend(fields.finish(FIELDS).err().unwrap_or_default());
    if errors.is_empty() { Ok(patch) } else { Err(Problem::invalid_fields(errors)) }
}

fn read_rules(mut rules: Fields<'_>, patch: &mut TelescopePatch) -> Vec<FieldError> {
    let mut number = |name: &str, range| {
        if rules.take_null(name) { Some(None) } else { rules.integer(name, range).map(Some) }
    };
    patch.duration_max_min = number("duracao_max_min", SLOT_MIN..=DURATION_MIN_MAX);
    patch.notice_min = number("antecedencia_min_min", 0..=NOTICE_MIN_MAX);
    patch.cancel_notice_min = number("cancelamento_min_min", 0..=NOTICE_MIN_MAX);
    patch.horizon_days = number("horizonte_dias", 0..=HORIZON_DAYS_MAX);
    patch.standing_max = number("cota_ativas", 0..=STANDING_MAX);
    patch.day_max_min = number("cota_dia_min", 0..=DURATION_MIN_MAX);
    if rules.take_null("abre_as_utc") {
        patch.opens_at_min = Some(None);
    } else if let Some(text) = rules.text("abre_as_utc", TextRule { max_chars: 5, multiline: false }) {
        match time_of_day(&text) {
            Some(minutes) => patch.opens_at_min = Some(Some(minutes)),
            None => rules.reject("abre_as_utc", "deve ser uma hora do dia em UTC, de 00:00 a 23:59, como 12:00"),
        }
    }
    let errors = rules.finish(RULES).err().unwrap_or_default();
    let inside = |error: FieldError| FieldError { campo: format!("regras.{}", error.campo), ..error };
    errors.into_iter().map(inside).collect()
}

/// The minutes after midnight of `HH:MM`.
fn time_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes) = (whole_number(hours)?, whole_number(minutes)?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: &str) -> Vec<String> {
        let problem = patch(body.as_bytes()).unwrap_err().to_value("r");
        let fields = problem["erros"].as_array().cloned().unwrap_or_default();
        fields.iter().map(|field| field["campo"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn null_takes_a_rule_away_and_what_is_left_out_stays() {
        let read =
            patch(r#"{"regras": {"cota_ativas": 3, "horizonte_dias": null, "abre_as_utc": "12:30"}}"#.as_bytes());
        let expected = TelescopePatch {
            standing_max: Some(Some(3)),
            horizon_days: Some(None),
            opens_at_min: Some(Some(750)),
            ..TelescopePatch::default()
        };
        assert_eq!(read.unwrap(), expected);
        assert_eq!(patch(b"{}").unwrap(), TelescopePatch::default());
        assert_eq!(patch(br#"{"regras": null}"#).unwrap(), TelescopePatch::without_rules());
    }

    #[test]
    fn every_wrong_rule_is_named_with_its_place() {
        let body = r#"{"nome": null, "regras": {"duracao_max_min": 1441, "abre_as_utc": "24:00", "cota": 1}, "x": 1}"#;
        assert_eq!(wrong(body), ["regras.duracao_max_min", "regras.abre_as_utc", "regras.cota", "nome", "x"]);
        assert_eq!(wrong(r#"{"regras": 7}"#), ["regras"]);
        for time in ["1:00", "0100", "-1:00", "12:60", "+1:00", "aa:bb"] {
            assert_eq!(
                wrong(&format!(r#"{{"regras": {{"abre_as_utc": "{time}"}}}}"#)),
                ["regras.abre_as_utc"],
                "{time}"
            );
        }
    }
}
