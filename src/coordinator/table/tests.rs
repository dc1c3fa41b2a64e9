//! The table's promises, one by one.

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn table() -> Table {
    with_limits(Limits::default())
}

fn with_limits(limits: Limits) -> Table {
    let mut table = Table::new(0, limits);
    table.allow_tokens(ms(0), 1000);
    table.allow_ttl(ms(1000));
    table
}

fn lock(resources: &[&str]) -> Acquire {
    Acquire {
        resources: resources.iter().map(|&name| Arc::from(name)).collect(),
        owner: Some("a".into()),
        request_id: None,
        ttl: ms(100),
        wait: ms(0),
        min_token: 0,
        despite_retention: false,
        contest: None,
    }
}

fn patient(resources: &[&str], wait_ms: u64) -> Acquire {
    Acquire { wait: ms(wait_ms), ..lock(resources) }
}

fn unlock(id: u128, retention_ms: u64) -> Release {
    Release::ById { lease: LeaseId(id), retention: ms(retention_ms) }
}

fn granted(acquired: Result<Acquired, NotGranted>) -> Granted {
    match acquired {
        Ok(Acquired::Granted(granted)) => granted,
        other => panic!("not granted: {other:?}"),
    }
}

fn waits(acquired: Result<Acquired, NotGranted>) -> Ticket {
    match acquired {
        Ok(Acquired::Queued { ticket, .. }) => ticket,
        other => panic!("does not wait: {other:?}"),
    }
}

fn busy(acquired: Result<Acquired, NotGranted>) -> Busy {
    match acquired {
        Err(NotGranted::Busy(busy)) => busy,
        other => panic!("not busy: {other:?}"),
    }
}

fn freed(resources: &[&str], token: u64) -> Released {
    Released::Freed(ended(resources, token))
}

fn ended(resources: &[&str], token: u64) -> Ended {
    Ended { resources: lock(resources).resources, owner: Some("a".into()), token }
}

/// The waiters that were granted a lease since the last call, in order.
fn served(table: &mut Table) -> Vec<(Ticket, u128)> {
    let happened = table.take_happened().into_iter();
    happened
        .filter_map(|happened| match happened {
            Happened::Granted { ticket, granted } => Some((ticket, granted.lease.0)),
            _ => None,
        })
        .collect()
}

#[test]
fn one_holder_until_released() {
    let mut table = table();
    assert_eq!(granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1))).token, 1);
    let refused = busy(table.acquire(ms(40), &lock(&["x"]), LeaseId(2)));
    assert_eq!(refused.state, State::Held { owner: Some("a".into()), token: 1, free_in: ms(60) });
    assert_eq!(table.release(ms(50), &unlock(1, 0)), freed(&["x"], 1));
    assert_eq!(granted(table.acquire(ms(50), &lock(&["x"]), LeaseId(3))).token, 2);
    assert_eq!(table.release(ms(50), &unlock(1, 0)), Released::Nothing(NotLive::AlreadyReleased));
}

#[test]
fn several_are_all_or_nothing() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["b"]), LeaseId(1)));
    assert_eq!(&*busy(table.acquire(ms(0), &lock(&["a", "b", "c"]), LeaseId(2))).resource, "b");
    granted(table.acquire(ms(0), &lock(&["a", "c"]), LeaseId(3)));
}

#[test]
fn an_expired_holders_unlock_leaves_its_successor_alone() {
    // nexspence #223, node-redlock #65.
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    table.expire(ms(99));
    assert!(table.take_happened().is_empty());
    table.expire(ms(100));
    assert_eq!(table.take_happened(), [Happened::Expired(ended(&["x"], 1))]);
    granted(table.acquire(ms(100), &lock(&["x"]), LeaseId(2)));
    assert_eq!(table.release(ms(101), &unlock(1, 0)), Released::Nothing(NotLive::Expired));
    busy(table.acquire(ms(101), &lock(&["x"]), LeaseId(3)));
}

#[test]
fn a_retained_resource_is_refused_until_passed_over_or_over() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    table.release(ms(10), &unlock(1, 1000));
    let refused = busy(table.acquire(ms(20), &lock(&["x"]), LeaseId(2)));
    assert_eq!(refused.state, State::Retained { owner: Some("a".into()), token: 1, free_in: ms(990) });
    let despite = Acquire { despite_retention: true, ..lock(&["x"]) };
    granted(table.acquire(ms(30), &despite, LeaseId(3)));
    // The retention that was passed over must not free the new holder's resource when its time comes.
    busy(table.acquire(ms(129), &lock(&["x"]), LeaseId(4)));
    table.release(ms(129), &unlock(3, 0));
    granted(table.acquire(ms(129), &lock(&["x"]), LeaseId(5)));
}

#[test]
fn the_same_request_again_gets_the_same_lease_or_the_same_place() {
    // simstudioai/sim #6864: the reply was lost and nobody owned the lock.
    let mut table = table();
    let request = Acquire { request_id: Some("r".into()), ..lock(&["x", "y"]) };
    let first = granted(table.acquire(ms(0), &request, LeaseId(1)));
    let again = granted(table.acquire(ms(10), &request, LeaseId(2)));
    assert_eq!(again, Granted { again: true, ..first });
    for other in [
        Acquire { request_id: Some("s".into()), ..request.clone() },
        Acquire { owner: Some("b".into()), ..request.clone() },
        Acquire { resources: lock(&["x"]).resources, ..request.clone() },
        Acquire { owner: None, ..request.clone() },
    ] {
        busy(table.acquire(ms(10), &other, LeaseId(3)));
    }
    let waiting = Acquire { request_id: Some("w".into()), ..patient(&["x"], 50) };
    let place = waits(table.acquire(ms(10), &waiting, LeaseId(4)));
    waits(table.acquire(ms(10), &patient(&["x"], 500), LeaseId(5)));
    // Its place is before the other's, and it waits until the later of its two deadlines.
    assert_eq!(table.acquire(ms(40), &waiting, LeaseId(6)), Ok(Acquired::Queued { ticket: place, again: true }));
    table.release(ms(80), &unlock(1, 0));
    assert_eq!(served(&mut table), [(place, 4)]);
}

#[test]
fn by_name_only_without_an_owner() {
    let mut table = table();
    let by_name = |name: &str| Release::ByName { resource: name.to_owned(), retention: ms(0) };
    granted(table.acquire(ms(0), &lock(&["owned"]), LeaseId(1)));
    granted(table.acquire(ms(0), &Acquire { owner: None, ..lock(&["free"]) }, LeaseId(2)));
    assert!(matches!(table.release(ms(0), &by_name("owned")), Released::NotOwner { .. }));
    assert!(matches!(table.release(ms(0), &by_name("free")), Released::Freed(_)));
    assert_eq!(table.release(ms(0), &by_name("never")), Released::Nothing(NotLive::Unknown));
}

#[test]
fn tokens_stop_at_the_durable_limit_and_exceed_the_token_that_the_caller_saw() {
    let mut table = Table::new(10, Limits::default());
    table.allow_ttl(ms(100));
    assert_eq!(table.acquire(ms(0), &lock(&["a"]), LeaseId(1)), Err(NotGranted::TokenLimit(11)));
    table.allow_tokens(ms(0), 11);
    assert_eq!(granted(table.acquire(ms(0), &lock(&["a"]), LeaseId(1))).token, 11);
    assert_eq!(table.acquire(ms(0), &lock(&["b"]), LeaseId(2)), Err(NotGranted::TokenLimit(12)));
    let seen = Acquire { min_token: 500, ..lock(&["b"]) };
    assert_eq!(table.acquire(ms(0), &seen, LeaseId(2)), Err(NotGranted::TokenLimit(501)));
    table.allow_tokens(ms(0), 600);
    assert_eq!(granted(table.acquire(ms(0), &seen, LeaseId(2))).token, 501);
    assert_eq!(granted(table.acquire(ms(0), &lock(&["c"]), LeaseId(3))).token, 502);
}

#[test]
fn no_request_lifts_the_tokens_too_far() {
    let mut table = Table::new(10, Limits::default());
    table.allow_ttl(ms(100));
    table.allow_tokens(ms(0), u64::MAX);
    let seen = |min_token| Acquire { min_token, ..lock(&["a"]) };
    let furthest = 10 + TOKEN_JUMP_MAX;
    for min_token in [furthest + 1, u64::MAX] {
        let refused = table.acquire(ms(0), &seen(min_token), LeaseId(1));
        assert_eq!(refused, Err(NotGranted::TooFar { min_token, last_token: 10 }));
    }
    assert_eq!(table.last_token(), 10);
    assert_eq!(granted(table.acquire(ms(0), &seen(furthest), LeaseId(1))).token, furthest + 1);
}

#[test]
fn a_waiter_without_a_durable_token_is_served_when_there_is_one_or_told_so() {
    let mut table = Table::new(0, Limits::default());
    table.allow_ttl(ms(1000));
    table.allow_tokens(ms(0), 2);
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    let waiter = waits(table.acquire(ms(0), &patient(&["x"], 50), LeaseId(2)));
    granted(table.acquire(ms(0), &lock(&["y"]), LeaseId(3)));
    table.release(ms(10), &unlock(1, 0));
    assert_eq!(served(&mut table), []);
    table.allow_tokens(ms(20), 3);
    assert_eq!(served(&mut table), [(waiter, 2)]);
    // allow_tokens used the last token; the next waiter for x is refused for want of a token.
    table.allow_tokens(ms(20), 4);
    let waiter = waits(table.acquire(ms(20), &patient(&["x"], 50), LeaseId(4)));
    granted(table.acquire(ms(20), &lock(&["z"]), LeaseId(5)));
    table.release(ms(30), &unlock(2, 0));
    table.expire(ms(70));
    assert_eq!(table.take_happened(), [Happened::Refused { ticket: waiter, refused: NotGranted::TokenLimit(5) }]);
}

#[test]
fn a_ttl_past_the_durable_one_is_not_given_and_the_limit_shrinks_with_the_need() {
    let mut table = Table::new(0, Limits::default());
    table.allow_tokens(ms(0), 100);
    assert_eq!(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)), Err(NotGranted::TtlLimit));
    table.allow_ttl(ms(100));
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    assert_eq!(table.renew(ms(0), LeaseId(1), Some(ms(200))), Err(NotRenewed::TtlLimit));
    table.allow_ttl(ms(500));
    table.renew(ms(0), LeaseId(1), Some(ms(200))).unwrap();
    let round_up = |ttl: Duration| ttl + ms(1);
    assert_eq!(table.settle_ttl(round_up), ms(201), "given since the last look");
    table.release(ms(0), &unlock(1, 0));
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(2)));
    waits(table.acquire(ms(0), &Acquire { ttl: ms(150), ..patient(&["x"], 50) }, LeaseId(3)));
    table.settle_ttl(round_up);
    assert_eq!(table.settle_ttl(round_up), ms(151), "waited for");
    table.dismiss(ms(0));
    assert_eq!(table.settle_ttl(round_up), ms(101), "still live");
    table.release(ms(0), &unlock(2, 0));
    assert_eq!(table.settle_ttl(|ttl| ttl), ms(0));
}

#[test]
fn redlock_rb_36_a_renewal_prolongs_and_never_resurrects() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    assert_eq!(table.renew(ms(90), LeaseId(1), None).unwrap().deadline, ms(190));
    assert_eq!(table.renew(ms(100), LeaseId(1), Some(ms(20))).unwrap().deadline, ms(120));
    assert_eq!(table.renew(ms(120), LeaseId(1), None), Err(NotRenewed::NotLive(NotLive::Expired)));
    // Free again, and still not the old holder's.
    granted(table.acquire(ms(121), &lock(&["x"]), LeaseId(2)));
    assert_eq!(table.renew(ms(122), LeaseId(1), None), Err(NotRenewed::NotLive(NotLive::Expired)));
    table.release(ms(122), &unlock(2, 0));
    assert_eq!(table.renew(ms(123), LeaseId(2), None), Err(NotRenewed::NotLive(NotLive::AlreadyReleased)));
    assert_eq!(table.renew(ms(123), LeaseId(9), None), Err(NotRenewed::NotLive(NotLive::Unknown)));
}

#[test]
fn first_come_first_served_and_newcomers_do_not_pass() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    let first = waits(table.acquire(ms(1), &patient(&["x"], 500), LeaseId(2)));
    let second = waits(table.acquire(ms(2), &patient(&["x"], 500), LeaseId(3)));
    table.release(ms(10), &unlock(1, 0));
    assert_eq!(served(&mut table), [(first, 2)]);
    assert_eq!(busy(table.acquire(ms(11), &lock(&["x"]), LeaseId(4))).queue, 1);
    table.release(ms(12), &unlock(2, 0));
    assert_eq!(served(&mut table), [(second, 3)]);
}

#[test]
fn node_redlock_169_a_lease_lives_its_whole_ttl_after_a_wait() {
    // etcd #11456, #9921: the lease's life was counted while it was still waited for.
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    waits(table.acquire(ms(0), &patient(&["x"], 1000), LeaseId(2)));
    table.expire(ms(100));
    let happened = table.take_happened();
    let [Happened::Expired(_), Happened::Granted { granted, .. }] = &happened[..] else { panic!("{happened:?}") };
    assert_eq!((granted.deadline, granted.waited), (ms(200), ms(100)));
}

#[test]
fn a_wait_ends_at_its_deadline_with_the_holder_in_the_refusal() {
    let mut table = table();
    granted(table.acquire(ms(0), &Acquire { ttl: ms(1000), ..lock(&["x"]) }, LeaseId(1)));
    let ticket = waits(table.acquire(ms(10), &patient(&["x"], 50), LeaseId(2)));
    table.expire(ms(59));
    assert!(table.take_happened().is_empty());
    table.expire(ms(60));
    let state = State::Held { owner: Some("a".into()), token: 1, free_in: ms(940) };
    let busy = Busy { resource: "x".into(), state, queue: 0, waited: ms(50) };
    assert_eq!(table.take_happened(), [Happened::Refused { ticket, refused: NotGranted::Busy(busy) }]);
    // A lease that ends at the instant at which the wait ends goes to the waiter.
    let ticket = waits(table.acquire(ms(900), &patient(&["x"], 100), LeaseId(3)));
    table.expire(ms(1000));
    assert_eq!(served(&mut table), [(ticket, 3)]);
}

#[test]
fn a_waiter_for_several_holds_none_and_is_not_starved() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["a"]), LeaseId(1)));
    let both = waits(table.acquire(ms(1), &patient(&["a", "b"], 900), LeaseId(2)));
    // b is free, but promised: single ones behind would otherwise keep the pair waiting for ever.
    assert_eq!(busy(table.acquire(ms(2), &lock(&["b"]), LeaseId(3))).state, State::Promised);
    let single = waits(table.acquire(ms(3), &patient(&["b"], 900), LeaseId(4)));
    // Other resources are not affected.
    granted(table.acquire(ms(4), &lock(&["c"]), LeaseId(5)));
    table.release(ms(5), &unlock(1, 0));
    assert_eq!(served(&mut table), [(both, 2)]);
    table.release(ms(6), &unlock(2, 0));
    assert_eq!(served(&mut table), [(single, 4)]);
}

#[test]
fn zk_ruby_49_a_waiter_that_leaves_makes_way_for_the_next() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["a"]), LeaseId(1)));
    let both = waits(table.acquire(ms(1), &patient(&["a", "b"], 900), LeaseId(2)));
    let single = waits(table.acquire(ms(2), &patient(&["b"], 900), LeaseId(3)));
    assert!(table.leave(ms(3), both));
    assert!(!table.leave(ms(3), both));
    assert_eq!(served(&mut table), [(single, 3)]);
    table.release(ms(4), &unlock(1, 0));
    granted(table.acquire(ms(5), &lock(&["a"]), LeaseId(4)));
}

#[test]
fn an_undelivered_grant_is_taken_back_unless_its_request_came_again() {
    let mut table = table();
    let request = Acquire { request_id: Some("r".into()), ..patient(&["x"], 900) };
    granted(table.acquire(ms(0), &request, LeaseId(1)));
    let next = waits(table.acquire(ms(1), &patient(&["x"], 900), LeaseId(2)));
    assert_eq!(table.take_back(ms(2), LeaseId(1)), Some(ended(&["x"], 1)));
    assert_eq!(served(&mut table), [(next, 2)]);
    table.release(ms(3), &unlock(2, 0));
    granted(table.acquire(ms(4), &request, LeaseId(3)));
    granted(table.acquire(ms(5), &request, LeaseId(4)));
    assert_eq!(table.take_back(ms(6), LeaseId(3)), None);
}

#[test]
fn a_waiter_is_served_when_a_retention_ends_or_before_it_if_the_request_passes_over_it() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    let plain = waits(table.acquire(ms(1), &patient(&["x"], 900), LeaseId(2)));
    table.release(ms(10), &unlock(1, 200));
    assert_eq!(served(&mut table), []);
    table.expire(ms(210));
    assert_eq!(served(&mut table), [(plain, 2)]);
    let despite = Acquire { despite_retention: true, ..patient(&["x"], 900) };
    let despite = waits(table.acquire(ms(211), &despite, LeaseId(3)));
    table.release(ms(212), &unlock(2, 200));
    assert_eq!(served(&mut table), [(despite, 3)]);
}

#[test]
fn an_operator_takes_a_lease_or_a_retention_away_and_the_waiter_is_served() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x", "y"]), LeaseId(1)));
    let waiter = waits(table.acquire(ms(1), &patient(&["x"], 900), LeaseId(2)));
    assert_eq!(table.force(ms(2), "y"), Some(ForceTarget { ended: ended(&["x", "y"], 1), retained: false }));
    assert_eq!(served(&mut table), [(waiter, 2)]);
    assert_eq!(table.release(ms(3), &unlock(1, 0)), Released::Nothing(NotLive::Forced));
    table.release(ms(4), &unlock(2, 500));
    assert_eq!(table.force(ms(5), "x"), Some(ForceTarget { ended: ended(&["x"], 2), retained: true }));
    assert_eq!(table.force(ms(6), "x"), None);
    assert_eq!(table.counts(ms(6)), Counts::default());
}

#[test]
fn requests_past_a_bound_are_refused_and_leave_nothing() {
    let full = |most| Err(NotGranted::Full(Bound { measure: Measure::Count, most }));
    let queue_full = |most| Err(NotGranted::QueueFull(Bound { measure: Measure::Count, most }));
    let mut table = with_limits(Limits { resources: 4, places: 3, waiters_of_one: 2, ..Limits::default() });
    granted(table.acquire(ms(0), &lock(&["a", "b"]), LeaseId(1)));
    assert_eq!(table.acquire(ms(0), &lock(&["c", "d", "e"]), LeaseId(2)), full(4));
    let first = waits(table.acquire(ms(0), &patient(&["a"], 50), LeaseId(3)));
    waits(table.acquire(ms(0), &patient(&["a"], 50), LeaseId(4)));
    assert_eq!(table.acquire(ms(0), &patient(&["b"], 50), LeaseId(5)), full(4));
    let mut table_of_one = with_limits(Limits { resources: 100, places: 3, waiters_of_one: 2, ..Limits::default() });
    granted(table_of_one.acquire(ms(0), &lock(&["a", "b"]), LeaseId(1)));
    for id in [2, 3] {
        waits(table_of_one.acquire(ms(0), &patient(&["a"], 50), LeaseId(id)));
    }
    assert_eq!(table_of_one.acquire(ms(0), &patient(&["a"], 50), LeaseId(4)), queue_full(2));
    assert_eq!(table_of_one.acquire(ms(0), &patient(&["b", "c"], 50), LeaseId(5)), queue_full(3));
    waits(table_of_one.acquire(ms(0), &patient(&["b"], 50), LeaseId(6)));
    table.leave(ms(1), first);
    waits(table.acquire(ms(1), &patient(&["b"], 50), LeaseId(6)));
}

#[test]
fn all_waiters_are_sent_away_at_the_end() {
    let mut table = table();
    granted(table.acquire(ms(0), &lock(&["x"]), LeaseId(1)));
    let tickets = [2, 3].map(|id| waits(table.acquire(ms(0), &patient(&["x"], 900), LeaseId(id))));
    table.dismiss(ms(1));
    let refused = tickets.map(|ticket| Happened::Refused { ticket, refused: NotGranted::Dismissed });
    assert_eq!(table.take_happened(), refused);
    table.release(ms(2), &unlock(1, 0));
    assert!(table.take_happened().is_empty());
}

#[test]
fn lists_are_in_order_by_prefix_and_page_by_page() {
    let mut table = table();
    for (id, name) in ["b/2", "a/1", "b/1", "b/3", "c"].into_iter().enumerate() {
        granted(table.acquire(ms(0), &lock(&[name]), LeaseId(id as u128)));
    }
    let waiter = waits(table.acquire(ms(0), &patient(&["b/2", "free"], 50), LeaseId(9)));
    let mut page = |prefix: &str, after: Option<&str>, limit| {
        let (page, more) = table.list(ms(1), prefix, after, limit);
        (page.iter().map(|listed| listed.resource.to_string()).collect::<Vec<_>>(), more)
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(page("", None, 10), (names(&["a/1", "b/1", "b/2", "b/3", "c", "free"]), false));
    assert_eq!(page("b/", None, 2), (names(&["b/1", "b/2"]), true));
    assert_eq!(page("b/", Some("b/2"), 2), (names(&["b/3"]), false));
    assert_eq!(page("b/", Some("a"), 1), (names(&["b/1"]), true));
    assert_eq!(page("z", None, 2), (names(&[]), false));
    let shown = table.show(ms(10), "b/2").unwrap();
    assert_eq!((shown.listed.queue, shown.waiting[0].waited, shown.waiting[0].gives_up_in), (1, ms(10), ms(40)));
    assert_eq!(table.show(ms(10), "free").unwrap().listed.state, State::Promised);
    table.leave(ms(10), waiter);
    assert_eq!(table.show(ms(10), "free"), None);
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

#[test]
fn nothing_is_given_past_the_time_that_it_may_be_and_waiters_are_served_when_it_goes_on() {
    let mut table = table();
    table.give_until(ms(0), ms(100));
    granted(table.acquire(ms(10), &lock(&["X", "Z"]), LeaseId(1)));
    let ticket = waits(table.acquire(ms(20), &patient(&["X"], 5000), LeaseId(2)));
    let impatient = ["X", "Z"].map(|name| waits(table.acquire(ms(20), &patient(&[name], 95), LeaseId(4))));
    // The holder's lease ends at 110, when the time is over: nobody is served.
    table.expire(ms(110));
    assert_eq!(table.take_happened(), [Happened::Expired(ended(&["X", "Z"], 1))]);
    // Who gives up then is told that nothing may be given, and not that a rival has the lock: the second and the first of their queues.
    table.expire(ms(115));
    let refused = impatient.map(|ticket| Happened::Refused { ticket, refused: NotGranted::Lapsed });
    assert_eq!(table.take_happened(), refused);
    assert_eq!(table.acquire(ms(116), &lock(&["Y"]), LeaseId(3)), Err(NotGranted::Lapsed));
    assert_eq!(table.acquire(ms(116), &patient(&["Y"], 10), LeaseId(3)), Err(NotGranted::Lapsed));
    table.allow_tokens(ms(120), 5000);
    assert_eq!(table.take_happened(), []);
    // An earlier end than before changes nothing, and a later one goes on.
    table.give_until(ms(130), ms(50));
    assert_eq!(table.take_happened(), []);
    table.give_until(ms(130), ms(500));
    let happened = table.take_happened();
    assert!(
        matches!(&happened[..], [Happened::Granted { ticket: served, granted }] if *served == ticket && granted.token == 2)
    );
    // A renewal past the end is refused, and the lease ends when it would have.
    assert_eq!(table.renew(ms(200), LeaseId(2), None).map(|granted| granted.token), Ok(2));
    table.give_until(ms(200), ms(250));
    let mut short = with_limits(Limits::default());
    short.give_until(ms(0), ms(50));
    granted(short.acquire(ms(10), &lock(&["X"]), LeaseId(1)));
    assert_eq!(short.renew(ms(50), LeaseId(1), None), Err(NotRenewed::Lapsed));
    short.expire(ms(110));
    assert_eq!(short.take_happened(), [Happened::Expired(ended(&["X"], 1))]);
}
