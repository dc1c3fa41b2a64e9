//! One coordinator, step by step.

use super::*;

const MS: Duration = Duration::from_millis(1);
/// How long locks are given after a keep-alive was sent.
const GIVES: Duration = Duration::from_secs(2);

fn seat(term: u64, lease: i64) -> Answer {
    Answer::Seat(Some(Seat { term, lease: EtcdLease(lease), address: Some(format!("http://{lease}")) }))
}

/// One that was elected with the lease 7, for the term 3, at the instant 0.
fn elected() -> Election {
    let mut election = Election::new(Duration::ZERO);
    assert_eq!(election.ask(), Ask::Look);
    assert_eq!(election.answered(Duration::ZERO, Duration::ZERO, Some(Answer::Seat(None))), None);
    assert_eq!(election.ask(), Ask::TakeLease);
    let leased = Some(Answer::Leased(EtcdLease(7), LEASE));
    assert_eq!(election.answered(Duration::ZERO, Duration::ZERO, leased), None);
    assert_eq!(election.ask(), Ask::Campaign(EtcdLease(7)));
    assert_eq!(election.answered(Duration::ZERO, Duration::ZERO, Some(seat(3, 7))), Some(Change::Elected { term: 3 }));
    election
}

#[test]
fn a_vacant_key_is_taken_with_a_lease_and_one_that_is_not_is_looked_at_again() {
    let mut election = Election::new(Duration::ZERO);
    election.answered(Duration::ZERO, MS, Some(seat(2, 5)));
    assert_eq!((election.ask(), election.due()), (Ask::Look, MS + LOOK_EVERY));
    assert_eq!(election.elected(2999 * MS).unwrap().address.as_deref(), Some("http://5"));
    assert_eq!(election.elected(LEASE), None, "nobody knows any more");
    assert_eq!(election.gives_until(), None);
    assert_eq!(elected().gives_until(), Some(GIVES));
}

#[test]
fn a_keep_alive_counts_from_before_it_was_sent_and_only_when_the_key_was_read_after_it() {
    let mut election = elected();
    assert_eq!(election.ask(), Ask::KeepAlive(EtcdLease(7)));
    election.answered(500 * MS, 900 * MS, Some(Answer::Kept(Some(LEASE))));
    assert_eq!((election.ask(), election.gives_until()), (Ask::Look, Some(GIVES)));
    election.answered(900 * MS, 950 * MS, Some(seat(3, 7)));
    assert_eq!(election.gives_until(), Some(500 * MS + GIVES));
    assert_eq!((election.ask(), election.due()), (Ask::KeepAlive(EtcdLease(7)), 950 * MS));
    // A longer life than was asked for is not counted on, and a shorter one is believed.
    election.answered(1000 * MS, 1000 * MS, Some(Answer::Kept(Some(10 * LEASE))));
    election.answered(1000 * MS, 1000 * MS, Some(seat(3, 7)));
    assert_eq!((election.gives_until(), election.due()), (Some(1000 * MS + GIVES), 1000 * MS + KEEP_EVERY));
    election.answered(1400 * MS, 1400 * MS, Some(Answer::Kept(Some(2000 * MS))));
    election.answered(1400 * MS, 1400 * MS, Some(seat(3, 7)));
    assert_eq!(election.gives_until(), Some(1000 * MS + GIVES), "what was promised stays promised");
}

#[test]
fn silence_deposes_nobody_and_prolongs_nothing() {
    let mut election = elected();
    for second in 1..20 {
        let now = Duration::from_secs(second);
        assert_eq!(election.answered(now, now, None), None);
        assert_eq!((election.gives_until(), election.due()), (Some(GIVES), now + RETRY));
    }
    // A keep-alive whose confirmation is lost is asked for again.
    election.answered(20_000 * MS, 20_000 * MS, Some(Answer::Kept(Some(LEASE))));
    election.answered(20_000 * MS, 20_000 * MS, None);
    assert_eq!(election.ask(), Ask::KeepAlive(EtcdLease(7)));
    election.answered(21_000 * MS, 21_000 * MS, Some(Answer::Kept(Some(LEASE))));
    assert_eq!(election.answered(21_000 * MS, 21_000 * MS, Some(seat(3, 7))), None, "the same term as before");
    assert_eq!(election.gives_until(), Some(21_000 * MS + GIVES));
}

#[test]
fn a_dead_lease_another_term_and_a_vacant_key_depose() {
    let mut election = elected();
    assert_eq!(election.answered(MS, MS, Some(Answer::Kept(None))), Some(Change::Deposed));
    assert_eq!((election.ask(), election.gives_until()), (Ask::Look, None));
    for answer in [seat(4, 8), seat(4, 7), seat(3, 8), Answer::Seat(None)] {
        let mut election = elected();
        election.answered(MS, MS, Some(Answer::Kept(Some(LEASE))));
        assert_eq!(election.answered(MS, MS, Some(answer)), Some(Change::Deposed));
        assert_eq!(election.gives_until(), None);
    }
}

#[test]
fn a_campaign_without_an_answer_is_asked_again_and_may_have_been_won() {
    let leased = || {
        let mut election = Election::new(Duration::ZERO);
        election.answered(Duration::ZERO, Duration::ZERO, Some(Answer::Seat(None)));
        election.answered(Duration::ZERO, Duration::ZERO, Some(Answer::Leased(EtcdLease(7), LEASE)));
        election.answered(Duration::ZERO, 700 * MS, None);
        assert_eq!(election.ask(), Ask::Campaign(EtcdLease(7)));
        election
    };
    let mut won = leased();
    assert_eq!(won.answered(800 * MS, 800 * MS, Some(seat(9, 7))), Some(Change::Elected { term: 9 }));
    assert_eq!(won.gives_until(), Some(GIVES), "counted from when the lease was asked for");
    assert_eq!(won.resign(), Some(EtcdLease(7)));
    let mut beaten = leased();
    assert_eq!(beaten.answered(800 * MS, 800 * MS, Some(seat(9, 8))), None);
    assert_eq!(beaten.ask(), Ask::GiveUp(EtcdLease(7)));
    beaten.answered(900 * MS, 900 * MS, None);
    assert_eq!((beaten.ask(), beaten.resign()), (Ask::Look, None));
    let mut over = leased();
    over.answered(LEASE, LEASE, None);
    assert_eq!(over.ask(), Ask::Look);
}
