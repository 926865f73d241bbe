//! The kernel's batch calls, `recvmmsg(2)` and `sendmmsg(2)`, and what std has no name for.
//!
//! Datagrams of one size between the same two addresses may pass the kernel as one, and are cut apart late on their way
//! out (`UDP_SEGMENT`) or not at all on their way in (`UDP_GRO`, udp(7)); on the wire nothing shows of that.
//!
//! This is the one file of the program with `unsafe` in it. Each call fills the kernel's structures with pointers into
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

/// Messages taken or given in one call.
const BATCH: usize = 64;

/// Room for one message: the largest that UDP over IPv4 or IPv6 carries fits, so nothing is ever cut.
const SLOT_BYTES: usize = 1 << 16;

/// Room for the control messages of one message; `in6_pktinfo` needs 40 bytes, a segment size 24.
const CONTROL_BYTES: usize = 128;

/// Datagrams given in one call.
const MAX_SLICES: usize = 256;
/// The most datagrams that pass the kernel as one; older kernels take no more.
const MAX_SEGMENTS: usize = 64;
/// Longer ones go each for itself. Such a segment fits every link of IPv6 (1,280 bytes) behind its headers; one that
/// does not fit the link would be refused, where a datagram of its own is cut into fragments.
const MAX_SEGMENT_BYTES: usize = 1200;
/// What passes the kernel as one is no longer than a datagram can be.
const MAX_GROUP_BYTES: usize = 65_000;

/// Control messages begin on the boundary of their header.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Where received datagrams are put: room for 64 of any size, or as many groups of equal ones, used again and again.
///
/// The 4 MiB are address space; memory is taken only for what datagrams really fill.
pub struct ReceiveBatch {
    buf: Vec<u8>,
    messages: Vec<Option<Message>>,
}

/// One datagram, or several from one peer that the kernel left together: all of one length but the last, which may be
/// shorter.
#[derive(Clone, Copy)]
struct Message {
    peer: Peer,
    len: usize,
    /// The length of each but the last.
    segment: usize,
}

impl Message {
    fn datagrams(self, buf: &[u8]) -> impl Iterator<Item = (Peer, &[u8])> {
        let bytes = &buf[..self.len];
        // The empty datagram is one, too.
        let (alone, group) = match bytes.len() <= self.segment {
            true => (Some(bytes), &bytes[..0]),
            false => (None, bytes),
        };
        alone.into_iter().chain(group.chunks(self.segment)).map(move |bytes| (self.peer, bytes))
    }

    fn count(self) -> usize {
        self.len.div_ceil(self.segment).max(1)
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self { buf: vec![0; BATCH * SLOT_BYTES], messages: Vec::with_capacity(BATCH) }
    }

    /// The datagrams of the last `receive`, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (Peer, &[u8])> {
        self.messages
            .iter()
            .zip(self.buf.chunks_exact(SLOT_BYTES))
            .filter_map(|(message, buf)| message.map(|message| message.datagrams(buf)))
            .flatten()
    }

    /// Whether there was room for no more; else all was taken that had arrived.
    pub fn is_full(&self) -> bool {
        self.messages.len() == BATCH
    }

    /// How many datagrams there are.
    pub(crate) fn count(&self) -> usize {
        self.messages.iter().flatten().map(|message| message.count()).sum()
    }
}

/// Fills `batch` with what has arrived, without waiting, and says whether that was anything.
#[expect(unsafe_code, reason = "std receives one datagram a call, and not the address it came to")]
pub(crate) fn receive(socket: BorrowedFd<'_>, batch: &mut ReceiveBatch) -> io::Result<bool> {
    batch.messages.clear();
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
        let (local, segment) = unsafe { read_control(&message.msg_hdr) };
        // Without all that is said of it one could not tell where its datagrams end. There is room for all of it.
        let is_whole = message.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) == 0;
        let address = address.filter(|_| is_whole);
        batch.messages.push(address.map(|address| {
            let segment = segment.filter(|&segment| segment > 0).unwrap_or(SLOT_BYTES);
            Message { peer: Peer { address, local }, len, segment }
        }));
    }
    Ok(count > 0)
}

/// The address that a message came to, and the length of its datagrams where it is several.
///
/// # Safety
///
/// `msg_control` must lead to `msg_controllen` initialised bytes, written by the kernel.
#[expect(unsafe_code, reason = "control messages are found by walking pointers")]
unsafe fn read_control(header: &libc::msghdr) -> (Option<IpAddr>, Option<usize>) {
    let (mut local, mut segment) = (None, None);
    // SAFETY: upheld by the caller; the macros of libc stay within `msg_controllen`.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole header inside the buffer.
        let (level, kind, data) =
            unsafe { ((*message).cmsg_level, (*message).cmsg_type, libc::CMSG_DATA(message)) };
        if (level, kind) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // SAFETY: a message of this kind carries an `in_pktinfo`.
            let info: libc::in_pktinfo = unsafe { ptr::read_unaligned(data.cast()) };
            local = Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into());
        }
        if (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: a message of this kind carries an `in6_pktinfo`.
            let info: libc::in6_pktinfo = unsafe { ptr::read_unaligned(data.cast()) };
            local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
        }
        if (level, kind) == (libc::SOL_UDP, libc::UDP_GRO) {
            // SAFETY: a message of this kind carries an int.
            let bytes: libc::c_int = unsafe { ptr::read_unaligned(data.cast()) };
            segment = usize::try_from(bytes).ok();
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    (local, segment)
}

/// Datagrams that pass the kernel as one: to one peer, of one length but for the last.
#[derive(Clone, Copy)]
struct Group {
    count: usize,
    segment: usize,
    bytes: usize,
    /// The last one was shorter than the others.
    is_closed: bool,
}

impl Group {
    fn of(first: &Transmit) -> Self {
        let len = first.bytes.len();
        let is_closed = len == 0 || len > MAX_SEGMENT_BYTES;
        Self { count: 1, segment: len, bytes: len, is_closed }
    }

    /// Takes one more, if it may go with the others.
    fn take(&mut self, next: &Transmit) -> bool {
        let len = next.bytes.len();
        if self.is_closed
            || self.count == MAX_SEGMENTS
            || len == 0
            || len > self.segment
            || self.bytes + len > MAX_GROUP_BYTES
        {
            return false;
        }
        self.count += 1;
        self.bytes += len;
        self.is_closed = len < self.segment;
        true
    }
}

/// Sends the first datagrams of `transmits`, at most 256, and says how many the kernel took. With `grouped` those that
/// belong together pass it as one, see [`can_segment`].
///
/// # Errors
///
/// What is wrong with the first of them, or the first group; it and all others stay unsent then. With `connected` the
/// peer's address is the socket's own.
#[expect(unsafe_code, reason = "std sends one datagram a call, and not from a chosen address")]
pub(crate) fn send<'a>(
    socket: BorrowedFd<'_>,
    connected: bool,
    grouped: bool,
    transmits: impl Iterator<Item = &'a Transmit>,
) -> io::Result<usize> {
    let mut names: [Option<SockAddr>; BATCH] = [const { None }; BATCH];
    let mut controls = [Control([0; CONTROL_BYTES]); BATCH];
    let mut slices: [libc::iovec; MAX_SLICES] =
        [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; MAX_SLICES];
    // SAFETY: all-zero is a valid value of these structures of integers and pointers.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let mut groups: [Option<(Peer, Group)>; BATCH] = [None; BATCH];
    let mut count = 0_usize;
    for (i, transmit) in transmits.take(MAX_SLICES).enumerate() {
        let Transmit { peer, bytes } = transmit;
        let last = count.checked_sub(1).and_then(|last| groups[last].as_mut());
        let is_taken =
            grouped && last.is_some_and(|(of, group)| of == peer && group.take(transmit));
        if !is_taken {
            if count == BATCH {
                break;
            }
            groups[count] = Some((*peer, Group::of(transmit)));
            count += 1;
        }
        slices[i] =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    }
    let mut rest = &mut slices[..];
    for (i, (peer, group)) in groups.iter().flatten().enumerate() {
        let header = &mut messages[i].msg_hdr;
        let (own, others) = mem::take(&mut rest).split_at_mut(group.count);
        rest = others;
        header.msg_iov = own.as_mut_ptr();
        header.msg_iovlen = own.len() as _;
        if !connected {
            let name = names[i].insert(SockAddr::from(peer.address));
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
        }
        let control = &mut controls[i];
        let mut len = peer.local.map_or(0, |local| put_local_address(control, local));
        if group.count > 1 {
            let segment = u16::try_from(group.segment).expect("segments are short");
            len = put_control(control, len, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
        if len > 0 {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = len as _;
        }
    }
    // SAFETY: every pointer in the first `count` messages leads to a buffer of the length beside it, which is
    // alive until the call returns, `msg_iov` to as many slices as the group has datagrams; the kernel only reads
    // through them, and writes `msg_len`.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as _,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    Ok(groups[..sent].iter().flatten().map(|(_, group)| group.count).sum())
}

/// Writes the address to send from, and says how many bytes the control buffer then holds.
#[expect(unsafe_code, reason = "structures of the kernel have no other initial value than zero")]
fn put_local_address(control: &mut Control, local: IpAddr) -> usize {
    match local {
        IpAddr::V4(local) => {
            // SAFETY: all-zero is a valid value of this structure of integers.
            let mut info: libc::in_pktinfo = unsafe { mem::zeroed() };
            info.ipi_spec_dst.s_addr = u32::from_ne_bytes(local.octets());
            put_control(control, 0, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(local) => {
            // SAFETY: as above.
            let mut info: libc::in6_pktinfo = unsafe { mem::zeroed() };
            info.ipi6_addr.s6_addr = local.octets();
            put_control(control, 0, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

/// Writes a control message behind the `used` bytes that the buffer holds, and says how many it holds then.
#[expect(unsafe_code, reason = "control messages are written through pointers")]
fn put_control<T: Copy>(
    control: &mut Control,
    used: usize,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
    let bytes = size_of::<T>() as libc::c_uint;
    // SAFETY: this only reckons.
    let space = unsafe { libc::CMSG_SPACE(bytes) } as usize;
    let place = &mut control.0[used..used + space];
    let message: *mut libc::cmsghdr = place.as_mut_ptr().cast();
    assert!(message.is_aligned(), "control messages take whole words");
    // SAFETY: `place` is writable and has room for the header and the value behind it, and the header's alignment.
    unsafe {
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(bytes) as _;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), value);
    }
    used + space
}

/// Whether the kernel takes several datagrams as one (`UDP_SEGMENT`, Linux 4.18). One that does not know it would not
/// refuse them, but send one long datagram.
pub(crate) fn can_segment(socket: BorrowedFd<'_>) -> bool {
    let mut segment: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    #[expect(unsafe_code, reason = "neither std nor socket2 asks for this option")]
    // SAFETY: the pointers lead to an int and to its length, alive until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw mut segment).cast(),
            &raw mut len,
        )
    };
    result == 0
}

/// Lets the kernel leave together what came together (`UDP_GRO`, Linux 5.0).
pub(crate) fn receive_groups(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Asks for the address that each datagram came to (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
pub(crate) fn report_local_address(socket: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    set_option(socket, level, name)
}

/// Turns an option on.
#[expect(unsafe_code, reason = "neither std nor socket2 sets these options")]
fn set_option(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
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
