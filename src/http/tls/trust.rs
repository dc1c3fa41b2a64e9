//! Whose certificates a client believes: those of the system's authorities, of the authorities in a file, or exactly one.
//!
//! # Why the system's roots
//! They are kept current by the system, and have the private authorities that an organisation has installed; `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name others, as for most programs. Roots that are compiled into an executable have none of that, and grow old with it. So
//! those of Mozilla, which are compiled in, count only where the system has no place for authorities at all, as in the image.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::HTTP_1_1;
use super::error::PairError;
use super::pair::certificates;
use super::serving::Tls;

/// The system's authorities. They are read when the first connection needs them.
static SYSTEM: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| config(Verifier { authorities: Authorities::of_system(), known: Known::None }));

/// Whose certificates a client believes.
#[derive(Clone, Default)]
pub struct Trust(Option<Arc<ClientConfig>>);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Trust(given)" } else { "Trust(system)" })
    }
}

impl Trust {
    /// The authorities whose certificates are in `path`, in PEM form, and no other. A server's own certificate counts as its authority,
    /// since `openssl req -x509` makes one that is both.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn in_file(path: &Path) -> Result<Self, PairError> {
        let known = certificates(path)?;
        let authorities = Authorities::of(known.clone());
        if authorities.is_none() {
            return Err(PairError::WrongCertificate { path: path.to_owned() });
        }
        Ok(Self::by(Verifier { authorities, known: Known::Some(known) }))
    }

    /// The same, or the system's authorities if there is no `ca`; and also the certificate in `own`, by any name: for a check on the
    /// machine of the service, which calls it by no name of its certificate.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn also(own: &Path, ca: Option<&Path>) -> Result<Self, PairError> {
        let authorities = match ca {
            Some(path) => Authorities::of(certificates(path)?),
            None => Authorities::of_system(),
        };
        let known = certificates(own)?.into_iter().next();
        Ok(Self::by(Verifier { authorities, known: known.map_or(Known::None, Known::ByAnyName) }))
    }

    /// The certificate that a server of this process presents, by any name.
    pub fn of_own(tls: &Tls) -> Self {
        Self::by(Verifier { authorities: None, known: Known::Own(tls.clone()) })
    }

    /// How a connection is begun.
    pub(in crate::http) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(self.0.as_ref().unwrap_or(&SYSTEM))
    }

    /// How a connection of another protocol than HTTP is begun: the server's certificate is believed by the same rules.
    pub fn config_for(&self, protocol: &[u8]) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.config());
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    /// How a connection to `host` is begun.
    ///
    /// # Errors
    /// When no certificate can have that name.
    pub(in crate::http) fn dial(&self, host: &str) -> io::Result<Dial> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Dial { config: self.config(), name })
    }

    fn by(verifier: Verifier) -> Self {
        Self(Some(config(verifier)))
    }
}

/// How TLS is begun with one server.
#[derive(Clone)]
pub struct Dial {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Dial {
    /// The client's end of the handshake.
    ///
    /// # Errors
    /// When the server's certificate is not believed, or the server speaks no TLS.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await
    }

    /// The same for a blocking connection, before the handshake.
    ///
    /// # Errors
    /// When the library refuses its own settings.
    pub fn blocking(&self) -> io::Result<ClientConnection> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(io::Error::other)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(verifier: Verifier) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Arc::new(config)
}

/// Authorities, by the usual rules of certificates.
#[derive(Debug)]
struct Authorities(Arc<WebPkiServerVerifier>);

impl Authorities {
    fn of_system() -> Option<Self> {
        let read = rustls_native_certs::load_native_certs();
        // What cannot be read is not believed; the connection's own error then says so.
        let says_some = !read.errors.is_empty() || ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| is_set(name));
        Self::in_store(roots_of(read.certs, says_some))
    }

    /// `None` if there is not one.
    fn of(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        Self::in_store(roots_of(certificates, true))
    }

    fn in_store(roots: RootCertStore) -> Option<Self> {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok().map(Self)
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// These authorities, or those of Mozilla if there are none because nothing `says` which ones count.
fn roots_of(certificates: Vec<CertificateDer<'static>>, says: bool) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    if certificates.is_empty() && !says {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(certificates);
    roots
}

/// Certificates that are believed by themselves.
#[derive(Debug)]
enum Known {
    None,
    /// For the names that they have.
    Some(Vec<CertificateDer<'static>>),
    /// For any name.
    ByAnyName(CertificateDer<'static>),
    /// What a server of this process presents now.
    Own(Tls),
}

/// Believes what its authorities have signed, and certificates that are known.
#[derive(Debug)]
struct Verifier {
    authorities: Option<Authorities>,
    known: Known,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_authority = match &self.authorities {
            Some(Authorities(verifier)) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match (&self.known, by_authority) {
            (Known::Own(tls), _) if tls.presents(end_entity) => Ok(ServerCertVerified::assertion()),
            (Known::ByAnyName(known), _) if known == end_entity => Ok(ServerCertVerified::assertion()),
            (Known::Some(known), Err(Error::InvalidCertificate(error)))
                if !is_of_time(&error) && known.iter().any(|known| known == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            (_, by_authority) => by_authority,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate is out of date, or not valid yet.
fn is_of_time(error: &CertificateError) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mozillas_authorities_count_only_where_nothing_says_which_ones_do() {
        let mozilla = roots_of(Vec::new(), false).len();
        assert!(mozilla > 50, "{mozilla}");
        assert!(roots_of(Vec::new(), true).is_empty());
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new(vec!["obs.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        assert_eq!(roots_of(vec![own.der().clone()], false).len(), 1);
    }
}
