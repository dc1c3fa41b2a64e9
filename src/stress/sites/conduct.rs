//! The contests of a run, one after the other: all clients compare clocks, wait for one another, and then each clicks at its instant.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use indicatif::ProgressBar;
use rust_i18n::t;

use super::client::{Answer, Client};
use super::meeting::Meeting;
use super::shared::Tokens;
use crate::stress::progress::Progress;

/// From the instant at which all are ready to the first click that is possible: each thread has to wake up and to prepare its request.
const LEAD: Duration = Duration::from_millis(30);

/// The contests that are to be held.
pub struct Contests {
    /// The slot of each.
    pub slots: Vec<String>,
    /// When each site clicks in each, from its beginning.
    pub clicks: Vec<Vec<Duration>>,
}

/// What the threads share.
struct Stage {
    contests: Contests,
    tokens: Tokens,
    /// A client that cannot go on, or whose thread has fallen, ends it for all.
    meeting: Meeting,
    begins: Mutex<Instant>,
    progress: Progress,
    bar: ProgressBar,
}

/// Holds the contests. Gives the answers to each site in each contest.
///
/// # Errors
/// When a client cannot compare clocks, or its thread panics. The others then go on to no further contest.
pub fn conduct(clients: Vec<Client>, contests: Contests, progress: &Progress) -> anyhow::Result<Vec<Vec<Answer>>> {
    let count = u32::try_from(contests.slots.len()).unwrap_or(u32::MAX);
    let stage = Arc::new(Stage {
        contests,
        tokens: Tokens::of(clients.len()),
        meeting: Meeting::of(clients.len()),
        begins: Mutex::new(Instant::now()),
        progress: progress.clone(),
        bar: progress.bar(t!("contests"), count),
    });
    progress.release();
    let begun = clients.into_iter().enumerate().map(|(nth, client)| {
        let stage = Arc::clone(&stage);
        thread::spawn(move || stage.play(nth, client))
    });
    // All are begun before one is waited for.
    let begun: Vec<_> = begun.collect();
    let ended: Vec<anyhow::Result<Vec<Answer>>> = begun
        .into_iter()
        .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("{}", t!("a worker failed")))))
        .collect();
    stage.bar.finish_and_clear();
    ended.into_iter().collect()
}

impl Stage {
    /// The part of one client. It ends early when another client has.
    fn play(&self, nth: usize, mut client: Client) -> anyhow::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(self.contests.slots.len());
        let seat = self.meeting.join();
        for (contest, (slot, clicks)) in self.contests.slots.iter().zip(&self.contests.clicks).enumerate() {
            client.synchronise(&self.tokens)?;
            let Ok(came_last) = seat.wait() else { break };
            if came_last {
                *self.begins.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + LEAD;
            }
            let Ok(_) = seat.wait() else { break };
            let begins = *self.begins.lock().unwrap_or_else(PoisonError::into_inner);
            let click = begins + clicks.get(nth).copied().unwrap_or_default();
            let answer = client.click(click, (contest, slot), &self.tokens);
            if answer.status.is_some() {
                self.progress.answer();
            }
            answers.push(answer);
            if nth == 0 {
                self.bar.inc(1);
            }
        }
        Ok(answers)
    }
}
