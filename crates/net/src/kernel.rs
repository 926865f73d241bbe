//! The kernel's batch calls, `recvmmsg(2)` and `sendmmsg(2)`, and what std has no name for.
//!
//! This is the one file with `unsafe` in it. Each call fills the kernel's structures with pointers into
//! buffers that live until the call returns, and nothing keeps such a pointer afterwards.

use std::array;
use std::io;
use std::mem::{self, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use socket2::{SockAddr, SockAddrStorage};
use suibi_coap::{Peer, Transmit};

/// Datagrams taken or given in one call.
pub(crate) const BATCH: usize = 64;

/// Room for one datagram: the largest that UDP over IPv4 or IPv6 carries fits, so nothing is ever cut.
const SLOT_BYTES: usize = 1 << 16;

/// Room for the control messages of one datagram; `in6_pktinfo` needs 40 bytes.
const CONTROL_BYTES: usize = 64;

/// Control messages begin on the boundary of their header.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Where received datagrams are put: room for 64 of any size, used again and again.
///
/// The 4 MiB are address space; memory is taken only for what datagrams really fill.
pub struct ReceiveBatch {
    buf: Vec<u8>,
    peers: Vec<Option<(Peer, usize)>>,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self { buf: vec![0; BATCH * SLOT_BYTES], peers: Vec::with_capacity(BATCH) }
    }

    /// The datagrams of the last `receive`, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (Peer, &[u8])> {
        self.peers
            .iter()
            .zip(self.buf.chunks_exact(SLOT_BYTES))
            .filter_map(|(slot, buf)| slot.map(|(peer, len)| (peer, &buf[..len])))
    }

    pub(crate) fn clear(&mut self) {
        self.peers.clear();
    }
}

/// Fills `batch` with what has arrived, without waiting, and says how many datagrams that was.
#[expect(unsafe_code, reason = "std receives one datagram a call, and not the address it came to")]
pub(crate) fn receive(socket: BorrowedFd<'_>, batch: &mut ReceiveBatch) -> io::Result<usize> {
    batch.clear();
    let mut names: [_; BATCH] = array::from_fn(|_| SockAddrStorage::zeroed());
    let mut controls = [Control([0; CONTROL_BYTES]); BATCH];
    let mut slices: [libc::iovec; BATCH] =
        [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    // SAFETY: all-zero is a valid value of these structures of integers and pointers.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    for (i, buf) in batch.buf.chunks_exact_mut(SLOT_BYTES).enumerate() {
        slices[i] = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        let header = &mut messages[i].msg_hdr;
        header.msg_name = (&raw mut names[i]).cast();
        header.msg_namelen = names[i].size_of();
        header.msg_iov = &raw mut slices[i];
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut controls[i]).cast();
        header.msg_controllen = CONTROL_BYTES as _;
    }
    // SAFETY: every pointer in `messages` leads to a buffer of the length beside it, which is alive and
    // not otherwise borrowed until the call returns; the count is the length of `messages`.
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            BATCH as _,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    for (message, name) in messages[..count].iter().zip(names) {
        let len = (message.msg_len as usize).min(SLOT_BYTES);
        // SAFETY: the kernel wrote an address of `msg_namelen` bytes into this storage.
        let address = unsafe { SockAddr::new(name, message.msg_hdr.msg_namelen) }.as_socket();
        // SAFETY: the header still leads to its control buffer, of which the kernel filled `msg_controllen` bytes.
        let local = unsafe { local_address(&message.msg_hdr) };
        batch.peers.push(address.map(|address| (Peer { address, local }, len)));
    }
    Ok(count)
}

/// The address a datagram came to, from its packet information.
///
/// # Safety
///
/// `msg_control` must lead to `msg_controllen` initialised bytes, written by the kernel.
#[expect(unsafe_code, reason = "control messages are found by walking pointers")]
unsafe fn local_address(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: upheld by the caller; the macros of libc stay within `msg_controllen`.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole header inside the buffer.
        let (level, kind, data) =
            unsafe { ((*message).cmsg_level, (*message).cmsg_type, libc::CMSG_DATA(message)) };
        if (level, kind) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // SAFETY: a message of this kind carries an `in_pktinfo`.
            let info: libc::in_pktinfo = unsafe { ptr::read_unaligned(data.cast()) };
            return Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into());
        }
        if (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: a message of this kind carries an `in6_pktinfo`.
            let info: libc::in6_pktinfo = unsafe { ptr::read_unaligned(data.cast()) };
            return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

/// Sends the first datagrams of `transmits`, at most 64, and says how many the kernel took.
///
/// # Errors
///
/// What is wrong with the first of them; it and all others stay unsent then. With `connected` the peer's address is the
/// socket's own.
#[expect(unsafe_code, reason = "std sends one datagram a call, and not from a chosen address")]
pub(crate) fn send<'a>(
    socket: BorrowedFd<'_>,
    connected: bool,
    transmits: impl Iterator<Item = &'a Transmit>,
) -> io::Result<usize> {
    let mut names: [Option<SockAddr>; BATCH] = [const { None }; BATCH];
    let mut controls = [Control([0; CONTROL_BYTES]); BATCH];
    let mut slices: [libc::iovec; BATCH] =
        [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    // SAFETY: all-zero is a valid value of these structures of integers and pointers.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let mut count = 0;
    for (i, Transmit { peer, bytes }) in transmits.take(BATCH).enumerate() {
        slices[i] =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let header = &mut messages[i].msg_hdr;
        header.msg_iov = &raw mut slices[i];
        header.msg_iovlen = 1;
        if !connected {
            let name = names[i].insert(SockAddr::from(peer.address));
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
        }
        if let Some(local) = peer.local {
            header.msg_control = (&raw mut controls[i]).cast();
            header.msg_controllen = CONTROL_BYTES as _;
            // SAFETY: the header leads to a zeroed control buffer, aligned, with room for one packet information.
            header.msg_controllen = unsafe { write_local_address(header, local) } as _;
        }
        count = i + 1;
    }
    // SAFETY: every pointer in the first `count` messages leads to a buffer of the length beside it, which is
    // alive until the call returns; the kernel only reads through them, and writes `msg_len`.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as _,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Writes a packet information that names the address to send from, and says how many bytes the control buffer then holds.
///
/// # Safety
///
/// `msg_control` must lead to `msg_controllen` writable bytes, at least 40, aligned for `cmsghdr`.
#[expect(unsafe_code, reason = "control messages are written through pointers")]
unsafe fn write_local_address(header: &libc::msghdr, local: IpAddr) -> usize {
    // SAFETY: upheld by the caller: there is room for one header and the larger of the two structures, so CMSG_FIRSTHDR is not null.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        match local {
            IpAddr::V4(local) => {
                (*message).cmsg_level = libc::IPPROTO_IP;
                (*message).cmsg_type = libc::IP_PKTINFO;
                let mut info: libc::in_pktinfo = mem::zeroed();
                info.ipi_spec_dst.s_addr = u32::from_ne_bytes(local.octets());
                (*message).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as _;
                ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
                libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as usize
            }
            IpAddr::V6(local) => {
                (*message).cmsg_level = libc::IPPROTO_IPV6;
                (*message).cmsg_type = libc::IPV6_PKTINFO;
                let mut info: libc::in6_pktinfo = mem::zeroed();
                info.ipi6_addr.s6_addr = local.octets();
                (*message).cmsg_len = libc::CMSG_LEN(size_of::<libc::in6_pktinfo>() as u32) as _;
                ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
                libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) as usize
            }
        }
    }
}

/// Asks for the address that each datagram came to (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
#[expect(unsafe_code, reason = "neither std nor socket2 sets this option")]
pub(crate) fn report_local_address(socket: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let on: libc::c_int = 1;
    // SAFETY: the value pointer leads to an int of the length given, alive until the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as _,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits until the socket has something to read, at most `timeout`; a signal may end it early with `false`.
#[expect(unsafe_code, reason = "std waits for one socket only by blocking in a read")]
pub(crate) fn wait(socket: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    // Rounded up, so that a timer is due when the wait is over.
    let millis = timeout.map_or(-1, |timeout| {
        timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(libc::c_int::MAX)
    });
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer leads to one `pollfd`, alive until the call returns.
    match unsafe { libc::poll(&raw mut entry, 1, millis) } {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
        ready => Ok(ready > 0),
    }
}

/// The user as whom this process acts, by number.
#[expect(unsafe_code, reason = "std does not tell it")]
pub fn effective_user() -> u32 {
    // SAFETY: geteuid(2) takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() }
}
