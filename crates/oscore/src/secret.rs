//! Key bytes that nobody gets to see by accident.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that keys are made from: 1 to 64 of them.
///
/// They are overwritten when dropped, compared in constant time, and `Debug` shows their number.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The longest secret, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A secret of these bytes; `None` if there is none, or more than [`Secret::MAX_LEN`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (1..=Self::MAX_LEN).contains(&bytes.len()).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Takes the same time wherever the bytes differ; how many there are is no secret.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_alone() {
        let secret = Secret::from_bytes(&[0x5a; 32]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(32 bytes)");
        assert_eq!(format!("{secret:#?}"), "Secret(32 bytes)");
    }

    #[test]
    fn every_byte_counts_in_a_comparison() {
        let secret = Secret::from_bytes(&[7; 16]).unwrap();
        assert_eq!(secret, secret.clone());
        assert_ne!(secret, Secret::from_bytes(&[7; 17]).unwrap());
        for at in 0..16 {
            let mut bytes = [7; 16];
            bytes[at] ^= 1;
            assert_ne!(secret, Secret::from_bytes(&bytes).unwrap());
        }
    }

    #[test]
    fn a_secret_has_1_to_64_bytes() {
        for (len, is_secret) in [(0, false), (1, true), (64, true), (65, false)] {
            assert_eq!(Secret::from_bytes(&vec![1; len]).is_some(), is_secret, "{len}");
        }
    }
}
