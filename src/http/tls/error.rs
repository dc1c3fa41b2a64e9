//! Why a certificate and its key cannot be used.

use std::io;
use std::path::PathBuf;

use rust_i18n::t;

use crate::language::io_message;

/// Why a certificate and its key cannot be used. At the start of a service a person reads it at the command line, in the language
/// of the process; later the log has it, in Portuguese ([`PairError::logged`]).
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The system does not give the file.
    #[error("{}", t!("cannot read %{path}: %{reason}", path = path.display(), reason = io_message(reason)))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A folder, a pipe, or a device: it could not be read again.
    #[error("{}", t!("%{path} is not a regular file; give a file in PEM form", path = path.display()))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file that is much longer than a certificate.
    #[error("{}", t!("%{path} is longer than any certificate or key; give a file in PEM form", path = path.display()))]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The text breaks off, or is not base64.
    #[error("{}", t!("%{path} is damaged: what stands between BEGIN and END is not whole", path = path.display()))]
    NotWhole {
        /// The file.
        path: PathBuf,
    },
    /// No certificate in the file.
    #[error("{}", t!("there is no certificate in %{path}; a certificate in PEM form begins with -----BEGIN CERTIFICATE-----", path = path.display()))]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No key in the file.
    #[error("{}", t!("there is no private key in %{path}; a key in PEM form begins with -----BEGIN PRIVATE KEY-----, and must not be encrypted", path = path.display()))]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that cannot be read.
    #[error("{}", t!("the certificate in %{path} is malformed", path = path.display()))]
    WrongCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A key of an unknown kind, or one that cannot be read.
    #[error("{}", t!("the key in %{path} cannot be used; give an ECDSA (P-256, P-384), Ed25519 or RSA key (2048 to 8192 bits)", path = path.display()))]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is another certificate's.
    #[error("{}", t!("the key in %{key} is not the key of the certificate in %{cert}; give the two files that were made together, and of a chain the server's certificate first", key = key.display(), cert = cert.display()))]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl PairError {
    /// The same for the log.
    pub fn logged(&self) -> String {
        match self {
            Self::Unreadable { path, reason } => format!("não é possível ler {}: {reason}", path.display()),
            Self::NotAFile { path } => format!("{} não é um arquivo comum", path.display()),
            Self::TooLong { path } => format!("{} é longo demais para um certificado ou uma chave", path.display()),
            Self::NotWhole { path } => format!("{} está danificado ou incompleto", path.display()),
            Self::NoCertificate { path } => format!("não há certificado em {}", path.display()),
            Self::NoKey { path } => format!("não há chave privada, sem senha, em {}", path.display()),
            Self::WrongCertificate { path } => format!("o certificado em {} está malformado", path.display()),
            Self::WrongKey { path } => format!("a chave em {} não pode ser usada", path.display()),
            Self::Mismatch { cert, key } => {
                format!("a chave em {} não é a do certificado em {}", key.display(), cert.display())
            }
        }
    }
}
