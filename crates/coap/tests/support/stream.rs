//! Two connections and what a socket would do between them: cut, delay, fill up, close.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use suibi_coap::{
    Code, Connection, End, Event, Exchange, ObservationId, Observe, Request, RequestError,
    RequestId, Response, StreamConfig, Subject,
};

use super::{body, peer, start};

/// One end, with a small service: `/state` (observable), `/big`, `/echo` and everything else.
pub struct Side {
    pub connection: Connection,
    pub requests: Vec<Request>,
    pub subjects: Vec<Option<Subject>>,
    /// How long the handler takes, for each path that has to wait.
    pub work: BTreeMap<String, Duration>,
    at_work: Vec<(Instant, Exchange, Request)>,
    pub state: Response,
    pub big: Vec<u8>,
    pub observers: Vec<ObservationId>,
    pub ended: Vec<ObservationId>,
    /// In the order in which they came.
    pub answers: Vec<(RequestId, Response)>,
    pub failures: BTreeMap<RequestId, RequestError>,
    pub notifications: Vec<Response>,
    /// Whether it reads what comes.
    pub reads: bool,
    /// Written to the socket in part.
    unsent: Bytes,
    /// The socket takes nothing any more.
    is_closed: bool,
}

/// Bytes on their way to one side.
#[derive(Default)]
struct Wire {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    len: usize,
    closed_at: Option<Instant>,
}

pub struct Pipe {
    pub now: Instant,
    pub sides: [Side; 2],
    /// Towards the first and the second side.
    wires: [Wire; 2],
    rng: StdRng,
    /// Bytes on their way to one side at most, as in the buffers of sockets.
    pub capacity: usize,
    pub delay: Duration,
    /// The longest piece that is handed over.
    pub max_piece: usize,
}

pub const PHONE: usize = 0;
pub const SERVER: usize = 1;

impl Pipe {
    pub fn new(seed: u64) -> Self {
        Self::with([StreamConfig::default(), StreamConfig::default()], seed)
    }

    pub fn with(configs: [StreamConfig; 2], seed: u64) -> Self {
        let now = start();
        let mut port = 1;
        let sides = configs.map(|config| {
            port += 1;
            Side::new(now, config, port as u8 ^ seed as u8)
        });
        Self {
            now,
            sides,
            wires: Default::default(),
            rng: StdRng::seed_from_u64(seed),
            capacity: 64 << 10,
            delay: Duration::from_millis(10),
            max_piece: 1500,
        }
    }

    pub fn phone(&mut self) -> &mut Side {
        &mut self.sides[PHONE]
    }

    pub fn server(&mut self) -> &mut Side {
        &mut self.sides[SERVER]
    }

    pub fn ask(&mut self, request: Request) -> RequestId {
        let now = self.now;
        self.phone().connection.request(now, request)
    }

    pub fn get(&mut self, path: &str) -> RequestId {
        self.ask(Request::new(Code::GET).path(path))
    }

    pub fn observe(&mut self) -> RequestId {
        self.ask(Request::new(Code::GET).path("/state").observe(true))
    }

    /// Changes what `/state` is at the server, and tells the observers.
    pub fn change(&mut self, text: &str) {
        let now = self.now;
        self.server().tell(now, Response::new(Code::CONTENT).payload(text.to_owned()));
    }

    /// Cuts the wire: both sides are told.
    pub fn close(&mut self) {
        for side in &mut self.sides {
            side.connection.handle_closed(self.now);
            side.take_events(self.now);
            side.is_closed = true;
        }
    }

    /// Bytes that neither connection has written.
    pub fn inject(&mut self, to: usize, bytes: &[u8]) {
        self.wires[to].len += bytes.len();
        self.wires[to].pieces.push_back((self.now, bytes.to_vec()));
    }

    /// Until nothing is to happen any more but in the far future.
    pub fn run(&mut self) {
        self.run_for(Duration::from_secs(5));
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let mut turns = 0;
        while let Some(next) = self.turn() {
            turns += 1;
            assert!(turns < 1_000_000, "this goes on for ever");
            if next > end {
                break;
            }
            self.now = self.now.max(next);
        }
        self.now = end;
    }

    /// Does what is due, and tells when something will be.
    fn turn(&mut self) -> Option<Instant> {
        for to in [PHONE, SERVER] {
            self.read(to);
            self.sides[to].work_on(self.now);
            self.write(1 - to, to);
            self.write(to, 1 - to);
        }
        let wires = self.wires.iter().zip(&self.sides).flat_map(|(wire, side)| {
            let piece = wire.pieces.front().filter(|_| side.is_reading()).map(|(at, _)| *at);
            piece.or(wire.closed_at.filter(|_| wire.pieces.is_empty()))
        });
        let sides = self.sides.iter().flat_map(|side| {
            let work = side.at_work.iter().map(|(at, ..)| *at).min();
            work.into_iter().chain(side.connection.poll_timeout())
        });
        wires.chain(sides).min()
    }

    fn read(&mut self, to: usize) {
        let (wire, side) = (&mut self.wires[to], &mut self.sides[to]);
        while side.is_reading() && wire.pieces.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, piece) = wire.pieces.pop_front().unwrap();
            wire.len -= piece.len();
            side.connection.handle_bytes(self.now, &piece);
            side.take_events(self.now);
        }
        if wire.pieces.is_empty() && wire.closed_at.is_some_and(|at| at <= self.now) {
            wire.closed_at = None;
            side.connection.handle_closed(self.now);
            side.take_events(self.now);
            side.is_closed = true;
        }
    }

    fn write(&mut self, from: usize, to: usize) {
        let (side, wire) = (&mut self.sides[from], &mut self.wires[to]);
        if side.is_closed {
            return;
        }
        while wire.len < self.capacity {
            if side.unsent.is_empty() {
                let Some(bytes) = side.connection.poll_transmit() else { break };
                side.unsent = bytes;
            }
            let max = self.max_piece.min(self.capacity - wire.len).min(side.unsent.len());
            let piece = side.unsent.split_to(self.rng.random_range(1..=max)).to_vec();
            wire.len += piece.len();
            wire.pieces.push_back((self.now + self.delay, piece));
        }
        let is_all_sent = side.unsent.is_empty() && !side.connection.wants_to_send();
        if side.connection.ended().is_some() && is_all_sent {
            side.is_closed = true;
            wire.closed_at = Some(self.now + self.delay);
        }
    }
}

impl Side {
    fn new(now: Instant, config: StreamConfig, seed: u8) -> Self {
        Self {
            connection: Connection::new(now, config, peer(u16::from(seed) + 1), [seed; 32]),
            requests: Vec::new(),
            subjects: Vec::new(),
            work: BTreeMap::new(),
            at_work: Vec::new(),
            state: Response::new(Code::CONTENT).payload("0"),
            big: body(5000),
            observers: Vec::new(),
            ended: Vec::new(),
            answers: Vec::new(),
            failures: BTreeMap::new(),
            notifications: Vec::new(),
            reads: true,
            unsent: Bytes::new(),
            is_closed: false,
        }
    }

    pub fn answer(&self, id: RequestId) -> &Response {
        let mut answers = self.answers.iter().filter(|(answered, _)| *answered == id);
        let (_, response) = answers.next().expect("it is answered");
        assert!(answers.next().is_none(), "answered twice");
        response
    }

    pub fn failure(&self, id: RequestId) -> Option<RequestError> {
        self.failures.get(&id).copied()
    }

    pub fn end(&self) -> &End {
        self.connection.ended().expect("it has ended")
    }

    pub fn tell(&mut self, now: Instant, response: Response) {
        self.state = response;
        for observer in &self.observers {
            self.connection.notify(now, observer, self.state.clone());
        }
        self.take_events(now);
    }

    /// The handler forgets what it was at.
    pub fn drop_work(&mut self) {
        self.at_work.clear();
    }

    fn is_reading(&self) -> bool {
        self.reads && (self.connection.wants_bytes() || self.connection.ended().is_some())
    }

    fn work_on(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        self.take_events(now);
        while let Some(done) = self.at_work.iter().position(|(at, ..)| *at <= now) {
            let (_, exchange, request) = self.at_work.remove(done);
            self.respond(now, exchange, &request);
            self.take_events(now);
        }
    }

    pub fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Request { exchange, request, .. } => {
                    self.requests.push(request.clone());
                    self.subjects.push(exchange.subject());
                    match self.work.get(&request.path_segments().join("/")) {
                        Some(work) => self.at_work.push((now + *work, exchange, request)),
                        None => self.respond(now, exchange, &request),
                    }
                }
                Event::Response { id, response } => self.answers.push((id, response)),
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

    fn respond(&mut self, now: Instant, exchange: Exchange, request: &Request) {
        let path = request.path_segments().join("/");
        let content = Response::new(Code::CONTENT);
        let response = match (request.method, path.as_str()) {
            (Code::GET, "state") => self.state.clone(),
            (Code::GET | Code::FETCH, "big") => content.payload(self.big.clone()),
            (Code::GET, path) if !path.is_empty() => content.payload(path.to_owned()),
            (Code::POST, "echo") => Response::new(Code::CHANGED).payload(request.payload.clone()),
            (Code::POST | Code::PUT, _) => Response::new(Code::CHANGED),
            _ => Response::new(Code::NOT_FOUND),
        };
        if request.observing() == Some(Observe::Register) {
            self.observers.extend(self.connection.respond_observed(now, exchange, response));
        } else {
            self.connection.respond(now, exchange, response);
        }
    }
}
