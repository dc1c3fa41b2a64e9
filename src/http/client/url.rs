//! Addresses of HTTP resources, with TLS or without, and the links found in them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use iri_string::format::ToDedicatedString;
use iri_string::types::{UriAbsoluteString, UriReferenceStr};
use percent_encoding::percent_decode_str;

use super::error::UrlError;

/// The URL of an HTTP resource, with TLS or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    uri: UriAbsoluteString,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// The scheme and the authority.
    origin: String,
    is_secure: bool,
    /// As the `Host` header has it: without user information.
    authority: String,
    /// The user information, as the `Authorization` header has it ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)): for a
    /// proxy that asks for credentials.
    credentials: Option<HeaderValue>,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UrlError::NotHttp`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let wrong = || UrlError::NotHttp(text.to_owned());
        let uri = UriAbsoluteString::try_from(text).map_err(|_| wrong())?;
        let (is_secure, scheme, default_port) = match uri.scheme_str() {
            scheme if scheme.eq_ignore_ascii_case("http") => (false, "http", 80),
            scheme if scheme.eq_ignore_ascii_case("https") => (true, "https", 443),
            _ => return Err(wrong()),
        };
        let authority = uri.authority_components().ok_or_else(wrong)?;
        let bracketed = authority.host();
        let host = bracketed.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(bracketed).to_owned();
        let port = match authority.port() {
            None | Some("") => default_port,
            Some(port) => port.parse().map_err(|_| wrong())?,
        };
        if host.is_empty() {
            return Err(wrong());
        }
        let credentials = authority.userinfo().filter(|text| !text.is_empty()).map(basic);
        let authority = format!("{bracketed}:{port}");
        let origin = format!("{scheme}://{}", authority.to_ascii_lowercase());
        Ok(Self { uri, host, port, origin, is_secure, authority, credentials })
    }

    /// The URL that `href` leads to, found in the document at this URL.
    ///
    /// # Errors
    /// When it is no reference, or leads away from HTTP.
    pub fn join(&self, href: &str) -> Result<Self, UrlError> {
        let reference = UriReferenceStr::new(href).map_err(|_| UrlError::NotALink(href.to_owned()))?;
        let resolved = reference.resolve_against(&self.uri).to_dedicated_string();
        Self::parse(resolved.to_absolute().as_str())
    }

    /// The scheme, host and port: which service it is.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it is `https://`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it leads to this machine, so that nobody else can read what is sent.
    pub fn is_loopback(&self) -> bool {
        self.host.parse::<IpAddr>().map_or_else(
            |_| self.host.eq_ignore_ascii_case("localhost"),
            |address| address.to_canonical().is_loopback(),
        )
    }

    /// Whether it has a user or a password.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// The first line's path and query.
    fn request_target(&self) -> String {
        let path = if self.uri.path_str().is_empty() { "/" } else { self.uri.path_str() };
        match self.uri.query_str() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// A builder of requests for this URL, to be sent over a [`super::Connection`] or a [`super::Session`]. `authorization` is the
    /// client's token; without it, the URL's own user is sent.
    pub fn request(&self, authorization: Option<&HeaderValue>) -> hyper::http::request::Builder {
        let request = Request::builder().uri(self.request_target()).header(HOST, &self.authority);
        match authorization.or(self.credentials.as_ref()) {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    /// The addresses of its host.
    ///
    /// # Errors
    /// When the name is unknown.
    pub async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect())
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.uri.mask_password())
    }
}

/// `user:password`, percent-encoded, as the value of `Authorization`.
fn basic(userinfo: &str) -> HeaderValue {
    let decoded: Vec<u8> = percent_decode_str(userinfo).collect();
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(decoded)))
        // Base64 has letters, digits, `+`, `/` and `=`.
        .expect("a header takes base64");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_information_becomes_credentials_and_its_password_is_not_shown() {
        let of = |url: &Url| url.request(None).body(()).unwrap().headers().get(AUTHORIZATION).cloned();
        let url = Url::parse("http://u:p%40%C3%A9@host/a").unwrap();
        assert_eq!(of(&url).unwrap(), format!("Basic {}", BASE64_STANDARD.encode("u:p@é")));
        assert_eq!((url.to_string().as_str(), url.origin()), ("http://u:@host/a", "http://host:80"));
        // A link within the service keeps them; another host does not get them.
        assert_eq!(of(&url.join("/b").unwrap()), of(&url));
        assert_eq!(of(&url.join("http://other/b").unwrap()), None);
        assert_eq!(of(&Url::parse("http://host/").unwrap()), None);
    }

    #[test]
    fn links_are_resolved_against_the_document_they_are_in() {
        let base = Url::parse("http://127.0.0.1:5000").unwrap();
        assert_eq!(base.request_target(), "/");
        let list = base.join("/agendamentos?de=2025-12-01T03%3A00%3A00Z#x").unwrap();
        assert_eq!(list.to_string(), "http://127.0.0.1:5000/agendamentos?de=2025-12-01T03%3A00%3A00Z");
        assert_eq!(list.request_target(), "/agendamentos?de=2025-12-01T03%3A00%3A00Z");
        assert_eq!(
            Url::parse("http://host/sctec/v1").unwrap().join("books").unwrap().to_string(),
            "http://host/sctec/books"
        );
        assert_eq!(base.join("http://other:81/x").unwrap().authority, "other:81");
        assert_eq!(base.join("https://Other/x").unwrap().origin, "https://other:443");
        assert!(base.join("ftp://other/x").is_err());
        assert!(base.join("a b").is_err());
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let parts = |text: &str| Url::parse(text).map(|url| (url.host, url.port, url.authority)).unwrap();
        assert_eq!(parts("http://[::1]:5000/"), ("::1".to_owned(), 5000, "[::1]:5000".to_owned()));
        assert_eq!(parts("HTTP://me@host"), ("host".to_owned(), 80, "host:80".to_owned()));
        assert_eq!(parts("https://host"), ("host".to_owned(), 443, "host:443".to_owned()));
        for (text, is_loopback) in [
            ("http://localhost", true),
            ("https://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.7", false),
            ("http://h", false),
        ] {
            assert_eq!(Url::parse(text).unwrap().is_loopback(), is_loopback, "{text}");
        }
        for wrong in ["", "127.0.0.1:5000", "ftp://host", "http://", "http://host:99999", "http://h h", "/time"] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
