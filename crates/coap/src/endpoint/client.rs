//! Requests of ours, and what comes back.

use std::time::Instant;

use super::Endpoint;
use crate::{
    Event, Message, OptionNumber, RequestError, RequestId, Response, Type,
    blockwise::{Download, DownloadStep, UploadStep},
    dedup::Reaction,
    observe::Newest,
    peers::PeerKey,
    retransmit::Purpose,
    wire,
};

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
        message: Message,
    ) {
        let id = self.requests.find(peer, message.token);
        let in_flight = id.and_then(|id| self.requests.get(id)).and_then(|o| o.in_flight);
        let Some(id) = id.filter(|_| in_flight == Some(message.id)) else {
            self.stats.ignored += 1;
            return;
        };
        self.peers.touch(peer);
        self.settle(now, peer, message.id, true);
        self.on_response(now, id, message);
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
        let Some(state) = self.peers.get(peer) else { return };
        let address = state.peer;
        self.peers.touch(peer);
        if let Some(reaction) = self.recent.see(now, peer, message.id, message.kind, fingerprint) {
            self.stats.duplicates += 1;
            if let Reaction::Answer(bytes) = reaction {
                let bytes = bytes.clone();
                self.send(address, bytes);
            }
            return;
        }
        self.forget_later(now);
        let found = self.requests.find(peer, message.token);
        let refused = match message.options.check() {
            Ok(()) => None,
            Err(_) => Some(RequestError::BadResponse),
        };
        let is_taken = found.is_some() && refused.is_none();
        if message.kind == Type::Confirmable {
            let kind = if is_taken { Type::Acknowledgement } else { Type::Reset };
            let bytes = wire::encode(&Message::empty(kind, message.id));
            self.recent.react(peer, message.id, Reaction::Answer(bytes.clone()));
            self.send(address, bytes);
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
        match refused {
            Some(error) => self.fail(now, id, error),
            None => self.on_response(now, id, message),
        }
        self.pump(now, peer);
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
