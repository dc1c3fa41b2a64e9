//! A contest for a slot, as the booking that has won it knows it: who asked for the slot in its window, and what was known of each click.
//!
//! The coordinator decides contests and knows nothing of scientists. So each request brings it a few words of its own, an [`Entrant`] as text, and
//! the winner gets back those of all. The requests may have come through other schedulers, of another version perhaps: what cannot be read is
//! kept as it is.

use super::policy::Policy;
use super::stamp::{Reason, Seen, Stamp};
use crate::time::Timestamp;

/// What stands for what is not there.
const NONE: &str = "-";

/// A request that was in a contest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// Its identifier.
    pub request: String,
    /// Who would have observed.
    pub scientist_id: i64,
    /// When it arrived.
    pub arrived: Timestamp,
    /// When its user clicked, as its client says.
    pub claim: Option<Timestamp>,
    /// When its time token was made, if it has one that counts.
    pub token_at: Option<Timestamp>,
    /// The round trip that counts, in microseconds, and where it was seen.
    pub round_trip: Option<(u32, String)>,
    /// Why its stamp is what it is.
    pub reason: String,
    /// When its slot opens, if that is known and not long over.
    pub opens_at: Option<Timestamp>,
}

/// A contest that a booking has won.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// How it was decided.
    pub policy: Policy,
    /// How long the winner would have waited for others, in milliseconds.
    pub window_ms: u64,
    /// The winner, and then the others by their stamps.
    pub entries: Vec<Entry>,
    /// If there was a tie, what was drawn with: the resource and the seed.
    pub draw: Option<(String, String)>,
    /// What was received of the winner's request, signed.
    pub receipt: Option<String>,
}

/// A request as the contest knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its stamp.
    pub stamp: Timestamp,
    /// What its scheduler said of it.
    pub words: String,
    /// Whether it took part in the draw.
    pub is_drawn: bool,
}

impl Entrant {
    /// The request of that identifier; `stamp` is how its stamp was found, if it has a time token.
    pub fn new(
        request: &str,
        scientist_id: i64,
        arrived: Timestamp,
        claim: Option<Timestamp>,
        stamp: Option<&Stamp>,
    ) -> Self {
        let round_trip = stamp.and_then(|stamp| stamp.round_trip).map(|(us, seen)| (us, Seen::name(seen).to_owned()));
        let token_at = stamp.and_then(|stamp| stamp.token.ok());
        let reason = stamp.map_or(Reason::NoToken, |stamp| stamp.reason).name().to_owned();
        Self { request: request.to_owned(), scientist_id, arrived, claim, token_at, round_trip, reason, opens_at: None }
    }

    /// The same for a slot that opens at this instant.
    #[must_use]
    pub fn opening(self, opens_at: Option<Timestamp>) -> Self {
        let is_early = self.token_at.is_none() && opens_at.is_some_and(|at| self.arrived < at);
        let reason = if is_early { Reason::BeforeOpening.name().to_owned() } else { self.reason };
        Self { reason, opens_at, ..self }
    }

    /// It as a few words: none of its texts has a space in it.
    pub fn written(&self) -> String {
        let Self { request, scientist_id, arrived, claim, token_at, round_trip, reason, opens_at } = self;
        let instant = |at: &Option<Timestamp>| at.map_or(NONE.to_owned(), |at| at.as_micros().to_string());
        let (claim, token_at) = (instant(claim), instant(token_at));
        let (us, seen) = round_trip.as_ref().map_or((NONE.to_owned(), NONE), |(us, seen)| (us.to_string(), seen));
        let opens_at = opens_at.map_or(String::new(), |at| format!(" {}", at.as_micros()));
        format!("{request} {scientist_id} {} {claim} {token_at} {us} {seen} {reason}{opens_at}", arrived.as_micros())
    }

    /// Reads what [`Self::written`] gives.
    pub fn read(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        let mut next = || words.next().filter(|word| !word.is_empty());
        let instant = |text: &str| Timestamp::from_micros(text.parse().ok()?);
        let perhaps = |text: &str| if text == NONE { Some(None) } else { instant(text).map(Some) };
        let (request, scientist_id) = (next()?.to_owned(), next()?.parse().ok()?);
        let (arrived, claim, token_at) = (instant(next()?)?, perhaps(next()?)?, perhaps(next()?)?);
        let (us, seen) = (next()?, next()?);
        let round_trip = if us == NONE { None } else { Some((us.parse().ok()?, seen.to_owned())) };
        let reason = next()?.to_owned();
        let opens_at = match next() {
            None => None,
            Some(word) => Some(instant(word)?),
        };
        let entrant = Self { request, scientist_id, arrived, claim, token_at, round_trip, reason, opens_at };
        next().is_none().then_some(entrant)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            request in "[A-Za-z0-9._-]{1,64}",
            scientist_id in 1..i64::MAX,
            arrived in 0..Timestamp::MAX.as_micros(),
            claim in prop::option::of(0..Timestamp::MAX.as_micros()),
            token_at in prop::option::of(0..Timestamp::MAX.as_micros()),
            round_trip in prop::option::of((any::<u32>(), "token|conexao|conta")),
            reason in "como_alegado|alem_do_credito|sem_token|por_intermediario|antes_da_abertura",
            opens_at in prop::option::of(0..Timestamp::MAX.as_micros()),
        ) {
            let (arrived, claim, token_at, opens_at) = (at(arrived), claim.map(at), token_at.map(at), opens_at.map(at));
            let entrant = Entrant { request, scientist_id, arrived, claim, token_at, round_trip, reason, opens_at };
            let written = entrant.written();
            // The coordinator takes names of 200 bytes.
            prop_assert!(written.len() <= 200, "{}", written.len());
            prop_assert_eq!(Entrant::read(&written), Some(entrant));
            let more = format!("{written} x y");
            prop_assert_eq!(Entrant::read(&more), None);
        }

        #[test]
        fn no_words_panic(words in "\\PC{0,60}") {
            let _ = Entrant::read(&words);
        }
    }
}
