//! Streams over loopback.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Interest, Poll, Token};
use suibi_net::{StreamReceived, TcpListener, TcpStream, UdpSocket};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
const PATIENCE: Duration = Duration::from_secs(20);

fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A stream of ours, watched, and the other end of it.
fn pair() -> (Poll, TcpStream, StdStream) {
    let mut poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind(here()).unwrap();
    poll.registry().register(&mut listener, Token(0), Interest::READABLE).unwrap();
    let other = StdStream::connect(listener.local_address()).unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = wait_for(&mut poll, || listener.accept().unwrap()).0;
    poll.registry().register(&mut stream, Token(1), BOTH).unwrap();
    (poll, stream, other)
}

fn wait_for<T>(poll: &mut Poll, mut wanted: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = wanted() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "nothing came");
        poll.poll(&mut Events::with_capacity(8), Some(Duration::from_millis(50))).unwrap();
    }
}

#[test]
fn what_the_kernel_does_not_take_at_once_goes_later_and_whole() {
    let (mut poll, mut stream, mut other) = pair();
    let long: Vec<u8> = (0..8_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut pieces =
        long.chunks(100_000).map(Bytes::copy_from_slice).collect::<Vec<_>>().into_iter();
    assert!(!stream.send(|| pieces.next()).unwrap(), "nobody reads yet");
    assert!(stream.unsent_bytes() > 0);
    assert!(pieces.len() > 0, "what does not fit is left where it was");
    let len = long.len();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; len];
        other.read_exact(&mut got).unwrap();
        got
    });
    wait_for(&mut poll, || stream.send(|| pieces.next()).unwrap().then_some(()));
    assert_eq!(stream.unsent_bytes(), 0);
    assert!(reader.join().unwrap() == long);
}

#[test]
fn bytes_come_in_and_then_the_end() {
    let (mut poll, mut stream, mut other) = pair();
    let mut buf = [0; 64];
    assert_eq!(stream.receive(&mut buf).unwrap(), StreamReceived::Nothing);
    other.write_all(b"hello").unwrap();
    other.shutdown(std::net::Shutdown::Write).unwrap();
    let mut got: Vec<u8> = Vec::new();
    wait_for(&mut poll, || match stream.receive(&mut buf).unwrap() {
        StreamReceived::Bytes(count) => {
            got.extend(&buf[..count]);
            None
        }
        StreamReceived::Nothing => None,
        StreamReceived::End => Some(()),
    });
    assert_eq!(got, b"hello");
    // The way out is still open.
    assert!(
        stream
            .send({
                let mut once = Some(Bytes::from_static(b"bye"));
                move || once.take()
            })
            .unwrap()
    );
    stream.finish();
    let mut rest = Vec::new();
    other.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"bye");
}

#[test]
fn connecting_tells_what_came_of_it() {
    let mut listener = TcpListener::bind(here()).unwrap();
    let mut poll = Poll::new().unwrap();
    let mut stream = TcpStream::connect(listener.local_address()).unwrap();
    poll.registry().register(&mut stream, Token(0), BOTH).unwrap();
    wait_for(&mut poll, || stream.is_connected().unwrap().then_some(()));
    let (_, peer) = wait_for(&mut poll, || listener.accept().unwrap());
    assert!(peer.ip().is_loopback());

    let nowhere = listener.local_address();
    drop(listener);
    let refused = match TcpStream::connect(nowhere) {
        Err(error) => error,
        Ok(mut stream) => {
            poll.registry().register(&mut stream, Token(1), BOTH).unwrap();
            wait_for(&mut poll, || stream.is_connected().err())
        }
    };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_listener_has_the_number_of_a_datagram_socket_and_gets_it_back_at_once() {
    let udp = UdpSocket::bind(here()).unwrap();
    let address = udp.local_address();
    let mut listener = TcpListener::bind(address).unwrap();
    assert_eq!(listener.local_address(), address);
    assert_eq!(TcpListener::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    // Closed by us first, the stream stays in the kernel for a minute (TIME_WAIT).
    let mut other = StdStream::connect(address).unwrap();
    let accepted = loop {
        if let Some((stream, _)) = listener.accept().unwrap() {
            break stream;
        }
    };
    drop((accepted, listener));
    let _ = other.read(&mut [0]);
    drop(other);
    TcpListener::bind(address).unwrap();
}
