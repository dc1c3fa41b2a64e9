//! What is wrong with a service's TLS, as its client sees it, and what to do about it.

use std::error::Error;
use std::io;

use rust_i18n::t;
use rustls::{CertificateError, InvalidMessage};

/// What is wrong with a service's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No authority that the client believes has signed the certificate.
    UnknownAuthority,
    /// The certificate is for these names, and the client uses another one.
    OtherNames(Vec<String>),
    /// The certificate is out of date.
    Expired,
    /// The certificate's time has not begun.
    NotYetValid,
    /// The certificate cannot be used for another reason. The error's own text describes it.
    Certificate,
    /// The service does not speak TLS.
    NoTls,
    /// Another failure. The error's own text describes it.
    Other,
}

impl Fault {
    /// The fault that an error tells of, if TLS is its cause.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::of_rustls(error));
            }
            // The source of an error of the standard library is that of the error inside.
            let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            cause = match inside {
                Some(inside) => Some(inside),
                None => error.source(),
            };
        }
        None
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                // An authority that was made anew under its old name has another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
                CertificateError::NotValidForNameContext { presented, .. } => {
                    Self::OtherNames(presented.iter().map(|name| plain(name).to_owned()).collect())
                }
                _ => Self::Certificate,
            },
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NoTls,
            _ => Self::Other,
        }
    }

    /// Whether [`Fault::advice`] says all that is known.
    pub fn is_explained(&self) -> bool {
        !matches!(self, Self::Certificate | Self::Other)
    }

    /// Whether the client may be at fault: it does not know the service's authority, or calls the service by another name.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::UnknownAuthority | Self::OtherNames(_))
    }

    /// The advice for the user. `other` is the option or variable that sets another URL.
    pub fn advice(&self, other: &str) -> String {
        let advice = match self {
            Self::UnknownAuthority => t!(
                "no authority that is believed here has signed its certificate; give the authority's certificate with --ca FILE (SCTEC_CA)"
            ),
            Self::OtherNames(names) if names.is_empty() => {
                t!(
                    "its certificate has no host name; give the service one that has a name for the address in %{other}",
                    other = other
                )
            }
            Self::OtherNames(names) => t!(
                "its certificate is for %{names}; use such a name in %{other}, or give the service a certificate that has yours",
                names = names.join(", "),
                other = other
            ),
            Self::Expired => {
                t!("its certificate has expired; renew it, and check that this machine's clock is right")
            }
            Self::NotYetValid => {
                t!("its certificate is not valid yet; check that this machine's clock is right")
            }
            Self::Certificate => t!("its certificate cannot be used; give the service another one"),
            Self::NoTls => {
                t!("it does not speak TLS; use http:// in %{other}, or start it with --tls-cert", other = other)
            }
            Self::Other => t!("TLS failed; check that the address in %{other} is right", other = other),
        };
        advice.into_owned()
    }

    /// The same for the log.
    pub fn logged(&self) -> Option<String> {
        Some(match self {
            Self::UnknownAuthority => {
                "o certificado não é de uma autoridade conhecida aqui (a dela se dá com --ca)".to_owned()
            }
            Self::OtherNames(names) => format!("o certificado é de outros nomes: {}", names.join(", ")),
            Self::Expired => "o certificado venceu, ou o relógio desta máquina está adiantado".to_owned(),
            Self::NotYetValid => "o certificado ainda não vale, ou o relógio desta máquina está atrasado".to_owned(),
            Self::NoTls => "não fala TLS (use http:// em vez de https://)".to_owned(),
            Self::Certificate | Self::Other => return None,
        })
    }
}

/// A name as rustls gives it, `DnsName("a")` or `IpAddress(b)`, without what stands around it.
fn plain(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inside.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn a_fault_is_found_inside_other_errors_and_its_advice_says_what_to_do() {
        let of = |error: CertificateError| {
            let inside = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error));
            Fault::of(&io::Error::other(inside)).unwrap()
        };
        assert_eq!(of(CertificateError::UnknownIssuer), Fault::UnknownAuthority);
        assert_eq!(of(CertificateError::Expired), Fault::Expired);
        assert_eq!(of(CertificateError::Revoked), Fault::Certificate);
        let presented = vec![r#"DnsName("sctec.example")"#.to_owned(), "IpAddress(10.0.0.7)".to_owned()];
        let expected = ServerName::try_from("localhost").unwrap();
        let fault = of(CertificateError::NotValidForNameContext { expected, presented });
        assert_eq!(fault, Fault::OtherNames(vec!["sctec.example".to_owned(), "10.0.0.7".to_owned()]));
        assert!(fault.advice("--url").contains("is for sctec.example, 10.0.0.7; use such a name in --url"));
        assert!(Fault::UnknownAuthority.advice("--url").contains("--ca FILE"));
        assert_eq!(Fault::of(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
