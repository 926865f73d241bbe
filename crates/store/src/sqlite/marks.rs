//! What else a note can be found by, as words of the index: its journal, who wrote it, its tags.
//!
//! So a question for several of these and for words is one question to the index, which goes from note to note that
//! has everything; nobody looks at notes that have only a part of it. No text has such a word: each begins with a
//! character that is in no token.

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

/// The address of a client that has no chain of its own.
pub(super) fn source(address: &str) -> String {
    format!("{MARK}s{}", spelled(address))
}

/// How the marks of a host's ports begin.
pub(super) fn ports_of(host: &str) -> String {
    source(&format!("{host}:"))
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

    use suibi_journal::tokens;

    use super::*;

    #[test]
    fn marks_are_words_of_their_own_and_of_no_text() {
        let marks = [
            journal(JournalId(1)),
            chain(1),
            tag("1"),
            tag("shop"),
            tag("a/b"),
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
