//! TLS: a server's certificate and key, which are read again when their files change; and whose certificates a client
//! believes.
//!
//! The library is rustls with ring, whose parts are compiled into the executable. HTTP/1.1 is the only protocol that is offered.

mod blocking;
mod error;
mod fault;
mod pair;
mod serving;
mod trust;

pub(super) use self::blocking::Connector;
pub use self::error::PairError;
pub use self::fault::Fault;
pub use self::serving::Tls;
pub use self::trust::{Dial, Trust};

/// The name of HTTP/1.1 in the negotiation of a protocol (ALPN).
const HTTP_1_1: &[u8] = b"http/1.1";
