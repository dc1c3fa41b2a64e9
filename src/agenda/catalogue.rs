//! The catalogue: the scientists and the telescopes.

use std::collections::BTreeMap;

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
