//! A table for people: columns as wide as their widest cell, two spaces between them, wide characters counted.

use super::style::DIM;
use super::wrap::{columns, harmless};

/// The rows under a heading, each with its newline. The heading is dim; a column whose cells are all empty is left
/// out, its heading with it.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| harmless(cell).replace('\n', " ")))
        .collect();
    let widths: Vec<usize> = (0..N)
        .map(|column| match rows.iter().map(|row| columns(&row[column])).max() {
            None | Some(0) => 0,
            Some(widest) => widest.max(columns(heading[column])),
        })
        .collect();
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - columns(cell) + 2));
        }
        line.trim_end().to_owned()
    };
    let mut text = format!("{DIM}{}{DIM:#}\n", line(heading));
    for row in &rows {
        text.push_str(&line(row.each_ref().map(String::as_str)));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::wrap::padded;

    /// Cells and the columns that a terminal gives them.
    const CELLS: [(&str, usize); 10] = [
        ("laptop", 6),
        ("手机", 4),
        ("ＡＢＣ", 6),
        ("ｱｲｳ", 3),
        ("cafe\u{301}", 4),
        ("\u{e01}\u{e47}", 1),
        ("😀", 2),
        ("👩\u{200d}👩\u{200d}👧", 2),
        ("❤\u{fe0f}", 2),
        ("🇨🇳", 2),
    ];

    #[test]
    fn a_column_begins_at_one_place_whatever_stands_before_it() {
        let rows = CELLS.map(|(cell, _)| [cell.to_owned(), "|".to_owned()]);
        let text = table(["名称", "之后"], &rows);
        let plain = anstream::adapter::strip_str(&text).to_string();
        let widest = CELLS.iter().map(|(_, width)| *width).max().unwrap();
        for ((cell, width), line) in CELLS.iter().zip(plain.lines().skip(1)) {
            let spaces = line.strip_prefix(cell).unwrap().strip_suffix('|').unwrap();
            assert_eq!(width + spaces.len(), widest + 2, "{line}");
            assert_eq!(padded(cell, 8).len() - cell.len(), 8 - width, "{cell}");
        }
    }

    #[test]
    fn columns_stand_under_each_other_in_two_languages() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["laptop", "", "read, write"]), row(["手机", "", "re\x1b[31mad"])];
        let text = table(["NAME", "JOURNAL", "RIGHTS"], &rows);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @"
        NAME    RIGHTS
        laptop  read, write
        手机    re␛[31mad
        ");
    }
}
