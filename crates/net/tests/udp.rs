//! Real round trips over loopback.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use suibi_coap::{Peer, Transmit};
use suibi_net::{ReceiveBatch, Received, UdpSocket};

const PATIENCE: Duration = Duration::from_secs(20);

fn bind(address: &str) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap()).unwrap()
}

fn transmit(peer: impl Into<Peer>, bytes: impl Into<Bytes>) -> Transmit {
    Transmit { peer: peer.into(), bytes: bytes.into() }
}

#[track_caller]
fn send(socket: &mut UdpSocket, transmits: impl IntoIterator<Item = Transmit>) {
    let mut queue: VecDeque<_> = transmits.into_iter().collect();
    let sent = socket.send(&mut queue).unwrap();
    assert!(queue.is_empty() && sent.refused.is_empty(), "{sent:?}");
}

#[track_caller]
fn receive(socket: &mut UdpSocket, count: usize) -> Vec<(Peer, Vec<u8>)> {
    let mut batch = ReceiveBatch::new();
    let mut all = Vec::new();
    while all.len() < count {
        assert!(socket.wait(Some(PATIENCE)).unwrap(), "{} of {count} came", all.len());
        while let Received::Datagrams(n) = socket.receive(&mut batch).unwrap() {
            assert_eq!(batch.iter().count(), n);
            all.extend(batch.iter().map(|(peer, bytes)| (peer, bytes.to_vec())));
        }
    }
    all
}

fn round_trip(address: &str) {
    let mut server = bind(address);
    let mut client = UdpSocket::connect(server.local_address()).unwrap();
    assert_eq!(client.remote_address(), Some(server.local_address()));
    assert_ne!(server.local_address().port(), 0);

    send(&mut client, [transmit(server.local_address(), "今天")]);
    let asked = receive(&mut server, 1);
    assert_eq!(asked, [(Peer::from(client.local_address()), "今天".as_bytes().to_vec())]);

    send(&mut server, [transmit(asked[0].0, "answer")]);
    let answered = receive(&mut client, 1);
    assert_eq!(answered, [(Peer::from(server.local_address()), b"answer".to_vec())]);
}

#[test]
fn a_datagram_goes_there_and_back_over_ipv4() {
    round_trip("127.0.0.1:0");
}

#[test]
fn a_datagram_goes_there_and_back_over_ipv6() {
    round_trip("[::1]:0");
}

/// A connected client hears only the address that it asked.
fn answers_from(wildcard: &str, asked: IpAddr) {
    let mut server = bind(wildcard);
    let to = SocketAddr::new(asked, server.local_address().port());
    let mut client = UdpSocket::connect(to).unwrap();
    send(&mut client, [transmit(to, "who?")]);
    let (peer, _) = receive(&mut server, 1).remove(0);
    assert_eq!(peer.local, Some(asked));
    send(&mut server, [transmit(peer, "me")]);
    assert_eq!(receive(&mut client, 1)[0].1, b"me");
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    answers_from("0.0.0.0:0", "127.0.0.2".parse().unwrap());
    answers_from("[::]:0", "::1".parse().unwrap());
}

#[test]
fn both_wildcards_share_a_port() {
    let v4 = bind("0.0.0.0:0");
    let v6 = UdpSocket::bind(SocketAddr::new("::".parse().unwrap(), v4.local_address().port()));
    assert!(v6.is_ok(), "{v6:?}");
}

#[test]
fn a_hundred_datagrams_travel_in_batches_and_in_order() {
    let mut server = bind("127.0.0.1:0");
    let mut client = bind("127.0.0.1:0");
    let to = server.local_address();
    send(&mut client, (0..100_u8).map(|i| transmit(to, vec![i; usize::from(i)])));
    let came = receive(&mut server, 100);
    assert_eq!(came.len(), 100);
    for (i, (_, bytes)) in (0..100_u8).zip(&came) {
        assert_eq!(*bytes, vec![i; usize::from(i)]);
    }
}

#[test]
fn the_largest_datagram_comes_whole() {
    let mut server = bind("127.0.0.1:0");
    let mut client = bind("127.0.0.1:0");
    let bytes: Vec<u8> = (0..65_507_u32).map(|i| i as u8).collect();
    send(&mut client, [transmit(server.local_address(), bytes.clone())]);
    assert_eq!(receive(&mut server, 1)[0].1, bytes);
}

#[test]
fn one_bad_datagram_does_not_hold_up_the_others() {
    let mut server = bind("127.0.0.1:0");
    let mut client = bind("127.0.0.1:0");
    let to = server.local_address();
    let mut queue = VecDeque::from([
        transmit(to, "before"),
        transmit(to, vec![0; 65_508]),
        transmit(to, "after"),
    ]);
    let sent = client.send(&mut queue).unwrap();
    assert_eq!((sent.datagrams, sent.refused.len(), queue.len()), (2, 1, 0));
    let came: Vec<_> = receive(&mut server, 2).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(came, [b"before".to_vec(), b"after".to_vec()]);
}

#[test]
fn a_connected_socket_is_told_that_nobody_listens_and_goes_on() {
    let mut server = bind("127.0.0.1:0");
    let address = server.local_address();
    let mut client = UdpSocket::connect(address).unwrap();
    drop(server);

    send(&mut client, [transmit(address, "anybody?")]);
    assert!(client.wait(Some(PATIENCE)).unwrap());
    let mut batch = ReceiveBatch::new();
    assert_eq!(client.receive(&mut batch).unwrap(), Received::Unreachable(address.into()));
    assert_eq!(client.receive(&mut batch).unwrap(), Received::Nothing);

    server = UdpSocket::bind(address).unwrap();
    send(&mut client, [transmit(address, "now?")]);
    assert_eq!(receive(&mut server, 1)[0].1, b"now?");
}

#[test]
fn waiting_ends_with_its_time() {
    let socket = bind("127.0.0.1:0");
    assert!(!socket.wait(Some(Duration::from_millis(1))).unwrap());
}

#[test]
fn a_port_in_use_and_a_strange_address_are_told_apart() {
    let first = bind("127.0.0.1:0");
    let second = UdpSocket::bind(first.local_address()).unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::AddrInUse);
    let strange = UdpSocket::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert_eq!(strange.kind(), std::io::ErrorKind::AddrNotAvailable);
}
