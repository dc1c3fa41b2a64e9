//! Somebody else's service: a small HTTP server that answers as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::Value;

/// The status of an answer that does not come: the peer hangs up.
pub const HANGS_UP: u16 = 0;

/// What a peer answers to a method, a path and a body.
pub type Answers = dyn Fn(&str, &str, &Value) -> (u16, Value) + Send + Sync;

/// Starts a peer on a free port and gives its URL. It serves until the test's process ends.
pub fn start(answers: impl Fn(&str, &str, &Value) -> (u16, Value) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers: Arc<Answers> = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answers = Arc::clone(&answers);
            // A connection that breaks is its client's affair.
            std::thread::spawn(move || drop(serve(stream, &*answers)));
        }
    });
    url
}

fn serve(stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, answer) = answers(&method, &path, &serde_json::from_slice(&body).unwrap_or_default());
        if status == HANGS_UP {
            return Ok(());
        }
        let text = answer.to_string();
        let head =
            format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all(format!("{head}{text}").as_bytes())?;
    }
}
