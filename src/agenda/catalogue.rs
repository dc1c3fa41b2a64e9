//! The catalogue: the scientists and the telescopes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::directory::{Directory, Entry, Place, Search, folded};
use super::hours::Hours;
use super::maintenance::Maintenance;
use super::opening::Reopening;
use super::proposal::Proposal;
use super::rules::{Rules, RulesView};
use super::version::version_of;

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
    /// Whether it may book.
    pub active: bool,
}

/// A scientist as records have it.
#[derive(Clone, Debug, Serialize)]
pub struct ScientistState<'a> {
    nome: &'a str,
    instituicao: &'a str,
    pais: &'a str,
    ativo: bool,
}

impl Scientist {
    /// The scientist as records have it.
    pub fn state(&self) -> ScientistState<'_> {
        let Self { id: _, name: nome, institution: instituicao, country: pais, active: ativo } = self;
        ScientistState { nome, instituicao, pais, ativo: *ativo }
    }

    /// What its `ETag` has: another one after each change.
    pub fn version(&self) -> String {
        version_of(&(self.id, self.state()))
    }
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
    /// When it operates; `None` is always.
    pub hours: Option<Arc<Hours>>,
    /// Whether it may be booked.
    pub active: bool,
    /// Whether each booking has to name a proposal.
    pub needs_proposal: bool,
    /// When it cannot be booked, in order of the first time.
    pub maintenance: Arc<[Maintenance]>,
    /// The maintenances that were taken away a moment ago, and when their slots open.
    pub reopening: Arc<[Reopening]>,
}

/// A telescope as records have it.
#[derive(Clone, Debug, Serialize)]
pub struct TelescopeState<'a> {
    nome: &'a str,
    simulado: bool,
    ativo: bool,
    regras: RulesView,
}

impl Telescope {
    /// A telescope without rules and without maintenance.
    pub fn new(code: String, name: String, simulated: bool) -> Self {
        Self {
            code,
            name,
            simulated,
            rules: Rules::default(),
            hours: None,
            active: true,
            needs_proposal: false,
            maintenance: Arc::default(),
            reopening: Arc::default(),
        }
    }

    /// The telescope as records have it.
    pub fn state(&self) -> TelescopeState<'_> {
        let Self { code: _, name: nome, simulated, rules, hours, active, needs_proposal, .. } = self;
        TelescopeState {
            nome,
            simulado: *simulated,
            ativo: *active,
            regras: RulesView::of(rules, hours.as_deref(), *needs_proposal),
        }
    }

    /// What its `ETag` has: another one after each change.
    pub fn version(&self) -> String {
        version_of(&(&self.code, self.state()))
    }
}

/// All scientists and telescopes.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    edition: i64,
    scientists: BTreeMap<i64, Arc<Scientist>>,
    telescopes: Vec<Arc<Telescope>>,
    /// Where each telescope stands in `telescopes`, by code.
    places: HashMap<String, usize>,
    proposals: BTreeMap<i64, Proposal>,
    scientists_by_name: Directory,
    telescopes_by_name: Directory,
    proposals_by_title: Directory,
}

/// A page of a list of scientists or of telescopes.
#[derive(Clone, Debug)]
pub struct Found<'a, T> {
    /// In order.
    pub items: Vec<&'a T>,
    /// The place of the last one, if there are more.
    pub next: Option<&'a Place>,
}

impl Catalogue {
    /// A catalogue. The first telescope is the default.
    pub fn new(scientists: Vec<Scientist>, telescopes: Vec<Telescope>) -> Self {
        let by_name = |scientist: &Scientist| {
            let text = folded(&scientist.name);
            Entry { place: Place { name: text.clone(), id: scientist.id }, text, active: scientist.active }
        };
        let scientists_by_name = Directory::new(scientists.iter().map(by_name).collect());
        let telescope = |(id, telescope): (i64, &Telescope)| {
            let (name, code) = (folded(&telescope.name), folded(&telescope.code));
            let text = format!("{name}\n{code}");
            // The default comes first.
            let name = if id == 0 { String::new() } else { name };
            Entry { place: Place { name, id }, text, active: telescope.active }
        };
        let telescopes_by_name = Directory::new((0..).zip(&telescopes).map(telescope).collect());
        Self {
            edition: 0,
            scientists: scientists.into_iter().map(|scientist| (scientist.id, scientist.into())).collect(),
            places: telescopes.iter().enumerate().map(|(place, one)| (one.code.clone(), place)).collect(),
            telescopes: telescopes.into_iter().map(Arc::new).collect(),
            scientists_by_name,
            telescopes_by_name,
            proposals: BTreeMap::new(),
            proposals_by_title: Directory::default(),
        }
    }

    /// The catalogue with these proposals.
    #[must_use]
    pub fn with_proposals(self, proposals: Vec<Proposal>) -> Self {
        let by_title = |proposal: &Proposal| {
            let text = folded(&proposal.title);
            Entry { place: Place { name: text.clone(), id: proposal.id }, text, active: proposal.active }
        };
        let proposals_by_title = Directory::new(proposals.iter().map(by_title).collect());
        let proposals = proposals.into_iter().map(|proposal| (proposal.id, proposal)).collect();
        Self { proposals, proposals_by_title, ..self }
    }

    /// The proposal of that number.
    pub fn proposal(&self, id: i64) -> Option<&Proposal> {
        self.proposals.get(&id)
    }

    /// A page of the proposals that a search finds, by title.
    pub fn find_proposals(&self, search: &Search, after: Option<&Place>, limit: u16) -> Found<'_, Proposal> {
        let (ids, next) = self.proposals_by_title.page(search, after, usize::from(limit));
        Found { items: ids.iter().filter_map(|id| self.proposals.get(id)).collect(), next }
    }

    /// The numbers of the proposals whose time a scientist may use.
    pub fn proposals_of(&self, scientist: i64) -> BTreeSet<i64> {
        self.proposals.values().filter(|proposal| proposal.has(scientist)).map(|proposal| proposal.id).collect()
    }

    /// The catalogue as one of that edition.
    #[must_use]
    pub fn of_edition(self, edition: i64) -> Self {
        Self { edition, ..self }
    }

    /// Which one it is: another one after each change.
    pub fn edition(&self) -> i64 {
        self.edition
    }

    /// The scientist of that number.
    pub fn scientist(&self, id: i64) -> Option<&Scientist> {
        self.shared_scientist(id).map(Arc::as_ref)
    }

    /// The same, for a booking that keeps it.
    pub(super) fn shared_scientist(&self, id: i64) -> Option<&Arc<Scientist>> {
        self.scientists.get(&id)
    }

    /// The telescope of that code.
    pub fn telescope(&self, code: &str) -> Option<&Telescope> {
        self.shared_telescope(Some(code)).map(Arc::as_ref)
    }

    /// The telescope of that code, or the one of a request that names none, for a booking that keeps it.
    pub(super) fn shared_telescope(&self, code: Option<&str>) -> Option<&Arc<Telescope>> {
        match code {
            Some(code) => self.telescopes.get(*self.places.get(code)?),
            None => self.telescopes.first(),
        }
    }

    /// The number that the telescope of that code has in a search.
    pub fn place_of(&self, code: &str) -> Option<i64> {
        i64::try_from(*self.places.get(code)?).ok()
    }

    /// The telescope of a request that names none.
    pub fn default_telescope(&self) -> Option<&Telescope> {
        self.shared_telescope(None).map(Arc::as_ref)
    }

    /// The telescope that has the maintenance of that number.
    pub fn in_maintenance(&self, id: i64) -> Option<(&Telescope, &Maintenance)> {
        let one = |telescope: &'_ Telescope| telescope.maintenance.iter().position(|one| one.id == id);
        let mut telescopes = self.telescopes.iter().map(Arc::as_ref);
        telescopes.find_map(|telescope| Some((telescope, &telescope.maintenance[one(telescope)?])))
    }

    /// A page of the scientists that a search finds, by name.
    pub fn find_scientists(&self, search: &Search, after: Option<&Place>, limit: u16) -> Found<'_, Scientist> {
        let (ids, next) = self.scientists_by_name.page(search, after, usize::from(limit));
        Found { items: ids.iter().filter_map(|id| self.scientist(*id)).collect(), next }
    }

    /// A page of the telescopes that a search finds, by name; the default comes first.
    pub fn find_telescopes(&self, search: &Search, after: Option<&Place>, limit: u16) -> Found<'_, Telescope> {
        let (places, next) = self.telescopes_by_name.page(search, after, usize::from(limit));
        let telescope = |place: &i64| self.telescopes.get(usize::try_from(*place).ok()?).map(Arc::as_ref);
        Found { items: places.iter().filter_map(telescope).collect(), next }
    }

    /// All scientists, by number.
    #[cfg(test)]
    pub fn scientists(&self) -> impl Iterator<Item = &Scientist> {
        self.scientists.values().map(Arc::as_ref)
    }

    /// All telescopes, the default first.
    #[cfg(test)]
    pub fn telescopes(&self) -> impl Iterator<Item = &Telescope> {
        self.telescopes.iter().map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::ScientistPatch;

    #[test]
    fn the_default_telescope_comes_first_and_the_others_by_name() {
        let telescope = |code: &str, name: &str| Telescope {
            active: code != "D",
            ..Telescope::new(code.into(), name.into(), false)
        };
        let telescopes =
            [("X-1", "Zeta"), ("B", "Ótico"), ("C", "alfa"), ("D", "Alfa")].map(|(code, name)| telescope(code, name));
        let catalogue = Catalogue::new(Vec::new(), telescopes.into());
        let codes = |text, active| {
            let found = catalogue.find_telescopes(&Search::new(text, active), None, 10);
            found.items.iter().map(|one| one.code.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(codes(None, None), ["X-1", "C", "D", "B"]);
        assert_eq!(codes(Some("x-"), None), ["X-1"]);
        assert_eq!(codes(Some("ALFA"), Some(true)), ["C"]);
        let first = catalogue.find_telescopes(&Search::default(), None, 1);
        let rest = catalogue.find_telescopes(&Search::default(), first.next, 10);
        assert_eq!(rest.items.len(), 3);
    }

    #[test]
    fn a_version_is_another_after_each_change_and_the_same_after_it_is_undone() {
        let curie = Scientist {
            id: 7,
            name: "Marie Curie".into(),
            institution: "Paris".into(),
            country: "FR".into(),
            active: true,
        };
        let patch = ScientistPatch { active: Some(false), ..ScientistPatch::default() };
        let changed = patch.applied_to(&curie);
        assert_ne!(changed.version(), curie.version());
        assert_eq!(Scientist { active: true, ..changed }.version(), curie.version());
    }
}
