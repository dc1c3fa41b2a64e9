//! Adaptive batching: the items that arrive while one batch is in flight are the next batch.
//!
//! A request to the coordinator, a commit and a write of the log each cost a round trip or an fdatasync, for one item or for a
//! hundred. Each has one consumer. It takes all waiting items, processes them as one batch, and then takes the next batch. A
//! single item is processed at once; under load the batches grow and share the cost. There is no timer and no parameter.
//!
//! # Locking
//!
//! A std mutex protects a plain `Vec`. It is held for a push or a swap, and never across an await.
//!
//! # Why not tokio's mpsc
//!
//! `recv_many` takes batches too, and it is as fast where a batch takes a millisecond. But the log needs two things that tokio's
//! channel does not have: a bounded `send` that blocks a thread of the runtime (`blocking_send` panics there), and a consumer
//! thread that wakes up after a time without items. tokio's channel for the other consumers would bring no gain: with 64 tasks
//! that send lines of 64 bytes to a thread, a line costs 0.05 µs of CPU time with this queue and 0.13 µs with tokio's (tokio
//! 1.54, 2 cores, medians of three). Only a single task that sends an item and waits for the answer is faster with tokio's: 4 µs
//! instead of 7 µs with a consumer thread. A booking takes milliseconds.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The producers' end. After the last clone is dropped, the consumer gets the remaining items and then ends.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The consumer's end, which cannot be cloned.
pub struct Batches<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Wakes a consumer that is a thread.
    filled: Condvar,
    /// Wakes a consumer that is a task.
    filled_async: Notify,
    /// Wakes producers that are waiting for room.
    drained: Condvar,
    capacity: usize,
}

struct State<T> {
    waiting: Vec<T>,
    senders: usize,
    /// Whether the consumer is a thread that waits for an item. To wake one that does not is a system call for nothing.
    consumer_waits: bool,
    consumer_gone: bool,
    /// Whether the consumer is to return without an item.
    nudged: bool,
}

/// Wakes the consumer without an item. It keeps neither the queue nor its consumer.
pub struct Nudge<T> {
    shared: Weak<Shared<T>>,
}

impl<T> Nudge<T> {
    /// Lets [`Batches::next_within`] return, now or when it is next called. False if there is no consumer any more.
    pub fn wake(&self) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        let mut state = shared.state();
        state.nudged = true;
        let (is_there, consumer_waits) = (!state.consumer_gone, state.consumer_waits);
        drop(state);
        shared.wake_consumer(consumer_waits);
        is_there
    }
}

impl<T> Clone for Nudge<T> {
    fn clone(&self) -> Self {
        Self { shared: Weak::clone(&self.shared) }
    }
}

/// A queue whose consumer takes batches.
///
/// At most `capacity` items wait. When the queue is full, `send` blocks its thread until the consumer takes the items. If each item
/// belongs to a request, the limit on requests already bounds the queue, and `capacity` may be `usize::MAX`.
pub fn queue<T>(capacity: usize) -> (Sender<T>, Batches<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            waiting: Vec::new(),
            senders: 1,
            consumer_waits: false,
            consumer_gone: false,
            nudged: false,
        }),
        filled: Condvar::new(),
        filled_async: Notify::new(),
        drained: Condvar::new(),
        capacity,
    });
    (Sender { shared: Arc::clone(&shared) }, Batches { shared })
}

impl<T> Shared<T> {
    /// A poisoned mutex is still usable: no code panics between two changes of the state.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a consumer that is a task, and one that is a thread if that waits.
    fn wake_consumer(&self, waits: bool) {
        if waits {
            self.filled.notify_one();
        }
        self.filled_async.notify_one();
    }
}

impl<T> Sender<T> {
    /// Adds an item. Blocks the thread while the queue is full.
    ///
    /// # Errors
    /// Gives the item back when the consumer is gone.
    pub fn send(&self, item: T) -> Result<(), T> {
        self.send_with(|| item)
    }

    /// Adds the item that `make` gives. It is called when the item has its place, with the queue locked: so items that carry the
    /// instant of their making stand in the order of these instants. It must be quick. Blocks the thread while the queue is full.
    ///
    /// # Errors
    /// Gives the item back when the consumer is gone.
    pub fn send_with(&self, make: impl FnOnce() -> T) -> Result<(), T> {
        let mut state = self.shared.state();
        while state.waiting.len() >= self.shared.capacity && !state.consumer_gone {
            state = self.shared.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Self::push(&self.shared, state, make())
    }

    /// Adds an item if there is room and a consumer.
    ///
    /// # Errors
    /// Gives the item back when the queue is full or the consumer is gone.
    pub fn try_send(&self, item: T) -> Result<(), T> {
        let state = self.shared.state();
        if state.waiting.len() >= self.shared.capacity {
            return Err(item);
        }
        Self::push(&self.shared, state, item)
    }

    fn push(shared: &Shared<T>, mut state: MutexGuard<'_, State<T>>, item: T) -> Result<(), T> {
        if state.consumer_gone {
            return Err(item);
        }
        state.waiting.push(item);
        // The consumer sleeps only while the queue is empty, so only the first item wakes it.
        let (is_first, consumer_waits) = (state.waiting.len() == 1, state.consumer_waits);
        drop(state);
        if is_first {
            shared.wake_consumer(consumer_waits);
        }
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.state().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.senders -= 1;
        let (is_last, consumer_waits) = (state.senders == 0, state.consumer_waits);
        drop(state);
        if is_last {
            self.shared.wake_consumer(consumer_waits);
        }
    }
}

impl<T> Batches<T> {
    /// Takes all waiting items into `batch`, in the order in which they were sent. Blocks the thread until there is an item. `None`
    /// when all senders are dropped and no item is left. `batch` is emptied first, and its allocation is reused.
    pub fn next(&mut self, batch: &mut Vec<T>) -> Option<()> {
        loop {
            // One unneeded wake-up an hour costs nothing.
            self.next_within(batch, Duration::from_secs(3600))?;
            if !batch.is_empty() {
                return Some(());
            }
        }
    }

    /// Whether no item waits.
    pub fn is_empty(&self) -> bool {
        self.shared.state().waiting.is_empty()
    }

    /// What wakes this consumer without an item.
    pub fn nudge(&self) -> Nudge<T> {
        Nudge { shared: Arc::downgrade(&self.shared) }
    }

    /// Like [`Batches::next`], but after `patience` without an item, or a [`Nudge`], it returns with an empty batch.
    pub fn next_within(&mut self, batch: &mut Vec<T>, patience: Duration) -> Option<()> {
        batch.clear();
        let asked = Instant::now();
        let mut state = self.shared.state();
        loop {
            if !state.waiting.is_empty() {
                self.take(state, batch);
                return Some(());
            }
            if state.senders == 0 {
                return None;
            }
            if std::mem::take(&mut state.nudged) {
                return Some(());
            }
            let Some(left) = patience.checked_sub(asked.elapsed()).filter(|left| !left.is_zero()) else {
                return Some(());
            };
            state.consumer_waits = true;
            state = self.shared.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.consumer_waits = false;
        }
    }

    /// Like [`Batches::next`], for a consumer that is a task. The future may be dropped: no item is lost.
    pub async fn next_async(&mut self, batch: &mut Vec<T>) -> Option<()> {
        batch.clear();
        loop {
            {
                let state = self.shared.state();
                if !state.waiting.is_empty() {
                    self.take(state, batch);
                    return Some(());
                }
                if state.senders == 0 {
                    return None;
                }
            }
            // `Notify` stores a wake-up that comes between the check and this await.
            self.shared.filled_async.notified().await;
        }
    }

    /// Moves items that wait now to the end of `batch`, in the order in which they were sent, until that has `most` items.
    pub fn add_waiting(&mut self, batch: &mut Vec<T>, most: usize) {
        let mut state = self.shared.state();
        let was_full = state.waiting.len() >= self.shared.capacity;
        let taken = state.waiting.len().min(most.saturating_sub(batch.len()));
        batch.extend(state.waiting.drain(..taken));
        drop(state);
        if was_full && taken > 0 {
            self.shared.drained.notify_all();
        }
    }

    /// Adds an item of the consumer's own, as [`Sender::send_with`] does, but without a limit: the consumer cannot wait for itself.
    pub fn add_with(&self, make: impl FnOnce() -> T) {
        let mut state = self.shared.state();
        let item = make();
        state.waiting.push(item);
    }

    fn take(&self, mut state: MutexGuard<'_, State<T>>, batch: &mut Vec<T>) {
        std::mem::swap(&mut state.waiting, batch);
        let was_full = batch.len() >= self.shared.capacity;
        drop(state);
        if was_full {
            self.shared.drained.notify_all();
        }
    }
}

impl<T> Drop for Batches<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.consumer_gone = true;
        // The items that are left are dropped now: each may hold a channel whose receiver waits for an answer.
        let abandoned = std::mem::take(&mut state.waiting);
        drop(state);
        self.shared.drained.notify_all();
        drop(abandoned);
    }
}

#[cfg(test)]
mod tests;
