//! Reading a request's body, bounded in size and time.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, EXPECT, HeaderMap};
use tokio_util::sync::CancellationToken;

use super::kind;
use super::problem::Problem;

/// How long a stop waits for the rest of an incomplete request: enough for bytes that are on their way, and short enough that a
/// process with two services ends within a second.
pub(super) const STOP_PATIENCE: Duration = Duration::from_millis(200);
/// How long reading a body may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the rest of a refused body is read.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of a refused body that are read.
const DISCARD_MAX: usize = 16 * 1024 * 1024;

/// A body that is arriving. A stop waits only [`STOP_PATIENCE`] for the rest: a request that is not complete has not begun.
pub struct Arriving {
    body: Incoming,
    stopping: CancellationToken,
    /// Completes [`STOP_PATIENCE`] after the service began to stop.
    patience: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    stopped: bool,
}

/// The service stopped before the body was complete.
#[derive(Debug, thiserror::Error)]
#[error("o serviço parou antes do fim do corpo")]
struct Stopped;

impl Arriving {
    pub(super) fn new(body: Incoming, stopping: CancellationToken) -> Self {
        Self { body, stopping, patience: None, stopped: false }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !self.stopped {
            let stopping = self.stopping.clone();
            let patience = self.patience.get_or_insert_with(|| {
                Box::pin(async move {
                    stopping.cancelled().await;
                    tokio::time::sleep(STOP_PATIENCE).await;
                })
            });
            std::task::ready!(patience.as_mut().poll(cx));
            self.stopped = true;
        }
        Poll::Ready(Some(Err(Box::new(Stopped))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a JSON body of at most `limit` bytes. An empty body is allowed, with any type.
///
/// # Errors
/// 413, 415, 408, 400 when the connection ended first, or 503 when the service stopped first.
pub async fn read_json<B>(headers: &HeaderMap, body: &mut B, limit: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large(limit));
    }
    let read = tokio::time::timeout(READ_TIMEOUT, Limited::new(body, limit).collect()).await;
    let bytes = match read {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large(limit)),
        Ok(Err(error)) if error.is::<Stopped>() => {
            let detail = "O serviço está parando, e o corpo da requisição não tinha chegado inteiro: nada foi feito.";
            let problem = Problem::new(kind::STOPPING, detail);
            return Err(problem.retry_after_s(1));
        }
        Ok(Err(error)) => {
            let detail = "O corpo da requisição terminou antes do comprimento anunciado.";
            return Err(
                Problem::new(kind::CUT_BODY, detail).caused_by(format!("a conexão terminou no meio do corpo: {error}"))
            );
        }
        Err(_) => {
            let detail = format!("O corpo da requisição não chegou em {} s.", READ_TIMEOUT.as_secs());
            return Err(Problem::new(kind::SLOW_BODY, detail));
        }
    };
    if !bytes.is_empty() && !is_json(headers) {
        let detail = "O corpo deve vir com Content-Type: application/json.";
        return Err(Problem::new(kind::MEDIA_TYPE, detail));
    }
    Ok(bytes)
}

/// Reads the rest of a body and drops it, within limits. Without that, a client that is still sending when the answer comes
/// and the connection closes would see a broken connection instead of the answer.
pub async fn discard<B: Body<Data = Bytes> + Unpin>(headers: &HeaderMap, body: &mut B) {
    // A client that waits for `100 Continue` sends no body before it has read the answer.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let rest = async {
        let mut left = DISCARD_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(more) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = more;
        }
    };
    // After the time limit the answer is sent all the same.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
}

/// `application/json`, `application/…+json`, or no type at all.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("O corpo pode ter até {} KiB.", limit / 1024);
    Problem::new(kind::LARGE_BODY, detail)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use hyper::header::HeaderValue;

    use super::*;

    async fn read(content_type: Option<&'static str>, body: &'static str) -> Result<Bytes, u16> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        read_json(&headers, &mut Full::new(Bytes::from_static(body.as_bytes())), 8)
            .await
            .map_err(|problem| problem.status().as_u16())
    }

    #[tokio::test]
    async fn type_and_size_are_checked() {
        for fine in
            [None, Some("application/json"), Some("Application/JSON; charset=utf-8"), Some("application/x+json")]
        {
            assert!(read(fine, "{}").await.is_ok(), "{fine:?}");
        }
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", ""] {
            assert_eq!(read(Some(wrong), "{}").await, Err(415), "{wrong}");
        }
        assert!(read(Some("text/plain"), "").await.is_ok());
        assert_eq!(read(None, "123456789").await, Err(413));
    }
}
