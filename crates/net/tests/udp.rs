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

/// Datagrams of one size to one peer pass the kernel as one, where it can do that; here and on the wire they are what
/// they were.
#[test]
fn equal_datagrams_that_travel_together_come_apart_and_in_order() {
    for wildcard in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let mut server = bind(wildcard);
        let home = if wildcard.starts_with('[') { "::1" } else { "127.0.0.1" };
        let to = SocketAddr::new(home.parse().unwrap(), server.local_address().port());
        let lens = [
            &[30; 200][..],         // more than go together
            &[30, 29, 29, 30, 31],  // a shorter one ends a group, a longer one begins another
            &[0, 0, 30, 0, 30, 30], // an empty one is one as well
            &[1200; 70],            // more bytes than go together
            &[1201, 1201, 9000, 9000],
        ]
        .concat();
        let sent: Vec<Vec<u8>> =
            lens.iter().enumerate().map(|(i, len)| vec![i as u8; *len]).collect();
        let clients = [UdpSocket::connect(to).unwrap(), UdpSocket::connect(to).unwrap()];
        for mut client in clients {
            let transmits = sent.iter().map(|bytes| transmit(to, bytes.clone()));
            let from = client.local_address();
            // In two parts, so that what waits fits the buffer of any system.
            for (part, transmits) in transmits.collect::<Vec<_>>().chunks(230).enumerate() {
                send(&mut client, transmits.to_vec());
                let came = receive(&mut server, transmits.len());
                assert!(came.iter().all(|(peer, _)| peer.address == from));
                let came: Vec<_> = came.into_iter().map(|(_, bytes)| bytes).collect();
                assert_eq!(came, sent[part * 230..][..transmits.len()]);
            }
        }
    }
}

/// Answers of one size to several peers, in turn and in a row, each from the address that was asked.
#[test]
fn equal_datagrams_to_several_peers_come_to_the_right_ones() {
    let mut server = bind("0.0.0.0:0");
    let ask = |host: u8| {
        let to = SocketAddr::from(([127, 0, 0, host], server.local_address().port()));
        let mut client = UdpSocket::connect(to).unwrap();
        send(&mut client, [transmit(to, "who?")]);
        client
    };
    let mut clients = [1, 1, 2].map(ask);
    let asked = receive(&mut server, 3);
    let peer = |client: &UdpSocket| {
        let is_this = |(peer, _): &&(Peer, _)| peer.address == client.local_address();
        asked.iter().find(is_this).unwrap().0
    };
    let peers = [0, 1, 2].map(|i| peer(&clients[i]));
    let order = [0, 0, 0, 1, 2, 1, 1, 2, 2, 0];
    let answers = order.iter().zip(0_u8..).map(|(&i, number)| transmit(peers[i], vec![number; 9]));
    send(&mut server, answers);
    for (i, client) in clients.iter_mut().enumerate() {
        let wanted: Vec<_> = order
            .iter()
            .zip(0_u8..)
            .filter(|(to, _)| **to == i)
            .map(|(_, number)| vec![number; 9])
            .collect();
        let came: Vec<_> = receive(client, wanted.len()).into_iter().map(|(_, b)| b).collect();
        assert_eq!(came, wanted);
    }
}

/// The kernel refuses a group whole; only what cannot go itself is lost.
#[test]
fn a_group_that_cannot_go_is_tried_one_by_one() {
    let mut server = bind("127.0.0.1:0");
    let mut client = bind("127.0.0.1:0");
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let to = server.local_address();
    let mut queue = VecDeque::new();
    for number in 0..3 {
        queue.extend([transmit(nowhere, vec![number; 9]), transmit(nowhere, vec![number; 9])]);
        queue.extend([transmit(to, vec![number; 9]), transmit(to, vec![number; 9])]);
    }
    let sent = client.send(&mut queue).unwrap();
    assert_eq!((sent.datagrams, sent.refused.len(), queue.len()), (6, 6, 0));
    let came: Vec<_> = receive(&mut server, 6).into_iter().map(|(_, b)| b[0]).collect();
    assert_eq!(came, [0, 0, 1, 1, 2, 2]);
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
