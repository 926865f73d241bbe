//! Commands from their start to their end, taking turns: ours, others', and what a note cannot cost less than.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use suibi_store::{JournalId, Store as _};

use crate::device::{Home, PATIENCE};
use crate::feed::plausible;
use crate::peers::Peer;
use crate::plot::{Bar, Bars, Whose};
use crate::report::Spread;
use crate::server::Server;
use crate::table::{Table, spread};
use crate::{Failure, Options, cpu, sqlite};

pub(crate) const NAME: &str = "commands beside others";

pub(crate) const PEERS: [Peer; 2] = [Peer::Jrnl, Peer::Atuin];

/// How many notes all of them have before.
const NOTES: u32 = 10_000;

/// How often each command runs in a round, and of how many runs a slow one has one.
const PASSES: usize = 8;
const SLOW: usize = 8;

/// The note that is searched for, by its number, which is in its text.
const SOUGHT: &str = "4242";

const BARE_ADD: &str = "bare add";

/// A command that is measured.
struct Command {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    does: Does,
    whose: Whose,
    /// One run in so many passes.
    every: usize,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Takes a note as its last argument.
    Add,
    /// Prints notes, one of which has this in it.
    Print(&'static str),
    Nothing,
}

struct Run {
    wall: Duration,
    cpu: Duration,
}

/// All commands, pass after pass.
///
/// # Errors
/// When one fails, or a note is missing in the end.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let directory = tempfile::tempdir_in(&options.dir)?;
    options.tell(1, "commands, preparing 10,000 notes for each");
    let places = Places::prepare(options, directory.path())?;
    let mut commands = places.commands(options)?;
    let passes = PASSES * options.rounds;
    // The first run of each is not counted: caches fill, and some settle their configuration.
    for command in &mut commands {
        command.run(options, &text(0))?;
    }
    for pass in 1..=passes {
        for command in &mut commands {
            if pass % command.every == 0 {
                options.tell(pass.div_ceil(PASSES), command.name);
                let run = command.run(options, &text(pass))?;
                command.runs.push(run);
            }
        }
    }
    places.verify(options, passes)?;
    Ok(table(&commands))
}

/// The note of this pass.
fn text(pass: usize) -> String {
    format!("bought tea in pass <{pass}>")
}

fn table(commands: &[Command]) -> Table {
    let columns =
        ["command, start to exit, 10,000 notes", "ms", "CPU, ms", "of a bare add", "runs"];
    let mut table = Table::new(NAME, &columns);
    let walls = |command: &Command| -> Vec<f64> {
        command.runs.iter().map(|run| run.wall.as_secs_f64() * 1e3).collect()
    };
    let show = |ms: f64| if ms < 100.0 { format!("{ms:.2}") } else { format!("{ms:.0}") };
    let median = |command: &Command| Spread::of(walls(command)).map(|spread| spread.median);
    let bare = commands.iter().find(|command| command.name == BARE_ADD).and_then(median);
    let mut bars = Vec::new();
    for command in commands {
        table.fact(format!("{}, ms", command.name), walls(command));
        let share = median(command).zip(bare).map(|(own, bare)| format!("{:.1} x", own / bare));
        table.row([
            command.name.to_owned(),
            spread(walls(command), show),
            spread(command.runs.iter().map(|run| run.cpu.as_secs_f64() * 1e3), show),
            share.filter(|_| command.does == Does::Add).unwrap_or_default(),
            command.runs.len().to_string(),
        ]);
        bars.extend(Spread::of(walls(command)).map(|spread| Bar {
            label: command.name.to_owned(),
            spread,
            whose: command.whose,
        }));
    }
    table.picture(Bars { name: "commands", title: "start to exit, milliseconds".to_owned(), bars });
    table
}

impl Command {
    fn run(&mut self, options: &Options, text: &str) -> Result<Run, Failure> {
        self.run_once(options, text).map_err(|failure| format!("{}: {failure}", self.name).into())
    }

    fn run_once(&self, options: &Options, text: &str) -> Result<Run, Failure> {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).args((self.does == Does::Add).then_some(text));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).current_dir(&options.dir);
        // A slow machine's complaints are read, too.
        let complaints = tempfile::tempfile_in(&options.dir)?;
        command.stderr(complaints.try_clone()?);
        let (cpu_before, start) = (cpu::of_ended_children()?, Instant::now());
        let mut child = command.spawn()?;
        let mut printed = Vec::new();
        child.stdout.take().ok_or("no pipe")?.read_to_end(&mut printed)?;
        let status = child.wait()?;
        let wall = start.elapsed();
        let cpu = cpu::of_ended_children()? - cpu_before;
        let printed = String::from_utf8_lossy(&printed);
        if !status.success() {
            let mut said = String::new();
            let mut complaints = complaints;
            std::io::Seek::rewind(&mut complaints)?;
            complaints.read_to_string(&mut said)?;
            return Err(format!("{status}\n{printed}{said}").into());
        }
        match self.does {
            Does::Print(what) if !printed.contains(what) => {
                Err(format!("it does not print {what}").into())
            }
            _ => Ok(Run { wall, cpu }),
        }
    }
}

/// Where everybody keeps their notes.
struct Places {
    directory: PathBuf,
    /// Nobody runs there.
    embedded: PathBuf,
    /// A server on the same files.
    running: Home,
    /// A server, and the device that has joined it.
    joined: Home,
    device: PathBuf,
    /// Appends and syncs before it echoes.
    echo: Server,
}

impl Places {
    fn prepare(options: &Options, directory: &Path) -> Result<Self, Failure> {
        let home = |name: &str| {
            let directory = directory.join(name);
            fs::create_dir(&directory)?;
            Home::with_notes(&options.server, &directory, NOTES)
        };
        let (embedded, running, mut joined) =
            (home("embedded")?, home("running")?, home("joined")?);
        let data = embedded.data().to_owned();
        embedded.server.stop()?;
        let mut device = joined.device(joined.server.address)?;
        device.sync(PATIENCE, |_| {})?;
        let status = device.status(Duration::from_secs(1))?;
        let device = status.replica.parent().ok_or("a replica without a directory")?.to_owned();
        let echo = Server::bare(Some(&directory.join("bare-there")))?;
        prepare_jrnl(directory)?;
        prepare_atuin(directory)?;
        let directory = directory.to_owned();
        let places = Self { directory, embedded: data, running, joined, device, echo };
        for place in [&places.embedded, &places.running.data().to_owned(), &places.device] {
            let mut sync = places.suibi("suibi sync", options, place, &["sync"], Does::Nothing);
            sync.run(options, "")?;
        }
        if options.compares_with(Peer::Atuin) {
            let mut import =
                places.atuin(options, "atuin import", &["import", "bash"], Does::Nothing)?;
            import.environment.push(("HISTFILE", places.directory.join("history").into()));
            import.run(options, "")?;
        }
        Ok(places)
    }

    fn commands(&self, options: &Options) -> Result<Vec<Command>, Failure> {
        let running = self.running.data();
        let own = std::env::current_exe()?;
        let here = self.directory.join("bare-here").display().to_string();
        let add = &["--require-server"];
        let list = ["log", "-n", "50"];
        let search = ["search", SOUGHT];
        let bare_add = vec!["bare-add".to_owned(), here, self.echo.address.to_string()];
        let shell = format!("echo \"$0\" >> '{}'", self.directory.join("shell").display());
        let command = |name, program, arguments, does, whose| Command {
            name,
            program,
            arguments,
            environment: Vec::new(),
            does,
            whose,
            every: 1,
            runs: Vec::new(),
        };
        let mut commands = vec![
            command("/bin/true", "/bin/true".into(), Vec::new(), Does::Nothing, Whose::Limit),
            command(
                "sh -c 'echo >> file'",
                "/bin/sh".into(),
                vec!["-c".to_owned(), shell],
                Does::Add,
                Whose::Limit,
            ),
            command(BARE_ADD, own, bare_add, Does::Add, Whose::Limit),
            self.suibi("suibi TEXT, joined", options, &self.device, add, Does::Add),
            self.suibi("suibi TEXT, server running", options, running, add, Does::Add),
            self.suibi("suibi TEXT, embedded", options, &self.embedded, add, Does::Add),
            self.suibi("suibi log -n 50, joined", options, &self.device, &list, Does::Print("tea")),
            self.suibi("suibi search, joined", options, &self.device, &search, Does::Print(SOUGHT)),
        ];
        if options.compares_with(Peer::Atuin) {
            for (name, arguments, does) in [
                ("atuin history start", &["history", "start", "--"][..], Does::Add),
                (
                    "atuin search --limit 50, all",
                    &["search", "--limit", "50", ""],
                    Does::Print("tea"),
                ),
                ("atuin search", &["search", "--limit", "50", SOUGHT], Does::Print(SOUGHT)),
            ] {
                commands.push(self.atuin(options, name, arguments, does)?);
            }
        }
        if options.compares_with(Peer::Jrnl) {
            for (name, arguments, does) in [
                ("jrnl TEXT", &[][..], Does::Add),
                ("jrnl -n 50", &["-n", "50"], Does::Print("tea")),
                ("jrnl -contains", &["-contains", SOUGHT], Does::Print(SOUGHT)),
            ] {
                commands.push(self.jrnl(options, name, arguments, does)?);
            }
        }
        Ok(commands)
    }

    fn suibi(
        &self,
        name: &'static str,
        options: &Options,
        data: &Path,
        arguments: &[&str],
        does: Does,
    ) -> Command {
        Command {
            name,
            program: options.server.clone(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: vec![
                ("HOME", self.directory.clone().into()),
                ("SUIBI_CONFIG", self.directory.join("no-config.toml").into()),
                ("SUIBI_DATA_DIR", data.into()),
            ],
            does,
            whose: Whose::Ours,
            every: 1,
            runs: Vec::new(),
        }
    }

    fn atuin(
        &self,
        options: &Options,
        name: &'static str,
        arguments: &[&str],
        does: Does,
    ) -> Result<Command, Failure> {
        Ok(Command {
            name,
            program: Peer::Atuin.program(options)?,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: vec![
                ("HOME", self.directory.join("atuin").into()),
                ("ATUIN_CONFIG_DIR", self.directory.join("atuin").into()),
                ("ATUIN_SESSION", "0190000000007000800000000000aaaa".into()),
            ],
            does,
            whose: Whose::Peer,
            every: 1,
            runs: Vec::new(),
        })
    }

    fn jrnl(
        &self,
        options: &Options,
        name: &'static str,
        arguments: &[&str],
        does: Does,
    ) -> Result<Command, Failure> {
        let config = self.directory.join("jrnl.yaml").display().to_string();
        let before = ["--config-file", &config];
        let arguments = before.iter().chain(arguments);
        Ok(Command {
            name,
            program: Peer::Jrnl.program(options)?,
            arguments: arguments.map(|word| (*word).to_owned()).collect(),
            environment: vec![("HOME", self.directory.clone().into())],
            does,
            whose: Whose::Peer,
            every: SLOW,
            runs: Vec::new(),
        })
    }

    /// Whether every note is where it was put.
    fn verify(self, options: &Options, passes: usize) -> Result<(), Failure> {
        let mut files = vec!["shell", "bare-here", "bare-there"];
        files.extend(options.compares_with(Peer::Jrnl).then_some("journal.txt"));
        for file in files {
            let kept = fs::read_to_string(self.directory.join(file))?;
            let every = if file == "journal.txt" { SLOW } else { 1 };
            for pass in (0..=passes).step_by(every) {
                if !kept.contains(&text(pass)) {
                    return Err(format!("{file}: «{}» is not there", text(pass)).into());
                }
            }
        }
        if options.compares_with(Peer::Atuin) {
            let arguments = &["search", "--limit", "100000", "bought tea in pass <"];
            // Its own way to find them; the last is among them if any is.
            self.atuin(options, "atuin", arguments, Does::Print("in pass <1>"))?
                .run(options, "")?;
        }
        let data = [self.running.data().to_owned(), self.joined.data().to_owned(), self.embedded];
        self.running.server.stop()?;
        self.joined.server.stop()?;
        // One command adds to each.
        for data in data {
            let there = sqlite::open(&data)?.reader()?.count(JournalId::FIRST)?;
            let expected = u64::from(NOTES) + passes as u64 + 1;
            if there != expected {
                return Err(format!("{}: {there} notes, not {expected}", data.display()).into());
            }
        }
        Ok(())
    }
}

/// A configuration and a journal of the same notes, a few hours apart, the last of them yesterday.
fn prepare_jrnl(directory: &Path) -> Result<(), Failure> {
    let journal = directory.join("journal.txt").display().to_string();
    let config = format!(
        "colors: {{body: none, date: none, tags: none, title: none}}\ndefault_hour: 9\n\
         default_minute: 0\neditor: ''\nencrypt: false\nhighlight: false\n\
         indent_character: '|'\njournals: {{default: {{journal: '{journal}'}}}}\nlinewrap: 200\n\
         tagsymbols: '@'\ntemplate: false\ntimeformat: '%F %R'\nversion: v4.6\n"
    );
    fs::write(directory.join("jrnl.yaml"), config)?;
    let mut text = String::new();
    for number in 0..NOTES {
        // Twelve months of thirty days, five a day: dates that are right without a calendar.
        let (day, hour) = (number / 5, 8 + number % 5);
        let (year, month, day) = (2020 + day / 360, 1 + day % 360 / 30, 1 + day % 30);
        let day = day.min(28);
        let note = plausible(number);
        text += &format!("[{year}-{month:02}-{day:02} {hour:02}:00] {note}\n\n");
    }
    Ok(fs::write(journal, text)?)
}

/// A shell history of the same notes, and settings without a network.
fn prepare_atuin(directory: &Path) -> Result<(), Failure> {
    let home = directory.join("atuin");
    fs::create_dir(&home)?;
    fs::write(home.join("config.toml"), "auto_sync = false\nupdate_check = false\n")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let mut history = String::new();
    for number in 0..NOTES {
        let time = now - u64::from(NOTES - number) * 17_000;
        history += &format!("#{time}\n{}\n", plausible(number));
    }
    Ok(fs::write(directory.join("history"), history)?)
}
