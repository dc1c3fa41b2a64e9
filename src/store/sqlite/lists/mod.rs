//! Lists of bookings. The cost of a page does not depend on the size of the agenda.
//!
//! An index keeps the bookings of one telescope with one status in the list's own order; another index does so for each
//! scientist. A list that is not narrowed to one of both is a merge of such ranges, one for each telescope and status, and there are few
//! of them. SQLite reads their rows one by one. So a page reads only the rows that it shows.
//!
//! No index finds the bookings that began before `from` and end after it, among those that ended before it. All of them
//! start in the day before `from`, in which any number of bookings may have been cancelled. So one page skips only a limited
//! number of bookings, and then says where the next page continues.

use rusqlite::{Connection, Row, ToSql};

use super::bookings::{COLUMNS, from_row};
use crate::agenda::{Booking, DURATION_MIN_MAX, Status};
use crate::store::{Filter, Page};
use crate::time::{Timestamp, minutes_in_micros};

/// How many bookings one page may skip.
const PASSED_OVER_MAX: u32 = 1000;
/// How many ranges one statement merges: SQLite takes up to 500, and a catalogue may have more telescopes.
const STRETCHES_MAX: usize = 64;
/// The positions of `fim_us`, `inicio_us` and `id` in [`COLUMNS`].
const END_COLUMN: usize = 4;
const START_COLUMN: usize = 3;
const ID_COLUMN: usize = 0;

/// A position in the list's order: a start in microseconds, and a booking's number.
type Place = (i64, i64);

/// A range: the bookings of one telescope's row with one status.
#[derive(Clone, Copy)]
struct Stretch(i64, Status);

/// A page of bookings after `after`, at most `limit` of them.
pub fn list(
    connection: &Connection,
    filter: &Filter,
    after: Option<(Timestamp, i64)>,
    limit: u16,
) -> rusqlite::Result<Page> {
    let query = Query { filter, begin: Begin::of(filter, after), limit: usize::from(limit) };
    let mut found = Found::default();
    // All statements read one moment: a booking that is moved meanwhile would be in none of them, or in two.
    let moment = connection.unchecked_transaction()?;
    for stretches in stretches(&moment, filter)?.chunks(STRETCHES_MAX) {
        query.read(&moment, stretches, &mut found)?;
    }
    Ok(found.into_page(usize::from(limit)))
}

/// Where a page begins.
struct Begin {
    /// After this start, in microseconds.
    after_us: i64,
    /// For bookings that start exactly then: after this number, if the page continues another page.
    after_id: Option<i64>,
}

impl Begin {
    fn of(filter: &Filter, after: Option<(Timestamp, i64)>) -> Self {
        // No booking is longer than a day: a booking that ends after `from` starts after the day before.
        let from = filter.from.map_or(-1, |from| from.as_micros() - minutes_in_micros(DURATION_MIN_MAX));
        match after {
            Some((start, id)) if start.as_micros() > from => Self { after_us: start.as_micros(), after_id: Some(id) },
            _ => Self { after_us: from, after_id: None },
        }
    }
}

/// The ranges from which a list is merged; an unknown telescope has none.
fn stretches(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Stretch>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM telescopios WHERE ?1 IS NULL OR codigo = ?1 ORDER BY id")?;
    let rows: Vec<i64> =
        statement.query_map([&filter.telescope], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let statuses = [Status::Active, Status::Cancelled];
    let statuses = statuses.into_iter().filter(|status| filter.status.is_none_or(|wanted| wanted == *status));
    Ok(rows.into_iter().flat_map(|row| statuses.clone().map(move |status| Stretch(row, status))).collect())
}

struct Query<'a> {
    filter: &'a Filter,
    begin: Begin,
    limit: usize,
}

impl Query<'_> {
    /// Adds the bookings of the merged `stretches`.
    fn read(&self, connection: &Connection, stretches: &[Stretch], found: &mut Found) -> rusqlite::Result<()> {
        let from_us = self.filter.from.map_or(i64::MIN, Timestamp::as_micros);
        let until_us = self.filter.until.map_or(i64::MAX, Timestamp::as_micros);
        let goes_on = self.begin.after_id.is_some();
        let mut values: Vec<&dyn ToSql> = vec![&self.begin.after_us, &until_us, &self.begin.after_id];
        if let Some(scientist_id) = self.filter.scientist_id.as_ref() {
            values.push(scientist_id);
        }
        let names: Vec<&str> = stretches.iter().map(|stretch| stretch.1.name()).collect();
        for (Stretch(row, _), name) in stretches.iter().zip(&names) {
            values.extend([row as &dyn ToSql, name as &dyn ToSql]);
        }
        let mut statement =
            connection.prepare_cached(&sql(stretches.len(), self.filter.scientist_id.is_some(), goes_on))?;
        let mut rows = statement.query(values.as_slice())?;
        let (mut taken, mut passed_over) = (0, 0);
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(END_COLUMN)? > from_us {
                found.bookings.push(from_row(row)?);
                taken += 1;
            } else {
                passed_over += 1;
            }
            if taken > self.limit || passed_over == PASSED_OVER_MAX {
                found.stop_at(place_of(row)?);
                break;
            }
        }
        Ok(())
    }
}

fn place_of(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok((row.get(START_COLUMN)?, row.get(ID_COLUMN)?))
}

/// The statement that merges the given number of ranges. The first parameters are the list's beginning, its end, and the
/// booking's number after which it continues. Then comes the scientist, if there is one, and then each range's telescope and
/// status.
fn sql(stretches: usize, of_scientist: bool, goes_on: bool) -> String {
    let (index, scientist, first) = if of_scientist {
        ("agendamentos_por_cientista", " AND a.cientista_id = ?4", 5)
    } else {
        ("agendamentos_por_telescopio", "", 4)
    };
    let one = |of: &str, begin: &str| {
        format!(
            "SELECT {COLUMNS} FROM agendamentos a INDEXED BY {index} CROSS JOIN telescopios t ON t.id = a.telescopio_id
             WHERE {begin} AND a.inicio_us < ?2{scientist}{of}"
        )
    };
    // SQLite uses the index for "after this start and number" only if the condition is split into two parts.
    let both = |of: &str| {
        let mut both = vec![one(of, "a.inicio_us > ?1")];
        both.extend(goes_on.then(|| one(of, "a.inicio_us = ?1 AND a.id > ?3")));
        both
    };
    let of =
        |nth: usize| format!(" AND a.telescopio_id = ?{} AND a.status = ?{}", first + 2 * nth, first + 2 * nth + 1);
    let arms: Vec<String> = (0..stretches).flat_map(|nth| both(&of(nth))).collect();
    // Ordered by column position: in a merge SQLite can order only by columns of the result.
    format!("{} ORDER BY {}, {}", arms.join(" UNION ALL "), START_COLUMN + 1, ID_COLUMN + 1)
}

/// The bookings that one or several statements found.
#[derive(Default)]
struct Found {
    bookings: Vec<Booking>,
    /// The first position at which one of the statements stopped reading. Bookings after it are not known yet.
    horizon: Option<Place>,
}

impl Found {
    fn stop_at(&mut self, place: Place) {
        self.horizon = Some(self.horizon.map_or(place, |horizon| horizon.min(place)));
    }

    fn into_page(mut self, limit: usize) -> Page {
        let place = |booking: &Booking| (booking.slots.start(), booking.id);
        self.bookings.sort_unstable_by_key(place);
        let horizon = self.horizon.map(|(start, id)| (Timestamp::from_micros(start).unwrap_or(Timestamp::MAX), id));
        if let Some(horizon) = horizon {
            self.bookings.retain(|booking| place(booking) <= horizon);
        }
        let is_full = self.bookings.len() > limit;
        self.bookings.truncate(limit);
        let next = if is_full { self.bookings.last().map(place) } else { horizon };
        Page { bookings: self.bookings, next }
    }
}

/// The first booking that matches a filter, on any page.
pub fn first(connection: &Connection, filter: &Filter) -> rusqlite::Result<Option<Booking>> {
    let mut after = None;
    loop {
        let page = list(connection, filter, after, 1)?;
        if let Some(first) = page.bookings.into_iter().next() {
            return Ok(Some(first));
        }
        if page.next.is_none() {
            return Ok(None);
        }
        after = page.next;
    }
}

#[cfg(test)]
pub(super) mod tests;
