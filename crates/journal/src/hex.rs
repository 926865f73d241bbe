//! Bytes as hexadecimal digits.
//!
//! They may be those of a secret: no copy is left behind by a text or a list that had to grow.

/// Two digits in lower case for each byte.
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("four bits are a digit");
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        digits.push(digit(byte >> 4));
        digits.push(digit(byte & 15));
    }
    digits
}

/// The bytes of such digits, in either case.
pub fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len() / 2];
    fill(&mut bytes, digits)?;
    Some(bytes)
}

/// [`from_hex`] of exactly `N` bytes.
pub fn array_from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes, digits)?;
    Some(bytes)
}

/// `None` unless there are two digits for each byte.
fn fill(bytes: &mut [u8], digits: &str) -> Option<()> {
    if digits.len() != bytes.len() * 2 {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = (value(pair[0])? << 4 | value(pair[1])?) as u8;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_there_and_back() {
        let bytes = [0x00, 0x5f, 0xa9, 0xff];
        assert_eq!(to_hex(&bytes), "005fa9ff");
        assert_eq!(from_hex("005FA9ff"), Some(bytes.to_vec()));
        assert_eq!(from_hex(""), Some(Vec::new()));
        assert_eq!(["0", "0g", "é", "é0", "+1"].map(from_hex), [const { None }; 5]);
    }

    #[test]
    fn as_many_bytes_as_are_wanted_or_none() {
        assert_eq!(array_from_hex("0102"), Some([1, 2]));
        assert_eq!((array_from_hex::<1>("0102"), array_from_hex::<3>("0102")), (None, None));
    }
}
