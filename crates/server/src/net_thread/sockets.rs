//! The sockets of the net thread, and what is known of their readiness.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use suibi_coap::{Peer, Transmit};
use suibi_net::{ReceiveBatch, Received, TcpListener, TcpStream, UdpSocket};

/// So many datagrams may wait for the kernel at one socket; until some are gone, no more are read.
const MAX_OUTGOING: usize = 4096;
/// Streams that are accepted at one listener before it is the turn of something else.
const MAX_ACCEPTED: usize = 32;
/// So long nothing is accepted after the process could have no more files.
const PAUSE: Duration = Duration::from_millis(200);

/// The datagram socket of a door.
pub(super) struct Socket {
    socket: UdpSocket,
    pub(super) outgoing: VecDeque<Transmit>,
    /// Whether there may be something to receive; the kernel tells of it once.
    pub(super) is_readable: bool,
}

impl Socket {
    pub(super) fn new(socket: UdpSocket) -> Self {
        // What came between binding and watching is not told of.
        Self { socket, outgoing: VecDeque::new(), is_readable: true }
    }

    /// Whether a turn of [`Self::receive`] may find something.
    pub(super) fn wants_turn(&self) -> bool {
        self.is_readable && self.outgoing.len() < MAX_OUTGOING
    }

    /// Takes one batch of datagrams.
    ///
    /// # Errors
    ///
    /// Those of the socket, which then is of no use any more.
    pub(super) fn receive(
        &mut self,
        batch: &mut ReceiveBatch,
        mut handle: impl FnMut(Peer, &[u8]),
    ) -> io::Result<()> {
        if !self.wants_turn() {
            return Ok(());
        }
        match self.socket.receive(batch)? {
            Received::Datagrams(_) => batch.iter().for_each(|(peer, bytes)| handle(peer, bytes)),
            Received::Nothing | Received::Unreachable(_) => self.is_readable = false,
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let sent = self.socket.send(&mut self.outgoing)?;
        for (peer, error) in sent.refused {
            tracing::debug!(peer = %peer.address, %error, "a datagram could not go");
        }
        Ok(())
    }
}

/// Where streams to a door come in.
pub(super) struct Listener {
    door: usize,
    socket: TcpListener,
    /// When to accept, if there may be somebody.
    next: Option<Instant>,
    /// The last time nobody could be accepted, which has been said.
    is_failing: bool,
}

impl Listener {
    pub(super) fn new((door, socket): (usize, TcpListener)) -> Self {
        Self { door, socket, next: Some(Instant::now()), is_failing: false }
    }

    pub(super) fn handle_ready(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    /// When a turn of [`Self::accept`] may find somebody.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Accepts some of those who wait.
    pub(super) fn accept(&mut self, now: Instant, mut handle: impl FnMut(usize, TcpStream, Peer)) {
        if self.next.is_none_or(|at| at > now) {
            return;
        }
        for _ in 0..MAX_ACCEPTED {
            match self.socket.accept() {
                Ok(Some((stream, peer))) => {
                    self.is_failing = false;
                    handle(self.door, stream, peer.into());
                }
                Ok(None) => {
                    self.next = None;
                    return;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(%error, "no stream can be accepted just now");
                    }
                    self.next = Some(now + PAUSE);
                    return;
                }
            }
        }
    }
}

/// A stream, and what is known of it.
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    /// Whether there may be something to read; the kernel tells of it once.
    pub(super) is_readable: bool,
}

impl Stream {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, is_readable: true }
    }
}
