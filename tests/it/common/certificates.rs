//! Certificates that a test makes, and a client that looks at them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::wait::PATIENCE;

/// An authority of a test's own.
pub struct Authority {
    /// `None` for one of which only the certificate is known.
    issuer: Option<Issuer<'static, KeyPair>>,
    /// Its certificate, in PEM form.
    pub pem: String,
}

/// A server's certificate and its key, in PEM form.
pub struct Issued {
    pub cert: String,
    pub key: String,
}

/// The names of a server on this machine.
pub const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority of the tests");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Some(Issuer::new(params, key)), pem }
    }

    /// The one whose certificate is in a file.
    pub fn of_pem(path: &Path) -> Self {
        Self { issuer: None, pem: std::fs::read_to_string(path).unwrap() }
    }

    /// A certificate for a server with these names.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 4096)
    }

    /// The same, valid until the beginning of `year`.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let cert = params.signed_by(&key, self.issuer.as_ref().expect("its key")).unwrap();
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// Begins a connection to the service at `url`, and sees its certificate.
    pub fn connect(&self, url: &str) -> Secured {
        self.connect_by(url, rustls::DEFAULT_VERSIONS).unwrap()
    }

    /// The same with these versions of TLS alone.
    pub fn connect_by(&self, url: &str, versions: &[&'static SupportedProtocolVersion]) -> std::io::Result<Secured> {
        let address = url.split_once("://").unwrap().1;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.complete_io(&mut socket)?;
        Ok(Secured(StreamOwned::new(connection, socket)))
    }
}

impl Issued {
    /// A certificate that is its own authority.
    pub fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    /// The two files in `folder`, and their paths.
    pub fn files(&self, folder: &Path) -> [PathBuf; 2] {
        let paths = ["certificado.pem", "chave.pem"].map(|name| folder.join(name));
        std::fs::write(&paths[0], &self.cert).unwrap();
        write_private(&paths[1], &self.key);
        paths
    }

    /// The certificate's bytes.
    pub fn leaf(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap().to_vec()
    }
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A connection over TLS.
pub struct Secured(StreamOwned<ClientConnection, TcpStream>);

impl Secured {
    /// The server's certificate.
    pub fn leaf(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// The protocol that was agreed on.
    pub fn protocol(&self) -> String {
        String::from_utf8(self.0.conn.alpn_protocol().unwrap_or_default().to_vec()).unwrap()
    }

    /// Sends a request without a body, and reads its answer of a known length.
    pub fn ask(&mut self, head: &str) -> String {
        self.ask_with(head, "")
    }

    /// The same with a body, whose length the head says.
    pub fn ask_with(&mut self, head: &str, body: &str) -> String {
        write!(self.0, "{head}Host: localhost\r\n\r\n{body}").unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }
}
