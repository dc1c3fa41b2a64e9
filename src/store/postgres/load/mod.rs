//! Loading the rows that the changes of a batch touch, inside the transaction that writes.
//!
//! All rows of one step are asked for at once, by as many statements as there are kinds of rows, and none waits for the answer to another.
//! The first statement locks the trail's head, and each later one sees what was committed before it began (READ COMMITTED). So everything
//! that is read is as the last writer has left it.
//!
//! # Changes that join after the lock
//!
//! The lock may be waited for, while another scheduler writes, and more is asked for meanwhile. All that waits when the lock is had joins the
//! transaction; its rows are asked for at once. Else two schedulers that take turns would each write a few changes in a turn, those that had
//! come before its wait.

mod asked;
mod remembered;

use std::collections::BTreeSet;
use std::time::Instant;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Row, Statement};

use self::asked::{Asked, Step};
pub use self::remembered::Remembered;
use super::errors::Error;
use super::rows::{self, count, get};
use crate::agenda::Telescope;
use crate::audit::chain::ChainHead;
use crate::store::decide::{Claim, Counter, Need, Taken, View, Write, is_outdated};
use crate::time::{Clock, Timestamp};

/// The trail's head. Its lock orders the writers.
pub const HEAD: &str = "SELECT seq, hash FROM trilha WHERE id = 1 FOR UPDATE";
/// The catalogue's edition, and the number of the next booking. It is a statement of its own: of one that waits for a lock, only the locked row
/// is of the moment after it.
const BEGINNING: &str = "SELECT catalogo, (SELECT coalesce(max(id), 0) + 1 FROM agendamentos) FROM resumo WHERE id = 1";

/// What a transaction has loaded.
pub struct Loaded {
    /// As it stands after the changes so far.
    pub view: View,
    /// What the view has, as far as it is in the database.
    known: BTreeSet<Need>,
    /// The same for rows that are read up to a number only.
    limited: BTreeSet<Need>,
    /// The catalogue's edition, as the transaction has found it.
    edition: i64,
}

impl Loaded {
    /// Begins a transaction on `client`, and loads the rows that `needs` names. `needs` gets a view with what is remembered, and names
    /// the rows that the jobs need besides. It is called again with `true` when the transaction has the lock, for the jobs that joined it.
    pub async fn begin(
        client: &ClientWrapper,
        head: &Statement,
        clock: &Clock,
        remembered: Remembered,
        mut needs: impl FnMut(&View, bool) -> Vec<Need>,
    ) -> Result<Self, Error> {
        let nothing = ChainHead { seq: 0, hash: String::new() };
        let mut view = View::empty(clock.now(), Instant::now(), nothing, 0);
        let known_edition = remembered.edition;
        let known = remembered.put(&mut view);
        let mut loaded = Self { view, known, limited: BTreeSet::new(), edition: 0 };
        let missing = loaded.missing(needs(&loaded.view, false));
        let asked = Asked::of(&missing, &loaded.view);
        // The order matters: what is polled first is sent first.
        let begin = async { client.batch_execute("BEGIN").await };
        let locked = async {
            let head = client.query_one(head, &[]).await?;
            let mut more = loaded.missing(needs(&loaded.view, true));
            more.retain(|need| !missing.contains(need));
            let joined = Asked::of(&more, &loaded.view);
            let joined = Box::pin(joined.ask(client)).await?;
            Ok((head, more, joined))
        };
        let beginning = async { client.query_one(&client.prepare_cached(BEGINNING).await?, &[]).await };
        let ((), (head, more, joined), beginning, step) =
            tokio::try_join!(biased; begin, locked, beginning, Box::pin(asked.ask(client)))?;
        // The lock was waited for. What is decided is decided now, and leases that have run out meanwhile have run out.
        (loaded.view.now, loaded.view.began) = (clock.now(), Instant::now());
        loaded.view.head = ChainHead { seq: count(&head, 0)?, hash: get(&head, 1)? };
        (loaded.edition, loaded.view.next_booking_id) = (get(&beginning, 0)?, get(&beginning, 1)?);
        let is_outdated = loaded.edition != known_edition;
        if is_outdated {
            // Somebody has changed the catalogue.
            loaded.known = Remembered::default().put(&mut loaded.view);
        }
        loaded.known.insert(Need::Next(Counter::Booking));
        loaded.take(&missing, &step)?;
        loaded.take(&more, &joined)?;
        if is_outdated {
            // What counts was asked for by rules that may be others now.
            loaded.limited.clear();
        }
        Ok(loaded)
    }

    /// What the next transaction may take over of this one, which has raised the catalogue's edition so many times.
    pub fn remember(self, raised: i64) -> Remembered {
        Remembered::of(self.edition + raised, self.view, self.known)
    }

    /// What is needed and not there.
    pub fn missing(&self, needs: Vec<Need>) -> BTreeSet<Need> {
        needs.into_iter().filter(|need| !self.known.contains(need) && !self.limited.contains(need)).collect()
    }

    /// Loads these rows. What was decided so far has to be written: the rows replace those of the view.
    pub async fn load(&mut self, client: &ClientWrapper, missing: &BTreeSet<Need>) -> Result<(), Error> {
        let asked = Asked::of(missing, &self.view);
        let step = Box::pin(asked.ask(client)).await?;
        self.take(missing, &step)
    }

    /// Makes the view what it is after a write.
    pub fn apply(&mut self, write: Write) {
        self.limited.retain(|need| !is_outdated(need, &write));
        self.view.apply(write);
    }

    /// Puts what was read into the view.
    fn take(&mut self, missing: &BTreeSet<Need>, step: &Step) -> Result<(), Error> {
        let view = &mut self.view;
        for row in &step.next {
            take_next(view, missing, row)?;
        }
        for row in &step.telescopes {
            let (_, telescope) = rows::telescope(row)?;
            let code = &telescope.code;
            let of_it = step.maintenances.iter().filter(|row| get::<&str>(row, 0).is_ok_and(|of| of == code));
            let mut all = of_it.map(|row| rows::maintenance(row, 1)).collect::<Result<Vec<_>, _>>()?;
            all.sort_unstable_by_key(|one| (one.when.start, one.id));
            let of_it = step.reopening.iter().filter(|row| get::<&str>(row, 0).is_ok_and(|of| of == code));
            let reopening = of_it.map(|row| rows::reopening(row, 1)).collect::<Result<_, _>>()?;
            let telescope = Telescope { reopening, ..telescope.with_maintenance(all) };
            view.telescopes.insert(telescope.code.clone(), telescope);
        }
        for row in &step.scientists {
            let scientist = rows::scientist(row)?;
            view.scientists.insert(scientist.id, scientist);
        }
        for row in [&step.bookings, &step.met].into_iter().flatten() {
            let booking = rows::booking(row)?;
            view.bookings.insert(booking.id, booking);
        }
        for row in &step.held {
            let (code, scientist_id): (&str, i64) = (get(row, 0)?, get(row, 1)?);
            view.held_mut(code, scientist_id).insert(get(row, 2)?, rows::slots(row, 3)?);
        }
        for row in &step.claims {
            take_claim(view, row)?;
        }
        for row in &step.proposals {
            let proposal = rows::proposal(row)?;
            view.proposals.insert(proposal.id, proposal);
        }
        for row in &step.used {
            view.used_min.insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
        }
        for row in [&step.waits, &step.waiting, &step.waiting_of].into_iter().flatten() {
            let wait = rows::wait(row)?;
            view.waits.insert(wait.id, wait);
        }
        for need in missing {
            let is_limited = matches!(need, Need::Held { .. } | Need::Met { .. });
            let known = if is_limited { &mut self.limited } else { &mut self.known };
            known.insert(need.clone());
        }
        Ok(())
    }
}

/// Takes the numbers that are given out next, as far as they were asked for.
fn take_next(view: &mut View, missing: &BTreeSet<Need>, row: &Row) -> Result<(), Error> {
    let counters = [
        (Counter::Scientist, &mut view.next_scientist_id),
        (Counter::Proposal, &mut view.next_proposal_id),
        (Counter::Maintenance, &mut view.next_maintenance_id),
        (Counter::Wait, &mut view.next_wait_id),
    ];
    for (index, (counter, next)) in counters.into_iter().enumerate() {
        if missing.contains(&Need::Next(counter)) {
            *next = get(row, index)?;
        }
    }
    Ok(())
}

fn take_claim(view: &mut View, row: &Row) -> Result<(), Error> {
    let (code, start): (String, Timestamp) = (get(row, 0)?, rows::required(row, 1)?);
    let taken = match get::<Option<i64>>(row, 3)? {
        Some(booking_id) => Some(Taken { booking_id, scientist_id: get(row, 4)? }),
        None => None,
    };
    view.slots
        .entry(code)
        .or_default()
        .insert(start, Claim { taken, token: count(row, 2)?, opens_at: rows::instant(row, 5)? });
    Ok(())
}
