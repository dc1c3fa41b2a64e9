//! A proxy that gives every link another URL. A page that builds URLs itself gets 404 here.
//!
//! Each request has a thread and a connection to the scheduler. Streams are passed on line by line.

use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

pub struct Proxy {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    scheduler: String,
    /// The path that `/x/N` stands for is the one at index N.
    hrefs: Mutex<Vec<String>>,
    strays: Mutex<Vec<String>>,
    cut: AtomicBool,
}

impl Proxy {
    /// In front of a scheduler's address.
    pub fn start(scheduler: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (hrefs, strays, cut) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { scheduler, hrefs, strays, cut });
        let hers = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let hers = Arc::clone(&hers);
                // A browser may close a connection at any moment.
                std::thread::spawn(move || hers.pass(stream).ok());
            }
        });
        Self { url, shared }
    }

    /// The requests for URLs that are in no link.
    pub fn strays(&self) -> Vec<String> {
        self.shared.strays.lock().unwrap().clone()
    }

    /// With `cut`, the answer to a POST is lost from now on.
    pub fn cut_answers(&self, cut: bool) {
        self.shared.cut.store(cut, Ordering::SeqCst);
    }
}

impl Shared {
    fn pass(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let (first, headers) = read_head(&mut reader)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
        let length = value_of(&headers, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let Some(path) = self.translate(path) else {
            self.strays.lock().unwrap().push(first);
            return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let mut server = TcpStream::connect(&self.scheduler)?;
        // HTTP/1.0: the answer has no chunks, and ends with the connection. The Host is passed on, since the page's origin is the proxy.
        write!(server, "{method} {path} HTTP/1.0\r\n")?;
        for header in headers.iter().filter(|header| !is_about_connection(header)) {
            write!(server, "{header}\r\n")?;
        }
        write!(server, "\r\n")?;
        server.write_all(&body)?;
        let mut server = BufReader::new(server);
        let (status, headers) = read_head(&mut server)?;
        if method == "POST" && self.cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        let kind = value_of(&headers, "content-type").unwrap_or_default();
        let kept = headers.iter().filter(|header| !is_about_connection(header) && !is_length(header));
        let first = status.replacen("HTTP/1.0", "HTTP/1.1", 1);
        let head: String = kept.fold(format!("{first}\r\n"), |head, header| format!("{head}{header}\r\n"));
        write!(client, "{head}Connection: close\r\n\r\n")?;
        if kind.contains("json") {
            let mut text = String::new();
            server.read_to_string(&mut text)?;
            client.write_all(self.renamed(&text).as_bytes())
        } else if kind == "text/event-stream" {
            for line in server.lines() {
                let line = line?;
                let data = line.strip_prefix("data: ").map(|data| format!("data: {}", self.renamed(data)));
                client.write_all(format!("{}\n", data.unwrap_or(line)).as_bytes())?;
            }
            Ok(())
        } else {
            copy(&mut server, &mut client).map(drop)
        }
    }

    /// The JSON with another URL in each link.
    fn renamed(&self, json: &str) -> String {
        let mut answer: Value = serde_json::from_str(json).expect("it is JSON");
        self.rename(&mut answer);
        answer.to_string()
    }

    /// The scheduler's path for a path that the page asks for.
    fn translate(&self, path: &str) -> Option<String> {
        if path == "/" || path.starts_with("/pagina/") {
            return Some(path.to_owned());
        }
        let (number, query) = path.strip_prefix("/x/")?.split_once('?').unwrap_or((path.strip_prefix("/x/")?, ""));
        // What a template has as its last segment.
        let (number, segment) = number.split_once('/').unwrap_or((number, ""));
        let href = self.hrefs.lock().unwrap().get(number.parse::<usize>().ok()?)?.clone();
        let joint = if query.is_empty() {
            ""
        } else if href.contains('?') {
            "&"
        } else {
            "?"
        };
        Some(format!("{href}{segment}{joint}{query}"))
    }

    /// Puts another URL into each link.
    fn rename(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(href) if name == "href" => *href = self.another(href),
                        _ => self.rename(field),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item)),
            _ => {}
        }
    }

    fn another(&self, href: &str) -> String {
        let (path, template) = href.find('{').map_or((href, ""), |at| href.split_at(at));
        if path == "/" {
            return href.to_owned();
        }
        let mut hrefs = self.hrefs.lock().unwrap();
        let number = hrefs.iter().position(|known| known == path).unwrap_or_else(|| {
            hrefs.push(path.to_owned());
            hrefs.len() - 1
        });
        // A template of a segment, and not of a query.
        let is_segment = template.starts_with('{') && !template.starts_with("{?") && !template.starts_with("{&");
        let joint = if is_segment { "/" } else { "" };
        format!("/x/{number}{joint}{template}")
    }
}

/// The first line of a message and its headers.
fn read_head(reader: &mut impl BufRead) -> std::io::Result<(String, Vec<String>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let headers = lines.split_off(1);
    Ok((lines.remove(0), headers))
}

fn value_of<'a>(headers: &'a [String], name: &str) -> Option<&'a str> {
    let named = headers.iter().filter_map(|header| header.split_once(':'));
    named.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn is_length(header: &str) -> bool {
    header.to_ascii_lowercase().starts_with("content-length:")
}

fn is_about_connection(header: &str) -> bool {
    let name = header.split(':').next().unwrap_or_default().to_ascii_lowercase();
    matches!(name.as_str(), "connection" | "accept-encoding" | "keep-alive")
}
