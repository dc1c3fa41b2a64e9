//! Telescopes over HTTP, with their rules.

use std::sync::Arc;

use slog::info;

use super::super::app::App;
use super::super::origin::Origin;
use super::super::problems::{refused, unknown_telescope};
use super::super::refusal::Refusal;
use super::super::{handlers, links, views};
use super::hours::{self, HOURS, time_of_day};
use super::lists::{List, ListRequest};
use super::refusal::CatalogueRefusal;
use super::{BODY_MAX, NAME_MAX_CHARS, changed, created, make, shown};
use crate::access::principal::Who;
use crate::agenda::directory::Place;
use crate::agenda::policy::Policy;
use crate::agenda::rules::{HORIZON_DAYS_MAX, NOTICE_MIN_MAX, STANDING_MAX};
use crate::agenda::{Catalogue, DURATION_MIN_MAX, SLOT_MIN, Telescope, TelescopePatch};
use crate::http::Response;
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::read_json;
use crate::http::precondition::IfMatch;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::written::Written;

static LIST: List = List {
    path: "/telescopios",
    create: "Acrescentar um telescópio",
    of_scientists: false,
    table: Table {
        list: "telescopios",
        columns: &[
            "id",
            "nome",
            "simulado",
            "ativo",
            "regras.duracao_max_min",
            "regras.antecedencia_min_min",
            "regras.cancelamento_min_min",
            "regras.horizonte_dias",
            "regras.abre_as_utc",
            "regras.cota_ativas",
            "regras.cota_dia_min",
            "regras.horas_de_operacao",
            "regras.exige_proposta",
            "regras.disputa",
        ],
        also: &[],
    },
    write,
};
/// The most characters of a telescope's code.
const CODE_MAX_CHARS: usize = 64;
/// The fields of a new telescope.
const NEW_FIELDS: &str = "id, nome, simulado, ativo, regras";
/// The fields of a telescope that can be changed.
const FIELDS: &str = "nome, ativo, regras";
/// Its other fields. A client that sends back what it read may leave them in.
const ANSWERED_FIELDS: [&str; 3] = ["id", "simulado", "_links"];
/// The rules.
const RULES: &str = "duracao_max_min, antecedencia_min_min, cancelamento_min_min, horizonte_dias, abre_as_utc, cota_ativas, cota_dia_min, horas_de_operacao, exige_proposta, disputa";
const NAME: TextRule = TextRule { max_chars: NAME_MAX_CHARS, multiline: false };

/// `GET /telescopios`.
pub async fn list(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    LIST.answer(app, request).await
}

/// Writes the telescopes that are asked for.
fn write(catalogue: &Catalogue, asked: &ListRequest, who: &Who, written: &mut Written) -> Option<Place> {
    let found =
        catalogue.find_telescopes(&asked.search(|code| catalogue.place_of(code)), asked.after.as_ref(), asked.limit);
    for telescope in found.items {
        written.item(&views::telescope(telescope, who));
    }
    found.next.cloned()
}

/// `GET /telescopios/{id}`.
pub async fn one(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    match handlers::catalogue(app, &request.log).await?.telescope(code) {
        Some(telescope) => Ok(shown(&views::telescope(telescope, &request.who), &telescope.version())),
        None => Err(unknown_telescope(code)),
    }
}

/// `POST /telescopios`.
pub async fn create(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let bytes = read_json(request, BODY_MAX).await?;
    let new = new_telescope(&bytes)?;
    let outcome = make(app, &origin, app.store.create_telescope(new, origin.cause.clone())).await?;
    let telescope =
        outcome.map_err(|known| refused(Refusal::Catalogue(CatalogueRefusal::TelescopeExists(known.code))))?;
    app.live.telescope_changed(&telescope.code, &origin);
    info!(origin.log, "Telescópio {} criado por {}", telescope.code, request.who.author());
    Ok(made(&telescope, &request.who))
}

/// The answer to the request that has made this telescope.
pub fn made(telescope: &Telescope, who: &Who) -> Response {
    created(&views::telescope(telescope, who), &telescope.version(), &links::telescope_path(&telescope.code))
}

/// `PATCH /telescopios/{id}`: a merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)).
pub async fn change(app: &App, code: &str, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let if_match = IfMatch::read(&request.head.headers)?;
    let bytes = read_json(request, BODY_MAX).await?;
    let patch = patch(&bytes)?;
    let change = app.store.change_telescope(code.to_owned(), patch, if_match, origin.cause.clone());
    let telescope = changed(make(app, &origin, change).await?, || unknown_telescope(code))?;
    app.live.telescope_changed(&telescope.code, &origin);
    info!(origin.log, "Telescópio {} alterado por {}", telescope.code, request.who.author());
    Ok(shown(&views::telescope(&telescope, &request.who), &telescope.version()))
}

/// Reads a new telescope.
///
/// # Errors
/// The problem to answer with.
fn new_telescope(body: &[u8]) -> Result<Telescope, Problem> {
    let mut fields = Fields::parse(body)?;
    let code = fields.required_text("id", TextRule { max_chars: CODE_MAX_CHARS, multiline: false });
    let code = code.filter(|code| {
        let is_right = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if !is_right {
            fields.reject("id", "só pode ter letras sem acento, algarismos, . _ e -, como Hubble-Acad");
        }
        is_right
    });
    let name = fields.required_text("nome", NAME);
    let simulated = fields.boolean("simulado").unwrap_or(false);
    fields.pass_over("_links");
    let mut patch = TelescopePatch { active: fields.boolean("ativo"), ..TelescopePatch::default() };
    let mut errors = rules_of(&mut fields, &mut patch);
    errors.extend(fields.finish(NEW_FIELDS).err().unwrap_or_default());
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    let (Some(code), Some(name)) = (code, name) else {
        return Err(Problem::internal("um telescópio sem erro e sem um campo obrigatório"));
    };
    Ok(patch.applied_to(&Telescope::new(code, name, simulated)))
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
    if fields.take_null("ativo") {
        fields.reject("ativo", "deve ser true ou false; ou deixe este campo fora");
    }
    let (name, active) = (fields.text("nome", NAME), fields.boolean("ativo"));
    for answered in ANSWERED_FIELDS {
        fields.pass_over(answered);
    }
    if fields.take_null("regras") {
        patch = TelescopePatch::without_rules();
    }
    (patch.name, patch.active) = (name, active);
    let mut errors = rules_of(&mut fields, &mut patch);
    errors.extend(fields.finish(FIELDS).err().unwrap_or_default());
    if errors.is_empty() { Ok(patch) } else { Err(Problem::invalid_fields(errors)) }
}

/// Reads the rules of a telescope into `patch`, if there are any, and says what is wrong in them.
fn rules_of(fields: &mut Fields<'_>, patch: &mut TelescopePatch) -> Vec<FieldError> {
    let Some(raw) = fields.take("regras") else { return Vec::new() };
    match Fields::from_raw(raw) {
        Ok(rules) => read_rules(rules, patch),
        Err(error) => vec![FieldError { campo: "regras".to_owned(), ..error }],
    }
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
    // Without the rule no proposal is needed.
    patch.needs_proposal =
        if rules.take_null("exige_proposta") { Some(false) } else { rules.boolean("exige_proposta") };
    if rules.take_null("disputa") {
        patch.policy = Some(Policy::default());
    } else if let Some(name) = rules.text("disputa", TextRule { max_chars: 16, multiline: false }) {
        patch.policy = Policy::from_name(&name);
        if patch.policy.is_none() {
            rules.reject("disputa", "deve ser ordem, sorteio ou chegada");
        }
    }
    if rules.take_null("abre_as_utc") {
        patch.opens_at_min = Some(None);
    } else if let Some(text) = rules.text("abre_as_utc", TextRule { max_chars: 5, multiline: false }) {
        match time_of_day(&text) {
            Some(minutes) => patch.opens_at_min = Some(Some(minutes)),
            None => rules.reject("abre_as_utc", "deve ser uma hora do dia em UTC, de 00:00 a 23:59, como 12:00"),
        }
    }
    if rules.take_null(HOURS) {
        patch.hours = Some(None);
    }
    let mut wrong = Vec::new();
    if let Some(raw) = rules.take(HOURS) {
        match hours::read(raw) {
            Ok(hours) => patch.hours = Some(Some(Arc::new(hours))),
            Err(errors) => wrong = errors,
        }
    }
    let mut errors = rules.finish(RULES).err().unwrap_or_default();
    errors.extend(wrong);
    let inside = |error: FieldError| FieldError { campo: format!("regras.{}", error.campo), ..error };
    errors.into_iter().map(inside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::rules::Rules;

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
        assert_eq!(wrong(r#"{"regras": 7, "ativo": null}"#), ["regras", "ativo"]);
        for time in ["1:00", "0100", "-1:00", "12:60", "+1:00", "aa:bb"] {
            assert_eq!(
                wrong(&format!(r#"{{"regras": {{"abre_as_utc": "{time}"}}}}"#)),
                ["regras.abre_as_utc"],
                "{time}"
            );
        }
    }
    #[test]
    fn a_new_telescope_has_a_code_a_name_and_the_rules_that_are_given() {
        let body = r#"{"id": "SALSA-1", "nome": "Onsala", "regras": {"cota_ativas": 3}, "ativo": false}"#;
        let new = new_telescope(body.as_bytes()).unwrap();
        assert_eq!((new.code.as_str(), new.simulated, new.active), ("SALSA-1", false, false));
        assert_eq!(new.rules, Rules { standing_max: Some(3), ..Rules::default() });
        for (body, expected) in [
            ("{}", vec!["id", "nome"]),
            (r#"{"id": "São Paulo", "nome": "x", "regras": {"cota": 1}}"#, vec!["regras.cota", "id"]),
            (r#"{"id": "a/b", "nome": null, "simulado": "sim"}"#, vec!["id", "nome", "simulado"]),
        ] {
            let problem = new_telescope(body.as_bytes()).unwrap_err().to_value("r");
            let fields: Vec<_> = problem["erros"].as_array().unwrap().iter().map(|error| &error["campo"]).collect();
            assert_eq!(fields, expected, "{body}");
        }
    }
}
