//! What a transaction has loaded of the catalogue, for the next one: it is valid as long as the catalogue's edition is the same; each change
//! of the catalogue raises the edition.

use std::collections::{BTreeMap, BTreeSet};

use crate::agenda::proposal::Proposal;
use crate::agenda::{Scientist, Telescope};
use crate::store::decide::{Need, View};

/// Above this many it begins anew, so that its size is bounded.
const MOST: usize = 50_000;

/// A part of the catalogue, at an edition.
#[derive(Debug, Default)]
pub struct Remembered {
    /// The edition; 0 while nothing is remembered.
    pub edition: i64,
    /// What was asked for.
    needs: BTreeSet<Need>,
    telescopes: BTreeMap<String, Telescope>,
    scientists: BTreeMap<i64, Scientist>,
    proposals: BTreeMap<i64, Proposal>,
}

impl Remembered {
    /// What a transaction has at its end of these rows.
    pub fn of(edition: i64, view: View, needs: BTreeSet<Need>) -> Self {
        let View { telescopes, scientists, proposals, .. } = view;
        if needs.len() > MOST {
            return Self::default();
        }
        let is_kept = |need: &Need| matches!(need, Need::Telescope(_) | Need::Scientist(_) | Need::Proposal(_));
        let needs = needs.into_iter().filter(is_kept).collect();
        Self { edition, needs, telescopes, scientists, proposals }
    }

    /// Puts it into a view, and gives what the view then has.
    pub fn put(self, view: &mut View) -> BTreeSet<Need> {
        (view.telescopes, view.scientists, view.proposals) = (self.telescopes, self.scientists, self.proposals);
        self.needs
    }
}
