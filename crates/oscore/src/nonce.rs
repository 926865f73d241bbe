//! What goes into the cipher besides key and plaintext (RFC 8613 §5.2, §5.4).

use crate::KeyId;

/// Length of the nonce of AES-CCM-16-64-128, in bytes.
pub(crate) const NONCE_LEN: usize = 13;
/// Where the Partial IV starts in a nonce.
const PARTIAL_IV_AT: usize = NONCE_LEN - PartialIv::MAX_LEN;

/// A sender's number as it travels: big-endian, without leading zeros, 0 being one byte (§5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartialIv {
    /// All five bytes, leading zeros included.
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl PartialIv {
    pub(crate) const MAX_LEN: usize = 5;
    /// The numbers end here (§7.2.1).
    pub(crate) const LIMIT: u64 = 1 << 40;

    /// `None` from [`PartialIv::LIMIT`] on.
    pub(crate) fn new(number: u64) -> Option<Self> {
        if number >= Self::LIMIT {
            return None;
        }
        let [_, _, _, bytes @ ..] = number.to_be_bytes();
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        Some(Self { bytes, len: (Self::MAX_LEN - zeros).max(1) as u8 })
    }

    /// The number in these bytes; `None` unless they are its shortest form.
    pub(crate) fn decode(bytes: &[u8]) -> Option<u64> {
        if !(1..=Self::MAX_LEN).contains(&bytes.len()) || bytes.len() > 1 && bytes[0] == 0 {
            return None;
        }
        Some(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[Self::MAX_LEN - usize::from(self.len)..]
    }
}

/// The nonce of the message that `id` gave the number `partial_iv` (§5.2).
///
/// ```text
///  | size of id | id, zeros before it | Partial IV, zeros before it |   XOR Common IV
///       1 byte        7 bytes                   5 bytes
/// ```
pub(crate) fn nonce(
    common_iv: &[u8; NONCE_LEN],
    id: KeyId,
    partial_iv: PartialIv,
) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    let id = id.as_slice();
    nonce[0] = id.len() as u8;
    nonce[PARTIAL_IV_AT - id.len()..PARTIAL_IV_AT].copy_from_slice(id);
    nonce[PARTIAL_IV_AT..].copy_from_slice(&partial_iv.bytes);
    for (byte, iv) in nonce.iter_mut().zip(common_iv) {
        *byte ^= iv;
    }
    nonce
}

/// The additional data: COSE's Encrypt0 structure around OSCORE's external_aad (§5.4).
///
/// It is that of the request, in the request and in all its answers.
pub(crate) struct Aad {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

/// `["Encrypt0", h'', external_aad]` in CBOR, up to the bytes of the last.
const ENCRYPT0: &[u8] = b"\x83\x68Encrypt0\x40";
/// `[1, [10], request_kid, request_piv, h'']` in CBOR, up to the first id: version, AES-CCM-16-64-128.
const EXTERNAL_AAD: &[u8] = &[0x85, 0x01, 0x81, 0x0a];
/// Major type 2 of CBOR, a byte string; its length is below 24 in all of these.
const BYTES: u8 = 0x40;

impl Aad {
    const MAX_LEN: usize =
        ENCRYPT0.len() + 1 + EXTERNAL_AAD.len() + 1 + KeyId::MAX_LEN + 1 + PartialIv::MAX_LEN + 1;

    /// Of the request that `kid` gave the number `partial_iv`. There are no Class I options.
    pub(crate) fn new(kid: KeyId, partial_iv: PartialIv) -> Self {
        let mut aad = Self { bytes: [0; Self::MAX_LEN], len: 0 };
        let kid = kid.as_slice();
        let partial_iv = partial_iv.as_slice();
        let external_len = EXTERNAL_AAD.len() + 1 + kid.len() + 1 + partial_iv.len() + 1;
        aad.put(ENCRYPT0);
        aad.put(&[BYTES | external_len as u8]);
        aad.put(EXTERNAL_AAD);
        aad.put(&[BYTES | kid.len() as u8]);
        aad.put(kid);
        aad.put(&[BYTES | partial_iv.len() as u8]);
        aad.put(partial_iv);
        aad.put(&[BYTES]);
        aad
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn aad(kid: &[u8], number: u64) -> Vec<u8> {
        let kid = KeyId::from_slice(kid).unwrap();
        Aad::new(kid, PartialIv::new(number).unwrap()).as_slice().to_vec()
    }

    #[test]
    fn the_additional_data_are_those_of_section_5_4_and_appendix_c() {
        assert_eq!(aad(b"", 20), hex!("8368456e63727970743040488501810a40411440"));
        assert_eq!(aad(b"\x00", 20), hex!("8368456e63727970743040498501810a4100411440"));
        assert_eq!(aad(b"\x00", 0x25), hex!("8368456e63727970743040498501810a4100412540"));
    }

    #[test]
    fn the_longest_ids_fit_the_additional_data() {
        let aad = aad(&[0xaa; 7], PartialIv::LIMIT - 1);
        assert_eq!(aad.len(), Aad::MAX_LEN);
        assert_eq!(aad, hex!("8368456e63727970743040538501810a47aaaaaaaaaaaaaa45ffffffffff40"));
    }

    #[test]
    fn the_nonces_are_those_of_c_4_to_c_8() {
        let partial_iv = PartialIv::new(20).unwrap();
        let id = |id: &[u8]| KeyId::from_slice(id).unwrap();
        for (common_iv, id, expected) in [
            (hex!("4622d4dd6d944168eefb54987c"), id(b""), hex!("4622d4dd6d944168eefb549868")),
            (hex!("be35ae297d2dace910c52e99f9"), id(b"\0"), hex!("bf35ae297d2dace910c52e99ed")),
            (hex!("2ca58fb85ff1b81c0b7181b85e"), id(b""), hex!("2ca58fb85ff1b81c0b7181b84a")),
        ] {
            assert_eq!(nonce(&common_iv, id, partial_iv), expected);
        }
    }

    #[test]
    fn ids_that_differ_in_leading_zeros_have_nonces_of_their_own() {
        let partial_iv = PartialIv::new(1).unwrap();
        let [none, one, two] = [&[][..], &[0], &[0, 0]]
            .map(|id| nonce(&[0; 13], KeyId::from_slice(id).unwrap(), partial_iv));
        assert!(none != one && one != two && none != two);
    }

    #[test]
    fn a_partial_iv_is_as_short_as_can_be() {
        for (number, bytes) in [
            (0, &hex!("00")[..]),
            (0xff, &hex!("ff")),
            (0x100, &hex!("0100")),
            (PartialIv::LIMIT - 1, &hex!("ffffffffff")),
        ] {
            assert_eq!(PartialIv::new(number).unwrap().as_slice(), bytes);
            assert_eq!(PartialIv::decode(bytes), Some(number));
        }
        assert_eq!(PartialIv::new(PartialIv::LIMIT), None);
        for rude in [&hex!("")[..], &hex!("0000"), &hex!("0001"), &hex!("010000000000")] {
            assert_eq!(PartialIv::decode(rude), None, "{rude:02x?}");
        }
    }
}
