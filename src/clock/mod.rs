//! How far a clock is off: Cristian's algorithm, pure, and the client around it.

pub mod client;
pub mod cristian;
