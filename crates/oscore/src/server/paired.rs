//! Paired credentials: which request opens a context, which gets the current R2 instead.

use std::time::{Duration, Instant};

use rand::{Rng, rngs::StdRng};
use suibi_coap::{Binding, Code, Request, Response, Subject, UnprotectedRequest};

use super::{
    ContextLimits, ContextStats, SERVER_ID,
    allowance::Allowance,
    few::Few,
    table::{Live, Table},
};
use crate::{
    Context, KeyId, Number, OscoreOption, Parameters, RequestId, Secret, UnprotectError,
    nonce::PartialIv,
};

/// R2, the server's half of an ID Context.
pub(super) type Epoch = [u8; 8];

/// How often a context that is not alive is tried, for one credential: keys have to be derived to
/// tell a device's new process from a forgery. Each takes one to ten microseconds.
const OPENING: Allowance = Allowance::new(Duration::from_micros(250), 1_000);

/// What the server knows of a paired credential.
pub(super) struct Paired {
    secret: Secret,
    epoch: Epoch,
    /// The R3s that have opened a context under this R2, whether or not it is still alive.
    remembered: Few<[u8; 8], ()>,
    /// Live contexts by the kid context of their requests.
    live: Few<[u8; 16], u64>,
    opening: Allowance,
}

/// What the credentials of a server share.
pub(super) struct Shared<'a> {
    pub(super) limits: &'a ContextLimits,
    pub(super) rng: &'a mut StdRng,
    pub(super) table: &'a mut Table,
    /// The next Partial IV of a challenge. One counter for all credentials from start to end:
    /// whatever two challenges have in common, it is never this number.
    pub(super) challenges: &'a mut u64,
    pub(super) stats: &'a mut ContextStats,
}

impl Paired {
    pub(super) fn new(secret: Secret, rng: &mut StdRng) -> Self {
        Self {
            secret,
            epoch: rng.random(),
            remembered: Few::new(),
            live: Few::new(),
            opening: OPENING,
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The numbers of its live contexts.
    pub(super) fn contexts(&self) -> impl Iterator<Item = u64> {
        self.live.iter().map(|(_, number)| *number)
    }

    /// A context of this credential died.
    pub(super) fn forget(&mut self, kid_context: &[u8; 16]) {
        self.live.remove(kid_context);
    }

    /// Opens a request: what is alive decides by its window, what is not is made alive if it may be.
    pub(super) fn unprotect(
        &mut self,
        now: Instant,
        kid: KeyId,
        outer: &Request,
        option: &OscoreOption,
        shared: &mut Shared<'_>,
    ) -> Opened {
        // Of this one length only, so that the ID Contexts of messages (16 bytes) and of challenges
        // (24 bytes) can never be the same bytes.
        let kid_context = option.kid_context.as_ref().map(|context| context.as_slice());
        let Some(kid_context) = kid_context.and_then(|context| <[u8; 16]>::try_from(context).ok())
        else {
            shared.stats.refused += 1;
            return Opened::Ignore;
        };
        if let Some(&number) = self.live.get(&kid_context) {
            return unprotect_live(number, outer, option, shared);
        }
        if !self.opening.take(now) {
            shared.stats.limited += 1;
            return Opened::Ignore;
        }
        let mut context = self.derive(kid, &kid_context);
        let Ok((request, id)) = context.unprotect_request(outer, option) else {
            shared.stats.refused += 1;
            return Opened::Ignore;
        };
        let (epoch, r3) = halves(&kid_context);
        if epoch != self.epoch || self.remembered.get(&r3).is_some() {
            return match self.challenge(id, &kid_context, shared) {
                Some(response) => Opened::Challenge(response),
                None => Opened::Ignore,
            };
        }
        shared.stats.verified += 1;
        let number = self.open(Live::new(context, kid, kid_context), r3, shared);
        Opened::Request(request, Binding { context: number, request: id.piv, state: 0 })
    }

    /// Makes a context alive, once and for all under this R2.
    fn open(&mut self, live: Live, r3: [u8; 8], shared: &mut Shared<'_>) -> u64 {
        if self.live.len() >= shared.limits.contexts_each {
            let oldest = self
                .live
                .iter()
                .min_by_key(|(_, number)| shared.table.last_use(*number))
                .map(|(kid_context, number)| (*kid_context, *number));
            if let Some((kid_context, number)) = oldest {
                self.live.remove(&kid_context);
                shared.table.remove(number);
                shared.stats.evicted += 1;
            }
        }
        self.remembered.insert(r3, ());
        if self.remembered.len() >= shared.limits.remembered {
            // Contexts that are alive go on under the old one: they have windows of their own.
            self.epoch = shared.rng.random();
            self.remembered.clear();
            shared.stats.rotated += 1;
        }
        let kid_context = live.kid_context;
        let number = shared.table.insert(live);
        self.live.insert(kid_context, number);
        number
    }

    /// The answer that brings the current R2, to a request that is true but may be an old one.
    ///
    /// Its key is that of ID Context R2 ‖ (the request's), as in response #1 of Appendix B.2: of
    /// 24 bytes, which no message but a challenge has, and with a number that no other challenge
    /// of this process has. Two processes have different R2s. So no nonce is used twice, whatever
    /// was replayed and however often; the request's own nonce is never used.
    ///
    /// (B.2 wraps ID1, R2 and R3 in CBOR byte strings to part them. Here every length is fixed, and
    /// both sides are ours.)
    fn challenge(
        &self,
        request: RequestId,
        kid_context: &[u8; 16],
        shared: &mut Shared<'_>,
    ) -> Option<Response> {
        let number = *shared.challenges;
        if number >= PartialIv::LIMIT {
            return None;
        }
        *shared.challenges += 1;
        shared.stats.challenged += 1;
        let mut context = Context::derive(&Parameters {
            secret: &self.secret,
            salt: b"",
            id_context: Some(&challenge_context(self.epoch, kid_context)),
            sender: SERVER_ID,
            recipient: request.kid,
        })
        .with_next(number);
        let response = Response::new(Code::UNAUTHORIZED);
        context.protect_response(&response, request, Number::Own, Some(&self.epoch)).ok()
    }

    fn derive(&self, kid: KeyId, kid_context: &[u8; 16]) -> Context {
        Context::derive(&Parameters {
            secret: &self.secret,
            salt: b"",
            id_context: Some(kid_context),
            sender: SERVER_ID,
            recipient: kid,
        })
    }
}

/// What came of a request.
pub(super) enum Opened {
    /// To be carried out.
    Request(Request, Binding),
    /// To be answered with this, and not carried out.
    Challenge(Response),
    /// Silence.
    Ignore,
}

impl Opened {
    pub(super) fn of_subject(self, subject: Subject) -> UnprotectedRequest {
        match self {
            Self::Request(request, binding) => {
                UnprotectedRequest::Request { request, binding, subject }
            }
            Self::Challenge(response) => UnprotectedRequest::Respond(response),
            Self::Ignore => UnprotectedRequest::Ignore,
        }
    }
}

/// R2 and R3.
fn halves(kid_context: &[u8; 16]) -> (Epoch, [u8; 8]) {
    let half = |from: usize| std::array::from_fn(|at| kid_context[from + at]);
    (half(0), half(8))
}

/// The ID Context of a challenge: R2, then what the request had.
pub(crate) fn challenge_context(epoch: Epoch, kid_context: &[u8; 16]) -> [u8; 24] {
    let mut id_context = [0; 24];
    id_context[..8].copy_from_slice(&epoch);
    id_context[8..].copy_from_slice(kid_context);
    id_context
}

fn unprotect_live(
    number: u64,
    outer: &Request,
    option: &OscoreOption,
    shared: &mut Shared<'_>,
) -> Opened {
    let live = shared.table.get_mut(number).expect("what a credential calls alive is in the table");
    match live.context.unprotect_request(outer, option) {
        Ok((request, id)) => {
            // Only now: a forgery keeps nothing alive.
            shared.table.touch(number);
            shared.stats.verified += 1;
            Opened::Request(request, Binding { context: number, request: id.piv, state: 0 })
        }
        Err(UnprotectError::Replayed) => {
            shared.stats.replayed += 1;
            Opened::Ignore
        }
        Err(_) => {
            shared.stats.refused += 1;
            Opened::Ignore
        }
    }
}
