//! The contexts behind real endpoints: datagrams, blocks, observers.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use suibi_coap::{
    Code, Config, Endpoint, Event, ObservationId, Observe, Peer, Request, RequestId, Response,
    Subject,
};
use suibi_oscore::{ClientContext, ServerContexts};
use support::{id, secret, start};

const PHONE: Subject = Subject(7);

/// Not on loopback: whom nobody has proved to be there, gets little.
fn address(host: u8) -> Peer {
    Peer::from(SocketAddr::from(([192, 0, 2, host], 5683)))
}

struct Network {
    now: Instant,
    phone: Endpoint,
    phone_at: Peer,
    server: Endpoint,
    /// Datagrams from the phone and from the server.
    carried: [usize; 2],
    /// Of these, the next so many are lost.
    lose: [usize; 2],
    recorded: Vec<Bytes>,
    served: Vec<Bytes>,
    observers: Vec<ObservationId>,
    subjects: Vec<Option<Subject>>,
    events: VecDeque<Event>,
}

impl Network {
    fn new(contexts: &ServerContexts, phone: &ClientContext) -> Self {
        let mut network = Self {
            now: start(),
            phone: Endpoint::new(Config::own(), [1; 32]),
            phone_at: address(1),
            server: Endpoint::new(Config::own(), [2; 32]),
            carried: [0; 2],
            lose: [0; 2],
            recorded: Vec::new(),
            served: Vec::new(),
            observers: Vec::new(),
            subjects: Vec::new(),
            events: VecDeque::new(),
        };
        network.phone.set_protection(Some(phone.protection()));
        network.server.set_protection(Some(contexts.protection()));
        network
    }

    /// The server starts anew.
    fn restart(&mut self, contexts: &ServerContexts) {
        self.server = Endpoint::new(Config::own(), [3; 32]);
        self.server.set_protection(Some(contexts.protection()));
    }

    fn lost(&mut self, from: usize) -> bool {
        self.carried[from] += 1;
        let is_lost = self.lose[from] > 0;
        self.lose[from] -= usize::from(is_lost);
        is_lost
    }

    /// Until nothing moves any more, without waiting for any timeout.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(transmit) = self.phone.poll_transmit() {
                is_quiet = false;
                self.recorded.push(transmit.bytes.clone());
                if !self.lost(0) {
                    self.server.handle_datagram(self.now, self.phone_at, &transmit.bytes);
                }
            }
            while let Some(event) = self.server.poll_event() {
                is_quiet = false;
                self.serve(event);
            }
            while let Some(transmit) = self.server.poll_transmit() {
                is_quiet = false;
                if !self.lost(1) {
                    self.phone.handle_datagram(self.now, address(9), &transmit.bytes);
                }
            }
            while let Some(event) = self.phone.poll_event() {
                is_quiet = false;
                self.events.push_back(event);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn serve(&mut self, event: Event) {
        let Event::Request { exchange, request, .. } = event else { return };
        self.subjects.push(exchange.subject());
        self.served.push(request.payload.clone());
        let response = Response::new(Code::CONTENT).payload(request.payload.clone());
        if request.observing() == Some(Observe::Register) {
            self.observers.extend(self.server.respond_observed(self.now, exchange, response));
        } else {
            self.server.respond(self.now, exchange, response);
        }
    }

    /// Lets time pass until the next timeout of either.
    fn wait(&mut self) {
        let next = [self.phone.poll_timeout(), self.server.poll_timeout()];
        self.now = next.into_iter().flatten().min().unwrap();
        self.phone.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        self.settle();
    }

    fn ask(&mut self, request: Request) -> RequestId {
        let id = self.phone.request(self.now, address(9), request);
        self.settle();
        id
    }

    fn answer(&mut self, asked: RequestId) -> Response {
        match self.events.pop_front() {
            Some(Event::Response { id, response }) if id == asked => response,
            other => panic!("{other:?}"),
        }
    }
}

fn contexts(seed: u8) -> ServerContexts {
    let contexts = ServerContexts::new([seed; 32]);
    contexts.add_paired(PHONE, id("phone"), secret("phone"));
    contexts
}

fn phone(seed: u8, epoch: Option<[u8; 8]>) -> ClientContext {
    ClientContext::new(id("phone"), secret("phone"), epoch, [seed; 32])
}

fn note(text: &str) -> Request {
    support::note(text)
}

#[test]
fn a_cold_process_that_has_met_the_server_needs_one_round_trip() {
    let contexts = contexts(1);
    let mut network = Network::new(&contexts, &phone(2, contexts.epoch(PHONE)));
    let asked = network.ask(note("milk"));
    assert_eq!(network.answer(asked).text(), "milk");
    assert_eq!(network.carried, [1, 1]);
    assert_eq!(network.subjects, [Some(PHONE)]);
}

#[test]
fn the_first_contact_and_the_first_one_after_a_restart_need_two() {
    let contexts_before = contexts(1);
    let phone = phone(2, None);
    let mut network = Network::new(&contexts_before, &phone);
    let asked = network.ask(note("milk"));
    assert_eq!(network.answer(asked).text(), "milk");
    assert_eq!(network.carried, [2, 2]);

    let contexts = contexts(3);
    network.restart(&contexts);
    let asked = network.ask(note("bread"));
    assert_eq!(network.answer(asked).text(), "bread");
    assert_eq!(network.carried, [4, 4]);
    assert_eq!(phone.epoch(), contexts.epoch(PHONE));
    assert_eq!(network.served, ["milk", "bread"]);
}

#[test]
fn several_requests_under_way_at_a_restart_all_get_through() {
    let before = contexts(1);
    let mut network = Network::new(&before, &phone(2, before.epoch(PHONE)));
    let contexts = contexts(3);
    network.restart(&contexts);
    let texts = ["one", "two", "three", "four"];
    let asked = texts.map(|text| network.phone.request(network.now, address(9), note(text)));
    network.settle();
    for (asked, text) in asked.into_iter().zip(texts) {
        assert_eq!(network.answer(asked).text(), text);
    }
    assert_eq!(contexts.stats().contexts, 1);
}

#[test]
fn a_body_of_many_blocks_goes_both_ways_over_a_restart_even() {
    let contexts_before = contexts(1);
    let phone = phone(2, None);
    let mut network = Network::new(&contexts_before, &phone);
    let body: String = (0..100_000).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    let asked = network.ask(note(&body));
    assert_eq!(network.answer(asked).text(), body);

    let next = contexts(3);
    network.restart(&next);
    let asked = network.ask(note(&body));
    assert_eq!(network.answer(asked).text(), body);
}

#[test]
fn lost_datagrams_and_a_change_of_address_do_no_harm() {
    let contexts = contexts(1);
    let mut network = Network::new(&contexts, &phone(2, None));
    network.lose = [1, 1];
    let asked = network.ask(note("milk"));
    while network.events.is_empty() {
        network.wait();
    }
    assert_eq!(network.answer(asked).text(), "milk");
    network.phone_at = address(77);
    let asked = network.ask(note("bread"));
    assert_eq!(network.answer(asked).text(), "bread");
    assert_eq!(network.served, ["milk", "bread"]);
    assert_eq!(contexts.stats().contexts, 1);
}

#[test]
fn recorded_datagrams_from_anywhere_are_never_served() {
    let contexts = contexts(1);
    let mut network = Network::new(&contexts, &phone(2, contexts.epoch(PHONE)));
    for text in ["one", "two", "three"] {
        network.ask(note(text));
    }
    let recorded = std::mem::take(&mut network.recorded);
    let replay = |network: &mut Network| {
        let (mut bytes_in, mut bytes_out) = (0, 0);
        for datagram in &recorded {
            network.server.handle_datagram(network.now, address(66), datagram);
            bytes_in += datagram.len();
            while let Some(event) = network.server.poll_event() {
                network.serve(event);
            }
            while let Some(transmit) = network.server.poll_transmit() {
                bytes_out += transmit.bytes.len();
            }
        }
        assert!(bytes_out <= 3 * bytes_in, "{bytes_out} for {bytes_in}");
        bytes_out
    };
    assert_eq!(replay(&mut network), 0, "silence");
    let next = self::contexts(3);
    network.restart(&next);
    assert!(replay(&mut network) > 0);
    assert_eq!(network.served, ["one", "two", "three"]);
}

#[test]
fn an_observer_hears_every_change_until_it_is_removed() {
    let contexts = contexts(1);
    let mut network = Network::new(&contexts, &phone(2, contexts.epoch(PHONE)));
    let watched = network.ask(Request::new(Code::GET).path("/state").observe(true));
    assert!(
        matches!(network.events.pop_front(), Some(Event::Response { id, .. }) if id == watched)
    );
    for state in ["one", "two", "three"] {
        network.now += Duration::from_secs(1);
        let response = Response::new(Code::CONTENT).payload(state);
        network.server.notify(network.now, &network.observers[0], response);
        network.settle();
        match network.events.pop_front() {
            Some(Event::Notification { id, response }) if id == watched => {
                assert_eq!(response.text(), state);
            }
            other => panic!("{other:?}"),
        }
    }
    contexts.remove(PHONE);
    let before = network.carried;
    let response = Response::new(Code::CONTENT).payload("four");
    network.server.notify(network.now, &network.observers[0], response);
    network.settle();
    assert_eq!(network.carried, before, "not a datagram more");
    assert!(network.events.is_empty());
}
