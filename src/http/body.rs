//! Reading a request's body, bounded in size and time.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, EXPECT, HeaderMap};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bounds::Visit;
use super::bounds::budget::{Full, Held};
use super::kind;
use super::no_room;
use super::problem::Problem;

/// How long a stop waits for the rest of an incomplete request: enough for bytes that are on their way, and short enough that a
/// process with two services ends within a second.
pub(super) const STOP_PATIENCE: Duration = Duration::from_millis(200);
/// How long reading a body may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long a body must have come at [`LEAST`] on the average.
const PATIENCE: Duration = Duration::from_secs(5);
/// The least bytes of a body in a second.
const LEAST: usize = 256;
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
    visit: Arc<Visit>,
    /// The room that its bytes take, until the request is answered.
    held: Held,
    /// Whether more of it is waited for.
    waits: bool,
    /// Whether its bytes are dropped as they come.
    dropped: bool,
}

/// There is no room for more of the body.
#[derive(Debug, thiserror::Error)]
#[error("não há lugar para o corpo")]
struct NoRoom(Full);

/// The service stopped before the body was complete.
#[derive(Debug, thiserror::Error)]
#[error("o serviço parou antes do fim do corpo")]
struct Stopped;

impl Arriving {
    pub(super) fn new(body: Incoming, stopping: CancellationToken, visit: Arc<Visit>) -> Self {
        let held = visit.body();
        Self { body, stopping, patience: None, stopped: false, visit, held, waits: false, dropped: false }
    }

    /// Notes whether more of the body is waited for: its connection may then be closed for another.
    fn note(&mut self, waits: bool) {
        // An answer to a body that is dropped is about to be sent.
        let waits = waits && !self.dropped;
        if waits != self.waits {
            self.waits = waits;
            self.visit.line.receive(waits.then(|| self.visit.bounds().now()));
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.note(false);
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // A body that comes in small pieces is waited for since the first of them.
        let waits = self.waits || polled.is_pending();
        self.note(waits);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.note(false);
        }
        if let Poll::Ready(frame) = polled {
            if !self.dropped
                && let Some(Ok(frame)) = &frame
                && let Err(full) = self.held.grow(frame.data_ref().map_or(0, Bytes::len))
            {
                return Poll::Ready(Some(Err(Box::new(NoRoom(full)))));
            }
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
    let bytes = match collect(body, limit).await {
        Ok(bytes) => bytes,
        Err(Failure::TooLarge) => return Err(too_large(limit)),
        Err(Failure::TooSlow) => {
            let detail = format!(
                "O corpo da requisição chega devagar demais: ele tem {} s, e depois de {} s pelo menos {LEAST} bytes por segundo.",
                READ_TIMEOUT.as_secs(),
                PATIENCE.as_secs()
            );
            return Err(Problem::new(kind::SLOW_BODY, detail));
        }
        Err(Failure::Broken(error)) => return Err(broken(&*error)),
    };
    if !bytes.is_empty() && !is_json(headers) {
        let detail = "O corpo deve vir com Content-Type: application/json.";
        return Err(Problem::new(kind::MEDIA_TYPE, detail));
    }
    Ok(bytes)
}

/// Why a body was not read.
enum Failure {
    TooLarge,
    TooSlow,
    Broken(Box<dyn Error + Send + Sync>),
}

/// The bytes of a body. They are copied together: hyper gives each piece in a buffer of 8 KiB, however small the piece.
async fn collect<B>(body: &mut B, limit: usize) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let begun = Instant::now();
    let (mut first, mut all, mut read) = (None, BytesMut::new(), 0);
    let mut look = begun + PATIENCE;
    loop {
        let frame = match tokio::time::timeout_at(look, body.frame()).await {
            Ok(None) => return Ok(first.unwrap_or_else(|| all.freeze())),
            Ok(Some(Err(error))) => return Err(Failure::Broken(error.into())),
            Ok(Some(Ok(frame))) => frame,
            Err(_) if is_too_slow(begun.elapsed(), read) => return Err(Failure::TooSlow),
            Err(_) => {
                look += Duration::from_secs(1);
                continue;
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        if read > limit {
            return Err(Failure::TooLarge);
        }
        if read == data.len() && body.is_end_stream() {
            first = Some(data);
        } else {
            all.extend_from_slice(&data);
        }
    }
}

/// Whether a body of which so much has come in this time is too slow.
fn is_too_slow(elapsed: Duration, read: usize) -> bool {
    elapsed >= READ_TIMEOUT || (elapsed >= PATIENCE && (read as u128) * 1000 < LEAST as u128 * elapsed.as_millis())
}

/// Why a body ended early.
fn broken(error: &(dyn Error + Send + Sync + 'static)) -> Problem {
    if let Some(NoRoom(full)) = error.downcast_ref() {
        return no_room::for_body(*full);
    }
    if error.is::<Stopped>() {
        let detail = "O serviço está parando, e o corpo da requisição não tinha chegado inteiro: nada foi feito.";
        return Problem::new(kind::STOPPING, detail).retry_after_s(1);
    }
    let detail = "O corpo da requisição terminou antes do comprimento anunciado.";
    Problem::new(kind::CUT_BODY, detail).caused_by(format!("a conexão terminou no meio do corpo: {error}"))
}

/// Reads the rest of a body and drops it, within limits. Without that, a client that is still sending when the answer comes
/// and the connection closes would see a broken connection instead of the answer.
pub async fn discard(headers: &HeaderMap, body: &mut Arriving) {
    // A client that waits for `100 Continue` sends no body before it has read the answer.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    body.dropped = true;
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
    if value == "application/json" {
        return true;
    }
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;
    use http_body_util::Full;
    use http_body_util::StreamBody;
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

    /// A byte in a buffer of its own, which counts how many there are.
    struct Counted(Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            b" "
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_pieces_of_a_body_are_not_kept() {
        let (alive, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counter, largest) = (Arc::clone(&alive), Arc::clone(&most));
        let pieces = (0..100).map(move |_| {
            largest.fetch_max(counter.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Frame::data(Bytes::from_owner(Counted(Arc::clone(&counter)))))
        });
        let mut body = StreamBody::new(stream::iter(pieces));
        assert_eq!(read_json(&HeaderMap::new(), &mut body, 100).await.unwrap(), " ".repeat(100));
        assert_eq!((most.load(Ordering::Relaxed), alive.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn a_body_has_five_seconds_and_then_a_pace() {
        let after = |ms, read| is_too_slow(Duration::from_millis(ms), read);
        assert!(!after(4999, 0));
        assert!(after(5000, 5 * LEAST - 1) && !after(5000, 5 * LEAST));
        assert!(after(10_000, 1 << 20));
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
