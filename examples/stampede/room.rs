//! The waiting room in front of one cell: a line for each telescope, and people let in as fast as the cell can answer.
//!
//! Who was there before the opening has a place by lot; who came later stands by the instant of the click (`instante_clique_utc`), so it
//! does not matter who sits near. Nobody is let in for whom no slot is left.

use std::collections::VecDeque;

/// A person's place: the instant of the click, and what decides between equal ones.
pub type Place = (u64, u64);

/// The room of one cell.
#[derive(Debug)]
pub struct Room {
    /// The line of each telescope of the cell: places and people.
    lines: Vec<(usize, VecDeque<(Place, usize)>)>,
    /// How many more may be let in now.
    credit: f64,
    /// All who wait.
    pub waiting: usize,
    /// The most who ever waited.
    pub most: usize,
}

impl Room {
    /// A room for the telescopes of a cell.
    pub fn new(telescopes: impl Iterator<Item = usize>) -> Self {
        let lines = telescopes.map(|telescope| (telescope, VecDeque::new())).collect();
        Self { lines, credit: 0.0, waiting: 0, most: 0 }
    }

    /// A person comes in. People come in the order of their places.
    pub fn enter(&mut self, telescope: usize, place: Place, person: usize) {
        let (_, line) =
            self.lines.iter_mut().find(|(one, _)| *one == telescope).expect("it is a telescope of this cell");
        debug_assert!(line.back().is_none_or(|(last, _)| *last < place), "somebody would be overtaken");
        line.push_back((place, person));
        self.waiting += 1;
        self.most = self.most.max(self.waiting);
    }

    /// A turn: `more` people may be let in.
    pub fn earn(&mut self, more: f64) {
        // What could not be used is not saved up for a rush later.
        self.credit = (self.credit + more).min(more.max(1.0) * 2.0);
    }

    /// Lets one person in: the first of all the lines whose telescope has a place for one more, as `has_place` tells.
    pub fn admit(&mut self, has_place: impl Fn(usize) -> bool) -> Option<usize> {
        if self.credit < 1.0 {
            return None;
        }
        let served = self.lines.iter_mut().filter(|(telescope, line)| !line.is_empty() && has_place(*telescope));
        let (_, line) = served.min_by_key(|(_, line)| line.front().map(|(place, _)| *place))?;
        let (_, person) = line.pop_front()?;
        self.waiting -= 1;
        self.credit -= 1.0;
        Some(person)
    }

    /// All who wait for a telescope of which nothing is left: they are told.
    pub fn dismiss(&mut self, telescope: usize) -> Vec<usize> {
        let line = self.lines.iter_mut().find(|(one, _)| *one == telescope).map(|(_, line)| std::mem::take(line));
        let people: Vec<usize> = line.into_iter().flatten().map(|(_, person)| person).collect();
        self.waiting -= people.len();
        people
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_let_in_first_and_nobody_waits_behind_a_line_that_is_full() {
        let mut room = Room::new([3, 5].into_iter());
        for (telescope, place, person) in [(3, (0, 1), 30), (5, (0, 2), 50), (3, (7, 0), 31), (5, (9, 0), 51)] {
            room.enter(telescope, place, person);
        }
        room.earn(3.0);
        assert_eq!(room.admit(|_| true), Some(30));
        // Telescope 3 is full.
        assert_eq!(room.admit(|telescope| telescope == 5), Some(50));
        assert_eq!(room.admit(|telescope| telescope == 5), Some(51));
        assert_eq!(room.admit(|_| true), None, "three were let in");
        assert_eq!((room.waiting, room.most), (1, 4));
        assert_eq!((room.dismiss(3), room.waiting), (vec![31], 0));
    }

    #[test]
    fn what_nobody_used_does_not_make_a_rush_later() {
        let mut room = Room::new(std::iter::once(0));
        (0..1000).for_each(|_| room.earn(5.0));
        (0..100).for_each(|person| room.enter(0, (0, person as u64), person));
        assert_eq!(std::iter::from_fn(|| room.admit(|_| true)).count(), 10);
    }
}
