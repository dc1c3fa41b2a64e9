//! Tokens as a table and as JSON.

use comfy_table::{ContentArrangement, Table, presets};
use rust_i18n::t;
use serde_json::{Value, json};

use crate::access::register::credential::{Credential, State, Usage};
use crate::access::role::Role;
use crate::time::Timestamp;

/// The table. Nothing in it needs escaping: names have no special characters.
pub fn table(all: &[Credential], now: Timestamp, width: Option<u16>) -> String {
    if all.is_empty() {
        return format!("{}\n", t!("no tokens"));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "id".into(),
        t!("name"),
        t!("roles"),
        t!("limited to"),
        t!("state"),
        t!("until"),
        t!("last used"),
    ]);
    for credential in all {
        let (principal, state) = (&credential.principal, credential.state(now));
        let end = if state == State::Revoked { credential.revoked } else { credential.expires };
        let scientist = principal.scientist.map(|id| t!("scientist %{id}", id = id).into_owned());
        let limits: Vec<String> = scientist
            .into_iter()
            .chain(principal.prefixes.iter().map(|prefix| prefix.escape_debug().to_string()))
            .collect();
        table.add_row([
            credential.id.to_string(),
            principal.name.to_string(),
            principal.roles.iter().map(Role::name).collect::<Vec<_>>().join(", "),
            limits.join(", "),
            state_in_words(state),
            end.map_or_else(|| "-".to_owned(), |end| end.seconds().to_string()),
            credential.last.as_ref().map_or_else(|| "-".to_owned(), last),
        ]);
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    format!("{table}\n")
}

fn state_in_words(state: State) -> String {
    match state {
        State::Valid => t!("valid").into_owned(),
        State::Expired => t!("expired").into_owned(),
        State::Revoked => t!("revoked").into_owned(),
    }
}

fn last(usage: &Usage) -> String {
    usage.ip.map_or_else(|| usage.day.clone(), |ip| format!("{} {ip}", usage.day))
}

/// Each token as JSON, on a line of its own.
pub fn lines(all: &[Credential], now: Timestamp) -> String {
    all.iter().flat_map(|credential| [json(credential, now).to_string(), "\n".to_owned()]).collect()
}

/// The members of `GET /tokens/{id}`, without links.
fn json(credential: &Credential, now: Timestamp) -> Value {
    let instant = |at: Timestamp| at.micros().to_string();
    json!({
        "id": credential.id,
        "nome": credential.principal.name.as_str(),
        "papeis": credential.principal.roles.iter().map(Role::name).collect::<Vec<_>>(),
        "cientista_id": credential.principal.scientist,
        "prefixos": credential.principal.prefixes,
        "estado": credential.state(now).name(),
        "criado_por": credential.created_by,
        "criado_em_utc": instant(credential.created),
        "expira_em_utc": credential.expires.map(instant),
        "revogado_em_utc": credential.revoked.map(instant),
        "usado_em": credential.last.as_ref().map(|last| &last.day),
        "usado_de": credential.last.as_ref().and_then(|last| last.ip).map(|ip| ip.to_string()),
    })
}
