//! What a sale came to: how long it took, how long people waited, what it cost, and whether it was just.

use crate::cell::Cell;
use crate::costs::{Costs, micros};
use crate::people::{End, Kind, Person};
use crate::room::Room;
use crate::sale::{Sale, Setup};
use crate::stock::Stock;

/// The result of one sale. Counts are of the simulated people, each of whom stands for `scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub scale: u32,
    pub slots: usize,
    pub booked: usize,
    pub sold_out: usize,
    pub left: usize,
    /// When half of what was booked was booked, and when the last of it.
    pub half_sold_s: f64,
    pub sold_s: f64,
    /// When the last person was told.
    pub over_s: f64,
    /// How long people waited for their turn: half of them, and the last.
    pub wait_p50_s: f64,
    pub wait_most_s: f64,
    /// How long the cells took for an answer.
    pub answer_p50_ms: f64,
    pub answer_p99_ms: f64,
    /// Requests that reached a cell, and those of them that it turned away or lost.
    pub asked: u64,
    pub failed: u64,
    /// Requests to the front: of people who wait, and their agendas.
    pub front: u64,
    /// The most requests of those who wait in a second, of the real number of people.
    pub front_peak_per_s: f64,
    /// The chance of a slot: near against far, and a program against a person.
    pub near_to_far: f64,
    pub program_to_person: f64,
    /// Of the people who got nothing, the share who had clicked before somebody who got a slot of the same telescope.
    pub overtaken: f64,
}

/// The value below which a share of the values is; 0 of nothing.
fn quantile(values: &mut [u64], share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length is a place")]
    let rank = ((values.len() - 1) as f64 * share).round() as usize;
    *values.select_nth_unstable(rank).1 as f64
}

impl Outcome {
    #[expect(clippy::too_many_arguments, reason = "the parts of a sale, looked at together once")]
    pub fn of(
        sale: &Sale,
        setup: Setup,
        costs: &Costs,
        people: &[Person],
        stocks: &[Stock],
        cells: &[Cell],
        rooms: &[Room],
        mut latencies_us: Vec<u64>,
    ) -> Self {
        let ended = |end: End| people.iter().filter(move |person| person.end.is_some_and(|(one, _)| one == end));
        let over = people.iter().filter_map(|person| Some(person.end?.1)).max().unwrap_or_default();
        let mut sold: Vec<u64> = ended(End::Booked).filter_map(|person| Some(person.end?.1)).collect();
        // Who was never let in waited until told that nothing was left.
        let until = |person: &Person| person.let_in.or(person.end.map(|(_, at)| at)).unwrap_or_default();
        let mut waits: Vec<u64> = people.iter().map(|person| until(person) - person.click).collect();
        let polls = |wait: u64| 1 + wait / micros(costs.poll_s).max(1);
        let in_room: u64 = if setup.room { waits.iter().map(|wait| polls(*wait) + 1).sum() } else { 0 };
        let most: usize = rooms.iter().map(|room| room.most).sum();
        assert_eq!(stocks.iter().map(|stock| stock.owners().count()).sum::<usize>(), ended(End::Booked).count());
        let chance = |is: fn(Kind) -> bool| {
            let all = people.iter().filter(|person| is(person.kind)).count();
            ended(End::Booked).filter(|person| is(person.kind)).count() as f64 / all as f64
        };
        Self {
            scale: setup.scale,
            slots: stocks.len() * (sale.slots_each / setup.scale).max(1) as usize,
            booked: ended(End::Booked).count(),
            sold_out: ended(End::SoldOut).count(),
            left: ended(End::Left).count(),
            half_sold_s: quantile(&mut sold, 0.5) / 1e6,
            sold_s: quantile(&mut sold, 1.0) / 1e6,
            over_s: over as f64 / 1e6,
            wait_p50_s: quantile(&mut waits, 0.5) / 1e6,
            wait_most_s: quantile(&mut waits, 1.0) / 1e6,
            answer_p50_ms: quantile(&mut latencies_us, 0.5) / 1e3,
            answer_p99_ms: quantile(&mut latencies_us, 0.99) / 1e3,
            asked: cells.iter().map(|cell| cell.answered + cell.failed).sum(),
            failed: cells.iter().map(|cell| cell.failed).sum(),
            front: in_room,
            front_peak_per_s: most as f64 * f64::from(setup.scale) / costs.poll_s,
            near_to_far: chance(|kind| kind == Kind::Near) / chance(|kind| kind == Kind::Far),
            program_to_person: chance(|kind| kind == Kind::Program) / chance(|kind| kind != Kind::Program),
            overtaken: overtaken(people, stocks.len()),
        }
    }
}

/// Of those who got nothing, the share who had clicked before a winner of the same telescope.
fn overtaken(people: &[Person], telescopes: usize) -> f64 {
    let mut latest = vec![0; telescopes];
    for person in people.iter().filter(|person| matches!(person.end, Some((End::Booked, _)))) {
        latest[person.telescope] = latest[person.telescope].max(person.click);
    }
    let losers = || people.iter().filter(|person| matches!(person.end, Some((End::SoldOut, _))));
    let passed = losers().filter(|person| person.click < latest[person.telescope]).count();
    passed as f64 / losers().count().max(1) as f64
}
