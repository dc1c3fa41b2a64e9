//! Connections on which the other end proves who it is before anything else is sent.
//!
//! The proof is asked for here, below the pool: what the pool has are connections that were proved, so a request on one of them
//! costs no further round trip, and no request can go out on another.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::connect::Connection;
use tower_service::Service;

use super::connection::whole_body;
use crate::http::causes::in_words;

/// The most bytes of an answer.
const ANSWER_MAX: usize = 4096;
/// The read buffer. hyper has no smaller one.
const BUFFER_BYTES: usize = 8192;

/// What the other end of a new connection is asked.
pub trait Challenge: Send + Sync + 'static {
    /// A new question.
    ///
    /// # Errors
    /// In words, when none can be made.
    fn ask(&self) -> Result<Question, String>;
}

/// Decides by the status and the body of an answer whether it proves what it should; if not, it says why, in words.
pub type Judge = Box<dyn FnOnce(StatusCode, &[u8]) -> Result<(), String> + Send>;

/// A question, to be asked once.
pub struct Question {
    /// The path and the query of the `GET`.
    pub target: String,
    /// Who decides by the answer.
    pub judge: Judge,
}

/// The other end did not prove who it is. In words, for the log and for the API.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotProven(pub String);

/// Opens connections as `C` does, and asks each for its proof, if one is to be asked for.
#[derive(Clone)]
pub struct Proven<C> {
    connector: C,
    challenge: Option<Arc<dyn Challenge>>,
    /// How long the proof may take.
    patience: Duration,
}

impl<C> Proven<C> {
    /// With a challenge, the answer to it may take `patience`.
    pub fn new(connector: C, challenge: Option<Arc<dyn Challenge>>, patience: Duration) -> Self {
        Self { connector, challenge, patience }
    }
}

impl<C> Service<Uri> for Proven<C>
where
    C: Service<Uri>,
    C::Response: Read + Write + Connection + Unpin + Send + 'static,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.connector.call(uri.clone());
        let (challenge, patience) = (self.challenge.clone(), self.patience);
        Box::pin(async move {
            let stream = connecting.await.map_err(Into::into)?;
            let Some(challenge) = challenge else { return Ok(stream) };
            let late = |_| format!("não respondeu ao desafio em {} ms", patience.as_millis());
            let proven = match tokio::time::timeout(patience, prove(stream, &uri, &*challenge)).await {
                Ok(proven) => proven,
                Err(elapsed) => Err(late(elapsed)),
            };
            Ok(proven.map_err(NotProven)?)
        })
    }
}

/// Asks, and gives the connection back if the answer is right.
async fn prove<S>(stream: S, uri: &Uri, challenge: &dyn Challenge) -> Result<S, String>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let Question { target, judge } = challenge.ask()?;
    let request = Request::get(target).header(HOST, host(uri)).header(ACCEPT, "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let broken = |error: hyper::Error| format!("não respondeu ao desafio: {}", in_words(&error));
    let opened = http1::Builder::new().max_buf_size(BUFFER_BYTES).handshake(stream).await;
    let (mut sender, mut connection) = opened.map_err(broken)?;
    let mut exchange = std::pin::pin!(async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = whole_body(answer.into_body(), ANSWER_MAX).await;
        Ok((status, body.map_err(|error| format!("respondeu ao desafio com um corpo que não serve: {error}"))?))
    });
    let mut closed = false;
    let answered: Result<(StatusCode, Bytes), String> = tokio::select! {
        biased;
        answered = &mut exchange => answered,
        _ = &mut connection => {
            closed = true;
            // What has arrived before the end is here.
            exchange.await
        }
    };
    let (status, body) = answered?;
    judge(status, &body)?;
    let http1::Parts { io, read_buf, .. } = connection.into_parts();
    if closed || !read_buf.is_empty() {
        return Err("provou quem é, e fechou a conexão ou enviou mais do que a resposta".to_owned());
    }
    Ok(io)
}

/// The host and the port of a URI, without user information.
pub(super) fn host(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Mutex;

    use http_body_util::Full;

    use super::*;
    use crate::http::client::Pool;
    use crate::http::tls::Trust;

    const PATIENCE: Duration = Duration::from_secs(2);
    const SHORT: Duration = Duration::from_millis(100);

    /// Asks for `/who?N`, and takes the answer `N`.
    #[derive(Default)]
    struct Counting(Mutex<u32>);

    impl Challenge for Counting {
        fn ask(&self) -> Result<Question, String> {
            let mut asked = self.0.lock().unwrap();
            *asked += 1;
            let wanted = asked.to_string();
            let judge = move |status, body: &[u8]| {
                let right = status == StatusCode::OK && body == wanted.as_bytes();
                if right { Ok(()) } else { Err("outro".to_owned()) }
            };
            Ok(Question { target: format!("/who?{asked}"), judge: Box::new(judge) })
        }
    }

    /// What a server answers to the first request of a connection, if anything.
    type First = fn(&str) -> Option<String>;

    /// A server whose connections answer the first request as `first` says and the others with `ok`. Each head goes to `heads`.
    fn server(first: First) -> (Uri, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/after", listener.local_addr().unwrap()).parse().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, noted) = (stream.unwrap(), Arc::clone(&noted));
                std::thread::spawn(move || {
                    let mut head = [0; 4096];
                    for turn in 0.. {
                        let Ok(length) = stream.read(&mut head) else { return };
                        let text = String::from_utf8_lossy(&head[..length]).into_owned();
                        if text.is_empty() {
                            return;
                        }
                        let target = text.split(' ').nth(1).unwrap().to_owned();
                        noted.lock().unwrap().push(text);
                        let answer = if turn == 0 { first(&target) } else { Some("ok".to_owned()) };
                        let Some(answer) = answer else { continue };
                        let sent = if answer.starts_with("HTTP/") {
                            answer
                        } else {
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())
                        };
                        stream.write_all(sent.as_bytes()).unwrap();
                    }
                });
            }
        });
        (uri, heads)
    }

    fn right(target: &str) -> String {
        target.trim_start_matches("/who?").to_owned()
    }

    async fn ask(pool: &Pool, uri: &Uri) -> Result<Bytes, String> {
        let request = Request::get(uri).header("authorization", "the secret").body(Full::default()).unwrap();
        let answer = pool.send(request).await.map_err(|error| {
            let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
            while let Some(error) = cause {
                if let Some(error) = error.downcast_ref::<NotProven>() {
                    return error.to_string();
                }
                cause = error.source();
            }
            panic!("{error:?}")
        })?;
        Ok(whole_body(answer.into_body(), 100).await.unwrap())
    }

    #[tokio::test]
    async fn each_connection_is_asked_once_and_before_anything_else() {
        let (uri, heads) = server(|target| Some(right(target)));
        let pool = Pool::challenging(PATIENCE, &Trust::default(), Arc::new(Counting::default()), PATIENCE);
        for _ in 0..3 {
            assert_eq!(ask(&pool, &uri).await.unwrap(), "ok");
        }
        let (one, other) = tokio::join!(ask(&pool, &uri), ask(&pool, &uri));
        assert_eq!((one.unwrap(), other.unwrap()), ("ok".into(), "ok".into()));
        let heads = heads.lock().unwrap();
        let asked = heads.iter().filter(|head| head.starts_with("GET /who?")).count();
        // The two at once need two connections, unless the first is answered before the second is sent.
        assert!((1..=2).contains(&asked) && heads.len() == 5 + asked, "{heads:?}");
        for head in heads.iter() {
            assert_eq!(head.starts_with("GET /after"), head.contains("the secret"), "{head}");
            assert!(head.contains(&format!("host: {}\r\n", host(&uri))), "{head}");
        }
    }

    #[tokio::test]
    async fn on_a_connection_without_proof_nothing_else_is_sent() {
        let cases: [(First, &str); 6] = [
            (|_| Some("0".to_owned()), "outro"),
            (|_| Some("HTTP/1.1 404 x\r\nContent-Length: 1\r\n\r\n1".to_owned()), "outro"),
            (|_| Some("HTTP/1.1 200 x\r\nContent-Length: 9000\r\n\r\n".to_owned() + &"1".repeat(9000)), "não serve"),
            (|_| Some("HTTP/0.9 I speak something else\r\n\r\n".to_owned()), "não respondeu ao desafio: "),
            (
                |target| Some(format!("HTTP/1.1 200 x\r\nContent-Length: 1\r\n\r\n{}HTTP/1.1", right(target))),
                "enviou mais",
            ),
            (|_| None, "não respondeu ao desafio em 100 ms"),
        ];
        for (first, says) in cases {
            let (uri, heads) = server(first);
            let pool = Pool::challenging(PATIENCE, &Trust::default(), Arc::new(Counting::default()), SHORT);
            let told = ask(&pool, &uri).await.unwrap_err();
            assert!(told.contains(says), "{told}: not {says}");
            let heads = heads.lock().unwrap();
            assert!(!heads.is_empty() && heads.iter().all(|head| head.starts_with("GET /who?")), "{heads:?}");
        }
    }
}
