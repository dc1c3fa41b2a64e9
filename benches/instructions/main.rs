//! What one request costs, counted and not timed: `cargo bench --bench instructions`
//!
//! The real executable runs under valgrind's callgrind, scheduler and coordinator each in a process of its own. Each row asks for the same
//! thing over several connections, and counts the instructions that each service runs outside of the kernel, and the allocations of
//! memory. Such counts are the same on a busy machine and on a quiet one, but for the size of batches: two or three percent.
//!
//! The counts are compared with those of `figures.json` in this folder. A change that costs, or saves, fails until it writes its own
//! figures there (`-- --write`), where a review sees them. The names of rows choose among them (`-- booking time`). With
//! `SCTEC_BENCH_PROFILES=FOLDER` the profiles stay there, for `callgrind_annotate`.

#[path = "../../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod counted;
mod figures;
#[path = "../measure/mod.rs"]
mod measure;
mod profile;

use std::path::PathBuf;
use std::process::ExitCode;

use counted::Counted;
use figures::Figures;
use measure::rows::Row;
use measure::{Outcome, told};

/// Requests of one row: of each connection so many to warm up, and so many that are counted. Even numbers: what is locked is unlocked too.
const WARM_UP: u64 = 20;
const EACH: u64 = 60;
/// Under callgrind a thread runs after the other, fifty times as slowly. With more connections a lock would not be answered in its time.
const CONNECTIONS: u64 = 16;

fn main() -> Outcome<ExitCode> {
    if told("--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Row> = Row::ALL.into_iter().filter(|row| told(row.name())).collect();
    let rows = if rows.is_empty() { Row::ALL.to_vec() } else { rows };
    let temporary = tempfile::tempdir()?;
    let profiles = std::env::var_os("SCTEC_BENCH_PROFILES").map_or(temporary.path().to_owned(), PathBuf::from);
    let mut measured = Figures::default();
    for row in rows {
        let services = Counted::start(row, &profiles)?;
        services.ask(WARM_UP)?;
        services.forget()?;
        services.ask(EACH)?;
        for (service, profile) in services.profiles()? {
            measured.add(row.name(), service, profile.of_each(CONNECTIONS * EACH));
        }
    }
    let known = Figures::read()?;
    eprintln!("{}", measured.compared_with(&known));
    if told("--write") {
        known.with(measured).write()?;
        return Ok(ExitCode::SUCCESS);
    }
    if measured.differ_from(&known) {
        eprintln!(
            "Some figures differ by more than {} %. If the change is meant to do that: -- --write",
            figures::ALIKE_PERCENT
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
