//! Large bodies (RFC 7959).
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use suibi_coap::{
    Code, Config, Endpoint, Event, Message, MessageId, OptionNumber, Options, Request,
    RequestError, Response, Token, Type, wire,
};
use support::*;

const BLOCK1: OptionNumber = OptionNumber::BLOCK1;
const BLOCK2: OptionNumber = OptionNumber::BLOCK2;

/// NUM/M/SZX as RFC 7959 writes it: number, more, size in bytes.
fn block(number: u32, more: bool, size: u32) -> u32 {
    number << 4 | u32::from(more) << 3 | (size.ilog2() - 4)
}

fn message(code: Code, id: u16, options: &[(OptionNumber, u32)], payload: &[u8]) -> Message {
    let mut all = Options::new();
    all.add(OptionNumber::URI_PATH, "status");
    options.iter().for_each(|(number, value)| all.set_uint(*number, *value));
    Message {
        kind: Type::Confirmable,
        code,
        id: MessageId(id),
        token: Token::new(&[1]).unwrap(),
        options: all,
        payload: Bytes::copy_from_slice(payload),
    }
}

/// Sends a message to a server and gives its answer; events are answered by `handler`.
fn call(
    server: &mut Endpoint,
    now: Instant,
    message: &Message,
    handler: impl FnOnce(Request) -> Response,
) -> Message {
    server.handle_datagram(now, peer(9), &wire::encode(message));
    if let Some(Event::Request { exchange, request, .. }) = server.poll_event() {
        server.respond(now, exchange, handler(request));
    }
    wire::decode(&sent(server).remove(0).into()).unwrap()
}

fn nobody(_: Request) -> Response {
    panic!("the handler is not to be asked")
}

/// RFC 7959 figure 2 and 3: simple block-wise GET, the size 128, then 64 as the client wishes.
#[test]
fn figure_2_simple_block_wise_get_and_figure_3_early_negotiation() {
    for size in [128_usize, 64] {
        let now = start();
        let mut server = Endpoint::new(Config::own(), [1; 32]);
        let whole = body(300);
        let mut got: Vec<u8> = Vec::new();
        let mut etag = None;
        for number in 0.. {
            let options = [(BLOCK2, block(number, false, size as u32))];
            let ask = message(Code::GET, number as u16, &options, b"");
            let answer = match number {
                0 => call(&mut server, now, &ask, |_| {
                    Response::new(Code::CONTENT).payload(whole.clone())
                }),
                _ => call(&mut server, now, &ask, nobody),
            };
            let more = got.len() + size < 300;
            assert_eq!(answer.code, Code::CONTENT);
            assert_eq!(answer.options.uint(BLOCK2), Some(block(number, more, size as u32)));
            let this = answer.options.get(OptionNumber::ETAG).cloned();
            assert!(this.is_some() && (number == 0 || this == etag));
            etag = this;
            got.extend(&answer.payload);
            if !more {
                break;
            }
        }
        assert_eq!(got, whole);
    }
}

/// RFC 7959 figure 4: the client asks for smaller blocks after the first.
#[test]
fn figure_4_late_negotiation() {
    let now = start();
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    let whole = body(2000);
    let first = message(Code::GET, 1, &[], b"");
    let answer =
        call(&mut server, now, &first, |_| Response::new(Code::CONTENT).payload(whole.clone()));
    assert_eq!(answer.options.uint(BLOCK2), Some(block(0, true, 1024)));
    assert_eq!(answer.options.uint(OptionNumber::SIZE2), Some(2000));
    let second = message(Code::GET, 2, &[(BLOCK2, block(16, false, 64))], b"");
    let answer = call(&mut server, now, &second, nobody);
    assert_eq!(answer.options.uint(BLOCK2), Some(block(16, true, 64)));
    assert_eq!(answer.payload, whole[1024..1088]);
}

/// RFC 7959 figure 7: simple atomic block-wise PUT.
#[test]
fn figure_7_simple_atomic_block_wise_put() {
    let now = start();
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    let whole = body(300);
    for (number, piece) in whole.chunks(128).enumerate() {
        let (number, more) = (number as u32, number < 2);
        let put = message(Code::PUT, number as u16, &[(BLOCK1, block(number, more, 128))], piece);
        let expected = whole.clone();
        let answer = if more {
            call(&mut server, now, &put, nobody)
        } else {
            call(&mut server, now, &put, |request| {
                assert_eq!(request.payload, expected);
                assert!(!request.options.has(BLOCK1));
                Response::new(Code::CHANGED)
            })
        };
        assert_eq!(answer.code, if more { Code::CONTINUE } else { Code::CHANGED });
        assert_eq!(answer.options.uint(BLOCK1), Some(block(number, more, 128)));
    }
    assert_eq!(server.stats().transfer_bytes, 0);
}

/// RFC 7959 figure 10: block-wise POST with block-wise response.
#[test]
fn figure_10_atomic_block_wise_post_with_block_wise_response() {
    let now = start();
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    let first = message(Code::POST, 1, &[(BLOCK1, block(0, true, 128))], &body(128));
    assert_eq!(call(&mut server, now, &first, nobody).code, Code::CONTINUE);
    let last = [(BLOCK1, block(1, false, 128)), (BLOCK2, block(0, false, 64))];
    let last = message(Code::POST, 2, &last, b"end");
    let answer = call(&mut server, now, &last, |request| {
        assert_eq!(request.payload.len(), 131);
        Response::new(Code::CHANGED).payload(body(100))
    });
    assert_eq!(answer.options.uint(BLOCK1), Some(block(1, false, 128)));
    assert_eq!(answer.options.uint(BLOCK2), Some(block(0, true, 64)));
    let rest = message(Code::POST, 3, &[(BLOCK2, block(1, false, 64))], b"");
    let answer = call(&mut server, now, &rest, nobody);
    assert_eq!(answer.payload, body(100)[64..]);
}

#[test]
fn blocks_that_are_missing_or_too_many_are_refused() {
    let now = start();
    let config = Config { max_body: 2048, ..Config::own() };
    let mut server = Endpoint::new(config, [1; 32]);
    let gap = message(Code::PUT, 1, &[(BLOCK1, block(1, true, 1024))], &body(1024));
    assert_eq!(call(&mut server, now, &gap, nobody).code, Code::REQUEST_ENTITY_INCOMPLETE);

    let announced = [(BLOCK1, block(0, true, 1024)), (OptionNumber::SIZE1, 2049)];
    let announced = message(Code::PUT, 2, &announced, &body(1024));
    let answer = call(&mut server, now, &announced, nobody);
    assert_eq!(answer.code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(answer.options.uint(OptionNumber::SIZE1), Some(2048));

    for number in 0..2 {
        let options = [(BLOCK1, block(number, true, 1024))];
        let put = message(Code::PUT, 3 + number as u16, &options, &body(1024));
        assert_eq!(call(&mut server, now, &put, nobody).code, Code::CONTINUE);
    }
    let over = message(Code::PUT, 5, &[(BLOCK1, block(2, false, 1024))], b"x");
    assert_eq!(call(&mut server, now, &over, nobody).code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(server.stats().transfer_bytes, 0);

    let short = message(Code::PUT, 6, &[(BLOCK1, block(0, true, 1024))], b"short");
    assert_eq!(call(&mut server, now, &short, nobody).code, Code::BAD_REQUEST);
    let reserved = message(Code::PUT, 7, &[(BLOCK1, 0b1111)], b"");
    assert_eq!(call(&mut server, now, &reserved, nobody).code, Code::BAD_REQUEST);
}

#[test]
fn a_body_that_is_never_finished_is_forgotten() {
    let now = start();
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    let put = message(Code::PUT, 1, &[(BLOCK1, block(0, true, 1024))], &body(1024));
    call(&mut server, now, &put, nobody);
    assert!(server.stats().transfer_bytes >= 1024);
    let due = server.poll_timeout().unwrap();
    assert!(due <= now + Duration::from_secs(61));
    server.handle_timeout(due);
    assert_eq!(server.stats().transfer_bytes, 0);
}

#[test]
fn a_forgotten_representation_is_asked_for_anew_but_no_deed_is_done_twice() {
    let now = start();
    let mut server = Endpoint::new(Config::own(), [1; 32]);
    let get = message(Code::GET, 1, &[(BLOCK2, block(1, false, 1024))], b"");
    let answer = call(&mut server, now, &get, |request| {
        assert!(!request.options.has(BLOCK2));
        Response::new(Code::CONTENT).payload(body(1500))
    });
    assert_eq!(answer.payload, body(1500)[1024..]);
    let beyond = message(Code::GET, 2, &[(BLOCK2, block(2, false, 1024))], b"");
    let answer =
        call(&mut server, now, &beyond, |_| Response::new(Code::CONTENT).payload(body(1500)));
    assert_eq!(answer.code, Code::BAD_REQUEST);
    let post = message(Code::POST, 3, &[(BLOCK2, block(1, false, 1024))], b"");
    assert_eq!(call(&mut server, now, &post, nobody).code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn large_bodies_go_and_come_whole_between_two_endpoints() {
    for seed in 0..20 {
        let (mut world, phone, server) = phone_and_server_with(Config::own(), seed);
        for (from, to) in [(phone, server), (server, phone)] {
            let link = world.link(from, to);
            (link.loss, link.doubling) = (0.05, 0.1);
            (link.delay, link.jitter) = (Duration::from_millis(5), Duration::from_millis(30));
        }
        let now = world.now();
        let large = Request::new(Code::POST).path("/echo").payload(body(20_001));
        let echo = world.node(phone).ask(now, server, large);
        let read = world.node(phone).ask(now, server, Request::new(Code::GET).path("/big"));
        world.run();
        let phone = world.node(phone);
        assert_eq!(phone.answer(echo).unwrap().payload, body(20_001), "seed {seed}");
        assert_eq!(phone.answer(read).unwrap().payload, body(5000));
        assert!(!phone.answer(read).unwrap().options.has(BLOCK2));
        assert_eq!(world.node(server).served, 2);
        assert_eq!(world.node(server).endpoint.stats().transfer_bytes, 0, "all is forgotten");
    }
}

#[test]
fn a_fetch_carries_its_question_with_each_block() {
    let (mut world, phone, server) = phone_and_server();
    let now = world.now();
    let ask = Request::new(Code::FETCH).path("/big").payload("which");
    let id = world.node(phone).ask(now, server, ask);
    world.run();
    assert_eq!(world.node(phone).answer(id).unwrap().payload, body(5000));
    assert_eq!(world.node(server).served, 1);
}

#[test]
fn a_body_that_is_too_large_for_us_fails() {
    let config = Config { max_body: 4000, ..Config::own() };
    let (mut world, phone, server) = phone_and_server_with(config, 1);
    let now = world.now();
    let id = world.node(phone).ask(now, server, Request::new(Code::GET).path("/big"));
    world.run();
    assert_eq!(world.node(phone).failure(id), Some(RequestError::TooLarge));
}

/// Plays a server by hand: what the client sends, and what it is answered.
struct ByHand {
    client: Endpoint,
    now: Instant,
}

impl ByHand {
    fn ask(request: Request) -> Self {
        let mut client = Endpoint::new(Config::own(), [1; 32]);
        client.request(start(), peer(9), request);
        Self { client, now: start() }
    }

    fn next(&mut self) -> Message {
        wire::decode(&sent(&mut self.client).remove(0).into()).unwrap()
    }

    fn answer(
        &mut self,
        request: &Message,
        code: Code,
        options: &[(OptionNumber, u32)],
        payload: &[u8],
    ) {
        let mut answer = message(code, request.id.0, options, payload);
        answer.options.remove(OptionNumber::URI_PATH);
        (answer.kind, answer.token) = (Type::Acknowledgement, request.token);
        self.client.handle_datagram(self.now, peer(9), &wire::encode(&answer));
    }
}

/// RFC 7959 figure 9: the server wants smaller blocks from the second on.
#[test]
fn figure_9_the_client_takes_the_smaller_size() {
    let mut hand = ByHand::ask(Request::new(Code::PUT).payload(body(2500)));
    let first = hand.next();
    assert_eq!(first.options.uint(BLOCK1), Some(block(0, true, 1024)));
    assert_eq!(first.options.uint(OptionNumber::SIZE1), Some(2500));
    hand.answer(&first, Code::CONTINUE, &[(BLOCK1, block(0, true, 256))], b"");
    let second = hand.next();
    assert_eq!(second.options.uint(BLOCK1), Some(block(4, true, 256)));
    assert_eq!(second.payload, body(2500)[1024..1280]);
    assert_ne!(second.token, first.token);
}

#[test]
fn too_large_with_a_smaller_size_begins_again_with_that() {
    let mut hand = ByHand::ask(Request::new(Code::PUT).payload(body(2500)));
    let first = hand.next();
    let wish = [(BLOCK1, block(0, true, 64))];
    hand.answer(&first, Code::REQUEST_ENTITY_TOO_LARGE, &wish, b"");
    let again = hand.next();
    assert_eq!(again.options.uint(BLOCK1), Some(block(0, true, 64)));
    hand.answer(&again, Code::REQUEST_ENTITY_TOO_LARGE, &[], b"");
    let Some(Event::Response { response, .. }) = hand.client.poll_event() else { panic!() };
    assert_eq!(response.code, Code::REQUEST_ENTITY_TOO_LARGE);
}

#[test]
fn a_representation_that_changes_is_read_from_the_start() {
    const ETAG: OptionNumber = OptionNumber::ETAG;
    let mut hand = ByHand::ask(Request::new(Code::GET));
    let ask = hand.next();
    hand.answer(&ask, Code::CONTENT, &[(BLOCK2, block(0, true, 16)), (ETAG, 1)], &[b'a'; 16]);
    let ask = hand.next();
    assert_eq!(ask.options.uint(BLOCK2), Some(block(1, false, 16)));
    hand.answer(&ask, Code::CONTENT, &[(BLOCK2, block(1, false, 16)), (ETAG, 2)], b"b");
    let ask = hand.next();
    assert_eq!(ask.options.uint(BLOCK2), Some(0));
    hand.answer(&ask, Code::CONTENT, &[(BLOCK2, block(0, true, 16)), (ETAG, 2)], &[b'b'; 16]);
    let ask = hand.next();
    hand.answer(&ask, Code::CONTENT, &[(BLOCK2, block(1, false, 16)), (ETAG, 2)], b"b");
    let Some(Event::Response { response, .. }) = hand.client.poll_event() else { panic!() };
    assert_eq!(response.payload, [b'b'; 17][..]);
}

#[test]
fn a_representation_that_never_stays_the_same_fails() {
    let mut hand = ByHand::ask(Request::new(Code::GET));
    for etag in 1..100 {
        let ask = hand.next();
        let number = ask.options.uint(BLOCK2).unwrap_or(0) >> 4;
        let options = [(BLOCK2, block(number, true, 16)), (OptionNumber::ETAG, etag)];
        hand.answer(&ask, Code::CONTENT, &options, &[0; 16]);
        if let Some(event) = hand.client.poll_event() {
            assert!(matches!(event, Event::Failed { error: RequestError::BadResponse, .. }));
            assert!(etag < 12);
            return;
        }
    }
    panic!("it goes on for ever");
}

#[test]
fn a_server_that_sends_the_first_block_for_ever_fails() {
    let mut hand = ByHand::ask(Request::new(Code::GET));
    for _ in 0..100 {
        let ask = hand.next();
        hand.answer(&ask, Code::CONTENT, &[(BLOCK2, block(0, true, 16))], &[0; 16]);
        if let Some(event) = hand.client.poll_event() {
            assert!(matches!(event, Event::Failed { error: RequestError::BadResponse, .. }));
            return;
        }
    }
    panic!("it goes on for ever");
}

/// Without Request-Tag (RFC 9175 §3), the blocks of one would continue the other.
#[test]
fn two_bodies_to_one_resource_at_once_do_not_mix() {
    for seed in 0..10 {
        let (mut world, phone, server) = phone_and_server_with(Config::own(), seed);
        for (from, to) in [(phone, server), (server, phone)] {
            let link = world.link(from, to);
            (link.loss, link.jitter) = (0.05, Duration::from_millis(50));
        }
        let now = world.now();
        let bodies = [vec![1; 6000], vec![2; 5000], vec![3; 6000]];
        let asked = bodies.clone().map(|body| {
            let request = Request::new(Code::POST).path("/echo").payload(body);
            world.node(phone).ask(now, server, request)
        });
        world.run();
        for (asked, body) in asked.into_iter().zip(bodies) {
            assert_eq!(world.node(phone).answer(asked).unwrap().payload, body);
        }
        assert_eq!(world.node(server).served, 3);
    }
}
