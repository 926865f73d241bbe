//! A datagram socket that never blocks.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use socket2::{Domain, Protocol, Socket, Type};
use suibi_coap::{Peer, Transmit};

use crate::kernel::{self, ReceiveBatch};

/// What we ask the kernel to hold for us while we are busy; it gives what its own limit allows.
const BUFFER_BYTES: usize = 4 << 20;

/// A UDP socket, bound for many peers or connected to one.
///
/// Bound to every interface (`0.0.0.0`, `::`) it notes for each datagram the address that it came to
/// ([`Peer::local`]), and an answer to that peer leaves from there; a client that `connect()`ed sees
/// nothing else. IPv6 sockets carry IPv6 alone, so that `0.0.0.0` and `::` can be bound to one port.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    address: SocketAddr,
    /// Where a connected socket leads.
    remote: Option<SocketAddr>,
    /// Datagrams of one size to one peer are given to the kernel as one.
    groups: bool,
}

/// What a call of [`UdpSocket::receive`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many datagrams, at least one, now in the batch.
    Datagrams(usize),
    /// A hint that nobody listens there (ICMP). Only a connected socket is told; more may be waiting.
    Unreachable(Peer),
    /// Nothing more for now.
    Nothing,
}

/// What a call of [`UdpSocket::send`] did.
#[derive(Debug, Default)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub datagrams: usize,
    /// Datagrams that it refused (no route, too large, nobody there), dropped as the network drops them.
    pub refused: Vec<(Peer, io::Error)>,
}

impl UdpSocket {
    /// A socket that receives at `address`; port 0 lets the system choose one, see [`Self::local_address`].
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `PermissionDenied` (ports below 1024), `AddrNotAvailable` (not of this machine), or what else
    /// the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(address)?;
        if address.ip().is_unspecified() {
            kernel::report_local_address(socket.as_fd(), address)?;
        }
        socket.bind(&address.into())?;
        let address = local_address(&socket)?;
        let groups = kernel::can_segment(socket.as_fd());
        Ok(Self { socket, address, remote: None, groups })
    }

    /// A socket for one peer: it hears only that peer, and is told when nobody listens there.
    ///
    /// # Errors
    ///
    /// When there is no route to it.
    pub fn connect(remote: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(remote)?;
        let any: SocketAddr = match remote {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        socket.bind(&any.into())?;
        socket.connect(&remote.into())?;
        let address = local_address(&socket)?;
        let groups = kernel::can_segment(socket.as_fd());
        Ok(Self { socket, address, remote: Some(remote), groups })
    }

    /// Takes what has arrived, without waiting: up to 64 datagrams, or as many groups that the kernel left together.
    ///
    /// # Errors
    ///
    /// Only those of the socket itself; what one peer causes is never an error.
    pub fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<Received> {
        loop {
            match kernel::receive(self.socket.as_fd(), batch) {
                Ok(false) => return Ok(Received::Nothing),
                Ok(true) => return Ok(Received::Datagrams(batch.count())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Nothing);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => match self.remote {
                    Some(remote) if is_about_the_peer(&error) => {
                        return Ok(Received::Unreachable(remote.into()));
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Sends from the front of `queue` until it is empty or the kernel's buffer is full; what is left, stays queued.
    ///
    /// # Errors
    ///
    /// Only those of the socket itself. A datagram that cannot go is dropped and named in [`Sent::refused`].
    pub fn send(&mut self, queue: &mut VecDeque<Transmit>) -> io::Result<Sent> {
        let mut sent = Sent::default();
        let mut groups = self.groups;
        while !queue.is_empty() {
            match kernel::send(self.socket.as_fd(), self.remote.is_some(), groups, queue.iter()) {
                Ok(count) => {
                    sent.datagrams += count;
                    queue.drain(..count);
                    groups = self.groups;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It may be about the group and not about what is in it, so they are tried one by one.
                Err(error) if groups && is_about_the_group(&error) => {
                    groups = false;
                    if error.raw_os_error() == Some(libc::EIO) {
                        tracing::debug!(%error, "datagrams are sent one by one from now on");
                        self.groups = false;
                    }
                }
                Err(error) if is_about_the_peer(&error) || is_about_the_datagram(&error) => {
                    let transmit = queue.pop_front().expect("the loop's condition");
                    sent.refused.push((transmit.peer, error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Waits until there is something to receive, at most `timeout` (`None`: for ever), and says whether there is.
    ///
    /// A signal may end the wait early.
    ///
    /// # Errors
    ///
    /// Those of `poll(2)`.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        kernel::wait(self.socket.as_fd(), timeout)
    }

    /// The address it is bound to, as the system tells it.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Where a connected socket leads.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.remote
    }
}

impl event::Source for UdpSocket {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).register(to, token, interests)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).reregister(to, token, interests)
    }

    fn deregister(&mut self, to: &Registry) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).deregister(to)
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Both are a help, the buffers against bursts, and never worth failing for.
    let _ = kernel::receive_groups(socket.as_fd());
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// ICMP, or no way there just now: a hint about one peer, which must not stop the others.
fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    ) || matches!(error.raw_os_error(), Some(libc::EPROTO | libc::ENOPROTOOPT | libc::EHOSTDOWN))
}

/// What a group of datagrams may be refused for: one that is longer than the link takes, or (`EIO`) a way out, or a kind
/// of socket, that knows no groups.
fn is_about_the_group(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO) || is_about_the_datagram(error)
}

/// This one cannot go, the next one may: too large, a port of zero, a filter, an address that is gone from this machine.
fn is_about_the_datagram(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EMSGSIZE
                | libc::EINVAL
                | libc::EPERM
                | libc::EACCES
                | libc::EADDRNOTAVAIL
                | libc::EAFNOSUPPORT
                | libc::ENOBUFS
                | libc::ENODEV
        )
    )
}
