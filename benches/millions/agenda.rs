//! An agenda of millions of bookings with their records, and the requests for its lists.
//!
//! Nearly all bookings are active, on one telescope, and by nine of the ten scientists. So a filter for the other telescope, the tenth
//! scientist or cancelled bookings finds few among many. Between two bookings a slot is free. On one day every slot was booked and
//! cancelled many times.

use std::path::Path;

use rusqlite::Connection;
use sctec::access::Caller;
use sctec::agenda::{Booking, Scientist, SlotRange, Status};
use sctec::audit::chain::ChainHead;
use sctec::audit::record::Event;
use sctec::http::request_id::RequestId;
use sctec::time::Timestamp;

use crate::measure::Outcome;

const SLOT_US: i64 = 300_000_000;
/// Slots of a day.
const DAY: i64 = 288;
/// 1980-01-01: with five million bookings, of every second slot, it goes on until 2075.
pub const FIRST_SLOT: i64 = 1_051_776;
/// The day that was booked and cancelled over and over, 1975-01-01, and how many times at the most.
const CHURNED_SLOT: i64 = 525_888;
const CHURNED: i64 = 50_000;
/// Bookings by the tenth scientist, on the other telescope, or cancelled, among all others.
const RARE: i64 = 100;
const ROWS_AT_ONCE: i64 = 50_000;

/// Fills an agenda that the service has made.
pub fn fill(folder: &Path, bookings: i64) -> Outcome<()> {
    let connection = Connection::open(folder.join("sctec.db"))?;
    // Nobody else has it, and who interrupts this begins again.
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; PRAGMA foreign_keys = OFF",
    )?;
    // Made at the end, which is faster.
    let later = later(&connection)?;
    for (kind, name, _) in &later {
        connection.execute_batch(&format!("DROP {kind} {name}"))?;
    }
    let head: (i64, String) =
        connection.query_row("SELECT seq, hash FROM trilha", (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let request = RequestId::parse("6b1f-2a").ok_or("no such identifier")?;
    let mut agenda =
        Agenda { connection, request, head: ChainHead { seq: head.0.cast_unsigned(), hash: head.1 }, next_id: 1 };
    agenda.connection.execute_batch("BEGIN")?;
    for nth in 0..CHURNED.min(bookings / 10) {
        agenda.book(1, "Hubble-Acad", nth % 9 + 1, CHURNED_SLOT + nth % DAY, true)?;
    }
    for nth in 0..bookings {
        if nth % ROWS_AT_ONCE == 0 {
            agenda.connection.execute_batch("COMMIT; BEGIN")?;
        }
        let is_rare = nth % (bookings / RARE).max(1) == 0;
        let scientist = if is_rare && nth % 2 == 0 { 10 } else { nth % 9 + 1 };
        let (telescope, code) = if is_rare && nth % 3 == 0 { (2, "Webb-Acad") } else { (1, "Hubble-Acad") };
        agenda.book(telescope, code, scientist, FIRST_SLOT + 2 * nth, is_rare && nth % 5 == 0)?;
    }
    agenda
        .connection
        .execute("UPDATE trilha SET seq = ?1, hash = ?2", (agenda.head.seq.cast_signed(), &agenda.head.hash))?;
    agenda.connection.execute("UPDATE resumo SET maior_token = (SELECT max(token) FROM horarios)", ())?;
    agenda.connection.execute_batch("COMMIT; BEGIN")?;
    for (_, _, sql) in &later {
        agenda.connection.execute_batch(sql)?;
    }
    agenda.connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
    drop(agenda);
    // Gigabytes that the system has yet to write would make every sync of the services wait.
    std::fs::File::open(folder.join("sctec.db"))?.sync_all()?;
    Ok(())
}

/// Indexes and triggers: kind, name and definition.
fn later(connection: &Connection) -> Outcome<Vec<(String, String, String)>> {
    let mut statement = connection
        .prepare("SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL")?;
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

struct Agenda {
    connection: Connection,
    head: ChainHead,
    /// The cause of every record.
    request: RequestId,
    next_id: i64,
}

impl Agenda {
    fn book(&mut self, telescope: i64, code: &str, scientist: i64, slot: i64, cancel: bool) -> Outcome<()> {
        let at = |micros: i64| Timestamp::from_micros(micros).ok_or("no such instant");
        let (id, start_us) = (self.next_id, slot * SLOT_US);
        self.next_id += 1;
        let created_us = 1_700_000_000_000_000 + self.head.seq.cast_signed() * 1000;
        let who = curie(scientist);
        let mut booking = Booking {
            id,
            telescope: code.to_owned(),
            scientist_id: scientist,
            proposal_id: None,
            slots: SlotRange::new(at(start_us)?, 5)?,
            status: Status::Active,
            target: Some("M31".to_owned()),
            notes: None,
            clicked_at: None,
            stamped_at: None,
            is_contested: false,
            created_at: at(created_us)?,
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: None,
            receipt: None,
            opens_at: None,
        };
        // Below what a coordinator that has just begun takes for a count of its own: it is lifted by a million at the most.
        let token_seen = 1 + id / 8;
        let token = Some(token_seen.cast_unsigned());
        let created = Event::BookingCreated { booking: &booking, scientist: &who, token, wait_id: None, stamp: None };
        self.record(&created, created_us)?;
        if cancel {
            booking.status = Status::Cancelled;
            booking.cancelled_at = Some(at(created_us + 500)?);
            self.record(
                &Event::BookingCancelled { booking: &booking, scientist_name: &who.name, token },
                created_us + 500,
            )?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO agendamentos (id, telescopio_id, cientista_id, inicio_us, fim_us, status, alvo, criado_us,
                 cancelado_us, token, req) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'M31', ?7, ?8, ?9, '6b1f-2a')",
            )?
            .execute((
                id,
                telescope,
                scientist,
                start_us,
                start_us + SLOT_US,
                booking.status.name(),
                created_us,
                cancel.then_some(created_us + 500),
                token_seen,
            ))?;
        self.connection
            .prepare_cached(
                "INSERT INTO horarios (telescopio_id, inicio_us, agendamento_id, token) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET token = excluded.token",
            )?
            .execute((telescope, start_us, (!cancel).then_some(id), token_seen))?;
        Ok(())
    }

    fn record(&mut self, event: &Event<'_>, at_us: i64) -> Outcome<()> {
        let at = Timestamp::from_micros(at_us).ok_or("no such instant")?;
        let line = self.head.append(
            event.open_json(at),
            Some(&self.request),
            &Caller::anonymous(([192, 0, 2, 10], 4711).into()),
        );
        self.connection
            .prepare_cached("INSERT INTO auditoria (seq, linha) VALUES (?1, ?2)")?
            .execute((self.head.seq.cast_signed(), line))?;
        Ok(())
    }
}

/// Every list, with each filter, with pairs of them, and with all.
pub fn lists() -> Vec<String> {
    let filters = [
        "telescopio=Webb-Acad",
        "telescopio=Hubble-Acad",
        "cientista_id=10",
        "cientista_id=1",
        "status=CANCELADO",
        "status=AGENDADO",
        // The day after the one that was booked and cancelled over and over, and one in the middle.
        "de=1975-01-02T00:00:00Z",
        "de=1981-06-01T00:00:00Z",
        "ate=1981-07-01T00:00:00Z",
        "de=1981-06-01T00:00:00Z&ate=1981-06-02T00:00:00Z",
        "limite=500",
    ];
    let mut lists: Vec<String> = vec!["/agendamentos".to_owned()];
    lists.extend(filters.iter().map(|filter| format!("/agendamentos?{filter}")));
    let name = |filter: &str| filter.split('=').next().unwrap_or_default().to_owned();
    for (nth, first) in filters.iter().enumerate() {
        let others = filters[nth + 1..]
            .iter()
            .filter(|second| name(first) != name(second) && !(first.contains("ate=") && second.contains("ate=")));
        lists.extend(others.map(|second| format!("/agendamentos?{first}&{second}")));
    }
    lists.push("/agendamentos?telescopio=Webb-Acad&cientista_id=10&status=CANCELADO".to_owned());
    lists.push(
        "/agendamentos?telescopio=Hubble-Acad&cientista_id=10&status=CANCELADO&de=1975-01-02T00:00:00Z".to_owned(),
    );
    for path in [
        "/telescopios/Hubble-Acad/agenda?de=1975-01-01T00:00:00Z&ate=1975-01-08T00:00:00Z",
        "/telescopios/Hubble-Acad/agenda?de=1981-06-01T00:00:00Z&ate=1981-06-08T00:00:00Z",
        "/telescopios/Webb-Acad/agenda?de=1981-06-01T00:00:00Z",
        "/telescopios/Hubble-Acad/livres?perto_de=1981-06-01T00:00:00Z&limite=50",
        "/telescopios/Hubble-Acad/livres?perto_de=1981-06-01T00:00:00Z&duracao_min=10&limite=50",
        "/telescopios/Hubble-Acad/livres?perto_de=1975-01-01T12:00:00Z&duracao_min=1440&limite=50",
        "/auditoria",
        "/auditoria?limite=500",
        "/auditoria?evento=AGENDAMENTO_RECUSADO",
        "/auditoria?evento=AGENDAMENTO_CANCELADO",
        "/auditoria?cientista_id=10",
        "/auditoria?agendamento_id=150000",
        "/auditoria?agendamento_id=150000&evento=AGENDAMENTO_CRIADO",
        "/auditoria?horario_utc=1981-06-01T00:00:00Z",
        "/auditoria?telescopio=Webb-Acad",
        "/auditoria?req=nenhuma",
        "/auditoria?de=2030-01-01T00:00:00Z",
        "/auditoria?ate=1975-01-01T00:00:00Z",
        "/auditoria?cientista_id=10&telescopio=Webb-Acad&evento=AGENDAMENTO_CANCELADO",
        "/auditoria?evento=AGENDAMENTO_RECUSADO&cursor=150000",
        "/auditoria/cabeca",
        "/cientistas",
        "/telescopios",
        "/agendamentos/150000",
        "/pronto",
    ] {
        lists.push(path.to_owned());
    }
    lists
}

fn curie(id: i64) -> Scientist {
    Scientist {
        id,
        name: "Marie Curie".to_owned(),
        institution: "Universidade de Paris".to_owned(),
        country: "FR".to_owned(),
        active: true,
    }
}
