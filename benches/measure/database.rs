//! What the PostgreSQL server of a bench uses, beside the services.

use super::cpu_us;
use crate::common::postgres;

/// Processor time that all processes of the server have used, those that have ended too, in microseconds.
pub fn server_cpu_us() -> f64 {
    let server = postgres::pid();
    let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    children.chain([server]).map(cpu_us).sum::<f64>() + super::cpu_us_of_ended_children(server)
}
