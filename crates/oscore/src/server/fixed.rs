//! Fixed contexts of foreign clients: numbers reserved ahead, Echo after a start (Appendix B.1).

use std::time::{Duration, Instant};

use rand::{Rng, rngs::StdRng};
use suibi_coap::{Binding, Code, OptionNumber, Request, Response};

use super::{ContextStats, SERVER_ID, allowance::Allowance, paired::Opened};
use crate::{
    Context, KeyId, Number, OscoreOption, Parameters, ReplayWindow, RequestId, Secret,
    UnprotectError,
};

/// How many numbers are reserved at once; the next ones are asked for when half of them are used.
const CHUNK: u64 = 1_024;
/// How often a request is answered with an Echo value before the client is known to be there: each
/// such answer takes a number, and a recorded request can be sent again and again until then. Below
/// the thousand a second by which a restored server gets ahead of what it has used.
const CHALLENGES: Allowance = Allowance::new(Duration::from_millis(5), 100);

/// How fast own numbers are used up at most: no faster than a number that grows by one each millisecond, but for
/// about a second's worth at once. See [`FixedContext::next`].
const PACE: Allowance = Allowance::new(Duration::from_millis(1), 1_024);

/// The one context that a foreign client has, for ever.
///
/// Every answer has a number of our own, never the request's: a client that was restored counts its
/// requests anew, and what its window says is worth no more than its memory then.
pub struct FixedContext {
    /// The client's id.
    pub id: KeyId,
    /// The Master Secret.
    pub secret: Secret,
    /// The Master Salt; may be empty.
    pub salt: Vec<u8>,
    /// Our own numbers go on from here. Never one that may have been used: what was reserved last,
    /// or a number that grows by one each millisecond, whichever is higher. Numbers are used no
    /// faster than that, but for 1,024 at once: so a server that was put back to an older copy of
    /// itself and starts again a second later is above all that it has used.
    pub next: u64,
    /// Up to here, exclusively, they may be used; equal to `next` when none are reserved yet.
    pub reserved: u64,
}

impl std::fmt::Debug for FixedContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FixedContext")
            .field("id", &self.id)
            .field("secret", &self.secret)
            .field("next", &self.next)
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}

pub(super) struct Fixed {
    /// By which bindings find it.
    number: u64,
    secret: Secret,
    salt: Vec<u8>,
    context: Context,
    reserved: u64,
    /// What the caller was asked to reserve; not above `reserved`: nothing.
    asked: u64,
    /// The Echo value that proves the client to be there now; `None` from then on.
    awaited: Option<[u8; 8]>,
    challenges: Allowance,
    pace: Allowance,
}

impl Fixed {
    pub(super) fn new(number: u64, fixed: FixedContext, rng: &mut StdRng) -> Self {
        let FixedContext { id, secret, salt, next, reserved } = fixed;
        let context = Context::derive(&Parameters {
            secret: &secret,
            salt: &salt,
            id_context: None,
            sender: SERVER_ID,
            recipient: id,
        })
        .with_next(next);
        Self {
            number,
            secret,
            salt,
            context,
            reserved,
            asked: 0,
            awaited: Some(rng.random()),
            challenges: CHALLENGES,
            pace: PACE,
        }
    }

    /// Goes on where this one stands, if it has the same keys.
    pub(super) fn after(mut self, before: &Self) -> Self {
        if self.secret == before.secret && self.salt == before.salt {
            let next = self.context.next_number().max(before.context.next_number());
            self.context = self.context.with_next(next);
            self.pace = before.pace;
        }
        self
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Opens a request (Appendix B.1.2).
    pub(super) fn unprotect(
        &mut self,
        now: Instant,
        outer: &Request,
        option: &OscoreOption,
        stats: &mut ContextStats,
    ) -> Opened {
        // Its ID Context is empty: a kid context names another one.
        if option.kid_context.is_some() {
            stats.refused += 1;
            return Opened::Ignore;
        }
        // What could not be answered is not carried out; the client sends it once more.
        if !self.has_number(now) {
            stats.numberless += 1;
            return Opened::Ignore;
        }
        let opened = match self.awaited {
            None => self.context.unprotect_request(outer, option),
            Some(_) => self.context.verify_request(outer, option),
        };
        let (mut request, id) = match opened {
            Ok(opened) => opened,
            Err(UnprotectError::Replayed) => {
                stats.replayed += 1;
                return Opened::Ignore;
            }
            Err(_) => {
                stats.refused += 1;
                return Opened::Ignore;
            }
        };
        if let Some(echo) = self.awaited {
            if request.echo_value().is_none_or(|value| **value != echo) {
                return self.challenge(now, id, echo, stats);
            }
            // Made after our start; what was made before it has a lower number.
            self.awaited = None;
            *self.context.window() = ReplayWindow::after(id.piv);
            request.options.remove(OptionNumber::ECHO);
        }
        stats.verified += 1;
        Opened::Request(request, Binding { context: self.number, request: id.piv, state: 0 })
    }

    /// 4.01 with an Echo value that only the client can read.
    fn challenge(
        &mut self,
        now: Instant,
        request: RequestId,
        echo: [u8; 8],
        stats: &mut ContextStats,
    ) -> Opened {
        if !self.challenges.take(now) {
            stats.limited += 1;
            return Opened::Ignore;
        }
        stats.challenged += 1;
        self.pace.take(now);
        let response = Response::new(Code::UNAUTHORIZED).echo(&echo);
        self.context
            .protect_response(&response, request, Number::Own, None)
            .map_or(Opened::Ignore, Opened::Challenge)
    }

    pub(super) fn protect(
        &mut self,
        now: Instant,
        request: u64,
        response: &Response,
        stats: &mut ContextStats,
    ) -> Option<Response> {
        if !self.has_number(now) {
            stats.numberless += 1;
            return None;
        }
        self.pace.take(now);
        let id = RequestId { kid: self.context.recipient(), piv: request };
        self.context.protect_response(response, id, Number::Own, None).ok()
    }

    fn has_number(&self, now: Instant) -> bool {
        self.context.next_number() < self.reserved && self.pace.is_left(now)
    }

    /// What has to be reserved now, asked for once.
    pub(super) fn poll_reservation(&mut self) -> Option<u64> {
        let next = self.context.next_number();
        if self.asked > self.reserved || next + CHUNK / 2 < self.reserved {
            return None;
        }
        self.asked = next.max(self.reserved) + CHUNK;
        Some(self.asked)
    }

    pub(super) fn reserve(&mut self, up_to: u64) {
        self.reserved = self.reserved.max(up_to);
        self.asked = 0;
    }
}
