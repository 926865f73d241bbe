//! Sender and Recipient IDs (RFC 8613 §3.1).

use std::fmt;

/// Names one side of a context: its Sender ID there, the other's Recipient ID. 0 to 7 bytes.
///
/// Seven is what the nonce of AES-CCM-16-64-128 leaves room for (RFC 8613 §3.3). It travels in
/// clear, and is shown in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyId {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl KeyId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 7;

    /// The id of these bytes; `None` above seven.
    pub const fn from_slice(slice: &[u8]) -> Option<Self> {
        if slice.len() > Self::MAX_LEN {
            return None;
        }
        let mut bytes = [0; Self::MAX_LEN];
        let mut at = 0;
        while at < slice.len() {
            bytes[at] = slice[at];
            at += 1;
        }
        Some(Self { bytes, len: slice.len() as u8 })
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_in_hex() {
        let id = KeyId::from_slice(&[0x00, 0xab]).unwrap();
        assert_eq!((id.to_string(), format!("{id:?}")), ("00ab".into(), "KeyId(00ab)".into()));
        assert_eq!(KeyId::default().to_string(), "");
    }

    #[test]
    fn length_tells_ids_apart() {
        let [none, one, two] = [&[][..], &[0], &[0, 0]].map(|id| KeyId::from_slice(id).unwrap());
        assert!(none != one && one != two);
        assert_eq!(one.as_slice(), [0]);
        assert!(KeyId::from_slice(&[0; 7]).is_some() && KeyId::from_slice(&[0; 8]).is_none());
    }
}
