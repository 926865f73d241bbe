//! Three devices and a server as real processes, each device behind a bad network of its own, and
//! everybody is killed now and then. In the end everybody has the same, and each change that was
//! made is there exactly once.
//!
//! It lasts a minute; `SUIBI_CHAOS_SECONDS` says otherwise, `SUIBI_TEST_SEED` sets the dice.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use machinery::{Finished, Home, PATIENCE, Server, Watch, dice, wait_until};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use suibi_journal::{Body, Cursor};
use suibi_net::relay::{Faults, Line, Passage, Relay};
use suibi_store::{JournalId, OwnChain, SqliteOptions, SqliteStore, Store as _};

const DEVICES: [&str; 3] = ["laptop", "phone", "tablet"];

/// No command takes longer than this: what goes on is killed.
const LONGEST: Duration = Duration::from_secs(10);

/// What everybody did, as far as they know it themselves.
#[derive(Debug, Default)]
struct Ledger {
    /// Texts that the device has kept, acknowledged by the server or not.
    kept: Mutex<Vec<String>>,
    /// Texts whose command was killed: each may be there, once.
    unsure: Mutex<Vec<String>>,
    /// Notes that were removed, by removals that are kept and by such whose command was killed.
    removed: Mutex<Vec<String>>,
    unsure_removed: Mutex<Vec<String>>,
    /// How many of them the server had acknowledged at once; how many commands were killed.
    acknowledged: Mutex<u64>,
    killed: Mutex<u64>,
}

fn add_to<T>(list: &Mutex<Vec<T>>, item: T) {
    list.lock().unwrap().push(item);
}

fn count_up(count: &Mutex<u64>) {
    *count.lock().unwrap() += 1;
}

#[test]
fn whatever_happens_each_change_is_everywhere_exactly_once() {
    let (mut dice, _) = dice();
    let seconds =
        std::env::var("SUIBI_CHAOS_SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_encrypted(data.path());
    let owner = Home::of_owner(data.path());
    let places = DEVICES.map(|name| {
        let relay = Relay::start(server.oscore[0], Faults::default()).unwrap();
        let home = Home::new();
        home.join(&owner.invite_to(relay.address(), &[]), name);
        (home, relay)
    });
    let (ledger, mut deaths) = (Ledger::default(), 0);
    let server = thread::scope(|scope| {
        for (name, (home, relay)) in DEVICES.into_iter().zip(&places) {
            let ledger = &ledger;
            let mut own = StdRng::seed_from_u64(dice.random());
            let weather = StdRng::seed_from_u64(dice.random());
            scope.spawn(move || {
                Device { name, home, ledger, notes: Vec::new() }.live(&mut own, until);
            });
            scope.spawn(move || be_bad(relay, weather, until));
        }
        let mut server = server;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            thread::sleep(Duration::from_millis(dice.random_range(500..8_000)).min(left));
            server.kill();
            deaths += 1;
            thread::sleep(Duration::from_millis(dice.random_range(0..1_500)));
            server = Server::start_encrypted(data.path());
            places.iter().for_each(|(_, relay)| relay.set_target(server.oscore[0]));
        }
        server
    });

    let homes: Vec<&Home> = places.iter().map(|(home, _)| home).collect();
    for (_, relay) in &places {
        println!("{:?}", relay.stats());
    }
    // Once for what everybody has to give, once for what the others gave.
    for home in homes.iter().chain(&homes) {
        wait_until("a sync goes through", || home.sync().status.success());
    }
    let mut logs = homes.iter().map(|home| sorted(home.log()));
    let log = logs.next().unwrap();
    assert!(logs.all(|other| other == log), "the devices do not show the same");
    assert_eq!(sorted(owner.log_in_step()), log, "the server does not show the same");
    for home in &homes {
        home.suibi_within(PATIENCE, &["verify", "--server", "--all"]).expect_success();
    }
    assert!(server.stop().success());
    assert!(*ledger.acknowledged.lock().unwrap() > 0, "nothing was acknowledged");
    assert!(*ledger.killed.lock().unwrap() > 0, "nobody was killed");
    for home in &homes {
        for file in std::fs::read_dir(home.path().join("data/suibi")).unwrap() {
            let name = file.unwrap().file_name().to_string_lossy().into_owned();
            assert!(!name.contains(".damaged-"), "a kill has damaged something: {name}");
        }
    }
    let total = assert_exact(data.path(), &ledger);
    println!(
        "{seconds} s: {total} changes, {} notes; {} acknowledged at once, {} killed commands, {deaths} deaths of the server",
        log.len(),
        ledger.acknowledged.lock().unwrap(),
        ledger.killed.lock().unwrap(),
    );
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// One device: what a person does there, a command at a time.
struct Device<'a> {
    name: &'static str,
    home: &'a Home,
    ledger: &'a Ledger,
    /// The notes that it has listed last.
    notes: Vec<String>,
}

impl Device<'_> {
    fn live(&mut self, dice: &mut StdRng, until: Instant) {
        let mut watch = None;
        for n in 0.. {
            if Instant::now() >= until {
                return;
            }
            match dice.random_range(0..100) {
                0..55 => self.write(dice, &["add"], format!("note {n} of the {}", self.name)),
                55..75 => {
                    if let Some(note) = self.any_note(dice) {
                        let text = format!("edit {n} by the {}", self.name);
                        self.write(dice, &["edit", &note], text);
                    }
                }
                75..82 => {
                    if let Some(note) = self.any_note(dice) {
                        self.remove(dice, note);
                    }
                }
                82..88 => drop(self.run(dice, &["sync"])),
                88..95 => self.list(),
                _ => {
                    watch = match watch {
                        Some(watch) => {
                            drop::<Watch>(watch);
                            count_up(&self.ledger.killed);
                            None
                        }
                        None => Some(Watch::start(self.home)),
                    };
                }
            }
        }
    }

    fn any_note(&self, dice: &mut StdRng) -> Option<String> {
        (!self.notes.is_empty()).then(|| self.notes[dice.random_range(0..self.notes.len())].clone())
    }

    /// A command that ends in a text, which nobody else ever writes.
    fn write(&self, dice: &mut StdRng, command: &[&str], text: String) {
        match self.run(dice, &[command, &[&text]].concat()) {
            None => add_to(&self.ledger.unsure, text),
            Some(finished) if self.is_done(&finished) => add_to(&self.ledger.kept, text),
            Some(_) => {}
        }
    }

    fn remove(&self, dice: &mut StdRng, note: String) {
        match self.run(dice, &["rm", &note]) {
            None => add_to(&self.ledger.unsure_removed, note),
            Some(finished) if self.is_done(&finished) => add_to(&self.ledger.removed, note),
            Some(_) => {}
        }
    }

    /// Whether the change was made. If not, it was because the note was another by then.
    fn is_done(&self, finished: &Finished) -> bool {
        let said = format!("{}{}", finished.out, finished.err);
        if !said.contains('✓') {
            let why = ["is deleted", "was deleted before", "changed"];
            assert!(why.iter().any(|why| said.contains(why)), "{finished:#?}");
            return false;
        }
        if !said.contains("not yet on the server") {
            count_up(&self.ledger.acknowledged);
        }
        true
    }

    fn list(&mut self) {
        let log = self.home.suibi_within(PATIENCE, &["log", "--json"]);
        // An empty list is exit code 1.
        assert!(matches!(log.status.code(), Some(0 | 1)), "{log:#?}");
        let json: serde_json::Value = serde_json::from_str(&log.out).unwrap();
        let notes = json["notes"].as_array().unwrap().iter();
        self.notes = notes.map(|note| note["id"].as_str().unwrap().to_owned()).collect();
    }

    /// Runs a command, unless it is killed: now and then, and when it takes too long.
    fn run(&self, dice: &mut StdRng, arguments: &[&str]) -> Option<Finished> {
        let early =
            dice.random_bool(0.15).then(|| Duration::from_millis(dice.random_range(1..300)));
        let finished = run_for(&mut self.home.command(arguments), early.unwrap_or(LONGEST));
        if finished.is_none() {
            count_up(&self.ledger.killed);
        }
        finished
    }
}

/// Runs a command that says little to its end, or kills it then.
fn run_for(command: &mut Command, bound: Duration) -> Option<Finished> {
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > bound {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    Some(Finished { status: output.status, out, err, took: start.elapsed() })
}

/// Changes the weather every other second; in the end it is fine.
fn be_bad(relay: &Relay, mut dice: StdRng, until: Instant) {
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        let mut share = |most: f64| dice.random_range(0.0..most);
        let (loss, double, reorder) = (share(0.4), share(0.3), share(0.3));
        let delay = Duration::from_millis(dice.random_range(0..30));
        relay.set_faults(Faults { loss, double, reorder, delay, seed: dice.random() });
        let is_offline = dice.random_bool(0.15);
        let tcp = match dice.random_range(0..10) {
            _ if is_offline => Passage::Silent,
            0 => Passage::Silent,
            1 => Passage::Refused,
            _ => Passage::Open,
        };
        relay.set_line(Line {
            udp_is_blocked: is_offline || dice.random_bool(0.15),
            tcp,
            rebind_every: dice.random_bool(0.2).then_some(Duration::from_millis(700)),
            ..Line::default()
        });
        if dice.random_bool(0.2) {
            relay.cut();
        }
        thread::sleep(Duration::from_millis(dice.random_range(200..4_000)).min(left));
    }
    relay.set_faults(Faults::default());
    relay.set_line(Line::default());
}

/// The server's feed has each text that was kept exactly once, each that may have been at most
/// once, and no other; of the removals alike. Returns how many changes that is.
fn assert_exact(data_dir: &Path, ledger: &Ledger) -> usize {
    let (mut texts, mut removed): (BTreeMap<String, usize>, BTreeMap<String, usize>) =
        Default::default();
    let mut total = 0;
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "test".into() };
    let store = SqliteStore::open(&data_dir.join("server.db"), options).unwrap();
    let mut reader = store.reader().unwrap();
    let mut after = Cursor::START;
    loop {
        let page = reader.feed(JournalId::FIRST, after, 1 << 20).unwrap().unwrap();
        if page.entries.is_empty() {
            break;
        }
        for (_, entry) in &page.entries {
            total += 1;
            match &entry.content().unwrap().body {
                Body::Text(text) => *texts.entry(text.clone()).or_default() += 1,
                Body::Deleted => *removed.entry(entry.change().note.to_string()).or_default() += 1,
                other => panic!("nobody did {other:?}"),
            }
        }
        after = page.next;
    }
    let [kept, unsure, sure_removed, unsure_removed] =
        [&ledger.kept, &ledger.unsure, &ledger.removed, &ledger.unsure_removed]
            .map(|list| list.lock().unwrap().clone());
    for (what, mut found, sure, unsure) in
        [("text", texts, kept, unsure), ("removal of", removed, sure_removed, unsure_removed)]
    {
        for done in sure {
            let left =
                found.get_mut(&done).unwrap_or_else(|| panic!("the {what} {done:?} is lost"));
            *left = left.checked_sub(1).unwrap_or_else(|| panic!("the {what} {done:?} is lost"));
        }
        for done in unsure {
            if let Some(left) = found.get_mut(&done) {
                *left = left.saturating_sub(1);
            }
        }
        found.retain(|_, left| *left > 0);
        assert!(found.is_empty(), "the {what} is there more often than it was done: {found:?}");
    }
    total
}
