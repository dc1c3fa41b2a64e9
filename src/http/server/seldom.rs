//! A future that completes seldom, beside one that is polled often.
//!
//! A task that waits for several futures polls all of them each time that one of them wakes it. A connection's task is polled several times
//! for each request. Beside the request it waits for the order to close the connection and for the stop of the service, which come once or
//! never. Polling these two takes locks, and all connections share one of the locks. So a [`Seldom`] has a waker of its own, and is polled
//! only after that waker was used.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// A future that is polled at first, and then only when it has woken its task.
pub struct Seldom<'a, F> {
    future: Pin<&'a mut F>,
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
}

/// What the future wakes.
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<'a, F: Future> Seldom<'a, F> {
    /// The future, which nobody else polls any more.
    pub fn new(future: Pin<&'a mut F>) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future, waker: Arc::clone(&bell).into(), bell }
    }
}

impl<F: Future> Future for Seldom<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Registered first: the bell that rings after the look below wakes the task.
        self.bell.task.register(cx.waker());
        if !self.bell.rung.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        let Self { future, waker, .. } = &mut *self;
        future.as_mut().poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_when_it_was_woken_and_not_when_its_task_was() {
        let (tell, told) = oneshot::channel();
        let (mut told, polls) = (told, Cell::new(0));
        let mut future = pin!(std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            told.poll_unpin(cx)
        }));
        let mut seldom = Seldom::new(future.as_mut());
        for _ in 0..10 {
            assert!((&mut seldom).now_or_never().is_none());
        }
        assert_eq!(polls.get(), 1);
        tell.send(7).unwrap();
        assert_eq!((&mut seldom).now_or_never(), Some(Ok(7)));
        assert_eq!(polls.get(), 2);
    }

    #[tokio::test]
    async fn its_task_wakes_up_when_it_completes() {
        let (tell, told) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut told = pin!(told);
            Seldom::new(told.as_mut()).await
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        tell.send(7).unwrap();
        assert_eq!(task.await.unwrap(), Ok(7));
    }
}
