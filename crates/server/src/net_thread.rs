//! The net thread: every socket, one readiness call, and never a disk. What is to be done decides the [`Core`].

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use suibi_coap::Transmit;
use suibi_net::{ReceiveBatch, Received, UdpSocket};

use crate::core::{Core, Done, Job};
use crate::reader::ReadJob;
use crate::stop::StopSignal;
use crate::writer::WriteJob;

/// Completions wait.
pub(crate) const WAKER: Token = Token(usize::MAX);
/// Told to stop.
const STOP: Token = Token(usize::MAX - 1);

/// So many datagrams may wait for the kernel at one socket; until some are gone, no more are read.
const MAX_OUTGOING: usize = 4096;

/// The ways to the other threads, and back.
pub(crate) struct Channels {
    pub(crate) writes: Sender<WriteJob>,
    pub(crate) reads: Sender<ReadJob>,
    pub(crate) dones: Receiver<Done>,
}

pub(crate) struct NetThread {
    poll: Poll,
    core: Core,
    /// One for each door of the core.
    sockets: Vec<Socket>,
    stops: [StopSignal; 2],
    channels: Channels,
}

/// The socket of a door.
struct Socket {
    socket: UdpSocket,
    outgoing: VecDeque<Transmit>,
    /// Whether there may be something to receive; the kernel tells of it once.
    is_readable: bool,
}

impl NetThread {
    pub(crate) fn new(
        poll: Poll,
        core: Core,
        mut sockets: Vec<UdpSocket>,
        stops: [StopSignal; 2],
        channels: Channels,
    ) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        for (number, socket) in sockets.iter_mut().enumerate() {
            poll.registry().register(socket, Token(number), both)?;
        }
        for stop in &stops {
            poll.registry().register(&mut SourceFd(&stop.fd()), STOP, Interest::READABLE)?;
        }
        // What came between binding and watching is not told of.
        let watched = |socket| Socket { socket, outgoing: VecDeque::new(), is_readable: true };
        let sockets = sockets.into_iter().map(watched).collect();
        Ok(Self { poll, core, sockets, stops, channels })
    }

    /// Serves until told to stop.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut ready = Events::with_capacity(64);
        let mut batch = ReceiveBatch::new();
        while !self.stops.iter().any(StopSignal::is_told) {
            match self.poll.poll(&mut ready, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in ready.iter().filter(|event| event.is_readable() || event.is_error()) {
                if let Some(socket) = self.sockets.get_mut(event.token().0) {
                    socket.is_readable = true;
                }
            }
            // One batch of each door in turn, so that a flood at one holds up no other.
            let now = Instant::now();
            for (door, socket) in self.sockets.iter_mut().enumerate() {
                socket.receive(&mut batch, |peer, bytes| {
                    self.core.handle_datagram(now, door, peer, bytes);
                })?;
            }
            while let Ok(done) = self.channels.dones.try_recv() {
                self.core.handle_done(now, done);
            }
            self.core.handle_timeout(now);
            self.hand_out(now);
            self.flush()?;
        }
        Ok(())
    }

    /// Waits for what the writer has in hand, and answers it; takes nothing new. Tells every observer that it is one no
    /// longer.
    pub(crate) fn finish(&mut self, deadline: Instant) {
        self.core.handle_ending();
        while self.core.is_writing() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.channels.dones.recv_timeout(left) {
                Ok(done) => self.core.handle_done(Instant::now(), done),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        self.core.dismiss_observers(Instant::now());
        if let Err(error) = self.flush() {
            tracing::debug!(%error, "the last answers could not go");
        }
    }

    /// How long there is nothing to do of our own accord.
    fn patience(&self) -> Option<Duration> {
        if self.sockets.iter().any(Socket::wants_turn) {
            return Some(Duration::ZERO);
        }
        Some(self.core.poll_timeout()?.saturating_duration_since(Instant::now()))
    }

    /// Hands the other threads what is theirs.
    fn hand_out(&mut self, now: Instant) {
        while let Some(job) = self.core.poll_job() {
            let lost = match job {
                Job::Write(job) => {
                    self.channels.writes.send(job).err().map(|SendError(job)| Job::Write(job))
                }
                Job::Read(job) => {
                    self.channels.reads.send(job).err().map(|SendError(job)| Job::Read(job))
                }
            };
            if let Some(job) = lost {
                self.core.handle_lost(now, job);
            }
        }
    }

    /// Hands the kernel all that is to leave, as far as it takes it.
    fn flush(&mut self) -> io::Result<()> {
        for (door, socket) in self.sockets.iter_mut().enumerate() {
            socket.outgoing.extend(std::iter::from_fn(|| self.core.poll_transmit(door)));
            socket.flush()?;
        }
        Ok(())
    }
}

impl Socket {
    /// Whether a turn of [`Self::receive`] may find something.
    fn wants_turn(&self) -> bool {
        self.is_readable && self.outgoing.len() < MAX_OUTGOING
    }

    /// Takes one batch of datagrams.
    ///
    /// # Errors
    ///
    /// Those of the socket, which then is of no use any more.
    fn receive(
        &mut self,
        batch: &mut ReceiveBatch,
        mut handle: impl FnMut(suibi_coap::Peer, &[u8]),
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

    fn flush(&mut self) -> io::Result<()> {
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
