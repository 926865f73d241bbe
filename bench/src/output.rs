//! What a run leaves behind: the tables on standard output and in `report.txt`, everything in
//! `report.json`, and a picture for each comparison.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::Failure;
use crate::goals::Goals;
use crate::plot::Picture;
use crate::report::{Report, Spread};
use crate::table::{Facts, Table};

/// What a run has come to so far.
#[derive(Default)]
pub(crate) struct Output {
    text: String,
    json: Map<String, Value>,
    facts: Facts,
    pictures: Vec<Picture>,
}

impl Output {
    /// The cases that take turns.
    pub(crate) fn servers(&mut self, report: &Report) -> Result<(), Failure> {
        self.print(&report.to_string());
        self.json.insert("server".into(), report.json()?);
        self.facts.extend(report.facts());
        self.pictures.push(report.picture().into());
        Ok(())
    }

    /// What was measured by itself, and how long that took.
    pub(crate) fn table(&mut self, table: Table, took: Duration) {
        self.print(&format!("\n{table}\n{} took {}.\n", table.name, minutes(took)));
        self.json.insert(table.name.into(), table.json());
        let (facts, pictures) = table.into_parts();
        self.facts.extend(facts);
        self.pictures.extend(pictures);
    }

    /// What there was no time for.
    pub(crate) fn left_out(&mut self, what: &str) {
        self.print(&format!("\nThe time was over: {what} not measured.\n"));
    }

    /// How long the whole run took.
    pub(crate) fn took(&mut self, took: Duration) {
        self.print(&format!("\nThe run took {}.\n", minutes(took)));
        self.json.insert("seconds".into(), took.as_secs().into());
    }

    /// The goals, and all files.
    pub(crate) fn finish(mut self, out: Option<&Path>) -> Result<(), Failure> {
        let goals = Goals::of(&self.facts);
        if !goals.is_empty() {
            self.print(&format!("\n{goals}"));
        }
        self.json.insert("goals".into(), serde_json::to_value(&goals)?);
        let spread = |(name, rounds): (&String, &Vec<f64>)| {
            (name.clone(), json!(Spread::of(rounds.iter().copied())))
        };
        self.json.insert("facts".into(), self.facts.iter().map(spread).collect());
        if let Some(out) = out {
            fs::create_dir_all(out)?;
            fs::write(out.join("report.txt"), &self.text)?;
            let json = serde_json::to_string_pretty(&self.json)?;
            fs::write(out.join("report.json"), json + "\n")?;
            for picture in &self.pictures {
                fs::write(out.join(picture.name).with_extension("svg"), &picture.svg)?;
            }
        }
        Ok(())
    }

    fn print(&mut self, text: &str) {
        print!("{text}");
        self.text.push_str(text);
    }
}

fn minutes(took: Duration) -> String {
    let seconds = took.as_secs();
    format!("{} min {} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_in_the_files() {
        let out = tempfile::tempdir().unwrap();
        let mut table = Table::new("memory", &["what", "MB"]);
        table.row(["server".to_owned(), "12".to_owned()]);
        table.fact("server memory, 1,000,000 notes, MB", [12.0]);
        let mut output = Output::default();
        output.table(table, Duration::from_secs(61));
        output.left_out("loss");
        output.took(Duration::from_secs(1_802));
        output.finish(Some(out.path())).unwrap();
        let read = |name: &str| fs::read_to_string(out.path().join(name)).unwrap();
        let text = read("report.txt");
        assert!(text.contains("| server | 12 |\n\nmemory took 1 min 1 s."), "{text}");
        assert!(text.contains("loss not measured") && text.contains("The run took 30 min 2 s."));
        // What was not measured has no line, but is counted.
        assert!(text.contains("goals are about what this run did not measure"), "{text}");
        let json: Value = serde_json::from_str(&read("report.json")).unwrap();
        assert_eq!(json["memory"][0]["MB"], "12");
        assert_eq!(json["facts"]["server memory, 1,000,000 notes, MB"]["median"], 12.0);
        let met = json["goals"].as_array().unwrap().iter().filter(|goal| goal["met"] == true);
        assert_eq!(met.count(), 1);
    }
}
