//! What may have been meant by a search that found nothing.

use suibi_journal::pinyin::Sound;
use suibi_journal::{Folds, SearchLine, Term};

use super::index::Snapshot;
use super::near::near;
use crate::StoreError;

/// So many corrections are tried.
const MOST: usize = 6;

/// Another way to write a search.
pub(super) struct Suggestion {
    /// The whole line.
    pub(super) text: String,
    /// Letters in it that are pinyin for what is looked for: what a note has there is what was meant.
    pub(super) sounds: Option<String>,
}

/// Other ways to write a search line, the likeliest first. Whether they find something is not known.
pub(super) fn suggestions(
    index: &Snapshot<'_>,
    text: &str,
    folds: Folds,
) -> Result<Vec<Suggestion>, StoreError> {
    let mut suggestions = Vec::new();
    // What stands between quotes was meant.
    if text.contains(['"', '“', '”', '＂']) {
        return Ok(suggestions);
    }
    for part in text.split_whitespace() {
        let line = SearchLine::parse(part, folds);
        let [term] = &line.terms[..] else { continue };
        let instead = |word: &str| {
            let parts =
                text.split_whitespace().map(|other| if other == part { word } else { other });
            parts.collect::<Vec<_>>().join(" ")
        };
        match term.written() {
            Term::Word(word) if word.han.is_none() && !index.has(&word.word)? => {
                let slips = match word.word.chars().count() {
                    0..=2 => continue,
                    3..=4 => 1,
                    _ => 2,
                };
                for (_, word) in near(index, &word.word, slips)? {
                    suggestions.push(Suggestion { text: instead(&word), sounds: None });
                }
            }
            Term::Phrase(phrase) => {
                let sounds = phrase.iter().map(|token| token.han.and_then(Sound::of));
                if let Some(sounds) = sounds.collect::<Option<Vec<_>>>() {
                    let sounds: Vec<_> = sounds.iter().map(Sound::to_string).collect();
                    let sounds = sounds.join("'");
                    let text = instead(&sounds);
                    suggestions.push(Suggestion { text, sounds: Some(sounds) });
                }
            }
            _ => {}
        }
    }
    suggestions.truncate(MOST);
    Ok(suggestions)
}
