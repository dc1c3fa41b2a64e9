//! The rates on a clock that a test holds.

use proptest::prelude::*;

use super::*;
use crate::access::Author;
use crate::access::principal::ALL_NAMES;
use crate::access::role::Role;

fn rates(limit: RateLimit, identifies: bool) -> (Rates, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Rates::on(Ticks::Held(clock.clone()), limit, identifies).unwrap(), clock)
}

/// So many a second, and so many at once.
fn limit(per_second: u32, burst: u32) -> RateLimit {
    RateLimit { per_second: Some(per_second), burst: Some(burst) }
}

fn at(peer: &str) -> Client {
    Client::Address(AddressKey::of(peer.parse().unwrap()))
}

fn named(name: &str, role: Role, prefixes: &[&str]) -> Client {
    Client::Principal(Named(Arc::new(Principal {
        name: Author::parse(name).unwrap(),
        roles: [role].into_iter().collect(),
        scientist: None,
        prefixes: prefixes.iter().map(ToString::to_string).collect(),
    })))
}

/// How many of so many requests are let through.
fn passed(rates: &Rates, share: Share, client: &Client, requests: usize) -> usize {
    (0..requests).filter(|_| rates.charge(&(share, client.clone())).is_ok()).count()
}

#[test]
fn a_client_has_a_burst_and_then_its_rate() {
    let (rates, clock) = rates(limit(10, 20), true);
    let client = at("10.0.0.1:1");
    assert_eq!(passed(&rates, Share::Ordinary, &client, 50), 20);
    clock.advance(Duration::from_millis(500));
    assert_eq!(passed(&rates, Share::Ordinary, &client, 50), 5);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(passed(&rates, Share::Ordinary, &client, 50), 20);
}

#[test]
fn each_client_has_its_own_rate_and_a_network_of_ipv6_is_one() {
    let (rates, _) = rates(limit(1, 3), true);
    let ana = |role| named("ana", role, &[]);
    assert_eq!(passed(&rates, Share::Ordinary, &at("10.0.0.1:1"), 9), 3);
    assert_eq!(passed(&rates, Share::Ordinary, &at("10.0.0.1:2"), 9), 0);
    assert_eq!(passed(&rates, Share::Ordinary, &at("10.0.0.2:1"), 9), 3);
    assert_eq!(passed(&rates, Share::Ordinary, &at("[2001:db8::1]:1"), 9), 3);
    assert_eq!(passed(&rates, Share::Ordinary, &at("[2001:db8::2]:1"), 9), 0);
    assert_eq!(passed(&rates, Share::Ordinary, &ana(Role::Scientist), 9), 3);
    // The name is what counts: its roles may have changed.
    assert_eq!(passed(&rates, Share::Ordinary, &ana(Role::Reader), 9), 0);
    assert_eq!(passed(&rates, Share::Ordinary, &named("rui", Role::Reader, &[]), 9), 3);
}

#[test]
fn what_keeps_or_gives_back_has_a_count_of_its_own() {
    let (rates, _) = rates(limit(1, 3), true);
    let client = at("10.0.0.1:1");
    assert_eq!(passed(&rates, Share::Ordinary, &client, 9), 3);
    assert_eq!(passed(&rates, Share::Reserve, &client, 9), 3);
    assert_eq!(passed(&rates, Share::Free, &client, 9), 9);
}

#[test]
fn a_refused_client_is_told_how_long_to_wait_and_waiting_so_long_is_enough() {
    let (rates, clock) = rates(limit(2, 1), true);
    let counted = (Share::Ordinary, at("10.0.0.1:1"));
    rates.charge(&counted).unwrap();
    let exceeded = rates.charge(&counted).unwrap_err();
    assert_eq!(exceeded, Exceeded { wait: Duration::from_millis(500), tells: true });
    assert!(!rates.charge(&counted).unwrap_err().tells);
    clock.advance(Duration::from_nanos(499_999_999));
    assert!(rates.charge(&counted).is_err());
    clock.advance(Duration::from_nanos(1));
    assert!(rates.charge(&counted).is_ok());
    clock.advance(TELL_EVERY);
    rates.charge(&counted).unwrap();
    assert!(rates.charge(&counted).unwrap_err().tells);
}

#[test]
fn a_client_that_keeps_to_what_it_is_told_is_never_refused() {
    let (rates, clock) = rates(limit(7, 30), true);
    let counted = (Share::Ordinary, at("10.0.0.1:1"));
    for _ in 0..50 {
        let Standing { left, window_s, .. } = rates.charge(&counted).unwrap().unwrap();
        // As many as it says, at once; then it waits for the rest of the time.
        assert_eq!(passed(&rates, counted.0, &counted.1, left as usize), left as usize);
        clock.advance(Duration::from_secs(window_s));
    }
}

#[test]
fn several_in_one_are_let_through_and_then_owed() {
    let (rates, clock) = rates(limit(10, 10), true);
    let counted = (Share::Ordinary, at("10.0.0.1:1"));
    let standing = rates.charge(&counted).unwrap().unwrap();
    assert_eq!(standing, Standing { share: Share::Ordinary, left: 9, window_s: 1 });
    // A hundred are used, of which ten were there.
    let standing = rates.charge_more(&counted, standing, 99).unwrap();
    assert_eq!(standing, Standing { share: Share::Ordinary, left: 0, window_s: 9 });
    assert_eq!(rates.charge(&counted).unwrap_err().wait, Duration::from_millis(9100));
    clock.advance(Duration::from_millis(9100));
    assert!(rates.charge(&counted).is_ok());
}

#[test]
fn a_client_that_owes_is_refused_what_it_sent_at_the_same_time() {
    let (rates, clock) = rates(limit(10, 10), true);
    let counted = (Share::Ordinary, at("10.0.0.1:1"));
    let [first, second] = [(); 2].map(|()| rates.charge(&counted).unwrap().unwrap());
    rates.charge_more(&counted, first, 99).unwrap();
    // The second of the two was let in, and counts no more.
    let refused = rates.charge_more(&counted, second, 99).unwrap_err();
    assert_eq!(refused, Exceeded { wait: Duration::from_millis(9100), tells: true });
    clock.advance(Duration::from_millis(9100));
    let standing = rates.charge(&counted).unwrap().unwrap();
    assert_eq!(rates.charge_more(&counted, standing, 0), Ok(standing));
    rates.charge_more(&counted, standing, 1).unwrap();
}

proptest! {
    /// The formula of docs/API.md: nobody waits longer than their largest request takes, and no way to send several in one gives more.
    #[test]
    fn a_debt_is_never_larger_than_one_request(
        per_second in 1_u32..50,
        burst in 1_u32..50,
        steps in prop::collection::vec((0_u64..3000, prop::collection::vec(0_usize..200, 1..8)), 1..20),
    ) {
        let (rates, clock) = rates(limit(per_second, burst), true);
        let counted = (Share::Ordinary, at("10.0.0.1:1"));
        let each = Duration::from_secs(1) / per_second;
        let (mut served, mut largest, mut passed) = (0, 1, Duration::ZERO);
        for (pause_ms, at_once) in steps {
            clock.advance(Duration::from_millis(pause_ms));
            passed += Duration::from_millis(pause_ms);
            // All of them come before the first is read.
            let begun: Vec<_> = at_once.iter().map(|more| (rates.charge(&counted), *more)).collect();
            for (charged, more) in begun {
                largest = largest.max(more + 1);
                let ended = charged.and_then(|standing| rates.charge_more(&counted, standing.unwrap(), more));
                match ended {
                    Ok(_) => served += more + 1,
                    Err(exceeded) => prop_assert!(exceeded.wait <= each * u32::try_from(largest).unwrap(), "{exceeded:?}"),
                }
            }
            let most = passed.as_nanos() / each.as_nanos() + u128::from(burst) + u128::try_from(largest).unwrap();
            prop_assert!(u128::try_from(served).unwrap() <= most, "{served} of {most}");
        }
    }
}

#[test]
fn clients_of_this_machine_have_a_rate_only_where_they_say_who_they_are_or_a_rate_is_given() {
    let usual = RateLimit::default();
    for local in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(!rates(usual, false).0.limits(&at(local)), "{local}");
        assert!(rates(usual, true).0.limits(&at(local)), "{local}");
        assert!(rates(limit(1, 1), false).0.limits(&at(local)), "{local}");
    }
    assert!(rates(usual, false).0.limits(&at("10.0.0.1:1")));
    let (usual, _) = rates(usual, false);
    assert_eq!(passed(&usual, Share::Ordinary, &at("10.0.0.1:1"), 3000), 2000);
    let (off, fast) = (limit(0, 5), RateLimit { per_second: Some(5), burst: None });
    assert!(Rates::new(off, true).is_none() && Rates::of_coordinator(off, true, true).is_none());
    assert_eq!(passed(&rates(fast, false).0, Share::Ordinary, &at("10.0.0.1:1"), 99), 50);
}

#[test]
fn a_coordinator_limits_no_scheduler_and_nobody_if_it_cannot_tell_them_apart() {
    let (usual, given) = (RateLimit::default(), limit(1, 1));
    assert!(Rates::of_coordinator(usual, false, false).is_none());
    assert!(Rates::of_coordinator(given, false, false).is_some());
    for (identifies, tells) in [(true, false), (false, true)] {
        let rates = Rates::of_coordinator(usual, identifies, tells).unwrap();
        assert!(!rates.limits(&named("agenda-2", Role::Service, &[ALL_NAMES])));
        assert!(rates.limits(&named("backup", Role::Service, &["backup-"])));
        assert!(rates.limits(&named("chefe", Role::Operator, &[])));
    }
    // A scheduler has no use for such a principal.
    assert!(Rates::new(usual, true).unwrap().limits(&named("agenda-2", Role::Service, &[ALL_NAMES])));
}

#[test]
fn clients_that_have_their_burst_again_are_swept_away() {
    let (rates, clock) = rates(limit(10, 10), true);
    for host in 0..100 {
        passed(&rates, Share::Ordinary, &at(&format!("10.0.0.{host}:1")), 1);
    }
    passed(&rates, Share::Ordinary, &at("10.0.1.1:1"), 10);
    rates.sweep();
    assert_eq!(rates.addresses.0.len(), 101);
    clock.advance(Duration::from_millis(500));
    rates.sweep();
    assert_eq!(rates.addresses.0.len(), 1);
    assert_eq!(passed(&rates, Share::Ordinary, &at("10.0.1.1:1"), 10), 5);
}
