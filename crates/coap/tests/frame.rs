//! Bytes of a stream and messages (RFC 8323 §3.2).
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use hex_literal::hex;
use proptest::{collection::vec, prelude::*};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use suibi_coap::{
    Code, Message, MessageId, OptionNumber, Options, Token, Type,
    frame::{DecodeError, Decoder, encode},
    wire,
};

const MAX: usize = 100_000;

/// The message of these bytes, having seen that they are what it is written as.
fn read(bytes: &[u8]) -> Message {
    let mut rest = bytes;
    let message = Decoder::new(MAX).decode(&mut rest).unwrap().unwrap();
    assert!(rest.is_empty());
    assert_eq!(encode(&message), bytes);
    message
}

fn fault(bytes: &[u8]) -> DecodeError {
    Decoder::new(MAX).decode(&mut &bytes[..]).unwrap_err()
}

fn message(code: Code, payload: usize) -> Message {
    let mut message = Message::empty(Type::NonConfirmable, MessageId(0));
    message.code = code;
    message.payload = vec![7; payload].into();
    message
}

#[test]
fn figure_7_no_options_or_payload() {
    let message = read(&hex!("01 43 7f"));
    assert_eq!((message.code, message.token.as_bytes()), (Code::VALID, &[0x7f][..]));
    assert!(message.options.is_empty() && message.payload.is_empty());
}

#[test]
fn the_messages_of_section_5() {
    let csm = read(&hex!("30 e1 22 0480"));
    assert_eq!((csm.code, csm.options.uint(OptionNumber(2))), (Code::CSM, Some(1152)));
    assert_eq!(read(&hex!("01 e2 42")).code, Code::PING);
    assert_eq!(read(&hex!("11 e3 42 20")).code, Code::PONG);
    assert_eq!(read(&hex!("20 e4 41 05")).code, Code::RELEASE);
    let abort = read(&hex!("50 e5 21 05 ff 6e6f"));
    assert_eq!((abort.code, &abort.payload[..]), (Code::ABORT, &b"no"[..]));
    assert!(read(&hex!("00 00")).code.is_empty());
}

#[test]
fn figure_6_the_edges_of_the_length() {
    let cases = [
        (11, &hex!("c0 02")[..]),
        (12, &hex!("d0 00 02")),
        (13, &hex!("d0 01 02")),
        (267, &hex!("d0 ff 02")),
        (268, &hex!("e0 0000 02")),
        (65_803, &hex!("e0 ffff 02")),
        (65_804, &hex!("f0 00000000 02")),
        (65_805, &hex!("f0 00000001 02")),
    ];
    for (payload, header) in cases {
        let written = encode(&message(Code::POST, payload));
        assert_eq!(&written[..header.len()], header, "{payload}");
        assert_eq!(written[header.len()], 0xff);
        assert_eq!(read(&written).payload.len(), payload);
    }
}

#[test]
fn malformed_bytes_are_told_apart() {
    assert_eq!(fault(&hex!("09 01")), DecodeError::TokenLength(9));
    assert_eq!(fault(&hex!("10 01 f0")), DecodeError::Rest(wire::DecodeError::OptionHeader));
    assert_eq!(fault(&hex!("10 01 b4")), DecodeError::Rest(wire::DecodeError::Option));
    assert_eq!(fault(&hex!("30 01 e0ffff")), DecodeError::Rest(wire::DecodeError::OptionNumber));
    assert_eq!(fault(&hex!("10 01 ff")), DecodeError::Rest(wire::DecodeError::Payload));
    let too_long = |len| DecodeError::TooLong { len, max: MAX };
    assert_eq!(fault(&hex!("f0 ffffffff 01")), too_long(6 + 65_805 + 0xffff_ffff));
    let longest = encode(&message(Code::POST, MAX - 7));
    assert_eq!(longest.len(), MAX);
    read(&longest);
    assert_eq!(fault(&encode(&message(Code::POST, MAX - 6))), too_long(MAX as u64 + 1));
}

#[test]
fn a_length_is_a_claim_and_takes_no_room() {
    let mut decoder = Decoder::new(3 << 20);
    let bytes = encode(&message(Code::POST, 3_000_000));
    for (at, piece) in bytes.chunks(1000).enumerate() {
        let found = decoder.decode(&mut &piece[..]).unwrap();
        let come = (at + 1) * 1000;
        assert_eq!(found.is_some(), come >= bytes.len());
        assert!(decoder.capacity() <= 2 * come, "{} after {come}", decoder.capacity());
    }
    assert_eq!((decoder.buffered_len(), decoder.capacity()), (0, 0));
}

#[test]
fn half_a_million_rude_streams_stay_in_bounds() {
    const MAX: usize = 300;
    let mut rng = StdRng::seed_from_u64(8);
    let (mut buf, mut messages, mut faults) = ([0; 400], 0, 0);
    for _ in 0..500_000 {
        let len = rng.random_range(1..=buf.len());
        rng.fill_bytes(&mut buf[..len]);
        buf[0] &= [0x10, 0x33, 0xd8, 0xf8, 0xff][rng.random_range(0..5)];
        let mut decoder = Decoder::new(MAX);
        let mut come = 0;
        'stream: for piece in buf[..len].chunks(rng.random_range(1..=len)) {
            come += piece.len();
            let mut rest = piece;
            loop {
                match decoder.decode(&mut rest) {
                    Ok(Some(_)) => messages += 1,
                    Ok(None) => break,
                    Err(_) => {
                        faults += 1;
                        break 'stream;
                    }
                }
            }
            assert!(rest.is_empty() && decoder.buffered_len() < MAX);
            assert!(decoder.capacity() <= MAX.min(2 * come + 8));
        }
    }
    assert!(messages > 100_000 && faults > 100_000, "{messages} messages, {faults} faults");
}

fn messages() -> impl Strategy<Value = Message> {
    let options = vec((any::<u16>(), vec(any::<u8>(), 0..300)), 0..6);
    let payload = prop_oneof![vec(any::<u8>(), 0..30), vec(any::<u8>(), 0..2000)];
    (any::<u8>(), vec(any::<u8>(), 0..=8), options, payload).prop_map(
        |(code, token, values, payload)| {
            let mut message = message(Code::from_byte(code), 0);
            message.token = Token::new(&token).unwrap();
            message.options = Options::new();
            for (number, value) in values {
                message.options.add(OptionNumber(number), value);
            }
            message.payload = payload.into();
            message
        },
    )
}

proptest! {
    #[test]
    fn messages_survive_any_split(
        messages in vec(messages(), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| encode(message).to_vec()).collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let (mut decoder, mut found) = (Decoder::new(MAX), Vec::new());
        for cut in cuts.windows(2) {
            let mut piece = &bytes[cut[0]..cut[1]];
            while let Some(message) = decoder.decode(&mut piece).unwrap() {
                found.push(message);
            }
            prop_assert!(piece.is_empty());
        }
        prop_assert_eq!(found, messages);
        prop_assert_eq!(decoder.buffered_len(), 0);
    }

    #[test]
    fn messages_survive_byte_by_byte(message in messages()) {
        let bytes = encode(&message);
        let mut decoder = Decoder::new(MAX);
        let (last, others) = bytes.split_last().unwrap();
        for byte in others {
            prop_assert_eq!(decoder.decode(&mut &[*byte][..]), Ok(None));
        }
        prop_assert_eq!(decoder.decode(&mut &[*last][..]), Ok(Some(message)));
    }
}
