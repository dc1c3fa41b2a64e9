//! Contests of sites at different distances, again and again: who wins them, and who would have by arrival.
//!
//! The parts, in the order of a run: [`mod@file`] reads the sites, [`client`] is the client of one of them, [`mod@conduct`] holds the contests, [`record`] reads
//! what the scheduler has recorded of each, [`figures`] counts, and [`report`] shows it. [`dice`] is chance, and [`shared`] what all clients have.
//!
//! # Distance
//! It is emulated in the client, which waits before it sends and after it has an answer. The kernel of a scheduler would see through that: its
//! connections are short. So this program stands for a proxy, and says in `X-Forwarded-For` for which site it asks; the scheduler has to trust it. A
//! site with an address of its own (`from`) is as far as its network is.

mod client;
mod conduct;
mod dice;
pub mod figures;
pub mod file;
mod meeting;
mod record;
pub mod report;
mod shared;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hyper::StatusCode;
use rust_i18n::t;
use serde::Deserialize;
use tokio::sync::oneshot;

use self::client::{Answer, Client};
use self::conduct::{Contests, conduct};
use self::dice::Dice;
use self::figures::{Contest, Figures};
use self::file::{Site, Sites};
use self::record::{Record, SeenThrough};
use self::shared::Run;
use super::opening::Place;
use super::progress::Progress;
use super::target::{self, Slots, Target, wire_instant};
use super::wire::Browser;
use crate::http::client::{Security, Url};
use crate::http::links::ReadLink;
use crate::time::{Timestamp, micros};

/// A checked run of contests.
#[derive(Clone, Debug)]
pub struct Config {
    /// The scheduler's entry point.
    pub url: Url,
    /// Whose certificate is believed, and the token that is sent.
    pub security: Security,
    /// The telescope; `None` is the first.
    pub telescope: Option<String>,
    /// The slot of the first contest; `None` is a free one. Each contest has the one after it.
    pub slot: Option<Timestamp>,
    /// How many contests.
    pub contests: u32,
    /// Who takes part.
    pub sites: Sites,
}

/// The results of a run.
#[derive(Debug)]
pub struct Seen {
    /// The telescope that was booked.
    pub telescope: String,
    /// The identifier of the run: the request of a site in a contest is `RUN-CONTEST-SITE`, counted from 0.
    pub run: String,
    /// The slot of the first contest.
    pub slot: Timestamp,
    /// What was counted.
    pub figures: Figures,
    /// How many requests had which status; 0 is no answer.
    pub statuses: BTreeMap<u16, usize>,
    /// The first refusal that is not that a rival has the slot, or the first failure.
    pub failure: Option<String>,
    /// The longest window, in milliseconds.
    pub window_ms: u64,
    /// In how many contests there was nobody else, or no record of them can be read.
    pub without_record: usize,
    /// Why the scheduler does not see the distances that are emulated.
    pub seen_through: Option<SeenThrough>,
}

impl Seen {
    /// Whether each contest had one winner.
    pub fn is_as_expected(&self) -> bool {
        self.figures.one_winner.count == self.figures.one_winner.of
    }

    /// Whether every request was refused for another reason than a rival, so that nothing was shown.
    pub fn is_not_judged(&self) -> bool {
        !self.statuses.keys().any(|status| [CREATED, CONFLICT].contains(status))
    }
}

const CREATED: u16 = 201;
const CONFLICT: u16 = 409;

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "_links")]
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    hora: Option<ReadLink>,
    cientistas: Option<ReadLink>,
}

#[derive(Deserialize)]
struct Scientists {
    cientistas: Vec<Scientist>,
    #[serde(rename = "_links")]
    links: BTreeMap<String, ReadLink>,
}

#[derive(Deserialize)]
struct Scientist {
    id: i64,
    #[serde(default = "yes")]
    ativo: bool,
}

fn yes() -> bool {
    true
}

/// Holds the contests and counts.
///
/// # Errors
/// When it could not run.
pub async fn run(config: &Config, progress: &Progress) -> anyhow::Result<Seen> {
    let mut browser = Browser::new(&config.security);
    let target = Target::find(&mut browser, &config.url, config.telescope.as_deref()).await?;
    let Entry { links } = browser.get(&config.url).await?;
    let link = |link: Option<ReadLink>, relation: &str| {
        let said = || {
            t!(
                "%{url} has no link \"%{relation}\"; is --url the entry point of a scheduler that takes bookings?",
                url = config.url,
                relation = relation
            )
        };
        link.with_context(said)
    };
    let time = config.url.join(&link(links.hora, "hora")?.href)?;
    let scientists = config.url.join(&link(links.cientistas, "cientistas")?.href)?;
    let scientists = scientists_of(&mut browser, scientists, config.sites.sites.len()).await?;
    let slots = target::choose_slots(&mut browser, &target, config.slot, config.contests).await?;
    let name = format!("{:06x}", getrandom::u32().context(t!("the system gives no random numbers"))? >> 8);
    let run = Arc::new(Run {
        name,
        place: Place::find(&target.book, &config.security).await?,
        security: config.security.clone(),
        time,
        book: target.book.clone(),
        book_method: target.book_method.clone(),
        telescope: target.telescope.clone(),
        since: Run::now(),
    });
    let mut dice = Dice::new(getrandom::u64().context(t!("the system gives no random numbers"))?);
    let contests = planned(config, &slots, &mut dice);
    let clicks = contests.clicks.clone();
    let sites = config.sites.sites.iter().cloned().enumerate();
    let clients: Vec<Client> = sites
        .zip(&scientists)
        .map(|(site, scientist)| Client::new(Arc::clone(&run), site, *scientist, dice.split()))
        .collect::<anyhow::Result<_>>()?;
    let answers = held(clients, contests, progress).await?;
    let seen = Seen::nothing_yet(target.telescope, run.name.clone(), slots.first());
    let is_emulated = |(site, _): &(&Site, &i64)| site.from.is_none();
    let emulated = config.sites.sites.iter().zip(&scientists).filter(is_emulated).map(|(_, id)| *id).collect();
    let read = Read { base: &config.url, scientists, emulated };
    seen.counted(&mut browser, &read, &clicks, &answers).await
}

/// The contests on a thread of their own: their clients sleep, which a task may not.
async fn held(clients: Vec<Client>, contests: Contests, progress: &Progress) -> anyhow::Result<Vec<Vec<Answer>>> {
    let (tell, told) = oneshot::channel();
    let progress = progress.clone();
    std::thread::spawn(move || {
        // Nobody listens any more after an interruption.
        let _ = tell.send(conduct(clients, contests, &progress));
    });
    told.await.map_err(|_| anyhow!("{}", t!("a worker failed")))?
}

/// One scientist for each site: those of one scientist take part in a draw only once.
async fn scientists_of(browser: &mut Browser, mut url: Url, wanted: usize) -> anyhow::Result<Vec<i64>> {
    let mut ids = Vec::new();
    loop {
        let page: Scientists = browser.get(&url).await?;
        ids.extend(page.cientistas.iter().filter(|scientist| scientist.ativo).map(|scientist| scientist.id));
        match page.links.get("proxima").filter(|_| ids.len() < wanted) {
            Some(next) => url = url.join(&next.href)?,
            None => break,
        }
    }
    if ids.len() < wanted {
        bail!(
            "{}",
            t!("%{n} sites need as many scientists, and the scheduler has %{known}", n = wanted, known = ids.len())
        );
    }
    ids.truncate(wanted);
    Ok(ids)
}

fn planned(config: &Config, slots: &Slots, dice: &mut Dice) -> Contests {
    let Sites { clicks_within_ms, sites } = &config.sites;
    let contests = 0..config.contests as usize;
    let slot = |nth: usize| wire_instant(slots.of_request(nth));
    let clicks = |_| sites.iter().map(|_| dice.below_ms(*clicks_within_ms)).collect();
    Contests { slots: contests.clone().map(slot).collect(), clicks: contests.map(clicks).collect() }
}

/// What is needed to read the records of contests.
struct Read<'a> {
    /// The scheduler's entry point.
    base: &'a Url,
    /// For whom each site books.
    scientists: Vec<i64>,
    /// Those of the sites whose distances are emulated.
    emulated: Vec<i64>,
}

impl Seen {
    fn nothing_yet(telescope: String, run: String, slot: Timestamp) -> Self {
        Self {
            telescope,
            run,
            slot,
            figures: Figures::default(),
            statuses: BTreeMap::new(),
            failure: None,
            window_ms: 0,
            without_record: 0,
            seen_through: None,
        }
    }

    /// With all contests counted: when each site clicked in each, and the answers to each site.
    async fn counted(
        mut self,
        browser: &mut Browser,
        of: &Read<'_>,
        clicks: &[Vec<Duration>],
        answers: &[Vec<Answer>],
    ) -> anyhow::Result<Self> {
        let mut contests = Vec::with_capacity(clicks.len());
        for (nth, clicks) in clicks.iter().enumerate() {
            let of_contest: Vec<&Answer> = answers.iter().filter_map(|of_site| of_site.get(nth)).collect();
            let clicks = clicks.iter().map(|click| i64::try_from(micros(*click)).unwrap_or(i64::MAX)).collect();
            let mut contest = Contest { clicks, ..Contest::default() };
            self.read(browser, of, &of_contest, &mut contest).await?;
            contests.push(contest);
        }
        if self.without_record == clicks.len() && !of.emulated.is_empty() {
            self.seen_through = Some(SeenThrough::NoContest);
        }
        self.figures = Figures::of(answers.len(), &contests);
        Ok(self)
    }

    /// Counts the answers of a contest, and reads its record.
    async fn read(
        &mut self,
        browser: &mut Browser,
        of: &Read<'_>,
        answers: &[&Answer],
        contest: &mut Contest,
    ) -> anyhow::Result<()> {
        for answer in answers {
            let status = answer.status.map_or(0, |status| status.as_u16());
            *self.statuses.entry(status).or_default() += 1;
            if ![CREATED, CONFLICT].contains(&status) {
                self.failure = self.failure.take().or_else(|| answer.said.clone());
            }
        }
        let won = |answer: &Answer| answer.status == Some(StatusCode::CREATED);
        contest.winners = (0..).zip(answers).filter(|(_, answer)| won(answer)).map(|(nth, _)| nth).collect();
        match answers.iter().find(|answer| won(answer)).and_then(|answer| answer.contest.as_deref()) {
            Some(href) => {
                let record: Record = browser.get(&of.base.join(href)?).await?;
                record.add_to(contest, &of.scientists);
                self.window_ms = self.window_ms.max(record.window_ms);
                self.seen_through = self.seen_through.or_else(|| record.seen_through(&of.emulated));
            }
            None => self.without_record += 1,
        }
        Ok(())
    }
}
