//! Streams: how many there may be, how much they may keep, and which of them have to go.
//!
//! ```text
//!   opened ──► proved ──► idle ──► released ──► closed
//!     └── 20 s ──► aborted          (with observations: a ping, and on it goes)
//! ```
//!
//! A stream is **proved** once it brought a whole request that is allowed in: at a protected door one that was verified.
//! Until then it may keep little, has not long, and is the first to make room for others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;
use suibi_coap::{Connection, Event, Peer, StreamConfig, Subject};

use super::{Core, Via};
use crate::config::ListenerKind;
use crate::limits;

/// Streams in all: a process may open 1,024 files where nobody allowed it more.
const MAX_STREAMS: usize = 512;
/// Streams of one host.
const MAX_OF_HOST: usize = 64;
/// What all of them may keep: messages that come, bodies in blocks, answers that nobody fetches.
const MAX_BYTES: usize = 64 << 20;
/// What one at a protected door may keep before it has proved anything: two messages as long as OSCORE has them.
const MAX_UNPROVED_BYTES: usize = 128 << 10;
/// So soon a stream has to prove something.
const PROVE_WITHIN: Duration = Duration::from_secs(20);
/// So long it may go on without a whole message.
const IDLE: Duration = Duration::from_secs(180);
/// So long after its end somebody may take to fetch what is left.
const LINGER: Duration = Duration::from_secs(5);

/// Names a stream of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u64);

/// All that are open.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: BTreeMap<StreamId, Stream>,
    /// How many there are of each host.
    hosts: BTreeMap<IpAddr, usize>,
    next_id: u64,
    bytes: usize,
    due: BTreeSet<(Instant, StreamId)>,
    /// Those to which something was done, and that are not counted anew yet.
    stirred: BTreeSet<StreamId>,
    /// Those with something to send, to read or to close.
    touched: BTreeSet<StreamId>,
}

#[derive(Debug)]
struct Stream {
    connection: Connection,
    door: usize,
    host: IpAddr,
    /// At a door where it is proved who asks.
    is_protected: bool,
    opened: Instant,
    /// When the last whole message came, of `received`.
    heard: Instant,
    received: u64,
    is_proved: bool,
    /// Who has been heard here last.
    subject: Option<Subject>,
    /// With the socket, but not yet with the kernel.
    unsent: usize,
    /// What it keeps, as counted in [`Streams::bytes`].
    bytes: usize,
    due: Option<Instant>,
    ended: Option<Instant>,
}

impl Stream {
    fn kept(&self) -> usize {
        let stats = self.connection.stats();
        stats.buffered_bytes + stats.queued_bytes + stats.transfer_bytes + self.unsent
    }

    /// When it has to be looked at.
    fn poll_timeout(&self) -> Instant {
        let own = match (self.ended, self.is_proved) {
            (Some(ended), _) => ended + LINGER,
            (None, true) => self.heard + IDLE,
            (None, false) => self.opened + PROVE_WITHIN,
        };
        self.connection.poll_timeout().map_or(own, |at| at.min(own))
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        let stats = self.connection.stats();
        if self.ended.is_some() {
            return;
        }
        if !self.is_proved {
            if now >= self.opened + PROVE_WITHIN {
                self.connection.abort(now, "nothing was asked for in time");
            }
        } else if now >= self.heard + IDLE {
            self.heard = now;
            if stats.buffered_bytes > 0 {
                self.connection.abort(now, "a message took too long");
            } else if stats.observations > 0 || stats.exchanges > 0 {
                // Whoever waits to be told something says nothing for days.
                self.connection.ping(now);
            } else {
                self.connection.release(now);
            }
        }
    }

    /// Whether there is nothing more to be done but to close it.
    fn is_over(&self, now: Instant) -> bool {
        let is_sent = !self.connection.wants_to_send() && self.unsent == 0;
        self.ended.is_some_and(|at| is_sent || now >= at + LINGER)
    }
}

impl Streams {
    /// Counts what a stream keeps, and when it has to be looked at.
    fn settle(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        if stream.ended.is_none() {
            let kept = stream.kept();
            if !stream.is_proved && stream.is_protected && kept > MAX_UNPROVED_BYTES {
                stream.connection.abort(now, "too much before anything was proved");
            }
            let received = stream.connection.stats().received;
            if received > stream.received {
                (stream.received, stream.heard) = (received, now);
            }
            if stream.connection.ended().is_some() {
                stream.ended = Some(now);
            }
        }
        let kept = stream.kept();
        self.bytes = self.bytes - stream.bytes + kept;
        stream.bytes = kept;
        let due = stream.poll_timeout();
        if let Some(old) = stream.due.replace(due) {
            self.due.remove(&(old, id));
        }
        self.due.insert((due, id));
        self.touched.insert(id);
    }

    fn remove(&mut self, id: StreamId) {
        let Some(stream) = self.open.remove(&id) else { return };
        self.bytes -= stream.bytes;
        if let Some(due) = stream.due {
            self.due.remove(&(due, id));
        }
        self.touched.remove(&id);
        if let Some(count) = self.hosts.get_mut(&stream.host) {
            *count -= 1;
            if *count == 0 {
                self.hosts.remove(&stream.host);
            }
        }
    }

    /// Who makes room for a new one: of those that have proved nothing the oldest, since an honest one has long
    /// proved something by then; else whoever has been idle longest, if it was long. `of`: only of this host.
    fn dispensable(&self, now: Instant, of: Option<IpAddr>) -> Option<StreamId> {
        let is_idle = |stream: &Stream| {
            let stats = stream.connection.stats();
            stats.exchanges == 0 && now >= stream.heard + IDLE / 3
        };
        let all = self.open.iter().filter(|(_, stream)| stream.ended.is_none());
        all.filter(|(_, stream)| of.is_none_or(|host| stream.host == host))
            .filter(|(_, stream)| !stream.is_proved || is_idle(stream))
            .min_by_key(|(id, stream)| {
                let since = if stream.is_proved { stream.heard } else { stream.opened };
                (stream.is_proved, since, **id)
            })
            .map(|(id, _)| *id)
    }

    /// Who keeps most, of those that have proved nothing if there are any.
    fn largest(&self) -> Option<StreamId> {
        let live = self.open.iter().filter(|(_, stream)| stream.bytes > 0);
        live.max_by_key(|(_, stream)| (!stream.is_proved, stream.bytes)).map(|(id, _)| *id)
    }
}

impl Core {
    /// A stream was opened at this door. `None`: there are too many, it is to be closed without a word.
    pub(crate) fn handle_opened(
        &mut self,
        now: Instant,
        door: usize,
        peer: Peer,
    ) -> Option<StreamId> {
        let host = limits::host(peer.address);
        let of_host = self.streams.hosts.get(&host).copied().unwrap_or(0);
        if of_host >= MAX_OF_HOST || self.streams.open.len() >= MAX_STREAMS {
            let of = (of_host >= MAX_OF_HOST).then_some(host);
            let gone = self.streams.dispensable(now, of)?;
            // Its socket is closed later than the new one comes, so that there are a few more for a moment.
            if self.streams.open.len() >= MAX_STREAMS + MAX_OF_HOST {
                return None;
            }
            self.connection(gone)?.abort(now, "too many connections");
        }
        let mut connection = Connection::new(now, StreamConfig::default(), peer, self.rng.random());
        let is_protected = self.doors[door].kind == ListenerKind::Oscore;
        connection.set_protection(is_protected.then(|| self.registry.protection()));
        self.streams.next_id += 1;
        let id = StreamId(self.streams.next_id);
        let stream = Stream {
            connection,
            door,
            host,
            is_protected,
            opened: now,
            heard: now,
            received: 0,
            is_proved: false,
            subject: None,
            unsent: 0,
            bytes: 0,
            due: None,
            ended: None,
        };
        self.streams.open.insert(id, stream);
        *self.streams.hosts.entry(host).or_default() += 1;
        self.streams.stirred.insert(id);
        Some(id)
    }

    /// Bytes came in by a stream.
    pub(crate) fn handle_bytes(&mut self, now: Instant, id: StreamId, bytes: &[u8]) {
        let Some(stream) = self.streams.open.get_mut(&id) else { return };
        stream.connection.handle_bytes(now, bytes);
        self.streams.stirred.insert(id);
        self.settle_streams(now);
    }

    /// A stream is closed, by whomever.
    pub(crate) fn handle_closed(&mut self, now: Instant, id: StreamId) {
        if let Some(connection) = self.connection(id) {
            connection.handle_closed(now);
            self.on_stream_events(now, id);
            self.streams.remove(id);
            // Whoever has the socket sees that it is not there any more.
            self.streams.touched.insert(id);
        }
    }

    /// What there was to send by a stream has been taken, and so many bytes of it are still with the socket.
    pub(crate) fn handle_sent(&mut self, now: Instant, id: StreamId, unsent: usize) {
        if let Some(stream) = self.streams.open.get_mut(&id) {
            stream.unsent = unsent;
            self.streams.settle(now, id);
            self.streams.touched.remove(&id);
        }
    }

    /// The next stream that has something to send, may be read again, or is over. One that is not there any more is to
    /// be closed.
    pub(crate) fn poll_stream(&mut self) -> Option<StreamId> {
        self.streams.touched.pop_first()
    }

    /// The next bytes to send by a stream; to be asked for while it takes them, then [`Self::handle_sent`].
    pub(crate) fn poll_bytes(&mut self, id: StreamId) -> Option<Bytes> {
        self.streams.open.get_mut(&id)?.connection.poll_transmit()
    }

    /// Whether more bytes of a stream are wanted now.
    pub(crate) fn wants_bytes(&self, id: StreamId) -> bool {
        self.streams.open.get(&id).is_some_and(|stream| stream.connection.wants_bytes())
    }

    /// Whether a stream is to be closed now.
    pub(crate) fn is_over(&self, now: Instant, id: StreamId) -> bool {
        self.streams.open.get(&id).is_none_or(|stream| stream.is_over(now))
    }

    /// Asks for the end of the streams of this one, or of all.
    pub(super) fn release_streams(&mut self, now: Instant, of: Option<Subject>) {
        for (id, stream) in &mut self.streams.open {
            if of.is_none() || stream.subject == of {
                stream.connection.release(now);
                self.streams.stirred.insert(*id);
            }
        }
    }

    pub(super) fn on_stream_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.streams.due.first()
            && at <= now
        {
            self.streams.due.remove(&(at, id));
            if let Some(stream) = self.streams.open.get_mut(&id) {
                stream.due = None;
                stream.handle_timeout(now);
                self.streams.stirred.insert(id);
            }
        }
        self.settle_streams(now);
    }

    pub(super) fn stream_timeout(&self) -> Option<Instant> {
        self.streams.due.first().map(|(at, _)| *at)
    }

    /// What all streams keep together, in bytes.
    #[cfg(test)]
    pub(crate) fn streams_keep(&self) -> usize {
        self.streams.bytes
    }

    /// The door by which a stream came in.
    pub(super) fn door_of(&self, id: StreamId) -> Option<usize> {
        self.streams.open.get(&id).map(|stream| stream.door)
    }

    /// The connection of a stream, if it is still there; what is done to it is seen to by [`Self::settle_streams`].
    pub(super) fn connection(&mut self, id: StreamId) -> Option<&mut Connection> {
        self.streams.stirred.insert(id);
        self.streams.open.get_mut(&id).map(|stream| &mut stream.connection)
    }

    /// Goes on with all streams to which something was done.
    pub(super) fn settle_streams(&mut self, now: Instant) {
        loop {
            while let Some(id) = self.streams.stirred.pop_first() {
                self.on_stream_events(now, id);
                self.streams.settle(now, id);
            }
            if self.streams.bytes <= MAX_BYTES {
                return;
            }
            let Some(largest) = self.streams.largest() else { return };
            tracing::debug!("too much is kept for streams, the largest has to go");
            self.handle_closed(now, largest);
        }
    }

    fn on_stream_events(&mut self, now: Instant, id: StreamId) {
        while let Some(stream) = self.streams.open.get_mut(&id)
            && let Some(event) = stream.connection.poll_event()
        {
            match event {
                Event::Request { exchange, peer, request } => {
                    let subject = exchange.subject();
                    if subject.is_some() || !stream.is_protected {
                        stream.is_proved = true;
                        stream.subject = subject.or(stream.subject);
                    }
                    self.on_request(now, Via::Stream(id), exchange, peer, request);
                }
                Event::ObservationEnded { observation } => {
                    self.observers.remove(&(Via::Stream(id), observation));
                }
                // We ask nobody anything.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
