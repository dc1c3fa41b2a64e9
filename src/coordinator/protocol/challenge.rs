//! `GET /desafio`: how a coordinator proves, before a scheduler sends anything else, that it has their secret ([`crate::access::secret`]).

use serde::Deserialize;

use super::path;
use crate::access::secret::{NONCE_BYTES, Nonce, PROCESS_BYTES, PROOF_BYTES, ProcessId, Secret};
use crate::http::wrong::{FieldCode, Wrong};

/// The parameter that has the nonce.
pub const NONCE: &str = "nonce";

/// The answer. Both are bytes as hexadecimal digits.
#[derive(Debug, Deserialize)]
pub struct ProofReply<'a> {
    /// The process that answers.
    pub processo: &'a str,
    /// Its proof.
    pub prova: &'a str,
}

/// The path and the query that ask for a proof.
pub fn target(nonce: &Nonce) -> String {
    format!("{}?{NONCE}={}", path::CHALLENGE, hex(nonce))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Reads a nonce.
///
/// # Errors
/// When it is something else.
pub fn nonce(text: &str) -> Result<Nonce, Wrong> {
    let digits = 2 * NONCE_BYTES;
    bytes(text).ok_or_else(|| {
        FieldCode::Length.says(format!("deve ter {digits} algarismos hexadecimais, de 0 a 9 e de a a f"))
    })
}

/// Whether the answer `body` proves that its sender has the secret.
pub fn is_proof(secret: &Secret, nonce: &Nonce, body: &[u8]) -> bool {
    let Ok(ProofReply { processo, prova }) = serde_json::from_slice(body) else { return false };
    let (process, proof): (Option<ProcessId>, Option<[u8; PROOF_BYTES]>) =
        (bytes::<PROCESS_BYTES>(processo), bytes(prova));
    matches!((process, proof), (Some(process), Some(proof)) if secret.confirms(nonce, &process, &proof))
}

fn bytes<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    let read = base16ct::lower::decode(text, &mut bytes).ok()?;
    (read.len() == LENGTH).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_of_who_has_the_secret_is_a_proof() {
        let (secret, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let (question, process) = ([9; NONCE_BYTES], [3; PROCESS_BYTES]);
        assert_eq!(nonce(target(&question).strip_prefix("/desafio?nonce=").unwrap()).unwrap(), question);
        let answer = |secret: &Secret, question: &Nonce| {
            format!(r#"{{"processo": "{}", "prova": "{}"}}"#, hex(&process), hex(&secret.prove(question, &process)))
        };
        let right = answer(&secret, &question);
        assert!(is_proof(&secret, &question, right.as_bytes()));
        for wrong in [
            answer(&other, &question),
            answer(&secret, &[8; NONCE_BYTES]),
            right.replace(&hex(&process), &hex(&[4; PROCESS_BYTES])),
            right.replace(&hex(&process), ""),
            right.replace("\"prova\": \"", "\"prova\": \"0"),
            right.to_uppercase(),
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
        ] {
            assert!(!is_proof(&secret, &question, wrong.as_bytes()), "{wrong}");
        }
        for wrong in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert!(nonce(wrong).is_err(), "{wrong}");
        }
    }
}
