//! An open stream of events.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// One who listens.
pub struct Listener {
    reader: BufReader<TcpStream>,
    /// Where the stream says it begins.
    pub begins: Option<String>,
}

/// One event as it came.
#[derive(Debug)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

impl Listener {
    /// Listens to `url`.
    pub fn open(url: &str, last_event_id: Option<&str>) -> Self {
        let (address, path) = url["http://".len()..].split_once('/').unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let last = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\n{last}\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut listener = Self { reader: BufReader::new(stream), begins: None };
        // It listens from the moment its preamble is there.
        while listener.line() != "retry: 2000" {}
        listener.begins = listener.line().strip_prefix("id: ").map(str::to_owned);
        listener
    }

    /// The next line, without what the transfer's chunks add.
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.reader.read_line(&mut line).unwrap() > 0, "the stream ended");
        line.trim_end().to_owned()
    }

    /// The next event.
    pub fn event(&mut self) -> Event {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let line = self.line();
            if let Some(value) = line.strip_prefix("id: ") {
                value.clone_into(&mut id);
            } else if let Some(value) = line.strip_prefix("event: ") {
                value.clone_into(&mut name);
            } else if let Some(value) = line.strip_prefix("data: ") {
                return Event { id, name, data: serde_json::from_str(value).unwrap() };
            }
        }
    }

    /// The next event of that name.
    pub fn next(&mut self, name: &str) -> Event {
        loop {
            let event = self.event();
            if event.name == name {
                return event;
            }
        }
    }

    /// Waits for the end of the stream, though the connection may stay open: the last chunk has no bytes.
    pub fn end(&mut self) {
        while self.line() != "0" {}
    }

    /// The rest of the stream, to its end.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        while self.reader.read_line(&mut rest).unwrap() > 0 {}
        rest
    }
}
