//! A booking and the contest for its slots: what its request brings, what it has won, and its receipt.

use std::time::Duration;

use super::app::App;
use super::origin::Origin;
use super::refusal::Refusal;
use crate::agenda::NewBooking;
use crate::agenda::contest::{Decided, Entrant, Entry};
use crate::agenda::policy::Policy;
use crate::agenda::receipt::Brought;
use crate::coordinator::client::Won;
use crate::coordinator::protocol::{STAMP_US_MAX, WINDOW_MS_MAX};
use crate::coordinator::table::{Contest, Tie};
use crate::time::{Timestamp, millis};

/// How long a contest waits that begins `now`, where one for slots that are open waits for `base`: for as long after they open.
fn window_of(base: Duration, opens_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let until_us = opens_at.map_or(0, |at| at.as_micros() - now.as_micros());
    let until = Duration::from_millis(u64::try_from(until_us).unwrap_or(0).div_ceil(1000));
    (base + until).min(Duration::from_millis(WINDOW_MS_MAX)).max(base)
}

/// What a request brings to a contest.
pub struct Entered {
    /// What its receipt says.
    brought: Brought,
    /// What the coordinator is told.
    pub contest: Contest,
}

impl Entered {
    /// What a booking brings to a contest for its slots. A request without a time token has its arrival for a stamp, and enters a contest only where
    /// others may have clicked earlier.
    pub fn of(app: &App, new: &NewBooking, origin: &Origin) -> Option<Self> {
        let policy = new.telescope.rules.policy;
        if policy == Policy::Arrival {
            return None;
        }
        let now = app.clock.now();
        let window = window_of(app.windows.window(now), new.opens_at, now);
        let arrival = origin.received.max(new.opens_at.unwrap_or(origin.received));
        let stamp = new.stamp.map(|stamp| stamp.at).or_else(|| (!window.is_zero()).then_some(arrival))?;
        let (request, arrived) = (&origin.cause.request_id, origin.received);
        let entrant = Entrant::new(request, new.scientist.id, arrived, new.clicked_at, new.stamp.as_ref());
        let entrant = entrant.opening(new.opens_at);
        let (seed, group) = (app.seeds.seed().map(Into::into), Some(new.scientist.id.to_string().into()));
        let tie = Tie { within_us: policy.tie_us(), seed, group };
        let stamp_us = stamp.as_micros().min(STAMP_US_MAX);
        let contest = Contest { stamp_us, window, entry: Some(entrant.written().into()), tie };
        let stamp = Timestamp::from_micros(stamp_us).unwrap_or(stamp);
        let (window_ms, token_hash) = (millis(window), origin.time_token.clone());
        let brought = Brought { place: new.place(), policy, window_ms, stamp, entrant, token_hash };
        Some(Self { brought, contest })
    }

    /// The contest in which a lease was won, if there was a rival.
    pub fn won(&self, app: &App, Won { contenders, draw }: Won) -> Option<Decided> {
        if contenders.len() < 2 {
            return None;
        }
        let entries = contenders.iter().map(|contender| Entry {
            stamp: Timestamp::from_micros(contender.carimbo_us).unwrap_or(Timestamp::MIN),
            words: contender.entrada.as_deref().unwrap_or_default().to_owned(),
            is_drawn: contender.sorteada,
        });
        if let Some(draw) = &draw {
            // It is shown with the booking's record.
            app.seeds.shown(&draw.semente);
        }
        let draw = draw.map(|draw| (draw.recurso.to_string(), draw.semente.to_string()));
        let Brought { policy, window_ms, .. } = self.brought;
        Some(Decided { policy, window_ms, entries: entries.collect(), draw, receipt: self.receipt(app) })
    }

    /// A refusal as who has lost reads it: with a receipt, if it was refused for another request.
    pub fn lost(&self, app: &App, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::Busy { telescope, start, .. } => Refusal::Busy { telescope, start, receipt: self.receipt(app) },
            other => other,
        }
    }

    fn receipt(&self, app: &App) -> Option<String> {
        app.vouching.receipt(&self.brought, app.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contest_lasts_until_its_slots_are_open_and_a_window_more() {
        let now = Timestamp::parse_rfc3339("2030-01-01T00:00:00Z").unwrap();
        let after = |us: i64| Timestamp::from_micros(now.as_micros() + us);
        let ms = |base, opens_at| window_of(Duration::from_millis(base), opens_at, now).as_millis();
        assert_eq!([ms(0, None), ms(53, None), ms(53, Some(now)), ms(53, after(-5_000_000))], [0, 53, 53, 53]);
        assert_eq!([ms(53, after(1)), ms(53, after(53_000)), ms(0, after(53_000))], [54, 106, 53]);
        // The coordinator takes no longer window.
        assert_eq!([ms(153, after(153_000)), ms(153, after(147_000))], [300, 300]);
    }
}
