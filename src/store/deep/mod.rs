//! Whether an agenda is consistent: its bookings with the slots that they claim, and both with the records of the trail. Each storage
//! reads its rows, once and in order, and this compares them; it does no IO.

mod altered;

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

use rust_i18n::t;

use self::altered::{Altered, Known};
use crate::audit::chain::ChainHead;
use crate::audit::fields::{Details, Record, number, text};
use crate::audit::record::{BOOKING_CANCELLED, BOOKING_CHANGED, BOOKING_CREATED};
use crate::time::Timestamp;

/// How many faults are described; further faults are only counted.
const NAMED: usize = 20;

/// The result of the check.
#[derive(Clone, Debug, Default)]
pub struct Deep {
    /// Whether the pages of the database's files were checked. PostgreSQL's are checked with its own tools.
    pub pages: bool,
    /// Bookings that were read.
    pub bookings: u64,
    /// Slots that bookings have claimed.
    pub claims: u64,
    /// Slots with more than one active booking. Only a race without locks can leave them.
    pub shared: u64,
    /// Records that were read.
    pub records: u64,
    /// The first contradictions, described in the language of the process.
    pub faults: Vec<String>,
    /// How many contradictions there are.
    pub fault_count: u64,
}

impl Deep {
    /// Adds a contradiction.
    pub(super) fn fault(&mut self, what: impl FnOnce() -> Cow<'static, str>) {
        if self.faults.len() < NAMED {
            self.faults.push(what().into_owned());
        }
        self.fault_count += 1;
    }

    /// Adds a row that refers to a row of `table` that is not there.
    pub(super) fn dangling(&mut self, row: &str, table: &str) {
        self.fault(|| t!("%{row} refers to something in %{table} that is not there", row = row, table = table));
    }

    /// Adds a slot that is claimed by a booking which does not have it.
    pub(super) fn claimed_by_another(&mut self, start_us: i64, telescope: &str, booking: i64) {
        self.fault(|| {
            t!(
                "slot %{start} of %{telescope} is claimed by booking %{booking}, which does not have this slot",
                start = instant(start_us),
                telescope = telescope,
                booking = booking
            )
        });
    }

    /// Adds an active booking that lacks a slot.
    pub(super) fn not_all_claimed(&mut self, booking: i64) {
        self.fault(|| t!("booking %{booking} is active, but has not claimed all of its slots", booking = booking));
    }

    /// Adds a record that a list of another booking's records would show.
    pub(super) fn filed_elsewhere(&mut self, seq: i64) {
        self.fault(|| t!("record %{seq} is listed under another booking than the one that it names", seq = seq));
    }

    /// Adds that the largest token is not noted.
    pub(super) fn token_not_noted(&mut self) {
        self.fault(|| t!("a slot has a larger token than the largest that the database notes"));
    }
}

/// The questions that every database is asked in the same words. `$1` is the length of a slot in microseconds.
pub(super) mod sql {
    /// Slots that are claimed by a booking which does not have them: start, code of the telescope, booking.
    pub const CLAIMED_BY_OTHERS: &str = "SELECT h.inicio_us, t.codigo, h.agendamento_id FROM horarios h
         LEFT JOIN agendamentos a ON a.id = h.agendamento_id LEFT JOIN telescopios t ON t.id = h.telescopio_id
         WHERE h.agendamento_id IS NOT NULL AND (a.id IS NULL OR a.status <> 'AGENDADO' OR a.telescopio_id <> h.telescopio_id
         OR h.inicio_us < a.inicio_us OR h.inicio_us >= a.fim_us)";
    /// How many slots are claimed.
    pub const CLAIMED: &str = "SELECT count(agendamento_id) FROM horarios";
    /// How many slots active bookings have.
    pub const BOOKED: &str = "SELECT CAST(coalesce(sum((fim_us - inicio_us) / $1), 0) AS BIGINT) FROM agendamentos WHERE status = 'AGENDADO'";
    /// Active bookings that have not claimed all of their slots.
    pub const NOT_ALL_CLAIMED: &str = "SELECT a.id FROM agendamentos a WHERE a.status = 'AGENDADO'
         AND (a.fim_us - a.inicio_us) / $1 <> (SELECT count(*) FROM horarios h WHERE h.telescopio_id = a.telescopio_id
         AND h.inicio_us >= a.inicio_us AND h.inicio_us < a.fim_us AND h.agendamento_id = a.id)";
    /// Whether a token is larger than the largest that is noted.
    pub const TOKEN_NOT_NOTED: &str =
        "SELECT (SELECT coalesce(max(token), 0) FROM horarios) > (SELECT maior_token FROM resumo)";
    /// How many slots have more than one active booking.
    pub const SHARED: &str = "WITH RECURSIVE slots(telescope, start_us, end_us) AS (
         SELECT telescopio_id, inicio_us, fim_us FROM agendamentos WHERE status = 'AGENDADO'
         UNION ALL SELECT telescope, start_us + $1, end_us FROM slots WHERE start_us + $1 < end_us)
         SELECT count(*) FROM (SELECT 1 FROM slots GROUP BY telescope, start_us HAVING count(*) > 1) AS shared";
}

/// What the check reads of a booking.
pub(super) struct BookingRow {
    pub id: i64,
    pub scientist: Option<i64>,
    /// The telescope's code.
    pub telescope: String,
    pub start_us: i64,
    pub end_us: i64,
    pub is_cancelled: bool,
    /// Whether it was changed after it was made.
    pub is_altered: bool,
}

/// A record of the database, with what it says of a booking.
pub(super) struct Line<'a> {
    seq: i64,
    bytes: &'a [u8],
    about: Option<About<'a>>,
}

struct About<'a> {
    event: Cow<'a, str>,
    booking: i64,
    details: Details<'a>,
}

impl<'a> Line<'a> {
    /// The record `seq`, whose line this is.
    pub fn new(seq: i64, bytes: &'a [u8]) -> Self {
        let about = || {
            let record: Record<'a> = serde_json::from_slice(bytes).ok()?;
            let details = record.details().ok()?;
            Some(About { event: text(record.event_type), booking: number(details.agendamento_id)?, details })
        };
        Self { seq, bytes, about: about() }
    }

    /// The booking that it makes.
    fn makes(&self) -> Option<i64> {
        self.about.as_ref().filter(|about| about.event == BOOKING_CREATED).map(|about| about.booking)
    }
}

/// Compares the bookings with the records. Bookings come in the order of their numbers, which is also the order of the records
/// that made them.
pub(super) struct Comparison {
    /// The last record that follows those before it.
    head: ChainHead,
    /// After the first record that does not follow, no later record can follow.
    follows: bool,
    /// Bookings that were read, and not compared yet.
    bookings: VecDeque<BookingRow>,
    bookings_ended: bool,
    records_ended: bool,
    cancelled: HashSet<i64>,
    cancelled_by_records: HashSet<i64>,
    altered: Altered,
}

impl Comparison {
    /// Of a chain that begins here.
    pub fn new(beginning: ChainHead) -> Self {
        Self {
            head: beginning,
            follows: true,
            bookings: VecDeque::new(),
            bookings_ended: false,
            records_ended: false,
            cancelled: HashSet::new(),
            cancelled_by_records: HashSet::new(),
            altered: Altered::default(),
        }
    }

    /// The number of the last booking that was added.
    pub fn reached(&self) -> Option<i64> {
        self.bookings.back().map(|booking| booking.id)
    }

    /// Whether a record can only be taken after more bookings were added.
    pub fn lacks(&self, line: &Line<'_>) -> bool {
        !self.bookings_ended && line.makes().is_some_and(|id| self.reached().is_none_or(|reached| reached < id))
    }

    /// Whether more bookings may follow.
    pub fn wants_bookings(&self) -> bool {
        !self.bookings_ended
    }

    /// Takes the next bookings. None are the end of them.
    pub fn add(&mut self, bookings: Vec<BookingRow>, found: &mut Deep) {
        self.bookings_ended = bookings.is_empty();
        found.bookings += bookings.len() as u64;
        self.cancelled.extend(bookings.iter().filter(|booking| booking.is_cancelled).map(|booking| booking.id));
        self.bookings.extend(bookings);
        if self.records_ended {
            self.without_record(i64::MAX, found);
        }
    }

    /// Takes the next record.
    pub fn take(&mut self, line: &Line<'_>, found: &mut Deep) {
        found.records += 1;
        let seq = line.seq;
        if self.follows && !(self.head.follow(line.bytes) && self.head.seq == seq.cast_unsigned()) {
            self.follows = false;
            found.fault(|| t!("record %{seq} does not follow the record before", seq = seq));
        }
        let Some(About { event, booking: id, details }) = &line.about else { return };
        if event == BOOKING_CREATED {
            self.hold(*id, details, seq, found);
        } else if event == BOOKING_CHANGED {
            if let Some(wrong) = self.altered.follow(*id, details, seq) {
                found.fault(|| wrong);
            }
        } else if event == BOOKING_CANCELLED && !self.cancelled_by_records.insert(*id) {
            found.fault(|| t!("record %{seq} cancels booking %{booking} a second time", seq = seq, booking = id));
        }
    }

    /// Compares booking `id` with the record of its creation.
    fn hold(&mut self, id: i64, details: &Details<'_>, seq: i64, found: &mut Deep) {
        self.without_record(id, found);
        let is_next = self.bookings.front().is_some_and(|booking| booking.id == id);
        let Some(booking) = (if is_next { self.bookings.pop_front() } else { None }) else {
            found.fault(|| {
                t!(
                    "record %{seq} makes booking %{booking}, which is not there or has its record already",
                    seq = seq,
                    booking = id
                )
            });
            return;
        };
        let is_altered = booking.is_altered;
        let (known, recorded) = (known(booking), Known::by(id, details));
        if is_altered {
            self.altered.add(known, recorded);
        } else if recorded != known {
            found.fault(|| {
                t!(
                    "booking %{booking} is not what record %{seq} says: scientist, telescope or time differ",
                    booking = id,
                    seq = seq
                )
            });
        }
    }

    /// The bookings before `id` have no record.
    fn without_record(&mut self, id: i64, found: &mut Deep) {
        while self.bookings.front().is_some_and(|booking| booking.id < id)
            && let Some(without) = self.bookings.pop_front()
        {
            found.fault(|| t!("booking %{booking} has no record", booking = without.id));
        }
    }

    /// There are no more records. Bookings that are left, or are added from now on, have none.
    pub fn end_of_records(&mut self, found: &mut Deep) {
        self.records_ended = true;
        self.without_record(i64::MAX, found);
    }

    /// Called at the end of both. `last` is the head that the database notes.
    pub fn end(self, last: &ChainHead, found: &mut Deep) {
        for wrong in self.altered.rest() {
            found.fault(|| wrong);
        }
        if self.follows && self.head != *last {
            let (noted, read) = (last.seq, self.head.seq);
            found.fault(|| {
                t!("the trail's head is record %{head}, and its last record is %{last}", head = noted, last = read)
            });
        }
        let mut differing: Vec<&i64> = self.cancelled.symmetric_difference(&self.cancelled_by_records).collect();
        differing.sort_unstable();
        for id in differing {
            let by_record = self.cancelled_by_records.contains(id);
            found.fault(|| {
                if by_record {
                    t!("booking %{booking} is active, but a record says that it is cancelled", booking = id)
                } else {
                    t!("booking %{booking} is cancelled, but no record says so", booking = id)
                }
            });
        }
    }
}

/// The fields of a booking that its records repeat.
fn known(booking: BookingRow) -> Known {
    let BookingRow { id, scientist, telescope, start_us, end_us, .. } = booking;
    Known { id, scientist, telescope, start: instant(start_us), end: instant(end_us) }
}

fn instant(micros: i64) -> String {
    Timestamp::from_micros(micros).map_or_else(|| micros.to_string(), |at| at.seconds().to_string())
}
