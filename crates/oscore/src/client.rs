//! The client's side: keys of its own for every process, and what the server says about them.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use suibi_coap::{
    Binding, Code, Peer, Protection, ProtectionError, Request, Response, UnprotectedResponse,
};

use crate::{
    Context, KeyId, OscoreOption, Parameters, ProtectError, RequestId, SERVER_ID, Secret,
    server::paired::challenge_context,
};

/// Contexts that were current before and may still get answers.
const MAX_BEFORE: usize = 4;

/// A paired credential in one process of a client; clones are the same.
///
/// The ID Context of its messages is R2 ‖ R3: R2 as the server gave it last, remembered from
/// process to process, and R3 drawn by this process. The first request goes out at once. If the
/// server has another R2 by now, its answer is a challenge that brings it; the request is then sent
/// once more under new keys. Without a remembered R2 the ID Context is 16 random bytes, whose only
/// use is to be challenged. [`ServerContexts`](crate::ServerContexts) has the server's rules, and
/// says why this is safe.
///
/// - No two processes share keys, as R3 is random: a copied directory or an old one harms nothing.
/// - R2 is taken from a challenge only when that has verified. It is bound to our request by key
///   (its ID Context is R2 ‖ ours) and by number (§5.4), so no other challenge does instead.
/// - After each challenge R3 is drawn anew, even if R2 is the one we had: the server remembers the
///   old R3 then, and will not open it again.
/// - The kid context goes with every request, as the server finds contexts by it. That costs 17
///   bytes a message and keeps both sides without a state "it is known by now" to disagree about.
/// - What does not verify is as if it had not come, so that a forger ends nothing;
///   [`hint`](Self::hint) remembers that something came.
#[derive(Clone)]
pub struct ClientContext(Arc<Mutex<State>>);

/// Something came that proves nothing, as anybody could have sent it; may help to explain silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// An answer without protection, with this code: perhaps an error of a server that does not
    /// know the credential (RFC 8613 §8.2), perhaps another kind of server.
    Unprotected(Code),
    /// A protected answer that does not verify: perhaps of a server with another secret.
    Unverifiable,
}

struct State {
    id: KeyId,
    secret: Secret,
    epoch: Option<[u8; 8]>,
    rng: StdRng,
    current: Keys,
    /// Newest last.
    before: VecDeque<Keys>,
    /// How many contexts there have been.
    made: u64,
    hint: Option<Hint>,
}

/// A context with what tells it from the others.
struct Keys {
    /// In bindings.
    number: u64,
    kid_context: [u8; 16],
    context: Context,
}

impl ClientContext {
    /// The context of this process for that credential.
    ///
    /// `epoch`: the R2 that [`epoch`](Self::epoch) gave last, or the join. `seed`: from the
    /// system's randomness, never used before: R3s are drawn from it, and that no nonce is used
    /// twice hangs on that.
    ///
    /// # Panics
    /// If `id` is [`SERVER_ID`].
    pub fn new(id: KeyId, secret: Secret, epoch: Option<[u8; 8]>, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let current = Keys::derive(1, id, &secret, epoch, &mut rng);
        let before = VecDeque::new();
        Self(Arc::new(Mutex::new(State {
            id,
            secret,
            epoch,
            rng,
            current,
            before,
            made: 1,
            hint: None,
        })))
    }

    /// The newest R2 that the server proved, to be remembered for the next process. No secret.
    pub fn epoch(&self) -> Option<[u8; 8]> {
        self.lock().epoch
    }

    /// The newest thing that came and proves nothing, unless something true has come since.
    pub fn hint(&self) -> Option<Hint> {
        self.lock().hint
    }

    /// For an endpoint that asks this server alone.
    pub fn protection(&self) -> Box<dyn Protection> {
        Box::new(ClientProtection(self.clone()))
    }

    /// Numbers are taken before they are used, so a panic elsewhere leaves nothing to use twice.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ClientContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("ClientContext")
            .field("id", &state.id)
            .field("contexts", &state.made)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct ClientProtection(ClientContext);

/// The half of who asks. Nobody has anything to ask a client; above all not what it has asked itself
/// (a request sent back to where it came from).
impl Protection for ClientProtection {
    fn protect_request(
        &mut self,
        _: Instant,
        _: Peer,
        request: Request,
    ) -> Result<(Request, Binding), ProtectionError> {
        self.0.lock().protect(&request).map_err(|_| ProtectionError)
    }

    fn unprotect_response(
        &mut self,
        _: Instant,
        _: Peer,
        binding: &mut Binding,
        response: Response,
    ) -> UnprotectedResponse {
        self.0.lock().unprotect(binding, &response)
    }
}

impl State {
    fn protect(&mut self, request: &Request) -> Result<(Request, Binding), ProtectError> {
        let protected = match self.current.context.protect_request(request, true) {
            Err(ProtectError::NumbersUsedUp) => {
                self.renew();
                self.current.context.protect_request(request, true)
            }
            protected => protected,
        };
        let (request, id) = protected?;
        Ok((request, Binding { context: self.current.number, request: id.piv, state: NOTHING }))
    }

    fn unprotect(&mut self, binding: &mut Binding, outer: &Response) -> UnprotectedResponse {
        let option = match OscoreOption::of(&outer.options) {
            // An answer need not name its sender (§8.3); one that does may name nobody else.
            Some(Ok(option)) if option.kid.is_none_or(|kid| kid == SERVER_ID) => option,
            Some(_) => return self.ignore(Hint::Unverifiable),
            None => return self.ignore(Hint::Unprotected(outer.code)),
        };
        let Some(keys) = self.keys(binding.context) else { return UnprotectedResponse::Ignore };
        let id = RequestId { kid: self.id, piv: binding.request };
        if let Some(kid_context) = &option.kid_context {
            let epoch = <[u8; 8]>::try_from(kid_context.as_slice()).ok();
            // A challenge has a number of its own always: the request's nonce is not for it.
            let epoch = epoch.filter(|_| option.partial_iv.is_some());
            return match epoch.filter(|epoch| keys.verify(&self.secret, *epoch, id, outer)) {
                Some(epoch) => self.on_challenge(binding.context, epoch),
                None => self.ignore(Hint::Unverifiable),
            };
        }
        match keys.context.unprotect_response(outer, id, newest(binding.state)) {
            Ok((_, None)) if binding.state != NOTHING => UnprotectedResponse::Ignore,
            Ok((response, number)) => {
                binding.state = number.map_or(UNNUMBERED, |number| number + FIRST_NUMBERED);
                self.hint = None;
                UnprotectedResponse::Response(response)
            }
            Err(_) => self.ignore(Hint::Unverifiable),
        }
    }

    /// The server wants this request once more under R2 as it is now.
    ///
    /// When several requests were under way, each gets its challenge: the first changes the keys,
    /// the others are sent again under those. Should R2 have changed in between once more, they
    /// get another challenge.
    fn on_challenge(&mut self, context: u64, epoch: [u8; 8]) -> UnprotectedResponse {
        self.hint = None;
        if context == self.current.number {
            self.epoch = Some(epoch);
            self.renew();
        }
        UnprotectedResponse::Repeat
    }

    /// Keys with a new R3.
    fn renew(&mut self) {
        self.made += 1;
        let next = Keys::derive(self.made, self.id, &self.secret, self.epoch, &mut self.rng);
        self.before.push_back(std::mem::replace(&mut self.current, next));
        if self.before.len() > MAX_BEFORE {
            self.before.pop_front();
        }
    }

    fn keys(&self, number: u64) -> Option<&Keys> {
        std::iter::once(&self.current)
            .chain(self.before.iter().rev())
            .find(|keys| keys.number == number)
    }

    fn ignore(&mut self, hint: Hint) -> UnprotectedResponse {
        self.hint = Some(hint);
        UnprotectedResponse::Ignore
    }
}

impl Keys {
    fn derive(
        number: u64,
        id: KeyId,
        secret: &Secret,
        epoch: Option<[u8; 8]>,
        rng: &mut StdRng,
    ) -> Self {
        let mut kid_context: [u8; 16] = rng.random();
        if let Some(epoch) = epoch {
            kid_context[..8].copy_from_slice(&epoch);
        }
        let context = Context::derive(&Parameters {
            secret,
            salt: b"",
            id_context: Some(&kid_context),
            sender: id,
            recipient: SERVER_ID,
        });
        Self { number, kid_context, context }
    }

    /// Whether this is the server's challenge to that request, with this R2.
    fn verify(&self, secret: &Secret, epoch: [u8; 8], id: RequestId, outer: &Response) -> bool {
        let context = Context::derive(&Parameters {
            secret,
            salt: b"",
            id_context: Some(&challenge_context(epoch, &self.kid_context)),
            sender: id.kid,
            recipient: SERVER_ID,
        });
        context.unprotect_response(outer, id, None).is_ok()
    }
}

/// `Binding::state`: no answer has come.
const NOTHING: u64 = 0;
/// One without a number of its own has come, which no other may follow (it had the request's).
const UNNUMBERED: u64 = 1;
/// This and above: the newest number of those that have come, plus this.
const FIRST_NUMBERED: u64 = 2;

/// The number that the next notification has to exceed (§7.4.1).
fn newest(state: u64) -> Option<u64> {
    state.checked_sub(FIRST_NUMBERED)
}
