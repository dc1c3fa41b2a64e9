//! Tokens as a table and as JSON.

use std::borrow::Cow;

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
    // Where nobody has a provider, there is nothing to tell of it.
    let with_way = all.iter().any(|credential| credential.subject.is_some());
    let way_of = |credential: &Credential| with_way.then(|| way(credential));
    let header = ["id".into(), t!("name"), t!("roles"), t!("limited to"), t!("state"), t!("until"), t!("last used")];
    let header = header.into_iter().map(Cow::into_owned);
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header.chain(with_way.then(|| t!("signs in by").into_owned())));
    for credential in all {
        let (principal, state) = (&credential.principal, credential.state(now));
        let end = if state == State::Revoked { credential.revoked } else { credential.expires };
        let scientist = principal.scientist.map(|id| t!("scientist %{id}", id = id).into_owned());
        let limits: Vec<String> = scientist
            .into_iter()
            .chain(principal.prefixes.iter().map(|prefix| prefix.escape_debug().to_string()))
            .collect();
        let row = [
            credential.id.to_string(),
            principal.name.to_string(),
            principal.roles.iter().map(Role::name).collect::<Vec<_>>().join(", "),
            limits.join(", "),
            state_in_words(state),
            end.map_or_else(|| "-".to_owned(), |end| end.seconds().to_string()),
            credential.last.as_ref().map_or_else(|| "-".to_owned(), last),
        ];
        table.add_row(row.into_iter().chain(way_of(credential)));
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    format!("{table}\n")
}

/// By what the principal is recognised.
fn way(credential: &Credential) -> String {
    let Some(subject) = &credential.subject else { return t!("token").into_owned() };
    let who = subject.subject.as_ref().or(subject.email.as_ref()).map(|who| who.escape_debug().to_string());
    t!("%{who} of %{issuer}", who = who.unwrap_or_default(), issuer = subject.issuer).into_owned()
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
    let mut members = json!({
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
    });
    if let (Some(subject), Some(members)) = (&credential.subject, members.as_object_mut()) {
        members.insert("emissor".to_owned(), json!(subject.issuer));
        members.insert("sujeito".to_owned(), json!(subject.subject));
        members.insert("email".to_owned(), json!(subject.email));
    }
    members
}
