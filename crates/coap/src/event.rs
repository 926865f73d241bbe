//! What goes in and out of an [`Endpoint`](crate::Endpoint) besides datagrams, and of a
//! [`Connection`](crate::Connection) besides bytes.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use thiserror::Error;

use crate::{
    Binding, MessageId, Request, Response, Subject, Token, Type, dedup::Slot, peers::PeerKey,
};

/// The other side of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// Our address that it speaks to, so that the answer leaves from there; `None`: the system
    /// chooses.
    pub local: Option<IpAddr>,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, local: None }
    }
}

/// A datagram that is to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub peer: Peer,
    /// What.
    pub bytes: Bytes,
}

/// A request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// Somebody who observes a resource of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservationId(pub(crate) u64);

/// A request that waits for our response; responding takes it.
///
/// Dropping it is allowed: the peer waits in vain, having got an empty acknowledgement where there
/// are such things.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "somebody waits for a response"]
pub struct Exchange {
    pub(crate) peer: PeerKey,
    pub(crate) kind: Type,
    pub(crate) id: MessageId,
    /// Where the message is remembered.
    pub(crate) slot: Slot,
    pub(crate) token: Token,
    pub(crate) timer: Option<crate::timers::TimerKey>,
    pub(crate) slicing: crate::blockwise::Slicing,
    pub(crate) protected: Option<(Binding, Subject)>,
    /// Asking once more does no harm: nobody has done anything yet, or it was a question.
    pub(crate) is_repeatable: bool,
    /// On a stream, one of the places for requests that wait; given back when this is dropped.
    pub(crate) place: Option<Arc<()>>,
}

impl Exchange {
    /// Who asks, as the [`Protection`](crate::Protection) has proved; `None` at an endpoint
    /// without one.
    pub fn subject(&self) -> Option<Subject> {
        self.protected.map(|(_, subject)| subject)
    }
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody asks, and the request is whole.
    ///
    /// Where [`Request::observing`] says `Register`, answer with
    /// [`Endpoint::respond_observed`](crate::Endpoint::respond_observed).
    Request {
        /// What to respond to.
        exchange: Exchange,
        /// Who asks.
        peer: Peer,
        /// What is asked.
        request: Request,
    },
    /// The answer to a request of ours, whole, good or bad.
    Response {
        /// Of this request.
        id: RequestId,
        /// The answer.
        response: Response,
    },
    /// What we observe has changed; a code that is no success says that it was the last one.
    Notification {
        /// Of this request.
        id: RequestId,
        /// How it is now.
        response: Response,
    },
    /// A request of ours, or the observation that it began, came to nothing.
    Failed {
        /// This request.
        id: RequestId,
        /// Why.
        error: RequestError,
    },
    /// Somebody does not observe any more: said so, reset a notification, never acknowledged one,
    /// or closed the stream.
    ObservationEnded {
        /// This observation.
        observation: ObservationId,
    },
}

/// Why a request came to nothing.
///
/// None of these tells whether the server acted on the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Nobody acknowledged any of its transmissions, or the promised response never came.
    #[error("no answer")]
    TimedOut,
    /// The peer cannot make use of the message (RFC 7252 §4.2).
    #[error("the peer rejected the message")]
    Reset,
    /// The response has a critical option that is unknown to us (RFC 7252 §5.4.1), or its blocks
    /// do not fit together (RFC 7959).
    #[error("the response makes no sense")]
    BadResponse,
    /// The response is longer than [`Config::max_body`](crate::Config::max_body), or the request
    /// than what the peer takes over a stream, even in blocks.
    #[error("the message is too large")]
    TooLarge,
    /// Too much waits for this peer already ([`Config::max_queued`](crate::Config::max_queued),
    /// [`StreamConfig::max_requests`](crate::StreamConfig::max_requests) and
    /// [`max_queued_bytes`](crate::StreamConfig::max_queued_bytes)).
    #[error("too many requests wait for this peer")]
    Busy,
    /// The [`Protection`](crate::Protection) has no keys or numbers for it, or the peer never had
    /// enough of them.
    #[error("the request cannot be protected")]
    Unprotectable,
    /// The stream to the peer came to its end, or is about to.
    #[error("the connection is closed")]
    Closed,
}

impl RequestError {
    /// Whether asking again is bound to fail in the same way.
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::BadResponse | Self::TooLarge)
    }
}
