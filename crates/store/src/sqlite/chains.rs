//! The ends of the chains that were seen lately, so that they need not be asked for.

use std::collections::HashMap;

use suibi_journal::{ChainId, Hash};

use crate::JournalId;

/// The end of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// Its short name in this file.
    pub(crate) id: i64,
    pub(super) journal: JournalId,
    pub(super) has_device: bool,
    pub(crate) seq: u64,
    pub(crate) hash: Option<Hash>,
    /// Whether this transaction has moved it on.
    pub(super) touched: bool,
}

/// Ends of chains, by id.
#[derive(Debug, Default)]
pub(super) struct Chains {
    places: HashMap<ChainId, usize>,
    /// A chain that was forgotten keeps its place.
    chains: Vec<Chain>,
    /// The one that was asked for last: it is the next one as well, most often.
    last: Option<(ChainId, usize)>,
}

impl Chains {
    /// How many are remembered, or were.
    pub(super) fn len(&self) -> usize {
        self.chains.len()
    }

    /// Where a chain is, if it is remembered.
    pub(super) fn find(&mut self, id: ChainId) -> Option<usize> {
        match self.last {
            Some((last, place)) if last == id => Some(place),
            _ => {
                let place = *self.places.get(&id)?;
                self.last = Some((id, place));
                Some(place)
            }
        }
    }

    /// Remembers a chain, and says where.
    pub(super) fn remember(&mut self, id: ChainId, chain: Chain) -> usize {
        let place = self.chains.len();
        self.chains.push(chain);
        self.places.insert(id, place);
        self.last = Some((id, place));
        place
    }

    /// Forgets a chain.
    pub(super) fn forget(&mut self, id: ChainId) {
        self.places.remove(&id);
        self.last = None;
    }

    pub(super) fn at(&mut self, place: usize) -> &mut Chain {
        &mut self.chains[place]
    }
}
