//! The runtime of the subcommands that serve or ask: tokio's, with as many file descriptors as the system allows.

use anyhow::Context;
use rust_i18n::t;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;

/// Starts the runtime, and raises the process's limit of file descriptors: each connection takes one.
pub fn runtime() -> anyhow::Result<Runtime> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A process that may not raise its limit serves fewer connections.
    let _ = setrlimit(Resource::Nofile, limit);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // tokio itself reads the environment variable where no number is given here.
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(workers());
    }
    builder.enable_all().build().with_context(|| t!("cannot start the runtime"))
}

/// How many threads serve requests: half of the processors. The other half is for the threads that write (database, trail,
/// log) and for the other service. With one thread for each processor they take the processors from each other: on two
/// processors a booking costs an eighth more processor time.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Runs a task to its end on this thread, with the process's limits as they are: a command that the task starts inherits them.
pub fn block_on_this_thread<T>(task: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .with_context(|| t!("cannot start the runtime"))?;
    let done = runtime.block_on(task);
    runtime.shutdown_background();
    Ok(done)
}

/// Runs a command's task to its end. A thread that still looks up a name, for a task that has given up on it, does not
/// hold up the exit.
pub fn block_on<T>(task: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let done = runtime.block_on(task);
    runtime.shutdown_background();
    Ok(done)
}
