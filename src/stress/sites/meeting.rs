//! Where threads wait for one another, and none waits for one that is gone: a panic or an error of one ends the waiting of all.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A place where so many threads meet, again and again.
pub struct Meeting {
    members: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many wait.
    waiting: usize,
    /// How often all have met.
    met: u64,
    /// Whether a member is gone: there are no more meetings.
    is_over: bool,
}

/// A member is gone, so there will be no meeting.
#[derive(Debug, PartialEq, Eq)]
pub struct Over;

/// A thread's seat. When it is dropped, also by a panic, the thread is gone.
pub struct Seat<'a>(&'a Meeting);

impl Meeting {
    /// A meeting of so many.
    pub fn of(members: usize) -> Self {
        Self { members, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes part from now on.
    pub fn join(&self) -> Seat<'_> {
        Seat(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat<'_> {
    /// Waits for all others, and says whether this one came last.
    ///
    /// # Errors
    /// [`Over`], if one is gone that has not come.
    pub fn wait(&self) -> Result<bool, Over> {
        let mut state = self.0.state();
        if state.is_over {
            return Err(Over);
        }
        state.waiting += 1;
        if state.waiting == self.0.members {
            state.waiting = 0;
            state.met += 1;
            self.0.changed.notify_all();
            return Ok(true);
        }
        let met = state.met;
        while state.met == met && !state.is_over {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.met == met { Err(Over) } else { Ok(false) }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn all_meet_and_one_came_last() {
        let meeting = Meeting::of(4);
        let come = || {
            let seat = meeting.join();
            (0..100).map(|_| seat.wait().unwrap()).filter(|came_last| *came_last).count()
        };
        let last: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(come)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(last, 100);
    }

    #[test]
    fn nobody_waits_for_a_thread_that_has_fallen() {
        let meeting = Meeting::of(3);
        thread::scope(|scope| {
            let come = || {
                let seat = meeting.join();
                seat.wait().unwrap();
                seat.wait()
            };
            let others = [scope.spawn(come), scope.spawn(come)];
            let falls = scope.spawn(|| {
                let seat = meeting.join();
                seat.wait().unwrap();
                // What a panic does to the seat, without its message among the test's.
                std::panic::resume_unwind(Box::new("falls"));
            });
            assert!(falls.join().is_err());
            for other in others {
                assert_eq!(other.join().unwrap(), Err(Over));
            }
        });
    }
}
