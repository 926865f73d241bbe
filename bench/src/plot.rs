//! Pictures of figures: bars with whiskers, as SVG.

use std::fmt::{self, Write as _};

use crate::report::Spread;
use crate::stacks::Stacks;

/// Bars beside each other with whiskers from the smallest to the largest round. The axis is logarithmic, for figures that are
/// powers of ten apart, and begins at the power of ten below the smallest.
#[derive(Debug, Clone)]
pub(crate) struct Bars {
    /// The file's name, without its ending.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// Any of them, drawn.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// The file's name, without its ending.
    pub(crate) name: &'static str,
    pub(crate) svg: String,
}

impl From<Bars> for Picture {
    fn from(bars: Bars) -> Self {
        Self { name: bars.name, svg: bars.to_string() }
    }
}

impl From<Stacks> for Picture {
    fn from(stacks: Stacks) -> Self {
        Self { name: stacks.name, svg: stacks.to_string() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) spread: Spread,
    pub(crate) whose: Whose,
}

/// Which colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Ours,
    /// What the machine allows at best.
    Limit,
    Peer,
}

/// Pixels.
const LABELS: f64 = 430.0;
const LENGTH: f64 = 480.0;
const FIGURES: f64 = 90.0;
const TOP: f64 = 60.0;
const LINE: f64 = 24.0;

/// The ends of the axis.
fn range(bars: &[Bar]) -> (f64, f64) {
    let max = bars.iter().map(|bar| bar.spread.max).fold(f64::MIN_POSITIVE, f64::max);
    let min = bars.iter().map(|bar| bar.spread.min).fold(max, f64::min);
    let below = 10f64.powf(min.max(f64::MIN_POSITIVE).log10().floor());
    (below, max.max(2.0 * below))
}

/// How far along the axis, between 0 and 1.
fn place((from, to): (f64, f64), value: f64) -> f64 {
    ((value / from).log10() / (to / from).log10()).clamp(0.0, 1.0)
}

impl Whose {
    fn colour(self) -> &'static str {
        match self {
            Self::Ours => "#2b6cb0",
            Self::Limit => "#a0aec0",
            Self::Peer => "#dd8a3c",
        }
    }
}

impl fmt::Display for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = LABELS + LENGTH + FIGURES;
        let height = TOP + LINE * self.bars.len() as f64 + 8.0;
        writeln!(
            f,
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" fill="#1a202c">"##
        )?;
        writeln!(f, r##"<rect width="{width}" height="{height}" fill="#ffffff"/>"##)?;
        writeln!(
            f,
            r#"<text x="8" y="24" font-size="15" font-weight="bold">{} (logarithmic)</text>"#,
            escaped(&self.title)
        )?;
        let legend = [(Whose::Ours, "suibi"), (Whose::Limit, "limits"), (Whose::Peer, "others")];
        for (at, (whose, name)) in legend.into_iter().enumerate() {
            let left = LABELS + 80.0 * at as f64;
            writeln!(
                f,
                r#"<circle cx="{:.1}" cy="44" r="5" fill="{}"/><text x="{:.1}" y="48.5">{name}</text>"#,
                left + 5.0,
                whose.colour(),
                left + 15.0
            )?;
        }
        let range = range(&self.bars);
        for (at, bar) in self.bars.iter().enumerate() {
            let top = TOP + LINE * at as f64;
            let (middle, text) = (top + LINE / 2.0, top + LINE / 2.0 + 4.5);
            let along = |value| LABELS + LENGTH * place(range, value);
            let Spread { median, min, max } = bar.spread;
            let (min, end, max) = (along(min), along(median), along(max));
            writeln!(
                f,
                r#"<text x="{:.1}" y="{text:.1}" text-anchor="end">{}</text>"#,
                LABELS - 8.0,
                escaped(&bar.label)
            )?;
            writeln!(
                f,
                r#"<rect x="{LABELS:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{}"/>"#,
                top + 4.0,
                end - LABELS,
                LINE - 8.0,
                bar.whose.colour()
            )?;
            writeln!(
                f,
                r##"<path d="M{min:.1} {middle:.1}H{max:.1}M{min:.1} {:.1}v8M{max:.1} {:.1}v8" stroke="#1a202c" fill="none"/>"##,
                middle - 4.0,
                middle - 4.0
            )?;
            writeln!(f, r#"<text x="{:.1}" y="{text:.1}">{}</text>"#, max + 8.0, figure(median))?;
        }
        writeln!(f, "</svg>")
    }
}

/// Three digits of it.
fn figure(value: f64) -> String {
    if value >= 100.0 {
        crate::report::grouped(value)
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Text between the tags of XML.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            letter => write!(escaped, "{letter}").expect("a String takes everything"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars() -> Bars {
        let bar = |label: &str, median, whose| Bar {
            label: label.to_owned(),
            spread: Spread { median, min: median / 2.0, max: median * 2.0 },
            whose,
        };
        let bars = vec![
            bar("`echo >> file` & co", 1.0, Whose::Peer),
            bar("ours", 10.0, Whose::Ours),
            bar("limit", 100.0, Whose::Limit),
        ];
        Bars { name: "test", title: "a < b".to_owned(), bars }
    }

    /// The lengths of the bars, as they are in the file.
    fn lengths(svg: &str) -> Vec<f64> {
        let bars = svg.lines().filter(|line| line.starts_with("<rect x="));
        bars.map(|line| line.split('"').nth(5).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn a_bar_is_as_long_as_the_powers_of_ten_in_its_figure() {
        let [one, ten, hundred] = lengths(&bars().to_string())[..] else { panic!() };
        assert!((hundred - ten - (ten - one)).abs() < 0.2, "ten times is always as far");
        // From 0.1, the power below the smallest round, to 200, the largest.
        let power = LENGTH / 2000f64.log10();
        assert!((one - power).abs() < 0.2 && (hundred - 3.0 * power).abs() < 0.2);
    }

    #[test]
    fn a_picture_is_well_formed_whatever_the_labels_say() {
        let svg = bars().to_string();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("`echo &gt;&gt; file` &amp; co") && svg.contains("a &lt; b"));
        let (opened, closed) = (svg.matches("<text").count(), svg.matches("</text>").count());
        assert_eq!((opened, closed), (10, 10));
        for line in svg.lines() {
            assert_eq!(line.matches('<').count(), line.matches('>').count(), "{line}");
            assert!(line.matches('"').count().is_multiple_of(2), "{line}");
        }
        let none = Bars { bars: Vec::new(), ..bars() }.to_string();
        assert!(!none.contains("NaN") && !svg.contains("NaN"));
    }
}
