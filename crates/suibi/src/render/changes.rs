//! What changed between two texts, line by line.
//!
//! ```text
//! - bought milk
//! + bought milk and bread
//!   (a line that stayed, beside one that did not)
//! ```

use std::fmt::Write as _;

use suibi_journal::changed_lines;

use super::style::{DIM, GONE, GOOD};
use super::wrap::{columns, harmless, wrap};
use crate::say::listing as say;

/// Lines that stayed are shown beside a change, so many before and after it.
const AROUND: usize = 1;

/// A line of one text or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Stayed(&'a str),
    Out(&'a str),
    In(&'a str),
    /// So many lines that stayed, and are far from every change.
    Skipped(usize),
}

/// The lines of both texts, the old ones before the new ones wherever they differ. Nothing when they are alike.
pub(crate) fn changes<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    if before == after {
        return Vec::new();
    }
    near_changes(&all_lines(before, after))
}

fn all_lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut lines = Vec::new();
    let mut at = 0;
    for hunk in changed_lines(&old, &new) {
        lines.extend(old[at..hunk.old.start].iter().map(|line| Line::Stayed(line)));
        at = hunk.old.end;
        lines.extend(old[hunk.old].iter().map(|line| Line::Out(line)));
        lines.extend(new[hunk.new].iter().map(|line| Line::In(line)));
    }
    lines.extend(old[at..].iter().map(|line| Line::Stayed(line)));
    lines
}

/// Leaves out what is far from every change.
fn near_changes<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let is_change = |line: &Line<'_>| !matches!(line, Line::Stayed(_));
    let is_near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        lines[from..lines.len().min(at + AROUND + 1)].iter().any(is_change)
    };
    let mut near = Vec::new();
    let mut skipped = 0;
    for at in 0..=lines.len() {
        if at < lines.len() && !is_near(at) {
            skipped += 1;
            continue;
        }
        match skipped {
            0 => {}
            // It takes no more room than the word that it is left out.
            1 => near.push(lines[at - 1]),
            skipped => near.push(Line::Skipped(skipped)),
        }
        skipped = 0;
        near.extend(lines.get(at));
    }
    near
}

/// The lines for people, each indented and with its newline; folded to `width` columns where there is one.
pub(crate) fn text(lines: &[Line<'_>], indent: usize, width: Option<usize>) -> String {
    let mut text = String::new();
    for line in lines {
        let (sign, style, line) = match line {
            Line::Stayed(line) => (' ', DIM, harmless(line)),
            Line::Out(line) => ('-', GONE, harmless(line)),
            Line::In(line) => ('+', GOOD, harmless(line)),
            Line::Skipped(lines) => (' ', DIM, say::AsBefore { lines }.to_string()),
        };
        let pieces = match width {
            Some(width) => wrap(&line, width.saturating_sub(indent + 2).max(10)),
            None => vec![line],
        };
        for (at, piece) in pieces.iter().enumerate() {
            let sign = if at == 0 { sign } else { ' ' };
            if columns(piece) == 0 && sign == ' ' {
                text.push('\n');
                continue;
            }
            let row = format!("{sign} {piece}");
            let _ = writeln!(text, "{:indent$}{style}{}{style:#}", "", row.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> String {
        let text = text(&changes(before, after), 2, Some(40));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_line_that_changed_is_shown_as_it_was_and_as_it_is() {
        insta::assert_snapshot!(shown("buy milk", "buy milk and 面包"), @r"
        - buy milk
        + buy milk and 面包
        ");
        assert_eq!(shown("same", "same"), "");
        assert_eq!(shown("", "new"), "  + new\n");
        assert_eq!(shown("gone", ""), "  - gone\n");
    }

    #[test]
    fn what_is_far_from_a_change_is_counted() {
        let before = "a\nb\nc\nd\ne\nf\n\nh";
        insta::assert_snapshot!(shown(before, "a\nb\nc\nD\nd2\ne\nf\n\nh\ni"), @r"
          … 2 lines as before
          c
        - d
        + D
        + d2
          e
          … 2 lines as before
          h
        + i
        ");
    }

    #[test]
    fn a_long_line_is_folded_and_a_control_character_is_shown() {
        insta::assert_snapshot!(shown("x", "去超市买牛奶，还有面包和鸡蛋，然后回家做饭。\u{1b}[2J"), @r"
        - x
        + 去超市买牛奶，还有面包和鸡蛋，然后回
          家做饭。␛[2J
        ");
    }

    #[test]
    fn both_texts_can_be_read_off_the_lines() {
        let texts = ["", "a", "a\nb", "b\na", "a\nb\na\nc", "c\na\nb\nb", "x\ny\nz\na"];
        for before in texts {
            for after in texts {
                let (old, new): (Vec<_>, Vec<_>) =
                    (before.lines().collect(), after.lines().collect());
                let lines = all_lines(before, after);
                let side = |other: fn(&str) -> Line<'_>| {
                    let kept = lines.iter().filter(|line| match line {
                        Line::Stayed(_) => true,
                        line => **line != other(text_of(line)),
                    });
                    kept.map(text_of).collect::<Vec<_>>()
                };
                assert_eq!(side(|text| Line::In(text)), old);
                assert_eq!(side(|text| Line::Out(text)), new);
            }
        }
        fn text_of<'a>(line: &Line<'a>) -> &'a str {
            match line {
                Line::Stayed(text) | Line::Out(text) | Line::In(text) => text,
                Line::Skipped(_) => "",
            }
        }
    }

    #[test]
    fn a_note_that_was_rewritten_takes_no_time() {
        let many = |word: &str| (0..20_000).map(|n| format!("{word}{n}\n")).collect::<String>();
        let (before, after) = (many("a"), many("b"));
        assert_eq!(changes(&before, &after).len(), 40_000);
    }
}
