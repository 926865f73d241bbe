//! How many instructions the hot functions take, so that a change which makes one of them cost more is seen.
//!
//! It runs itself under callgrind, which counts what the processor is asked to do: other work on the machine, its
//! clock and its caches change nothing. A count that rose above its bound is a failure; one that fell far is
//! a hint to record it anew, and one that is next to nothing a failure too: then something else was counted.
//!
//! ```sh
//! cargo test --workspace --no-run                                   # builds what is counted
//! cargo test --workspace --test counts                              # compares with bench/counts.txt
//! SUIBI_COUNTS=record cargo test --workspace --test counts          # writes bench/counts.txt
//! cargo test --release --workspace --test counts                    # a release's, after its build; compared with nothing
//! ```
//!
//! What is compared is the build for tests, as it is there anyway. It finds work that is done twice, or that grows
//! with something; what only the optimiser of a release does or leaves undone is not in it.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

#[path = "../work/mod.rs"]
mod work;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use work::{Call, Work};

/// Calls before anything is counted: what is made on first use is there then.
const WARM: usize = 4;

/// Notes in stores that are asked something: few, as callgrind is fifty times slower than the processor.
const NOTES: u64 = 512;

/// How many calls are counted of each function.
const CALLS: usize = 16;

/// The argument of the process that callgrind watches.
const UNDER_CALLGRIND: &str = "--under-callgrind";

/// How many times the recorded count is still no failure, with the same compiler and valgrind. Two runs of one
/// build differ by less than a thousandth; a change elsewhere can move what is inlined where.
const BOUND: f64 = 1.3;

/// The same where compiler or valgrind are others than the recorded ones.
const BOUND_OTHER_TOOLS: f64 = 2.0;

/// And on top, for functions of a few hundred instructions: one walk through the allocator.
const SLACK: u64 = 300;

/// Below this part of the recorded count, the record is out of date.
const FELL: f64 = 0.7;

/// Below this one, what was counted is hardly the work any more.
const VANISHED: f64 = 0.3;

/// How often a note is counted again that the server did not acknowledge while the command waited: under callgrind, and
/// on a busy machine, its patience may end first.
const TRIES: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == UNDER_CALLGRIND) {
        run_the_work();
        return ExitCode::SUCCESS;
    }
    // `cargo test WORD` and `cargo test -- --list` are not meant for this.
    let word = arguments.iter().find(|argument| !argument.starts_with('-'));
    if arguments.iter().any(|argument| argument == "--list")
        || word.is_some_and(|word| !"counts".contains(word.as_str()))
    {
        return ExitCode::SUCCESS;
    }
    match count_and_compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nerror: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The child's part.
fn run_the_work() {
    for Work { prepare, .. } in work::all(NOTES) {
        let mut next = prepare();
        for _ in 0..WARM {
            next()();
        }
        let calls: Vec<Call> = (0..CALLS).map(|_| next()).collect();
        count_these_calls(calls);
    }
}

/// Callgrind knows it by its name: it counts from its beginning, and writes the count at its end.
#[inline(never)]
fn count_these_calls(calls: Vec<Call>) {
    for call in calls {
        call();
    }
}

type Counts = Vec<(String, u64)>;

fn count_and_compare() -> Result<(), String> {
    let compiler = first_line("rustc", &["--version"])?;
    let valgrind = first_line("valgrind", &["--version"])
        .map_err(|error| format!("{error}; install valgrind (Debian: apt-get install valgrind)"))?;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut counts = functions(dir.path())?;
    counts.push(command(dir.path())?);
    let here = format!("{compiler}, {}, {valgrind}", std::env::consts::ARCH);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.txt");
    if !cfg!(debug_assertions) {
        print!("instructions in a release, {here}\n\n{}", lines(&counts));
        return Ok(());
    }
    if std::env::var_os("SUIBI_COUNTS").is_some_and(|what| what == "record") {
        let text = format!(
            "# Instructions that hot functions take in a build for tests. Written by\n\
             #   SUIBI_COUNTS=record cargo test --workspace --test counts\n\
             {here}\n\n{}",
            lines(&counts)
        );
        return std::fs::write(&path, text).map_err(|error| error.to_string());
    }
    let record = std::fs::read_to_string(&path).map_err(|error| format!("{path:?}: {error}"))?;
    compare(&here, &counts, &record)
}

fn lines(counts: &Counts) -> String {
    let mut lines = String::new();
    for (name, count) in counts {
        writeln!(lines, "{count:>10}  {name}").unwrap();
    }
    lines
}

/// Prints what is there beside what was recorded, and says what is wrong with it.
fn compare(here: &str, counts: &Counts, record: &str) -> Result<(), String> {
    let mut record = record.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let there = record.next().ok_or("bench/counts.txt is empty")?;
    let mut recorded = BTreeMap::new();
    for line in record {
        let (count, name) = line.trim_start().split_once("  ").ok_or(line)?;
        recorded.insert(name, count.parse::<u64>().map_err(|error| format!("{line}: {error}"))?);
    }
    // "rustc …, x86_64, valgrind-…"
    let part = |of: &str, at| of.split(", ").nth(at).map(str::to_owned);
    let is_comparable = part(here, 1) == part(there, 1);
    let bound = if here == there { BOUND } else { BOUND_OTHER_TOOLS };
    println!("instructions: {here}\nrecorded:     {there}");
    if !is_comparable {
        println!("another kind of processor: nothing is compared");
    }
    println!("bound:        {bound} of the recorded, and {SLACK}\n");

    let (mut wrong, mut fell) = (Vec::new(), false);
    for (name, count) in counts {
        let Some(before) = recorded.remove(name.as_str()) else {
            wrong.push(format!("{name}: is not recorded"));
            continue;
        };
        let ratio = *count as f64 / before as f64;
        let verdict = if !is_comparable {
            ""
        } else if *count as f64 > before as f64 * bound + SLACK as f64 {
            wrong.push(format!("{name}: {before} -> {count}, which is more"));
            "ROSE"
        } else if ratio < VANISHED {
            wrong.push(format!("{name}: {before} -> {count}; is it done at all?"));
            "VANISHED"
        } else if ratio < FELL {
            fell = true;
            "fell"
        } else {
            ""
        };
        println!("{count:>10}  {before:>10}  {ratio:>5.2}  {name}  {verdict}");
    }
    wrong.extend(recorded.keys().map(|name| format!("{name}: is recorded, and not there")));
    if fell {
        println!("\nhint: what fell is worth a new record, which then holds it there");
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the instructions are others than recorded in bench/counts.txt:\n  {}\n\
         Look for the cause. If it is worth it, record the counts anew and say why in the commit:\n  \
         SUIBI_COUNTS=record cargo test --workspace --test counts",
        wrong.join("\n  ")
    ))
}

/// What each of the functions takes.
fn functions(dir: &Path) -> Result<Counts, String> {
    let out = dir.join("functions");
    let mut valgrind = callgrind(&out);
    valgrind.args(["--zero-before=*::count_these_calls", "--dump-after=*::count_these_calls"]);
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    run(valgrind.arg(this).arg(UNDER_CALLGRIND))?;
    let counted = |(number, Work { name, per_call, .. }): (usize, Work)| {
        let part = PathBuf::from(format!("{}.{number}", out.display()));
        match total(&part)? / (CALLS as u64 * per_call) {
            0 => Err(format!("{name}: nothing was counted")),
            count => Ok((name.to_owned(), count)),
        }
    };
    (1..).zip(work::all(NOTES)).map(counted).collect()
}

/// What the processor does in the program itself for `suibi TEXT`, from start to exit, with a server that runs.
fn command(dir: &Path) -> Result<(String, u64), String> {
    // Cargo puts the tests into `deps` beside the programs.
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let suibi = this.ancestors().nth(2).unwrap().join("suibi");
    if !suibi.exists() {
        return Err(format!(
            "there is no {}; build it first: cargo test --workspace --no-run",
            suibi.display()
        ));
    }
    let here = |command: &mut Command| {
        command.env("HOME", dir).env("SUIBI_DATA_DIR", dir.join("data")).current_dir(dir);
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, dir);
        }
        command.env_remove("SUIBI_SERVER").env("TZ", "UTC").env("LANG", "C.UTF-8");
    };
    let mut serve = Command::new(&suibi);
    here(serve.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()));
    let mut server = serve.spawn().map_err(|error| format!("{suibi:?}: {error}"))?;
    let counted = (|| {
        let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
        said.find(|line| line.trim_start().starts_with("ready"))
            .ok_or("the server is not ready")?;
        std::thread::spawn(move || said.for_each(drop));
        let suibi_here = |arguments: &[&str]| {
            let mut command = Command::new(&suibi);
            here(command.args(arguments));
            run(&mut command)
        };
        // The first one makes the replica.
        for _ in 0..2 {
            suibi_here(&["bought", "tea"])?;
        }
        let out = dir.join("command");
        for _ in 0..TRIES {
            // What still waits would go along.
            suibi_here(&["sync"])?;
            let mut valgrind = callgrind(&out);
            here(valgrind.arg(&suibi).args(["bought", "tea", "@shop"]));
            if run(&mut valgrind)?.contains("saved") {
                return Ok(("suibi: a note, start to exit".to_owned(), total(&out)?));
            }
        }
        Err(format!("of {TRIES} notes none was acknowledged while the command waited"))
    })();
    let _ = server.kill();
    let _ = server.wait();
    counted
}

fn callgrind(out: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    valgrind
}

/// The sum of a file of callgrind's.
fn total(file: &Path) -> Result<u64, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file:?}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    line.and_then(|count| count.trim().parse().ok()).ok_or(format!("{file:?} has no sum"))
}

/// Runs it to its end and gives what it said, errors last; fails as it does.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let [out, errors] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    match output.status.success() {
        true => Ok(format!("{out}{errors}")),
        false => Err(format!("{command:?}: {}\n{errors}", output.status)),
    }
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String, String> {
    let said = run(Command::new(program).args(arguments))?;
    Ok(said.lines().next().unwrap_or_default().to_owned())
}
