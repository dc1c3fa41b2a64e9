//! Changing a telescope of the catalogue.

use super::change::{Around, Change, Decision};
use super::view::View;
use super::write::Write;
use crate::agenda::{Telescope, TelescopePatch};
use crate::audit::record::{Cause, Event};

/// A change of a telescope that is asked for.
#[derive(Clone, Debug)]
pub struct ChangeTelescope {
    /// Its code.
    pub code: String,
    /// What becomes otherwise.
    pub patch: TelescopePatch,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for ChangeTelescope {
    /// The telescope as it stands; `None` if there is none of that code.
    type Answer = Option<Telescope>;

    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        Some(Around { telescope: &self.code, scientist_id: None, slots: None, counted: None })
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let Some(before) = view.telescopes.get(&self.code) else { return Decision::refusal(None) };
        let after = self.patch.applied_to(before);
        // What changes nothing leaves no record.
        if after == *before {
            return Decision::refusal(Some(after));
        }
        let changed = Event::TelescopeChanged { before, after: &after };
        let record = view.record(&changed, Some(&self.cause.request_id), &self.cause.caller);
        let update = Write::UpdateTelescope { telescope: after.clone() };
        Decision { answer: Some(after), writes: vec![update, record] }
    }
}
