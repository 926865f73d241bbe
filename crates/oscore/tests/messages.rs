//! What is inside, what stays outside, and what is refused before a number is used up.
#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod sides;

use bytes::Bytes;
use suibi_coap::{Code, OptionNumber, Options, Request, Response};
use suibi_oscore::{Number, OscoreOption, ProtectError, UnprotectError};

use sides::{open, pair, pair_with};

/// The option of Figure 5 with this number, and whether it is seen from outside.
const FIGURE_5: [(u16, bool); 18] = [
    (1, false),  // If-Match
    (3, true),   // Uri-Host
    (4, false),  // ETag
    (5, false),  // If-None-Match
    (6, true),   // Observe, inside as well
    (7, true),   // Uri-Port
    (8, false),  // Location-Path
    (11, false), // Uri-Path
    (12, false), // Content-Format
    (14, false), // Max-Age
    (15, false), // Uri-Query
    (17, false), // Accept
    (20, false), // Location-Query
    (23, false), // Block2
    (27, false), // Block1
    (28, false), // Size2
    (39, true),  // Proxy-Scheme
    (60, false), // Size1
];

fn numbers(options: &Options) -> Vec<u16> {
    options.iter().map(|(number, _)| number.0).collect()
}

#[test]
fn a_request_shows_what_figure_5_lets_it_show() {
    for (number, is_outer) in FIGURE_5 {
        let (mut client, mut server) = pair();
        let mut request = Request::new(Code::PUT);
        request.options.add(OptionNumber(number), &b"\x01"[..]);
        let (outer, _) = client.protect_request(&request, false).unwrap();
        let mut expected = vec![OptionNumber::OSCORE.0];
        expected.extend(is_outer.then_some(number));
        expected.sort_unstable();
        assert_eq!(numbers(&outer.options), expected);
        let (mut opened, _) = open(&mut server, &outer).unwrap();
        if number == OptionNumber::PROXY_SCHEME.0 {
            // It was for those on the way.
            assert!(opened.options.is_empty());
            opened.options = request.options.clone();
        }
        assert_eq!(opened, request, "option {number}");
    }
}

#[test]
fn an_answer_shows_nothing_but_that_it_is_one() {
    let (mut client, mut server) = pair();
    let (outer, _) = client.protect_request(&Request::new(Code::GET), false).unwrap();
    let (_, asked) = open(&mut server, &outer).unwrap();
    for (number, _) in FIGURE_5 {
        let mut response = Response::new(Code::NOT_FOUND);
        response.options.add(OptionNumber(number), &b"\x01"[..]);
        let outer = server.protect_response(&response, asked, Number::Own, None).unwrap();
        if number == OptionNumber::OBSERVE.0 {
            assert_eq!((outer.code, numbers(&outer.options)), (Code::CONTENT, vec![6, 9]));
        } else {
            assert_eq!((outer.code, numbers(&outer.options)), (Code::CHANGED, vec![9]));
            assert_eq!(client.unprotect_response(&outer, asked, None).unwrap().0, response);
        }
    }
}

#[test]
fn options_that_nobody_knows_are_inside() {
    let (mut client, mut server) = pair();
    let mut request = Request::new(Code::POST);
    for number in [2, 252, 258, 292, 2048, 65_001, 65_535] {
        request.options.add(OptionNumber(number), &b"?"[..]);
    }
    let (outer, _) = client.protect_request(&request, false).unwrap();
    assert_eq!(numbers(&outer.options), [OptionNumber::OSCORE.0]);
    assert_eq!(open(&mut server, &outer).unwrap().0, request);
}

#[test]
fn what_a_stranger_adds_outside_is_dropped() {
    let (mut client, mut server) = pair();
    let request = Request::new(Code::DELETE).path("/notes/1");
    let (mut outer, asked) = client.protect_request(&request, false).unwrap();
    for number in [1, 4, 5, 6, 8, 11, 12, 14, 15, 17, 20, 23, 27, 28, 35, 39, 60, 258, 2049] {
        outer.options.add(OptionNumber(number), &b"\x01"[..]);
    }
    outer.options.add(OptionNumber::URI_HOST, Bytes::new());
    outer.options.add(OptionNumber::URI_PORT, &b"long"[..]);
    outer.method = Code::FETCH;
    assert_eq!(open(&mut server, &outer).unwrap().0, request);

    let response = Response::new(Code::DELETED);
    let mut outer = server.protect_response(&response, asked, Number::OfRequest, None).unwrap();
    for number in [3, 4, 6, 7, 8, 14, 23, 27, 28, 35, 39, 60, 2049] {
        outer.options.add(OptionNumber(number), &b"\x01"[..]);
    }
    outer.code = Code::CONTENT;
    assert_eq!(client.unprotect_response(&outer, asked, None), Ok((response, None)));
}

#[test]
fn an_observation_is_seen_outside_and_ordered_by_its_numbers() {
    let (mut client, server) = pair();
    let mut server = server.with_next(0x01_00_00_fe);
    let request = Request::new(Code::GET).path("/feed").observe(true);
    let (outer, asked) = client.protect_request(&request, false).unwrap();
    assert_eq!(outer.method, Code::FETCH);
    assert_eq!(
        outer.options.get(OptionNumber::OBSERVE),
        request.options.get(OptionNumber::OBSERVE)
    );
    assert_eq!(open(&mut server, &outer).unwrap().0, request);

    let mut newest = None;
    let mut notifications = Vec::new();
    for order in [0xfe_u32, 0xff, 0x100] {
        let mut response = Response::new(Code::CONTENT).payload(format!("{order}"));
        response.options.set_uint(OptionNumber::OBSERVE, 7);
        let outer = server.protect_response(&response, asked, Number::Own, None).unwrap();
        assert_eq!(outer.code, Code::CONTENT);
        assert_eq!(outer.options.uint(OptionNumber::OBSERVE), Some(7));
        let (opened, own) = client.unprotect_response(&outer, asked, newest).unwrap();
        assert_eq!(opened.options.uint(OptionNumber::OBSERVE), Some(order + 1));
        assert_eq!(opened.payload, response.payload);
        assert_eq!(own, Some(0x0100_0000 + u64::from(order)));
        newest = own;
        notifications.push(outer);
    }
    for old in notifications {
        let refused = client.unprotect_response(&old, asked, newest);
        assert_eq!(refused, Err(UnprotectError::Replayed));
    }
}

#[test]
fn a_notification_without_number_is_the_oldest() {
    let (mut client, mut server) = pair();
    let request = Request::new(Code::GET).observe(true);
    let (outer, _) = client.protect_request(&request, false).unwrap();
    let (_, asked) = open(&mut server, &outer).unwrap();
    let mut response = Response::new(Code::CONTENT);
    response.options.set_uint(OptionNumber::OBSERVE, 7);
    let first = server.protect_response(&response, asked, Number::OfRequest, None).unwrap();
    let (opened, own) = client.unprotect_response(&first, asked, None).unwrap();
    assert_eq!((opened.options.uint(OptionNumber::OBSERVE), own), (Some(0), None));
    // Older than the very first number, too.
    let second = server.protect_response(&response, asked, Number::Own, None).unwrap();
    let (opened, own) = client.unprotect_response(&second, asked, None).unwrap();
    assert_eq!((opened.options.uint(OptionNumber::OBSERVE), own), (Some(1), Some(0)));
    let late = client.unprotect_response(&first, asked, Some(0));
    assert_eq!(late, Err(UnprotectError::Replayed));
}

#[test]
fn after_the_last_number_nothing_is_protected() {
    let (client, server) = pair();
    let (mut client, mut server) =
        (client.with_next((1 << 40) - 1), server.with_next((1 << 40) - 1));
    let request = Request::new(Code::GET);
    let (outer, asked) = client.protect_request(&request, false).unwrap();
    let option = OscoreOption::of(&outer.options).unwrap().unwrap();
    assert_eq!(option.partial_iv, Some((1 << 40) - 1));
    assert_eq!(open(&mut server, &outer), Ok((request.clone(), asked)));
    assert_eq!(client.protect_request(&request, false), Err(ProtectError::NumbersUsedUp));

    let response = Response::new(Code::CONTENT);
    assert!(server.protect_response(&response, asked, Number::Own, None).is_ok());
    for number in [Number::Own, Number::OfRequest] {
        let refused = server.protect_response(&response, asked, number, None);
        assert_eq!(refused, Err(ProtectError::NumbersUsedUp), "{number:?}");
    }
    assert_eq!((client.next_number(), server.next_number()), (1 << 40, 1 << 40));
}

#[test]
fn what_cannot_be_protected_uses_no_number() {
    let (mut client, mut server) = pair();
    let asked = client.protect_request(&Request::new(Code::GET), false).unwrap().1;
    let mut proxied = Request::new(Code::GET);
    proxied.options.add(OptionNumber::PROXY_URI, "coap://example.org/diary");
    let mut nested = Request::new(Code::GET);
    nested.options.add(OptionNumber::OSCORE, Bytes::new());
    let long = Request::new(Code::PUT).payload(vec![0; 65_534]);
    for (request, error) in [
        (proxied, ProtectError::ProxyUri),
        (nested, ProtectError::Nested),
        (long, ProtectError::TooLong),
    ] {
        assert_eq!(client.protect_request(&request, false), Err(error));
    }
    let response = Response::new(Code::CONTENT).payload(vec![0; 65_534]);
    let refused = server.protect_response(&response, asked, Number::Own, None);
    assert_eq!(refused, Err(ProtectError::TooLong));
    let response = Response::new(Code::CONTENT);
    let refused = server.protect_response(&response, asked, Number::Own, Some(&[0; 256]));
    assert_eq!(refused, Err(ProtectError::TooLong));
    assert_eq!((client.next_number(), server.next_number()), (1, 0));
}

#[test]
fn the_longest_message_goes_through() {
    let (mut client, mut server) = pair();
    let request = Request::new(Code::PUT).payload(vec![7; 65_533]);
    let (outer, _) = client.protect_request(&request, false).unwrap();
    assert_eq!(outer.payload.len(), 65_535 + 8);
    assert_eq!(open(&mut server, &outer).unwrap().0, request);
}

#[test]
fn a_kid_context_leads_to_its_own_context_only() {
    let (mut client, mut server) = pair_with(Some(b"R2R3"));
    let request = Request::new(Code::GET);
    let (outer, _) = client.protect_request(&request, true).unwrap();
    let option = OscoreOption::of(&outer.options).unwrap().unwrap();
    assert_eq!(option.kid_context.unwrap().as_slice(), b"R2R3");
    let (_, mut other) = pair_with(Some(b"R2R4"));
    assert_eq!(open(&mut other, &outer), Err(UnprotectError::UnknownContext));
    let (_, mut none) = pair();
    assert_eq!(open(&mut none, &outer), Err(UnprotectError::UnknownContext));
    assert!(open(&mut server, &outer).is_ok());

    let (outer, asked) = client.protect_request(&request, false).unwrap();
    assert_eq!(OscoreOption::of(&outer.options).unwrap().unwrap().kid_context, None);
    assert!(open(&mut server, &outer).is_ok());
    assert_eq!(open(&mut other, &outer), Err(UnprotectError::DecryptionFailed));

    let response = Response::new(Code::CONTENT);
    let outer = server.protect_response(&response, asked, Number::OfRequest, Some(b"R2")).unwrap();
    let option = OscoreOption::of(&outer.options).unwrap().unwrap();
    assert_eq!(option.kid_context.unwrap().as_slice(), b"R2");
    assert_eq!(client.unprotect_response(&outer, asked, None), Ok((response, None)));
}

#[test]
fn a_request_needs_kid_partial_iv_and_payload() {
    let (mut client, mut server) = pair();
    let (outer, _) = client.protect_request(&Request::new(Code::GET), false).unwrap();
    let good = OscoreOption::of(&outer.options).unwrap().unwrap();
    for (option, error) in [
        (OscoreOption { kid: None, ..good.clone() }, UnprotectError::BadOption),
        (OscoreOption { partial_iv: None, ..good.clone() }, UnprotectError::BadOption),
        (OscoreOption { partial_iv: Some(1 << 40), ..good.clone() }, UnprotectError::BadOption),
        (
            OscoreOption { kid: Some(server.sender()), ..good.clone() },
            UnprotectError::UnknownContext,
        ),
    ] {
        assert_eq!(server.unprotect_request(&outer, &option), Err(error), "{option:?}");
    }
    for len in 0..outer.payload.len() {
        let cut = Request { payload: outer.payload.slice(..len), ..outer.clone() };
        assert_eq!(server.unprotect_request(&cut, &good), Err(UnprotectError::DecryptionFailed));
    }
    assert!(server.unprotect_request(&outer, &good).is_ok());
}

#[test]
fn errors_tell_the_peer_what_section_8_2_says() {
    for (error, code, text) in [
        (UnprotectError::BadOption, "4.02", "Failed to decode COSE"),
        (UnprotectError::UnknownContext, "4.01", "Security context not found"),
        (UnprotectError::Replayed, "4.01", "Replay detected"),
        (UnprotectError::DecryptionFailed, "4.00", "Decryption failed"),
    ] {
        assert_eq!(error.code().to_string(), code);
        assert_eq!(error.to_string().to_lowercase(), text.to_lowercase());
    }
}
