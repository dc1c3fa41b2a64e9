//! The offset of a clock: Cristian's algorithm, a series of its results (both pure), and the client that takes the samples.

pub mod client;
pub mod cristian;
pub(crate) mod watch;
