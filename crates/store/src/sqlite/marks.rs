//! What else a note can be found by, as words of the index: its journal, who wrote it, its tags.
//!
//! So a question for several of these and for words is one question to the index, which goes from note to note that
//! has everything; nobody looks at notes that have only a part of it. No text has such a word: each begins with a
//! character that is in no token. The sounds of Chinese are such words, too.

use suibi_journal::pinyin::Pair;

use crate::JournalId;

/// A character for private use, which is neither letter nor digit, and for the tokenizer of the index no gap.
const MARK: char = '\u{e000}';

/// The journal of a note.
pub(super) fn journal(journal: JournalId) -> String {
    format!("{MARK}j{}", journal.0)
}

/// The chain of the change that is shown.
pub(super) fn chain(id: i64) -> String {
    format!("{MARK}c{id}")
}

/// A tag by its folded name.
pub(super) fn tag(name: &str) -> String {
    format!("{MARK}t{}", spelled(name))
}

/// How the marks of the tags below a tag begin.
pub(super) fn tags_below(name: &str) -> String {
    tag(&format!("{name}/"))
}

/// A star.
pub(super) fn star() -> String {
    format!("{MARK}x")
}

/// The address of a client that has no chain of its own.
pub(super) fn source(address: &str) -> String {
    format!("{MARK}s{}", spelled(address))
}

/// How the marks of a host's ports begin.
pub(super) fn ports_of(host: &str) -> String {
    source(&format!("{host}:"))
}

/// The sounds of two characters that stand next to each other. First come the first letters of both, so that all pairs
/// with these letters stand together.
pub(super) fn pair((one, other): Pair) -> String {
    let ((a, one), (b, other)) = (one.place(), other.place());
    let numbers = MARK as u32 + 0x400 + u32::from(one) * 64 + u32::from(other);
    format!("{}{}", letters(a, b), char::from_u32(numbers).expect("for private use"))
}

/// How the marks of all pairs with these first letters begin, 0 for `a`.
pub(super) fn letters(one: u8, other: u8) -> char {
    let letters = MARK as u32 + 0x100 + u32::from(one) * 26 + u32::from(other);
    char::from_u32(letters).expect("for private use")
}

/// The tokenizer cuts at ASCII characters that are no letters and digits, and folds capitals: each of these becomes one
/// for private use.
fn spelled(text: &str) -> String {
    let spell = |c: char| match c {
        'a'..='z' | '0'..='9' => c,
        '\0'..='\x7f' => char::from_u32(MARK as u32 + 0x80 + c as u32).expect("for private use"),
        _ => c,
    };
    text.chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use suibi_journal::han::Syllable;
    use suibi_journal::tokens;

    use super::*;

    #[test]
    fn every_pair_of_sounds_has_a_mark_of_its_own() {
        let all: Vec<Syllable> = Syllable::all().collect();
        let mut marks = BTreeSet::from([tag("a"), journal(JournalId(1))]);
        let before = marks.len();
        for one in &all {
            for other in &all {
                let mark = pair((*one, *other));
                assert!(mark.starts_with(letters(one.place().0, other.place().0)));
                // For private use, and beyond what `spelled` makes.
                assert!(mark.chars().all(|c| ('\u{e100}'..='\u{f8ff}').contains(&c)), "{mark:?}");
                marks.insert(mark);
            }
        }
        assert_eq!(marks.len() - before, all.len() * all.len());
    }

    #[test]
    fn marks_are_words_of_their_own_and_of_no_text() {
        let marks = [
            journal(JournalId(1)),
            chain(1),
            tag("1"),
            tag("shop"),
            tag("a/b"),
            star(),
            tag("a-b"),
            tag("家"),
            source("[::1]:5683"),
            source("127.0.0.1:5683"),
            source("127.0.0.1"),
        ];
        assert_eq!(marks.iter().collect::<BTreeSet<_>>().len(), marks.len());
        for mark in &marks {
            let has_gap = mark.contains(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
            assert!(!has_gap, "{mark:?} would be cut");
            assert!(!tokens(mark).contains(mark), "a text with {mark:?} has the mark");
            let sentence = format!("so {mark} it");
            assert!(tokens(&sentence).iter().all(|token| !token.contains(MARK)), "{sentence:?}");
        }
        assert!(source("127.0.0.1:5683").starts_with(&ports_of("127.0.0.1")));
        assert!(!source("127.0.0.11:5683").starts_with(&ports_of("127.0.0.1")));
    }
}
