//! A telescope with all of the rules, and a proposal for each scientist, for the benches that measure what rules cost.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use sctec::time::Timestamp;
use serde_json::{Value, json};

use super::Outcome;
use crate::common::{Services, http, wait_until};

/// The first of the added scientists. The numbers before are those of the scientists that every agenda has.
const FIRST: u64 = 1000;
/// The telescope: one that refuses the past.
const TELESCOPE: &str = "Webb-Acad";
/// The first slot that is booked: in February of 2027.
const FIRST_SLOT: i64 = 6_010_000;
const SLOT_US: i64 = 300_000_000;

/// Adds scientists, and a proposal of each one with the same number.
pub fn add_scientists(services: &Services, count: u64) {
    let last = FIRST + count - 1;
    let numbers = format!("WITH RECURSIVE n (i) AS (SELECT {FIRST} UNION ALL SELECT i + 1 FROM n WHERE i < {last})");
    services.sql(&format!(
        "BEGIN;
         {numbers}
         INSERT INTO cientistas (id, nome, instituicao, pais) SELECT i, 'Cientista ' || i, 'Observatório', 'BR' FROM n;
         {numbers}
         INSERT INTO propostas (id, titulo, responsavel_id, inicio_us, fim_us, ativa, membros, alocado_min)
         SELECT i, 'Proposta ' || i, i, 0, 4102444800000000, TRUE, '[]', '{{\"{TELESCOPE}\": 500000}}' FROM n;
         UPDATE resumo SET catalogo = catalogo + 1;
         COMMIT;"
    ));
    // What SQL has added is known within a second.
    wait_until("the last scientist is known", || {
        http("GET", &services.agenda(&format!("/cientistas/{last}")), None).status == 200
    });
}

/// Gives the telescope all of the rules: the longest booking, notice, a horizon, both quotas, weekly hours, and that each booking is
/// charged to a proposal. None of them refuses what [`booking`] asks for.
pub fn set_all_rules(services: &Services) -> Outcome<()> {
    let week: Vec<Value> = ["seg", "ter", "qua", "qui", "sex", "sab", "dom"]
        .map(|day| json!({"dia": day, "das": "00:00", "as": "00:00"}))
        .to_vec();
    let rules = json!({"regras": {
        "duracao_max_min": 60, "antecedencia_min_min": 5, "cancelamento_min_min": 60, "horizonte_dias": 3660, "abre_as_utc": "00:00",
        "cota_ativas": 500, "cota_dia_min": 1440, "exige_proposta": true, "horas_de_operacao": week,
    }});
    let path = services.agenda(&format!("/telescopios/{TELESCOPE}"));
    let changed = http("PATCH", &path, Some(("application/merge-patch+json", &rules.to_string())));
    if changed.status == 200 { Ok(()) } else { Err(format!("{} {}", changed.status, changed.body).into()) }
}

/// The booking of number `nth`: of the next slot, by the next of `scientists`, who names the own proposal or none.
pub fn booking(nth: u64, scientists: u64, with_proposal: bool) -> Outcome<Request<Full<Bytes>>> {
    let scientist = FIRST + nth % scientists;
    let slot = FIRST_SLOT + nth.cast_signed();
    let start = Timestamp::from_micros(slot * SLOT_US).ok_or("the slots of all years are used up")?;
    let mut body = json!({
        "cientista_id": scientist, "telescopio": TELESCOPE, "horario_inicio_utc": start.seconds().to_string(),
    });
    if with_proposal {
        body["proposta_id"] = json!(scientist);
    }
    let request = Request::post("/agendamentos").header("content-type", "application/json");
    Ok(request.body(Full::new(body.to_string().into()))?)
}
