//! The server's side: which context a request belongs to, and whether it may be carried out.

mod allowance;
mod few;
mod fixed;
pub(crate) mod paired;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rand::{SeedableRng, rngs::StdRng};
use suibi_coap::{
    Binding, Code, OptionNumber, Peer, Protection, Request, Response, Subject, UnprotectedRequest,
};

use crate::{KeyId, Number, OscoreOption, RequestId, Secret};
use fixed::Fixed;
use paired::{Paired, Shared};
use table::Table;

pub use fixed::FixedContext;

/// The server's id in all its contexts.
pub const SERVER_ID: KeyId = KeyId::from_slice(b"s").expect("one byte");

/// All contexts of a server, for all its endpoints: clones are the same.
///
/// # Paired credentials
///
/// A credential is never itself a message key. Each process of a client derives keys of its own
/// from it, in the manner of RFC 8613 Appendix B.2: the ID Context of its messages is R2 ‖ R3,
/// eight random bytes of ours and eight of the client's. In plain B.2 the client asks for R2 at
/// each start. Here it remembers R2 from the last time, and leaves that round trip out as long as
/// we have not changed it:
///
/// ```text
///  request names             we have                                     we do
///  ─────────────────────────────────────────────────────────────────────────────────────────────
///  unknown kid               nothing                                     nothing
///  R2 ‖ R3                   a live context of that name                 window, then carry out
///  R2 ‖ R3, R2 is current    R3 not remembered                           remember R3, carry out
///  R2 ‖ R3, R2 is current    R3 remembered, its context gone             challenge
///  anything else             the credential                              challenge
/// ```
///
/// Everything is verified first; what does not verify gets silence, as does a replay. (RFC 8613
/// §8.2 lets a server answer with an unprotected error; that would tell a stranger which ids there
/// are, and send traffic to whom he names.)
///
/// A challenge is a protected 4.01 with the current R2 as its kid context: response #1 of B.2. The
/// request is not carried out.
///
/// ## Why no request is carried out twice
///
/// A request is carried out in a live context whose replay window has just taken its number (§7.4),
/// and a window lives as long as its context. A context comes alive only under the current R2 and
/// an R3 that is not remembered, and R3 is remembered then for as long as R2 is current. So one
/// name is alive at most once, under an R2 that was drawn at random after our start: a request that
/// was recorded before it names an R2 that is none any more. Losing a context, or all of them, only
/// ever leads to a challenge.
///
/// ## Why no nonce is used twice
///
/// - By us in a live context: an answer uses the request's nonce only while that number is unspent
///   in a window for exactly this, once; all others have a number of our own, from a counter that
///   lives and dies with the context. As one name is alive at most once, there is no second counter.
/// - By us in a challenge: see the ID Context there (24 bytes, with the current R2), and the one
///   counter of all challenges since the start. The request's nonce is never used, as it may be an
///   old one that has been answered.
/// - By the client: R3 is drawn by each process, so no two of them share keys, whatever copy of a
///   disk they came from; in one process numbers only rise.
///
/// All of this hangs on R2 and R3 being random. Nothing hangs on what is stored, so nothing breaks
/// when an old copy of it comes back. A machine resumed twice from one picture of its memory is
/// beyond that.
///
/// # Fixed contexts
///
/// For foreign clients that have one context for ever (Appendix B.1): see [`FixedContext`]. Our own
/// numbers are used only up to what the caller has stored ([`poll_reservation`]); after a start
/// nothing is carried out before the client has sent an Echo value of this start (B.1.2). Every
/// answer has a number of our own. The client's numbers are the client's to keep: one that goes
/// back to an old copy of its state breaks its half of the context, as RFC 8613 §7.5 says; ours
/// holds, since a request's nonce is never used again for an answer.
///
/// [`poll_reservation`]: Self::poll_reservation
///
/// # Bounds
///
/// [`ContextLimits`]; besides, 4,000 attempts a second to open a context that is not alive,
/// per credential: forgeries cost a few percent of a core at most, and who wants to keep new
/// processes of a device out has to send more than that.
#[derive(Clone)]
pub struct ServerContexts(Arc<Mutex<State>>);

/// How much a server keeps of its paired credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextLimits {
    /// Live contexts in all; then the one that was used least lately dies. Default: 65,536.
    pub contexts: usize,
    /// Live contexts of one credential; the same. At least 1. Default: 256.
    pub contexts_each: usize,
    /// R3s that are remembered for one credential; then its R2 is changed. Default: 1,024.
    pub remembered: usize,
}

impl Default for ContextLimits {
    fn default() -> Self {
        Self { contexts: 65_536, contexts_each: 256, remembered: 1_024 }
    }
}

/// Counts since the start, but for `contexts`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContextStats {
    /// Live contexts of paired credentials.
    pub contexts: u64,
    /// Requests that were let through.
    pub verified: u64,
    /// Requests without protection.
    pub unprotected: u64,
    /// Requests with an id that nobody has.
    pub unknown: u64,
    /// Requests that did not verify, or cannot be read.
    pub refused: u64,
    /// Requests whose number was seen before.
    pub replayed: u64,
    /// Requests that were true and got a challenge.
    pub challenged: u64,
    /// Requests beyond what may be tried to open contexts.
    pub limited: u64,
    /// Contexts that made room for others.
    pub evicted: u64,
    /// R2s that were changed because too many R3s had to be remembered.
    pub rotated: u64,
    /// Requests and answers for which no number was reserved, or that came faster than numbers may
    /// be used.
    pub numberless: u64,
}

struct State {
    limits: ContextLimits,
    rng: StdRng,
    credentials: BTreeMap<KeyId, Credential>,
    ids: BTreeMap<Subject, KeyId>,
    table: Table,
    /// Fixed contexts by the number in their bindings, which has [`FIXED`] set.
    fixed: BTreeMap<u64, KeyId>,
    /// Fixed contexts that may have something to reserve.
    to_reserve: BTreeSet<KeyId>,
    fixed_made: u64,
    challenges: u64,
    stats: ContextStats,
}

/// Tells numbers of fixed contexts from those of the table.
const FIXED: u64 = 1 << 63;

struct Credential {
    subject: Subject,
    keys: Keys,
}

enum Keys {
    Paired(Paired),
    Fixed(Box<Fixed>),
}

impl ServerContexts {
    /// No credentials yet. `seed`: from the system's randomness, new at each start; R2s and Echo
    /// values are drawn from it, and everything said above hangs on that.
    pub fn new(seed: [u8; 32]) -> Self {
        Self::with_limits(seed, ContextLimits::default())
    }

    /// The same, with other limits.
    pub fn with_limits(seed: [u8; 32], limits: ContextLimits) -> Self {
        Self(Arc::new(Mutex::new(State {
            limits,
            rng: StdRng::from_seed(seed),
            credentials: BTreeMap::new(),
            ids: BTreeMap::new(),
            table: Table::default(),
            fixed: BTreeMap::new(),
            to_reserve: BTreeSet::new(),
            fixed_made: 0,
            challenges: 0,
            stats: ContextStats::default(),
        })))
    }

    /// Takes in the credential of a device of ours, or of an invite; its R2 is drawn now.
    ///
    /// What the subject or the id stood for before is removed. Must not have [`SERVER_ID`] for its
    /// id, or both sides had the same keys; it is left out then.
    pub fn add_paired(&self, subject: Subject, id: KeyId, secret: Secret) {
        let state = &mut *self.lock();
        if state.make_room(subject, id) {
            let paired = Paired::new(secret, &mut state.rng);
            state.insert(subject, id, Keys::Paired(paired));
        }
    }

    /// Takes in the context of a foreign client; as with [`add_paired`](Self::add_paired).
    ///
    /// If it replaces one with the same keys, its numbers go on from the higher of the two.
    pub fn add_fixed(&self, subject: Subject, fixed: FixedContext) {
        let state = &mut *self.lock();
        let id = fixed.id;
        let before = match state.credentials.get(&id) {
            Some(Credential { keys: Keys::Fixed(_), .. }) => state.remove_id(id),
            _ => None,
        };
        if state.make_room(subject, id) {
            state.fixed_made += 1;
            let number = FIXED | state.fixed_made;
            let mut fixed = Fixed::new(number, fixed, &mut state.rng);
            if let Some(Keys::Fixed(before)) = before {
                fixed = fixed.after(&before);
            }
            state.fixed.insert(number, id);
            state.to_reserve.insert(id);
            state.insert(subject, id, Keys::Fixed(Box::new(fixed)));
        }
    }

    /// Forgets a credential. Its contexts die at once: requests get silence, and answers to
    /// requests that are being carried out do not go.
    pub fn remove(&self, subject: Subject) {
        let state = &mut *self.lock();
        if let Some(&id) = state.ids.get(&subject) {
            state.remove_id(id);
        }
    }

    /// The current R2 of a paired credential: who knows it needs no challenge first. No secret.
    pub fn epoch(&self, subject: Subject) -> Option<[u8; 8]> {
        let state = self.lock();
        match &state.credentials.get(state.ids.get(&subject)?)?.keys {
            Keys::Paired(paired) => Some(paired.epoch()),
            Keys::Fixed(_) => None,
        }
    }

    /// Numbers of a fixed context that are to be stored as used, up to this one, exclusively;
    /// then [`reserved`](Self::reserved) is to be called. Asked for once, when half of the last
    /// 1,024 are used; answers that find none reserved do not go.
    ///
    /// To be drained after requests and answers.
    pub fn poll_reservation(&self) -> Option<(Subject, u64)> {
        let state = &mut *self.lock();
        while let Some(id) = state.to_reserve.pop_first() {
            if let Some(Credential { subject, keys: Keys::Fixed(fixed) }) =
                state.credentials.get_mut(&id)
                && let Some(up_to) = fixed.poll_reservation()
            {
                return Some((*subject, up_to));
            }
        }
        None
    }

    /// The numbers below `up_to` are stored as used. If they could not be stored: the last value
    /// that was, so that they are asked for again.
    pub fn reserved(&self, subject: Subject, up_to: u64) {
        let state = &mut *self.lock();
        let Some(id) = state.ids.get(&subject) else { return };
        if let Some(Credential { keys: Keys::Fixed(fixed), .. }) = state.credentials.get_mut(id) {
            fixed.reserve(up_to);
            state.to_reserve.insert(*id);
        }
    }

    /// What happened so far.
    pub fn stats(&self) -> ContextStats {
        let state = self.lock();
        ContextStats { contexts: state.table.len() as u64, ..state.stats }
    }

    /// For an endpoint; any number of them, with this same state behind.
    pub fn protection(&self) -> Box<dyn Protection> {
        Box::new(ServerProtection(self.clone()))
    }

    /// A panic elsewhere leaves no context in a state that uses a nonce twice: numbers are taken
    /// before they are used.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServerContexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerContexts").field(&self.stats()).finish()
    }
}

#[derive(Debug)]
struct ServerProtection(ServerContexts);

/// The half of who is asked.
impl Protection for ServerProtection {
    /// The address plays no part: a device that changes networks just goes on.
    fn unprotect_request(&mut self, now: Instant, _: Peer, request: Request) -> UnprotectedRequest {
        self.0.lock().unprotect(now, &request)
    }

    fn protect_response(
        &mut self,
        now: Instant,
        binding: &mut Binding,
        response: Response,
        observe: Option<u32>,
    ) -> Option<Response> {
        let is_notification = observe.is_some() || response.options.has(OptionNumber::OBSERVE);
        self.0.lock().protect(now, *binding, &response, is_notification)
    }
}

impl State {
    fn unprotect(&mut self, now: Instant, outer: &Request) -> UnprotectedRequest {
        let Some(option) = OscoreOption::of(&outer.options) else {
            self.stats.unprotected += 1;
            return UnprotectedRequest::Respond(Response::new(Code::UNAUTHORIZED));
        };
        let Some((kid, option)) = option.ok().and_then(|option| Some((option.kid?, option))) else {
            self.stats.refused += 1;
            return UnprotectedRequest::Ignore;
        };
        let Some(credential) = self.credentials.get_mut(&kid) else {
            self.stats.unknown += 1;
            return UnprotectedRequest::Ignore;
        };
        let subject = credential.subject;
        let opened = match &mut credential.keys {
            Keys::Fixed(fixed) => {
                let opened = fixed.unprotect(now, outer, &option, &mut self.stats);
                self.to_reserve.insert(kid);
                opened
            }
            Keys::Paired(paired) => {
                let shared = &mut Shared {
                    limits: &self.limits,
                    rng: &mut self.rng,
                    table: &mut self.table,
                    challenges: &mut self.challenges,
                    stats: &mut self.stats,
                };
                paired.unprotect(now, kid, outer, &option, shared)
            }
        };
        if self.table.len() > self.limits.contexts {
            self.evict_oldest();
        }
        opened.of_subject(subject)
    }

    fn protect(
        &mut self,
        now: Instant,
        binding: Binding,
        response: &Response,
        is_notification: bool,
    ) -> Option<Response> {
        let Binding { context, request, .. } = binding;
        if let Some(id) = self.fixed.get(&context) {
            let keys = &mut self.credentials.get_mut(id)?.keys;
            let Keys::Fixed(fixed) = keys else { return None };
            self.to_reserve.insert(*id);
            return fixed.protect(now, request, response, &mut self.stats);
        }
        let live = self.table.get_mut(context)?;
        let is_first = live.spend(request);
        // A notification has a number of its own (§4.1.3.5.2), and so has all that follows it.
        let number = if is_first && !is_notification { Number::OfRequest } else { Number::Own };
        let id = RequestId { kid: live.kid, piv: request };
        live.context.protect_response(response, id, number, None).ok()
    }

    /// Removes what stands in the way; false if this id cannot be taken at all.
    fn make_room(&mut self, subject: Subject, id: KeyId) -> bool {
        if let Some(&before) = self.ids.get(&subject) {
            self.remove_id(before);
        }
        self.remove_id(id);
        if id == SERVER_ID {
            tracing::error!(%id, "a credential with the server's own id is left out");
        }
        id != SERVER_ID
    }

    fn insert(&mut self, subject: Subject, id: KeyId, keys: Keys) {
        self.ids.insert(subject, id);
        self.credentials.insert(id, Credential { subject, keys });
    }

    fn remove_id(&mut self, id: KeyId) -> Option<Keys> {
        let Credential { subject, keys } = self.credentials.remove(&id)?;
        self.ids.remove(&subject);
        match &keys {
            Keys::Paired(paired) => paired.contexts().for_each(|number| {
                self.table.remove(number);
            }),
            Keys::Fixed(fixed) => {
                self.fixed.remove(&fixed.number());
            }
        }
        Some(keys)
    }

    fn evict_oldest(&mut self) {
        let Some(live) = self.table.oldest().and_then(|number| self.table.remove(number)) else {
            return;
        };
        self.stats.evicted += 1;
        if let Some(Credential { keys: Keys::Paired(paired), .. }) =
            self.credentials.get_mut(&live.kid)
        {
            paired.forget(&live.kid_context);
        }
    }
}
