//! What becomes otherwise in a scientist or in a telescope of the catalogue.

use std::sync::Arc;

use super::catalogue::{Scientist, Telescope};
use super::hours::Hours;
use super::policy::Policy;
use super::rules::Rules;

/// What becomes otherwise in a scientist. `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScientistPatch {
    /// The name.
    pub name: Option<String>,
    /// The institution.
    pub institution: Option<String>,
    /// The country.
    pub country: Option<String>,
    /// Whether it may book.
    pub active: Option<bool>,
}

impl ScientistPatch {
    /// The scientist with this change.
    pub fn applied_to(&self, scientist: &Scientist) -> Scientist {
        let changed = |new: &Option<String>, old: &String| new.clone().unwrap_or_else(|| old.clone());
        Scientist {
            id: scientist.id,
            name: changed(&self.name, &scientist.name),
            institution: changed(&self.institution, &scientist.institution),
            country: changed(&self.country, &scientist.country),
            active: self.active.unwrap_or(scientist.active),
        }
    }
}

/// What becomes otherwise in a telescope. `None` leaves it as it is; of a rule, `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::option_option, reason = "a merge patch leaves a value, takes it away, or gives another")]
pub struct TelescopePatch {
    /// Its name, for people.
    pub name: Option<String>,
    /// Whether it may be booked.
    pub active: Option<bool>,
    /// [`Rules::duration_max_min`].
    pub duration_max_min: Option<Option<i64>>,
    /// [`Rules::notice_min`].
    pub notice_min: Option<Option<i64>>,
    /// [`Rules::cancel_notice_min`].
    pub cancel_notice_min: Option<Option<i64>>,
    /// [`Rules::horizon_days`].
    pub horizon_days: Option<Option<i64>>,
    /// [`Rules::opens_at_min`].
    pub opens_at_min: Option<Option<i64>>,
    /// [`Rules::standing_max`].
    pub standing_max: Option<Option<i64>>,
    /// [`Rules::day_max_min`].
    pub day_max_min: Option<Option<i64>>,
    /// [`Rules::policy`].
    pub policy: Option<Policy>,
    /// [`Telescope::needs_proposal`].
    pub needs_proposal: Option<bool>,
    /// [`Telescope::hours`].
    pub hours: Option<Option<Arc<Hours>>>,
}

impl TelescopePatch {
    /// Takes every rule away.
    pub fn without_rules() -> Self {
        Self {
            name: None,
            active: None,
            duration_max_min: Some(None),
            notice_min: Some(None),
            cancel_notice_min: Some(None),
            horizon_days: Some(None),
            opens_at_min: Some(None),
            standing_max: Some(None),
            day_max_min: Some(None),
            policy: Some(Policy::default()),
            needs_proposal: Some(false),
            hours: Some(None),
        }
    }

    /// The telescope with this change.
    pub fn applied_to(&self, telescope: &Telescope) -> Telescope {
        let old = telescope.rules;
        let rules = Rules {
            duration_max_min: self.duration_max_min.unwrap_or(old.duration_max_min),
            notice_min: self.notice_min.unwrap_or(old.notice_min),
            cancel_notice_min: self.cancel_notice_min.unwrap_or(old.cancel_notice_min),
            horizon_days: self.horizon_days.unwrap_or(old.horizon_days),
            opens_at_min: self.opens_at_min.unwrap_or(old.opens_at_min),
            standing_max: self.standing_max.unwrap_or(old.standing_max),
            day_max_min: self.day_max_min.unwrap_or(old.day_max_min),
            policy: self.policy.unwrap_or(old.policy),
        };
        let name = self.name.clone().unwrap_or_else(|| telescope.name.clone());
        let active = self.active.unwrap_or(telescope.active);
        let hours = self.hours.clone().unwrap_or_else(|| telescope.hours.clone());
        let needs_proposal = self.needs_proposal.unwrap_or(telescope.needs_proposal);
        Telescope { name, rules, hours, active, needs_proposal, ..telescope.clone() }
    }
}
