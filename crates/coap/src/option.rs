//! Option numbers, their properties and typed values (RFC 7252 §5.4, §5.10).

use std::fmt;

use bytes::Bytes;

/// The number of an option; its low bits say how to treat it when unknown (RFC 7252 §5.4.6).
///
/// ```text
///   bit   4   3   2   1   0
///       | no cache key  | U | C |     C: critical   U: unsafe to forward
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionNumber(pub u16);

/// What is known about an option: its name, the lengths that its value may have, repeatability.
struct Definition {
    name: &'static str,
    min_len: usize,
    max_len: usize,
    repeatable: bool,
}

macro_rules! options {
    ($($(#[$doc:meta])* $const:ident = $number:literal, $name:literal, $min:literal ..= $max:literal, $repeatable:literal;)*) => {
        impl OptionNumber {
            $($(#[$doc])* pub const $const: Self = Self($number);)*

            fn definition(self) -> Option<Definition> {
                match self.0 {
                    $($number => Some(Definition {
                        name: $name, min_len: $min, max_len: $max, repeatable: $repeatable,
                    }),)*
                    _ => None,
                }
            }
        }
    };
}

options! {
    /// Do it only if the representation has one of these ETags; empty: only if there is one.
    IF_MATCH = 1, "If-Match", 0..=8, true;
    /// The host that the request is for.
    URI_HOST = 3, "Uri-Host", 1..=255, false;
    /// Names one representation of a resource.
    ETAG = 4, "ETag", 1..=8, true;
    /// Do it only if there is no such resource yet.
    IF_NONE_MATCH = 5, "If-None-Match", 0..=0, false;
    /// Registration and sequence number (RFC 7641).
    OBSERVE = 6, "Observe", 0..=3, false;
    /// The port that the request is for.
    URI_PORT = 7, "Uri-Port", 0..=2, false;
    /// One segment of the path of what was created.
    LOCATION_PATH = 8, "Location-Path", 0..=255, true;
    /// Says that the message is protected, and with what (RFC 8613 §2).
    OSCORE = 9, "OSCORE", 0..=255, false;
    /// One segment of the path.
    URI_PATH = 11, "Uri-Path", 0..=255, true;
    /// The format of the payload.
    CONTENT_FORMAT = 12, "Content-Format", 0..=2, false;
    /// Seconds that the answer stays fresh; in 5.03, seconds to wait.
    MAX_AGE = 14, "Max-Age", 0..=4, false;
    /// One argument of the query.
    URI_QUERY = 15, "Uri-Query", 0..=255, true;
    /// The format that is wanted.
    ACCEPT = 17, "Accept", 0..=2, false;
    /// One argument of the query of what was created.
    LOCATION_QUERY = 20, "Location-Query", 0..=255, true;
    /// Which slice of the response (RFC 7959).
    BLOCK2 = 23, "Block2", 0..=3, false;
    /// Which slice of the request (RFC 7959).
    BLOCK1 = 27, "Block1", 0..=3, false;
    /// Length of the whole response in bytes (RFC 7959).
    SIZE2 = 28, "Size2", 0..=4, false;
    /// What a proxy should fetch.
    PROXY_URI = 35, "Proxy-Uri", 1..=1034, false;
    /// The scheme that a proxy should use.
    PROXY_SCHEME = 39, "Proxy-Scheme", 1..=255, false;
    /// Length of the whole request in bytes (RFC 7959); in 4.13, the longest that is taken.
    SIZE1 = 60, "Size1", 0..=4, false;
    /// Proves that a request is fresh and comes from where it says (RFC 9175 §2).
    ECHO = 252, "Echo", 1..=40, false;
    /// Tells bodies apart that are sent in blocks at once (RFC 9175 §3).
    REQUEST_TAG = 292, "Request-Tag", 0..=8, true;
}

impl OptionNumber {
    /// Whether a receiver that does not know it must refuse the message.
    pub const fn is_critical(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether a proxy that does not know it must not forward the message.
    pub const fn is_unsafe(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether requests that differ in it alone ask for the same.
    pub const fn is_no_cache_key(self) -> bool {
        self.0 & 0x1e == 0x1c
    }

    /// The name in the registry, if this crate knows the option.
    pub fn name(self) -> Option<&'static str> {
        self.definition().map(|definition| definition.name)
    }
}

impl fmt::Display for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name}"),
            None => write!(f, "option {}", self.0),
        }
    }
}

impl fmt::Debug for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the bytes of a payload are (RFC 7252 §12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(pub u16);

impl ContentFormat {
    /// `text/plain; charset=utf-8`
    pub const TEXT_PLAIN: Self = Self(0);
    /// `application/link-format`
    pub const LINK_FORMAT: Self = Self(40);
    /// `application/octet-stream`
    pub const OCTET_STREAM: Self = Self(42);
    /// `application/json`
    pub const JSON: Self = Self(50);
    /// `application/cbor`
    pub const CBOR: Self = Self(60);
    /// `application/cbor-seq`
    pub const CBOR_SEQ: Self = Self(63);
}

/// The options of a message, in the order of their numbers; a number may come several times.
///
/// Values are shares of the datagram that they came in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Options(Vec<(OptionNumber, Bytes)>);

impl Options {
    /// No options.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first value of this option.
    pub fn get(&self, number: OptionNumber) -> Option<&Bytes> {
        self.get_all(number).next()
    }

    /// All values of this option, in order.
    pub fn get_all(&self, number: OptionNumber) -> impl Iterator<Item = &Bytes> {
        let start = self.0.partition_point(|(n, _)| *n < number);
        self.0[start..].iter().take_while(move |(n, _)| *n == number).map(|(_, value)| value)
    }

    /// Whether the option is there.
    pub fn has(&self, number: OptionNumber) -> bool {
        self.get(number).is_some()
    }

    /// Adds a value behind those that the option has.
    pub fn add(&mut self, number: OptionNumber, value: impl Into<Bytes>) {
        let at = self.0.partition_point(|(n, _)| *n <= number);
        self.0.insert(at, (number, value.into()));
    }

    /// Gives the option this one value.
    pub fn set(&mut self, number: OptionNumber, value: impl Into<Bytes>) {
        self.remove(number);
        self.add(number, value);
    }

    /// Takes all values of the option away.
    pub fn remove(&mut self, number: OptionNumber) {
        self.0.retain(|(n, _)| *n != number);
    }

    /// The first value as an unsigned number; `None` without the option or above four bytes.
    pub fn uint(&self, number: OptionNumber) -> Option<u32> {
        self.get(number).and_then(|value| decode_uint(value))
    }

    /// Gives the option this number as its one value (RFC 7252 §3.2).
    pub fn set_uint(&mut self, number: OptionNumber, value: u32) {
        self.set(number, encode_uint(value));
    }

    /// All options and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (OptionNumber, &Bytes)> {
        self.0.iter().map(|(number, value)| (*number, value))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends a value whose number is not below the last one; the decoder's way in.
    pub(crate) fn push(&mut self, number: OptionNumber, value: Bytes) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last <= number));
        self.0.push((number, value));
    }

    /// Drops elective options that must be ignored, and names the first critical one that is
    /// unknown, too long, too short, or there once too often (RFC 7252 §5.4.1, §5.4.3, §5.4.5).
    pub(crate) fn check(&mut self) -> Result<(), OptionNumber> {
        let mut previous = None;
        let mut refused = None;
        self.0.retain(|(number, value)| {
            let repeated = previous == Some(*number);
            previous = Some(*number);
            // What is still protected here is meant for somebody else.
            let good = *number != OptionNumber::OSCORE
                && number.definition().is_some_and(|definition| {
                    (definition.min_len..=definition.max_len).contains(&value.len())
                        && (definition.repeatable || !repeated)
                });
            if !good && number.is_critical() && refused.is_none() {
                refused = Some(*number);
            }
            good
        });
        refused.map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The shortest bytes for a number: none for 0, no leading zero (RFC 7252 §3.2).
pub(crate) fn encode_uint(value: u32) -> Bytes {
    let bytes = value.to_be_bytes();
    let zeros = value.leading_zeros() as usize / 8;
    Bytes::copy_from_slice(&bytes[zeros..])
}

/// The number in these bytes, leading zeros allowed; `None` above four bytes.
pub(crate) fn decode_uint(bytes: &[u8]) -> Option<u32> {
    if bytes.len() > 4 {
        return None;
    }
    Some(bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_few_bytes_as_they_need() {
        for (value, bytes) in
            [(0, &[][..]), (1, &[1]), (255, &[255]), (256, &[1, 0]), (0x01_00_00, &[1, 0, 0])]
        {
            assert_eq!(encode_uint(value), bytes);
            assert_eq!(decode_uint(bytes), Some(value));
        }
        assert_eq!(decode_uint(&[0, 0, 7]), Some(7));
        assert_eq!(decode_uint(&[0; 5]), None);
    }

    #[test]
    fn values_of_one_option_keep_their_order() {
        let mut options = Options::new();
        options.add(OptionNumber::URI_PATH, "b");
        options.add(OptionNumber::IF_MATCH, "x");
        options.add(OptionNumber::URI_PATH, "a");
        assert_eq!(options.get_all(OptionNumber::URI_PATH).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(options.iter().next().unwrap().0, OptionNumber::IF_MATCH);
    }

    #[test]
    fn properties_follow_from_the_number() {
        assert!(OptionNumber::URI_PATH.is_critical() && OptionNumber::URI_PATH.is_unsafe());
        assert!(!OptionNumber::ETAG.is_critical());
        assert!(OptionNumber::SIZE1.is_no_cache_key() && OptionNumber::SIZE2.is_no_cache_key());
        assert!(!OptionNumber::MAX_AGE.is_no_cache_key());
    }

    #[test]
    fn an_unknown_critical_option_is_refused_and_an_elective_one_dropped() {
        let mut options = Options::new();
        options.add(OptionNumber(2048), "elective");
        assert_eq!(options.check(), Ok(()));
        assert!(options.is_empty());
        options.add(OptionNumber(2049), "critical");
        assert_eq!(options.check(), Err(OptionNumber(2049)));
    }

    #[test]
    fn a_second_accept_counts_as_unknown() {
        let mut options = Options::new();
        options.add(OptionNumber::ACCEPT, vec![50]);
        options.add(OptionNumber::ACCEPT, vec![60]);
        assert_eq!(options.check(), Err(OptionNumber::ACCEPT));
    }

    #[test]
    fn an_observe_value_that_is_too_long_is_ignored() {
        let mut options = Options::new();
        options.add(OptionNumber::OBSERVE, vec![0; 4]);
        assert_eq!(options.check(), Ok(()));
        assert!(!options.has(OptionNumber::OBSERVE));
    }
}
