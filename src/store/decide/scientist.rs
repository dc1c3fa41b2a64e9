//! Changes of the catalogue that concern a scientist: a new one, and one that is changed.

use super::change::{Change, Decision, changed};
use super::keep::keep;
use super::view::View;
use super::write::Write;
use crate::agenda::keeping::Made;
use crate::agenda::{Scientist, ScientistPatch};
use crate::audit::record::{Catalogued, Cause, Event};
use crate::http::precondition::IfMatch;
use crate::store::outcomes::NotChanged;

/// A scientist who is to be added.
#[derive(Clone, Debug)]
pub struct CreateScientist {
    /// The scientist. The number is chosen when the scientist is added.
    pub scientist: Scientist,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for CreateScientist {
    /// The scientist, with the number.
    type Answer = Scientist;

    fn inserts_scientist(&self) -> bool {
        true
    }

    fn decide(&self, view: &View) -> Decision<Scientist> {
        let scientist = Scientist { id: view.next_scientist_id, ..self.scientist.clone() };
        let created = Event::Catalogued(Catalogued::Scientist { before: None, after: &scientist });
        let record = view.record(&created, Some(&self.cause.request_id), &self.cause.caller);
        let insert = Write::InsertScientist { scientist: scientist.clone() };
        let keep = keep(&self.cause, Made::Scientist(&scientist), view);
        Decision { answer: scientist, writes: [insert, record].into_iter().chain(keep).collect() }
    }
}

/// A change of a scientist that is asked for.
#[derive(Clone, Debug)]
pub struct ChangeScientist {
    /// The number.
    pub id: i64,
    /// What becomes otherwise.
    pub patch: ScientistPatch,
    /// The version that the scientist has to have.
    pub if_match: Option<IfMatch>,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for ChangeScientist {
    /// The scientist after the change.
    type Answer = Result<Scientist, NotChanged>;

    fn scientist_id(&self) -> Option<i64> {
        Some(self.id)
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let before = view.scientists.get(&self.id);
        let if_match = self.if_match.as_ref();
        let applied = |before: &Scientist| self.patch.applied_to(before);
        let (before, after) = match changed(before, Scientist::version, if_match, applied) {
            Ok(change) => change,
            Err(decision) => return decision,
        };
        let event = Event::Catalogued(Catalogued::Scientist { before: Some(before), after: &after });
        let record = view.record(&event, Some(&self.cause.request_id), &self.cause.caller);
        let update = Write::UpdateScientist { scientist: after.clone() };
        Decision { answer: Ok(after), writes: vec![update, record] }
    }
}
