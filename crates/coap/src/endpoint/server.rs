//! Requests of others, and what goes back.

use std::time::Instant;

use super::Endpoint;
use crate::{
    Code, Event, Exchange, Message, MessageId, ObservationId, Observe, OptionNumber, Peer, Request,
    Response, Type,
    blockwise::{self, Block, Slicing},
    dedup::Reaction,
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
        mut message: Message,
        fingerprint: u64,
    ) {
        if let Some(reaction) = self.recent.see(now, key, message.id, message.kind, fingerprint) {
            let reaction = reaction.clone();
            return self.on_duplicate(key, peer, &message, reaction);
        }
        self.forget_later(now);
        let refused = match message.options.check() {
            // §5.4.1: in a message that is not confirmable, silence.
            Err(_) if message.kind == Type::NonConfirmable => {
                self.stats.ignored += 1;
                return;
            }
            Err(number) => Some(bad_option(number)),
            Ok(())
                if message.options.has(OptionNumber::PROXY_URI)
                    || message.options.has(OptionNumber::PROXY_SCHEME) =>
            {
                let text = "this is no proxy";
                Some(Response::diagnostic(Code::PROXYING_NOT_SUPPORTED, text))
            }
            Ok(()) => None,
        };
        let block1 = Block::of(&message.options, OptionNumber::BLOCK1);
        let block2 = Block::of(&message.options, OptionNumber::BLOCK2);
        let bad_block = block1.is_err() || block2.is_err();
        let (block1, block2) = (block1.ok().flatten(), block2.ok().flatten());
        let slicing = Slicing { block1, block2, cache_key: blockwise::cache_key(&message, block1) };
        let mut exchange = Exchange {
            peer: key,
            kind: message.kind,
            id: message.id,
            token: message.token,
            timer: None,
            slicing,
            protected: None,
        };
        if let Some(refusal) = refused {
            return self.send_response(now, exchange, refusal);
        }
        if bad_block {
            let refusal = Response::diagnostic(Code::BAD_REQUEST, "reserved block size");
            return self.send_response(now, exchange, refusal);
        }
        let mut request =
            Request { method: message.code, options: message.options, payload: message.payload };
        if let Some(block1) = block1 {
            match self.on_upload(now, (key, slicing.cache_key), block1, &request) {
                Upload::Whole(body) => request.payload = body.into(),
                Upload::Answer(response, echo) => {
                    exchange.slicing = Slicing { block1: Some(echo), block2: None, ..slicing };
                    return self.send_response(now, exchange, response);
                }
            }
            request.options.remove(OptionNumber::BLOCK1);
            request.options.remove(OptionNumber::SIZE1);
            exchange.slicing.block1 = Some(Block { more: false, ..block1 });
        } else if request.payload.len() > self.config.max_body {
            let refusal = blockwise::too_large(self.config.max_body);
            return self.send_response(now, exchange, refusal);
        }
        if block2.is_some_and(|block| block.number > 0) {
            if let Some(whole) = self.representations.get(now, (key, slicing.cache_key)) {
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
            && let Some(id) = self.observations.by_token(key, exchange.token)
        {
            self.end_observation(id);
        }
        if message.kind == Type::Confirmable {
            let at = now + self.config.timing.acknowledge_after;
            exchange.timer = Some(self.timers.set(at, Timer::Acknowledge(key, message.id)));
        }
        self.events.push_back(Event::Request { exchange, peer, request });
    }

    fn on_duplicate(&mut self, key: PeerKey, peer: Peer, message: &Message, reaction: Reaction) {
        self.stats.duplicates += 1;
        if message.kind == Type::NonConfirmable {
            return;
        }
        match reaction {
            // The peer waits for a sign, so it gets one before the timer is due.
            Reaction::Pending | Reaction::Acknowledged => {
                self.send_empty(peer, Type::Acknowledgement, message.id);
                self.recent.react(key, message.id, Reaction::Acknowledged);
            }
            Reaction::Answer(bytes) => self.send(peer, bytes),
        }
    }

    /// One block of a body that comes in several (RFC 7959 §2.5).
    fn on_upload(
        &mut self,
        now: Instant,
        key: crate::bounded::Key,
        block: Block,
        request: &Request,
    ) -> Upload {
        let max_body = self.config.max_body;
        let mut body = self.uploads.remove(key).unwrap_or_default();
        if block.number == 0 {
            body.clear();
            let announced = request.options.uint(OptionNumber::SIZE1).unwrap_or(0);
            if announced as usize > max_body {
                return Upload::Answer(blockwise::too_large(max_body), block);
            }
        }
        if let Err(refusal) = blockwise::append(&mut body, block, &request.payload, max_body) {
            return Upload::Answer(refusal, block);
        }
        if !block.more {
            return Upload::Whole(body);
        }
        let bytes = body.capacity();
        self.uploads.insert(now, key, body, bytes);
        self.forget_later(now);
        Upload::Answer(Response::new(Code::CONTINUE), block)
    }

    /// Sends a response, cut to size, in the acknowledgement or in a message of its own.
    pub(super) fn send_response(&mut self, now: Instant, exchange: Exchange, response: Response) {
        if let Some(timer) = exchange.timer {
            self.timers.stop(timer);
        }
        let key = exchange.peer;
        let Some(state) = self.peers.get_mut(key) else { return };
        let peer = state.peer;
        let response = self.cut(now, key, &exchange.slicing, response);
        let mut message = Message {
            kind: Type::Acknowledgement,
            code: response.code,
            id: exchange.id,
            token: exchange.token,
            options: response.options,
            payload: response.payload,
        };
        if exchange.kind == Type::NonConfirmable {
            let Some(state) = self.peers.get_mut(key) else { return };
            let Ok(id) = state.ids.take(now, self.config.timing.message_id_rest) else {
                self.stats.ignored += 1;
                return;
            };
            (message.kind, message.id) = (Type::NonConfirmable, id);
            return self.send(peer, wire::encode(&message));
        }
        if self.recent.reaction(key, exchange.id) == Some(&Reaction::Pending) {
            let bytes = wire::encode(&message);
            self.recent.react(key, exchange.id, Reaction::Answer(bytes.clone()));
            return self.send(peer, bytes);
        }
        message.kind = Type::Confirmable;
        if !self.enqueue(now, key, message, Purpose::Response) {
            self.stats.ignored += 1;
        }
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
        exchange: Exchange,
        mut response: Response,
    ) -> Option<ObservationId> {
        let (peer, token, slicing) = (exchange.peer, exchange.token, exchange.slicing);
        for replaced in self.observations.replaced(peer, token, slicing.cache_key) {
            self.end_observation(replaced);
        }
        // The peers of observations are not forgotten, so that room must stay for others.
        let max = self.config.max_observations.min(self.config.max_peers / 2);
        let has_room = self.observations.len() < max
            && self
                .peers
                .get(peer)
                .is_some_and(|state| state.observations < self.config.max_observations_per_peer);
        if !has_room || !response.code.is_success() {
            self.send_response(now, exchange, response);
            return None;
        }
        let id = self.observations.add(peer, token, slicing);
        if let Some(state) = self.peers.get_mut(peer) {
            state.observations += 1;
            state.holds += 1;
        }
        let epoch = *self.epoch.get_or_insert(now);
        if let Some(observation) = self.observations.get_mut(id) {
            let number = observation.next_number(epoch, now);
            response.options.set_uint(OptionNumber::OBSERVE, number);
        }
        self.send_response(now, exchange, response);
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

    /// The notification of the newest state, if there is one that was not sent yet.
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

/// What a block of an upload leads to.
enum Upload {
    /// The body, put together.
    Whole(Vec<u8>),
    /// This response, with this block echoed.
    Answer(Response, Block),
}

/// Names the option, so that a person can take it away (RFC 7252 §5.4.1).
fn bad_option(number: OptionNumber) -> Response {
    let text = match number.name() {
        Some(name) => format!("option {} ({name}) cannot be used like this", number.0),
        None => format!("option {} is not known here", number.0),
    };
    Response::diagnostic(Code::BAD_OPTION, text)
}
