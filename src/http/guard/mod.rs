//! Whether a request is meant for this service, and whether a page of another origin sends it. Pure: a function of the
//! request's head, of the names that an operator allows, and of the address at which the connection arrived.
//!
//! A browser sends requests to any address for any page that it shows. Two attacks follow, and each has a check:
//!
//! - A page's name may be made to lead to this machine (DNS rebinding). To the browser the service then
//!   belongs to the page, which can read and change everything. Such a request has the page's name in `Host`. So [`Guard`] refuses every name that it does not know.
//! - A page may send what needs no permission: a form, a beacon, an image. Such a request has the page's origin in `Origin`, or
//!   its relation to this service in `Sec-Fetch-Site`. No script can change these headers.
//!
//! Other programs send neither of the two headers, and go on working.

mod authority;
pub mod origins;

use std::net::IpAddr;
use std::str::FromStr;

use hyper::Method;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::request::Parts;

use self::authority::{Authority, Host};
use self::origins::AllowedOrigin;
use super::head::only;
use super::kind;
use super::problem::Problem;

/// The most characters of a host or an origin that a problem shows.
const SHOWN_MAX: usize = 100;

/// A name or an address by which an operator lets clients call a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost(Allowed);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    /// A name, without a dot at its end.
    Name(Box<str>),
    Address(IpAddr),
}

/// What is wrong with a text that should be an [`AllowedHost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongHost {
    /// It is a URL.
    Url,
    /// It has a port.
    Port,
    /// It is a pattern.
    Pattern,
    /// It is neither a name nor an address.
    NoHost,
}

impl FromStr for AllowedHost {
    type Err = WrongHost;

    fn from_str(text: &str) -> Result<Self, WrongHost> {
        // Here an IPv6 address needs no brackets.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(Allowed::Address(address.to_canonical())));
        }
        if text.contains('/') {
            return Err(WrongHost::Url);
        }
        if text.contains('*') {
            return Err(WrongHost::Pattern);
        }
        match Authority::parse(text) {
            Some(Authority { port: Some(_), .. }) => Err(WrongHost::Port),
            Some(Authority { host: Host::Address(address), .. }) => Ok(Self(Allowed::Address(address.to_canonical()))),
            Some(Authority { host: Host::Name(name), .. }) if !relative(name).is_empty() && !text.contains(':') => {
                Ok(Self(Allowed::Name(relative(name).into())))
            }
            _ => Err(WrongHost::NoHost),
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It names no host.
    NoHost,
    /// Its host cannot be read.
    MalformedHost,
    /// Its host is not one of this service's.
    Host(String),
    /// A page of another origin sends it; the origin, if the browser tells it.
    Origin(Option<String>),
}

impl Refusal {
    /// Whether the head is malformed, so that the bytes after it may not be a request.
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::NoHost | Self::MalformedHost)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoHost => Self::new(
                kind::MALFORMED_HEAD,
                "Falta o cabeçalho Host, com o nome ou o endereço deste serviço, como 127.0.0.1:5000.",
            ),
            Refusal::MalformedHost => Self::new(
                kind::MALFORMED_HEAD,
                "O cabeçalho Host (ou o host da URI) deve ser um nome ou endereço, com porta ou sem, como 127.0.0.1:5000.",
            ),
            Refusal::Host(host) => {
                let detail = format!(
                    "Este serviço não atende pelo nome \"{host}\". Chame-o por localhost ou pelo seu endereço; ou, se o nome é mesmo \
                     deste serviço, inicie-o com --allowed-host {host} (ou SCTEC_ALLOWED_HOST)."
                );
                Self::new(kind::WRONG_HOST, detail)
            }
            Refusal::Origin(origin) => {
                let page = origin.map_or_else(|| "outra origem".to_owned(), |origin| format!("\"{origin}\""));
                let detail = format!(
                    "Uma página de {page} não pode usar este serviço: só as páginas do próprio serviço podem, e as das origens que o operador permite com --allowed-origin. Atrás de um proxy, ele deve \
                     passar o Host que recebeu, e o serviço deve ter --allowed-host com esse nome."
                );
                Self::new(kind::WRONG_ORIGIN, detail)
            }
        }
    }
}

/// The names of a service, and the checks of each request.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Vec<AllowedHost>,
    /// The origins of other pages that may use the service.
    origins: Vec<AllowedOrigin>,
    /// Whether the service has TLS, and so an origin of `https://`.
    tls: bool,
}

/// The schemes that the origin of a page of this service may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schemes {
    Http,
    Https,
    Both,
}

impl Guard {
    /// The guard of a service that also has the names `allowed`, with `tls` or without.
    pub fn new(allowed: Vec<AllowedHost>, tls: bool) -> Self {
        Self { allowed, origins: Vec::new(), tls }
    }

    /// The same guard, which also lets in pages of these origins.
    #[must_use]
    pub fn letting_in(self, origins: Vec<AllowedOrigin>) -> Self {
        Self { origins, ..self }
    }

    /// The origin of the page that sends a request, if it is one that an operator lets in.
    pub fn let_in(&self, head: &Parts) -> Option<&AllowedOrigin> {
        if self.origins.is_empty() {
            return None;
        }
        origins::among(&self.origins, only(&head.headers, ORIGIN))
    }

    /// Checks a request whose connection arrived at the address `here`. `Host` comes once at the most: see [`super::head`].
    ///
    /// # Errors
    /// When the request is not meant for this service, or a page of another origin sends it.
    pub fn check(&self, head: &Parts, here: IpAddr) -> Result<(), Refusal> {
        let asked = asked(head)?;
        let named = self.is_allowed(asked.host);
        if !named && !is_own(asked.host, here) {
            return Err(Refusal::Host(shown(asked.host)));
        }
        let schemes = match (self.tls, named) {
            (true, _) => Schemes::Https,
            // In front of a name that an operator allows, there may be a proxy with TLS.
            (false, true) => Schemes::Both,
            (false, false) => Schemes::Http,
        };
        if self.let_in(head).is_some() {
            return Ok(());
        }
        check_origin(head, &asked, schemes)
    }

    fn is_allowed(&self, host: Host) -> bool {
        self.allowed.iter().any(|AllowedHost(allowed)| match (allowed, host) {
            (Allowed::Name(allowed), Host::Name(name)) => allowed.eq_ignore_ascii_case(relative(name)),
            (Allowed::Address(allowed), Host::Address(address)) => *allowed == address.to_canonical(),
            _ => false,
        })
    }
}

/// The authority that a request asks: that of its target if it has one (RFC 9112 §3.2.2), else that of `Host`.
fn asked(head: &Parts) -> Result<Authority<'_>, Refusal> {
    let host = head.headers.get(HOST).filter(|host| !host.is_empty()).ok_or(Refusal::NoHost)?;
    let host = host.to_str().ok().and_then(Authority::parse).ok_or(Refusal::MalformedHost)?;
    match head.uri.authority() {
        Some(target) => Authority::parse(target.as_str()).ok_or(Refusal::MalformedHost),
        None => Ok(host),
    }
}

/// Whether a host is this machine's by itself: nobody else can give another machine this name.
fn is_own(host: Host, here: IpAddr) -> bool {
    match host {
        Host::Name(name) => relative(name).eq_ignore_ascii_case("localhost"),
        Host::Address(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address == here.to_canonical()
        }
    }
}

/// Checks that no page of another origin than `asked` sends the request.
fn check_origin(head: &Parts, asked: &Authority, schemes: Schemes) -> Result<(), Refusal> {
    let headers = &head.headers;
    // It changes nothing and tells nothing of the agenda. A browser asks with it whether a page may go on, and gets no permission.
    if head.method == Method::OPTIONS {
        return Ok(());
    }
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    let from_here = match headers.get(SEC_FETCH_SITE) {
        None => true,
        Some(_) => match only(headers, SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => true,
            Some(b"cross-site" | b"same-site") => reads && is_navigation(headers),
            // A value of the future says nothing here; `Origin` is still compared. Several values contradict each other.
            other => other.is_some(),
        },
    };
    let origin_fits = match headers.get(ORIGIN) {
        None => true,
        Some(_) => only(headers, ORIGIN)
            .and_then(|origin| origin.to_str().ok())
            .is_some_and(|origin| is_origin(origin, asked, schemes)),
    };
    if from_here && origin_fits { Ok(()) } else { Err(Refusal::Origin(origin_of(headers))) }
}

/// The header in which a browser says how the page that sends a request is related to this service.
pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a person follows a link: the answer replaces the page that has the link, which cannot read it.
fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &str, wanted: &[u8]| only(headers, name).is_some_and(|value| value.as_bytes() == wanted);
    is("sec-fetch-mode", b"navigate") && is("sec-fetch-dest", b"document")
}

/// Whether `origin` is one of the `schemes` and the authority `asked`.
fn is_origin(origin: &str, asked: &Authority, schemes: Schemes) -> bool {
    let (authority, default_port) = match origin.split_once("://") {
        Some(("http", authority)) if schemes != Schemes::Https => (authority, 80),
        Some(("https", authority)) if schemes != Schemes::Http => (authority, 443),
        _ => return false,
    };
    Authority::parse(authority).is_some_and(|origin| {
        origin.host == asked.host && origin.port.unwrap_or(default_port) == asked.port.unwrap_or(default_port)
    })
}

/// A name without the dot at its end, which only says that nothing is to be added to the name.
fn relative(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn shown(host: Host) -> String {
    match host {
        Host::Name(name) => name.chars().take(SHOWN_MAX).collect(),
        Host::Address(address) => address.to_string(),
    }
}

/// The origin of the page that sends a request, as far as it can be shown.
fn origin_of(headers: &HeaderMap) -> Option<String> {
    let origin = only(headers, ORIGIN)?.to_str().ok()?;
    Some(origin.chars().take(SHOWN_MAX).collect())
}

#[cfg(test)]
mod tests;
