//! What becomes of a panic, which is always a fault of ours.
//!
//! Answering a request is *guarded*: a panic there is that request's failure and nobody else's. Everything else is a part of
//! the service that it cannot do without: the thread that writes the database, the one that exports the trail, the task that
//! ends leases. A panic ends such a part without a word, and its work is not done any more. So a panic that is not guarded
//! stops the process, with an error, and who watches over the process starts it anew.
//!
//! A guard is an ordinary `catch_unwind`. What is not guarded is noticed by a hook, which the executable installs: a program that
//! embeds the services as a library has a hook of its own, or none.

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
    /// How many guards this thread is inside of now.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
    /// The last guarded panic of this thread, with its place, which the payload does not have.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static FALLEN: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
static WHY: OnceLock<String> = OnceLock::new();

/// A panic that was caught: what it said, and where it was if that is known.
#[derive(Clone, Debug)]
pub struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets the process notice every panic that is not guarded: see [`fallen`]. A guarded one is not printed; who caught it says it.
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
    // Only the first: it is the cause, others may be its consequences.
    let _ = WHY.set(why);
    FALLEN.cancel();
}

/// Completes once there was a panic that was not guarded, and says where and why.
pub async fn fallen() -> String {
    FALLEN.cancelled().await;
    why_fallen().unwrap_or_default()
}

/// Where and why there was a panic that was not guarded, if there was one.
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

/// Calls a function, which returns or panics. After a panic, what it was changing may be half changed: the caller must see that nobody
/// uses that.
///
/// # Errors
/// [`Panicked`].
pub fn guarded_call<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    GUARDS.set(GUARDS.get() + 1);
    let called = catch_unwind(AssertUnwindSafe(call));
    GUARDS.set(GUARDS.get() - 1);
    called.map_err(|payload| Panicked::from_payload(payload.as_ref()))
}

/// Runs what blocks on a thread of its own. A panic there goes on in the caller.
///
/// # Errors
/// When the runtime is ending.
pub async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    join(tokio::task::spawn_blocking(move || guarded_call(run))).await
}

/// Waits for a task that is [`guarded`]. A panic there goes on in the caller.
///
/// # Errors
/// When the runtime is ending.
pub async fn join<T>(task: JoinHandle<Result<T, Panicked>>) -> Result<T, JoinError> {
    match task.await? {
        Ok(value) => Ok(value),
        Err(panicked) => {
            if GUARDS.get() == 0 {
                // It was guarded for a caller who is not, and no hook is called again.
                fall(panicked.to_string());
            }
            resume_unwind(Box::new(panicked))
        }
    }
}

impl Panicked {
    fn from_payload(payload: &(dyn Any + Send)) -> Self {
        // One that goes on from another thread brings its own words, and the hook has not seen it here.
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
