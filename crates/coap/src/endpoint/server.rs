//! Requests of others, and what goes back.

use std::time::Instant;

use bytes::Bytes;

use super::Endpoint;
use crate::{
    Code, Event, Exchange, Message, MessageId, ObservationId, Observe, OptionNumber, Peer, Request,
    Response, Type, UnprotectedRequest,
    allowance::Allowance,
    blockwise::{self, Block, Slicing},
    dedup::{Reaction, Seen, Slot},
    observe::Observation,
    peers::PeerKey,
    retransmit::Purpose,
    timers::Timer,
    wire,
};

impl Endpoint {
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        key: PeerKey,
        peer: Peer,
        message: Message,
        fingerprint: u64,
    ) {
        let Message { kind, code: method, id, token, options, payload } = message;
        let slot = match self.recent.see(now, key, id, kind, fingerprint) {
            Seen::New(slot) => slot,
            Seen::Before(reaction) => {
                let reaction = reaction.clone();
                return self.on_duplicate(key, kind, id, reaction);
            }
        };
        self.forget_later(now);
        let mut exchange = Exchange {
            peer: key,
            kind,
            id,
            slot,
            token,
            timer: None,
            slicing: Slicing::NONE,
            protected: None,
            is_repeatable: true,
            place: None,
        };
        let mut request = Request { method, options, payload };
        self.hear_echo(key, &mut request);
        let Some(mut request) = self.unprotect_request(now, &mut exchange, peer, request) else {
            return;
        };
        let refused = match request.check() {
            // §5.4.1: in a message that is not confirmable, silence.
            Err(refusal) if refusal.code == Code::BAD_OPTION && kind == Type::NonConfirmable => {
                self.stats.ignored += 1;
                return;
            }
            refused => refused.err(),
        };
        let block1 = Block::of(&request.options, OptionNumber::BLOCK1);
        let block2 = Block::of(&request.options, OptionNumber::BLOCK2);
        let bad_block = block1.is_err() || block2.is_err();
        let (block1, block2) = (block1.ok().flatten(), block2.ok().flatten());
        let cache_key = blockwise::cache_key(&self.hashing, &request, block1, exchange.subject());
        let slicing = Slicing { block1, block2, cache_key };
        exchange.slicing = slicing;
        if let Some(refusal) = refused {
            return self.send_response(now, exchange, refusal);
        }
        if bad_block {
            let refusal = Response::diagnostic(Code::BAD_REQUEST, "reserved block size");
            return self.send_response(now, exchange, refusal);
        }
        if request.observing() == Some(Observe::Register) && !self.is_proven(key) {
            // Before anybody takes the trouble to answer: there will be more than one answer.
            let challenge = self.challenge(key);
            return self.send_message(now, &exchange, challenge);
        }
        if let Some(block1) = block1 {
            let max_body = self.config.max_body;
            let place = (key, cache_key);
            let taken = self.uploads.take_block(now, place, block1, &mut request, max_body);
            self.forget_later(now);
            if let Err(answer) = taken {
                exchange.slicing = Slicing { block2: None, ..slicing };
                return self.send_response(now, exchange, answer);
            }
            exchange.slicing.block1 = Some(Block { more: false, ..block1 });
        } else if request.payload.len() > self.config.max_body {
            let refusal = blockwise::too_large(self.config.max_body);
            return self.send_response(now, exchange, refusal);
        }
        if block2.is_some_and(|block| block.number > 0) {
            if let Some(whole) = self.representations.get(now, (key, cache_key)) {
                let whole = whole.clone();
                return self.send_response(now, exchange, whole);
            }
            if !request.method.is_safe() {
                // Asking the handler again would do the deed again.
                let text = "the rest of this response is forgotten";
                let refusal = Response::diagnostic(Code::REQUEST_ENTITY_INCOMPLETE, text);
                return self.send_response(now, exchange, refusal);
            }
        }
        request.options.remove(OptionNumber::BLOCK2);
        if request.observing() == Some(Observe::Deregister)
            && let Some(id) = self.observations.by_token(key, exchange.subject(), token)
        {
            self.end_observation(id);
        }
        if kind == Type::Confirmable {
            let at = now + self.config.timing.acknowledge_after;
            exchange.timer = Some(self.timers.set(at, Timer::Acknowledge(key, id)));
        }
        exchange.is_repeatable = request.method.is_safe();
        self.events.push_back(Event::Request { exchange, peer, request });
    }

    /// Learns from an Echo value of ours that the address is not forged (RFC 9175 §2.4).
    fn hear_echo(&mut self, key: PeerKey, request: &mut Request) {
        let Some(state) = self.peers.get_mut(key).filter(|state| !state.allowance.is_proven())
        else {
            return;
        };
        let echo = request.options.get(OptionNumber::ECHO);
        if echo.is_some_and(|echo| state.allowance.answer(echo)) {
            request.options.remove(OptionNumber::ECHO);
        }
    }

    /// Undoes the protection of a request; `None` if nothing is left to be done about it.
    fn unprotect_request(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        peer: Peer,
        request: Request,
    ) -> Option<Request> {
        let Some(protection) = &mut self.protection else { return Some(request) };
        match protection.unprotect_request(now, peer, request) {
            UnprotectedRequest::Request { request, binding, subject } => {
                if let Some(state) = self.peers.get_mut(exchange.peer) {
                    state.allowance = Allowance::Proven;
                }
                exchange.protected = Some((binding, subject));
                Some(request)
            }
            UnprotectedRequest::Respond(response) => {
                let is_protected = response.options.has(OptionNumber::OSCORE);
                self.send_message(now, exchange, response);
                if !is_protected {
                    self.forget_stranger(exchange);
                }
                None
            }
            UnprotectedRequest::Ignore => {
                self.stats.ignored += 1;
                self.forget_stranger(exchange);
                None
            }
        }
    }

    /// What proves nothing leaves nothing behind, so that nobody pushes out what is known of others. When it comes
    /// again it gets the same again; remembered, it would be acknowledged.
    fn forget_stranger(&mut self, exchange: &Exchange) {
        self.recent.forget_message(exchange.peer, exchange.id);
        if !self.is_proven(exchange.peer) && self.peers.remove(exchange.peer) {
            self.forget_transfers(exchange.peer);
        }
    }

    fn on_duplicate(&mut self, key: PeerKey, kind: Type, id: MessageId, reaction: Reaction) {
        self.stats.duplicates += 1;
        if kind == Type::NonConfirmable {
            return;
        }
        match reaction {
            // The peer waits for a sign, so it gets one before the timer is due.
            Reaction::Pending | Reaction::Acknowledged => {
                self.send_empty(key, Type::Acknowledgement, id);
                self.recent.react(key, id, Slot::UNKNOWN, Reaction::Acknowledged);
            }
            Reaction::Answer(bytes) => self.send(key, bytes),
        }
    }

    /// Sends a response, in the acknowledgement or in a message of its own.
    pub(super) fn send_response(
        &mut self,
        now: Instant,
        mut exchange: Exchange,
        response: Response,
    ) {
        self.answer(now, &mut exchange, response, None);
    }

    /// Sends a response, cut to size and protected; with a number for an observer.
    fn answer(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        response: Response,
        observe: Option<u32>,
    ) {
        if let Some(timer) = exchange.timer.take() {
            self.timers.stop(timer);
        }
        if self.peers.get(exchange.peer).is_none() {
            return;
        }
        let mut piece = self.cut(now, exchange.peer, &exchange.slicing, response);
        if let Some(number) = observe {
            piece.options.set_uint(OptionNumber::OBSERVE, number);
        }
        if let Some((binding, _)) = &mut exchange.protected {
            let protection = self.protection.as_mut();
            let protected =
                protection.and_then(|p| p.protect_response(now, binding, piece, observe));
            let Some(protected) = protected else {
                self.recent.forget_message(exchange.peer, exchange.id);
                self.stats.ignored += 1;
                return;
            };
            piece = protected;
        }
        self.send_message(now, exchange, piece);
    }

    /// Sends a response as it is.
    fn send_message(&mut self, now: Instant, exchange: &Exchange, response: Response) {
        let key = exchange.peer;
        let mut message = Message {
            kind: Type::Acknowledgement,
            code: response.code,
            id: exchange.id,
            token: exchange.token,
            options: response.options,
            payload: response.payload,
        };
        let is_confirmable = exchange.kind == Type::Confirmable;
        if !is_confirmable {
            let Some(state) = self.peers.get_mut(key) else { return };
            let Ok(id) = state.ids.take(now, self.config.timing.message_id_rest) else {
                self.stats.ignored += 1;
                return;
            };
            (message.kind, message.id) = (Type::NonConfirmable, id);
        } else if self.recent.reaction(key, exchange.id, exchange.slot) != Some(&Reaction::Pending)
        {
            message.kind = Type::Confirmable;
            if !self.is_proven(key) {
                self.fit(exchange, &mut message);
            }
            if !self.enqueue(now, key, message, Purpose::Response) {
                self.stats.ignored += 1;
            }
            return;
        }
        let bytes = self.fit(exchange, &mut message);
        if is_confirmable {
            let answer = Reaction::Answer(bytes.clone());
            self.recent.react(key, exchange.id, exchange.slot, answer);
        }
        self.send(key, bytes);
    }

    /// The message in bytes: a short one in the place of one that must not go to an address that
    /// may be forged (RFC 9175 §2.4). What can be asked once more, is to be asked with an Echo
    /// option. What was done would be done again then, so of that the bare code tells how it went.
    fn fit(&mut self, exchange: &Exchange, message: &mut Message) -> Bytes {
        let bytes = wire::encode(message);
        let state = self.peers.get(exchange.peer);
        if state.is_none_or(|state| state.allowance.fits(bytes.len())) {
            return bytes;
        }
        let short = match exchange.is_repeatable {
            true => self.challenge(exchange.peer),
            false => Response::new(message.code),
        };
        (message.code, message.options, message.payload) =
            (short.code, short.options, short.payload);
        wire::encode(message)
    }

    /// Asks the peer to show that it gets what is sent to its address.
    fn challenge(&mut self, key: PeerKey) -> Response {
        self.stats.challenged += 1;
        let state = self.peers.get_mut(key);
        let echo = state.map(|state| state.allowance.challenge(&mut self.rng)).unwrap_or_default();
        Response::new(Code::UNAUTHORIZED).echo(&echo)
    }

    fn is_proven(&self, key: PeerKey) -> bool {
        self.peers.get(key).is_some_and(|state| state.allowance.is_proven())
    }

    /// The slice of a response that goes now; the whole is kept while there is more of it.
    fn cut(&mut self, now: Instant, key: PeerKey, slicing: &Slicing, whole: Response) -> Response {
        // The block that was asked for is one of the representation, not of an error about it.
        let block2 = slicing.block2.filter(|_| whole.code.is_success());
        if whole.payload.len() <= Block::FIRST.size() && block2.is_none() {
            return blockwise::echo(whole, slicing);
        }
        let slicing = &Slicing { block2, ..*slicing };
        let mut whole = whole;
        let (piece, more) = blockwise::slice(&mut whole, slicing);
        if more {
            let bytes = whole.payload.len();
            self.representations.insert(now, (key, slicing.cache_key), whole, bytes);
            self.forget_later(now);
        }
        piece
    }

    pub(super) fn send_observed(
        &mut self,
        now: Instant,
        mut exchange: Exchange,
        response: Response,
    ) -> Option<ObservationId> {
        let peer = exchange.peer;
        for replaced in self.observations.replaced(&exchange) {
            self.end_observation(replaced);
        }
        // The peers of observations are not forgotten, so that room must stay for others.
        let max = self.config.max_observations.min(self.config.max_peers / 2);
        let has_room = self.observations.len() < max
            && self
                .peers
                .get(peer)
                .is_some_and(|state| state.observations < self.config.max_observations_per_peer)
            && self.is_proven(peer);
        if !has_room || !response.code.is_success() {
            self.send_response(now, exchange, response);
            return None;
        }
        let id = self.observations.add(&exchange);
        if let Some(state) = self.peers.get_mut(peer) {
            state.observations += 1;
            state.holds += 1;
        }
        let epoch = *self.epoch.get_or_insert(now);
        let number = self.observations.get_mut(id).map(|o| o.next_number(epoch, now));
        self.answer(now, &mut exchange, response, number);
        if let Some(observation) = self.observations.get_mut(id) {
            observation.protected = exchange.protected;
        }
        Some(id)
    }

    pub(super) fn send_notification(
        &mut self,
        now: Instant,
        id: ObservationId,
        response: Response,
    ) {
        let is_last = !response.code.is_success();
        let Some(observation) = self.observations.get_mut(id) else { return };
        observation.pending = Some(response);
        if !is_last {
            return self.send_pending(now, id);
        }
        // What is under way is out of date, and the last word must not wait for it.
        let (peer, in_flight) = (observation.peer, observation.in_flight);
        if let Some(in_flight) = in_flight {
            self.settle(now, peer, in_flight, false);
        }
        let message = self.next_notification(now, id);
        self.forget_observation(id);
        if let Some(message) = message {
            self.enqueue(now, peer, message, Purpose::Response);
        }
        self.pump(now, peer);
    }

    /// Sends the newest state to an observer, unless a notification is under way already.
    pub(super) fn send_pending(&mut self, now: Instant, id: ObservationId) {
        let Some(observation) = self.observations.get(id).filter(|o| !o.busy) else { return };
        let peer = observation.peer;
        let Some(message) = self.next_notification(now, id) else { return };
        if let Some(observation) = self.observations.get_mut(id) {
            observation.busy = true;
        }
        if !self.enqueue(now, peer, message, Purpose::Notification(id)) {
            // So much waits for this peer that it does not follow.
            self.end_observation(id);
        }
    }

    /// The notification of the newest state, if there is one that was not sent yet. An observation
    /// whose notifications can no longer be protected ends.
    pub(super) fn next_notification(&mut self, now: Instant, id: ObservationId) -> Option<Message> {
        let epoch = *self.epoch.get_or_insert(now);
        let observation = self.observations.get_mut(id)?;
        let response = observation.pending.take()?;
        let (peer, token, slicing) = (observation.peer, observation.token, observation.slicing);
        let number = response.code.is_success().then(|| observation.next_number(epoch, now));
        let mut piece = self.cut(now, peer, &slicing, response);
        if let Some(number) = number {
            piece.options.set_uint(OptionNumber::OBSERVE, number);
        }
        let observation = self.observations.get_mut(id)?;
        if let Some((binding, _)) = &mut observation.protected {
            let protection = self.protection.as_mut();
            match protection.and_then(|p| p.protect_response(now, binding, piece, number)) {
                Some(protected) => piece = protected,
                None => {
                    if number.is_some() {
                        self.end_observation(id);
                    }
                    return None;
                }
            }
        }
        Some(Message {
            kind: Type::Confirmable,
            code: piece.code,
            id: MessageId(0),
            token,
            options: piece.options,
            payload: piece.payload,
        })
    }

    pub(super) fn forget_observation(&mut self, id: ObservationId) -> Option<Observation> {
        let observation = self.observations.remove(id)?;
        if let Some(state) = self.peers.get_mut(observation.peer) {
            state.observations -= 1;
            state.holds -= 1;
        }
        Some(observation)
    }
}
