//! Who sends a request, and whether they may: the way from the header `Authorization`, from the cookie of a session, or from the secret in
//! the address of a calendar, to a [`Who`], and from a refusal to an answer ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, ORIGIN};
use serde_json::Value;

use super::guard::SEC_FETCH_SITE;
use super::idempotency::EarlyBody;
use super::pass::Pass;
use super::problem::Problem;
use super::rates::Share;
use super::router::Endpoint;
use super::server::Request;
use super::{body, cookie, kind, pass};
use crate::access::ip_of;
use crate::access::principal::{Denied, Who};
use crate::access::register::{Found, Key, Register, Unidentified};
use crate::access::role::{Need, Role};
use crate::access::session::Secret;
use crate::access::token::{Digest, WrongToken};

/// The challenge of a service that identifies clients by tokens.
const CHALLENGE: &str = "Bearer realm=\"sctec\"";
/// The same, to a client that has sent a token.
const CHALLENGE_AGAIN: &str = "Bearer realm=\"sctec\", error=\"invalid_token\"";
/// What to say of a token with a typing error.
const COPIED_WRONG: &str =
    "O token foi copiado com um erro: a soma de verificação no fim dele não confere. Copie-o de novo, inteiro.";

/// The parameter of an address that is a secret.
pub const KEY_PARAMETER: &str = "chave";

/// For so long, nobody asks again who the caller of a request is. A revocation holds everywhere within a second.
const STILL_IDENTIFIED: Duration = Duration::from_millis(100);

/// How a service finds out who its callers are.
#[derive(Clone, Default)]
pub enum Identity {
    /// It does not ask: everybody who reaches the port may do everything.
    #[default]
    Open,
    /// By the tokens of a register.
    Tokens(Arc<Register>),
    /// By those, and by the sessions in which a page is signed in.
    Sessions(Arc<Register>),
}

impl Identity {
    /// The register, if it asks.
    pub fn register(&self) -> Option<&Arc<Register>> {
        match self {
            Self::Open => None,
            Self::Tokens(register) | Self::Sessions(register) => Some(register),
        }
    }

    /// Whether it asks.
    pub fn identifies(&self) -> bool {
        self.register().is_some()
    }

    /// Finds out who sends the request, notes it there, and counts it in the rate of the principal, or else of the address.
    ///
    /// A principal that is known in memory counts in its own rate, so nobody else at its address can use that up. What is not known
    /// counts at the address before the file is looked at, so guessing is not faster than the rate.
    ///
    /// # Errors
    /// 429.
    pub async fn meet(&self, request: &mut Request, endpoint: Option<&Endpoint>) -> Result<(), Problem> {
        let (need, share) =
            endpoint.map_or((Need::Nothing, Share::Ordinary), |endpoint| (endpoint.need, endpoint.share));
        let Some(register) = self.register() else { return request.charge_address(share) };
        request.who = Who::Stranger;
        let key = match self.shown(request, endpoint) {
            Ok(Some(key)) => key,
            Ok(None) => return request.charge_address(share),
            Err(wrong) => {
                request.unidentified = Some(wrong);
                return request.charge_address(share);
            }
        };
        let by = ip_of(request.peer);
        let known = |request: &mut Request, found: Found| {
            request.who = Who::Known(found.principal);
            request.pass = Pass::new(Arc::clone(register), key, need, by);
        };
        if let Ok(found) = register.find(key, Some(by)) {
            request.charge_principal(share, &found.principal)?;
            known(request, found);
            return Ok(());
        }
        let counted = if share == Share::Free { Share::Ordinary } else { share };
        if let Err(too_fast) = request.charge_address(counted) {
            // What everybody gets in any case, a stranger gets.
            return if share == Share::Free && need == Need::Nothing { Ok(()) } else { Err(too_fast) };
        }
        match pass::find(register, key, by).await {
            Ok(found) => known(request, found),
            Err(unidentified) => {
                request.unidentified = Some(match key {
                    Key::Token(_) => not_identified(unidentified),
                    Key::Session(_) => session_over(unidentified),
                    Key::Calendar(_) => no_address(unidentified),
                });
            }
        }
        Ok(())
    }

    /// What the caller shows of itself, if anything.
    fn shown(&self, request: &Request, endpoint: Option<&Endpoint>) -> Result<Option<Key>, Problem> {
        if let Some(header) = authorization(&request.head.headers).map_err(not_identified)? {
            let digest = || token_in(header).and_then(|token| Digest::of_token(token).map_err(Unidentified::Wrong));
            return request.recall.digest(header.as_bytes(), digest).map(Key::Token).map(Some).map_err(not_identified);
        }
        if endpoint.is_some_and(|endpoint| endpoint.keyed)
            && let Some(key) = key_of(request.head.uri.query())
        {
            let secret = Secret::parse(&key).ok_or_else(|| no_address(Unidentified::Unknown))?;
            return Ok(Some(Key::Calendar(secret.digest())));
        }
        Ok(self.session(request)?.map(|secret| Key::Session(secret.digest())))
    }

    /// The secret of the session in which a page sends the request, if the service has sessions.
    fn session(&self, request: &Request) -> Result<Option<Secret>, Problem> {
        let Self::Sessions(_) = self else { return Ok(None) };
        let Some(secret) = session_secret(request) else { return Ok(None) };
        secret.map(Some).ok_or_else(|| session_over(Unidentified::Unknown))
    }
}

/// Checks that the caller, who was [met](Identity::meet), is what an endpoint needs.
///
/// # Errors
/// 401 or 403; 503 while nobody can be identified.
pub fn admit(request: &mut Request, need: Need) -> Result<(), Problem> {
    match request.unidentified.take() {
        // An endpoint for everybody is there for a client with an old token too.
        Some(why) if need != Need::Nothing => Err(why),
        _ => request.who.check(need).map_err(denied),
    }
}

/// Reads the body of a request as JSON. A body may take seconds to arrive. Then it is looked at once more who the caller is.
///
/// # Errors
/// Those of the body; 401 if the caller's token or session has ended meanwhile.
pub(crate) async fn read_json(request: &mut Request, most: usize) -> Result<Bytes, Problem> {
    if let Some(EarlyBody(bytes)) = request.head.extensions.remove() {
        return Ok(bytes);
    }
    let begun = Instant::now();
    let bytes = body::read_json(&request.head.headers, &mut request.body, most).await?;
    if begun.elapsed() < STILL_IDENTIFIED {
        return Ok(bytes);
    }
    if request.pass.holds().await { Ok(bytes) } else { Err(ended()) }
}

/// The answer to a caller whose token or session has ended since the request began.
pub(crate) fn ended() -> Problem {
    let detail = "O token ou a sessão terminou antes que a requisição fosse atendida: nada foi feito.";
    Problem::new(kind::WRONG_TOKEN, detail).with_challenge(CHALLENGE_AGAIN)
}

/// The secret of a session that a page sends with its request; `Some(None)` if it is none.
///
/// A browser sends the cookie with every request to this host. So a request that changes something must have a header that says which
/// page sends it: [`super::guard`] has refused pages of other origins. Other programs have tokens.
#[expect(clippy::option_option, reason = "there may be no cookie, and one that is no secret")]
pub(crate) fn session_secret(request: &Request) -> Option<Option<Secret>> {
    let headers = &request.head.headers;
    let by_a_page = headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE);
    if !by_a_page && !request.head.method.is_safe() {
        return None;
    }
    cookie::session(headers, request.tls).map(Secret::parse)
}

/// Whom a token identifies that is not in the header `Authorization`: its credential.
///
/// # Errors
/// 401; 503 while nobody can be identified.
pub async fn find_token(register: &Register, token: &str, from: IpAddr) -> Result<Found, Problem> {
    let digest = Digest::of_token(token.trim()).map_err(|wrong| {
        let detail = match wrong {
            WrongToken::Form => "Isto não é um token deste serviço: um token começa com sctec_, e não tem espaços.",
            WrongToken::Checksum => COPIED_WRONG,
        };
        Problem::new(kind::WRONG_TOKEN, detail).with_challenge(CHALLENGE)
    })?;
    pass::find(register, Key::Token(digest), from).await.map_err(not_identified)
}

/// The token in a request's head. None if there is no `Authorization`.
///
/// # Errors
/// When there is something else.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Unidentified> {
    authorization(headers)?.map(token_in).transpose()
}

/// The only `Authorization` in a request's head, if there is one.
fn authorization(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Unidentified> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let first = sent.next();
    if sent.next().is_none() { Ok(first) } else { Err(Unidentified::Wrong(WrongToken::Form)) }
}

/// The token in an `Authorization`.
fn token_in(header: &HeaderValue) -> Result<&str, Unidentified> {
    let token = header.to_str().ok().and_then(|sent| sent.split_once(' ')).and_then(|(scheme, token)| {
        // RFC 9110 §11.1: the scheme is read without regard to case.
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.ok_or(Unidentified::Wrong(WrongToken::Form))
}

/// The secret in an address, if there is one.
fn key_of(query: Option<&str>) -> Option<Cow<'_, str>> {
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(name, _)| name == KEY_PARAMETER).map(|(_, key)| key)
}

/// The answer to a caller at the address of a calendar whose secret is none.
pub(crate) fn no_address(unidentified: Unidentified) -> Problem {
    if unidentified == Unidentified::Unavailable {
        return unavailable();
    }
    let detail = "Este endereço de calendário não vale: ele foi copiado com um erro, é de outro calendário, foi revogado, ou quem o criou já \
                  não pode ler a agenda. Crie outro com POST /calendarios.";
    Problem::new(kind::WRONG_TOKEN, detail).with_challenge(CHALLENGE)
}

/// The answer to a caller whose token identifies nobody.
fn not_identified(unidentified: Unidentified) -> Problem {
    let detail = match unidentified {
        Unidentified::Wrong(WrongToken::Form) => {
            "O cabeçalho Authorization deve ser um só: Bearer e um token deste serviço, que começa com sctec_."
        }
        Unidentified::Wrong(WrongToken::Checksum) => COPIED_WRONG,
        Unidentified::Unknown => {
            "Este serviço não conhece o token. Peça outro a um operador, ou veja se o token é de outra instalação."
        }
        Unidentified::Expired => "O token venceu. Peça outro a um operador.",
        Unidentified::Revoked => "O token foi revogado. Peça outro a um operador.",
        Unidentified::Unavailable => return unavailable(),
    };
    Problem::new(kind::WRONG_TOKEN, detail).with_challenge(CHALLENGE_AGAIN)
}

/// The answer to a page whose session identifies nobody.
fn session_over(unidentified: Unidentified) -> Problem {
    let detail = match unidentified {
        Unidentified::Unavailable => return unavailable(),
        Unidentified::Expired => {
            "A sessão terminou, porque o acesso com que ela foi aberta venceu. Peça outro a um operador."
        }
        Unidentified::Revoked => {
            "A sessão terminou, porque o acesso com que ela foi aberta foi revogado. Peça outro a um operador."
        }
        Unidentified::Unknown | Unidentified::Wrong(_) => "A sessão terminou. Entre de novo.",
    };
    Problem::new(kind::SESSION_OVER, detail).with_challenge(CHALLENGE)
}

fn unavailable() -> Problem {
    let detail = "O registro de tokens não pode ser lido agora, e sem ele ninguém é identificado: nada foi feito. Tente de novo em instantes.";
    Problem::new(kind::IDENTITY_UNAVAILABLE, detail).retry_after_s(1)
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
