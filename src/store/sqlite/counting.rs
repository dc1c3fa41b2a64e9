//! Counting what counts against new bookings, before their locks are asked for: one thread counts for all that wait.
//!
//! With rules, each booking is counted twice: here, and in its transaction. So all that is asked for while one reading goes on is the
//! next reading: one transaction, and one look whether the files are in their place.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::readers::Readers;
use super::{bookings, catalogue, proposals};
use crate::batch;
use crate::store::asked::Asked;
use crate::store::joined::JoinOnDrop;
use crate::store::{Counted, StoreError};

/// One that waits, and where its answer goes.
type Waiting = (Asked, oneshot::Sender<Result<Counted, StoreError>>);

/// Has the thread count. The thread ends when this is dropped.
pub struct Counting {
    waiting: batch::Sender<Waiting>,
    _thread: JoinOnDrop,
}

impl Counting {
    /// Starts the thread, which reads by a connection of `readers`.
    pub fn start(readers: Arc<Readers>) -> io::Result<Self> {
        // Each stands for a request, and those are bounded by the connections.
        let (waiting, mut batches) = batch::queue::<Waiting>(usize::MAX);
        let run = move || {
            let mut batch = Vec::new();
            while batches.next(&mut batch).is_some() {
                answer(&readers, &mut batch);
            }
        };
        let thread = std::thread::Builder::new().name("counter".to_owned()).spawn(run)?;
        Ok(Self { waiting, _thread: JoinOnDrop::of(thread) })
    }

    /// Counts, with all that wait.
    pub async fn count(&self, asked: Asked) -> Result<Counted, StoreError> {
        let ended =
            || StoreError::Unavailable("a parte do serviço que conta agendamentos parou por um defeito".to_owned());
        let (reply, answer) = oneshot::channel();
        self.waiting.send((asked, reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// Counts for all of them at once, or else for each alone: a row that cannot be read is not another one's fault.
fn answer(readers: &Readers, batch: &mut Vec<Waiting>) {
    let asked: Vec<&Asked> = batch.iter().map(|(asked, _)| asked).collect();
    match readers.read(|connection| count(connection, &asked)) {
        Ok(counted) => {
            for ((_, reply), counted) in batch.drain(..).zip(counted) {
                // Who asked may have gone away.
                let _ = reply.send(Ok(counted));
            }
        }
        Err(_) => {
            for (asked, reply) in batch.drain(..) {
                let counted = readers.read(|connection| count(connection, &[&asked]));
                let _ = reply.send(counted.map(|mut counted| counted.pop().unwrap_or_default()));
            }
        }
    }
}

/// Counts for each of them, all at one moment.
fn count(connection: &Connection, all: &[&Asked]) -> rusqlite::Result<Vec<Counted>> {
    let _transaction = connection.unchecked_transaction()?;
    let edition = catalogue::edition(connection)?;
    let mut rows = BTreeMap::new();
    let counted = all.iter().map(|asked| {
        let code = asked.telescope.as_str();
        let row = match rows.get(code) {
            Some(row) => *row,
            None => *rows.entry(code).or_insert(catalogue::row_of(connection, code)?),
        };
        let counted = row.map_or(Ok(Counted::default()), |row| count_one(asked, connection, row))?;
        Ok(Counted { edition, ..counted })
    });
    counted.collect()
}

/// Counts for one of them, at a telescope with this row. The catalogue's edition is not read.
fn count_one(asked: &Asked, connection: &Connection, row: i64) -> rusqlite::Result<Counted> {
    let mut counted = Counted::default();
    if asked.rules.count_bookings() {
        let held = bookings::held(connection, row, asked.scientist_id, &asked.rules, asked.slots, asked.now)?;
        let stay = held.into_iter().filter(|(id, _)| asked.moving != Some(*id));
        counted.held = stay.map(|(_, slots)| slots).collect();
    }
    if let Some(proposal) = asked.proposal_id {
        let moving = asked.moving.map(|id| bookings::get(connection, id)).transpose()?.flatten();
        let given_back = moving.map_or(0, |booking| booking.charged_min(proposal, &asked.telescope));
        counted.used_min = proposals::used_at(connection, proposal, row)? - given_back;
    }
    Ok(counted)
}
