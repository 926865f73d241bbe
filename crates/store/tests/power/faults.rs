//! Disks that fail: at every call to write, truncate or flush in turn, once or for good, with EIO or ENOSPC.
//!
//! Nothing that failed is acknowledged. A store whose disk failed to flush takes no more writes, and what the
//! next process acknowledges is there after a power cut, whatever the failed flush left in memory only.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use suibi_sim::{Disk, Fault, Moment};
use suibi_store::{OwnChain, SqliteStore, Store, StoreError};

use crate::replica_story::ReplicaStory;
use crate::server_story::ServerStory;
use crate::whole::whole;
use crate::{HERE, Story, first_seed, try_open};

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
