//! Two versions of a note become one, over the version that both come from.
//!
//! Text is merged line by line. What only one side changed is taken as that side has it, also where the
//! other side changed the line beside it; lines that both added at the same place are kept from both. Where
//! both changed the same lines, words are tried in the same way, and every ideograph counts as a word
//! (UAX #29), so that a Chinese paragraph of a single line merges as well. Only what still clashes is shown
//! twice: the lines of one side, then those of the other, without marks that somebody would have to clean up.
//!
//! Which of two sides is the first is the caller's to say ([`fold`](crate::fold::fold): the smaller hash).
//! It decides nothing but the order of what is shown from both, and who wins where only one can be.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::diff::{Hunk, TooMuch, Work, diff, numbered};
use crate::{Body, Content, Extras, MAX_TEXT_BYTES, NoteTime};

/// What a note is at one point of its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version<'a> {
    /// None: deleted, or its content was erased.
    pub(crate) text: Option<Cow<'a, str>>,
    pub(crate) time: NoteTime,
    pub(crate) extras: Cow<'a, Extras>,
}

/// A text put together from two.
#[derive(Debug, PartialEq, Eq)]
struct Merged<'a> {
    text: Cow<'a, str>,
    has_clash: bool,
}

/// The version that has what each side changed, and whether their texts clash. `base` is what both come from;
/// without one (not yet here, or none) whatever differs clashes.
///
/// A text wins against none. Time and each of the extras are three-way as well; where both sides changed one,
/// the first side's is taken.
pub(crate) fn merge<'a>(
    base: Option<&Version<'a>>,
    first: Version<'a>,
    second: Version<'a>,
    work: &mut Work,
) -> Result<(Version<'a>, bool), TooMuch> {
    let (text, has_clash) = match (first.text, second.text) {
        (Some(first), Some(second)) => {
            let base = base.and_then(|base| base.text.as_deref());
            let merged = texts(base, first, second, work)?;
            (Some(merged.text), merged.has_clash)
        }
        (first, second) => (first.or(second), false),
    };
    let time = *choose(base.map(|base| &base.time), &first.time, &second.time);
    let extras = extras(base.map(|base| &*base.extras), first.extras, second.extras);
    Ok((Version { text, time, extras }, has_clash))
}

/// The side that changed it; where both did, the first.
fn choose<'v, T: PartialEq + ?Sized>(base: Option<&'v T>, first: &'v T, second: &'v T) -> &'v T {
    if base == Some(first) { second } else { first }
}

/// Extras name by name. Should they become too large together, the first side's.
fn extras<'a>(
    base: Option<&Extras>,
    first: Cow<'a, Extras>,
    second: Cow<'a, Extras>,
) -> Cow<'a, Extras> {
    if first == second {
        return first;
    }
    let mut together = Extras::new();
    for name in first.keys().chain(second.keys()) {
        let base = base.and_then(|base| base.get(name));
        let (first, second) = (first.get(name), second.get(name));
        if let Some(value) = choose(Some(&base), &first, &second) {
            together.insert(name.clone(), (*value).clone());
        }
    }
    let content = Content { salt: [0; 16], body: Body::Deleted, extras: together };
    if content.check_limits().is_ok() { Cow::Owned(content.extras) } else { first }
}

/// The text that has what each side changed.
fn texts<'a>(
    base: Option<&str>,
    first: Cow<'a, str>,
    second: Cow<'a, str>,
    work: &mut Work,
) -> Result<Merged<'a>, TooMuch> {
    if first == second || base == Some(&*second) {
        return Ok(Merged { text: first, has_clash: false });
    }
    if base == Some(&*first) {
        return Ok(Merged { text: second, has_clash: false });
    }
    work.spend(base.map_or(0, str::len) + first.len() + second.len())?;
    let lines = |text| str::split(text, '\n').collect::<Vec<_>>();
    let (first, second) = (lines(&first), lines(&second));
    let mut page = Page::default();
    match base {
        Some(base) => page.three_way(&lines(base), &first, &second, work)?,
        None => page.two_way(&first, &second, work)?,
    }
    let text = page.lines.join("\n");
    if text.len() > MAX_TEXT_BYTES {
        return Err(TooMuch);
    }
    Ok(Merged { text: text.into(), has_clash: page.has_clash })
}

/// A merged text as it grows.
#[derive(Debug, Default)]
struct Page<'t> {
    lines: Vec<Cow<'t, str>>,
    has_clash: bool,
}

impl<'t> Page<'t> {
    fn three_way(
        &mut self,
        base: &[&'t str],
        first: &[&'t str],
        second: &[&'t str],
        work: &mut Work,
    ) -> Result<(), TooMuch> {
        for part in align(base, first, second, Nearness::Overlap, work)? {
            match part {
                Part::Same { base: lines } => self.push(&base[lines]),
                Part::First { side, .. } => self.push(&first[side]),
                Part::Second { side, .. } => self.push(&second[side]),
                Part::Both { base: lines, first: one, second: other } => {
                    self.both(&base[lines], &first[one], &second[other], work)?;
                }
            }
        }
        Ok(())
    }

    /// Without an ancestor: what is the same stands once, what differs clashes.
    fn two_way(
        &mut self,
        first: &[&'t str],
        second: &[&'t str],
        work: &mut Work,
    ) -> Result<(), TooMuch> {
        let [one, other] = numbered([first, second]);
        let mut at = 0;
        for Hunk { old, new } in diff(&one, &other, work)? {
            self.push(&first[at..old.start]);
            at = old.end;
            self.one_after_the_other(&first[old], &second[new]);
            self.has_clash = true;
        }
        self.push(&first[at..]);
        Ok(())
    }

    /// Lines that both sides changed.
    fn both(
        &mut self,
        base: &[&'t str],
        first: &[&'t str],
        second: &[&'t str],
        work: &mut Work,
    ) -> Result<(), TooMuch> {
        if first == second || base == second {
            self.push(first);
        } else if base == first {
            self.push(second);
        } else if base.is_empty() {
            // Both only added, as two people do at the end of a list: nobody's words are in question.
            self.one_after_the_other(first, second);
        } else if base.len() > 1 && base.len() == first.len() && base.len() == second.len() {
            for line in 0..base.len() {
                let line = line..=line;
                self.both(&base[line.clone()], &first[line.clone()], &second[line], work)?;
            }
        } else if let Some(text) = words(base, first, second, work)? {
            self.lines.extend(text.split('\n').map(|line| Cow::Owned(line.to_owned())));
        } else {
            self.one_after_the_other(first, second);
            self.has_clash = true;
        }
        Ok(())
    }

    /// The lines of one side, then those of the other; what they have in common at the ends, once.
    fn one_after_the_other(&mut self, first: &[&'t str], second: &[&'t str]) {
        let mut start = first.iter().zip(second).take_while(|(one, other)| one == other).count();
        let rest = first.len().min(second.len()) - start;
        let (one, other) = (first.iter().rev(), second.iter().rev());
        let end = one.zip(other).take(rest).take_while(|(one, other)| one == other).count();
        // An empty line belongs to the paragraph below it, so each side keeps its own.
        while start > 0 && first[start - 1].trim().is_empty() {
            start -= 1;
        }
        self.push(&first[..first.len() - end]);
        self.push(&second[start..]);
    }

    fn push(&mut self, lines: &[&'t str]) {
        self.lines.extend(lines.iter().map(|line| Cow::Borrowed(*line)));
    }
}

/// Lines that both sides changed, merged by words; nothing when words clash as well.
///
/// Each side has to leave more than half of the words as they were: from less, a sentence would be made that
/// nobody wrote.
fn words(
    base: &[&str],
    first: &[&str],
    second: &[&str],
    work: &mut Work,
) -> Result<Option<String>, TooMuch> {
    if first.is_empty() || second.is_empty() {
        return Ok(None);
    }
    let [base, first, second] = [base, first, second].map(|lines| lines.join("\n"));
    work.spend(base.len() + first.len() + second.len())?;
    let words = |text| str::split_word_bounds(text).collect::<Vec<_>>();
    let (base, first, second) = (words(&base), words(&first), words(&second));
    let counted =
        |words: &[&str]| words.iter().filter(|word| word.contains(char::is_alphanumeric)).count();
    let (mut text, mut by_first, mut by_second) = (String::new(), 0, 0);
    for part in align(&base, &first, &second, Nearness::Touch, work)? {
        let shown = match part {
            Part::Same { base: same } => &base[same],
            Part::First { base: changed, side } => {
                by_first += counted(&base[changed]);
                &first[side]
            }
            Part::Second { base: changed, side } => {
                by_second += counted(&base[changed]);
                &second[side]
            }
            Part::Both { first: one, second: other, .. } => {
                if first[one.clone()] != second[other] {
                    return Ok(None);
                }
                &first[one]
            }
        };
        text.extend(shown.iter().copied());
    }
    let is_kept = 2 * by_first.max(by_second) < counted(&base);
    Ok(is_kept.then_some(text))
}

/// A stretch of three aligned runs of tokens.
#[derive(Debug)]
enum Part {
    /// As it was, on both sides.
    Same { base: Range<usize> },
    /// Changed by the first side alone.
    First { base: Range<usize>, side: Range<usize> },
    /// Changed by the second side alone.
    Second { base: Range<usize>, side: Range<usize> },
    /// Changed by both, perhaps alike.
    Both { base: Range<usize>, first: Range<usize>, second: Range<usize> },
}

/// When two changes are one part.
#[derive(Debug, Clone, Copy)]
enum Nearness {
    /// Lines: when they change the same token, or insert at the same place.
    Overlap,
    /// Words: already when nothing stands between them.
    Touch,
}

impl Nearness {
    fn joins(self, one: &Range<usize>, other: &Range<usize>) -> bool {
        match self {
            Self::Overlap => one == other || (one.start < other.end && other.start < one.end),
            Self::Touch => one.start <= other.end && other.start <= one.end,
        }
    }
}

/// Aligns both sides with what they come from, from the beginning to the end.
fn align(
    base: &[&str],
    first: &[&str],
    second: &[&str],
    nearness: Nearness,
    work: &mut Work,
) -> Result<Vec<Part>, TooMuch> {
    let [base, first, second] = numbered([base, first, second]);
    let (first, second) = (diff(&base, &first, work)?, diff(&base, &second, work)?);
    let (mut first, mut second) = (&first[..], &second[..]);
    let mut parts = Vec::new();
    // How far each run is told.
    let (mut at, mut at_first, mut at_second) = (0, 0, 0);
    loop {
        let ahead = [first.first(), second.first()];
        let next = ahead.into_iter().flatten().map(|hunk| &hunk.old);
        let Some(next) = next.min_by_key(|old| (old.start, old.end)) else { break };
        let mut range = next.clone();
        let (mut ours, mut theirs) = (0, 0);
        loop {
            if let Some(hunk) = first.get(ours).filter(|hunk| nearness.joins(&range, &hunk.old)) {
                range.end = range.end.max(hunk.old.end);
                ours += 1;
            } else if let Some(hunk) =
                second.get(theirs).filter(|hunk| nearness.joins(&range, &hunk.old))
            {
                range.end = range.end.max(hunk.old.end);
                theirs += 1;
            } else {
                break;
            }
        }
        let same = range.start - at;
        if same > 0 {
            parts.push(Part::Same { base: at..range.start });
        }
        let side = |hunks: &[Hunk], at: usize| {
            let longer: usize = hunks.iter().map(|hunk| hunk.new.len()).sum();
            let shorter: usize = hunks.iter().map(|hunk| hunk.old.len()).sum();
            at + same..at + same + range.len() + longer - shorter
        };
        let (by_first, by_second) =
            (side(&first[..ours], at_first), side(&second[..theirs], at_second));
        (at, at_first, at_second) = (range.end, by_first.end, by_second.end);
        parts.push(match (ours, theirs) {
            (_, 0) => Part::First { base: range, side: by_first },
            (0, _) => Part::Second { base: range, side: by_second },
            _ => Part::Both { base: range, first: by_first, second: by_second },
        });
        (first, second) = (&first[ours..], &second[theirs..]);
    }
    if at < base.len() {
        parts.push(Part::Same { base: at..base.len() });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The merged text, and whether it clashes.
    fn merged(base: &str, first: &str, second: &str) -> (String, bool) {
        over(Some(base), first, second)
    }

    fn over(base: Option<&str>, first: &str, second: &str) -> (String, bool) {
        let work = &mut Work::for_one_note();
        let merged = texts(base, first.into(), second.into(), work).unwrap();
        (merged.text.into_owned(), merged.has_clash)
    }

    fn clean(text: &str) -> (String, bool) {
        (text.to_owned(), false)
    }

    fn clash(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    #[test]
    fn lines_changed_apart_come_together() {
        let base = "shopping\nmilk\nbread\ntea";
        let (first, second) = ("shopping\nmilk, 2 l\nbread\ntea", "shopping\nmilk\nbread\n绿茶");
        assert_eq!(merged(base, first, second), clean("shopping\nmilk, 2 l\nbread\n绿茶"));
        // Also next to each other, and where one took out what stands beside.
        assert_eq!(merged("a\nb\nc", "a\nB\nc", "a\nb\nC"), clean("a\nB\nC"));
        assert_eq!(merged("a\nb\nc", "a\nc", "a\nb\nc\nd"), clean("a\nc\nd"));
        assert_eq!(merged("a\nb", "A\nb", "new\na\nb"), clean("new\nA\nb"));
    }

    #[test]
    fn what_both_add_to_a_list_is_kept_from_both() {
        assert_eq!(
            merged("买：\n牛奶", "买：\n牛奶\n面包", "买：\n牛奶\n茶"),
            clean("买：\n牛奶\n面包\n茶")
        );
        assert_eq!(merged("a", "a\nb\nc", "a\nb\nd"), clean("a\nb\nc\nd"), "b once");
        assert_eq!(merged("a", "a\nb", "a\nb"), clean("a\nb"));
        assert_eq!(
            merged("a", "a\n\none\n", "a\n\nother\n"),
            clean("a\n\none\n\nother\n"),
            "paragraphs stay apart"
        );
    }

    #[test]
    fn words_changed_apart_in_one_line_come_together() {
        assert_eq!(
            merged(
                "tea with Lin at 3, cake",
                "tea with Lin at 4, cake",
                "coffee with Lin at 3, cake"
            ),
            clean("coffee with Lin at 4, cake")
        );
        assert_eq!(
            merged("明天下午三点和小林喝茶", "明天下午四点和小林喝茶", "明天下午三点和小林喝咖啡"),
            clean("明天下午四点和小林喝咖啡")
        );
        // The one added a line below as well.
        assert_eq!(
            merged("周三下午开会", "周四下午开会\n带电脑", "周三下午两点开会"),
            clean("周四下午两点开会\n带电脑")
        );
        assert_eq!(
            merged("one two three\n一二三四", "1 two three\n甲二三四", "one two 3\n一二三丁"),
            clean("1 two 3\n甲二三丁"),
            "line by line"
        );
    }

    #[test]
    fn what_clashes_is_shown_in_both_versions_one_line_after_the_other() {
        assert_eq!(
            merged("call Lin\nat 3 pm\nbye", "call Lin\nat 4 pm\nbye", "call Lin\nat 5 pm\nbye"),
            clash("call Lin\nat 4 pm\nat 5 pm\nbye")
        );
        assert_eq!(merged("周三开会", "周四开会", "周五开会"), clash("周四开会\n周五开会"));
        // Next to each other in one sentence: nobody wrote 四刻.
        assert_eq!(
            merged("下午三点在老地方见", "下午四点在老地方见", "下午三刻在老地方见"),
            clash("下午四点在老地方见\n下午三刻在老地方见")
        );
        // Of these words too few are left to make a sentence from.
        assert_eq!(merged("call mum", "call dad", "email mum"), clash("call dad\nemail mum"));
        // Only the line that clashes is there twice.
        assert_eq!(
            merged("a\nb b b\nc", "A\nb b 1\nc", "a\nb b 2\nc"),
            clash("A\nb b 1\nb b 2\nc")
        );
    }

    #[test]
    fn lines_taken_out_by_one_and_changed_by_the_other_stay_and_clash() {
        assert_eq!(merged("a\nb\nc", "a\nc", "a\nB\nc"), clash("a\nB\nc"));
        assert_eq!(merged("a\nb\nc\nd", "a\nd", "a\nb\nnew\nc\nd"), clash("a\nb\nnew\nc\nd"));
    }

    #[test]
    fn without_an_ancestor_the_same_lines_stand_once_and_the_others_clash() {
        assert_eq!(over(None, "a\nb\nc", "a\nB\nc"), clash("a\nb\nB\nc"));
        assert_eq!(over(None, "茶", "咖啡"), clash("茶\n咖啡"));
        assert_eq!(over(None, "茶", "茶"), clean("茶"));
        assert_eq!(merged("", "茶", "咖啡"), clash("茶\n咖啡"));
    }

    #[test]
    fn the_longest_texts_do_not_take_long() {
        let text = |line: fn(u32) -> u32| {
            let mut text = String::new();
            while text.len() < MAX_TEXT_BYTES - 8 {
                let number = u32::try_from(text.len() / 4).unwrap();
                text += &format!("{}\n", line(number));
            }
            text
        };
        let base = text(|line| line);
        let first = base.replacen("\n7000\n", "\nseven\n", 1);
        let second = base.replacen("\n90001\n", "\nninety\n", 1);
        let together = first.replacen("\n90001\n", "\nninety\n", 1);
        assert_ne!((&base, &base), (&first, &second));
        assert_eq!(merged(&base, &first, &second), clean(&together));

        // Nothing alike: both versions would be longer than a note can be.
        let other = text(|line| line + 1_000_000);
        let changed = text(|line| line + 2_000_000);
        let work = &mut Work::for_one_note();
        let too_long = texts(Some(&base), (&other).into(), (&changed).into(), work);
        assert_eq!(too_long, Err(TooMuch));
        let [base, other, changed] = [&base, &other, &changed].map(|text| &text[..299_999]);
        assert_eq!(over(Some(base), other, changed), clash(&format!("{other}\n{changed}")));

        // One line of 340,000 ideographs.
        let line = "随笔记一行字不换".repeat(MAX_TEXT_BYTES / 24 - 1);
        let (first, second) = (line.replacen('笔', "手", 1), format!("{line}完"));
        assert_eq!(merged(&line, &first, &second), clean(&format!("{first}完")));
    }

    #[test]
    fn extras_that_are_too_large_together_are_those_of_the_first() {
        let large = |name: &str| {
            Extras::from([(
                name.to_owned(),
                crate::Extra::Text("x".repeat(crate::MAX_EXTRAS_BYTES / 2)),
            )])
        };
        let (first, second) = (large("a"), large("b"));
        let together = extras(None, Cow::Borrowed(&first), Cow::Borrowed(&second));
        assert_eq!(*together, first);
    }

    /// Three texts, two of them near to the first, of few different lines.
    fn three_texts() -> impl Strategy<Value = [String; 3]> {
        let line = "[ab茶]( [cd笔]){0,3}|";
        let lines = prop::collection::vec(line, 1..8);
        let edit = || prop::collection::vec((any::<prop::sample::Index>(), 0..3, line), 0..4);
        (lines, edit(), edit()).prop_map(|(base, first, second)| {
            let edited = |edits: Vec<(prop::sample::Index, i32, String)>| {
                let mut lines = base.clone();
                for (at, what, line) in edits {
                    let at = at.index(lines.len());
                    match what {
                        0 => lines.insert(at, line),
                        1 => lines[at] = line,
                        _ if lines.len() > 1 => drop(lines.remove(at)),
                        _ => {}
                    }
                }
                lines.join("\n")
            };
            [base.join("\n"), edited(first), edited(second)]
        })
    }

    fn sorted_lines(text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.split('\n').collect();
        lines.sort_unstable();
        lines
    }

    proptest! {
        #[test]
        fn one_side_changed_is_that_side([base, first, _] in three_texts()) {
            prop_assert_eq!(merged(&base, &first, &base), clean(&first));
            prop_assert_eq!(merged(&base, &base, &first), clean(&first));
            prop_assert_eq!(merged(&base, &first, &first), clean(&first));
            prop_assert_eq!(over(None, &first, &first), clean(&first));
        }

        #[test]
        fn sides_decide_the_order_and_nothing_else([base, first, second] in three_texts()) {
            let (one, other) = (merged(&base, &first, &second), merged(&base, &second, &first));
            prop_assert_eq!(one.1, other.1);
            prop_assert_eq!(sorted_lines(&one.0), sorted_lines(&other.0));
        }

        #[test]
        fn whole_lines_that_clash_are_all_there([_, first, second] in three_texts()) {
            let (text, _) = over(None, &first, &second);
            for line in first.split('\n').chain(second.split('\n')) {
                prop_assert!(text.split('\n').any(|shown| shown == line), "{line:?} of {text:?}");
            }
        }
    }
}
