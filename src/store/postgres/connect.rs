//! Connections to the database, each set up for its use.
//!
//! # Time limits
//!
//! The server ends a transaction whose client says nothing for [`IDLE_MS`]: a scheduler that is paused holds the trail's head, and all others
//! wait for it. There is no `statement_timeout`. It would also end the wait of a COMMIT for the synchronous standby, and the server
//! then keeps the transaction on the primary alone and reports success, with a warning. [`Warnings`] notices that case too: an operator
//! can cause it with `pg_cancel_backend`.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio_postgres::error::Severity;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::Error;
use super::growth::Growth;
use super::location::Location;
use crate::store::kind::DatabaseKind;

/// How long a new connection may take until it can be used. Each attempt asks all hosts who the primary is: a standby that has become it
/// since is found by the next one.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// When a host has not answered for so long, the next is tried beside it. A host whose processes stand still accepts connections.
const HEAD_START: Duration = Duration::from_secs(1);
/// How long a statement waits for a row that somebody else has locked.
const LOCK_WAIT_MS: u32 = 4_000;
/// How long a transaction may stay open without a word of its client.
const IDLE_MS: u32 = 3_000;

impl DatabaseKind {
    /// The schema that has its tables. Neither kind ever names the other one's.
    pub(super) const fn schema(self) -> &'static str {
        match self {
            Self::Agenda => "sctec",
            Self::Race => "corrida",
        }
    }
}

/// The part of a connection that reads and writes it.
type Connection = tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// For changes of the agenda, which are durable when they are answered.
    Writing,
    /// For readings, and for what need not outlive a crash.
    Beside,
}

/// Opens connections to one database.
#[derive(Clone)]
pub struct Connector {
    configs: Arc<[Config]>,
    /// Which of them is used: all connections leave a server that has fallen silent. It may be a primary that was deposed and does not know,
    /// whose standby has gone: it says that it takes writes, and none ever ends.
    turn: Arc<AtomicUsize>,
    tls: MakeRustlsConnect,
    kind: DatabaseKind,
    growth: Arc<Growth>,
}

/// The last warning that the server has sent, if nobody has taken it yet.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Option<String>>>);

/// A connection that is open.
pub struct Opened {
    /// For requests.
    pub client: Client,
    /// What the server has warned of.
    pub warnings: Warnings,
    /// The task that reads and writes the connection. It ends with the client.
    pub task: JoinHandle<()>,
    /// How the trail there grows.
    pub growth: Arc<Growth>,
}

impl Connector {
    /// For the database of this kind there.
    pub fn new(location: &Location, kind: DatabaseKind) -> Self {
        let tls = MakeRustlsConnect::new(location.trust().config_for(b"postgresql"));
        Self { configs: location.configs().into(), turn: Arc::default(), tls, kind, growth: Arc::default() }
    }

    /// The host that is tried first now, for [`turn_from`](Self::turn_from).
    pub fn turned(&self) -> usize {
        self.turn.load(Ordering::Relaxed)
    }

    /// From now on another host than `seen` is tried first. Of several who have seen the same host fall silent, the first one turns.
    pub fn turn_from(&self, seen: usize) {
        let _ = self.turn.compare_exchange(seen, seen.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// How the trail there grows, for those who use its connections.
    pub fn growth(&self) -> &Arc<Growth> {
        &self.growth
    }

    /// Which tables its connections see.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// Opens a connection to the first of the hosts that is the primary.
    pub async fn open(&self, purpose: Use) -> Result<Opened, Error> {
        let opened = tokio::time::timeout(OPEN_TIMEOUT, self.open_slowly(purpose)).await;
        Ok(opened.map_err(|_| Error::Silent(OPEN_TIMEOUT))??)
    }

    async fn open_slowly(&self, purpose: Use) -> Result<Opened, tokio_postgres::Error> {
        let (client, mut connection) = self.connect_to_primary().await?;
        let warnings = Warnings::default();
        let noted = warnings.clone();
        let task = tokio::spawn(async move {
            // The end of a connection, good or bad, is told to each request on it.
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message
                    && notice.parsed_severity() == Some(Severity::Warning)
                {
                    noted.note(notice.message());
                }
            }
        });
        let schema = self.kind.schema();
        let durable = match purpose {
            Use::Writing => "",
            Use::Beside => "SET synchronous_commit = off;",
        };
        client
            .batch_execute(&format!(
                "SET search_path TO {schema}; SET client_min_messages = warning; SET lock_timeout = {LOCK_WAIT_MS};
                 SET statement_timeout = 0; SET idle_in_transaction_session_timeout = {IDLE_MS};
                 SET default_transaction_isolation = 'read committed'; {durable}"
            ))
            .await?;
        Ok(Opened { client, warnings, task, growth: Arc::clone(&self.growth) })
    }
}

impl Connector {
    /// Connects to the first host that answers that it takes writes, from the one on whose turn it is. A host gets a head start, because
    /// a deposed primary may answer too.
    async fn connect_to_primary(&self) -> Result<(Client, Connection), tokio_postgres::Error> {
        let (first, count) = (self.turned(), self.configs.len());
        let mut hosts = (0..count).map(|nth| &self.configs[first.wrapping_add(nth) % count]);
        let mut attempts = FuturesUnordered::new();
        let mut refused = None;
        loop {
            let answered = match hosts.next() {
                Some(host) => {
                    attempts.push(host.connect(self.tls.clone()));
                    tokio::time::timeout(HEAD_START, attempts.next()).await
                }
                None => Ok(attempts.next().await),
            };
            match answered {
                Ok(Some(Ok(connected))) => return Ok(connected),
                Ok(Some(Err(error))) => refused = Some(error),
                Ok(None) => {
                    return Err(refused.expect("a location has a host, and each attempt has ended with an error"));
                }
                // It is silent. The next one is tried beside it.
                Err(_) => {}
            }
        }
    }
}

/// Has the server plan all statements of the connection anew, each when it is next used. A server that cannot does without.
///
/// # Errors
/// When the connection is lost.
pub async fn plan_anew(client: &Client) -> Result<(), Error> {
    match client.batch_execute("DISCARD PLANS").await.map_err(Error::from) {
        Err(error) if error.is_lost() => Err(error),
        _ => Ok(()),
    }
}

impl Warnings {
    /// Takes the last warning.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, warning: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(warning.to_owned());
    }
}

/// For the pool of connections beside the writer.
impl Connect for Connector {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async {
            let Opened { client, task, .. } = self.open_slowly(Use::Beside).await?;
            Ok((client, task))
        })
    }
}
