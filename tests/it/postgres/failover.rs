//! The primary is lost between a COMMIT and its answer, and its standby takes over: what became of the transaction is found out before anybody is
//! answered.

use serde_json::Value;
use tempfile::TempDir;

use super::pair::Pair;
use crate::common::trail::{audit, texts};
use crate::common::{Asked, Server, coordinator_command, http, sctec, wait_until};

const SLOT: &str = "2031-03-01T03:00:00Z";
const BOOKINGS: &str = "SELECT count(*) FROM sctec.agendamentos";

/// The services on a pair of databases.
struct Services {
    scheduler: Server,
    _coordinator: Server,
    folder: TempDir,
}

impl Services {
    fn on(pair: &Pair) -> Self {
        let folder = TempDir::new().unwrap();
        let coordinator = Server::spawn(&mut coordinator_command(&folder.path().join("travas"), "127.0.0.1:0"), 1);
        let mut command = sctec();
        command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &coordinator.url(), "--data-dir"]);
        command.arg(folder.path()).args(["--store", &pair.url(), "--lock-retention-ms", "0"]);
        // The lock of a booking is valid for longer than a slow machine takes to replace the primary.
        let scheduler = Server::spawn(command.args(["--lock-ttl-ms", "60000"]), 1);
        Self { scheduler, _coordinator: coordinator, folder }
    }

    fn book(&self, slot: &str) -> (u16, Value) {
        let url = format!("{}/agendamentos", self.scheduler.url());
        let answer = http("POST", &url, Some(("application/json", &Asked::by(7, slot).text())));
        (answer.status, answer.json())
    }

    /// Books while somebody does something to the databases.
    fn book_while(&self, slot: &str, strike: impl FnOnce()) -> (u16, Value) {
        std::thread::scope(|scope| {
            let booking = scope.spawn(|| self.book(slot));
            strike();
            booking.join().unwrap()
        })
    }

    /// The booking is there once, with its record, and the scheduler's file agrees with the new primary.
    fn has_booked_once(&self, pair: &Pair, (status, booking): &(u16, Value)) {
        assert_eq!(*status, 201, "{booking}");
        assert_eq!(pair.value(1, BOOKINGS).as_deref(), Ok("1"));
        let of = format!("SELECT count(*) FROM sctec.auditoria WHERE agendamento_id = {}", booking["id"]);
        assert_eq!(pair.value(1, &of).as_deref(), Ok("1"));
        // The exporter's last question may have been to the lost primary; until its next one nothing is booked.
        wait_until("the slot is known to be taken", || self.book(SLOT).0 == 409);
        let (status, next) = self.book("2031-03-01T04:00:00Z");
        assert_eq!(status, 201, "the scheduler goes on with the new primary: {next}");
        let folder = self.folder.path().to_str().unwrap();
        let url = pair.url();
        let said = || {
            let output = audit(&["--verify", "--data-dir", folder, "--store", &url]).output().unwrap();
            (output.status.code(), texts(&output))
        };
        wait_until("the file has every record", || said().0 == Some(0));
    }
}

#[test]
#[ignore = "needs PostgreSQL, as root"]
fn a_commit_that_the_standby_has_is_confirmed_by_the_new_primary() {
    let mut pair = Pair::start();
    let services = Services::on(&pair);
    let caught = pair.gate.catch(true);
    let booked = services.book_while(SLOT, || {
        caught.wait();
        wait_until("the standby has the booking", || pair.value(1, BOOKINGS).as_deref() == Ok("1"));
        pair.fail_over();
        drop(caught);
    });
    services.has_booked_once(&pair, &booked);
}

#[test]
#[ignore = "needs PostgreSQL, as root"]
fn a_commit_that_the_primary_never_got_is_done_by_the_new_primary() {
    let mut pair = Pair::start();
    let services = Services::on(&pair);
    let caught = pair.gate.catch(false);
    let booked = services.book_while(SLOT, || {
        caught.wait();
        pair.fail_over();
        assert_eq!(pair.value(1, BOOKINGS).as_deref(), Ok("0"));
        drop(caught);
    });
    services.has_booked_once(&pair, &booked);
}

#[test]
#[ignore = "needs PostgreSQL, as root"]
fn a_commit_that_only_the_lost_primary_has_is_done_by_the_new_one() {
    let mut pair = Pair::start();
    let services = Services::on(&pair);
    let caught = pair.gate.catch(true);
    // Nothing that the primary writes from now on arrives at the standby.
    pair.replication.mute();
    let booked = services.book_while(SLOT, || {
        caught.wait();
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        wait_until("the commit waits for the standby", || pair.value(0, waits).as_deref() == Ok("1"));
        pair.fail_over();
        assert_eq!(pair.value(1, BOOKINGS).as_deref(), Ok("0"));
        drop(caught);
    });
    services.has_booked_once(&pair, &booked);
}

#[test]
#[ignore = "needs PostgreSQL, as root"]
fn a_commit_of_which_nobody_is_left_to_tell_has_an_uncertain_outcome() {
    let mut pair = Pair::start();
    let services = Services::on(&pair);
    let caught = pair.gate.catch(true);
    let (status, answer) = services.book_while(SLOT, || {
        caught.wait();
        wait_until("the standby has the booking", || pair.value(1, BOOKINGS).as_deref() == Ok("1"));
        pair.primary.lose_power();
        pair.standby.lose_power();
        drop(caught);
    });
    assert_eq!((status, answer["codigo"].as_str()), (503, Some("resultado_incerto")), "{answer}");
    // It was booked, and once somebody is left to tell, it is told.
    pair.standby.start();
    wait_until("the standby answers", || pair.value(1, BOOKINGS).as_deref() == Ok("1"));
    pair.fail_over();
    wait_until("the slot is known to be taken", || services.book(SLOT).0 == 409);
    assert_eq!(pair.value(1, BOOKINGS).as_deref(), Ok("1"));
}

/// As when Patroni takes a standby out that is lost, and puts it back: the settings change, and the connections stay.
#[test]
#[ignore = "needs PostgreSQL, as root"]
fn that_no_commit_waits_for_a_standby_is_warned_of_as_long_as_it_is_so() {
    let pair = Pair::start();
    let services = Services::on(&pair);
    let warns = || {
        let answer = http("GET", &format!("{}/pronto", services.scheduler.url()), None).json();
        assert_eq!(answer["status"], "pronto", "{answer}");
        answer["avisos"]["replica"].is_string()
    };
    assert!(!warns());
    for (setting, warned) in [("SET synchronous_commit = local", true), ("RESET synchronous_commit", false)] {
        pair.value(0, &format!("ALTER SYSTEM {setting}")).unwrap();
        pair.value(0, "SELECT pg_reload_conf()").unwrap();
        wait_until("the warning follows the setting", || warns() == warned);
    }
}
