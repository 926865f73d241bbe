//! The same contexts over a stream (RFC 8323), where messages are large and nothing is lost.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::Instant;

use bytes::Bytes;
use suibi_coap::{
    Code, Connection, Event, ObservationId, Observe, Request, Response, StreamConfig, Subject,
};
use suibi_oscore::{ClientContext, ServerContexts};
use support::{id, peer, secret, start};

const PHONE: Subject = Subject(7);

struct Stream {
    now: Instant,
    phone: Connection,
    server: Connection,
    /// All that the phone said.
    said: Vec<u8>,
    subjects: Vec<Option<Subject>>,
    observers: Vec<ObservationId>,
    heard: Vec<(Code, Bytes)>,
}

impl Stream {
    fn new(contexts: &ServerContexts, phone: &ClientContext) -> Self {
        let now = start();
        let [mut client, mut server] =
            [1, 2].map(|seed| Connection::new(now, StreamConfig::default(), peer(), [seed; 32]));
        client.set_protection(Some(phone.protection()));
        server.set_protection(Some(contexts.protection()));
        let (said, subjects, observers, heard) = Default::default();
        Self { now, phone: client, server, said, subjects, observers, heard }
    }

    fn settle(&mut self) {
        loop {
            let to_server = self.phone.poll_transmit();
            if let Some(bytes) = &to_server {
                self.said.extend_from_slice(bytes);
                self.server.handle_bytes(self.now, bytes);
            }
            let to_phone = self.server.poll_transmit();
            if let Some(bytes) = &to_phone {
                self.phone.handle_bytes(self.now, bytes);
            }
            while let Some(event) = self.server.poll_event() {
                let Event::Request { exchange, request, .. } = event else { continue };
                self.subjects.push(exchange.subject());
                let echo = Response::new(Code::CONTENT).payload(request.payload.clone());
                if request.observing() == Some(Observe::Register) {
                    let observer = self.server.respond_observed(self.now, exchange, echo);
                    self.observers.extend(observer);
                } else {
                    self.server.respond(self.now, exchange, echo);
                }
            }
            while let Some(event) = self.phone.poll_event() {
                match event {
                    Event::Response { response, .. } | Event::Notification { response, .. } => {
                        self.heard.push((response.code, response.payload));
                    }
                    other => panic!("{other:?}"),
                }
            }
            if to_server.is_none() && to_phone.is_none() {
                return;
            }
        }
    }
}

#[test]
fn large_bodies_and_observers_under_the_keys_of_a_paired_device() {
    let contexts = ServerContexts::new([1; 32]);
    contexts.add_paired(PHONE, id("phone"), secret("phone"));
    // Once it has to be told the server's epoch first, once it knows it.
    for epoch in [None, contexts.epoch(PHONE)] {
        let seed = 2 + u8::from(epoch.is_some());
        let phone = ClientContext::new(id("phone"), secret("phone"), epoch, [seed; 32]);
        let mut stream = Stream::new(&contexts, &phone);
        let now = stream.now;
        // Whole; and longer than what the cipher takes at once.
        for times in [4000, 40_000] {
            let body = Bytes::from(b"milk and honey ".repeat(times));
            let request = Request::new(Code::POST).path("/feed").payload(body.clone());
            stream.phone.request(now, request);
            stream.settle();
            assert_eq!(stream.heard.pop(), Some((Code::CONTENT, body)));
            let is_whole = stream.phone.stats().sent < 5;
            assert_eq!(is_whole, times == 4000);
        }
        assert!(!stream.said.windows(5).any(|window| window == b"honey"));

        let observe = Request::new(Code::GET).path("/feed/head").observe(true);
        let observed = stream.phone.request(now, observe);
        stream.settle();
        for text in ["1", "2", "3"] {
            let news = Response::new(Code::CONTENT).payload(text);
            stream.server.notify(now, &stream.observers[0].clone(), news);
            stream.settle();
        }
        assert_eq!(stream.heard.last().unwrap().1, "3");
        assert_eq!(stream.heard.len(), 4);
        stream.phone.cancel(now, observed);
        stream.settle();
        assert_eq!(stream.server.stats().observations, 0);
        assert!(stream.subjects.iter().all(|subject| *subject == Some(PHONE)));
        let stats = [stream.phone.stats(), stream.server.stats()];
        assert!(stats.iter().all(|stats| stats.requests == 0 && stats.exchanges == 0));
    }
}
