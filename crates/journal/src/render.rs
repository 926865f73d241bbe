//! Notes as lines of text, wherever they stand for themselves: in a datagram, in a file, in `text/plain`.

use std::fmt::Write as _;

use crate::Note;

/// Columns of the time in front of each note; further lines of a note are indented by as many.
const INDENT: usize = "2026-11-23 09:05 ".len();

/// One note: `2026-11-23 09:05 text`, further lines indented below it, each line with its line feed.
///
/// Control characters other than tabs become visible ones, so that a note can never steer the terminal of
/// whoever prints it. White space at the end is left out.
///
/// ```text
/// 2026-11-23 09:05 bought milk @shop
/// 2026-11-23 10:12 第一行
///                  second line of the same note
/// ```
pub fn note(note: &Note) -> String {
    let (hour, minute) = note.time.hour_minute();
    let mut page = String::with_capacity(INDENT + note.text.len() + 1);
    let _ = write!(page, "{} {hour:02}:{minute:02}", note.time.day());
    for (number, line) in note.text.trim_end().lines().enumerate() {
        if number > 0 {
            page.push('\n');
        }
        if !line.is_empty() {
            let column = if number > 0 { INDENT } else { 1 };
            page.extend(std::iter::repeat_n(' ', column));
            page.extend(line.chars().map(visible));
        }
    }
    page.push('\n');
    page
}

/// Control characters as what stands for them: U+2400 onwards pictures the first 32 in their own order.
pub fn visible(c: char) -> char {
    match c {
        '\t' => c,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '␡',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoteId;

    fn rendered(text: &str) -> String {
        note(&Note {
            id: NoteId::new(0, [0; 10]),
            time: "2026-11-23T09:05:00.000+08:00".parse().unwrap(),
            text: text.to_owned(),
            conflict: false,
            undeleted: false,
            starred: false,
            heads: Vec::new(),
            device: "laptop".to_owned(),
            source: None,
            receipt: None,
            waiting: false,
        })
    }

    #[test]
    fn a_note_is_a_line_and_its_further_lines_are_indented() {
        assert_eq!(rendered("bought milk @shop"), "2026-11-23 09:05 bought milk @shop\n");
        assert_eq!(
            rendered("第一行\r\n\n  second\n\n"),
            "2026-11-23 09:05 第一行\n\n                   second\n"
        );
        assert_eq!(rendered(""), "2026-11-23 09:05\n");
    }

    #[test]
    fn a_note_cannot_steer_a_terminal() {
        assert_eq!(rendered("\x1b[2J\ta\u{9b}b\rc"), "2026-11-23 09:05 ␛[2J\ta\u{fffd}b␍c\n");
    }
}
