//! Requests of ours, and what comes back.

use std::{
    mem::{replace, take},
    time::Instant,
};

use super::{Connection, Timer, What};
use crate::{
    Code, Event, Message, OptionNumber, ProtectionError, Request, RequestError, RequestId,
    Response, Token, UnprotectedResponse,
    blockwise::{Block, Download, DownloadStep, Upload, UploadStep},
    exchange::MAX_REPEATS,
    frame,
    observe::Newest,
    peers::PeerKey,
};

/// As many bytes as protection adds to a message, of ours at least; where it adds more, a message
/// that would just have fitted fails.
pub(super) const PROTECTION_LEN: usize = 64;

/// As many bytes as the options add that go with blocks.
pub(super) const BLOCK_OPTIONS_LEN: usize = 24;

impl Connection {
    /// Whether there is room for one more request.
    pub(super) fn admit(&self, request: &Request) -> Result<(), RequestError> {
        if self.end.is_some() || self.is_released() {
            return Err(RequestError::Closed);
        }
        let queued = self.queued_bytes();
        let is_full = self.requests.len() + self.waiting.len() >= self.config.max_requests;
        // A single one may be longer than the queue.
        let is_long = queued > 0 && queued + request.payload.len() > self.config.max_queued_bytes;
        if is_full || is_long { Err(RequestError::Busy) } else { Ok(()) }
    }

    /// Sends a request, unless it is so long that the peer has to introduce itself first.
    pub(super) fn begin(&mut self, now: Instant, id: RequestId, request: Request) {
        let mut head = crate::signal::ping(Token::EMPTY);
        head.options = request.options.clone();
        let head_len = frame::max_len(&head) + self.protection_len();
        let fits_whole = head_len + request.payload.len() <= self.max_whole();
        if !fits_whole && self.csm.is_none() {
            self.waiting.push_back((id, request));
            return;
        }
        let upload = match self.largest_block(head_len + BLOCK_OPTIONS_LEN) {
            _ if fits_whole => None,
            Some(exponent) => Some(Upload::new(exponent)),
            None => {
                let error = RequestError::TooLarge;
                return self.events.push_back(Event::Failed { id, error });
            }
        };
        self.requests.add(&mut self.rng, id, PeerKey::ONLY, request, upload);
        self.send_request(now, id);
    }

    /// The peer has said what it takes.
    pub(super) fn begin_waiting(&mut self, now: Instant) {
        for (id, request) in take(&mut self.waiting) {
            self.begin(now, id, request);
        }
    }

    /// What has not been sent will not be.
    pub(super) fn give_up_waiting(&mut self) {
        let error = RequestError::Closed;
        self.events.extend(self.waiting.drain(..).map(|(id, _)| Event::Failed { id, error }));
    }

    /// The largest blocks that fit into messages which have so many bytes besides.
    pub(super) fn largest_block(&self, besides: usize) -> Option<u8> {
        let room = self.max_whole().checked_sub(besides)?;
        (0..=Block::LARGEST).rev().find(|exponent| Block::at(0, *exponent).size() <= room)
    }

    pub(super) fn protection_len(&self) -> usize {
        if self.protection.is_some() { PROTECTION_LEN } else { 0 }
    }

    /// Sends the request, or its next block, or the request for the next block of its response.
    fn send_request(&mut self, now: Instant, id: RequestId) {
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        let mut message = outgoing.message();
        let at = now + self.config.response_timeout;
        let timer = self.timers.set(at, Timer::AwaitResponse(id));
        if let Some(old) = outgoing.timer.replace(timer) {
            self.timers.stop(old);
        }
        if self.protect(now, &mut message).is_err() {
            self.fail(id, RequestError::Unprotectable);
        } else if !self.try_send(&message, What::Ours) {
            self.fail(id, RequestError::TooLarge);
        }
    }

    fn protect(&mut self, now: Instant, message: &mut Message) -> Result<(), ProtectionError> {
        let Some(protection) = &mut self.protection else { return Ok(()) };
        let Message { code, options, payload, .. } = message;
        let plain = Request { method: *code, options: take(options), payload: take(payload) };
        let (request, binding) = protection.protect_request(now, self.peer, plain)?;
        (*code, *options, *payload) = (request.method, request.options, request.payload);
        self.requests.bind(PeerKey::ONLY, message.token, binding);
        Ok(())
    }

    /// A response or a notification, to whichever request.
    pub(super) fn on_response(&mut self, now: Instant, message: Message) {
        let Message { code, token, options, payload, .. } = message;
        let mut response = Response { code, options, payload };
        let Some(id) = self.requests.find(PeerKey::ONLY, token) else {
            // To what was cancelled meanwhile, perhaps.
            self.stats.ignored += 1;
            return;
        };
        let binding = self.requests.binding(PeerKey::ONLY, token);
        match (&mut self.protection, binding) {
            (None, None) => {}
            (Some(protection), Some(binding)) => {
                match protection.unprotect_response(now, self.peer, binding, response) {
                    UnprotectedResponse::Response(plain) => response = plain,
                    UnprotectedResponse::Repeat => return self.repeat(now, id, token),
                    UnprotectedResponse::Ignore => {
                        self.stats.ignored += 1;
                        return;
                    }
                }
            }
            _ => {
                self.stats.ignored += 1;
                return;
            }
        }
        if self.cancelled.contains(&id) {
            return self.on_cancelled(now, id, &response);
        }
        self.on_plain_response(now, id, token, response);
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
            return self.fail(id, RequestError::Unprotectable);
        }
        self.send_again(now, id);
    }

    /// Sends what is to be sent next, so that what still comes for the last message finds nobody.
    fn send_again(&mut self, now: Instant, id: RequestId) {
        self.requests.renew_token(&mut self.rng, id);
        self.send_request(now, id);
    }

    fn on_plain_response(
        &mut self,
        now: Instant,
        id: RequestId,
        token: Token,
        mut response: Response,
    ) {
        if response.options.check().is_err() {
            return self.fail(id, RequestError::BadResponse);
        }
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        let is_current = outgoing.is_current(token);
        if is_current {
            outgoing.repeats = 0;
            if let Some(timer) = outgoing.timer.take() {
                self.timers.stop(timer);
            }
        }
        if response.code == Code::UNAUTHORIZED
            && outgoing.echo.is_none()
            && outgoing.is_repeated_for(token)
            && let Some(echo) = response.echo_value()
        {
            // RFC 9175 §2.3. Once: a server that is not content with its own value never will be.
            outgoing.echo = Some(echo.clone());
            return self.send_again(now, id);
        }
        if outgoing.is_fetch(token) || outgoing.ask.is_some() && is_current {
            let Some(download) = &mut outgoing.download else { return };
            let step = download.go_on(response, self.config.max_body);
            return self.on_download(now, id, step);
        }
        if let Some(upload) = &mut outgoing.upload
            && !outgoing.answered
        {
            let len = outgoing.request.payload.len();
            if upload.on_response(len, response.code, &response.options) == UploadStep::Send {
                return self.send_again(now, id);
            }
        }
        if outgoing.wants_observing() && !self.is_fresh(now, id, &response) {
            self.stats.ignored += 1;
            return;
        }
        self.begin_body(now, id, response);
    }

    /// Whether a response to an observing request is news.
    ///
    /// On a stream what comes later is newer, whatever its number says (RFC 8323 §7.1). But a
    /// number that the protection vouches for tells also of who has held a message back.
    fn is_fresh(&mut self, now: Instant, id: RequestId, response: &Response) -> bool {
        let Some(outgoing) = self.requests.get_mut(id) else { return false };
        let is_observed = response.code.is_success() && response.options.has(OptionNumber::OBSERVE);
        if !is_observed {
            outgoing.newest = None;
            return true;
        }
        let number = response.options.uint(OptionNumber::OBSERVE).unwrap_or(0);
        let is_old = outgoing.newest.is_some_and(|newest| !newest.is_before(number, now));
        if is_old && self.protection.is_some() {
            return false;
        }
        outgoing.newest = Some(Newest { number, at: now });
        true
    }

    /// Hands a response out, or begins to fetch the rest of it.
    fn begin_body(&mut self, now: Instant, id: RequestId, response: Response) {
        // A notification that comes while the one before is being fetched takes its place.
        self.drop_fetch(id);
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        let max_body = self.config.max_body;
        let step = if response.payload.len() > max_body {
            Err(RequestError::TooLarge)
        } else {
            Download::begin(response, max_body).map(|(download, step)| {
                outgoing.download = download;
                step
            })
        };
        self.on_download(now, id, step);
    }

    fn on_download(
        &mut self,
        now: Instant,
        id: RequestId,
        step: Result<DownloadStep, RequestError>,
    ) {
        match step {
            Ok(DownloadStep::Ask(block)) => {
                if let Some(outgoing) = self.requests.get_mut(id) {
                    outgoing.ask = Some(block);
                    self.send_again(now, id);
                }
            }
            Ok(DownloadStep::Done(response)) => self.deliver(id, response),
            Err(error) => self.fail(id, error),
        }
    }

    fn deliver(&mut self, id: RequestId, mut response: Response) {
        response.options.remove(OptionNumber::BLOCK1);
        response.options.remove(OptionNumber::BLOCK2);
        self.drop_fetch(id);
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        let is_first = !replace(&mut outgoing.answered, true);
        if outgoing.newest.is_none() {
            self.finish(id);
        }
        self.events.push_back(match is_first {
            true => Event::Response { id, response },
            false => Event::Notification { id, response },
        });
    }

    /// Stops fetching the rest of a body.
    fn drop_fetch(&mut self, id: RequestId) {
        let Some(outgoing) = self.requests.get_mut(id) else { return };
        (outgoing.download, outgoing.ask) = (None, None);
        if let Some(timer) = outgoing.timer.take() {
            self.timers.stop(timer);
        }
        self.requests.drop_fetch(id);
    }

    /// Nobody wants to hear of this request any more.
    pub(super) fn withdraw(&mut self, now: Instant, id: RequestId) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
        let Some(outgoing) = self.requests.get(id) else { return };
        if outgoing.newest.is_some() {
            self.deregister(now, id);
        } else if outgoing.wants_observing() {
            self.cancelled.insert(id);
        } else {
            self.finish(id);
        }
    }

    /// The answer to what nobody wants answered any more.
    fn on_cancelled(&mut self, now: Instant, id: RequestId, response: &Response) {
        match response.code.is_success() && response.options.has(OptionNumber::OBSERVE) {
            true => self.deregister(now, id),
            false => {
                self.finish(id);
            }
        }
    }

    /// Ends an observation of ours; the answer to that is of no interest.
    fn deregister(&mut self, now: Instant, id: RequestId) {
        if let Some(outgoing) = self.requests.get(id) {
            let mut message = outgoing.deregistration();
            // What cannot be sent leaves the server notifying; nobody here hears of it.
            if self.protect(now, &mut message).is_err() || !self.try_send(&message, What::Ours) {
                self.stats.ignored += 1;
            }
        }
        self.finish(id);
    }

    /// Forgets a request; `false` if nobody waits for an event of it.
    fn finish(&mut self, id: RequestId) -> bool {
        let Some(outgoing) = self.requests.remove(id) else { return false };
        if let Some(timer) = outgoing.timer {
            self.timers.stop(timer);
        }
        !self.cancelled.remove(&id)
    }

    pub(super) fn fail(&mut self, id: RequestId, error: RequestError) {
        if self.finish(id) {
            self.events.push_back(Event::Failed { id, error });
        }
    }
}
