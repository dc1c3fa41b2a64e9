//! Schedulers and commands follow the elected coordinator: no booking is lost or made twice, and events say `perdidos` once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::Coordinators;
use crate::common::etcd::Etcd;
use crate::common::listener::Listener;
use crate::common::{Asked, Background, Server, count, http, pause, run, scheduler_command, sctec, signal, wait_until};

fn slot(number: usize) -> String {
    format!(
        "20{:02}-{:02}-{:02}T{:02}:{:02}:00Z",
        40 + number / 4000,
        1 + number / 400 % 10,
        1 + number / 20 % 20,
        number / 10 % 2,
        number % 10 * 5
    )
}

/// Each booking that was acknowledged is in the database, and no slot has two.
fn assert_each_is_there(database: &Path, acknowledged: &BTreeSet<(String, i64)>) {
    for (slot, id) in acknowledged {
        let found = count(database, &format!("SELECT count(*) FROM agendamentos WHERE id = {id}"));
        assert_eq!(found, 1, "the booking {id} of {slot} was acknowledged");
    }
    let bookings = count(database, "SELECT count(*) FROM agendamentos");
    assert_eq!(bookings, count(database, "SELECT count(*) FROM horarios"));
}

#[test]
#[ignore = "needs etcd"]
fn bookings_go_on_past_a_kill_a_stop_and_a_pause_and_none_is_lost_or_made_twice() {
    let etcd = Etcd::start(1);
    let mut coordinators = Coordinators::start(&etcd, 3, &["--grace", "0"]);
    coordinators.elected();
    let folder = tempfile::tempdir().unwrap();
    let scheduler = || Server::spawn(&mut scheduler_command(folder.path(), &coordinators.addresses()), 1);
    let mut schedulers = [scheduler(), scheduler()];
    let (end, acknowledged, statuses) =
        (AtomicBool::new(false), Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let urls = schedulers.each_ref().map(Server::url);
    thread::scope(|scope| {
        for rival in 0..6 {
            let (end, acknowledged, statuses, urls) = (&end, &acknowledged, &statuses, &urls);
            // Three at each scheduler, all for the same slots in the same order.
            scope.spawn(move || {
                for number in (0..).take_while(|_| !end.load(Ordering::Relaxed)) {
                    let answer = Asked::by(1 + rival, &slot(number)).at(&urls[usize::from(rival % 2 == 0)]);
                    statuses.lock().unwrap().insert(answer.status);
                    if answer.status == 201 {
                        let id = answer.json()["id"].as_i64().unwrap();
                        assert!(acknowledged.lock().unwrap().insert((slot(number), id)));
                    }
                }
            });
        }
        let books = || {
            let before = acknowledged.lock().unwrap().len();
            wait_until("bookings go on", || acknowledged.lock().unwrap().len() > before + 5);
        };
        books();
        let killed = coordinators.elected();
        coordinators.kill(killed);
        coordinators.elected();
        books();
        coordinators.begin(killed);
        let stopped = coordinators.elected();
        coordinators.terminate(stopped);
        coordinators.elected();
        books();
        coordinators.begin(stopped);
        let paused = coordinators.elected();
        pause(coordinators.pid(paused));
        coordinators.elected_but(paused);
        books();
        signal(coordinators.pid(paused), "CONT");
        books();
        end.store(true, Ordering::Relaxed);
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    let slots: BTreeSet<_> = acknowledged.iter().map(|(slot, _)| slot).collect();
    assert_eq!(slots.len(), acknowledged.len(), "a slot was booked twice");
    assert!(statuses.into_inner().unwrap().iter().all(|status| [201, 409, 503].contains(status)));
    assert_each_is_there(&folder.path().join("sctec.db"), &acknowledged);
    // A scheduler that is killed may leave records that are in the database alone until it starts again.
    for scheduler in &mut schedulers {
        assert_eq!(scheduler.terminate(), Some(0));
    }
    let verified = run(&["audit", "--verify", "--data-dir", folder.path().to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[test]
#[ignore = "needs etcd"]
fn listeners_hear_perdidos_once_after_a_change_also_when_the_old_one_is_only_paused() {
    let etcd = Etcd::start(1);
    let mut coordinators = Coordinators::start(&etcd, 3, &["--grace", "0"]);
    coordinators.elected();
    let folder = tempfile::tempdir().unwrap();
    let scheduler = Server::spawn(&mut scheduler_command(folder.path(), &coordinators.addresses()), 1);
    let linked = || scheduler.lines().iter().filter(|line| line.contains("Canal da agenda ligado")).count();
    wait_until("the channel is there", || linked() == 1);
    let mut listener = Listener::open(&format!("{}/eventos", scheduler.url()), None);
    let mut number = 0;
    let mut book = || {
        number += 1;
        let mut id = None;
        wait_until("it books", || {
            let answer = Asked::by(1, &slot(number)).at(&scheduler.url());
            id = answer.json()["id"].as_i64().filter(|_| answer.status == 201);
            id.is_some()
        });
        id.unwrap()
    };
    // The names of the events up to that of the booking, without those that say whether the channel is there.
    let mut until = |id: i64| {
        let mut names = Vec::new();
        loop {
            let event = listener.event();
            if event.name == "criado" && event.data["id"] == id {
                return names;
            }
            if event.name != "canal" {
                names.push(event.name);
            }
        }
    };
    let first = book();
    until(first);
    for change in ["kill", "term", "stop"] {
        let before = linked();
        let old = coordinators.elected();
        match change {
            "kill" => coordinators.kill(old),
            "term" => assert_eq!(coordinators.terminate(old), Some(0)),
            _ => pause(coordinators.pid(old)),
        }
        coordinators.elected_but(old);
        // Nobody asks for a lock meanwhile where the stream breaks by itself; a paused one is noticed by the next booking.
        let id = book();
        wait_until("the channel is there again", || linked() > before);
        let names = until(id);
        assert_eq!(names.iter().filter(|name| *name == "perdidos").count(), 1, "{change}: {names:?}");
        match change {
            "stop" => signal(coordinators.pid(old), "CONT"),
            _ => coordinators.begin(old),
        }
    }
}

#[test]
#[ignore = "needs etcd"]
fn commands_find_the_elected_one_among_the_addresses() {
    let etcd = Etcd::start(1);
    let mut coordinators = Coordinators::start(&etcd, 3, &["--grace", "0"]);
    let elected = coordinators.elected();
    let other = coordinators.others(elected).next().unwrap();
    // The elected one stands last.
    let mut urls: Vec<_> = coordinators.others(elected).map(|number| coordinators.url(number, "")).collect();
    urls.push(coordinators.url(elected, ""));
    let addresses = urls.join(",");
    let locked = run(&["lock", "X", "--coordinator", &addresses, "--", "sh", "-c", "echo token $SCTEC_TOKEN_FENCING"]);
    assert!(locked.status.success() && locked.stdout.starts_with(b"token "), "{locked:?}");
    assert_eq!(coordinators.lock(elected, &json!({"recurso": "Y", "dono": "alguém"})).status, 200);
    let listed = run(&["locks", "--json", "--url", &addresses]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{listed:?}"));
    assert!(listed["travas"].as_array().unwrap().iter().any(|lock| lock["recurso"] == "Y"), "{listed}");
    let released = run(&["locks", "--url", &addresses, "--release", "Y"]);
    assert!(released.status.success(), "{released:?}");
    for arguments in [
        &["locks", "--url", &coordinators.url(other, "")][..],
        &["lock", "X", "--coordinator", &coordinators.url(other, ""), "--", "true"],
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains("is not the elected coordinator; ask "),
            "{arguments:?}: {said}"
        );
        assert!(said.contains(&coordinators.url(elected, "")), "{said}");
    }
    // One that waits goes on waiting at the next elected one.
    assert_eq!(coordinators.lock(elected, &json!({"recurso": "Z", "ttl_ms": 300_000})).status, 200);
    let mut command = sctec();
    command.args(["lock", "Z", "--wait", "--coordinator", &addresses, "--", "true"]);
    let mut waiting = Background::spawn(&mut command);
    wait_until("it waits", || http("GET", &coordinators.url(elected, "/saude"), None).json()["esperando"] == 1);
    let begun = Instant::now();
    coordinators.terminate(elected);
    assert_eq!(waiting.status(), Some(0), "{:?}", waiting.err.lock().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(20));
}
