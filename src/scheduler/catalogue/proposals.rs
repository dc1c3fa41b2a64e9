//! Proposals over HTTP, with what they have used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use slog::info;

use super::super::app::App;
use super::super::origin::Origin;
use super::super::problems::{not_read, refused};
use super::super::refusal::Refusal;
use super::super::requests::{ID_MAX, SCIENTIST_ID};
use super::super::{handlers, links, requests};
use super::lists::{List, ListRequest};
use super::refusal::CatalogueRefusal;
use super::{BODY_MAX, changed, created, ends_before, make, shown};
use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::agenda::Catalogue;
use crate::agenda::directory::Place;
use crate::agenda::proposal::{
    ALLOCATED_MIN_MAX, MEMBERS_MAX, Proposal, ProposalPatch, ProposalState, TELESCOPES_MAX, TITLE_MAX_CHARS,
};
use crate::http::Response;
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::read_json;
use crate::http::links::{Link, Links};
use crate::http::precondition::IfMatch;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::written::Written;
use crate::http::wrong::FieldCode;

static LIST: List = List {
    path: "/propostas",
    create: "Acrescentar uma proposta",
    of_scientists: true,
    table: Table {
        list: "propostas",
        columns: &["id", "titulo", "responsavel_id", "membros", "inicio_utc", "fim_utc", "ativa", "alocado_min"],
        also: &[],
    },
    write,
};
/// The fields of a proposal that a client gives.
const FIELDS: &str = "titulo, responsavel_id, membros, inicio_utc, fim_utc, alocado_min, ativa";
/// Its other fields. A client that sends back what it read may leave them in.
const ANSWERED_FIELDS: [&str; 4] = ["id", "usado_min", "restante_min", "_links"];
const TITLE: TextRule = TextRule { max_chars: TITLE_MAX_CHARS, multiline: false };

/// A proposal on the wire.
#[derive(Serialize)]
struct View<'a> {
    id: i64,
    #[serde(flatten)]
    state: ProposalState<'a>,
    /// In the answers that show one proposal.
    #[serde(flatten)]
    use_of_it: Option<UseView>,
    _links: Links,
}

/// What a proposal has used, and what is left of it, by telescope.
#[derive(Serialize)]
struct UseView {
    usado_min: BTreeMap<String, i64>,
    restante_min: BTreeMap<String, i64>,
}

fn view<'a>(proposal: &'a Proposal, use_of_it: Option<UseView>, who: &Who) -> View<'a> {
    let path = links::proposal_path(proposal.id);
    let links = Links::new()
        .with("self", Link::get(path.clone()))
        .with("responsavel", Link::get(links::scientist_path(proposal.investigator)))
        .with("propostas", Link::get(LIST.path))
        .with_if(who.may(Permission::ManageCatalogue), "alterar", || {
            Link::action("PATCH", path, "Mudar esta proposta")
        });
    View { id: proposal.id, state: proposal.state(), use_of_it, _links: links }
}

/// A proposal with what it has used now.
async fn whole<'a>(app: &App, proposal: &'a Proposal, request: &Request) -> Result<View<'a>, Problem> {
    let used = app.store.used_min(proposal.id).await.map_err(|error| not_read(&request.log, &error))?;
    let left = |(telescope, allocated): (&String, &i64)| {
        (telescope.clone(), allocated - used.get(telescope).copied().unwrap_or(0))
    };
    let restante_min = proposal.allocated_min.iter().map(left).collect();
    Ok(view(proposal, Some(UseView { restante_min, usado_min: used }), &request.who))
}

/// A proposal after it was written, without what it has used if that cannot be read now: the change is made all the same.
async fn shown_after<'a>(app: &App, proposal: &'a Proposal, request: &Request) -> View<'a> {
    whole(app, proposal, request).await.unwrap_or_else(|_| view(proposal, None, &request.who))
}

/// `GET /propostas`.
pub async fn list(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    LIST.answer(app, request).await
}

/// Writes the proposals that are asked for.
fn write(catalogue: &Catalogue, asked: &ListRequest, who: &Who, written: &mut Written) -> Option<Place> {
    let theirs = asked.scientist_id.map(|scientist| catalogue.proposals_of(scientist));
    let found = catalogue.find_proposals(&asked.search(requests::id).among(theirs), asked.after.as_ref(), asked.limit);
    for proposal in found.items {
        written.item(&view(proposal, None, who));
    }
    found.next.cloned()
}

/// `GET /propostas/{id}`.
pub async fn one(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let number = number(id)?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let proposal = catalogue.proposal(number).ok_or_else(|| unknown(id))?;
    Ok(shown(&whole(app, proposal, request).await?, &proposal.version()))
}

/// `POST /propostas`.
pub async fn create(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let bytes = read_json(request, BODY_MAX).await?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let new = new_proposal(&bytes, &catalogue)?;
    let proposal = make(app, &origin, app.store.create_proposal(new, origin.cause.clone())).await?;
    info!(origin.log, "Proposta {} criada por {}", proposal.id, request.who.author());
    Ok(made(&proposal, &request.who))
}

/// The answer to the request that has made this proposal, of which nothing is used yet.
pub fn made(proposal: &Proposal, who: &Who) -> Response {
    let use_of_it = UseView { restante_min: proposal.allocated_min.clone(), usado_min: BTreeMap::new() };
    created(&view(proposal, Some(use_of_it), who), &proposal.version(), &links::proposal_path(proposal.id))
}

/// `PATCH /propostas/{id}`: a merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)).
pub async fn change(app: &App, id: &str, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let if_match = IfMatch::read(&request.head.headers)?;
    let bytes = read_json(request, BODY_MAX).await?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let (number, patch) = (number(id)?, patch(&bytes, &catalogue)?);
    let outcome = make(app, &origin, app.store.change_proposal(number, patch, if_match, origin.cause.clone())).await?;
    let proposal = changed(outcome, || unknown(id))?;
    info!(origin.log, "Proposta {} alterada por {}", proposal.id, request.who.author());
    Ok(shown(&shown_after(app, &proposal, request).await, &proposal.version()))
}

fn number(id: &str) -> Result<i64, Problem> {
    requests::id(id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    refused(Refusal::Catalogue(CatalogueRefusal::UnknownProposal(id.to_owned())))
}

/// Reads a new proposal.
///
/// # Errors
/// The problem to answer with.
fn new_proposal(body: &[u8], catalogue: &Catalogue) -> Result<Proposal, Problem> {
    let mut fields = Fields::parse(body)?;
    for name in ["titulo", "responsavel_id", "inicio_utc", "fim_utc"] {
        if !fields.has(name) {
            fields.pass_over(name);
            fields.reject(name, FieldCode::Missing.says("é obrigatório"));
        }
    }
    let patch = read(fields, catalogue)?;
    let allocated_min = patch.allocated_min.into_iter().filter_map(|(code, minutes)| Some((code, minutes?))).collect();
    let (Some(title), Some(investigator), Some(from), Some(until)) =
        (patch.title, patch.investigator, patch.from, patch.until)
    else {
        return Err(Problem::internal("uma proposta sem erro e sem um campo obrigatório"));
    };
    let (members, active) = (patch.members.unwrap_or_default(), patch.active.unwrap_or(true));
    Ok(Proposal { id: 0, title, investigator, members, allocated_min, from, until, active })
}

/// Reads a change of a proposal.
///
/// # Errors
/// The problem to answer with.
fn patch(body: &[u8], catalogue: &Catalogue) -> Result<ProposalPatch, Problem> {
    let mut fields = Fields::parse(body)?;
    for name in ["titulo", "responsavel_id", "inicio_utc", "fim_utc", "ativa"] {
        if fields.take_null(name) {
            fields.reject(name, "uma proposta tem sempre este campo; mande outro valor, ou deixe o campo fora");
        }
    }
    let (no_members, no_minutes) = (fields.take_null("membros"), fields.take_null("alocado_min"));
    let mut patch = read(fields, catalogue)?;
    if no_members {
        patch.members = Some(BTreeSet::new());
    }
    Ok(ProposalPatch { no_minutes, ..patch })
}

/// The fields that a new proposal and a change have in common.
fn read(mut fields: Fields<'_>, catalogue: &Catalogue) -> Result<ProposalPatch, Problem> {
    let title = fields.text("titulo", TITLE);
    let investigator = fields.integer_as("responsavel_id", 1..=ID_MAX, SCIENTIST_ID);
    let investigator = investigator.filter(|id| {
        let is_known = catalogue.scientist(*id).is_some();
        if !is_known {
            fields.reject("responsavel_id", FieldCode::UnknownScientist.says(no_scientist(*id)));
        }
        is_known
    });
    let members = fields.take("membros").map(|raw| members(raw, catalogue)).transpose();
    let members = members.unwrap_or_else(|wrong| {
        fields.reject("membros", wrong);
        None
    });
    let (from, until) = (fields.exact_instant("inicio_utc"), fields.exact_instant("fim_utc"));
    let (allocated_min, mut errors) = fields.take("alocado_min").map(|raw| minutes(raw, catalogue)).unwrap_or_default();
    let active = fields.boolean("ativa");
    for answered in ANSWERED_FIELDS {
        fields.pass_over(answered);
    }
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        errors.push(ends_before());
    }
    errors.splice(0..0, fields.finish(FIELDS).err().unwrap_or_default());
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    Ok(ProposalPatch { title, investigator, members, no_minutes: false, allocated_min, from, until, active })
}

fn no_scientist(id: i64) -> String {
    format!("não existe cientista com o número {id}; a lista está em GET /cientistas")
}

/// The scientists of a list.
fn members(raw: &RawValue, catalogue: &Catalogue) -> Result<BTreeSet<i64>, crate::http::wrong::Wrong> {
    let Ok(members) = serde_json::from_str::<Vec<i64>>(raw.get()) else {
        return Err(FieldCode::Kind.says("deve ser uma lista de números de cientistas, como [5, 7]"));
    };
    if members.len() > MEMBERS_MAX {
        let words = format!("pode ter até {MEMBERS_MAX} cientistas; tem {}", members.len());
        return Err(FieldCode::Length.says(words));
    }
    match members.iter().find(|id| catalogue.scientist(**id).is_none()) {
        Some(id) => Err(FieldCode::UnknownScientist.says(no_scientist(*id))),
        None => Ok(members.into_iter().collect()),
    }
}

/// The minutes by telescope, where `null` takes a telescope away, and what is wrong with them.
fn minutes(raw: &RawValue, catalogue: &Catalogue) -> (BTreeMap<String, Option<i64>>, Vec<FieldError>) {
    let wrong = |field: &str, code: FieldCode, words: String| FieldError::new(field, code.says(words));
    let Ok(all) = serde_json::from_str::<BTreeMap<String, Option<i64>>>(raw.get()) else {
        let words = "deve ser um objeto com os minutos de cada telescópio, como {\"Hubble-Acad\": 600}".to_owned();
        return (BTreeMap::new(), vec![wrong("alocado_min", FieldCode::Kind, words)]);
    };
    if all.len() > TELESCOPES_MAX {
        let words = format!("pode ter até {TELESCOPES_MAX} telescópios; tem {}", all.len());
        return (BTreeMap::new(), vec![wrong("alocado_min", FieldCode::Length, words)]);
    }
    let mut errors = Vec::new();
    for (code, minutes) in &all {
        let place = || format!("alocado_min.{}", crate::http::fields::shown(code));
        if catalogue.telescope(code).is_none() {
            let words = "não existe telescópio com este id; a lista está em GET /telescopios".to_owned();
            errors.push(wrong(&place(), FieldCode::UnknownTelescope, words));
        } else if minutes.is_some_and(|minutes| !(0..=ALLOCATED_MIN_MAX).contains(&minutes)) {
            let words = format!("deve ser um número inteiro entre 0 e {ALLOCATED_MIN_MAX}");
            errors.push(wrong(&place(), FieldCode::Number, words));
        }
    }
    (all, errors)
}
