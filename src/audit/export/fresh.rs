//! The records that this process has just committed: the exporter need not read them from the database.
//!
//! They are a copy of what the database has. Where they do not follow the last record in the file, as after a start, or when another
//! process has committed something in between, the exporter reads the database.
//!
//! # Locking
//!
//! A std mutex around the lines, held to add some or to take them all.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::audit::chain::{ChainHead, Link};

/// No more lines are added to this many bytes: the exporter writes nothing, and reads the database later.
const BYTES_MAX: usize = 1 << 20;

/// The lines that were committed and not taken yet, as far as there is room for them.
#[derive(Default)]
pub struct Fresh(Mutex<Option<Lines>>);

struct Lines {
    /// The record before the first one.
    before: ChainHead,
    last: ChainHead,
    /// Each with its line break.
    text: Vec<u8>,
}

impl Fresh {
    /// Keeps the lines of a transaction. Those before are forgotten if these do not follow them, or if they are too many.
    pub fn keep(&self, lines: &[String]) {
        let ends = lines.first().zip(lines.last());
        let links = ends.and_then(|(first, last)| Link::of(first.as_bytes()).zip(Link::of(last.as_bytes())));
        let mut kept = self.lines();
        let before = kept.take();
        let Some((first, last)) = links else { return };
        let before = before.filter(|before| before.last == first.before() && before.text.len() < BYTES_MAX);
        let mut all =
            before.unwrap_or_else(|| Lines { before: first.before(), last: first.before(), text: Vec::new() });
        for line in lines {
            all.text.extend_from_slice(line.as_bytes());
            all.text.push(b'\n');
        }
        all.last = last.head();
        *kept = Some(all);
    }

    /// Takes all lines, and gives them if they follow the record `head`.
    pub fn take_after(&self, head: &ChainHead) -> Option<Vec<u8>> {
        let kept = self.lines().take()?;
        (kept.before == *head).then_some(kept.text)
    }

    /// Forgets all lines.
    pub fn forget(&self) {
        *self.lines() = None;
    }

    fn lines(&self) -> MutexGuard<'_, Option<Lines>> {
        // A panic leaves no lines there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Caller;

    /// So many records after `head`, which is then the last of them.
    fn records(head: &mut ChainHead, count: usize) -> Vec<String> {
        (0..count).map(|_| head.append("{\"n\":1".to_owned(), None, &Caller::service("x"))).collect()
    }

    fn text(lines: &[String]) -> Vec<u8> {
        lines.iter().flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
    }

    #[test]
    fn lines_are_given_once_and_only_after_the_record_before_them() {
        let (fresh, mut head) = (Fresh::default(), ChainHead::genesis("abc"));
        let begun = head.clone();
        assert_eq!(fresh.take_after(&begun), None);
        let lines = records(&mut head, 3);
        fresh.keep(&lines[..2]);
        fresh.keep(&lines[2..]);
        assert_eq!(fresh.take_after(&begun), Some(text(&lines)));
        assert_eq!(fresh.take_after(&begun), None);
        // In the file is another record of the same number.
        fresh.keep(&lines);
        assert_eq!(fresh.take_after(&ChainHead::genesis("other")), None);
        assert_eq!(fresh.take_after(&begun), None);
    }

    #[test]
    fn what_another_process_has_committed_in_between_is_not_left_out() {
        let (fresh, mut head) = (Fresh::default(), ChainHead::genesis("abc"));
        let begun = head.clone();
        let lines = records(&mut head, 4);
        fresh.keep(&lines[..1]);
        fresh.keep(&lines[2..]);
        assert_eq!(fresh.take_after(&begun), None);
        fresh.keep(&lines[..1]);
        fresh.keep(&lines[2..3]);
        fresh.keep(&lines[3..]);
        let mut second = begun.clone();
        assert!(lines[..2].iter().all(|line| second.follow(line.as_bytes())));
        assert_eq!(fresh.take_after(&second), Some(text(&lines[2..])));
    }

    #[test]
    fn what_nobody_takes_is_bounded() {
        let (fresh, mut head) = (Fresh::default(), ChainHead::genesis("abc"));
        let begun = head.clone();
        let mut most = 0;
        for _ in 0..BYTES_MAX / 100_000 + 3 {
            let long = format!("{{\"n\":\"{}\"", "x".repeat(100_000));
            fresh.keep(&[head.append(long, None, &Caller::service("x"))]);
            most = most.max(fresh.lines().as_ref().map_or(0, |kept| kept.text.len()));
        }
        assert!((BYTES_MAX..BYTES_MAX + 200_000).contains(&most), "{most}");
        // The first of them have to be read from the database.
        assert_eq!(fresh.take_after(&begun), None);
    }
}
