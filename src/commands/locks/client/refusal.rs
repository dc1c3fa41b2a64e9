//! Why the coordinator refuses, in the language of the command line: from the codes of its answer where they are known, or else in
//! its own words, quoted.

use std::borrow::Cow;
use std::time::Duration;

use rust_i18n::t;
use serde_json::Value;

use crate::coordinator::advice;
use crate::coordinator::protocol::{NAME_MAX_BYTES, RESOURCES_MAX, grace};

/// The reason of the problem `body`, whose own words are `detail`.
pub fn in_words(body: &Value, detail: &str) -> String {
    if let Some(left_ms) = body[grace::LEFT].as_u64() {
        return advice::for_people(Duration::from_millis(left_ms));
    }
    let fields = body["erros"].as_array().into_iter().flatten();
    let fields: Vec<_> = fields.filter_map(field).collect();
    if !fields.is_empty() {
        return fields.join("; ");
    }
    let said = match body["codigo"].as_str() {
        Some("trava_perdida") => t!("the lock has ended"),
        Some("fila_cheia") => t!("too many requests wait for this lock"),
        Some("tabela_cheia") => t!("it has as many locks as it can hold"),
        Some("cota_excedida") => {
            t!(
                "you have as many locks, or as many waiting requests, as one client may have: release some, or ask the operator for more (--client-locks, --client-waits)"
            )
        }
        Some("tokens_indisponiveis") => {
            t!("it cannot write its limits to disk or to etcd, and grants no lock until it can")
        }
        Some("registro_indisponivel") => {
            t!("it cannot record a release by force, and releases nothing until it can: see its log and its disk")
        }
        _ => t!("the coordinator says: \"%{words}\"", words = detail),
    };
    said.into_owned()
}

/// What is wrong with one field.
fn field(wrong: &Value) -> Option<String> {
    let (name, message) = (wrong["campo"].as_str()?, wrong["mensagem"].as_str()?);
    let option: Cow<'_, str> = match name {
        "recurso" | "recursos" => t!("the lock's name"),
        "dono" => "--owner".into(),
        "motivo" => "--reason".into(),
        "prefixo" => "--prefix".into(),
        other => other.into(),
    };
    let said = match wrong["codigo"].as_str() {
        Some("tamanho") if name == "recursos" => t!(
            "each name must have from 1 to %{most} bytes, and there may be up to %{names} names",
            most = NAME_MAX_BYTES,
            names = RESOURCES_MAX
        ),
        Some("tamanho") if matches!(name, "recurso" | "dono" | "prefixo") => {
            t!("%{option} must have from 1 to %{most} bytes", option = option, most = NAME_MAX_BYTES)
        }
        Some("caracteres_de_controle") => t!("%{option} has a control character; remove it", option = option),
        Some("repetido") => t!("%{option} is given twice; give each name once", option = option),
        _ => t!("%{option}: the coordinator says \"%{words}\"", option = option, words = message),
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
            let wrong = json!({"campo": name, "codigo": code, "mensagem": "está errado"});
            in_words(&json!({"codigo": "campos_invalidos", "erros": [wrong]}), "Um campo precisa de correção")
        };
        assert_eq!(field("dono", "tamanho"), "--owner must have from 1 to 200 bytes");
        assert_eq!(field("recursos", "caracteres_de_controle"), "the lock's name has a control character; remove it");
        assert_eq!(field("novo", "novo"), "novo: the coordinator says \"está errado\"");
        let problem = |code: &str| in_words(&json!({ "codigo": code }), "Não.");
        assert_eq!(problem("fila_cheia"), "too many requests wait for this lock");
        assert_eq!(problem("novo"), "the coordinator says: \"Não.\"");
        assert!(in_words(&json!({"carencia_resta_ms": 1500}), "Não.").ends_with(": 2 s left"));
    }
}
