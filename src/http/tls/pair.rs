//! A certificate and its key, as they stand in two files.
//!
//! A program that renews certificates writes the two files one after the other, or exchanges links to them. So a pair is judged as
//! a whole, and [`Stamp`] tells one state of the two files from another without reading them.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::error::PairError;

/// The most bytes of a file. A long chain has some ten thousand.
const FILE_MAX: u64 = 1024 * 1024;
/// The permission to read, of everyone but the owner.
const OTHERS_READ: u32 = 0o044;

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate, and after it those that lead to a root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A certificate with its key, ready for use.
#[derive(Debug)]
pub struct Pair {
    /// What a server presents.
    pub certified: Arc<CertifiedKey>,
    /// The permissions of the key's file, if others may read it.
    pub readable_as: Option<u32>,
    /// The state of the files from which it was read.
    pub stamp: Stamp,
}

/// The state of the two files, through links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp([Option<[i64; 7]>; 2]);

impl Files {
    /// The state of the files now.
    pub fn stamp(&self) -> Stamp {
        Stamp([&self.cert, &self.key].map(|path| std::fs::metadata(path).ok().map(|metadata| state(&metadata))))
    }

    /// Reads the pair.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn read(&self) -> Result<Pair, PairError> {
        let Self { cert, key } = self;
        // Before the reading: a change during it makes the next stamp another one.
        let stamp = self.stamp();
        let chain = certificates(cert)?;
        let (text, metadata) = read(key)?;
        let secret = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => PairError::NoKey { path: key.clone() },
            _ => PairError::NotWhole { path: key.clone() },
        })?;
        let provider = rustls::crypto::ring::default_provider();
        let certified = CertifiedKey::from_der(chain, secret, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => PairError::Mismatch { cert: cert.clone(), key: key.clone() },
            rustls::Error::InvalidCertificate(_) => PairError::WrongCertificate { path: cert.clone() },
            _ => PairError::WrongKey { path: key.clone() },
        })?;
        let mode = metadata.mode() & 0o7777;
        Ok(Pair { certified: Arc::new(certified), readable_as: (mode & OTHERS_READ != 0).then_some(mode), stamp })
    }
}

/// The certificates in a file; at least one.
///
/// # Errors
/// [`PairError`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let (text, _) = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(PairError::NoCertificate { path: path.to_owned() }),
        Ok(all) => Ok(all),
        Err(_) => Err(PairError::NotWhole { path: path.to_owned() }),
    }
}

/// A file's bytes, and what the system knows of it.
fn read(path: &Path) -> Result<(Vec<u8>, Metadata), PairError> {
    let unreadable = |reason: io::Error| PairError::Unreadable { path: path.to_owned(), reason };
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(PairError::NotAFile { path: path.to_owned() });
    }
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mut text = Vec::new();
    let length = file.take(FILE_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if length as u64 > FILE_MAX {
        return Err(PairError::TooLong { path: path.to_owned() });
    }
    Ok((text, metadata))
}

/// What changes when a file is written, exchanged, or made readable.
fn state(metadata: &Metadata) -> [i64; 7] {
    let signed = |number: u64| number.cast_signed();
    [
        signed(metadata.dev()),
        signed(metadata.ino()),
        signed(metadata.size()),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ]
}
