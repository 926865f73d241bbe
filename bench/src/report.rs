//! The table, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::cases::{Case, Figures};
use crate::plot::{Bar, Bars, Whose};
use crate::table::Facts;
use crate::{Failure, Options};

/// All figures so far.
pub(crate) struct Report {
    rows: Vec<Row>,
    rounds: usize,
    turn: Duration,
}

struct Row {
    name: &'static str,
    limit: Option<&'static str>,
    whose: Whose,
    turns: Vec<Figures>,
}

/// Median, smallest and largest of the rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Some(Self { median, min, max })
    }
}

/// A row as a program reads it.
#[derive(Serialize)]
struct JsonRow<'a> {
    case: &'a str,
    notes_per_cpu_second: Spread,
    microseconds_of_cpu_per_note: Spread,
    notes_per_second: Spread,
    limit: Option<&'a str>,
    share_of_limit: Option<Spread>,
    cpu_share_by_thread: BTreeMap<&'a str, f64>,
    microseconds_of_cpu_per_note_afterwards: Option<Spread>,
    answer_microseconds_median: Option<Spread>,
    answer_microseconds_p99: Option<Spread>,
    resident_kib: Option<u64>,
    generator_share_of_a_core: Option<Spread>,
    notes: u64,
    retried: u64,
    separate_answers: u64,
}

#[derive(Serialize)]
struct Json<'a> {
    rounds: usize,
    seconds_per_turn: f64,
    rows: Vec<JsonRow<'a>>,
}

impl Report {
    pub(crate) fn new(cases: &[Case], options: &Options) -> Self {
        let row = |case: &Case| Row {
            name: case.name,
            limit: case.limit,
            whose: case.whose(),
            turns: Vec::new(),
        };
        Self { rows: cases.iter().map(row).collect(), rounds: options.rounds, turn: options.turn }
    }

    pub(crate) fn add(&mut self, case: &Case, figures: Figures) {
        let row = self.rows.iter_mut().find(|row| row.name == case.name);
        row.expect("rows were made of the cases").turns.push(figures);
    }

    /// Notes per CPU-second under each case's name, and the median answer time in microseconds under `…, answer us`.
    pub(crate) fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        for row in &self.rows {
            let rates = row.turns.iter().map(Figures::per_cpu_second);
            facts.insert(row.name.to_owned(), rates.collect());
            let loaded = row.turns.iter().filter_map(|turn| turn.loaded.as_ref());
            let answers: Vec<_> =
                loaded.map(|loaded| loaded.answer_time(0.5).as_micros() as f64).collect();
            if !answers.is_empty() {
                facts.insert(format!("{}, answer us", row.name), answers);
            }
        }
        facts
    }

    /// All cases beside each other.
    pub(crate) fn picture(&self) -> Bars {
        let bar = |row: &Row| {
            let spread = row.spread(Figures::per_cpu_second)?;
            Some(Bar { label: row.name.to_owned(), spread, whose: row.whose })
        };
        Bars {
            name: "servers",
            title: "notes (or echoes) per server CPU-second".to_owned(),
            bars: self.rows.iter().filter_map(bar).collect(),
        }
    }

    pub(crate) fn json(&self) -> Result<serde_json::Value, Failure> {
        let rows = self.rows.iter().filter_map(|row| row.figures(self)).collect();
        let seconds_per_turn = self.turn.as_secs_f64();
        let json = Json { rounds: self.rounds, seconds_per_turn, rows };
        Ok(serde_json::to_value(json)?)
    }
}

impl Row {
    fn spread(&self, value: impl Fn(&Figures) -> f64) -> Option<Spread> {
        Spread::of(self.turns.iter().map(value))
    }

    /// Share of the limit, round by round, so that both had the same moment of the machine.
    fn share(&self, report: &Report) -> Option<Spread> {
        let limit = report.rows.iter().find(|row| Some(row.name) == self.limit)?;
        let turns = self.turns.iter().zip(&limit.turns);
        Spread::of(turns.map(|(own, limit)| own.per_cpu_second() / limit.per_cpu_second()))
    }

    fn figures<'a>(&'a self, report: &Report) -> Option<JsonRow<'a>> {
        let last = self.turns.last()?;
        let answered = |share| {
            let times = self.turns.iter().filter_map(|turn| turn.loaded.as_ref());
            Spread::of(times.map(|loaded| loaded.answer_time(share).as_micros() as f64))
        };
        let mut threads: BTreeMap<&str, f64> = BTreeMap::new();
        let mut all = 0.0;
        for (thread, used) in self.turns.iter().flat_map(|turn| &turn.cpu) {
            *threads.entry(thread).or_default() += used.as_secs_f64();
            all += used.as_secs_f64();
        }
        threads.values_mut().for_each(|used| *used /= all);
        let loaded = || self.turns.iter().filter_map(|turn| turn.loaded.as_ref());
        Some(JsonRow {
            case: self.name,
            notes_per_cpu_second: self.spread(Figures::per_cpu_second)?,
            microseconds_of_cpu_per_note: self.spread(|turn| 1e6 / turn.per_cpu_second())?,
            notes_per_second: self.spread(|turn| turn.notes as f64 / turn.wall.as_secs_f64())?,
            limit: self.limit,
            share_of_limit: self.share(report),
            cpu_share_by_thread: threads,
            microseconds_of_cpu_per_note_afterwards: Spread::of(
                self.turns.iter().filter_map(|turn| {
                    Some(turn.cpu_after?.as_secs_f64() * 1e6 / turn.notes as f64)
                }),
            ),
            answer_microseconds_median: answered(0.5),
            answer_microseconds_p99: answered(0.99),
            resident_kib: last.resident_kib,
            generator_share_of_a_core: Spread::of(
                loaded().map(|loaded| loaded.cpu.as_secs_f64() / loaded.wall.as_secs_f64()),
            ),
            notes: self.turns.iter().map(|turn| turn.notes).sum(),
            retried: loaded().map(|loaded| loaded.retried).sum(),
            separate_answers: loaded().map(|loaded| loaded.separate).sum(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rounds of {:.1} s; median (smallest - largest)\n",
            self.rounds,
            self.turn.as_secs_f64()
        )?;
        writeln!(
            f,
            "| case | notes per server CPU-second | us CPU | share of its limit | notes/s, wall | answer p50 / p99, us | index after, us CPU | generator's share of a core | by thread |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
        for row in self.rows.iter().filter_map(|row| row.figures(self)) {
            let rate = row.notes_per_cpu_second;
            let share = row.share_of_limit.map_or_else(String::new, |share| {
                format!(
                    "**{:.0} %** ({:.0} - {:.0})",
                    100.0 * share.median,
                    100.0 * share.min,
                    100.0 * share.max
                )
            });
            let answer = match (row.answer_microseconds_median, row.answer_microseconds_p99) {
                (Some(p50), Some(p99)) => format!("{:.0} / {:.0}", p50.median, p99.median),
                _ => String::new(),
            };
            let afterwards = row
                .microseconds_of_cpu_per_note_afterwards
                .map_or_else(String::new, |spread| format!("{:.1}", spread.median));
            let generator = row
                .generator_share_of_a_core
                .map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share.median));
            let threads: Vec<_> = row
                .cpu_share_by_thread
                .iter()
                .filter(|(_, share)| **share >= 0.005)
                .map(|(thread, share)| format!("{thread} {:.0} %", 100.0 * share))
                .collect();
            writeln!(
                f,
                "| {} | **{}** ({} - {}) | {:.1} | {share} | {} | {answer} | {afterwards} | {generator} | {} |",
                row.case,
                grouped(rate.median),
                grouped(rate.min),
                grouped(rate.max),
                row.microseconds_of_cpu_per_note.median,
                grouped(row.notes_per_second.median),
                threads.join(", "),
            )?;
        }
        Ok(())
    }
}

/// A number to three digits, with commas: 12,300.
pub(crate) fn grouped(value: f64) -> String {
    let digits = value.max(1.0).log10().floor() as i32 + 1;
    let unit = 10f64.powi((digits - 3).max(0));
    let rounded = format!("{:.0}", (value / unit).round() * unit);
    let mut text = String::new();
    for (at, digit) in rounded.chars().enumerate() {
        if at > 0 && (rounded.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_grouped() {
        let cases = [(0.0, "0"), (7.4, "7"), (999.0, "999"), (12_345.0, "12,300")];
        for (value, text) in cases {
            assert_eq!(grouped(value), text);
        }
        assert_eq!(grouped(1_234_567.0), "1,230,000");
    }

    #[test]
    fn a_spread_has_the_middle_and_both_ends() {
        let spread = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([1.0, 2.0]).unwrap().median, 1.5);
        assert!(Spread::of([]).is_none());
    }
}
