//! How a person names one note: `last`, a receipt or a part of one, an id.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The fewest digits of a hash that name a note; a receipt shows as many.
const MIN_HASH_DIGITS: usize = 6;
/// The fewest digits of an id. Ids begin with their time, so fewer say little.
const MIN_ID_DIGITS: usize = 8;
const ID_DIGITS: usize = 32;
const HASH_DIGITS: usize = 64;
/// Where the hyphens of a UUID stand (RFC 9562 §4).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The name of one note, as a person writes it.
///
/// | written | means |
/// | --- | --- |
/// | `last` | the last note of the listing |
/// | `#1284`, `1284` | the note of the change at this position of the server's feed |
/// | `#1284 · 3f9ac1` | the same, if the change's hash begins like this |
/// | `3f9ac1` | the note of a change whose hash begins like this |
/// | `019aae3f-2f60…` | the note whose id begins like this |
///
/// Which note that is, and whether it is one, only a store can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteName {
    /// The last note of the listing, deleted ones not counted.
    Last,
    /// A receipt: the position of a change in the server's feed, and how its hash begins, if that was said.
    Receipt {
        /// From 1.
        position: u64,
        /// At least six digits.
        hash: Option<Digits>,
    },
    /// Decimal digits without a mark: a position. If there is no such position and they are six or more, what
    /// [`Digits`](Self::Digits) means.
    Number {
        /// From 1.
        position: u64,
        /// The digits once more, where they are enough for a hash.
        digits: Option<Digits>,
    },
    /// How the hash of a change begins; with eight digits and more, perhaps the note's id.
    Digits(Digits),
    /// How the note's id begins: a UUID, of which at least one hyphen was written.
    Id(Digits),
}

/// The first hexadecimal digits of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits(String);

/// A text that names no note.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteNameError {
    /// Nothing but space.
    #[error("which note? write `last`, or the number of its receipt, such as `#1284`")]
    Empty,
    /// Digits of a hash, but too few to mean one note.
    #[error(
        "\"{0}\" is too short for a note: write all six digits of its receipt, such as `3f9ac1`, or its number, such as `#1284`"
    )]
    Short(String),
    /// Positions count from 1.
    #[error("\"{0}\" is the number of no note: the first one is `#1`")]
    Zero(String),
    /// Something else.
    #[error(
        "\"{0}\" names no note: write `last`, the number of its receipt (`#1284`), its digits (`3f9ac1`), or the note's id"
    )]
    Unknown(String),
}

impl NoteName {
    /// Reads what a person wrote. Case and space around it do not matter.
    ///
    /// # Errors
    /// When it cannot be the name of a note.
    pub fn parse(text: &str) -> Result<Self, NoteNameError> {
        let text = text.trim();
        let unknown = || NoteNameError::Unknown(text.to_owned());
        if text.is_empty() {
            return Err(NoteNameError::Empty);
        }
        if text.eq_ignore_ascii_case("last") {
            return Ok(Self::Last);
        }
        let marked = text.strip_prefix('#');
        // A receipt as it is printed, or with any space in place of the dot.
        let mut parts = marked
            .unwrap_or(text)
            .split(|c: char| c.is_whitespace() || c == '·')
            .filter(|part| !part.is_empty());
        let first = parts.next().ok_or_else(unknown)?;
        if let Some(hash) = parts.next() {
            let position = position(first).ok_or_else(unknown)?;
            let hash = hash_digits(hash, text)?;
            return match parts.next() {
                Some(_) => Err(unknown()),
                None => Ok(Self::Receipt { position, hash: Some(hash) }),
            };
        }
        if first.bytes().all(|byte| byte == b'0') && first.len() < MIN_HASH_DIGITS {
            return Err(NoteNameError::Zero(text.to_owned()));
        }
        match (marked, position(first)) {
            (Some(_), Some(position)) => Ok(Self::Receipt { position, hash: None }),
            (Some(_), None) => Err(unknown()),
            (None, Some(position)) => {
                let digits = hash_digits(first, text).ok();
                Ok(Self::Number { position, digits })
            }
            (None, None) if first.contains('-') => {
                id_digits(first).map(Self::Id).ok_or_else(unknown)
            }
            (None, None) => hash_digits(first, text).map(Self::Digits),
        }
    }
}

/// A position in decimal; no other spelling is one, and neither is what no feed reaches.
fn position(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|&position| is_plain && i64::try_from(position).is_ok())
}

fn hash_digits(digits: &str, text: &str) -> Result<Digits, NoteNameError> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) || digits.len() > HASH_DIGITS {
        return Err(NoteNameError::Unknown(text.to_owned()));
    }
    if digits.len() < MIN_HASH_DIGITS {
        return Err(NoteNameError::Short(text.to_owned()));
    }
    Ok(Digits(digits.to_ascii_lowercase()))
}

/// The digits of the beginning of a UUID whose hyphens stand where they belong.
fn id_digits(text: &str) -> Option<Digits> {
    let is_in_place = |(at, byte): (usize, u8)| match HYPHENS.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    };
    let digits: String =
        text.chars().filter(|&c| c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let is_id = text.bytes().enumerate().all(is_in_place)
        && (MIN_ID_DIGITS..=ID_DIGITS).contains(&digits.len());
    is_id.then_some(Digits(digits))
}

impl Digits {
    /// Whether they may be those of an id: there are eight to 32 of them.
    pub fn may_be_id(&self) -> bool {
        (MIN_ID_DIGITS..=ID_DIGITS).contains(&self.0.len())
    }

    /// Whether these bytes begin with the digits.
    pub fn begin(&self, bytes: &[u8]) -> bool {
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        self.0.len() <= bytes.len() * 2
            && self.0.chars().zip(nibbles).all(|(digit, nibble)| value(digit) == nibble)
    }

    /// The smallest and the largest `N` bytes that begin with the digits.
    pub fn range<const N: usize>(&self) -> ([u8; N], [u8; N]) {
        let (mut from, mut to) = ([0; N], [0xff; N]);
        for (at, digit) in self.0.chars().take(2 * N).enumerate() {
            let shift = if at % 2 == 0 { 4 } else { 0 };
            from[at / 2] |= value(digit) << shift;
            to[at / 2] &= value(digit) << shift | !(15 << shift);
        }
        (from, to)
    }
}

fn value(digit: char) -> u8 {
    digit.to_digit(16).expect("only hexadecimal digits are kept") as u8
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::Receipt { position, hash: Some(hash) } => write!(f, "#{position} · {hash}"),
            Self::Receipt { position, hash: None } => write!(f, "#{position}"),
            Self::Number { position, .. } => write!(f, "{position}"),
            Self::Digits(digits) => digits.fmt(f),
            Self::Id(digits) => {
                for (at, digit) in digits.0.chars().enumerate() {
                    let hyphen = if [8, 12, 16, 20].contains(&at) { "-" } else { "" };
                    write!(f, "{hyphen}{digit}")?;
                }
                // Without any hyphen it would be read as something else.
                if digits.0.len() == MIN_ID_DIGITS { f.write_str("-") } else { Ok(()) }
            }
        }
    }
}

impl FromStr for NoteName {
    type Err = NoteNameError;

    fn from_str(text: &str) -> Result<Self, NoteNameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Digits {
        Digits(text.to_owned())
    }

    #[test]
    fn notes_are_named_in_several_ways() {
        let receipt =
            |hash: Option<&str>| NoteName::Receipt { position: 1284, hash: hash.map(digits) };
        let number =
            |position, or: Option<&str>| NoteName::Number { position, digits: or.map(digits) };
        for (text, name) in [
            ("last", NoteName::Last),
            (" LAST ", NoteName::Last),
            ("1284", number(1284, None)),
            ("482913", number(482_913, Some("482913"))),
            ("#1284", receipt(None)),
            ("#1284 · 3f9ac1", receipt(Some("3f9ac1"))),
            ("#1284·3F9AC1", receipt(Some("3f9ac1"))),
            ("1284 3f9ac1", receipt(Some("3f9ac1"))),
            ("3f9ac1", NoteName::Digits(digits("3f9ac1"))),
            ("3F9AC1d", NoteName::Digits(digits("3f9ac1d"))),
            ("012345", NoteName::Digits(digits("012345"))),
            ("99999999999999999999", NoteName::Digits(digits("99999999999999999999"))),
            ("019aae3f-", NoteName::Id(digits("019aae3f"))),
            ("019AAE3F-2f60-7", NoteName::Id(digits("019aae3f2f607"))),
            (
                "019aae3f-2f60-7abc-8def-0123456789ab",
                NoteName::Id(digits("019aae3f2f607abc8def0123456789ab")),
            ),
        ] {
            assert_eq!(text.parse(), Ok(name.clone()), "{text}");
            assert_eq!(name.to_string().parse(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_names_no_note_is_told_what_would() {
        use NoteNameError::{Empty, Short, Unknown, Zero};
        let error = |text: &str| text.parse::<NoteName>().unwrap_err();
        assert_eq!(error("  "), Empty);
        assert_eq!(error("3f9"), Short("3f9".to_owned()));
        assert_eq!(error("#12 · 3f"), Short("#12 · 3f".to_owned()));
        assert_eq!([error("0"), error("#0")], ["0", "#0"].map(|text| Zero(text.to_owned())));
        let long = "a".repeat(65);
        for text in [
            "milk",
            "#milk",
            "#",
            "#3f9ac1",
            "-1",
            "1284 3f9ac1 x",
            "milk 3f9ac1",
            "019aae3-f2f6",
            "019aae3f-2f607",
            "019aae3f-2f60-7abc-8def-0123456789ab0",
            "#99999999999999999999",
            &long,
            "é9ac1f",
        ] {
            assert_eq!(error(text), Unknown(text.to_owned()));
        }
        assert_eq!(
            error("milk").to_string(),
            "\"milk\" names no note: write `last`, the number of its receipt (`#1284`), its digits (`3f9ac1`), \
             or the note's id"
        );
        assert_eq!(
            error("3f9").to_string(),
            "\"3f9\" is too short for a note: write all six digits of its receipt, such as `3f9ac1`, or its \
             number, such as `#1284`"
        );
    }

    #[test]
    fn digits_begin_bytes_and_bound_them() {
        let odd = digits("3f9");
        assert!(odd.begin(&[0x3f, 0x9a]) && odd.begin(&[0x3f, 0x90]));
        assert!(!odd.begin(&[0x3f, 0xa9]) && !odd.begin(&[0x3f]));
        assert_eq!(odd.range::<3>(), ([0x3f, 0x90, 0x00], [0x3f, 0x9f, 0xff]));
        assert_eq!(digits("3f9a").range::<2>(), ([0x3f, 0x9a], [0x3f, 0x9a]));
        assert_eq!([digits("3f9ac1d"), digits("3f9ac1de")].map(|d| d.may_be_id()), [false, true]);
    }
}
