//! Which revision comes from which.

use std::collections::{BTreeMap, BTreeSet};

use crate::Revision;
use crate::diff::{TooMuch, Work};

/// The parents of each revision, as places in the list that it was made from.
#[derive(Debug)]
pub(crate) struct Ancestry {
    parents: Vec<Vec<usize>>,
    /// Higher than those of all its parents.
    generation: Vec<usize>,
}

/// From which sides a revision was reached.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    ours: bool,
    theirs: bool,
    /// From something that both come from.
    above: bool,
}

impl Ancestry {
    /// `all` ascends by hash. Parents that are not here are left out.
    pub(crate) fn new(all: &[Revision]) -> Self {
        let place = |hash| all.binary_search_by_key(hash, |revision| revision.hash).ok();
        let parents: Vec<Vec<usize>> = all
            .iter()
            .map(|revision| revision.parents.iter().filter_map(place).collect())
            .collect();
        Self::of(parents)
    }

    fn of(parents: Vec<Vec<usize>>) -> Self {
        let mut children = vec![Vec::new(); parents.len()];
        for (id, parents) in parents.iter().enumerate() {
            for &parent in parents {
                children[parent].push(id);
            }
        }
        let mut missing: Vec<usize> = parents.iter().map(Vec::len).collect();
        let mut generation = vec![0; parents.len()];
        let mut open: Vec<usize> = (0..parents.len()).filter(|&id| missing[id] == 0).collect();
        while let Some(id) = open.pop() {
            for &child in &children[id] {
                generation[child] = generation[child].max(generation[id] + 1);
                missing[child] -= 1;
                if missing[child] == 0 {
                    open.push(child);
                }
            }
        }
        Self { parents, generation }
    }

    /// What `theirs` and at least one of `ours` come from, and nothing else that they come from does; ascending.
    ///
    /// Looks no further back than it has to: youngest generation first, until all that is left is above a
    /// common ancestor.
    pub(crate) fn lowest_common(
        &self,
        ours: &[usize],
        theirs: usize,
        work: &mut Work,
    ) -> Result<Vec<usize>, TooMuch> {
        let mut reached = BTreeMap::<usize, Reached>::new();
        for &id in ours {
            reached.entry(id).or_default().ours = true;
        }
        reached.entry(theirs).or_default().theirs = true;
        let mut open: BTreeSet<(usize, usize)> =
            reached.keys().map(|&id| (self.generation[id], id)).collect();
        // How many of these are not above a common ancestor.
        let mut undecided = open.len();
        let mut lowest = Vec::new();
        while undecided > 0 {
            let Some((_, id)) = open.pop_last() else { break };
            let mut from = reached[&id];
            if !from.above {
                undecided -= 1;
            }
            if from.ours && from.theirs && !from.above {
                lowest.push(id);
                from.above = true;
            }
            work.spend(1 + self.parents[id].len())?;
            for &parent in &self.parents[id] {
                let known = reached.entry(parent).or_default();
                let was_above = known.above;
                known.ours |= from.ours;
                known.theirs |= from.theirs;
                known.above |= from.above;
                let is_above = known.above;
                if open.insert((self.generation[parent], parent)) {
                    undecided += usize::from(!is_above);
                } else if is_above && !was_above {
                    undecided -= 1;
                }
            }
        }
        lowest.sort_unstable();
        Ok(lowest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn above(parents: &[Vec<usize>], id: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([id]);
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            open.extend(parents[id].iter().filter(|&&parent| found.insert(parent)));
        }
        found
    }

    proptest! {
        #[test]
        fn the_lowest_common_ones_are_those_that_sets_give(
            parents in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 2..24),
            sides in prop::collection::vec(any::<prop::sample::Index>(), 2..5),
        ) {
            let older = |(id, parents): (usize, &Vec<prop::sample::Index>)| -> Vec<usize> {
                let parents: BTreeSet<usize> =
                    parents.iter().filter(|_| id > 0).map(|parent| parent.index(id.max(1))).collect();
                parents.into_iter().collect()
            };
            let parents: Vec<Vec<usize>> = parents.iter().enumerate().map(older).collect();
            let sides: Vec<usize> = sides.iter().map(|side| side.index(parents.len())).collect();
            let (&theirs, ours) = sides.split_last().unwrap();

            let ours_above: BTreeSet<usize> = ours.iter().flat_map(|&id| above(&parents, id)).collect();
            let common: BTreeSet<usize> = &ours_above & &above(&parents, theirs);
            let is_lowest = |id: &usize| {
                common.iter().all(|other| other == id || !above(&parents, *other).contains(id))
            };
            let expected: Vec<usize> = common.iter().copied().filter(is_lowest).collect();

            let ancestry = Ancestry::of(parents);
            let found = ancestry.lowest_common(ours, theirs, &mut Work::for_one_note()).unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}
