//! Who may do what, on services that ask for tokens.

mod matrix;
mod secrets;
mod tokens;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::common::{Answer, Services, http_with, run};

/// Makes a token in a data folder, as a person does.
fn create(data_dir: &Path, name: &str, rest: &[&str]) -> String {
    let dir = data_dir.to_str().unwrap();
    let made = run(&[&["token", "create", name, "--data-dir", dir], rest].concat());
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// The tokens of a folder, as `sctec token list --json` shows them.
fn list(data_dir: &Path) -> Vec<Value> {
    let listed = run(&["token", "list", "--json", "--data-dir", data_dir.to_str().unwrap()]);
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One request with a token, or without any.
fn ask(method: &str, url: &str, token: Option<&str>, body: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    http_with(method, url, body.map(|body| ("application/json", body)), &headers)
}

/// The status alone, of an answer that may never end.
fn status(method: &str, url: &str, token: Option<&str>, body: Option<&str>) -> u16 {
    let (address, path) = url["http://".len()..].split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body =
        body.map(|body| format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let rest = body.unwrap_or_else(|| "\r\n".to_owned());
    write!(stream, "{method} /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{bearer}{rest}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line[9..12].parse().unwrap()
}

/// Both services, of which the scheduler asks for tokens.
fn asking() -> Services {
    Services::start(&["--access", "token"])
}
