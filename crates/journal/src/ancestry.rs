//! Which revision comes from which.

use crate::Revision;
use crate::diff::{TooMuch, Work};

/// The parents of each revision, as places in the list that it was made from.
#[derive(Debug)]
pub(crate) struct Ancestry {
    parents: Vec<Vec<usize>>,
    links: usize,
}

/// A set of revisions that holds the parents of each of them, as far as they are here.
#[derive(Debug)]
pub(crate) struct Ancestors(Vec<bool>);

impl Ancestry {
    /// `all` ascends by hash. Parents that are not here are left out.
    pub(crate) fn new(all: &[Revision]) -> Self {
        let place = |hash| all.binary_search_by_key(hash, |revision| revision.hash).ok();
        let parents: Vec<Vec<usize>> = all
            .iter()
            .map(|revision| revision.parents.iter().filter_map(place).collect())
            .collect();
        let links = parents.iter().map(Vec::len).sum();
        Self { parents, links }
    }

    /// A revision with all that it comes from.
    pub(crate) fn of(&self, id: usize, work: &mut Work) -> Result<Ancestors, TooMuch> {
        work.spend(self.parents.len() + self.links)?;
        let mut found = vec![false; self.parents.len()];
        found[id] = true;
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for &parent in &self.parents[id] {
                if !std::mem::replace(&mut found[parent], true) {
                    open.push(parent);
                }
            }
        }
        Ok(Ancestors(found))
    }
}

impl Ancestors {
    pub(crate) fn add(&mut self, others: &Self) {
        for (mine, other) in self.0.iter_mut().zip(&others.0) {
            *mine |= other;
        }
    }

    /// What both hold and what is no parent of anything else that both hold, ascending.
    pub(crate) fn lowest_common(&self, others: &Self, ancestry: &Ancestry) -> Vec<usize> {
        let mut common: Vec<usize> =
            (0..self.0.len()).filter(|&id| self.0[id] && others.0[id]).collect();
        let mut is_parent = vec![false; self.0.len()];
        for &parent in common.iter().flat_map(|&id| &ancestry.parents[id]) {
            is_parent[parent] = true;
        }
        common.retain(|&id| !is_parent[id]);
        common
    }
}
