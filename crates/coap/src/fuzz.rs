//! Bodies of the fuzz targets; `cargo test` replays their corpus.

use bytes::Bytes;
use coap_lite::{MessageType, Packet};

use crate::{
    Message, OptionNumber, Type,
    frame::{self, Decoder},
    wire::{self, DecodeError},
};

/// Where the two codecs are known to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    /// coap-lite takes any version for version 1; RFC 7252 §3 has others ignored.
    Version,
    /// coap-lite takes an empty message with contents; §4.1 calls it malformed.
    NotEmpty,
    /// coap-lite takes codes of reserved classes; §3 reserves them.
    CodeClass,
    /// coap-lite takes a payload marker without payload; §3 calls it malformed.
    Payload,
    /// coap-lite refuses option values above 65,535 bytes; §3.1 goes up to 65,804.
    LongOption,
}

/// Decodes the bytes with our codec and with coap-lite, and compares; what is a message for us
/// is encoded and decoded again.
///
/// # Panics
/// If the two disagree in a way that is not named above.
pub fn codec(bytes: &[u8]) {
    let _ = compare(bytes);
}

/// Decodes a stream, cut as the first byte says, with the decoder for streams, and each of its
/// messages once more as a datagram.
///
/// # Panics
/// If the two disagree, if it matters where the stream is cut, or if more room is taken than twice
/// what has come.
pub fn stream(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else { return };
    let cut_somewhere = decode_stream(stream, usize::from(*cut).max(1));
    let whole = decode_stream(stream, stream.len().max(1));
    assert_eq!(cut_somewhere, whole);
    for message in whole.0 {
        let written = frame::encode(&message);
        let (again, _) = decode_stream(&written, written.len());
        assert_eq!(again, std::slice::from_ref(&message), "what we write we read");
        if message.code.is_request() || message.code.is_response() {
            assert_eq!(wire::decode(&wire::encode(&message)), Ok(message));
        }
    }
}

/// The messages of a stream that comes in pieces of this length, and what is wrong with the next.
fn decode_stream(stream: &[u8], len: usize) -> (Vec<Message>, Option<frame::DecodeError>) {
    const MAX_MESSAGE: usize = 70_000;
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let mut messages = Vec::new();
    for (at, piece) in stream.chunks(len).enumerate() {
        let mut rest = piece;
        loop {
            match decoder.decode(&mut rest) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(rest.is_empty() && decoder.buffered_len() < MAX_MESSAGE);
        assert!(decoder.capacity() <= 8 + 2 * len * (at + 1), "{} bytes", decoder.capacity());
    }
    (messages, None)
}

fn compare(bytes: &[u8]) -> Option<Difference> {
    let ours = wire::decode(&Bytes::copy_from_slice(bytes));
    let theirs = Packet::from_bytes(bytes);
    let difference = match (&ours, &theirs) {
        (Ok(message), Ok(packet)) => {
            assert_same(bytes, message, packet);
            None
        }
        (Err(_), Err(_)) => None,
        (Err(DecodeError::Version(_)), Ok(_)) => Some(Difference::Version),
        (Err(DecodeError::NotEmpty), Ok(_)) => Some(Difference::NotEmpty),
        (Err(DecodeError::CodeClass(_)), Ok(_)) => Some(Difference::CodeClass),
        (Err(DecodeError::Payload), Ok(_)) => Some(Difference::Payload),
        (Ok(message), Err(_)) => {
            let longest = message.options.iter().map(|(_, value)| value.len()).max();
            assert!(longest > Some(usize::from(u16::MAX)), "only we take {bytes:02x?}");
            Some(Difference::LongOption)
        }
        (Err(error), Ok(_)) => panic!("only coap-lite takes {bytes:02x?}: {error}"),
    };
    if let Ok(message) = ours {
        let again = wire::decode(&wire::encode(&message)).expect("what we write we read");
        assert_eq!(again, message);
    }
    difference
}

fn assert_same(bytes: &[u8], message: &Message, packet: &Packet) {
    let kind = match packet.header.get_type() {
        MessageType::Confirmable => Type::Confirmable,
        MessageType::NonConfirmable => Type::NonConfirmable,
        MessageType::Acknowledgement => Type::Acknowledgement,
        MessageType::Reset => Type::Reset,
    };
    assert_eq!(message.kind, kind);
    assert_eq!(message.code.byte(), bytes[1], "coap-lite does not keep codes it does not know");
    assert_eq!(message.id.0, packet.header.message_id);
    assert_eq!(message.token.as_bytes(), packet.get_token());
    let ours = message.options.iter().map(|(number, value)| (number, value.as_ref()));
    let theirs = packet.options().flat_map(|(number, values)| {
        values.iter().map(|value| (OptionNumber(*number), value.as_slice()))
    });
    assert!(ours.eq(theirs), "options of {bytes:02x?}");
    assert_eq!(message.payload, packet.payload);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_corpus_holds_no_surprise() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/codec");
        let mut differences = Vec::new();
        for file in fs::read_dir(corpus).unwrap() {
            differences.extend(compare(&fs::read(file.unwrap().path()).unwrap()));
        }
        for named in
            [Difference::Version, Difference::NotEmpty, Difference::CodeClass, Difference::Payload]
        {
            assert!(differences.contains(&named), "{named:?} is in no file of the corpus");
        }
    }

    #[test]
    fn the_corpus_of_streams_holds_no_surprise() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/stream");
        let (mut messages, mut faults) = (0, 0);
        for file in fs::read_dir(corpus).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            stream(&bytes);
            let (decoded, fault) = decode_stream(&bytes[1..], bytes.len());
            messages += decoded.len();
            faults += usize::from(fault.is_some());
        }
        assert!(messages > 20 && faults > 5, "{messages} messages, {faults} faults");
    }

    #[test]
    fn two_hundred_thousand_rude_streams_hold_no_surprise() {
        let mut rng = StdRng::seed_from_u64(6);
        let mut buf = [0; 80];
        for _ in 0..200_000 {
            let len = rng.random_range(2..=buf.len());
            rng.fill_bytes(&mut buf[..len]);
            buf[0] %= 20;
            // Most lengths of chance are never reached.
            buf[1] &= [0x38, 0xd3, 0xe1][rng.random_range(0..3)];
            buf[2] &= 0x1f;
            stream(&buf[..len]);
        }
    }

    #[test]
    fn an_option_value_may_be_longer_than_coap_lite_thinks() {
        let mut bytes = vec![0x40, 1, 0, 1, 0x1e, 0xff, 0xff];
        bytes.resize(bytes.len() + 65_804, 7);
        assert_eq!(compare(&bytes), Some(Difference::LongOption));
    }

    #[test]
    fn two_million_rude_datagrams_hold_no_surprise() {
        let mut rng = StdRng::seed_from_u64(5);
        let mut buf = [0; 64];
        for _ in 0..2_000_000 {
            let len = rng.random_range(0..=buf.len());
            let datagram = &mut buf[..len];
            rng.fill_bytes(datagram);
            if len > 4 && rng.random() {
                // Most of chance never gets beyond the header.
                datagram[0] = 0x40 | datagram[0] & 0x33;
                datagram[1] &= 0x47;
                let at = rng.random_range(4..len);
                datagram[at] = [0xff, 0xd0, 0xe0, 0x0d, 0x0e, 0x11][rng.random_range(0..6)];
            }
            compare(datagram);
        }
    }
}
