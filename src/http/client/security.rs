//! What a client needs beside an address: whose certificates it believes, and the token by which it says who it is.

use std::io;

use hyper::header::HeaderValue;

use super::token::Token;
use super::url::Url;
use crate::http::tls::{Dial, Trust};

/// Whose certificates a client believes, and who it is.
#[derive(Clone, Debug, Default)]
pub struct Security {
    trust: Trust,
    bearer: Option<Bearer>,
}

/// The token, and the services to which it is sent. A link that leads to another service does not take it along.
#[derive(Clone, Debug)]
struct Bearer {
    authorization: HeaderValue,
    origins: Vec<String>,
}

impl Security {
    /// Believes by `trust`, and sends `token` to the services at `urls` alone.
    pub fn new(trust: Trust, token: Option<&Token>, urls: &[Url]) -> Self {
        let bearer = token.map(|token| Bearer {
            authorization: token.authorization(),
            origins: urls.iter().map(|url| url.origin().to_owned()).collect(),
        });
        Self { trust, bearer }
    }

    /// Whose certificates are believed.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The value of `Authorization` for a request to `url`, if the token is for that service.
    pub fn authorization(&self, url: &Url) -> Option<&HeaderValue> {
        let bearer = self.bearer.as_ref().filter(|bearer| bearer.origins.iter().any(|origin| origin == url.origin()));
        bearer.map(|bearer| &bearer.authorization)
    }

    /// How TLS is begun with the service at `url`; `None` without TLS.
    ///
    /// # Errors
    /// When no certificate can have the name of its host.
    pub fn dial(&self, url: &Url) -> io::Result<Option<Dial>> {
        url.is_secure().then(|| self.trust.dial(url.host())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_the_services_that_were_named_and_nowhere_else() {
        let url = |text: &str| Url::parse(text).unwrap();
        let token: Token = "sctec_abc".parse().unwrap();
        let security =
            Security::new(Trust::default(), Some(&token), &[url("https://h:1/v1"), url("http://[::1]:5000")]);
        for named in ["https://h:1", "https://h:1/agendamentos?x=1", "http://[::1]:5000/time"] {
            assert_eq!(security.authorization(&url(named)).unwrap(), "Bearer sctec_abc", "{named}");
        }
        for other in
            ["http://h:1", "https://h:2", "https://h", "https://other:1", "https://h.other:1", "http://localhost:5000"]
        {
            assert_eq!(security.authorization(&url(other)), None, "{other}");
        }
        assert!(!format!("{security:?}").contains("abc"));
        assert_eq!(Security::default().authorization(&url("https://h:1")), None);
    }
}
