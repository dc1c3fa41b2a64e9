//! The laws of a sale, for any sale; and that docs/ESCALA.md has the figures that the program prints.

use std::path::Path;

use clap::Parser;
use proptest::prelude::*;

use super::costs::Costs;
use super::outcome::Outcome;
use super::placement::Placement;
use super::report::figure;
use super::sale::{Sale, Setup, run};
use super::{CONCERT, Options, tables};

fn options() -> Options {
    Options::try_parse_from(["stampede"]).expect("no option has to be given")
}

fn costs() -> Costs {
    options().costs
}

fn setup(cells: usize, room: bool, seed: u64) -> Setup {
    Setup { cells, placement: Placement::Map, room, scale: 1, seed }
}

/// A concert that a test can afford.
fn small(people: u32) -> Sale {
    Sale { people, slots_each: 20, spread_s: 30.0, ..CONCERT }
}

fn sales() -> impl Strategy<Value = (Sale, Setup)> {
    let sale = (0..2_000_u32, 1..8_u32, 1..60_u32, 0.0..2.0, 0.0..=1.0, 0.1..100.0, 0.0..30.0).prop_map(
        |(people, telescopes, slots_each, skew, early, spread_s, think_s)| Sale {
            name: "any",
            people,
            telescopes,
            slots_each,
            skew,
            early,
            spread_s,
            think_s,
        },
    );
    let setup = (1..5_usize, any::<bool>(), any::<bool>(), any::<u64>()).prop_map(|(cells, hash, room, seed)| Setup {
        placement: if hash { Placement::Hash } else { Placement::Map },
        ..setup(cells, room, seed)
    });
    (sale, setup)
}

/// Slow cells with few connections, so that a small crowd is a stampede.
fn slow() -> Costs {
    Costs {
        bookings_per_s: 20.0,
        refusals_per_s: 40.0,
        answers_per_s: 200.0,
        agendas_per_s: 10.0,
        connections: 5,
        ..costs()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `run` itself fails if a slot goes to two people, if one person has two, or if somebody waits for two days.
    #[test]
    fn everybody_is_told_one_thing_and_no_slot_is_sold_twice((sale, setup) in sales(), is_slow in any::<bool>()) {
        let seen = run(&sale, setup, &if is_slow { slow() } else { costs() });
        prop_assert_eq!(seen.booked + seen.sold_out + seen.left, sale.people as usize);
        prop_assert!(seen.booked <= seen.slots);
        if sale.telescopes == 1 && seen.sold_out > 0 {
            prop_assert_eq!(seen.booked, seen.slots, "somebody was told that nothing is left, and something is");
        }
    }

    #[test]
    fn in_a_waiting_room_nobody_who_clicked_first_is_overtaken((sale, setup) in sales()) {
        let seen = run(&sale, Setup { room: true, ..setup }, &slow());
        prop_assert!(seen.overtaken < f64::EPSILON, "{:?}", seen);
    }

    #[test]
    fn a_seed_repeats_a_sale((sale, setup) in sales()) {
        let text = |setup| format!("{:?}", run(&sale, setup, &costs()));
        prop_assert_eq!(text(setup), text(setup));
    }
}

#[test]
fn without_a_room_programs_get_the_slots_and_with_it_everybody_has_the_same_chance() {
    let sale = small(20_000);
    let without = run(&sale, setup(1, false, 7), &slow());
    let with = run(&sale, setup(1, true, 7), &slow());
    assert!(without.program_to_person > 2.0, "{without:?}");
    assert!(without.failed > without.asked / 2 && without.overtaken > 0.1, "{without:?}");
    // Two hundred programs: the chance is a matter of luck by some percent.
    assert!((0.3..2.0).contains(&with.program_to_person) && (0.8..1.25).contains(&with.near_to_far), "{with:?}");
    assert_eq!(with.booked, with.slots);
    assert!(with.failed < with.asked / 20 && with.overtaken < f64::EPSILON, "{with:?}");
    assert!(with.answer_p99_ms < 1_000.0 && with.sold_s < without.sold_s, "{with:?} {without:?}");
}

#[test]
fn more_cells_sell_sooner() {
    let sold = |cells| run(&small(20_000), setup(cells, true, 3), &slow()).half_sold_s;
    let (one, two, eight) = (sold(1), sold(2), sold(8));
    // People need their twenty seconds, no matter how many cells there are.
    assert!(two < one * 0.8 && eight < two * 0.9, "{one} {two} {eight}");
}

#[test]
fn numbers_are_easy_to_read() {
    let shown = [(0.0, 0), (999.0, 0), (1_000.0, 0), (1_234_567.891, 1), (0.056, 2)]
        .map(|(value, decimals)| figure(value, decimals));
    assert_eq!(shown, ["0", "999", "1,000", "1,234,567.9", "0.06"]);
}

/// A table of the document: its rows after the head, each without its first cell, with English numbers.
fn documented(text: &str, name: &str) -> Vec<Vec<String>> {
    let english = |cell: &str| {
        let swapped = cell.trim().chars().map(|letter| match letter {
            ',' => '.',
            '.' => ',',
            other => other,
        });
        swapped.collect::<String>()
    };
    let (_, after) =
        text.split_once(&format!("<!-- stampede: {name} -->")).unwrap_or_else(|| panic!("no table {name}"));
    let rows = after.trim_start().lines().take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').skip(1).map(english).collect()).collect()
}

#[test]
fn the_document_has_the_figures_that_the_program_prints() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ESCALA.md"))
        .expect("the document is there");
    for table in tables(&options()) {
        let printed: Vec<Vec<String>> = table.rows.iter().map(|row| row[1..].to_vec()).collect();
        assert_eq!(documented(&text, table.name), printed, "{}: cargo run --release --example stampede", table.name);
    }
}

/// What is not asked for by the tables, and what a reader of an outcome relies on.
#[test]
fn nobody_and_nothing_is_a_sale_too() {
    let seen: Outcome = run(&Sale { people: 0, ..small(0) }, setup(1, true, 1), &costs());
    assert_eq!((seen.booked, seen.sold_out, seen.asked), (0, 0, 0));
}
