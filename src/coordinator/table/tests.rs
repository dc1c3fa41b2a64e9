//! The table's promises, one by one and all together.

use proptest::prelude::*;

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn table() -> Table {
    Table::new(0, 1000)
}

fn lock(resources: &[&str]) -> Acquire {
    Acquire {
        resources: resources.iter().map(|&name| name.to_owned()).collect(),
        owner: Some("a".to_owned()),
        request_id: None,
        ttl: ms(100),
        min_token: 0,
        despite_retention: false,
    }
}

fn unlock(id: u128, retention_ms: u64) -> Release {
    Release::ById { lease: LeaseId(id), retention: ms(retention_ms) }
}

#[test]
fn one_holder_until_released() {
    let mut table = table();
    assert_eq!(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)).unwrap().token, 1);
    assert!(matches!(
        table.acquire(ms(40), &lock(&["x"]), LeaseId(2)),
        Err(Refused::Busy { token: 1, free_in, retained: false, .. }) if free_in == ms(60)
    ));
    assert_eq!(table.release(ms(50), &unlock(1, 0)), Released::Freed(vec!["x".into()]));
    assert_eq!(table.acquire(ms(50), &lock(&["x"]), LeaseId(3)).unwrap().token, 2);
    assert_eq!(table.release(ms(50), &unlock(1, 0)), Released::Nothing(NotLive::AlreadyReleased));
}

#[test]
fn several_are_all_or_nothing() {
    let mut table = table();
    table.acquire(ms(0), &lock(&["b"]), LeaseId(1)).unwrap();
    assert!(matches!(
        table.acquire(ms(0), &lock(&["a", "b", "c"]), LeaseId(2)),
        Err(Refused::Busy { resource, .. }) if resource == "b"
    ));
    assert!(table.acquire(ms(0), &lock(&["a", "c"]), LeaseId(3)).is_ok());
}

#[test]
fn an_expired_holders_unlock_leaves_its_successor_alone() {
    // nexspence #223, node-redlock #65.
    let mut table = table();
    table.acquire(ms(0), &lock(&["x"]), LeaseId(1)).unwrap();
    assert!(table.expire(ms(99)).is_empty());
    assert_eq!(table.expire(ms(100)), [Expired { resource: "x".into(), token: 1 }]);
    table.acquire(ms(100), &lock(&["x"]), LeaseId(2)).unwrap();
    assert_eq!(table.release(ms(101), &unlock(1, 0)), Released::Nothing(NotLive::Expired));
    assert!(table.acquire(ms(101), &lock(&["x"]), LeaseId(3)).is_err());
}

#[test]
fn a_retained_resource_is_refused_until_passed_over_or_over() {
    let mut table = table();
    table.acquire(ms(0), &lock(&["x"]), LeaseId(1)).unwrap();
    table.release(ms(10), &unlock(1, 1000));
    assert!(matches!(
        table.acquire(ms(20), &lock(&["x"]), LeaseId(2)),
        Err(Refused::Busy { retained: true, free_in, .. }) if free_in == ms(990)
    ));
    let despite = Acquire { despite_retention: true, ..lock(&["x"]) };
    table.acquire(ms(30), &despite, LeaseId(3)).unwrap();
    // The retention that was passed over must not free the new holder's resource when its time comes.
    table.expire(ms(129));
    assert!(table.acquire(ms(129), &lock(&["x"]), LeaseId(4)).is_err());
    table.release(ms(129), &unlock(3, 0));
    assert!(table.acquire(ms(129), &lock(&["x"]), LeaseId(5)).is_ok());
}

#[test]
fn the_same_request_again_gets_the_same_lease() {
    // simstudioai/sim #6864: the reply was lost and nobody owned the lock.
    let mut table = table();
    let request = Acquire { request_id: Some("r".to_owned()), ..lock(&["x", "y"]) };
    let first = table.acquire(ms(0), &request, LeaseId(1)).unwrap();
    let again = table.acquire(ms(10), &request, LeaseId(2)).unwrap();
    assert_eq!((again.lease, again.token, again.deadline), (first.lease, first.token, first.deadline));
    for other in [
        Acquire { request_id: Some("s".to_owned()), ..request.clone() },
        Acquire { owner: Some("b".to_owned()), ..request.clone() },
        Acquire { resources: vec!["x".to_owned()], ..request.clone() },
        Acquire { owner: None, ..request.clone() },
    ] {
        assert!(table.acquire(ms(10), &other, LeaseId(3)).is_err());
    }
}

#[test]
fn by_name_only_without_an_owner() {
    let mut table = table();
    let by_name = |name: &str| Release::ByName { resource: name.to_owned(), retention: ms(0) };
    table.acquire(ms(0), &lock(&["owned"]), LeaseId(1)).unwrap();
    table.acquire(ms(0), &Acquire { owner: None, ..lock(&["free"]) }, LeaseId(2)).unwrap();
    assert!(matches!(table.release(ms(0), &by_name("owned")), Released::NotOwner { .. }));
    assert!(matches!(table.release(ms(0), &by_name("free")), Released::Freed(_)));
    assert_eq!(table.release(ms(0), &by_name("never")), Released::Nothing(NotLive::Unknown));
}

#[test]
fn tokens_stop_at_the_durable_limit_and_heed_what_the_caller_saw() {
    let mut table = Table::new(10, 11);
    assert_eq!(table.acquire(ms(0), &lock(&["a"]), LeaseId(1)).unwrap().token, 11);
    assert_eq!(table.acquire(ms(0), &lock(&["b"]), LeaseId(2)), Err(Refused::TokenLimit(12)));
    let seen = Acquire { min_token: 500, ..lock(&["b"]) };
    assert_eq!(table.acquire(ms(0), &seen, LeaseId(2)), Err(Refused::TokenLimit(501)));
    table.raise_token_limit(600);
    assert_eq!(table.acquire(ms(0), &seen, LeaseId(2)).unwrap().token, 501);
    assert_eq!(table.acquire(ms(0), &lock(&["c"]), LeaseId(3)).unwrap().token, 502);
}

#[test]
fn identities_read_back_and_are_not_shown_by_debug() {
    let id = LeaseId(0x7f3c);
    assert_eq!(LeaseId::parse(&id.to_string()), Some(id));
    for wrong in ["", "7f3c", "7F3C0A5E9B1D4C268E02A6F1D95B3370", "+f3c0a5e9b1d4c268e02a6f1d95b3370"] {
        assert_eq!(LeaseId::parse(wrong), None, "{wrong}");
    }
    assert!(!format!("{id:?}").contains("7f3c"));
}

proptest! {
    /// Random requests on few resources: never two holders, tokens grow, and nothing is left at the end.
    #[test]
    fn the_promises_hold(steps in proptest::collection::vec((0_u8..4, 1_u8..8, 0_u64..40, any::<bool>()), 1..200)) {
        let mut table = Table::new(0, u64::MAX);
        let mut now = ms(0);
        let mut held: Vec<(Granted, Vec<String>)> = Vec::new();
        let mut last_token = 0;
        for (index, (kind, mask, wait, flag)) in steps.into_iter().enumerate() {
            now += ms(wait);
            table.expire(now);
            held.retain(|(granted, _)| granted.deadline > now);
            let names: Vec<&str> = ["a", "b", "c"].into_iter().enumerate()
                .filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, name)| name).collect();
            if kind < 3 {
                let request = Acquire { despite_retention: flag, ..lock(&names) };
                if let Ok(granted) = table.acquire(now, &request, LeaseId(index as u128)) {
                    prop_assert!(granted.token > last_token);
                    last_token = granted.token;
                    let free = held.iter().all(|(_, other)| request.resources.iter().all(|name| !other.contains(name)));
                    prop_assert!(free, "two holders");
                    held.push((granted, request.resources));
                }
            } else if let Some((granted, _)) = held.pop() {
                let retention_ms = if flag { 50 } else { 0 };
                let freed = matches!(table.release(now, &unlock(granted.lease.0, retention_ms)), Released::Freed(_));
                prop_assert!(freed);
            }
        }
        table.expire(now + ms(1000));
        prop_assert_eq!(table.live_leases(), 0);
        prop_assert!(table.resources.is_empty() && table.endings.is_empty());
    }
}
