//! The last answer about something, for a short time: many who ask share one question, and one who goes away does not end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// An answer and how long it is good, at the most.
pub struct Kept<T> {
    /// Held while the question is asked: those who come meanwhile wait for the same answer.
    last: Arc<Mutex<Option<Answer<T>>>>,
    doubts: Doubts,
}

/// How often something has shown that a kept answer may have changed. Clones count together.
#[derive(Clone, Default)]
pub struct Doubts(Arc<AtomicU64>);

impl Doubts {
    /// The next who asks gets a new answer.
    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Answer<T> {
    value: T,
    until: Instant,
    doubts: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { last: Arc::default(), doubts: Doubts::default() }
    }
}

impl<T: Clone + Send + 'static> Kept<T> {
    /// The kept answer, or else that of `ask`, which also says for how long it is good. The question is asked in a task of its own.
    /// `None` if it failed within itself.
    pub async fn get<F>(&self, ask: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = (T, Duration)> + Send + 'static,
    {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(answer) = &*last
            && Instant::now() < answer.until
            && answer.doubts == self.doubts.count()
        {
            return Some(answer.value.clone());
        }
        let (asked, doubts) = (ask(), self.doubts.clone());
        let question = tokio::spawn(async move {
            let (value, good_for) = asked.await;
            // Counted now: the question itself may have raised a doubt.
            let doubts = doubts.count();
            *last = Some(Answer { value: value.clone(), until: Instant::now() + good_for, doubts });
            value
        });
        question.await.ok()
    }

    /// What makes the kept answer void.
    pub fn doubts(&self) -> &Doubts {
        &self.doubts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn many_who_ask_share_one_question_also_if_the_first_goes_away() {
        let kept = Arc::new(Kept::default());
        let asked = Arc::new(AtomicU64::new(0));
        let begun = Arc::new(tokio::sync::Notify::new());
        let go_on = Arc::new(tokio::sync::Notify::new());
        let ask = |good_for: Duration| {
            let (asked, begun, go_on) = (Arc::clone(&asked), Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                begun.notify_one();
                go_on.notified().await;
                (asked.fetch_add(1, Ordering::Relaxed) + 1, good_for)
            }
        };
        let first = tokio::spawn({
            let (kept, ask) = (Arc::clone(&kept), ask(LONG));
            async move { kept.get(|| ask).await }
        });
        begun.notified().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let rest: Vec<_> = (0..10).map(|_| (Arc::clone(&kept), ask(LONG))).collect();
        let rest = rest.into_iter().map(|(kept, ask)| tokio::spawn(async move { kept.get(|| ask).await }));
        let rest: Vec<_> = rest.collect();
        go_on.notify_one();
        for one in rest {
            assert_eq!(one.await.unwrap(), Some(1));
        }
        // A doubt, or its end, makes the answer void.
        kept.doubts().raise();
        go_on.notify_one();
        assert_eq!(kept.get(|| ask(Duration::ZERO)).await, Some(2));
        go_on.notify_one();
        assert_eq!(kept.get(|| ask(LONG)).await, Some(3));
        assert_eq!(kept.get(|| ask(LONG)).await, Some(3));
    }
}
