//! Reading what callgrind writes: <https://valgrind.org/docs/manual/cl-format.html>

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// The functions of the C library that give memory. Rust's own allocator and SQLite call them too.
const ALLOCATING: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];

/// What a service did, or what it does for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Profile {
    /// Instructions outside of the kernel.
    pub instructions: u64,
    /// Allocations of memory.
    pub allocations: u64,
}

impl Profile {
    /// Reads a profile. A name that was written once is written as its number afterwards.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut instructions, mut allocations) = (None, 0);
        let mut allocating = HashSet::new();
        let mut callee = "";
        for line in text.lines() {
            if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
                let (number, name) = function.split_once(' ').unwrap_or((function, ""));
                if ALLOCATING.contains(&name) {
                    allocating.insert(number);
                }
                callee = number;
            } else if let Some(calls) = line.strip_prefix("calls=") {
                if allocating.contains(callee) {
                    allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
                }
            } else if let Some(total) = line.strip_prefix("totals: ") {
                instructions = total.trim().parse().ok();
            }
        }
        Some(Self { instructions: instructions?, allocations })
    }

    /// The same for each of so many requests, rounded.
    pub fn of_each(self, requests: u64) -> Self {
        let each = |count: u64| (count + requests / 2) / requests;
        Self { instructions: each(self.instructions), allocations: each(self.allocations) }
    }
}
