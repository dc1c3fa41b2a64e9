//! Waiting in the coordinator's queue, for as long as is wanted, over as many requests as needed.
//!
//! One request may wait for a minute. Before its time is over the same request is sent again, over a connection of its own. It takes
//! the same place in the queue with the later end, so the order of arrival is kept. The request before it stays open until the one
//! after it is sent: a place whose last connection closes is given up.

use std::pin::Pin;
use std::time::{Duration, Instant};

use super::gate::{Asked, Gate};
use crate::commands::locks::client::ClientError;

/// How long one request waits.
pub const ONE_WAIT: Duration = Duration::from_secs(40);

type Asking<'a> = Pin<Box<dyn Future<Output = Result<Asked, ClientError>> + Send + 'a>>;

/// Waits for the lock until `until`, each request for `one_wait`.
///
/// # Errors
/// When no coordinator answers, or it refuses the request itself.
pub async fn wait(gate: &Gate, until: Option<Instant>, one_wait: Duration) -> Result<Asked, ClientError> {
    let left = || until.map_or(one_wait, |until| until.saturating_duration_since(Instant::now()).min(one_wait));
    let ask = |since| -> Asking<'_> { Box::pin(gate.lock(left(), since)) };
    // When the first request for this place in the queue was sent: the coordinator counts the wait from its arrival. After a lost
    // connection it may count from an earlier one. Then the lease's end is believed to be later than it is, by no more than the time
    // that the answer was under way.
    let mut since = Instant::now();
    let (mut newer, mut older) = (ask(since), None::<Asking<'_>>);
    let mut sent_at = since;
    loop {
        let repeat_at = sent_at + one_wait / 2;
        let is_last = until.is_some_and(|until| until <= sent_at + one_wait);
        tokio::select! {
            biased;
            answered = &mut newer => match (answered, older.take()) {
                // The older one still has the place.
                (Err(error), Some(other)) if error.is_unreachable() => newer = other,
                (Ok(Asked::Busy(_)), _) if !left().is_zero() => {
                    // The place is lost, as after a pause of this process.
                    since = Instant::now();
                    sent_at = since;
                    newer = ask(since);
                }
                (answered, _) => return answered,
            },
            answered = async { older.as_mut().expect("only with an older one").await }, if older.is_some() => {
                older = None;
                if let Ok(Asked::Granted(lease)) = answered {
                    return Ok(Asked::Granted(lease));
                }
            }
            () = tokio::time::sleep_until(repeat_at.into()), if !is_last => {
                older = Some(std::mem::replace(&mut newer, ask(since)));
                sent_at = Instant::now();
            }
        }
    }
}
