//! Streams that never block, and where they come in.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

use bytes::{Buf, Bytes};
use mio::{Interest, Registry, Token, event};
use socket2::{Domain, Protocol, Socket, Type};

/// Streams that may wait until they are accepted.
const BACKLOG: i32 = 256;

/// So much of what is to be sent is taken at once; the rest stays where it can still be counted and dropped.
const TAKEN_BYTES: usize = 64 << 10;
/// Pieces that the kernel is given in one call.
const MAX_PIECES: usize = 64;

/// Where streams come in.
///
/// An IPv6 one takes IPv6 alone, as [`UdpSocket`](crate::UdpSocket) does.
#[derive(Debug)]
pub struct TcpListener {
    listener: mio::net::TcpListener,
    address: SocketAddr,
}

impl TcpListener {
    /// Takes streams at `address`; port 0 lets the system choose one, see [`Self::local_address`]. What a server
    /// before us has left of streams is in nobody's way.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::bind`](crate::UdpSocket::bind).
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(address)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = mio::net::TcpListener::from_std(socket.into());
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The next stream, if one waits.
    ///
    /// # Errors
    ///
    /// When the process may have no more of them, which may be another thing later.
    pub fn accept(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => return Ok(Some((TcpStream::new(stream), peer))),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(None),
                    // It was gone before we came; so may be the network below it (accept(2)).
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::NetworkDown
                    | ErrorKind::TimedOut => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// The address it is bound to, as the system tells it.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl event::Source for TcpListener {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.listener.register(to, token, interests)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.listener.reregister(to, token, interests)
    }

    fn deregister(&mut self, to: &Registry) -> io::Result<()> {
        self.listener.deregister(to)
    }
}

/// A stream, without delay for small messages (`TCP_NODELAY`).
///
/// Whatever a call fails with, it is the end of this stream.
#[derive(Debug)]
pub struct TcpStream {
    stream: mio::net::TcpStream,
    /// Taken, and not yet given to the kernel.
    unsent: VecDeque<Bytes>,
    unsent_bytes: usize,
}

/// What a call of [`TcpStream::receive`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamReceived {
    /// So many bytes, at least one; more may be waiting.
    Bytes(usize),
    /// Nothing more for now.
    Nothing,
    /// The other side sends no more.
    End,
}

impl TcpStream {
    fn new(stream: mio::net::TcpStream) -> Self {
        // Where it cannot be had, small messages wait a little.
        let _ = stream.set_nodelay(true);
        Self { stream, unsent: VecDeque::new(), unsent_bytes: 0 }
    }

    /// Begins to connect. When the stream is writable for the first time, [`Self::is_connected`] tells what came of it.
    ///
    /// # Errors
    ///
    /// When it is clear at once that there is no way.
    pub fn connect(remote: SocketAddr) -> io::Result<Self> {
        mio::net::TcpStream::connect(remote).map(Self::new)
    }

    /// Whether the other side has taken the stream; `false` while that is not known.
    ///
    /// # Errors
    ///
    /// When it will not: nobody listens there, or there is no way.
    pub fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes what has arrived, as much as fits into `buf`.
    ///
    /// # Errors
    ///
    /// See [`TcpStream`].
    pub fn receive(&mut self, buf: &mut [u8]) -> io::Result<StreamReceived> {
        loop {
            match self.stream.read(buf) {
                Ok(0) => return Ok(StreamReceived::End),
                Ok(count) => return Ok(StreamReceived::Bytes(count)),
                Err(error) if is_not_yet(&error) => return Ok(StreamReceived::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends what is left of the last call, then what `next` gives, until there is no more or the kernel takes no more.
    /// Says whether all of it is gone; if not, this is to be called again when the stream is writable.
    ///
    /// # Errors
    ///
    /// See [`TcpStream`].
    pub fn send(&mut self, mut next: impl FnMut() -> Option<Bytes>) -> io::Result<bool> {
        loop {
            while self.unsent_bytes < TAKEN_BYTES
                && self.unsent.len() < MAX_PIECES
                && let Some(bytes) = next()
            {
                self.unsent_bytes += bytes.len();
                self.unsent.push_back(bytes);
            }
            if self.unsent.is_empty() {
                return Ok(true);
            }
            let pieces: Vec<_> = self.unsent.iter().map(|bytes| IoSlice::new(bytes)).collect();
            match self.stream.write_vectored(&pieces) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.on_sent(count),
                Err(error) if is_not_yet(&error) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes were taken by [`Self::send`] and are not yet with the kernel.
    pub fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Tells the other side that no more comes; what it sends can still be received.
    pub fn finish(&self) {
        // Where it cannot be told, closing tells it.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn on_sent(&mut self, mut count: usize) {
        self.unsent_bytes -= count;
        while let Some(front) = self.unsent.front_mut() {
            let part = count.min(front.len());
            front.advance(part);
            count -= part;
            if !front.is_empty() {
                return;
            }
            self.unsent.pop_front();
        }
    }
}

impl event::Source for TcpStream {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.register(to, token, interests)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.reregister(to, token, interests)
    }

    fn deregister(&mut self, to: &Registry) -> io::Result<()> {
        self.stream.deregister(to)
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Nothing just now; a stream that is not connected yet says so, too.
fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
