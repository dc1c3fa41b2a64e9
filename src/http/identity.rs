//! Who sends a request, and whether they may: the way from the header `Authorization` to a [`Who`], and from a refusal to an answer
//! ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;

use super::head::only;
use super::kind;
use super::problem::Problem;
use super::server::Request;
use crate::access::ip_of;
use crate::access::principal::{Denied, Who};
use crate::access::register::{Register, Unidentified};
use crate::access::role::{Need, Role};
use crate::access::token::WrongToken;

/// The challenge of a service that identifies clients by tokens.
const CHALLENGE: &str = "Bearer realm=\"sctec\"";
/// The same, to a client that has sent a token.
const CHALLENGE_AGAIN: &str = "Bearer realm=\"sctec\", error=\"invalid_token\"";

/// How a service finds out who its callers are.
#[derive(Clone, Default)]
pub enum Identity {
    /// It does not ask: everybody who reaches the port may do everything.
    #[default]
    Open,
    /// By the tokens of a register.
    Tokens(Arc<Register>),
}

impl Identity {
    /// Whether it asks.
    pub fn identifies(&self) -> bool {
        matches!(self, Self::Tokens(_))
    }

    /// Finds out who sends the request, notes it there, and checks that it is what the endpoint needs.
    ///
    /// # Errors
    /// 401 or 403; 503 while nobody can be identified.
    pub async fn admit(&self, request: &mut Request, need: Need) -> Result<(), Problem> {
        request.who = match self.identify(request).await {
            Ok(who) => who,
            // An endpoint for everybody is there for a client with an old token too.
            Err(_) if need == Need::Nothing => Who::Stranger,
            Err(unidentified) => return Err(not_identified(unidentified)),
        };
        request.who.check(need).map_err(denied)
    }

    async fn identify(&self, request: &Request) -> Result<Who, Unidentified> {
        let Self::Tokens(register) = self else { return Ok(Who::Anyone) };
        let Some(token) = bearer(&request.head.headers)? else { return Ok(Who::Stranger) };
        let from = Some(ip_of(request.peer));
        let found = match register.identify(token, from) {
            // The token may have been made just now, or the process was paused.
            Err(Unidentified::Unknown | Unidentified::Unavailable) => {
                register.look().await;
                register.identify(token, from)
            }
            found => found,
        };
        found.map(Who::Known)
    }
}

/// The token in a request's head. None if there is no `Authorization`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Unidentified> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let sent = only(headers, AUTHORIZATION.as_str()).map(HeaderValue::to_str);
    let token = sent.and_then(Result::ok).and_then(|sent| sent.split_once(' ')).and_then(|(scheme, token)| {
        // RFC 9110 §11.1: the scheme is read without regard to case.
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.map(Some).ok_or(Unidentified::Wrong(WrongToken::Form))
}

/// The answer to a caller whose token identifies nobody.
fn not_identified(unidentified: Unidentified) -> Problem {
    let detail = match unidentified {
        Unidentified::Wrong(WrongToken::Form) => {
            "O cabeçalho Authorization deve ser um só: Bearer e um token deste serviço, que começa com sctec_."
        }
        Unidentified::Wrong(WrongToken::Checksum) => {
            "O token foi copiado com um erro: a soma de verificação no fim dele não confere. Copie-o de novo, inteiro."
        }
        Unidentified::Unknown => {
            "Este serviço não conhece o token. Peça outro a um operador, ou veja se o token é de outra instalação."
        }
        Unidentified::Expired => "O token venceu. Peça outro a um operador.",
        Unidentified::Revoked => "O token foi revogado. Peça outro a um operador.",
        Unidentified::Unavailable => {
            let detail = "O registro de tokens não pode ser lido agora, e sem ele ninguém é identificado: nada foi feito. Tente de novo em instantes.";
            return Problem::new(kind::IDENTITY_UNAVAILABLE, detail).retry_after_s(1);
        }
    };
    Problem::new(kind::WRONG_TOKEN, detail).with_challenge(CHALLENGE_AGAIN)
}

/// The answer to a caller who may not do what it asks for.
pub fn denied(denied: Denied) -> Problem {
    match denied {
        Denied::Unidentified => {
            let detail = "Este serviço só faz isso para quem diz quem é: envie o cabeçalho Authorization: Bearer com o seu token (nas \
                          ferramentas, --token-file ou SCTEC_TOKEN). Um operador dá tokens.";
            Problem::new(kind::UNIDENTIFIED, detail).with_challenge(CHALLENGE)
        }
        Denied::Role(roles) => {
            let names: Vec<&str> = roles.iter().copied().map(Role::name).collect();
            let detail = format!("Falta-lhe um papel que permita isso: {}. Um operador dá papéis.", names.join(" ou "));
            let missing: Value = names.into();
            Problem::new(kind::FORBIDDEN, detail).with("papeis", missing)
        }
    }
}
