//! Stream bytes <-> [`Message`] (RFC 8323 §3.2).
//!
//! ```text
//!   |  Len  |  TKL  |  more length, 0 to 4 bytes  |  Code  |  Token  |  Options  | 0xff Payload |
//!                                                                    `------ as long as said ----´
//! ```
//!
//! Type and message id do not travel, as a stream loses nothing and repeats nothing: a decoded
//! message is non-confirmable and has the id 0.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::{
    Code, Message, MessageId, Token, Type,
    wire::{self, Rest},
};

/// The longest that comes before the token: two nibbles, the length, the code.
const MAX_HEADER_LEN: usize = 6;

/// Why bytes of a stream are no message. The stream is of no use any more: where the next message
/// begins is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It says that it is longer than what is taken.
    #[error("a message of {len} bytes, where at most {max} are taken")]
    TooLong {
        /// Its length, from its first byte to its last.
        len: u64,
        /// What is taken.
        max: usize,
    },
    /// A token length of 9 to 15.
    #[error("token length {0} is reserved")]
    TokenLength(u8),
    /// Options or payload break the format.
    #[error("{0}")]
    Rest(wire::DecodeError),
}

/// Puts messages together from bytes that come in pieces of any size.
///
/// It keeps the beginning of one message at most, and only bytes that have come: of a message that
/// says how long it is going to be, no more room is taken than twice what is there of it.
#[derive(Debug)]
pub struct Decoder {
    max_message: usize,
    /// The message whose end has not come.
    partial: Vec<u8>,
}

impl Decoder {
    /// Takes messages of so many bytes at most, from the first byte to the last.
    pub const fn new(max_message: usize) -> Self {
        Self { max_message, partial: Vec::new() }
    }

    /// Takes bytes off the front of `bytes` up to the end of the next message. `None`: all bytes
    /// are taken, and more are needed.
    ///
    /// # Errors
    /// Where the bytes break the format, or announce a message that is too long. Then this decoder
    /// and its stream are done with.
    pub fn decode(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, DecodeError> {
        // Most messages come whole, and need not wait here.
        let mut header =
            Header::decode(if self.partial.is_empty() { bytes } else { &self.partial });
        while header.is_none() && !self.partial.is_empty() && !bytes.is_empty() {
            self.keep(bytes, 1, MAX_HEADER_LEN);
            header = Header::decode(&self.partial);
        }
        let Some(header) = header else {
            self.keep(bytes, bytes.len(), MAX_HEADER_LEN);
            return Ok(None);
        };
        let len = header.check(self.max_message)?;
        let missing = len - self.partial.len();
        if bytes.len() < missing {
            self.keep(bytes, bytes.len(), len);
            return Ok(None);
        }
        let message = if self.partial.is_empty() {
            let (message, rest) = bytes.split_at(len);
            *bytes = rest;
            Bytes::copy_from_slice(message)
        } else {
            self.keep(bytes, missing, len);
            std::mem::take(&mut self.partial).into()
        };
        header.decode_rest(&message).map(Some)
    }

    /// How many bytes wait for the rest of their message.
    pub fn buffered_len(&self) -> usize {
        self.partial.len()
    }

    /// How many bytes there is room for; never more than twice [`Decoder::buffered_len`], but for
    /// the first few.
    pub fn capacity(&self) -> usize {
        self.partial.capacity()
    }

    /// Moves bytes to those that wait for the end of a message of `len` bytes.
    fn keep(&mut self, bytes: &mut &[u8], count: usize, len: usize) {
        let (kept, rest) = bytes.split_at(count);
        *bytes = rest;
        let needed = self.partial.len() + count;
        if needed > self.partial.capacity() {
            let capacity = (2 * self.partial.len()).min(len).max(needed);
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(kept);
    }
}

/// What comes before the token.
#[derive(Debug, Clone, Copy)]
struct Header {
    token_len: u8,
    code: Code,
    /// How long it is itself.
    len: usize,
    /// How long options and payload are.
    rest_len: u64,
}

impl Header {
    /// `None`: bytes are missing.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        let nibble = first >> 4;
        let offset = match nibble {
            0..=12 => u64::from(nibble),
            13 => 13,
            14 => 269,
            _ => 65_805,
        };
        let extension = extension_len(nibble);
        let (extended, rest) = rest.split_at_checked(extension)?;
        let value = extended.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Some(Self {
            token_len: first & 0x0f,
            code: Code::from_byte(*rest.first()?),
            len: 2 + extension,
            rest_len: offset + value,
        })
    }

    /// How long the message is.
    fn check(self, max: usize) -> Result<usize, DecodeError> {
        if usize::from(self.token_len) > Token::MAX_LEN {
            return Err(DecodeError::TokenLength(self.token_len));
        }
        let len = self.len as u64 + u64::from(self.token_len) + self.rest_len;
        usize::try_from(len).ok().filter(|len| *len <= max).ok_or(DecodeError::TooLong { len, max })
    }

    fn decode_rest(self, message: &Bytes) -> Result<Message, DecodeError> {
        let mut rest = Rest::new(message, self.len);
        let token = rest.take(usize::from(self.token_len)).and_then(Token::new);
        let token = token.ok_or(DecodeError::TokenLength(self.token_len))?;
        let (options, payload) = wire::decode_rest(rest).map_err(DecodeError::Rest)?;
        let (kind, id) = (Type::NonConfirmable, MessageId(0));
        Ok(Message { kind, code: self.code, id, token, options, payload })
    }
}

/// Writes a message; its type and id stay here.
///
/// Values of options above 65,804 bytes do not fit the format and are cut.
pub fn encode(message: &Message) -> Bytes {
    let mut buf = BytesMut::with_capacity(max_len(message));
    // The length comes first and is known last: room for the longest, of which the front is cut.
    buf.put_bytes(0, MAX_HEADER_LEN);
    let token = message.token.as_bytes();
    buf.put_slice(token);
    wire::put_rest(&mut buf, message);
    let rest_len = buf.len() - MAX_HEADER_LEN - token.len();
    let (nibble, extension) = match rest_len {
        0..=12 => (rest_len as u8, [0; 4]),
        13..=268 => (13, (rest_len as u32 - 13).to_be_bytes()),
        269..=65_804 => (14, (rest_len as u32 - 269).to_be_bytes()),
        _ => (15, u32::try_from(rest_len - 65_805).unwrap_or(u32::MAX).to_be_bytes()),
    };
    let extension = &extension[4 - extension_len(nibble)..];
    let start = MAX_HEADER_LEN - 2 - extension.len();
    buf[start] = nibble << 4 | token.len() as u8;
    buf[start + 1..MAX_HEADER_LEN - 1].copy_from_slice(extension);
    buf[MAX_HEADER_LEN - 1] = message.code.byte();
    buf.freeze().split_off(start)
}

/// As many bytes as [`encode`] writes, or a few more.
pub(crate) fn max_len(message: &Message) -> usize {
    MAX_HEADER_LEN + Token::MAX_LEN + wire::max_rest_len(message)
}

const fn extension_len(nibble: u8) -> usize {
    match nibble {
        0..=12 => 0,
        13 => 1,
        14 => 2,
        _ => 4,
    }
}
