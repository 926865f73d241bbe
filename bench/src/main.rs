//! How many durable notes a second of server processor time makes, and what the limits are.
//!
//! `scripts/bench` builds and runs it. Each case starts a server of its own in an empty directory,
//! loads it for a while, checks every answer, asks the store afterwards whether all that was
//! acknowledged is there, and divides by the processor time that the server's threads have taken.
//! The cases take turns, round after round, so that a busy moment of the machine hits all alike.

mod apart;
mod bare;
mod cases;
mod commands;
mod cpu;
mod device;
mod feed;
mod first_sync;
mod flame_graph;
mod flames;
mod goals;
mod journal_maker;
mod kernel;
mod layers;
mod load;
mod lossy;
mod many;
mod message;
mod million;
mod mirror;
mod narrow;
mod output;
mod peers;
mod plot;
mod profile;
mod protected;
mod redis;
mod report;
mod server;
mod sqlite;
mod stacks;
mod table;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cases::Case;
use output::Output;
use peers::Peer;
use report::Report;
use table::Table;

const USAGE: &str = "\
usage: suibi-bench [--quick] [--rounds N] [--seconds S] [--minutes M] [--notes N]
                   [--only WORD]... [--without NAME]... [--dir DIR] [--out DIR] [--peers DIR]
                   [--needs] --server PATH

  --server PATH  the suibi binary to measure, built for release
  --quick        two short rounds of the cases that need no long preparation: does it work, and
                 what is the order of magnitude; with --only, also of any other
  --rounds N     how often each case has its turn (5); long ones, which prepare journals and
                 wait for lines, half as often
  --seconds S    how long each turn loads (2)
  --minutes M    nothing more is begun after so many (30); what was not measured then is named
  --notes N      how many a first sync brings (100000), and the largest journal has (1000000)
  --only WORD    only what has WORD in its name, or any of several; the word servers is all cases
                 that load a server, and their limits
  --without NAME not this one of the others: libcoap, coap-rs, aiocoap, redis, jrnl, atuin
  --dir DIR      where the servers keep their data; the disk under it is measured, too
  --out DIR      where report.txt, report.json and the pictures go
  --peers DIR    where the others are that are not packages of the system
  --needs        measure nothing, but say which of the others this would need
";

/// What to measure and how.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) server: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) turn: Duration,
    pub(crate) notes: Option<u32>,
    only: Vec<String>,
    /// When the run is to be over.
    minutes: u64,
    /// Leaves out what takes long before or after what is measured.
    pub(crate) quick: bool,
    pub(crate) out: Option<PathBuf>,
    pub(crate) peers: PathBuf,
    without: Vec<Peer>,
    needs: bool,
}

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    // The programs that bound the measurement are this same one.
    if let Some(result) = bare::run(&arguments) {
        return finish(result);
    }
    let is_inside = arguments.first().is_some_and(|first| first == lossy::INSIDE);
    if is_inside {
        arguments.remove(0);
    }
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let Some(options) = parse(arguments.into_iter()) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    if options.needs {
        for peer in options.needed() {
            println!("{peer}");
        }
        return ExitCode::SUCCESS;
    }
    finish(if is_inside { lossy::inside(&options) } else { measure(&options) })
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }

    /// Whether this case is wanted, by its name or as one of all.
    fn wants_case(&self, name: &str) -> bool {
        self.wants(name) || self.only.iter().any(|word| word == SERVERS)
    }

    /// Whether this one of the others is to be measured, too.
    pub(crate) fn compares_with(&self, peer: Peer) -> bool {
        !self.without.contains(&peer)
    }

    /// The cases that take turns.
    fn cases(&self) -> Vec<Case> {
        let mut cases = cases::all();
        cases.retain(|case| {
            self.wants_case(case.name) && case.peer().is_none_or(|peer| self.compares_with(peer))
        });
        cases
    }

    fn measurements(&self) -> impl Iterator<Item = &'static (&'static str, Measure)> {
        WHOLE.iter().filter(|(name, _)| {
            let is_short = SHORT.contains(name) || !self.only.is_empty();
            self.wants(name) && (is_short || !self.quick)
        })
    }

    /// Which of the others a run is about.
    fn needed(&self) -> BTreeSet<Peer> {
        let mut needed: BTreeSet<_> = self.cases().iter().filter_map(Case::peer).collect();
        if self.measurements().any(|(name, _)| *name == commands::NAME) {
            needed.extend(commands::PEERS.into_iter().filter(|peer| self.compares_with(*peer)));
        }
        needed
    }

    /// Says what is being measured, on a terminal.
    pub(crate) fn tell(&self, round: usize, name: &str) {
        if std::io::stderr().is_terminal() {
            eprint!("\rround {round} of {}: {name:<50}", self.rounds);
        }
    }

    fn told(&self) {
        if std::io::stderr().is_terminal() {
            eprint!("\r{:70}\r", "");
        }
    }
}

/// With `--only`: all cases that take turns.
const SERVERS: &str = "servers";

/// A measurement with a table of its own.
type Measure = fn(&Options) -> Result<Table, Failure>;

/// What is measured from end to end, by name.
const WHOLE: &[(&str, Measure)] = &[
    (commands::NAME, commands::run),
    (layers::NAME, layers::run),
    (flames::NAME, flames::run),
    (first_sync::NAME, first_sync::run),
    (apart::NAME, apart::run),
    (narrow::NAME, narrow::run),
    (million::NAME, million::run),
    (million::COMMANDS, million::run_commands),
    (many::NAME, many::run),
    (lossy::NAME, lossy::run),
];

/// What of it is short enough for `--quick` without `--only`.
const SHORT: &[&str] = &[commands::NAME];

fn measure(options: &Options) -> Result<(), Failure> {
    let start = Instant::now();
    for peer in options.needed() {
        // Better now than after ten minutes.
        peer.program(options)?;
    }
    if options.cases().is_empty() && options.measurements().next().is_none() {
        return Err("nothing has such a name".into());
    }
    let mut output = Output::default();
    // What fails takes nothing with it that was measured before.
    let measured = measure_all(options, start, &mut output);
    options.told();
    output.took(start.elapsed());
    output.finish(options.out.as_deref())?;
    measured
}

fn measure_all(options: &Options, start: Instant, output: &mut Output) -> Result<(), Failure> {
    let is_over = || start.elapsed() >= Duration::from_secs(60 * options.minutes);
    let cases = options.cases();
    if !cases.is_empty() {
        let mut report = Report::new(&cases, options);
        for round in 1..=options.rounds {
            if round > 1 && is_over() {
                output.left_out(&format!("{} rounds of the servers", options.rounds + 1 - round));
                break;
            }
            for case in &cases {
                options.tell(round, case.name);
                // The index is waited for once: it takes longer than all else together.
                let figures = case
                    .run(options, round == 1 && !options.quick)
                    .map_err(|failure| format!("{}: {failure}", case.name))?;
                report.add(case, figures);
            }
        }
        options.told();
        output.servers(&report)?;
    }
    let fewer = Options { rounds: options.rounds.div_ceil(2), ..options.clone() };
    for (name, run) in options.measurements() {
        if is_over() {
            output.left_out(name);
            continue;
        }
        let options = if SHORT.contains(name) { options } else { &fewer };
        let begun = Instant::now();
        let table = run(options).map_err(|failure| format!("{name}: {failure}"))?;
        options.told();
        output.table(table, begun.elapsed());
    }
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        server: PathBuf::new(),
        dir: std::env::temp_dir(),
        rounds: 5,
        turn: Duration::from_secs(2),
        notes: None,
        only: Vec::new(),
        minutes: 30,
        quick: false,
        out: None,
        peers: PathBuf::new(),
        without: Vec::new(),
        needs: false,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => {
                options.quick = true;
                options.rounds = 2;
                options.turn = Duration::from_millis(500);
                options.notes = Some(10_000);
            }
            "--rounds" => options.rounds = arguments.next()?.parse().ok()?,
            "--seconds" => {
                options.turn = Duration::try_from_secs_f64(arguments.next()?.parse().ok()?).ok()?;
            }
            "--notes" => options.notes = Some(arguments.next()?.parse().ok()?),
            "--only" => options.only.push(arguments.next()?),
            "--minutes" => options.minutes = arguments.next()?.parse().ok()?,
            "--dir" => options.dir = arguments.next()?.into(),
            "--out" => options.out = Some(arguments.next()?.into()),
            "--peers" => options.peers = arguments.next()?.into(),
            "--without" => options.without.push(arguments.next()?.parse().ok()?),
            "--needs" => options.needs = true,
            "--server" => options.server = arguments.next()?.into(),
            _ => return None,
        }
    }
    (options.rounds > 0 && !options.server.as_os_str().is_empty()).then_some(options)
}

/// Why there is no figure. A benchmark that measured something wrong must not print a number.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_option_and_no_other() {
        let named = USAGE.lines().filter_map(|line| {
            let mut words = line.strip_prefix("  --")?.split_whitespace();
            let (name, next) = (words.next()?, words.next()?);
            Some((format!("--{name}"), next.chars().all(|letter| letter.is_ascii_uppercase())))
        });
        let mut arguments = Vec::new();
        for (name, takes_a_value) in named {
            arguments.push(name.clone());
            let value = if name == "--without" { "redis" } else { "7" };
            arguments.extend(takes_a_value.then(|| value.to_owned()));
        }
        let options = parse(arguments.clone().into_iter()).expect("the help is right");
        assert_eq!((options.rounds, options.notes, options.quick), (7, Some(7), true));
        // Each of them is in the summary, too.
        for name in arguments.iter().filter(|argument| argument.starts_with("--")) {
            let (summary, _) = USAGE.split_once("\n\n").unwrap();
            assert!(summary.contains(name.as_str()), "{name}");
        }
        assert!(parse(["--sever", "x"].map(String::from).into_iter()).is_none());
        assert!(parse(["--quick".to_owned()].into_iter()).is_none(), "nothing to measure");
    }

    #[test]
    fn all_servers_are_one_word_and_nothing_else_has_it() {
        let only = |words: &[&str]| {
            let words = words.iter().flat_map(|word| ["--only", word]);
            parse(words.chain(["--server", "x"]).map(str::to_owned)).unwrap()
        };
        let servers = only(&[SERVERS]);
        assert_eq!(servers.cases().len(), cases::all().len());
        assert_eq!(servers.measurements().count(), 0);
        let some = only(&["one at a time", "layers"]);
        assert_eq!((some.cases().len(), some.measurements().count()), (2, 1));
    }

    #[test]
    fn measurements_have_names_of_their_own() {
        let mut names: Vec<_> = WHOLE.iter().map(|(name, _)| *name).collect();
        names.extend(cases::all().iter().map(|case| case.name));
        assert!(SHORT.iter().all(|name| names.contains(name)));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
