//! The handling of panics. A panic is always a defect of this program.
//!
//! The code that answers a request is *guarded*: a panic there fails only that request. All other tasks and threads are needed by
//! the whole service: the writer of the database, the exporter of the trail, the sweeper of leases. A panic would end such a task
//! silently. So a panic that is not guarded stops the process with an error, and its supervisor (systemd, a container engine)
//! starts it again.
//!
//! A guard is a `catch_unwind`. A panic hook notices all other panics. The executable installs the hook; a program that uses the
//! services as a library may choose not to.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{LazyLock, OnceLock};
use std::task::Poll;

use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

thread_local! {
    /// How many guards are on this thread's stack.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
    /// The last guarded panic of this thread with its place in the source, which the payload lacks.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static FALLEN: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
static WHY: OnceLock<String> = OnceLock::new();

/// A panic that was caught: its message, and its place in the source if that is known.
#[derive(Clone, Debug)]
pub struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Installs the hook that notices every panic that is not guarded: see [`fallen`]. A guarded panic is not printed, because the
/// caller of the guard logs it.
pub fn install_hook() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if GUARDS.get() > 0 {
            LAST.set(Some(described(info)));
            return;
        }
        usual(info);
        fall(described(info));
    }));
}

fn fall(why: String) {
    // Only the first panic is kept: later ones may be its consequences.
    let _ = WHY.set(why);
    FALLEN.cancel();
}

/// Completes after a panic that was not guarded, with its message and place.
pub async fn fallen() -> String {
    FALLEN.cancelled().await;
    why_fallen().unwrap_or_default()
}

/// The message and place of the first panic that was not guarded, if there was one.
pub fn why_fallen() -> Option<String> {
    WHY.get().cloned()
}

/// Runs a future to its end, or to its panic.
///
/// # Errors
/// [`Panicked`].
pub async fn guarded<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| match guarded_call(|| future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// Calls a function that may panic. After a panic, the values it was changing may be half changed: the caller must not use them
/// again.
///
/// # Errors
/// [`Panicked`].
pub fn guarded_call<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    GUARDS.set(GUARDS.get() + 1);
    let called = catch_unwind(AssertUnwindSafe(call));
    GUARDS.set(GUARDS.get() - 1);
    called.map_err(|payload| Panicked::from_payload(payload.as_ref()))
}

/// Runs blocking code on a thread for blocking code. A panic there continues in the caller.
///
/// # Errors
/// When the runtime is ending.
pub async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    join(tokio::task::spawn_blocking(move || guarded_call(run))).await
}

/// Waits for a task that is [`guarded`]. A panic there continues in the caller.
///
/// # Errors
/// When the runtime is ending.
pub async fn join<T>(task: JoinHandle<Result<T, Panicked>>) -> Result<T, JoinError> {
    Ok(continued(task.await?))
}

/// The value of what was [`guarded`]. A panic there continues here.
pub fn continued<T>(guarded: Result<T, Panicked>) -> T {
    guarded.unwrap_or_else(|panicked| {
        if GUARDS.get() == 0 {
            // It was guarded and its caller is not. `resume_unwind` calls no hook, so the panic is reported here.
            fall(panicked.to_string());
        }
        resume_unwind(Box::new(panicked))
    })
}

impl Panicked {
    fn from_payload(payload: &(dyn Any + Send)) -> Self {
        // A panic that continues from another thread carries its description: the hook did not run in this thread.
        if let Some(panicked) = payload.downcast_ref::<Self>() {
            return panicked.clone();
        }
        Self(LAST.take().unwrap_or_else(|| said(payload)))
    }
}

fn described(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |place| format!(" ({}:{})", place.file(), place.line()));
    format!("{}{place}", said(info.payload()))
}

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("sem texto"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_guarded_panic_is_a_value_before_and_after_an_await() {
        assert_eq!(guarded(async { 7 }).await.unwrap(), 7);
        let here = guarded(async {
            tokio::task::yield_now().await;
            panic!("aqui");
        });
        assert_eq!(here.await.unwrap_err().to_string(), "panic: aqui");
        let number = 3;
        let elsewhere = guarded(async { blocking(move || panic!("lá {number}")).await.is_ok() });
        assert_eq!(elsewhere.await.unwrap_err().to_string(), "panic: lá 3");
        let task = tokio::spawn(guarded(async { panic!("numa tarefa") }));
        let task: Result<Result<(), _>, _> = guarded(join(task)).await;
        assert_eq!(task.unwrap_err().to_string(), "panic: numa tarefa");
        assert_eq!(GUARDS.get(), 0);
    }
}
