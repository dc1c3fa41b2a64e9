//! The offset of a clock: Cristian's algorithm, a series of its results (both pure), and the client that takes the samples. Time tokens: what a
//! scheduler vouches for of an exchange. Signed texts, and the keys that sign them.

pub mod client;
pub mod cristian;
pub(crate) mod jws;
pub(crate) mod keys;
pub(crate) mod token;
pub(crate) mod watch;
