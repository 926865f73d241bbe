//! Bytes and messages (RFC 7252 §3, Appendix A).
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use bytes::Bytes;
use hex_literal::hex;
use proptest::{collection::vec, prelude::*};
use suibi_coap::{
    Code, Message, MessageId, OptionNumber, Options, Token, Type,
    wire::{DecodeError, decode, encode},
};

/// The message of these bytes, having seen that they are what it is written as.
fn read(bytes: &'static [u8]) -> Message {
    let message = decode(&Bytes::from_static(bytes)).unwrap();
    assert_eq!(encode(&message), bytes);
    message
}

fn fault(bytes: &'static [u8]) -> DecodeError {
    decode(&Bytes::from_static(bytes)).unwrap_err()
}

#[test]
fn figure_16_confirmable_request_piggybacked_response() {
    let request = read(&hex!("40 01 7d34 bb 74656d7065726174757265"));
    assert_eq!(request.kind, Type::Confirmable);
    assert_eq!(request.code, Code::GET);
    assert_eq!(request.id, MessageId(0x7d34));
    assert_eq!(request.token, Token::EMPTY);
    assert_eq!(request.options.get(OptionNumber::URI_PATH).unwrap(), "temperature");

    let response = read(&hex!("60 45 7d34 ff 32322e332043"));
    assert_eq!(response.kind, Type::Acknowledgement);
    assert_eq!(response.code, Code::CONTENT);
    assert_eq!(response.id, request.id);
    assert_eq!(response.payload, "22.3 C");
}

#[test]
fn figure_17_confirmable_request_with_token() {
    let request = read(&hex!("41 01 7d35 20 bb 74656d7065726174757265"));
    assert_eq!(request.token.as_bytes(), [0x20]);
    let response = read(&hex!("61 45 7d35 20 ff 32322e332043"));
    assert_eq!((response.token, response.id), (request.token, request.id));
}

#[test]
fn figure_20_separate_response() {
    let acknowledgement = read(&hex!("60 00 7d38"));
    assert_eq!(acknowledgement, Message::empty(Type::Acknowledgement, MessageId(0x7d38)));
    let response = read(&hex!("41 45 ad7b 53 ff 32322e332043"));
    assert_eq!((response.kind, response.token.as_bytes()), (Type::Confirmable, &[0x53][..]));
}

#[test]
fn figure_22_non_confirmable_request_and_response() {
    assert_eq!(read(&hex!("51 01 7d40 75 bb 74656d7065726174757265")).kind, Type::NonConfirmable);
    assert_eq!(read(&hex!("51 45 ad7c 75 ff 32322e332043")).kind, Type::NonConfirmable);
}

#[test]
fn malformed_bytes_are_told_apart() {
    assert_eq!(fault(&hex!("40 01 00")), DecodeError::Short);
    assert_eq!(fault(&hex!("80 01 000a")), DecodeError::Version(2));
    assert_eq!(fault(&hex!("49 01 000a 010203040506070809")), DecodeError::TokenLength(9));
    assert_eq!(fault(&hex!("44 01 000a 0102")), DecodeError::Token);
    assert_eq!(fault(&hex!("40 01 000a f0")), DecodeError::OptionHeader);
    assert_eq!(fault(&hex!("40 01 000a 1f")), DecodeError::OptionHeader);
    assert_eq!(fault(&hex!("40 01 000a b4 61")), DecodeError::Option);
    assert_eq!(fault(&hex!("40 01 000a e0 ffff")), DecodeError::OptionNumber);
    assert_eq!(fault(&hex!("40 01 000a ff")), DecodeError::Payload);
    assert_eq!(fault(&hex!("40 00 000a ff 31")), DecodeError::NotEmpty);
    assert_eq!(fault(&hex!("41 00 000a aa")), DecodeError::NotEmpty);
    assert_eq!(fault(&hex!("40 20 000a")), DecodeError::CodeClass(1));
}

#[test]
fn the_edges_of_extended_numbers_and_lengths() {
    for number in [0, 12, 13, 268, 269, u16::MAX] {
        for len in [0, 12, 13, 268, 269, 65_804] {
            let mut message = Message::empty(Type::Confirmable, MessageId(1));
            message.code = Code::GET;
            message.options.add(OptionNumber(number), vec![1; len]);
            assert_eq!(decode(&encode(&message)), Ok(message), "{number} {len}");
        }
    }
}

fn messages() -> impl Strategy<Value = Message> {
    let kind = prop::sample::select(vec![
        Type::Confirmable,
        Type::NonConfirmable,
        Type::Acknowledgement,
        Type::Reset,
    ]);
    let code = any::<u8>()
        .prop_map(Code::from_byte)
        .prop_filter("in use", |code| code.is_request() || code.is_response());
    let options = vec((any::<u16>(), vec(any::<u8>(), 0..300)), 0..8);
    let payload = vec(any::<u8>(), 0..2000);
    (kind, code, any::<u16>(), vec(any::<u8>(), 0..=8), options, payload).prop_map(
        |(kind, code, id, token, values, payload)| {
            let mut options = Options::new();
            for (number, value) in values {
                options.add(OptionNumber(number), value);
            }
            let token = Token::new(&token).unwrap();
            Message { kind, code, id: MessageId(id), token, options, payload: payload.into() }
        },
    )
}

proptest! {
    #[test]
    fn decode_of_encode_is_the_same(message in messages()) {
        prop_assert_eq!(decode(&encode(&message)), Ok(message));
    }

    #[test]
    fn what_is_cut_off_anywhere_is_never_a_panic(message in messages(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&message);
        let _ = decode(&bytes.slice(..cut.index(bytes.len())));
    }
}
