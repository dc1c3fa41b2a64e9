//! Who was turned away, and why: one counter with a label for the reason.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::http::kind::{self, Kind};

/// Why a client was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Reason {
    /// Its connection had no request in progress, and its place was needed.
    Idle,
    /// All places were taken, and none could be freed.
    NoPlace,
    /// Its request's head did not arrive in time.
    SlowHead,
    /// Its request's body did not arrive in time.
    SlowBody,
    /// Its request's body was larger than the endpoint takes.
    LargeBody,
    /// Too many bytes of bodies were being received, from its address or from all.
    BodiesFull,
    /// It read its answer too slowly.
    SlowReader,
    /// Too many bytes of answers waited for their readers, at its address or at all.
    AnswersFull,
    /// Too many clients were waiting or listening.
    TooManyGuests,
    /// It made more requests than its rate allows.
    TooFast,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Idle,
        Self::NoPlace,
        Self::SlowHead,
        Self::SlowBody,
        Self::LargeBody,
        Self::BodiesFull,
        Self::SlowReader,
        Self::AnswersFull,
        Self::TooManyGuests,
        Self::TooFast,
    ];

    /// The reason that a kind of problem tells a client; `None` if the problem turns nobody away.
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            kind::NO_PLACE => Some(Self::NoPlace),
            kind::SLOW_HEAD => Some(Self::SlowHead),
            kind::SLOW_BODY => Some(Self::SlowBody),
            kind::LARGE_BODY => Some(Self::LargeBody),
            kind::BODIES_FULL | kind::OWN_BODIES_FULL => Some(Self::BodiesFull),
            kind::ANSWERS_FULL | kind::OWN_ANSWERS_FULL => Some(Self::AnswersFull),
            kind::TOO_MANY_GUESTS | kind::OWN_GUESTS_FULL => Some(Self::TooManyGuests),
            kind::TOO_FAST => Some(Self::TooFast),
            _ => None,
        }
    }
}

/// The label of the counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    reason: Reason,
}

/// How many were turned away, by reason.
#[derive(Clone, Debug, Default)]
pub struct Turned(Family<ReasonLabel, Counter>);

impl Turned {
    /// All at zero: a series that begins with its first event has no increase that an alert could see.
    pub fn new() -> Self {
        let turned = Self::default();
        for reason in Reason::ALL {
            let _ = turned.0.get_or_create(&ReasonLabel { reason });
        }
        turned
    }

    /// Counts one.
    pub fn count(&self, reason: Reason) {
        self.0.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// The counters, for a registry.
    pub fn family(&self) -> Family<ReasonLabel, Counter> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_document_has_a_row_for_each_reason() {
        let document = include_str!("../../../docs/OPERACAO.md");
        let (_, table) = document.split_once("\n| quem foi dispensado").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let described: Vec<_> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
        assert_eq!(described, Reason::ALL.map(|reason| format!("{reason:?}")));
    }
}
