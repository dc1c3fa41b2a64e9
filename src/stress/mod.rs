//! Sends many booking requests at one instant, and judges the results.
//!
//! The parts, in the order of a run: [`target`] finds the slots and the booking's URL by following links, [`workers`]
//! opens every connection and then releases all requests at once, [`stats`] sums up and judges, [`report`] shows it, with a [`histogram`].
//! [`sites`] is another kind of run: contests of clients at different distances.
//! [`wire`] reads the scheduler's documents, and [`progress`] shows a person how far the run has come.

mod config;
mod histogram;
mod opening;
pub mod outcome;
pub mod progress;
pub mod report;
pub mod sites;
pub mod stats;
pub(crate) mod target;
pub(crate) mod wire;
pub(crate) mod workers;

use anyhow::Context;
use rust_i18n::t;

pub use config::Config;
use progress::Progress;
use stats::{Fate, Summary, Verdict};
use target::{Listed, Target};
use wire::Browser;

use crate::time::Timestamp;

/// The results of a run.
#[derive(Debug)]
pub struct Seen {
    /// The telescope that was booked.
    pub telescope: String,
    /// The identifier of the run: that of request N is `RUN-N`.
    pub run: String,
    /// The first slot.
    pub slot: Timestamp,
    /// Whether the scheduler says that it takes no locks.
    pub without_locks: bool,
    /// One per request, by number.
    pub fates: Vec<Fate>,
    /// The same, summed up.
    pub summary: Summary,
    /// The bookings that the server lists afterwards for the slots, without the cancelled ones.
    pub listed: Vec<Listed>,
    /// Whether the results are the expected ones.
    pub verdict: Verdict,
}

/// Finds the target, sends the requests, reads the bookings that the server lists afterwards, and judges.
///
/// # Errors
/// When it could not run, or when a slot was booked before: nothing is sent then, because the results could not be judged. A request
/// that fails is not an error of the run: it is one of its results.
pub async fn run(config: &Config, progress: &Progress) -> anyhow::Result<Seen> {
    let mut browser = Browser::new(&config.security);
    let target = Target::find(&mut browser, &config.url, config.telescope.as_deref()).await?;
    let slot_count = if config.distinct { config.n } else { 1 };
    let slots = target::choose_slots(&mut browser, &target, config.slot, slot_count).await?;
    let run = format!("{:06x}", getrandom::u32().context(t!("the system gives no random numbers"))? >> 8);
    let plan = workers::Plan::new(config, &target, &slots, &run)?;
    let fates = workers::run(plan, progress).await?;
    let summary = Summary::of(&fates);
    let listed = target.listed(&mut browser, &slots).await.with_context(|| {
        t!(
            "the list of bookings cannot be read now, so the result is not judged: of %{n} requests, %{won} made a booking and %{errors} got no answer",
            n = summary.total,
            won = summary.won,
            errors = summary.errors
        )
    })?;
    let verdict = stats::judge(config.expectation, &summary, listed.iter().map(|booking| booking.id));
    Ok(Seen {
        telescope: target.telescope,
        run,
        slot: slots.first(),
        without_locks: target.without_locks,
        fates,
        summary,
        listed,
        verdict,
    })
}
