//! Text becomes search tokens, Latin and CJK alike, with no dictionary.
//!
//! Words are cut by the Unicode word rules (UAX #29) and folded: width and diacritics (NFKD, UAX #15) and
//! case. Each ideograph, kana and Hangul syllable is a token of its own, and a query of several is a phrase,
//! so that every run of Chinese characters in a text is found, whatever a dictionary would call a word.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// One thing that a search asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// This token.
    Word(String),
    /// A token that begins like this.
    Prefix(String),
    /// These tokens, next to each other and in this order.
    Phrase(Vec<String>),
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
    let mut rest = folded.as_str();
    while !rest.is_empty() {
        let words_end = rest.find(is_cjk).unwrap_or(rest.len());
        let (words, from_cjk) = rest.split_at(words_end);
        for word in words.unicode_words() {
            let parts = word.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c));
            // Marks without a letter before them are left over from what they stood on.
            let parts = parts.map(|part| part.trim_start_matches(is_combining_mark));
            let parts = parts.filter(|part| part.contains(char::is_alphanumeric));
            tokens.extend(parts.map(str::to_owned));
        }
        let cjk_end = from_cjk.find(|c| !is_cjk(c)).unwrap_or(from_cjk.len());
        tokens.extend(from_cjk[..cjk_end].chars().map(String::from));
        rest = &from_cjk[cjk_end..];
    }
    tokens
}

/// What a search line asks for; all of it must be found.
///
/// Parts are separated by space. `"several words"` (or `“…”`) is a phrase, `word*` is the beginning of a word, and
/// a part that has several tokens (`手机`, `can't`, `2026年`) is a phrase as well. After an ideograph a `*`
/// says nothing new. A line without any letter or digit asks for nothing and has no terms.
pub fn parse_search(q: &str) -> Vec<Term> {
    const QUOTES: [char; 4] = ['"', '“', '”', '＂'];
    let mut terms = Vec::new();
    for (index, stretch) in q.split(QUOTES).enumerate() {
        // Every second stretch stands between quotes.
        if index % 2 == 1 {
            terms.extend(exact(tokens(stretch)));
            continue;
        }
        for part in stretch.split_whitespace() {
            let begins = part.trim_end_matches(['*', '＊']);
            let mut part_tokens = tokens(begins);
            let wants_prefix = begins.len() < part.len()
                && part_tokens.last().is_some_and(|last| !last.starts_with(is_cjk));
            let prefix = if wants_prefix { part_tokens.pop() } else { None };
            terms.extend(exact(part_tokens));
            terms.extend(prefix.map(Term::Prefix));
        }
    }
    terms
}

/// Whether a text with these tokens has all that is asked for. No terms: yes.
///
/// This is what an index has to agree with.
pub fn matches(text_tokens: &[String], terms: &[Term]) -> bool {
    terms.iter().all(|term| match term {
        Term::Word(word) => text_tokens.contains(word),
        Term::Prefix(prefix) => text_tokens.iter().any(|token| token.starts_with(prefix)),
        Term::Phrase(phrase) => {
            phrase.is_empty() || text_tokens.windows(phrase.len()).any(|run| run == phrase)
        }
    })
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

fn exact(mut tokens: Vec<String>) -> Option<Term> {
    match tokens.len() {
        0 => None,
        1 => tokens.pop().map(Term::Word),
        _ => Some(Term::Phrase(tokens)),
    }
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
