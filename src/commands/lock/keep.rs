//! Keeps a lease while the command runs, and ends the command when the lease is lost.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rust_i18n::t;
use rustix::process::Signal;
use tokio::time::{sleep, sleep_until, timeout_at};

use super::gate::{Gate, Lease, Loss, Renewed};
use super::running::Running;
use super::term::Term;
use crate::commands::output::tell;
use crate::commands::signals::Signals;
use crate::language::chain;
use crate::time::since_boot;

/// How often it is seen whether the machine has slept.
const LOOK_FOR_SLEEP: Duration = Duration::from_millis(500);
/// The shortest sleep that counts: two clocks are not read at the same instant.
const SHORT_SLEEP: Duration = Duration::from_millis(20);

/// How a command came to its end.
pub enum End {
    /// It ended by itself, or by a signal that others sent.
    OfItself(ExitStatus),
    /// The lease was lost, and the command was ended.
    LeaseLost,
}

/// Waits for the end of the command. Returns how it came, and the lease's term as it was then.
///
/// # Errors
/// When the system cannot tell how the command ended.
pub async fn keep(gate: &Gate, lease: &Lease, running: &mut Running, signals: &mut Signals) -> io::Result<(End, Term)> {
    let mut term = lease.term;
    loop {
        let mut renewal = pin!(renewed(gate, lease, term));
        let mut slept = pin!(slept(since_boot));
        let renewed = loop {
            tokio::select! {
                biased;
                status = running.ended() => return Ok((End::OfItself(status?), term)),
                signal = signals.next() => running.pass_on(signal),
                () = sleep_until(term.stop_at().into()) => break Renewed::Lost(Loss::NotRenewed),
                slept = &mut slept => break Renewed::Until(term.sooner(slept)),
                renewed = &mut renewal => break renewed,
            }
        };
        match renewed {
            Renewed::Until(later) => term = later,
            Renewed::Lost(loss) => {
                tell(t!("the lock is lost: %{why}; ending the command", why = loss));
                end(running, term).await?;
                return Ok((End::LeaseLost, term));
            }
        }
    }
}

/// Completes when the machine has slept, with how long: no timer of this process notices it. `boot` tells the time since the machine's start,
/// the sleep included.
async fn slept(boot: impl Fn() -> Duration) -> Duration {
    let (begun, awake) = (boot(), Instant::now());
    loop {
        sleep(LOOK_FOR_SLEEP).await;
        // Read in this order, a pause in between makes the sleep shorter than it was, and not longer.
        let whole = boot().saturating_sub(begun);
        let slept = whole.saturating_sub(awake.elapsed());
        if slept > SHORT_SLEEP {
            return slept;
        }
    }
}

/// Renews the lease when it is time, and tries again until it is renewed or lost.
async fn renewed(gate: &Gate, lease: &Lease, term: Term) -> Renewed {
    sleep_until(term.renew_at().into()).await;
    let mut complained = false;
    loop {
        match gate.renew(lease.id).await {
            Ok(renewed) => return renewed,
            Err(error) if !complained => {
                let left = term.stop_at().saturating_duration_since(Instant::now()).as_secs_f64();
                tell(t!(
                    "cannot renew the lock: %{failure}; the command is ended in %{seconds} s unless a renewal succeeds",
                    failure = chain(&error),
                    seconds = format!("{left:.1}")
                ));
                complained = true;
            }
            Err(_) => {}
        }
        sleep(term.pause()).await;
    }
}

/// Ends the command and what it started: SIGTERM now, SIGKILL before the lease's end.
async fn end(running: &mut Running, term: Term) -> io::Result<()> {
    let kill_at = term.kill_at(Instant::now());
    let mut family = running.family();
    family.signal(Signal::TERM);
    if family.is_empty() {
        running.pass_on(Signal::TERM);
    }
    // A stopped process acts on it only when it goes on.
    family.signal(Signal::CONT);
    // The family's wait blocks the thread of the runtime, where no other task runs.
    let in_time = timeout_at(kill_at.into(), running.ended()).await.is_ok() && family.ended(kill_at);
    if !in_time {
        family.kill();
        running.kill();
        running.ended().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_sleep_of_the_machine_is_noticed_and_nothing_else_is() {
        let (begun, asleep) = (Instant::now(), Cell::new(Duration::ZERO));
        let mut slept = pin!(slept(|| begun.elapsed() + asleep.get()));
        assert!(tokio::time::timeout(3 * LOOK_FOR_SLEEP, &mut slept).await.is_err());
        asleep.set(Duration::from_secs(7));
        let slept = slept.await;
        assert!((Duration::from_secs(6)..=Duration::from_secs(7)).contains(&slept), "{slept:?}");
    }
}
