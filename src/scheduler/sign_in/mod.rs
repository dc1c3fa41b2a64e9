//! Signing in at an identity provider: OpenID Connect, the authorisation code flow with PKCE.
//!
//! `GET /entrar` sends the browser to the provider ([`Attempt`] says with what), and the provider sends it back to `GET /entrar/retorno`
//! with a code. [`Provider`] exchanges the code and checks whom the provider has recognised. The register finds the
//! credential of that person, and a session of it begins, as it does with a token. The browser then is led to the page ([`pages`]).
//!
//! Both endpoints are for everybody. Codes, tokens and secrets stand in no log and in no answer.

mod pages;

use std::collections::HashMap;

use hyper::StatusCode;
use hyper::header::{HOST, HeaderValue, LOCATION, SET_COOKIE};
use slog::info;

use super::app::App;
use super::config::SERVICE;
use super::links::SIGN_IN_PATH;
use super::open_id::{AT_ONCE, Attempt, Failed, Full, OF_ONE_ADDRESS, OpenId, Place, Provider, ReturnUrl, no_cookie};
use super::tokens::{on_disk, register};
use crate::access::Caller;
use crate::access::entry::NoEntry;
use crate::access::register::credential::Credential;
use crate::access::session::LONGEST;
use crate::access::subject::Identified;
use crate::http::links::{Link, Links};
use crate::http::prefix::Prefix;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{Response, bytes, cookie, kind};

/// The longest code. It is not ours, and providers make long ones.
const CODE_MAX: usize = 8 * 1024;
/// The most characters of a provider's error that are shown.
const ERROR_MAX: usize = 40;

/// Somebody who cannot come in: the problem, and the provider and subject that an operator needs to know.
struct Refused {
    problem: Problem,
    who: Option<(String, String)>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, who: None }
    }
}

/// Where the provider leads this request's browser back to.
fn back_to(provider: &Provider, request: &Request) -> Result<ReturnUrl, Problem> {
    if let Some(back) = &provider.settings().return_to {
        return Ok(back.clone().below(&Prefix::current()));
    }
    // The guard has checked that the name is one of this service's. The provider refuses one that it does not know.
    let host = request.head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = request.head.uri.authority().map_or(host, |authority| authority.as_str());
    let scheme = if request.tls { "https" } else { "http" };
    ReturnUrl::at(&format!("{scheme}://{authority}"))
        .map(|back| back.below(&Prefix::current()))
        .map_err(|wrong| Problem::internal(format!("{authority:?} {wrong}")))
}

/// `GET /entrar`: to the provider.
pub async fn start(app: &App, request: &Request) -> Result<Response, Problem> {
    match begin(app, request).await {
        Ok(response) => Ok(response),
        Err(problem) => pages::refusal(problem, None, request),
    }
}

async fn begin(app: &App, request: &Request) -> Result<Response, Problem> {
    let provider = provider(app)?;
    let back = back_to(provider, request)?;
    let place = provider.place(request.peer).map_err(failed)?;
    let attempt = Attempt::begin(app.clock.now(), request.pass.session())
        .map_err(|error| Problem::internal(error.to_string()))?;
    let address = provider.address(&place, &attempt, &back).await.map_err(failed)?;
    let mut response = bytes(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Vec::new());
    let location = HeaderValue::from_str(address.as_str()).map_err(|error| Problem::internal(error.to_string()))?;
    response.headers_mut().insert(LOCATION, location);
    append(&mut response, attempt.cookie(back.is_secure()));
    Ok(response)
}

/// `GET /entrar/retorno`: back from the provider. The attempt to which the return belongs is over then. A return that belongs to no attempt
/// leaves the one that is in progress: another page may have sent the browser here.
pub async fn finish(app: &App, request: &Request) -> Result<Response, Problem> {
    let provider = provider(app)?;
    let back = back_to(provider, request)?;
    let said = said(request.head.uri.query());
    let attempt = Attempt::of(&request.head.headers, back.is_secure(), app.clock.now())
        .filter(|attempt| said.get("state").is_some_and(|state| attempt.has_state(state)));
    let Some(attempt) = attempt else { return pages::refusal(another_attempt(), None, request) };
    // Without a place nothing was asked, and the browser may come to this address again.
    let place = match provider.place(request.peer) {
        Ok(place) => place,
        Err(full) => return pages::refusal(failed(full), None, request),
    };
    let entering = Entering { provider, place, back: &back, attempt, said };
    let mut response = match entering.finish(app, request).await {
        Ok(response) => response,
        Err(Refused { problem, who }) => {
            let who = who.as_ref().map(|(issuer, subject)| (issuer.as_str(), subject.as_str()));
            pages::refusal(problem, who, request)?
        }
    };
    append(&mut response, no_cookie(back.is_secure()));
    Ok(response)
}

/// Somebody who came back from the provider, with the attempt that this browser began.
struct Entering<'a> {
    provider: &'a Provider,
    place: Place<'a>,
    back: &'a ReturnUrl,
    attempt: Attempt,
    /// What the provider says in the query.
    said: HashMap<String, String>,
}

impl Entering<'_> {
    async fn finish(self, app: &App, request: &Request) -> Result<Response, Refused> {
        let Self { provider, place, back, attempt, said } = self;
        let settings = provider.settings();
        if said.get("iss").is_some_and(|issuer| issuer != settings.issuer.as_str()) {
            return Err(another_attempt().caused_by("a resposta é de outro provedor (iss)").into());
        }
        if let Some(error) = said.get("error") {
            return Err(denied(error).into());
        }
        let code = said.get("code").filter(|code| (1..=CODE_MAX).contains(&code.len()));
        let code = code.cloned().ok_or_else(|| another_attempt().caused_by("o provedor não deu um código"))?;
        let identified = provider.identify(&place, code, &attempt, back).await.map_err(failed)?;
        drop(place);
        let credential = credential(app, settings, identified, request).await?;
        // The provider may be of this site, and then the browser sends its session here too.
        let (id, before) = (credential.id, [attempt.before(), request.pass.session()]);
        let secret = on_disk(register(app)?, request, move |register| {
            for before in before.into_iter().flatten() {
                register.end_session(&before)?;
            }
            register.begin_session(id)
        });
        let secret = secret.await?;
        info!(
            request.log,
            "Sessão aberta para {} pelo provedor de identidade, com a credencial {}", credential.principal.name, id
        );
        let mut response = pages::step(&request.head.headers);
        append(&mut response, cookie::set(secret.expose(), back.is_secure(), LONGEST));
        Ok(response)
    }
}

/// The credential of whom the provider has recognised.
async fn credential(
    app: &App,
    settings: &OpenId,
    identified: Identified,
    request: &Request,
) -> Result<Credential, Refused> {
    let (rule, who) = (settings.email_rule.clone(), identified.clone());
    let by = Caller::service(SERVICE).author;
    let entered =
        on_disk(register(app)?, request, move |register| register.sign_in(&identified, rule.as_ref(), &by)).await?;
    entered.map_err(|no_entry| {
        let detail = match no_entry {
            NoEntry::Unknown => "O provedor reconheceu você, mas este serviço ainda não sabe quem você é aqui. Dê a um operador o provedor e o sujeito abaixo.",
            NoEntry::NameTaken => "O provedor reconheceu você, mas o seu e-mail já é o nome de outro acesso deste serviço. Dê a um operador o provedor e o sujeito abaixo.",
            NoEntry::Revoked => "O seu acesso foi revogado. Se foi engano, dê a um operador o provedor e o sujeito abaixo.",
            NoEntry::Expired => "O seu acesso venceu. Dê a um operador o provedor e o sujeito abaixo.",
        };
        let problem = Problem::new(kind::ENTRY_REFUSED, detail)
            .with("emissor", who.issuer.clone())
            .with("sujeito", who.subject.clone())
            .caused_by(format!("{detail} emissor {:?}, sujeito {:?}", who.issuer, who.subject));
        Refused { problem, who: Some((who.issuer, who.subject)) }
    })
}

/// What the provider says in the query. What is unknown is ignored, as RFC 6749 §4.1.2 asks; of what comes twice, nothing counts.
fn said(query: Option<&str>) -> HashMap<String, String> {
    let mut said = HashMap::new();
    let mut twice = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if said.insert(name.to_string(), value.into_owned()).is_some() {
            twice.push(name.into_owned());
        }
    }
    for name in twice {
        said.remove(&name);
    }
    said
}

fn provider(app: &App) -> Result<&Provider, Problem> {
    let detail = "Este serviço não tem provedor de identidade: ele foi iniciado sem --oidc-issuer.";
    app.provider.as_ref().ok_or_else(|| Problem::new(kind::NOT_FOUND, detail))
}

/// The answer to a return that is not this browser's.
fn another_attempt() -> Problem {
    let detail = "Esta resposta do provedor não é da última entrada que este navegador começou, há menos de dez minutos, ou já foi usada. Entre de novo.";
    Problem::new(kind::ENTRY_INVALID, detail).with_links(again())
}

/// The answer to a person whom the provider has not recognised.
fn denied(error: &str) -> Problem {
    let fits = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    let shown: String = error.chars().filter(fits).take(ERROR_MAX).collect();
    if matches!(shown.as_str(), "server_error" | "temporarily_unavailable") {
        return failed(Failed::Unavailable(format!("responde {shown}")));
    }
    let detail =
        format!("O provedor não deixou você entrar: {shown}. Entre de novo, ou pergunte a quem cuida do provedor.");
    Problem::new(kind::ENTRY_REFUSED, detail).with_links(again())
}

/// The answer where the provider has recognised nobody.
fn failed(failed: Failed) -> Problem {
    match failed {
        Failed::Code(cause) => another_attempt().caused_by(cause),
        Failed::Full(full) => {
            let problem = match full {
                Full::Own => {
                    let detail = format!(
                        "Do seu endereço já entram {OF_ONE_ADDRESS} pessoas neste instante, o máximo. Tente de novo em instantes."
                    );
                    Problem::new(kind::OWN_GUESTS_FULL, detail)
                }
                Full::All => {
                    let detail = format!(
                        "Já entram {AT_ONCE} pessoas neste instante, o máximo deste serviço. Tente de novo em instantes."
                    );
                    Problem::new(kind::TOO_MANY_GUESTS, detail)
                }
            };
            problem.with_links(again()).retry_after_s(1)
        }
        Failed::Unavailable(cause) => {
            let detail =
                "O provedor de identidade não responde agora. Tente de novo em instantes, ou entre com um token.";
            unavailable(detail, &cause).retry_after_s(5)
        }
        Failed::Wrong(cause) => {
            let detail = "O provedor de identidade deu uma resposta em que este serviço não pode confiar. Um operador vê o motivo no log; enquanto isso, entre com um token.";
            unavailable(detail, &cause)
        }
    }
}

fn unavailable(detail: &str, cause: &str) -> Problem {
    Problem::new(kind::PROVIDER_UNAVAILABLE, detail)
        .with_links(again())
        .caused_by(format!("O provedor de identidade: {cause}"))
}

fn again() -> Links {
    Links::new().with("entrar_com_provedor", Link::get(SIGN_IN_PATH)).with("inicio", Link::get("/"))
}

fn append(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
