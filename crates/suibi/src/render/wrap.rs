//! Text folded to a number of columns, Chinese and Latin alike.

use suibi_journal::render::visible;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes on a terminal. Wide characters take two.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// `text` with as many spaces behind it as make it `width` columns wide.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// `text` without what would steer a terminal: control characters become visible ones.
///
/// Notes come from other people's devices, too; none may move the cursor or retitle the window.
/// Newlines stay; a tab becomes four spaces, because its width depends on where it stands.
pub(crate) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => clean.push(c),
            '\t' => clean.push_str("    "),
            _ => clean.push(visible(c)),
        }
    }
    clean
}

/// A line of a list of things with names: the name, and what is said of it, which goes on below where it began. `begin` may
/// have colours and is `indent` columns wide.
pub(crate) fn hanging(begin: &str, indent: usize, text: &str, width: Option<usize>) -> String {
    let width = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(10));
    let lines = wrap(text, width);
    format!("{begin}{}\n", lines.join(&format!("\n{}", " ".repeat(indent))))
}

/// One line of text (without newlines) in pieces of at most `width` columns.
///
/// Breaks after spaces and hyphens and beside wide characters; never before closing punctuation. A
/// word longer than the width is cut where it must be. Leading spaces stay, so that code keeps its shape.
pub(crate) fn wrap(line: &str, width: usize) -> Vec<String> {
    if columns(line) <= width {
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    let mut current = String::new();
    for piece in unbreakable(line) {
        let bare = piece.trim_end();
        if columns(&current) + columns(bare) > width && !current.trim().is_empty() {
            lines.push(current.trim_end().to_owned());
            current.clear();
        }
        for grapheme in piece.graphemes(true) {
            let fits = columns(&current) + columns(grapheme) <= width;
            if !fits && grapheme.trim().is_empty() {
                continue;
            }
            if !fits && !current.is_empty() {
                lines.push(current.trim_end().to_owned());
                current.clear();
            }
            current.push_str(grapheme);
        }
    }
    if !current.trim().is_empty() {
        lines.push(current.trim_end().to_owned());
    }
    lines
}

/// The pieces between which a line may break.
fn unbreakable(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let graphemes: Vec<(usize, &str)> = line.grapheme_indices(true).collect();
    for pair in graphemes.windows(2) {
        let [(_, before), (at, after)] = pair else { continue };
        if may_break(before, after) {
            pieces.push(&line[start..*at]);
            start = *at;
        }
    }
    pieces.push(&line[start..]);
    pieces
}

fn may_break(before: &str, after: &str) -> bool {
    const NOT_FIRST: &str = "，。、；：！？）」』】》〉”’…—,.;:!?)]}";
    const NOT_LAST: &str = "（「『【《〈“‘([{";
    if after == " " || NOT_FIRST.contains(after) || NOT_LAST.contains(before) {
        return false;
    }
    before == " " || before == "-" || columns(before) > 1 || columns(after) > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_a_line_never_exceeds_the_width() {
        assert_eq!(wrap("the quick brown fox jumps", 10), ["the quick", "brown fox", "jumps"]);
        assert_eq!(wrap("short", 10), ["short"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("incomprehensibilities", 10), ["incomprehe", "nsibilitie", "s"]);
    }

    #[test]
    fn chinese_breaks_between_characters_but_not_before_a_full_stop() {
        assert_eq!(wrap("今天天气很好，我们去公园。", 10), ["今天天气很", "好，我们去", "公园。"]);
        assert_eq!(wrap("一二三四五。六", 10), ["一二三四", "五。六"]);
        for width in 4..30 {
            let text = "买牛奶 milk and 鸡蛋，还有 some bread（全麦）。😀 done";
            for line in wrap(text, width) {
                assert!(columns(&line) <= width, "{line:?} in {width}");
            }
        }
    }

    #[test]
    fn nothing_but_spaces_is_lost_when_wrapping() {
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        let text = "Ein Satz, ein langer Satz – 和中文混在一起的句子，很长很长。 https://example.org/a/very/long/path";
        for width in 4..40 {
            assert_eq!(squeeze(&wrap(text, width).concat()), squeeze(text), "width {width}");
        }
    }

    #[test]
    fn escapes_in_a_note_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\x1b]0;owned\x07b\tc\nd"), "a␛]0;owned␇b    c\nd");
        assert!(!harmless("\u{202e}txt").contains('\u{202e}'));
    }
}
