//! The tags in a text: `#shop`, `@lin`, `#工作/会议`.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::tokens::is_cjk;

/// A tag as it stands in a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// `#` or `@`; the full-width forms count as these.
    pub sigil: char,
    /// The name, folded by [`fold_tag`].
    pub name: String,
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.sigil, self.name)
    }
}

/// The longest name of a tag, in characters; what is longer is a sentence without spaces.
const MAX_NAME_CHARS: usize = 100;

/// The tags of a text in the order of their first use, each name once.
///
/// A name has letters, digits, marks, `_` and inner `-` and `/`, and at least one letter and at most 100
/// characters: `#1` and `# Heading` are no tags. A sigil counts at the beginning, after space, after most punctuation and after a CJK character
/// (`今天#工作`), not inside of words, addresses (`me@example.com`) and URLs, and not when escaped (`\#`).
pub fn tags(text: &str) -> Vec<Tag> {
    let mut tags = Vec::<Tag>::new();
    let mut seen = BTreeSet::new();
    let mut before = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(len) = url_len(rest, before) {
            before = rest[..len].chars().next_back();
            rest = &rest[len..];
            continue;
        }
        let after = &rest[c.len_utf8()..];
        if let Some(sigil) = sigil(c)
            && before.is_none_or(may_stand_before)
        {
            let name = name_at(after);
            let is_address = sigil == '@' && before.is_some_and(is_cjk) && is_host(after, name);
            let folded = fold_tag(name);
            // Folding can bring in what is no part of a name: ¼ becomes 1⁄4.
            let folded = name_at(&folded);
            let fits = folded.chars().nth(MAX_NAME_CHARS).is_none();
            if folded.contains(char::is_alphabetic) && fits && !is_address {
                if seen.insert(folded.to_owned()) {
                    tags.push(Tag { sigil, name: folded.to_owned() });
                }
                before = name.chars().next_back();
                rest = &after[name.len()..];
                continue;
            }
        }
        before = Some(c);
        rest = after;
    }
    tags
}

/// A tag's name as it is compared and kept: width and case folded, diacritics kept; a sigil is left out.
pub fn fold_tag(name: &str) -> String {
    let name = name.strip_prefix(|c| sigil(c).is_some()).unwrap_or(name);
    let lower: String = name.nfkc().collect::<String>().to_lowercase();
    lower.nfkc().collect()
}

/// The tag that somebody asks for, as it is compared: folded, without sigil and closing strokes.
pub fn wanted_tag(name: &str) -> String {
    let name = name.trim_start_matches(|c| sigil(c).is_some());
    fold_tag(name.trim_end_matches(['/', '／']))
}

fn sigil(c: char) -> Option<char> {
    match c {
        '#' | '＃' => Some('#'),
        '@' | '＠' => Some('@'),
        _ => None,
    }
}

/// Whether a tag may begin right after this character.
fn may_stand_before(c: char) -> bool {
    const PARTS_OF_WORDS: &str = "_/\\#@&.-%$=";
    let is_word = c.is_alphanumeric() || is_combining_mark(c);
    is_cjk(c) || !(is_word || PARTS_OF_WORDS.contains(c) || sigil(c).is_some())
}

/// The name that a text begins with, as it is written.
fn name_at(text: &str) -> &str {
    let is_joint = |c: char| matches!(c, '-' | '/' | '－' | '／');
    let mut end = 0;
    let mut after_joint = true;
    for (at, c) in text.char_indices() {
        if c.is_alphanumeric() || is_combining_mark(c) || c == '_' {
            end = at + c.len_utf8();
            after_joint = false;
        } else if is_joint(c) && !after_joint {
            // Kept only if something follows.
            after_joint = true;
        } else {
            break;
        }
    }
    &text[..end]
}

/// Whether what follows an `@` goes on like a host name: `example.com`.
fn is_host(text: &str, name: &str) -> bool {
    let mut rest = text[name.len()..].chars();
    rest.next() == Some('.') && rest.next().is_some_and(|c| c.is_ascii_alphanumeric())
}

/// How long the URL is that a text begins with, if it does; `before` is the character before it.
fn url_len(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_ascii_alphanumeric())
        || !text.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return None;
    }
    let scheme = text
        .bytes()
        .take(32)
        .take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
        .count();
    let is_url = text[scheme..].starts_with("://") || text.get(..4)?.eq_ignore_ascii_case("www.");
    let ends = |c: char| {
        c.is_whitespace() || "<>\"`|".contains(c) || (!c.is_ascii() && !c.is_alphanumeric())
    };
    is_url.then(|| text.find(ends).unwrap_or(text.len()))
}
