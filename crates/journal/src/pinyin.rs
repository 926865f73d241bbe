//! Chinese by its sound: what letters may be pinyin for, and the sounds of a text.
//!
//! Letters alone do not say whether they are an English word, whole pinyin (`beijing`), the beginning of it (`beij`), or
//! first letters (`bj`). What they surely can be is looked for always; what may well be an English word (`he`, `wan`,
//! `made`) only where no note has it as a word.

use std::collections::BTreeSet;
use std::fmt;

use crate::han::{self, Syllable, readings, simplified};
use crate::tokens::{Token, parts};

/// A word of letters is pinyin for so many characters at most, and so many of its readings are tried.
const MOST_SYLLABLES: usize = 24;
const MOST_READINGS: usize = 16;

/// What one character has to sound like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sound {
    /// The syllable, or how it begins.
    start: String,
    is_whole: bool,
}

impl Sound {
    /// Whether a syllable is what is wanted.
    pub fn is(&self, syllable: Syllable) -> bool {
        let name = syllable.name();
        if self.is_whole { name == self.start } else { name.starts_with(&self.start) }
    }

    /// Whether a character can be read so.
    pub fn fits(&self, c: char) -> bool {
        readings(c).any(|syllable| self.is(syllable))
    }

    /// The characters that can be read so, in the form in which they are compared, each with how it is read most often.
    pub fn characters(&self) -> BTreeSet<(Syllable, char)> {
        let fitting = han::read_characters().filter(|c| self.fits(*c));
        fitting.filter_map(|c| Some((readings(c).next()?, simplified(c)))).collect()
    }

    /// The letter that it begins with, if nothing else is asked for.
    pub fn only_letter(&self) -> Option<u8> {
        match self.start.as_bytes() {
            [letter] if !self.is_whole => Some(*letter - b'a'),
            _ => None,
        }
    }

    /// As a character sounds that is read so.
    pub fn of(c: char) -> Option<Self> {
        readings(c)
            .next()
            .map(|syllable| Self { start: syllable.name().to_owned(), is_whole: true })
    }
}

impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.start)
    }
}

/// What a word of letters can be read as: sounds of characters that stand next to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// Whole syllables, two at least; or first letters of which none is a vowel.
    pub sure: Vec<Vec<Sound>>,
    /// One syllable, syllables of which the last has only begun, first letters with vowels.
    pub loose: Vec<Vec<Sound>>,
}

impl Readings {
    /// Of one word as it is folded, with the `ü` told from the `u`: as `v`.
    pub fn of(word: &str) -> Self {
        let mut found = Self::default();
        if (2..=MOST_SYLLABLES * 6).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_lowercase())
        {
            let mut all = Vec::new();
            cut(word, &mut Vec::new(), &mut all);
            all.extend(initials(word));
            for sounds in all {
                let is_sure = sounds.len() > 1
                    && (sounds.iter().all(|sound| sound.is_whole)
                        || (!word.contains(['a', 'e', 'o', 'y'])
                            && sounds.iter().all(|sound| !sound.is_whole)));
                let to = if is_sure { &mut found.sure } else { &mut found.loose };
                to.push(sounds);
            }
        }
        found
    }

    /// Of words that are a syllable each, as `xi'an` is cut.
    pub(crate) fn of_syllables(words: &[Token]) -> Self {
        let all = words.len() <= MOST_SYLLABLES
            && words.iter().all(|token| Syllable::all().any(|all| all.name() == token.word));
        let sound = |token: &Token| Sound { start: token.word.clone(), is_whole: true };
        let sure = if all { vec![words.iter().map(sound).collect()] } else { Vec::new() };
        Self { sure, loose: Vec::new() }
    }
}

/// All ways to cut a word into whole syllables, of which the last may only have begun.
fn cut(word: &str, before: &mut Vec<Sound>, found: &mut Vec<Vec<Sound>>) {
    if word.is_empty() {
        found.push(before.clone());
        return;
    }
    // The longest first: what is most likely meant has the fewest syllables.
    for len in (1..=word.len().min(6)).rev() {
        if found.len() >= MOST_READINGS || before.len() >= MOST_SYLLABLES {
            return;
        }
        let start = &word[..len];
        let is_whole = Syllable::all().any(|syllable| syllable.name() == start);
        let is_begun = || Syllable::all().any(|syllable| syllable.name().starts_with(start));
        if is_whole || (len == word.len() && !before.is_empty() && is_begun()) {
            before.push(Sound { start: start.to_owned(), is_whole });
            cut(&word[len..], before, found);
            before.pop();
        }
    }
}

/// A word as first letters, if each of its letters is one; `zh`, `ch` and `sh` are two.
fn initials(word: &str) -> Option<Vec<Sound>> {
    let begins = |letter: &str| Syllable::all().any(|syllable| syllable.name().starts_with(letter));
    let letters = (0..word.len()).map(|at| &word[at..=at]);
    let sound = |letter: &str| Sound { start: letter.to_owned(), is_whole: false };
    (word.len() <= MOST_SYLLABLES && letters.clone().all(begins))
        .then(|| letters.map(sound).collect())
}

/// The sounds of two characters next to each other.
pub type Pair = (Syllable, Syllable);

/// What an index keeps of a text: its tokens in their order, and the sounds of each two characters that stand next to
/// each other, each as it is read most often.
pub fn indexed(text: &str) -> (Vec<String>, BTreeSet<Pair>) {
    let parts = parts(text);
    let mut pairs = BTreeSet::new();
    let mut before = None;
    for part in &parts {
        let syllable = part.han.and_then(|c| readings(c).next());
        pairs.extend(before.zip(syllable));
        before = syllable;
    }
    (parts.into_iter().map(|part| part.word).collect(), pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(readings: &[Vec<Sound>]) -> Vec<String> {
        let one = |sound: &Sound| match sound.is_whole {
            true => sound.start.clone(),
            false => format!("{}…", sound.start),
        };
        readings.iter().map(|sounds| sounds.iter().map(one).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn letters_are_syllables_or_first_letters() {
        for (word, sure, loose) in [
            ("beijing", "bei jing", "bei jin g…"),
            ("xian", "xi an", "xian"),
            ("bj", "b… j…", ""),
            ("zg", "z… g…", ""),
            ("aq", "", "a… q…"),
            ("my", "", "m… y…"),
            ("cha", "", "cha"),
            ("beij", "", "bei j…"),
            ("lvse", "lv se", ""),
        ] {
            let found = Readings::of(word);
            assert_eq!(written(&found.sure).first().map_or("", String::as_str), sure, "{word}");
            let loose_ones = written(&found.loose);
            assert!(loose.is_empty() || loose_ones.contains(&loose.to_owned()), "{loose_ones:?}");
        }
        // These are of English alone.
        for word in ["milk", "bought", "i", "w1", "über", "with", ""] {
            assert_eq!(Readings::of(word).sure, Vec::<Vec<Sound>>::new(), "{word}");
        }
    }

    #[test]
    fn no_word_has_many_readings() {
        let long = "xianxianxianxianxianxianxianxianxianxianxian";
        for word in [long, &"a".repeat(100), &"n".repeat(144), &"z".repeat(5_000)] {
            let Readings { sure, loose } = Readings::of(word);
            assert!(sure.len() + loose.len() <= 2 * MOST_READINGS);
        }
    }

    #[test]
    fn characters_have_all_their_readings() {
        let reads = |c, syllable: &str| readings(c).any(|all| all.name() == syllable);
        assert!(reads('行', "xing") && reads('行', "hang"));
        assert!(reads('重', "zhong") && reads('重', "chong"));
        assert!(reads('乐', "le") && reads('乐', "yue"));
        assert!(reads('绿', "lv") && reads('女', "nv"));
        assert_eq!(readings('a').count() + readings('あ').count() + readings('😀').count(), 0);
        for syllable in Syllable::all() {
            assert!(!syllable.name().is_empty());
            assert!(syllable.name().bytes().all(|b| b.is_ascii_lowercase()), "{}", syllable.name());
        }
    }

    #[test]
    fn characters_next_to_each_other_make_a_pair() {
        let names = |text| -> Vec<String> {
            indexed(text).1.iter().map(|(a, b)| format!("{} {}", a.name(), b.name())).collect()
        };
        assert_eq!(names("北京 and 北，京"), ["bei jing"]);
        assert_eq!(names("北 a 京"), Vec::<String>::new());
        assert_eq!(names("看書"), ["kan shu"]);
    }
}
