//! What other people's programs rely on: problem types that resolve, metrics, conditional requests, links in headers, trace contexts.

mod conditional;
mod measures;
mod problems;
mod traces;
