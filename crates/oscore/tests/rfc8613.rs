//! The messages of RFC 8613 Appendix C.4 to C.8, to the byte; C.1 to C.3 are in `derive.rs`.
#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

use bytes::Bytes;
use hex_literal::hex;
use suibi_coap::{Code, Message, Request, Response, wire};
use suibi_oscore::{Context, KeyId, Number, OscoreOption, Parameters, RequestId, Secret};

const SALT: [u8; 8] = hex!("9e7ca92223786340");
const ID_CONTEXT: [u8; 8] = hex!("37cbf3210017a2d3");

/// Client and server, of C.1, C.2 or C.3.
fn contexts(salt: &[u8], id_context: Option<&[u8]>, client: &[u8]) -> (Context, Context) {
    let secret = Secret::from_bytes(&hex!("0102030405060708090a0b0c0d0e0f10")).unwrap();
    let client = KeyId::from_slice(client).unwrap();
    let server = KeyId::from_slice(b"\x01").unwrap();
    let side = |sender, recipient| {
        Context::derive(&Parameters { secret: &secret, salt, id_context, sender, recipient })
    };
    (side(client, server).with_next(20), side(server, client))
}

fn c_1() -> (Context, Context) {
    contexts(&SALT, None, b"")
}

fn message(bytes: &[u8]) -> Message {
    wire::decode(&Bytes::copy_from_slice(bytes)).unwrap()
}

fn request(message: &Message) -> Request {
    Request {
        method: message.code,
        options: message.options.clone(),
        payload: message.payload.clone(),
    }
}

fn response(message: &Message) -> Response {
    Response {
        code: message.code,
        options: message.options.clone(),
        payload: message.payload.clone(),
    }
}

/// Protects the plain request with the number 20 and opens it again.
fn check_request(
    (mut client, mut server): (Context, Context),
    sends_kid_context: bool,
    plain: &[u8],
    protected: &[u8],
) {
    let plain = message(plain);
    let (outer, asked) = client.protect_request(&request(&plain), sends_kid_context).unwrap();
    assert_eq!(asked, RequestId { kid: client.sender(), piv: 20 });
    assert_eq!(client.next_number(), 21);
    let sent = Message {
        code: outer.method,
        options: outer.options.clone(),
        payload: outer.payload,
        ..plain
    };
    assert_eq!(wire::encode(&sent), protected);

    let outer = request(&message(protected));
    let option = OscoreOption::of(&outer.options).unwrap().unwrap();
    assert_eq!(option.kid_context.is_some(), sends_kid_context);
    let (opened, id) = server.unprotect_request(&outer, &option).unwrap();
    assert_eq!((opened, id), (request(&plain), asked));
}

#[test]
fn c_4_oscore_request_client() {
    check_request(
        c_1(),
        false,
        &hex!("44015d1f00003974396c6f63616c686f737483747631"),
        &hex!("44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e"),
    );
}

#[test]
fn c_5_oscore_request_client() {
    check_request(
        contexts(b"", None, b"\x00"),
        false,
        &hex!("440171c30000b932396c6f63616c686f737483747631"),
        &hex!("440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0"),
    );
}

#[test]
fn c_6_oscore_request_client() {
    check_request(
        contexts(&SALT, Some(&ID_CONTEXT), b""),
        true,
        &hex!("44012f8eef9bbf7a396c6f63616c686f737483747631"),
        &hex!(
            "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff"
            "72cd7273fd331ac45cffbe55c3"
        ),
    );
}

/// Protects the answer to the request of C.4 and opens it again.
fn check_response(number: Number, own: Option<u64>, protected: &[u8]) {
    let (client, mut server) = c_1();
    let plain = message(&hex!("64455d1f00003974ff48656c6c6f20576f726c6421"));
    let asked = RequestId { kid: client.sender(), piv: 20 };
    let outer = server.protect_response(&response(&plain), asked, number, None).unwrap();
    assert_eq!(server.next_number(), own.map_or(0, |own| own + 1));
    let sent = Message {
        code: outer.code,
        options: outer.options.clone(),
        payload: outer.payload,
        ..plain
    };
    assert_eq!(wire::encode(&sent), protected);

    let outer = response(&message(protected));
    let opened = client.unprotect_response(&outer, asked, None).unwrap();
    assert_eq!(opened, (Response::new(Code::CONTENT).payload("Hello World!"), own));
}

#[test]
fn c_7_oscore_response_server() {
    check_response(
        Number::OfRequest,
        None,
        &hex!("64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106"),
    );
}

#[test]
fn c_8_oscore_response_with_partial_iv_server() {
    check_response(
        Number::Own,
        Some(0),
        &hex!("64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"),
    );
}
