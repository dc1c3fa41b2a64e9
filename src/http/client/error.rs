//! Why there is no URL, or no answer.

use std::error::Error;
use std::io;

use rust_i18n::t;

use crate::http::causes::in_words;
use crate::http::unreachable::Cause;

/// A text that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL of HTTP.
    #[error("{}", t!("%{url} is not a URL that can be asked; it should look like http://127.0.0.1:5000", url = format_args!("{:?}", .0)))]
    NotHttp(String),
    /// A link that is not even a reference.
    #[error("{}", t!("the link %{link} is not a URL", link = format_args!("{:?}", .0)))]
    NotALink(String),
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The URL's path makes no request.
    #[error("http: {0}")]
    Request(hyper::http::Error),
    /// There was no connection: nothing was sent.
    #[error("io: {0}")]
    Connect(io::Error),
    /// The name service did not answer in time: nothing was sent.
    #[error("timeout: resolve")]
    NameTimeout,
    /// There was no connection in time: nothing was sent.
    #[error("timeout: connect")]
    ConnectTimeout,
    /// The connection broke after it was opened: the request may have arrived.
    #[error("{}", in_words(.0))]
    Broken(hyper::Error),
    /// No whole answer came in time: the request may have arrived.
    #[error("timeout: global")]
    Timeout,
    /// The answer is longer than is read.
    #[error("the response body is larger than request limit: {0}")]
    TooLong(usize),
}

impl AnswerError {
    /// Whether nothing was sent, so that the same request elsewhere is not a second one.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Connect(_) | Self::NameTimeout | Self::ConnectTimeout)
    }

    /// Whether nothing at all answered. Otherwise it was no HTTP, or too much.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Connect(_) | Self::NameTimeout | Self::ConnectTimeout | Self::Timeout => true,
            Self::Broken(error) => !error.is_parse() && !is_malformed(error),
            Self::Request(_) | Self::TooLong(_) => false,
        }
    }

    /// The cause, for an advice.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Connect(error) => Cause::of(error),
            Self::NameTimeout => Cause::UnknownName,
            Self::ConnectTimeout | Self::Timeout => Cause::Silence,
            Self::Broken(error) => match io_error(error) {
                Some(error) => Cause::of(error),
                None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => Cause::HungUp,
                None => Cause::Other,
            },
            Self::Request(_) | Self::TooLong(_) => Cause::Other,
        }
    }
}

/// Whether a part of the body was no HTTP, as a chunk without a size.
fn is_malformed(error: &hyper::Error) -> bool {
    let kind = io_error(error).map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
}

/// The system's own error: hyper wraps it.
fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}
