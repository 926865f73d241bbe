//! Text becomes search tokens, Latin and CJK alike, with no dictionary.
//!
//! Words are cut by the Unicode word rules (UAX #29) and folded: width and diacritics (NFKD, UAX #15) and
//! case. Each ideograph, kana and Hangul syllable is a token of its own, and a query of several is a phrase,
//! so that every run of Chinese characters in a text is found, whatever a dictionary would call a word. Characters
//! are compared in simplified script.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use crate::han::simplified;

/// One token of a text or of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Folded, as the index has it.
    pub word: String,
    /// The character that it is, before traditional script became simplified; none for a word of letters.
    pub han: Option<char>,
    /// Whether it was written in full or half width, where that is not the usual one.
    pub is_wide: bool,
}

/// The tokens of a text, in its order.
///
/// A token is never empty, and its only ASCII characters are `a` to `z` and `0` to `9`: tokens joined by
/// spaces pass unchanged through any tokenizer that cuts at ASCII punctuation and folds nothing.
/// What joins words inside a Unicode word (`can't`, `example.com`, `snake_case`) cuts here, so that each part
/// is found.
pub fn tokens(text: &str) -> Vec<String> {
    let folded = fold_word(text);
    let mut tokens = Vec::new();
    cut(&folded, |range, han| tokens.push(word(&folded[range], han)));
    tokens
}

/// The same, with what else is known of each; how wide it was written, [`placed`] alone says.
pub(crate) fn parts(text: &str) -> Vec<Token> {
    let folded = fold_word(text);
    let mut parts = Vec::new();
    cut(&folded, |range, han| {
        parts.push(Token { word: word(&folded[range], han), han, is_wide: false });
    });
    parts
}

/// The same, with the place of each in the text as it was written. It takes longer.
pub(crate) fn placed(text: &str) -> Vec<(Token, Range<usize>)> {
    let mut folded = String::with_capacity(text.len());
    // What each piece of the text became, by its end.
    let mut ends = Vec::new();
    for (start, piece) in text.grapheme_indices(true) {
        folded.push_str(&fold_word(piece));
        ends.push((folded.len(), start..start + piece.len()));
    }
    if folded != fold_word(text) {
        // Something went into one piece across two of them: no place can be told.
        return parts(text).into_iter().map(|part| (part, 0..0)).collect();
    }
    let mut placed = Vec::new();
    cut(&folded, |range, han| {
        let first = ends.partition_point(|(end, _)| *end <= range.start);
        let last = ends.partition_point(|(end, _)| *end < range.end);
        let place = ends[first].1.start..ends[last].1.end;
        let is_wide = text[place.clone()].contains(|c| matches!(c, '\u{FF01}'..='\u{FFEF}'));
        placed.push((Token { word: word(&folded[range], han), han, is_wide }, place));
    });
    placed
}

fn word(folded: &str, han: Option<char>) -> String {
    han.map_or_else(|| folded.to_owned(), |han| simplified(han).to_string())
}

/// Gives `take` the places of the tokens in a folded text, and the character of those that are one.
fn cut(folded: &str, mut take: impl FnMut(Range<usize>, Option<char>)) {
    let mut at = 0;
    while at < folded.len() {
        let rest = &folded[at..];
        let words_end = rest.find(is_cjk).unwrap_or(rest.len());
        for (start, word) in rest[..words_end].unicode_word_indices() {
            let mut part_at = at + start;
            for part in word.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c)) {
                // Marks without a letter before them are left over from what they stood on.
                let bare = part.trim_start_matches(is_combining_mark);
                let end = part_at + part.len();
                if bare.contains(char::is_alphanumeric) {
                    take(end - bare.len()..end, None);
                }
                part_at = end + folded[end..].chars().next().map_or(0, char::len_utf8);
            }
        }
        at += words_end;
        let rest = &folded[at..];
        let cjk_end = rest.find(|c| !is_cjk(c)).unwrap_or(rest.len());
        for (start, c) in rest[..cjk_end].char_indices() {
            take(at + start..at + start + c.len_utf8(), Some(c));
        }
        at += cjk_end;
    }
}

/// Whether a character is a token of its own: ideographs of all planes, kana, bopomofo, Hangul.
pub(crate) fn is_cjk(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x11FF         // Hangul letters
        | 0x2E80..=0x2FDF       // radicals
        | 0x3005..=0x3007       // 々 〆 〇
        | 0x3021..=0x3029 | 0x3038..=0x303C
        | 0x3041..=0x3096 | 0x309D..=0x309F // hiragana
        | 0x30A1..=0x30FA | 0x30FC..=0x30FF // katakana
        | 0x3105..=0x312F | 0x31A0..=0x31BF // bopomofo
        | 0x3131..=0x318E       // Hangul letters that stand alone
        | 0x31F0..=0x31FF       // small katakana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF // ideographs
        | 0xA960..=0xA97C | 0xAC00..=0xD7A3 | 0xD7B0..=0xD7FB // Hangul
        | 0x16FE0..=0x18DFF     // iteration marks, Tangut, Khitan
        | 0x1AFF0..=0x1B2FF     // more kana, Nüshu
        | 0x20000..=0x3FFFD     // ideographs of the planes 2 and 3
    )
}

/// Folds width, diacritics and case; what is written differently but means the same becomes the same.
fn fold_word(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, others) = rest.split_at(rest.find(|c| !is_plain(c)).unwrap_or(rest.len()));
        folded.extend(plain.chars().map(|c| c.to_ascii_lowercase()));
        let (other, after) = others.split_at(others.find(is_plain).unwrap_or(others.len()));
        fold_any(other, &mut folded);
        rest = after;
    }
    folded
}

/// Whether all that a character needs is lower case: no mark that stays goes into one piece with it, nor does what
/// stands around it. Most texts have nothing else, and the tables of Unicode take longer than the index itself.
fn is_plain(c: char) -> bool {
    matches!(c, '\0'..='\x7f' | '\u{4E00}'..='\u{9FFF}')
}

/// The same for any text.
fn fold_any(text: &str, folded: &mut String) {
    if text.is_empty() {
        return;
    }
    let parts = text
        .nfkd()
        .filter(|c| !is_dropped(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ς' { 'σ' } else { c })
        // Lower case can bring marks of its own, and Hangul and kana go back into one piece.
        .nfkd()
        .filter(|c| !is_dropped(*c))
        .nfc();
    folded.extend(parts);
}

/// Marks that are diacritics in the narrow sense, and characters that only change the look.
///
/// Marks that make another letter stay: the voicing marks of kana, vowel signs.
fn is_dropped(c: char) -> bool {
    matches!(u32::from(c),
        0x00AD                  // soft hyphen
        | 0x0300..=0x036F | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F
        | 0x200B..=0x200D | 0x2060 | 0xFEFF
        | 0xFE00..=0xFE0F | 0xE0100..=0xE01EF // variation selectors
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All that has ever been said of characters that join, beside those that are plain.
    const RUDE: &str = "aEz09 -~好龥一鿿e\u{301}\u{323}\u{308}\u{338}\u{3099}\u{309A}\u{200D}\u{FE0F}ÅåİßſKΩςΣ\
        かヷﾊﾟ가각각ｆＵ２，。　㎏ﬁ½①豈\u{9BE}\u{9C7}\u{D3E}\u{D46}\u{1100}\u{1161}\u{110BA}\u{11099}\u{20E3}";

    proptest! {
        #[test]
        fn folding_piece_by_piece_is_folding_the_whole(
            rude in prop::collection::vec(prop::sample::select(RUDE.chars().collect::<Vec<_>>()), 0..12),
            any in any::<String>(),
        ) {
            for text in [rude.iter().collect::<String>(), any, rude.iter().rev().collect()] {
                let mut whole = String::new();
                fold_any(&text, &mut whole);
                prop_assert_eq!(fold_word(&text), whole, "{:?}", text);
            }
        }
    }

    #[test]
    fn nothing_goes_into_one_piece_with_a_plain_character() {
        let marks: Vec<char> = (0..=0x10_FFFF)
            .filter_map(char::from_u32)
            .filter(|c| !is_plain(*c) && (is_combining_mark(*c) || (is_cjk(*c) && *c < '\u{3400}')))
            .collect();
        for plain in ['a', 'Z', '0', '<', '=', '>', '好'] {
            for mark in &marks {
                for text in [String::from_iter([plain, *mark]), String::from_iter([*mark, plain])] {
                    let mut whole = String::new();
                    fold_any(&text, &mut whole);
                    assert_eq!(fold_word(&text), whole, "{text:?}");
                }
            }
        }
    }
}
