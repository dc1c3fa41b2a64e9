//! How long the steps of one request took, for its answer's header [`Server-Timing`](https://www.w3.org/TR/server-timing/).

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::HeaderValue;

use crate::time::micros;

/// The steps so far, each by its name.
///
/// A std lock around a few small values: a request's own task notes them, and the connection reads them.
#[derive(Debug, Default)]
pub struct Steps(Mutex<Vec<(&'static str, Duration)>>);

impl Steps {
    /// Notes a step. Its name is a token of HTTP. One that is taken several times counts as one.
    pub fn note(&self, name: &'static str, took: Duration) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match steps.iter_mut().find(|(known, _)| *known == name) {
            Some((_, so_far)) => *so_far += took,
            None => steps.push((name, took)),
        }
    }

    /// Calls `each` with every step, in order.
    pub fn each(&self, each: impl FnMut(&(&'static str, Duration))) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(each);
    }

    /// The header's value, in milliseconds; `total` is the last of them.
    pub fn header(&self, total: Duration) -> HeaderValue {
        let mut text = String::with_capacity(64);
        self.each(|(name, took)| {
            push(&mut text, name, *took);
            text.push_str(", ");
        });
        push(&mut text, "total", total);
        // Names are tokens, and the rest is digits and punctuation.
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("total"))
    }
}

/// Appends a step with its milliseconds, to the microsecond that has begun.
fn push(text: &mut String, name: &str, took: Duration) {
    let us = micros(took);
    text.push_str(name);
    // Writing to a `String` cannot fail.
    let _ = write!(text, ";dur={}.{:03}", us / 1000, us % 1000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_written_in_milliseconds_and_in_order() {
        let steps = Steps::default();
        assert_eq!(steps.header(Duration::from_millis(2)), "total;dur=2.000");
        steps.note("lock", Duration::from_micros(1500));
        steps.note("commit", Duration::from_micros(15));
        steps.note("commit", Duration::from_micros(5));
        assert_eq!(steps.header(Duration::from_millis(12)), "lock;dur=1.500, commit;dur=0.020, total;dur=12.000");
    }
}
