//! The bounds of a connection.

use std::time::Duration;

/// How a [`Connection`](crate::Connection) behaves, and how much it keeps at most.
///
/// Per connection, what a peer sends can make it hold `max_message` bytes that come in, of which
/// no more than twice what has come; `max_transfer_bytes` each way of bodies in blocks; and
/// `max_queued_bytes` that go out, besides the answers to `max_exchanges` requests and one
/// notification for each of `max_observations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// The longest body, either way, in bytes. Default: 2 MiB.
    pub max_body: usize,
    /// The longest message that is taken, from its first byte to its last; the peer is told
    /// (Max-Message-Size, RFC 8323 §5.3.1). Default: 64 KiB more than the longest body.
    pub max_message: usize,
    /// Requests of ours that are not done with, observations among them. Default: 64.
    pub max_requests: usize,
    /// Requests of the peer that wait for our response; no more are read until one of them is
    /// answered or dropped. Default: 16.
    pub max_exchanges: usize,
    /// Observations by the peer. Default: 32.
    pub max_observations: usize,
    /// Bodies that travel in blocks, each way. Default: 4.
    pub max_transfers: usize,
    /// The same, in bytes. Default: 4 MiB.
    pub max_transfer_bytes: usize,
    /// Bytes that wait to be sent: beyond that requests fail with
    /// [`RequestError::Busy`](crate::RequestError::Busy), and of a peer that does not read its
    /// answers no more is read. Default: 4 MiB.
    pub max_queued_bytes: usize,
    /// How long the peer may take for its first message (CSM, §5.3). Default: 10 s.
    pub csm_timeout: Duration,
    /// How long a ping of ours may stay without its pong. Default: 10 s.
    pub pong_timeout: Duration,
    /// How long a request of ours may stay without any response. Default: 93 s, as over datagrams.
    pub response_timeout: Duration,
    /// How long the peer may take to close the connection after we asked it to. Default: 10 s.
    pub release_timeout: Duration,
}

impl Default for StreamConfig {
    fn default() -> Self {
        const MAX_BODY: usize = 2 << 20;
        Self {
            max_body: MAX_BODY,
            max_message: MAX_BODY + (64 << 10),
            max_requests: 64,
            max_exchanges: 16,
            max_observations: 32,
            max_transfers: 4,
            max_transfer_bytes: 4 << 20,
            max_queued_bytes: 4 << 20,
            csm_timeout: Duration::from_secs(10),
            pong_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(93),
            release_timeout: Duration::from_secs(10),
        }
    }
}
