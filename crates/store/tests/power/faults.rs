//! Disks that fail: at every call to write, truncate or flush in turn, once or for good, with EIO or ENOSPC.
//!
//! Nothing that failed is acknowledged. A store whose disk failed to flush takes no more writes, and what the
//! next process acknowledges is there after a power cut, whatever the failed flush left in memory only.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use suibi_journal::{Body, Extras, Hash};
use suibi_sim::{Disk, Fault, Moment};
use suibi_store::{
    Expect, Outcome, OwnChain, SqliteOptions, SqliteStore, Store, StoreError, Write,
};

use crate::replica_story::ReplicaStory;
use crate::server_story::ServerStory;
use crate::whole::whole;
use crate::{HERE, Story, first_seed, some_text, some_time, try_open};

/// What goes on while a disk fails.
const COMMITS: usize = 12;

/// So many calls are tried for each way to fail.
const PLACES: u64 = 24;

/// A story whose writes may fail.
pub(crate) trait Writes: Story {
    /// Writes something; what is promised by that is remembered.
    fn write_some(&mut self, store: &mut SqliteStore, rng: &mut StdRng) -> Result<(), StoreError>;

    /// Opens what a cut left and compares it with what was promised; the last write may be there or not.
    fn check_now(mut self, disk: &Disk) -> Result<(), String> {
        let path = disk.path(Self::FILE);
        let mut store = try_open(&path, Self::OWN_CHAIN).map_err(|error| error.to_string())?;
        whole(&store, &path)?;
        self.adopt(&mut store)?;
        self.check_goes_on(&mut store)
    }

    /// Goes on writing in a store that was adopted.
    fn check_goes_on(&mut self, store: &mut SqliteStore) -> Result<(), String>;

    /// Compares a store that was just opened with what was promised, and takes over what it holds
    /// beyond that: of a write that failed it may have all.
    fn adopt(&mut self, store: &mut SqliteStore) -> Result<(), String>;
}

/// How it went.
#[derive(Default)]
struct Tally {
    failed: u64,
    broken: u64,
}

/// Writes while the disk fails at the call `after` and at `times - 1` more, then goes on as the next process.
fn fail_at<S: Writes>(
    story: &S,
    from: &Disk,
    (fault, after, times): (Fault, u64, u64),
    rng: &mut StdRng,
    tally: &mut Tally,
) -> Result<(), String> {
    let broken_before = tally.broken;
    let mut story = story.clone();
    let disk = Disk::copy_of(from.directory());
    let shortens = rng.random_bool(0.5);
    let short = |disk: &Disk| shortens.then(|| disk.set_pragma("wal_autocheckpoint", "20"));
    short(&disk);
    disk.fail(fault, after, times);
    if let Ok(mut store) = try_open(&disk.path(S::FILE), S::OWN_CHAIN) {
        for _ in 0..COMMITS {
            let Err(error) = story.write_some(&mut store, rng) else { continue };
            tally.failed += 1;
            if !matches!(error, StoreError::Broken(_)) {
                continue;
            }
            tally.broken += 1;
            let next = store.commit(Vec::new()).map(drop);
            if !matches!(next, Err(StoreError::Broken(_))) {
                return Err(format!("after {error}, a commit gives {next:?}"));
            }
            // Reading goes on.
            let mut reader = store.reader().map_err(|error| error.to_string())?;
            reader.count(HERE).map_err(|error| error.to_string())?;
        }
        let is_broken = tally.broken > broken_before;
        // A replica puts its log right only while the disk takes that: it is opened too often to do it then.
        let is_at_end = is_broken && times > 1 && S::OWN_CHAIN == OwnChain::Kept;
        if is_at_end || !is_broken && rng.random_bool(0.5) {
            // The power fails at once.
            let left = disk.cut(disk.moment(), rng);
            return story.check_now(&left);
        }
        if is_broken || rng.random_bool(0.5) {
            // The process is killed.
            let disk = disk.killed_with_memory();
            short(&disk);
            return go_on(story, &disk, rng);
        }
    }
    disk.heal();
    go_on(story, &disk, rng)
}

/// The next process writes on a disk that is well again, and then the power fails.
fn go_on<S: Writes>(mut story: S, disk: &Disk, rng: &mut StdRng) -> Result<(), String> {
    let mut store =
        try_open(&disk.path(S::FILE), S::OWN_CHAIN).map_err(|error| error.to_string())?;
    story.adopt(&mut store)?;
    for _ in 0..3 {
        story.write_some(&mut store, rng).map_err(|error| error.to_string())?;
    }
    story.check_now(&disk.cut(disk.moment(), rng))
}

fn every_call_may_fail<S: Writes>() {
    let (seed, _) = first_seed();
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut story = S::begin(rng);
    let disk = Disk::new();
    drop(story.live(&disk, rng));
    story.check(&disk, Moment::MAX).unwrap();

    let mut tally = Tally::default();
    let calls = {
        let undisturbed = Disk::copy_of(disk.directory());
        undisturbed.set_pragma("wal_autocheckpoint", "20");
        let mut store = try_open(&undisturbed.path(S::FILE), S::OWN_CHAIN).unwrap();
        let mut story = story.clone();
        (0..COMMITS).for_each(|_| story.write_some(&mut store, rng).unwrap());
        undisturbed.calls()
    };
    for fault in [Fault::Broken, Fault::Full, Fault::Unflushed] {
        for times in [1, u64::MAX] {
            for place in 0..PLACES {
                let after = (place * calls + rng.random_range(0..calls)) / PLACES;
                let luck = &mut StdRng::seed_from_u64(rng.random());
                let went = fail_at(&story, &disk, (fault, after, times), luck, &mut tally);
                assert!(
                    went.is_ok(),
                    "SUIBI_SEED={seed}, {fault:?} {times} times after {after} of {calls} calls: {}",
                    went.unwrap_err()
                );
            }
        }
    }
    let Tally { failed, broken } = tally;
    assert!(failed > PLACES && broken > PLACES, "{failed} writes failed, {broken} at a flush");
}

#[test]
fn a_server_whose_disk_fails_promises_nothing_that_it_does_not_keep() {
    every_call_may_fail::<ServerStory>();
}

#[test]
fn a_replica_whose_disk_fails_promises_nothing_that_it_does_not_keep() {
    every_call_may_fail::<ReplicaStory>();
}

/// A server for a command: it opens the store with what the one before said of the log, adds a note and purges another
/// one. Gives what it has promised to keep, and whether it says that the log is in order.
fn one_command(
    disk: &Disk,
    is_doubted: bool,
    rng: &mut StdRng,
) -> Result<(Vec<Hash>, bool), StoreError> {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
    let mut store = SqliteStore::open_briefly(&disk.path("server.db"), options, is_doubted)?;
    let mut promised = Vec::new();
    let mut last = None;
    for _ in 0..3 {
        let (id, expect, extras, now) = (None, Expect::Any, Extras::new(), some_time(rng));
        let body = Body::Text(some_text(rng));
        let mut writes = vec![(HERE, Write::Note { id, expect, body, time: None, extras, now })];
        writes.extend(last.take().map(|note| (HERE, Write::Purge { note, now, audit: None })));
        let Ok(outcomes) = store.commit(writes) else { continue };
        for outcome in outcomes {
            let Outcome::Note(Ok(written)) = outcome else { panic!("a note was refused") };
            promised.push(written.receipt.hash);
            last = last.or(written.created.then_some(written.id));
        }
    }
    Ok((promised, store.is_sound()))
}

#[test]
fn a_server_for_a_command_leaves_no_log_in_doubt_without_saying_so() {
    let rng = &mut StdRng::seed_from_u64(first_seed().0);
    let begin = Disk::new();
    one_command(&begin, true, rng).unwrap();
    let (mut doubted, mut unsound_though_kept) = (0, 0);
    let calls = {
        let undisturbed = Disk::copy_of(begin.directory());
        one_command(&undisturbed, false, rng).unwrap();
        undisturbed.calls()
    };
    for fault in [Fault::Unflushed, Fault::Broken] {
        for after in 0..calls {
            // One command meets a disk that fails, perhaps the next as well; then the disk is well again.
            let disk = Disk::copy_of(begin.directory());
            disk.fail(fault, after, 1);
            let Ok((mut promised, is_sound)) = one_command(&disk, false, rng) else { continue };
            doubted += u32::from(!is_sound);
            unsound_though_kept += u32::from(!is_sound && promised.len() == 5);
            let disk = disk.killed_with_memory();
            let mut is_doubted = !is_sound;
            for may_fail in [true, false] {
                if may_fail && rng.random_bool(0.5) {
                    disk.fail(Fault::Unflushed, 0, rng.random_range(1..3));
                } else {
                    disk.heal();
                }
                let Ok((more, is_sound)) = one_command(&disk, is_doubted, rng) else { continue };
                promised.extend(more);
                is_doubted = !is_sound;
            }
            assert!(!is_doubted, "{fault:?} after {after}: the disk is well, and nobody reads");
            let left = disk.cut(disk.moment(), rng);
            let store = try_open(&left.path("server.db"), OwnChain::Fresh).unwrap();
            let feed = whole(&store, &left.path("server.db")).unwrap();
            for hash in promised {
                let is_there = feed.entries.iter().any(|(_, entry)| entry.hash() == hash);
                assert!(is_there, "{fault:?} after {after}: {} is lost", hash.short());
            }
        }
    }
    assert!(doubted > 5 && unsound_though_kept > 0, "{doubted}, {unsound_though_kept}");
}

#[test]
fn a_log_that_somebody_still_reads_stays_in_doubt() {
    let disk = Disk::new();
    let path = disk.path("server.db");
    let open = |is_doubted| {
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: String::new() };
        SqliteStore::open_briefly(&path, options, is_doubted).unwrap()
    };
    open(true).commit(Vec::new()).unwrap();
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("BEGIN; SELECT count(*) FROM meta").unwrap();
    assert!(open(false).is_sound());
    assert!(!open(true).is_sound());
    conn.execute_batch("COMMIT").unwrap();
    assert!(open(true).is_sound());
}

#[test]
fn a_flush_that_fails_is_heard_of_though_what_it_was_for_needed_none() {
    let disk = Disk::new();
    let mut store = try_open(&disk.path("replica.db"), OwnChain::Kept).unwrap();
    let rng = &mut StdRng::seed_from_u64(1);
    let mut note = |store: &mut SqliteStore| {
        let (id, expect, extras, now) = (None, Expect::Any, Extras::new(), some_time(rng));
        let body = Body::Text("a note".to_owned());
        store.commit(vec![(HERE, Write::Note { id, expect, body, time: None, extras, now })])
    };
    note(&mut store).unwrap();

    // More than the log of a replica is to hold. Nobody would hear of a flush before it is emptied; after that one the
    // next would go well, behind what is not on the disk.
    disk.fail(Fault::Unflushed, 0, 1);
    (0..200).for_each(|guess| store.set_meta_unflushed("guess", &guess.to_string()).unwrap());
    let kept = note(&mut store);

    assert!(matches!(kept, Err(StoreError::Broken(_))), "{kept:?}");
    assert!(!store.is_sound());
}
