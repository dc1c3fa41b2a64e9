//! What a service's refusal means to the person who asks, where it is about TLS, or about who asks and how often.

use hyper::StatusCode;
use rust_i18n::t;
use serde::Deserialize;

use crate::http::kind;
use crate::text::escaped;

/// What to do about an answer that refuses a request because it came without TLS, because of who asks, or how often. `None` for every other answer.
pub fn refused(status: StatusCode, body: &[u8]) -> Option<String> {
    #[derive(Default, Deserialize)]
    struct Problem {
        #[serde(default)]
        codigo: String,
        #[serde(default)]
        detail: String,
    }
    // What answers may be another program.
    let Problem { codigo, detail } = serde_json::from_slice(body).unwrap_or_default();
    let said = match status {
        StatusCode::BAD_REQUEST if codigo == kind::PLAIN_HTTP.code() => {
            t!("it answers only over TLS: use https:// in its URL")
        }
        StatusCode::UNAUTHORIZED => t!(
            "it has to know who asks: give a token with --token-file FILE, or in SCTEC_TOKEN; one that was given may be mistyped, expired or revoked"
        ),
        StatusCode::FORBIDDEN if codigo != kind::WRONG_ORIGIN.code() && !codigo.is_empty() => t!(
            "it does not allow this: \"%{words}\"; ask an operator for the role that is missing, or give another token with --token-file FILE",
            words = escaped(&detail)
        ),
        StatusCode::TOO_MANY_REQUESTS if codigo == kind::TOO_FAST.code() => t!(
            "it takes no more requests from one client in this time: \"%{words}\"; wait, or ask the operator for a higher --rate (0 is no limit)",
            words = escaped(&detail)
        ),
        _ => return None,
    };
    Some(said.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_of_the_person_of_haste_or_of_plain_http_are_explained() {
        let said = |status: u16, body: &str| refused(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(said(401, "").unwrap().contains("--token-file FILE"));
        assert!(said(400, r#"{"codigo": "falta_tls"}"#).unwrap().contains("https://"));
        let missing = said(403, r#"{"codigo": "falta_papel", "detail": "Falta o papel operador.\u001b[2J"}"#).unwrap();
        assert!(missing.contains("Falta o papel operador.") && !missing.contains('\u{1b}'), "{missing}");
        let fast = said(429, r#"{"codigo": "requisicoes_demais", "detail": "Espere."}"#).unwrap();
        assert!(fast.contains("\"Espere.\"") && fast.contains("--rate"), "{fast}");
        for (status, body) in [
            (429, r#"{"codigo": "cota_excedida"}"#),
            (200, ""),
            (400, "{}"),
            (403, ""),
            (403, r#"{"codigo": "origem_recusada"}"#),
            (409, "{}"),
        ] {
            assert_eq!(said(status, body), None, "{status} {body}");
        }
    }
}
