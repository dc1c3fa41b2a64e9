//! Plain HTTP/1.1 connections, held one by one.
//!
//! A pool would decide by itself when to open a connection; here that is the measurement, so the workers and the
//! browser hold their connections themselves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use iri_string::format::ToDedicatedString;
use iri_string::types::{UriAbsoluteString, UriReferenceStr};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::clock::client::SCHEDULER;
use crate::http::unreachable::Cause;
use crate::http::{in_words, socket};

/// How long one request may take, from its release to the last byte of the answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The read buffer of a connection: hyper's own limit is 400 KiB, a thousand times over.
const BUFFER_BYTES: usize = 64 * 1024;
/// The most bytes of an answer; a full page of bookings is far below it.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// The port of a URL that names none.
const HTTP_PORT: u16 = 80;
/// Tries of a GET: a kept-alive connection may have been closed just then, and asking twice changes nothing.
const GET_TRIES: u32 = 2;

/// The URL of a plain HTTP resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    uri: UriAbsoluteString,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// As the `Host` header has it: without user information.
    authority: String,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let expected = || format!("{text:?} is not a URL that can be asked; it should look like http://127.0.0.1:5000");
        let uri = UriAbsoluteString::try_from(text).ok().with_context(expected)?;
        if !uri.scheme_str().eq_ignore_ascii_case("http") {
            bail!("{}", expected());
        }
        let authority = uri.authority_components().with_context(expected)?;
        let bracketed = authority.host();
        let host = bracketed.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(bracketed).to_owned();
        let port = match authority.port() {
            None | Some("") => HTTP_PORT,
            Some(port) => port.parse().ok().with_context(expected)?,
        };
        if host.is_empty() {
            bail!("{}", expected());
        }
        let authority = format!("{bracketed}:{port}");
        Ok(Self { uri, host, port, authority })
    }

    /// Where `href`, found in the document at this URL, leads.
    ///
    /// # Errors
    /// When it is no reference, or leads away from plain HTTP.
    pub fn join(&self, href: &str) -> anyhow::Result<Self> {
        let reference = UriReferenceStr::new(href).ok().with_context(|| format!("the link {href:?} is not a URL"))?;
        let resolved = reference.resolve_against(&self.uri).to_dedicated_string();
        Self::parse(resolved.to_absolute().as_str())
    }

    /// What a request's first line names.
    fn request_target(&self) -> String {
        let path = if self.uri.path_str().is_empty() { "/" } else { self.uri.path_str() };
        match self.uri.query_str() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// A builder of requests for this URL.
    pub fn request(&self) -> hyper::http::request::Builder {
        Request::builder().uri(self.request_target()).header(HOST, &self.authority)
    }

    /// The addresses of its host.
    ///
    /// # Errors
    /// When the name is unknown.
    pub async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect())
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.uri.as_str())
    }
}

/// Says that there is no connection to `url`, and what to do.
pub fn cannot_reach(url: &Url, error: io::Error) -> anyhow::Error {
    let advice = Cause::of(&error).advice(SCHEDULER, "--url");
    anyhow::Error::new(error).context(format!("cannot reach {url}; {advice}"))
}

/// One open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Opens a connection to the first of `addresses` that answers.
    ///
    /// # Errors
    /// The last address's error.
    pub async fn open(addresses: &[SocketAddr]) -> io::Result<Self> {
        let too_slow = |_| {
            let text = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses));
        let stream = connecting.await.map_err(too_slow)??;
        socket::set_up(&stream);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // Ends with the sender; what goes wrong on it is told to whoever waits for an answer.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Whether it can still carry a request, as far as is known.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// In words. The connection may not be used again then.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        self.sender.ready().await.map_err(|error| in_words(&error))?;
        let answer = self.sender.send_request(request).await.map_err(|error| in_words(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        Ok((status, body.map_err(|error| in_words(error.as_ref()))?.to_bytes()))
    }
}

/// Gets documents, one after the other, over one connection as long as they come from one place.
#[derive(Default)]
pub struct Browser {
    current: Option<(String, Connection)>,
}

impl Browser {
    /// Gets a JSON document.
    ///
    /// # Errors
    /// When there is no answer, it is not a success, or it is not the document expected.
    pub async fn get<T: DeserializeOwned>(&mut self, url: &Url) -> anyhow::Result<T> {
        let mut result = self.try_get(url).await;
        for _ in 1..GET_TRIES {
            if result.is_ok() {
                break;
            }
            result = self.try_get(url).await;
        }
        let (status, body) = result?;
        if !status.is_success() {
            bail!("{url} answered {status}; is --url the entry point of a scheduler?");
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{url} answered something else; is --url the entry point of a scheduler?"))
    }

    async fn try_get(&mut self, url: &Url) -> anyhow::Result<(StatusCode, Bytes)> {
        let unreachable = |error| cannot_reach(url, error);
        let kept =
            self.current.take().filter(|(authority, connection)| *authority == url.authority && connection.is_open());
        let mut connection = match kept {
            Some((_, connection)) => connection,
            None => Connection::open(&url.addresses().await.map_err(unreachable)?).await.map_err(unreachable)?,
        };
        let request = url.request().body(Full::default()).with_context(|| format!("cannot ask {url}"))?;
        match tokio::time::timeout(REQUEST_TIMEOUT, connection.exchange(request)).await {
            Ok(Ok(answer)) => {
                self.current = Some((url.authority.clone(), connection));
                Ok(answer)
            }
            Ok(Err(reason)) => Err(anyhow::Error::msg(reason).context(format!("no answer from {url}"))),
            Err(_) => bail!("no answer from {url} within {} s", REQUEST_TIMEOUT.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_against_the_document_they_are_in() {
        let base = Url::parse("http://127.0.0.1:5000").unwrap();
        assert_eq!(base.request_target(), "/");
        let list = base.join("/agendamentos?de=2025-12-01T03%3A00%3A00Z#x").unwrap();
        assert_eq!(list.to_string(), "http://127.0.0.1:5000/agendamentos?de=2025-12-01T03%3A00%3A00Z");
        assert_eq!(list.request_target(), "/agendamentos?de=2025-12-01T03%3A00%3A00Z");
        assert_eq!(
            Url::parse("http://host/sctec/v1").unwrap().join("books").unwrap().to_string(),
            "http://host/sctec/books"
        );
        assert_eq!(base.join("http://other:81/x").unwrap().authority, "other:81");
        assert!(base.join("https://other/x").is_err());
        assert!(base.join("a b").is_err());
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let parts = |text: &str| Url::parse(text).map(|url| (url.host, url.port, url.authority)).unwrap();
        assert_eq!(parts("http://[::1]:5000/"), ("::1".to_owned(), 5000, "[::1]:5000".to_owned()));
        assert_eq!(parts("HTTP://me@host"), ("host".to_owned(), 80, "host:80".to_owned()));
        for wrong in ["", "127.0.0.1:5000", "https://host", "http://", "http://host:99999", "http://h h", "/time"] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
