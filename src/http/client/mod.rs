//! The client's end of HTTP/1.1, for the tools and for the scheduler's way to the coordinator.
//!
//! [`Url`] reads an address and follows links. Three kinds of client differ in who decides about connections:
//!
//! - [`Connection`] is one open connection; its owner decides when one is opened (`stress` measures that);
//! - [`Session`] sends one request after the other and keeps its connection as long as it serves (the other tools);
//! - [`Pool`] opens as many connections as there are requests at once (the scheduler). It can ask each for a proof of who the other
//!   end is ([`Challenge`]).
//!
//! Each begins TLS where the URL is `https://`, and sends the client's token where that belongs ([`Security`]).
//!
//! Every answer is bounded in bytes and, but for a stream's, in time.

mod connection;
mod error;
mod pool;
mod proven;
mod refused;
mod security;
mod session;
mod token;
mod url;

pub use self::connection::{Connection, whole_body};
pub use self::error::{AnswerError, UrlError};
pub use self::pool::{NoAnswer, Pool};
pub use self::proven::{Challenge, NotProven, Question};
pub use self::refused::refused;
pub use self::security::Security;
pub use self::session::{Limits, Session};
pub use self::token::{Token, WrongToken};
pub use self::url::Url;
pub use super::tls::Dial;
