//! Nobody can have us send much to somebody else (RFC 9175 §2.4), and Echo (§2) with it.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hex_literal::hex;
use proptest::{collection::vec, prelude::*};
use suibi_coap::{
    Code, Config, Endpoint, Event, Exchange, Message, MessageId, ObservationId, OptionNumber,
    Options, Peer, Request, Response, Token, Type, wire,
};
use support::*;

const MS: Duration = Duration::from_millis(1);

/// An address that is not on this machine, and may be forged.
fn stranger(port: u16) -> Peer {
    Peer::from(SocketAddr::from(([192, 0, 2, 7], port)))
}

fn message(code: Code, id: u16, request: Request) -> Message {
    Message {
        kind: Type::Confirmable,
        code,
        id: MessageId(id),
        token: Token::new(&id.to_be_bytes()).unwrap(),
        options: request.options,
        payload: request.payload,
    }
}

fn get(id: u16, path: &str) -> Message {
    message(Code::GET, id, Request::new(Code::GET).path(path))
}

/// A server, and the bytes that went to and came from each address.
struct Counted {
    server: Endpoint,
    now: Instant,
    /// By address: bytes in, bytes out.
    bytes: BTreeMap<Peer, (usize, usize)>,
    /// Requests that reached the handler.
    served: Vec<Request>,
    /// Requests to `/slow`.
    waiting: Vec<Exchange>,
    observers: Vec<ObservationId>,
}

impl Counted {
    fn new(config: Config) -> Self {
        Self {
            server: Endpoint::new(config, [1; 32]),
            now: start(),
            bytes: BTreeMap::new(),
            served: Vec::new(),
            waiting: Vec::new(),
            observers: Vec::new(),
        }
    }

    fn own() -> Self {
        Self::new(Config::own())
    }

    /// Something came; gives what went out, to whomever.
    fn hear(&mut self, from: Peer, datagram: &[u8]) -> Vec<Message> {
        self.bytes.entry(from).or_default().0 += datagram.len();
        self.server.handle_datagram(self.now, from, datagram);
        self.work()
    }

    fn ask(&mut self, from: Peer, message: &Message) -> Vec<Message> {
        self.hear(from, &wire::encode(message))
    }

    fn wait(&mut self, time: Duration) -> Vec<Message> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            sent.extend(self.work());
        }
        self.now = end;
        sent
    }

    fn change(&mut self, len: usize) -> Vec<Message> {
        for observer in self.observers.clone() {
            let response = Response::new(Code::CONTENT).payload(body(len));
            self.server.notify(self.now, &observer, response);
        }
        self.work()
    }

    fn finish_slow(&mut self) -> Vec<Message> {
        for exchange in std::mem::take(&mut self.waiting) {
            let response = Response::new(Code::CONTENT).payload(body(900));
            self.server.respond(self.now, exchange, response);
        }
        self.work()
    }

    fn work(&mut self) -> Vec<Message> {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Request { exchange, request, .. } => self.serve(exchange, request),
                Event::ObservationEnded { observation } => {
                    self.observers.retain(|observer| *observer != observation);
                }
                other => panic!("{other:?}"),
            }
        }
        let mut sent = Vec::new();
        while let Some(transmit) = self.server.poll_transmit() {
            let (heard, said) = self.bytes.entry(transmit.peer).or_default();
            *said += transmit.bytes.len();
            let is_far = !transmit.peer.address.ip().is_loopback();
            assert!(*said <= 3 * *heard || !is_far, "{said} bytes out for {heard} in");
            sent.push(wire::decode(&transmit.bytes).unwrap());
        }
        sent
    }

    fn serve(&mut self, exchange: Exchange, request: Request) {
        self.served.push(request.clone());
        let (now, server) = (self.now, &mut self.server);
        let path = request.path_segments().join("/");
        let response = match (request.method, path.as_str()) {
            (_, "slow") => return self.waiting.push(exchange),
            (_, "small") => Response::new(Code::CONTENT).payload("ok"),
            (Code::POST, _) => Response::new(Code::CREATED).payload(body(3000)),
            _ => Response::new(Code::CONTENT).payload(body(3000)),
        };
        if request.observing().is_some() {
            self.observers.extend(server.respond_observed(now, exchange, response));
        } else {
            server.respond(now, exchange, response);
        }
    }
}

/// The Echo value of an answer that is nothing but a challenge.
fn challenge(answers: &[Message]) -> Bytes {
    let [answer] = answers else { panic!("{answers:?}") };
    assert_eq!(answer.code, Code::UNAUTHORIZED);
    assert!(answer.options.len() == 1 && answer.payload.is_empty());
    let echo = answer.options.get(OptionNumber::ECHO).unwrap().clone();
    assert_eq!(echo.len(), 8);
    echo
}

fn with_echo(mut message: Message, echo: &Bytes) -> Message {
    message.options.set(OptionNumber::ECHO, echo.clone());
    message
}

#[test]
fn a_stranger_gets_a_large_history_after_showing_that_it_is_there() {
    let mut server = Counted::own();
    let echo = challenge(&server.ask(stranger(1), &get(1, "/history")));
    assert_eq!((server.served.len(), server.server.stats().challenged), (1, 1));
    server.bytes.clear();
    server.bytes.insert(stranger(1), (1 << 20, 0));
    let answers = server.ask(stranger(1), &with_echo(get(2, "/history"), &echo));
    assert_eq!((answers[0].code, answers[0].payload.len()), (Code::CONTENT, 1024));
    assert!(!server.served[1].options.has(OptionNumber::ECHO), "it has done its work");
    let again = server.ask(stranger(1), &get(3, "/history"));
    assert_eq!(again[0].payload.len(), 1024, "once is enough");
}

#[test]
fn what_is_small_goes_to_anybody() {
    let mut server = Counted::own();
    let answers = server.ask(stranger(1), &get(1, "/small"));
    assert_eq!((answers[0].code, &answers[0].payload[..]), (Code::CONTENT, &b"ok"[..]));
}

#[test]
fn only_what_was_sent_there_proves_an_address() {
    let mut server = Counted::own();
    let echo = challenge(&server.ask(stranger(1), &get(1, "/history")));
    challenge(&server.ask(stranger(2), &with_echo(get(1, "/history"), &echo)));
    for (id, wrong) in [&b"12345678"[..], b"", &echo[..7]].into_iter().enumerate() {
        let ask = get(10 + id as u16, "/history");
        challenge(&server.ask(stranger(1), &with_echo(ask, &Bytes::copy_from_slice(wrong))));
    }
}

#[test]
fn a_retried_question_gets_its_challenge_again() {
    let mut server = Counted::own();
    let echo = challenge(&server.ask(stranger(1), &get(1, "/history")));
    assert_eq!(challenge(&server.ask(stranger(1), &get(1, "/history"))), echo);
    assert_eq!(challenge(&server.ask(stranger(1), &get(2, "/history"))), echo);
    let mut non = get(3, "/history");
    non.kind = Type::NonConfirmable;
    assert_eq!(challenge(&server.ask(stranger(1), &non)), echo);
    assert_eq!(server.served.len(), 3);
}

/// Asked to come again, it would be done twice.
#[test]
fn a_deed_is_answered_with_the_bare_code() {
    let mut server = Counted::own();
    let post = message(Code::POST, 1, Request::new(Code::POST).path("/notes").payload("milk"));
    for _ in 0..3 {
        let [answer] = &server.ask(stranger(1), &post)[..] else { panic!() };
        assert_eq!((answer.code, answer.token), (Code::CREATED, post.token));
        assert!(answer.options.is_empty() && answer.payload.is_empty());
    }
    assert_eq!(server.served.len(), 1);
}

#[test]
fn a_slow_answer_and_its_retransmissions_stay_within_bounds() {
    let mut server = Counted::own();
    for id in 1..=20 {
        server.ask(stranger(1), &get(id, "/slow"));
    }
    let acknowledgements = server.wait(1000 * MS);
    assert_eq!(acknowledgements.len(), 20);
    let answers = server.finish_slow();
    assert!(answers.iter().all(|a| a.code == Code::UNAUTHORIZED && a.kind == Type::Confirmable));
    server.wait(Duration::from_secs(300));
    let stats = server.server.stats();
    assert!(stats.withheld > 20 && stats.retransmitted > 20, "{stats:?}");
    let (heard, said) = server.bytes[&stranger(1)];
    assert!(said > 2 * heard, "the test comes near the bound");
}

#[test]
fn pings_and_garbage_get_no_more_than_they_are() {
    let mut server = Counted::own();
    let garbage = [&hex!("40 00 beef")[..], &hex!("40 01 beef ff"), &hex!("40 20 beef"), b"", b"@"];
    for known in [false, true] {
        for datagram in garbage {
            for _ in 0..10 {
                let before = server.bytes.get(&stranger(1)).copied().unwrap_or_default();
                server.hear(stranger(1), datagram);
                let after = server.bytes[&stranger(1)];
                assert!(after.1 - before.1 <= after.0 - before.0);
            }
        }
        if !known {
            server.ask(stranger(1), &get(1, "/small"));
        }
    }
    assert_eq!(server.served.len(), 1);
}

#[test]
fn a_question_too_short_to_be_challenged_gets_silence_until_there_is_room() {
    let mut server = Counted::own();
    assert!(server.hear(stranger(1), &hex!("40 01 0001")).is_empty(), "12 bytes: none of 14");
    challenge(&server.hear(stranger(1), &hex!("40 01 0001")));
}

#[test]
fn who_wants_to_observe_must_be_there() {
    let mut server = Counted::own();
    let observe = |id| message(Code::GET, id, Request::new(Code::GET).path("/small").observe(true));
    let echo = challenge(&server.ask(stranger(1), &observe(1)));
    assert!(server.served.is_empty(), "nobody took the trouble");
    assert!(server.change(10).is_empty() && server.observers.is_empty());
    let answers = server.ask(stranger(1), &with_echo(observe(2), &echo));
    assert!(answers[0].options.has(OptionNumber::OBSERVE));
    server.bytes.insert(stranger(1), (1 << 20, 0));
    assert_eq!(server.change(500).len(), 1);
    // Another address is another question.
    challenge(&server.ask(stranger(2), &observe(1)));
    assert_eq!(server.observers.len(), 1);
}

#[test]
fn who_is_forgotten_and_comes_again_begins_anew() {
    let mut server = Counted::new(Config { max_peers: 2, ..Config::own() });
    let echo = challenge(&server.ask(stranger(1), &get(1, "/history")));
    let proven = server.ask(stranger(1), &with_echo(get(2, "/small"), &echo));
    assert_eq!(proven[0].code, Code::CONTENT);
    for port in 2..10 {
        challenge(&server.ask(stranger(port), &get(1, "/history")));
    }
    let asked = with_echo(get(3, "/history"), &echo);
    assert_ne!(challenge(&server.ask(stranger(1), &asked)), echo);
}

#[test]
fn no_block_of_a_body_is_for_strangers() {
    let mut server = Counted::own();
    let echo = challenge(&server.ask(stranger(1), &get(1, "/history")));
    let block = |id, number: u32| {
        let mut ask = get(id, "/history");
        ask.options.set_uint(OptionNumber::BLOCK2, number << 4 | 6);
        ask
    };
    for number in 0..3 {
        challenge(&server.ask(stranger(1), &block(2 + number, number.into())));
    }
    server.bytes.insert(stranger(1), (1 << 20, 0));
    let mut got = Vec::new();
    for number in 0..3 {
        let ask = with_echo(block(10 + number, number.into()), &echo);
        got.extend_from_slice(&server.ask(stranger(1), &ask)[0].payload);
    }
    assert_eq!(got, body(3000));
}

#[test]
fn loopback_needs_no_proof_and_neither_does_who_is_not_limited() {
    let mut server = Counted::own();
    assert_eq!(server.ask(peer(1), &get(1, "/history"))[0].payload.len(), 1024);
    let mut server = Counted::new(Config { limit_unproven: false, ..Config::own() });
    server.bytes.insert(stranger(1), (1 << 20, 0));
    assert_eq!(server.ask(stranger(1), &get(1, "/history"))[0].payload.len(), 1024);
}

#[test]
fn whom_we_asked_is_there() {
    let now = start();
    let mut endpoint = Endpoint::new(Config::own(), [1; 32]);
    endpoint.request(now, stranger(1), Request::new(Code::GET).path("/state"));
    assert_eq!(sent(&mut endpoint).len(), 1, "we may send it what we like");
    endpoint.handle_datagram(now, stranger(1), &wire::encode(&get(1, "/history")));
    let Some(Event::Request { exchange, .. }) = endpoint.poll_event() else { panic!() };
    endpoint.respond(now, exchange, Response::new(Code::CONTENT).payload(body(900)));
    assert!(sent(&mut endpoint)[0].len() > 900);
}

#[test]
fn a_true_protected_request_proves_its_address_and_a_forged_one_gets_nothing() {
    let now = start();
    let mut client = Endpoint::new(Config::own(), [1; 32]);
    client.set_protection(Toy::new(7, &[7]).protection());
    client.request(now, stranger(1), Request::new(Code::GET).path("/history"));
    let asked = sent(&mut client).remove(0);
    let mut server = Counted::own();
    server.server.set_protection(Toy::new(0, &[7]).protection());
    let mut forged = asked.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(server.hear(stranger(2), &forged).is_empty());
    let unprotected = server.ask(stranger(2), &get(5, "/history"));
    assert_eq!(unprotected[0].code, Code::UNAUTHORIZED);
    server.bytes.insert(stranger(2), (1 << 20, 0));
    let answers = server.hear(stranger(2), &asked);
    assert!(answers[0].payload.len() > 1024);
}

/// The client's part of RFC 9175 §2.3.
#[test]
fn our_client_gives_back_what_it_is_asked_for_by_itself() {
    for seed in 0..10 {
        let (mut world, phone, server) = phone_and_server_with(Config::own(), seed);
        world.node(server).sees_far = true;
        for (from, to) in [(phone, server), (server, phone)] {
            let link = world.link(from, to);
            (link.loss, link.doubling, link.jitter) = (0.1, 0.2, 200 * MS);
        }
        let now = world.now();
        let big = world.node(phone).ask(now, server, Request::new(Code::GET).path("/big"));
        world.run();
        assert_eq!(world.node(phone).answer(big).unwrap().payload, body(5000));
        let stats = world.node(server).endpoint.stats();
        assert!(stats.challenged > 0, "{stats:?}");
    }
}

#[test]
fn our_client_observes_a_server_that_does_not_know_it() {
    let (mut world, phone, server) = phone_and_server();
    world.node(server).sees_far = true;
    let now = world.now();
    let id = world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    assert_eq!(world.node(phone).answer(id).unwrap().text(), "0");
    assert_eq!((world.node(phone).sent.len(), world.node(server).served), (2, 1));
    // A large one is fetched from the same address.
    let now = world.now();
    world.node(server).tell(now, Response::new(Code::CONTENT).payload(body(3000)));
    world.run();
    assert_eq!(world.node(phone).notifications[0].payload, body(3000));
}

#[test]
fn a_notification_is_not_asked_for_once_more() {
    let (mut world, phone, server) = phone_and_server();
    let now = world.now();
    world.node(phone).observe(now, server);
    world.run_for(10 * MS);
    let now = world.now();
    world.node(server).tell(now, Response::new(Code::UNAUTHORIZED).echo(b"again"));
    world.run();
    assert_eq!(world.node(phone).notifications[0].code, Code::UNAUTHORIZED);
    assert_eq!(world.node(phone).sent.len(), 2, "the question, and an acknowledgement");
    assert_eq!(world.node(phone).endpoint.stats().requests, 0);
}

#[test]
fn our_client_asks_once_more_but_not_for_ever() {
    let now = start();
    let mut client = Endpoint::new(Config::own(), [1; 32]);
    let request = Request::new(Code::POST).path("/devices").payload("phone");
    client.request(now, peer(1), request);
    let mut asked = Vec::new();
    for round in 0..5_u8 {
        for datagram in sent(&mut client) {
            let message = wire::decode(&datagram.into()).unwrap();
            let mut answer = Message { code: Code::UNAUTHORIZED, ..message.clone() };
            answer.kind = Type::Acknowledgement;
            answer.options = Options::new();
            answer.options.set(OptionNumber::ECHO, vec![round; 40]);
            answer.payload = "again".into();
            client.handle_datagram(now, peer(1), &wire::encode(&answer));
            asked.push(message);
        }
    }
    let [first, second] = &asked[..] else { panic!("{asked:?}") };
    assert!(first.token != second.token && first.id != second.id);
    assert!(!first.options.has(OptionNumber::ECHO) && second.payload == first.payload);
    assert_eq!(second.options.get(OptionNumber::ECHO).unwrap(), &vec![0; 40]);
    let Some(Event::Response { response, .. }) = client.poll_event() else { panic!() };
    assert_eq!((response.code, response.text().as_str()), (Code::UNAUTHORIZED, "again"));
    assert_eq!(response.echo_value().unwrap(), &vec![1; 40]);
}

#[test]
fn a_refusal_without_echo_is_an_answer() {
    let mut client = Endpoint::new(Config::own(), [1; 32]);
    client.request(start(), peer(1), Request::new(Code::GET));
    let asked = wire::decode(&sent(&mut client).remove(0).into()).unwrap();
    let kind = Type::Acknowledgement;
    let answer = Message { kind, code: Code::UNAUTHORIZED, options: Options::new(), ..asked };
    client.handle_datagram(start(), peer(1), &wire::encode(&answer));
    assert!(sent(&mut client).is_empty());
    assert!(matches!(client.poll_event(), Some(Event::Response { .. })));
}

/// RFC 9175 §3: bodies to one resource that are sent at once.
#[test]
fn bodies_with_different_request_tags_do_not_mix() {
    let mut server = Counted::own();
    let mut id = 0;
    let mut block = |tag: &[u8], number: u32, more: bool| {
        id += 1;
        let mut request = Request::new(Code::PUT).path("/small");
        request.options.set_uint(OptionNumber::BLOCK1, number << 4 | u32::from(more) << 3);
        request.options.set(OptionNumber::REQUEST_TAG, tag.to_vec());
        message(Code::PUT, id, request.payload(vec![tag.first().copied().unwrap_or(0); 16]))
    };
    for number in 0..3 {
        for tag in [&b""[..], b"a", b"b"] {
            let answers = server.ask(peer(1), &block(tag, number, number < 2));
            let expected = if number < 2 { Code::CONTINUE } else { Code::CONTENT };
            assert_eq!(answers[0].code, expected);
        }
    }
    let bodies: Vec<_> = server.served.iter().map(|request| request.payload.to_vec()).collect();
    assert_eq!(bodies, [vec![0; 48], vec![b'a'; 48], vec![b'b'; 48]]);
}

/// What somebody sends in another's name, or just does.
#[derive(Debug, Clone)]
enum Act {
    Ask { from: u16, id: u16, token: usize, code: Code, path: usize, kind: Type, options: u8 },
    Block { from: u16, id: u16, number: u32, more: bool },
    Empty { from: u16, kind: Type, id: u16 },
    Garbage { from: u16, bytes: Vec<u8> },
    Answer { from: u16, kind: Type, id: u16 },
    Wait(u64),
    Change(usize),
    FinishSlow,
}

fn acts() -> impl Strategy<Value = Act> {
    let from = || 1_u16..5;
    let id = || prop_oneof![0_u16..8, any::<u16>()];
    let kind = || {
        prop::sample::select(vec![
            Type::Confirmable,
            Type::NonConfirmable,
            Type::Acknowledgement,
            Type::Reset,
        ])
    };
    let code = prop::sample::select(vec![
        Code::GET,
        Code::GET,
        Code::FETCH,
        Code::POST,
        Code::PUT,
        Code::new(0, 31),
    ]);
    prop_oneof![
        8 => (from(), id(), 0_usize..9, code, 0_usize..4, kind(), any::<u8>()).prop_map(
            |(from, id, token, code, path, kind, options)| Act::Ask {
                from, id, token, code, path, kind, options
            }
        ),
        2 => (from(), id(), 0_u32..4, any::<bool>())
            .prop_map(|(from, id, number, more)| Act::Block { from, id, number, more }),
        2 => (from(), kind(), id()).prop_map(|(from, kind, id)| Act::Empty { from, kind, id }),
        2 => (from(), vec(any::<u8>(), 0..40))
            .prop_map(|(from, bytes)| Act::Garbage { from, bytes }),
        1 => (from(), kind(), id()).prop_map(|(from, kind, id)| Act::Answer { from, kind, id }),
        2 => (0_u64..20_000).prop_map(Act::Wait),
        1 => (0_usize..3000).prop_map(Act::Change),
        2 => Just(Act::FinishSlow),
    ]
}

fn act(server: &mut Counted, act: Act) {
    match act {
        Act::Ask { from, id, token, code, path, kind, options } => {
            let path = ["/history", "/small", "/slow", ""][path];
            let mut request = Request::new(code).path(path);
            if options & 1 != 0 {
                request = request.observe(options & 2 == 0);
            }
            if options & 12 == 4 {
                request.options.set_uint(OptionNumber::BLOCK2, u32::from(options >> 4) << 4 | 6);
            }
            if options & 24 == 8 {
                request.options.set(OptionNumber::ECHO, vec![options; 8]);
            }
            if options & 0xf0 == 0x30 {
                request.options.set(OptionNumber(1009), "?");
            }
            let mut message = message(code, id, request);
            message.kind = kind;
            message.token = Token::new(&[9; 8][..token]).unwrap();
            server.ask(stranger(from), &message);
        }
        Act::Block { from, id, number, more } => {
            let mut request = Request::new(Code::POST).path("/history").payload(vec![7; 16]);
            request.options.set_uint(OptionNumber::BLOCK1, number << 4 | u32::from(more) << 3);
            server.ask(stranger(from), &message(Code::POST, id, request));
        }
        Act::Empty { from, kind, id } => {
            server.ask(stranger(from), &Message::empty(kind, MessageId(id)));
        }
        Act::Garbage { from, bytes } => {
            server.hear(stranger(from), &bytes);
        }
        Act::Answer { from, kind, id } => {
            let mut message = message(Code::CONTENT, id, Request::new(Code::GET));
            message.kind = kind;
            server.ask(stranger(from), &message);
        }
        Act::Wait(millis) => {
            server.wait(Duration::from_millis(millis));
        }
        Act::Change(len) => {
            server.change(len);
        }
        Act::FinishSlow => {
            server.finish_slow();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    /// At any moment, bytes out are at most three times the bytes in: [`Counted::work`] looks
    /// after each of them.
    #[test]
    fn no_address_that_may_be_forged_gets_more_than_three_bytes_for_one(
        acts in vec(acts(), 1..80),
        max_peers in prop_oneof![1_usize..4, Just(100)],
    ) {
        let mut server = Counted::new(Config { max_peers, ..Config::own() });
        for next in acts {
            act(&mut server, next);
        }
        server.wait(Duration::from_secs(600));
    }
}
