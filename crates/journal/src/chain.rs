//! Whether a chain is whole: one device's changes, each naming the hash of the one before.

use thiserror::Error;

use crate::{ChainId, Entry, Hash};

/// Why a run of changes is no whole chain. The first trouble is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChainError {
    /// A change of another chain among them.
    #[error("change {seq} is of chain {found}, not of {expected}")]
    OtherChain {
        /// The chain that the run began with.
        expected: ChainId,
        /// The chain of this one.
        found: ChainId,
        /// Its place there.
        seq: u64,
    },
    /// Changes are missing.
    #[error("chain {chain}: {}", missing(*first, *last))]
    Gap {
        /// The chain.
        chain: ChainId,
        /// The first one missing.
        first: u64,
        /// The last one missing.
        last: u64,
    },
    /// A place comes again, or an earlier one after a later one.
    #[error("chain {chain}: change {seq} comes after change {after}")]
    Order {
        /// The chain.
        chain: ChainId,
        /// The place that came.
        seq: u64,
        /// The place that it came after.
        after: u64,
    },
    /// A change names another one before it than the one that is there: either was altered.
    #[error("chain {chain}: change {seq} follows {named}, but change {} is {found}", seq - 1)]
    Broken {
        /// The chain.
        chain: ChainId,
        /// The change that names it.
        seq: u64,
        /// The hash that it names.
        named: Hash,
        /// The hash of the one that is there.
        found: Hash,
    },
}

/// Checks that these are the changes of one chain from `seq` 1 on, in order, each naming the one before.
///
/// That each content is its change's own was checked when the [`Entry`] was made. What this cannot see is a
/// chain cut short or altered at its very end; that is what the last hash, kept elsewhere, is for: compare
/// it with the last entry's.
///
/// # Errors
/// The first trouble, with the exact places.
pub fn verify_chain<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<(), ChainError> {
    let mut before: Option<&Entry> = None;
    for entry in entries {
        let (chain, seq) = (entry.change().chain, entry.change().seq);
        let last = before.map_or(0, |before| before.change().seq);
        if let Some(before) = before
            && before.change().chain != chain
        {
            return Err(ChainError::OtherChain {
                expected: before.change().chain,
                found: chain,
                seq,
            });
        }
        if seq <= last {
            return Err(ChainError::Order { chain, seq, after: last });
        }
        if seq > last + 1 {
            return Err(ChainError::Gap { chain, first: last + 1, last: seq - 1 });
        }
        if let (Some(named), Some(before)) = (entry.change().previous, before)
            && named != before.hash()
        {
            return Err(ChainError::Broken { chain, seq, named, found: before.hash() });
        }
        before = Some(entry);
    }
    Ok(())
}

fn missing(first: u64, last: u64) -> String {
    if first == last {
        format!("change {first} is missing")
    } else {
        format!("changes {first} to {last} are missing")
    }
}
