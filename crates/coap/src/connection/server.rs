//! Requests of others, and what goes back.

use std::{sync::Arc, time::Instant};

use super::{Connection, What, client::BLOCK_OPTIONS_LEN};
use crate::{
    Code, Event, Exchange, Message, MessageId, ObservationId, Observe, OptionNumber, Request,
    Response, Token, Type, UnprotectedRequest,
    blockwise::{self, Block, Slicing},
    dedup::Slot,
    frame,
    peers::PeerKey,
};

impl Connection {
    pub(super) fn on_request(&mut self, now: Instant, message: Message) {
        let Message { code: method, token, options, payload, .. } = message;
        let mut exchange = Exchange {
            peer: PeerKey::ONLY,
            kind: Type::NonConfirmable,
            id: MessageId(0),
            token,
            timer: None,
            slicing: Slicing::NONE,
            protected: None,
            is_repeatable: true,
            slot: Slot::UNKNOWN,
            place: Some(Arc::clone(&self.places)),
        };
        let request = Request { method, options, payload };
        let Some(mut request) = self.unprotect_request(now, &mut exchange, request) else { return };
        if let Err(refusal) = request.check() {
            return self.send_response(now, exchange, refusal);
        }
        let has_several = request
            .options
            .uint(OptionNumber::BLOCK1)
            .is_some_and(|value| value & 0b111 == u32::from(SEVERAL));
        let blocks = (
            block_of(&mut request, OptionNumber::BLOCK1),
            block_of(&mut request, OptionNumber::BLOCK2),
        );
        let (Ok(block1), Ok(block2)) = blocks else {
            let refusal = Response::diagnostic(Code::BAD_REQUEST, "reserved block size");
            return self.send_response(now, exchange, refusal);
        };
        let cache_key = blockwise::cache_key(&self.hashing, &request, block1, exchange.subject());
        exchange.slicing = Slicing { block1, block2, cache_key };
        let place = (PeerKey::ONLY, cache_key);
        let max_body = self.config.max_body;
        if let Some(block1) = block1 {
            let taken = self.take_blocks(now, place, block1, &mut request);
            self.forget_later(now);
            let echoed = match has_several {
                true => Block { exponent: SEVERAL, ..block1 },
                false => block1,
            };
            exchange.slicing.block1 = Some(echoed);
            if let Err(answer) = taken {
                exchange.slicing.block2 = None;
                return self.send_response(now, exchange, answer);
            }
            exchange.slicing.block1 = Some(Block { more: false, ..echoed });
        } else if request.payload.len() > max_body {
            let refusal = blockwise::too_large(max_body);
            return self.send_response(now, exchange, refusal);
        }
        if block2.is_some_and(|block| block.number > 0) {
            if let Some(whole) = self.representations.get(now, place) {
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
        if request.observing() == Some(Observe::Deregister)
            && let Some(id) = self.observations.by_token(PeerKey::ONLY, exchange.subject(), token)
        {
            self.end_observation(id);
        }
        exchange.is_repeatable = request.method.is_safe();
        self.events.push_back(Event::Request { exchange, peer: self.peer, request });
    }

    /// Adds a block to a body that comes in several; or more than one. We do not say that we take
    /// those, but a client that has not read yet what we say may begin so, and must go on so.
    ///
    /// # Errors
    /// See [`Bounded::take_block`](crate::bounded::Bounded::take_block).
    fn take_blocks(
        &mut self,
        now: Instant,
        key: crate::bounded::Key,
        first: Block,
        request: &mut Request,
    ) -> Result<(), Response> {
        let payload = request.payload.clone();
        let max_body = self.config.max_body;
        let mut block = first;
        let mut start = 0;
        loop {
            let end = payload.len().min(start + block.size());
            let is_last = end == payload.len();
            block.more = first.more || !is_last;
            request.payload = payload.slice(start..end);
            let taken = self.uploads.take_block(now, key, block, request, max_body);
            match taken {
                Err(answer) if !is_last && answer.code == Code::CONTINUE => {}
                taken => return taken,
            }
            start = end;
            block.number += 1;
        }
    }

    /// Undoes the protection of a request; `None` if nothing is left to be done about it.
    fn unprotect_request(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        request: Request,
    ) -> Option<Request> {
        let Some(protection) = &mut self.protection else { return Some(request) };
        match protection.unprotect_request(now, self.peer, request) {
            UnprotectedRequest::Request { request, binding, subject } => {
                exchange.protected = Some((binding, subject));
                Some(request)
            }
            UnprotectedRequest::Respond(response) => {
                self.send_answer(exchange.token, response, What::Answer);
                None
            }
            UnprotectedRequest::Ignore => {
                self.stats.ignored += 1;
                None
            }
        }
    }

    /// Sends a response, and gives the exchange's place to another.
    pub(super) fn send_response(
        &mut self,
        now: Instant,
        mut exchange: Exchange,
        response: Response,
    ) {
        self.answer(now, &mut exchange, response, None);
    }

    /// Sends a response, cut to size and protected; with a number for an observer. `false` if it
    /// cannot be protected.
    fn answer(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        response: Response,
        observe: Option<u32>,
    ) -> bool {
        let mut piece = self.cut(now, &exchange.slicing, response);
        if let Some(number) = observe {
            piece.options.set_uint(OptionNumber::OBSERVE, number);
        }
        if let Some((binding, _)) = &mut exchange.protected {
            let protection = self.protection.as_mut();
            let protected =
                protection.and_then(|p| p.protect_response(now, binding, piece, observe));
            let Some(protected) = protected else {
                self.stats.ignored += 1;
                return false;
            };
            piece = protected;
        }
        self.send_answer(exchange.token, piece, What::Answer);
        true
    }

    /// Sends an answer as it is.
    fn send_answer(&mut self, token: Token, response: Response, what: What) {
        let Response { code, options, payload } = response;
        let (kind, id) = (Type::NonConfirmable, MessageId(0));
        self.send(&Message { kind, code, id, token, options, payload }, what);
    }

    /// What goes now of a response: the block that was asked for, all of it if the peer takes that
    /// much, else its first block. The whole is kept while there is more of it.
    fn cut(&mut self, now: Instant, slicing: &Slicing, mut whole: Response) -> Response {
        // The block that was asked for is one of the representation, not of an error about it.
        let asked = slicing.block2.filter(|_| whole.code.is_success());
        let mut head = crate::signal::ping(Token::EMPTY);
        head.options = whole.options.clone();
        let head_len = frame::max_len(&head) + self.protection_len() + BLOCK_OPTIONS_LEN;
        let fits = head_len + whole.payload.len() <= self.max_whole();
        if fits && asked.is_none() {
            return blockwise::echo(whole, slicing);
        }
        // Not even the smallest block fits: what is sent then tells what was wrong.
        let largest = self.largest_block(head_len).unwrap_or(0);
        let asked = asked.unwrap_or(Block::FIRST);
        let block2 = Block::at(asked.start(), asked.exponent.min(largest));
        let slicing = Slicing { block2: Some(block2), ..*slicing };
        let (piece, more) = blockwise::slice(&mut whole, &slicing);
        if more {
            let bytes = whole.payload.len();
            let key = (PeerKey::ONLY, slicing.cache_key);
            self.representations.insert(now, key, whole, bytes);
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
        for replaced in self.observations.replaced(&exchange) {
            self.end_observation(replaced);
        }
        let has_room = self.observations.len() < self.config.max_observations;
        if !has_room || !response.code.is_success() || self.end.is_some() {
            self.send_response(now, exchange, response);
            return None;
        }
        let id = self.observations.add(&exchange);
        let number = self.observations.get_mut(id).map(|o| o.next_number(self.epoch, now));
        if !self.answer(now, &mut exchange, response, number) {
            self.observations.remove(id);
            return None;
        }
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
        if is_last || !observation.busy {
            self.send_pending(now, id);
        }
        if is_last {
            self.forget_observation(id);
        }
    }

    /// Tells observers the newest state whose last notification has left meanwhile.
    pub(super) fn pay(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.owed) {
            self.send_pending(now, id);
        }
    }

    /// Sends the newest state to an observer. An observation whose notifications can no longer be
    /// protected ends.
    fn send_pending(&mut self, now: Instant, id: ObservationId) {
        let Some(observation) = self.observations.get_mut(id) else { return };
        let Some(response) = observation.pending.take() else { return };
        let (token, slicing) = (observation.token, observation.slicing);
        let number = response.code.is_success().then(|| observation.next_number(self.epoch, now));
        observation.busy = true;
        let mut piece = self.cut(now, &slicing, response);
        if let Some(number) = number {
            piece.options.set_uint(OptionNumber::OBSERVE, number);
        }
        let Some(observation) = self.observations.get_mut(id) else { return };
        if let Some((binding, _)) = &mut observation.protected {
            let protection = self.protection.as_mut();
            match protection.and_then(|p| p.protect_response(now, binding, piece, number)) {
                Some(protected) => piece = protected,
                None => return self.end_observation(id),
            }
        }
        self.send_answer(token, piece, What::Notification(id));
    }

    /// Ends the observation of the peer.
    pub(super) fn end_observation(&mut self, id: ObservationId) {
        if self.forget_observation(id) {
            self.events.push_back(Event::ObservationEnded { observation: id });
        }
    }

    fn forget_observation(&mut self, id: ObservationId) -> bool {
        self.owed.remove(&id);
        self.observations.remove(id).is_some()
    }
}

/// The size that means several blocks of 1,024 bytes in one message (BERT, RFC 8323 §6).
const SEVERAL: u8 = 7;

/// Takes a block option out of a request. Several blocks are as one of 1,024 bytes that is longer
/// than it says, and of a response one of them is a good answer to who asks for several.
fn block_of(
    request: &mut Request,
    number: OptionNumber,
) -> Result<Option<Block>, blockwise::BadBlock> {
    if let Some(value) = request.options.uint(number)
        && value & 0b111 == u32::from(SEVERAL)
    {
        request.options.set_uint(number, value & !1);
    }
    let block = Block::of(&request.options, number)?;
    request.options.remove(number);
    Ok(block)
}
