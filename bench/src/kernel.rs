//! `recvmmsg` and `sendmmsg`, as bare as they are: several datagrams per system call.

#![expect(unsafe_code, reason = "std has no call for more than one datagram at a time")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// The most datagrams per call.
pub(crate) const BATCH: usize = 64;

/// One more than any datagram that is sent or answered here.
const BUFFER_LEN: usize = 4_096;

/// Room for what one call receives, with the addresses it came from.
pub(crate) struct Received {
    buffers: Vec<[u8; BUFFER_LEN]>,
    lens: [usize; BATCH],
    addresses: Vec<libc::sockaddr_storage>,
    address_lens: [libc::socklen_t; BATCH],
    count: usize,
}

impl Received {
    pub(crate) fn new() -> Self {
        // SAFETY: all zeros is a valid sockaddr_storage: an address of no family.
        let nowhere: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self {
            buffers: vec![[0; BUFFER_LEN]; BATCH],
            lens: [0; BATCH],
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
            iov_len: BUFFER_LEN,
        });
        let addresses = self.addresses.as_mut_ptr();
        let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|i| {
            // SAFETY: `i` is within `addresses`, which has BATCH elements.
            let name = unsafe { addresses.add(i) };
            header(&mut iovecs[i], name.cast(), size_of::<libc::sockaddr_storage>())
        });
        // SAFETY: every header points to one iovec and one address, which point to memory of ours
        // that is as long as they say and outlives the call. No timeout is given.
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
        }
        Ok(())
    }

    /// What was received, in order.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|i| &self.buffers[i][..self.lens[i]])
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
            header(&mut iovecs[i], name.cast(), self.address_lens[i] as usize)
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
