//! A stampede: how far one cluster goes, and what cells and a waiting room bring: `cargo run --release --example stampede`
//!
//! Every slot belongs to one telescope, so telescopes can be divided among cells: clusters of their own, each with schedulers, a coordinator
//! and a database. A front finds the cell of a telescope, and a waiting room lets people in as fast as their cell can answer.
//!
//! Nothing is measured here. Two days that became known are told by arithmetic, and two sales are simulated event by event, with the costs of
//! one cell as they were measured (`costs.rs` says where). docs/ESCALA.md has the tables, and a test in this file compares them.
//! A run is repeated by its seed. `--scale 50` simulates more people, and takes longer.

mod cell;
mod costs;
mod dice;
mod outcome;
mod people;
mod placement;
mod report;
mod room;
mod sale;
mod stock;

use clap::Parser;
use comfy_table::presets;

use costs::Costs;
use outcome::Outcome;
use placement::Placement;
use report::{Day, Table};
use sale::{Sale, Setup};

/// Simulates two stampedes on cells of sctec, with the costs that were measured.
#[derive(Parser)]
#[command(name = "stampede")]
struct Options {
    #[command(flatten)]
    costs: Costs,
    /// So many people are one in the simulation, and everything takes so many times as long
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=2000))]
    scale: u32,
    /// Other random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Railway tickets in China, as their seller tells: 1,032 tickets a second at the most, 30 billion page views a day.
/// Concerts of one singer, as their seller tells: two million tickets and 3.5 billion requests in a day. In an even day of selling, 23 tickets a second.
const DAYS: &[Day] = &[
    Day { name: "12306", answers: 30e9, sales_per_s: 1_032.0 },
    Day { name: "concert", answers: 3.5e9, sales_per_s: 2e6 / 86_400.0 },
];

/// Fifty-two evenings, two million places, and seven people for each.
const CONCERT: Sale = Sale {
    name: "The concert",
    people: 14_000_000,
    telescopes: 52,
    slots_each: 38_462,
    skew: 0.5,
    early: 0.5,
    spread_s: 1_200.0,
    think_s: 20.0,
};

/// What 12306 sells in ten minutes at its fastest, on eighty lines, to three million people.
const TRAINS: Sale = Sale {
    name: "Ten minutes of 12306",
    people: 3_000_000,
    telescopes: 80,
    slots_each: 7_740,
    skew: 0.7,
    early: 0.3,
    spread_s: 200.0,
    think_s: 20.0,
};

/// The setups that are compared: cells, their placement, and whether there is a waiting room.
const CONCERTS: &[(usize, Placement, bool)] = &[
    (1, Placement::Map, false),
    (8, Placement::Map, false),
    (1, Placement::Map, true),
    (2, Placement::Map, true),
    (8, Placement::Hash, true),
    (8, Placement::Map, true),
];
const TRAIN_SETUPS: &[(usize, Placement, bool)] =
    &[(1, Placement::Map, false), (1, Placement::Map, true), (4, Placement::Map, true)];

fn sold(sale: &Sale, setups: &[(usize, Placement, bool)], options: &Options) -> Vec<(Setup, Outcome)> {
    let (scale, seed) = (options.scale, options.seed);
    let setups = setups.iter().map(|&(cells, placement, room)| Setup { cells, placement, room, scale, seed });
    setups.map(|setup| (setup, sale::run(sale, setup, &options.costs))).collect()
}

/// All tables.
fn tables(options: &Options) -> Vec<Table> {
    let costs = &options.costs;
    vec![
        report::limits(costs),
        report::day(DAYS, costs),
        report::sale(&CONCERT, "concert", &sold(&CONCERT, CONCERTS, options), costs),
        report::sale(&TRAINS, "trains", &sold(&TRAINS, TRAIN_SETUPS, options), costs),
    ]
}

fn main() {
    for table in tables(&Options::parse()) {
        let mut shown = comfy_table::Table::new();
        shown.load_style(presets::ASCII_MARKDOWN).set_header(&table.columns);
        for row in &table.rows {
            shown.add_row(row);
        }
        println!("{} [{}]\n\n{shown}\n", table.title, table.name);
    }
}

#[cfg(test)]
mod tests;
