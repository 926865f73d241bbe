//! Whether anything passes to an address at all, by datagram and by stream, keys or not.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// So often a datagram is sent, and so long each is waited for.
const TRIES: u16 = 3;
const TRY: Duration = Duration::from_millis(300);

/// Whether a CoAP ping, an empty confirmable message, gets its reset (RFC 7252 §4.3).
pub(super) fn datagrams_pass(address: SocketAddr) -> bool {
    ping(address).unwrap_or(false)
}

fn ping(address: SocketAddr) -> io::Result<bool> {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    };
    socket.connect(address)?;
    socket.set_read_timeout(Some(TRY))?;
    for id in 0..TRIES {
        let [high, low] = id.to_be_bytes();
        // Version 1, confirmable (and reset), no token; code 0.00.
        socket.send(&[0x40, 0x00, high, low])?;
        let mut buf = [0; 16];
        if socket.recv(&mut buf).is_ok_and(|len| buf[..len] == [0x70, 0x00, high, low]) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a stream can be opened.
pub(super) fn streams_pass(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, TRY * u32::from(TRIES)).is_ok()
}
