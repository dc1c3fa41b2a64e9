//! How the limits are written as text: JSON with a checksum, in a file or in etcd.

use std::time::Duration;

use rust_i18n::t;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Limits;
use crate::coordinator::protocol::TOKEN_MAX;
use crate::time::millis;

/// The format. The first one had neither a TTL nor a sum, and is still read.
const FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    formato: u32,
    limite_token: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_maximo_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soma: Option<String>,
}

impl State {
    fn new(limits: Limits) -> Self {
        let (limite_token, ttl_ms) = (limits.token_limit, millis(limits.longest_ttl));
        let soma = Some(sum(limite_token, ttl_ms));
        Self { formato: FORMAT, limite_token, ttl_maximo_ms: Some(ttl_ms), soma }
    }
}

/// The checksum that tells a damaged file from a whole one.
fn sum(token_limit: u64, ttl_ms: u64) -> String {
    base16ct::lower::encode_string(&Sha256::digest(format!("{FORMAT} {token_limit} {ttl_ms}")))
}

/// The limits as text.
pub fn written(limits: Limits) -> String {
    // A struct of texts and numbers: serialising it to memory cannot fail.
    serde_json::to_string(&State::new(limits)).expect("the limits serialise")
}

/// Reads what [`written`] makes.
///
/// # Errors
/// In words, when the text is damaged, or of another format.
pub fn read(bytes: &[u8]) -> Result<Limits, String> {
    let state: State = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if state.limite_token >= TOKEN_MAX {
        return Err(t!("the token limit %{limit} is not below 2^53", limit = state.limite_token).into_owned());
    }
    let limits = |ttl_ms| Limits { token_limit: state.limite_token, longest_ttl: Duration::from_millis(ttl_ms) };
    match (state.formato, state.ttl_maximo_ms, state.soma) {
        (1, None, None) => Ok(limits(0)),
        (FORMAT, Some(ttl_ms), Some(soma)) => {
            if soma != sum(state.limite_token, ttl_ms) {
                return Err(t!("its sum does not match").into_owned());
            }
            Ok(limits(ttl_ms))
        }
        (1 | FORMAT, _, _) => Err(t!("fields are missing, or are not of its format").into_owned()),
        (other, _, _) => {
            Err(t!("format %{other} is none of 1 and %{known}", other = other, known = FORMAT).into_owned())
        }
    }
}
