//! The peers.

/// Finds a peer's state without hashing its address; goes stale when the peer is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}
