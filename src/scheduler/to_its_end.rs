//! Work that ends also when its client goes away. It is done in the client's own task as long as that waits for it, and from then on in
//! a task of its own: a task for each would wake another thread for each.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TrackedFuture;

use crate::panics::{continued, guarded};

/// Does `work`, which counts among `tasks` until its end. If this is dropped before, the work goes on. A panic in it continues in
/// the caller. The work has a box of its own at first: else each function on its way would copy it.
pub fn to_its_end<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send {
    let mut waited_for = WaitedFor(Some(Box::pin(tasks.track_future(guarded(Box::pin(work))))));
    poll_fn(move |cx| waited_for.poll(cx)).map(continued)
}

/// Work that is not at its end, unless it is taken away.
struct WaitedFor<F>(Option<Pin<Box<TrackedFuture<F>>>>)
where
    F: Future<Output: Send> + Send + 'static;

impl<F> WaitedFor<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<F> Drop for WaitedFor<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        // Nobody waits any more. Without a runtime nobody is left either who could do it.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_for_it() {
        let tasks = TaskTracker::new();
        let (go_on, may_go_on) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let work = async move {
            may_go_on.await.unwrap();
            done.send("feito").unwrap();
        };
        let mut waiting = Box::pin(to_its_end(&tasks, work));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(tasks.len(), 1);
        drop(waiting);
        assert_eq!(tasks.len(), 1);
        go_on.send(()).unwrap();
        assert_eq!(is_done.await.unwrap(), "feito");
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn its_result_and_its_panic_are_the_callers() {
        let tasks = TaskTracker::new();
        assert_eq!(to_its_end(&tasks, async { 7 }).await, 7);
        let panicked = guarded(to_its_end(&tasks, async { panic!("aqui") })).await;
        assert_eq!(panicked.map(|(): ()| ()).unwrap_err().to_string(), "panic: aqui");
        assert_eq!(tasks.len(), 0);
    }
}
