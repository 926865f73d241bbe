//! The bounds of an endpoint.

use crate::Timing;

/// How an [`Endpoint`](crate::Endpoint) behaves, and how much it keeps at most.
///
/// What a peer sends can make the endpoint hold no more than these bounds say.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Timeouts, and how much may be under way.
    pub timing: Timing,
    /// The longest body that is put together from blocks, either way, in bytes. Default: 2 MiB.
    pub max_body: usize,
    /// Peers of which anything is known; the one that was silent longest is forgotten first.
    /// Default: 65,536, at some 200 bytes each.
    pub max_peers: usize,
    /// Messages remembered to find duplicates, of all peers. Default: 65,536.
    pub max_remembered: usize,
    /// The same, of one peer. Default: 2,048.
    ///
    /// More than this under way from one peer, and the first are forgotten before they are
    /// answered: their duplicates count as new then.
    pub max_remembered_per_peer: usize,
    /// Answers remembered for duplicates, of all peers, in bytes. Default: 16 MiB.
    pub max_remembered_bytes: usize,
    /// The same, of one peer. Default: 256 KiB.
    pub max_remembered_bytes_per_peer: usize,
    /// Messages of ours that wait for their turn, per peer. Default: 1,024.
    pub max_queued: usize,
    /// Observations by others, of all peers, and never more than half of
    /// [`Config::max_peers`]. Default: 16,384.
    pub max_observations: usize,
    /// The same, of one peer. Default: 32.
    pub max_observations_per_peer: usize,
    /// Large bodies on their way in or out, of all peers. Default: 1,024 each way.
    pub max_transfers: usize,
    /// The same, of one peer. Default: 4 each way.
    pub max_transfers_per_peer: usize,
    /// Large bodies on their way in or out, of all peers, in bytes. Default: 16 MiB each way.
    pub max_transfer_bytes: usize,
    /// Whether an address that may be forged is sent at most three times the bytes that came
    /// from it (RFC 9175 §2.4). Default: true.
    ///
    /// An address is proven when it gave back an Echo value that it was sent, when a request from
    /// it was true to the [`Protection`](crate::Protection), when we asked it something first,
    /// and on loopback if [`Config::trusts_loopback`]. An answer that is too long for another is a 4.01 with an Echo option
    /// instead; so is the answer to who wants to observe. A request that is not safe to ask once
    /// more is answered with the bare code.
    pub limit_unproven: bool,
    /// Whether what comes from loopback was sent on this machine, so that its address is true. Not
    /// so where a program here forwards datagrams of others. Default: true.
    pub trusts_loopback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self::own()
    }
}

impl Config {
    /// Between our own client and server: [`Timing::own`].
    pub fn own() -> Self {
        Self {
            timing: Timing::own(),
            max_body: 2 << 20,
            max_peers: 65_536,
            max_remembered: 65_536,
            max_remembered_per_peer: 2048,
            max_remembered_bytes: 16 << 20,
            max_remembered_bytes_per_peer: 256 << 10,
            max_queued: 1024,
            max_observations: 16_384,
            max_observations_per_peer: 32,
            max_transfers: 1024,
            max_transfers_per_peer: 4,
            max_transfer_bytes: 16 << 20,
            limit_unproven: true,
            trusts_loopback: true,
        }
    }

    /// Towards peers of any make: [`Timing::rfc`].
    pub fn rfc() -> Self {
        Self { timing: Timing::rfc(), ..Self::own() }
    }
}
