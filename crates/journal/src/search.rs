//! What a search line asks for, and whether and where a text has it.
//!
//! ```text
//! green tea        both words, anywhere            -milk  -"ice cream"  -#work    without these
//! "green tea"      next to each other              #work  @lin                    the tag, or one below it
//! gre*             a word that begins so           beijing  bj                    北京 as well
//! ```
//!
//! The index of a store is asked for what [`matches`] says, and every note that it offers is looked at with it, so
//! that both agree, whatever is folded.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use crate::pinyin::{Readings, Sound};
use crate::tags::{fold_tag, tags};
use crate::tokens::{Token, is_cjk, parts, placed};

/// What a search takes for the same; all of it, unless somebody says otherwise. Case and diacritics always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folds {
    /// Traditional and simplified characters.
    pub script: bool,
    /// Letters in full width and half width.
    pub width: bool,
    /// Chinese, and the letters of its pinyin.
    pub pinyin: bool,
}

impl Default for Folds {
    fn default() -> Self {
        Self { script: true, width: true, pinyin: true }
    }
}

impl Folds {
    /// Whether two tokens are the same.
    fn are_same(self, one: &Token, other: &Token) -> bool {
        one.word == other.word
            && (self.script || one.han == other.han)
            && (self.width || one.is_wide == other.is_wide)
    }

    /// Whether what the index has is all there is to compare.
    pub fn are_of_index(self) -> bool {
        self.script && self.width
    }
}

/// One thing that a search asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// This token.
    Word(Token),
    /// A token that begins like this.
    Prefix(Token),
    /// These tokens, next to each other and in this order; two at least.
    Phrase(Vec<Token>),
    /// This, or characters that sound like one of the readings.
    Sounding(Box<Self>, Readings),
}

/// What a note must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// A tag, by its folded name, or one below it.
    Tag(String),
    /// This.
    Term(Term),
}

/// A search line; all of it has to fit. The default asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchLine {
    /// What the text has to have.
    pub terms: Vec<Term>,
    /// Tags, by their folded names; one below it will do.
    pub tags: Vec<String>,
    /// What it must not have.
    pub not: Vec<Unwanted>,
    /// What is taken for the same.
    pub folds: Folds,
}

impl SearchLine {
    /// Reads a line; none is wrong.
    ///
    /// Parts are separated by space. `"several words"` (or `“…”`) is a phrase, `word*` is the beginning of a word, and
    /// a part that has several tokens (`手机`, `can't`, `2026年`) is a phrase as well. After an ideograph a `*`
    /// says nothing new. A `-` before a part that is no number means without it. What has no letter or digit asks for
    /// nothing.
    pub fn parse(line: &str, folds: Folds) -> Self {
        let mut parsed = Self { folds, ..Self::default() };
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let is_wanted = match minus(rest) {
                Some(after) => {
                    rest = after;
                    false
                }
                None => true,
            };
            let part = if let Some(inside) = rest.strip_prefix(QUOTES) {
                let end = inside.find(QUOTES).unwrap_or(inside.len());
                rest = inside[end..].strip_prefix(QUOTES).unwrap_or_default();
                parsed.phrase(&inside[..end])
            } else {
                let ends = |c: char| c.is_whitespace() || QUOTES.contains(&c);
                let end = rest.find(ends).unwrap_or(rest.len());
                let part = &rest[..end];
                rest = &rest[end..];
                parsed.part(part, is_wanted)
            };
            match (part, is_wanted) {
                (Part::Tag(tag), true) => parsed.tags.push(tag),
                (Part::Tag(tag), false) => parsed.not.push(Unwanted::Tag(tag)),
                (Part::Terms(terms), true) => parsed.terms.extend(terms),
                (Part::Terms(terms), false) => {
                    parsed.not.extend(terms.into_iter().map(Unwanted::Term));
                }
            }
            rest = rest.trim_start();
        }
        parsed
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.tags.is_empty() && self.not.is_empty()
    }

    /// Decides what words of letters may be pinyin that may be words of another language, too: those that no note has
    /// as a word. Until then they are not.
    ///
    /// # Errors
    ///
    /// Those of `is_written`, which says whether some note has a word.
    pub fn settle<E>(
        &mut self,
        mut is_written: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<(), E> {
        for term in &mut self.terms {
            if let Term::Sounding(written, readings) = term
                && !readings.loose.is_empty()
                && let Term::Word(word) = &**written
            {
                let loose = std::mem::take(&mut readings.loose);
                if !is_written(&word.word)? {
                    readings.sure.extend(loose);
                }
            }
        }
        // What has no reading left is what is written.
        for term in &mut self.terms {
            if let Term::Sounding(written, readings) = term
                && readings.sure.is_empty()
                && readings.loose.is_empty()
            {
                *term = (**written).clone();
            }
        }
        Ok(())
    }

    /// Whether a text with its tags is what is asked for, once the line is settled.
    pub fn fits(&self, text: &str) -> bool {
        let parts = self.parts(text);
        let has_tag = |wanted: &str| tags(text).iter().any(|tag| is_under(&tag.name, wanted));
        matches(&parts, &self.terms, self.folds)
            && self.tags.iter().all(|tag| has_tag(tag))
            && !self.not.iter().any(|not| match not {
                Unwanted::Tag(tag) => has_tag(tag),
                Unwanted::Term(term) => has(&parts, term, self.folds),
            })
    }

    /// Where a text has what is asked for: ranges of bytes from the first to the last, which do not touch.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        if self.terms.is_empty() {
            return Vec::new();
        }
        let (parts, places): (Vec<Token>, Vec<Range<usize>>) = placed(text).into_iter().unzip();
        let mut found: Vec<Range<usize>> = Vec::new();
        for term in &self.terms {
            each(&parts, term, self.folds, |range, _| {
                found.push(places[range.start].start..places[range.end - 1].end);
                true
            });
        }
        found.retain(|range| !range.is_empty());
        found.sort_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// How well a text fits that fits at all, from 0 on: what is written goes before what only sounds so, a whole word
    /// before one that begins so, often before once, a short text before a long one.
    pub fn rank(&self, text: &str) -> f64 {
        let parts = self.parts(text);
        let length = 0.5 + parts.len() as f64 / 40.0;
        let mut rank = 0.0;
        for term in &self.terms {
            let (mut best, mut times) = (0.0_f64, 0.0);
            each(&parts, term, self.folds, |_, closeness| {
                best = best.max(closeness);
                times += 1.0;
                true
            });
            rank += best * (0.4 + times / (times + length));
        }
        rank
    }

    /// The parts of a text, as far as they are told apart.
    fn parts(&self, text: &str) -> Vec<Token> {
        match self.folds.width {
            _ if self.terms.is_empty() && self.not.is_empty() => Vec::new(),
            true => parts(text),
            false => placed(text).into_iter().map(|(part, _)| part).collect(),
        }
    }

    fn phrase(&self, text: &str) -> Part {
        let tokens = placed(text).into_iter().map(|(token, _)| token).collect();
        Part::Terms(exact(tokens).into_iter().collect())
    }

    /// A part that is not between quotes.
    fn part(&self, part: &str, is_wanted: bool) -> Part {
        if part.starts_with(['#', '@', '＃', '＠'])
            && let [tag] = &tags(part.trim_end_matches(['/', '／']))[..]
            && fold_tag(part.trim_end_matches(['/', '／'])) == tag.name
        {
            return Part::Tag(tag.name.clone());
        }
        let begins = part.trim_end_matches(['*', '＊']);
        let mut tokens: Vec<Token> = placed(begins).into_iter().map(|(token, _)| token).collect();
        let wants_prefix = begins.len() < part.len()
            && tokens.last().is_some_and(|last| !last.word.starts_with(is_cjk));
        let prefix = if wants_prefix { tokens.pop() } else { None };
        let readings = match &tokens[..] {
            _ if !self.folds.pinyin || !is_wanted || wants_prefix => Readings::default(),
            [word] if word.han.is_none() => Readings::of(&with_umlaut(begins, word)),
            [] | [_] => Readings::default(),
            several => Readings::of_syllables(several),
        };
        let written = exact(tokens).map(|term| match readings == Readings::default() {
            true => term,
            false => Term::Sounding(Box::new(term), readings),
        });
        Part::Terms(written.into_iter().chain(prefix.map(Term::Prefix)).collect())
    }
}

/// Whether a text with these parts has all that is asked for. No terms: yes.
///
/// This is what an index has to agree with.
pub(crate) fn matches(parts: &[Token], terms: &[Term], folds: Folds) -> bool {
    terms.iter().all(|term| has(parts, term, folds))
}

/// Whether a tag is the wanted one or one below it: `a/b` is under `a`, `ab` is not.
fn is_under(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

const QUOTES: [char; 4] = ['"', '“', '”', '＂'];

enum Part {
    Tag(String),
    Terms(Vec<Term>),
}

/// What stands behind a minus that means without; a number with a minus is a number.
fn minus(part: &str) -> Option<&str> {
    let after = part.strip_prefix(['-', '－', '−'])?;
    let means_without =
        |c: char| c.is_alphabetic() || QUOTES.contains(&c) || matches!(c, '#' | '@' | '＃' | '＠');
    after.starts_with(means_without).then_some(after)
}

fn exact(mut tokens: Vec<Token>) -> Option<Term> {
    match tokens.len() {
        0 => None,
        1 => tokens.pop().map(Term::Word),
        _ => Some(Term::Phrase(tokens)),
    }
}

/// A word of pinyin as the tables have it: folded, but for its `ü`, which is a `v` there.
fn with_umlaut(written: &str, word: &Token) -> String {
    let parts: String = written.nfd().collect::<String>().to_lowercase();
    match parts.contains("u\u{308}") {
        true => parts.replace("u\u{308}", "v").chars().filter(char::is_ascii_lowercase).collect(),
        false => word.word.clone(),
    }
}

fn has(parts: &[Token], term: &Term, folds: Folds) -> bool {
    let mut has = false;
    each(parts, term, folds, |_, _| {
        has = true;
        false
    });
    has
}

/// Gives `take` the places of a term and how close each is to it, at most 1, until that has enough.
fn each(
    parts: &[Token],
    term: &Term,
    folds: Folds,
    mut take: impl FnMut(Range<usize>, f64) -> bool,
) {
    each_of(parts, term, folds, &mut take);
}

fn each_of(
    parts: &[Token],
    term: &Term,
    folds: Folds,
    take: &mut dyn FnMut(Range<usize>, f64) -> bool,
) -> bool {
    match term {
        Term::Word(word) => runs(parts, 1, 1.0, |run| folds.are_same(&run[0], word), take),
        Term::Prefix(start) => runs(
            parts,
            1,
            0.7,
            |run| {
                run[0].word.starts_with(&start.word)
                    && (folds.width || run[0].is_wide == start.is_wide)
            },
            take,
        ),
        Term::Phrase(phrase) => runs(
            parts,
            phrase.len(),
            1.0,
            |run| run.iter().zip(phrase).all(|(one, other)| folds.are_same(one, other)),
            take,
        ),
        Term::Sounding(written, readings) => {
            each_of(parts, written, folds, take)
                && readings.sure.iter().all(|sounds| {
                    let is_read = |run: &[Token]| {
                        let mut each = run.iter().zip(sounds);
                        each.all(|(part, sound)| part.han.is_some_and(|c| sound.fits(c)))
                    };
                    runs(parts, sounds.len(), 0.5, is_read, take)
                })
        }
    }
}

/// Says whether `take` wants more.
fn runs(
    parts: &[Token],
    len: usize,
    closeness: f64,
    is_it: impl Fn(&[Token]) -> bool,
    take: &mut dyn FnMut(Range<usize>, f64) -> bool,
) -> bool {
    let all = parts.windows(len.max(1)).enumerate();
    all.filter(|(_, run)| is_it(run)).all(|(at, run)| take(at..at + run.len(), closeness))
}

impl Term {
    /// What is written, where it may also be pinyin.
    pub fn written(&self) -> &Self {
        match self {
            Self::Sounding(written, _) => written,
            other => other,
        }
    }

    /// How it can be read as pinyin; nothing where it cannot.
    pub fn readings(&self) -> &[Vec<Sound>] {
        match self {
            Self::Sounding(_, readings) => &readings.sure,
            _ => &[],
        }
    }
}
