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
