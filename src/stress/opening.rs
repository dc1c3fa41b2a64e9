//! The connections of a run, opened before its requests.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use rust_i18n::t;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::progress::Progress;
use super::wire::{CONNECT_TIMEOUT, cannot_reach};
use crate::http::client::{Connection, Dial, Security, Url};
use crate::http::unreachable::Cause;

/// How many connections are opened at the same time: more would only overflow the server's backlog.
const OPENING_AT_ONCE: usize = 64;

/// Where the connections lead.
pub struct Place {
    url: Url,
    addresses: Vec<SocketAddr>,
    /// `None` without TLS.
    dial: Option<Dial>,
}

impl Place {
    /// The service at `url`, whose name is looked up once.
    ///
    /// # Errors
    /// When the name has no address.
    pub async fn find(url: &Url, security: &Security) -> anyhow::Result<Self> {
        let addresses = url.addresses().await.map_err(|error| cannot_reach(url, error))?;
        let dial = security.dial(url).map_err(|error| cannot_reach(url, error))?;
        Ok(Self { url: url.clone(), addresses, dial })
    }

    /// One connection.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn connect(&self) -> io::Result<Connection> {
        self.connect_from(None).await
    }

    /// One connection from that address of this machine; `None` is the one that the system chooses.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn connect_from(&self, from: Option<IpAddr>) -> io::Result<Connection> {
        Connection::open_from(from, &self.addresses, self.dial.as_ref(), CONNECT_TIMEOUT).await
    }
}

/// So many connections, all open.
///
/// # Errors
/// When one cannot be opened: how many were, and what to do.
pub async fn open_all(place: &Arc<Place>, wanted: u32, progress: &Progress) -> anyhow::Result<Vec<Connection>> {
    let bar = progress.bar(t!("connections"), wanted);
    let slots = Arc::new(Semaphore::new(OPENING_AT_ONCE));
    let mut opening = JoinSet::new();
    for _ in 0..wanted {
        let (slots, place) = (Arc::clone(&slots), Arc::clone(place));
        opening.spawn(async move {
            // The semaphore is never closed.
            let _slot = slots.acquire().await.expect("the semaphore is open");
            place.connect().await
        });
    }
    let mut connections = Vec::new();
    while let Some(opened) = opening.join_next().await {
        match opened.context(t!("a connection's task failed"))? {
            Ok(connection) => connections.push(connection),
            Err(error) => {
                bar.finish_and_clear();
                return Err(cannot_open(error, connections.len(), (wanted, &place.url)));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(connections)
}

fn cannot_open(error: io::Error, opened: usize, (wanted, url): (u32, &Url)) -> anyhow::Error {
    let context = match Cause::of(&error) {
        Cause::TooManyFiles => t!(
            "too many open files after %{opened} of %{wanted} connections; use a smaller --concurrency, or raise ulimit -n",
            opened = opened,
            wanted = wanted
        ),
        Cause::NoLocalPort => t!(
            "no free local port after %{opened} of %{wanted} connections; use a smaller --concurrency, wait a minute until the ports of closed connections are free again, or widen net.ipv4.ip_local_port_range",
            opened = opened,
            wanted = wanted
        ),
        _ if opened == 0 => return cannot_reach(url, error),
        _ => t!(
            "%{url} took %{opened} of %{wanted} connections; use a smaller --concurrency",
            url = url,
            opened = opened,
            wanted = wanted
        ),
    };
    anyhow::Error::new(error).context(context)
}
