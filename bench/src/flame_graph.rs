//! Stacks of functions as a flame graph, as SVG: who called whom, and how often one was seen at work.
//!
//! The width of a function is how much of all samples it, or what it called, was seen in. What stands above it was
//! called by it; neighbours are in the order of their names, not of time.

use std::collections::BTreeMap;
use std::fmt;

use crate::plot::{Picture, escaped};

/// What was sampled, by stack: the thread's name, then the functions, outermost first.
pub(crate) type Folded = BTreeMap<Vec<String>, u64>;

/// A graph, ready to be drawn.
#[derive(Debug, Clone)]
pub(crate) struct FlameGraph {
    /// The file's name, without its ending.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    root: Node,
}

/// A function where it was called.
#[derive(Debug, Clone, Default)]
struct Node {
    samples: u64,
    called: BTreeMap<String, Self>,
}

/// Pixels.
const WIDTH: f64 = 1_200.0;
const TOP: f64 = 36.0;
const LINE: f64 = 16.0;
/// Narrower functions are left out.
const NARROWEST: f64 = 0.4;
/// Of a letter.
const LETTER: f64 = 6.2;
/// Narrower ones have no name beside the one that the pointer shows.
const NAMED: f64 = 24.0;

impl FlameGraph {
    pub(crate) fn new(name: &'static str, title: String, folded: &Folded) -> Self {
        let mut root = Node::default();
        for (stack, samples) in folded {
            root.samples += samples;
            let mut node = &mut root;
            for function in stack {
                node = node.called.entry(function.clone()).or_default();
                node.samples += samples;
            }
        }
        Self { name, title, root }
    }
}

impl From<FlameGraph> for Picture {
    fn from(graph: FlameGraph) -> Self {
        Self { name: graph.name, svg: graph.to_string() }
    }
}

impl Node {
    /// How many functions stand above each other, as far as they are drawn.
    fn depth(&self, least: f64) -> usize {
        let wide = self.called.values().filter(|node| node.samples as f64 >= least);
        wide.map(|node| 1 + node.depth(least)).max().unwrap_or(0)
    }

    fn draw(
        &self,
        f: &mut fmt::Formatter<'_>,
        (mut left, bottom): (f64, f64),
        per_sample: f64,
        all: u64,
    ) -> fmt::Result {
        for (name, node) in &self.called {
            let width = node.samples as f64 * per_sample;
            if width >= NARROWEST {
                let (top, share) = (bottom - LINE, 100.0 * node.samples as f64 / all as f64);
                writeln!(
                    f,
                    r#"<g><title>{} ({share:.1} %)</title><rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{:.1}" rx="1" fill="{}"/>"#,
                    escaped(name),
                    LINE - 1.0,
                    colour(name)
                )?;
                if width >= NAMED {
                    let letters = ((width - 4.0) / LETTER) as usize;
                    writeln!(
                        f,
                        r#"<text x="{:.1}" y="{:.1}">{}</text>"#,
                        left + 2.0,
                        top + 11.5,
                        escaped(&shortened(name, letters))
                    )?;
                }
                writeln!(f, "</g>")?;
                node.draw(f, (left, top), per_sample, all)?;
            }
            left += width;
        }
        Ok(())
    }
}

/// As much of a name as has room, its end rather than its beginning: that is the function itself.
fn shortened(name: &str, letters: usize) -> String {
    let count = name.chars().count();
    if count <= letters {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count + 1 - letters.max(1)).collect();
    format!("…{end}")
}

/// The kernel's functions end with `[k]`; what has a path is Rust, and what has none is C.
fn colour(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("[k]") => "#efb46a",
        _ if name.contains("suibi") => "#8fbbe8",
        _ if name.contains("::") => "#bcd0e0",
        _ => "#9fd3a8",
    }
}

impl fmt::Display for FlameGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.root.samples.max(1);
        let per_sample = (WIDTH - 16.0) / all as f64;
        let height = TOP + LINE * self.root.depth(NARROWEST / per_sample) as f64 + 8.0;
        writeln!(
            f,
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="10.5" fill="#1a202c">"##
        )?;
        writeln!(f, r##"<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>"##)?;
        writeln!(
            f,
            r#"<text x="8" y="22" font-family="sans-serif" font-size="15" font-weight="bold">{}, {all} samples</text>"#,
            escaped(&self.title)
        )?;
        let legend =
            [("kernel", "[k]"), ("suibi", "suibi"), ("Rust", "::"), ("C: SQLite, libc", "")];
        for (at, (what, name)) in legend.into_iter().enumerate() {
            let left = WIDTH - 400.0 + 90.0 * at as f64;
            writeln!(
                f,
                r#"<rect x="{left}" y="12" width="12" height="12" fill="{}"/><text x="{}" y="22">{what}</text>"#,
                colour(name),
                left + 16.0
            )?;
        }
        self.root.draw(f, (8.0, height - 4.0), per_sample, all)?;
        writeln!(f, "</svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_as_wide_as_it_was_seen_often_with_all_that_it_called() {
        let stack = |functions: &str| functions.split(' ').map(str::to_owned).collect();
        let folded =
            Folded::from([(stack("a b<T> c"), 2), (stack("a b<T> d[k]"), 1), (stack("a e"), 1)]);
        let svg = FlameGraph::new("test", "x & y".to_owned(), &folded).to_string();
        assert!(svg.contains("x &amp; y, 4 samples") && svg.ends_with("</svg>\n"));
        let rect = |name: &str| -> Vec<f64> {
            let line = svg.lines().find(|line| line.contains(&format!("<title>{name} ("))).unwrap();
            let numbers = line.split('"').skip(1).step_by(2);
            numbers.take(3).map(|number| number.parse().unwrap()).collect()
        };
        let whole = WIDTH - 16.0;
        let (a, b) = (rect("a"), rect("b&lt;T&gt;"));
        assert_eq!((a[0], a[2]), (8.0, whole));
        assert_eq!((b[0], b[2], b[1] + LINE), (8.0, whole * 0.75, a[1]));
        let (c, d, e) = (rect("c"), rect("d[k]"), rect("e"));
        assert_eq!((c[2], d[0], d[1]), (whole / 2.0, 8.0 + whole / 2.0, c[1]));
        assert_eq!((e[0], e[1]), (8.0 + whole * 0.75, b[1]));
        assert!(svg.contains("d[k] (25.0 %)"));
    }

    #[test]
    fn of_a_long_name_the_end_is_shown() {
        assert_eq!(shortened("suibi::store::commit", 7), "…commit");
        assert_eq!(shortened("commit", 6), "commit");
    }
}
