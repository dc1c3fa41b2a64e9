//! The answers that are kept: written with what their requests made, read for a repetition, removed when they are old.

use rusqlite::{Connection, OptionalExtension, named_params};

use crate::agenda::keeping::{Digest, KEPT_FOR, Kept, KeptAnswer};
use crate::time::{Timestamp, micros};

/// Until when an answer was kept that is old at `now`.
fn old_at(now: Timestamp) -> i64 {
    now.as_micros().saturating_sub_unsigned(micros(KEPT_FOR))
}

/// Keeps an answer. An old one with its key gives way, and so does the oldest of an author who has too many.
pub fn insert(connection: &Connection, kept: &Kept, at: Timestamp) -> rusqlite::Result<()> {
    let Kept { key, author, most, request, request_id, answer } = kept;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO respostas (chave, autor, ordem, pedido, guardada_us, req, status, location, etag, corpo)
             VALUES (:key, :author, (SELECT coalesce(max(ordem), 0) + 1 FROM respostas WHERE autor = :author), :request, :at,
             :request_id, :status, :location, :etag, :body)
             ON CONFLICT (chave) DO UPDATE SET ordem = excluded.ordem, pedido = excluded.pedido, guardada_us = excluded.guardada_us,
             req = excluded.req, status = excluded.status, location = excluded.location, etag = excluded.etag,
             corpo = excluded.corpo WHERE respostas.guardada_us <= :old",
        )?
        .execute(named_params! {
            ":key": key,
            ":author": author,
            ":request": request,
            ":at": at.as_micros(),
            ":request_id": request_id,
            ":status": answer.status,
            ":location": answer.location,
            ":etag": answer.etag,
            ":body": answer.body,
            ":old": old_at(at),
        })?;
    // Nobody else had the key when the request began. If somebody has used it meanwhile, what this request makes must be undone.
    if inserted != 1 {
        return Err(rusqlite::Error::StatementChangedRows(inserted));
    }
    connection
        .prepare_cached(
            "DELETE FROM respostas WHERE autor = ?1 AND ordem <= (SELECT max(ordem) FROM respostas WHERE autor = ?1) - ?2",
        )?
        .execute((author, most))?;
    Ok(())
}

/// The answer that is kept for a key, unless it is old.
pub fn get(connection: &Connection, key: &Digest, now: Timestamp) -> rusqlite::Result<Option<Kept>> {
    connection
        .prepare_cached(
            "SELECT autor, pedido, req, status, location, etag, corpo FROM respostas WHERE chave = ?1 AND guardada_us > ?2",
        )?
        .query_row((key, old_at(now)), |row| {
            let answer =
                KeptAnswer { status: row.get(3)?, location: row.get(4)?, etag: row.get(5)?, body: row.get(6)? };
            Ok(Kept {
                key: *key,
                author: row.get(0)?,
                most: 0,
                request: row.get(1)?,
                request_id: row.get(2)?,
                answer,
            })
        })
        .optional()
}

/// Whether there are old answers.
pub fn has_old(connection: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM respostas WHERE guardada_us <= ?1)")?;
    statement.query_row([old_at(now)], |row| row.get(0))
}

/// Removes old answers, at most so many, and tells how many.
pub fn remove_old(connection: &Connection, now: Timestamp, most: u32) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM respostas WHERE id IN
         (SELECT id FROM respostas WHERE guardada_us <= ?1 ORDER BY guardada_us LIMIT ?2)",
    )?;
    statement.execute((old_at(now), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../../assets/migrations/0012-respostas.sql")).unwrap();
        connection
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    fn kept(key: u8, author: &str, most: u32) -> Kept {
        let answer = KeptAnswer {
            status: 201,
            location: Some(format!("/x/{key}")),
            etag: Some("\"1\"".to_owned()),
            body: vec![key; 3],
        };
        let author = author.to_owned();
        Kept { key: [key; 32], author, most, request: [key; 32], request_id: format!("r-{key}"), answer }
    }

    fn is_there(connection: &Connection, key: u8, now: Timestamp) -> bool {
        get(connection, &[key; 32], now).unwrap().is_some()
    }

    #[test]
    fn an_answer_is_there_for_a_day_and_then_its_key_is_free() {
        let connection = database();
        let (begin, last, over) = (at(DAY_US), at(2 * DAY_US - 1), at(2 * DAY_US));
        insert(&connection, &kept(1, "ana", 9), begin).unwrap();
        assert_eq!(get(&connection, &[1; 32], last).unwrap().unwrap().answer, kept(1, "ana", 9).answer);
        // Somebody else's answer is never replaced while it counts.
        assert!(insert(&connection, &kept(1, "ana", 9), last).is_err());
        assert!(!is_there(&connection, 1, over));
        let again = Kept { request_id: "r-again".to_owned(), ..kept(1, "ana", 9) };
        insert(&connection, &again, over).unwrap();
        assert_eq!(get(&connection, &[1; 32], over).unwrap().unwrap().request_id, "r-again");
    }

    #[test]
    fn old_answers_are_removed_in_steps_the_oldest_first() {
        let connection = database();
        for key in 1..=5 {
            insert(&connection, &kept(key, "ana", 9), at(DAY_US + i64::from(key))).unwrap();
        }
        let now = at(2 * DAY_US + 3);
        assert!(has_old(&connection, now).unwrap());
        assert_eq!([2, 1, 0].map(|_| remove_old(&connection, now, 2).unwrap()), [2, 1, 0]);
        assert!(!has_old(&connection, now).unwrap());
        assert_eq!([3, 4, 5].map(|key| is_there(&connection, key, at(DAY_US))), [false, true, true]);
    }

    #[test]
    fn the_oldest_answer_of_an_author_gives_way_and_nobody_elses() {
        let connection = database();
        insert(&connection, &kept(100, "rui", 3), at(DAY_US)).unwrap();
        for key in 1..=5 {
            insert(&connection, &kept(key, "ana", 3), at(DAY_US + 1)).unwrap();
        }
        let there: Vec<u8> = (1..=100).filter(|key| is_there(&connection, *key, at(DAY_US + 1))).collect();
        assert_eq!(there, [3, 4, 5, 100]);
    }
}
