//! Text in columns, Chinese and Latin alike, and times as people read them.

use suibi_journal::render;
use unicode_width::UnicodeWidthStr;

use crate::clock;

/// Spaces from column to column.
const GAP: usize = 2;

/// Rows in columns that are as wide as they must be, each row a line. Nothing in a cell can steer a terminal.
pub(super) fn table<'a>(rows: impl IntoIterator<Item = Vec<String>> + 'a) -> String {
    let clean = |cell: String| -> String { cell.chars().map(harmless).collect() };
    let rows: Vec<Vec<_>> =
        rows.into_iter().map(|row| row.into_iter().map(clean).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut page = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + GAP - cell.width()));
        }
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page
}

/// The names of columns as a row.
pub(super) fn heading<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

/// A tab would shift what follows it.
fn harmless(c: char) -> char {
    if c == '\t' { ' ' } else { render::visible(c) }
}

/// `2026-11-23 09:05`, at the server's offset.
pub(super) fn minute(millis: i64) -> String {
    let time = clock::at(millis);
    let (hour, minute) = time.hour_minute();
    format!("{} {hour:02}:{minute:02}", time.day())
}

/// `2026-11-23 09:05:31`, at the server's offset.
pub(super) fn second(millis: i64) -> String {
    // `2026-11-23T09:05:31.000+08:00` is the one form of a time.
    let time = clock::at(millis).to_string();
    format!("{} {}", &time[..10], &time[11..19])
}

/// `2026-11-23 09:05:31 +08:00`: for those whose clock may be elsewhere.
pub(super) fn moment(millis: i64) -> String {
    let time = clock::at(millis).to_string();
    format!("{} {}", second(millis), &time[23..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_on_a_terminal() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let page = table([
            heading(["ID", "NAME", "RIGHTS"]),
            row(["1", "小米手机", "read"]),
            row(["22", "laptop", ""]),
            row(["333", "a\tb\u{1b}[2J", "write"]),
        ]);
        assert_eq!(
            page,
            "ID   NAME      RIGHTS\n\
             1    小米手机  read\n\
             22   laptop\n\
             333  a b␛[2J   write\n"
        );
        assert_eq!(table([]), "");
    }

    #[test]
    fn a_time_says_its_offset_where_clocks_may_differ() {
        let time = clock::at(1_795_406_700_000);
        let text = moment(1_795_406_700_000);
        assert_eq!(text[..10], time.day().to_string());
        assert!(text.ends_with(&time.to_string()[23..]), "{text}");
        assert_eq!(minute(1_795_406_700_000), text[..16]);
        assert_eq!(second(1_795_406_700_000), text[..19]);
    }
}
