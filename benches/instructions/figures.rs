//! The figures, and the file of the figures that a change is compared with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use comfy_table::Table;
use serde::{Deserialize, Serialize};

use crate::measure::{Outcome, table};
use crate::profile::Profile;

/// How much of a figure may change without a change of the program, in percent. Two runs differ by two or three.
pub const ALIKE_PERCENT: f64 = 4.0;

/// What each service does for one request, by row and service.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Figures(BTreeMap<String, BTreeMap<String, Profile>>);

impl Figures {
    fn path() -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "benches", "instructions", "figures.json"].iter().collect()
    }

    /// Those of the file.
    pub fn read() -> Outcome<Self> {
        Ok(serde_json::from_str(&std::fs::read_to_string(Self::path())?)?)
    }

    /// Writes them into the file.
    pub fn write(&self) -> Outcome<()> {
        Ok(std::fs::write(Self::path(), serde_json::to_string_pretty(self)? + "\n")?)
    }

    pub fn add(&mut self, row: &str, service: &str, profile: Profile) {
        self.0.entry(row.to_owned()).or_default().insert(service.to_owned(), profile);
    }

    /// These, with those rows as they were measured.
    pub fn with(mut self, measured: Self) -> Self {
        self.0.extend(measured.0);
        self
    }

    /// Each figure with the known one, if there is one.
    fn beside<'a>(&'a self, known: &'a Self) -> impl Iterator<Item = (&'a str, &'a str, Profile, Option<Profile>)> {
        self.0.iter().flat_map(|(row, services)| {
            services.iter().map(|(service, profile)| {
                let known = known.0.get(row).and_then(|services| services.get(service)).copied();
                (row.as_str(), service.as_str(), *profile, known)
            })
        })
    }

    /// Whether any of them is not alike the known one.
    pub fn differ_from(&self, known: &Self) -> bool {
        self.beside(known).any(|(.., now, known)| {
            known.is_none_or(|known| {
                percent(now.instructions, known.instructions).abs() > ALIKE_PERCENT
                    || percent(now.allocations, known.allocations).abs() > ALIKE_PERCENT
            })
        })
    }

    /// A table of all of them, and how far they are from those that are known.
    pub fn compared_with(&self, known: &Self) -> Table {
        let header = ["", "service", "instructions", "known", "change", "allocations", "known"];
        let rows = self.beside(known).map(|(row, service, now, known)| {
            let shown = |of: fn(Profile) -> u64| known.map_or(String::new(), |known| of(known).to_string());
            let change =
                known.map_or(String::new(), |known| format!("{:+.1} %", percent(now.instructions, known.instructions)));
            [
                row.to_owned(),
                service.to_owned(),
                now.instructions.to_string(),
                shown(|known| known.instructions),
                change,
                now.allocations.to_string(),
                shown(|known| known.allocations),
            ]
        });
        table(header, rows)
    }
}

/// By how many percent one figure is above another.
fn percent(now: u64, known: u64) -> f64 {
    (now as f64 / known as f64 - 1.0) * 100.0
}
