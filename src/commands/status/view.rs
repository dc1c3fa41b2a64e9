//! What was found, as a table for people or as one JSON object.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use rust_i18n::t;
use serde_json::{Value, json};

use super::ask::{Found, Reached, Service, State};
use crate::commands::asked;
use crate::commands::locks::view::duration;
use crate::coordinator::advice;
use crate::text::escaped;

/// One object, in one line.
pub fn json(found: &Found, faults: &[String]) -> String {
    let all = |services: &[Service]| services.iter().map(object).collect::<Vec<_>>();
    let elected = found.coordinators.iter().find(|service| service.gives_locks());
    let term = elected.and_then(Service::state).and_then(|state| state.answer["eleicao"]["mandato"].as_u64());
    let object = json!({
        "well": faults.is_empty(),
        "faults": faults,
        "elected": elected.map(|service| &service.url),
        "term": term,
        "schedulers": all(&found.schedulers),
        "coordinators": all(&found.coordinators),
    });
    format!("{}\n", escaped(&object.to_string()))
}

fn object(service: &Service) -> Value {
    let known = |answers: Option<bool>, ready: Option<bool>| {
        let is_asked = !matches!(service.reached, Reached::NotAsked(_));
        json!({"url": service.url, "asked": is_asked, "answers": answers, "ready": ready, "why": service.reached.why()})
    };
    match &service.reached {
        Reached::NotAsked(_) => known(None, None),
        Reached::Refused(_) => known(Some(true), None),
        Reached::Silent(_) | Reached::Other(_) => known(Some(false), Some(false)),
        Reached::Yes(state) => json!({
            "url": service.url,
            "asked": true,
            "answers": true,
            "ready": state.ready,
            "role": role(state),
            "head": state.head,
            "trail_behind_records": state.behind,
            "database": state.database,
            "saude": state.health,
            "pronto": state.answer,
        }),
    }
}

/// A coordinator's role, for programs.
fn role(state: &State) -> Option<&'static str> {
    let is_coordinator = state.health["servico"] == crate::coordinator::SERVICE;
    is_coordinator.then(|| match state.role() {
        None => "alone",
        Some(_) if state.is_reserve() => "reserve",
        Some(_) => "elected",
    })
}

/// The table, and below it what is not as it should be.
pub fn table(found: &Found, faults: &[String], colour: bool, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([t!("service"), t!("state"), t!("details")]);
    let schedulers = found.schedulers.iter().map(|service| (t!("scheduler"), service));
    for (kind, service) in schedulers.chain(found.coordinators.iter().map(|service| (t!("coordinator"), service))) {
        table.add_row([Cell::new(format!("{kind}\n{}", service.url)), state(service), Cell::new(details(service))]);
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let told: String = faults.iter().flat_map(|fault| [fault, "\n"]).collect();
    let all_well = if told.is_empty() { format!("{}\n", t!("all is well")) } else { told };
    format!("{table}\n{all_well}")
}

fn state(service: &Service) -> Cell {
    let (text, hue): (Cow<'_, str>, Color) = match &service.reached {
        Reached::NotAsked(_) => (t!("not asked"), Color::Yellow),
        Reached::Refused(_) => (t!("refused"), Color::Yellow),
        Reached::Silent(_) => (t!("no answer"), Color::Red),
        Reached::Other(_) => (t!("another program"), Color::Red),
        Reached::Yes(state) if state.is_reserve() => (t!("reserve"), Color::Cyan),
        Reached::Yes(state) if !state.ready => (t!("not ready"), Color::Yellow),
        Reached::Yes(state) if state.role().is_some() => (t!("elected"), Color::Green),
        Reached::Yes(_) => (t!("ready"), Color::Green),
    };
    Cell::new(text).fg(hue)
}

fn details(service: &Service) -> String {
    // Why it says nothing stands below the table: it is too long for a cell.
    let Some(state) = service.state() else { return String::new() };
    let mut lines = Vec::new();
    let (version, up) = (&state.health["versao"], state.health["ativo_ha_ms"].as_u64().unwrap_or_default());
    let version = escaped(version.as_str().unwrap_or_default());
    lines.push(t!("version %{version}, up for %{time}", version = version, time = duration(up)).into_owned());
    if let Some(term) = state.answer["eleicao"]["mandato"].as_u64() {
        lines.push(t!("term %{term}", term = term).into_owned());
    }
    if let (false, Some(held), Some(waiting)) =
        (state.is_reserve(), state.health["travas"].as_u64(), state.health["esperando"].as_u64())
    {
        lines.push(t!("locks: %{held}; waiting requests: %{waiting}", held = held, waiting = waiting).into_owned());
    }
    if let Some(seq) = state.head.as_ref().and_then(|head| head["seq"].as_u64()) {
        lines.push(match state.behind {
            Some(behind) => t!("trail: record %{seq}; not in the file yet: %{n}", seq = seq, n = behind).into_owned(),
            None => t!("trail: record %{seq}", seq = seq).into_owned(),
        });
    }
    lines.extend(state.database.as_ref().map(database));
    let grace_left = state.answer["carencia_resta_ms"].as_u64().map(Duration::from_millis);
    lines.extend(grace_left.map(advice::for_people));
    // A trail file that is behind is told also by a service that is ready.
    if !state.is_reserve() && grace_left.is_none() {
        lines.extend(asked::faulty_parts(&state.answer).map(|(_, said)| said));
    }
    lines.extend(asked::warnings(&state.answer));
    lines.join("\n")
}

/// What a scheduler's database is.
fn database(labels: &BTreeMap<String, String>) -> String {
    let label = |name| labels.get(name).map(|value| escaped(value));
    if label("kind").as_deref() != Some("postgresql") {
        return t!("database: SQLite").into_owned();
    }
    let server = label("server").unwrap_or_else(|| t!("a socket").into());
    let version = label("version").unwrap_or_default();
    let standby = match (label("synchronous").as_deref(), label("standby")) {
        (_, Some(names)) => t!("synchronous standby: %{names}", names = names),
        (Some("true"), None) => t!("a synchronous standby is set, and none is seen"),
        _ => t!("no synchronous standby"),
    };
    t!(
        "database: PostgreSQL %{version} at %{server}; %{standby}",
        version = version,
        server = server,
        standby = standby
    )
    .into_owned()
}
