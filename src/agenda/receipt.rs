//! A receipt: what a scheduler has received of a request that was to take part in a contest, and when, signed. Pure.
//!
//! Every participant gets one, who loses too. It says what the contest's entry in the trail has to say, word for word. So a participant can
//! show that the service decided with what it had received, or that it did not. It says nothing of the result: that is decided later, and the
//! trail has it. A contest has no number before its winner is written, so a receipt names its request and the slots: the trail has both.
//!
//! # Keys
//! The keys are those of time tokens: every scheduler of an agenda has them, and their private halves are erased after a day. So nobody can make a
//! receipt of an older contest, not even who gets hold of the database. The kind of a signed text is signed too: a time token is no receipt.

use serde::{Deserialize, Serialize};

use super::booking::Place;
use super::contest::Entrant;
use super::policy::Policy;
use crate::clock::jws::{Signed, seal};
use crate::clock::keys::Keyring;
use crate::time::Timestamp;

const KIND: &str = "sctec-recibo+jws";
/// The most bytes of a receipt.
pub const BYTES_MAX: usize = 8 * 1024;

/// What a receipt says. Its fields are those of the entries of `DISPUTA_RESOLVIDA`, and a few more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The request.
    pub req: String,
    /// Who would have observed.
    #[serde(rename = "cientista_id")]
    pub scientist_id: i64,
    /// The telescope.
    #[serde(rename = "telescopio")]
    pub telescope: String,
    /// The first slot.
    #[serde(rename = "horario_inicio_utc")]
    pub start: String,
    /// The end of the last slot.
    #[serde(rename = "horario_fim_utc")]
    pub end: String,
    /// How contests of the telescope are decided.
    #[serde(rename = "politica")]
    pub policy: String,
    /// How long the request would have waited for others.
    #[serde(rename = "janela_ms")]
    pub window_ms: u64,
    /// When it arrived.
    #[serde(rename = "chegada_utc")]
    pub arrived: String,
    /// When its user clicked, as its client said.
    #[serde(rename = "instante_clique_utc")]
    pub claim: Option<String>,
    /// When the slot opens, if that was still to come or not long over.
    #[serde(rename = "abre_em_utc", default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<String>,
    /// When its time token was made, if that counts.
    #[serde(rename = "token_utc")]
    pub token_at: Option<String>,
    /// The SHA-256 of the time token's text, if the request had one.
    #[serde(rename = "token_sha256")]
    pub token_hash: Option<String>,
    /// The round trip that counts, in microseconds.
    #[serde(rename = "ida_volta_us")]
    pub round_trip_us: Option<u32>,
    /// Where it was seen.
    #[serde(rename = "ida_volta_de")]
    pub seen: Option<String>,
    /// The stamp.
    #[serde(rename = "carimbo_utc")]
    pub stamp: String,
    /// Why the stamp is this instant.
    #[serde(rename = "motivo")]
    pub reason: String,
    /// What the scheduler told the coordinator of the request.
    #[serde(rename = "entrada")]
    pub words: String,
    /// When the receipt was signed.
    #[serde(rename = "emitido_utc")]
    pub issued: String,
}

/// What a request brought to a contest.
#[derive(Clone, Debug)]
pub struct Brought {
    /// Its slots.
    pub place: Place,
    /// How the contest is decided.
    pub policy: Policy,
    /// How long the request would have waited for others, in milliseconds.
    pub window_ms: u64,
    /// Its stamp.
    pub stamp: Timestamp,
    /// What the coordinator was told of it.
    pub entrant: Entrant,
    /// The SHA-256 of its time token.
    pub token_hash: Option<String>,
}

impl Receipt {
    /// The receipt of what was brought, signed at `now`; `None` if no key can sign.
    pub fn sealed(brought: &Brought, keys: &Keyring, now: Timestamp) -> Option<String> {
        seal(KIND, &Self::of(brought, now), keys, now)
    }

    fn of(Brought { place, policy, window_ms, stamp, entrant, token_hash }: &Brought, now: Timestamp) -> Self {
        let Place { telescope, slots } = place;
        let Entrant { request, scientist_id, arrived, claim, token_at, round_trip, reason, opens_at } = entrant;
        let instant = |at: Timestamp| at.micros().to_string();
        let (round_trip_us, seen) = round_trip.clone().unzip();
        Self {
            req: request.clone(),
            scientist_id: *scientist_id,
            telescope: telescope.clone(),
            start: slots.start().seconds().to_string(),
            end: slots.end().seconds().to_string(),
            policy: policy.name().to_owned(),
            window_ms: *window_ms,
            arrived: instant(*arrived),
            claim: claim.map(instant),
            opens_at: opens_at.map(instant),
            token_at: token_at.map(instant),
            token_hash: token_hash.clone(),
            round_trip_us,
            seen,
            stamp: instant(*stamp),
            reason: reason.clone(),
            words: entrant.written(),
            issued: instant(now),
        }
    }

    /// Takes a receipt apart: its text is signed by a key that has yet to be asked ([`Signed::is_by`]). `None` if it is no receipt.
    pub fn read(text: &str) -> Option<(Self, Signed<'_>)> {
        let signed = Signed::read(text, KIND).filter(|_| text.len() <= BYTES_MAX)?;
        Some((signed.claims()?, signed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::SlotRange;
    use crate::agenda::stamp::{Evidence, Vouched};
    use crate::clock::keys::SigningKey;
    use crate::clock::token::{Exchange, Holder, TimeToken};

    #[test]
    fn a_receipt_says_what_the_entry_says_and_a_time_token_is_none() {
        let now = Timestamp::parse_rfc3339("2025-12-01T02:00:00Z").unwrap();
        let at = |ms: i64| Timestamp::from_micros(now.as_micros() + ms * 1000).unwrap();
        let token = Ok(Vouched { sent: at(-900), round_trip_us: Some(100_000) });
        let stamp =
            Evidence { arrived: at(60), claim: Some(at(10)), token, connection_us: None, account_us: None }.stamp();
        let start = Timestamp::parse_rfc3339("2025-12-01T03:00:00Z").unwrap();
        let entrant = Entrant::new("r-1", 7, at(60), Some(at(10)), Some(&stamp));
        let brought = Brought {
            place: Place { telescope: "Hubble-Acad".into(), slots: SlotRange::new(start, 10).unwrap() },
            policy: Policy::Order,
            window_ms: 53,
            stamp: stamp.at,
            entrant: entrant.clone(),
            token_hash: Some("00".into()),
        };
        let key = SigningKey::random(now).unwrap();
        let keys = Keyring::new(vec![key.clone()]);
        let text = Receipt::sealed(&brought, &keys, at(200)).unwrap();
        let (receipt, signed) = Receipt::read(&text).unwrap();
        assert!(signed.is_by(&key.public));
        assert_eq!(receipt, Receipt::of(&brought, at(200)));
        assert_eq!(Entrant::read(&receipt.words), Some(entrant));
        assert_eq!((&*receipt.stamp, &*receipt.end), ("2025-12-01T02:00:00.010000Z", "2025-12-01T03:10:00Z"));
        let (nonce, holder, process) = ("n".to_owned(), Holder::of("a", "b"), "p".to_owned());
        let exchange = Exchange { nonce, received: now, sent: now, holder, process };
        let token = TimeToken::first(exchange, "0".repeat(32)).seal(&keys).unwrap();
        assert!(Receipt::read(&token).is_none());
    }
}
