//! Reads the scheduler's documents, and says what to do when it does not give them.

use std::error::Error;
use std::io;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use rust_i18n::t;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::clock::client::SCHEDULER;
use crate::http::client::{AnswerError, Limits, Security, Session, Url, refused};
use crate::http::unreachable::Cause;

/// How long one request may take, from its release to the last byte of the answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an answer; a full page of bookings is far below it.
pub const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// How often a document is asked for if the server takes no more requests in this time, and the pause between.
const TRIES: usize = 10;
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Says that there is no connection to `url`, and what to do.
pub fn cannot_reach(url: &Url, error: io::Error) -> anyhow::Error {
    not_reached(url, &Cause::of(&error), error)
}

fn not_reached(url: &Url, cause: &Cause, error: impl Error + Send + Sync + 'static) -> anyhow::Error {
    let said = t!("cannot reach %{url}: %{advice}", url = url, advice = cause.advice(SCHEDULER, "--url"));
    // The advice says all that is known of the other causes.
    if cause.is_explained() { anyhow!("{said}") } else { anyhow::Error::new(error).context(said) }
}

/// Gets documents, one after the other.
pub struct Browser {
    session: Session,
}

impl Browser {
    /// A browser that has read nothing yet.
    pub fn new(security: &Security) -> Self {
        let limits = Limits { connect: CONNECT_TIMEOUT, exchange: REQUEST_TIMEOUT, answer_bytes: ANSWER_MAX };
        Self { session: Session::new(limits, security) }
    }

    /// Gets what the server answers, a refusal too.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn look(&mut self, url: &Url) -> anyhow::Result<(StatusCode, Bytes)> {
        self.session.get(url).await.map_err(|error| no_answer(url, error))
    }

    /// Sends one request that changes something, once. With a key it may be sent again.
    ///
    /// # Errors
    /// When there is no answer. The request may have arrived all the same.
    pub async fn send(
        &mut self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<(StatusCode, Bytes), AnswerError> {
        self.session.send_keyed(method, url, body.map(|body| body.to_string().into()), key).await
    }

    /// Gets a JSON document.
    ///
    /// # Errors
    /// When there is no answer, it is not a success, or it is not the document expected.
    pub async fn get<T: DeserializeOwned>(&mut self, url: &Url) -> anyhow::Result<T> {
        let mut tries = TRIES;
        let (status, body) = loop {
            let (status, body) = self.look(url).await?;
            tries -= 1;
            if status != StatusCode::TOO_MANY_REQUESTS || tries == 0 {
                break (status, body);
            }
            // A server with a rate gives at least one request a second back. The rivals of a run may have used it up.
            tokio::time::sleep(TRY_AGAIN).await;
        };
        if let Some(reason) = refused(status, &body) {
            bail!("{}", t!("%{url} answered %{status}: %{said}", url = url, status = status.as_u16(), said = reason));
        }
        if !status.is_success() {
            let said =
                t!("%{url} answered %{status}; is --url the entry point of a scheduler?", url = url, status = status);
            bail!("{said}");
        }
        serde_json::from_slice(&body).with_context(|| {
            t!("the answer of %{url} is not a scheduler's; is --url the entry point of a scheduler?", url = url)
        })
    }
}

/// Says that `url` gave no answer, and what to do.
pub fn no_answer(url: &Url, error: AnswerError) -> anyhow::Error {
    match error {
        AnswerError::Connect(error) => cannot_reach(url, error),
        AnswerError::NameTimeout | AnswerError::ConnectTimeout => not_reached(url, &error.cause(), error),
        AnswerError::Timeout => {
            anyhow!(
                "{}",
                t!("no answer from %{url} within %{seconds} s", url = url, seconds = REQUEST_TIMEOUT.as_secs())
            )
        }
        error => anyhow::Error::new(error).context(t!("no answer from %{url}", url = url)),
    }
}
