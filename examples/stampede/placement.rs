//! Which cell has which telescope: by a hash of its name, or by a map that somebody keeps.

use clap::ValueEnum;

/// How a front finds the cell of a telescope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Placement {
    /// The cell with the largest hash of both names (rendezvous hashing): nothing has to be kept, and a new cell takes only what becomes its own.
    Hash,
    /// A file of the front: the most wanted telescope first, each to the cell that has the least.
    Map,
}

/// The cell of each telescope, by how much each is wanted.
pub fn place(placement: Placement, weights: &[f64], cells: usize) -> Vec<usize> {
    match placement {
        Placement::Hash => (0..weights.len()).map(|telescope| hashed(telescope, cells)).collect(),
        Placement::Map => mapped(weights, cells),
    }
}

/// A hash of a number: the last step of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hashed(telescope: usize, cells: usize) -> usize {
    let weight = |cell: usize| mixed(mixed(telescope as u64 + 1).wrapping_add(mixed((cell as u64 + 1) << 32)));
    (0..cells).max_by_key(|cell| weight(*cell)).expect("there is a cell")
}

fn mapped(weights: &[f64], cells: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|one, other| weights[*other].total_cmp(&weights[*one]));
    let (mut loads, mut placed) = (vec![0.0_f64; cells], vec![0; weights.len()]);
    for telescope in order {
        let least = (0..cells).min_by(|one, other| loads[*one].total_cmp(&loads[*other])).expect("there is a cell");
        placed[telescope] = least;
        loads[least] += weights[telescope];
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cell_takes_telescopes_and_moves_none_between_the_others() {
        let weights = vec![1.0; 1000];
        for cells in 1..12 {
            let (before, after) =
                (place(Placement::Hash, &weights, cells), place(Placement::Hash, &weights, cells + 1));
            let moved = before.iter().zip(&after).filter(|(one, other)| one != other);
            let moved: Vec<_> = moved.collect();
            assert!(moved.iter().all(|(_, to)| **to == cells), "{moved:?}");
            // Its share, more or less.
            let share = 1000 / (cells + 1);
            assert!(moved.len() > share / 2 && moved.len() < share * 2, "{} of {share}", moved.len());
        }
    }

    #[test]
    fn a_map_leaves_no_cell_with_more_than_its_share_and_one_telescope() {
        let weights: Vec<f64> = (1..=52_u32).map(|rank| f64::from(rank).powf(-0.5)).collect();
        for cells in 1..=16 {
            let mut loads = vec![0.0_f64; cells];
            for (telescope, cell) in place(Placement::Map, &weights, cells).into_iter().enumerate() {
                loads[cell] += weights[telescope];
            }
            let (most, fair) = (loads.iter().copied().fold(0.0, f64::max), weights.iter().sum::<f64>() / cells as f64);
            assert!(most <= fair + weights[0], "{cells} cells: {most} of {fair}");
        }
    }
}
