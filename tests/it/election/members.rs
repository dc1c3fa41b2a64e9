//! Members of etcd that die: without a majority nothing is given.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::cluster::Coordinators;
use crate::common::etcd::Etcd;
use crate::common::wait_until;

/// Locks and releases, and whether that was possible.
fn works(coordinators: &Coordinators, number: usize) -> bool {
    let locked = coordinators.lock(number, &json!({"recurso": "X"}));
    locked.status == 200
        && coordinators.post(number, "/unlock", &json!({"trava_id": locked.json()["trava_id"]})).status == 200
}

#[test]
#[ignore = "needs etcd"]
fn one_member_less_changes_nothing_and_without_a_majority_nothing_is_given() {
    let mut etcd = Etcd::start(3);
    let coordinators = Coordinators::start(&etcd, 2, &[]);
    let elected = coordinators.elected();
    let term = coordinators.ready(elected)["eleicao"]["mandato"].clone();
    assert!(works(&coordinators, elected));
    let leader = etcd.leader().unwrap();
    let follower = (leader + 1) % 3;
    etcd.kill(follower);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        assert!(works(&coordinators, elected), "a follower of etcd's leader is gone");
        thread::sleep(Duration::from_millis(50));
    }
    etcd.begin(follower);
    wait_until("it takes part again", || etcd.takes_part(follower));
    // The leader: others elect one, and the lease lives on.
    etcd.kill(leader);
    wait_until("there is another leader", || etcd.leader().is_some());
    let elected = coordinators.elected();
    wait_until("locks are given", || works(&coordinators, elected));
    // The majority.
    let second = etcd.leader().unwrap();
    etcd.kill(second);
    let lost = Instant::now();
    let mut last = None;
    while lost.elapsed() < Duration::from_secs(5) {
        let sent = lost.elapsed();
        let answer = coordinators.lock(elected, &json!({"recurso": "Y", "ttl_ms": 100}));
        match answer.status {
            200 => last = Some(sent),
            409 => {}
            _ => assert_eq!(answer.json()["codigo"], "tokens_indisponiveis", "{}", answer.body),
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert!(last.is_none_or(|last| last < Duration::from_millis(2100)), "a lock was given after {last:?}");
    for other in coordinators.others(elected) {
        let answer = coordinators.lock(other, &json!({"recurso": "Y"}));
        assert_eq!((answer.status, &answer.json()["codigo"]), (503, &json!("nao_eleito")));
    }
    etcd.begin(second);
    etcd.begin(leader);
    wait_until("the majority is back", || (0..2).any(|number| works(&coordinators, number)));
    let again = coordinators.ready(coordinators.elected())["eleicao"]["mandato"].clone();
    assert!(again.as_u64() >= term.as_u64(), "{again} {term}");
}

#[test]
#[ignore = "needs etcd"]
fn a_member_that_hangs_is_passed_over() {
    let etcd = Etcd::start(3);
    let leader = etcd.leader().unwrap();
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    // Each of the two is the one that the coordinators ask when it hangs.
    let coordinators = Coordinators::start_at(&etcd.url_from(followers[0]), 2, &[]);
    let elected = coordinators.elected();
    for follower in followers {
        etcd.signal(follower, "STOP");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            assert!(works(&coordinators, elected), "{}", coordinators.ready(elected));
            thread::sleep(Duration::from_millis(50));
        }
        etcd.signal(follower, "CONT");
        // It has caught up before the next one hangs.
        wait_until("it takes part again", || etcd.takes_part(follower));
    }
    assert_eq!(coordinators.metric(elected, "elections_lost_total"), "0");
    assert_eq!(coordinators.metric(elected, "etcd_failures_total"), "0", "another member did what was asked");
}
