//! A booking and the contest for its slots: what its request brings, what it has won, and its receipt.

use super::app::App;
use super::origin::Origin;
use super::refusal::Refusal;
use crate::agenda::NewBooking;
use crate::agenda::contest::{Decided, Entrant, Entry};
use crate::agenda::policy::Policy;
use crate::agenda::receipt::Brought;
use crate::coordinator::client::Won;
use crate::coordinator::protocol::STAMP_US_MAX;
use crate::coordinator::table::{Contest, Tie};
use crate::time::{Timestamp, millis};

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
        let window = app.windows.window(app.clock.now());
        let stamp = new.stamp.map(|stamp| stamp.at).or_else(|| (!window.is_zero()).then_some(origin.received))?;
        let (request, arrived) = (&origin.cause.request_id, origin.received);
        let entrant = Entrant::new(request, new.scientist.id, arrived, new.clicked_at, new.stamp.as_ref());
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
