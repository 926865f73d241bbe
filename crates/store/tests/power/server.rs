//! The server's store.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::server_story::ServerStory;
use crate::{Found, Plan, cuts, first_seed, run};

/// As users have it; and with a log that goes back to its beginning all the time.
const PRAGMAS: [&[(&str, &str)]; 2] = [&[], &[("wal_autocheckpoint", "20")]];

#[test]
fn no_power_cut_takes_an_acknowledged_change_from_a_server() {
    let (mut seed, only) = first_seed();
    let mut cuts_made = 0;
    while cuts_made < cuts() {
        let pragmas = PRAGMAS[seed as usize % PRAGMAS.len()];
        let found =
            run::<ServerStory>(&mut StdRng::seed_from_u64(seed), &Plan { cuts: 60, pragmas });
        let Found { cuts, trouble } = found;
        assert!(trouble.is_empty(), "SUIBI_SEED={seed}: {}", trouble.join("\n"));
        (cuts_made, seed) = (cuts_made + cuts, seed + 1);
        if only {
            break;
        }
    }
}

/// If the store flushed only when it empties its log, the cuts would find it.
#[test]
fn without_a_flush_at_each_commit_changes_are_lost_and_that_is_noticed() {
    let mut lost = 0;
    for (seed, wal) in [(1, "4000"), (2, "20")] {
        let pragmas: &[_] = match wal {
            "20" => &[("synchronous", "1"), ("wal_autocheckpoint", "20")],
            _ => &[("synchronous", "1")],
        };
        let found =
            run::<ServerStory>(&mut StdRng::seed_from_u64(seed), &Plan { cuts: 50, pragmas });
        for trouble in &found.trouble {
            assert!(
                trouble.contains("acknowledged changes lost"),
                "worse than expected: {trouble}"
            );
        }
        lost += found.trouble.len();
    }
    assert!(lost >= 20, "only {lost} cuts were noticed");
}
