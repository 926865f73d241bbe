//! One server under several addresses, and waits that end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use suibi_client::{Patience, Remote, RemoteError};
use suibi_coap::{Code, Request};

use crate::support::{PATIENCE, World};

fn get() -> Request {
    Request::new(Code::GET).path("/feed/head")
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_dead_address_before_the_right_one_costs_no_answer() {
    let world = World::new();
    let server = world.serve(None);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    for first in [nobody(), silent.local_addr().unwrap()] {
        let mut remote = Remote::to(&[first, server.address]).unwrap();
        let response = remote.call(&get(), PATIENCE).unwrap();
        assert_eq!(response.code, Code::CONTENT);
        assert_eq!(remote.address(), Some(server.address), "it is asked first from now on");
        assert!(remote.rtt().is_some());
    }
}

#[test]
fn the_round_trip_is_what_was_measured_and_not_what_was_assumed() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let delay = Duration::from_millis(20);
    let thread = thread::spawn(move || {
        let mut buf = [0; 2048];
        let (_, from) = server.recv_from(&mut buf).unwrap();
        thread::sleep(delay);
        // 2.05 in the acknowledgement, with the token that came.
        let token = usize::from(buf[0] & 0x0f);
        (buf[0], buf[1]) = (0x60 | token as u8, 0x45);
        server.send_to(&buf[..4 + token], from).unwrap();
    });
    let mut remote = Remote::to(&[address]).unwrap();
    assert_eq!(remote.rtt(), None);
    remote.call(&get(), PATIENCE).unwrap();
    thread.join().unwrap();
    // An answer after the first retransmission would tell nothing (RFC 6298 §3).
    if let Some(rtt) = remote.rtt() {
        assert!(rtt.srtt >= delay, "{rtt:?}");
        assert_eq!(rtt.rttvar, rtt.srtt / 2, "the first sample alone (RFC 6298 §2.2)");
    }
}

#[test]
fn nobody_there_is_believed_when_it_is_said_twice() {
    let address = nobody();
    let mut remote = Remote::to(&[address]).unwrap();
    let begun = Instant::now();
    let error = remote.call(&get(), PATIENCE).unwrap_err();
    assert!(matches!(error, RemoteError::Unreachable(a) if a == address), "{error}");
    // The second time is the first retransmission, which comes after 100 ms at the earliest.
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[test]
fn silence_ends_a_call_long_before_its_deadline() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut remote = Remote::to(&[silent.local_addr().unwrap()]).unwrap();
    let silence = Duration::from_millis(300);
    let begun = Instant::now();
    let patience = Patience { deadline: begun + PATIENCE, silence };
    let error = remote.call_while(&get(), patience, || true).unwrap_err();
    assert!(matches!(error, RemoteError::NoAnswer { .. }), "{error}");
    assert!(begun.elapsed() >= silence && begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[test]
fn a_call_ends_when_waiting_makes_no_sense_any_more() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut remote = Remote::to(&[silent.local_addr().unwrap()]).unwrap();
    let patience = Patience { deadline: Instant::now() + PATIENCE, silence: PATIENCE };
    let error = remote.call_while(&get(), patience, || false).unwrap_err();
    assert!(matches!(error, RemoteError::Gone), "{error}");
}

#[test]
fn another_thread_ends_a_call() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut remote = Remote::to(&[silent.local_addr().unwrap()]).unwrap();
    let stop = remote.stopper();
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| stop.stop());
        let error = remote.call(&get(), PATIENCE).unwrap_err();
        assert!(matches!(error, RemoteError::Stopped), "{error}");
    });
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[test]
fn a_wake_before_the_wait_is_not_lost() {
    let mut remote = Remote::new().unwrap();
    remote.stopper().wake();
    let begun = Instant::now();
    assert_eq!(remote.wait(begun + PATIENCE).unwrap(), None);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[test]
fn without_an_address_nobody_is_asked() {
    let mut remote = Remote::new().unwrap();
    assert!(matches!(remote.call(&get(), PATIENCE), Err(RemoteError::NoAddress)));
    assert!(matches!(remote.observe(get()), Err(RemoteError::NoAddress)));
}

#[test]
fn answers_that_came_together_are_handed_out_without_another_look_at_the_socket() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut remote = Remote::to(&[server.local_addr().unwrap()]).unwrap();
    let patience = Patience { deadline: Instant::now() + PATIENCE, silence: PATIENCE };
    let mut calls: BTreeSet<_> = (0..3).map(|_| remote.begin(get(), false)).collect();
    let error = remote.next_while(patience, &mut || false).unwrap_err();
    assert!(matches!(error, RemoteError::Gone), "{error}: they are sent, and still under way");

    let mut answers = BTreeMap::new();
    while answers.len() < calls.len() {
        let mut buf = [0; 2048];
        let (_, client) = server.recv_from(&mut buf).unwrap();
        // 2.05 in the acknowledgement, with the token that came.
        let len = 4 + usize::from(buf[0] & 0x0f);
        (buf[0], buf[1]) = (0x60 | buf[0] & 0x0f, 0x45);
        answers.insert(buf[4..len].to_vec(), (client, buf[..len].to_vec()));
    }
    for (client, answer) in answers.values() {
        server.send_to(answer, client).unwrap();
    }
    let next = |remote: &mut Remote| remote.next_while(patience, &mut || true).unwrap().0;
    assert!(calls.remove(&next(&mut remote)));
    let received = remote.stats().received;
    for (client, answer) in answers.values() {
        server.send_to(answer, client).unwrap();
    }
    assert!(calls.remove(&next(&mut remote)) && calls.remove(&next(&mut remote)));
    assert_eq!(remote.stats().received, received, "what came since waits at the socket");
}

#[test]
fn a_notification_that_came_together_with_an_answer_is_told_of_without_another_look_at_the_socket()
{
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut remote = Remote::to(&[server.local_addr().unwrap()]).unwrap();
    let patience = Patience { deadline: Instant::now() + PATIENCE, silence: PATIENCE };
    let observation = remote.observe(get()).unwrap();
    let call = remote.begin(get(), false);
    let error = remote.next_while(patience, &mut || false).unwrap_err();
    assert!(matches!(error, RemoteError::Gone), "{error}: they are sent, and still under way");

    // The observation was sent first. 2.05 in the acknowledgement, with the token that came.
    let mut buf = [0; 2048];
    let mut answers = BTreeMap::new();
    let mut order = Vec::new();
    while order.len() < 2 {
        let (_, client) = server.recv_from(&mut buf).unwrap();
        let len = 4 + usize::from(buf[0] & 0x0f);
        (buf[0], buf[1]) = (0x60 | buf[0] & 0x0f, 0x45);
        if answers.insert(buf[4..len].to_vec(), (client, buf[..len].to_vec())).is_none() {
            order.push(buf[4..len].to_vec());
        }
    }
    for token in order.iter().rev() {
        let (client, answer) = &answers[token];
        server.send_to(answer, client).unwrap();
    }
    assert_eq!(remote.next_while(patience, &mut || true).unwrap().0, call);
    // Awake, it does not wait: what it tells was here before.
    remote.stopper().wake();
    let heard = remote.wait(Instant::now() + PATIENCE).unwrap().expect("it is here");
    assert_eq!(heard.of, observation);
}
