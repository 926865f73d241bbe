//! How many durable notes a second of server processor time makes, and what the limits are.
//!
//! `scripts/bench` builds and runs it. Each case starts a server of its own in an empty directory,
//! loads it for a while, checks every answer, asks the store afterwards whether all that was
//! acknowledged is there, and divides by the processor time that the server's threads have taken.
//! The cases take turns, round after round, so that a busy moment of the machine hits all alike.

mod apart;
mod bare;
mod cases;
mod cpu;
mod device;
mod feed;
mod first_sync;
mod kernel;
mod load;
mod message;
mod narrow;
mod protected;
mod report;
mod server;
mod sqlite;
mod table;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use report::Report;
use table::Table;

const USAGE: &str = "\
usage: suibi-bench [--quick] [--rounds N] [--seconds S] [--notes N] [--only WORD]
                   [--json FILE] [--dir DIR] --server PATH

  --server PATH  the suibi binary to measure, built for release
  --quick        two short rounds: does it work, and what is the order of magnitude
  --rounds N     how often each case has its turn (5)
  --seconds S    how long each turn loads (3)
  --notes N      how many a first sync brings (100000)
  --only WORD    only the cases whose name has WORD in it
  --dir DIR      where the servers keep their data; the disk under it is measured, too
  --json FILE    write the figures there as well
";

/// What to measure and how.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) server: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) turn: Duration,
    pub(crate) notes: u32,
    pub(crate) only: Option<String>,
    pub(crate) json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    // The servers that bound the measurement are this same program.
    if arguments.peek().is_some_and(|first| first == "bare") {
        return finish(bare::serve(arguments.nth(1).map(PathBuf::from).as_deref()));
    }
    let Some(options) = parse(arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    finish(measure(&options))
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
        self.only.as_ref().is_none_or(|word| name.contains(word.as_str()))
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

/// A measurement with a table of its own.
type Measure = fn(&Options) -> Result<Table, Failure>;

/// What is measured from end to end.
const WHOLE: [(&str, Measure); 3] =
    [(first_sync::NAME, first_sync::run), (apart::NAME, apart::run), (narrow::NAME, narrow::run)];

fn measure(options: &Options) -> Result<(), Failure> {
    let cases: Vec<_> = cases::all().into_iter().filter(|case| options.wants(case.name)).collect();
    let mut json = serde_json::Map::new();
    if !cases.is_empty() {
        let mut report = Report::new(&cases, options);
        for round in 1..=options.rounds {
            for case in &cases {
                options.tell(round, case.name);
                let figures =
                    case.run(options).map_err(|failure| format!("{}: {failure}", case.name))?;
                report.add(case, figures);
            }
        }
        options.told();
        print!("{report}");
        json.insert("server".into(), report.json()?);
    }
    for (name, run) in WHOLE {
        if options.wants(name) {
            let table = run(options).map_err(|failure| format!("{name}: {failure}"))?;
            options.told();
            print!("\n{table}");
            json.insert(table.name.into(), table.json());
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&json)? + "\n")?;
    }
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        server: PathBuf::new(),
        dir: std::env::temp_dir(),
        rounds: 5,
        turn: Duration::from_secs(3),
        notes: 100_000,
        only: None,
        json: None,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => {
                options.rounds = 2;
                options.turn = Duration::from_millis(800);
                options.notes = 10_000;
            }
            "--rounds" => options.rounds = arguments.next()?.parse().ok()?,
            "--seconds" => {
                options.turn = Duration::try_from_secs_f64(arguments.next()?.parse().ok()?).ok()?;
            }
            "--notes" => options.notes = arguments.next()?.parse().ok()?,
            "--only" => options.only = Some(arguments.next()?),
            "--json" => options.json = Some(arguments.next()?.into()),
            "--dir" => options.dir = arguments.next()?.into(),
            "--server" => options.server = arguments.next()?.into(),
            _ => return None,
        }
    }
    (options.rounds > 0 && !options.server.as_os_str().is_empty()).then_some(options)
}

/// Why there is no figure. A benchmark that measured something wrong must not print a number.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
