//! One cell: requests in the order in which they arrive, so many at once, and what becomes of those that are too many.

use std::collections::VecDeque;

/// What waits longer than this before it is even accepted is lost: the kernel drops it, and its client tries again.
const LOST_AFTER_US: u64 = 1_000_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered at this instant.
    Answered(u64),
    /// All connections are taken: it was told so (503 `conexoes_demais`).
    TurnedAway(u64),
    /// Nobody answered.
    Lost,
}

/// One cell. All instants are microseconds since the opening.
#[derive(Debug)]
pub struct Cell {
    connections: usize,
    turning_away_us: u64,
    /// When all is answered that was accepted so far.
    free_at: u64,
    /// The ends of the requests that are in hand.
    ends: VecDeque<u64>,
    /// Requests that it answered.
    pub answered: u64,
    /// Requests that it turned away or lost.
    pub failed: u64,
}

impl Cell {
    pub fn new(connections: usize, turning_away_us: u64) -> Self {
        let ends = VecDeque::new();
        Self { connections, turning_away_us, free_at: 0, ends, answered: 0, failed: 0 }
    }

    /// How long a request that arrives now would wait for its turn.
    pub fn backlog_us(&self, now: u64) -> u64 {
        self.free_at.saturating_sub(now)
    }

    /// A request arrives that takes `cost_us`.
    pub fn ask(&mut self, now: u64, cost_us: u64) -> Fate {
        while self.ends.front().is_some_and(|end| *end <= now) {
            self.ends.pop_front();
        }
        if self.backlog_us(now) > LOST_AFTER_US {
            self.failed += 1;
            return Fate::Lost;
        }
        if self.ends.len() >= self.connections {
            self.failed += 1;
            return Fate::TurnedAway(self.work(now, self.turning_away_us));
        }
        self.answered += 1;
        let end = self.work(now, cost_us);
        self.ends.push_back(end);
        Fate::Answered(end)
    }

    fn work(&mut self, now: u64, cost_us: u64) -> u64 {
        self.free_at = self.free_at.max(now) + cost_us;
        self.free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_one_after_the_other_and_those_that_are_too_many_are_told() {
        let mut cell = Cell::new(2, 1);
        assert_eq!(cell.ask(0, 10), Fate::Answered(10));
        assert_eq!(cell.ask(5, 10), Fate::Answered(20));
        assert_eq!(cell.ask(5, 10), Fate::TurnedAway(21));
        // At 10 the first connection is free again.
        assert_eq!(cell.ask(10, 10), Fate::Answered(31));
        assert_eq!((cell.answered, cell.failed), (3, 1));
        assert_eq!(cell.ask(40, LOST_AFTER_US + 10), Fate::Answered(LOST_AFTER_US + 50));
        assert_eq!(cell.ask(41, 10), Fate::Lost);
    }
}
