//! One peer over a stream (RFC 8323).

mod client;
mod config;
mod server;

use std::{
    collections::{BTreeSet, VecDeque},
    hash::RandomState,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use rand::{Rng, SeedableRng, rngs::StdRng};
use thiserror::Error;

pub use self::config::StreamConfig;
use crate::{
    Code, Config, Event, Exchange, Message, ObservationId, OptionNumber, Peer, Protection, Request,
    RequestError, RequestId, Response, Token,
    bounded::{self, Bounded},
    exchange::Requests,
    frame::{self, DecodeError, Decoder},
    observe::Observations,
    signal::{self, Csm, Signal},
    timers::{TimerKey, Timers},
};

/// One peer over a stream, such as TCP: server and client at once.
///
/// The verbs are those of an [`Endpoint`](crate::Endpoint), and so are the events. What is
/// different: a stream has a beginning and an end, and it may be slower than who writes to it.
///
/// ```text
///   new ──> both say what they can do (CSM) ──> requests, responses ──> ended() says how
///                                                         └─> is_released(): no new requests
/// ```
///
/// After each `handle_*` and each verb: while the stream takes bytes, send what
/// [`poll_transmit`](Self::poll_transmit) gives; drain [`poll_event`](Self::poll_event); once
/// [`ended`](Self::ended), close the stream when all is sent; ask
/// [`poll_timeout`](Self::poll_timeout), and read from the stream only while
/// [`wants_bytes`](Self::wants_bytes). `now` never goes back.
///
/// What it does not do: it judges no idleness, so a peer that sends a byte now and then keeps its
/// connection until the owner ends it. A request of the peer that nobody answers keeps its place
/// until its [`Exchange`] is dropped. And two sides that are both server and client of large bodies
/// and both stop reading wait for each other until a ping fails.
#[derive(Debug)]
pub struct Connection {
    config: StreamConfig,
    peer: Peer,
    protection: Option<Box<dyn Protection>>,
    rng: StdRng,
    timers: Timers<Timer>,
    decoder: Decoder,
    /// Bytes that came while there was no room for what they may ask for.
    parked: Bytes,
    /// What the peer has said of itself.
    csm: Option<Csm>,
    requests: Requests,
    /// Requests that are too long for a peer that has not said yet what it takes.
    waiting: VecDeque<(RequestId, Request)>,
    /// Requests to observe that nobody wants answered any more; the answer is waited for, as only
    /// then it is known whether there is an observation to be ended.
    cancelled: BTreeSet<RequestId>,
    observations: Observations,
    /// Observers that have been sent the last state but one.
    owed: BTreeSet<ObservationId>,
    /// Makes the keys of bodies in blocks.
    hashing: RandomState,
    /// Bodies that come in blocks.
    uploads: Bounded<Vec<u8>>,
    /// Responses that go out in blocks.
    representations: Bounded<Response>,
    /// Shared with each exchange that is not answered, so that one that is dropped is not counted.
    places: Arc<()>,
    outbox: VecDeque<Outbound>,
    queued_bytes: usize,
    /// Of these, what the peer made us say.
    answer_bytes: usize,
    events: VecDeque<Event>,
    /// What the pong will have to carry, and until when.
    ping: Option<(Token, TimerKey)>,
    handshake: Option<TimerKey>,
    forgetting: Option<TimerKey>,
    released: Released,
    end: Option<End>,
    /// The last moment that is known of. Numbers of notifications count from the first.
    now: Instant,
    epoch: Instant,
    heard_at: Instant,
    stats: StreamStats,
}

/// How a connection came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum End {
    /// The stream came to its end without a word.
    #[error("the connection was closed")]
    Closed,
    /// One side asked for it, and what was begun has been brought to its end
    /// (RFC 8323 §5.5).
    #[error("the connection was released")]
    Released,
    /// The peer cannot go on (RFC 8323 §5.6).
    #[error("the peer aborted the connection: {text}")]
    Aborted {
        /// Its reason, in its own words.
        text: String,
        /// The option of our first message that it did not understand.
        bad_csm_option: Option<u16>,
    },
    /// The owner could not go on.
    #[error("the connection was aborted")]
    GivenUp,
    /// The peer broke the rules.
    #[error(transparent)]
    Violated(#[from] Violation),
    /// The peer did not say what it can do, or did not answer a ping, in time.
    #[error("the peer does not answer")]
    TimedOut,
}

/// What a peer did that ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// Bytes that are no message.
    #[error("malformed message: {0}")]
    Malformed(#[from] DecodeError),
    /// It must introduce itself first (CSM, RFC 8323 §5.3).
    #[error("the first message must be a CSM")]
    NoCsm,
    /// An option of a signalling message that must be understood, and is not (RFC 8323 §5.2), or
    /// whose value makes no sense.
    #[error("option {option} of a {code} message is not understood")]
    BadOption {
        /// The kind of signalling message.
        code: Code,
        /// The number of the option there.
        option: u16,
    },
}

/// What has been counted since the start, and what is kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamStats {
    /// Messages that came in.
    pub received: u64,
    /// Their bytes, and those of a message whose end has not come.
    pub received_bytes: u64,
    /// Messages that were handed out to be sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages that fit nothing we know of or are not what they pretend to be, and answers that
    /// could not be sent.
    pub ignored: u64,
    /// Requests of ours that are not done with, observations among them.
    pub requests: usize,
    /// Requests of the peer that wait for our response.
    pub exchanges: usize,
    /// Observations by the peer.
    pub observations: usize,
    /// Bytes that came and are not worked off: the beginning of a message, or more than there was
    /// room for.
    pub buffered_bytes: usize,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
    /// Bytes of bodies that travel in blocks, both ways.
    pub transfer_bytes: usize,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// The peer has not introduced itself.
    AwaitCsm,
    AwaitPong,
    /// The peer was asked to close the connection.
    AwaitClose,
    AwaitResponse(RequestId),
    /// Pieces of bodies may be forgotten.
    Forget,
}

/// Who has asked for an end.
#[derive(Debug, Clone, Copy, Default)]
struct Released {
    by_us: bool,
    by_peer: bool,
    hold_off: Option<Duration>,
}

/// A message that waits to be sent.
#[derive(Debug)]
struct Outbound {
    bytes: Bytes,
    what: What,
}

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// We want something.
    Ours,
    /// The peer wanted something.
    Answer,
    Notification(ObservationId),
}

impl Connection {
    /// A connection over a stream that has just been opened, by us or by the peer: both sides
    /// begin alike.
    ///
    /// The seed makes tokens, so it must be random, but for tests, and another one for each
    /// connection.
    pub fn new(now: Instant, config: StreamConfig, peer: Peer, seed: [u8; 32]) -> Self {
        let transfers = Config {
            max_transfers: config.max_transfers,
            max_transfers_per_peer: config.max_transfers,
            max_transfer_bytes: config.max_transfer_bytes,
            ..Config::default()
        };
        let mut connection = Self {
            peer,
            protection: None,
            rng: StdRng::from_seed(seed),
            timers: Timers::default(),
            decoder: Decoder::new(config.max_message),
            parked: Bytes::new(),
            csm: None,
            requests: Requests::default(),
            waiting: VecDeque::new(),
            cancelled: BTreeSet::new(),
            observations: Observations::default(),
            owed: BTreeSet::new(),
            hashing: RandomState::new(),
            uploads: Bounded::new(&transfers),
            representations: Bounded::new(&transfers),
            places: Arc::new(()),
            outbox: VecDeque::new(),
            queued_bytes: 0,
            answer_bytes: 0,
            events: VecDeque::new(),
            ping: None,
            handshake: None,
            forgetting: None,
            released: Released::default(),
            end: None,
            now,
            epoch: now,
            heard_at: now,
            stats: StreamStats::default(),
            config,
        };
        // Where messages may be longer than 1,152 bytes, Block-Wise-Transfer would say that we
        // take several blocks in one message (BERT, RFC 8323 §6), which we do not: what is that
        // long may come whole.
        let max_message = connection.config.max_message;
        let has_blocks = max_message <= Csm::BASE.max_message;
        connection.send(&Csm { max_message, has_blocks }.message(), What::Ours);
        let at = now + connection.config.csm_timeout;
        connection.handshake = Some(connection.timers.set(at, Timer::AwaitCsm));
        connection
    }

    /// Protects all requests and answers from here on, or none; see
    /// [`Endpoint::set_protection`](crate::Endpoint::set_protection). Signalling messages are about
    /// this connection alone and stay as they are.
    pub fn set_protection(&mut self, protection: Option<Box<dyn Protection>>) {
        self.protection = protection;
    }

    /// Bytes came in, whatever they are and wherever they were cut.
    ///
    /// Those that there is no room for are kept; so ask [`Connection::wants_bytes`] first.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.now = now;
        if self.end.is_some() {
            return;
        }
        self.heard_at = now;
        self.stats.received_bytes += bytes.len() as u64;
        if self.parked.is_empty() {
            let left = self.work_off(now, bytes);
            self.parked = Bytes::copy_from_slice(&bytes[bytes.len() - left..]);
            self.end_if_released();
        } else {
            self.parked = [&self.parked[..], bytes].concat().into();
            self.go_on(now);
        }
    }

    /// Time passed; too early or once too often does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some(timer) = self.timers.pop_due(now) {
            tracing::trace!(?timer, "due");
            match timer {
                Timer::AwaitCsm => self.abort_with(End::TimedOut, "no CSM came"),
                Timer::AwaitPong => self.on_no_pong(now),
                Timer::AwaitClose => self.end(End::Released),
                Timer::AwaitResponse(id) => self.fail(id, RequestError::TimedOut),
                Timer::Forget => self.on_forget(now),
            }
        }
        self.pay(now);
        self.go_on(now);
    }

    /// The stream came to its end; what was not sent yet will not be.
    pub fn handle_closed(&mut self, now: Instant) {
        self.now = now;
        self.clear_outbox();
        let was_asked_for = self.released.by_us || self.released.by_peer;
        self.end(if was_asked_for { End::Released } else { End::Closed });
    }

    /// Asks. What comes of it are the same events as with
    /// [`Endpoint::request`](crate::Endpoint::request), in any order among several requests.
    ///
    /// A body goes whole if the peer takes messages that long and they can be protected
    /// ([`Protection::max_len`]), else in blocks.
    pub fn request(&mut self, now: Instant, request: Request) -> RequestId {
        self.now = now;
        let id = self.requests.new_id();
        match self.admit(&request) {
            Ok(()) => self.begin(now, id, request),
            Err(error) => self.events.push_back(Event::Failed { id, error }),
        }
        id
    }

    /// Forgets a request or an observation of ours: no event comes of it any more. The server is
    /// told to end the observation (RFC 8323 §7.4).
    pub fn cancel(&mut self, now: Instant, id: RequestId) {
        self.now = now;
        self.withdraw(now, id);
    }

    /// Answers, in any order among several exchanges. An exchange of another connection is
    /// dropped.
    ///
    /// A body goes whole or in blocks, as with [`Connection::request`].
    pub fn respond(&mut self, now: Instant, exchange: Exchange, response: Response) {
        self.now = now;
        if self.is_own(&exchange) {
            self.send_response(now, exchange, response);
        }
        self.go_on(now);
    }

    /// Answers, and registers the observer if the response is a success; see
    /// [`Endpoint::respond_observed`](crate::Endpoint::respond_observed).
    pub fn respond_observed(
        &mut self,
        now: Instant,
        exchange: Exchange,
        response: Response,
    ) -> Option<ObservationId> {
        self.now = now;
        let is_own = self.is_own(&exchange);
        let observation = is_own.then(|| self.send_observed(now, exchange, response)).flatten();
        self.go_on(now);
        observation
    }

    /// Tells an observer how it is now; anything but a success ends the observation.
    ///
    /// One notification waits to be sent at a time, and only the newest state follows: an observer
    /// that reads slowly skips states, and holds up nobody.
    pub fn notify(&mut self, now: Instant, observation: &ObservationId, response: Response) {
        self.now = now;
        self.send_notification(now, *observation, response);
    }

    /// Asks the peer whether it is there (RFC 8323 §5.4); [`End::TimedOut`] if it does not say so
    /// within [`StreamConfig::pong_timeout`]. Once more before it has answered does nothing.
    ///
    /// A connection never does so by itself.
    pub fn ping(&mut self, now: Instant) {
        self.now = now;
        if self.ping.is_some() || self.end.is_some() {
            return;
        }
        let token: [u8; 4] = self.rng.random();
        let token = Token::new(&token).expect("four bytes fit a token");
        self.send(&signal::ping(token), What::Ours);
        let at = now + self.config.pong_timeout;
        self.ping = Some((token, self.timers.set(at, Timer::AwaitPong)));
    }

    /// Asks the peer to close the connection once what was asked is answered (RFC 8323 §5.5). From
    /// here on our requests fail; those under way may still be answered.
    pub fn release(&mut self, now: Instant) {
        self.now = now;
        if self.end.is_some() || self.released.by_us {
            return;
        }
        self.released.by_us = true;
        self.send(&signal::release(), What::Ours);
        self.timers.set(now + self.config.release_timeout, Timer::AwaitClose);
        self.give_up_waiting();
    }

    /// Ends the connection at once, with a sentence for a person (RFC 8323 §5.6).
    pub fn abort(&mut self, now: Instant, text: &str) {
        self.now = now;
        self.abort_with(End::GivenUp, text);
    }

    /// The next bytes to send, one message. To be asked for when the stream takes bytes: what is
    /// still here is what [`Connection::queued_bytes`] counts.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        let Outbound { bytes, what } = self.outbox.pop_front()?;
        self.queued_bytes -= bytes.len();
        if what != What::Ours {
            self.answer_bytes -= bytes.len();
        }
        if let What::Notification(id) = what
            && let Some(observation) = self.observations.get_mut(id)
        {
            observation.busy = false;
            if observation.pending.is_some() {
                self.owed.insert(id);
            }
        }
        self.stats.sent += 1;
        self.stats.sent_bytes += bytes.len() as u64;
        self.end_if_released();
        Some(bytes)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Connection::handle_timeout`]; in the past if there is something to go on
    /// with.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.can_go_on() {
            true => Some(self.now),
            false => self.timers.next(),
        }
    }

    /// Whether more bytes of the stream are wanted now. `false` when too many requests wait for
    /// their responses or the peer does not read them, and after the end: it is to be left to the
    /// stream to slow the peer down.
    pub fn wants_bytes(&self) -> bool {
        self.end.is_none() && self.parked.is_empty() && self.has_room()
    }

    /// Whether there is something to send.
    pub fn wants_to_send(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// How many bytes wait to be sent, requests included that wait until it is known what the peer
    /// takes.
    pub fn queued_bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(|(_, request)| request.payload.len()).sum();
        self.queued_bytes + waiting
    }

    /// How the connection came to its end: send the rest, then close the stream.
    pub fn ended(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether one side has asked for the end of this connection, so that new requests had better
    /// go elsewhere: here they fail with [`RequestError::Closed`].
    pub fn is_released(&self) -> bool {
        self.released.by_us || self.released.by_peer
    }

    /// For how long the peer asks not to be connected to again (RFC 8323 §5.5).
    pub fn hold_off(&self) -> Option<Duration> {
        self.released.hold_off
    }

    /// Whether the peer has introduced itself: somebody is there who speaks this protocol.
    pub fn is_established(&self) -> bool {
        self.csm.is_some()
    }

    /// When bytes came last; before that, when the connection began.
    pub fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Who is on the other side, as it was said at the beginning.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// What has been counted, and what is kept.
    pub fn stats(&self) -> StreamStats {
        StreamStats {
            requests: self.requests.len() + self.waiting.len(),
            exchanges: self.exchanges(),
            observations: self.observations.len(),
            buffered_bytes: self.decoder.buffered_len() + self.parked.len(),
            queued_bytes: self.queued_bytes(),
            transfer_bytes: self.uploads.size().1 + self.representations.size().1,
            ..self.stats
        }
    }

    /// Works bytes off as long as there is room for what they may ask for, and tells how many are
    /// left then.
    fn work_off(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && self.end.is_none() && self.has_room() {
            match self.decoder.decode(&mut rest) {
                Ok(Some(message)) => self.on_message(now, message),
                Ok(None) => break,
                Err(error) => self.violate(Violation::Malformed(error)),
            }
        }
        if self.end.is_none() { rest.len() } else { 0 }
    }

    /// Goes on with what there was no room for.
    fn go_on(&mut self, now: Instant) {
        let mut parked = std::mem::take(&mut self.parked);
        let left = self.work_off(now, &parked);
        parked.advance(parked.len() - left);
        self.parked = parked;
        self.end_if_released();
    }

    fn has_room(&self) -> bool {
        self.exchanges() < self.config.max_exchanges.max(1)
            && self.answer_bytes <= self.config.max_queued_bytes
    }

    /// Whether there is something to do that could not be done before.
    fn can_go_on(&self) -> bool {
        let can_read = !self.parked.is_empty() && self.has_room();
        self.end.is_none() && (can_read || !self.owed.is_empty() || self.is_done_with())
    }

    /// Requests that wait for our response.
    fn exchanges(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }

    fn is_own(&self, exchange: &Exchange) -> bool {
        exchange.place.as_ref().is_some_and(|place| Arc::ptr_eq(place, &self.places))
    }

    fn on_message(&mut self, now: Instant, message: Message) {
        self.stats.received += 1;
        if message.code.is_signal() {
            return self.on_signal(now, &message);
        }
        if message.code.is_empty() {
            // May come at any time and says nothing (§3.4).
            return;
        }
        if self.csm.is_none() {
            return self.violate(Violation::NoCsm);
        }
        if message.code.is_request() {
            self.on_request(now, message);
        } else if message.code.is_response() {
            self.on_response(now, message);
        } else {
            // Of a class that is reserved (RFC 7252 §3).
            self.stats.ignored += 1;
        }
    }

    fn on_signal(&mut self, now: Instant, message: &Message) {
        let known = self.csm.unwrap_or(Csm::BASE);
        let signal = match Signal::decode(message, known) {
            Ok(signal) => signal,
            Err(signal::BadOption(OptionNumber(option))) => {
                return self.violate(Violation::BadOption { code: message.code, option });
            }
        };
        match signal {
            Signal::Csm(csm) => {
                self.csm = Some(csm);
                if let Some(timer) = self.handshake.take() {
                    self.timers.stop(timer);
                }
                self.begin_waiting(now);
            }
            Signal::Abort { text, bad_csm_option } => {
                self.clear_outbox();
                self.end(End::Aborted { text, bad_csm_option });
            }
            _ if self.csm.is_none() => self.violate(Violation::NoCsm),
            Signal::Ping => self.send(&signal::pong(message.token), What::Answer),
            Signal::Pong => match self.ping.take_if(|(token, _)| *token == message.token) {
                Some((_, timer)) => self.timers.stop(timer),
                None => self.stats.ignored += 1,
            },
            Signal::Release { hold_off } => {
                self.released.by_peer = true;
                self.released.hold_off = hold_off.map(|secs| Duration::from_secs(secs.into()));
                self.give_up_waiting();
            }
            Signal::Unknown => self.stats.ignored += 1,
        }
    }

    fn on_no_pong(&mut self, now: Instant) {
        let Some((token, _)) = self.ping.take() else { return };
        // The pong may be among what we do not read because we are slow ourselves.
        if !self.parked.is_empty() && self.exchanges() > 0 {
            let at = now + self.config.pong_timeout;
            self.ping = Some((token, self.timers.set(at, Timer::AwaitPong)));
            return;
        }
        self.clear_outbox();
        self.end(End::TimedOut);
    }

    /// The longest message that the peer takes.
    fn max_sent(&self) -> usize {
        self.csm.unwrap_or(Csm::BASE).max_message
    }

    /// The longest message of ours that goes whole: the peer takes it, and it can be protected.
    fn max_whole(&self) -> usize {
        let max_protected = self.protection.as_ref().map_or(usize::MAX, |p| p.max_len());
        self.max_sent().min(max_protected)
    }

    /// Queues a message; `false` if the peer does not take one that long.
    fn try_send(&mut self, message: &Message, what: What) -> bool {
        let bytes = frame::encode(message);
        if bytes.len() > self.max_sent() {
            return false;
        }
        self.queued_bytes += bytes.len();
        if what != What::Ours {
            self.answer_bytes += bytes.len();
        }
        self.outbox.push_back(Outbound { bytes, what });
        true
    }

    /// Queues a short message.
    fn send(&mut self, message: &Message, what: What) {
        if self.end.is_none() && !self.try_send(message, what) {
            self.stats.ignored += 1;
        }
    }

    fn clear_outbox(&mut self) {
        self.outbox.clear();
        (self.queued_bytes, self.answer_bytes) = (0, 0);
    }

    fn violate(&mut self, violation: Violation) {
        self.abort_with(End::Violated(violation), &violation.to_string());
    }

    /// Says why, and that is the last thing said.
    fn abort_with(&mut self, end: End, text: &str) {
        if self.end.is_some() {
            return;
        }
        tracing::debug!(peer = ?self.peer, text, "connection aborted");
        self.clear_outbox();
        let bad_csm_option = match end {
            End::Violated(Violation::BadOption { code: Code::CSM, option }) => {
                Some(OptionNumber(option))
            }
            _ => None,
        };
        self.send(&signal::abort(text, bad_csm_option), What::Ours);
        self.end(end);
    }

    /// Nothing comes any more: tells everybody who waits.
    fn end(&mut self, end: End) {
        if self.end.is_some() {
            return;
        }
        tracing::debug!(peer = ?self.peer, %end, "connection ended");
        self.end = Some(end);
        self.give_up_waiting();
        for id in self.requests.ids() {
            self.fail(id, RequestError::Closed);
        }
        for id in self.observations.ids() {
            self.end_observation(id);
        }
        self.owed.clear();
        self.timers = Timers::default();
        self.parked = Bytes::new();
        self.decoder = Decoder::new(0);
        self.uploads.forget_peer(crate::peers::PeerKey::ONLY);
        self.representations.forget_peer(crate::peers::PeerKey::ONLY);
    }

    /// Whether the peer has asked for the end, and all that it asked before is answered and sent
    /// (§5.5). What we asked ourselves may still be answered; observations are not waited for.
    fn is_done_with(&self) -> bool {
        self.released.by_peer
            && self.exchanges() == 0
            && self.outbox.is_empty()
            && self.parked.is_empty()
            && self.requests.are_all_answered()
    }

    fn end_if_released(&mut self) {
        if self.end.is_none() && self.is_done_with() {
            self.end(End::Released);
        }
    }

    fn on_forget(&mut self, now: Instant) {
        self.forgetting = None;
        self.uploads.forget_due(now);
        self.representations.forget_due(now);
        self.forget_later(now);
    }

    /// Sees to it that pieces of bodies are forgotten if nobody comes for them.
    fn forget_later(&mut self, now: Instant) {
        let is_empty = self.uploads.size().0 + self.representations.size().0 == 0;
        if self.forgetting.is_none() && !is_empty {
            self.forgetting = Some(self.timers.set(now + bounded::LIFETIME, Timer::Forget));
        }
    }
}
