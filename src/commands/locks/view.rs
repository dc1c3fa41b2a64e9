//! The locks, laid out for people. Texts of the coordinator are escaped: a name must not steer a terminal.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use rust_i18n::t;
use serde::Deserialize;

use super::client::{Answer, ClientError, Listing, Lock};
use crate::coordinator::protocol::grace;
use crate::language::counted;
use crate::text::escaped;

const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The table and its summary; `colour` the states or not. Where the table is wider than `width`, the owner and the token stand
/// below the resource.
///
/// # Errors
/// When the listing is not a coordinator's.
pub fn table(listing: &Listing, colour: bool, width: Option<u16>) -> Result<String, ClientError> {
    let locks = listing.parsed()?;
    if locks.is_empty() {
        return Ok(format!("{}\n{}", t!("nothing is locked"), after_a_restart(listing.grace_left)));
    }
    let mut table = wide(&locks);
    if let Some(width) = width.filter(|width| first_line(&table) > usize::from(*width)) {
        table = narrow(&locks);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    Ok(format!("{table}\n{}\n", summary(&locks, listing.more)))
}

/// What is said of the time after a coordinator's restart; nothing at other times.
pub fn after_a_restart(grace_left: Option<Duration>) -> String {
    let Some(left) = grace_left else { return String::new() };
    let said = t!(
        "the coordinator was restarted: it does not list earlier locks, which may be in use for %{seconds} s more",
        seconds = grace::seconds(left)
    );
    format!("{said}\n")
}

fn wide(locks: &[Lock]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        t!("resource"),
        t!("state"),
        t!("owner"),
        "token".into(),
        t!("expires in"),
        t!("waiting"),
    ]);
    for lock in locks {
        table.add_row([
            Cell::new(escaped(&lock.recurso)),
            state(&lock.estado),
            Cell::new(lock.dono.as_deref().map_or_else(String::new, escaped)),
            Cell::new(lock.token.map_or_else(String::new, |token| token.to_string())),
            Cell::new(lock.expira_em_ms.map_or_else(String::new, duration)),
            Cell::new(lock.fila),
        ]);
    }
    numbers_from(&mut table, 3);
    table
}

fn narrow(locks: &[Lock]) -> Table {
    let mut table = Table::new();
    let header = [t!("resource, owner and token"), t!("state"), t!("expires in"), t!("waiting")];
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for lock in locks {
        let owner = lock.dono.as_deref().map(escaped);
        let owner_and_token: Vec<String> =
            owner.into_iter().chain(lock.token.map(|token| t!("token %{token}", token = token).into_owned())).collect();
        let mut named = escaped(&lock.recurso);
        if !owner_and_token.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(named, "\n  {}", owner_and_token.join(", "));
        }
        table.add_row([
            Cell::new(named),
            state(&lock.estado),
            Cell::new(lock.expira_em_ms.map_or_else(String::new, duration)),
            Cell::new(lock.fila),
        ]);
    }
    numbers_from(&mut table, 2);
    table
}

/// The numbers stand at the right of their columns.
fn numbers_from(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The width of the table: its first line is its frame.
fn first_line(table: &Table) -> usize {
    table.to_string().lines().next().map_or(0, |line| line.chars().count())
}

fn state(estado: &str) -> Cell {
    match estado {
        "travado" => Cell::new(state_in_words(estado)).fg(Color::Red),
        "retido" => Cell::new(state_in_words(estado)).fg(Color::Yellow),
        "prometido" => Cell::new(state_in_words(estado)).fg(Color::Cyan),
        other => Cell::new(state_in_words(other)),
    }
}

fn state_in_words(estado: &str) -> Cow<'_, str> {
    match estado {
        "travado" => t!("held"),
        "retido" => t!("retained"),
        "prometido" => t!("promised"),
        // A later version's.
        other => escaped(other).into(),
    }
}

fn summary(locks: &[Lock], more: bool) -> String {
    let count = |estado: &str| locks.iter().filter(|lock| lock.estado == estado).count();
    let waiting: u64 = locks.iter().fold(0, |sum, lock| sum.saturating_add(lock.fila));
    let (held, retained, promised) = (count("travado"), count("retido"), count("prometido"));
    let mut counts = vec![
        counted(held, t!("1 locked"), t!("%{n} locked", n = held)),
        counted(retained, t!("1 retained"), t!("%{n} retained", n = retained)),
    ];
    if promised > 0 {
        counts.push(counted(promised, t!("1 promised"), t!("%{n} promised", n = promised)));
    }
    counts.push(t!("%{n} waiting", n = waiting));
    let counts = counts.join(", ");
    if more { t!("%{counts}; there are more than --limit shows", counts = counts).into_owned() } else { counts }
}

/// `8.8 s`, or `4 min 20 s`.
pub fn duration(millis: u64) -> String {
    if millis < 60_000 {
        return format!("{}.{} s", millis / 1000, millis % 1000 / 100);
    }
    format!("{} min {:02} s", millis / 60_000, millis / 1000 % 60)
}

/// The lock that a release ended.
///
/// # Errors
/// When the answer is not a coordinator's.
pub fn released(answer: &Answer) -> Result<String, ClientError> {
    #[derive(Deserialize)]
    struct Released {
        estado_anterior: String,
        recursos: Vec<String>,
        dono: Option<String>,
        token: Option<u64>,
    }
    let Released { estado_anterior, recursos, dono, token } = answer.parsed()?;
    let resources = recursos.iter().map(|name| escaped(name)).collect::<Vec<_>>().join(", ");
    let owner = dono.as_deref().map_or_else(|| t!("no named owner"), |dono| t!("owner %{name}", name = escaped(dono)));
    let token = token.map_or_else(|| t!("no token"), |token| t!("token %{token}", token = token));
    let said = t!(
        "released %{names} (was %{state}: %{owner}, %{token})",
        names = resources,
        state = state_in_words(&estado_anterior),
        owner = owner,
        token = token
    );
    Ok(said.into_owned() + "\n")
}

/// `text` in place of the terminal's contents, without a flicker: each line overwrites another.
pub fn frame(text: &str, first: bool) -> String {
    let clear = if first { CLEAR } else { "" };
    format!("{clear}{HOME}{}{CLEAR_BELOW}", text.replace('\n', &format!("{CLEAR_TO_END_OF_LINE}\n")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn listing(locks: &[Value]) -> Listing {
        Listing { coordinator: "http://h:3000".to_owned(), locks: locks.to_vec(), more: false, grace_left: None }
    }

    fn held(resource: &str) -> Value {
        json!({"recurso": resource, "estado": "travado", "dono": "eu", "token": 7, "expira_em_ms": 8_812, "fila": 2})
    }

    #[test]
    fn each_state_by_its_name_and_a_count_of_each() {
        let promised = json!({"recurso": "Z", "estado": "prometido", "dono": null, "token": null,
            "expira_em_ms": null, "expira_em_utc": null, "fila": 1});
        let mut retained = held("Y");
        retained["estado"] = json!("retido");
        let text = table(&listing(&[held("X"), retained, promised]), false, None).unwrap();
        for words in [&["X", "held", "eu", "7", "8.8 s", "2"][..], &["Y", "retained"], &["Z", "promised", "1"]] {
            let row = text.lines().find(|line| line.contains(&format!("│ {} ", words[0]))).unwrap();
            let cells: Vec<&str> = row.split(['│', '┆']).map(str::trim).filter(|cell| !cell.is_empty()).collect();
            assert!(words.iter().all(|word| cells.contains(word)), "{words:?} in {row}");
        }
        assert!(text.ends_with("1 locked, 1 retained, 1 promised, 5 waiting\n"), "{text}");
        assert!(!text.contains('\x1b'));
        assert!(table(&listing(&[held("X")]), true, None).unwrap().contains("\x1b["));
        assert_eq!(table(&listing(&[]), true, None).unwrap(), "nothing is locked\n");
    }

    #[test]
    fn a_limit_says_that_there_is_more() {
        let text = table(&Listing { more: true, ..listing(&[held("X")]) }, false, None).unwrap();
        assert!(text.ends_with("1 locked, 0 retained, 2 waiting; there are more than --limit shows\n"), "{text}");
    }

    #[test]
    fn no_name_steers_the_terminal_and_wide_ones_keep_the_columns() {
        let mut locks = [held("a\x1b[2J\n\u{202e}b"), held("望遠鏡 \"ç\""), held("plain")];
        locks[0]["dono"] = json!("\x07");
        locks[0]["estado"] = json!("\x1bnew");
        let text = table(&listing(&locks), false, None).unwrap();
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
        assert!(text.contains("a\\u001b[2J\\n\\u202eb") && text.contains("望遠鏡 \"ç\""), "{text}");
        // Three characters that take two columns each.
        let rows: Vec<usize> =
            text.lines().filter(|line| line.starts_with('│')).map(|row| row.chars().count()).collect();
        assert_eq!(rows, [rows[0], rows[0], rows[0] - 3, rows[0]], "{text}");
    }

    #[test]
    fn a_lock_that_no_coordinator_lists_is_an_error() {
        for wrong in [json!({}), json!("X"), json!({"recurso": "X", "estado": "travado", "fila": -1})] {
            assert!(matches!(table(&listing(&[wrong]), false, None), Err(ClientError::NotACoordinator { .. })));
        }
    }

    #[test]
    fn durations_for_people() {
        let said = [0, 99, 8_812, 59_999, 60_000, 300_000].map(duration);
        assert_eq!(said, ["0.0 s", "0.0 s", "8.8 s", "59.9 s", "1 min 00 s", "5 min 00 s"]);
        duration(u64::MAX);
    }

    #[test]
    fn a_table_that_is_too_wide_has_the_owner_below_the_resource() {
        let locks = [
            json!({"recurso": "Hubble-Acad_2030-06-01T03:00:00Z", "estado": "travado", "dono": "agendamento-e59905d6", "token": 12,
            "expira_em_ms": 200_000, "fila": 3}),
        ];
        let lines = |width| table(&listing(&locks), false, width).unwrap();
        assert_eq!(lines(Some(120)), lines(None));
        let narrow = lines(Some(80));
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(narrow.contains("│ Hubble-Acad_2030-06-01T03:00:00Z "), "{narrow}");
        assert!(narrow.contains("│   agendamento-e59905d6, token 12 "), "{narrow}");
    }

    #[test]
    fn a_frame_covers_the_one_before() {
        assert_eq!(frame("a\nb\n", true), "\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(frame("a\n", false), "\x1b[Ha\x1b[K\n\x1b[J");
    }
}
