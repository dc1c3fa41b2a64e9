//! The statements of one step of loading: one for each kind of rows, for any number of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::super::ask::Value;
use super::super::rows::{BOOKING, MAINTENANCE, PROPOSAL, REOPENING, SCIENTIST, TELESCOPE, WAIT};
use crate::agenda::maintenance::{CANCELLED_MAX, NewMaintenance, STANDING_MAX};
use crate::agenda::rules::days_around;
use crate::agenda::{DURATION_MIN_MAX, SlotRange};
use crate::store::decide::{Counter, Need, View};
use crate::time::{Timestamp, minutes_in_micros};

/// The numbers that are given out next, but that of bookings, in the order in which they are taken. Rows are not deleted, so no number is used
/// again.
const NEXT: &str =
    "SELECT (SELECT coalesce(max(id), 0) + 1 FROM cientistas), (SELECT coalesce(max(id), 0) + 1 FROM propostas),
     (SELECT coalesce(max(id), 0) + 1 FROM manutencoes), (SELECT coalesce(max(id), 0) + 1 FROM esperas)";

/// The claims of slots, with the scientists who have them. OFFSET keeps each slot's telescope and start together, so that both are looked for in the
/// index: the planner else takes the telescope alone, and reads all of its slots.
const CLAIMS: &str = "SELECT p.codigo, h.inicio_us, h.token, h.agendamento_id, a.cientista_id, h.abre_us
     FROM (SELECT t.id AS telescopio_id, q.codigo, q.inicio_us FROM unnest($1::text[], $2::bigint[]) AS q (codigo, inicio_us)
           JOIN telescopios t ON t.codigo = q.codigo OFFSET 0) p
     JOIN horarios h ON h.telescopio_id = p.telescopio_id AND h.inicio_us = p.inicio_us
     LEFT JOIN agendamentos a ON a.id = h.agendamento_id";

/// What scientists have booked, as far as it counts: those that have not ended, and those on some days. Whole rows are compared, so that only the
/// index by scientist serves: while the table is small another one looks as good to the planner, and with it all bookings of the telescope are read.
const HELD: &str = "SELECT q.codigo, q.cientista_id, a.id, a.inicio_us, a.fim_us
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS q (codigo, cientista_id, dia, depois)
     JOIN telescopios t ON t.codigo = q.codigo
     CROSS JOIN LATERAL (
         (SELECT b.id, b.inicio_us, b.fim_us FROM agendamentos b
          WHERE (b.cientista_id, b.telescopio_id, b.status, b.inicio_us) > (q.cientista_id, t.id, 'AGENDADO', $6::bigint - $7::bigint)
          AND (b.cientista_id, b.telescopio_id, b.status) <= (q.cientista_id, t.id, 'AGENDADO') AND b.fim_us > $6
          ORDER BY b.cientista_id, b.telescopio_id, b.status, b.inicio_us LIMIT $5)
         UNION
         (SELECT b.id, b.inicio_us, b.fim_us FROM agendamentos b
          WHERE (b.cientista_id, b.telescopio_id, b.status, b.inicio_us) > (q.cientista_id, t.id, 'AGENDADO', q.dia - $7)
          AND (b.cientista_id, b.telescopio_id, b.status, b.inicio_us) < (q.cientista_id, t.id, 'AGENDADO', q.depois) AND b.fim_us > q.dia)
     ) a";

/// The minutes of active bookings, by proposal and telescope.
const USED: &str = "SELECT q.proposta_id, q.codigo, (SELECT coalesce(sum(a.fim_us - a.inicio_us), 0)::bigint / $3
         FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
         WHERE a.proposta_id = q.proposta_id AND t.codigo = q.codigo AND a.status = 'AGENDADO')
     FROM unnest($1::bigint[], $2::text[]) AS q (proposta_id, codigo)";

/// What is asked for, as columns.
#[derive(Debug, Default)]
pub struct Asked {
    next: bool,
    telescopes: Vec<String>,
    scientists: Vec<i64>,
    bookings: Vec<i64>,
    claims: (Vec<String>, Vec<i64>),
    held: Held,
    met: Met,
    proposals: Vec<i64>,
    used: (Vec<i64>, Vec<String>),
    waits: Vec<i64>,
    waiting: (Vec<String>, Vec<i64>, Vec<i64>),
    waiting_of: (Vec<String>, Vec<i64>),
}

/// What scientists have booked, as far as it counts: by telescope, scientist, and the days around some slots.
#[derive(Debug, Default)]
struct Held {
    telescopes: Vec<String>,
    scientists: Vec<i64>,
    day: Vec<i64>,
    after: Vec<i64>,
    /// How many bookings that have not ended are read for each: one more than the largest quota, since one of them may be moving.
    most: i64,
    now: i64,
}

/// The bookings that maintenances meet, by telescope and the times of the maintenances.
#[derive(Debug, Default)]
struct Met {
    telescopes: Vec<String>,
    from: Vec<i64>,
    until: Vec<i64>,
}

/// The rows of one step.
pub struct Step {
    pub next: Vec<Row>,
    pub telescopes: Vec<Row>,
    pub maintenances: Vec<Row>,
    pub reopening: Vec<Row>,
    pub scientists: Vec<Row>,
    pub bookings: Vec<Row>,
    pub claims: Vec<Row>,
    pub held: Vec<Row>,
    pub met: Vec<Row>,
    pub proposals: Vec<Row>,
    pub used: Vec<Row>,
    pub waits: Vec<Row>,
    pub waiting: Vec<Row>,
    pub waiting_of: Vec<Row>,
}

/// Asks for rows of several kinds at once, and makes a [`Step`] of them.
macro_rules! step {
    ($($kind:ident: $rows:expr),* $(,)?) => {{
        let ($($kind,)*) = tokio::try_join!(biased; $($rows),*)?;
        Ok(Step { $($kind),* })
    }};
}

impl Asked {
    /// These rows. The view has the telescopes whose rules decide what counts.
    pub fn of(missing: &BTreeSet<Need>, view: &View) -> Self {
        let mut asked = Self::default();
        asked.held.now = view.now.as_micros();
        for need in missing {
            asked.add(need, view);
        }
        asked
    }

    fn add(&mut self, need: &Need, view: &View) {
        match need {
            // It is loaded at the beginning.
            Need::Next(Counter::Booking) => {}
            Need::Next(_) => self.next = true,
            Need::Booking(id) => self.bookings.push(*id),
            Need::Wait(id) => self.waits.push(*id),
            Need::Scientist(id) => self.scientists.push(*id),
            Need::Telescope(code) => self.telescopes.push(code.clone()),
            Need::Slot(code, start) => {
                self.claims.0.push(code.clone());
                self.claims.1.push(start.as_micros());
            }
            Need::Held { telescope, scientist_id, from, until } => {
                self.held.add(telescope, *scientist_id, (*from, *until), view);
            }
            Need::Proposal(id) => self.proposals.push(*id),
            Need::Used(id, code) => {
                self.used.0.push(*id);
                self.used.1.push(code.clone());
            }
            Need::Waiting(code, from, until) => {
                self.waiting.0.push(code.clone());
                self.waiting.1.push(from.as_micros());
                self.waiting.2.push(until.as_micros());
            }
            Need::WaitingOf(code, scientist) => {
                self.waiting_of.0.push(code.clone());
                self.waiting_of.1.push(*scientist);
            }
            Need::Met { telescope, start, end, weekly_until } => {
                let (start, end, weekly_until) = (*start, *end, *weekly_until);
                let when = NewMaintenance { start, end, weekly_until, reason: String::new() };
                self.met.add(telescope, &when, view);
            }
        }
    }

    /// Asks for all of it at once.
    pub async fn ask(&self, client: &ClientWrapper) -> Result<Step, tokio_postgres::Error> {
        let longest = minutes_in_micros(DURATION_MIN_MAX);
        let standing_max = i64::try_from(STANDING_MAX).unwrap_or(i64::MAX);
        let met_max = i64::try_from(CANCELLED_MAX).unwrap_or(i64::MAX).saturating_add(1);
        let minute = minutes_in_micros(1);
        let sql = &*STATEMENTS;
        let Self { held: of, met, .. } = self;
        step! {
            next: rows(client, self.next, NEXT, []),
            telescopes: rows(client, !self.telescopes.is_empty(), &sql.telescopes, [&self.telescopes]),
            maintenances: rows(client, !self.telescopes.is_empty(), &sql.maintenances, [&self.telescopes, &standing_max]),
            reopening: rows(client, !self.telescopes.is_empty(), &sql.reopening, [&standing_max, &self.telescopes]),
            scientists: rows(client, !self.scientists.is_empty(), &sql.scientists, [&self.scientists]),
            bookings: rows(client, !self.bookings.is_empty(), &sql.bookings, [&self.bookings]),
            claims: rows(client, !self.claims.0.is_empty(), CLAIMS, [&self.claims.0, &self.claims.1]),
            held: rows(client, !of.telescopes.is_empty(), HELD,
                [&of.telescopes, &of.scientists, &of.day, &of.after, &of.most, &of.now, &longest]),
            met: rows(client, !met.telescopes.is_empty(), &sql.met, [&met.telescopes, &met.from, &met.until, &longest, &met_max]),
            proposals: rows(client, !self.proposals.is_empty(), &sql.proposals, [&self.proposals]),
            used: rows(client, !self.used.0.is_empty(), USED, [&self.used.0, &self.used.1, &minute]),
            waits: rows(client, !self.waits.is_empty(), &sql.waits, [&self.waits]),
            waiting: rows(client, !self.waiting.0.is_empty(), &sql.waiting, [&self.waiting.0, &self.waiting.1, &self.waiting.2, &longest]),
            waiting_of: rows(client, !self.waiting_of.0.is_empty(), &sql.waiting_of, [&self.waiting_of.0, &self.waiting_of.1]),
        }
    }
}

impl Held {
    fn add(&mut self, telescope: &str, scientist_id: i64, (from, until): (Timestamp, Timestamp), view: &View) {
        let rules = view.telescopes.get(telescope).map(|telescope| telescope.rules).unwrap_or_default();
        let minutes = (until.as_micros() - from.as_micros()) / minutes_in_micros(1);
        let days = SlotRange::new(from, minutes).ok().filter(|_| rules.day_max_min.is_some()).map(days_around);
        // Without a rule about days, none counts.
        let (day, after) = days.unwrap_or((from, from));
        self.telescopes.push(telescope.to_owned());
        self.scientists.push(scientist_id);
        self.day.push(day.as_micros());
        self.after.push(if rules.day_max_min.is_some() { after.as_micros() } else { i64::MIN });
        self.most = self.most.max(rules.standing_max.map_or(0, |most| most + 1));
    }
}

impl Met {
    fn add(&mut self, telescope: &str, when: &NewMaintenance, view: &View) {
        let is_simulated = view.telescopes.get(telescope).is_some_and(|telescope| telescope.simulated);
        // Those that are over are not met, and do not use up the limit.
        let after = if is_simulated { Timestamp::MIN } else { view.now };
        for (from, until) in when.times() {
            self.telescopes.push(telescope.to_owned());
            self.from.push(from.max(after).as_micros());
            self.until.push(until.as_micros());
        }
    }
}

static STATEMENTS: LazyLock<Statements> = LazyLock::new(Statements::new);

/// The statements with the columns of [`super::super::rows`] in them.
struct Statements {
    telescopes: String,
    maintenances: String,
    reopening: String,
    scientists: String,
    bookings: String,
    met: String,
    proposals: String,
    waits: String,
    waiting: String,
    waiting_of: String,
}

impl Statements {
    fn new() -> Self {
        let booking = format!("SELECT {BOOKING} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id");
        let wait = format!("SELECT {WAIT} FROM esperas e JOIN telescopios t ON t.id = e.telescopio_id");
        Self {
            telescopes: format!("SELECT {TELESCOPE} FROM telescopios t WHERE t.codigo = ANY ($1::text[])"),
            // Of each telescope those that end last, as many as may stand.
            maintenances: format!(
                "SELECT t.codigo, {MAINTENANCE} FROM telescopios t CROSS JOIN LATERAL (
                     SELECT * FROM manutencoes n WHERE n.telescopio_id = t.id AND n.removida_us IS NULL
                     ORDER BY n.ultimo_fim_us DESC LIMIT $2
                 ) m WHERE t.codigo = ANY ($1::text[])"
            ),
            reopening: format!("SELECT t.codigo, {REOPENING} WHERE t.codigo = ANY ($2::text[])"),
            scientists: format!("SELECT {SCIENTIST} FROM cientistas c WHERE c.id = ANY ($1::bigint[])"),
            bookings: format!("{booking} WHERE a.id = ANY ($1::bigint[])"),
            met: format!(
                "SELECT DISTINCT {BOOKING} FROM (
                     SELECT t.id, t.codigo, q.de, q.ate FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS q (codigo, de, ate)
                     JOIN telescopios t ON t.codigo = q.codigo OFFSET 0
                 ) t JOIN agendamentos a ON a.telescopio_id = t.id AND a.status = 'AGENDADO'
                     AND a.inicio_us > t.de - $4 AND a.inicio_us < t.ate AND a.fim_us > t.de
                 ORDER BY a.inicio_us, a.id LIMIT $5"
            ),
            proposals: format!("SELECT {PROPOSAL} FROM propostas p WHERE p.id = ANY ($1::bigint[])"),
            waits: format!("{wait} WHERE e.id = ANY ($1::bigint[])"),
            // No entry is longer than a day. OFFSET keeps the plan as it is written: one stretch of an index for each row of `q`, also if the
            // plan was made when nobody waited.
            waiting: format!(
                "SELECT {WAIT} FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS q (codigo, de, ate)
                 JOIN telescopios t ON t.codigo = q.codigo
                 CROSS JOIN LATERAL (
                     SELECT * FROM esperas n WHERE n.telescopio_id = t.id AND n.status = 'AGUARDANDO'
                     AND n.inicio_us > q.de - $4 AND n.inicio_us < q.ate AND n.fim_us > q.de OFFSET 0
                 ) e"
            ),
            waiting_of: format!(
                "SELECT {WAIT} FROM unnest($1::text[], $2::bigint[]) AS q (codigo, cientista_id)
                 JOIN telescopios t ON t.codigo = q.codigo
                 CROSS JOIN LATERAL (
                     SELECT * FROM esperas n WHERE n.cientista_id = q.cientista_id AND n.telescopio_id = t.id AND n.status = 'AGUARDANDO' OFFSET 0
                 ) e"
            ),
        }
    }
}

/// The rows of a statement, or none without asking.
async fn rows<const N: usize>(
    client: &ClientWrapper,
    is_needed: bool,
    sql: &str,
    values: [Value<'_>; N],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if !is_needed {
        return Ok(Vec::new());
    }
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, &values).await
}
