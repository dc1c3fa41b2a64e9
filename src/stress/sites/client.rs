//! The client of one site: it compares clocks, and books. Its distance is emulated: it waits before it sends, and after it has an answer.
//!
//! It has a thread of its own and sleeps on it: a timer of tokio is good to a millisecond, and the nearest site is no farther than that.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::{Method, Request, StatusCode};
use rust_i18n::t;
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Runtime;

use super::dice::{Dice, millis};
use super::file::{Brought, Claim, Site};
use super::shared::{Run, Tokens};
use crate::clock::cristian::{Sample, estimate};
use crate::http::client::Connection;
use crate::http::links::ReadLink;
use crate::stress::wire::{ANSWER_MAX, REQUEST_TIMEOUT};
use crate::time::Timestamp;

/// How many samples of the time a client takes at first, and how many it looks back.
const SAMPLES: usize = 8;
/// After so many questions a client begins anew, as one does whose page was opened anew.
const SERIES_MAX: usize = 16;
/// How much earlier than it was an early click is said to be, in microseconds.
const EARLY_US: i64 = 3_600_000_000;
/// In which header a request says for whom it asks.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What became of one click.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; `None` without an answer: what became of the request is not known.
    pub status: Option<StatusCode>,
    /// Why it was refused, or why there is no answer.
    pub said: Option<String>,
    /// Where the contest is told of.
    pub contest: Option<String>,
}

/// The client of one site.
pub struct Client {
    run: Arc<Run>,
    nth: usize,
    site: Site,
    scientist: i64,
    dice: Dice,
    runtime: Runtime,
    connection: Option<Connection>,
    /// The newest samples.
    samples: Vec<Sample>,
    /// Its newest time token, and how many its series has.
    token: Option<String>,
    series: usize,
    first_token: Option<String>,
    has_begun: bool,
}

/// The answer to a question for the time.
#[derive(Deserialize)]
struct Time {
    recebido_utc: String,
    enviado_utc: String,
    token_hora: Option<String>,
}

/// The members of a booking's answer that count here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Booked {
    codigo: Option<String>,
    detail: Option<String>,
    #[serde(rename = "_links")]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    disputa: Option<ReadLink>,
}

impl Client {
    /// The client of the site with that number, who books for that scientist.
    ///
    /// # Errors
    /// When its runtime does not start.
    pub fn new(run: Arc<Run>, (nth, site): (usize, Site), scientist: i64, dice: Dice) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.with_context(|| t!("cannot start the runtime"))?;
        Ok(Self {
            run,
            nth,
            site,
            scientist,
            dice,
            runtime,
            connection: None,
            samples: Vec::new(),
            token: None,
            series: 0,
            first_token: None,
            has_begun: false,
        })
    }

    /// Compares clocks: eight times at first, and then once before each contest.
    ///
    /// # Errors
    /// When the scheduler does not tell the time.
    pub fn synchronise(&mut self, tokens: &Tokens) -> anyhow::Result<()> {
        if self.series >= SERIES_MAX {
            (self.token, self.series) = (None, 0);
            self.samples.clear();
            // A new page has a new connection.
            self.connection = None;
        }
        let wanted = if self.series == 0 { SAMPLES } else { 1 };
        for _ in 0..wanted {
            let waits = self.site.waits_ms > 0.0 && (self.has_begun || !self.site.seen_without_waiting);
            if waits && self.series > 0 {
                thread::sleep(millis(self.site.waits_ms));
            }
            self.sample()?;
        }
        self.has_begun = true;
        tokens.publish(self.nth, self.token.clone());
        Ok(())
    }

    fn sample(&mut self) -> anyhow::Result<()> {
        self.series += 1;
        let mut query = format!("?nonce={}-{}-{}", self.run.name, self.nth, self.series);
        if let Some(token) = &self.token {
            query = format!("{query}&anterior={token}");
        }
        let url = self.run.time.join(&query)?;
        let request = self.request(&url).method(Method::GET).body(Full::default())?;
        let (there, back) = (self.dice.way_there(&self.site), self.dice.way_back(&self.site));
        let t1 = self.run.local_us(Instant::now());
        thread::sleep(there);
        let (status, body) = self.exchange(request)?;
        thread::sleep(back);
        let t4 = self.run.local_us(Instant::now());
        if status != StatusCode::OK {
            let said = crate::http::client::refused(status, &body).unwrap_or_else(|| status.to_string());
            bail!(
                "{}",
                t!("%{url} answered %{status}: %{said}", url = self.run.time, status = status.as_u16(), said = said)
            );
        }
        let no_time = || {
            t!("%{url} answered without the time: %{field}", url = self.run.time, field = "recebido_utc, enviado_utc")
        };
        let time: Time = serde_json::from_slice(&body).with_context(no_time)?;
        let instant = |text: &str| Timestamp::parse_rfc3339(text).map(Timestamp::as_micros).ok();
        let (t2, t3) = instant(&time.recebido_utc).zip(instant(&time.enviado_utc)).with_context(no_time)?;
        if self.samples.len() >= SAMPLES {
            self.samples.remove(0);
        }
        self.samples.push(Sample { t1, t2, t3, t4 });
        self.first_token = self.first_token.take().or_else(|| time.token_hora.clone());
        self.token = time.token_hora;
        Ok(())
    }

    /// The user clicks at `click`, for the slot of a contest.
    pub fn click(&mut self, click: Instant, (contest, slot): (usize, &str), tokens: &Tokens) -> Answer {
        let request_id = format!("{}-{}-{}", self.run.name, contest, self.nth);
        let there = self.dice.way_there(&self.site);
        let offset_us = estimate(&self.samples).map_or(0, |estimate| estimate.offset_us);
        let claim_us = match self.site.claim {
            Claim::Honest => self.run.local_us(click) + offset_us,
            Claim::Early => self.run.local_us(click) - EARLY_US,
        };
        let mut body = json!({
            "cientista_id": self.scientist,
            "horario_inicio_utc": slot,
            "telescopio": self.run.telescope,
            "instante_clique_utc": Timestamp::from_micros(claim_us).map(|at| at.micros().to_string()),
        });
        if let Some(token) = self.token_to_bring(tokens) {
            body["token_hora"] = token.into();
        }
        let request = self
            .request(&self.run.book)
            .method(self.run.book_method.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("x-request-id", &request_id)
            .body(Full::new(Bytes::from(body.to_string())));
        thread::sleep((click + there).saturating_duration_since(Instant::now()));
        let answered = request.map_err(anyhow::Error::from).and_then(|request| self.exchange(request));
        let (status, body) = match answered {
            Ok(answer) => answer,
            Err(error) => {
                return Answer { status: None, said: Some(format!("{error:#}")), contest: None };
            }
        };
        let Booked { codigo, detail, links } = serde_json::from_slice(&body).unwrap_or_default();
        let said =
            if codigo.is_some() { codigo.zip(detail).map(|(code, detail)| format!("{code}: {detail}")) } else { None };
        Answer { status: Some(status), said, contest: links.disputa.map(|link| link.href) }
    }

    fn token_to_bring(&self, tokens: &Tokens) -> Option<String> {
        let own = || self.token.clone();
        match self.site.token {
            Brought::Own => own(),
            Brought::None => None,
            Brought::First => self.first_token.clone(),
            Brought::Foreign => tokens.of_next(self.nth),
            // In the middle of what is signed.
            Brought::Altered => own().map(|token| {
                let at = token.len() / 2;
                let other = if token.as_bytes().get(at) == Some(&b'A') { "B" } else { "A" };
                match (token.get(..at), token.get(at + 1..)) {
                    (Some(before), Some(after)) => format!("{before}{other}{after}"),
                    _ => token,
                }
            }),
        }
    }

    /// The beginning of a request, which says for whom it asks if the distance is emulated: then this program stands for a proxy.
    fn request(&self, url: &crate::http::client::Url) -> hyper::http::request::Builder {
        let request = url.request(self.run.security.authorization(url));
        match self.site.from {
            Some(_) => request,
            None => request.header(FORWARDED_FOR, forwarded(self.nth).to_string()),
        }
    }

    /// One exchange, on a new connection if the last one is closed. It is never sent twice.
    fn exchange(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let kept = self.connection.take().filter(Connection::is_open);
        let (run, from) = (Arc::clone(&self.run), self.site.from);
        let attempt = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => run.place.connect_from(from).await?,
            };
            let answer = connection.exchange(request, ANSWER_MAX).await?;
            anyhow::Ok((connection, answer))
        };
        let no_answer = || t!("no answer within %{n} s", n = REQUEST_TIMEOUT.as_secs());
        let done = self.runtime.block_on(async { tokio::time::timeout(REQUEST_TIMEOUT, attempt).await });
        let (connection, answer) = done.with_context(no_answer)??;
        self.connection = Some(connection);
        Ok(answer)
    }
}

/// The address of a site whose distance is emulated: one of those that are for documentation (RFC 5737).
fn forwarded(nth: usize) -> IpAddr {
    let last = u8::try_from(nth + 1).unwrap_or(u8::MAX);
    Ipv4Addr::new(192, 0, 2, last).into()
}
