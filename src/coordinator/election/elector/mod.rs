//! Who is elected: a pure state machine that says what to ask of etcd next, and what an answer means.
//!
//! A key of etcd names the elected coordinator. It belongs to a lease of [`LEASE`], so it vanishes when its owner dies. Its
//! `create_revision` is the term: it grows with each election, and as long as it stays the same, nobody else was elected.
//!
//! # What is promised
//! At one instant at most one coordinator may give locks ([`Election::gives_until`]), however late requests and answers are and however
//! long a process is paused. For this the elected one counts its time from before a keep-alive was sent, and ends [`MARGIN`] before its
//! lease can have run out. It counts a keep-alive only when it has read afterwards that the key is still its own. The margin covers what
//! etcd does not promise: a member that was its leader, and is cut off, goes on answering keep-alives for up to an election timeout
//! (one second) that the new leader does not know of.
//!
//! Instants are durations since one fixed start, on a clock that goes on while the machine sleeps.

use std::time::Duration;

/// The life of the lease in etcd.
pub const LEASE: Duration = Duration::from_secs(3);
/// How long before the end of that life the last lock is given.
pub const MARGIN: Duration = Duration::from_secs(1);
/// How often the elected one keeps its lease alive.
const KEEP_EVERY: Duration = Duration::from_millis(400);
/// How often the others look whether the key is vacant.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The pause after a question without an answer.
const RETRY: Duration = Duration::from_millis(100);

/// A lease of etcd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EtcdLease(pub i64);

/// The key, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The term.
    pub term: u64,
    /// The lease that the key belongs to.
    pub lease: EtcdLease,
    /// By which address the elected coordinator is reached, if it says so.
    pub address: Option<String>,
}

/// What to ask of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Who has the key.
    Look,
    /// A lease of [`LEASE`].
    TakeLease,
    /// The key for this lease, if it is vacant; then who has it.
    Campaign(EtcdLease),
    /// A longer life for the lease.
    KeepAlive(EtcdLease),
    /// The end of the lease, and of a key that belongs to it.
    GiveUp(EtcdLease),
}

/// An answer of etcd's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Look`] and [`Ask::Campaign`]: who has the key now.
    Seat(Option<Seat>),
    /// To [`Ask::TakeLease`]: the lease and its life.
    Leased(EtcdLease, Duration),
    /// To [`Ask::KeepAlive`]: the lease's life from now on; `None` if it is over.
    Kept(Option<Duration>),
    /// To [`Ask::GiveUp`].
    GivenUp,
}

/// What an answer has changed for this coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is elected.
    Elected {
        /// Its term.
        term: u64,
    },
    /// It is not elected any more.
    Deposed,
}

/// One coordinator's part in the election.
#[derive(Debug)]
pub struct Election {
    state: State,
    /// When the next question is due.
    due: Duration,
    /// Who had the key when it was read last, and when that question was sent.
    seen: Option<(Option<Seat>, Duration)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Not elected: it looks whether the key is vacant.
    Outside,
    /// The key was vacant: it asks for a lease.
    Vacant,
    /// It has a lease, and asks for the key.
    Leased { lease: EtcdLease, lives_until: Duration },
    /// The key is its own, or was when it was read last.
    Elected { term: u64, lease: EtcdLease, lives_until: Duration, kept: Option<Kept> },
    /// Another was faster: the lease is given up.
    Beaten { lease: EtcdLease },
}

/// A keep-alive that is not confirmed yet.
#[derive(Clone, Copy, Debug)]
struct Kept {
    sent_at: Duration,
    /// Until when the lease lives by it.
    lives_until: Duration,
}

impl Election {
    /// A coordinator that knows nothing yet.
    pub fn new(now: Duration) -> Self {
        Self { state: State::Outside, due: now, seen: None }
    }

    /// What to ask next.
    pub fn ask(&self) -> Ask {
        match self.state {
            State::Outside | State::Elected { kept: Some(_), .. } => Ask::Look,
            State::Vacant => Ask::TakeLease,
            State::Leased { lease, .. } => Ask::Campaign(lease),
            State::Elected { lease, kept: None, .. } => Ask::KeepAlive(lease),
            State::Beaten { lease } => Ask::GiveUp(lease),
        }
    }

    /// When to ask it.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Until when it may give locks, if it is elected.
    pub fn gives_until(&self) -> Option<Duration> {
        match self.state {
            State::Elected { lives_until, .. } => Some(lives_until.saturating_sub(MARGIN)),
            _ => None,
        }
    }

    /// Who is elected, as far as is known: what was read longer ago than a lease lives says nothing any more.
    pub fn elected(&self, now: Duration) -> Option<&Seat> {
        let (seat, at) = self.seen.as_ref()?;
        seat.as_ref().filter(|_| now.saturating_sub(*at) < LEASE)
    }

    /// Takes the answer to the question that was sent at `sent_at`, at the earliest; `None` where none came: it is not known then
    /// whether etcd did what it was asked.
    pub fn answered(&mut self, sent_at: Duration, now: Duration, answer: Option<Answer>) -> Option<Change> {
        if let Some(Answer::Seat(seat)) = &answer {
            self.seen = Some((seat.clone(), sent_at));
        }
        let before = self.gives_until().is_some();
        (self.state, self.due) = match (self.state, answer) {
            (State::Outside, Some(Answer::Seat(None))) => (State::Vacant, now),
            (State::Outside, Some(_)) => (State::Outside, now + LOOK_EVERY),
            (State::Vacant, Some(Answer::Leased(lease, life))) => {
                (State::Leased { lease, lives_until: sent_at + life.min(LEASE) }, now)
            }
            (State::Leased { lease, lives_until }, answer) => Self::campaigned(lease, lives_until, now, answer),
            (State::Elected { term, lease, lives_until, kept }, answer) => {
                Self::kept((term, lease, lives_until, kept), (sent_at, now), answer)
            }
            (State::Beaten { .. }, _) => (State::Outside, now),
            (State::Outside | State::Vacant, _) => (State::Outside, now + RETRY),
        };
        match (before, self.state) {
            (false, State::Elected { term, .. }) => Some(Change::Elected { term }),
            (true, State::Elected { .. }) | (false, _) => None,
            (true, _) => Some(Change::Deposed),
        }
    }

    /// It asked for the key. A question without an answer may have got it: asked again, etcd says that the key belongs to this lease.
    fn campaigned(lease: EtcdLease, lives_until: Duration, now: Duration, answer: Option<Answer>) -> (State, Duration) {
        match answer {
            Some(Answer::Seat(Some(seat))) if seat.lease == lease => {
                (State::Elected { term: seat.term, lease, lives_until, kept: None }, now)
            }
            Some(Answer::Seat(Some(_))) => (State::Beaten { lease }, now),
            None if now < lives_until => (State::Leased { lease, lives_until }, now + RETRY),
            // The lease is over, or nearly.
            _ => (State::Outside, now + RETRY),
        }
    }

    /// The elected one asked for a longer life, or whether the key is still its own.
    fn kept(
        (term, lease, lives_until, kept): (u64, EtcdLease, Duration, Option<Kept>),
        (sent_at, now): (Duration, Duration),
        answer: Option<Answer>,
    ) -> (State, Duration) {
        let stays = |lives_until, kept| State::Elected { term, lease, lives_until, kept };
        match (answer, kept) {
            (Some(Answer::Kept(Some(life))), None) => {
                (stays(lives_until, Some(Kept { sent_at, lives_until: sent_at + life.min(LEASE) })), now)
            }
            (Some(Answer::Seat(Some(seat))), Some(kept)) if seat.term == term && seat.lease == lease => {
                (stays(lives_until.max(kept.lives_until), None), (kept.sent_at + KEEP_EVERY).max(now))
            }
            // It is elected still, for all that is known: only etcd can say that it is not. Until then it gives nothing once its time is
            // over.
            (None, _) => (stays(lives_until, None), now + RETRY),
            // The lease is over, or the key is another's, or nobody's.
            _ => (State::Outside, now),
        }
    }

    /// It takes no part any more. The lease that it has to give up, if it has one.
    pub fn resign(self) -> Option<EtcdLease> {
        match self.state {
            State::Leased { lease, .. } | State::Elected { lease, .. } | State::Beaten { lease } => Some(lease),
            State::Outside | State::Vacant => None,
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
