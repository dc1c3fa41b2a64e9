//! What a storage tells while it writes, on the thread that writes.

use std::time::Duration;

use crate::http::request_id::RequestId;

/// A change that a transaction is about to make durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// A new booking.
    Booking,
    /// A change of a booking.
    Alteration,
    /// A cancellation.
    Cancellation,
}

/// Told of each transaction. A call must be quick: the next transaction waits for it.
pub trait Observer: Send {
    /// The change of this request was decided and is about to be committed. Called once for each change that is not
    /// refused, however often the transaction had to begin anew. The commit may still fail.
    fn saving(&mut self, change: Saving, request_id: &RequestId);

    /// A transaction was committed. `lines` are its audit records, in order.
    fn committed(&mut self, lines: &[String]);

    /// A transaction of this many changes has ended, committed or not, and took this long.
    fn ended(&mut self, _changes: usize, _took: Duration) {}
}

/// An observer that does nothing.
#[cfg(test)]
pub struct Unobserved;

#[cfg(test)]
impl Observer for Unobserved {
    fn saving(&mut self, _change: Saving, _request_id: &RequestId) {}
    fn committed(&mut self, _lines: &[String]) {}
}
