//! A table with columns of its own, for people and for programs, and the figures that goals ask for.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::plot::Picture;
use crate::report::Spread;

/// Figures by name, each with what every round came to: [`crate::goals`] names the ones that it asks for.
pub(crate) type Facts = BTreeMap<String, Vec<f64>>;

/// Rows of one measurement.
pub(crate) struct Table {
    /// The key in the JSON file.
    pub(crate) name: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    facts: Facts,
    pictures: Vec<Picture>,
}

impl Table {
    pub(crate) fn new(name: &'static str, columns: &[&'static str]) -> Self {
        Self {
            name,
            columns: columns.to_vec(),
            rows: Vec::new(),
            facts: Facts::new(),
            pictures: Vec::new(),
        }
    }

    /// Keeps what the rounds came to under a name, in the unit that the goal which asks for it is in.
    pub(crate) fn fact(&mut self, name: impl Into<String>, rounds: impl IntoIterator<Item = f64>) {
        self.facts.insert(name.into(), rounds.into_iter().collect());
    }

    /// A picture of these figures, in a file of its own.
    pub(crate) fn picture(&mut self, picture: impl Into<Picture>) {
        self.pictures.push(picture.into());
    }

    /// The figures by name, and the pictures.
    pub(crate) fn into_parts(self) -> (Facts, Vec<Picture>) {
        (self.facts, self.pictures)
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<_> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    pub(crate) fn json(&self) -> Value {
        let row = |cells: &Vec<String>| -> Value {
            self.columns.iter().zip(cells).map(|(name, cell)| (*name, json!(cell))).collect()
        };
        self.rows.iter().map(row).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|{}", " --- |".repeat(self.columns.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// Median (smallest - largest) of these, as `show` writes them.
pub(crate) fn spread(
    values: impl IntoIterator<Item = f64>,
    show: impl Fn(f64) -> String,
) -> String {
    match Spread::of(values) {
        Some(Spread { median, min, max }) => {
            format!("**{}** ({} - {})", show(median), show(min), show(max))
        }
        None => String::new(),
    }
}
