//! Power cuts: a store runs on a disk that records every write and flush, and is opened again from what
//! cuts at random moments leave of it. Nothing that was acknowledged may be missing.
//!
//! `SUIBI_CUTS=N` makes N cuts of each kind, `SUIBI_SEED=N` begins with that seed; a failure prints the
//! seed that shows it alone.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by stopping")]

mod cuts;
mod faults;
mod replica_story;
mod server_story;
mod whole;

use std::env;
use std::path::Path;

use rand::Rng;
use rand::rngs::StdRng;
use suibi_journal::NoteTime;
use suibi_sim::{Disk, Moment};
use suibi_store::{JournalId, OwnChain, SqliteOptions, SqliteStore};

const HERE: JournalId = JournalId::FIRST;

/// Something that writes to a store on a disk, and knows what the store has promised.
trait Story: Sized + Clone {
    /// The file's name.
    const FILE: &str;

    /// As which it is opened.
    const OWN_CHAIN: OwnChain;

    /// From nothing.
    fn begin(rng: &mut StdRng) -> Self;

    /// Opens the store on the disk and writes to it; it may be left open.
    fn live(&mut self, disk: &Disk, rng: &mut StdRng) -> Option<SqliteStore>;

    /// How many forks have been rescued in it.
    fn rescued(&self) -> usize {
        0
    }

    /// Opens what a cut at a moment of the last life left, compares it with what was promised by then, and
    /// goes on writing. The story after that is that of the disk.
    fn check(&mut self, disk: &Disk, at: Moment) -> Result<(), String>;
}

/// How a run is disturbed and how many cuts it gets.
struct Plan {
    cuts: usize,
    pragmas: &'static [(&'static str, &'static str)],
}

/// What became of the cuts of a run.
#[derive(Debug, Default)]
struct Found {
    cuts: usize,
    rescued: usize,
    /// The first trouble of each cut that had any.
    trouble: Vec<String>,
}

/// So many cuts are made while a store lives; then it goes on from what the last one left.
const CUTS_IN_A_LIFE: usize = 20;

/// One story with so many cuts, from a seed.
fn run<S: Story>(rng: &mut StdRng, plan: &Plan) -> Found {
    let mut found = Found::default();
    let mut story = S::begin(rng);
    let disturbed = |disk: Disk| {
        for (name, value) in plan.pragmas {
            disk.set_pragma(name, value);
        }
        disk
    };
    let mut disk = disturbed(Disk::new());
    while found.cuts < plan.cuts {
        let begun = disk.moment();
        let still_open = story.live(&disk, rng);
        let end = disk.moment();
        let mut moments: Vec<_> = (0..CUTS_IN_A_LIFE).map(|_| begun.to(end, rng)).collect();
        moments.sort();
        let mut next = None;
        for at in moments {
            found.cuts += 1;
            let mut left = disturbed(disk.cut(at, rng));
            if rng.random_bool(0.2) {
                // The power fails again while the store is being opened, or closed.
                drop(try_open(&left.path(S::FILE), S::OWN_CHAIN));
                let again = left.beginning().to(left.moment(), rng);
                left = disturbed(left.cut(again, rng));
            }
            let mut after = story.clone();
            match after.check(&left, at) {
                Ok(()) => next = Some((after, left)),
                Err(trouble) => found.trouble.push(format!("cut at {at:?} of {end:?}: {trouble}")),
            }
        }
        let Some(next) = next else { break };
        drop(still_open);
        (story, disk) = next;
    }
    found.rescued = story.rescued();
    found
}

/// How many cuts are to be made of each kind.
fn cuts() -> usize {
    env::var("SUIBI_CUTS").map_or(1_000, |cuts| cuts.parse().unwrap())
}

/// The first seed, and whether it is the only one.
fn first_seed() -> (u64, bool) {
    match env::var("SUIBI_SEED") {
        Ok(seed) => (seed.parse().unwrap(), true),
        Err(_) => (1, false),
    }
}

fn try_open(path: &Path, own_chain: OwnChain) -> Result<SqliteStore, suibi_store::StoreError> {
    SqliteStore::open(path, SqliteOptions { own_chain, device: "laptop".to_owned() })
}

/// A time in a year of many days.
fn some_time(rng: &mut StdRng) -> NoteTime {
    let (month, day) = (rng.random_range(1..=12), rng.random_range(1..=28));
    let (hour, minute) = (rng.random_range(0..24), rng.random_range(0..60));
    format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00.000+08:00").parse().unwrap()
}

/// A text that is short most often.
fn some_text(rng: &mut StdRng) -> String {
    let words = match rng.random_range(0..40) {
        0 => rng.random_range(400..3_000),
        1..6 => rng.random_range(40..300),
        _ => rng.random_range(0..6),
    };
    let mut text = format!("note @tag{}", rng.random_range(0..4));
    // Bytes are what matters; few words, as each costs the index.
    (0..words).for_each(|_| text.push_str("-----"));
    text + &format!(" {}", rng.random::<u32>())
}
