//! Keeps a lease while the command runs, and ends the command when the lease is lost.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Instant;

use rust_i18n::t;
use rustix::process::Signal;
use tokio::time::{sleep, sleep_until, timeout_at};

use super::gate::{Gate, Lease, Loss, Renewed};
use super::running::Running;
use super::term::Term;
use crate::commands::output::tell;
use crate::commands::signals::Signals;
use crate::language::chain;

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
        let renewed = loop {
            tokio::select! {
                biased;
                status = running.ended() => return Ok((End::OfItself(status?), term)),
                signal = signals.next() => running.pass_on(signal),
                () = sleep_until(term.stop_at().into()) => break Renewed::Lost(Loss::NotRenewed),
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
