//! A listener's machine: the language that it speaks.

use std::collections::VecDeque;
use std::time::Instant;

use suibi_coap::{Config, Endpoint, Protection, Transmit};

use crate::config::ListenerKind;
use crate::plain::Plain;

/// One listener, without its socket.
pub(crate) struct Door {
    pub(crate) kind: ListenerKind,
    pub(crate) speaks: Speaks,
    /// What a plain listener answers.
    pub(crate) replies: VecDeque<Transmit>,
}

/// The language of a door.
pub(crate) enum Speaks {
    /// CoAP, under OSCORE or not: that is the endpoint's affair.
    Coap(Box<Endpoint>),
    Plain(Box<Plain>),
}

impl Door {
    pub(crate) fn new(kind: ListenerKind, speaks: Speaks) -> Self {
        Self { kind, speaks, replies: VecDeque::new() }
    }

    /// A door that speaks CoAP, under this protection or none; the seed makes message ids and tokens.
    pub(crate) fn coap(
        kind: ListenerKind,
        seed: [u8; 32],
        trusts_loopback: bool,
        protection: Option<Box<dyn Protection>>,
    ) -> Self {
        let mut endpoint = Endpoint::new(Config { trusts_loopback, ..Config::own() }, seed);
        endpoint.set_protection(protection);
        Self::new(kind, Speaks::Coap(Box::new(endpoint)))
    }

    /// When its machine wants to be woken.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        match &self.speaks {
            Speaks::Coap(endpoint) => endpoint.poll_timeout(),
            Speaks::Plain(_) => None,
        }
    }
}
