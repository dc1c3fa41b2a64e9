//! A server's certificate: presented to each new connection, and read again when its files change.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use slog::{Logger, info, warn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::HTTP_1_1;
use super::error::PairError;
use super::pair::{Files, Pair, Stamp};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A server's TLS: its certificate and key, and how it speaks.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    presented: Arc<Presented>,
    config: Arc<ServerConfig>,
    /// The state of the files from which the presented pair was read, and the permissions of a key that others may read. Held only
    /// to read or to replace them.
    read: Mutex<(Stamp, Option<u32>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

/// The pair that new connections get. Held only to read or to replace it.
struct Presented(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented")
    }
}

impl Presented {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

/// What a look at the files found.
enum Look {
    Same,
    Renewed(Pair),
    Wrong(Stamp, PairError),
}

impl Tls {
    /// The certificate in `cert` with the key in `key`, both in PEM form.
    ///
    /// # Errors
    /// [`PairError`], which names the file.
    pub fn read(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, PairError> {
        let files = Files { cert: cert.into(), key: key.into() };
        let Pair { certified, readable_as, stamp } = files.read()?;
        let presented = Arc::new(Presented(RwLock::new(certified)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&presented) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        let read = Mutex::new((stamp, readable_as));
        Ok(Self(Arc::new(Inner { files, presented, config: Arc::new(config), read })))
    }

    /// The server's end of the handshake.
    ///
    /// # Errors
    /// When the client speaks no TLS, closes the connection, or does not believe the certificate.
    pub(in crate::http) async fn accept<S>(&self, wire: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(Arc::clone(&self.0.config)).accept(wire).await
    }

    /// Whether new connections get this certificate.
    pub(super) fn presents(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.presented.now().cert.first() == Some(certificate)
    }

    /// Reads the pair again each time its files change, and logs that. A pair that is wrong is not used: the one before goes on.
    pub(in crate::http) async fn watch(self, log: Logger) {
        self.tell_permissions(&log);
        // The state that was wrong at the last look, and whether that was logged.
        let mut wrong: Option<(Stamp, bool)> = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (this, told) = (self.clone(), wrong.as_ref().filter(|(_, told)| *told).map(|(stamp, _)| stamp.clone()));
            // A network's file system may take its time.
            let Ok(look) = tokio::task::spawn_blocking(move || this.look(told.as_ref())).await else { return };
            match look {
                Look::Same => {}
                Look::Renewed(pair) => {
                    self.present(pair);
                    info!(log, "Certificado TLS lido de novo: {}", self.0.files.cert.display());
                    self.tell_permissions(&log);
                    wrong = None;
                }
                // The other file may be written a moment later.
                Look::Wrong(stamp, error) => {
                    let still = wrong.is_some_and(|(before, _)| before == stamp);
                    if still {
                        warn!(
                            log,
                            "O certificado ou a chave TLS mudou e não serve: {}; vale o par anterior",
                            error.logged()
                        );
                    }
                    wrong = Some((stamp, still));
                }
            }
        }
    }

    /// Looks at the files, and reads them if they changed. `told` is a state that is known to be wrong.
    fn look(&self, told: Option<&Stamp>) -> Look {
        let stamp = self.0.files.stamp();
        if stamp == self.0.read.lock().unwrap_or_else(PoisonError::into_inner).0 || Some(&stamp) == told {
            return Look::Same;
        }
        match self.0.files.read() {
            Ok(pair) => Look::Renewed(pair),
            Err(error) => Look::Wrong(stamp, error),
        }
    }

    fn present(&self, Pair { certified, readable_as, stamp }: Pair) {
        *self.0.presented.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        *self.0.read.lock().unwrap_or_else(PoisonError::into_inner) = (stamp, readable_as);
    }

    /// Logs that others may read the key. It is no reason to refuse it: the secrets of a container engine are often so.
    fn tell_permissions(&self, log: &Logger) {
        let readable_as = self.0.read.lock().unwrap_or_else(PoisonError::into_inner).1;
        if let Some(mode) = readable_as {
            let key = self.0.files.key.display();
            warn!(log, "Outros usuários podem ler a chave TLS {} (modo {:04o}): chmod 600", key, mode);
        }
    }
}
