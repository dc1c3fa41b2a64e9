//! Changes of the catalogue that concern a telescope: a new one, and one that is changed.

use super::change::{Around, Change, Decision, changed};
use super::keep::keep;
use super::view::View;
use super::write::Write;
use crate::agenda::keeping::Made;
use crate::agenda::{Telescope, TelescopePatch};
use crate::audit::record::{Catalogued, Cause, Event};
use crate::http::precondition::IfMatch;
use crate::store::outcomes::NotChanged;

/// A telescope that is to be added.
#[derive(Clone, Debug)]
pub struct CreateTelescope {
    /// The telescope.
    pub telescope: Telescope,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for CreateTelescope {
    /// The telescope; the error is the one that has its code already.
    type Answer = Result<Telescope, Telescope>;

    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        Some(around(&self.telescope.code))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let telescope = &self.telescope;
        if let Some(known) = view.telescopes.get(&telescope.code) {
            return Decision::refusal(Err(known.clone()));
        }
        let created = Event::Catalogued(Catalogued::Telescope { before: None, after: telescope });
        let record = view.record(&created, Some(&self.cause.request_id), &self.cause.caller);
        let insert = Write::InsertTelescope { telescope: telescope.clone() };
        let keep = keep(&self.cause, Made::Telescope(telescope), view);
        Decision { answer: Ok(telescope.clone()), writes: [insert, record].into_iter().chain(keep).collect() }
    }
}

/// A change of a telescope that is asked for.
#[derive(Clone, Debug)]
pub struct ChangeTelescope {
    /// Its code.
    pub code: String,
    /// What becomes otherwise.
    pub patch: TelescopePatch,
    /// The version that it has to have.
    pub if_match: Option<IfMatch>,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for ChangeTelescope {
    /// The telescope as it stands.
    type Answer = Result<Telescope, NotChanged>;

    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        Some(around(&self.code))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let before = view.telescopes.get(&self.code);
        let if_match = self.if_match.as_ref();
        let applied = |before: &Telescope| self.patch.applied_to(before);
        let (before, after) = match changed(before, Telescope::version, if_match, applied) {
            Ok(change) => change,
            Err(decision) => return decision,
        };
        let event = Event::Catalogued(Catalogued::Telescope { before: Some(before), after: &after });
        let record = view.record(&event, Some(&self.cause.request_id), &self.cause.caller);
        let update = Write::UpdateTelescope { telescope: after.clone() };
        Decision { answer: Ok(after), writes: vec![update, record] }
    }
}

fn around(code: &str) -> Around<'_> {
    Around { telescope: code, scientist_id: None, slots: None, counted: None }
}
