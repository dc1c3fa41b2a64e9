//! Who may book, and what.

use std::collections::BTreeMap;

/// Who books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scientist {
    /// Identity, from 1 on.
    pub id: i64,
    /// Name, for people.
    pub name: String,
    /// Where they work.
    pub institution: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// What is booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telescope {
    /// Identity on the wire and the first part of a resource's name: letters, digits, `.`, `_`, `-`.
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
    /// A catalogue; the first telescope is the one that is meant when none is named.
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

    /// The telescope that is meant when none is named.
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
