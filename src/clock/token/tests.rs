//! What a token proves, and what nobody can make of it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use proptest::prelude::*;
use ring::signature::Ed25519KeyPair;

use super::*;
use crate::clock::keys::SigningKey;

const NOW_US: i64 = 1_764_558_000_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW_US + micros).unwrap()
}

fn ring() -> Keyring {
    Keyring::new(vec![SigningKey::random(at(0)).unwrap()])
}

fn ana() -> Holder {
    Holder::of("ana", "192.0.2.1")
}

fn exchange(received: i64, sent: i64) -> Exchange {
    Exchange { nonce: "n-1".to_owned(), received: at(received), sent: at(sent), holder: ana(), process: "p".to_owned() }
}

fn first() -> TimeToken {
    TimeToken::first(exchange(0, 10), "s".repeat(32))
}

#[test]
fn a_token_is_read_as_it_was_made() {
    let ring = ring();
    let text = first().seal(&ring).unwrap();
    assert_eq!(TimeToken::open(&text, &ring, &ana(), at(20)), Ok(first()));
    let second = first().following(&text, exchange(40_010, 40_030));
    assert_eq!((second.number, second.round_trip_us), (2, Some(40_000)));
    assert_eq!(second.previous, Some(base16ct::lower::encode_string(&Sha256::digest(&text))));
    let longest = TimeToken {
        number: u32::MAX,
        nonce: "n".repeat(NONCE_CHARS_MAX),
        t2_us: Timestamp::MAX.as_micros(),
        process: "p".repeat(16),
        ..second
    };
    assert!(longest.seal(&ring).unwrap().len() <= BYTES_MAX);
}

#[test]
fn a_token_is_another_callers_too_old_or_too_early() {
    let ring = ring();
    let text = first().seal(&ring).unwrap();
    let open = |holder: &Holder, now: Timestamp| TimeToken::open(&text, &ring, holder, now).map(drop);
    for other in [Holder::of("rui", "192.0.2.1"), Holder::of("ana", "192.0.2.2"), Holder::of("ana\n192.0.2.1", "")] {
        assert_eq!(open(&other, at(20)), Err(NotValid::Foreign));
    }
    let life = i64::try_from(LIFE.as_micros()).unwrap();
    assert_eq!(open(&ana(), at(10 + life - 1)), Ok(()));
    assert_eq!(open(&ana(), at(10 + life)), Err(NotValid::Expired));
    assert_eq!(open(&ana(), at(10 - 1_000_000)), Ok(()), "another scheduler's clock may be ahead");
    assert_eq!(open(&ana(), at(10 - 1_000_001)), Err(NotValid::Early));
}

#[test]
fn a_key_that_is_not_known_or_was_not_in_use_vouches_for_nothing() {
    let (ring, other) = (ring(), Keyring::new(vec![SigningKey::random(at(0)).unwrap()]));
    let text = first().seal(&other).unwrap();
    assert_eq!(TimeToken::open(&text, &ring, &ana(), at(20)), Err(NotValid::UnknownKey));
    // Stolen two days later, from a backup perhaps.
    let key = SigningKey::random(at(0)).unwrap();
    let stolen = Ed25519KeyPair::from_seed_unchecked(&key.seed.unwrap()).unwrap();
    let ring = Keyring::new(vec![key]);
    let days: i64 = 2 * 24 * 3600 * 1_000_000;
    let late = TimeToken::first(exchange(days, days + 10), "s".repeat(32));
    assert_eq!(late.seal(&ring), None);
    let kid = ring.signer(at(0)).unwrap().name().to_owned();
    let forged = jws(&format!(r#"{{"alg":"EdDSA","typ":"sctec-hora+jws","kid":"{kid}"}}"#), &late, &stolen);
    assert_eq!(TimeToken::open(&forged, &ring, &ana(), at(days + 20)), Err(NotValid::UnknownKey));
}

fn jws(header: &str, token: &TimeToken, pair: &Ed25519KeyPair) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(serde_json::to_vec(token).unwrap()));
    format!("{message}.{}", BASE64.encode(pair.sign(message.as_bytes())))
}

#[test]
fn nobody_chooses_the_algorithm() {
    let key = SigningKey::random(at(0)).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&key.seed.unwrap()).unwrap();
    let ring = Keyring::new(vec![key]);
    let kid = ring.signer(at(0)).unwrap().name().to_owned();
    let open = |header: &str| TimeToken::open(&jws(header, &first(), &pair), &ring, &ana(), at(20)).map(drop);
    assert_eq!(open(&format!(r#"{{"alg":"EdDSA","typ":"sctec-hora+jws","kid":"{kid}"}}"#)), Ok(()));
    for header in [
        format!(r#"{{"alg":"none","typ":"sctec-hora+jws","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"HS256","typ":"sctec-hora+jws","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"sctec-hora+jws","kid":"{kid}","jku":"http://evil.example"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        "[]".to_owned(),
    ] {
        assert_eq!(open(&header), Err(NotValid::Form), "{header}");
    }
    for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", &"x".repeat(BYTES_MAX + 1)] {
        assert_eq!(TimeToken::open(text, &ring, &ana(), at(20)), Err(NotValid::Form), "{text}");
    }
}

#[test]
fn a_round_trip_is_what_one_process_has_seen() {
    let elsewhere = Exchange { process: "q".to_owned(), ..exchange(5_000, 5_010) };
    assert_eq!(first().following("t", elsewhere).round_trip_us, None);
    // The clock was set back meanwhile.
    assert_eq!(first().following("t", exchange(10, 10)).round_trip_us, None);
    assert_eq!(first().following("t", exchange(900_000, 900_010)).round_trip_us, Some(ROUND_TRIP_US_MAX));
}

#[test]
fn a_nonce_is_a_short_word() {
    for (text, fits) in [("a", true), ("A-._~9", true), ("", false), ("a b", false), ("é", false), ("a\"", false)] {
        assert_eq!(is_nonce(text), fits, "{text}");
    }
    assert!(is_nonce(&"a".repeat(64)) && !is_nonce(&"a".repeat(65)));
}

proptest! {
    /// With any character changed, a text is no token any more.
    #[test]
    fn an_altered_token_is_refused(place in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let ring = ring();
        let text = first().seal(&ring).unwrap();
        let place = place.index(text.len());
        prop_assume!(text.as_bytes()[place] != byte);
        let mut altered = text.into_bytes();
        altered[place] = byte;
        let altered = String::from_utf8(altered).unwrap();
        prop_assert!(TimeToken::open(&altered, &ring, &ana(), at(20)).is_err());
    }

    #[test]
    fn no_text_panics(text in "\\PC*", parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let ring = ring();
        prop_assert!(TimeToken::open(&text, &ring, &ana(), at(20)).is_err());
        prop_assert!(TimeToken::open(&parts.join("."), &ring, &ana(), at(20)).is_err());
    }

    /// A caller may delay its requests and bring any of its tokens again: the shortest round trip of a token never grows along its
    /// series, and is never shorter than the true one.
    #[test]
    fn replaying_and_delaying_never_help_against_what_was_seen(
        true_us in 1_000_i64..150_000,
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0_i64..400_000), 1..12),
    ) {
        let ring = ring();
        let mut tokens = vec![(first(), first().seal(&ring).unwrap())];
        let mut now = 10;
        for (which, delay) in steps {
            let (token, text) = tokens[which.index(tokens.len())].clone();
            // The caller can answer a token only when it has it.
            now = now.max(token.t3_us - NOW_US + true_us) + delay;
            let next = token.following(&text, exchange(now, now + 10));
            let seen = i64::from(next.round_trip_us.unwrap());
            prop_assert!(seen >= true_us.min(i64::from(ROUND_TRIP_US_MAX)));
            prop_assert!(token.round_trip_us.is_none_or(|before| next.round_trip_us.unwrap() <= before));
            prop_assert_eq!(next.number, token.number + 1);
            let sealed = next.seal(&ring).unwrap();
            prop_assert_eq!(&TimeToken::open(&sealed, &ring, &ana(), at(now + 20)), &Ok(next.clone()));
            tokens.push((next, sealed));
        }
    }
}
