//! The streams of a [`Remote`](super::Remote): one to each address of the server at most, opened when it is wanted.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use suibi_coap::{Connection, Event, Request, RequestId, StreamConfig};
use suibi_net::{StreamReceived, TcpStream};
use suibi_oscore::ClientContext;

use super::seed;

/// How long a stream may take until somebody at its other end speaks our protocol.
const ESTABLISH_WITHIN: Duration = Duration::from_secs(5);

/// For how long an address that takes no streams is not asked again.
const REFUSED_FOR: Duration = Duration::from_secs(2);

/// A stream that nothing was asked for so long is closed.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// The tokens of streams begin here; sockets have theirs below.
const FIRST_TOKEN: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Streams {
    /// Protects what goes through them.
    context: Option<ClientContext>,
    streams: Vec<Stream>,
    /// Addresses that took none, and until when that is believed.
    refused: Vec<(SocketAddr, Instant)>,
    /// How many there have been.
    made: usize,
    buf: Vec<u8>,
}

struct Stream {
    /// Tells it from one of before at the same address.
    number: usize,
    address: SocketAddr,
    socket: TcpStream,
    connection: Connection,
    begun: Instant,
    used: Instant,
    is_closed: bool,
}

/// A request through a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamRequest {
    pub(super) stream: usize,
    pub(super) id: RequestId,
}

/// How the stream to an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// None is there, and one can be tried.
    None,
    /// None can be had just now.
    Refused,
    /// It is being opened since then.
    Opening(Instant),
    /// Somebody at the other end speaks our protocol, and was last heard then.
    Open(Instant),
}

impl Streams {
    /// What goes through streams from now on is protected like this.
    pub(super) fn protect(&mut self, context: Option<ClientContext>) {
        self.context = context;
    }

    pub(super) fn close(&mut self, registry: &Registry) {
        for mut stream in self.streams.drain(..) {
            let _ = registry.deregister(&mut stream.socket);
        }
        self.refused.clear();
    }

    pub(super) fn condition(&self, now: Instant, address: SocketAddr) -> Condition {
        match self.streams.iter().find(|stream| stream.is_usable(address)) {
            Some(stream) if stream.connection.is_established() => {
                Condition::Open(stream.connection.heard_at())
            }
            Some(stream) => Condition::Opening(stream.begun),
            None if self.is_refused(now, address) => Condition::Refused,
            None => Condition::None,
        }
    }

    fn is_refused(&self, now: Instant, address: SocketAddr) -> bool {
        self.refused.iter().any(|(refused, until)| *refused == address && now < *until)
    }

    /// Asks through the stream to an address, which is opened if there is none.
    ///
    /// # Errors
    ///
    /// When it is clear at once that none can be had.
    pub(super) fn request(
        &mut self,
        registry: &Registry,
        now: Instant,
        address: SocketAddr,
        request: Request,
    ) -> io::Result<StreamRequest> {
        let at = match self.streams.iter().position(|stream| stream.is_usable(address)) {
            Some(at) => at,
            None => match self.open(registry, now, address) {
                Ok(at) => at,
                Err(error) => {
                    self.refuse(now, address);
                    return Err(error);
                }
            },
        };
        let stream = &mut self.streams[at];
        stream.used = now;
        let id = stream.connection.request(now, request);
        Ok(StreamRequest { stream: stream.number, id })
    }

    fn open(
        &mut self,
        registry: &Registry,
        now: Instant,
        address: SocketAddr,
    ) -> io::Result<usize> {
        let mut socket = TcpStream::connect(address)?;
        self.made += 1;
        let number = self.made;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut socket, Token(FIRST_TOKEN + number), both)?;
        let mut connection = Connection::new(now, StreamConfig::default(), address.into(), seed()?);
        connection.set_protection(self.context.as_ref().map(ClientContext::protection));
        let (begun, used) = (now, now);
        let is_closed = false;
        self.streams.push(Stream { number, address, socket, connection, begun, used, is_closed });
        Ok(self.streams.len() - 1)
    }

    fn refuse(&mut self, now: Instant, address: SocketAddr) {
        self.refused.retain(|(refused, _)| *refused != address);
        self.refused.push((address, now + REFUSED_FOR));
    }

    pub(super) fn cancel(&mut self, now: Instant, request: StreamRequest) {
        if let Some(stream) = self.find(request.stream) {
            stream.connection.cancel(now, request.id);
        }
    }

    /// Whether somebody at the other end of a stream has spoken our protocol.
    pub(super) fn was_open(&self, number: usize) -> bool {
        let stream = self.streams.iter().find(|stream| stream.number == number);
        stream.is_some_and(|stream| stream.connection.is_established())
    }

    fn find(&mut self, number: usize) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.number == number)
    }

    /// What happened next, and in which stream to which address.
    pub(super) fn poll_event(&mut self) -> Option<(usize, SocketAddr, Event)> {
        self.streams.iter_mut().find_map(|stream| {
            let event = stream.connection.poll_event()?;
            Some((stream.number, stream.address, event))
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.streams.iter().filter_map(Stream::poll_timeout).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for stream in &mut self.streams {
            stream.connection.handle_timeout(now);
            let is_idle = stream.connection.stats().requests == 0;
            if is_idle && now >= stream.used + IDLE_FOR && !stream.connection.is_released() {
                stream.connection.release(now);
            }
            if !stream.connection.is_established() && now >= stream.begun + ESTABLISH_WITHIN {
                stream.connection.handle_closed(now);
                stream.is_closed = true;
            }
        }
    }

    /// When something came last, in any stream that is open.
    pub(super) fn heard(&self) -> Option<Instant> {
        let open = self.streams.iter().filter(|stream| stream.connection.is_established());
        open.map(|stream| stream.connection.heard_at()).max()
    }

    /// What can be read is read, what can be sent is sent. Trouble of a stream is its end.
    pub(super) fn turn(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        self.buf.resize(64 << 10, 0);
        for stream in &mut self.streams {
            if let Err(error) = stream.turn(&mut self.buf) {
                tracing::debug!(address = %stream.address, %error, "a stream has failed");
                stream.connection.handle_closed(Instant::now());
                stream.is_closed = true;
            }
        }
    }

    /// Lets go of streams that have ended, once everything they had to tell was told.
    pub(super) fn sweep(&mut self, registry: &Registry, now: Instant) {
        let mut refused = Vec::new();
        self.streams.retain_mut(|stream| {
            if !stream.is_over() {
                return true;
            }
            let _ = registry.deregister(&mut stream.socket);
            if !stream.connection.is_established() {
                refused.push(stream.address);
            }
            false
        });
        for address in refused {
            self.refuse(now, address);
        }
    }
}

impl Stream {
    /// Whether new requests can go through it.
    fn is_usable(&self, address: SocketAddr) -> bool {
        let is_done = self.is_closed || self.connection.ended().is_some();
        self.address == address && !is_done && !self.connection.is_released()
    }

    fn is_over(&self) -> bool {
        let is_sent = !self.connection.wants_to_send() && self.socket.unsent_bytes() == 0;
        self.connection.ended().is_some() && (self.is_closed || is_sent)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let establish =
            (!self.connection.is_established()).then_some(self.begun + ESTABLISH_WITHIN);
        [self.connection.poll_timeout(), establish].into_iter().flatten().min()
    }

    fn turn(&mut self, buf: &mut [u8]) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        if !self.connection.is_established() {
            self.socket.is_connected()?;
        }
        while self.connection.wants_bytes() {
            let received = self.socket.receive(buf)?;
            let now = Instant::now();
            match received {
                StreamReceived::Bytes(count) => self.connection.handle_bytes(now, &buf[..count]),
                StreamReceived::Nothing => break,
                StreamReceived::End => {
                    self.connection.handle_closed(now);
                    self.is_closed = true;
                    return Ok(());
                }
            }
        }
        self.socket.send(|| self.connection.poll_transmit())?;
        Ok(())
    }
}
