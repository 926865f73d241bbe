//! The gate before every protected door: what is proved, and still does not come in.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use suibi_coap::{
    Binding, Code, Peer, Protection, ProtectionError, Request, Response, Subject,
    UnprotectedRequest, UnprotectedResponse,
};

use crate::caller::LOCAL;

/// So many refusals are remembered until somebody asks for them.
const MAX_REFUSED: usize = 64;

/// What every device is told from the moment on that it is revoked.
pub(crate) const REVOKED: &str = "this device was revoked";

/// Turns away who was revoked, and the owner's own credential from other machines.
///
/// It stands right behind the keys: each datagram passes it, a block of a large body too, and nothing of a revoked
/// device ever becomes a request. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    revoked: BTreeSet<Subject>,
    refused: Vec<(Subject, Peer)>,
}

impl Gate {
    /// From now on nothing of this one comes in.
    pub(crate) fn revoke(&self, subject: Subject) {
        self.state().revoked.insert(subject);
    }

    /// Who was turned away since this was asked last: some of them, where there were many.
    pub(crate) fn take_refused(&self) -> Vec<(Subject, Peer)> {
        std::mem::take(&mut self.state().refused)
    }

    /// The same protection behind this gate.
    pub(crate) fn before(&self, inner: Box<dyn Protection>) -> Box<dyn Protection> {
        Box::new(Gated { gate: self.clone(), inner })
    }

    fn refuses(&self, subject: Subject, peer: Peer) -> bool {
        let mut state = self.state();
        let is_revoked = state.revoked.contains(&subject);
        if is_revoked && state.refused.len() < MAX_REFUSED {
            state.refused.push((subject, peer));
        }
        is_revoked
    }

    /// Nothing is left half done where this is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Gated {
    gate: Gate,
    inner: Box<dyn Protection>,
}

impl Protection for Gated {
    fn protect_request(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Request,
    ) -> Result<(Request, Binding), ProtectionError> {
        self.inner.protect_request(now, peer, request)
    }

    fn unprotect_response(
        &mut self,
        now: Instant,
        peer: Peer,
        binding: &mut Binding,
        response: Response,
    ) -> UnprotectedResponse {
        self.inner.unprotect_response(now, peer, binding, response)
    }

    fn unprotect_request(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Request,
    ) -> UnprotectedRequest {
        let unprotected = self.inner.unprotect_request(now, peer, request);
        let UnprotectedRequest::Request { mut binding, subject, .. } = unprotected else {
            return unprotected;
        };
        if subject == LOCAL && !peer.address.ip().to_canonical().is_loopback() {
            return UnprotectedRequest::Ignore;
        }
        if !self.gate.refuses(subject, peer) {
            return unprotected;
        }
        let refusal = Response::diagnostic(Code::FORBIDDEN, REVOKED);
        match self.inner.protect_response(now, &mut binding, refusal, None) {
            Some(refusal) => UnprotectedRequest::Respond(refusal),
            None => UnprotectedRequest::Ignore,
        }
    }

    fn protect_response(
        &mut self,
        now: Instant,
        binding: &mut Binding,
        response: Response,
        observe: Option<u32>,
    ) -> Option<Response> {
        self.inner.protect_response(now, binding, response, observe)
    }
}
