//! The bytes of old clients: UTF-8, GB18030, or nobody knows what.

use std::borrow::Cow;

use encoding_rs::GB18030;

/// How a text was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// What everybody writes today.
    #[default]
    Utf8,
    /// The Chinese national standard, which contains GBK and GB2312.
    Gb18030,
    /// Neither of them: each byte is kept as the character of its number, so that no byte is lost.
    Latin1,
}

impl Encoding {
    /// The name that is kept with a note; `None` for UTF-8, which goes without saying.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Utf8 => None,
            Self::Gb18030 => Some("gb18030"),
            Self::Latin1 => Some("latin1"),
        }
    }

    /// The text that `bytes` stand for. [`Self::encode`] gives the same bytes back.
    pub fn decode(bytes: &[u8]) -> (Cow<'_, str>, Self) {
        if let Ok(text) = str::from_utf8(bytes) {
            return (text.into(), Self::Utf8);
        }
        match GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
            // The decoder takes a few bytes that the encoder writes otherwise; they would be lost.
            Some(text) if GB18030.encode(&text).0 == bytes => (text, Self::Gb18030),
            _ => (bytes.iter().copied().map(char::from).collect::<String>().into(), Self::Latin1),
        }
    }

    /// The bytes of `text`; a character that the encoding lacks becomes `?`.
    pub fn encode(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Self::Utf8 => text.as_bytes().into(),
            // It has all of Unicode.
            Self::Gb18030 => GB18030.encode(text).0,
            Self::Latin1 => {
                text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect::<Vec<u8>>().into()
            }
        }
    }

    /// The longest beginning of `text` that takes at most `max_bytes`, no character cut in two.
    pub fn cut(self, text: &str, max_bytes: usize) -> &str {
        let mut len = 0;
        let mut buf = [0; 4];
        for (at, character) in text.char_indices() {
            len += self.encode(character.encode_utf8(&mut buf)).len();
            if len > max_bytes {
                return &text[..at];
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chinese_of_both_kinds_is_read() {
        assert_eq!(Encoding::decode("今天".as_bytes()), ("今天".into(), Encoding::Utf8));
        assert_eq!(Encoding::decode(b"\xbd\xf1\xcc\xec"), ("今天".into(), Encoding::Gb18030));
        assert_eq!(Encoding::decode(b"caf\xe9"), ("café".into(), Encoding::Latin1));
    }

    #[test]
    fn a_cut_ends_between_characters_of_the_encoding() {
        assert_eq!(Encoding::Utf8.cut("今天", 5), "今");
        assert_eq!(Encoding::Gb18030.cut("今天", 3), "今");
        assert_eq!(Encoding::Gb18030.cut("今天", 4), "今天");
        assert_eq!(Encoding::Gb18030.cut("a😀", 4), "a");
        assert_eq!(Encoding::Latin1.cut("今天", 1), "今");
    }

    proptest! {
        #[test]
        fn no_byte_is_ever_lost(bytes: Vec<u8>) {
            let (text, encoding) = Encoding::decode(&bytes);
            prop_assert_eq!(&*encoding.encode(&text), &*bytes);
        }

        #[test]
        fn gb18030_has_every_character(text: String) {
            let bytes = Encoding::Gb18030.encode(&text).into_owned();
            let (back, encoding) = Encoding::decode(&bytes);
            // A few GB18030 texts happen to be UTF-8 as well, or are not taken back byte for byte.
            prop_assume!(encoding == Encoding::Gb18030);
            prop_assert_eq!(back, text);
        }
    }
}
