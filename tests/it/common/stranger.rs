//! Clients of another address: those of 127.0.0.2, which has a share of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// A connection from 127.0.0.2 to the service at `url`.
pub fn from_elsewhere(url: &str) -> TcpStream {
    let local: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let peer: SocketAddr = url["http://".len()..].parse().unwrap();
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &local).unwrap();
    connect(&socket, &peer).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// The head of the answer to a request from 127.0.0.2.
pub fn head_from_elsewhere(url: &str, path: &str) -> Vec<String> {
    let mut stream = from_elsewhere(url);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect()
}
