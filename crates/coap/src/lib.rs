//! CoAP (RFC 7252) without sockets or clocks, with Observe (RFC 7641) and block-wise transfer
//! (RFC 7959), Echo and Request-Tag (RFC 9175), over datagrams and over streams (RFC 8323).
//!
//! ```text
//!   whole bodies   Endpoint::request, Endpoint::respond   RFC 7959
//!   protection     the place of OSCORE, if it is set      Protection (RFC 8613)
//!   exchange       tokens, observations                   RFC 7252 §5, RFC 7641
//!   reliability    retries, duplicates                    RFC 7252 §4
//!   wire           messages <-> datagrams                 RFC 7252 §3
//! ```
//!
//! An [`Endpoint`] is client and server at once, for all peers behind one datagram address. It is
//! told what came in and what time it is, and says what is to go out and when it wants to be
//! woken up; so it can be run a thousand times over in a simulated network. What it is told by
//! strangers makes it neither fail nor grow beyond its [`Config`].
//!
//! A [`Connection`] is the same for one peer over a stream, with the same verbs and the same events;
//! in the place of the two lowest layers it has [`frame`]. It has no use for retries, has a
//! beginning and an end, and tells when it has more to send than the stream takes.
//!
//! ```
//! use std::{net::SocketAddr, time::Instant};
//! use suibi_coap::{Code, Config, Endpoint, Event, Peer, Request, Response};
//!
//! /// What a socket would do: carries everything from one to the other.
//! fn carry(now: Instant, from: &mut Endpoint, from_address: Peer, to: &mut Endpoint) {
//!     while let Some(transmit) = from.poll_transmit() {
//!         to.handle_datagram(now, from_address, &transmit.bytes);
//!     }
//! }
//!
//! # fn clock() -> Instant { Instant::now() }
//! let [phone_address, server_address] =
//!     [1, 2].map(|port| Peer::from(SocketAddr::from(([127, 0, 0, 1], port))));
//! let mut phone = Endpoint::new(Config::own(), [1; 32]);
//! let mut server = Endpoint::new(Config::own(), [2; 32]);
//! let now = clock();
//!
//! let asked = phone.request(now, server_address, Request::new(Code::GET).path("/notes"));
//! carry(now, &mut phone, phone_address, &mut server);
//! while let Some(event) = server.poll_event() {
//!     if let Event::Request { exchange, request, .. } = event {
//!         assert_eq!(request.path_segments(), ["notes"]);
//!         server.respond(now, exchange, Response::new(Code::CONTENT).payload("milk"));
//!     }
//! }
//! carry(now, &mut server, server_address, &mut phone);
//! let response = Response::new(Code::CONTENT).payload("milk");
//! assert_eq!(phone.poll_event(), Some(Event::Response { id: asked, response }));
//! ```
//!
//! # Choices that the RFCs leave open
//!
//! - Timeouts follow measured round trips (RFC 6298, Karn's rule), four requests may be under way
//!   ([`Timing::own`]); [`Timing::rfc`] has the defaults for foreign peers. There is no congestion
//!   control beyond back-off: what needs more belongs on TCP.
//! - A used message id with other bytes is a new message.
//! - A message that makes no sense is reset if confirmable and ignored otherwise.
//! - All notifications are confirmable.
//! - Tokens are eight random bytes, one per message exchange.
//! - Blocks are inside the protection, each protected by itself (RFC 8613 §4.1.3.4.1). What does
//!   not verify is as if it had not come: it is answered with silence, and what is being sent
//!   goes on being sent, so that a forger ends nothing. Empty acknowledgements and resets are
//!   protected by nobody; they end what they can guess the message id of.
//! - An address that may be forged is sent at most three bytes for each that came from it,
//!   whatever they are ([`Config::limit_unproven`]). A larger answer is a 4.01 with an Echo
//!   option instead, unless asking once more would do something once more.
//! - A 4.01 with an Echo option is answered with the same request and that value, once per
//!   request (RFC 9175 §2.3).
//! - A body in blocks has a random Request-Tag, so that no block of another gets into it
//!   (RFC 9175 §3.5.1).
//!
//! - On a stream, bodies go whole where the peer takes messages that long and they can be protected
//!   at once, and requests that are longer than what every peer takes wait until it has said so.
//! - We do not say that we put blocks together (Block-Wise-Transfer, RFC 8323 §5.3.2) where we take
//!   messages of more than 1,152 bytes, as that would mean several blocks in one message (BERT).
//!   A client that begins with those all the same is understood.
//! - A stream that breaks the format is aborted, whoever is meant by the message; a request that
//!   makes no sense is answered.
//! - An observation that is cancelled before it is answered is ended when its answer comes, as
//!   nothing else on a stream tells the server (RFC 8323 §7.4).
//! - Too many requests at once on a stream are not refused but not read.
//!
//! Absent: multicast, proxying, caching, Q-Block, BERT, DTLS, WebSockets.

mod allowance;
mod blockwise;
mod bounded;
mod code;
mod config;
mod connection;
mod dedup;
mod endpoint;
mod event;
mod exchange;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod list;
mod message;
mod observe;
mod option;
mod peers;
mod protection;
mod request;
mod response;
mod retransmit;
mod short;
mod signal;
mod timers;
mod timing;
pub mod wire;

pub use code::Code;
pub use config::Config;
pub use connection::{Connection, End, StreamConfig, StreamStats, Violation};
pub use endpoint::{Endpoint, Stats};
pub use event::{Event, Exchange, ObservationId, Peer, RequestError, RequestId, Transmit};
pub use message::{Message, MessageId, Token, Type};
pub use option::{ContentFormat, OptionNumber, Options};
pub use protection::{
    Binding, Protection, ProtectionError, Subject, UnprotectedRequest, UnprotectedResponse,
};
pub use request::{Observe, Request};
pub use response::Response;
pub use short::shared;
pub use timing::{RttEstimate, Timing};
