//! The figures to reach, what was measured, and whether that is enough.
//!
//! Each goal names a figure, or the ratio of two from the same round. A figure comes from whatever
//! case measures it, under a name; a run that leaves a case out leaves its goals open.

use std::fmt;

use serde::Serialize;

use crate::report::{Spread, grouped};
use crate::table::Facts;

/// One line of the table.
struct Goal {
    what: &'static str,
    bound: Bound,
    unit: Unit,
    of: Of,
    /// The same of others, by the name of each.
    beside: &'static [(&'static str, Of)],
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Clone, Copy)]
enum Unit {
    Percent,
    Times,
    Millis,
    Megabytes,
    Kibibytes,
}

#[derive(Clone, Copy)]
enum Of {
    Fact(&'static str),
    /// Round by round, if both have as many.
    Ratio(&'static str, &'static str),
}

use Bound::{AtLeast, AtMost};
use Of::{Fact, Ratio};

const GOALS: &[Goal] = &[
    Goal {
        what: "durable single notes, plain CoAP, 64 outstanding, of a bare echo",
        bound: AtLeast(0.25),
        unit: Unit::Percent,
        of: Ratio("POST /notes, 64 outstanding", "bare echo, 64 outstanding"),
        beside: &[
            ("libcoap", Ratio("libcoap's server, 64 outstanding", "bare echo, 64 outstanding")),
            ("coap-rs", Ratio("coap-rs's server, 64 outstanding", "bare echo, 64 outstanding")),
            ("aiocoap", Ratio("aiocoap's server, 64 outstanding", "bare echo, 64 outstanding")),
            (
                "Redis",
                Ratio("Redis, appendfsync always, 64 outstanding", "bare echo, 64 outstanding"),
            ),
        ],
    },
    Goal {
        what: "durable single notes, plain CoAP, 1,024 outstanding, of a bare echo",
        bound: AtLeast(0.40),
        unit: Unit::Percent,
        of: Ratio("POST /notes, 1,024 outstanding", "bare echo, 1,024 outstanding"),
        beside: &[
            (
                "libcoap",
                Ratio("libcoap's server, 1,024 outstanding", "bare echo, 1,024 outstanding"),
            ),
            (
                "coap-rs",
                Ratio("coap-rs's server, 1,024 outstanding", "bare echo, 1,024 outstanding"),
            ),
            (
                "Redis",
                Ratio(
                    "Redis, appendfsync always, 1,024 outstanding",
                    "bare echo, 1,024 outstanding",
                ),
            ),
        ],
    },
    Goal {
        what: "durable single notes, plain CoAP, 64 outstanding, of libcoap's server, which stores nothing",
        bound: AtLeast(1.0),
        unit: Unit::Times,
        of: Ratio("POST /notes, 64 outstanding", "libcoap's server, 64 outstanding"),
        beside: &[],
    },
    Goal {
        what: "the same at 1,024 outstanding",
        bound: AtLeast(1.0),
        unit: Unit::Times,
        of: Ratio("POST /notes, 1,024 outstanding", "libcoap's server, 1,024 outstanding"),
        beside: &[],
    },
    Goal {
        what: "durable single notes, plain CoAP, 64 outstanding, of coap-rs's server, which stores nothing",
        bound: AtLeast(1.0),
        unit: Unit::Times,
        of: Ratio("POST /notes, 64 outstanding", "coap-rs's server, 64 outstanding"),
        beside: &[],
    },
    Goal {
        what: "the same at 1,024 outstanding",
        bound: AtLeast(1.0),
        unit: Unit::Times,
        of: Ratio("POST /notes, 1,024 outstanding", "coap-rs's server, 1,024 outstanding"),
        beside: &[],
    },
    Goal {
        what: "the same under OSCORE, 64 outstanding, of the plain figure",
        bound: AtLeast(0.85),
        unit: Unit::Percent,
        of: Ratio("the same under OSCORE, 64 outstanding", "POST /notes, 64 outstanding"),
        beside: &[],
    },
    Goal {
        what: "the same under OSCORE, 1,024 outstanding, of the plain figure",
        bound: AtLeast(0.85),
        unit: Unit::Percent,
        of: Ratio("the same under OSCORE, 1,024 outstanding", "POST /notes, 1,024 outstanding"),
        beside: &[],
    },
    Goal {
        what: "POST /feed, 4 a datagram, of SQLite alone",
        bound: AtLeast(0.80),
        unit: Unit::Percent,
        of: Ratio("POST /feed, 4 a datagram, 64 outstanding", "SQLite alone, 256 a commit"),
        beside: &[],
    },
    Goal {
        what: "POST /feed, 200 in blocks, of SQLite alone",
        bound: AtLeast(0.80),
        unit: Unit::Percent,
        of: Ratio("POST /feed, 200 in blocks, 16 outstanding", "SQLite alone, 1,024 a commit"),
        beside: &[],
    },
    Goal {
        what: "answer time of one note at a time, of a bare echo after fdatasync",
        bound: AtMost(1.5),
        unit: Unit::Times,
        of: Ratio(
            "POST /notes, one at a time, answer us",
            "bare echo after fdatasync, one at a time, answer us",
        ),
        beside: &[],
    },
    Goal {
        what: "`suibi TEXT`, start to exit, joined, 10,000 notes, of a bare add",
        bound: AtMost(2.0),
        unit: Unit::Times,
        of: Ratio("suibi TEXT, joined, ms", "bare add, ms"),
        beside: &[
            ("`sh -c 'echo >> file'`", Ratio("sh -c 'echo >> file', ms", "bare add, ms")),
            ("atuin", Ratio("atuin history start, ms", "bare add, ms")),
            ("jrnl", Ratio("jrnl TEXT, ms", "bare add, ms")),
        ],
    },
    Goal {
        what: "jrnl's add, 10,000 notes, of `suibi TEXT`",
        bound: AtLeast(50.0),
        unit: Unit::Times,
        of: Ratio("jrnl TEXT, ms", "suibi TEXT, joined, ms"),
        beside: &[("atuin", Ratio("atuin history start, ms", "suibi TEXT, joined, ms"))],
    },
    Goal {
        what: "list a day, 1,000,000 notes, start to exit",
        bound: AtMost(10.0),
        unit: Unit::Millis,
        of: Fact("list a day, 1,000,000 notes, ms"),
        beside: &[],
    },
    Goal {
        what: "latest 50, 1,000,000 notes, start to exit",
        bound: AtMost(10.0),
        unit: Unit::Millis,
        of: Fact("latest 50, 1,000,000 notes, ms"),
        beside: &[],
    },
    Goal {
        what: "search for a rare word, 1,000,000 notes, start to exit",
        bound: AtMost(20.0),
        unit: Unit::Millis,
        of: Fact("search rare, 1,000,000 notes, ms"),
        beside: &[],
    },
    Goal {
        what: "search for a common word, 1,000,000 notes, start to exit",
        bound: AtMost(20.0),
        unit: Unit::Millis,
        of: Fact("search common, 1,000,000 notes, ms"),
        beside: &[],
    },
    Goal {
        what: "search for two Chinese characters, 1,000,000 notes, start to exit",
        bound: AtMost(20.0),
        unit: Unit::Millis,
        of: Fact("search Chinese, 1,000,000 notes, ms"),
        beside: &[],
    },
    Goal {
        what: "first sync on loopback, of the rate at which SQLite alone takes the notes",
        bound: AtLeast(0.50),
        unit: Unit::Percent,
        of: Fact("first sync, loopback, share of SQLite alone"),
        beside: &[],
    },
    Goal {
        what: "first sync over 50 ms, in bare TCP copies",
        bound: AtMost(3.0),
        unit: Unit::Times,
        of: Fact("first sync, 50 ms round trip, times a TCP copy"),
        beside: &[],
    },
    Goal {
        what: "server memory with 1,000,000 notes",
        bound: AtMost(40.0),
        unit: Unit::Megabytes,
        of: Fact("server memory, 1,000,000 notes, MB"),
        beside: &[],
    },
    Goal {
        what: "server memory per further known client",
        bound: AtMost(2.0),
        unit: Unit::Kibibytes,
        of: Fact("many clients, OSCORE, 10,000 devices, KiB each"),
        beside: &[],
    },
    Goal {
        what: "add at 1,000,000 notes, of 10,000",
        bound: AtMost(1.2),
        unit: Unit::Times,
        of: Ratio("add, 1,000,000 notes, CPU us", "add, 10,000 notes, CPU us"),
        beside: &[],
    },
    Goal {
        what: "list a day at 1,000,000 notes, of 10,000",
        bound: AtMost(1.2),
        unit: Unit::Times,
        of: Ratio("list a day, 1,000,000 notes, CPU us", "list a day, 10,000 notes, CPU us"),
        beside: &[],
    },
    Goal {
        what: "a feed page at 1,000,000 notes, of 10,000",
        bound: AtMost(1.2),
        unit: Unit::Times,
        of: Ratio("feed page, 1,000,000 notes, CPU us", "feed page, 10,000 notes, CPU us"),
        beside: &[],
    },
];

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.0} %", 100.0 * value),
            Self::Times if value >= 100.0 => format!("{} x", grouped(value)),
            Self::Times => format!("{value:.2} x"),
            Self::Millis if value < 10.0 => format!("{value:.2} ms"),
            Self::Millis => format!("{value:.0} ms"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Kibibytes => format!("{value:.1} KiB"),
        }
    }
}

impl Bound {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(least) => format!("at least {}", unit.show(least)),
            Self::AtMost(most) => format!("at most {}", unit.show(most)),
        }
    }
}

impl Of {
    fn spread(self, facts: &Facts) -> Option<Spread> {
        let rounds = |name: &str| facts.get(name);
        match self {
            Self::Fact(name) => Spread::of(rounds(name)?.iter().copied()),
            Self::Ratio(upper, lower) => {
                let (upper, lower) = (rounds(upper)?, rounds(lower)?);
                if upper.len() == lower.len() {
                    return Spread::of(upper.iter().zip(lower).map(|(upper, lower)| upper / lower));
                }
                let median =
                    |values: &[f64]| Spread::of(values.iter().copied()).map(|spread| spread.median);
                Spread::of([median(upper)? / median(lower)?])
            }
        }
    }
}

/// A line as a program reads it.
#[derive(Serialize)]
struct Line {
    goal: &'static str,
    target: String,
    measured: Option<Spread>,
    /// None where nothing was measured.
    met: Option<bool>,
    beside: Vec<String>,
    #[serde(skip)]
    shown: String,
}

/// The whole table.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Goals {
    lines: Vec<Line>,
}

impl Goals {
    /// What these figures say of each goal.
    pub(crate) fn of(facts: &Facts) -> Self {
        let line = |goal: &Goal| {
            let measured = goal.of.spread(facts);
            let show = |Spread { median, min, max }: Spread| {
                let [median, min, max] = [median, min, max].map(|value| goal.unit.show(value));
                format!("**{median}** ({min} - {max})")
            };
            let beside = goal.beside.iter().filter_map(|(name, of)| {
                Some(format!("{name} {}", goal.unit.show(of.spread(facts)?.median)))
            });
            Line {
                goal: goal.what,
                target: goal.bound.show(goal.unit),
                measured,
                met: measured.map(|measured| goal.bound.is_met(measured.median)),
                beside: beside.collect(),
                shown: measured.map_or_else(String::new, show),
            }
        };
        Self { lines: GOALS.iter().map(line).collect() }
    }

    /// Whether anything that a goal asks for was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.measured.is_none())
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure to reach | target | measured | met | beside it |")?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        for line in &self.lines {
            let Some(met) = line.met else { continue };
            let met = if met { "yes" } else { "**no**" };
            let Line { goal, target, shown, beside, .. } = line;
            writeln!(f, "| {goal} | {target} | {shown} | {met} | {} |", beside.join(", "))?;
        }
        match self.lines.iter().filter(|line| line.met.is_none()).count() {
            0 => Ok(()),
            open => writeln!(f, "\n{open} goals are about what this run did not measure."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn a_goal_is_met_by_the_median_of_the_rounds_and_open_without_them() {
        let fact = |name: &str, rounds: &[f64]| (name.to_owned(), rounds.to_vec());
        let mut facts = Facts::from([
            fact("bare echo, 64 outstanding", &[100.0, 200.0, 100.0]),
            fact("POST /notes, 64 outstanding", &[26.0, 48.0, 30.0]),
            fact("server memory, 1,000,000 notes, MB", &[40.1]),
        ]);
        let text = Goals::of(&facts).to_string();
        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap();
        let plain = line("plain CoAP, 64 outstanding");
        assert!(plain.contains("at least 25 % | **26 %** (24 % - 30 %) | yes |"), "{plain}");
        let memory = line("memory with");
        assert!(memory.contains("| **40.1 MB** (40.1 MB - 40.1 MB) | **no** |"), "{memory}");
        assert!(!text.contains("first sync over"), "it was not measured");
        facts.clear();
        assert!(Goals::of(&facts).is_empty());
    }

    #[test]
    fn a_ratio_of_unlike_rounds_is_that_of_their_medians() {
        let fact = |name: &str, rounds: &[f64]| (name.to_owned(), rounds.to_vec());
        let facts = Facts::from([fact("a", &[1.0, 2.0, 3.0]), fact("b", &[4.0])]);
        assert_eq!(Ratio("a", "b").spread(&facts).unwrap().median, 0.5);
        assert!(Ratio("a", "c").spread(&facts).is_none());
    }

    #[test]
    fn what_a_goal_asks_of_the_servers_is_measured() {
        let asked = GOALS.iter().flat_map(|goal| {
            goal.beside.iter().map(|(_, of)| *of).chain([goal.of]).flat_map(|of| match of {
                Fact(name) => vec![name],
                Ratio(upper, lower) => vec![upper, lower],
            })
        });
        let cases = cases::all();
        for name in asked.filter(|name| name.contains("outstanding") || name.contains("a commit")) {
            assert!(cases.iter().any(|case| case.name == name), "no case is called {name:?}");
        }
    }
}
