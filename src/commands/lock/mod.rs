//! `lock`: runs a command under a lock of the coordinator's.
//!
//! `gate` asks the coordinator, and `queue` waits there; `term` says when a lease is renewed and when its command has to end; `keep`
//! does that, with the command as a child (`running`), the processes that it started (`family`), and the `signals` passed on to it.
//!
//! # What is promised
//! The lease's end is counted on this process's monotonic clock, from before the request was sent: it is never later than the
//! coordinator's. The command is killed by then. That holds while this process runs: if it is killed, or stopped, or if the machine
//! sleeps, the command may go on without the lock. So the storage that the lock protects must check the fencing token.

mod family;
mod gate;
mod keep;
mod queue;
mod running;
mod signals;
mod term;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use rust_i18n::t;
use tokio::time::{sleep, timeout_at};

use self::gate::{Asked, Gate, Holder, Lease};
use self::keep::{End, keep};
use self::running::{Running, exit_status};
use self::signals::PASSED_ON;
use self::term::Term;
use super::address::url_parser;
use super::caller::CallerArgs;
use super::locks::client::Client;
use super::locks::view::duration;
use super::outcome::{
    EXIT_COMMAND_NOT_FOUND, EXIT_COMMAND_NOT_STARTED, EXIT_LEASE_LOST, EXIT_LOCK_CANNOT_RUN, EXIT_LOCK_REFUSED,
};
use super::output::tell;
use super::runtime::block_on_this_thread;
use super::signals::{Signals, by_signal};
use super::values::parse_duration;
use crate::coordinator::protocol::{NAME_MAX_BYTES, TTL_MS_MAX, TTL_MS_MIN};
use crate::language::{chain, io_message};
use crate::time::{Clock, Timestamp};

/// The pause before a coordinator that can grant nothing now, or does not answer, is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a wait that was ended by a signal looks for a lease that was granted at the same moment.
const GIVING_UP: Duration = Duration::from_secs(1);

/// The variable with the locks that are held around a command, one per line: a `sctec lock` in it must not wait for them.
const HELD: &str = "SCTEC_LOCKS_HELD";

/// Arguments of `lock`.
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "sctec lock [OPTIONS] <NAME>... -- <COMMAND>...",
    after_help = "Examples:
  sctec lock nightly-backup -- ./backup.sh
  sctec lock report --wait 30s --ttl 5s -- sh -c 'write-report --token \"$SCTEC_TOKEN_FENCING\"'
  sctec lock report archive --wait -- make         both locks, or none

COMMAND finds in its environment: SCTEC_TOKEN_FENCING (the fencing token), SCTEC_LOCK_RESOURCES (the names, one per line) \
and SCTEC_LEASE_ID (a program that has it can renew and release the lock).

The lock is renewed after each third of the TTL, and released when COMMAND ends, even if it leaves processes behind. If no renewal succeeds until two thirds of the \
TTL have passed, COMMAND and the processes that it started get SIGTERM, and SIGKILL just before the lock expires. If the lock was released by \
force, the next renewal notices it: SIGTERM at once, SIGKILL a third of the TTL later. If sctec lock itself is killed or stopped, or the machine sleeps, \
COMMAND may go on without the lock. So may a process that has detached itself from COMMAND (a daemon): it gets no signal. The storage \
must check the fencing token.

Signals (INT, QUIT, TERM, HUP, USR1, USR2) are passed on to COMMAND.

Exit status: that of COMMAND; 128+N if signal N ended it; 123 the lock is held by another, 124 the lock was lost, 125 the lock could \
not be asked for, 126 COMMAND could not be started, 127 COMMAND was not found."
)]
pub(super) struct LockArgs {
    /// The locks' names: any text of up to 200 bytes. Of several names all are locked, or none
    #[arg(required = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    names: Vec<String>,
    /// The lock's time to live, from 100ms to 5min: how long it outlives a machine that fails
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = parse_ttl)]
    ttl: Duration,
    /// Wait for the lock, first come, first served, up to DURATION (as 30s) or without limit
    #[arg(long, num_args = 0..=1, value_name = "DURATION", value_parser = parse_wait)]
    #[expect(clippy::option_option, reason = "not given, given alone, given with a duration")]
    wait: Option<Option<Duration>>,
    /// The holder's name in the list of locks (default: COMMAND@HOST:PID)
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    owner: Option<String>,
    /// The coordinator's URL. Comma-separate several addresses of it for failover
    #[arg(
        long,
        env = "SCTEC_COORDINATOR",
        default_value = "http://127.0.0.1:3000",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = url_parser()
    )]
    coordinator: Vec<String>,
    /// Options of the call.
    #[command(flatten)]
    caller: CallerArgs,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_millis(TTL_MS_MIN)..=Duration::from_millis(TTL_MS_MAX);
    parse_duration(text).and_then(|ttl| {
        if bounds.contains(&ttl) { Ok(ttl) } else { Err(t!("should be from 100ms to 5min").into_owned()) }
    })
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| t!("%{wrong}; write the NAME before --wait", wrong = error).into_owned())
}

/// Runs the command under the lock. It has an exit status of its own for each failure.
pub fn run(args: &LockArgs) -> ExitCode {
    let status = block_on_this_thread(locked(args)).and_then(|status| status).unwrap_or_else(|error| {
        tell(chain(error.as_ref()));
        EXIT_LOCK_CANNOT_RUN
    });
    ExitCode::from(status)
}

/// Takes the lock, runs the command, and releases the lock. Returns the exit status.
async fn locked(args: &LockArgs) -> anyhow::Result<u8> {
    check(&args.names)?;
    let gate = Gate {
        client: Client::new(&args.coordinator, &args.caller.security(&args.coordinator)?)?,
        names: args.names.clone(),
        owner: args.owner.clone().unwrap_or_else(|| default_owner(&args.command[0])),
        request_id: format!("{:016x}", getrandom::u64().context(t!("the system gives no random numbers"))?),
        ttl: args.ttl,
    };
    let mut signals = Signals::taken(PASSED_ON).context(t!("cannot watch for signals"))?;
    let lease = tokio::select! {
        biased;
        // The closed connection takes the request out of the queue.
        signal = signals.next() => {
            if args.wait.is_some() {
                give_up(&gate, &mut signals).await;
            }
            return Ok(by_signal(signal.as_raw()));
        }
        acquired = acquire(&gate, args.wait) => match acquired? {
            Ok(lease) => lease,
            Err(holder) => {
                let advice = if args.wait.is_some() { t!("the wait is over") } else { t!("to wait for it, use --wait") };
                tell(format_args!("{}; {advice}", said(&holder, Clock::system().now())));
                return Ok(EXIT_LOCK_REFUSED);
            }
        },
    };
    let variables = [
        ("SCTEC_TOKEN_FENCING", lease.token.to_string()),
        ("SCTEC_LOCK_RESOURCES", gate.names.join("\n")),
        ("SCTEC_LEASE_ID", lease.id.to_string()),
        (HELD, held_with(lease.token, &gate.names)),
    ];
    let (program, arguments) = args.command.split_first().expect("clap requires a command");
    let mut running = match Running::start(program, arguments, variables) {
        Ok(running) => running,
        Err(error) => {
            release(&gate, &lease, lease.term).await;
            tell(t!("cannot run %{program}: %{why}", program = program.display(), why = io_message(&error)));
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            return Ok(if is_missing { EXIT_COMMAND_NOT_FOUND } else { EXIT_COMMAND_NOT_STARTED });
        }
    };
    let (end, term) =
        keep(&gate, &lease, &mut running, &mut signals).await.context(t!("cannot wait for the command"))?;
    let was_held = release(&gate, &lease, term).await;
    Ok(match end {
        End::OfItself(status) if was_held => exit_status(status),
        End::OfItself(_) | End::LeaseLost => EXIT_LEASE_LOST,
    })
}

/// Refuses names that no coordinator takes, before one is asked.
fn check(names: &[String]) -> anyhow::Result<()> {
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            bail!("{}", t!("%{name} is named twice; give each name once", name = name));
        }
        if matches!(name.as_str(), "." | "..") {
            bail!("{}", t!("a lock cannot be named . or ..; choose another name"));
        }
    }
    Ok(())
}

/// Whether the holder is a `sctec lock` that runs this one, at any depth: a wait for it would never end.
fn is_ours(holder: &Holder) -> bool {
    let held = std::env::var(HELD).unwrap_or_default();
    holder.token.is_some_and(|token| held.lines().any(|line| line == held_line(token, &holder.recurso)))
}

/// The locks that the command holds: those of this process, and those that its own callers hold.
fn held_with(token: u64, names: &[String]) -> String {
    let outer = std::env::var(HELD).unwrap_or_default();
    let own = names.iter().map(|name| held_line(token, name));
    outer.lines().map(str::to_owned).chain(own).collect::<Vec<_>>().join("\n")
}

fn held_line(token: u64, name: &str) -> String {
    format!("{token} {name}")
}

/// Asks for the lock, and waits for it if that is wanted: for how long, or without limit.
///
/// # Errors
/// When no coordinator answers, or it can grant no lock, or the command that runs this one has it.
#[expect(clippy::option_option, reason = "not given, given alone, given with a duration")]
async fn acquire(gate: &Gate, wait: Option<Option<Duration>>) -> anyhow::Result<Result<Lease, Holder>> {
    let until = wait.map(|limit| limit.map(|limit| Instant::now() + limit));
    let mut told = false;
    match (gate.lock(Duration::ZERO, Instant::now()).await?, until) {
        (Asked::Granted(lease), _) => return Ok(Ok(lease)),
        (Asked::Busy(holder), _) if is_ours(&holder) => {
            bail!("{}", t!("%{name} is already held by the command that runs this one", name = holder.recurso));
        }
        (Asked::Busy(holder), None) => return Ok(Err(holder)),
        (Asked::Busy(holder), Some(_)) => {
            tell(t!("%{reason}; waiting", reason = said(&holder, Clock::system().now())));
        }
        (Asked::Later(error), None) => return Err(error.into()),
        (Asked::Later(error), Some(_)) => {
            tell(t!("%{reason}; waiting", reason = error));
            told = true;
        }
    }
    let until = until.flatten();
    loop {
        let error = match queue::wait(gate, until, queue::ONE_WAIT).await {
            Ok(Asked::Granted(lease)) => return Ok(Ok(lease)),
            Ok(Asked::Busy(holder)) => return Ok(Err(holder)),
            Ok(Asked::Later(error)) => error,
            // It may be restarted just now; the wait goes on at the end of the queue.
            Err(error) if error.is_unreachable() => error,
            Err(error) => return Err(error.into()),
        };
        if until.is_some_and(|until| until <= Instant::now() + PAUSE) {
            return Err(error.into());
        }
        if !told {
            tell(t!("%{reason}; still waiting", reason = chain(&error)));
            told = true;
        }
        sleep(PAUSE).await;
    }
}

/// Releases the lease that may have been granted just as the wait was ended: the same request again is given the same lease. Another
/// signal ends this at once.
async fn give_up(gate: &Gate, signals: &mut Signals) {
    let released = async {
        if let Ok(Asked::Granted(lease)) = gate.lock(Duration::ZERO, Instant::now()).await {
            // It expires by itself if this fails.
            let _ = gate.release(lease.id).await;
        }
    };
    tokio::select! {
        biased;
        _ = signals.next() => {}
        () = released => {}
        () = sleep(GIVING_UP) => {}
    }
}

/// Releases the lease, unless it ends before that; returns whether it was held until now.
async fn release(gate: &Gate, lease: &Lease, term: Term) -> bool {
    if term.ends() <= Instant::now() {
        // As after this process was stopped, or the machine slept.
        tell(t!("the lock had expired before it could be released"));
        return false;
    }
    let unconfirmed = |error: String| {
        let left = term.ends().saturating_duration_since(Instant::now()).as_secs_f64();
        tell(t!(
            "cannot release the lock: %{failure}; it ends by itself in %{seconds} s",
            failure = error,
            seconds = format!("{left:.1}")
        ));
        true
    };
    match timeout_at(term.ends().into(), gate.release(lease.id)).await {
        Ok(Ok(None)) => true,
        Ok(Ok(Some(loss))) => {
            tell(t!("the lock was lost before the command ended: %{why}", why = loss));
            false
        }
        Ok(Err(error)) => unconfirmed(chain(&error)),
        Err(_) => unconfirmed(t!("no answer came").into_owned()),
    }
}

/// Who has the lock, and until when.
fn said(holder: &Holder, now: Timestamp) -> String {
    let Holder { recurso: name, dono, token, expira_em_ms, retido, fila } = holder;
    let Some(left) = *expira_em_ms else {
        let said = match *fila {
            0 => t!("%{name} is kept free for a request that waited for it", name = name),
            1 => t!("%{name} is promised to the request that waits for it", name = name),
            n => t!("%{name} is promised to the first of the %{n} requests that wait for it", name = name, n = n),
        };
        return said.into_owned();
    };
    let until = t!(
        "until %{instant} (%{duration} from now)",
        instant = now.saturating_add(Duration::from_millis(left)).seconds(),
        duration = duration(left)
    );
    let mut text = match (retido, dono) {
        (true, _) => t!("%{name} was released just now and stays refused %{until}", name = name, until = until),
        (false, Some(owner)) => t!(
            "%{name} is held by %{owner} %{until} or longer, if it is renewed",
            name = name,
            owner = owner,
            until = until
        ),
        (false, None) => {
            t!("%{name} is held, by no named owner, %{until} or longer, if it is renewed", name = name, until = until)
        }
    }
    .into_owned();
    if let Some(token) = token {
        text += "; ";
        text += &t!("token %{token}", token = token);
    }
    if *fila > 0 {
        text += "; ";
        text += &t!("waiting requests: %{n}", n = fila);
    }
    text
}

/// A name that tells an operator which process holds the lock.
fn default_owner(program: &OsString) -> String {
    let command = Path::new(program).file_name().map_or_else(|| "?".into(), |name| name.to_string_lossy());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let rest = format!("@{}:{}", host.trim(), std::process::id());
    let mut name: String = command.chars().filter(|c| !c.is_control()).collect();
    while name.len() + rest.len() > NAME_MAX_BYTES && name.pop().is_some() {}
    format!("{name}{rest}")
}
