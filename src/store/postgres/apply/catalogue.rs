//! The catalogue: telescopes with their maintenances, scientists, proposals.

use std::collections::BTreeSet;

use deadpool_postgres::ClientWrapper;

use super::super::ask::Value;
use super::super::errors::Error;
use super::super::pending::Pending;
use super::statement::{instant, write};
use crate::agenda::{Scientist, Telescope};
use crate::store::decide::View;

/// New telescopes get the next numbers, in the order in which they were added.
const INSERT_TELESCOPES: &str = "INSERT INTO telescopios (id, codigo, nome, simulado)
     SELECT (SELECT coalesce(max(id), 0) FROM telescopios) + q.n, q.codigo, q.nome, q.simulado
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[]) AS q (n, codigo, nome, simulado)";
/// What may be otherwise in a telescope: all but its code and whether it is simulated.
const UPDATE_TELESCOPES: &str = "UPDATE telescopios t SET nome = q.nome, duracao_max_min = q.duracao_max_min,
         antecedencia_min_min = q.antecedencia_min_min, cancelamento_min_min = q.cancelamento_min_min, horizonte_dias = q.horizonte_dias,
         abre_as_min = q.abre_as_min, cota_ativas = q.cota_ativas, cota_dia_min = q.cota_dia_min, ativo = q.ativo, horas = q.horas,
         exige_proposta = q.exige_proposta, disputa = q.disputa
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
         $10::boolean[], $11::text[], $12::boolean[], $13::text[])
         AS q (codigo, nome, duracao_max_min, antecedencia_min_min, cancelamento_min_min, horizonte_dias, abre_as_min, cota_ativas,
         cota_dia_min, ativo, horas, exige_proposta, disputa)
     WHERE t.codigo = q.codigo";
const INSERT_SCIENTISTS: &str = "INSERT INTO cientistas (id, nome, instituicao, pais, ativo)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::boolean[])";
const UPDATE_SCIENTISTS: &str =
    "UPDATE cientistas c SET nome = q.nome, instituicao = q.instituicao, pais = q.pais, ativo = q.ativo
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::boolean[]) AS q (id, nome, instituicao, pais, ativo)
     WHERE c.id = q.id";
const PUT_PROPOSALS: &str = "INSERT INTO propostas (id, titulo, responsavel_id, inicio_us, fim_us, ativa, membros, alocado_min)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::text[], $8::text[])
     ON CONFLICT (id) DO UPDATE SET titulo = excluded.titulo, responsavel_id = excluded.responsavel_id, inicio_us = excluded.inicio_us,
         fim_us = excluded.fim_us, ativa = excluded.ativa, membros = excluded.membros, alocado_min = excluded.alocado_min";
const INSERT_MAINTENANCES: &str =
    "INSERT INTO manutencoes (id, telescopio_id, inicio_us, fim_us, semanal_ate_us, ultimo_fim_us, motivo)
     SELECT q.id, t.id, q.inicio_us, q.fim_us, q.semanal_ate_us, q.ultimo_fim_us, q.motivo
     FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
         AS q (id, codigo, inicio_us, fim_us, semanal_ate_us, ultimo_fim_us, motivo)
     JOIN telescopios t ON t.codigo = q.codigo";
/// The row of a maintenance that is taken away stays.
const REMOVE_MAINTENANCES: &str = "UPDATE manutencoes m SET removida_us = q.removida_us, abre_us = q.abre_us
     FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS q (id, removida_us, abre_us) WHERE m.id = q.id AND m.removida_us IS NULL";

/// All of them, to be prepared.
pub const STATEMENTS: &[&str] = &[
    INSERT_TELESCOPES,
    UPDATE_TELESCOPES,
    INSERT_SCIENTISTS,
    UPDATE_SCIENTISTS,
    PUT_PROPOSALS,
    INSERT_MAINTENANCES,
    REMOVE_MAINTENANCES,
];

/// Telescopes without their maintenances.
pub async fn telescopes(client: &ClientWrapper, pending: &Pending, view: &View) -> Result<(), Error> {
    let new: Vec<&Telescope> = pending.new_telescopes.iter().filter_map(|code| view.telescopes.get(code)).collect();
    let old = pending.telescopes.iter().filter_map(|code| view.telescopes.get(code));
    // A new one has rules too.
    let all: Vec<&Telescope> = new.iter().copied().chain(old).collect();
    let numbers: Vec<i64> = (1..).take(new.len()).collect();
    let codes = |of: &[&Telescope]| of.iter().map(|telescope| telescope.code.clone()).collect::<Vec<_>>();
    let names = |of: &[&Telescope]| of.iter().map(|telescope| telescope.name.clone()).collect::<Vec<_>>();
    let simulated: Vec<bool> = new.iter().map(|telescope| telescope.simulated).collect();
    let rule = |of: fn(&Telescope) -> Option<i64>| all.iter().map(|telescope| of(telescope)).collect::<Vec<_>>();
    let rules = [
        rule(|telescope| telescope.rules.duration_max_min),
        rule(|telescope| telescope.rules.notice_min),
        rule(|telescope| telescope.rules.cancel_notice_min),
        rule(|telescope| telescope.rules.horizon_days),
        rule(|telescope| telescope.rules.opens_at_min),
        rule(|telescope| telescope.rules.standing_max),
        rule(|telescope| telescope.rules.day_max_min),
    ];
    let active: Vec<bool> = all.iter().map(|telescope| telescope.active).collect();
    let hours: Vec<Option<String>> = all.iter().map(|telescope| windows(telescope)).collect();
    let needs_proposal: Vec<bool> = all.iter().map(|telescope| telescope.needs_proposal).collect();
    let policies: Vec<&str> = all.iter().map(|telescope| telescope.rules.policy.name()).collect();
    let (new_codes, new_names, all_codes, all_names) = (codes(&new), names(&new), codes(&all), names(&all));
    let [longest, notice, cancel_notice, horizon, opens, standing, day] = &rules;
    let values: [Value<'_>; 13] = [
        &all_codes,
        &all_names,
        longest,
        notice,
        cancel_notice,
        horizon,
        opens,
        standing,
        day,
        &active,
        &hours,
        &needs_proposal,
        &policies,
    ];
    let what = "telescopios";
    let inserted = pending.new_telescopes.len();
    tokio::try_join!(biased;
        write(client, (what, inserted), INSERT_TELESCOPES, [&numbers, &new_codes, &new_names, &simulated]),
        write(client, (what, inserted + pending.telescopes.len()), UPDATE_TELESCOPES, values),
    )?;
    Ok(())
}

/// The hours of operation, which are stored as a list of windows.
fn windows(telescope: &Telescope) -> Option<String> {
    // Numbers alone: serialising them to memory cannot fail.
    telescope.hours.as_ref().map(|hours| serde_json::to_string(hours.windows()).expect("windows serialise"))
}

/// Scientists.
pub async fn scientists(client: &ClientWrapper, pending: &Pending, view: &View) -> Result<(), Error> {
    let put = async |ids: &BTreeSet<i64>, sql: &'static str| {
        let found: Vec<&Scientist> = ids.iter().filter_map(|id| view.scientists.get(id)).collect();
        let numbers: Vec<i64> = found.iter().map(|scientist| scientist.id).collect();
        let names: Vec<&str> = found.iter().map(|scientist| scientist.name.as_str()).collect();
        let institutions: Vec<&str> = found.iter().map(|scientist| scientist.institution.as_str()).collect();
        let countries: Vec<&str> = found.iter().map(|scientist| scientist.country.as_str()).collect();
        let active: Vec<bool> = found.iter().map(|scientist| scientist.active).collect();
        write(client, ("cientistas", ids.len()), sql, [&numbers, &names, &institutions, &countries, &active]).await
    };
    tokio::try_join!(biased;
        put(&pending.new_scientists, INSERT_SCIENTISTS),
        put(&pending.scientists, UPDATE_SCIENTISTS),
    )?;
    Ok(())
}

/// Proposals, new ones and others.
pub async fn proposals(client: &ClientWrapper, pending: &Pending, view: &View) -> Result<(), Error> {
    let found: Vec<_> = pending.proposals.iter().filter_map(|id| view.proposals.get(id)).collect();
    let ids: Vec<i64> = found.iter().map(|proposal| proposal.id).collect();
    let titles: Vec<&str> = found.iter().map(|proposal| proposal.title.as_str()).collect();
    let investigators: Vec<i64> = found.iter().map(|proposal| proposal.investigator).collect();
    let from: Vec<i64> = found.iter().map(|proposal| proposal.from.as_micros()).collect();
    let until: Vec<i64> = found.iter().map(|proposal| proposal.until.as_micros()).collect();
    let active: Vec<bool> = found.iter().map(|proposal| proposal.active).collect();
    // Numbers and maps with text keys: serialising them to memory cannot fail.
    let members: Vec<String> =
        found.iter().map(|proposal| serde_json::to_string(&proposal.members).expect("members serialise")).collect();
    let allocated: Vec<String> = found
        .iter()
        .map(|proposal| serde_json::to_string(&proposal.allocated_min).expect("minutes serialise"))
        .collect();
    let values: [Value<'_>; 8] = [&ids, &titles, &investigators, &from, &until, &active, &members, &allocated];
    write(client, ("propostas", pending.proposals.len()), PUT_PROPOSALS, values).await
}

/// Maintenances.
pub async fn maintenances(client: &ClientWrapper, pending: &Pending) -> Result<(), Error> {
    let new = &pending.new_maintenances;
    let ids: Vec<i64> = new.iter().map(|(_, one)| one.id).collect();
    let codes: Vec<&str> = new.iter().map(|(code, _)| code.as_str()).collect();
    let starts: Vec<i64> = new.iter().map(|(_, one)| one.when.start.as_micros()).collect();
    let ends: Vec<i64> = new.iter().map(|(_, one)| one.when.end.as_micros()).collect();
    let weekly: Vec<Option<i64>> = new.iter().map(|(_, one)| instant(one.when.weekly_until)).collect();
    let last: Vec<i64> = new.iter().map(|(_, one)| one.when.ends().as_micros()).collect();
    let reasons: Vec<&str> = new.iter().map(|(_, one)| one.when.reason.as_str()).collect();
    let removed: Vec<i64> = pending.removed_maintenances.iter().map(|(id, ..)| *id).collect();
    let at: Vec<i64> = pending.removed_maintenances.iter().map(|(_, at, _)| at.as_micros()).collect();
    let opens: Vec<Option<i64>> = pending.removed_maintenances.iter().map(|(.., at)| instant(*at)).collect();
    let values: [Value<'_>; 7] = [&ids, &codes, &starts, &ends, &weekly, &last, &reasons];
    tokio::try_join!(biased;
        write(client, ("manutencoes", ids.len()), INSERT_MAINTENANCES, values),
        write(client, ("manutencoes", removed.len()), REMOVE_MAINTENANCES, [&removed, &at, &opens]),
    )?;
    Ok(())
}
