//! Lists of bookings. The cost of a page does not depend on the size of the agenda.
//!
//! A page is one statement. It is a merge of stretches of an index, one for each telescope and status, and of each it reads no more than
//! the page can show. Only places are merged; the rows are read for the places that are shown.
//!
//! No index finds the bookings that began before `from` and end after it, among those that ended before it. All of them start in the day
//! before `from`, in which any number of bookings may have been cancelled. So one page passes over a limited number of bookings, and then
//! says where the next page continues.

use deadpool_postgres::GenericClient;

use super::ask::{self, Value};
use super::errors::Error;
use super::rows::{self, BOOKING};
use crate::agenda::{Booking, DURATION_MIN_MAX, Status};
use crate::store::{Filter, Page};
use crate::time::{Timestamp, minutes_in_micros};

/// How many bookings one page may pass over.
const PASSED_OVER_MAX: i64 = 1000;
/// What the statement gives beside a booking: its place, and whether it is in the list. For the others the booking is NULL.
const START_COLUMN: usize = 17;
const ID_COLUMN: usize = 18;
const IS_LISTED_COLUMN: usize = 19;

/// A page of bookings after `after`, at most `limit` of them.
pub async fn list(
    client: &impl GenericClient,
    filter: &Filter,
    after: Option<(Timestamp, i64)>,
    limit: u16,
) -> Result<Page, Error> {
    let (after_us, after_id) = begin(filter, after);
    let from_us = filter.from.map_or(i64::MIN, Timestamp::as_micros);
    let until_us = filter.until.map_or(i64::MAX, Timestamp::as_micros);
    let most = i64::from(limit) + 1;
    let looked_at_max = most + PASSED_OVER_MAX;
    let statuses = [Status::Active, Status::Cancelled];
    let statuses: Vec<&str> = statuses
        .iter()
        .filter(|status| filter.status.is_none_or(|wanted| wanted == **status))
        .map(|s| s.name())
        .collect();
    let form = Form::of(filter);
    let mut values: Vec<Value<'_>> = vec![&after_us, &after_id, &from_us, &until_us, &looked_at_max, &most];
    if form != Form::Whole {
        values.extend([&filter.telescope as Value<'_>, &statuses]);
    }
    if let Some(scientist) = &filter.scientist_id {
        values.push(scientist);
    }
    let found = ask::rows(client, &form.sql(), &values).await?;
    let mut bookings = Vec::new();
    for row in &found {
        if rows::get(row, IS_LISTED_COLUMN)? {
            bookings.push(rows::booking(row)?);
        }
    }
    let is_full = bookings.len() > usize::from(limit);
    bookings.truncate(usize::from(limit));
    let next = if is_full {
        bookings.last().map(|booking: &Booking| (booking.slots.start(), booking.id))
    } else {
        let looked_at_all = found.len() < usize::try_from(looked_at_max).unwrap_or(usize::MAX);
        let last = found.last().filter(|_| !looked_at_all);
        last.map(|row| Ok::<_, Error>((rows::required(row, START_COLUMN)?, rows::get(row, ID_COLUMN)?))).transpose()?
    };
    Ok(Page { bookings, next })
}

/// The first booking that matches a filter, on any page.
pub async fn first(client: &impl GenericClient, filter: &Filter) -> Result<Option<Booking>, Error> {
    let mut after = None;
    loop {
        let page = list(client, filter, after, 1).await?;
        if let Some(first) = page.bookings.into_iter().next() {
            return Ok(Some(first));
        }
        if page.next.is_none() {
            return Ok(None);
        }
        after = page.next;
    }
}

/// The place after which a page begins.
fn begin(filter: &Filter, after: Option<(Timestamp, i64)>) -> (i64, i64) {
    // No booking is longer than a day: a booking that ends after `from` starts after the day before.
    let from = filter.from.map_or(-1, |from| from.as_micros() - minutes_in_micros(DURATION_MIN_MAX));
    match after {
        Some((start, id)) if start.as_micros() > from => (start.as_micros(), id),
        // After all that start at that instant.
        _ => (from, i64::MAX),
    }
}

/// Which index has the stretches of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The one of all bookings by their start.
    Whole,
    /// The one by telescope and status.
    OfTelescopes,
    /// The one by scientist, telescope and status.
    OfScientist,
}

impl Form {
    fn of(filter: &Filter) -> Self {
        match (&filter.telescope, filter.scientist_id, filter.status) {
            (None, None, None) => Self::Whole,
            (_, Some(_), _) => Self::OfScientist,
            (_, None, _) => Self::OfTelescopes,
        }
    }

    /// The statement. Its parameters: the place after which it begins; `from` and `until`; how many places it looks at, and how many
    /// bookings it gives; and in the forms with stretches the telescope's code or NULL, the statuses, and the scientist.
    fn sql(self) -> String {
        let (stretches, of) = match self {
            Self::Whole => ("(SELECT 1) s", ""),
            Self::OfTelescopes => (STRETCHES, "a.telescopio_id = s.telescopio_id AND a.status = s.status AND "),
            Self::OfScientist => {
                (STRETCHES, "a.cientista_id = $9 AND a.telescopio_id = s.telescopio_id AND a.status = s.status AND ")
            }
        };
        // A booking that starts at `from` or later ends after it. Of the others at most a day's are looked at.
        format!(
            "WITH places AS (
                 SELECT p.inicio_us, p.id, p.is_listed FROM {stretches} CROSS JOIN LATERAL (
                     (SELECT a.inicio_us, a.id, a.fim_us > $3 AS is_listed FROM agendamentos a
                      WHERE {of}(a.inicio_us, a.id) > ($1, $2) AND a.inicio_us < least($3, $4)
                      ORDER BY a.inicio_us, a.id LIMIT $5)
                     UNION ALL
                     (SELECT a.inicio_us, a.id, TRUE FROM agendamentos a
                      WHERE {of}(a.inicio_us, a.id) > ($1, $2) AND a.inicio_us >= $3 AND a.inicio_us < $4
                      ORDER BY a.inicio_us, a.id LIMIT $6)
                 ) p ORDER BY p.inicio_us, p.id LIMIT $5
             ), counted AS (
                 SELECT inicio_us, id, is_listed, count(*) FILTER (WHERE is_listed) OVER (ORDER BY inicio_us, id) AS listed FROM places
             )
             SELECT {BOOKING}, p.inicio_us, p.id, p.is_listed
             FROM counted p LEFT JOIN agendamentos a ON p.is_listed AND a.id = p.id LEFT JOIN telescopios t ON t.id = a.telescopio_id
             WHERE p.listed <= $6 ORDER BY p.inicio_us, p.id"
        )
    }
}

/// The stretches of a list; an unknown telescope has none.
const STRETCHES: &str =
    "(SELECT t.id AS telescopio_id, w.status FROM telescopios t CROSS JOIN unnest($8::TEXT[]) AS w (status)
     WHERE $7::TEXT IS NULL OR t.codigo = $7) s";
