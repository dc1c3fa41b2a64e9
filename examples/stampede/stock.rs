//! The slots of one telescope: which are free, and who has the others.

/// A telescope's slots.
#[derive(Debug)]
pub struct Stock {
    /// The free ones, in no order.
    free: Vec<u32>,
    /// Where each slot stands in `free`, if it is free.
    at: Vec<Option<u32>>,
    /// Who has each slot.
    owners: Vec<Option<usize>>,
    /// The people who were let in and have no slot yet.
    pub inside: usize,
}

impl Stock {
    pub fn new(slots: u32) -> Self {
        let free: Vec<u32> = (0..slots).collect();
        let at = free.iter().map(|slot| Some(*slot)).collect();
        Self { at, owners: vec![None; free.len()], free, inside: 0 }
    }

    pub fn left(&self) -> usize {
        self.free.len()
    }

    /// The slot that `roll` points to, of those that are free now.
    pub fn shown(&self, roll: u64) -> Option<u32> {
        let count = self.free.len() as u64;
        (count > 0).then(|| self.free[usize::try_from(roll % count).expect("it is below a length")])
    }

    /// Whether a slot is free.
    pub fn is_free(&self, slot: u32) -> bool {
        self.owners[slot as usize].is_none()
    }

    /// The slot goes to `person`, if nobody has it.
    pub fn claim(&mut self, slot: u32, person: usize) -> bool {
        let Some(place) = self.at[slot as usize].take() else { return false };
        assert_eq!(self.owners[slot as usize].replace(person), None, "slot {slot} would go to two people");
        self.free.swap_remove(place as usize);
        if let Some(moved) = self.free.get(place as usize) {
            self.at[*moved as usize] = Some(place);
        }
        true
    }

    /// Who has a slot, slot by slot.
    pub fn owners(&self) -> impl Iterator<Item = usize> {
        self.owners.iter().filter_map(|owner| *owner)
    }
}
