//! Requests to the coordinator on connections of their own, whose ends a test decides.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::contract::{self, Seen};
use super::locks::Locks;
use super::requests::http;
use super::wait::wait_until;

/// A request that has been sent and whose answer has not been read.
pub struct Pending {
    stream: TcpStream,
    address: String,
    /// The method and the path.
    asked: (String, String),
}

impl Pending {
    pub fn post(locks: &Locks, path: &str, body: &Value) -> Self {
        Self::connect(locks).send(path, body)
    }

    /// A connection on which nothing was said yet.
    pub fn connect(locks: &Locks) -> Self {
        let address = locks.server.url()["http://".len()..].to_owned();
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { stream, address, asked: Default::default() }
    }

    pub fn send(self, path: &str, body: &Value) -> Self {
        self.send_as("POST", path, body)
    }

    pub fn send_as(mut self, method: &str, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        self.say(format!("{head}{body}").as_bytes());
        self.asked = (method.to_owned(), path.to_owned());
        self
    }

    /// Sends some more.
    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends as much of something as is taken.
    pub fn say_what_is_taken(&mut self, bytes: &[u8]) {
        self.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let _ = self.stream.write_all(bytes);
    }

    /// Closes the half on which it would send.
    pub fn stop_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Breaks the connection off, without a goodbye.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Reads until the answer so far has `text` in it, and gives all of that.
    pub fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(text) {
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "the answer ended without {text}: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&bytes[..count]);
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Its status and body.
    pub fn answer(mut self) -> (u16, Value) {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        self.hold_to_the_contract(head, &body);
        (head[9..12].parse().unwrap(), serde_json::from_str(&body).unwrap())
    }
}

impl Pending {
    /// Holds an answer to the document of the service that gave it, as the HTTP client of the tests does.
    fn hold_to_the_contract(&self, head: &str, body: &str) {
        let (method, path) = (self.asked.0.as_str(), self.asked.1.as_str());
        let named = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = named.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let status = head[9..12].parse().unwrap();
        let url = format!("http://{}{path}", self.address);
        contract::held(&url, &Seen { method, path, sent: None, status, headers: &headers, body, direct: true });
    }
}

/// What a body in chunks says; it has come to its end.
fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").expect("a chunk begins with its size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return text;
        }
        text.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").expect("a chunk ends its line");
    }
}

/// Waits until so many wait for the resource.
pub fn wait_for_queue(locks: &Locks, resource: &str, length: u64) {
    wait_until("they wait", || {
        http("GET", &locks.url(&format!("/locks/{resource}")), None).json()["fila"].as_u64() == Some(length)
    });
}
