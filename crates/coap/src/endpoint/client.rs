//! Requests of ours, and what comes back.

use std::{mem::take, time::Instant};

use super::Endpoint;
use crate::{
    Code, Event, Message, OptionNumber, ProtectionError, Request, RequestError, RequestId,
    Response, Token, Type, UnprotectedResponse,
    blockwise::{Download, DownloadStep, UploadStep},
    dedup::{Reaction, Seen, Slot},
    exchange::MAX_REPEATS,
    observe::Newest,
    peers::PeerKey,
    retransmit::Purpose,
    wire,
};

/// What to make of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is one.
    Response,
    /// The request is to be protected anew.
    Repeat,
    /// As if nothing had come.
    Ignore,
}

impl Endpoint {
    /// Sends the request, or its next block, or the request for the next block of its response.
    pub(super) fn send_request(&mut self, now: Instant, id: RequestId) {
        let Some(outgoing) = self.requests.get(id) else { return };
        let (peer, message) = (outgoing.peer, outgoing.message());
        if !self.enqueue(now, peer, message, Purpose::Request(id)) {
            self.fail(now, id, RequestError::Busy);
        }
    }

    /// A response in an acknowledgement (RFC 7252 §5.2.1).
    pub(super) fn on_piggybacked_response(
        &mut self,
        now: Instant,
        peer: PeerKey,
        mut message: Message,
    ) {
        let id = self.requests.find(peer, message.token);
        let in_flight = id.and_then(|id| self.requests.get(id)).and_then(|o| o.in_flight);
        let Some(id) = id.filter(|_| in_flight == Some(message.id)) else {
            self.stats.ignored += 1;
            return;
        };
        let verdict = self.unprotect(now, peer, &mut message);
        if verdict == Verdict::Ignore {
            // Anybody may have sent it: the true answer may still come.
            self.stats.ignored += 1;
            return;
        }
        self.peers.touch(peer);
        self.settle(now, peer, message.id, true);
        match verdict {
            Verdict::Repeat => self.repeat(now, id, message.token),
            _ => self.on_response(now, id, message),
        }
        self.pump(now, peer);
    }

    /// A response in a message of its own, or a notification (§5.2.2, §5.2.3).
    pub(super) fn on_separate_response(
        &mut self,
        now: Instant,
        peer: PeerKey,
        mut message: Message,
        fingerprint: u64,
    ) {
        self.peers.touch(peer);
        let seen = self.recent.see(now, peer, message.id, message.kind, fingerprint);
        if let Seen::Before(reaction) = seen {
            self.stats.duplicates += 1;
            if let Reaction::Answer(bytes) = reaction {
                let bytes = bytes.clone();
                self.send(peer, bytes);
            }
            return;
        }
        self.forget_later(now);
        let found = self.requests.find(peer, message.token);
        let verdict = match found {
            Some(_) => self.unprotect(now, peer, &mut message),
            None => Verdict::Response,
        };
        if verdict == Verdict::Ignore {
            // An acknowledgement would tell the server that its answer came, a reset would end an
            // observation; neither is for a stranger to bring about.
            self.recent.forget_message(peer, message.id);
            self.stats.ignored += 1;
            return;
        }
        let is_sound = verdict == Verdict::Repeat || message.options.check().is_ok();
        let is_taken = found.is_some() && is_sound;
        if message.kind == Type::Confirmable {
            let kind = if is_taken { Type::Acknowledgement } else { Type::Reset };
            let bytes = wire::encode(&Message::empty(kind, message.id));
            let answer = Reaction::Answer(bytes.clone());
            self.recent.react(peer, message.id, Slot::UNKNOWN, answer);
            self.send(peer, bytes);
        }
        let Some(id) = found else {
            self.stats.ignored += 1;
            return;
        };
        // The response is as good as the acknowledgement that was lost, if it is the response to
        // what is in flight (§5.2.2).
        let in_flight = self.requests.get(id).filter(|o| o.is_current(message.token));
        if let Some(in_flight) = in_flight.and_then(|outgoing| outgoing.in_flight) {
            self.settle(now, peer, in_flight, true);
        }
        match verdict {
            Verdict::Repeat => self.repeat(now, id, message.token),
            _ if !is_sound => {
                self.fail(now, id, RequestError::BadResponse);
            }
            _ => self.on_response(now, id, message),
        }
        self.pump(now, peer);
    }

    /// Protects a request of ours as the last thing before it leaves.
    pub(super) fn protect(
        &mut self,
        now: Instant,
        key: PeerKey,
        message: &mut Message,
    ) -> Result<(), ProtectionError> {
        let Some(protection) = &mut self.protection else { return Ok(()) };
        let peer = self.peers.get(key).ok_or(ProtectionError)?.peer;
        let Message { code, options, payload, .. } = message;
        let plain = Request { method: *code, options: take(options), payload: take(payload) };
        let (request, binding) = protection.protect_request(now, peer, plain)?;
        (*code, *options, *payload) = (request.method, request.options, request.payload);
        self.requests.bind(key, message.token, binding);
        Ok(())
    }

    /// Finds out what a response is, and undoes its protection.
    fn unprotect(&mut self, now: Instant, key: PeerKey, message: &mut Message) -> Verdict {
        let binding = self.requests.binding(key, message.token);
        let (protection, binding) = match (&mut self.protection, binding) {
            (None, None) => return Verdict::Response,
            (Some(protection), Some(binding)) => (protection, binding),
            _ => return Verdict::Ignore,
        };
        let Some(peer) = self.peers.get(key).map(|state| state.peer) else {
            return Verdict::Ignore;
        };
        let Message { code, options, payload, .. } = message;
        let response = Response { code: *code, options: take(options), payload: take(payload) };
        match protection.unprotect_response(now, peer, binding, response) {
            UnprotectedResponse::Response(response) => {
                (*code, *options, *payload) = (response.code, response.options, response.payload);
                Verdict::Response
            }
            UnprotectedResponse::Repeat => Verdict::Repeat,
            UnprotectedResponse::Ignore => Verdict::Ignore,
        }
    }

    /// Sends the present message once more, protected anew.
    fn repeat(&mut self, now: Instant, id: RequestId, token: Token) {
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        if !outgoing.is_repeated_for(token) {
            self.stats.ignored += 1;
            return;
        }
        outgoing.repeats += 1;
        if outgoing.repeats > MAX_REPEATS {
            return self.fail(now, id, RequestError::Unprotectable);
        }
        if let Some(timer) = outgoing.timer.take() {
            self.timers.stop(timer);
        }
        self.requests.renew_token(&mut self.rng, id);
        self.send_request(now, id);
    }

    fn on_response(&mut self, now: Instant, id: RequestId, mut message: Message) {
        if message.options.check().is_err() {
            return self.fail(now, id, RequestError::BadResponse);
        }
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        let Message { code, token, options, payload, .. } = message;
        let is_current = outgoing.is_current(token);
        if is_current && let Some(timer) = outgoing.timer.take() {
            self.timers.stop(timer);
        }
        if is_current {
            outgoing.repeats = 0;
        }
        if code == Code::UNAUTHORIZED
            && outgoing.echo.is_none()
            && outgoing.is_repeated_for(token)
            && let Some(echo) = options.get(OptionNumber::ECHO)
        {
            // RFC 9175 §2.3. Once: a server that is not content with its own value never will be.
            outgoing.echo = Some(echo.clone());
            self.requests.renew_token(&mut self.rng, id);
            return self.send_request(now, id);
        }
        let response = Response { code, options, payload };
        if outgoing.is_fetch(token) || outgoing.ask.is_some() && is_current {
            return self.on_block(now, id, response);
        }
        if let Some(upload) = &mut outgoing.upload
            && !outgoing.answered
        {
            let len = outgoing.request.payload.len();
            if upload.on_response(len, response.code, &response.options) == UploadStep::Send {
                self.requests.renew_token(&mut self.rng, id);
                return self.send_request(now, id);
            }
        }
        if outgoing.wants_observing() && !self.is_fresh(now, id, &response) {
            self.stats.ignored += 1;
            return;
        }
        self.begin_body(now, id, response);
    }

    /// Whether a response to an observing request is news (RFC 7641 §3.4).
    fn is_fresh(&mut self, now: Instant, id: RequestId, response: &Response) -> bool {
        let Some(outgoing) = self.requests.get_mut(id) else { return false };
        let number = response.options.uint(OptionNumber::OBSERVE);
        match (number.filter(|_| response.code.is_success()), outgoing.newest) {
            (Some(number), Some(newest)) if !newest.is_before(number, now) => false,
            (Some(number), _) => {
                outgoing.newest = Some(Newest { number, at: now });
                true
            }
            // Not registered, or not any more (§3.2, §4.2).
            (None, _) => {
                outgoing.newest = None;
                true
            }
        }
    }

    /// Hands a response out, or begins to fetch the rest of it.
    fn begin_body(&mut self, now: Instant, id: RequestId, response: Response) {
        // A notification that comes while the one before is being fetched takes its place.
        self.drop_fetch(now, id);
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        match Download::begin(response, self.config.max_body) {
            Ok((download, step)) => {
                outgoing.download = download;
                self.on_download(now, id, step);
            }
            Err(error) => self.fail(now, id, error),
        }
    }

    fn on_block(&mut self, now: Instant, id: RequestId, response: Response) {
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        let Some(download) = &mut outgoing.download else { return };
        match download.go_on(response, self.config.max_body) {
            Ok(step) => self.on_download(now, id, step),
            Err(error) => self.fail(now, id, error),
        }
    }

    fn on_download(&mut self, now: Instant, id: RequestId, step: DownloadStep) {
        match step {
            DownloadStep::Ask(block) => {
                if let Some(outgoing) = self.requests.get_mut(id) {
                    outgoing.ask = Some(block);
                    self.requests.renew_token(&mut self.rng, id);
                    self.send_request(now, id);
                }
            }
            DownloadStep::Done(response) => self.deliver(now, id, response),
        }
    }

    fn deliver(&mut self, now: Instant, id: RequestId, mut response: Response) {
        response.options.remove(OptionNumber::BLOCK1);
        response.options.remove(OptionNumber::BLOCK2);
        self.drop_fetch(now, id);
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        let is_first = !std::mem::replace(&mut outgoing.answered, true);
        if outgoing.newest.is_none() {
            self.finish(now, id);
        }
        self.events.push_back(match is_first {
            true => Event::Response { id, response },
            false => Event::Notification { id, response },
        });
    }

    /// Stops fetching the rest of a body.
    fn drop_fetch(&mut self, now: Instant, id: RequestId) {
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        outgoing.download = None;
        outgoing.ask = None;
        let (peer, in_flight, timer) = (outgoing.peer, outgoing.in_flight, outgoing.timer.take());
        self.requests.drop_fetch(id);
        if let Some(timer) = timer {
            self.timers.stop(timer);
        }
        if let Some(in_flight) = in_flight {
            self.settle(now, peer, in_flight, false);
        }
    }

    /// Forgets a request.
    pub(super) fn finish(&mut self, now: Instant, id: RequestId) -> bool {
        let Some(outgoing) = self.requests.remove(id) else { return false };
        if let Some(timer) = outgoing.timer {
            self.timers.stop(timer);
        }
        if let Some(state) = self.peers.get_mut(outgoing.peer) {
            state.holds -= 1;
        }
        if let Some(in_flight) = outgoing.in_flight {
            self.settle(now, outgoing.peer, in_flight, false);
            self.pump(now, outgoing.peer);
        }
        true
    }

    pub(super) fn fail(&mut self, now: Instant, id: RequestId, error: RequestError) {
        if self.finish(now, id) {
            self.events.push_back(Event::Failed { id, error });
        }
    }
}
