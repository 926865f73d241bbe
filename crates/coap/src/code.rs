//! Methods, response codes and signalling codes (RFC 7252 §12.1, RFC 7959 §2.9, RFC 8132,
//! RFC 8323 §5, RFC 8516).

use std::fmt;

/// What a message asks or answers: three bits of class, five of detail (RFC 7252 §3).
///
/// ```
/// use suibi_coap::Code;
/// assert_eq!(Code::CONTENT.to_string(), "2.05");
/// assert_eq!(Code::new(4, 4), Code::NOT_FOUND);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

impl Code {
    /// The code `class.detail`; `class` is at most 7 and `detail` at most 31, higher bits are cut.
    pub const fn new(class: u8, detail: u8) -> Self {
        Self((class & 0b111) << 5 | detail & 0b1_1111)
    }

    /// The code that this byte stands for on the wire.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte that stands for this code on the wire.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// The digit before the dot: 0 for methods, 2, 4, 5 for responses.
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The digits after the dot, 0 to 31.
    pub const fn detail(self) -> u8 {
        self.0 & 0b1_1111
    }

    /// Whether this is 0.00, the code of a message that is neither request nor response.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is a method, known to us or not (0.01 to 0.31).
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.0 != 0
    }

    /// Whether this is a response code, known to us or not (2.00 to 5.31).
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2..=5)
    }

    /// Whether this is about a connection itself, known to us or not (7.xx, RFC 8323 §5).
    pub const fn is_signal(self) -> bool {
        self.class() == 7
    }

    /// Whether the request was received, understood and accepted (2.xx).
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Whether asking again changes nothing on the server (RFC 7252 §5.1, RFC 8132 §2).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::GET | Self::FETCH)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $class:literal . $detail:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self::new($class, $detail);)*
        }
    };
}

codes! {
    /// 0.00, neither request nor response.
    EMPTY = 0 . 0;
    /// 0.01
    GET = 0 . 1;
    /// 0.02
    POST = 0 . 2;
    /// 0.03
    PUT = 0 . 3;
    /// 0.04
    DELETE = 0 . 4;
    /// 0.05 (RFC 8132)
    FETCH = 0 . 5;
    /// 0.06 (RFC 8132)
    PATCH = 0 . 6;
    /// 0.07 (RFC 8132)
    IPATCH = 0 . 7;
    /// 2.01
    CREATED = 2 . 1;
    /// 2.02
    DELETED = 2 . 2;
    /// 2.03, what you have is still right
    VALID = 2 . 3;
    /// 2.04
    CHANGED = 2 . 4;
    /// 2.05
    CONTENT = 2 . 5;
    /// 2.31, go on with the next block (RFC 7959)
    CONTINUE = 2 . 31;
    /// 4.00
    BAD_REQUEST = 4 . 0;
    /// 4.01
    UNAUTHORIZED = 4 . 1;
    /// 4.02, a critical option is not understood
    BAD_OPTION = 4 . 2;
    /// 4.03
    FORBIDDEN = 4 . 3;
    /// 4.04
    NOT_FOUND = 4 . 4;
    /// 4.05
    METHOD_NOT_ALLOWED = 4 . 5;
    /// 4.06
    NOT_ACCEPTABLE = 4 . 6;
    /// 4.08, blocks are missing (RFC 7959)
    REQUEST_ENTITY_INCOMPLETE = 4 . 8;
    /// 4.09 (RFC 8132)
    CONFLICT = 4 . 9;
    /// 4.12
    PRECONDITION_FAILED = 4 . 12;
    /// 4.13
    REQUEST_ENTITY_TOO_LARGE = 4 . 13;
    /// 4.15
    UNSUPPORTED_CONTENT_FORMAT = 4 . 15;
    /// 4.22 (RFC 8132)
    UNPROCESSABLE_ENTITY = 4 . 22;
    /// 4.29 (RFC 8516)
    TOO_MANY_REQUESTS = 4 . 29;
    /// 5.00
    INTERNAL_SERVER_ERROR = 5 . 0;
    /// 5.01
    NOT_IMPLEMENTED = 5 . 1;
    /// 5.02
    BAD_GATEWAY = 5 . 2;
    /// 5.03, later perhaps; Max-Age says when
    SERVICE_UNAVAILABLE = 5 . 3;
    /// 5.04
    GATEWAY_TIMEOUT = 5 . 4;
    /// 5.05
    PROXYING_NOT_SUPPORTED = 5 . 5;
    /// 7.01, what the sender can do (RFC 8323)
    CSM = 7 . 1;
    /// 7.02, are you there? (RFC 8323)
    PING = 7 . 2;
    /// 7.03, I am (RFC 8323)
    PONG = 7 . 3;
    /// 7.04, please close the connection (RFC 8323)
    RELEASE = 7 . 4;
    /// 7.05, the connection is of no use any more (RFC 8323)
    ABORT = 7 . 5;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_numbers_of_the_registry() {
        assert_eq!(Code::GET.byte(), 1);
        assert_eq!(Code::CONTENT.byte(), 69);
        assert_eq!(Code::CONTINUE.byte(), 95);
        assert_eq!(Code::REQUEST_ENTITY_TOO_LARGE.byte(), 141);
        assert_eq!(Code::PROXYING_NOT_SUPPORTED.byte(), 165);
        assert_eq!(Code::PRECONDITION_FAILED.to_string(), "4.12");
    }

    #[test]
    fn every_byte_is_one_kind_at_most() {
        for byte in 0..=u8::MAX {
            let code = Code::from_byte(byte);
            let kinds = [code.is_empty(), code.is_request(), code.is_response(), code.is_signal()];
            let reserved = matches!(code.class(), 1 | 6);
            assert_eq!(kinds.iter().filter(|&&k| k).count(), usize::from(!reserved), "{code}");
        }
    }
}
