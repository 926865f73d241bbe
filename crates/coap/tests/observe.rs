//! Observers on both sides (RFC 7641).
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::Duration;

use hex_literal::hex;
use suibi_coap::{Code, Config, Endpoint, Event, OptionNumber, Request, Response};
use support::*;

const MS: Duration = Duration::from_millis(1);

fn texts(notifications: &[Response]) -> Vec<String> {
    notifications.iter().map(Response::text).collect()
}

#[test]
fn an_observer_is_told_of_each_change() {
    let (mut world, phone, server) = phone_and_server();
    let now = world.now();
    let id = world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    assert_eq!(world.node(phone).answer(id).unwrap().text(), "0");
    for text in ["1", "2"] {
        let now = world.now();
        world.node(server).change(now, text);
        world.run_for(10 * MS);
    }
    assert_eq!(texts(&world.node(phone).notifications), ["1", "2"]);
    assert_eq!(world.link(phone, server).carried, 3, "request, two acknowledgements");
    assert_eq!(world.node(server).endpoint.stats().observations, 1);
}

/// RFC 7641 figure 3: notifications are lost, and the client agrees with the server in the end.
#[test]
fn a_newer_state_takes_the_place_of_one_that_is_lost() {
    let (mut world, phone, server) = phone_and_server();
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    world.link(server, phone).drop_next(1);
    for text in ["1", "2", "3"] {
        let now = world.now();
        world.node(server).change(now, text);
        world.run_for(10 * MS);
    }
    assert!(world.node(phone).notifications.is_empty());
    world.run_for(5000 * MS);
    assert_eq!(texts(&world.node(phone).notifications), ["3"]);
    assert_eq!(world.link(server, phone).carried, 3, "answer, lost, superseded");
    assert_eq!(world.node(server).endpoint.stats().observations, 1);
}

#[test]
fn superseding_does_not_give_a_silent_observer_more_attempts() {
    let (mut world, phone, server) = phone_and_server_with(Config::rfc(), 1);
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    world.link(server, phone).is_down = true;
    for n in 0..200 {
        let now = world.now();
        world.node(server).change(now, &n.to_string());
        world.run_for(1000 * MS);
    }
    assert_eq!(world.link(server, phone).carried, 1 + 5, "the answer and five attempts");
    assert_eq!(world.node(server).ended.len(), 1);
    assert_eq!(world.node(server).endpoint.stats().observations, 0);
}

#[test]
fn a_notification_that_was_overtaken_is_dropped() {
    let now = start();
    let mut phone = Endpoint::new(Config::own(), [1; 32]);
    phone.request(now, peer(9), Request::new(Code::GET).observe(true));
    let request = sent(&mut phone).remove(0);
    let token = &request[4..12];
    let message = |kind: u8, id: u8, number: u8, text: &[u8]| {
        let head = [&[kind, 0x45, 0, id][..], token, &[0x61, number, 0xff], text];
        head.concat()
    };
    let mut first = message(0x68, 0, 10, b"a");
    first[2..4].copy_from_slice(&request[2..4]);
    replies(&mut phone, now, peer(9), &first);
    assert!(matches!(phone.poll_event(), Some(Event::Response { .. })));

    let acknowledgement = replies(&mut phone, now, peer(9), &message(0x48, 1, 12, b"c"));
    assert_eq!(acknowledgement, [hex!("60 00 0001")]);
    assert!(matches!(phone.poll_event(), Some(Event::Notification { .. })));
    let acknowledgement = replies(&mut phone, now, peer(9), &message(0x48, 2, 11, b"b"));
    assert_eq!(acknowledgement, [hex!("60 00 0002")], "acknowledged all the same");
    assert_eq!(phone.poll_event(), None);

    let later = now + Duration::from_secs(129);
    replies(&mut phone, later, peer(9), &message(0x58, 3, 11, b"d"));
    assert!(matches!(phone.poll_event(), Some(Event::Notification { .. })));
}

#[test]
fn a_forgotten_observation_is_reset_and_so_ends() {
    let (mut world, phone, server) = phone_and_server();
    let now = world.now();
    let id = world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    let now = world.now();
    world.node(phone).endpoint.cancel(now, id);
    world.node(server).change(now, "1");
    world.run_for(10 * MS);
    assert!(world.node(phone).notifications.is_empty());
    assert_eq!(world.node(server).ended.len(), 1);
    assert_eq!(world.node(server).endpoint.stats().observations, 0);
}

#[test]
fn deregistering_under_the_same_token_ends_it() {
    let now = start();
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    replies(&mut server, now, peer(9), &hex!("41 01 0001 aa 60"));
    let Some(Event::Request { exchange, .. }) = server.poll_event() else { panic!() };
    let content = Response::new(Code::CONTENT);
    let id = server.respond_observed(now, exchange, content).unwrap();
    replies(&mut server, now, peer(9), &hex!("41 01 0002 aa 61 01"));
    assert_eq!(server.poll_event(), Some(Event::ObservationEnded { observation: id }));
    assert!(matches!(server.poll_event(), Some(Event::Request { .. })), "it is a GET as well");
}

#[test]
fn registering_anew_replaces_and_goes_on_counting() {
    let mut now = start();
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    let mut numbers = Vec::new();
    for (id, token) in [(1, 0xaa), (2, 0xaa), (3, 0xbb)] {
        now += 1000 * MS;
        replies(&mut server, now, peer(9), &[0x41, 1, 0, id, token, 0x60]);
        let exchange = loop {
            match server.poll_event() {
                Some(Event::Request { exchange, .. }) => break exchange,
                Some(Event::ObservationEnded { .. }) => {}
                _ => panic!(),
            }
        };
        let id = server.respond_observed(now, exchange, Response::new(Code::CONTENT)).unwrap();
        server.notify(now, &id, Response::new(Code::CONTENT));
        let notification = sent(&mut server).pop().unwrap();
        let message = suibi_coap::wire::decode(&notification.into()).unwrap();
        numbers.push(message.options.uint(OptionNumber::OBSERVE).unwrap());
    }
    assert_eq!(server.stats().observations, 1);
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

#[test]
fn an_error_is_the_last_notification() {
    let (mut world, phone, server) = phone_and_server();
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    let now = world.now();
    world.node(server).tell(now, Response::new(Code::NOT_FOUND));
    world.run();
    assert_eq!(world.node(phone).notifications[0].code, Code::NOT_FOUND);
    assert_eq!(world.node(phone).endpoint.stats().requests, 0);
    assert_eq!(world.node(server).endpoint.stats().observations, 0);
}

#[test]
fn a_full_table_answers_plainly() {
    let config = Config { max_observations_per_peer: 1, ..Config::own() };
    let now = start();
    let mut server = Endpoint::new(config, [1; 32]);
    for (path, registered) in [(b'a', true), (b'b', false)] {
        replies(&mut server, now, peer(9), &[0x41, 1, 0, path, path, 0x60, 0x51, path]);
        let Some(Event::Request { exchange, .. }) = server.poll_event() else { panic!() };
        let id = server.respond_observed(now, exchange, Response::new(Code::CONTENT));
        assert_eq!(id.is_some(), registered);
        let answer = suibi_coap::wire::decode(&sent(&mut server).remove(0).into()).unwrap();
        assert_eq!(answer.options.has(OptionNumber::OBSERVE), registered);
    }
}

#[test]
fn a_large_notification_is_fetched_in_blocks() {
    let (mut world, phone, server) = phone_and_server();
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    for len in [3000, 4000] {
        let now = world.now();
        let response = Response::new(Code::CONTENT).payload(body(len));
        world.node(server).tell(now, response);
        world.run_for(100 * MS);
        let notification = world.node(phone).notifications.pop().unwrap();
        assert_eq!(notification.payload, body(len));
    }
    assert_eq!(world.node(server).observers.len(), 1);
}

#[test]
fn in_any_weather_the_observer_knows_the_last_state() {
    for seed in 0..40 {
        let (mut world, phone, server) = phone_and_server_with(Config::own(), seed);
        let now = world.now();
        world.node(phone).observe(now, server);
        world.run_for(10 * MS);
        for (from, to) in [(phone, server), (server, phone)] {
            let link = world.link(from, to);
            (link.loss, link.doubling) = (0.2, 0.2);
            (link.delay, link.jitter) = (20 * MS, 60 * MS);
        }
        for n in 1..=50 {
            let now = world.now();
            world.node(server).change(now, &n.to_string());
            world.run_for(seed as u32 % 5 * 30 * MS);
        }
        world.run();
        let told = texts(&world.node(phone).notifications);
        assert_eq!(told.last().map(String::as_str), Some("50"), "seed {seed}");
        let numbers: Vec<u32> = told.iter().map(|text| text.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "seed {seed}: {numbers:?}");
    }
}

#[test]
fn the_newest_state_is_not_lost_while_there_is_no_message_id_for_it() {
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    let mut now = start();
    let text = |text: &str| Response::new(Code::CONTENT).payload(text.to_owned());
    server.handle_datagram(now, peer(9), &hex!("41 01 0001 aa 60"));
    let Some(Event::Request { exchange, .. }) = server.poll_event() else { panic!() };
    let observer = server.respond_observed(now, exchange, text("0")).unwrap();
    server.notify(now, &observer, text("1"));
    let first = sent(&mut server).pop().unwrap();
    // Answers to messages that are not confirmable use all ids that are left.
    for id in 2..=u16::MAX {
        let datagram = [&hex!("50 01")[..], &id.to_be_bytes()].concat();
        server.handle_datagram(now, peer(9), &datagram);
        let Some(Event::Request { exchange, .. }) = server.poll_event() else { panic!() };
        server.respond(now, exchange, text(""));
    }
    server.handle_datagram(now, peer(9), &hex!("50 01 0000"));
    let Some(Event::Request { exchange, .. }) = server.poll_event() else { panic!() };
    server.respond(now, exchange, text(""));
    sent(&mut server);

    server.notify(now, &observer, text("2"));
    let again = std::iter::from_fn(|| {
        now = server.poll_timeout()?;
        server.handle_timeout(now);
        Some(sent(&mut server).pop())
    });
    assert_eq!(again.flatten().next().unwrap(), first, "the old state, for want of an id");
    server.handle_datagram(now, peer(9), &[&hex!("60 00"), &first[2..4]].concat());
    let next = std::iter::from_fn(|| {
        now = server.poll_timeout()?;
        server.handle_timeout(now);
        Some(sent(&mut server).pop())
    });
    assert!(next.flatten().next().unwrap().ends_with(b"2"));
}
