//! A place in a folded text, and what can be read from there.

use crate::numeral;

/// The rest of a text. Reading gives the place behind what was read; the old one stays where it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'t>(pub(crate) &'t str);

impl<'t> Scan<'t> {
    pub(crate) fn is_end(self) -> bool {
        self.0.trim_start().is_empty()
    }

    pub(crate) fn skip_blanks(self) -> Self {
        Self(self.0.trim_start())
    }

    /// Exactly these characters, right here.
    pub(crate) fn literal(self, text: &str) -> Option<Self> {
        self.0.strip_prefix(text).map(Self)
    }

    /// These characters after blanks. A word of letters must not go on.
    pub(crate) fn word(self, text: &str) -> Option<Self> {
        let rest = self.skip_blanks().literal(text)?;
        let is_latin = text.ends_with(|c: char| c.is_ascii_alphanumeric());
        let goes_on = rest.0.starts_with(|c: char| c.is_ascii_alphanumeric());
        (!(is_latin && goes_on)).then_some(rest)
    }

    /// Words one after the other: `day before yesterday`.
    pub(crate) fn words(self, text: &str) -> Option<Self> {
        text.split(' ').try_fold(self, |scan, word| scan.word(word))
    }

    /// The first of several that is here.
    pub(crate) fn any(self, words: &[&str]) -> Option<Self> {
        words.iter().find_map(|word| self.words(word))
    }

    /// The same, or nothing read.
    pub(crate) fn maybe(self, words: &[&str]) -> Self {
        self.any(words).unwrap_or(self)
    }

    /// A number in ASCII digits, all that are there, right here; with how many.
    pub(crate) fn digits(self) -> Option<(i32, usize, Self)> {
        let len = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 || len > 8 {
            return None;
        }
        Some((self.0[..len].parse().ok()?, len, Self(&self.0[len..])))
    }

    /// A number of one or two digits, after blanks.
    pub(crate) fn small(self) -> Option<(i32, Self)> {
        let (number, len, rest) = self.skip_blanks().digits()?;
        (len <= 2).then_some((number, rest))
    }

    /// A number in ASCII digits or in Chinese, after blanks.
    pub(crate) fn number(self) -> Option<(i32, Self)> {
        let here = self.skip_blanks();
        match here.digits() {
            Some((number, _, rest)) => Some((number, rest)),
            None => numeral::chinese(here),
        }
    }

    /// How many: also `a`, `two`, `a couple of`.
    pub(crate) fn count(self) -> Option<(i32, Self)> {
        self.number().or_else(|| numeral::english(self))
    }
}
