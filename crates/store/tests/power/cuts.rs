//! Power cuts of both kinds of store, and that they find what they are to find.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::replica_story::ReplicaStory;
use crate::server_story::ServerStory;
use crate::{Found, Plan, Story, cuts, first_seed, run};

/// Cuts of one story, which begins with an empty disk.
const CUTS: usize = 60;

/// As users have it, and with a log that goes back to its beginning all the time.
const PRAGMAS: [&[(&str, &str)]; 2] = [&[], &[("wal_autocheckpoint", "20")]];

/// The same, but flushed only when the log is emptied: `PRAGMA synchronous = NORMAL`.
const WEAK: [&[(&str, &str)]; 2] =
    [&[("synchronous", "1")], &[("synchronous", "1"), ("wal_autocheckpoint", "20")]];

/// Every cut of every story goes well. Gives how many forks were rescued in them.
fn nothing_is_lost<S: Story>() -> usize {
    let (mut seed, is_only) = first_seed();
    let (mut made, mut forks) = (0, 0);
    while made < cuts() {
        let plan = Plan { cuts: CUTS, pragmas: PRAGMAS[seed as usize % PRAGMAS.len()] };
        let Found { cuts, rescued, trouble } = run::<S>(&mut StdRng::seed_from_u64(seed), &plan);
        assert!(trouble.is_empty(), "SUIBI_SEED={seed}: {}", trouble.join("\n"));
        (made, forks, seed) = (made + cuts, forks + rescued, seed + 1);
        if is_only {
            break;
        }
    }
    forks
}

/// With a store that promises more than it flushes, the cuts show what is lost, and nothing else.
fn losses_are_noticed<S: Story>() {
    let mut lost = 0;
    for (seed, pragmas) in (1..).zip(WEAK) {
        let found = run::<S>(&mut StdRng::seed_from_u64(seed), &Plan { cuts: CUTS, pragmas });
        for trouble in &found.trouble {
            assert!(trouble.contains("acknowledged changes lost"), "worse than lost: {trouble}");
        }
        lost += found.trouble.len();
    }
    assert!(lost >= 20, "only {lost} cuts were noticed");
}

#[test]
fn no_power_cut_takes_an_acknowledged_change_from_a_server() {
    nothing_is_lost::<ServerStory>();
}

#[test]
fn no_power_cut_takes_an_acknowledged_change_from_a_replica() {
    let forks = nothing_is_lost::<ReplicaStory>();
    assert!(forks > 0 || first_seed().1, "no fork was rescued while the power was cut");
}

#[test]
fn without_a_flush_at_each_commit_a_server_loses_changes_and_that_is_noticed() {
    losses_are_noticed::<ServerStory>();
}

#[test]
fn without_a_flush_at_each_commit_a_replica_loses_changes_and_that_is_noticed() {
    losses_are_noticed::<ReplicaStory>();
}
