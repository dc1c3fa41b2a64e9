//! Requests to the identity provider, over the service's own HTTP client. Each is bounded in time and in bytes, and no redirect is
//! followed: a provider's answer must not send this service elsewhere.

use std::pin::Pin;
use std::time::Duration;

use http_body_util::Full;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

use crate::http::client::{AnswerError, NoAnswer, Pool, whole_body};
use crate::http::tls::Trust;

/// How long one exchange may take, and how long its connection.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer. A provider's keys with their certificates take some kilobytes.
const ANSWER_MAX: usize = 256 * 1024;

/// Why a provider did not answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no connection, or it broke.
    #[error("não responde: {0}")]
    Silent(#[from] NoAnswer),
    /// The answer does not come in time.
    #[error("não responde em {} s", EXCHANGE_TIMEOUT.as_secs())]
    Slow,
    /// The answer breaks off, or is too long.
    #[error("responde com um erro: {0}")]
    Broken(AnswerError),
}

/// The way to the provider.
pub struct Fetch(Pool);

impl Fetch {
    /// A way without connections yet.
    pub fn new(trust: &Trust) -> Self {
        Self(Pool::new(CONNECT_TIMEOUT, trust))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let exchange = async {
            let answer = self.0.send(request.map(|body| Full::new(body.into()))).await?;
            let (head, body) = answer.into_parts();
            let body = whole_body(body, ANSWER_MAX).await.map_err(FetchError::Broken)?;
            Ok(HttpResponse::from_parts(head, body.to_vec()))
        };
        tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await.unwrap_or(Err(FetchError::Slow))
    }
}

/// One request of the library.
impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
