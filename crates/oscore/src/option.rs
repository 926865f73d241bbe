//! The value of the OSCORE option (RFC 8613 §6.1).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use suibi_coap::{OptionNumber, Options};

use crate::{KeyId, UnprotectError, nonce::PartialIv};

/// Three bits: the length of the Partial IV.
const PARTIAL_IV_LEN: u8 = 0b0000_0111;
const HAS_KID: u8 = 0b0000_1000;
const HAS_KID_CONTEXT: u8 = 0b0001_0000;
const RESERVED: u8 = 0b1110_0000;

/// The longest value but for the bytes of its kid context.
pub(crate) const MAX_FIXED_LEN: usize = 1 + PartialIv::MAX_LEN + 1 + KeyId::MAX_LEN;

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
        let mut values = options.get_all(OptionNumber::OSCORE);
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
    let mut buf = BytesMut::with_capacity(MAX_FIXED_LEN + kid_context.map_or(0, <[u8]>::len));
    put(&mut buf, partial_iv, kid_context, kid);
    buf.freeze()
}

/// [`encode`] behind what `buf` has already.
pub(crate) fn put(
    buf: &mut BytesMut,
    partial_iv: Option<PartialIv>,
    kid_context: Option<&[u8]>,
    kid: Option<KeyId>,
) {
    let start = buf.len();
    buf.put_u8(0);
    if let Some(partial_iv) = partial_iv {
        buf[start] |= partial_iv.as_slice().len() as u8;
        buf.put_slice(partial_iv.as_slice());
    }
    if let Some(kid_context) = kid_context {
        buf[start] |= HAS_KID_CONTEXT;
        buf.put_u8(u8::try_from(kid_context.len()).expect("at most 255 bytes were let in"));
        buf.put_slice(kid_context);
    }
    if let Some(kid) = kid {
        buf[start] |= HAS_KID;
        buf.put_slice(kid.as_slice());
    }
    // No flags at all is written as no byte at all.
    if buf[start] == 0 {
        buf.truncate(start);
    }
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

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    fn decode(value: &[u8]) -> Result<OscoreOption, UnprotectError> {
        OscoreOption::decode(&Bytes::copy_from_slice(value))
    }

    fn id(bytes: &[u8]) -> Option<KeyId> {
        Some(KeyId::from_slice(bytes).unwrap())
    }

    fn context(bytes: &'static [u8]) -> Option<KidContext> {
        Some(KidContext::new(bytes).unwrap())
    }

    #[test]
    fn the_examples_of_section_6_3_come_out_to_the_byte() {
        for (value, option) in [
            (
                &hex!("090525")[..],
                OscoreOption { partial_iv: Some(5), kid: id(b"\x25"), kid_context: None },
            ),
            (&hex!("0900"), OscoreOption { partial_iv: Some(0), kid: id(b""), kid_context: None }),
            (
                &hex!("19050544616c656b"),
                OscoreOption { partial_iv: Some(5), kid: id(b""), kid_context: context(b"Dalek") },
            ),
            (&hex!(""), OscoreOption::default()),
            (&hex!("0107"), OscoreOption { partial_iv: Some(7), kid: None, kid_context: None }),
        ] {
            assert_eq!(decode(value), Ok(option.clone()), "{value:02x?}");
            assert_eq!(option.encode(), value);
        }
    }

    #[test]
    fn values_that_are_not_strictly_right_are_refused() {
        let refused = [
            (&hex!("00")[..], "no flags, but a byte"),
            (&hex!("290500"), "a reserved bit"),
            (&hex!("490500"), "a reserved bit"),
            (&hex!("890500"), "a reserved bit"),
            (&hex!("0e010203040506"), "a Partial IV of six bytes"),
            (&hex!("0f01020304050607"), "a Partial IV of seven bytes"),
            (&hex!("0a05"), "a Partial IV that is cut off"),
            (&hex!("01"), "a Partial IV that is not there"),
            (&hex!("0a0005"), "a leading zero"),
            (&hex!("010500"), "bytes behind the end"),
            (&hex!("1105"), "a kid context without length"),
            (&hex!("11050201"), "a kid context that is cut off"),
            (&hex!("1105010101"), "bytes behind the kid context"),
        ];
        for (value, why) in refused {
            assert_eq!(decode(value), Err(UnprotectError::BadOption), "{why}");
        }
        assert_eq!(decode(&hex!("09050102030405060708")), Err(UnprotectError::UnknownContext));
    }

    #[test]
    fn two_options_are_refused() {
        let mut options = Options::new();
        assert_eq!(OscoreOption::of(&options), None);
        options.add(OptionNumber::OSCORE, &hex!("0900")[..]);
        assert!(OscoreOption::of(&options).unwrap().is_ok());
        options.add(OptionNumber::OSCORE, &hex!("0900")[..]);
        assert_eq!(OscoreOption::of(&options), Some(Err(UnprotectError::BadOption)));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(value in prop::collection::vec(any::<u8>(), 0..32)) {
            if let Ok(option) = decode(&value) {
                prop_assert_eq!(option.encode(), value);
            }
        }

        #[test]
        fn what_is_written_is_read_the_same(
            partial_iv in prop::option::of(0..1_u64 << 40),
            kid in prop::option::of(prop::collection::vec(any::<u8>(), 0..=7)),
            kid_context in prop::option::of(prop::collection::vec(any::<u8>(), 0..=255)),
        ) {
            let option = OscoreOption {
                partial_iv,
                kid: kid.map(|kid| KeyId::from_slice(&kid).unwrap()),
                kid_context: kid_context.map(|context| KidContext::new(context).unwrap()),
            };
            prop_assert_eq!(OscoreOption::decode(&option.encode()), Ok(option));
        }
    }
}
