//! The value of the OSCORE option (RFC 8613 §6.1).

use std::fmt;

use bytes::{BufMut, Bytes};
use suibi_coap::{OptionNumber, Options};

use crate::{KeyId, UnprotectError, nonce::PartialIv};

/// The number of the option that makes a message an OSCORE message (RFC 8613 §2).
pub(crate) const OSCORE: OptionNumber = OptionNumber(9);

/// Three bits: the length of the Partial IV.
const PARTIAL_IV_LEN: u8 = 0b0000_0111;
const HAS_KID: u8 = 0b0000_1000;
const HAS_KID_CONTEXT: u8 = 0b0001_0000;
const RESERVED: u8 = 0b1110_0000;

/// What a protected message says in clear about how to open it.
///
/// ```text
///   0 1 2 3 4 5 6 7
///  |0 0 0|h|k|  n  |  Partial IV (n bytes)  |  s  kid context (s bytes)  |  kid (the rest)
///                                              if h                         if k
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OscoreOption {
    /// The sender's number of this message, below 2^40. Every request has one.
    pub partial_iv: Option<u64>,
    /// The sender's id. Every request has one.
    pub kid: Option<KeyId>,
    /// The ID Context, where the sender thinks that the receiver needs it.
    pub kid_context: Option<KidContext>,
}

/// An ID Context as it travels: 0 to 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KidContext(Bytes);

impl OscoreOption {
    /// The option of a message; `None` if it is not protected.
    pub fn of(options: &Options) -> Option<Result<Self, UnprotectError>> {
        let mut values = options.get_all(OSCORE);
        let value = values.next()?;
        // The option is critical and not repeatable (§2).
        Some(if values.next().is_some() {
            Err(UnprotectError::BadOption)
        } else {
            Self::decode(value)
        })
    }

    /// Reads a value, which shares its bytes with the result.
    ///
    /// # Errors
    /// [`UnprotectError::BadOption`] where it is cut off, too long, not in its shortest form, or
    /// has reserved bits set; [`UnprotectError::UnknownContext`] if the kid is longer than any.
    pub fn decode(value: &Bytes) -> Result<Self, UnprotectError> {
        let Some((&flags, mut rest)) = value.split_first() else { return Ok(Self::default()) };
        // No flags at all is written as no byte at all.
        if flags & RESERVED != 0 || flags == 0 {
            return Err(UnprotectError::BadOption);
        }
        let mut take = |len: usize| {
            let (taken, others) = rest.split_at_checked(len).ok_or(UnprotectError::BadOption)?;
            rest = others;
            Ok(taken)
        };
        let partial_iv = match usize::from(flags & PARTIAL_IV_LEN) {
            0 => None,
            len => Some(PartialIv::decode(take(len)?).ok_or(UnprotectError::BadOption)?),
        };
        let kid_context = if flags & HAS_KID_CONTEXT != 0 {
            let len = usize::from(take(1)?[0]);
            Some(KidContext(value.slice_ref(take(len)?)))
        } else {
            None
        };
        let kid = if flags & HAS_KID != 0 {
            Some(KeyId::from_slice(rest).ok_or(UnprotectError::UnknownContext)?)
        } else if rest.is_empty() {
            None
        } else {
            return Err(UnprotectError::BadOption);
        };
        Ok(Self { partial_iv, kid, kid_context })
    }

    /// Writes the value. A Partial IV of 2^40 or more has no place in it, and is left out.
    pub fn encode(&self) -> Bytes {
        let partial_iv = self.partial_iv.and_then(PartialIv::new);
        encode(partial_iv, self.kid_context.as_ref().map(KidContext::as_slice), self.kid)
    }
}

/// Writes an option value from its parts; `kid_context` has at most 255 bytes.
pub(crate) fn encode(
    partial_iv: Option<PartialIv>,
    kid_context: Option<&[u8]>,
    kid: Option<KeyId>,
) -> Bytes {
    let mut value = Vec::with_capacity(
        2 + PartialIv::MAX_LEN + KeyId::MAX_LEN + kid_context.map_or(0, <[u8]>::len),
    );
    value.push(0);
    if let Some(partial_iv) = partial_iv {
        value[0] |= partial_iv.as_slice().len() as u8;
        value.put_slice(partial_iv.as_slice());
    }
    if let Some(kid_context) = kid_context {
        let kid_context = &kid_context[..kid_context.len().min(KidContext::MAX_LEN)];
        value[0] |= HAS_KID_CONTEXT;
        value.push(kid_context.len() as u8);
        value.put_slice(kid_context);
    }
    if let Some(kid) = kid {
        value[0] |= HAS_KID;
        value.put_slice(kid.as_slice());
    }
    if value == [0] { Bytes::new() } else { value.into() }
}

impl KidContext {
    /// The longest one that can be written, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The ID Context of these bytes; `None` above 255.
    pub fn new(bytes: impl Into<Bytes>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() <= Self::MAX_LEN).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KidContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KidContext(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
