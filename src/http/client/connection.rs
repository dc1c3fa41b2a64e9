//! One open connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use super::error::AnswerError;
use crate::http::socket;
use crate::http::tls::Dial;

/// The read buffer of a connection: hyper's own limit is 400 KiB, a thousand times over.
const BUFFER_BYTES: usize = 64 * 1024;

/// One open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Opens a connection to the first of `addresses` that answers, within `patience` for all of them; over TLS by `dial`.
    ///
    /// # Errors
    /// The last address's error; of the kind `TimedOut` when time was up.
    pub async fn open(addresses: &[SocketAddr], dial: Option<&Dial>, patience: Duration) -> io::Result<Self> {
        Self::open_from(None, addresses, dial, patience).await
    }

    /// The same from an address of this machine; `None` is the one that the system chooses.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_from(
        from: Option<IpAddr>,
        addresses: &[SocketAddr],
        dial: Option<&Dial>,
        patience: Duration,
    ) -> io::Result<Self> {
        let too_slow = |_| {
            let text = format!("no answer within {} s", patience.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        let opening = async {
            let stream = match from {
                None => TcpStream::connect(addresses).await?,
                Some(from) => connect_from(from, addresses).await?,
            };
            socket::set_up(&stream);
            match dial {
                None => Self::over(stream).await,
                Some(dial) => Self::over(dial.connect(stream).await?).await,
            }
        };
        tokio::time::timeout(patience, opening).await.map_err(too_slow)?
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> io::Result<Self> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // It ends with the sender; its errors are told to the sender's exchange.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Whether it can still carry a request, as far as is known.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends one request and reads the whole answer, of at most `most` bytes.
    ///
    /// # Errors
    /// [`AnswerError::Broken`] and [`AnswerError::TooLong`]. The connection may not be used again then.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<(StatusCode, Bytes), AnswerError> {
        self.sender.ready().await.map_err(AnswerError::Broken)?;
        let answer = self.sender.send_request(request).await.map_err(AnswerError::Broken)?;
        Ok((answer.status(), whole_body(answer.into_body(), most).await?))
    }
}

/// A connection from that address to the first of these that answers.
async fn connect_from(from: IpAddr, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for to in addresses.iter().filter(|to| to.is_ipv4() == from.is_ipv4()) {
        let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(from, 0))?;
        match socket.connect(*to).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The whole body of an answer, of at most `most` bytes.
///
/// # Errors
/// [`AnswerError::Broken`] and [`AnswerError::TooLong`].
pub async fn whole_body(body: Incoming, most: usize) -> Result<Bytes, AnswerError> {
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(AnswerError::TooLong(most)),
        // `Limited` has no other error of its own.
        Err(error) => Err(error.downcast().map_or(AnswerError::TooLong(most), |error| AnswerError::Broken(*error))),
    }
}
