//! A socket and the machine that speaks its language.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use suibi_coap::{Endpoint, Transmit};
use suibi_net::{ReceiveBatch, Received, UdpSocket};

use crate::config::ListenerKind;
use crate::plain::{Action, Plain};

/// So many datagrams may wait for the kernel; until some are gone, no more are read.
const MAX_OUTGOING: usize = 4096;

/// One listener.
pub(crate) struct Door {
    pub(crate) kind: ListenerKind,
    pub(crate) socket: UdpSocket,
    pub(crate) speaks: Speaks,
    pub(crate) outgoing: VecDeque<Transmit>,
    /// Whether there may be something to receive; the kernel tells of it once.
    pub(crate) is_readable: bool,
}

/// The language of a door.
pub(crate) enum Speaks {
    /// CoAP, under OSCORE or not: that is the endpoint's affair.
    Coap(Box<Endpoint>),
    Plain(Box<Plain>),
}

impl Door {
    pub(crate) fn new(kind: ListenerKind, socket: UdpSocket, speaks: Speaks) -> Self {
        // What came between binding and watching is not told of.
        Self { kind, socket, speaks, outgoing: VecDeque::new(), is_readable: true }
    }

    /// Whether a turn of [`Self::receive`] may find something.
    pub(crate) fn wants_turn(&self) -> bool {
        self.is_readable && self.outgoing.len() < MAX_OUTGOING
    }

    /// Takes one batch of datagrams; the plain ones of them ask for `actions`, CoAP has events instead.
    ///
    /// # Errors
    ///
    /// Those of the socket, which then is of no use any more.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        batch: &mut ReceiveBatch,
        mut actions: impl FnMut(suibi_coap::Peer, Action),
    ) -> io::Result<()> {
        if !self.wants_turn() {
            return Ok(());
        }
        match self.socket.receive(batch)? {
            Received::Datagrams(_) => {}
            Received::Nothing | Received::Unreachable(_) => {
                self.is_readable = false;
                return Ok(());
            }
        }
        for (peer, bytes) in batch.iter() {
            match &mut self.speaks {
                Speaks::Coap(endpoint) => endpoint.handle_datagram(now, peer, bytes),
                Speaks::Plain(plain) => actions(peer, plain.handle_datagram(now, peer, bytes)),
            }
        }
        Ok(())
    }

    /// Hands the kernel all that is to leave, as far as it takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Speaks::Coap(endpoint) = &mut self.speaks {
            while let Some(transmit) = endpoint.poll_transmit() {
                self.outgoing.push_back(transmit);
            }
        }
        if !self.outgoing.is_empty() {
            let sent = self.socket.send(&mut self.outgoing)?;
            for (peer, error) in sent.refused {
                tracing::debug!(peer = %peer.address, %error, "a datagram could not go");
            }
        }
        Ok(())
    }

    /// When its machine wants to be woken.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        match &self.speaks {
            Speaks::Coap(endpoint) => endpoint.poll_timeout(),
            Speaks::Plain(_) => None,
        }
    }
}
