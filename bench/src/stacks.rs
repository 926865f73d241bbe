//! Bars of parts that sum to a whole, as SVG.

use std::fmt;

use crate::plot::escaped;

/// Bars below each other, each divided alike.
#[derive(Debug, Clone)]
pub(crate) struct Stacks {
    /// The file's name, without its ending.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// What the parts are called.
    pub(crate) parts: Vec<&'static str>,
    pub(crate) stacks: Vec<Stack>,
}

#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) label: String,
    /// How large each part is.
    pub(crate) parts: Vec<f64>,
}

/// Pixels.
const LABELS: f64 = 200.0;
const LENGTH: f64 = 720.0;
const FIGURES: f64 = 70.0;
const TOP: f64 = 44.0;
const LINE: f64 = 36.0;
const LEGEND: f64 = 22.0;
const LEGEND_COLUMNS: usize = 4;

/// Below this width a figure does not fit into its part.
const ROOM: f64 = 26.0;

/// As many as there are parts, neighbours apart from each other.
const COLOURS: [&str; 14] = [
    "#1f3b73", "#2b6cb0", "#7fb0dd", "#2f855a", "#68b984", "#b7791f", "#e0b04c", "#9b2c2c",
    "#d9736a", "#6b46c1", "#a58ade", "#4a5568", "#8794a8", "#d5dbe3",
];

impl fmt::Display for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = LABELS + LENGTH + FIGURES;
        let legend_top = TOP + LINE * self.stacks.len() as f64 + 16.0;
        let lines = self.parts.len().div_ceil(LEGEND_COLUMNS);
        let height = legend_top + LEGEND * lines as f64;
        writeln!(
            f,
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" fill="#1a202c">"##
        )?;
        writeln!(f, r##"<rect width="{width}" height="{height}" fill="#ffffff"/>"##)?;
        let title = escaped(&self.title);
        writeln!(f, r#"<text x="8" y="24" font-size="15" font-weight="bold">{title}</text>"#)?;
        let whole = |stack: &Stack| stack.parts.iter().sum::<f64>();
        let longest = self.stacks.iter().map(whole).fold(f64::MIN_POSITIVE, f64::max);
        for (at, stack) in self.stacks.iter().enumerate() {
            let top = TOP + LINE * at as f64;
            let text = top + LINE / 2.0 + 4.5;
            writeln!(
                f,
                r#"<text x="{:.1}" y="{text:.1}" text-anchor="end">{}</text>"#,
                LABELS - 8.0,
                escaped(&stack.label)
            )?;
            let mut left = LABELS;
            for (part, colour) in stack.parts.iter().zip(COLOURS.iter().cycle()) {
                let length = LENGTH * part / longest;
                writeln!(
                    f,
                    r#"<rect x="{left:.1}" y="{:.1}" width="{length:.1}" height="{:.1}" fill="{colour}"/>"#,
                    top + 4.0,
                    LINE - 8.0
                )?;
                if length >= ROOM {
                    let middle = left + length / 2.0;
                    writeln!(
                        f,
                        r##"<text x="{middle:.1}" y="{text:.1}" text-anchor="middle" font-size="11" fill="#ffffff">{part:.1}</text>"##
                    )?;
                }
                left += length;
            }
            let whole = whole(stack);
            writeln!(f, r#"<text x="{:.1}" y="{text:.1}">{whole:.1}</text>"#, left + 8.0)?;
        }
        for (at, (part, colour)) in self.parts.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let left = 8.0 + width / LEGEND_COLUMNS as f64 * (at % LEGEND_COLUMNS) as f64;
            let top = legend_top + LEGEND * (at / LEGEND_COLUMNS) as f64;
            writeln!(
                f,
                r#"<rect x="{left:.1}" y="{top:.1}" width="13" height="13" fill="{colour}"/><text x="{:.1}" y="{:.1}">{}</text>"#,
                left + 20.0,
                top + 11.0,
                escaped(part)
            )?;
        }
        writeln!(f, "</svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_bar_are_as_long_as_they_are_large_and_leave_no_gap() {
        let stack =
            |label: &str, parts: &[f64]| Stack { label: label.to_owned(), parts: parts.to_vec() };
        let stacks = Stacks {
            name: "test",
            title: "a < b".to_owned(),
            parts: vec!["one", "two"],
            stacks: vec![stack("long", &[1.0, 3.0]), stack("short", &[1.0, 1.0])],
        };
        let svg = stacks.to_string();
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        let number = |line: &str, at| line.split('"').nth(at).unwrap().parse::<f64>().unwrap();
        let bars = svg.lines().filter(|line| line.starts_with("<rect x=") && line.ends_with("/>"));
        let bars: Vec<_> = bars.map(|line| (number(line, 1), number(line, 5))).collect();
        let quarter = LENGTH / 4.0;
        let expected = [0.0, 1.0, 0.0, 1.0].map(|at| LABELS + at * quarter);
        assert_eq!(bars.iter().map(|(left, _)| *left).collect::<Vec<_>>(), expected);
        let expected = [1.0, 3.0, 1.0, 1.0].map(|parts| parts * quarter);
        assert_eq!(bars.iter().map(|(_, length)| *length).collect::<Vec<_>>(), expected);
    }
}
