//! An etcd for tests: it has the two keys, does transactions, and loses answers or requests when a test wants it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::prelude::{BASE64_STANDARD, Engine};
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};

use super::Etcd;
use crate::coordinator::election::{ElectionConfig, Login};
use crate::http::tls::Trust;

/// What happens to the next transactions that would write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done, and its answer is lost.
    LosesAnswer,
    /// It is on its way until [`FakeEtcd::deliver`]; its client gets no answer.
    IsLate,
}

/// The keys and the faults.
#[derive(Default)]
pub struct Contents {
    pub revision: u64,
    /// The value, the change that made it, and the one that changed it last, of each key.
    keys: std::collections::BTreeMap<String, (String, u64, u64)>,
    pub fault: Option<Fault>,
    /// How often somebody tried to log in. All logins are refused.
    pub logins: u32,
    late: Vec<Value>,
}

/// The server.
#[derive(Clone)]
pub struct FakeEtcd {
    contents: Arc<Mutex<Contents>>,
    url: String,
}

impl FakeEtcd {
    /// Starts it. It serves until the test's process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("etcd://{}/t", listener.local_addr().unwrap());
        let contents: Arc<Mutex<Contents>> = Arc::default();
        let fake = Self { contents: Arc::clone(&contents), url };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let contents = Arc::clone(&contents);
                std::thread::spawn(move || drop(serve(&stream, &contents)));
            }
        });
        fake
    }

    pub fn client(&self) -> Arc<Etcd> {
        self.client_as(None)
    }

    pub fn client_as(&self, login: Option<Login>) -> Arc<Etcd> {
        let config =
            ElectionConfig { etcd: self.url.parse().unwrap(), login, trust: Trust::default(), address: String::new() };
        Arc::new(Etcd::new(&config, Counter::default()))
    }

    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    /// Puts a key, or makes it anew; gives the number of the change.
    pub fn make(&self, name: &str, value: &str) -> u64 {
        let mut contents = self.contents();
        contents.keys.remove(&format!("/t/{name}"));
        contents.put(format!("/t/{name}"), value.to_owned());
        contents.revision
    }

    pub fn value(&self, name: &str) -> Option<String> {
        self.contents().keys.get(&format!("/t/{name}")).map(|(value, ..)| value.clone())
    }

    /// What was on its way arrives.
    pub fn deliver(&self) {
        let mut contents = self.contents();
        for late in std::mem::take(&mut contents.late) {
            contents.transact(&late);
        }
    }
}

impl Contents {
    fn put(&mut self, key: String, value: String) {
        self.revision += 1;
        let revision = self.revision;
        let made = self.keys.get(&key).map_or(revision, |(_, made, _)| *made);
        self.keys.insert(key, (value, made, revision));
    }

    fn transact(&mut self, body: &Value) -> Value {
        let all = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let holds = |condition: &Value| {
            let (_, made, changed) = self.keys.get(&text(&condition["key"])).cloned().unwrap_or_default();
            let (is, wanted) = match condition["target"].as_str().unwrap() {
                "CREATE" => (made, &condition["create_revision"]),
                _ => (changed, &condition["mod_revision"]),
            };
            is.to_string() == wanted.as_str().unwrap()
        };
        let succeeded = all("compare").iter().all(holds);
        let mut responses = Vec::new();
        for operation in all(if succeeded { "success" } else { "failure" }) {
            let put = &operation["request_put"];
            if put.is_object() {
                self.put(text(&put["key"]), text(&put["value"]));
                responses.push(json!({"response_put": {}}));
                continue;
            }
            let key = &operation["request_range"]["key"];
            let found = self.keys.get(&text(key)).map(|(value, made, changed)| {
                json!({"key": key, "value": BASE64_STANDARD.encode(value), "create_revision": made.to_string(),
                    "mod_revision": changed.to_string(), "lease": "7"})
            });
            responses.push(json!({"response_range": {"kvs": found.into_iter().collect::<Vec<_>>()}}));
        }
        let mut answer = json!({"header": {"revision": self.revision.to_string()}, "responses": responses});
        if succeeded {
            answer["succeeded"] = true.into();
        }
        answer
    }
}

fn text(encoded: &Value) -> String {
    String::from_utf8(BASE64_STANDARD.decode(encoded.as_str().unwrap()).unwrap()).unwrap()
}

fn serve(stream: &TcpStream, contents: &Mutex<Contents>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut length, mut logs_in) = (String::new(), 0, false);
        while {
            line.clear();
            reader.read_line(&mut line)? > 2
        } {
            logs_in |= line.starts_with("POST /v3/auth/authenticate ");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        if line.is_empty() {
            return Ok(());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let answer = {
            let mut contents = contents.lock().unwrap();
            if logs_in {
                contents.logins += 1;
                write(stream, "400 Bad Request", LOGIN_REFUSED)?;
                continue;
            }
            let writes = body["success"].to_string().contains("request_put");
            match contents.fault.filter(|_| writes) {
                Some(Fault::IsLate) => {
                    contents.late.push(body);
                    return Ok(());
                }
                Some(Fault::LosesAnswer) => {
                    contents.transact(&body);
                    return Ok(());
                }
                None => contents.transact(&body).to_string(),
            }
        };
        write(stream, "200 OK", &answer)?;
    }
}

/// As etcd 3.4 says it.
const LOGIN_REFUSED: &str = r#"{"error":"etcdserver: authentication failed, invalid user ID or password","code":3}"#;

fn write(mut stream: &TcpStream, status: &str, answer: &str) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).as_bytes())
}
