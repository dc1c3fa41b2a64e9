//! Connections of the attackers, all of them of a few addresses of this machine.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::Kept;
use crate::measure::Outcome;

/// The address of the attackers.
pub const ATTACKER: &str = "127.0.0.2";
/// The receive buffer of a client that does not want to take much.
const SMALL_BUFFER: u32 = 4096;

/// A connection from that address.
pub async fn connect_from(from: &str, address: &str) -> Outcome<TcpStream> {
    connect(from, address, None).await
}

async fn connect(from: &str, address: &str, buffer: Option<u32>) -> Outcome<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(buffer) = buffer {
        socket.set_recv_buffer_size(buffer)?;
    }
    socket.bind(SocketAddr::new(from.parse()?, 0))?;
    let stream = socket.connect(address.parse()?).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Attackers' connections, which say `said` and then nothing. Those that the service does not take are fewer then.
pub async fn silent(count: usize, address: &str, said: &[u8]) -> Vec<TcpStream> {
    let mut opened = Vec::new();
    for _ in 0..count {
        if let Ok(mut stream) = connect(ATTACKER, address, Some(SMALL_BUFFER)).await {
            // One that was refused may be closed already.
            let _ = stream.write_all(said).await;
            opened.push(stream);
        }
    }
    opened
}

/// What is kept of connections.
pub fn kept(streams: Vec<TcpStream>, reached: String) -> Kept {
    Kept { held: vec![Box::new(streams)], reached }
}

/// Attackers' connections, each in a task: it says `head`, then again and again `more`, with pauses in between, until it is let go.
pub fn dripping(
    count: usize,
    address: &str,
    head: &'static str,
    more: &'static str,
    pause: std::time::Duration,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let address = address.to_owned();
        tasks.spawn(async move {
            loop {
                let Ok(mut stream) = connect(ATTACKER, &address, None).await else { return };
                let mut said = stream.write_all(head.as_bytes()).await;
                while said.is_ok() {
                    tokio::time::sleep(pause).await;
                    said = stream.write_all(more.as_bytes()).await;
                }
            }
        });
    }
    tasks
}

/// Attackers that ask for `path` and read: at once all that comes, or a little after each pause. Each asks again when it has its answer
/// or was refused, after a pause.
pub fn readers(
    count: usize,
    address: &str,
    path: &str,
    headers: &str,
    pause: Option<std::time::Duration>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let address = address.to_owned();
        let asked = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        tasks.spawn(async move {
            let mut buffer = vec![0; if pause.is_some() { 4096 } else { 64 * 1024 }];
            loop {
                let buffered = pause.map(|_| SMALL_BUFFER);
                let Ok(mut stream) = connect(ATTACKER, &address, buffered).await else { return };
                let _ = stream.write_all(asked.as_bytes()).await;
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if let Some(pause) = pause {
                        tokio::time::sleep(pause).await;
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        });
    }
    tasks
}
