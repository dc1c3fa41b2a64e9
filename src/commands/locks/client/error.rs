//! Why a coordinator could not be asked, or why its answer is no use. Each text says what to do.

use std::error::Error;
use std::fmt;

use rust_i18n::t;

use crate::http::client::AnswerError;
use crate::http::unreachable::Peer;

/// The coordinator in an advice.
pub const COORDINATOR: Peer = Peer { name: "the coordinator", command: "sctec serve-coordinator" };

/// Why a coordinator could not be asked, or why its answer is no use.
#[derive(Debug)]
pub enum ClientError {
    /// Not a URL that this client can ask.
    Url(String),
    /// No address answers.
    Unreachable {
        /// The URL.
        tried: String,
        /// Why the last address did not answer.
        cause: AnswerError,
    },
    /// The request may have arrived; its answer did not.
    Unsure {
        /// The URL.
        url: String,
        /// The cause.
        cause: AnswerError,
    },
    /// The answer is not HTTP, or too long.
    Protocol {
        /// The URL.
        url: String,
        /// The cause.
        cause: AnswerError,
    },
    /// The answer is neither the expected one nor a problem of the coordinator's.
    NotACoordinator {
        /// The URL.
        url: String,
        /// The answer's status.
        status: u16,
    },
    /// The coordinator refuses, with a reason.
    Refused {
        /// The URL.
        url: String,
        /// The answer's status.
        status: u16,
        /// The coordinator's reason, safe to print.
        said: String,
    },
    /// The coordinator is one of several, and another is elected, or none.
    NotElected {
        /// The URL.
        url: String,
        /// The address of the elected one, if it is known.
        elected: Option<String>,
    },
    /// A list that never ends.
    Endless {
        /// The last page.
        url: String,
    },
}

impl ClientError {
    /// Whether no address answered: one may later.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Url(url) => t!(
                "cannot ask %{url}: a coordinator's URL looks like http://127.0.0.1:3000; correct --coordinator or SCTEC_COORDINATOR",
                url = format!("{url:?}")
            ),
            Self::Unreachable { tried, cause } => t!(
                "cannot reach %{url}: %{advice}",
                url = tried,
                advice = cause.cause().advice(COORDINATOR, "--coordinator")
            ),
            Self::Unsure { url, .. } => t!(
                "%{url} received the request but did not answer: the lock may or may not be released; check with sctec locks",
                url = url
            ),
            Self::Protocol { url, .. } => t!(
                "%{url} is not a coordinator; a coordinator's default port is 3000: name another with --coordinator",
                url = url
            ),
            Self::NotACoordinator { url, status } => t!(
                "%{url} (status %{status}) is not a coordinator; a coordinator's default port is 3000: name another with --coordinator",
                url = url,
                status = status
            ),
            Self::Refused { url, status, said } => {
                t!("%{url} answered %{status}: %{said}", url = url, status = status, said = said)
            }
            Self::NotElected { url, elected: Some(elected) } => t!(
                "%{url} is not the elected coordinator; ask %{elected}, or name the addresses of all with --coordinator",
                url = url,
                elected = elected
            ),
            Self::NotElected { url, elected: None } => {
                t!("%{url} is not the elected coordinator, and knows of none; try again in some seconds", url = url)
            }
            Self::Endless { url } => t!(
                "the pages that %{url} leads to do not end; name another coordinator with --coordinator",
                url = url
            ),
        })
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The advice says all that is known of the other causes.
            Self::Unreachable { cause, .. } if cause.cause().is_explained() => None,
            Self::Unreachable { cause, .. } | Self::Unsure { cause, .. } | Self::Protocol { cause, .. } => Some(cause),
            Self::Url(_)
            | Self::NotACoordinator { .. }
            | Self::Refused { .. }
            | Self::NotElected { .. }
            | Self::Endless { .. } => None,
        }
    }
}
