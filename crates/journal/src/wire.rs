//! Strict reading and writing of CBOR: only the deterministic form of RFC 8949 §4.2.1.
//!
//! Bytes are hashed and compared, so each value has one encoding and everything else is refused:
//! the shortest heads, definite lengths, keys in ascending order and once each, nothing after the end.

use minicbor::Encoder;
use thiserror::Error;

use crate::{ChainId, Hash, NoteId, NoteTime};

/// Why bytes are not what they should be. Offsets count from the start of the bytes that were decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end within a value.
    #[error("the bytes end in the middle of a value (byte {at})")]
    Truncated {
        /// Where the value begins.
        at: usize,
    },
    /// There is more after the end.
    #[error("bytes follow after the end (byte {at})")]
    Trailing {
        /// Where they begin.
        at: usize,
    },
    /// Another kind of value than this place holds.
    #[error("expected {expected} (byte {at})")]
    Unexpected {
        /// Where the value begins.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A number or length that could be written shorter (RFC 8949 §4.2.1).
    #[error("a number or length is not in its shortest form (byte {at})")]
    NotShortest {
        /// Where it begins.
        at: usize,
    },
    /// An indefinite length (RFC 8949 §3.2).
    #[error("an indefinite length, which is not allowed (byte {at})")]
    Indefinite {
        /// Where it begins.
        at: usize,
    },
    /// Map keys or array members that must ascend, do not: out of order, or one twice.
    #[error("{what} are out of order or doubled (byte {at})")]
    Order {
        /// What should ascend.
        what: &'static str,
        /// Where the first one that does not begins.
        at: usize,
    },
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8 (byte {at})")]
    Utf8 {
        /// Where the text begins.
        at: usize,
    },
    /// Something nested where only plain values may be.
    #[error("an array, map or tag where only a plain value may be (byte {at})")]
    TooDeep {
        /// Where it begins.
        at: usize,
    },
    /// Written by a newer program.
    #[error("{what} has version {version}, this program knows version {known}")]
    UnknownVersion {
        /// What has it.
        what: &'static str,
        /// The version found.
        version: u64,
        /// The version that we read.
        known: u64,
    },
    /// A key that this version does not have.
    #[error("{what} has an unknown key {key}")]
    UnknownKey {
        /// What has it.
        what: &'static str,
        /// The key found.
        key: u64,
    },
    /// Something required is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Something that may not be there.
    #[error("{0}")]
    Invalid(&'static str),
    /// Over a limit of `docs/formats.md`.
    #[error("{what} is {len} long, the limit is {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large, in bytes or members.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The content is not the one whose hash the change holds.
    #[error("the content does not match the hash in its change")]
    ContentHash,
    /// One item of a sequence is wrong.
    #[error("item {index}: {source}")]
    Item {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<Self>,
    },
}

/// A reader that takes the deterministic form only.
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

type Result<T, E = DecodeError> = std::result::Result<T, E>;

// Major types (RFC 8949 §3.1).
const UINT: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// Null, false and true (RFC 8949 §3.3).
const NULL: u8 = 0xf6;
const FALSE: u64 = 20;
const TRUE: u64 = 21;

/// The head of a value: what it is, and a number or length (RFC 8949 §3).
struct Head {
    major: u8,
    argument: u64,
    /// Where it ends.
    end: usize,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads the one item that these bytes are.
    pub(crate) fn whole<T>(
        bytes: &'b [u8],
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut reader = Self::new(bytes);
        let value = read(&mut reader)?;
        if reader.is_at_end() { Ok(value) } else { Err(DecodeError::Trailing { at: reader.at() }) }
    }

    /// Reads items until the end (RFC 8742).
    pub(crate) fn until_end<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.is_at_end() {
            let start = self.at;
            let item = read(self).map_err(|source| DecodeError::Item {
                index: items.len(),
                source: Box::new(source),
            })?;
            if items.is_empty() {
                // The others are about as long as the first, most often: then the list need not grow.
                items.reserve(1 + (self.bytes.len() - self.at) / (self.at - start).max(1));
            }
            items.push(item);
        }
        Ok(items)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The major type of the next value (RFC 8949 §3.1).
    pub(crate) fn peek_major(&self) -> Option<u8> {
        self.bytes.get(self.at).map(|byte| byte >> 5)
    }

    pub(crate) fn uint(&mut self, expected: &'static str) -> Result<u64> {
        self.argument(UINT, expected)
    }

    pub(crate) fn int(&mut self, expected: &'static str) -> Result<i64> {
        let head = self.head(expected)?;
        let value = i64::try_from(head.argument).ok().and_then(|value| match head.major {
            UINT => Some(value),
            NEGATIVE => Some(-1 - value),
            _ => None,
        });
        let value = value.ok_or(DecodeError::Unexpected { at: self.at, expected })?;
        self.at = head.end;
        Ok(value)
    }

    pub(crate) fn bool(&mut self, expected: &'static str) -> Result<bool> {
        let at = self.at;
        match self.argument(SIMPLE, expected)? {
            FALSE => Ok(false),
            TRUE => Ok(true),
            _ => Err(DecodeError::Unexpected { at, expected }),
        }
    }

    /// Takes a null, if that is what comes next.
    pub(crate) fn take_null(&mut self) -> bool {
        let is_null = self.bytes.get(self.at) == Some(&NULL);
        self.at += usize::from(is_null);
        is_null
    }

    pub(crate) fn bytes(&mut self, expected: &'static str) -> Result<&'b [u8]> {
        self.string(BYTES, expected)
    }

    pub(crate) fn text(&mut self, expected: &'static str) -> Result<&'b str> {
        let at = self.at;
        str::from_utf8(self.string(TEXT, expected)?).map_err(|_| DecodeError::Utf8 { at })
    }

    pub(crate) fn array(&mut self, expected: &'static str) -> Result<u64> {
        self.argument(ARRAY, expected)
    }

    pub(crate) fn array_of(&mut self, len: u64, expected: &'static str) -> Result<()> {
        let at = self.at();
        if self.array(expected)? == len {
            Ok(())
        } else {
            Err(DecodeError::Unexpected { at, expected })
        }
    }

    pub(crate) fn map(&mut self, expected: &'static str) -> Result<u64> {
        self.argument(MAP, expected)
    }

    pub(crate) fn fixed<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N]> {
        let at = self.at();
        self.bytes(expected)?.try_into().map_err(|_| DecodeError::Unexpected { at, expected })
    }

    pub(crate) fn hash(&mut self, expected: &'static str) -> Result<Hash> {
        self.fixed(expected).map(Hash::from_bytes)
    }

    pub(crate) fn chain(&mut self) -> Result<ChainId> {
        self.fixed("the chain's id, 16 bytes").map(ChainId::from_bytes)
    }

    pub(crate) fn note(&mut self) -> Result<NoteId> {
        self.fixed("the note's id, 16 bytes").map(NoteId::from_bytes)
    }

    pub(crate) fn time(&mut self) -> Result<NoteTime> {
        let expected = "a time such as 2026-11-23T09:05:00.000+08:00";
        let at = self.at();
        let text = self.text(expected)?;
        text.parse().map_err(|_| DecodeError::Unexpected { at, expected })
    }

    /// A number from 1.
    pub(crate) fn count(&mut self, expected: &'static str) -> Result<u64> {
        let at = self.at();
        match self.uint(expected)? {
            0 => Err(DecodeError::Unexpected { at, expected }),
            count => Ok(count),
        }
    }

    /// Takes the bytes of a string of this major type.
    fn string(&mut self, major: u8, expected: &'static str) -> Result<&'b [u8]> {
        let at = self.at;
        let len = self.argument(major, expected)?;
        let rest = &self.bytes[self.at..];
        let bytes = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let bytes = bytes.ok_or(DecodeError::Truncated { at })?;
        self.at += bytes.len();
        Ok(bytes)
    }

    /// Takes a head of this major type, and answers its number or length.
    fn argument(&mut self, major: u8, expected: &'static str) -> Result<u64> {
        let head = self.head(expected)?;
        if head.major != major {
            return Err(DecodeError::Unexpected { at: self.at, expected });
        }
        self.at = head.end;
        Ok(head.argument)
    }

    /// Looks at the next head: shortest form, definite length, all there.
    fn head(&self, expected: &'static str) -> Result<Head> {
        let at = self.at;
        let Some((&initial, rest)) = self.bytes.get(at..).and_then(<[u8]>::split_first) else {
            return Err(DecodeError::Truncated { at });
        };
        let (major, info) = (initial >> 5, initial & 0x1f);
        let (len, smallest) = match info {
            0..=23 => return Ok(Head { major, argument: info.into(), end: at + 1 }),
            31 => return Err(DecodeError::Indefinite { at }),
            // Floats and other simple values; nothing here takes them.
            _ if major == SIMPLE => return Err(DecodeError::Unexpected { at, expected }),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(DecodeError::Unexpected { at, expected }),
        };
        let argument = rest.get(..len).ok_or(DecodeError::Truncated { at })?;
        let argument = argument.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        if argument < smallest {
            return Err(DecodeError::NotShortest { at });
        }
        Ok(Head { major, argument, end: at + 1 + len })
    }
}

/// The keys of one map, which ascend.
pub(crate) struct Keys {
    what: &'static str,
    left: u64,
    last: Option<u64>,
}

impl Keys {
    /// Begins a map.
    pub(crate) fn of_map(reader: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        Ok(Self { what, left: reader.map(what)?, last: None })
    }

    /// Begins a map whose first key, 0, is its version.
    pub(crate) fn of_version(
        reader: &mut Reader<'_>,
        what: &'static str,
        version_name: &'static str,
        known: u64,
    ) -> Result<Self> {
        let mut keys = Self::of_map(reader, what)?;
        // Before anything else, so that a newer form is called newer and not broken.
        if keys.next(reader)? != Some(0) {
            return Err(DecodeError::Missing(version_name));
        }
        match reader.uint("a version number")? {
            version if version == known => Ok(keys),
            version => Err(DecodeError::UnknownVersion { what, version, known }),
        }
    }

    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<u64>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let at = reader.at();
        let key = reader.uint("a key, which is a number")?;
        if self.last.is_some_and(|last| last >= key) {
            return Err(DecodeError::Order { what: "keys", at });
        }
        self.last = Some(key);
        Ok(Some(key))
    }

    pub(crate) fn unknown(&self, key: u64) -> DecodeError {
        DecodeError::UnknownKey { what: self.what, key }
    }
}

/// Writes CBOR; heads come out in their shortest form, order is the caller's.
pub(crate) struct Writer(Encoder<Vec<u8>>);

/// A `Vec` as the target of an encoder cannot fail.
const NEVER: &str = "writing to a Vec does not fail";

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Encoder::new(Vec::new()))
    }

    /// With room for so many bytes, so that it need not grow.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(Encoder::new(Vec::with_capacity(bytes)))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_writer()
    }

    pub(crate) fn uint(&mut self, value: u64) -> &mut Self {
        self.0.u64(value).expect(NEVER);
        self
    }

    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        self.0.i64(value).expect(NEVER);
        self
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.0.bool(value).expect(NEVER);
        self
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.0.null().expect(NEVER);
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.bytes(value).expect(NEVER);
        self
    }

    pub(crate) fn bytes_or_null(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.0.str(value).expect(NEVER);
        self
    }

    pub(crate) fn time(&mut self, time: NoteTime) -> &mut Self {
        self.text(str::from_utf8(&time.text()).expect("all of it is ASCII"))
    }

    pub(crate) fn array(&mut self, len: usize) -> &mut Self {
        self.0.array(len as u64).expect(NEVER);
        self
    }

    pub(crate) fn map(&mut self, len: usize) -> &mut Self {
        self.0.map(len as u64).expect(NEVER);
        self
    }
}
