//! Bookings as a table for people, and as a line for programs.

use std::collections::{BTreeSet, HashMap};

use comfy_table::{Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};
use rust_i18n::t;

use super::documents::Booking;
use crate::language::counted;
use crate::text::{escaped, wrapped};
use crate::time::Timestamp;

/// One booking as fields with tabs between them. A tab within a field is escaped.
pub fn line(booking: &Booking) -> String {
    let fields = [
        booking.id.to_string(),
        booking.start.seconds().to_string(),
        booking.end.seconds().to_string(),
        escaped(&booking.telescopio),
        booking.cientista_id.to_string(),
        escaped(&booking.status),
        booking.alvo.as_deref().map(escaped).unwrap_or_default(),
    ];
    fields.join("\t") + "\n"
}

/// The table, and how many bookings it has; `more` if there are others.
pub fn table(bookings: &[Booking], names: &HashMap<i64, String>, more: bool, look: (bool, Option<u16>)) -> String {
    if bookings.is_empty() {
        return format!("{}\n", t!("no bookings"));
    }
    let counted = counted(bookings.len(), t!("1 booking"), t!("%{n} bookings", n = bookings.len()));
    let counted = if more { t!("%{counts}; there are more than --limit shows", counts = counted) } else { counted };
    titled(bookings, names, &counted, look)
}

/// The table, with a line below it. What all bookings have in common is said once, above it. Where the table is wider than `width`,
/// the target stands below the scientist.
pub fn titled(
    bookings: &[Booking],
    names: &HashMap<i64, String>,
    below: &str,
    (colour, width): (bool, Option<u16>),
) -> String {
    let columns = Columns::of(bookings, names);
    let mut table = columns.table(bookings, names);
    if let Some(width) = width.filter(|width| first_line(&table) > usize::from(*width)) {
        table = Columns { below: columns.who.is_none() && columns.target, ..columns.clone() }.table(bookings, names);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let who = columns.who.map(|who| t!("bookings of %{name}", name = who).into_owned());
    let above: Vec<_> = columns.telescope.into_iter().chain(who).chain([t!("times in UTC").into_owned()]).collect();
    let above = wrapped(&above.join("; "), width.map_or(usize::MAX, usize::from), "", "");
    format!("{above}\n{table}\n{below}\n")
}

/// What the table has a column for.
#[derive(Clone)]
struct Columns {
    /// The telescope of all bookings, if there is only one: no column then.
    telescope: Option<String>,
    /// The scientist of all bookings, if there is only one: no column then.
    who: Option<String>,
    status: bool,
    target: bool,
    /// Whether the target stands below the scientist.
    below: bool,
}

impl Columns {
    fn of(bookings: &[Booking], names: &HashMap<i64, String>) -> Self {
        Self {
            telescope: the_same(bookings, |booking| escaped(&booking.telescopio)),
            who: the_same(bookings, |booking| called(booking.cientista_id, names)),
            status: bookings.iter().any(Booking::is_cancelled),
            target: bookings.iter().any(|booking| booking.alvo.is_some()),
            below: false,
        }
    }

    fn table(&self, bookings: &[Booking], names: &HashMap<i64, String>) -> Table {
        let mut header = vec!["id".into(), t!("start"), "min".into()];
        header.extend(self.status.then_some("status".into()));
        header.extend(self.telescope.is_none().then(|| t!("telescope")));
        header.extend(self.who.is_none().then(|| if self.below { t!("scientist, target") } else { t!("scientist") }));
        header.extend((self.target && !self.below).then(|| t!("target")));
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
        for booking in bookings {
            let target = booking.alvo.as_deref().map(escaped).unwrap_or_default();
            let mut row = vec![
                Cell::new(booking.id),
                Cell::new(short(booking.start)),
                Cell::new((booking.end.as_micros() - booking.start.as_micros()) / 60_000_000),
            ];
            row.extend(self.status.then(|| status(booking)));
            row.extend(self.telescope.is_none().then(|| Cell::new(escaped(&booking.telescopio))));
            if self.who.is_none() {
                let mut who = called(booking.cientista_id, names);
                if self.below && !target.is_empty() {
                    who.push('\n');
                    who.push_str(&target);
                }
                row.push(Cell::new(who));
            }
            row.extend((self.target && !self.below).then(|| Cell::new(target)));
            table.add_row(row);
        }
        for column in [0, 2] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        // A number or an instant that is split in two cannot be read.
        for column in table.column_iter_mut().take(if self.status { 4 } else { 3 }) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        table
    }
}

/// The width of the table: its first line is its frame.
fn first_line(table: &Table) -> usize {
    table.to_string().lines().next().map_or(0, |line| line.chars().count())
}

/// What all bookings have in common.
fn the_same(bookings: &[Booking], of: impl Fn(&Booking) -> String) -> Option<String> {
    let all: BTreeSet<String> = bookings.iter().map(of).collect();
    if all.len() == 1 { all.into_iter().next() } else { None }
}

/// A scientist's number and name.
pub fn called(scientist: i64, names: &HashMap<i64, String>) -> String {
    names.get(&scientist).map_or_else(|| scientist.to_string(), |name| format!("{scientist} {name}"))
}

/// `2025-12-01 03:00`.
pub fn short(at: Timestamp) -> String {
    let text = at.seconds().to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

fn status(booking: &Booking) -> Cell {
    match booking.status.as_str() {
        "AGENDADO" => Cell::new(t!("active")),
        "CANCELADO" => Cell::new(t!("cancelled")).fg(Color::Yellow),
        // A later version's.
        other => Cell::new(escaped(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn booking(id: i64, changes: &Value) -> Booking {
        let mut booking = json!({
            "id": id, "telescopio": "Hubble-Acad", "cientista_id": 7, "status": "AGENDADO", "alvo": null,
            "horario_inicio_utc": "2025-12-01T03:00:00Z", "horario_fim_utc": "2025-12-01T03:30:00Z"
        });
        for (name, value) in changes.as_object().unwrap() {
            booking[name] = value.clone();
        }
        serde_json::from_value(booking).unwrap()
    }

    fn names() -> HashMap<i64, String> {
        HashMap::from([(7, "Marie Curie".to_owned()), (8, "Maria da Conceição Tavares de Almeida".to_owned())])
    }

    #[test]
    fn a_line_has_seven_fields_whatever_the_target_is() {
        let plain = line(&booking(1, &json!({})));
        assert_eq!(plain, "1\t2025-12-01T03:00:00Z\t2025-12-01T03:30:00Z\tHubble-Acad\t7\tAGENDADO\t\n");
        let nasty = line(&booking(1, &json!({"alvo": "M31\tb\n\u{1b}[2J"})));
        assert_eq!((nasty.matches('\t').count(), nasty.matches('\n').count()), (6, 1), "{nasty:?}");
        assert!(nasty.ends_with("M31\\tb\\n\\u001b[2J\n"), "{nasty:?}");
    }

    #[test]
    fn what_all_have_in_common_stands_above_the_table() {
        let shown = table(&[booking(1, &json!({})), booking(12, &json!({}))], &names(), false, (false, Some(80)));
        assert!(shown.starts_with("Hubble-Acad; bookings of 7 Marie Curie; times in UTC\n"), "{shown}");
        assert!(shown.contains("│  1 ┆ 2025-12-01 03:00 ┆  30 │") && shown.ends_with("\n2 bookings\n"), "{shown}");
        assert!(table(&[], &names(), false, (false, None)).starts_with("no bookings"));
        assert!(table(&[booking(1, &json!({}))], &names(), true, (false, None)).contains("1 booking; there are more"));
    }

    #[test]
    fn a_table_of_all_columns_fits_and_splits_no_instant() {
        let all = [
            booking(1_234_567, &json!({"telescopio": "Webb-Acad", "status": "CANCELADO", "cientista_id": 8})),
            booking(2, &json!({"alvo": "a galáxia de Andrômeda e as suas companheiras"})),
        ];
        for width in [80, 120] {
            let shown = table(&all, &names(), false, (false, Some(width)));
            assert!(shown.lines().all(|line| line.chars().count() <= width.into()), "{shown}");
            for whole in ["2025-12-01 03:00", "1234567", "cancelled", "Andrômeda"] {
                assert!(shown.contains(whole), "{whole}\n{shown}");
            }
        }
    }
}
