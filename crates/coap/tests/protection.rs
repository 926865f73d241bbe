//! Requests and answers that are protected on their way (the place of RFC 8613), with a toy.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use suibi_coap::{
    Code, Config, Endpoint, Event, Message, MessageId, OptionNumber, Options, Peer, Request,
    RequestError, Response, Subject, Type, wire,
};
use suibi_sim::{NodeId, World};
use support::*;

const MS: Duration = Duration::from_millis(1);

fn decode(datagram: &[u8]) -> Message {
    wire::decode(&datagram.to_vec().into()).unwrap()
}

fn texts(notifications: &[Response]) -> Vec<String> {
    notifications.iter().map(Response::text).collect()
}

/// Everything that was sent, both ways.
fn datagrams(world: &mut World<CoapNode>, nodes: [NodeId; 2]) -> Vec<Message> {
    nodes.iter().flat_map(|node| world.node(*node).sent.clone()).map(|d| decode(&d)).collect()
}

fn post(text: impl Into<bytes::Bytes>) -> Request {
    Request::new(Code::POST).path("/echo").payload(text)
}

/// Makes all links between two nodes as bad as they get.
fn trouble(world: &mut World<CoapNode>, one: NodeId, other: NodeId) {
    for (from, to) in [(one, other), (other, one)] {
        let link = world.link(from, to);
        (link.loss, link.doubling, link.jitter) = (0.1, 0.2, 200 * MS);
    }
}

#[test]
fn nothing_but_protected_messages_is_on_the_wire() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post("milk"));
    world.run();
    let answer = world.node(phone).answer(asked).unwrap();
    assert_eq!((answer.code, answer.text().as_str()), (Code::CHANGED, "milk"));
    assert!(!answer.options.has(OptionNumber::OSCORE));
    assert_eq!(world.node(server).requests, [post("milk")]);
    assert_eq!(world.node(server).subjects, [Some(Subject(7))]);
    let sent = datagrams(&mut world, [phone, server]);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|m| m.options.has(OptionNumber::OSCORE) && m.options.len() == 1));
    assert_eq!((toys[0].side().requests, toys[1].side().responses), (1, 1));
}

#[test]
fn without_protection_nobody_is_named_and_a_protected_request_is_not_understood() {
    let (mut world, phone, server) = phone_and_server();
    let toy = Toy::new(7, &[7]);
    let now = world.now();
    world.node(phone).get(now, server);
    world.run();
    assert_eq!(world.node(server).subjects, [None]);
    world.node(phone).endpoint.set_protection(toy.protection());
    let now = world.now();
    let asked = world.node(phone).get(now, server);
    world.run_for(10 * MS);
    let refusal = decode(world.node(server).sent.last().unwrap());
    assert_eq!(refusal.code, Code::BAD_OPTION);
    assert!(String::from_utf8_lossy(&refusal.payload).contains("OSCORE"));
    assert_eq!(world.node(phone).answer(asked), None, "it may be forged");
    assert_eq!(toy.side().forged, 1);
}

#[test]
fn retransmissions_are_the_same_bytes_and_served_once() {
    let (mut world, phone, server, toys) = protected(1);
    world.link(phone, server).drop_next(1);
    world.link(server, phone).drop_next(2);
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post("milk"));
    world.run();
    assert_eq!(world.node(phone).answer(asked).unwrap().code, Code::CHANGED);
    let sent = world.node(phone).sent.clone();
    assert!(sent.len() == 4 && sent.iter().all(|datagram| *datagram == sent[0]));
    assert_eq!((toys[0].side().requests, toys[1].side().responses), (1, 1));
    assert_eq!((world.node(server).served, toys[1].side().replayed), (1, 0));
}

#[test]
fn a_replay_that_the_message_layer_has_forgotten_gets_silence() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    world.node(phone).ask(now, server, post("milk"));
    world.run();
    let recorded = world.node(phone).sent[0].clone();
    let mut renumbered = recorded.clone();
    renumbered[3] ^= 1;
    let replies = |world: &mut World<CoapNode>, datagram: &[u8]| {
        let now = world.now();
        replies(&mut world.node(server).endpoint, now, peer(5000), datagram)
    };
    // Twice, as what is remembered would be acknowledged the second time.
    for replay in [&recorded, &recorded, &renumbered, &renumbered] {
        assert!(replies(&mut world, replay).is_empty());
    }
    assert_eq!((world.node(server).served, toys[1].side().replayed), (1, 4));
    world.run_for(Duration::from_secs(60));
    assert!(world.node(server).endpoint.poll_transmit().is_none(), "not later, either");
}

#[test]
fn forged_requests_get_silence_and_unprotected_ones_what_the_protection_says() {
    let now = start();
    let toy = Toy::new(0, &[7]);
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    server.set_protection(toy.protection());
    let mut forged = Message::empty(Type::Confirmable, MessageId(1));
    forged.code = Code::POST;
    forged.payload = "is this a key?".into();
    for kind in [Type::Confirmable, Type::NonConfirmable] {
        forged.kind = kind;
        forged.options.set(OptionNumber::OSCORE, vec![7, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!(replies(&mut server, now, peer(9), &wire::encode(&forged)).is_empty());
    }
    assert_eq!((toy.side().forged, server.poll_event()), (2, None));
    assert_eq!(server.stats().remembered, 0, "forgers drive nothing out");
    let plain = Message { kind: Type::Confirmable, options: Options::new(), ..forged };
    let answer = decode(&replies(&mut server, now, peer(9), &wire::encode(&plain))[0]);
    assert_eq!((answer.code, answer.kind), (Code::UNAUTHORIZED, Type::Acknowledgement));
    assert!(server.poll_event().is_none() && answer.options.is_empty());
    let plain = wire::encode(&Message { kind: Type::NonConfirmable, ..plain });
    let answer = decode(&replies(&mut server, now, peer(9), &plain)[0]);
    assert_eq!((answer.code, answer.kind), (Code::UNAUTHORIZED, Type::NonConfirmable));
}

#[test]
fn strangers_push_out_nothing_that_is_known_of_others() {
    let now = start();
    let (phone, toy) = (Toy::new(7, &[7]), Toy::new(0, &[7]));
    let mut phones = Endpoint::new(Config::own(), [2; 32]);
    phones.set_protection(phone.protection());
    let few = Config { max_peers: 4, max_remembered: 4, ..Config::own() };
    let mut server = Endpoint::new(few, [1; 32]);
    server.set_protection(toy.protection());
    phones.request(now, peer(1), post("milk"));
    let asked = sent(&mut phones).remove(0);
    let home = Peer::from(SocketAddr::from(([192, 0, 2, 1], 9)));
    server.handle_datagram(now, home, &asked);
    let Some(Event::Request { exchange, .. }) = server.poll_event() else { panic!("a true one") };
    server.respond(now, exchange, Response::new(Code::CHANGED));
    let answered = sent(&mut server);

    let mut plain = Message::empty(Type::Confirmable, MessageId(1));
    plain.code = Code::GET;
    let mut forged = Message { code: Code::POST, payload: "a key?".into(), ..plain.clone() };
    forged.options.set(OptionNumber::OSCORE, vec![7, 0, 0, 0, 0, 0, 0, 0, 1]);
    for port in 1..100 {
        let stranger = Peer::from(SocketAddr::from(([192, 0, 2, 2], port)));
        assert_eq!(replies(&mut server, now, stranger, &wire::encode(&plain)).len(), 1);
        assert!(replies(&mut server, now, stranger, &wire::encode(&forged)).is_empty());
    }
    assert_eq!((server.stats().peers, server.stats().remembered), (1, 1));
    assert_eq!(replies(&mut server, now, home, &asked), answered, "the answer is still there");
}

#[test]
fn options_are_checked_when_they_can_be_read_and_refusals_are_protected() {
    let (mut world, phone, server, _) = protected(1);
    let mut strange = Request::new(Code::GET).path("/state");
    strange.options.set(OptionNumber(1009), "?");
    let mut twice = Request::new(Code::GET).path("/state");
    twice.options.set(OptionNumber::OSCORE, "inside");
    let now = world.now();
    let asked = [strange, twice].map(|request| world.node(phone).ask(now, server, request));
    world.run();
    for (asked, name) in asked.into_iter().zip(["1009", "OSCORE"]) {
        let answer = world.node(phone).answer(asked).unwrap();
        assert_eq!(answer.code, Code::BAD_OPTION);
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    assert_eq!(world.node(server).served, 0);
    let sent = datagrams(&mut world, [phone, server]);
    assert!(sent.iter().all(|m| m.options.has(OptionNumber::OSCORE) && m.options.len() == 1));
}

#[test]
fn each_block_is_protected_by_itself_both_ways() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post(body(5000)));
    world.run();
    assert_eq!(world.node(phone).answer(asked).unwrap().payload, body(5000));
    assert_eq!(world.node(server).served, 1);
    // Five blocks there, the last of which brings the first of five back.
    assert_eq!((toys[0].side().requests, toys[1].side().responses), (9, 9));
    let sent = datagrams(&mut world, [phone, server]);
    assert!(sent.iter().all(|message| message.options.len() == 1), "blocks are inside");
}

#[test]
fn large_bodies_come_through_bad_networks() {
    for seed in 0..20 {
        let (mut world, phone, server, toys) = protected(seed);
        trouble(&mut world, phone, server);
        let now = world.now();
        let asked = world.node(phone).ask(now, server, post(body(8000)));
        world.run();
        assert_eq!(world.node(phone).failure(asked), None);
        assert_eq!(world.node(phone).answer(asked).unwrap().payload, body(8000));
        assert_eq!(world.node(server).served, 1);
        assert_eq!((toys[0].side().forged, toys[1].side().forged), (0, 0));
    }
}

#[test]
fn a_slow_answer_is_protected_too() {
    let (mut world, phone, server, toys) = protected(1);
    world.node(server).work = 3000 * MS;
    world.link(server, phone).drop_next(2);
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post("milk"));
    world.run();
    assert_eq!(world.node(phone).answer(asked).unwrap().text(), "milk");
    assert_eq!(world.node(server).served, 1);
    assert_eq!((toys[1].side().responses, toys[0].side().forged), (1, 0));
}

#[test]
fn notifications_have_numbers_of_their_own() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    let id = world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    assert_eq!(world.node(phone).answer(id).unwrap().text(), "0");
    for text in ["1", "2", "3"] {
        let now = world.now();
        world.node(server).change(now, text);
        world.run_for(10 * MS);
    }
    let now = world.now();
    world.node(server).tell(now, Response::new(Code::FORBIDDEN).payload("no more"));
    world.run();
    assert_eq!(texts(&world.node(phone).notifications), ["1", "2", "3", "no more"]);
    let observe = toys[1].side().observe.clone();
    assert!(observe[..4].is_sorted_by(|a, b| a.unwrap() < b.unwrap()));
    assert_eq!(observe[4..], [None]);
    assert_eq!(toys[1].side().states, [0, 1, 2, 3, 4], "a binding is kept with the observation");
    assert_eq!(toys[0].side().states, [0, 1, 2, 3], "and with the token");
    assert_eq!(world.node(server).endpoint.stats().observations, 0);
    assert_eq!(world.node(phone).endpoint.stats().requests, 0);
}

#[test]
fn a_lost_notification_comes_again_as_it_was_and_a_newer_one_is_protected_anew() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    world.link(server, phone).drop_next(1);
    let now = world.now();
    world.node(server).change(now, "1");
    world.run_for(5000 * MS);
    let sent = world.node(server).sent.clone();
    assert_eq!((sent.len(), &sent[1]), (3, &sent[2]));
    assert_eq!(toys[1].side().responses, 2);
    world.link(server, phone).drop_next(1);
    for text in ["2", "3"] {
        let now = world.now();
        world.node(server).change(now, text);
    }
    world.run_for(5000 * MS);
    assert_eq!(texts(&world.node(phone).notifications), ["1", "3"]);
    assert_eq!(toys[1].side().responses, 4, "protected when it goes, not before");
}

#[test]
fn observers_agree_in_the_end_in_bad_networks() {
    for seed in 0..20 {
        let (mut world, phone, server, toys) = protected(seed);
        let now = world.now();
        world.node(phone).observe(now, server);
        world.run_for(10 * MS);
        trouble(&mut world, phone, server);
        for change in 1..=20 {
            let now = world.now();
            world.node(server).change(now, &change.to_string());
            world.run_for(300 * MS);
        }
        world.run();
        assert_eq!(world.node(phone).notifications.last().unwrap().text(), "20");
        assert_eq!(toys[0].side().forged, 0);
    }
}

#[test]
fn a_large_notification_is_fetched_under_keys_of_its_own() {
    let (mut world, phone, server, _) = protected(1);
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    let now = world.now();
    world.node(server).tell(now, Response::new(Code::CONTENT).payload(body(3000)));
    world.run();
    let now = world.now();
    world.node(server).change(now, "short again");
    world.run();
    let notifications = &world.node(phone).notifications;
    assert_eq!(notifications[0].payload, body(3000));
    assert_eq!(notifications[1].text(), "short again");
}

#[test]
fn an_observation_ends_with_its_keys_and_in_silence() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    toys[1].side().keys.clear();
    let sent = world.node(server).sent.len();
    let now = world.now();
    world.node(server).change(now, "1");
    world.run_for(5000 * MS);
    assert_eq!(world.node(server).sent.len(), sent);
    assert_eq!(world.node(server).ended.len(), 1);
    assert_eq!(world.node(server).endpoint.stats().observations, 0);
}

#[test]
fn an_answer_that_cannot_be_protected_is_not_sent() {
    let (mut world, phone, server, toys) = protected(1);
    world.node(server).work = 10 * MS;
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post("milk"));
    world.run_for(5 * MS);
    toys[1].side().keys.clear();
    world.run();
    assert_eq!(world.node(phone).failure(asked), Some(RequestError::TimedOut));
    assert_eq!((world.node(server).served, world.node(server).sent.len()), (1, 0));
}

#[test]
fn a_request_that_cannot_be_protected_fails_and_others_go_on() {
    let (mut world, phone, server, toys) = protected(1);
    let keys = std::mem::take(&mut toys[0].side().keys);
    let now = world.now();
    let failed = world.node(phone).ask(now, server, post("milk"));
    assert_eq!(world.node(phone).failure(failed), Some(RequestError::Unprotectable));
    assert!(world.node(phone).endpoint.poll_transmit().is_none());
    toys[0].side().keys = keys;
    let asked = world.node(phone).ask(now, server, post("bread"));
    world.run();
    assert_eq!(world.node(phone).answer(asked).unwrap().text(), "bread");
    assert_eq!(world.node(phone).endpoint.stats().requests, 0);
}

#[test]
fn a_request_is_sent_anew_when_the_server_asks_for_it() {
    for times in 1..=3 {
        let (mut world, phone, server, toys) = protected(times.into());
        toys[1].side().once_more = times;
        let now = world.now();
        let asked = world.node(phone).ask(now, server, post("milk"));
        world.run();
        assert_eq!(world.node(phone).answer(asked).unwrap().text(), "milk");
        assert_eq!((world.node(server).served, toys[0].side().requests), (1, times + 1));
        let sent = datagrams(&mut world, [phone, phone]);
        assert!(sent[0].token != sent[1].token && sent[0].id != sent[1].id);
    }
}

#[test]
fn what_went_out_unprotected_cannot_be_answered_protected_nor_the_other_way_round() {
    for is_protected in [false, true] {
        let (mut world, phone, server, toys) = protected(1);
        let both = |world: &mut World<CoapNode>, is_protected: bool| {
            for (node, toy) in [phone, server].into_iter().zip(&toys) {
                let protection = toy.protection().filter(|_| is_protected);
                world.node(node).endpoint.set_protection(protection);
            }
        };
        both(&mut world, is_protected);
        let now = world.now();
        let asked = world.node(phone).ask(now, server, post("milk"));
        // The answer is on its way.
        world.run_until(|nodes| !nodes[1].sent.is_empty());
        both(&mut world, !is_protected);
        world.run();
        assert_eq!(world.node(phone).failure(asked), Some(RequestError::TimedOut));
        assert!(world.node(phone).endpoint.stats().ignored > 1);
    }
}

#[test]
fn a_server_that_asks_for_ever_is_left_alone() {
    let (mut world, phone, server, toys) = protected(1);
    toys[1].side().once_more = 100;
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post("milk"));
    world.run();
    assert_eq!(world.node(phone).failure(asked), Some(RequestError::Unprotectable));
    assert_eq!((world.node(server).served, toys[0].side().requests), (0, 4));
}

#[test]
fn each_block_may_be_asked_for_once_more_even_in_bad_networks() {
    let mut repeated = 0;
    for seed in 0..20 {
        let (mut world, phone, server, toys) = protected(seed);
        trouble(&mut world, phone, server);
        let now = world.now();
        let asked = world.node(phone).ask(now, server, post(body(6000)));
        // The server changes its keys now and then.
        for _ in 0..10 {
            toys[1].side().once_more = 1;
            world.run_for(1500 * MS);
        }
        world.run();
        assert_eq!(world.node(phone).failure(asked), None);
        assert_eq!(world.node(phone).answer(asked).unwrap().payload, body(6000));
        assert_eq!((world.node(server).served, toys[0].side().forged), (1, 0));
        repeated += toys[0].side().requests - 11;
    }
    assert!(repeated > 30, "{repeated}");
}

/// What an attacker on the path can make of a request that it saw.
fn forgeries(request: &Message) -> Vec<Message> {
    let mut forgeries = Vec::new();
    for kind in [Type::Acknowledgement, Type::Confirmable, Type::NonConfirmable] {
        for code in [Code::CHANGED, Code::UNAUTHORIZED, Code::BAD_OPTION, Code::CONTINUE] {
            for option in [None, Some("x"), Some("")] {
                let mut forged = Message { kind, code, ..request.clone() };
                if kind != Type::Acknowledgement {
                    forged.id = MessageId(500 + forgeries.len() as u16);
                }
                forged.options = Options::new();
                forged.options.set(OptionNumber::ECHO, "echo");
                option.into_iter().for_each(|o| forged.options.set(OptionNumber::OSCORE, o));
                forgeries.push(forged);
            }
        }
    }
    forgeries
}

#[test]
fn forged_answers_end_nothing_and_are_not_acknowledged() {
    let (mut world, phone, server, toys) = protected(1);
    world.link(phone, server).drop_next(2);
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post("milk"));
    world.run_for(MS);
    let request = decode(&world.node(phone).sent[0]);
    let forgeries = forgeries(&request);
    for forged in &forgeries {
        let now = world.now();
        let node = world.node(phone);
        let forged = wire::encode(forged);
        // Twice, as a duplicate is treated by what was done about the first.
        for _ in 0..2 {
            assert!(replies(&mut node.endpoint, now, address(server), &forged).is_empty());
        }
        assert!(node.endpoint.poll_event().is_none());
    }
    assert_eq!(toys[0].side().forged as usize, 2 * forgeries.len());
    world.run();
    assert_eq!(world.node(phone).answer(asked).unwrap().text(), "milk");
    assert_eq!(world.link(phone, server).carried, 3, "it was sent until it came");
}

#[test]
fn a_forged_reset_ends_no_request() {
    let (mut world, phone, server, _) = protected(1);
    world.link(phone, server).drop_next(2);
    let now = world.now();
    let asked = world.node(phone).ask(now, server, post("milk"));
    world.run_for(MS);
    let reset = Message::empty(Type::Reset, decode(&world.node(phone).sent[0]).id);
    let now = world.now();
    let node = world.node(phone);
    node.endpoint.handle_datagram(now, address(server), &wire::encode(&reset));
    assert!(node.endpoint.poll_event().is_none());
    world.run();
    assert_eq!(world.node(phone).answer(asked).unwrap().text(), "milk");
    assert_eq!(world.link(phone, server).carried, 3, "it was sent until it came");
}

#[test]
fn forged_notifications_end_no_observation() {
    let (mut world, phone, server, _) = protected(1);
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    let request = decode(&world.node(phone).sent[0]);
    for forged in forgeries(&request) {
        let now = world.now();
        let node = world.node(phone);
        let forged = wire::encode(&forged);
        assert!(replies(&mut node.endpoint, now, address(server), &forged).is_empty());
    }
    let now = world.now();
    world.node(server).change(now, "1");
    world.run();
    assert_eq!(texts(&world.node(phone).notifications), ["1"]);
}

#[test]
fn a_swapped_answer_is_not_taken() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    let first = world.node(phone).ask(now, server, post("first"));
    world.run();
    assert!(world.node(phone).answer(first).is_some());
    let old = decode(&world.node(server).sent[0]);
    world.link(phone, server).drop_next(1);
    let now = world.now();
    let second = world.node(phone).ask(now, server, post("second"));
    world.run_for(MS);
    let request = decode(world.node(phone).sent.last().unwrap());
    let swapped = Message { id: request.id, token: request.token, ..old };
    let now = world.now();
    let node = world.node(phone);
    replies(&mut node.endpoint, now, address(server), &wire::encode(&swapped));
    assert_eq!(toys[0].side().forged, 1);
    world.run();
    assert_eq!(world.node(phone).answer(second).unwrap().text(), "second");
}

/// Two clients behind one address, and a server that answers each datagram at once.
struct Shared {
    clients: [Endpoint; 2],
    server: Endpoint,
    seen: Vec<(Option<Subject>, Request)>,
    observers: Vec<suibi_coap::ObservationId>,
}

impl Shared {
    fn new(seeds: [u8; 2]) -> Self {
        let clients = [0, 1].map(|index| {
            let mut client = Endpoint::new(Config::own(), [seeds[index]; 32]);
            let key = 7 + index as u8;
            client.set_protection(Toy::new(key, &[key]).protection());
            client
        });
        let mut server = Endpoint::new(Config::own(), [9; 32]);
        server.set_protection(Toy::new(0, &[7, 8]).protection());
        Self { clients, server, seen: Vec::new(), observers: Vec::new() }
    }

    /// Carries one datagram of this client, and what comes back for it.
    fn step(&mut self, now: Instant, index: usize) -> bool {
        let Some(transmit) = self.clients[index].poll_transmit() else { return false };
        self.server.handle_datagram(now, peer(9), &transmit.bytes);
        while let Some(event) = self.server.poll_event() {
            let Event::Request { exchange, request, .. } = event else { continue };
            let response = Response::new(Code::CONTENT).payload(request.payload.clone());
            self.seen.push((exchange.subject(), request.clone()));
            if request.observing().is_some() {
                self.observers.extend(self.server.respond_observed(now, exchange, response));
            } else {
                self.server.respond(now, exchange, response);
            }
        }
        for answer in sent(&mut self.server) {
            self.clients[index].handle_datagram(now, peer(1), &answer);
        }
        true
    }
}

#[test]
fn two_subjects_behind_one_address_share_no_bodies() {
    let now = start();
    // The same seed, hence the same tokens and tags.
    let mut shared = Shared::new([1, 1]);
    let bodies = [vec![1; 4000], vec![2; 4000]];
    for (client, body) in shared.clients.iter_mut().zip(&bodies) {
        client.request(now, peer(1), post(body.clone()));
    }
    // By turns, so that the blocks of one come between the blocks of the other.
    while shared.step(now, 0) | shared.step(now, 1) {}
    for (index, body) in bodies.iter().enumerate() {
        let subject = Some(Subject(7 + index as u64));
        assert!(shared.seen.contains(&(subject, post(body.clone()))), "{index}");
        let Some(Event::Response { response, .. }) = shared.clients[index].poll_event() else {
            panic!("no answer for {index}");
        };
        assert_eq!((response.code, response.payload), (Code::CONTENT, body.clone().into()));
    }
    assert_eq!(shared.seen.len(), 2);
}

#[test]
fn two_subjects_behind_one_address_share_no_observations() {
    let now = start();
    // As above.
    let mut shared = Shared::new([1, 1]);
    for index in [0, 1] {
        let observe = Request::new(Code::GET).path("/state").observe(true);
        shared.clients[index].request(now, peer(1), observe);
        while shared.step(now, index) {}
    }
    assert_eq!((shared.observers.len(), shared.server.stats().observations), (2, 2));
    // Saying goodbye ends one's own.
    let mut server_events = Vec::new();
    let goodbye = Request::new(Code::GET).path("/state").observe(false);
    let mut fresh = Endpoint::new(Config::own(), [1; 32]);
    let toy = Toy::new(8, &[8]);
    toy.side().next = 100;
    fresh.set_protection(toy.protection());
    fresh.request(now, peer(1), goodbye);
    for transmit in std::iter::from_fn(|| fresh.poll_transmit()) {
        shared.server.handle_datagram(now, peer(9), &transmit.bytes);
    }
    server_events.extend(std::iter::from_fn(|| shared.server.poll_event()));
    let ended = shared.observers[1];
    assert!(server_events.contains(&Event::ObservationEnded { observation: ended }));
    assert_eq!(shared.server.stats().observations, 1);
}

#[test]
fn an_echo_value_is_given_back_inside() {
    let (mut world, phone, server, toys) = protected(1);
    let now = world.now();
    world.node(phone).endpoint.request(now, address(server), post("milk"));
    let mut asked = Vec::new();
    let mut challenged = 0;
    for _ in 0..4 {
        let now = world.now();
        let Some(transmit) = world.node(phone).endpoint.poll_transmit() else { break };
        asked.push(decode(&transmit.bytes));
        let server = &mut world.node(server).endpoint;
        server.handle_datagram(now, peer(9), &transmit.bytes);
        while let Some(event) = server.poll_event() {
            let Event::Request { exchange, request, .. } = event else { panic!() };
            let response = match request.echo_value() {
                None => {
                    challenged += 1;
                    Response::new(Code::UNAUTHORIZED).echo(b"fresh")
                }
                Some(echo) => {
                    assert_eq!(echo, &b"fresh"[..]);
                    Response::new(Code::CHANGED)
                }
            };
            server.respond(now, exchange, response);
        }
        for answer in sent(server) {
            world.node(phone).endpoint.handle_datagram(now, address(NodeId(1)), &answer);
        }
    }
    assert_eq!((asked.len(), challenged, toys[0].side().requests), (2, 1, 2));
    assert!(asked.iter().all(|message| !message.options.has(OptionNumber::ECHO)));
    let event = world.node(phone).endpoint.poll_event();
    assert!(
        matches!(event, Some(Event::Response { response, .. }) if response.code == Code::CHANGED)
    );
}
