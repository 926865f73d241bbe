//! Names of things: chains, notes, and the hashes that tie changes together.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::hex::array_from_hex;

/// Why a text is no id or hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not as many hexadecimal digits as the id has, or something else among them.
    #[error("expected {0} hexadecimal digits")]
    Hex(usize),
    /// Not a UUID in its hyphenated form (RFC 9562 §4).
    #[error("expected a UUID such as 019ab2c4-7d10-7abc-8def-0123456789ab")]
    Uuid,
}

/// The random 128-bit id of a chain: one device's run of changes.
///
/// Text form: 32 hexadecimal digits, written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId([u8; 16]);

impl ChainId {
    /// The id with these bytes, which have to come from a good random source.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainId({self})")
    }
}

impl FromStr for ChainId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self)
    }
}

/// The id of a note: a UUID, version 7 when we make it (RFC 9562 §5.7), so that ids sort by time.
///
/// Text form: hyphenated, written in lower case. Ids made elsewhere may be of any version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteId([u8; 16]);

impl NoteId {
    /// A version 7 id from milliseconds since 1970 and ten random bytes.
    ///
    /// Six of the random bits make room for version and variant. A time before 1970 counts as 1970.
    pub fn new(unix_millis: i64, random: [u8; 10]) -> Self {
        let millis = unix_millis.max(0).unsigned_abs();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes())
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for NoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for NoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteId({self})")
    }
}

impl FromStr for NoteId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // The parser takes other spellings as well (braces, urn:, no hyphens); one spelling is enough.
        if text.len() != 36 {
            return Err(IdError::Uuid);
        }
        uuid::Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| IdError::Uuid)
    }
}

/// A SHA-256 (FIPS 180-4): of a change, of a content, or the running hash of a feed.
///
/// Text form: 64 hexadecimal digits, written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// All zero: the running hash of an empty feed.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of one run of bytes and then the other.
    pub(crate) fn of_both(first: &[u8], second: &[u8]) -> Self {
        Self(Sha256::new().chain_update(first).chain_update(second).finalize().into())
    }

    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first six digits, enough for a person to compare.
    pub fn short(&self) -> String {
        let digits = self.0[..3].iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    array_from_hex(text).ok_or(IdError::Hex(2 * N))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_show() {
        let chain = ChainId::from_bytes(std::array::from_fn(|i| i as u8 * 17));
        assert_eq!(chain.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(chain.to_string().parse(), Ok(chain));
        let hash = Hash::of(b"abc"); // FIPS 180-4's example
        assert_eq!(
            hash.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hash.short(), "ba7816");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(Hash::of_both(b"a", b"bc"), hash);
    }

    #[test]
    fn a_note_id_is_the_example_of_rfc_9562_a_6() {
        // RFC 9562 appendix A.6, with its version and variant bits already in the random part.
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        let id = NoteId::new(0x017f_22e2_79b0, random);
        assert_eq!(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(NoteId::new(-5, random) < id);
        assert!(NoteId::new(i64::MAX, random).to_string().starts_with("ffffffff-ffff-7"));
    }

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!("00".parse::<ChainId>(), Err(IdError::Hex(32)));
        assert_eq!("g".repeat(32).parse::<ChainId>(), Err(IdError::Hex(32)));
        assert_eq!("+f".repeat(16).parse::<ChainId>(), Err(IdError::Hex(32)));
        assert_eq!("水".repeat(11).get(..32).and(None::<Hash>), None);
        assert_eq!("水水水水水水水水水水11".parse::<ChainId>(), Err(IdError::Hex(32)));
        assert_eq!("017f22e279b07cc398c4dc0c0c07398f".parse::<NoteId>(), Err(IdError::Uuid));
        assert_eq!("{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}".parse::<NoteId>(), Err(IdError::Uuid));
    }
}
