//! What questions cost in a journal of a million notes, and whether that is more than in one of ten thousand.
//!
//! In this process it is the store alone that is asked, and what it costs is processor time: that differs little
//! on a busy machine. The commands are timed as people wait for them, from the start to the exit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use suibi_client::{Client, ClientConfig, Place};
use suibi_coap::{Code, Request};
use suibi_journal::{Body, Cursor, Extras, NoteTime, Query};
use suibi_store::{
    Expect, JournalId, OwnChain, Reader, SqliteOptions, SqliteStore, Store as _, Write,
};

use crate::journal_maker::{self, Maker, RARE_TAG, RARE_WORD, REPLICA};
use crate::report::{Spread, grouped};
use crate::server::Server;
use crate::table::{Table, spread};
use crate::{Failure, Options, cpu, sqlite};

pub(crate) const NAME: &str = "a million notes";
pub(crate) const COMMANDS: &str = "a million notes, commands";

/// How many notes the largest journal has, unless it is said.
const NOTES: u32 = 1_000_000;
/// A larger one is made for one run, and without a replica: it would fill the disk.
const MOST_KEPT: u32 = 2_000_000;
/// A listing that somebody reads.
const SCREEN: usize = 50;
/// A page of the feed as a client asks for it.
const PAGE_BYTES: usize = 48 << 10;
/// A question is repeated so long, or so often.
const TURN: Duration = Duration::from_millis(20);
const REPEATS: u32 = 200;
/// How often a command is started in one turn.
const STARTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(20);

/// A hundredth of the largest journal, a tenth, and that one.
fn sizes(options: &Options) -> [u32; 3] {
    let notes = options.notes.unwrap_or(NOTES).max(1_000);
    [notes / 100, notes / 10, notes]
}

/// A journal that may be written to, and goes when this is dropped.
struct Journal {
    notes: u32,
    dir: tempfile::TempDir,
}

impl Journal {
    fn new(options: &Options, notes: u32) -> Result<Self, Failure> {
        let dir = tempfile::tempdir_in(&options.dir)?;
        if notes > MOST_KEPT {
            journal_maker::make(dir.path(), notes)?;
            return Ok(Self { notes, dir });
        }
        let kept = journal_maker::kept(&options.dir, notes)?;
        for file in fs::read_dir(kept)? {
            let file = file?;
            fs::copy(file.path(), dir.path().join(file.file_name()))?;
        }
        Ok(Self { notes, dir })
    }

    fn has_replica(&self) -> bool {
        self.notes <= MOST_KEPT
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A day in the middle.
    fn some_day(&self) -> suibi_journal::Day {
        Maker::day(self.notes / 2)
    }
}

/// What is asked of a reader.
enum Ask {
    Notes(Query),
    Days,
    Count,
    Tags,
    Heads,
    Feed(Cursor),
}

impl Ask {
    /// How many of whatever it is there are.
    fn of(&self, reader: &mut dyn Reader) -> Result<u64, Failure> {
        let journal = JournalId::FIRST;
        Ok(match self {
            Self::Notes(query) => reader.notes(journal, query)?.len() as u64,
            Self::Days => reader.days(journal)?.len() as u64,
            Self::Count => reader.count(journal)?,
            Self::Tags => reader.tags(journal)?.len() as u64,
            Self::Heads => reader.heads(journal)?.len() as u64,
            Self::Feed(after) => reader.feed(journal, *after, PAGE_BYTES)??.entries.len() as u64,
        })
    }
}

/// The questions, each with its name; the same for journals of all sizes.
fn questions(journal: &Journal, reader: &mut dyn Reader) -> Result<Vec<(String, Ask)>, Failure> {
    let all = Query::default;
    let screen = || Query { limit: Some(SCREEN), ..all() };
    let words = |text: &str| Query { text: Some(text.to_owned()), ..screen() };
    let tag = |tag: &str| Query { tags: vec![tag.to_owned()], ..screen() };
    let from = |name: &str| Query { from: Some(name.to_owned()), ..screen() };
    let day = journal.some_day();
    let week = |query: Query| Query { since: Some(day), until: Some(day.add(6)), ..query };
    let notes = [
        ("latest 50", screen()),
        (DAY, Query::on(day)),
        ("a week, its latest 50", week(screen())),
        ("rare word (10 notes)", words(RARE_WORD)),
        ("commonest word, latest 50", words("the")),
        ("two commonest characters as a phrase, latest 50", words("的一")),
        ("the same apart, latest 50", words("的 一")),
        ("two common characters that are seldom together", words("说方")),
        ("phrase of common words, latest 50", words("\"of the\"")),
        ("beginning of many words, latest 50", words("ba*")),
        ("beginning of few words", words("axol*")),
        ("common word in a week", week(words("the"))),
        ("rare word and common word", words(&format!("{RARE_WORD} the"))),
        ("common word without another, latest 50", words("the -of")),
        ("pinyin of common characters, latest 50", words("deyi")),
        ("its first letters, latest 50", words("dy")),
        ("first letters of four characters, latest 50", words("ydsb")),
        ("pinyin of characters that are seldom together", words("shuofang")),
        ("pinyin that nobody wrote", words("niuniaonao")),
        ("common tag, latest 50", tag("work")),
        (
            "common tag and commonest word, latest 50",
            Query { tags: vec!["work".into()], ..words("the") },
        ),
        ("common tag and rare word", Query { tags: vec!["work".into()], ..words(RARE_WORD) }),
        ("rare tag and commonest word", Query { tags: vec![RARE_TAG.into()], ..words("the") }),
        ("from a device that writes, latest 50", from("phone")),
        ("from one that wrote at the beginning", from("old phone")),
        (
            "from that one, with a common word",
            Query { from: Some("old phone".into()), ..words("the") },
        ),
    ];
    let mut asks: Vec<(String, Ask)> =
        notes.into_iter().map(|(name, query)| (name.to_owned(), Ask::Notes(query))).collect();
    asks.extend([
        ("how many notes".to_owned(), Ask::Count),
        ("all tags with their numbers".to_owned(), Ask::Tags),
        ("ends of all chains".to_owned(), Ask::Heads),
        ("all days with their numbers".to_owned(), Ask::Days),
    ]);
    let end = reader.head(JournalId::FIRST)?.position;
    for (name, position) in [("first", 0), ("in the middle", end / 2), ("last", end - 100)] {
        let before = reader.feed_range(JournalId::FIRST, position, Some(position), 1)?;
        asks.push((format!("page of the feed, {name}"), Ask::Feed(before.next)));
    }
    Ok(asks)
}

/// The figures of one row, for each journal.
struct Row {
    name: String,
    /// Under what name a goal asks for them, and in which unit.
    fact: Option<(&'static str, &'static str)>,
    /// At the largest journal.
    found: u64,
    /// Microseconds or milliseconds, journal by journal.
    times: Vec<Vec<f64>>,
}

impl Row {
    fn new(name: &str, journals: usize) -> Self {
        let fact = FACTS.iter().find(|(row, ..)| *row == name);
        let fact = fact.map(|(_, fact, unit)| (*fact, *unit));
        Self { name: name.to_owned(), fact, found: 0, times: vec![Vec::new(); journals] }
    }

    fn cells(&self, show: impl Fn(f64) -> String) -> Vec<String> {
        let medians: Vec<f64> = self
            .times
            .iter()
            .filter_map(|times| Spread::of(times.iter().copied()))
            .map(|spread| spread.median)
            .collect();
        let growth = match medians[..] {
            [first, .., last] => format!("{:.2}", last / first),
            _ => String::new(),
        };
        let times = self.times.iter().map(|times| spread(times.iter().copied(), &show));
        [self.name.clone(), self.found.to_string()]
            .into_iter()
            .chain(times)
            .chain([growth])
            .collect()
    }
}

/// The store, asked and written to in this process: microseconds of processor time.
///
/// # Errors
/// When a journal cannot be made, or an answer is not what it should be.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let journals = journals(options)?;
    let mut stores = Vec::new();
    for journal in &journals {
        let mut reader = sqlite::open(journal.path())?.reader()?;
        let questions = questions(journal, &mut *reader)?;
        stores.push((sqlite::open(journal.path())?, reader, questions));
    }
    let names = stores[0].2.iter().map(|(name, _)| name.as_str());
    let written = [ADD, SEARCH_AFTER, OPEN];
    let mut rows: Vec<Row> =
        names.chain(written).map(|name| Row::new(name, journals.len())).collect();
    for round in 1..=options.rounds {
        let (asked, written) = rows.split_at_mut(stores[0].2.len());
        for (question, row) in asked.iter_mut().enumerate() {
            options.tell(round, &format!("{NAME}, {}", row.name));
            for (number, (_, reader, questions)) in stores.iter_mut().enumerate() {
                let ask = &questions[question].1;
                row.found = ask.of(&mut **reader)?;
                row.times[number].push(repeated(|| ask.of(&mut **reader).map(drop))?);
            }
        }
        let [add, search, open] = written else { return Err("three rows are of writing".into()) };
        for (number, (store, reader, _)) in stores.iter_mut().enumerate() {
            options.tell(round, &format!("{NAME}, {ADD}"));
            add.times[number].push(repeated(|| write_one(store))?);
            // What was added is indexed now, and not with what is measured next.
            let rare = Query { text: Some(RARE_WORD.into()), ..Query::default() };
            reader.notes(JournalId::FIRST, &rare)?;
            search.times[number].push(after_each_write(store, || {
                reader.notes(JournalId::FIRST, &rare)?;
                Ok(())
            })?);
            open.times[number].push(repeated(|| open_and_list(&journals[number]))?);
        }
    }
    Ok(table(NAME, "CPU us", options, rows, |us| {
        if us < 100.0 { format!("{us:.1}") } else { grouped(us) }
    }))
}

/// Which rows the goals ask for.
const FACTS: [(&str, &str, &str); 9] = [
    (ADD, "add", "CPU us"),
    (DAY, "list a day", "CPU us"),
    (PAGE, "feed page", "CPU us"),
    ("on DAY, ms", "list a day", "ms"),
    ("log -n 50, ms", "latest 50", "ms"),
    ("search, rare word, ms", "search rare", "ms"),
    ("search -n 50, commonest word, ms", "search common", "ms"),
    ("search -n 50, two commonest characters, ms", "search Chinese", "ms"),
    (MEMORY, "server memory", "MB"),
];
const DAY: &str = "a day (100 notes)";
const PAGE: &str = "page of the feed, in the middle";
const MEMORY: &str = "memory of the server after each question, MB";
const ADD: &str = "a note added";
const SEARCH_AFTER: &str = "search after that: the rare word";
const OPEN: &str = "opened, latest 50";

fn table(
    name: &'static str,
    what: &'static str,
    options: &Options,
    rows: Vec<Row>,
    show: impl Fn(f64) -> String,
) -> Table {
    let sizes = sizes(options).map(|notes| -> &'static str {
        // As many as there are columns, once.
        grouped(f64::from(notes)).leak()
    });
    let columns: Vec<&'static str> =
        [what, "found"].into_iter().chain(sizes).chain(["last / first"]).collect();
    let mut table = Table::new(name, &columns);
    for row in rows {
        if let Some((fact, unit)) = row.fact {
            for (notes, times) in sizes.iter().zip(&row.times) {
                table.fact(format!("{fact}, {notes} notes, {unit}"), times.iter().copied());
            }
        }
        table.row(row.cells(&show));
    }
    table
}

fn journals(options: &Options) -> Result<Vec<Journal>, Failure> {
    let journal = |notes| {
        options.tell(0, &format!("a journal of {notes} notes is made"));
        Journal::new(options, notes)
    };
    sizes(options).into_iter().map(journal).collect()
}

/// Microseconds of processor time that one of these takes.
fn repeated(mut work: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let (start, mut times) = (cpu::of_this_thread()?, 0);
    loop {
        work()?;
        times += 1;
        let used = cpu::of_this_thread()? - start;
        if used >= TURN || times == REPEATS {
            return Ok(used.as_secs_f64() * 1e6 / f64::from(times));
        }
    }
}

/// The same for what is done after each of some writes, the writes not counted.
fn after_each_write(
    store: &mut SqliteStore,
    mut work: impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let (mut used, times) = (Duration::ZERO, 20);
    for _ in 0..times {
        write_one(store)?;
        let start = cpu::of_this_thread()?;
        work()?;
        used += cpu::of_this_thread()? - start;
    }
    Ok(used.as_secs_f64() * 1e6 / f64::from(times))
}

fn write_one(store: &mut SqliteStore) -> Result<(), Failure> {
    // Later than all others: the day after the last one of ten million.
    let now = NoteTime::new(9_600_000_000_000, 480)?;
    let write = Write::Note {
        id: None,
        expect: Expect::Any,
        body: Body::Text("one more note, 再记一条 #work".to_owned()),
        time: Some(now),
        extras: Extras::new(),
        now,
    };
    store.commit(vec![(JournalId::FIRST, write)])?;
    Ok(())
}

/// What a listing does to the files, from nothing.
fn open_and_list(journal: &Journal) -> Result<(), Failure> {
    let query = Query { limit: Some(SCREEN), ..Query::default() };
    let (path, own_chain) = match journal.has_replica() {
        true => (journal.path().join(REPLICA), OwnChain::Kept),
        false => (journal.path().join(journal_maker::SERVER), OwnChain::Fresh),
    };
    let store = SqliteStore::open(&path, SqliteOptions { own_chain, device: "laptop".into() })?;
    let found = store.reader()?.notes(JournalId::FIRST, &query)?.len();
    (found == SCREEN).then_some(()).ok_or_else(|| format!("{found} notes are latest").into())
}

/// The commands beside a server on loopback: milliseconds from the start to the exit.
///
/// # Errors
/// When a command fails.
pub(crate) fn run_commands(options: &Options) -> Result<Table, Failure> {
    let journals: Vec<Journal> =
        journals(options)?.into_iter().filter(Journal::has_replica).collect();
    let mut servers = Vec::new();
    let mut at_start = Vec::new();
    for journal in &journals {
        let (server, _) = Server::protected(&options.server, journal.path())?;
        at_start.push(cpu::resident_kib(server.id())? as f64 * 1024.0 / 1e6);
        servers.push(server);
    }
    let asked: Vec<Vec<(&str, Vec<String>)>> = journals.iter().map(commands).collect();
    let Some(first) = asked.first() else { return Err("no journal has a replica".into()) };
    let mut rows = Vec::new();
    for (name, _) in first {
        rows.push(Row::new(&format!("{name}, ms"), journals.len()));
        rows.push(Row::new(&format!("{name}, CPU ms"), journals.len()));
    }
    for round in 1..=options.rounds {
        for (command, rows) in rows.chunks_mut(2).enumerate() {
            options.tell(round, &format!("{COMMANDS}, {}", rows[0].name));
            for (number, journal) in journals.iter().enumerate() {
                for _ in 0..STARTS {
                    let arguments = &asked[number][command].1;
                    let (wall, cpu, lines) = start(&options.server, journal.path(), arguments)?;
                    rows[0].times[number].push(wall.as_secs_f64() * 1e3);
                    rows[1].times[number].push(cpu.as_secs_f64() * 1e3);
                    rows.iter_mut().for_each(|row| row.found = lines);
                }
            }
        }
    }
    let mut memory = Row::new("memory of the server when it has started, MB", journals.len());
    memory.times = at_start.into_iter().map(|mib| vec![mib]).collect();
    rows.push(memory);
    let mut memory = Row::new(MEMORY, journals.len());
    for (number, (journal, server)) in journals.iter().zip(&servers).enumerate() {
        memory.found = ask_server(journal)?;
        memory.times[number].push(cpu::resident_kib(server.id())? as f64 * 1024.0 / 1e6);
    }
    rows.push(memory);
    servers.into_iter().try_for_each(Server::stop)?;
    Ok(table(COMMANDS, "command", options, rows, |value| format!("{value:.1}")))
}

fn commands(journal: &Journal) -> Vec<(&'static str, Vec<String>)> {
    let day = journal.some_day().to_string();
    [
        ("--version", vec!["--version"]),
        ("log -n 50", vec!["log", "-n", "50"]),
        ("on DAY", vec!["on", &day]),
        ("search, rare word", vec!["search", RARE_WORD]),
        ("search -n 50, commonest word", vec!["search", "-n", "50", "the"]),
        ("search -n 50, two commonest characters", vec!["search", "-n", "50", "的一"]),
        ("search -n 50, beginning of many words", vec!["search", "-n", "50", "ba*"]),
        ("search -n 50, pinyin", vec!["search", "-n", "50", "deyi"]),
        ("search -n 50, first letters", vec!["search", "-n", "50", "dy"]),
        ("search --best", vec!["search", "--best", "the"]),
        ("tags", vec!["tags"]),
        ("status", vec!["status"]),
        ("add", vec!["add", "one more note, 再记一条 #work"]),
    ]
    .map(|(name, words)| (name, words.into_iter().map(str::to_owned).collect()))
    .into()
}

/// How long a command takes, what it uses, and how many lines it says.
fn start(
    program: &Path,
    data: &Path,
    arguments: &[String],
) -> Result<(Duration, Duration, u64), Failure> {
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(data).args(arguments);
    command.env("SUIBI_CONFIG", data.join("no-config.toml")).env("COLUMNS", "100");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let (begin, before) = (Instant::now(), cpu::of_ended_children()?);
    let output = command.output()?;
    let took = (begin.elapsed(), cpu::of_ended_children()? - before);
    if !output.status.success() {
        return Err(format!("suibi {} ends with {}", arguments.join(" "), output.status).into());
    }
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count() as u64;
    Ok((took.0, took.1, lines))
}

/// Asks a server everything that a client could ask. How many questions that is.
fn ask_server(journal: &Journal) -> Result<u64, Failure> {
    let data_dir: PathBuf = journal.path().to_owned();
    let place = Place::Embedded { data_dir: data_dir.clone() };
    let mut client = Client::open(ClientConfig { data_dir, place, device: "laptop".into() })?;
    let day = journal.some_day().to_string();
    let get = |path: &str| Request::new(Code::GET).path(path);
    let questions = [
        get("/status"),
        get("/days"),
        get(&format!("/days/{day}")),
        get("/tags"),
        get("/heads"),
        get("/notes"),
        get("/notes").query("q", RARE_WORD),
        get("/notes").query("q", "the"),
        get("/notes").query("q", "的一"),
        get("/notes").query("q", "ba*"),
        get("/notes").query("q", "the").query("tag", "work"),
        get("/notes").query("tag", "work").query("limit", "2000"),
        get("/notes").query("from", "old phone"),
        get("/feed"),
    ];
    for question in &questions {
        let response = client.ask(question, PATIENCE)?;
        if !response.code.is_success() {
            return Err(format!("{question:?} is answered with {}", response.code).into());
        }
    }
    Ok(questions.len() as u64)
}
