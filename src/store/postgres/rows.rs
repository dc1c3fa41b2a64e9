//! Rows as values of the domain, with the columns that each needs.
//!
//! All whole numbers are `BIGINT` there. A value that makes no sense in its column is an [`Error::Unreadable`].

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::errors::Error;
use crate::agenda::hours::Hours;
use crate::agenda::maintenance::{Maintenance, NewMaintenance};
use crate::agenda::opening::Reopening;
use crate::agenda::policy::Policy;
use crate::agenda::proposal::Proposal;
use crate::agenda::rules::Rules;
use crate::agenda::waiting::PassedOver;
use crate::agenda::{Booking, Scientist, SlotRange, Status, Telescope, Wait, WaitStatus};
use crate::time::{Timestamp, minutes_in_micros};

/// The columns of a booking, in the order of [`booking`], from `agendamentos a JOIN telescopios t`.
pub const BOOKING: &str = "a.id, t.codigo, a.cientista_id, a.inicio_us, a.fim_us, a.status, a.alvo, a.observacoes, \
     a.clique_us, a.criado_us, a.cancelado_us, a.motivo, a.versao, a.alterado_us, a.proposta_id, a.carimbo_us, \
     a.disputado";

/// The columns of a telescope, in the order of [`telescope`].
pub const TELESCOPE: &str = "t.id, t.codigo, t.nome, t.simulado, t.duracao_max_min, t.antecedencia_min_min, \
     t.cancelamento_min_min, t.horizonte_dias, t.abre_as_min, t.cota_ativas, t.cota_dia_min, t.ativo, t.horas, t.exige_proposta, t.disputa";

/// The columns of a scientist, in the order of [`scientist`].
pub const SCIENTIST: &str = "c.id, c.nome, c.instituicao, c.pais, c.ativo";

/// The columns of a maintenance, in the order of [`maintenance`].
pub const MAINTENANCE: &str = "m.id, m.inicio_us, m.fim_us, m.semanal_ate_us, m.motivo";

/// The columns of a [`reopening`] and where they are from: of each telescope `t` the maintenances that were taken away last, within two seconds, and after
/// which slots open, at most `$1`.
pub const REOPENING: &str = "m.id, m.inicio_us, m.fim_us, m.semanal_ate_us, m.motivo, m.abre_us
     FROM telescopios t CROSS JOIN LATERAL (
         SELECT * FROM manutencoes n WHERE n.telescopio_id = t.id AND n.abre_us IS NOT NULL AND n.removida_us >= (
             SELECT max(l.removida_us) - 2000000 FROM manutencoes l WHERE l.telescopio_id = t.id AND l.removida_us IS NOT NULL
         ) ORDER BY n.removida_us DESC LIMIT $1
     ) m";

/// The columns of a proposal, in the order of [`proposal`].
pub const PROPOSAL: &str = "p.id, p.titulo, p.responsavel_id, p.inicio_us, p.fim_us, p.ativa, p.membros, p.alocado_min";

/// The columns of an entry of a waiting list, in the order of [`wait`], from `esperas e JOIN telescopios t`.
pub const WAIT: &str = "e.id, t.codigo, e.cientista_id, e.inicio_us, e.fim_us, e.status, e.alvo, e.observacoes, e.criada_us, \
     e.encerrada_us, e.agendamento_id, e.preterida_us, e.preterida_codigo, e.preterida_motivo, e.proposta_id";

/// The booking of a row that begins with [`BOOKING`].
pub fn booking(row: &Row) -> Result<Booking, Error> {
    let status: String = get(row, 5)?;
    Ok(Booking {
        id: get(row, 0)?,
        telescope: get(row, 1)?,
        scientist_id: get(row, 2)?,
        slots: slots(row, 3)?,
        status: Status::from_name(&status).ok_or_else(|| unreadable(row, 5, "a status"))?,
        target: get(row, 6)?,
        notes: get(row, 7)?,
        clicked_at: instant(row, 8)?,
        created_at: required(row, 9)?,
        cancelled_at: instant(row, 10)?,
        cancel_reason: get(row, 11)?,
        receipt: None,
        opens_at: None,
        version: get(row, 12)?,
        changed_at: instant(row, 13)?,
        proposal_id: get(row, 14)?,
        stamped_at: instant(row, 15)?,
        is_contested: get(row, 16)?,
    })
}

/// The telescope of a row that begins with [`TELESCOPE`], with its row's number; without its maintenances.
pub fn telescope(row: &Row) -> Result<(i64, Telescope), Error> {
    let rules = Rules {
        duration_max_min: get(row, 4)?,
        notice_min: get(row, 5)?,
        cancel_notice_min: get(row, 6)?,
        horizon_days: get(row, 7)?,
        opens_at_min: get(row, 8)?,
        standing_max: get(row, 9)?,
        day_max_min: get(row, 10)?,
        policy: Policy::from_name(get(row, 14)?).ok_or_else(|| unreadable(row, 14, "a policy of contests"))?,
    };
    let telescope = Telescope::new(get(row, 1)?, get(row, 2)?, get(row, 3)?);
    let windows: Option<String> = get(row, 12)?;
    let hours = windows
        .map(|windows| serde_json::from_str(&windows).map(|windows| Arc::new(Hours::new(windows))))
        .transpose()
        .map_err(|_| unreadable(row, 12, "hours of operation"))?;
    let (active, needs_proposal) = (get(row, 11)?, get(row, 13)?);
    Ok((get(row, 0)?, Telescope { rules, hours, active, needs_proposal, ..telescope }))
}

/// The scientist of a row that begins with [`SCIENTIST`].
pub fn scientist(row: &Row) -> Result<Scientist, Error> {
    Ok(Scientist {
        id: get(row, 0)?,
        name: get(row, 1)?,
        institution: get(row, 2)?,
        country: get(row, 3)?,
        active: get(row, 4)?,
    })
}

/// The maintenance of a row whose column `first` is the first one of [`MAINTENANCE`].
pub fn maintenance(row: &Row, first: usize) -> Result<Maintenance, Error> {
    let when = NewMaintenance {
        start: required(row, first + 1)?,
        end: required(row, first + 2)?,
        weekly_until: instant(row, first + 3)?,
        reason: get(row, first + 4)?,
    };
    Ok(Maintenance { id: get(row, first)?, when })
}

/// The maintenance that was taken away of a row whose column `first` is the first one of [`REOPENING`].
pub fn reopening(row: &Row, first: usize) -> Result<Reopening, Error> {
    Ok(Reopening { when: maintenance(row, first)?.when, opens_at: required(row, first + 5)? })
}

/// The proposal of a row that begins with [`PROPOSAL`].
pub fn proposal(row: &Row) -> Result<Proposal, Error> {
    let (members, allocated): (String, String) = (get(row, 6)?, get(row, 7)?);
    Ok(Proposal {
        id: get(row, 0)?,
        title: get(row, 1)?,
        investigator: get(row, 2)?,
        from: required(row, 3)?,
        until: required(row, 4)?,
        active: get(row, 5)?,
        members: serde_json::from_str::<BTreeSet<i64>>(&members).map_err(|_| unreadable(row, 6, "members"))?,
        allocated_min: serde_json::from_str(&allocated).map_err(|_| unreadable(row, 7, "minutes by telescope"))?,
    })
}

/// The entry of a waiting list of a row that begins with [`WAIT`].
pub fn wait(row: &Row) -> Result<Wait, Error> {
    let status: String = get(row, 5)?;
    let passed_over = match instant(row, 11)? {
        Some(at) => Some(PassedOver { at, code: get(row, 12)?, words: get(row, 13)? }),
        None => None,
    };
    Ok(Wait {
        id: get(row, 0)?,
        telescope: get(row, 1)?,
        scientist_id: get(row, 2)?,
        slots: slots(row, 3)?,
        status: WaitStatus::from_name(&status).ok_or_else(|| unreadable(row, 5, "a status"))?,
        target: get(row, 6)?,
        notes: get(row, 7)?,
        created_at: required(row, 8)?,
        ended_at: instant(row, 9)?,
        booking_id: get(row, 10)?,
        passed_over,
        proposal_id: get(row, 14)?,
    })
}

/// The slots of a row whose column `index` is their start, and the next one their end.
pub fn slots(row: &Row, index: usize) -> Result<SlotRange, Error> {
    let (start, end) = (required(row, index)?, required(row, index + 1)?);
    let duration_min = (end.as_micros() - start.as_micros()) / minutes_in_micros(1);
    SlotRange::new(start, duration_min).map_err(|_| unreadable(row, index + 1, "a range of slots"))
}

/// An instant, if there is one.
pub fn instant(row: &Row, index: usize) -> Result<Option<Timestamp>, Error> {
    let micros: Option<i64> = get(row, index)?;
    micros.map(|micros| Timestamp::from_micros(micros).ok_or_else(|| unreadable(row, index, "an instant"))).transpose()
}

/// An instant.
pub fn required(row: &Row, index: usize) -> Result<Timestamp, Error> {
    instant(row, index)?.ok_or_else(|| unreadable(row, index, "an instant"))
}

/// A number that is never negative.
pub fn count(row: &Row, index: usize) -> Result<u64, Error> {
    get::<i64>(row, index).map(i64::cast_unsigned)
}

/// The value of a column.
pub fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Error> {
    row.try_get(index).map_err(|error| Error::Unreadable(error.to_string()))
}

fn unreadable(row: &Row, index: usize, expected: &str) -> Error {
    let column = row.columns().get(index).map_or("?", |column| column.name());
    Error::Unreadable(format!("the column {column} does not hold {expected}"))
}
