//! The catalogue: the scientists and the telescopes.

use std::collections::BTreeMap;

use super::rules::Rules;

/// A scientist, who books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scientist {
    /// Its number, from 1 on.
    pub id: i64,
    /// Name, for people.
    pub name: String,
    /// The institution.
    pub institution: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// A telescope, which is booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telescope {
    /// Its name on the wire, and the first part of a resource's name: letters, digits, `.`, `_`, `-`.
    pub code: String,
    /// Name, for people.
    pub name: String,
    /// Whether its agenda takes any date, the past included.
    pub simulated: bool,
    /// What a booking of it must keep to.
    pub rules: Rules,
}

/// What becomes otherwise in a telescope. `None` leaves it as it is; of a rule, `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::option_option, reason = "a merge patch leaves a value, takes it away, or gives another")]
pub struct TelescopePatch {
    /// Its name, for people.
    pub name: Option<String>,
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
}

impl TelescopePatch {
    /// Takes every rule away.
    pub fn without_rules() -> Self {
        Self {
            name: None,
            duration_max_min: Some(None),
            notice_min: Some(None),
            cancel_notice_min: Some(None),
            horizon_days: Some(None),
            opens_at_min: Some(None),
            standing_max: Some(None),
            day_max_min: Some(None),
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
        };
        let name = self.name.clone().unwrap_or_else(|| telescope.name.clone());
        Telescope { name, rules, ..telescope.clone() }
    }
}

/// All scientists and telescopes.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    scientists: BTreeMap<i64, Scientist>,
    telescopes: Vec<Telescope>,
}

impl Catalogue {
    /// A catalogue. The first telescope is the default.
    pub fn new(scientists: Vec<Scientist>, telescopes: Vec<Telescope>) -> Self {
        Self { scientists: scientists.into_iter().map(|scientist| (scientist.id, scientist)).collect(), telescopes }
    }

    /// The scientist of that number.
    pub fn scientist(&self, id: i64) -> Option<&Scientist> {
        self.scientists.get(&id)
    }

    /// The telescope of that code.
    pub fn telescope(&self, code: &str) -> Option<&Telescope> {
        self.telescopes.iter().find(|telescope| telescope.code == code)
    }

    /// The telescope of a request that names none.
    pub fn default_telescope(&self) -> Option<&Telescope> {
        self.telescopes.first()
    }

    /// All scientists, by number.
    pub fn scientists(&self) -> impl Iterator<Item = &Scientist> {
        self.scientists.values()
    }

    /// All telescopes, the default first.
    pub fn telescopes(&self) -> impl Iterator<Item = &Telescope> {
        self.telescopes.iter()
    }
}
