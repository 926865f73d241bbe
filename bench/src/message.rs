//! As much of CoAP as a load generator needs (RFC 7252 §3), written by hand and apart from the
//! server's own: a mistake there must not be made here, too.

/// `CON` with a token of four bytes.
const CON: u8 = 0x44;
const GET: u8 = 0x01;
const POST: u8 = 0x02;
const PUT: u8 = 0x03;
const PAYLOAD: u8 = 0xff;

const URI_PATH: u8 = 11;
const CONTENT_FORMAT: u8 = 12;
const BLOCK2: u8 = 23;
const BLOCK1: u8 = 27;

pub(crate) const CREATED: u8 = 0x41;
pub(crate) const CHANGED: u8 = 0x44;
pub(crate) const CONTENT: u8 = 0x45;
pub(crate) const CONTINUE: u8 = 0x5f;

/// The bytes of a confirmable POST.
pub(crate) fn post(
    id: u16,
    token: u32,
    path: &str,
    format: u8,
    block1: Option<u32>,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = begin(POST, id, token, path);
    // text/plain is 0, whose shortest form has no bytes (RFC 7252 §3.2).
    let format: &[u8] = if format == 0 { &[] } else { &[format] };
    option(&mut bytes, CONTENT_FORMAT - URI_PATH, format);
    if let Some(block1) = block1 {
        option(&mut bytes, BLOCK1 - CONTENT_FORMAT, shortest(&block1.to_be_bytes()));
    }
    bytes.push(PAYLOAD);
    bytes.extend_from_slice(payload);
    bytes
}

/// The bytes of a POST that asks for a later block of the answer to an earlier one (RFC 7959 §3.3).
pub(crate) fn post_for_more(id: u16, token: u32, path: &str, format: u8, block2: u32) -> Vec<u8> {
    let mut bytes = begin(POST, id, token, path);
    option(&mut bytes, CONTENT_FORMAT - URI_PATH, &[format]);
    option(&mut bytes, BLOCK2 - CONTENT_FORMAT, shortest(&block2.to_be_bytes()));
    bytes
}

/// The bytes of a confirmable PUT of text.
pub(crate) fn put(id: u16, token: u32, path: &str, text: &str) -> Vec<u8> {
    let mut bytes = post(id, token, path, 0, None, text.as_bytes());
    bytes[1] = PUT;
    bytes
}

/// The bytes of a confirmable GET.
pub(crate) fn get(id: u16, token: u32, path: &str) -> Vec<u8> {
    begin(GET, id, token, path)
}

fn begin(code: u8, id: u16, token: u32, path: &str) -> Vec<u8> {
    let mut bytes = vec![CON, code];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&token.to_be_bytes());
    option(&mut bytes, URI_PATH, path.as_bytes());
    bytes
}

/// A number without its leading zeros (RFC 7252 §3.2).
fn shortest(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// One option; `delta` and the length are small enough for the short form or one byte more.
fn option(bytes: &mut Vec<u8>, delta: u8, value: &[u8]) {
    let (first, more) = if delta < 13 { (delta, None) } else { (13, Some(delta - 13)) };
    let len = u8::try_from(value.len()).ok().filter(|len| *len < 13).expect("values are short");
    bytes.push(first << 4 | len);
    bytes.extend(more);
    bytes.extend_from_slice(value);
}

/// What the header of an answer says, and where its payload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) kind: Kind,
    pub(crate) code: u8,
    pub(crate) id: u16,
    /// `None` in an empty message.
    pub(crate) token: Option<u32>,
    /// Which block of the answer this is, if it comes in blocks (RFC 7959 §2.2).
    pub(crate) block2: Option<u32>,
    pub(crate) payload: &'a [u8],
    /// The whole of it, as it came.
    pub(crate) bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Confirmable,
    NonConfirmable,
    Acknowledgement,
    Reset,
}

impl<'a> Answer<'a> {
    /// Reads an answer; `None` when it is not well formed.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let &[first, code, id_high, id_low, ref rest @ ..] = bytes else { return None };
        if first >> 6 != 1 {
            return None;
        }
        let kind = match first >> 4 & 3 {
            0 => Kind::Confirmable,
            1 => Kind::NonConfirmable,
            2 => Kind::Acknowledgement,
            _ => Kind::Reset,
        };
        let id = u16::from_be_bytes([id_high, id_low]);
        let (token, mut rest) = match first & 15 {
            0 => (None, rest),
            4 => {
                let (token, rest) = rest.split_first_chunk()?;
                (Some(u32::from_be_bytes(*token)), rest)
            }
            _ => return None,
        };
        let (mut number, mut block2) = (0, None);
        while let Some((&head, mut tail)) = rest.split_first() {
            if head == PAYLOAD {
                let answer = Self { kind, code, id, token, block2, payload: tail, bytes };
                return (!tail.is_empty()).then_some(answer);
            }
            number += extended(head >> 4, &mut tail)?;
            let len = extended(head & 15, &mut tail)?;
            let value = tail.get(..len)?;
            if number == usize::from(BLOCK2) {
                block2 = Some(value.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
            }
            rest = &tail[len..];
        }
        Some(Self { kind, code, id, token, block2, payload: &[], bytes })
    }
}

/// A delta or a length with its extension (RFC 7252 §3.1).
fn extended(nibble: u8, rest: &mut &[u8]) -> Option<usize> {
    match nibble {
        13 => {
            let (&byte, tail) = rest.split_first()?;
            *rest = tail;
            Some(usize::from(byte) + 13)
        }
        14 => {
            let (bytes, tail) = rest.split_first_chunk()?;
            *rest = tail;
            Some(usize::from(u16::from_be_bytes(*bytes)) + 269)
        }
        15 => None,
        small => Some(usize::from(small)),
    }
}

/// An empty confirmable message, which every CoAP endpoint answers with [`PONG`] (RFC 7252 §4.3).
pub(crate) const PING: [u8; 4] = [0x40, 0, 0, 1];
pub(crate) const PONG: [u8; 4] = [0x70, 0, 0, 1];

/// An empty acknowledgement.
pub(crate) fn acknowledgement(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![0x60, 0, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_has_the_bytes_of_the_rfc() {
        let bytes = post(0x1234, 0x0a0b_0c0d, "notes", 0, None, b"tea");
        let expected = b"\x44\x02\x12\x34\x0a\x0b\x0c\x0d\xb5notes\x10\xfftea";
        assert_eq!(bytes, expected);
        let bytes = post(1, 2, "feed", 63, Some(3 << 4 | 8 | 6), b"x");
        let expected = b"\x44\x02\0\x01\0\0\0\x02\xb4feed\x11\x3f\xd1\x02\x3e\xffx";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_answer_is_read_past_its_options() {
        // 2.01 with Location-Path "notes" and a segment of 36 bytes.
        let mut bytes = b"\x64\x41\x12\x34\x0a\x0b\x0c\x0d\x85notes\x0d\x17".to_vec();
        bytes.extend_from_slice(&[b'x'; 36]);
        let answer = Answer::decode(&bytes).unwrap();
        assert_eq!((answer.kind, answer.code), (Kind::Acknowledgement, CREATED));
        assert_eq!((answer.id, answer.token), (0x1234, Some(0x0a0b_0c0d)));
        assert_eq!((answer.payload, answer.block2), (&b""[..], None));
        bytes.extend_from_slice(b"\xffreceipt");
        assert_eq!(Answer::decode(&bytes).unwrap().payload, b"receipt");
        assert_eq!(Answer::decode(&bytes[..20]), None);
        // 2.04 with Block2 1/1/1024.
        let answer = Answer::decode(b"\x64\x44\0\x01\0\0\0\x02\xd1\x0a\x1e\xffx").unwrap();
        assert_eq!((answer.block2, answer.payload), (Some(0x1e), &b"x"[..]));
    }
}
