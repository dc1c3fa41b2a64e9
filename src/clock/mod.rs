//! How far a clock is off: Cristian's algorithm and what a series of its results says, both pure, and the client around them.

pub mod client;
pub mod cristian;
pub mod watch;
