//! What a stamp promises.

use proptest::prelude::*;

use super::*;

const NOW_US: i64 = 1_764_558_000_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW_US + micros).unwrap()
}

fn evidence(claim: i64, round_trip_us: Option<u32>) -> Evidence {
    let token = Ok(Vouched { sent: at(-60_000_000), round_trip_us });
    Evidence { arrived: at(0), claim: Some(at(claim)), token, connection_us: None, account_us: None }
}

fn found(evidence: Evidence) -> (i64, &'static str) {
    let stamp = evidence.stamp();
    (stamp.at.as_micros() - NOW_US, stamp.reason.name())
}

#[test]
fn a_claim_counts_within_half_a_round_trip_and_a_margin() {
    assert_eq!(found(evidence(-43_000, Some(80_000))), (-43_000, "como_alegado"));
    assert_eq!(found(evidence(-43_001, Some(80_000))), (-43_000, "alem_do_credito"));
    assert_eq!(found(evidence(0, Some(80_000))), (0, "como_alegado"));
    assert_eq!(found(evidence(1, Some(80_000))), (0, "depois_da_chegada"));
    assert_eq!(found(evidence(-1_000_000, Some(u32::MAX))), (-153_000, "alem_do_credito"));
    // Nothing was measured: the margin alone.
    assert_eq!(found(evidence(-10_000, None)), (-3_000, "alem_do_credito"));
    assert_eq!(found(Evidence { claim: None, ..evidence(0, Some(80_000)) }), (0, "sem_clique"));
}

#[test]
fn clients_five_hours_off_get_no_more_than_others() {
    let hours: i64 = 5 * 3600 * 1_000_000;
    assert_eq!(found(evidence(-hours, Some(80_000))), (-43_000, "alem_do_credito"));
    assert_eq!(found(evidence(hours, Some(80_000))), (0, "depois_da_chegada"));
}

#[test]
fn a_click_is_not_before_the_token_and_the_shorter_round_trip_counts() {
    let token = Ok(Vouched { sent: at(-20_000), round_trip_us: Some(80_000) });
    assert_eq!(found(Evidence { token, ..evidence(-30_000, None) }), (-20_000, "antes_do_token"));
    let near = Evidence { account_us: Some(10_000), ..evidence(-30_000, Some(80_000)) };
    assert_eq!((found(near), near.stamp().round_trip), ((-8_000, "alem_do_credito"), Some((10_000, Seen::Account))));
    // Its kernel acknowledges at once: a client that waits before it answers is seen through.
    let waits = Evidence { connection_us: Some(2_000), ..evidence(-30_000, Some(160_000)) };
    assert_eq!(
        (found(waits), waits.stamp().round_trip),
        ((-4_000, "alem_do_credito"), Some((2_000, Seen::Connection)))
    );
    // The token's scheduler is a little ahead.
    let token = Ok(Vouched { sent: at(500), round_trip_us: None });
    assert_eq!(found(Evidence { token, ..evidence(-30_000, None) }), (0, "antes_do_token"));
}

#[test]
fn behind_a_proxy_that_is_not_trusted_the_arrival_counts() {
    let proxied = Evidence { token: Err(NotValid::Proxied), ..evidence(-30_000, None) };
    assert_eq!(found(proxied), (0, "por_intermediario"));
    assert_eq!(found(Evidence { token: Err(NotValid::Expired), ..proxied }), (0, "sem_token"));
}

fn any_token() -> impl Strategy<Value = Result<Vouched, NotValid>> {
    let wrong = prop::sample::select(vec![
        NotValid::Form,
        NotValid::UnknownKey,
        NotValid::Altered,
        NotValid::Foreign,
        NotValid::Early,
        NotValid::Expired,
        NotValid::Proxied,
    ]);
    prop_oneof![
        4 => (-300_000_000_i64..1_000_000, any::<Option<u32>>())
            .prop_map(|(sent, round_trip_us)| Ok(Vouched { sent: at(sent), round_trip_us })),
        1 => wrong.prop_map(Err),
    ]
}

prop_compose! {
    fn any_evidence()(
        claim in prop::option::of(prop_oneof![-400_000_i64..400_000, -NOW_US..NOW_US]),
        token in any_token(),
        connection_us in any::<Option<u32>>(),
        account_us in any::<Option<u32>>(),
    ) -> Evidence {
        Evidence { arrived: at(0), claim: claim.map(at), token, connection_us, account_us }
    }
}

proptest! {
    /// G1: nobody gains more than half of a round trip that was measured, and the margin; and nobody is stamped after the arrival.
    #[test]
    fn a_stamp_is_within_the_credit(evidence in any_evidence()) {
        let stamp = evidence.stamp();
        let early_us = stamp.arrived.as_micros() - stamp.at.as_micros();
        let credit_us = stamp.round_trip.map_or(0, |(us, _)| i64::from(us) / 2) + 3_000;
        prop_assert!((0..=credit_us).contains(&early_us), "{stamp:?}");
        prop_assert!(early_us <= 153_000);
        for seen in [evidence.account_us, evidence.connection_us, evidence.token.ok().and_then(|token| token.round_trip_us)] {
            prop_assert!(seen.is_none_or(|seen| early_us <= i64::from(seen) / 2 + 3_000));
        }
    }

    /// G2: without a token that counts, a request is stamped with its arrival.
    #[test]
    fn without_a_token_the_arrival_counts(evidence in any_evidence(), wrong in any_token()) {
        if let Err(why) = wrong {
            let stamp = Evidence { token: Err(why), ..evidence }.stamp();
            prop_assert_eq!((stamp.at, stamp.token, stamp.round_trip), (stamp.arrived, Err(why), None));
        }
    }

    /// G3: a claim that is possible is the stamp, so an honest client with a measured round trip loses nothing.
    #[test]
    fn an_honest_claim_is_kept(way_us in 0_i64..150_000, other_us in 0_i64..150_000, held_us in 0_i64..1000) {
        // The way back took as long, but for the margin.
        let back_us = way_us + (other_us % 6_000) - 3_000;
        prop_assume!(back_us >= 0);
        let measured = u32::try_from(way_us + back_us + held_us).unwrap();
        let evidence = evidence(-way_us, Some(measured));
        let stamp = evidence.stamp();
        prop_assert_eq!((stamp.at, stamp.reason), (at(-way_us), Reason::AsClaimed));
    }

    /// G4: who claims an earlier click is not stamped later than who claims a later one; and more evidence of nearness, or a later
    /// token, never makes a stamp earlier.
    #[test]
    fn stamps_are_in_the_order_of_claims_and_evidence_only_limits(
        evidence in any_evidence(),
        earlier_us in 0_i64..400_000,
        seen in any::<u32>(),
        later_us in 0_i64..400_000,
    ) {
        let stamp = evidence.stamp().at;
        if let Some(claim) = evidence.claim {
            let earlier = Timestamp::from_micros((claim.as_micros() - earlier_us).max(0)).unwrap();
            let of_earlier = Evidence { claim: Some(earlier), ..evidence }.stamp().at;
            prop_assert!(of_earlier <= stamp);
        }
        // Any measurement limits, once there is one.
        if evidence.round_trip().is_some() {
            let account_us = Some(evidence.account_us.map_or(seen, |before| before.min(seen)));
            let of_nearer = Evidence { account_us, ..evidence }.stamp().at;
            prop_assert!(of_nearer >= stamp);
        }
        if let Ok(token) = evidence.token {
            let sent = Timestamp::from_micros(token.sent.as_micros() + later_us).unwrap();
            let later = Evidence { token: Ok(Vouched { sent, ..token }), ..evidence };
            prop_assert!(later.stamp().at >= stamp);
        }
    }
}

#[test]
fn what_is_earlier_than_the_opening_counts_as_its_instant() {
    let since = |stamp: Stamp, opens: i64| {
        let stamp = stamp.since(at(opens));
        (stamp.at.as_micros() - NOW_US, stamp.reason.name())
    };
    let claimed = evidence(-43_000, Some(80_000)).stamp();
    assert_eq!(since(claimed, -43_000), (-43_000, "como_alegado"));
    assert_eq!(since(claimed, -42_999), (-42_999, "antes_da_abertura"));
    // The request itself may be early, with a token and without.
    assert_eq!(since(claimed, 5_000), (5_000, "antes_da_abertura"));
    assert_eq!(since(Stamp::of_arrival(at(0)), 5_000), (5_000, "antes_da_abertura"));
    assert_eq!(since(Stamp::of_arrival(at(0)), -1), (0, "sem_token"));
}
