//! Notes for people: a line for the day, then time and text.
//!
//! ```text
//! 2026-11-23 Monday · today
//! 09:05  bought milk @shop
//! 10:12  第一行
//!        second line of the same note
//! ```

use std::fmt::Write as _;
use std::ops::Range;

use suibi_journal::{Day, Note, SearchLine, tags};

use super::style::{DAY, DIM, HIT, NUMBER, STAR, TAG, WAITING};
use super::wrap::{columns, harmless, wrap};
use crate::day_words;
use crate::say::listing as say;

/// Sources longer than this push their text to the right rather than everybody's.
pub(crate) const WIDEST_SOURCE: usize = 24;

/// What a listing is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    /// The day that is called today.
    pub(crate) today: Day,
    /// Columns to fold at; `None` leaves lines as they were written.
    pub(crate) width: Option<usize>,
    /// Say with each note where it came from.
    pub(crate) source: bool,
    /// Mark notes that wait for the server or have several versions (on a terminal; elsewhere the text stands alone).
    pub(crate) marks: bool,
}

impl Listing {
    /// All `notes` in the order given, a header before each new day, an empty line between days.
    #[cfg(test)]
    pub(crate) fn render(&self, notes: &[Note]) -> String {
        self.render_piece(notes, widest_source(notes), &SearchLine::default())
    }

    /// The same of a piece of a longer listing, in which sources have so many columns; what was searched for is marked in
    /// the texts.
    pub(crate) fn render_piece(
        &self,
        notes: &[Note],
        source_columns: usize,
        sought: &SearchLine,
    ) -> String {
        self.render_with(notes, source_columns, None, sought, &|_| String::new())
    }

    /// All with a number before each note, for the next command; the first one is 1.
    pub(crate) fn render_numbered(&self, notes: &[Note], sought: &SearchLine) -> String {
        let digits = Some(digits(notes));
        self.render_with(notes, widest_source(notes), digits, sought, &|_| String::new())
    }

    /// All with a remark after each day, such as how long ago it was; numbered on request.
    pub(crate) fn render_past(
        &self,
        notes: &[Note],
        is_numbered: bool,
        remark: &dyn Fn(Day) -> String,
    ) -> String {
        let digits = is_numbered.then(|| digits(notes));
        self.render_with(notes, widest_source(notes), digits, &SearchLine::default(), remark)
    }

    /// Each with its day, for an order that is not that of the days, and perhaps with its number.
    pub(crate) fn render_dated(
        &self,
        notes: &[Note],
        is_numbered: bool,
        sought: &SearchLine,
    ) -> String {
        let source_columns = self.source.then(|| widest_source(notes));
        let digits = is_numbered.then(|| digits(notes));
        let mut page = String::new();
        for (at, note) in notes.iter().enumerate() {
            let number = digits.map(|digits| format!("{:>digits$}", at + 1));
            let row = Row { number: number.as_deref(), is_dated: true, sought };
            page.push_str(&self.note_with(note, source_columns, row));
        }
        page
    }

    fn render_with(
        &self,
        notes: &[Note],
        source_columns: usize,
        digits: Option<usize>,
        sought: &SearchLine,
        remark: &dyn Fn(Day) -> String,
    ) -> String {
        let source_columns = self.source.then_some(source_columns);
        let mut page = String::new();
        let mut day = None;
        for (at, note) in notes.iter().enumerate() {
            if day != Some(note.time.day()) {
                if day.is_some() {
                    page.push('\n');
                }
                day = Some(note.time.day());
                page.push_str(&self.header(note.time.day()));
                let remark = remark(note.time.day());
                if !remark.is_empty() {
                    let _ = write!(page, "{DIM} · {remark}{DIM:#}");
                }
                page.push('\n');
            }
            let number = digits.map(|digits| format!("{:>digits$}", at + 1));
            let row = Row { number: number.as_deref(), is_dated: false, sought };
            page.push_str(&self.note_with(note, source_columns, row));
        }
        page
    }

    /// `2026-11-23 Monday · today`.
    pub(crate) fn header(&self, day: Day) -> String {
        let weekday = day_words::weekday_name(day);
        let near = day_words::near_name(day, self.today);
        let near = near.map(|near| format!(" · {near}")).unwrap_or_default();
        format!("{DAY}{day} {weekday}{DAY:#}{DIM}{near}{DIM:#}")
    }

    /// One note with its newline; `source_columns` is how wide the source's column is.
    pub(crate) fn note(&self, note: &Note, source_columns: Option<usize>) -> String {
        let row = Row { number: None, is_dated: false, sought: &SearchLine::default() };
        self.note_with(note, source_columns, row)
    }

    fn note_with(&self, note: &Note, source_columns: Option<usize>, row: Row<'_>) -> String {
        let (hour, minute) = note.time.hour_minute();
        let mut line = String::new();
        let mut indent = 7;
        if let Some(number) = row.number {
            let _ = write!(line, "{NUMBER}{number}{NUMBER:#}  ");
            indent += number.len() + 2;
        }
        if row.is_dated {
            let day = note.time.day().to_string();
            let _ = write!(line, "{DAY}{day}{DAY:#} ");
            indent += columns(&day) + 1;
        }
        let _ = write!(line, "{DIM}{hour:02}:{minute:02}{DIM:#}  ");
        if let Some(source_columns) = source_columns {
            let source = source(note);
            let padding = " ".repeat(source_columns.saturating_sub(columns(&source)));
            let _ = write!(line, "{DIM}{source}{DIM:#}{padding}  ");
            indent += source_columns + 2;
        }
        if self.marks && note.starred {
            let _ = write!(line, "{STAR}★{STAR:#} ");
        }
        let text = harmless(&note.text);
        if columns(text.trim()) == 0 {
            let _ = write!(line, "{DIM}{}{DIM:#}", say::Blank);
        }
        let hits = row.sought.places(&text);
        let mut is_first = true;
        let mut start = 0;
        for whole in text.trim_end().split('\n') {
            let pieces = match self.width {
                Some(width) => wrap(whole, width.saturating_sub(indent).max(10)),
                None => vec![whole.to_owned()],
            };
            let mut at = 0;
            for piece in pieces {
                if !is_first {
                    line.push('\n');
                    if !piece.is_empty() {
                        line.push_str(&" ".repeat(indent));
                    }
                }
                is_first = false;
                if hits.is_empty() {
                    line.push_str(&with_tags(&piece));
                } else {
                    line.push_str(&with_hits(
                        &piece,
                        &found_again(&piece, whole, &mut at),
                        start,
                        &hits,
                    ));
                }
            }
            start += whole.len() + 1;
        }
        if self.marks && note.waiting {
            let _ = write!(line, " {WAITING}· {}{WAITING:#}", say::Waiting);
        }
        if self.marks && note.conflict {
            let _ = write!(line, " {WAITING}· {}{WAITING:#}", say::TwoVersions);
        }
        if self.marks && note.undeleted {
            let _ = write!(line, " {WAITING}· {}{WAITING:#}", say::DeletedElsewhere);
        }
        line.push('\n');
        line
    }
}

/// What one line of a listing has besides the note.
#[derive(Clone, Copy)]
struct Row<'a> {
    number: Option<&'a str>,
    is_dated: bool,
    sought: &'a SearchLine,
}

/// How wide the numbers of so many notes are.
fn digits(notes: &[Note]) -> usize {
    notes.len().to_string().len().max(2)
}

/// How many columns the sources of these notes have in a listing.
pub(crate) fn widest_source(notes: &[Note]) -> usize {
    notes.iter().map(|note| columns(&source(note))).max().unwrap_or(0).min(WIDEST_SOURCE)
}

/// Where a note came from: the address of a foreign client, or the device's name.
pub(crate) fn source(note: &Note) -> String {
    harmless(note.source.as_deref().unwrap_or(&note.device)).replace('\n', " ")
}

/// Where each character of a piece stands in its line, from `at` on: folding has dropped nothing but space.
fn found_again(piece: &str, line: &str, at: &mut usize) -> Vec<usize> {
    let mut places = Vec::with_capacity(piece.len());
    for c in piece.chars() {
        *at += line[*at..].find(c).unwrap_or(0);
        places.push(*at);
        *at += c.len_utf8();
    }
    places
}

/// The piece with what was searched for marked, and its tags coloured where they are not. `places` says where in the
/// line each of its characters stands, `start` where the line begins in the text.
fn with_hits(piece: &str, places: &[usize], start: usize, hits: &[Range<usize>]) -> String {
    let is_hit = |place: usize| hits.iter().any(|hit| hit.contains(&(start + place)));
    let mut colored = String::with_capacity(piece.len());
    let mut places = places.iter().peekable();
    let mut rest = piece;
    while let Some(first) = places.peek().map(|place| is_hit(**place)) {
        let mut len = 0;
        for c in rest.chars() {
            if places.next_if(|place| is_hit(**place) == first).is_none() {
                break;
            }
            len += c.len_utf8();
        }
        let (stretch, after) = rest.split_at(len);
        match first {
            true => {
                let _ = write!(colored, "{HIT}{stretch}{HIT:#}");
            }
            false => colored.push_str(&with_tags(stretch)),
        }
        rest = after;
    }
    colored
}

/// The piece with its tags coloured. Colours vanish by themselves where they cannot be seen.
pub(crate) fn with_tags(piece: &str) -> String {
    let mut colored = String::with_capacity(piece.len());
    for word in piece.split_inclusive(' ') {
        let bare = word.trim_end();
        let is_tag = bare.starts_with(['#', '@', '＃', '＠']) && !tags(bare).is_empty();
        if is_tag {
            let _ = write!(colored, "{TAG}{bare}{TAG:#}{}", &word[bare.len()..]);
        } else {
            colored.push_str(word);
        }
    }
    colored
}

#[cfg(test)]
mod tests {
    use super::*;
    use suibi_journal::{Folds, NoteId};

    fn note(time: &str, text: &str, source: Option<&str>) -> Note {
        Note {
            id: NoteId::new(0, [0; 10]),
            time: time.parse().unwrap(),
            text: text.to_owned(),
            conflict: false,
            undeleted: false,
            starred: false,
            heads: Vec::new(),
            device: "laptop".to_owned(),
            source: source.map(str::to_owned),
            receipt: None,
            waiting: false,
        }
    }

    fn notes() -> Vec<Note> {
        vec![
            note("2026-11-22T23:50:00.000+08:00", "late 夜宵 @food", None),
            note("2026-11-23T09:05:00.000+08:00", "first line\n\nthird line", Some("手机")),
            note(
                "2026-11-23T10:12:00.000+08:00",
                "去超市买牛奶，还有面包和鸡蛋。",
                Some("127.0.0.1:50312"),
            ),
        ]
    }

    fn render(listing: Listing) -> String {
        anstream::adapter::strip_str(&listing.render(&notes())).to_string()
    }

    fn plain() -> Listing {
        let today = "2026-11-23".parse().unwrap();
        Listing { today, width: None, source: false, marks: true }
    }

    #[test]
    fn a_day_has_a_header_and_a_note_keeps_its_lines() {
        insta::assert_snapshot!(render(plain()), @r"
        2026-11-22 Sunday · yesterday
        23:50  late 夜宵 @food

        2026-11-23 Monday · today
        09:05  first line

               third line
        10:12  去超市买牛奶，还有面包和鸡蛋。
        ");
    }

    #[test]
    fn columns_stay_right_beside_wide_characters() {
        insta::assert_snapshot!(render(Listing { source: true, width: Some(44), ..plain() }), @r"
        2026-11-22 Sunday · yesterday
        23:50  laptop           late 夜宵 @food

        2026-11-23 Monday · today
        09:05  手机             first line

                                third line
        10:12  127.0.0.1:50312  去超市买牛奶，还有面
                                包和鸡蛋。
        ");
    }

    #[test]
    fn a_note_without_a_visible_character_says_so() {
        for text in [" ", "\u{200b}", "\u{3000}\n\u{200b}\n"] {
            let line = plain().note(&note("2026-11-23T09:05:00.000+08:00", text, None), None);
            let line = anstream::adapter::strip_str(&line).to_string();
            assert!(line.starts_with("09:05  (blank)"), "{line:?}");
        }
    }

    /// With what is marked between brackets.
    fn marked(listing: Listing, text: &str, query: &str) -> String {
        let mut line = SearchLine::parse(query, Folds::default());
        line.settle(|_| Ok::<_, ()>(false)).unwrap();
        let notes = [note("2026-11-23T09:05:00.000+08:00", text, None)];
        let page = listing.render_dated(&notes, false, &line);
        let page = page.replace(&HIT.render().to_string(), "[").replace("\u{1b}[0m", "]");
        let shown = anstream::adapter::strip_str(&page).to_string();
        // What ends another style is not the end of a mark.
        let mut depth = 0;
        shown
            .chars()
            .filter(|c| match c {
                '[' => {
                    depth += 1;
                    true
                }
                ']' if depth == 0 => false,
                ']' => {
                    depth -= 1;
                    true
                }
                _ => true,
            })
            .collect()
    }

    #[test]
    fn what_was_searched_for_is_marked_wherever_the_line_is_folded() {
        let narrow = Listing { width: Some(30), ..plain() };
        insta::assert_snapshot!(marked(narrow, "去超市買牛奶，还有面包和雞蛋。 @shop", "鸡蛋 牛奶"), @r"
        2026-11-23 09:05  去超市買[牛]
                          [奶]，还有面包
                          和[雞蛋]。
                          @shop
        ");
        insta::assert_snapshot!(marked(plain(), "Café\n  ｃａｆｅ in 北京\tcafe", "cafe bj"), @r"
        2026-11-23 09:05  [Café]
                            [ｃａｆｅ] in [北京]    [cafe]
        ");
    }

    #[test]
    fn a_note_that_waits_says_so_on_a_terminal_only() {
        let mut waiting = note("2026-11-23T09:05:00.000+08:00", "soon", None);
        waiting.waiting = true;
        let seen = |marks| {
            anstream::adapter::strip_str(&Listing { marks, ..plain() }.note(&waiting, None))
                .to_string()
        };
        assert_eq!(seen(true), "09:05  soon · waiting\n");
        assert_eq!(seen(false), "09:05  soon\n");
    }
}
