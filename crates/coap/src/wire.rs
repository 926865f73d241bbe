//! Datagram bytes <-> [`Message`] (RFC 7252 §3).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::{Code, Message, MessageId, OptionNumber, Options, Token, Type, short};

const VERSION: u8 = 1;
const PAYLOAD_MARKER: u8 = 0xff;
const HEADER_LEN: usize = 4;

/// Why bytes are no message (RFC 7252 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer than four bytes.
    #[error("shorter than a header")]
    Short,
    /// Another version of CoAP; such a message is ignored in silence.
    #[error("unknown version {0}")]
    Version(u8),
    /// A token length of 9 to 15.
    #[error("token length {0} is reserved")]
    TokenLength(u8),
    /// The token goes beyond the end.
    #[error("the token is cut off")]
    Token,
    /// A nibble of 15 that is no payload marker.
    #[error("reserved nibble in an option header")]
    OptionHeader,
    /// An option goes beyond the end.
    #[error("an option is cut off")]
    Option,
    /// The numbers of options add up to more than 65,535.
    #[error("option number too large")]
    OptionNumber,
    /// A payload marker with nothing behind it.
    #[error("payload marker without payload")]
    Payload,
    /// A message of code 0.00 that is longer than its header (§4.1).
    #[error("an empty message with contents")]
    NotEmpty,
    /// A code of a class that is reserved (§3).
    #[error("reserved code class {0}")]
    CodeClass(u8),
}

/// Reads what must be known to answer a message, even one that is malformed further on.
///
/// # Errors
/// [`DecodeError::Short`] and [`DecodeError::Version`]: nothing can be said about such bytes.
pub fn decode_header(datagram: &[u8]) -> Result<(Type, Code, MessageId), DecodeError> {
    let [first, code, id @ ..] = datagram else { return Err(DecodeError::Short) };
    let [high, low, ..] = id else { return Err(DecodeError::Short) };
    let version = first >> 6;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let id = MessageId(u16::from_be_bytes([*high, *low]));
    Ok((Type::from_bits(first >> 4), Code::from_byte(*code), id))
}

/// Reads a message; its options and payload share the datagram's bytes.
///
/// # Errors
/// Where the bytes break the format of RFC 7252 §3, or §4.1 on empty messages.
pub fn decode(datagram: &Bytes) -> Result<Message, DecodeError> {
    let (kind, code, id) = decode_header(datagram)?;
    let token_len = datagram[0] & 0x0f;
    if usize::from(token_len) > Token::MAX_LEN {
        return Err(DecodeError::TokenLength(token_len));
    }
    if code.is_empty() {
        return match datagram.len() {
            HEADER_LEN if token_len == 0 => Ok(Message::empty(kind, id)),
            _ => Err(DecodeError::NotEmpty),
        };
    }
    if !code.is_request() && !code.is_response() {
        return Err(DecodeError::CodeClass(code.class()));
    }
    let mut rest = Rest::new(datagram, HEADER_LEN);
    let token = rest.take(usize::from(token_len)).ok_or(DecodeError::Token)?;
    let token = Token::new(token).ok_or(DecodeError::TokenLength(token_len))?;

    let (options, payload) = decode_rest(rest)?;
    Ok(Message { kind, code, id, token, options, payload })
}

/// Reads options and payload, which look alike in datagrams and streams.
pub(crate) fn decode_rest(mut rest: Rest<'_>) -> Result<(Options, Bytes), DecodeError> {
    let mut options = Options::new();
    let mut number = 0_u16;
    let payload = loop {
        let Some(header) = rest.byte() else { break Bytes::new() };
        if header == PAYLOAD_MARKER {
            if rest.at == rest.bytes.len() {
                return Err(DecodeError::Payload);
            }
            break rest.bytes.slice(rest.at..);
        }
        let delta = rest.extended(header >> 4)?;
        let len = rest.extended(header & 0x0f)?;
        number = u16::try_from(delta)
            .ok()
            .and_then(|delta| number.checked_add(delta))
            .ok_or(DecodeError::OptionNumber)?;
        let start = rest.at;
        rest.take(len as usize).ok_or(DecodeError::Option)?;
        options.push(OptionNumber(number), rest.bytes.slice(start..rest.at));
    };
    Ok((options, payload))
}

/// The bytes not read yet.
pub(crate) struct Rest<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Rest<'a> {
    pub(crate) const fn new(bytes: &'a Bytes, at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    /// Delta or length of an option: a nibble, and one or two bytes more for 13 and 14 (§3.1).
    fn extended(&mut self, nibble: u8) -> Result<u32, DecodeError> {
        match nibble {
            0..=12 => Ok(u32::from(nibble)),
            13 => Ok(u32::from(self.byte().ok_or(DecodeError::Option)?) + 13),
            14 => {
                let bytes = self.take(2).ok_or(DecodeError::Option)?;
                Ok(u32::from(u16::from_be_bytes([bytes[0], bytes[1]])) + 269)
            }
            _ => Err(DecodeError::OptionHeader),
        }
    }
}

/// Writes a message.
///
/// Values of options above 65,804 bytes do not fit the format and are cut; no datagram holds them.
pub fn encode(message: &Message) -> Bytes {
    let max_len = HEADER_LEN + Token::MAX_LEN + max_rest_len(message);
    if max_len > short::MAX_LEN {
        let mut buf = BytesMut::with_capacity(max_len);
        put(&mut buf, message);
        return buf.freeze();
    }
    let mut buf = [0; short::MAX_LEN];
    let mut rest = &mut buf[..];
    put(&mut rest, message);
    let len = short::MAX_LEN - rest.len();
    short::shared(&buf[..len])
}

fn put(buf: &mut impl BufMut, message: &Message) {
    let token = message.token.as_bytes();
    buf.put_u8(VERSION << 6 | (message.kind as u8) << 4 | token.len() as u8);
    buf.put_u8(message.code.byte());
    buf.put_u16(message.id.0);
    buf.put_slice(token);
    put_rest(buf, message);
}

/// As many bytes as [`put_rest`] writes, or a few more.
pub(crate) fn max_rest_len(message: &Message) -> usize {
    let values: usize = message.options.iter().map(|(_, value)| value.len() + 5).sum();
    values + 1 + message.payload.len()
}

/// Writes options and payload.
pub(crate) fn put_rest(buf: &mut impl BufMut, message: &Message) {
    let options = message.options.iter().map(|(number, value)| (number, &value[..]));
    encode_body(options, &message.payload, buf);
}

/// Writes what follows header and token: the options, in the order of their numbers, and the payload.
///
/// Up to five bytes per option and one before the payload are added. Values are cut as by [`encode`].
///
/// # Panics
/// If the numbers fall, or the buffer is of fixed length and too short.
pub fn encode_body<'a>(
    options: impl Iterator<Item = (OptionNumber, &'a [u8])>,
    payload: &[u8],
    buf: &mut impl BufMut,
) {
    let mut previous = 0;
    for (number, value) in options {
        let value = &value[..value.len().min(usize::from(u16::MAX) + 269)];
        let delta = number.0.checked_sub(previous).expect("options come in order");
        let delta = usize::from(delta);
        previous = number.0;
        buf.put_u8(nibble(delta) << 4 | nibble(value.len()));
        put_extended(buf, delta);
        put_extended(buf, value.len());
        buf.put_slice(value);
    }
    if !payload.is_empty() {
        buf.put_u8(PAYLOAD_MARKER);
        buf.put_slice(payload);
    }
}

fn nibble(value: usize) -> u8 {
    match value {
        0..=12 => value as u8,
        13..=268 => 13,
        _ => 14,
    }
}

fn put_extended(buf: &mut impl BufMut, value: usize) {
    match value {
        0..=12 => {}
        13..=268 => buf.put_u8((value - 13) as u8),
        _ => buf.put_u16((value - 269) as u16),
    }
}
