//! All peers behind one datagram address.

use std::time::Instant;

use crate::*;

/// All peers behind one datagram address.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
}

/// What has been counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Datagrams that came in.
    pub received: u64,
}

#[allow(unused_variables)]
impl Endpoint {
    /// An endpoint; the seed makes its tokens and message ids.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self { config }
    }
    /// A datagram came in.
    pub fn handle_datagram(&mut self, now: Instant, peer: Peer, datagram: &[u8]) {
        unimplemented!()
    }
    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        unimplemented!()
    }
    /// The network says that nobody is there.
    pub fn handle_unreachable(&mut self, now: Instant, peer: Peer) {
        unimplemented!()
    }
    /// Asks.
    pub fn request(&mut self, now: Instant, peer: Peer, request: Request) -> RequestId {
        unimplemented!()
    }
    /// Forgets a request.
    pub fn cancel(&mut self, now: Instant, id: RequestId) {
        unimplemented!()
    }
    /// Answers.
    pub fn respond(&mut self, now: Instant, exchange: Exchange, response: Response) {
        unimplemented!()
    }
    /// Answers, and registers the observer.
    pub fn respond_observed(
        &mut self,
        now: Instant,
        exchange: Exchange,
        response: Response,
    ) -> Option<ObservationId> {
        unimplemented!()
    }
    /// Tells an observer.
    pub fn notify(&mut self, now: Instant, observation: &ObservationId, response: Response) {
        unimplemented!()
    }
    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        unimplemented!()
    }
    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        unimplemented!()
    }
    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        unimplemented!()
    }
    /// Round trips to this peer.
    pub fn rtt(&self, peer: Peer) -> Option<RttEstimate> {
        unimplemented!()
    }
    /// Round trips to this peer, as remembered.
    pub fn set_rtt(&mut self, peer: Peer, rtt: RttEstimate) {
        unimplemented!()
    }
    /// Whether the network said that nobody is there, and nothing came from there since.
    pub fn unreachable(&self, peer: Peer) -> bool {
        unimplemented!()
    }
    /// What has been counted.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
}
