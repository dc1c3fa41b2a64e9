//! Asks the services, all at once, and keeps what they answer.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::StatusCode;
use rust_i18n::t;
use serde_json::{Value, json};

use crate::clock::client::SCHEDULER;
use crate::commands::asked::{faulty_parts, no_answer};
use crate::commands::locks::client::COORDINATOR;
use crate::coordinator::protocol::RESERVE;
use crate::http::client::{Limits, Security, Session, Url, refused};
use crate::http::unreachable::Peer;
use crate::language::chain;

/// The most bytes of an answer: the metrics are the longest.
const ANSWER_MAX: usize = 1024 * 1024;
/// The gauge of the records that are not in the trail's file yet.
const BEHIND: &str = "sctec_scheduler_trail_behind_records ";
/// What its database is, as labels.
const DATABASE: &str = "sctec_scheduler_database_info{";

/// The services of one kind.
#[derive(Clone, Copy)]
struct Kind {
    /// As its answer names it.
    service: &'static str,
    /// In an advice.
    peer: Peer,
    /// The option that names another.
    option: &'static str,
}

const SCHEDULERS: Kind = Kind { service: crate::scheduler::SERVICE, peer: SCHEDULER, option: "--url" };
const COORDINATORS: Kind = Kind { service: crate::coordinator::SERVICE, peer: COORDINATOR, option: "--coordinator" };

/// What was found.
pub struct Found {
    pub schedulers: Vec<Service>,
    pub coordinators: Vec<Service>,
}

impl Found {
    /// All of them.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.schedulers.iter().chain(&self.coordinators)
    }
}

/// One service.
pub struct Service {
    pub url: String,
    pub reached: Reached,
}

/// Whether it could be asked, and what answered. Texts follow its URL.
pub enum Reached {
    /// It could not be asked, for a reason that is on this machine: nothing is known of it.
    NotAsked(String),
    /// No answer came.
    Silent(String),
    /// What answered does not serve this caller, who speaks without TLS, for example: nothing more is known of it.
    Refused(String),
    /// Another program answered.
    Other(String),
    /// It answered.
    Yes(Box<State>),
}

impl Reached {
    /// Why it says nothing of itself.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::NotAsked(why) | Self::Silent(why) | Self::Refused(why) | Self::Other(why) => Some(why),
            Self::Yes(_) => None,
        }
    }

    /// Whether the service may be well: the fault is the caller's or this machine's.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::NotAsked(_) | Self::Refused(_))
    }
}

/// What a service says of itself.
#[derive(Default)]
pub struct State {
    pub ready: bool,
    /// `GET /saude`.
    pub health: Value,
    /// `GET /pronto`.
    pub answer: Value,
    /// Of a scheduler: the last record of the trail, if it may be seen.
    pub head: Option<Value>,
    /// Of a scheduler: how many records are not in the trail's file yet.
    pub behind: Option<u64>,
    /// Of a scheduler: what its database is, if it may be seen.
    pub database: Option<BTreeMap<String, String>>,
}

impl State {
    /// The parts that are not ready, with their reasons.
    pub fn not_ok(&self) -> String {
        faulty_parts(&self.answer).map(|(_, said)| said).collect::<Vec<_>>().join("; ")
    }

    /// Its role in an election, if there is one.
    pub fn role(&self) -> Option<&str> {
        self.answer["eleicao"]["papel"].as_str()
    }

    /// Whether it is a coordinator that is not elected.
    pub fn is_reserve(&self) -> bool {
        self.role() == Some(RESERVE)
    }
}

impl Service {
    /// A service that answered these two.
    #[cfg(test)]
    pub fn read(url: &str, ready: bool, health: &Value, answer: &Value) -> Self {
        let state = State { ready, health: health.clone(), answer: answer.clone(), ..State::default() };
        Self { url: url.to_owned(), reached: Reached::Yes(Box::new(state)) }
    }

    /// What it says of itself.
    pub fn state(&self) -> Option<&State> {
        match &self.reached {
            Reached::Yes(state) => Some(state),
            _ => None,
        }
    }

    /// Whether it is a coordinator that gives locks, or waits for the end of a grace only.
    pub fn gives_locks(&self) -> bool {
        let in_grace = |state: &State| state.answer["carencia_resta_ms"].is_u64();
        self.state().is_some_and(|state| !state.is_reserve() && (state.ready || in_grace(state)))
    }

    /// Whether it is a coordinator that is not elected.
    pub fn is_reserve(&self) -> bool {
        self.state().is_some_and(State::is_reserve)
    }
}

/// Asks all.
pub async fn ask(schedulers: &[String], coordinators: &[String], security: &Security, patience: Duration) -> Found {
    let limits = Limits { connect: patience, exchange: patience, answer_bytes: ANSWER_MAX };
    let all = |urls: &[String], kind: Kind| {
        let asked = urls.iter().cloned().map(move |url| async move {
            let mut session = Session::new(limits, security);
            let reached =
                state(&mut session, &url, kind).await.map_or_else(|not| not, |state| Reached::Yes(Box::new(state)));
            Service { url, reached }
        });
        join_all(asked.collect::<Vec<_>>())
    };
    let (schedulers, coordinators) = tokio::join!(all(schedulers, SCHEDULERS), all(coordinators, COORDINATORS));
    Found { schedulers, coordinators }
}

/// What the service at `url` says, if it is one of this kind.
async fn state(session: &mut Session, url: &str, kind: Kind) -> Result<State, Reached> {
    let (_, health) = get(session, url, "/saude", kind).await?;
    if health["servico"] != kind.service {
        return Err(Reached::Other(t!("is not a %{name}", name = kind.service).into_owned()));
    }
    let (status, answer) = get(session, url, "/pronto", kind).await?;
    let mut state = State { ready: status == StatusCode::OK, health, answer, ..State::default() };
    if kind.service == SCHEDULERS.service {
        state.head = match get(session, url, "/auditoria/cabeca", kind).await {
            Ok((StatusCode::OK, head)) => {
                Some(json!({"seq": head["seq"], "hash": head["hash"], "timestamp_utc": head["timestamp_utc"]}))
            }
            _ => None,
        };
        let text = metrics(session, url).await.unwrap_or_default();
        let after = |prefix| text.lines().find_map(|line| line.strip_prefix(prefix));
        state.behind = after(BEHIND).and_then(|value| value.trim().parse().ok());
        state.database = after(DATABASE).map(labels);
    }
    Ok(state)
}

async fn get(session: &mut Session, url: &str, path: &str, kind: Kind) -> Result<(StatusCode, Value), Reached> {
    let address = Url::parse(&format!("{url}{path}")).map_err(|error| Reached::NotAsked(chain(&error)))?;
    let answered = session.get(&address).await;
    let (status, body) = answered.map_err(|error| {
        let why = no_answer(&error, kind.peer, kind.option);
        if error.cause().is_here() { Reached::NotAsked(why) } else { Reached::Silent(why) }
    })?;
    if let Some(said) = refused(status, &body) {
        let why = t!("answered %{status}: %{said}", status = status.as_u16(), said = said);
        return Err(Reached::Refused(why.into_owned()));
    }
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// The text of its metrics, if they may be seen.
async fn metrics(session: &mut Session, url: &str) -> Option<String> {
    let address = Url::parse(&format!("{url}/metrics")).ok()?;
    let (status, body) = session.get(&address).await.ok()?;
    (status == StatusCode::OK).then(|| String::from_utf8_lossy(&body).into_owned())
}

/// The labels of a metric, from behind the brace that opens them.
fn labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once("=\"") {
        let (mut read, mut characters) = (String::new(), value.char_indices());
        let end = loop {
            match characters.next() {
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => read.extend(characters.next().map(|(_, c)| if c == 'n' { '\n' } else { c })),
                Some((_, c)) => read.push(c),
                None => return labels,
            }
        };
        labels.insert(name.trim_matches(',').to_owned(), read);
        rest = &value[end..];
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_they_were_written() {
        let read = labels(r#"kind="postgresql",server="[::1]:5432",standby="a\"b\\c\nd"} 1"#);
        let expected = [("kind", "postgresql"), ("server", "[::1]:5432"), ("standby", "a\"b\\c\nd")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(labels("} 1").is_empty() && labels(r#"a="b"#).is_empty());
    }
}
