//! `recvmmsg` and `sendmmsg`, as bare as they are: several datagrams per system call; with the
//! kernel's offloads, also several of one flow per datagram that passes through it.

#![expect(unsafe_code, reason = "std has no call for more than one datagram at a time")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// The most datagrams per call.
pub(crate) const BATCH: usize = 64;

/// One more than any datagram that is sent or answered here.
const BUFFER_LEN: usize = 4_096;

/// As long as datagrams that travel as one can be together, and how many they can be.
const JOINED_LEN: usize = 65_535;
const JOINED: usize = 64;

/// Room for one control message that holds a number, aligned as its header wants it.
type Control = [u64; 4];

/// Lets the kernel hand several datagrams of one flow over as one (`UDP_GRO`).
pub(crate) fn join_received(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Asks for room for bursts, as much as our own server asks for; the kernel gives what its own limit allows.
pub(crate) fn hold_bursts(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20)
}

fn set(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: these options are ints, and `value` is one that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets this process have so many files open.
///
/// # Errors
/// When the system does not allow so many; it says how many it does.
pub(crate) fn open_files(wanted: usize) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer leads to a limit of ours, which is written.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let most = limit.rlim_max;
    if most < wanted as libc::rlim_t {
        let said =
            format!("{wanted} files have to be open at a time, and {most} may be (ulimit -n -H)");
        return Err(io::Error::other(said));
    }
    limit.rlim_cur = most;
    // SAFETY: the pointer leads to a limit of ours, which is read.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A network device whose packets are read from and written to this file, one at a time, from the IP header on.
///
/// # Errors
/// When there is no `/dev/net/tun`, or this process may not make devices.
pub(crate) fn tun(name: &str) -> io::Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // struct ifreq: the name, then the flags.
    let mut request = [0u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request[16..18].copy_from_slice(&(flags as i16).to_ne_bytes());
    // SAFETY: the pointer leads to as many bytes as the call reads and writes, which outlive it.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, request.as_mut_ptr()) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Room for what one call receives, with the addresses it came from.
pub(crate) struct Received {
    buffers: Vec<Vec<u8>>,
    lens: [usize; BATCH],
    /// How long each of the datagrams is that came as one; zero when it is one alone.
    segment_lens: [u16; BATCH],
    controls: Vec<Control>,
    addresses: Vec<libc::sockaddr_storage>,
    address_lens: [libc::socklen_t; BATCH],
    count: usize,
}

impl Received {
    pub(crate) fn new() -> Self {
        Self::with_room(BUFFER_LEN)
    }

    /// For a socket with [`join_received`].
    pub(crate) fn joined() -> Self {
        Self::with_room(JOINED_LEN)
    }

    fn with_room(len: usize) -> Self {
        // SAFETY: all zeros is a valid sockaddr_storage: an address of no family.
        let nowhere: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self {
            buffers: vec![vec![0; len]; BATCH],
            lens: [0; BATCH],
            segment_lens: [0; BATCH],
            controls: vec![[0; 4]; BATCH],
            addresses: vec![nowhere; BATCH],
            address_lens: [0; BATCH],
            count: 0,
        }
    }

    /// Receives what is there, at least one datagram; waits for it when the socket blocks.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.count = 0;
        let mut iovecs: [libc::iovec; BATCH] = std::array::from_fn(|i| libc::iovec {
            iov_base: self.buffers[i].as_mut_ptr().cast(),
            iov_len: self.buffers[i].len(),
        });
        let addresses = self.addresses.as_mut_ptr();
        let controls = self.controls.as_mut_ptr();
        let joined = self.buffers[0].len() == JOINED_LEN;
        let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|i| {
            // SAFETY: `i` is within `addresses` and `controls`, which have BATCH elements each.
            let (name, control) = unsafe { (addresses.add(i), controls.add(i)) };
            let mut header =
                header(&mut iovecs[i], name.cast(), size_of::<libc::sockaddr_storage>());
            if joined {
                header.msg_hdr.msg_control = control.cast();
                header.msg_hdr.msg_controllen = size_of::<Control>();
            }
            header
        });
        // SAFETY: every header points to one iovec, one address and perhaps one control buffer,
        // which point to memory of ours that is as long as they say and outlives the call. No
        // timeout is given.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        self.count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (i, header) in headers[..self.count].iter().enumerate() {
            self.lens[i] = header.msg_len as usize;
            self.address_lens[i] = header.msg_hdr.msg_namelen;
            self.segment_lens[i] = segment_len(&header.msg_hdr);
        }
        Ok(())
    }

    /// What was received, in order.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).flat_map(|i| {
            let bytes = &self.buffers[i][..self.lens[i]];
            let each = usize::from(self.segment_lens[i]);
            bytes.chunks(if each == 0 { bytes.len().max(1) } else { each })
        })
    }

    /// Sends everything back to where it came from.
    pub(crate) fn echo(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let mut iovecs: [libc::iovec; BATCH] = std::array::from_fn(|i| libc::iovec {
            iov_base: self.buffers[i].as_mut_ptr().cast(),
            iov_len: self.lens[i],
        });
        let addresses = self.addresses.as_mut_ptr();
        let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|i| {
            // SAFETY: `i` is within `addresses`, which has BATCH elements.
            let name = unsafe { addresses.add(i) };
            let mut header = header(&mut iovecs[i], name.cast(), self.address_lens[i] as usize);
            let each = self.segment_lens[i];
            if self.lens[i] > usize::from(each) && each > 0 {
                split_on_the_way(&mut header.msg_hdr, &mut self.controls[i], each);
            }
            header
        });
        send(socket, &mut headers[..self.count]).map(drop)
    }
}

/// Sends these datagrams on a connected socket; tells how many the kernel took.
pub(crate) fn send_all(socket: BorrowedFd<'_>, datagrams: &[Vec<u8>]) -> io::Result<usize> {
    let mut sent = 0;
    for chunk in datagrams.chunks(BATCH) {
        let mut iovecs: Vec<libc::iovec> = chunk
            .iter()
            // The kernel only reads what it sends; the type is shared with receiving.
            .map(|bytes| libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            })
            .collect();
        let mut headers: Vec<libc::mmsghdr> =
            iovecs.iter_mut().map(|iovec| header(iovec, std::ptr::null_mut(), 0)).collect();
        sent += send(socket, &mut headers)?;
    }
    Ok(sent)
}

/// The same, where datagrams of one length go as one through the kernel (`UDP_SEGMENT`).
pub(crate) fn send_joined(socket: BorrowedFd<'_>, datagrams: &[Vec<u8>]) -> io::Result<usize> {
    let mut sent = 0;
    let alike = |one: &Vec<u8>, next: &Vec<u8>| one.len() == next.len();
    let runs = datagrams.chunk_by(alike).flat_map(|run| {
        let len = run[0].len().max(1);
        run.chunks((JOINED_LEN / len).clamp(1, JOINED))
    });
    for run in runs {
        let mut bytes = run.concat();
        let mut iovec = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let mut header = header(&mut iovec, std::ptr::null_mut(), 0);
        let mut control = [0; 4];
        if run.len() > 1 {
            let each = u16::try_from(run[0].len()).expect("a datagram is short");
            split_on_the_way(&mut header.msg_hdr, &mut control, each);
        }
        if send(socket, std::slice::from_mut(&mut header))? == 0 {
            break;
        }
        sent += run.len();
    }
    Ok(sent)
}

/// How long each of the datagrams is that came as one, or zero.
fn segment_len(header: &libc::msghdr) -> u16 {
    // SAFETY: the kernel has filled the header's control buffer, if it has one, with whole control
    // messages, and these calls stay within it.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: it is not null, so it is a whole control message in the buffer; the kernel writes
        // an int for UDP_GRO, which need not be aligned.
        unsafe {
            if (*message).cmsg_level == libc::SOL_UDP && (*message).cmsg_type == libc::UDP_GRO {
                let len = libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned();
                return u16::try_from(len).unwrap_or(0);
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    0
}

/// Makes the kernel send what the header leads to as datagrams of `each` bytes.
fn split_on_the_way(header: &mut libc::msghdr, control: &mut Control, each: u16) {
    // SAFETY: these only compute lengths.
    let (space, len) = unsafe { (libc::CMSG_SPACE(2) as usize, libc::CMSG_LEN(2) as usize) };
    assert!(space <= size_of::<Control>(), "the buffer is made for this");
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = space;
    // SAFETY: the control buffer was just set, has room for a header and a u16, and is aligned.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = len;
        libc::CMSG_DATA(message).cast::<u16>().write_unaligned(each);
    }
}

fn send(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < headers.len() {
        let rest = &mut headers[sent..];
        let count = libc::c_uint::try_from(rest.len()).expect("a batch is small");
        // SAFETY: both callers make headers whose pointers lead to memory that outlives the call.
        let taken = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), count, 0) };
        match usize::try_from(taken) {
            Ok(taken) => sent += taken,
            Err(_) => match io::Error::last_os_error() {
                // A full buffer loses the rest, as any network may.
                error if error.kind() == io::ErrorKind::WouldBlock => return Ok(sent),
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(sent)
}

fn header(iovec: *mut libc::iovec, name: *mut libc::c_void, name_len: usize) -> libc::mmsghdr {
    // SAFETY: all zeros is a valid mmsghdr: no name, no buffers, no control messages. (It has
    // padding on some systems, so it cannot be written out.)
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = iovec;
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_name = name;
    header.msg_hdr.msg_namelen = libc::socklen_t::try_from(name_len).expect("an address is short");
    header
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_travels_as_one_arrives_as_many() {
        let (here, there) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        here.connect(there.local_addr().unwrap()).unwrap();
        join_received(there.as_fd()).unwrap();
        let datagrams: Vec<Vec<u8>> =
            [&b"one"[..], b"two", b"six", b"seven"].map(Vec::from).to_vec();
        assert_eq!(send_joined(here.as_fd(), &datagrams).unwrap(), 4);
        let mut received = Received::joined();
        let mut echoed = Vec::new();
        while echoed.len() < 4 {
            received.receive(there.as_fd()).unwrap();
            echoed.extend(received.datagrams().map(Vec::from));
            received.echo(there.as_fd()).unwrap();
        }
        assert_eq!(echoed, datagrams);
        // The sender has not asked for joined datagrams, and gets them one by one.
        let mut buf = [0; 16];
        for datagram in datagrams {
            let len = here.recv(&mut buf).unwrap();
            assert_eq!(buf[..len], datagram);
        }
    }
}
