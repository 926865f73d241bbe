//! All peers behind one datagram address.

mod client;
mod reliability;
mod server;

use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher, RandomState},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Config, Event, Exchange, Message, MessageId, ObservationId, Peer, Protection, Request,
    RequestError, RequestId, Response, RttEstimate, Transmit, Type,
    allowance::Allowance,
    blockwise::{Block, Upload},
    bounded::Bounded,
    dedup::Recent,
    exchange::Requests,
    observe::Observations,
    peers::{PeerKey, Peers},
    retransmit::Transmission,
    short,
    timers::{Timer, TimerKey, Timers},
    wire::{self, DecodeError},
};

/// Memory is given back this often, so that a busy endpoint is not woken up for each old answer.
const FORGET_INTERVAL: Duration = Duration::from_secs(5);

/// All peers behind one datagram address: server and client at once.
///
/// After each `handle_*` and each verb, drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), then ask [`poll_timeout`](Self::poll_timeout). `now` never
/// goes back. What is kept is bounded by [`Config`]; a datagram costs O(log n) at most.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    protection: Option<Box<dyn Protection>>,
    rng: StdRng,
    peers: Peers,
    timers: Timers,
    recent: Recent,
    transmissions: HashMap<(PeerKey, MessageId), Transmission>,
    requests: Requests,
    observations: Observations,
    /// Bodies that come in blocks.
    uploads: Bounded<Vec<u8>>,
    /// Responses that go out in blocks.
    representations: Bounded<Response>,
    /// For the keys of both.
    hashing: RandomState,
    outbox: VecDeque<Transmit>,
    events: VecDeque<Event>,
    forgetting: Option<TimerKey>,
    /// Numbers of notifications count from here.
    epoch: Option<Instant>,
    stats: Stats,
}

/// What has been counted since the start, and what is kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Datagrams that came in.
    pub received: u64,
    /// Datagrams that went out.
    pub sent: u64,
    /// Times that a message was due once more.
    pub retransmitted: u64,
    /// Messages that came in once more.
    pub duplicates: u64,
    /// Datagrams that are no CoAP message.
    pub malformed: u64,
    /// Messages that fit nothing we know of, that are not what they pretend to be, or for which
    /// there was no room.
    pub ignored: u64,
    /// Datagrams that did not go out because their address may be forged
    /// ([`Config::limit_unproven`]).
    pub withheld: u64,
    /// Answers that became a 4.01 with an Echo option for the same reason.
    pub challenged: u64,
    /// Peers known now.
    pub peers: usize,
    /// Messages remembered now to find duplicates.
    pub remembered: usize,
    /// Bytes of the answers remembered now.
    pub remembered_bytes: usize,
    /// Requests of ours that are not done with, observations among them.
    pub requests: usize,
    /// Observers of ours now.
    pub observations: usize,
    /// Bytes of large bodies on their way now, both ways.
    pub transfer_bytes: usize,
}

impl Endpoint {
    /// An endpoint that knows nobody; the seed makes its tokens and message ids, so it must be
    /// random, but for tests.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            protection: None,
            rng: StdRng::from_seed(seed),
            peers: Peers::new(config.max_peers),
            timers: Timers::default(),
            recent: Recent::new(&config),
            transmissions: HashMap::new(),
            requests: Requests::default(),
            observations: Observations::default(),
            uploads: Bounded::new(&config),
            representations: Bounded::new(&config),
            hashing: RandomState::new(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            forgetting: None,
            epoch: None,
            stats: Stats::default(),
            config,
        }
    }

    /// Protects all requests and answers from here on, or none. Meant for an endpoint that has
    /// not spoken to anybody yet: answers to requests that went out protected find no way back
    /// without the protection.
    pub fn set_protection(&mut self, protection: Option<Box<dyn Protection>>) {
        self.protection = protection;
    }

    /// A datagram came in, whatever it is.
    pub fn handle_datagram(&mut self, now: Instant, peer: Peer, datagram: &[u8]) {
        self.stats.received += 1;
        let known = self.peers.find(peer);
        if let Some(state) = known.and_then(|key| self.peers.get_mut(key)) {
            state.unreachable = false;
            state.allowance.receive(datagram.len());
        }
        let (kind, code, id) = match wire::decode_header(datagram) {
            Ok(header) => header,
            Err(error) => return self.on_malformed(peer, known, None, error),
        };
        if code.is_empty() && datagram.len() == 4 {
            match (kind, known) {
                // A ping (RFC 7252 §4.3).
                (Type::Confirmable, _) => self.send_reset(peer, known, id),
                (Type::Acknowledgement, Some(key)) => self.on_acknowledgement(now, key, id),
                (Type::Reset, Some(key)) => self.on_reset(now, key, id),
                _ => self.stats.ignored += 1,
            }
            return;
        }
        let message = match wire::decode(&short::shared(datagram)) {
            Ok(message) => message,
            Err(error) => return self.on_malformed(peer, known, Some((kind, id)), error),
        };
        let is_new_exchange = matches!(kind, Type::Confirmable | Type::NonConfirmable);
        if is_new_exchange && code.is_request() {
            let key = match known {
                Some(key) => {
                    self.peers.touch(key);
                    key
                }
                None => {
                    let Some(key) = self.new_peer(peer) else {
                        self.stats.ignored += 1;
                        return;
                    };
                    if let Some(state) = self.peers.get_mut(key) {
                        state.allowance.receive(datagram.len());
                    }
                    key
                }
            };
            self.on_request(now, key, peer, message, fingerprint(datagram));
        } else if is_new_exchange {
            match known {
                Some(key) => self.on_separate_response(now, key, message, fingerprint(datagram)),
                None => self.reject(peer, None, &message),
            }
        } else if kind == Type::Acknowledgement && code.is_response() {
            match known {
                Some(key) => self.on_piggybacked_response(now, key, message),
                None => self.stats.ignored += 1,
            }
        } else {
            // A request in an acknowledgement, or a reset that is not empty (§4.2, §4.3).
            self.stats.malformed += 1;
        }
    }

    /// Time passed; too early or once too often does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            tracing::trace!(?timer, "due");
            match timer {
                Timer::Retransmit(peer, id) => self.on_retransmit(now, peer, id),
                Timer::Acknowledge(peer, id) => self.on_acknowledge(peer, id),
                Timer::AwaitResponse(id) => self.fail(now, id, RequestError::TimedOut),
                Timer::Resume(peer) => {
                    if let Some(state) = self.peers.get_mut(peer) {
                        state.resume = None;
                    }
                    self.pump(now, peer);
                }
                Timer::Forget => self.on_forget(now),
            }
        }
    }

    /// The network says that nobody is there (ICMP). Anybody could say that, so it is a hint:
    /// see [`Endpoint::unreachable`].
    pub fn handle_unreachable(&mut self, _now: Instant, peer: Peer) {
        if let Some(state) = self.peers.find(peer).and_then(|key| self.peers.get_mut(key)) {
            state.unreachable = true;
        }
    }

    /// Asks. A body above 1,024 bytes goes in blocks; a response in blocks is put together.
    ///
    /// What comes of it are events with this id: one [`Event::Response`] or [`Event::Failed`],
    /// and notifications after a response to [`Request::observe`].
    pub fn request(&mut self, now: Instant, peer: Peer, request: Request) -> RequestId {
        let id = self.requests.new_id();
        let Some(key) = self.known_or_new(peer) else {
            self.events.push_back(Event::Failed { id, error: RequestError::Busy });
            return id;
        };
        let in_blocks = request.payload.len() > Block::FIRST.size();
        let upload = in_blocks.then(|| Upload::new(Block::LARGEST));
        self.requests.add(&mut self.rng, id, key, request, upload);
        if let Some(state) = self.peers.get_mut(key) {
            state.holds += 1;
            // Nobody made us choose it.
            state.allowance = Allowance::Proven;
        }
        self.send_request(now, id);
        id
    }

    /// Forgets a request or an observation of ours: no event comes of it any more.
    ///
    /// An observed server learns it with the next notification, which is reset (RFC 7641 §3.6).
    pub fn cancel(&mut self, now: Instant, id: RequestId) {
        self.finish(now, id);
    }

    /// Answers, with the acknowledgement or after it. A large body goes in blocks.
    pub fn respond(&mut self, now: Instant, exchange: Exchange, response: Response) {
        self.send_response(now, exchange, response);
    }

    /// Answers, and registers the observer if the response is a success.
    ///
    /// `None` where it is no success or the table is full: then this was a plain answer
    /// (RFC 7641 §4.1). A registration that takes the place of another ends that one.
    pub fn respond_observed(
        &mut self,
        now: Instant,
        exchange: Exchange,
        response: Response,
    ) -> Option<ObservationId> {
        self.send_observed(now, exchange, response)
    }

    /// Tells an observer how it is now; anything but a success ends the observation.
    ///
    /// Notifications are confirmable, each of them, so that an observer who is gone is found out
    /// with the first. One is under way at a time, and only the newest state follows.
    pub fn notify(&mut self, now: Instant, observation: &ObservationId, response: Response) {
        self.send_notification(now, *observation, response);
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Endpoint::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The measured round trips to this peer.
    pub fn rtt(&self, peer: Peer) -> Option<RttEstimate> {
        self.peers.find(peer).and_then(|key| self.peers.get(key)).and_then(|state| state.rtt)
    }

    /// The round trips to this peer as they were measured at another time; what is measured now is
    /// added to that. For a mere guess there is [`Endpoint::assume_rtt`].
    pub fn set_rtt(&mut self, peer: Peer, rtt: RttEstimate) {
        if let Some(key) = self.known_or_new(peer)
            && let Some(state) = self.peers.get_mut(key)
        {
            state.rtt = Some(rtt);
        }
    }

    /// A guess at the round trip to this peer, which gives the first timeout instead of
    /// [`Timing::ack_timeout`](crate::Timing::ack_timeout) and nothing else: [`Endpoint::rtt`] does
    /// not tell it, and the first measurement takes its place whole (RFC 6298 §2.2).
    pub fn assume_rtt(&mut self, peer: Peer, guess: Duration) {
        if let Some(key) = self.known_or_new(peer)
            && let Some(state) = self.peers.get_mut(key)
        {
            state.assumed = Some(RttEstimate::first(guess));
        }
    }

    /// Whether the network said that nobody is there, and nothing has come from there since.
    pub fn unreachable(&self, peer: Peer) -> bool {
        let state = self.peers.find(peer).and_then(|key| self.peers.get(key));
        state.is_some_and(|state| state.unreachable)
    }

    /// What has been counted, and what is kept.
    pub fn stats(&self) -> Stats {
        let (remembered, remembered_bytes) = self.recent.size();
        Stats {
            peers: self.peers.len(),
            remembered,
            remembered_bytes,
            requests: self.requests.len(),
            observations: self.observations.len(),
            transfer_bytes: self.uploads.size().1 + self.representations.size().1,
            ..self.stats
        }
    }

    fn on_malformed(
        &mut self,
        peer: Peer,
        known: Option<PeerKey>,
        header: Option<(Type, MessageId)>,
        error: DecodeError,
    ) {
        tracing::trace!(?peer, %error, "malformed");
        self.stats.malformed += 1;
        // §4.2: a confirmable message that makes no sense is rejected, others are ignored.
        if let Some((Type::Confirmable, id)) = header {
            self.send_reset(peer, known, id);
        }
    }

    /// A response that nobody waits for (§4.2, §4.3).
    fn reject(&mut self, peer: Peer, known: Option<PeerKey>, message: &Message) {
        self.stats.ignored += 1;
        if message.kind == Type::Confirmable {
            self.send_reset(peer, known, message.id);
        }
    }

    /// The state of this peer; `None` if there is no room for a new one.
    fn known_or_new(&mut self, peer: Peer) -> Option<PeerKey> {
        if let Some(key) = self.peers.find(peer) {
            self.peers.touch(key);
            return Some(key);
        }
        self.new_peer(peer)
    }

    /// State for a peer that has none; `None` if there is no room for it.
    fn new_peer(&mut self, peer: Peer) -> Option<PeerKey> {
        if let Some(forgotten) = self.peers.make_room().ok()? {
            self.forget_transfers(forgotten);
        }
        let allowance = Allowance::new(peer.address, &self.config);
        Some(self.peers.add(peer, self.rng.random(), allowance))
    }

    /// Forgets what a peer sent and was sent, which is forgotten itself.
    fn forget_transfers(&mut self, peer: PeerKey) {
        self.recent.forget_peer(peer);
        self.uploads.forget_peer(peer);
        self.representations.forget_peer(peer);
    }

    fn on_forget(&mut self, now: Instant) {
        self.forgetting = None;
        self.recent.forget_due(now);
        self.uploads.forget_due(now);
        self.representations.forget_due(now);
        self.forget_later(now);
    }

    /// Sees to it that what is kept now will be forgotten.
    fn forget_later(&mut self, now: Instant) {
        let due =
            [self.recent.next_due(), self.uploads.next_due(), self.representations.next_due()];
        let Some(next) = due.into_iter().flatten().min() else { return };
        let at = next.max(now + FORGET_INTERVAL);
        match self.forgetting {
            Some(timer) if timer.at() <= at => return,
            Some(timer) => self.timers.stop(timer),
            None => {}
        }
        self.forgetting = Some(self.timers.set(at, Timer::Forget));
    }

    /// All that is sent to a peer goes through here; what it has no claim to does not go.
    fn send(&mut self, key: PeerKey, bytes: Bytes) {
        let Some(state) = self.peers.get_mut(key) else { return };
        if !state.allowance.spend(bytes.len()) {
            tracing::trace!(peer = ?state.peer, len = bytes.len(), "withheld");
            self.stats.withheld += 1;
            return;
        }
        self.stats.sent += 1;
        self.outbox.push_back(Transmit { peer: state.peer, bytes });
    }

    fn send_empty(&mut self, key: PeerKey, kind: Type, id: MessageId) {
        self.send(key, wire::encode(&Message::empty(kind, id)));
    }

    /// Resets what has just come. That is four bytes for no fewer, so nothing need be known of
    /// the peer to send them.
    fn send_reset(&mut self, peer: Peer, known: Option<PeerKey>, id: MessageId) {
        if let Some(key) = known {
            return self.send_empty(key, Type::Reset, id);
        }
        self.stats.sent += 1;
        let bytes = wire::encode(&Message::empty(Type::Reset, id));
        self.outbox.push_back(Transmit { peer, bytes });
    }
}

/// Tells a retransmission from another message under the same id.
fn fingerprint(datagram: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    datagram.hash(&mut hasher);
    hasher.finish()
}
