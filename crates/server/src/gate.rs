//! The gate before every protected door: what is proved, and still does not come in.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use suibi_coap::{Binding, Code, Peer, Protection, Request, Response, Subject, UnprotectedRequest};
use suibi_journal::admission::DEVICE_REVOKED;

use crate::caller::LOCAL;

/// So many refusals are remembered until somebody asks for them.
const MAX_REFUSED: usize = 64;

/// What every device is told from the moment on that it is revoked.
pub(crate) fn revoked() -> Response {
    Response::diagnostic(Code::FORBIDDEN, DEVICE_REVOKED)
}

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
        match self.inner.protect_response(now, &mut binding, revoked(), None) {
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::caller::of_device;

    /// Protects nothing, and takes everybody for `subject`.
    #[derive(Debug)]
    struct Open(Subject);

    impl Protection for Open {
        fn unprotect_request(
            &mut self,
            _: Instant,
            _: Peer,
            request: Request,
        ) -> UnprotectedRequest {
            let binding = Binding { context: 1, request: 2, state: 3 };
            UnprotectedRequest::Request { request, binding, subject: self.0 }
        }

        fn protect_response(
            &mut self,
            _: Instant,
            binding: &mut Binding,
            response: Response,
            _: Option<u32>,
        ) -> Option<Response> {
            assert_eq!(binding.request, 2, "the answer belongs to the request");
            Some(response)
        }
    }

    fn ask(gate: &Gate, subject: Subject, address: &str) -> UnprotectedRequest {
        let peer = Peer::from(address.parse::<SocketAddr>().unwrap());
        let request = Request::new(Code::GET);
        gate.before(Box::new(Open(subject))).unprotect_request(Instant::now(), peer, request)
    }

    fn is_let_in(gate: &Gate, subject: Subject, address: &str) -> bool {
        matches!(ask(gate, subject, address), UnprotectedRequest::Request { .. })
    }

    #[test]
    fn the_owners_credential_counts_on_loopback_alone() {
        let gate = Gate::default();
        for address in ["127.0.0.1:5", "127.8.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert!(is_let_in(&gate, LOCAL, address), "{address}");
        }
        for address in ["192.0.2.1:5", "[2001:db8::1]:5", "[::ffff:192.0.2.1]:5", "0.0.0.0:5"] {
            assert_eq!(ask(&gate, LOCAL, address), UnprotectedRequest::Ignore, "{address}");
        }
        assert!(is_let_in(&gate, of_device(1), "192.0.2.1:5"));
    }

    #[test]
    fn who_is_revoked_hears_it_and_the_trail_hears_of_some() {
        let gate = Gate::default();
        gate.revoke(of_device(1));
        let UnprotectedRequest::Respond(refusal) = ask(&gate, of_device(1), "192.0.2.1:5") else {
            panic!("let in");
        };
        assert_eq!(refusal, revoked());
        assert!(is_let_in(&gate, of_device(2), "192.0.2.1:5"));
        for _ in 0..1000 {
            assert!(!is_let_in(&gate, of_device(1), "192.0.2.1:5"));
        }
        let refused = gate.take_refused();
        assert_eq!(refused.len(), MAX_REFUSED);
        assert_eq!(refused[0].0, of_device(1));
        assert!(gate.take_refused().is_empty());
    }
}
