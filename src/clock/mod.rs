//! The offset of a clock: Cristian's algorithm, a series of its results (both pure), and the client that takes the samples. Time tokens: what a
//! scheduler vouches for of an exchange, and the keys that sign it.

pub mod client;
pub mod cristian;
pub(crate) mod keys;
pub(crate) mod token;
pub(crate) mod watch;
