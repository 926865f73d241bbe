//! A note as a request and its answer.

use std::cell::RefCell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use suibi_coap::{
    Code, Config, ContentFormat, Endpoint, Event, Message, MessageId, Peer, Request, Response,
    Token, Type, wire,
};
use suibi_oscore::{Context, KeyId, Number, OscoreOption, Parameters, Secret};

use super::{Calls, Work, text};

pub(super) fn all() -> Vec<Work> {
    vec![
        Work::new("CoAP: a note's request is read", 1, read),
        Work::new("CoAP: its answer is written", 1, write),
        Work::new("endpoint: a request in, its answer out", 1, endpoint),
        Work::new("OSCORE: a note's request is protected", 1, protect),
        Work::new("OSCORE: it is opened, its answer protected", 1, open),
    ]
}

fn request(number: u64) -> Request {
    let format = ContentFormat::TEXT_PLAIN;
    Request::new(Code::POST).path("/notes").content_format(format).payload(text(number))
}

fn response() -> Response {
    Response::new(Code::CREATED)
        .location_path(&["notes", "019a0b5e-8c68-7000-8000-000000000001"])
        .etag(&[7; 8])
}

/// The datagram of a request, with a message id and a token that the ones before did not have.
pub(super) fn datagram(number: u64) -> bytes::Bytes {
    let Request { method: code, options, payload } = request(number);
    let token = Token::new(&number.to_be_bytes()).expect("eight bytes");
    let id = MessageId((number % 0x1_0000) as u16);
    wire::encode(&Message { kind: Type::Confirmable, code, id, token, options, payload })
}

fn read() -> Calls {
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let datagram = datagram(number);
        Box::new(move || drop(black_box(wire::decode(&datagram).expect("a request"))))
    })
}

fn write() -> Calls {
    let Response { code, options, payload, .. } = response();
    let message = Rc::new(Message {
        kind: Type::Acknowledgement,
        code,
        id: MessageId(7),
        token: Token::new(&[7; 8]).expect("eight bytes"),
        options,
        payload,
    });
    Box::new(move || {
        let message = Rc::clone(&message);
        Box::new(move || drop(black_box(wire::encode(&message))))
    })
}

fn endpoint() -> Calls {
    let now = Instant::now();
    let peer = Peer::from(SocketAddr::from(([127, 0, 0, 1], 5)));
    let endpoint = Rc::new(RefCell::new(Endpoint::new(Config::own(), [1; 32])));
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let (datagram, endpoint) = (datagram(number), Rc::clone(&endpoint));
        Box::new(move || {
            let mut endpoint = endpoint.borrow_mut();
            endpoint.handle_datagram(now, peer, &datagram);
            let Some(Event::Request { exchange, request, .. }) = endpoint.poll_event() else {
                panic!("a request")
            };
            black_box(request);
            endpoint.respond(now, exchange, response());
            assert_eq!(endpoint.poll_transmit().expect("an answer").bytes[1], Code::CREATED.byte());
        })
    })
}

/// The contexts of a client and of a server that know each other.
fn contexts() -> [Context; 2] {
    let secret = Secret::from_bytes(&[7; 32]).expect("32 bytes");
    let [client, server] = [&b"phone"[..], b"s"].map(|id| KeyId::from_slice(id).expect("short"));
    [(client, server), (server, client)].map(|(sender, recipient)| {
        let (salt, id_context) = (&b""[..], Some(&b"R2R2R2R2R3R3R3R3"[..]));
        Context::derive(&Parameters { secret: &secret, salt, id_context, sender, recipient })
    })
}

fn protect() -> Calls {
    let [client, _] = contexts();
    let client = Rc::new(RefCell::new(client));
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let (request, client) = (request(number), Rc::clone(&client));
        Box::new(move || {
            drop(black_box(client.borrow_mut().protect_request(&request, true).expect("numbers")));
        })
    })
}

fn open() -> Calls {
    let [mut client, server] = contexts();
    let server = Rc::new(RefCell::new(server));
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let (outer, _) = client.protect_request(&request(number), true).expect("numbers");
        let server = Rc::clone(&server);
        Box::new(move || {
            let mut server = server.borrow_mut();
            let option = OscoreOption::of(&outer.options).expect("protected").expect("whole");
            let opened = server.unprotect_request(&outer, &option);
            let (request, id) = opened.expect("the same keys");
            black_box(request);
            let answer = server.protect_response(&response(), id, Number::OfRequest, None);
            drop(black_box(answer.expect("its number is new")));
        })
    })
}
