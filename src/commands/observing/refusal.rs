//! Why the scheduler refuses, in the language of the command line: from the codes of its answer where they are known, or else in
//! its own words, quoted.

use std::borrow::Cow;
use std::time::Duration;

use rust_i18n::t;
use serde_json::Value;

use super::table::short;
use crate::coordinator::advice;
use crate::coordinator::protocol::grace;
use crate::text::escaped;
use crate::time::Timestamp;

/// The reason of a problem document; `None` if it is none.
pub fn in_words(problem: &Value) -> Option<String> {
    if let Some(left_ms) = problem[grace::LEFT].as_u64() {
        return Some(advice::for_people(Duration::from_millis(left_ms)));
    }
    let fields: Vec<_> = problem["erros"].as_array().into_iter().flatten().filter_map(field).collect();
    if !fields.is_empty() {
        return Some(fields.join("; "));
    }
    let said = match problem["codigo"].as_str()? {
        "agendamento_desconhecido" => t!("there is no such booking"),
        "cientista_desconhecido" => t!("there is no such scientist"),
        "telescopio_desconhecido" => t!("there is no such telescope"),
        "ja_cancelado" => t!("the booking was cancelled before"),
        "observacao_iniciada" => t!("the observation has begun, and cannot be cancelled any more"),
        "cancelamento_tardio" => {
            t!("its start is too near: a rule of the telescope does not allow to cancel it any more")
        }
        "recurso_ocupado" => t!("another request is changing this slot now, or has just booked it"),
        "horario_ocupado" => taken(problem).unwrap_or_else(|| t!("the slot is booked")),
        "coordenador_indisponivel" => {
            t!("bookings are paused, because the coordinator of the locks does not answer; 'sctec status' shows it")
        }
        "auditoria_indisponivel" => t!("the audit trail cannot be written, and without a record nothing is booked"),
        "gravacao_recusada" => t!("the database refused to save it; trying again does not help"),
        "banco_indisponivel" => t!("its database cannot be used now"),
        "trava_expirada" => t!("the lock expired before the change was saved"),
        "token_obsoleto" => t!("a newer request was saved for this slot first"),
        "encerrando" => t!("it is stopping"),
        _ => return Some(quoted(problem["detail"].as_str()?)),
    };
    Some(said.into_owned())
}

/// The scheduler's own words.
pub fn quoted(words: &str) -> String {
    t!("the scheduler says: \"%{words}\"", words = escaped(words)).into_owned()
}

/// Who has the slot. The name is left out where the scheduler does not tell it.
fn taken(problem: &Value) -> Option<Cow<'static, str>> {
    let start = Timestamp::parse_rfc3339(problem["horario_inicio_utc"].as_str()?).ok()?;
    let (id, scientist) = (problem["agendamento_id"].as_i64()?, problem["cientista_id"].as_i64()?);
    let name = problem["cientista"].as_str().map(|name| format!(" {}", escaped(name)));
    let who = format!("{scientist}{}", name.unwrap_or_default());
    Some(t!("%{start} is booked by %{who} (booking %{id})", start = short(start), who = who, id = id))
}

/// What is wrong with one field.
fn field(wrong: &Value) -> Option<String> {
    let (name, message) = (wrong["campo"].as_str()?, escaped(wrong["mensagem"].as_str()?));
    let option: Cow<'_, str> = match name {
        "horario_inicio_utc" => "START".into(),
        "duracao_min" | "horario_fim_utc" => "--duration".into(),
        "cientista_id" => "--scientist".into(),
        "telescopio" => "--telescope".into(),
        "proposta_id" => "--proposal".into(),
        "alvo" => "--target".into(),
        "observacoes" => "--notes".into(),
        "motivo" => "--reason".into(),
        "de" => "--from".into(),
        "ate" => "--until".into(),
        other => escaped(other).into(),
    };
    let said = match wrong["codigo"].as_str().unwrap_or_default() {
        "fora_da_grade" => t!("%{option} is not a multiple of five minutes, as 03:00 and 03:05 are", option = option),
        "duracao_invalida" => t!("%{option} should be a multiple of 5 minutes, from 5 to 1440", option = option),
        "ja_passou" => t!("%{option} has passed, and this telescope takes no bookings in the past", option = option),
        "cientista_desconhecido" => t!("%{option}: there is no such scientist", option = option),
        "telescopio_desconhecido" => t!("%{option}: there is no such telescope", option = option),
        "caracteres_de_controle" => t!("%{option} has a control character; remove it", option = option),
        "tarde_demais" => t!("%{option}: the booking would end after the year 9998", option = option),
        "cientista_inativo" => t!("%{option}: this scientist is deactivated, and cannot book", option = option),
        "telescopio_inativo" => t!("%{option}: this telescope is deactivated, and cannot be booked", option = option),
        "proposta_obrigatoria" => {
            t!("%{option} is missing: this telescope takes only bookings of a proposal", option = option)
        }
        "proposta_desconhecida" => t!("%{option}: there is no such proposal", option = option),
        "em_manutencao" => {
            t!("%{option}: the telescope is in maintenance then: \"%{words}\"", option = option, words = message)
        }
        rule if rule.starts_with("regra_") => {
            t!("%{option}: a rule of the telescope does not allow it: \"%{words}\"", option = option, words = message)
        }
        "contradicao" if name == "ate" => t!("--until should be after --from"),
        _ => t!("%{option}: the scheduler says \"%{words}\"", option = option, words = message),
    };
    Some(said.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_codes_are_said_in_english_and_others_are_quoted() {
        let field = |name: &str, code: &str| {
            let wrong = json!({"campo": name, "codigo": code, "mensagem": "está errado\u{1b}[2J"});
            in_words(&json!({"codigo": "campos_invalidos", "erros": [wrong]})).unwrap()
        };
        assert!(field("horario_inicio_utc", "ja_passou").starts_with("START has passed"));
        assert_eq!(field("novo", "novo"), "novo: the scheduler says \"está errado\\u001b[2J\"");
        let problem = |code: &str| in_words(&json!({"codigo": code, "detail": "Não."}));
        assert_eq!(problem("horario_ocupado").unwrap(), "the slot is booked");
        let taken = json!({
            "codigo": "horario_ocupado", "horario_inicio_utc": "2025-12-01T03:00:00Z", "agendamento_id": 123, "cientista_id": 7,
        });
        assert_eq!(in_words(&taken).unwrap(), "2025-12-01 03:00 is booked by 7 (booking 123)");
        assert!(
            field("cientista_id", "regra_cota_ativas")
                .starts_with("--scientist: a rule of the telescope does not allow it")
        );
        assert_eq!(problem("novo").unwrap(), "the scheduler says: \"Não.\"");
        assert!(in_words(&json!({"carencia_resta_ms": 1500})).unwrap().ends_with(": 2 s left"));
        assert_eq!(in_words(&json!("<p>")), None);
    }
}
