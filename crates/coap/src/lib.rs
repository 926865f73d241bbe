//! CoAP (RFC 7252) without sockets or clocks.

mod blockwise;
mod code;
mod config;
mod endpoint;
mod event;
mod message;
mod option;
mod peers;
mod request;
mod response;
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
