//! What other people's programs rely on: problem types that resolve, metrics, conditional requests, links in headers, trace contexts.

mod conditional;
mod fronts;
mod measures;
mod preferences;
mod problems;
mod tables;
mod traces;
