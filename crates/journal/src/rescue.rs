//! The lost branch of a fork, written anew so that every replica that holds it writes the same bytes.

use std::collections::BTreeMap;

use crate::{ChainId, Change, Entry, Hash};

/// What is hashed before the first lost change's hash, so that the chain's id is nothing else's.
const LABEL: &[u8] = b"suibi rescued chain";

/// The id of the rescued chain of a branch that begins with this change.
pub fn rescued_chain(first_lost: Hash) -> ChainId {
    let hash = Hash::of_both(LABEL, first_lost.as_bytes());
    ChainId::from_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// Writes the lost branch of a fork anew on a rescued chain (`docs/formats.md`).
///
/// `lost` are the changes of one chain that lose, from the forked place on, in the order of their `seq`. Notes,
/// times and contents stay as they were, byte for byte; parents among the lost become what was written for them.
/// Equal branches give equal bytes, and the beginning of a branch gives the beginning of what the whole gives,
/// so it does no harm when several replicas rescue the same.
pub fn rescue(lost: &[Entry]) -> Vec<Entry> {
    let Some(first) = lost.first() else { return Vec::new() };
    let chain = rescued_chain(first.hash());
    let mut written = BTreeMap::new();
    let mut rescued = Vec::<Entry>::with_capacity(lost.len());
    for (entry, seq) in lost.iter().zip(1..) {
        let mut parents = entry.change().parents.clone();
        for parent in &mut parents {
            *parent = *written.get(parent).unwrap_or(parent);
        }
        parents.sort_unstable();
        parents.dedup();
        let previous = rescued.last().map(Entry::hash);
        let again = entry.under(Change { chain, seq, previous, parents, ..entry.change().clone() });
        written.insert(entry.hash(), again.hash());
        rescued.push(again);
    }
    rescued
}
