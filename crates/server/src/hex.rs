//! Bytes as hexadecimal digits.

/// Two digits in lower case for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("four bits are a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of such digits, in either case.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        digits.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let is_even = pairs.remainder().is_empty();
    is_even.then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_back() {
        assert_eq!(hex(&[0, 0xa9, 0xff]), "00a9ff");
        assert_eq!(unhex("00A9ff"), Some(vec![0, 0xa9, 0xff]));
        assert_eq!([unhex("0"), unhex("0g"), unhex("é0")], [None, None, None]);
        assert_eq!(unhex(""), Some(Vec::new()));
    }
}
