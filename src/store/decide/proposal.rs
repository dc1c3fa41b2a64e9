//! Proposals: a new one, and one that is changed.

use super::change::{Change, Decision, changed};
use super::keep::keep;
use super::view::View;
use super::write::Write;
use crate::agenda::keeping::Made;
use crate::agenda::proposal::{Proposal, ProposalPatch, TELESCOPES_MAX};
use crate::audit::record::{Catalogued, Cause, Event};
use crate::http::precondition::IfMatch;
use crate::store::outcomes::NotChanged;

/// A proposal that is to be added.
#[derive(Clone, Debug)]
pub struct CreateProposal {
    /// The proposal. Its number is chosen when it is added.
    pub proposal: Proposal,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for CreateProposal {
    /// The proposal, with its number.
    type Answer = Proposal;

    fn inserts_proposal(&self) -> bool {
        true
    }

    fn decide(&self, view: &View) -> Decision<Proposal> {
        let proposal = Proposal { id: view.next_proposal_id, ..self.proposal.clone() };
        let created = Event::Catalogued(Catalogued::Proposal { before: None, after: &proposal });
        let record = view.record(&created, Some(&self.cause.request_id), &self.cause.caller);
        let insert = Write::InsertProposal { proposal: proposal.clone() };
        let keep = keep(&self.cause, Made::Proposal(&proposal), view);
        Decision { answer: proposal, writes: [insert, record].into_iter().chain(keep).collect() }
    }
}

/// A change of a proposal that is asked for.
#[derive(Clone, Debug)]
pub struct ChangeProposal {
    /// Its number.
    pub id: i64,
    /// What becomes otherwise.
    pub patch: ProposalPatch,
    /// The version that it has to have.
    pub if_match: Option<IfMatch>,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for ChangeProposal {
    /// The proposal as it stands.
    type Answer = Result<Proposal, NotChanged>;

    fn proposal<'a>(&'a self, _view: &'a View) -> Option<(i64, Option<&'a str>)> {
        Some((self.id, None))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let before = view.proposals.get(&self.id);
        let if_match = self.if_match.as_ref();
        let applied = |before: &Proposal| self.patch.applied_to(before);
        let (before, after) = match changed(before, Proposal::version, if_match, applied) {
            Ok(change) => change,
            Err(decision) => return decision,
        };
        if after.from >= after.until {
            return Decision::refusal(Err(NotChanged::Contradiction));
        }
        if after.allocated_min.len() > TELESCOPES_MAX {
            return Decision::refusal(Err(NotChanged::TooManyTelescopes));
        }
        let event = Event::Catalogued(Catalogued::Proposal { before: Some(before), after: &after });
        let record = view.record(&event, Some(&self.cause.request_id), &self.cause.caller);
        let update = Write::UpdateProposal { proposal: after.clone() };
        Decision { answer: Ok(after), writes: vec![update, record] }
    }
}
