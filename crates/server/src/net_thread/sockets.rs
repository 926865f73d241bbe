//! The sockets of the net thread, and what is known of their readiness.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token, event};
use suibi_coap::{Peer, Transmit};
use suibi_net::{ReceiveBatch, Received, TcpListener, TcpStream, UdpSocket};

/// So many datagrams may wait for the kernel at one socket; until some are gone, no more are read.
const MAX_OUTGOING: usize = 4096;
/// Datagrams that are taken from one socket before it is the turn of something else; one batch may hold 4,096.
const MAX_TURN: usize = 256;
/// Streams that are accepted at one listener before it is the turn of something else.
const MAX_ACCEPTED: usize = 32;
/// So long nothing is accepted after the process could have no more files.
const PAUSE: Duration = Duration::from_millis(200);

/// The datagram socket of a door.
pub(super) struct Socket {
    socket: UdpSocket,
    pub(super) outgoing: VecDeque<Transmit>,
    /// What the kernel gave last.
    batch: ReceiveBatch,
    /// Which of the batch's datagrams wait for another turn.
    rest: Range<usize>,
    /// Whether there may be something to receive; the kernel tells of it once.
    pub(super) is_readable: bool,
    /// Whether the kernel is to tell when it takes datagrams again. Asked for only then: of a socket for datagrams it tells
    /// that after each one that has left.
    is_watched_for_room: bool,
}

impl Socket {
    pub(super) fn new(socket: UdpSocket) -> Self {
        // What came between binding and watching is not told of.
        let (outgoing, batch) = (VecDeque::new(), ReceiveBatch::new());
        Self { socket, outgoing, batch, rest: 0..0, is_readable: true, is_watched_for_room: false }
    }

    /// Whether a turn of [`Self::receive`] may find something.
    pub(super) fn wants_turn(&self) -> bool {
        (self.is_readable || !self.rest.is_empty()) && self.outgoing.len() < MAX_OUTGOING
    }

    /// Takes a turn's datagrams.
    ///
    /// # Errors
    ///
    /// Those of the socket, which then is of no use any more.
    pub(super) fn receive(&mut self, handle: impl FnMut((Peer, &[u8]))) -> io::Result<()> {
        if !self.wants_turn() {
            return Ok(());
        }
        if self.rest.is_empty() {
            match self.socket.receive(&mut self.batch)? {
                Received::Datagrams(count) => {
                    self.rest = 0..count;
                    // With room left nothing more was there. What has come since then is told of.
                    self.is_readable = self.batch.is_full();
                }
                Received::Nothing | Received::Unreachable(_) => {
                    self.is_readable = false;
                    return Ok(());
                }
            }
        }
        let turn = self.rest.len().min(MAX_TURN);
        self.batch.iter().skip(self.rest.start).take(turn).for_each(handle);
        self.rest.start += turn;
        Ok(())
    }

    /// What the kernel is to tell of from now on, if that is something else than before.
    pub(super) fn poll_interest(&mut self) -> Option<Interest> {
        let is_full = !self.outgoing.is_empty();
        let was_full = std::mem::replace(&mut self.is_watched_for_room, is_full);
        (is_full != was_full).then(|| match is_full {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        })
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

impl event::Source for Socket {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.register(to, token, interests)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.reregister(to, token, interests)
    }

    fn deregister(&mut self, to: &Registry) -> io::Result<()> {
        self.socket.deregister(to)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_taken_in_turns_and_none_of_it_is_skipped() {
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let [server, mut client] = [(); 2].map(|()| UdpSocket::bind(any).unwrap());
        let peer = Peer::from(server.local_address());
        let mut server = Socket::new(server);
        // More than a turn, and few enough for the kernel's buffer. It leaves those of one length together.
        let sent: Vec<u8> = (0..=u8::MAX).chain(0..40).collect();
        let transmit = |byte: &u8| Transmit { peer, bytes: vec![*byte; 2].into() };
        client.send(&mut sent.iter().map(transmit).collect()).unwrap();

        let mut taken = Vec::new();
        while server.wants_turn() {
            let before = taken.len();
            server.receive(|(_, bytes)| taken.push(bytes[0])).unwrap();
            assert!(taken.len() - before <= MAX_TURN, "{before} and {}", taken.len());
        }
        assert_eq!(taken, sent);
    }
}
