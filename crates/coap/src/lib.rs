//! CoAP (RFC 7252) without sockets or clocks.

mod blockwise;
mod bounded;
mod code;
mod config;
mod dedup;
mod endpoint;
mod event;
mod exchange;
mod list;
mod message;
mod observe;
mod option;
mod peers;
mod request;
mod response;
mod retransmit;
mod timers;
mod timing;
pub mod wire;

pub use code::Code;
pub use config::Config;
pub use endpoint::{Endpoint, Stats};
pub use event::{Event, Exchange, ObservationId, Peer, RequestError, RequestId, Transmit};
pub use message::{Message, MessageId, Token, Type};
pub use option::{ContentFormat, OptionNumber, Options};
pub use request::{Observe, Request};
pub use response::Response;
pub use timing::{RttEstimate, Timing};
