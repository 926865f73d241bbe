//! What stands between requests and the wire: the place of OSCORE (RFC 8613).

use std::{fmt, time::Instant};

use thiserror::Error;

use crate::{Peer, Request, Response};

/// Protects what an [`Endpoint`](crate::Endpoint) sends, and undoes it for what comes.
///
/// ```text
///   whole bodies   <-> blocks        RFC 7959
///   blocks         <-> protected     here: each block, each repetition, by itself
///   protected      <-> messages      RFC 7252
/// ```
///
/// A protected request or response is one again: with a code, options and a payload for others to
/// see, of which the endpoint looks at the token and message id alone. A retransmission is the
/// same bytes, so that nothing here is asked about it.
///
/// Who only asks, or is only asked, needs the methods of that side; without the others nothing is
/// sent and nothing is believed.
pub trait Protection: Send + fmt::Debug {
    /// The longest message that can be protected, in bytes of code, options and payload; what is
    /// longer goes in blocks, each protected by itself.
    ///
    /// Default: 65,535, as AES-CCM-16-64-128 encrypts no more at once (RFC 9053 §4.2), and every
    /// implementation of OSCORE has that one. No datagram comes near it; messages in streams do.
    fn max_len(&self) -> usize {
        65_535
    }

    /// A request of ours, or one block of it, as it is to travel. Called for every new message.
    ///
    /// # Errors
    /// When it cannot go; the request fails with
    /// [`RequestError::Unprotectable`](crate::RequestError::Unprotectable).
    fn protect_request(
        &mut self,
        _now: Instant,
        _peer: Peer,
        _request: Request,
    ) -> Result<(Request, Binding), ProtectionError> {
        Err(ProtectionError)
    }

    /// What came back for a request, with the request's binding, which may be updated: to the
    /// newest notification seen, say.
    ///
    /// A notification keeps an Observe option, by whose numbers it is told from older ones
    /// (RFC 8613 §4.1.3.5.2).
    fn unprotect_response(
        &mut self,
        _now: Instant,
        _peer: Peer,
        _binding: &mut Binding,
        _response: Response,
    ) -> UnprotectedResponse {
        UnprotectedResponse::Ignore
    }

    /// A request of somebody, as it came. Called after duplicates are found by their message id,
    /// before the options are checked and blocks are put together.
    fn unprotect_request(
        &mut self,
        _now: Instant,
        _peer: Peer,
        _request: Request,
    ) -> UnprotectedRequest {
        UnprotectedRequest::Ignore
    }

    /// An answer to that request, or one block of it, as it is to travel; `None`: it cannot, and
    /// the peer hears nothing.
    ///
    /// `observe` is there with a notification and with the answer that accepts a registration,
    /// and is the value of the response's Observe option: such an answer needs a number of its
    /// own (RFC 8613 §4.1.3.5.2, §5.2). A notification that ends an observation has none.
    fn protect_response(
        &mut self,
        _now: Instant,
        _binding: &mut Binding,
        _response: Response,
        _observe: Option<u32>,
    ) -> Option<Response> {
        None
    }
}

/// What ties a response to its request; made and read by the [`Protection`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding {
    /// Which context.
    pub context: u64,
    /// The request's number there (Partial IV).
    pub request: u64,
    /// Whatever else has to be known.
    pub state: u64,
}

/// Who asks, once that is proved: names a credential of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(pub u64);

/// What a response turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnprotectedResponse {
    /// The server's response, free of all protection.
    Response(Response),
    /// A true answer that asks for the request once more: it is protected anew and sent with a
    /// new token, at most three times for one message.
    Repeat,
    /// Nobody knows whose. As if nothing had come: it is not acknowledged and not rejected, and
    /// what is being sent goes on being sent, so that a forger ends nothing.
    Ignore,
}

/// What a request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnprotectedRequest {
    /// A true request, free of all protection.
    Request {
        /// The request.
        request: Request,
        /// For the answers to it.
        binding: Binding,
        /// Whose request it is.
        subject: Subject,
    },
    /// Not to be carried out; this goes back as it is, and must fit into a datagram.
    Respond(Response),
    /// Silence.
    Ignore,
}

/// A request cannot be protected: the numbers of its context are used up, or there is no context
/// for this peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the request cannot be protected")]
pub struct ProtectionError;
