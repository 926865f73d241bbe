//! The net thread: every socket, one readiness call, and never a disk. What is to be done decides the [`Core`].

mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use suibi_net::StreamReceived;

use self::sockets::{Listener, Socket, Stream};
use crate::core::{Core, Done, Jobs, StreamId};
use crate::handover::Giver;
use crate::listen::Sockets;
use crate::reader::ReadJob;
use crate::stop::StopSignal;
use crate::writer::WriteJob;

/// Completions wait.
pub(crate) const WAKER: Token = Token(usize::MAX);
/// Told to stop.
const STOP: Token = Token(usize::MAX - 1);
/// Below are the datagram sockets, from here on the listeners for streams.
const LISTENERS: usize = 1 << 16;
/// From here on the streams.
const STREAMS: usize = 1 << 17;

/// What is read of one stream before it is the turn of the next.
const STREAM_BYTES: usize = 64 << 10;

/// The ways to the other threads, and back.
pub(crate) struct Channels {
    pub(crate) writes: Giver<WriteJob>,
    pub(crate) reads: Sender<ReadJob>,
    pub(crate) dones: Receiver<Done>,
}

pub(crate) struct NetThread {
    poll: Poll,
    core: Core,
    /// One for each door of the core.
    sockets: Vec<Socket>,
    listeners: Vec<Listener>,
    streams: BTreeMap<StreamId, Stream>,
    /// Those of which something may be read, and is wanted.
    readable: BTreeSet<StreamId>,
    stops: [StopSignal; 2],
    channels: Channels,
}

impl NetThread {
    pub(crate) fn new(
        poll: Poll,
        core: Core,
        Sockets { mut datagrams, mut streams }: Sockets,
        stops: [StopSignal; 2],
        channels: Channels,
    ) -> io::Result<Self> {
        for (number, socket) in datagrams.iter_mut().enumerate() {
            poll.registry().register(socket, Token(number), Interest::READABLE)?;
        }
        for (number, (_, listener)) in streams.iter_mut().enumerate() {
            poll.registry().register(listener, Token(LISTENERS + number), Interest::READABLE)?;
        }
        for stop in &stops {
            poll.registry().register(&mut SourceFd(&stop.fd()), STOP, Interest::READABLE)?;
        }
        Ok(Self {
            poll,
            core,
            sockets: datagrams.into_iter().map(Socket::new).collect(),
            listeners: streams.into_iter().map(Listener::new).collect(),
            streams: BTreeMap::new(),
            readable: BTreeSet::new(),
            stops,
            channels,
        })
    }

    /// Serves until told to stop.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut ready = Events::with_capacity(256);
        let mut buf = vec![0; STREAM_BYTES];
        while !self.stops.iter().any(StopSignal::is_told) {
            match self.poll.poll(&mut ready, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = Instant::now();
            for event in &ready {
                self.on_ready(now, event);
            }
            // Some datagrams of each door and a piece of each stream in turn, so that a flood holds up nobody else.
            for (door, socket) in self.sockets.iter_mut().enumerate() {
                socket.receive(|(peer, bytes)| {
                    self.core.handle_datagram(now, door, peer, bytes);
                })?;
            }
            self.accept(now);
            self.read(now, &mut buf);
            while let Ok(done) = self.channels.dones.try_recv() {
                self.core.handle_done(now, done);
            }
            self.core.handle_timeout(now);
            self.hand_out(now);
            self.flush(now)?;
        }
        Ok(())
    }

    /// Waits for what the writer has in hand, and answers it; takes nothing new. Says goodbye to observers and streams.
    pub(crate) fn finish(&mut self, deadline: Instant) {
        self.core.handle_ending();
        while self.core.is_writing() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.channels.dones.recv_timeout(left) {
                Ok(done) => self.core.handle_done(Instant::now(), done),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let now = Instant::now();
        self.core.say_goodbye(now);
        if let Err(error) = self.flush(now) {
            tracing::debug!(%error, "the last answers could not go");
        }
    }

    /// How long there is nothing to do of our own accord.
    fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        let has_work = self.sockets.iter().any(Socket::wants_turn) || !self.readable.is_empty();
        if has_work {
            return Some(Duration::ZERO);
        }
        let accepting = self.listeners.iter().filter_map(Listener::poll_timeout);
        let next = accepting.chain(self.core.poll_timeout()).min()?;
        Some(next.saturating_duration_since(now))
    }

    fn on_ready(&mut self, now: Instant, event: &Event) {
        let is_readable = event.is_readable() || event.is_read_closed() || event.is_error();
        match event.token() {
            WAKER | STOP => {}
            Token(number @ ..LISTENERS) => {
                if let Some(socket) = self.sockets.get_mut(number) {
                    socket.is_readable |= is_readable;
                }
            }
            Token(number @ LISTENERS..STREAMS) => {
                if let Some(listener) = self.listeners.get_mut(number - LISTENERS) {
                    listener.handle_ready(now);
                }
            }
            Token(number) => {
                let id = StreamId((number - STREAMS) as u64);
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.is_readable |= is_readable;
                    self.tend(now, id);
                }
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        let both = Interest::READABLE | Interest::WRITABLE;
        for listener in &mut self.listeners {
            listener.accept(now, |door, mut socket, peer| {
                let Some(id) = self.core.handle_opened(now, door, peer) else { return };
                let token = Token(STREAMS + id.0 as usize);
                match self.poll.registry().register(&mut socket, token, both) {
                    Ok(()) => {
                        self.streams.insert(id, Stream::new(socket));
                        self.readable.insert(id);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a stream cannot be watched");
                        self.core.handle_closed(now, id);
                    }
                }
            });
        }
    }

    /// Reads a piece of each stream that has one.
    fn read(&mut self, now: Instant, buf: &mut [u8]) {
        for id in std::mem::take(&mut self.readable) {
            let Some(stream) = self.streams.get_mut(&id).filter(|_| self.core.wants_bytes(id))
            else {
                // What is there stays there until it is wanted.
                continue;
            };
            match stream.socket.receive(buf) {
                Ok(StreamReceived::Bytes(count)) => {
                    self.core.handle_bytes(now, id, &buf[..count]);
                    self.readable.insert(id);
                }
                Ok(StreamReceived::Nothing) => stream.is_readable = false,
                Ok(StreamReceived::End) | Err(_) => self.core.handle_closed(now, id),
            }
        }
    }

    /// Hands the other threads what is theirs.
    fn hand_out(&mut self, now: Instant) {
        while !self.core.jobs().is_empty() {
            let Jobs { writes, reads } = self.core.jobs();
            self.channels.writes.give(writes);
            while let Some(job) = reads.pop_front() {
                if let Err(SendError(job)) = self.channels.reads.send(job) {
                    reads.push_front(job);
                    break;
                }
            }
            if !self.core.jobs().is_empty() {
                self.core.handle_lost(now);
            }
        }
    }

    /// Hands the kernel all that is to leave, as far as it takes it.
    fn flush(&mut self, now: Instant) -> io::Result<()> {
        for (door, socket) in self.sockets.iter_mut().enumerate() {
            socket.outgoing.extend(std::iter::from_fn(|| self.core.poll_transmit(door)));
            socket.flush()?;
            if let Some(interest) = socket.poll_interest() {
                self.poll.registry().reregister(socket, Token(door), interest)?;
            }
        }
        while let Some(id) = self.core.poll_stream() {
            self.tend(now, id);
        }
        Ok(())
    }

    /// Sends what a stream has to send, closes it if it is over, and sees to it that it is read if that is wanted.
    fn tend(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.socket.send(|| self.core.poll_bytes(id)).is_err() {
            self.core.handle_closed(now, id);
        }
        self.core.handle_sent(now, id, stream.socket.unsent_bytes());
        if self.core.is_over(now, id) {
            stream.socket.finish();
            self.streams.remove(&id);
            self.core.handle_closed(now, id);
        } else if stream.is_readable && self.core.wants_bytes(id) {
            self.readable.insert(id);
        }
    }
}
