//! The audit trail's rows: the records' lines and the chain's head, written in the transaction of what they record.

use rusqlite::{Connection, Statement};

use crate::audit::chain::ChainHead;
use crate::audit::filter::{Filter, Verdict, Wanted};
use crate::store::{LatestRecord, TrailPage};

/// The chain's head as of this transaction.
pub fn head(connection: &Connection) -> rusqlite::Result<ChainHead> {
    connection
        .prepare_cached("SELECT seq, hash FROM trilha WHERE id = 1")?
        .query_row((), |row| Ok(ChainHead { seq: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? }))
}

/// Writes the head's row, and leaves it as it is. It is changed and changed back: SQLite writes no page for a row that is
/// replaced by the same.
pub fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let mut turn = connection.prepare_cached("UPDATE trilha SET exportado = -1 - exportado WHERE id = 1")?;
    turn.execute(())?;
    turn.execute(())?;
    Ok(())
}

/// Notes the new head.
pub fn set_head(connection: &Connection, head: &ChainHead) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE trilha SET seq = ?1, hash = ?2 WHERE id = 1")?
        .execute((head.seq.cast_signed(), &head.hash))?;
    Ok(())
}

/// What adds a record's line.
pub const INSERT: &str = "INSERT INTO auditoria (seq, linha) VALUES (?1, ?2)";

/// Adds a record's line.
pub fn insert(connection: &Connection, seq: u64, line: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(INSERT)?;
    insert_by(&mut statement, seq, line)
}

/// The same by [`INSERT`], prepared.
pub fn insert_by(insert: &mut Statement<'_>, seq: u64, line: &str) -> rusqlite::Result<()> {
    insert.execute((seq.cast_signed(), line))?;
    Ok(())
}

/// The most records that one page reads, so that a question with few answers does not hold a reader for long: they are some 200
/// pages of the database, which may have to come from the disk.
const LOOKED_AT_MAX: u32 = 1_000;

/// Records in order after `after`, and those of one booking, which an index finds.
const ALL: &str = "SELECT seq, linha FROM auditoria WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const OF_BOOKING: &str =
    "SELECT seq, linha FROM auditoria WHERE agendamento_id = ?3 AND seq > ?1 ORDER BY seq LIMIT ?2";

/// A page of the wanted records after record `after`, at most `limit` of them.
pub fn page(connection: &Connection, wanted: Wanted, after: u64, limit: u16) -> rusqlite::Result<TrailPage> {
    let booking = wanted.booking;
    let filter = Filter::new(wanted);
    let mut statement = connection.prepare_cached(if booking.is_some() { OF_BOOKING } else { ALL })?;
    let (after, most) = (after.cast_signed(), i64::from(LOOKED_AT_MAX) + 1);
    let mut rows = match booking {
        Some(booking) => statement.query((after, most, booking))?,
        None => statement.query((after, most))?,
    };
    let mut page = TrailPage { lines: Vec::new(), next: None };
    let (mut looked_at, mut reached) = (0, after);
    while let Some(row) = rows.next()? {
        if looked_at == LOOKED_AT_MAX || page.lines.len() == usize::from(limit) {
            page.next = Some(reached.cast_unsigned());
            break;
        }
        let line = row.get_ref(1)?.as_str()?;
        if matches!(filter.judge(line.as_bytes()), Verdict::Wanted(_)) {
            page.lines.push(line.to_owned());
        }
        (looked_at, reached) = (looked_at + 1, row.get(0)?);
    }
    Ok(page)
}

/// The head with its record.
pub fn latest(connection: &Connection) -> rusqlite::Result<LatestRecord> {
    connection
        .prepare_cached(
            "SELECT t.seq, t.hash, a.linha FROM trilha t LEFT JOIN auditoria a ON a.seq = t.seq WHERE t.id = 1",
        )?
        .query_row((), |row| {
            let head = ChainHead { seq: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? };
            Ok(LatestRecord { head, line: row.get(2)? })
        })
}

/// Where the chain begins and where it ends.
pub fn ends(connection: &Connection) -> rusqlite::Result<[ChainHead; 2]> {
    Ok([ChainHead::genesis(&identity(connection)?), head(connection)?])
}

/// The trail's identity, with which its chain begins.
pub fn identity(connection: &Connection) -> rusqlite::Result<String> {
    connection.prepare_cached("SELECT identidade FROM trilha WHERE id = 1")?.query_row((), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open_error::DatabaseKind;
    use crate::store::sqlite::schema;

    #[test]
    fn the_booking_of_a_record_is_found_in_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
        let named = |alvo: &str| serde_json::json!({"details": {"alvo": alvo}}).to_string();
        let lines = [
            (r#"{"details":{"agendamento_id":17,"alvo":"M31"}}"#.to_owned(), Some(17)),
            (
                r#"{"details":{"espera_id":4,"agendamento_id":9007199254740991}}"#.to_owned(),
                Some(9_007_199_254_740_991),
            ),
            (r#"{"details":{"cientista_id":7}}"#.to_owned(), None),
            (named("\"agendamento_id\":5"), None),
            (named("é \\\"agendamento_id\":5"), None),
            ("nada".to_owned(), None),
        ];
        for (seq, (line, expected)) in (1..).zip(&lines) {
            insert(&connection, seq, line).unwrap();
            let found = connection.query_row(
                "SELECT agendamento_id FROM auditoria WHERE seq = ?1",
                [seq.cast_signed()],
                |row| row.get::<_, Option<i64>>(0),
            );
            assert_eq!(found.unwrap(), *expected, "{line}");
        }
    }

    #[test]
    fn a_page_looks_at_a_thousand_records_and_says_where_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
        let transaction = connection.unchecked_transaction().unwrap();
        for seq in 1..=2500 {
            let details = format!("\"agendamento_id\":{}", seq / 2500);
            let line = format!("{{\"level\":\"AUDIT\",\"req\":\"r-{seq}\",\"details\":{{{details}}}}}");
            insert(&transaction, seq, &line).unwrap();
        }
        transaction.commit().unwrap();
        let pages = |wanted: &Wanted, limit| {
            let (mut after, mut pages) = (0, Vec::new());
            loop {
                let page = page(&connection, wanted.clone(), after, limit).unwrap();
                pages.push((page.lines.len(), page.next));
                match page.next {
                    Some(next) => after = next,
                    None => return pages,
                }
            }
        };
        let last = Wanted { request: Some("r-2500".to_owned()), ..Wanted::default() };
        assert_eq!(pages(&last, 50), [(0, Some(1000)), (0, Some(2000)), (1, None)]);
        let nobody = Wanted { request: Some("r".to_owned()), ..Wanted::default() };
        assert_eq!(pages(&nobody, 1), [(0, Some(1000)), (0, Some(2000)), (0, None)]);
        let all = [(500, Some(500)), (500, Some(1000)), (500, Some(1500)), (500, Some(2000)), (500, None)];
        assert_eq!(pages(&Wanted::default(), 500), all);
        // An index finds a booking's, at any place in the trail.
        let of_booking = Wanted { booking: Some(1), ..Wanted::default() };
        assert_eq!(pages(&of_booking, 50), [(1, None)]);
    }
}
