//! How a scheduler lets people sign in at an identity provider, checked before any IO.

use std::fmt;

use openidconnect::url::{Host, Url};
use openidconnect::{ClientId, ClientSecret, IssuerUrl, RedirectUrl};
use rust_i18n::t;

use crate::access::entry::EmailRule;
use crate::http::prefix::Prefix;
use crate::http::tls::Trust;

/// The path to which the provider leads the browser back.
pub const RETURN_PATH: &str = "/entrar/retorno";

/// An identity provider, and how this service is known there.
#[derive(Clone, Debug)]
pub struct OpenId {
    /// The provider.
    pub issuer: Issuer,
    /// The name of this service there.
    pub client_id: ClientId,
    /// The secret of this service there; a public client has none.
    pub client_secret: Option<ClientSecret>,
    /// Where the provider leads the browser back to; `None` is the address by which the browser calls this service.
    pub return_to: Option<ReturnUrl>,
    /// Whom the service lets in although no operator has tied them.
    pub email_rule: Option<EmailRule>,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// The URL of a provider, character by character as the provider writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(IssuerUrl);

/// The URL of [`RETURN_PATH`], as the provider knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnUrl(RedirectUrl);

/// What is wrong with a URL of an identity provider, or with one that it is to lead back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongUrl {
    /// It cannot be read.
    #[error("{}", t!("is not a URL"))]
    NoUrl,
    /// It is plain HTTP, and not of this machine.
    #[error("{}", t!("must begin with https://; http:// is for a provider on this machine alone, since anybody between could sign in"))]
    Plain,
    /// It is plain HTTP, and browsers of other machines would come back over it.
    #[error("{}", t!("must begin with https://; http:// is for a service that only this machine's browsers call, by localhost or a loopback address, since anybody between could take the code"))]
    PlainReturn,
    /// It has parts that are no part of it.
    #[error("{}", t!("must have no user, no query and no fragment"))]
    Parts,
    /// It has a path.
    #[error("{}", t!("must be the scheme and the host alone, as https://sctec.example.org"))]
    Path,
}

impl Issuer {
    /// Reads a provider's URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WrongUrl> {
        let issuer = IssuerUrl::new(text.to_owned()).map_err(|_| WrongUrl::NoUrl)?;
        check(issuer.url())?;
        Ok(Self(issuer))
    }

    /// The URL, for the library.
    pub(super) fn url(&self) -> &IssuerUrl {
        &self.0
    }

    /// As it is stored and shown.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether an address that the provider names may be asked: it must be as well protected as the provider's own.
    pub(super) fn may_name(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.0.url().scheme() == "http" && url.scheme() == "http" && is_here(url))
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ReturnUrl {
    /// The return to the service at `base`, as an operator gives it.
    ///
    /// # Errors
    /// As [`ReturnUrl::at`], and when the code would travel in plain text from another machine.
    pub fn given(base: &str) -> Result<Self, WrongUrl> {
        let back = Self::at(base)?;
        if back.is_secure() || is_here(back.0.url()) { Ok(back) } else { Err(WrongUrl::PlainReturn) }
    }

    /// The return to the service at `base`: the scheme and the host.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn at(base: &str) -> Result<Self, WrongUrl> {
        let url = Url::parse(base).map_err(|_| WrongUrl::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(WrongUrl::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(WrongUrl::Parts);
        }
        if url.path() != "/" {
            return Err(WrongUrl::Path);
        }
        RedirectUrl::new(format!("{}{RETURN_PATH}", base.trim_end_matches('/'))).map(Self).map_err(|_| WrongUrl::NoUrl)
    }

    /// The same, where clients see the service below a prefix.
    #[must_use]
    pub fn below(self, prefix: &Prefix) -> Self {
        let mut url = self.0.url().clone();
        url.set_path(&prefix.before(RETURN_PATH));
        Self(RedirectUrl::from_url(url))
    }

    /// The URL, for the library.
    pub(super) fn url(&self) -> &RedirectUrl {
        &self.0
    }

    /// Whether the browser is led back over TLS.
    pub fn is_secure(&self) -> bool {
        self.0.url().scheme() == "https"
    }
}

fn check(url: &Url) -> Result<(), WrongUrl> {
    match url.scheme() {
        "https" => {}
        "http" if is_here(url) => {}
        "http" => return Err(WrongUrl::Plain),
        _ => return Err(WrongUrl::NoUrl),
    }
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if bare && url.host().is_some() { Ok(()) } else { Err(WrongUrl::Parts) }
}

/// Whether a URL leads to this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_over_tls_or_on_this_machine() {
        for good in [
            "https://id.example/realms/obs",
            "https://id.example:8443",
            "http://127.0.0.1:9400",
            "http://localhost:1/x",
            "http://[::1]:1",
        ] {
            assert_eq!(Issuer::parse(good).map(|issuer| issuer.to_string()), Ok(good.to_owned()));
        }
        for (wrong, why) in [
            ("", WrongUrl::NoUrl),
            ("id.example", WrongUrl::NoUrl),
            ("ftp://id.example", WrongUrl::NoUrl),
            ("http://id.example", WrongUrl::Plain),
            ("http://localhost.evil.example", WrongUrl::Plain),
            ("https://a:b@id.example", WrongUrl::Parts),
            ("https://id.example?x", WrongUrl::Parts),
            ("https://id.example#x", WrongUrl::Parts),
        ] {
            assert_eq!(Issuer::parse(wrong), Err(why), "{wrong}");
        }
        let url = |text: &str| Url::parse(text).unwrap();
        let (secure, here) = (Issuer::parse("https://id.example").unwrap(), Issuer::parse("http://[::1]:1").unwrap());
        assert!(secure.may_name(&url("https://keys.example")) && !secure.may_name(&url("http://127.0.0.1/")));
        assert!(here.may_name(&url("http://127.0.0.1/")) && !here.may_name(&url("http://keys.example")));
    }

    #[test]
    fn the_return_is_to_a_host_and_not_to_a_path() {
        for base in ["https://sctec.example", "https://sctec.example/"] {
            let back = ReturnUrl::at(base).unwrap();
            assert_eq!((back.url().as_str(), back.is_secure()), ("https://sctec.example/entrar/retorno", true));
        }
        assert!(!ReturnUrl::at("http://127.0.0.1:5000").unwrap().is_secure());
        for good in ["https://sctec.example", "http://localhost:5000", "http://127.0.0.1:5000", "http://[::1]:5000"] {
            assert_eq!(ReturnUrl::given(good), ReturnUrl::at(good), "{good}");
        }
        for plain in ["http://sctec.example", "http://10.0.0.7:5000", "http://localhost.evil.example"] {
            assert_eq!(ReturnUrl::given(plain), Err(WrongUrl::PlainReturn), "{plain}");
        }
        assert_eq!(ReturnUrl::given("http://sctec.example/agenda"), Err(WrongUrl::Path));
        for (wrong, why) in [
            ("sctec.example", WrongUrl::NoUrl),
            ("javascript:alert(1)", WrongUrl::NoUrl),
            ("https://sctec.example/agenda", WrongUrl::Path),
            ("https://sctec.example/?x", WrongUrl::Parts),
            ("https://u@sctec.example/", WrongUrl::Parts),
        ] {
            assert_eq!(ReturnUrl::at(wrong), Err(why), "{wrong}");
        }
    }
}
