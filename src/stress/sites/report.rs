//! The results of contests, as a table for people and as one JSON object for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use rust_i18n::t;
use serde::Serialize;

use super::figures::{OfSite, Share};
use super::file::{Brought, Claim, Site};
use super::record::SeenThrough;
use super::{Config, Seen};
use crate::stress::report::Look;
use crate::stress::target::wire_instant;
use crate::text::escaped;

/// The report for people.
pub fn human(config: &Config, seen: &Seen, look: Look) -> String {
    let mut text = String::new();
    let head = t!(
        "%{n} contests of %{sites} sites for %{telescope}, clicks within %{ms} ms; the first slot is %{slot}",
        n = config.contests,
        sites = config.sites.sites.len(),
        telescope = escaped(&seen.telescope),
        ms = config.sites.clicks_within_ms,
        slot = wire_instant(seen.slot)
    );
    text.push_str(&look.line("", &head));
    table(&mut text, config, seen, look);
    totals(&mut text, config, seen, look);
    if let Some(why) = seen.seen_through {
        text.push_str(&look.line("", &advice(why)));
    }
    let verdict = if seen.is_as_expected() {
        t!("as expected: one winner in each contest")
    } else if seen.is_not_judged() {
        t!("not judged: no request was answered with 201 or 409: %{reason}", reason = reason(seen))
    } else {
        let n = seen.figures.one_winner.of - seen.figures.one_winner.count;
        t!("NOT as expected: %{n} contests without exactly one winner: %{reason}", n = n, reason = reason(seen))
    };
    text.push('\n');
    text.push_str(&look.verdict(&verdict, seen.is_as_expected()));
    text
}

fn reason(seen: &Seen) -> String {
    seen.failure.as_deref().map_or_else(|| "–".to_owned(), escaped)
}

fn table(text: &mut String, config: &Config, seen: &Seen, look: Look) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        t!("site"),
        t!("round trip ms"),
        t!("clicked first"),
        t!("first to arrive"),
        t!("wins"),
        t!("95 % interval"),
        t!("late"),
    ]);
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for (site, figures) in config.sites.sites.iter().zip(&seen.figures.sites) {
        let OfSite { clicked_first, arrived_first, won, late, round_trip_us } = figures;
        let (low, high) = won.interval();
        let far = match round_trip_us {
            None => format!("{}", site.round_trip_ms),
            Some(us) => format!("{:.1}", f64::from(*us) / 1000.0),
        };
        table.add_row([
            if site.is_honest() { site.name.clone() } else { format!("{} ({})", site.name, lies(site)) },
            far,
            percent(*clicked_first),
            percent(*arrived_first),
            percent(*won),
            format!("{:.1} – {:.1} %", low * 100.0, high * 100.0),
            percent(*late),
        ]);
    }
    for column in 1..7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(text, "{table}");
}

/// How a client lies, in a few words.
fn lies(site: &Site) -> String {
    let mut words = Vec::new();
    if site.claim == Claim::Early {
        words.push(t!("claims early").into_owned());
    }
    if site.waits_ms > 0.0 {
        words.push(t!("waits %{ms} ms", ms = site.waits_ms).into_owned());
    }
    match site.token {
        Brought::Own | Brought::None => {}
        Brought::First => words.push(t!("an old token").into_owned()),
        Brought::Altered => words.push(t!("an altered token").into_owned()),
        Brought::Foreign => words.push(t!("a foreign token").into_owned()),
    }
    words.join(", ")
}

fn totals(text: &mut String, config: &Config, seen: &Seen, look: Look) {
    let figures = &seen.figures;
    let mut line = |label: &str, said: String| text.push_str(&look.line(&format!("{label:<26}"), &said));
    let first = t!(
        "%{won} (by arrival %{arrived})",
        won = with_interval(figures.first_won),
        arrived = percent(figures.first_arrived_first)
    );
    line(&t!("the first click wins"), first.into_owned());
    line(
        &t!("pairs in the right order"),
        t!(
            "%{all}; clicks more than 10 ms apart: %{distant}",
            all = percent(figures.pairs),
            distant = percent(figures.distant_pairs)
        )
        .into_owned(),
    );
    if let Some(ratio) = farthest_to_nearest(config, seen) {
        let said = t!("%{ratio} wins for each of the nearest", ratio = format!("{ratio:.2}"));
        line(&t!("the farthest"), said.into_owned());
    }
    line(&t!("longest window"), format!("{} ms", seen.window_ms));
    let statuses = seen.statuses.iter().map(|(status, n)| match status {
        0 => format!("{} {n}", t!("no answer")),
        status => format!("{status}: {n}"),
    });
    line(&t!("answers"), statuses.collect::<Vec<_>>().join(", "));
}

/// How often the farthest site wins for each win of the nearest. `None` if that says nothing.
fn farthest_to_nearest(config: &Config, seen: &Seen) -> Option<f64> {
    let sites = || config.sites.sites.iter().zip(&seen.figures.sites);
    let far =
        |site: &Site, figures: &OfSite| figures.round_trip_us.map_or(site.round_trip_ms, |us| f64::from(us) / 1000.0);
    let by_distance =
        |one: &(&Site, &OfSite), other: &(&Site, &OfSite)| far(one.0, one.1).total_cmp(&far(other.0, other.1));
    let (nearest, farthest) = (sites().min_by(by_distance)?.1, sites().max_by(by_distance)?.1);
    (nearest.won.count > 0).then(|| farthest.won.part() / nearest.won.part())
}

fn percent(share: Share) -> String {
    if share.of == 0 {
        return "–".to_owned();
    }
    format!("{:.1} %", share.part() * 100.0)
}

fn with_interval(share: Share) -> String {
    let (low, high) = share.interval();
    format!("{} [{:.1} – {:.1}]", percent(share), low * 100.0, high * 100.0)
}

fn advice(why: SeenThrough) -> String {
    match why {
        SeenThrough::Connection => t!(
            "The scheduler has measured connections that are nearer than their sites. A distance that is emulated shows only to one that trusts this machine as a proxy: start it with --trusted-proxy ADDRESS"
        ),
        SeenThrough::NoContest => t!(
            "No request met a rival: the telescope decides by arrival (rule disputa: chegada), or the scheduler gives these clients no credit. Then start it with --trusted-proxy ADDRESS, so that it trusts this machine as a proxy"
        ),
        SeenThrough::Proxy => t!(
            "The scheduler takes this machine for a proxy that it does not trust, and gives its clients no credit: start it with --trusted-proxy ADDRESS"
        ),
    }
    .into_owned()
}

#[derive(Serialize)]
struct Json<'a> {
    contests: u32,
    clicks_within_ms: f64,
    telescope: &'a str,
    slot: String,
    run: &'a str,
    as_expected: bool,
    judged: bool,
    one_winner: usize,
    first_click_wins: Part,
    first_click_arrives_first: Part,
    pairs_in_order: Part,
    distant_pairs_in_order: Part,
    farthest_to_nearest: Option<f64>,
    window_ms: u64,
    without_record: usize,
    seen_through: Option<&'static str>,
    statuses: BTreeMap<String, usize>,
    failure: Option<&'a str>,
    sites: Vec<SiteJson<'a>>,
}

#[derive(Serialize)]
struct SiteJson<'a> {
    name: &'a str,
    honest: bool,
    round_trip_ms: f64,
    round_trip_seen_us: Option<u32>,
    clicked_first: Part,
    arrived_first: Part,
    won: Part,
    late: Part,
}

impl<'a> SiteJson<'a> {
    fn of((site, figures): (&'a Site, &OfSite)) -> Self {
        Self {
            name: &site.name,
            honest: site.is_honest(),
            round_trip_ms: site.round_trip_ms,
            round_trip_seen_us: figures.round_trip_us,
            clicked_first: figures.clicked_first.into(),
            arrived_first: figures.arrived_first.into(),
            won: figures.won.into(),
            late: figures.late.into(),
        }
    }
}

/// A share, with the interval in which the true one is with 95 %.
#[derive(Serialize)]
struct Part {
    count: usize,
    of: usize,
    low: f64,
    high: f64,
}

impl From<Share> for Part {
    fn from(share: Share) -> Self {
        let (low, high) = share.interval();
        Self { count: share.count, of: share.of, low, high }
    }
}

/// The report for programs: one object on one line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn json(config: &Config, seen: &Seen) -> serde_json::Result<String> {
    let figures = &seen.figures;
    let status = |(status, count): (&u16, &usize)| match status {
        0 => ("none".to_owned(), *count),
        status => (status.to_string(), *count),
    };
    let report = Json {
        contests: config.contests,
        clicks_within_ms: config.sites.clicks_within_ms,
        telescope: &seen.telescope,
        slot: wire_instant(seen.slot),
        run: &seen.run,
        as_expected: seen.is_as_expected(),
        judged: !seen.is_not_judged(),
        one_winner: figures.one_winner.count,
        first_click_wins: figures.first_won.into(),
        first_click_arrives_first: figures.first_arrived_first.into(),
        pairs_in_order: figures.pairs.into(),
        distant_pairs_in_order: figures.distant_pairs.into(),
        farthest_to_nearest: farthest_to_nearest(config, seen),
        window_ms: seen.window_ms,
        without_record: seen.without_record,
        seen_through: seen.seen_through.map(|why| match why {
            SeenThrough::Connection => "connection",
            SeenThrough::Proxy => "proxy",
            SeenThrough::NoContest => "no_contest",
        }),
        statuses: seen.statuses.iter().map(status).collect(),
        failure: seen.failure.as_deref(),
        sites: config.sites.sites.iter().zip(&figures.sites).map(SiteJson::of).collect(),
    };
    Ok(escaped(&serde_json::to_string(&report)?) + "\n")
}
