//! The beginning of a connection at a port with TLS: the first byte tells whether the client speaks TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use slog::{Logger, debug, warn};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::http::stream::Stream;
use crate::http::tls::Tls;

/// How long the first byte and the handshake may take together.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of TLS: a record of the handshake.
const HANDSHAKE: u8 = 0x16;

/// A connection whose client has begun to speak.
pub struct Begun {
    pub stream: Stream,
    /// Whether it speaks something else, most likely plain HTTP. It is to be told so.
    pub lacks_tls: bool,
}

/// Waits for the client's first byte, and does the handshake; without `tls` at once. `None` if the connection ended before, which
/// was logged.
pub async fn begin(
    tls: Option<&Tls>,
    stream: TcpStream,
    peer: SocketAddr,
    stopping: &CancellationToken,
    log: &Logger,
) -> Option<Begun> {
    let Some(tls) = tls else { return Some(Begun { stream: Stream::new(stream), lacks_tls: false }) };
    let begun = tokio::select! {
        begun = tokio::time::timeout(HANDSHAKE_TIMEOUT, first_byte_and_handshake(tls, stream)) => begun,
        () = stopping.cancelled() => return None,
    };
    match begun {
        Ok(Ok(Some(begun))) => return Some(begun),
        // The checks of load balancers do so.
        Ok(Ok(None)) => debug!(log, "Conexão encerrada antes do TLS"),
        Ok(Err(error)) => warn!(log, "Conexão TLS de {} não começou: {}", peer, error),
        Err(_) => debug!(log, "Conexão encerrada: o TLS não começou em {} s", HANDSHAKE_TIMEOUT.as_secs()),
    }
    None
}

/// `None` if the client closed the connection before it sent anything.
async fn first_byte_and_handshake(tls: &Tls, stream: TcpStream) -> io::Result<Option<Begun>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    let lacks_tls = first[0] != HANDSHAKE;
    let stream = if lacks_tls { Stream::new(stream) } else { Stream::secured(stream, tls).await? };
    Ok(Some(Begun { stream, lacks_tls }))
}
