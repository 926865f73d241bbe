//! One message, as it travels in a datagram (RFC 7252 §3).

use std::fmt;

use bytes::Bytes;

use crate::{Code, Options};

/// How a message wants to be treated (RFC 7252 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// Is sent again until somebody acknowledges it.
    Confirmable,
    /// Is sent once.
    NonConfirmable,
    /// Says that a confirmable message came, and may carry the response to it.
    Acknowledgement,
    /// Says that a message came and could not be made use of.
    Reset,
}

impl Type {
    /// The two bits on the wire; higher bits are ignored.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }
}

/// Tells a message from others between the same two endpoints, for a while (RFC 7252 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u16);

/// Tells which request a response answers: zero to eight bytes that the client chose (§5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token {
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl Token {
    /// The longest token, in bytes.
    pub const MAX_LEN: usize = 8;

    /// The token without bytes.
    pub const EMPTY: Self = Self { len: 0, bytes: [0; Self::MAX_LEN] };

    /// The token of these bytes; `None` above eight.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut token = Self::EMPTY;
        token.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        token.len = u8::try_from(bytes.len()).ok()?;
        Some(token)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// A message: request, response, or empty.
///
/// ```text
///   0                   1                   2                   3
///   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///  |Ver| T |  TKL  |      Code     |          Message ID           |
///  |   Token (TKL bytes) ...
///  |   Options ...
///  |1 1 1 1 1 1 1 1|    Payload ...
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How it wants to be treated.
    pub kind: Type,
    /// Method, response code, or [`Code::EMPTY`].
    pub code: Code,
    /// Pairs an acknowledgement or a reset with what it speaks of, and finds duplicates.
    pub id: MessageId,
    /// Pairs a response with its request.
    pub token: Token,
    /// The options.
    pub options: Options,
    /// The rest of the datagram.
    pub payload: Bytes,
}

impl Message {
    /// A message without code, token, options and payload: acknowledgement, reset or ping.
    pub const fn empty(kind: Type, id: MessageId) -> Self {
        Self {
            kind,
            code: Code::EMPTY,
            id,
            token: Token::EMPTY,
            options: Options::new(),
            payload: Bytes::new(),
        }
    }
}
