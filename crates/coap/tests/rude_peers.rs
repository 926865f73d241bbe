//! Peers that break the rules, by mistake or on purpose.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::{Duration, Instant};

use hex_literal::hex;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use suibi_coap::{
    Code, Config, Endpoint, Event, Message, Peer, Request, RequestError, Response, wire,
};
use support::*;

fn endpoint() -> Endpoint {
    Endpoint::new(Config::own(), [1; 32])
}

fn reply(datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut endpoint = endpoint();
    let replies = replies(&mut endpoint, start(), peer(9), datagram);
    assert_eq!(endpoint.poll_event(), None, "nothing of it reaches a handler");
    replies
}

fn refusal(datagram: &[u8]) -> Message {
    wire::decode(&reply(datagram).remove(0).into()).unwrap()
}

/// Answers what comes; registers who wants to observe.
fn serve(endpoint: &mut Endpoint, now: Instant) {
    while let Some(event) = endpoint.poll_event() {
        if let Event::Request { exchange, request, .. } = event {
            let response = Response::new(Code::CONTENT).payload(body(1500));
            if request.observing().is_some() {
                endpoint.respond_observed(now, exchange, response);
            } else {
                endpoint.respond(now, exchange, response);
            }
        }
    }
}

#[test]
fn a_ping_is_answered_with_a_reset() {
    assert_eq!(reply(&hex!("40 00 beef")), [hex!("70 00 beef")]);
}

#[test]
fn an_empty_message_that_asks_for_nothing_gets_nothing() {
    for datagram in [hex!("50 00 beef"), hex!("60 00 beef"), hex!("70 00 beef")] {
        assert!(reply(&datagram).is_empty());
    }
}

#[test]
fn malformed_is_reset_if_confirmable_and_ignored_otherwise() {
    for rest in
        [&hex!("01 beef ff")[..], &hex!("00 beef ff 31"), &hex!("20 beef"), &hex!("01 beef f0")]
    {
        assert_eq!(reply(&[&[0x40], rest].concat()), [hex!("70 00 beef")], "{rest:02x?}");
        for kind in [0x50, 0x60, 0x70] {
            assert!(reply(&[&[kind], rest].concat()).is_empty(), "{kind:02x} {rest:02x?}");
        }
    }
}

#[test]
fn other_versions_and_stumps_are_ignored() {
    for datagram in [
        &hex!("00 01 beef")[..],
        &hex!("80 01 beef"),
        &hex!("c0 01 beef"),
        b"",
        b"@",
        &hex!("40 01 be"),
    ] {
        assert!(reply(datagram).is_empty());
    }
}

#[test]
fn a_response_that_nobody_waits_for_is_reset_if_confirmable() {
    assert_eq!(reply(&hex!("41 45 beef aa")), [hex!("70 00 beef")]);
    assert!(reply(&hex!("51 45 beef aa")).is_empty());
    assert!(reply(&hex!("61 45 beef aa")).is_empty());
}

#[test]
fn an_unknown_critical_option_is_named() {
    let refusal = refusal(&hex!("41 01 beef aa e1 02e4 61")); // number 1009
    assert_eq!(refusal.code, Code::BAD_OPTION);
    let text = String::from_utf8(refusal.payload.to_vec()).unwrap();
    assert!(text.contains("1009"), "{text}");
    assert!(reply(&hex!("51 01 beef aa e1 02e4 61")).is_empty(), "RFC 7252 §5.4.1");
}

#[test]
fn a_known_option_of_an_impossible_length_counts_as_unknown() {
    let refusal = refusal(&hex!("41 01 beef aa d3 04 010203")); // Accept of three bytes
    assert_eq!(refusal.code, Code::BAD_OPTION);
    assert!(String::from_utf8_lossy(&refusal.payload).contains("Accept"));
}

#[test]
fn an_unknown_elective_option_does_not_matter() {
    let mut endpoint = endpoint();
    replies(&mut endpoint, start(), peer(9), &hex!("41 01 beef aa e1 02e3 61"));
    let Some(Event::Request { request, .. }) = endpoint.poll_event() else { panic!() };
    assert!(request.options.is_empty());
}

#[test]
fn we_are_no_proxy() {
    let refusal = refusal(&hex!("41 01 beef aa d6 16 636f61703a61"));
    assert_eq!(refusal.code, Code::PROXYING_NOT_SUPPORTED);
}

#[test]
fn answers_that_do_not_fit_do_not_end_a_request() {
    let now = start();
    let mut client = endpoint();
    let id = client.request(now, peer(9), Request::new(Code::GET));
    let request = sent(&mut client).remove(0);
    let (mid, token) = (&request[2..4], &request[4..12]);
    let wrong_token = [&[0x68, 0x45], mid, &[0; 8]].concat();
    let wrong_id = [&[0x68, 0x45, !mid[0], mid[1]], token].concat();
    let right = [&[0x68, 0x45], mid, token].concat();
    replies(&mut client, now, peer(9), &wrong_token);
    replies(&mut client, now, peer(9), &wrong_id);
    replies(&mut client, now, peer(8), &right);
    replies(&mut client, now, peer(9), &[&[0x68, 0x01], mid, token].concat());
    assert_eq!(client.poll_event(), None);
    replies(&mut client, now, peer(9), &right);
    let response = Response::new(Code::CONTENT);
    assert_eq!(client.poll_event(), Some(Event::Response { id, response }));
}

#[test]
fn a_response_with_an_unknown_critical_option_fails_the_request() {
    let now = start();
    let mut client = endpoint();
    let id = client.request(now, peer(9), Request::new(Code::GET));
    let request = sent(&mut client).remove(0);
    let separate = [&hex!("48 45 0001")[..], &request[4..12], &hex!("e1 02e4 61")].concat();
    assert_eq!(replies(&mut client, now, peer(9), &separate), [hex!("70 00 0001")]);
    let error = RequestError::BadResponse;
    assert_eq!(client.poll_event(), Some(Event::Failed { id, error }));
    assert_eq!(client.poll_timeout().map(|_| client.stats().requests), Some(0));
}

#[test]
fn a_million_rude_datagrams_leave_the_server_serving() {
    let mut rng = StdRng::seed_from_u64(9);
    let config = Config { max_peers: 500, max_remembered: 2000, ..Config::own() };
    let mut server = Endpoint::new(config, [1; 32]);
    let mut now = start();
    let polite = [
        &hex!("41 01 0001 aa 60 b3 626967")[..],
        &hex!("41 03 0002 aa b1 61 d1 03 0e ff 61616161616161616161616161616161"),
        &hex!("42 01 0003 aabb b1 61 c1 16"),
        &hex!("60 00 0004"),
        &hex!("70 00 0005"),
        &hex!("61 45 0006 aa ff 31"),
    ];
    let mut buf = [0; 80];
    for round in 0..1_000_000_u32 {
        let len = if rng.random() {
            let sample = polite[rng.random_range(0..polite.len())];
            buf[..sample.len()].copy_from_slice(sample);
            buf[rng.random_range(2..4)] = rng.random();
            buf[rng.random_range(0..sample.len())] ^= 1 << rng.random_range(0..8);
            sample.len()
        } else {
            let len = rng.random_range(0..=buf.len());
            rng.fill_bytes(&mut buf[..len]);
            len
        };
        server.handle_datagram(now, peer(rng.random_range(1..2000)), &buf[..len]);
        serve(&mut server, now);
        while server.poll_transmit().is_some() {}
        if round % 64 == 0 {
            now += Duration::from_millis(50);
            server.handle_timeout(now);
        }
    }
    let stats = server.stats();
    assert!(stats.peers <= 500 && stats.remembered <= 2000, "{stats:?}");
    assert!(stats.malformed > 100_000 && stats.sent > 100_000, "{stats:?}");

    let answer = replies(&mut server, now, peer(3000), &hex!("41 01 0001 aa"));
    assert!(answer.is_empty());
    serve(&mut server, now);
    assert!(!sent(&mut server).is_empty());
    // Whatever they left behind goes with time.
    for _ in 0..200 {
        now += Duration::from_secs(10);
        server.handle_timeout(now);
    }
    let stats = server.stats();
    assert_eq!((stats.remembered, stats.transfer_bytes), (0, 0));
}

#[test]
fn one_peer_cannot_make_the_others_forgotten() {
    let config = Config { max_remembered_per_peer: 16, max_remembered: 64, ..Config::own() };
    let mut server = Endpoint::new(config, [1; 32]);
    let now = start();
    let quiet = hex!("41 01 0001 aa");
    replies(&mut server, now, peer(1), &quiet);
    serve(&mut server, now);
    let answer = sent(&mut server);
    for id in 0..10_000_u16 {
        let [high, low] = id.to_be_bytes();
        replies(&mut server, now, peer(2), &[0x41, 1, high, low, 0xbb]);
        serve(&mut server, now);
        sent(&mut server);
    }
    assert_eq!(server.stats().remembered, 17);
    assert_eq!(replies(&mut server, now, peer(1), &quiet), answer);
}

#[test]
fn remembered_answers_are_bounded_in_bytes() {
    let config = Config {
        max_remembered_bytes_per_peer: 4000,
        max_remembered_bytes: 10_000,
        ..Config::own()
    };
    let mut server = Endpoint::new(config, [1; 32]);
    let now = start();
    for port in 1..20 {
        for id in 0..20 {
            replies(&mut server, now, peer(port), &[0x41, 1, 0, id, 0xbb]);
            serve(&mut server, now);
            sent(&mut server);
            let stats = server.stats();
            assert!(stats.remembered_bytes <= 10_000);
            assert!(port > 1 || stats.remembered_bytes <= 4000);
        }
    }
    assert!(server.stats().remembered_bytes > 5000);
}

#[test]
fn ten_thousand_peers_are_normal_and_a_hundred_thousand_are_bounded() {
    let config = Config { max_peers: 10_000, ..Config::own() };
    let mut server = Endpoint::new(config, [1; 32]);
    let now = start();
    for n in 0..100_000_u32 {
        let address = std::net::SocketAddr::from((std::net::Ipv4Addr::from_bits(n), 5683));
        server.handle_datagram(now, Peer::from(address), &hex!("41 01 0001 aa"));
        serve(&mut server, now);
        assert_eq!(sent(&mut server).len(), 1);
    }
    assert_eq!(server.stats().peers, 10_000);
    assert_eq!(server.stats().remembered, 10_000, "with a peer its messages are forgotten");
}

#[test]
fn uploads_that_are_begun_and_left_are_bounded() {
    let config = Config { max_transfers: 10, max_transfer_bytes: 8000, ..Config::own() };
    let mut server = Endpoint::new(config, [1; 32]);
    let now = start();
    for port in 1..200 {
        let put = [&hex!("41 03 0001 aa b1 61 d1 03 0e ff")[..], &body(1024)].concat();
        replies(&mut server, now, peer(port), &put);
        assert!(server.stats().transfer_bytes <= 8000);
    }
    assert!(server.stats().transfer_bytes >= 4000);
}

#[test]
fn a_peer_that_acknowledges_nothing_fills_its_queue_only() {
    let config = Config { max_queued: 8, ..Config::own() };
    let mut server = Endpoint::new(config, [1; 32]);
    let now = start();
    let mut exchanges = Vec::new();
    for id in 0..100 {
        replies(&mut server, now, peer(9), &[0x41, 1, 0, id, 0xbb]);
        let Some(Event::Request { exchange, .. }) = server.poll_event() else { panic!() };
        exchanges.push(exchange);
    }
    let later = now + Duration::from_secs(1);
    server.handle_timeout(later);
    assert_eq!(sent(&mut server).len(), 100, "each is acknowledged");
    for exchange in exchanges {
        server.respond(later, exchange, Response::new(Code::CONTENT));
    }
    assert_eq!(sent(&mut server).len(), 4);
    assert_eq!(server.stats().ignored, 100 - 4 - 8);
}

#[test]
fn too_many_requests_of_our_own_are_refused_at_once() {
    let config = Config { max_queued: 3, ..Config::own() };
    let mut client = Endpoint::new(config, [1; 32]);
    for _ in 0..8 {
        client.request(start(), peer(9), Request::new(Code::GET));
    }
    assert!(matches!(client.poll_event(), Some(Event::Failed { error: RequestError::Busy, .. })));
    assert_eq!(client.poll_event(), None);
    assert_eq!(client.stats().requests, 7);
}

#[test]
fn an_exchange_that_the_handler_drops_leaves_nothing_behind() {
    let mut server = endpoint();
    let mut now = start();
    replies(&mut server, now, peer(9), &hex!("41 01 0001 aa"));
    drop(server.poll_event());
    while let Some(at) = server.poll_timeout() {
        now = at;
        server.handle_timeout(now);
    }
    assert_eq!(sent(&mut server), [hex!("60 00 0001")]);
    assert_eq!(server.stats().remembered, 0);
}

#[test]
fn a_thousand_requests_of_one_peer_at_once_are_each_served_once_and_in_their_acknowledgement() {
    let now = start();
    let mut endpoint = endpoint();
    let requests: Vec<_> =
        (0..1024_u16).map(|id| [&hex!("40 02")[..], &id.to_be_bytes()].concat()).collect();
    let mut exchanges = Vec::new();
    for request in requests.iter().chain(&requests) {
        endpoint.handle_datagram(now, peer(9), request);
        if let Some(Event::Request { exchange, .. }) = endpoint.poll_event() {
            exchanges.push(exchange);
        }
        if exchanges.len() == requests.len() {
            for exchange in exchanges.drain(..) {
                let response = Response::new(Code::CREATED).payload(body(64));
                endpoint.respond(now, exchange, response);
            }
            let answers = sent(&mut endpoint);
            assert_eq!(answers.len(), requests.len());
            assert!(answers.iter().all(|answer| answer[..2] == hex!("60 41")));
        }
    }
    assert!(exchanges.is_empty(), "{} were served twice", exchanges.len());
    assert_eq!(endpoint.stats().duplicates, 1024);
}
