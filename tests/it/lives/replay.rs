//! The trail replayed: from its records alone the bookings, the claims and the waiting lists are built again, each step is checked, and at
//! the end they are the database's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::common::storage;

/// The minutes of a slot.
const SLOT_US: i64 = 300_000_000;

/// A booking or an entry, as both the records and the database have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub telescope: String,
    pub scientist: i64,
    pub start_us: i64,
    pub end_us: i64,
    pub status: String,
    pub target: Option<String>,
    /// A booking's version; of an entry, the booking that it became.
    pub number: Option<i64>,
    /// Why it was cancelled, or passed over.
    pub reason: Option<String>,
}

/// The agenda as its records tell it.
#[derive(Default)]
pub struct Replay {
    pub bookings: BTreeMap<i64, Row>,
    pub waits: BTreeMap<i64, Row>,
    claims: BTreeMap<(String, i64), i64>,
    /// How many bookings each scientist may have at a telescope.
    quotas: BTreeMap<String, i64>,
    /// The bookings' proposals, and what each proposal has at a telescope, in minutes.
    paid: BTreeMap<i64, i64>,
    allocated: BTreeMap<(i64, String), i64>,
    /// The maintenances: the telescope, the first instant, and the first instant after it.
    closed: BTreeMap<i64, (String, i64, i64)>,
    /// What has become free in the present transaction, and who was passed over in it.
    freed: BTreeSet<(String, i64)>,
    passed: BTreeSet<i64>,
    pub promoted: usize,
    /// Those who got slots when a maintenance was taken away.
    pub reopened: usize,
    pub passed_over: usize,
    pub moved: usize,
}

fn micros(value: &Value) -> i64 {
    sctec::time::Timestamp::parse_rfc3339(value.as_str().unwrap()).unwrap().as_micros()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn row(details: &Value, status: &str, number: Option<i64>) -> Row {
    Row {
        telescope: text(&details["telescopio"]).unwrap(),
        scientist: details["cientista_id"].as_i64().unwrap_or_default(),
        start_us: micros(&details["horario_inicio_utc"]),
        end_us: micros(&details["horario_fim_utc"]),
        status: status.to_owned(),
        target: text(&details["alvo"]),
        number,
        reason: None,
    }
}

impl Replay {
    /// Follows all records, each a line of JSON.
    pub fn of(trail: &str) -> Self {
        let records: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut replay = Self::default();
        let mut reopening = None;
        for (nth, record) in records.iter().enumerate() {
            replay.follow(record);
            match record["event_type"].as_str() {
                Some("MANUTENCAO_REMOVIDA") => reopening = Some(&record["req"]),
                Some("ESPERA_ATENDIDA") if reopening == Some(&record["req"]) => replay.reopened += 1,
                _ => {}
            }
            // The records of one transaction for one request stand together.
            if records.get(nth + 1).is_none_or(|next| next["req"] != record["req"]) {
                replay.check_nobody_is_left_behind(record);
                replay.freed.clear();
                replay.passed.clear();
            }
        }
        replay
    }

    fn slots(of: &Row) -> impl Iterator<Item = (String, i64)> {
        let telescope = of.telescope.clone();
        (of.start_us..of.end_us).step_by(usize::try_from(SLOT_US).unwrap()).map(move |start| (telescope.clone(), start))
    }

    fn is_free(&self, of: &Row) -> bool {
        Self::slots(of).all(|slot| !self.claims.contains_key(&slot))
    }

    fn claim(&mut self, id: i64, of: &Row, record: &Value) {
        for slot in Self::slots(of) {
            let before = self.claims.insert(slot, id);
            assert_eq!(before, None, "two bookings have one slot: {record}");
        }
        self.check_open(of, record);
        self.check_paid(record);
        if let Some(most) = self.quotas.get(&of.telescope) {
            let own =
                |one: &&Row| one.status == "AGENDADO" && one.telescope == of.telescope && one.scientist == of.scientist;
            let count = i64::try_from(self.bookings.values().filter(own).count()).unwrap();
            assert!(count <= *most, "{count} bookings of {}: {record}", of.scientist);
        }
    }

    fn release(&mut self, id: i64, of: &Row, record: &Value) {
        for slot in Self::slots(of) {
            assert_eq!(self.claims.remove(&slot), Some(id), "a slot was lost: {record}");
            self.freed.insert(slot);
        }
    }

    fn follow(&mut self, record: &Value) {
        let details = &record["details"];
        let id = details["agendamento_id"].as_i64();
        match record["event_type"].as_str().unwrap() {
            "AGENDAMENTO_CRIADO" => self.created(id.unwrap(), details, record),
            "AGENDAMENTO_ALTERADO" => self.altered(id.unwrap(), details, record),
            "AGENDAMENTO_CANCELADO" => {
                let id = id.unwrap();
                let before = self.bookings[&id].clone();
                assert_eq!(before.status, "AGENDADO", "{record}");
                self.release(id, &before, record);
                let number = before.number.map(|version| version + 1);
                let after = Row { status: "CANCELADO".to_owned(), number, reason: text(&details["motivo"]), ..before };
                self.bookings.insert(id, after);
            }
            "CATALOGO_ALTERADO" => {
                if let (Some(telescope), Some(most)) =
                    (text(&details["telescopio"]), details["depois"]["regras"]["cota_ativas"].as_i64())
                {
                    self.quotas.insert(telescope, most);
                }
                if let Some(proposal) = details["proposta_id"].as_i64() {
                    for (telescope, minutes) in details["depois"]["alocado_min"].as_object().unwrap() {
                        self.allocated.insert((proposal, telescope.clone()), minutes.as_i64().unwrap());
                    }
                }
            }
            "MANUTENCAO_CRIADA" => self.close(details, record),
            "MANUTENCAO_REMOVIDA" => self.reopen(details),
            event if event.starts_with("ESPERA_") => self.waited(event, details, record),
            _ => {}
        }
    }

    fn created(&mut self, id: i64, details: &Value, record: &Value) {
        let new = row(details, "AGENDADO", Some(1));
        if let Some(wait) = details["espera_id"].as_i64() {
            let wait = &self.waits[&wait];
            assert_eq!(wait.status, "AGUARDANDO", "promoted twice: {record}");
            let agree = (wait.start_us, wait.end_us, wait.scientist, &wait.target);
            assert_eq!(agree, (new.start_us, new.end_us, new.scientist, &new.target), "{record}");
            self.promoted += 1;
        }
        if let Some(proposal) = details["proposta_id"].as_i64() {
            self.paid.insert(id, proposal);
        }
        assert!(self.bookings.insert(id, new.clone()).is_none(), "{record}");
        self.claim(id, &new, record);
    }

    fn altered(&mut self, id: i64, details: &Value, record: &Value) {
        let before = self.bookings[&id].clone();
        let state = |value: &Value| {
            (
                text(&value["telescopio"]).unwrap(),
                micros(&value["horario_inicio_utc"]),
                micros(&value["horario_fim_utc"]),
                text(&value["alvo"]),
            )
        };
        let known = (before.telescope.clone(), before.start_us, before.end_us, before.target.clone());
        assert_eq!((state(&details["antes"]), before.status.as_str()), (known, "AGENDADO"), "{record}");
        let (telescope, start_us, end_us, target) = state(&details["depois"]);
        let number = before.number.map(|version| version + 1);
        assert_eq!(details["versao"].as_i64(), number, "{record}");
        self.release(id, &before, record);
        self.moved += usize::from(start_us != before.start_us || telescope != before.telescope);
        let after = Row { telescope, start_us, end_us, target, number, ..before };
        self.bookings.insert(id, after.clone());
        self.claim(id, &after, record);
    }

    fn waited(&mut self, event: &str, details: &Value, record: &Value) {
        let id = details["espera_id"].as_i64().unwrap();
        let said = row(details, "AGUARDANDO", None);
        if event == "ESPERA_CRIADA" {
            assert!(!self.is_free(&said), "somebody waits for what is free: {record}");
            assert!(self.waits.insert(id, said).is_none(), "{record}");
            return;
        }
        let mut wait = self.waits[&id].clone();
        assert_eq!(wait.status, "AGUARDANDO", "{record}");
        match event {
            "ESPERA_ATENDIDA" => {
                "ATENDIDA".clone_into(&mut wait.status);
                wait.number = details["agendamento_id"].as_i64();
                let booking = &self.bookings[&wait.number.unwrap()];
                assert_eq!((booking.start_us, booking.scientist), (wait.start_us, wait.scientist), "{record}");
            }
            "ESPERA_RETIRADA" => "RETIRADA".clone_into(&mut wait.status),
            "ESPERA_PRETERIDA" => {
                assert!(self.is_free(&wait), "{record}");
                wait.reason = text(&details["codigo"]);
                self.passed_over += 1;
                self.passed.insert(id);
            }
            other => panic!("{other}"),
        }
        self.waits.insert(id, wait);
    }

    /// Who waits although all of the slots are free was told why not: each time that one of them became free.
    fn check_nobody_is_left_behind(&self, record: &Value) {
        for (id, wait) in self.waits.iter().filter(|(_, wait)| wait.status == "AGUARDANDO" && self.is_free(wait)) {
            let is_told = self.passed.contains(id);
            let is_freed = Self::slots(wait).any(|slot| self.freed.contains(&slot));
            assert!(is_told || !is_freed, "entry {id} was left behind: {record}");
            assert!(wait.reason.is_some(), "entry {id} has free slots: {record}");
        }
    }

    fn close(&mut self, details: &Value, record: &Value) {
        let (start, end) = (micros(&details["inicio_utc"]), micros(&details["fim_utc"]));
        let telescope = text(&details["telescopio"]).unwrap();
        let (from, until) = ((telescope.clone(), start), (telescope.clone(), end));
        let left: Vec<_> = self.claims.range(from..until).collect();
        assert!(left.is_empty(), "a maintenance over bookings: {left:?} {record}");
        self.closed.insert(details["manutencao_id"].as_i64().unwrap(), (telescope, start, end));
    }

    fn reopen(&mut self, details: &Value) {
        let (telescope, start, end) = self.closed.remove(&details["manutencao_id"].as_i64().unwrap()).unwrap();
        let slots = (start..end).step_by(usize::try_from(SLOT_US).unwrap());
        self.freed.extend(slots.map(|slot| (telescope.clone(), slot)));
    }

    fn check_open(&self, of: &Row, record: &Value) {
        let meets = |(telescope, start, end): &&(String, i64, i64)| {
            *telescope == of.telescope && *start < of.end_us && of.start_us < *end
        };
        assert_eq!(self.closed.values().find(meets), None, "a booking in a maintenance: {record}");
    }

    fn check_paid(&self, record: &Value) {
        let mut used: BTreeMap<(i64, String), i64> = BTreeMap::new();
        for (id, proposal) in &self.paid {
            if let Some(booking) = self.bookings.get(id).filter(|booking| booking.status == "AGENDADO") {
                let minutes = (booking.end_us - booking.start_us) / 60_000_000;
                *used.entry((*proposal, booking.telescope.clone())).or_default() += minutes;
            }
        }
        for (place, minutes) in used {
            assert!(
                self.allocated.get(&place).is_some_and(|most| minutes <= *most),
                "{place:?} has {minutes}: {record}"
            );
        }
    }

    /// What the records say is what the database has.
    pub fn check_database(&self, data_dir: &Path) {
        let rows = |sql: &str| -> BTreeMap<i64, Row> {
            let row = |mut cells: Vec<Option<String>>| {
                let mut cell = |nth: usize| cells[nth].take();
                let number = |text: Option<String>| text.map(|text| text.parse::<i64>().unwrap());
                let found = Row {
                    telescope: cell(1).unwrap(),
                    scientist: number(cell(2)).unwrap(),
                    start_us: number(cell(3)).unwrap(),
                    end_us: number(cell(4)).unwrap(),
                    status: cell(5).unwrap(),
                    target: cell(6),
                    number: number(cell(7)),
                    reason: cell(8),
                };
                (number(cell(0)).unwrap(), found)
            };
            storage::rows(data_dir, "sctec.db", sql).into_iter().map(row).collect()
        };
        let bookings = rows(
            "SELECT a.id, t.codigo, cientista_id, inicio_us, fim_us, status, alvo, versao, motivo FROM agendamentos a
             JOIN telescopios t ON t.id = a.telescopio_id",
        );
        assert_eq!(self.bookings, bookings);
        let waits = rows(
            "SELECT e.id, t.codigo, cientista_id, inicio_us, fim_us, status, alvo, agendamento_id, preterida_codigo FROM esperas e
             JOIN telescopios t ON t.id = e.telescopio_id",
        );
        assert_eq!(self.waits, waits);
        let claims = storage::rows(
            data_dir,
            "sctec.db",
            "SELECT t.codigo, h.inicio_us, h.agendamento_id FROM horarios h JOIN telescopios t ON t.id = h.telescopio_id
             WHERE h.agendamento_id IS NOT NULL",
        );
        let claim = |cells: Vec<Option<String>>| {
            let [code, start, id] = <[String; 3]>::try_from(cells.into_iter().flatten().collect::<Vec<_>>()).unwrap();
            ((code, start.parse().unwrap()), id.parse().unwrap())
        };
        assert_eq!(self.claims, claims.into_iter().map(claim).collect::<BTreeMap<(String, i64), i64>>());
        let served: Vec<i64> = self.waits.values().filter_map(|wait| wait.number).collect();
        assert_eq!(served.len(), served.iter().collect::<BTreeSet<_>>().len(), "one booking for two entries");
    }
}
