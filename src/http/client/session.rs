//! Requests one after the other, over one connection as long as they go to one place.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, StatusCode};

use super::connection::Connection;
use super::error::AnswerError;
use super::security::Security;
use super::url::Url;
use crate::http::idempotency;

/// What an exchange may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long connecting may take.
    pub connect: Duration,
    /// How long the whole exchange may take, connecting included.
    pub exchange: Duration,
    /// The most bytes of an answer.
    pub answer_bytes: usize,
}

/// Sends requests one after the other. It follows no redirect and uses no proxy: the answer would be another service's.
pub struct Session {
    limits: Limits,
    security: Security,
    /// The connection that served last, and the service that it leads to.
    kept: Option<(String, Connection)>,
}

impl Session {
    /// A session that has no connection yet.
    pub fn new(limits: Limits, security: &Security) -> Self {
        Self { limits, security: security.clone(), kept: None }
    }

    /// Gets a document. The server may have closed a kept connection just now, so a `GET` whose kept connection broke is sent
    /// once more over a new one: a second `GET` changes nothing.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub async fn get(&mut self, url: &Url) -> Result<(StatusCode, Bytes), AnswerError> {
        let was_kept = self.kept.as_ref().is_some_and(|(origin, _)| origin == url.origin());
        match self.send(Method::GET, url, None).await {
            Err(AnswerError::Broken(_)) if was_kept => self.send(Method::GET, url, None).await,
            result => result,
        }
    }

    /// Sends one request, once; `body` is JSON.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub async fn send(
        &mut self,
        method: Method,
        url: &Url,
        body: Option<Bytes>,
    ) -> Result<(StatusCode, Bytes), AnswerError> {
        self.send_keyed(method, url, body, None).await
    }

    /// The same with an `Idempotency-Key`: then it may be sent again.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub async fn send_keyed(
        &mut self,
        method: Method,
        url: &Url,
        body: Option<Bytes>,
        key: Option<&str>,
    ) -> Result<(StatusCode, Bytes), AnswerError> {
        let mut request =
            url.request(self.security.authorization(url)).method(method).header(ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header(idempotency::NAME, key);
        }
        let request = request.body(Full::new(body.unwrap_or_default())).map_err(AnswerError::Request)?;
        let Limits { exchange, answer_bytes, .. } = self.limits;
        // What time was up for.
        let mut late = AnswerError::NameTimeout;
        let attempt = async {
            let mut connection = self.connection(url, &mut late).await?;
            late = AnswerError::Timeout;
            let answer = connection.exchange(request, answer_bytes).await?;
            Ok((connection, answer))
        };
        match tokio::time::timeout(exchange, attempt).await {
            Ok(Ok((connection, answer))) => {
                self.kept = Some((url.origin().to_owned(), connection));
                Ok(answer)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(late),
        }
    }

    /// The kept connection if it leads to `url`, else a new one. `late` becomes what it means if time is up from there on.
    async fn connection(&mut self, url: &Url, late: &mut AnswerError) -> Result<Connection, AnswerError> {
        let kept = self.kept.take();
        if let Some((_, connection)) =
            kept.filter(|(origin, connection)| origin == url.origin() && connection.is_open())
        {
            return Ok(connection);
        }
        let addresses = url.addresses().await.map_err(AnswerError::Connect)?;
        *late = AnswerError::ConnectTimeout;
        let dial = self.security.dial(url).map_err(AnswerError::Connect)?;
        Connection::open(&addresses, dial.as_ref(), self.limits.connect).await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => AnswerError::ConnectTimeout,
            _ => AnswerError::Connect(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);
    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// A server whose connections answer the first request. The second gets no answer: the connection is closed, or hangs.
    /// Gives its URL, and how many connections there were once the test has asked for that.
    fn server(closes: bool) -> (Url, std::sync::mpsc::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (opened, connections) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if opened.send(()).is_err() {
                    return;
                }
                let mut head = [0; 4096];
                assert_ne!(stream.read(&mut head).unwrap(), 0);
                stream.write_all(PAGE).unwrap();
                assert_ne!(stream.read(&mut head).unwrap(), 0);
                if !closes {
                    kept.push(stream);
                }
            }
        });
        (url, connections)
    }

    #[tokio::test]
    async fn a_get_is_repeated_when_its_kept_connection_broke_and_not_when_the_server_hangs() {
        for (closes, repeated) in [(true, true), (false, false)] {
            let (url, connections) = server(closes);
            let mut session =
                Session::new(Limits { connect: PATIENCE, exchange: PATIENCE, answer_bytes: 100 }, &Security::default());
            assert!(session.get(&url).await.is_ok());
            assert_eq!(session.get(&url).await.is_ok(), repeated);
            assert_eq!(connections.try_iter().count(), if repeated { 2 } else { 1 });
        }
    }

    #[test]
    fn a_name_that_is_not_answered_in_time_is_told_from_a_service_that_is_not() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        // The only thread that looks up names is busy until the test ends.
        let (ends, busy) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || busy.recv());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let limits = Limits { connect: PATIENCE, exchange: PATIENCE, answer_bytes: 100 };
        let asked = |host: &str| {
            let url = Url::parse(&format!("http://{host}:{port}/")).unwrap();
            runtime.block_on(async { Session::new(limits, &Security::default()).get(&url).await.unwrap_err() })
        };
        let (name, address) = (asked("localhost"), asked("127.0.0.1"));
        drop(ends);
        assert!(matches!(name, AnswerError::NameTimeout) && name.cause().is_here() && name.is_unsent(), "{name:?}");
        assert!(matches!(address, AnswerError::Timeout) && !address.cause().is_here(), "{address:?}");
    }
}
