//! A cluster as processes on loopback, run by the files of `examples/cluster`, in which machines lose their power and freeze under load: one of
//! each kind in turn, then at random. Afterwards the answers that clients got are compared with the database and with both trails.
//!
//! By default each kind of machine loses its power once. With `SCTEC_TEST_CLUSTER_SECONDS` each also freezes, and it goes on at random for so long.
//! `SCTEC_TEST_CLUSTER_SEED` repeats the choices. The time without service is printed for each kind.

mod files;
pub mod machine;
mod parts;
mod service;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use machine::Machine;
use parts::Cluster;
use serde_json::Value;
use service::Probe;

use crate::common::bookers::{Booker, Dice, Ledger, Replayed, agent, granted, setting, tokens_grow};
use crate::common::{run, sctec, wait_until};

/// The number of clients.
const CLIENTS: u64 = 4;
/// The number of slots that they compete for.
const SLOTS: u64 = 300;
/// The timeout of a client. After it the client does not know the result of its request.
const CLIENT_PATIENCE: Duration = Duration::from_secs(15);
/// How long the cluster is left alone before each blow.
const CALM: Duration = Duration::from_secs(2);

/// Which machine is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Target {
    Scheduler,
    Elected,
    Etcd,
    Primary,
    Standby,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Blow {
    /// It loses its power, and comes back after a while.
    Killed,
    /// It stands still for a while, longer than others wait for it.
    Frozen,
}

const TARGETS: [Target; 5] = [Target::Scheduler, Target::Elected, Target::Etcd, Target::Primary, Target::Standby];

impl Target {
    fn machine<'a>(self, cluster: &'a mut Cluster, dice: &mut Dice) -> &'a mut Machine {
        let one_of = |dice: &mut Dice, count: usize| usize::try_from(dice.below(count as u64)).unwrap();
        match self {
            Self::Scheduler => {
                let nth = one_of(dice, cluster.schedulers.len());
                &mut cluster.schedulers[nth]
            }
            Self::Etcd => {
                let nth = one_of(dice, cluster.etcd.len());
                &mut cluster.etcd[nth]
            }
            Self::Elected => {
                let nth = cluster.elected().expect("the cluster is well");
                &mut cluster.coordinators[nth]
            }
            Self::Primary | Self::Standby => {
                let primary = cluster.primary().expect("the cluster is well");
                let nth = if self == Self::Primary { primary } else { 1 - primary };
                &mut cluster.databases[nth]
            }
        }
    }

    /// How long it stays away: longer than the others take to notice.
    fn away(self) -> Duration {
        match self {
            Self::Scheduler => Duration::from_secs(5),
            Self::Etcd | Self::Elected => Duration::from_secs(8),
            // Patroni's ttl is 20 s.
            Self::Primary | Self::Standby => Duration::from_secs(30),
        }
    }
}

/// Strikes one machine, waits until the cluster is well again, and gives the time without service.
fn strike(cluster: &mut Cluster, target: Target, blow: Blow, probe: &Probe, dice: &mut Dice) -> Duration {
    cluster.wait_until_well();
    std::thread::sleep(CALM);
    let begun = Instant::now();
    {
        let machine = target.machine(cluster, dice);
        eprintln!("{:?} {} ({target:?})", blow, machine.name);
        match blow {
            Blow::Killed => machine.lose_power(),
            Blow::Frozen => machine.freeze(),
        }
        std::thread::sleep(target.away());
        match blow {
            Blow::Killed => machine.start(),
            Blow::Frozen => machine.thaw(),
        }
    }
    cluster.wait_until_well();
    // The service is there again, also for the one who asks it all the time.
    let well = Instant::now();
    wait_until("bookings go on", || probe.last().is_some_and(|last| last > well));
    probe.longest_gap(begun)
}

#[test]
#[ignore = "needs etcd, PostgreSQL, Patroni and HAProxy, as root"]
fn any_machine_of_a_cluster_may_die_or_freeze_and_nothing_is_lost_or_doubled() {
    let seconds = setting("SCTEC_TEST_CLUSTER_SECONDS").unwrap_or(0);
    let seed = setting("SCTEC_TEST_CLUSTER_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("SCTEC_TEST_CLUSTER_SEED={seed} SCTEC_TEST_CLUSTER_SECONDS={seconds}");
    let mut cluster = Cluster::start();
    let urls = [cluster.scheduler_urls(), vec![cluster.url()]].concat();
    let (ledger, end) = (Ledger::default(), AtomicBool::new(false));
    let probe = Probe::new(cluster.url());
    let mut gaps: Vec<(Target, Blow, Duration)> = Vec::new();
    std::thread::scope(|scope| {
        let (ledger, end, urls, probe) = (&ledger, &end, urls.as_slice(), &probe);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let dice = Dice::new(seed ^ ((number + 1) << 32));
                let (name, agent) = (format!("c{number}"), agent(CLIENT_PATIENCE));
                let client = Booker { dice, name, urls, slots: SLOTS, ledger, agent, requests: 0 };
                scope.spawn(move || client.run(end))
            })
            .chain(std::iter::once(scope.spawn(move || probe.run(end))))
            .collect();
        let stop = Stop(end);
        let mut dice = Dice::new(seed);
        let blows = if seconds == 0 { &[Blow::Killed][..] } else { &[Blow::Killed, Blow::Frozen] };
        for &blow in blows {
            for target in TARGETS {
                gaps.push((target, blow, strike(&mut cluster, target, blow, probe, &mut dice)));
            }
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            let target = TARGETS[usize::try_from(dice.below(5)).unwrap()];
            let blow = if dice.below(2) == 0 { Blow::Killed } else { Blow::Frozen };
            gaps.push((target, blow, strike(&mut cluster, target, blow, probe, &mut dice)));
        }
        drop(stop);
        for client in clients {
            client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    tell(&gaps);
    eprintln!("{}", ledger.told().join("\n"));
    judge(&mut cluster, &ledger, &probe);
}

/// Stops the clients, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Prints the time without service for each kind of death.
fn tell(gaps: &[(Target, Blow, Duration)]) {
    let mut kinds: Vec<_> = gaps.iter().map(|(target, blow, _)| (*target, *blow)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let mut times: Vec<_> = gaps
            .iter()
            .filter(|(target, blow, _)| (*target, *blow) == kind)
            .map(|(.., gap)| gap.as_secs_f64())
            .collect();
        times.sort_by(f64::total_cmp);
        let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!("{kind:?}: {} times, without service for {median:.1} s, {most:.1} s at the most", times.len());
    }
}

/// Compares what clients were told with the trails of both schedulers and with the database.
fn judge(cluster: &mut Cluster, ledger: &Ledger, probe: &Probe) {
    cluster.wait_until_well();
    let seq = || -> u64 { cluster.sql("SELECT max(seq) FROM sctec.auditoria")[0].parse().unwrap() };
    let trail =
        |nth: usize| std::fs::read_to_string(cluster.schedulers[nth].folder().join("dados/audit.jsonl")).unwrap();
    // Both schedulers have written all of it.
    wait_until("both trails are whole", || {
        let all = usize::try_from(seq()).unwrap();
        (0..2).all(|nth| trail(nth).lines().count() == all)
    });
    let both = [trail(0), trail(1)];
    assert_eq!(both[0], both[1], "the trails differ");
    for scheduler in &cluster.schedulers {
        let folder = scheduler.folder().join("dados");
        let verified = run(&["audit", "--verify", folder.join("audit.jsonl").to_str().unwrap()]);
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        let mut compared = sctec();
        compared.args(["audit", "--verify", "--store", &cluster.store(), "--data-dir"]).arg(&folder);
        let compared = Cluster::with_password(&mut compared).output().unwrap();
        assert_eq!(compared.status.code(), Some(0), "{compared:?}");
    }
    let records: Vec<Value> = both[0].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let replayed = Replayed::of(&records, ledger);
    replayed.keeps(ledger);
    for id in probe.booked() {
        assert!(replayed.created.contains_key(&id), "booking {id} was acknowledged and is lost");
    }
    let rows = cluster.sql("SELECT id, status FROM sctec.agendamentos");
    let row = |row: &String| -> (i64, bool) {
        let (id, status) = row.split_once('|').unwrap();
        (id.parse().unwrap(), status == "AGENDADO")
    };
    let rows: HashMap<i64, bool> = rows.iter().map(row).collect();
    replayed.is(&rows);
    let active = rows.values().filter(|active| **active).count();
    let claims = cluster.sql("SELECT count(*) FROM sctec.horarios WHERE agendamento_id IS NOT NULL");
    assert_eq!(claims, [active.to_string()]);
    tokens_were_given_once(cluster);
    for machine in cluster.schedulers.iter_mut().chain(&mut cluster.coordinators) {
        assert_eq!(machine.stop(), Some(0), "{} does not stop cleanly", machine.name);
    }
    let (uncertain, made) = ledger.uncertain(&records);
    eprintln!(
        "{} bookings acknowledged, {} recorded, {} records: 0 slots twice, 0 lost; {uncertain} uncertain, of which {made} are in the database",
        ledger.acknowledged() + probe.booked().len(),
        replayed.created.len(),
        records.len()
    );
    assert!(ledger.acknowledged() > 20, "there were too few bookings for a test");
}

/// The tokens of each coordinator grow, and no token was given by both: each election begins above all that was given before.
fn tokens_were_given_once(cluster: &Cluster) {
    let of = |coordinator: &Machine| {
        let log = std::fs::read(coordinator.folder().join("dados/coordenador.log")).unwrap_or_default();
        granted(&String::from_utf8_lossy(&log))
    };
    let given: Vec<Vec<u64>> = cluster.coordinators.iter().map(of).collect();
    for tokens in &given {
        eprintln!("{} grants, tokens grow up to {}", tokens.len(), tokens_grow(tokens));
    }
    let mut all = given.concat();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "a token was given by both coordinators");
}
