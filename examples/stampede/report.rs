//! The tables, in the form that docs/ESCALA.md has them too.

use crate::costs::Costs;
use crate::outcome::Outcome;
use crate::placement::Placement;
use crate::sale::{Sale, Setup};

/// A table, by the name that the document gives it.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: &'static str,
    pub title: String,
    pub columns: Vec<&'static str>,
    /// The first cell of a row says in words what it is about.
    pub rows: Vec<Vec<String>>,
}

/// A number with commas between its thousands, and so many decimals.
pub fn figure(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let digits = whole.len();
    let grouped = whole.chars().enumerate().flat_map(|(nth, digit)| {
        let comma = nth > 0 && (digits - nth) % 3 == 0;
        comma.then_some(',').into_iter().chain(std::iter::once(digit))
    });
    grouped.chain(rest.chars()).collect()
}

/// Seconds, or minutes if there are many.
pub fn span(seconds: f64) -> String {
    if seconds < 120.0 { format!("{} s", figure(seconds, 0)) } else { format!("{} min", figure(seconds / 60.0, 1)) }
}

/// A day of a service of which it is known how much it answered: answers, and sales a second at its peak.
pub struct Day {
    pub name: &'static str,
    pub answers: f64,
    pub sales_per_s: f64,
}

/// The busiest second of a day has so many times the answers of a mean one.
pub const PEAK: f64 = 3.0;

/// The arithmetic of a day.
pub fn day(days: &[Day], costs: &Costs) -> Table {
    let rows = days.iter().map(|day| {
        let mean = day.answers / 86_400.0;
        let peak = mean * PEAK;
        let fronts = costs.front_machines(peak);
        let cells = (day.sales_per_s / (costs.bookings_per_s * costs.utilisation)).ceil();
        let machines = fronts + cells * f64::from(costs.machines_per_cell);
        vec![
            day.name.to_owned(),
            figure(day.sales_per_s, 0),
            figure(mean, 0),
            figure(peak, 0),
            figure(mean / day.sales_per_s, 0),
            figure(cells, 0),
            figure(fronts, 0),
            figure(peak * costs.answer_bytes * 8.0 / 1e9, 1),
            format!("{} US$", figure(costs.usd_per_million(machines, mean), 4)),
            format!("{} US$", figure(costs.network_usd_per_million(), 4)),
        ]
    });
    let columns = vec![
        "",
        "sales/s",
        "answers/s",
        "at peak",
        "answers for a sale",
        "cells",
        "fronts",
        "Gbit/s",
        "machines, a million answers",
        "network, a million answers",
    ];
    Table { name: "day", title: "A day, by arithmetic".into(), columns, rows: rows.collect() }
}

/// Where one cell ends, resource by resource.
pub fn limits(costs: &Costs) -> Table {
    let per_s = |value: f64| format!("{}/s", figure(value, 0));
    let rows = [
        ("bookings", per_s(costs.bookings_per_s)),
        ("refusals of a taken slot", per_s(costs.refusals_per_s)),
        ("people whom a waiting room lets in", per_s(costs.admitted_per_s())),
        ("agendas of a day, without a cache", per_s(costs.agendas_per_s)),
        ("people who look for 20 s with a connection of their own", per_s(costs.connections as f64 / 20.0)),
        ("listeners of live events, while 1,032 bookings are made a second", figure(costs.events_per_s / 1_032.0, 0)),
    ];
    let rows = rows.map(|(what, value)| vec![what.to_owned(), value]).to_vec();
    Table { name: "limits", title: "Where one cell ends".into(), columns: vec!["", "one cell"], rows }
}

/// A sale in some setups.
pub fn sale(sale: &Sale, name: &'static str, results: &[(Setup, Outcome)], costs: &Costs) -> Table {
    let rows = results.iter().map(|(setup, seen)| {
        let real = |count: u64| count as f64 * f64::from(seen.scale);
        let machines =
            setup.cells as f64 * f64::from(costs.machines_per_cell) + costs.front_machines(seen.front_peak_per_s);
        let answers = real(seen.asked - seen.failed + seen.front);
        let label = format!(
            "{}, {} cell{}{}",
            if setup.room { "waiting room" } else { "no waiting room" },
            setup.cells,
            if setup.cells == 1 { "" } else { "s" },
            match setup.placement {
                Placement::Hash if setup.cells > 1 => " by hash",
                Placement::Map if setup.cells > 1 => " by map",
                _ => "",
            }
        );
        vec![
            label,
            span(seen.half_sold_s),
            span(seen.sold_s),
            span(seen.wait_p50_s),
            span(seen.wait_most_s),
            format!("{} ms", figure(seen.answer_p50_ms, 1)),
            format!("{} ms", figure(seen.answer_p99_ms, 1)),
            figure(answers / 1e6, 1),
            figure(real(seen.failed) / 1e6, 1),
            figure(machines, 0),
            format!("{} US$", figure(costs.usd_per_million(machines, answers / seen.over_s), 4)),
            figure(seen.near_to_far, 2),
            figure(seen.program_to_person, 2),
            format!("{} %", figure(seen.overtaken * 100.0, 0)),
        ]
    });
    let columns = vec![
        "",
        "half sold",
        "all sold",
        "wait, half",
        "wait, most",
        "answer p50",
        "p99",
        "answers (10⁶)",
        "in vain (10⁶)",
        "machines",
        "a million answers",
        "near/far",
        "program/person",
        "overtaken",
    ];
    let title = format!(
        "{}: {} people, {} slots of {} telescopes",
        sale.name,
        figure(f64::from(sale.people), 0),
        figure(f64::from(sale.slots_each) * f64::from(sale.telescopes), 0),
        sale.telescopes
    );
    Table { name, title, columns, rows: rows.collect() }
}
