//! A phone and a server in a simulated world.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its own part")]

pub mod stream;
mod toy;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use suibi_coap::{
    Code, Config, Endpoint, Event, Exchange, ObservationId, Observe, Peer, Request, RequestError,
    RequestId, Response, Subject, Transmit,
};
use suibi_sim::{Node, NodeId, World};

pub use toy::Toy;

/// An endpoint with a small service: `/state` (observable), `/big` and everything else.
pub struct CoapNode {
    pub endpoint: Endpoint,
    /// Requests that reached the handler.
    pub served: u32,
    pub requests: Vec<Request>,
    /// Whose requests these were.
    pub subjects: Vec<Option<Subject>>,
    /// Datagrams that were sent.
    pub sent: Vec<Vec<u8>>,
    /// Whether others seem to be on other machines.
    pub sees_far: bool,
    /// How long the handler takes.
    pub work: Duration,
    at_work: VecDeque<(Instant, Exchange, Request)>,
    pub state: Response,
    pub big: Vec<u8>,
    pub observers: Vec<ObservationId>,
    pub ended: Vec<ObservationId>,
    pub answers: BTreeMap<RequestId, Response>,
    pub failures: BTreeMap<RequestId, RequestError>,
    pub notifications: Vec<Response>,
}

pub fn address(id: NodeId) -> Peer {
    Peer::from(SocketAddr::from(([127, 0, 0, 1], 1000 + id.0 as u16)))
}

/// The same port on another machine.
pub fn far(peer: Peer) -> Peer {
    Peer::from(SocketAddr::from(([192, 0, 2, 1], peer.address.port())))
}

impl CoapNode {
    pub fn new(config: Config, seed: u8) -> Self {
        Self {
            endpoint: Endpoint::new(config, [seed; 32]),
            served: 0,
            requests: Vec::new(),
            subjects: Vec::new(),
            sent: Vec::new(),
            sees_far: false,
            work: Duration::ZERO,
            at_work: VecDeque::new(),
            state: Response::new(Code::CONTENT).payload("0"),
            big: body(5000),
            observers: Vec::new(),
            ended: Vec::new(),
            answers: BTreeMap::new(),
            failures: BTreeMap::new(),
            notifications: Vec::new(),
        }
    }

    pub fn ask(&mut self, now: Instant, to: NodeId, request: Request) -> RequestId {
        let id = self.endpoint.request(now, address(to), request);
        self.take_events(now);
        id
    }

    pub fn get(&mut self, now: Instant, to: NodeId) -> RequestId {
        self.ask(now, to, Request::new(Code::GET).path("/state"))
    }

    pub fn observe(&mut self, now: Instant, to: NodeId) -> RequestId {
        self.ask(now, to, Request::new(Code::GET).path("/state").observe(true))
    }

    pub fn answer(&self, id: RequestId) -> Option<&Response> {
        self.answers.get(&id)
    }

    pub fn failure(&self, id: RequestId) -> Option<RequestError> {
        self.failures.get(&id).copied()
    }

    /// Changes what `/state` is, and tells the observers.
    pub fn change(&mut self, now: Instant, text: &str) {
        self.tell(now, Response::new(Code::CONTENT).payload(text.to_owned()));
    }

    pub fn tell(&mut self, now: Instant, response: Response) {
        self.state = response;
        for observer in self.observers.clone() {
            self.endpoint.notify(now, &observer, self.state.clone());
        }
        self.take_events(now);
    }

    fn respond(&mut self, now: Instant, exchange: Exchange, request: &Request) {
        let path = request.path_segments().join("/");
        let response = match (request.method, path.as_str()) {
            (Code::GET, "state") => self.state.clone(),
            (Code::GET | Code::FETCH, "big") => {
                Response::new(Code::CONTENT).payload(self.big.clone())
            }
            (Code::POST, "echo") => Response::new(Code::CHANGED).payload(request.payload.clone()),
            (Code::POST | Code::PUT, _) => Response::new(Code::CHANGED),
            _ => Response::new(Code::NOT_FOUND),
        };
        if request.observing() == Some(Observe::Register) {
            self.observers.extend(self.endpoint.respond_observed(now, exchange, response));
        } else {
            self.endpoint.respond(now, exchange, response);
        }
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request { exchange, request, .. } => {
                    self.served += 1;
                    self.requests.push(request.clone());
                    self.subjects.push(exchange.subject());
                    if self.work.is_zero() {
                        self.respond(now, exchange, &request);
                    } else {
                        self.at_work.push_back((now + self.work, exchange, request));
                    }
                }
                Event::Response { id, response } => {
                    assert!(self.answers.insert(id, response).is_none(), "answered twice");
                }
                Event::Failed { id, error } => {
                    assert!(self.failures.insert(id, error).is_none(), "failed twice");
                }
                Event::Notification { response, .. } => self.notifications.push(response),
                Event::ObservationEnded { observation } => {
                    self.observers.retain(|observer| *observer != observation);
                    self.ended.push(observation);
                }
            }
        }
    }
}

impl Node for CoapNode {
    fn handle_datagram(&mut self, now: Instant, from: NodeId, datagram: &[u8]) {
        let from = if self.sees_far { far(address(from)) } else { address(from) };
        self.endpoint.handle_datagram(now, from, datagram);
        self.take_events(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.take_events(now);
        while self.at_work.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, exchange, request) = self.at_work.pop_front().unwrap();
            self.respond(now, exchange, &request);
        }
    }

    fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
        let Transmit { peer, bytes } = self.endpoint.poll_transmit()?;
        self.sent.push(bytes.to_vec());
        Some((NodeId(usize::from(peer.address.port()) - 1000), bytes.to_vec()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let work = self.at_work.front().map(|(at, ..)| *at);
        self.endpoint.poll_timeout().into_iter().chain(work).min()
    }
}

pub fn phone_and_server() -> (World<CoapNode>, NodeId, NodeId) {
    phone_and_server_with(Config::own(), 1)
}

pub fn phone_and_server_with(config: Config, seed: u64) -> (World<CoapNode>, NodeId, NodeId) {
    let mut world = World::new(seed);
    let phone = world.add(CoapNode::new(config.clone(), 1 + seed as u8));
    let server = world.add(CoapNode::new(config, 101_u8.wrapping_add(seed as u8)));
    (world, phone, server)
}

/// Bytes that differ from place to place.
pub fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// What a raw datagram makes an endpoint send.
pub fn replies(endpoint: &mut Endpoint, now: Instant, from: Peer, datagram: &[u8]) -> Vec<Vec<u8>> {
    endpoint.handle_datagram(now, from, datagram);
    sent(endpoint)
}

pub fn sent(endpoint: &mut Endpoint) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| endpoint.poll_transmit()).map(|t| t.bytes.to_vec()).collect()
}

#[expect(clippy::disallowed_methods, reason = "some instant to count from")]
pub fn start() -> Instant {
    Instant::now()
}

pub fn peer(port: u16) -> Peer {
    Peer::from(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// A phone and a server that share a key of the [`Toy`], and both sides of it.
pub fn protected(seed: u64) -> (World<CoapNode>, NodeId, NodeId, [Toy; 2]) {
    let (mut world, phone, server) = phone_and_server_with(Config::own(), seed);
    let toys = [Toy::new(7, &[7]), Toy::new(0, &[7, 8])];
    for (node, toy) in [phone, server].into_iter().zip(&toys) {
        world.node(node).endpoint.set_protection(toy.protection());
    }
    (world, phone, server, toys)
}
