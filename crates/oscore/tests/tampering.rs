//! Messages that were altered, sent again, swapped or sent back.
#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod sides;

use std::collections::BTreeSet;

use bytes::Bytes;
use suibi_coap::{Code, OptionNumber, Request, Response};
use suibi_oscore::{Number, OscoreOption, RequestId, UnprotectError};

use sides::{open, pair, pair_with};

/// Every value that differs from these bytes in one bit.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = Bytes> {
    (0..bytes.len() * 8).map(|at| {
        let mut bytes = bytes.to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        bytes.into()
    })
}

#[test]
fn a_request_with_one_bit_flipped_is_refused_and_leaves_no_trace() {
    let (mut client, mut server) = pair_with(Some(b"epoch"));
    let request = Request::new(Code::POST).path("/notes").payload("milk, eggs");
    let (outer, _) = client.protect_request(&request, true).unwrap();
    let window = server.window().clone();
    let option = outer.options.get(OptionNumber::OSCORE).unwrap();
    let mut tried = 0;
    for payload in flipped(&outer.payload) {
        let altered = Request { payload, ..outer.clone() };
        assert_eq!(open(&mut server, &altered), Err(UnprotectError::DecryptionFailed));
        tried += 1;
    }
    for value in flipped(option) {
        let mut altered = outer.clone();
        altered.options.set(OptionNumber::OSCORE, value);
        assert!(open(&mut server, &altered).is_err(), "{:?}", altered.options);
        tried += 1;
    }
    assert_eq!(tried, (outer.payload.len() + option.len()) * 8);
    assert_eq!(*server.window(), window);
    assert_eq!(open(&mut server, &outer).unwrap().0, request);
}

#[test]
fn an_answer_with_one_bit_flipped_is_refused() {
    let (mut client, mut server) = pair();
    let (outer, _) = client.protect_request(&Request::new(Code::GET), false).unwrap();
    let (_, asked) = open(&mut server, &outer).unwrap();
    let response = Response::new(Code::CONTENT).payload("milk, eggs");
    for number in [Number::Own, Number::OfRequest] {
        let outer = server.protect_response(&response, asked, number, None).unwrap();
        let option = outer.options.get(OptionNumber::OSCORE).unwrap();
        for payload in flipped(&outer.payload) {
            let altered = Response { payload, ..outer.clone() };
            let refused = client.unprotect_response(&altered, asked, None);
            assert_eq!(refused, Err(UnprotectError::DecryptionFailed));
        }
        for value in flipped(option) {
            let mut altered = outer.clone();
            altered.options.set(OptionNumber::OSCORE, value);
            assert!(client.unprotect_response(&altered, asked, None).is_err());
        }
        assert_eq!(client.unprotect_response(&outer, asked, None).unwrap().0, response);
    }
}

#[test]
fn a_message_cut_short_or_made_longer_is_refused() {
    let (mut client, mut server) = pair();
    let request = Request::new(Code::POST).payload("milk");
    let (outer, asked) = client.protect_request(&request, false).unwrap();
    for len in 0..outer.payload.len() {
        let altered = Request { payload: outer.payload.slice(..len), ..outer.clone() };
        assert_eq!(open(&mut server, &altered), Err(UnprotectError::DecryptionFailed));
    }
    let longer = [&outer.payload[..], b"\0"].concat();
    let altered = Request { payload: longer.into(), ..outer };
    assert_eq!(open(&mut server, &altered), Err(UnprotectError::DecryptionFailed));

    let response = Response::new(Code::CREATED);
    let outer = server.protect_response(&response, asked, Number::OfRequest, None).unwrap();
    for len in 0..outer.payload.len() {
        let altered = Response { payload: outer.payload.slice(..len), ..outer.clone() };
        let refused = client.unprotect_response(&altered, asked, None);
        assert_eq!(refused, Err(UnprotectError::DecryptionFailed));
    }
}

#[test]
fn a_request_is_opened_once() {
    let (mut client, mut server) = pair();
    let request = Request::new(Code::POST).payload("milk");
    let (first, _) = client.protect_request(&request, false).unwrap();
    assert!(open(&mut server, &first).is_ok());
    assert_eq!(open(&mut server, &first), Err(UnprotectError::Replayed));
    for _ in 0..2000 {
        let (outer, _) = client.protect_request(&request, false).unwrap();
        assert!(open(&mut server, &outer).is_ok());
    }
    assert_eq!(open(&mut server, &first), Err(UnprotectError::Replayed));
    let option = OscoreOption::of(&first.options).unwrap().unwrap();
    assert_eq!(server.verify_request(&first, &option).unwrap().0, request);
}

#[test]
fn requests_that_overtake_each_other_all_come_through() {
    let (mut client, mut server) = pair();
    let sent: Vec<_> = (0..1024)
        .map(|number| {
            let request = Request::new(Code::POST).payload(format!("{number}"));
            client.protect_request(&request, false).unwrap().0
        })
        .collect();
    assert!(sent.iter().rev().all(|outer| open(&mut server, outer).is_ok()));
    assert!(sent.iter().all(|outer| open(&mut server, outer) == Err(UnprotectError::Replayed)));
}

#[test]
fn answers_that_were_swapped_are_refused() {
    let (mut client, mut server) = pair();
    let [(first, first_asked), (second, second_asked)] = ["/a", "/b"]
        .map(|path| client.protect_request(&Request::new(Code::GET).path(path), false).unwrap());
    assert!(open(&mut server, &first).is_ok() && open(&mut server, &second).is_ok());
    for number in [Number::OfRequest, Number::Own] {
        let [to_first, to_second] = [first_asked, second_asked].map(|asked| {
            let response = Response::new(Code::CONTENT).payload("milk");
            server.protect_response(&response, asked, number, None).unwrap()
        });
        for (answer, asked) in [(&to_first, second_asked), (&to_second, first_asked)] {
            let refused = client.unprotect_response(answer, asked, None);
            assert_eq!(refused, Err(UnprotectError::DecryptionFailed), "{number:?}");
        }
        assert!(client.unprotect_response(&to_first, first_asked, None).is_ok());
        assert!(client.unprotect_response(&to_second, second_asked, None).is_ok());
    }
}

#[test]
fn messages_that_are_sent_back_are_refused() {
    let (mut client, mut server) = pair();
    let (outer, asked) = client.protect_request(&Request::new(Code::GET), false).unwrap();
    // To the client, as the answer to itself.
    let mut reflected = Response::new(Code::CHANGED).payload(outer.payload.clone());
    for value in [
        Bytes::new(),
        outer.options.get(OptionNumber::OSCORE).unwrap().clone(),
        b"\x01\0"[..].into(),
    ] {
        reflected.options.set(OptionNumber::OSCORE, value);
        assert!(client.unprotect_response(&reflected, asked, None).is_err());
    }
    // To the client, as a request of the server's.
    assert_eq!(open(&mut client, &outer), Err(UnprotectError::UnknownContext));
    // To the server, its own answer as a request.
    let response = Response::new(Code::CONTENT);
    let answer = server.protect_response(&response, asked, Number::OfRequest, None).unwrap();
    let mut reflected = Request::new(Code::POST).payload(answer.payload);
    reflected
        .options
        .set(OptionNumber::OSCORE, outer.options.get(OptionNumber::OSCORE).unwrap().clone());
    assert_eq!(open(&mut server, &reflected), Err(UnprotectError::DecryptionFailed));
    assert!(open(&mut server, &outer).is_ok());
}

#[test]
fn no_two_messages_of_one_key_share_a_nonce() {
    let (mut client, mut server) = pair();
    // Under one key and nonce, what is the same in plain is the same encrypted, up to the tag.
    let request = Request::new(Code::POST).payload("the same in all of them");
    let response = Response::new(Code::CONTENT).payload("the same in all of them");
    let (mut requests, mut responses) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..100 {
        let (outer, asked) = client.protect_request(&request, false).unwrap();
        assert!(requests.insert(ciphertext(&outer.payload)));
        for number in [Number::OfRequest, Number::Own, Number::Own] {
            let outer = server.protect_response(&response, asked, number, None).unwrap();
            assert!(responses.insert(ciphertext(&outer.payload)));
        }
    }
    // Nothing but the request's own number keeps this from happening: it is what the test sees.
    let asked = RequestId { kid: client.sender(), piv: 0 };
    let outer = server.protect_response(&response, asked, Number::OfRequest, None).unwrap();
    assert!(!responses.insert(ciphertext(&outer.payload)));
}

/// A payload without its tag.
fn ciphertext(payload: &Bytes) -> Bytes {
    payload.slice(..payload.len() - 8)
}
