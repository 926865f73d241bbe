//! Bytes of one datagram, in one allocation.

use bytes::Bytes;

/// What fits is kept beside the count of those who share it; `Bytes` of a vector allocate that count apart.
struct Short<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Short<N> {
    /// # Panics
    /// Above `N` bytes.
    fn put(bytes: &[u8]) -> Bytes {
        let mut short = Self { len: bytes.len(), bytes: [0; N] };
        short.bytes[..bytes.len()].copy_from_slice(bytes);
        Bytes::from_owner(short)
    }
}

impl<const N: usize> AsRef<[u8]> for Short<N> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The longest that takes one allocation: as long as most datagrams with a note in them are.
pub(crate) const MAX_LEN: usize = 256;

/// A copy that is going to be shared, as slices of a message are: up to 256 bytes take one allocation with the count of
/// those who share them.
pub fn shared(bytes: &[u8]) -> Bytes {
    match bytes.len() {
        0..=64 => Short::<64>::put(bytes),
        65..=128 => Short::<128>::put(bytes),
        129..=MAX_LEN => Short::<MAX_LEN>::put(bytes),
        _ => Bytes::copy_from_slice(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_any_length_has_the_same_bytes() {
        let bytes: Vec<u8> = (0..600_u32).map(|byte| byte as u8).collect();
        for len in 0..bytes.len() {
            let copy = shared(&bytes[..len]);
            assert_eq!(copy, bytes[..len]);
            assert_eq!(copy.slice(len / 3..), bytes[len / 3..len]);
        }
    }
}
