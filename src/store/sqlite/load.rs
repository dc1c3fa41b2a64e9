//! Loading the rows that a change touches, inside the transaction that writes.
//!
//! Telescopes, scientists, proposals and bookings are loaded once in a transaction. Later changes of the batch find them in the view,
//! which is kept up to date with everything that the batch writes; and no other process can write meanwhile. What is of the catalogue
//! is kept for the next transaction too, if its edition is still the same then: triggers count every change of it, also one by SQL.

use std::collections::BTreeMap;
use std::time::Instant;

use rusqlite::Connection;

use super::bookings::instant;
use super::statements::Statements;
use super::{bookings, catalogue, maintenance, proposals, trail, waits};
use crate::agenda::maintenance::{CANCELLED_MAX, NewMaintenance};
use crate::agenda::proposal::Proposal;
use crate::agenda::rules::Rules;
use crate::agenda::{Scientist, SlotRange, Telescope};
use crate::audit::chain::ChainHead;
use crate::store::decide::{Around, Change, Claim, Held, Slots, Taken, View, WaitRows};
use crate::time::Timestamp;

/// The claims of a telescope's slots in a period.
pub(super) const CLAIMS: &str =
    "SELECT h.inicio_us, h.token, h.agendamento_id, a.cientista_id, h.abre_us FROM horarios h
     LEFT JOIN agendamentos a ON a.id = h.agendamento_id
     WHERE h.telescopio_id = ?1 AND h.inicio_us >= ?2 AND h.inicio_us < ?3";

/// The number of the next booking, scientist, proposal, maintenance or entry of a waiting list while it is not loaded. They are counted from 1.
const NOT_LOADED: i64 = 0;
/// The number of the next scientist: one more than any number so far. Scientists are not deleted.
const NEXT_SCIENTIST: &str = "SELECT coalesce(max(id), 0) + 1 FROM cientistas";

/// What was read of a place.
struct Fetched {
    /// The telescope's code.
    code: String,
    telescope: Option<(i64, Telescope)>,
    scientist: Option<(i64, Scientist)>,
    claims: Slots,
    /// What the scientist of that number has booked there.
    held: Option<(i64, Held)>,
}

/// The rows of the catalogue that transactions have loaded.
#[derive(Default)]
pub struct Known {
    /// The catalogue's edition; 0, which none has, where nothing is known.
    edition: i64,
    /// The row numbers of the telescopes, by code.
    rows: BTreeMap<String, i64>,
    telescopes: BTreeMap<String, Telescope>,
    scientists: BTreeMap<i64, Scientist>,
    proposals: BTreeMap<i64, Proposal>,
}

/// What a transaction has loaded.
pub struct Loaded {
    /// As it stands after the changes so far.
    pub view: View,
    /// The row numbers of the telescopes in the view, by code.
    rows: BTreeMap<String, i64>,
    /// The catalogue's edition at the beginning of the transaction.
    edition: i64,
}

impl Loaded {
    /// The view at the beginning of a transaction: the trail's head, and what is `known` of the catalogue if that is still right.
    pub fn begin(connection: &Connection, now: Timestamp, known: Known) -> rusqlite::Result<Self> {
        let mut view = View::empty(now, Instant::now(), trail::head(connection)?, NOT_LOADED);
        let edition = catalogue::edition(connection)?;
        let known = if known.edition == edition { known } else { Known::default() };
        view.telescopes = known.telescopes;
        view.scientists = known.scientists;
        view.proposals = known.proposals;
        Ok(Self { view, rows: known.rows, edition })
    }

    /// What is known of the catalogue after the transaction. If the transaction has changed the catalogue, the edition is another by now.
    pub fn into_known(self) -> Known {
        let View { telescopes, scientists, proposals, .. } = self.view;
        Known { edition: self.edition, rows: self.rows, telescopes, scientists, proposals }
    }

    /// Forgets what was loaded and written, after the last change was undone. `head` and `next_booking_id` are those from
    /// before that change.
    pub fn restart(&mut self, head: ChainHead, next_booking_id: i64) {
        self.view = View::empty(self.view.now, self.view.began, head, next_booking_id);
        self.rows.clear();
    }

    /// Loads what `change` touches.
    pub fn load(&mut self, statements: &mut Statements<'_>, change: &impl Change) -> rusqlite::Result<()> {
        let connection = statements.connection;
        if change.inserts_booking() {
            self.load_next_booking_id(connection)?;
        }
        if change.inserts_scientist() && self.view.next_scientist_id == NOT_LOADED {
            self.view.next_scientist_id = connection.prepare_cached(NEXT_SCIENTIST)?.query_row((), |row| row.get(0))?;
        }
        if let Some(id) = change.scientist_id()
            && !self.view.scientists.contains_key(&id)
            && let Some(scientist) = catalogue::scientist(connection, id)?
        {
            self.view.scientists.insert(id, scientist);
        }
        if let Some(id) = change.booking_id()
            && !self.view.bookings.contains_key(&id)
            && let Some(booking) = bookings::get(connection, id)?
        {
            self.view.bookings.insert(id, booking);
        }
        if let Some(id) = change.wait_id()
            && let Some(wait) = waits::get(connection, id)?
        {
            self.view.waits.insert(id, wait);
        }
        for beside in [false, true] {
            let around = if beside { change.beside(&self.view) } else { change.around(&self.view) };
            let Some(around) = around else { continue };
            let fetched = self.fetch(statements, around)?;
            self.take(fetched);
        }
        if change.inserts_proposal() && self.view.next_proposal_id == NOT_LOADED {
            self.view.next_proposal_id = proposals::next_id(connection)?;
        }
        if let Some((id, telescope)) = change.proposal(&self.view) {
            let telescope = telescope.map(str::to_owned);
            self.load_proposal(connection, id, telescope)?;
        }
        if let Some(when) = change.closes()
            && let Some(telescope) = change.around(&self.view).map(|around| around.telescope.to_owned())
        {
            self.load_met(statements, &telescope, when)?;
        }
        self.load_waits(statements, change)?;
        Ok(())
    }

    fn load_next_booking_id(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.view.next_booking_id == NOT_LOADED {
            // Numbers are not used again, since no booking is ever deleted.
            let mut statement = connection.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM agendamentos")?;
            self.view.next_booking_id = statement.query_row((), |row| row.get(0))?;
        }
        Ok(())
    }

    /// Loads the entries of waiting lists that `change` touches. The telescope is there already.
    fn load_waits(&mut self, statements: &mut Statements<'_>, change: &impl Change) -> rusqlite::Result<()> {
        let connection = statements.connection;
        let found = match change.waits(&self.view) {
            None => return Ok(()),
            Some(WaitRows::For(code, stretches)) => {
                let Some(row) = self.rows.get(code) else { return Ok(()) };
                waits::of_stretches(connection, *row, &stretches)?
            }
            Some(WaitRows::Beside(new)) => {
                let Some(row) = self.rows.get(&new.telescope.code) else { return Ok(()) };
                let found = waits::beside(connection, *row, new.slots, new.scientist.id)?;
                if self.view.next_wait_id == NOT_LOADED {
                    self.view.next_wait_id = waits::next_id(connection)?;
                }
                self.view.waits.extend(found.into_iter().map(|wait| (wait.id, wait)));
                return Ok(());
            }
        };
        if !found.is_empty() {
            self.load_next_booking_id(connection)?;
        }
        for wait in found {
            let (slots, scientist_id) = (Some(wait.slots), Some(wait.scientist_id));
            let around = Around { telescope: &wait.telescope, scientist_id, slots, counted: slots };
            let fetched = self.fetch(statements, around)?;
            self.take(fetched);
            if let Some(proposal) = wait.proposal_id {
                self.load_proposal(connection, proposal, Some(wait.telescope.clone()))?;
            }
            self.view.waits.insert(wait.id, wait);
        }
        Ok(())
    }

    /// Reads the rows of a place that are not in the view yet.
    fn fetch(&self, statements: &mut Statements<'_>, around: Around<'_>) -> rusqlite::Result<Fetched> {
        let connection = statements.connection;
        let mut telescope = None;
        if !self.rows.contains_key(around.telescope) {
            telescope = catalogue::telescope(connection, around.telescope)?;
        }
        let mut scientist = None;
        if let Some(id) = around.scientist_id.filter(|id| !self.view.scientists.contains_key(id)) {
            scientist = catalogue::scientist(connection, id)?.map(|scientist| (id, scientist));
        }
        let row = self.rows.get(around.telescope).copied().or(telescope.as_ref().map(|(row, _)| *row));
        let claims = match (row, around.slots) {
            (Some(row), Some(slots)) => claims(statements, row, slots)?,
            _ => Slots::new(),
        };
        let rules = telescope.as_ref().map(|(_, telescope)| telescope.rules);
        let rules = rules.or_else(|| self.view.telescopes.get(around.telescope).map(|telescope| telescope.rules));
        let held = match (row, around.scientist_id, around.counted, rules.filter(Rules::count_bookings)) {
            (Some(row), Some(scientist), Some(slots), Some(rules)) => {
                Some((scientist, bookings::held(connection, row, scientist, &rules, slots, self.view.now)?))
            }
            _ => None,
        };
        Ok(Fetched { code: around.telescope.to_owned(), telescope, scientist, claims, held })
    }

    /// Puts what was read into the view.
    fn take(&mut self, Fetched { code, telescope, scientist, claims, held }: Fetched) {
        self.view.scientists.extend(scientist);
        if let Some((scientist, held)) = held {
            self.view.held_mut(&code, scientist).extend(held);
        }
        if let Some((row, telescope)) = telescope {
            self.rows.insert(code.clone(), row);
            self.view.telescopes.insert(code.clone(), telescope);
        }
        if !claims.is_empty() {
            self.view.slots.entry(code).or_default().extend(claims);
        }
    }

    /// Loads a proposal, and the minutes that are charged to it at a telescope: with those of the changes before in this transaction.
    fn load_proposal(&mut self, connection: &Connection, id: i64, telescope: Option<String>) -> rusqlite::Result<()> {
        if !self.view.proposals.contains_key(&id)
            && let Some(proposal) = proposals::get(connection, id)?
        {
            self.view.proposals.insert(id, proposal);
        }
        if let Some(telescope) = telescope
            && let Some(row) = self.rows.get(&telescope)
        {
            let used = proposals::used_at(connection, id, *row)?;
            self.view.used_min.insert((id, telescope), used);
        }
        Ok(())
    }

    /// Loads the bookings that a maintenance meets, with their claims, and the number of the next maintenance.
    fn load_met(
        &mut self,
        statements: &mut Statements<'_>,
        telescope: &str,
        when: &NewMaintenance,
    ) -> rusqlite::Result<()> {
        let connection = statements.connection;
        if self.view.next_maintenance_id == NOT_LOADED {
            self.view.next_maintenance_id = maintenance::next_id(connection)?;
        }
        let Some(row) = self.rows.get(telescope).copied() else { return Ok(()) };
        let is_simulated = self.view.telescopes.get(telescope).is_some_and(|telescope| telescope.simulated);
        let after = if is_simulated { Timestamp::MIN } else { self.view.now };
        for booking in bookings::met_by(connection, row, when, after, CANCELLED_MAX + 1)? {
            let claims = claims(statements, row, booking.slots)?;
            self.view.slots.entry(telescope.to_owned()).or_default().extend(claims);
            if let Some(scientist) = catalogue::scientist(connection, booking.scientist_id)? {
                self.view.scientists.insert(scientist.id, scientist);
            }
            self.view.bookings.insert(booking.id, booking);
        }
        Ok(())
    }

    /// The row number of a telescope in the view.
    pub fn row_of(&self, telescope: &str) -> rusqlite::Result<i64> {
        self.rows.get(telescope).copied().ok_or(rusqlite::Error::QueryReturnedNoRows)
    }
}

/// The claims of these slots.
fn claims(statements: &mut Statements<'_>, telescope_row: i64, slots: SlotRange) -> rusqlite::Result<Slots> {
    let mut rows =
        statements.get(CLAIMS)?.query((telescope_row, slots.start().as_micros(), slots.end().as_micros()))?;
    let mut claims = Slots::new();
    while let Some(row) = rows.next()? {
        let taken = match row.get(2)? {
            Some(booking_id) => Some(Taken { booking_id, scientist_id: row.get(3)? }),
            None => None,
        };
        let start = Timestamp::from_micros(row.get(0)?).unwrap_or(Timestamp::MAX);
        let (token, opens_at) = (row.get::<_, i64>(1)?.cast_unsigned(), instant(row, 4)?);
        claims.insert(start, Claim { taken, token, opens_at });
    }
    Ok(claims)
}
